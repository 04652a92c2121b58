//! Tests of the declarations and their pages.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::*;

/// The sections of a page, in order.
const SECTIONS: [&str; 6] = [
    "Meaning",
    "On Windows",
    "Example",
    "How to mend it",
    "Bug check",
    "Reference",
];

fn reference(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/reference")
        .join(path)
}

/// Text with one blank between words.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn rule_identifiers_are_unique() {
    let mut ids = BTreeSet::new();
    for rule in all() {
        assert_eq!(find(rule.id), Some(rule));
        for id in rule.former_ids.iter().chain([&rule.id]) {
            let is_kebab = |letter: u8| letter.is_ascii_lowercase() || letter == b'-';
            assert!(id.bytes().all(is_kebab), "{id}");
            assert!(ids.insert(*id), "{id} is declared twice");
        }
    }
    assert_eq!(find("pool"), None);
}

#[test]
fn rules_of_a_subject_are_sorted() {
    for (subject, rules) in SUBJECTS {
        assert!(rules.is_sorted_by_key(|rule| rule.id), "{subject}");
    }
}

#[test]
fn former_identifier_finds_the_rule() {
    assert_eq!(find("device-left"), Some(DEVICE_LEAK));
    assert_eq!(rule("lock-leak").as_deref(), Ok("mdl-lock-leak"));
}

#[test]
fn page_has_every_section_and_agrees_with_the_declaration() {
    for rule in all() {
        let (id, page) = (rule.id, rule.page);
        let summary = format!("# {id}\n\n");
        let after = page
            .strip_prefix(&summary)
            .unwrap_or_else(|| panic!("{id}: no title"));
        let (lead, _) = after
            .split_once("\n## ")
            .unwrap_or_else(|| panic!("{id}: no sections"));
        assert_eq!(unwrapped(lead), format!("{}.", rule.summary), "{id}");
        let sections: Vec<&str> = page.split("\n## ").skip(1).collect();
        let titles: Vec<&str> = sections
            .iter()
            .filter_map(|section| section.lines().next())
            .collect();
        assert_eq!(titles, SECTIONS, "{id}");
        for section in &sections {
            assert!(section.lines().count() > 2, "{id}: {section} is empty");
        }
        assert!(
            sections[2].contains("```c\n") || sections[2].contains("```rust\n"),
            "{id}"
        );
        let bug_check = unwrapped(sections[4]);
        for stop in rule.stop_codes {
            assert!(
                bug_check.contains(&format!("(0x{:X})", stop.code)),
                "{id}: {stop:x?}"
            );
            let name = nt_status::bug_check_name(stop.code).expect("a name");
            assert!(bug_check.contains(name), "{id}: {name}");
            if let Some(first @ 1..) = stop.first {
                assert!(
                    bug_check.contains(&format!("{first:#x}")),
                    "{id}: {first:#x}"
                );
            }
        }
        assert!(
            sections[5].contains("](https://learn.microsoft.com/"),
            "{id}"
        );
    }
}

#[test]
fn page_folder_has_no_page_without_a_rule() {
    for entry in fs::read_dir(reference("rules")).expect("the pages") {
        let path = entry.expect("an entry").path();
        let id = path
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        assert!(
            find(id).is_some_and(|rule| rule.id == id),
            "{}",
            path.display()
        );
    }
}

#[test]
fn index_is_current() {
    let text = fs::read_to_string(reference("rules.md")).expect("the index");
    assert!(
        text == index(),
        "docs/reference/rules.md is out of date; write it with \
         `cargo run -p ntbox -- rules --markdown > docs/reference/rules.md`"
    );
}

#[test]
fn violation_has_the_bug_check_of_its_rule() {
    assert_eq!(Broken::from(POOL_LEAK).stop, Some((0xc4, 0x62)));
    assert_eq!(Broken::from(MDL_LOCK_LEAK).stop, None);
    assert_eq!(Broken::from(IRQL_TOO_HIGH).stop, None);
    assert_eq!(IRQL_TOO_HIGH.with_stop(0xc4, 0x77).stop, Some((0xc4, 0x77)));
    assert_eq!(
        BAD_HANDLE_CLOSED.with_stop(0x93, 0x40).stop,
        Some((0x93, 0x40))
    );
    assert_eq!(POOL_LEAK.without_stop().stop, None);
}

#[test]
fn rule_unknown_suggests_similar() {
    assert_eq!(rule("pool-leak").as_deref(), Ok("pool-leak"));
    let message = |text: &str| rule(text).expect_err("no rule").to_string();
    assert_eq!(
        message("pool-leek"),
        "there is no rule `pool-leek`; did you mean pool-leak?"
    );
    assert!(message("executable").contains("executable-pool"));
    assert!(message("devise-left").contains("device-leak"));
    assert!(message("xyzzy").ends_with("`ntbox rules` lists them"));
    assert!(message("").ends_with("`ntbox rules` lists them"));
}

#[test]
fn verify_levels_are_ordered() {
    assert!(Verify::Off < Verify::Standard && Verify::Standard < Verify::Strict);
}
