use super::*;
use crate::base::utf16::wide;
use crate::test_support;

fn registry() -> Registry {
    Registry::new()
}

fn key_at(registry: &Registry, path: &str) -> KeyId {
    match registry.walk(KeyId::ROOT, &wide(path), false) {
        Ok(Step::Key(key)) => key,
        other => panic!("{path}: {other:?}"),
    }
}

fn child_names(registry: &Registry, key: KeyId) -> Vec<String> {
    let key = registry.key(key).expect("it is there");
    key.children()
        .map(|child| text(&registry.key(child).expect("it is there").name))
        .collect()
}

#[test]
fn path_ignores_case_and_extra_separators() {
    let registry = registry();
    let key = key_at(&registry, "MACHINE\\SYSTEM\\ControlSet001\\Services");
    assert_eq!(
        key_at(
            &registry,
            "\\machine\\\\System\\controlset001\\SERVICES\\\\"
        ),
        key
    );
    assert_eq!(key_at(&registry, ""), KeyId::ROOT);
    assert_eq!(
        text(&registry.path(key).expect("a path")),
        "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services"
    );
}

#[test]
fn walk_distinguishes_missing_key_and_missing_parent() {
    let registry = registry();
    let software = key_at(&registry, "MACHINE\\SOFTWARE");
    assert_eq!(
        registry.walk(KeyId::ROOT, &wide("MACHINE\\SOFTWARE\\None\\"), false),
        Ok(Step::Missing(software, wide("None")))
    );
    assert_eq!(
        registry.walk(KeyId::ROOT, &wide("MACHINE\\SOFTWARE\\None\\Below"), false),
        Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
    );
    let long = "x".repeat(MAX_KEY_NAME + 1);
    assert_eq!(
        registry.walk(software, &wide(&long), false),
        Err(nt_status::STATUS_INVALID_PARAMETER)
    );
    let fits = "x".repeat(MAX_KEY_NAME);
    assert_eq!(
        registry.walk(software, &wide(&fits), false),
        Ok(Step::Missing(software, wide(&fits)))
    );
}

#[test]
fn walk_follows_links_unless_opened_itself() {
    let registry = registry();
    let path = wide("MACHINE\\SYSTEM\\CurrentControlSet\\Services");
    let target = wide("\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services");
    assert_eq!(
        registry.walk(KeyId::ROOT, &path, true),
        Ok(Step::Link(target))
    );
    let link = wide("MACHINE\\SYSTEM\\CurrentControlSet");
    let target = wide("\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001");
    assert_eq!(
        registry.walk(KeyId::ROOT, &link, false),
        Ok(Step::Link(target))
    );
    let Ok(Step::Key(key)) = registry.walk(KeyId::ROOT, &link, true) else {
        panic!("the link is a key")
    };
    assert!(registry.key(key).expect("it is there").kind.link);
}

#[test]
fn subkeys_are_sorted_with_volatile_last() {
    let mut registry = registry();
    let parent = key_at(&registry, "MACHINE\\SOFTWARE\\Microsoft");
    for (name, volatile) in [("b", false), ("A", true), ("C", false), ("a1", false)] {
        registry
            .create(
                parent,
                &wide(name),
                Kind {
                    volatile,
                    ..Kind::default()
                },
            )
            .expect("room for it");
    }
    assert_eq!(
        child_names(&registry, parent),
        ["a1", "b", "C", "Windows NT", "A"]
    );
}

#[test]
fn create_under_root_or_link_is_denied() {
    let mut registry = registry();
    let machine = key_at(&registry, "MACHINE");
    assert_eq!(
        registry.create(machine, &wide("Mine"), Kind::default()),
        Err(nt_status::STATUS_INVALID_PARAMETER)
    );
    let software = key_at(&registry, "MACHINE\\SOFTWARE");
    let volatile = Kind {
        volatile: true,
        ..Kind::default()
    };
    let parent = registry
        .create(software, &wide("V"), volatile.clone())
        .expect("room for it");
    assert_eq!(
        registry.create(parent, &wide("S"), Kind::default()),
        Err(nt_status::STATUS_CHILD_MUST_BE_VOLATILE)
    );
    assert!(registry.create(parent, &wide("V"), volatile).is_ok());
    let link = Kind {
        link: true,
        ..Kind::default()
    };
    let link = registry
        .create(software, &wide("L"), link)
        .expect("room for it");
    assert_eq!(
        registry.create(link, &wide("S"), Kind::default()),
        Err(nt_status::STATUS_ACCESS_DENIED)
    );
}

