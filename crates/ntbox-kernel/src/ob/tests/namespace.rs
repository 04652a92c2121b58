use super::*;
use crate::base::utf16;
use crate::ke::object::state as event_state;
use crate::ob;
use crate::ob::attributes::{DONT_REPARSE, OPENIF, PERMANENT};
use crate::ob::namespace::PathLookup;
use crate::ob::{
    NameInsertion, Payload, Type, create, dereference, handles, insert, lookup, lookup_path,
    make_temporary, query_name,
};

/// Names an event; the name keeps it alive.
fn name_event(path: &str) -> u64 {
    let object = event();
    assert_eq!(
        insert(object, &named(path, PERMANENT)),
        Ok(NameInsertion::New),
        "{path}"
    );
    dereference(object, &kernel());
    object
}

fn link(path: &str, target: &str) {
    processor();
    let object = create(
        Type::SymbolicLink,
        0x28,
        Payload::SymbolicLink {
            target: wide(target),
            capacity: 0,
        },
    )
    .expect("there is memory");
    assert_eq!(
        insert(object, &named(path, PERMANENT)),
        Ok(NameInsertion::New)
    );
    dereference(object, &kernel());
}

/// Looks a path up and gives the reference back.
fn find(attributes: &Attributes, wanted: Option<Type>) -> Result<PathLookup, u32> {
    let found = lookup(attributes, wanted)?;
    dereference(found.object, &kernel());
    Ok(found)
}

fn object_at(path: &str) -> Result<u64, u32> {
    find(&any_case(path), Some(Type::Event)).map(|found| found.object)
}

#[test]
fn lookup_ignores_case_if_requested() {
    directory("namespace-case");
    let object = name_event("\\namespace-case\\Event");
    assert_eq!(object_at("\\NAMESPACE-case\\EVENT"), Ok(object));
    assert_eq!(
        find(&named("\\namespace-case\\Event", 0), Some(Type::Event)).map(|found| found.object),
        Ok(object)
    );
    let exact = find(&named("\\namespace-case\\EVENT", 0), Some(Type::Event));
    assert_eq!(exact, Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND));
    // Two names that differ in case only are two names.
    let other = name_event("\\namespace-case\\EVENT");
    assert_ne!(other, object);
    assert_eq!(
        find(&named("\\namespace-case\\EVENT", 0), Some(Type::Event)).map(|found| found.object),
        Ok(other)
    );
}

#[test]
fn lookup_failure_has_distinct_status() {
    directory("namespace-wrong");
    name_event("\\namespace-wrong\\Event");
    for (path, expected) in [
        (
            "\\namespace-wrong\\None",
            nt_status::STATUS_OBJECT_NAME_NOT_FOUND,
        ),
        (
            "\\namespace-wrong\\None\\Below",
            nt_status::STATUS_OBJECT_PATH_NOT_FOUND,
        ),
        ("\\namespace-wrong\\", nt_status::STATUS_OBJECT_NAME_INVALID),
        (
            "\\namespace-wrong\\\\Event",
            nt_status::STATUS_OBJECT_NAME_INVALID,
        ),
        (
            "\\namespace-wrong\\Event\\Below",
            nt_status::STATUS_OBJECT_TYPE_MISMATCH,
        ),
        ("namespace-wrong", nt_status::STATUS_OBJECT_PATH_SYNTAX_BAD),
        ("", nt_status::STATUS_OBJECT_PATH_SYNTAX_BAD),
    ] {
        assert_eq!(object_at(path), Err(expected), "{path}");
    }
    let root = find(&any_case("\\"), Some(Type::Directory)).expect("the root is there");
    assert_eq!(
        (root.kind, root.rest.as_slice()),
        (Type::Directory, &[][..])
    );
}

#[test]
fn lookup_relative_to_root_directory() {
    let directory = directory("namespace-relative");
    let object = name_event("\\namespace-relative\\Event");
    let root = handles::insert(directory, 3, 0, 0).expect("a handle");
    let below = |name: &str| Attributes {
        root,
        ..any_case(name)
    };
    assert_eq!(
        find(&below("event"), Some(Type::Event)).map(|found| found.object),
        Ok(object)
    );
    let absolute = find(&below("\\event"), Some(Type::Event));
    assert_eq!(absolute, Err(nt_status::STATUS_OBJECT_PATH_SYNTAX_BAD));
    assert_eq!(
        find(&below(""), Some(Type::Directory)).map(|found| found.object),
        Ok(directory)
    );
    handles::close(root, &kernel()).expect("it was open");
    assert_eq!(
        find(&below("event"), None),
        Err(nt_status::STATUS_INVALID_HANDLE)
    );
    let plain = event();
    let root = handles::insert(plain, 3, 0, 0).expect("a handle");
    let below = Attributes {
        root,
        ..any_case("x")
    };
    assert_eq!(
        find(&below, None),
        Err(nt_status::STATUS_INVALID_HANDLE),
        "an event holds no names"
    );
    handles::close(root, &kernel()).expect("it was open");
    dereference(plain, &kernel());
}

