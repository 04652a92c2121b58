//! The guide names every rule that the kernel can report, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every source file of the kernel but tests.
fn sources(folder: &Path, list: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the kernel's sources") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.starts_with("test") {
            continue;
        }
        if path.is_dir() {
            sources(&path, list);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            list.push(
                read(&path)
                    .split("#[cfg(test)]")
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
    }
}

/// Words of small letters with hyphens, between two marks.
fn names<'t>(text: &'t str, mark: &str) -> impl Iterator<Item = &'t str> {
    text.split(mark).filter(|word| {
        word.contains('-')
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    })
}

#[test]
fn every_rule_is_in_the_guide_and_no_other() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&here.join("../ntbox-kernel/src"), &mut files);
    let mentioned: BTreeSet<&str> = files.iter().flat_map(|text| names(text, "\"")).collect();
    let mentioned_ends: BTreeSet<&str> = files
        .iter()
        .flat_map(|text| text.split("\"{}").skip(1))
        .filter_map(|after| after.split('"').next())
        .collect();
    // The first name after the word is what is reported, if it follows closely.
    let reported: BTreeSet<&str> = files
        .iter()
        .flat_map(|text| text.split("violation").skip(1))
        .filter_map(|after| names(after.get(..120).unwrap_or(after), "\"").next())
        .collect();
    assert!(
        reported.len() > 40,
        "the search for rules finds {reported:?} only"
    );

    let guide = read(&here.join("../../docs/reference/verifier.md"));
    let table = guide
        .split("## Rules")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next());
    let documented: BTreeSet<&str> = names(table.expect("the section on rules"), "`").collect();

    let table: BTreeSet<&str> = ntbox::rules::all().map(|rule| rule.name).collect();
    let unlisted: Vec<_> = documented.difference(&table).collect();
    assert!(
        unlisted.is_empty(),
        "crates/ntbox-api/src/rules.rs does not list {unlisted:?}"
    );
    let undocumented: Vec<_> = table.difference(&documented).collect();
    assert!(
        undocumented.is_empty(),
        "docs/reference/verifier.md does not name {undocumented:?}"
    );
    let missing: Vec<_> = reported.difference(&documented).collect();
    assert!(
        missing.is_empty(),
        "docs/reference/verifier.md does not name the rules {missing:?}"
    );
    // Names of rules on structures are made of a stem and an ending.
    let made = |name: &&&str| {
        let ends = |stem: &str| {
            name.strip_prefix(stem)
                .is_some_and(|end| mentioned_ends.contains(end))
        };
        ends("lookaside") || ends("resource")
    };
    let invented: Vec<_> = documented
        .difference(&mentioned)
        .filter(|name| !made(name))
        .collect();
    assert!(
        invented.is_empty(),
        "docs/reference/verifier.md names {invented:?}, which the kernel does not"
    );
}
