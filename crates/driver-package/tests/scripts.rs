//! The scripts for Windows, as far as they can be checked where there is none:
//! they parse as PowerShell, and what they name exists.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tree_sitter::{Node, Parser};

/// The first place where a script is not PowerShell, as line and text.
fn error(script: &str) -> Option<(usize, String)> {
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_powershell::LANGUAGE.into())
        .expect("the grammar fits the parser");
    let tree = parser.parse(script, None).expect("no time limit was set");
    first_error(tree.root_node(), script)
}

fn first_error(node: Node<'_>, script: &str) -> Option<(usize, String)> {
    if node.is_error() || node.is_missing() {
        let text = node.utf8_text(script.as_bytes()).expect("it was UTF-8");
        return Some((node.start_position().row + 1, text.to_owned()));
    }
    let mut cursor = node.walk();
    node.children(&mut cursor)
        .find_map(|child| first_error(child, script))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts")
}

/// All scripts with this extension, with their names.
fn scripts(below: &str, extension: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder().join(below)).expect("the folder of scripts");
    entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, fs::read_to_string(&path).expect("a script is text"))
        })
        .collect()
}

#[test]
fn scripts_parse_as_powershell() {
    let scripts = scripts("vm", "ps1");
    assert!(scripts.len() >= 6, "only {} were found", scripts.len());
    for (name, script) in scripts {
        assert_eq!(error(&script), None, "{name}");
    }
}

/// A guest has Windows PowerShell 5.1: it takes a script without a mark at its
/// start for one of the system's code page, and lacks what later ones brought.
fn is_of_later_powershell(line: &str) -> bool {
    let code = line.split('#').next().unwrap_or_default();
    let later = [
        "??",
        "?.",
        "?[",
        " && ",
        " || ",
        "$IsWindows",
        "-Parallel",
        "clean {",
    ];
    !line.is_ascii() || later.iter().any(|part| code.contains(part))
}

#[test]
fn scripts_use_windows_powershell_only() {
    for (name, script) in scripts("vm", "ps1") {
        for line in script.lines() {
            assert!(!is_of_later_powershell(line), "{name}: {line}");
        }
    }
    for line in [
        "$a ?? 1",
        "a.exe && b.exe",
        "Write-Host '\u{2013}'",
        "if ($IsWindows) { }",
    ] {
        assert!(is_of_later_powershell(line), "{line}");
    }
}

#[test]
fn error_reports_invalid_powershell() {
    for script in [
        "if ($a -eq 1) { Write-Host 'x'",
        "foreach ($a $b) { }",
        "Write-Host 'x",
        "$a = @('x', 'y'",
    ] {
        assert!(error(script).is_some(), "{script}");
    }
}

/// Without it, a mistyped name is an empty string, and a failure goes unseen.
#[test]
fn scripts_stop_at_first_failure() {
    for (name, script) in scripts("vm", "ps1") {
        if name == "Common.ps1" {
            continue;
        }
        for line in [
            "Set-StrictMode -Version Latest",
            "$ErrorActionPreference = 'Stop'",
            ". (Join-Path $PSScriptRoot 'Common.ps1')",
        ] {
            assert!(script.lines().any(|found| found == line), "{name}: {line}");
        }
    }
}

/// The debugger reads a script line by line: a quote or a brace that is not
/// closed on its line swallows the rest, and what follows a `;` in a comment or
/// an `.echo` is a command.
fn debugger_mistake(line: &str) -> Option<&'static str> {
    let count = |character| line.matches(character).count();
    if line.starts_with("$$") || line.starts_with(".echo") {
        return line.contains(';').then_some("text with a semicolon");
    }
    if !count('"').is_multiple_of(2) {
        return Some("an open quote");
    }
    let is_even = count('{') == count('}') && count('(') == count(')');
    (!is_even).then_some("an open bracket")
}

#[test]
fn debugger_script_lines_are_complete() {
    let scripts = scripts("windbg", "dbg");
    assert_eq!(scripts.len(), 2, "scripts for the debugger");
    for (name, script) in scripts {
        for line in script.lines() {
            assert_eq!(debugger_mistake(line), None, "{name}: {line}");
        }
    }
}

#[test]
fn debugger_mistake_reports_invalid_lines() {
    for line in [
        "$$ this; that",
        ".echo this; that",
        "bp nt!X \"g",
        ".if (1) { g",
        "r $t0 = dwo(ntmem",
    ] {
        assert!(debugger_mistake(line).is_some(), "{line}");
    }
}