#[test]
fn lookup_follows_links_unless_opened_itself() {
    directory("namespace-link");
    let object = name_event("\\namespace-link\\Event");
    link("\\namespace-link\\Short", "\\namespace-link\\Event");
    link("\\namespace-link\\Here", "\\namespace-link\\");
    assert_eq!(object_at("\\namespace-link\\Short"), Ok(object));
    assert_eq!(
        object_at("\\namespace-link\\Here\\Event"),
        Ok(object),
        "one separator, not two"
    );
    let itself = find(
        &any_case("\\namespace-link\\short"),
        Some(Type::SymbolicLink),
    )
    .expect("it is there");
    assert_eq!(itself.kind, Type::SymbolicLink);
    let refused = find(
        &named("\\namespace-link\\Short", DONT_REPARSE),
        Some(Type::Event),
    );
    assert_eq!(refused, Err(nt_status::STATUS_REPARSE_POINT_ENCOUNTERED));
    link("\\namespace-link\\Ring", "\\namespace-link\\Ring");
    assert_eq!(
        object_at("\\namespace-link\\Ring"),
        Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
    );
    link("\\namespace-link\\Nowhere", "\\none\\at all");
    assert_eq!(
        object_at("\\namespace-link\\Nowhere"),
        Err(nt_status::STATUS_OBJECT_PATH_NOT_FOUND)
    );
}

#[test]
fn dos_devices_are_global() {
    let object = name_event("\\??\\namespace-global");
    for path in [
        "\\GLOBAL??\\namespace-global",
        "\\DosDevices\\namespace-global",
        "\\??\\Global\\namespace-global",
    ] {
        assert_eq!(object_at(path), Ok(object), "{path}");
    }
    assert_eq!(
        object_at("\\??\\GLOBALROOT\\??\\namespace-global"),
        Ok(object)
    );
}

#[test]
fn lookup_passes_remaining_path_to_parse_procedure() {
    directory("namespace-device");
    processor();
    let device = create(Type::Device, 0x150, Payload::None).expect("there is memory");
    let path = |rest: &str| any_case(&format!("\\namespace-device\\Device{rest}"));
    assert_eq!(
        insert(device, &named("\\namespace-device\\Device", PERMANENT)),
        Ok(NameInsertion::New)
    );
    for rest in ["", "\\", "\\folder\\file", "\\\\x"] {
        let found = find(&path(rest), None).expect("the device is there");
        assert_eq!((found.object, found.rest), (device, wide(rest)), "{rest}");
    }
    let object = event();
    let inside = insert(object, &path("\\event"));
    assert_eq!(
        inside,
        Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH),
        "a device holds no names"
    );
    dereference(object, &kernel());
}

#[test]
fn insert_of_existing_name_collides() {
    directory("namespace-once");
    let first = name_event("\\namespace-once\\Event");
    let second = event();
    let path = |flags| named("\\namespace-once\\Event", flags);
    assert_eq!(
        insert(second, &path(0)),
        Err(nt_status::STATUS_OBJECT_NAME_COLLISION)
    );
    assert_eq!(
        insert(second, &path(OPENIF)),
        Ok(NameInsertion::Existing(first))
    );
    dereference(first, &kernel());
    let timer = create(Type::Timer, 0x40, Payload::None).expect("there is memory");
    assert_eq!(
        insert(timer, &path(OPENIF)),
        Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH)
    );
    let lost = insert(timer, &named("\\namespace-once\\none\\Timer", 0));
    assert_eq!(lost, Err(nt_status::STATUS_OBJECT_PATH_NOT_FOUND));
    for object in [second, timer] {
        dereference(object, &kernel());
        assert!(!is_alive(object));
    }
}

#[test]
fn permanent_name_lasts_until_made_temporary() {
    directory("namespace-permanent");
    let object = name_event("\\namespace-permanent\\Event");
    assert!(is_alive(object), "the name keeps it");
    let name = query_name::full(object).map(|name| utf16::text(&name));
    assert_eq!(name.as_deref(), Some("\\namespace-permanent\\Event"));
    make_temporary(object, &kernel());
    assert_eq!(
        object_at("\\namespace-permanent\\Event"),
        Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
    );
    assert!(!is_alive(object));
}

#[test]
fn temporary_name_lasts_until_last_handle() {
    directory("namespace-temporary");
    let object = event();
    let attributes = any_case("\\namespace-temporary\\Event");
    let opened = ob::insert_and_open(object, &attributes, 3, &kernel()).expect("room for it");
    let second = ob::open_by_name(&attributes, Type::Event, 3, &kernel()).expect("it is there");
    ob::reference(object);
    handles::close(opened.handle, &kernel()).expect("it was open");
    assert_eq!(object_at("\\namespace-temporary\\Event"), Ok(object));
    handles::close(second, &kernel()).expect("it was open");
    assert_eq!(
        object_at("\\namespace-temporary\\Event"),
        Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
    );
    assert!(is_alive(object), "a reference is left");
    dereference(object, &kernel());
    assert!(!is_alive(object));
}

#[test]
fn namespace_at_boot_has_expected_objects() {
    processor();
    for (path, kind) in [
        ("\\Device", Type::Directory),
        ("\\Driver", Type::Directory),
        ("\\Callback", Type::Directory),
        ("\\KernelObjects", Type::Directory),
        ("\\KernelObjects\\LowMemoryCondition", Type::Event),
        ("\\BaseNamedObjects", Type::Directory),
        ("\\ObjectTypes\\Event", Type::Type),
        ("\\ObjectTypes\\Key", Type::Type),
        ("\\REGISTRY", Type::Key),
    ] {
        let found = lookup_path(&wide(path), Some(kind))
            .unwrap_or_else(|status| panic!("{path}: {status:#x}"));
        assert_eq!((found.kind, found.rest.len()), (kind, 0), "{path}");
        dereference(found.object, &kernel());
    }
    for (name, signaled) in [("HighMemoryCondition", 1), ("LowMemoryCondition", 0)] {
        let path = wide(&format!("\\KernelObjects\\{name}"));
        let found = lookup_path(&path, Some(Type::Event)).expect(name);
        assert_eq!(event_state(found.object), Ok(signaled), "{name}");
        dereference(found.object, &kernel());
    }
}
