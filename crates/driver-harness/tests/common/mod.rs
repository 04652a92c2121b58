//! Runs `driverctl` and reads its output.

use std::path::Path;
use std::process::{Command, Output};

/// Runs the program with these arguments.
pub fn driverctl(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_driverctl"))
        .args(arguments)
        .output();
    output.expect("driverctl can be started")
}

/// Runs `driverctl run` for a driver.
pub fn run(file: &Path, arguments: &[&str]) -> Output {
    let file = file.to_str().expect("a path in UTF-8");
    driverctl(&[&["run", file], arguments].concat())
}

/// The standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// The line with this label.
#[track_caller]
pub fn labelled(output: &Output, label: &str) -> String {
    let text = stdout(output);
    let line = text
        .lines()
        .find(|line| line.split_whitespace().next() == Some(label));
    line.unwrap_or_else(|| panic!("no `{label}` in\n{text}"))
        .to_owned()
}

/// Asserts the exit status, and the text of the standard error.
#[track_caller]
pub fn fails(output: &Output, status: i32, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}
