//! The command line and JSON output against their reference pages: each command, option
//! and field is described, and each described option exists.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// The reference page.
const PAGE: &str = include_str!("../../../docs/reference/ntbox.md");

/// The help that the program prints.
fn help(arguments: &[&str]) -> String {
    let mut ntbox = Command::new(env!("CARGO_BIN_EXE_ntbox"));
    let output = ntbox.args(arguments).output().expect("ntbox runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("the help is a text")
}

/// The first word of `line`, without what is attached to it in brackets.
fn first_word(line: &str) -> &str {
    let end = line.find([' ', '[', '=']);
    &line[..end.unwrap_or(line.len())]
}

#[test]
fn commands_are_documented() {
    let help = help(&["--help"]);
    let (_, commands) = help
        .split_once("\nCommands:\n")
        .expect("a list of commands");
    let (commands, _) = commands.split_once("\n\n").expect("an end of the list");
    // Longer descriptions have lines of their own, with a larger indentation.
    let commands = commands.lines().filter_map(|line| line.strip_prefix("  "));
    let mut names = commands
        .filter(|line| !line.starts_with(' '))
        .map(first_word);
    assert!(names.clone().count() > 4, "{help}");
    let missing = names.find(|name| *name != "help" && !PAGE.contains(&format!("`ntbox {name}")));
    assert_eq!(missing, None, "docs/reference/ntbox.md lacks it");
}

#[test]
fn run_options_match_the_page() {
    let help = help(&["run", "--help"]);
    let options: BTreeSet<&str> = help
        .lines()
        .map(str::trim_start)
        .map(|line| line.strip_prefix("-h, ").unwrap_or(line))
        .filter(|line| line.starts_with("--"))
        .map(first_word)
        .filter(|option| *option != "--help")
        .collect();
    let rows = PAGE.lines().filter(|line| line.starts_with("| `--"));
    let described: BTreeSet<&str> = rows
        .filter_map(|row| row.split(" | ").next())
        .flat_map(|cell| cell.split('`').filter(|word| word.starts_with("--")))
        .map(first_word)
        .collect();
    assert_eq!(options, described);
}

/// The names of all fields in `value`.
fn fields(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                names.insert(name.clone());
                fields(value, names);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, names)),
        _ => {}
    }
}

#[test]
fn json_fields_are_documented() {
    let page = include_str!("../../../docs/reference/json-report.md");
    let (Some(leak), Some(fault)) = (common::with_gcc("LEAK"), common::with_gcc("FAULT")) else {
        return;
    };
    let (leak, fault) = (leak.image.display(), fault.image.display());
    let mut names = BTreeSet::new();
    for arguments in [
        &["run", &leak.to_string(), "--verify", "--json"][..],
        &["run", &fault.to_string(), "--json"],
        &["sweep", &leak.to_string(), "--json"],
        &["ioctl", &leak.to_string(), r"\\.\None", "--json"],
        &["imports", &leak.to_string(), "--json"],
        &["exports", "--json"],
        &["exports", "--missing", "--json"],
        &["rules", "--json"],
        &["run", "/no/such.sys", "--json"],
    ] {
        let output = common::ntbox(arguments);
        let object = serde_json::from_slice(&output.stdout);
        fields(&object.expect("JSON"), &mut names);
    }
    assert!(names.len() > 40, "{names:?}");
    let described: BTreeSet<&str> = page
        .split('`')
        .flat_map(|span| span.split(['.', '[', ']']))
        .collect();
    names.retain(|name| !described.contains(name.as_str()));
    assert!(
        names.is_empty(),
        "docs/reference/json-report.md lacks {names:?}"
    );
}

/// A page links a function to the page that its export declares.
#[test]
fn rule_page_links_match_export_pages() {
    let exports = ntbox::exports();
    let mut linked = 0;
    for rule in ntbox::rules::all() {
        let links = rule.page.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("- [")?.split_once("](")?;
            Some((name, rest.strip_suffix(')')?))
        });
        for (name, link) in links {
            let Some(export) = exports.iter().find(|export| export.name == name) else {
                continue;
            };
            if let Some(page) = &export.page {
                assert_eq!(link, page, "{}: {name}", rule.id);
                linked += 1;
            }
        }
    }
    assert!(linked > 100, "{linked} links of exports");
}
