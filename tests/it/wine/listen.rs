//! A stand-in for DebugView's program, which is Windows' alone: it writes a line at
//! once, and another one when it is asked to end, as a program does whose file is
//! written when it is full.

use std::path::Path;

use integration_tests::images;
use integration_tests::temp_file;

use super::program;

/// Reads its command line as `dbgviewcli.exe` does, `--log` last.
fn stand_in(asked: &str) -> String {
    [
        "@echo off",
        "if \"%1\"==\"--stop\" goto stop",
        ":next",
        "if \"%1\"==\"--log\" goto begin",
        "shift",
        "goto next",
        ":begin",
        "echo 00000001\t0.00000000\tntmem: at once>%2",
        ":wait",
        &format!("if not exist {asked} goto wait"),
        "echo 00000002\t1.00000000\tntmem: at the end>>%2",
        "exit 0",
        ":stop",
        &format!("echo yes>{asked}"),
        "",
    ]
    .join("\r\n")
}

/// As Wine's programs see it.
fn seen(path: &Path) -> String {
    format!("Z:{}", path.display().to_string().replace('/', "\\"))
}

fn run(writer: &str) -> (Option<i32>, String) {
    let driver = images::ntmem();
    let driver = driver.to_string_lossy();
    program(&[
        "run",
        &driver,
        "--host",
        "scm",
        "--service",
        "ntmem-listen",
        "--param",
        "Scenario=sz:none",
        "--no-check",
        "--debugview",
        writer,
    ])
}

#[test]
fn log_writer_is_asked_to_exit() {
    let asked = temp_file("asked", b"");
    std::fs::remove_file(&asked).expect("it was made");
    let script = stand_in(&seen(&asked));
    let script = temp_file("dbgviewcli.bat", script.as_bytes());
    let (exit, text) = run(&seen(&script));
    assert_eq!(exit, Some(0), "{text}");
    for line in ["ntmem: at once", "ntmem: at the end"] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn log_writer_exiting_at_once_is_an_error() {
    let script = temp_file("dbgviewcli.bat", b"@exit 3\r\n");
    let (exit, text) = run(&seen(&script));
    assert_eq!(exit, Some(2), "{text}");
}
