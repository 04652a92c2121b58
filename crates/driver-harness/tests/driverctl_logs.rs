//! Tests of `driverctl log` and `driverctl check`.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use common::{driverctl, fails, labelled, run, stdout};
use integration_tests::images;
use integration_tests::temp_file;
use serde_json::Value;

#[test]
fn log_shows_the_lines_of_the_driver() {
    let log = temp_file(
        "saved.log",
        b"00000001\t0.00000000\tntmem: driver: loaded\t\r\n\
          00000002\t0.00010000\tother: something\t\r\n\
          00000003\t0.00020000\t[812] ntmem: of a program\t\r\n\
          00000004\t0.50000000\tntmem: half a line\x1b[2J",
    );
    let file = log.to_str().expect("a path in UTF-8");
    let output = driverctl(&["log", file]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        stdout(&output),
        "ntmem: driver: loaded\nntmem: half a line\\x1b[2J\n"
    );
    let all = driverctl(&["log", file, "--all"]);
    assert!(stdout(&all).contains("other: something\n"));
    let json = stdout(&driverctl(&["log", file, "--json"]));
    let lines: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["time"], 5_000_000, "units of 100 ns");
    fails(
        &driverctl(&["log", "/nowhere/at.log"]),
        7,
        &["/nowhere/at.log cannot be read"],
    );
}

/// The log of a run, twice and among other text, as on a serial port.
#[test]
fn check_compares_each_session() {
    let run = run(&images::ntmem(), &["--param", "Scenario=sz:nonpaged"]);
    let lines = stdout(&run);
    let texts: Vec<&str> = lines
        .lines()
        .filter_map(|line| line.splitn(3, '\t').nth(2))
        .collect();
    let text = format!("kernel starts\r\n{}\r\nkd> g\r\n", texts.join("\r\n"));
    let log = temp_file("serial.log", text.repeat(2).as_bytes());
    let file = log.to_str().expect("a path in UTF-8");
    let output = driverctl(&["check", file]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(labelled(&output, "log").ends_with("2 starts of the driver"));
    let check = format!("all {} lines are as expected", texts.len());
    assert!(labelled(&output, "check").ends_with(&check));
    assert!(labelled(&output, "verdict").contains("clean: "));

    // The expected log depends on the parameters.
    let other = driverctl(&["check", file, "--param", "Scenario=sz:lock"]);
    assert_eq!(other.status.code(), Some(9));

    // A changed line, no driver, no file.
    let fewer = text.replacen("check name=forward", "check name=filled", 1);
    let log = temp_file("wrong.log", fewer.as_bytes());
    let file = log.to_str().expect("a path in UTF-8");
    let wrong = driverctl(&["check", file, "--json"]);
    assert_eq!(wrong.status.code(), Some(9));
    let json: Value = serde_json::from_str(&stdout(&wrong)).expect("JSON");
    assert_eq!(json["sessions"][0]["check"]["result"], "failed");
    let log = temp_file("other.log", b"kernel starts\n");
    let file = log.to_str().expect("a path in UTF-8");
    let none = driverctl(&["check", file]);
    assert_eq!(none.status.code(), Some(9));
    assert!(labelled(&none, "verdict").ends_with("not in the log"));
    fails(
        &driverctl(&["check", "/dev/zero"]),
        7,
        &["/dev/zero cannot be read: it has more than 268435456 bytes"],
    );
    fails(
        &driverctl(&["check", "/nowhere/at.log"]),
        7,
        &["cannot be read"],
    );
}
