//! Every rule that is declared is reported somewhere in the kernel. The other direction
//! holds by type: a violation takes the constant of a rule.

use std::fs;
use std::path::Path;

use ntbox_api::rules;

/// The text of every source file of the kernel up to its unit tests.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("the kernel's sources") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with("test")) {
            continue;
        }
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = fs::read_to_string(&path).expect("a source file");
            text.push_str(file.split("#[cfg(test)]").next().unwrap_or_default());
        }
    }
}

#[test]
fn rules_are_each_reported_by_the_kernel() {
    let mut text = String::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut text,
    );
    let words: std::collections::BTreeSet<&str> = text
        .split("rules::")
        .skip(1)
        .filter_map(|after| {
            after
                .split(|letter: char| !letter.is_ascii_uppercase() && letter != '_')
                .next()
        })
        .collect();
    let unreported: Vec<&str> = rules::all()
        .map(|rule| rule.id)
        .filter(|id| !words.contains(id.to_uppercase().replace('-', "_").as_str()))
        .collect();
    assert!(unreported.is_empty(), "no code reports {unreported:?}");
}