#[test]
fn delete_of_key_with_subkeys_fails() {
    let mut registry = registry();
    let software = key_at(&registry, "MACHINE\\SOFTWARE");
    let parent = registry
        .create(software, &wide("P"), Kind::default())
        .expect("room for it");
    let child = registry
        .create(parent, &wide("C"), Kind::default())
        .expect("room for it");
    assert_eq!(
        registry.delete(parent),
        Err(nt_status::STATUS_CANNOT_DELETE)
    );
    assert_eq!(
        registry.delete(software),
        Err(nt_status::STATUS_CANNOT_DELETE)
    );
    assert_eq!(registry.delete(child), Ok(()));
    assert_eq!(registry.delete(child), Err(nt_status::STATUS_KEY_DELETED));
    assert_eq!(
        registry.create(child, &wide("C"), Kind::default()),
        Err(nt_status::STATUS_KEY_DELETED)
    );
    assert_eq!(registry.path(child), None);
    assert_eq!(registry.delete(parent), Ok(()));
    // The name is free again, for another key.
    let again = registry
        .create(software, &wide("P"), Kind::default())
        .expect("room for it");
    assert_ne!(again, parent);
}

#[test]
fn value_replaced_keeps_position_and_name() {
    let mut registry = registry();
    let key = key_at(&registry, "MACHINE\\SOFTWARE");
    let key = registry.key_mut(key).expect("it is there");
    key.set_value(&wide("One"), 4, vec![1]);
    key.set_value(&wide("Two"), 4, vec![2]);
    key.set_value(&wide("ONE"), 3, vec![3, 4]);
    let names: Vec<String> = key.values().iter().map(|value| text(&value.name)).collect();
    assert_eq!(names, ["One", "Two"]);
    let value = key.value(&wide("oNE")).expect("it is there");
    assert_eq!((value.kind, value.data.as_slice()), (3, &[3, 4][..]));
    assert!(key.delete_value(&wide("one")));
    assert!(!key.delete_value(&wide("one")));
    assert_eq!(key.values().len(), 1);
}

#[test]
fn is_trusted_accepts_system_hives_only() {
    let registry = registry();
    for (path, trusted) in [
        ("MACHINE\\SYSTEM\\ControlSet001\\Services", true),
        ("MACHINE\\HARDWARE", true),
        ("MACHINE", false),
        ("USER\\.DEFAULT", false),
        ("", false),
    ] {
        assert_eq!(
            registry.is_trusted(key_at(&registry, path)),
            trusted,
            "{path}"
        );
    }
}

#[test]
fn seed_writes_service_control_manager_values() {
    use ntbox_api::RegValue;
    test_support::processor();
    let path = seed("seeded", &[("Size".to_owned(), RegValue::Dword(7))]);
    assert_eq!(
        path,
        "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\seeded"
    );
    with(|registry| {
        let key = key_at(registry, "MACHINE\\SYSTEM\\ControlSet001\\Services\\seeded");
        let values: Vec<(String, u32)> = registry
            .key(key)
            .expect("it is there")
            .values()
            .iter()
            .map(|value| (text(&value.name), value.kind))
            .collect();
        let expected = [
            ("Type", 4),
            ("Start", 4),
            ("ErrorControl", 4),
            ("ImagePath", 2),
            ("DisplayName", 1),
        ];
        assert_eq!(values, expected.map(|(name, kind)| (name.to_owned(), kind)));
        assert_eq!(child_names(registry, key), ["Parameters"]);
    });
    seed("bare", &[]);
    with(|registry| {
        let key = key_at(registry, "MACHINE\\SYSTEM\\ControlSet001\\Services\\bare");
        assert!(child_names(registry, key).is_empty());
    });
}
