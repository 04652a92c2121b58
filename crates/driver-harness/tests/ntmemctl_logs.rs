//! The program `ntmemctl` with logs that others wrote: what it shows of them, and what
//! it says of those that `ntmem.sys` is in.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod common;

use common::{fails, labelled, ntmemctl, run, stdout};
use serde_json::Value;
use suites::build;
use suites::scratch::Scratch;

#[test]
fn a_log_that_others_wrote() {
    let log = Scratch::new(
        "saved.log",
        b"00000001\t0.00000000\tntmem: driver: loaded\t\r\n\
          00000002\t0.00010000\tother: something\t\r\n\
          00000003\t0.00020000\t[812] ntmem: of a program\t\r\n\
          00000004\t0.50000000\tntmem: half a line\x1b[2J",
    );
    let file = log.path().to_str().expect("a path in UTF-8");
    let output = ntmemctl(&["log", file]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        stdout(&output),
        "ntmem: driver: loaded\nntmem: half a line\\x1b[2J\n"
    );
    let all = ntmemctl(&["log", file, "--all"]);
    assert!(stdout(&all).contains("other: something\n"));
    let json = stdout(&ntmemctl(&["log", file, "--json"]));
    let lines: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["time"], 5_000_000, "units of 100 ns");
    fails(
        &ntmemctl(&["log", "/nowhere/at.log"]),
        7,
        &["/nowhere/at.log cannot be read"],
    );
}

/// A run's log, as a serial port shows it: among other text, and twice.
#[test]
fn a_log_that_was_saved_is_checked() {
    let run = run(&build::ntmem(), &["--param", "Scenario=sz:nonpaged"]);
    let lines = stdout(&run);
    let texts: Vec<&str> = lines
        .lines()
        .filter_map(|line| line.splitn(3, '\t').nth(2))
        .collect();
    let text = format!("kernel starts\r\n{}\r\nkd> g\r\n", texts.join("\r\n"));
    let log = Scratch::new("serial.log", text.repeat(2).as_bytes());
    let file = log.path().to_str().expect("a path in UTF-8");
    let output = ntmemctl(&["check", file]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert!(labelled(&output, "log").ends_with("2 starts of the driver"));
    let check = format!("all {} lines are as promised", texts.len());
    assert!(labelled(&output, "check").ends_with(&check));
    assert!(labelled(&output, "verdict").ends_with("passed"));

    // Other settings than those that counted are another promise.
    let other = ntmemctl(&["check", file, "--param", "Scenario=sz:lock"]);
    assert_eq!(other.status.code(), Some(1));

    // A line less, a driver less, a file less.
    let fewer = text.replacen("check name=forward", "check name=filled", 1);
    let log = Scratch::new("wrong.log", fewer.as_bytes());
    let file = log.path().to_str().expect("a path in UTF-8");
    let wrong = ntmemctl(&["check", file, "--json"]);
    assert_eq!(wrong.status.code(), Some(1));
    let json: Value = serde_json::from_str(&stdout(&wrong)).expect("JSON");
    assert_eq!(json["lives"][0]["check"]["result"], "failed");
    let log = Scratch::new("other.log", b"kernel starts\n");
    let file = log.path().to_str().expect("a path in UTF-8");
    let none = ntmemctl(&["check", file]);
    assert_eq!(none.status.code(), Some(1));
    assert!(labelled(&none, "verdict").ends_with("not in the log"));
    fails(
        &ntmemctl(&["check", "/dev/zero"]),
        7,
        &["/dev/zero cannot be read: it has more than 268435456 bytes"],
    );
    fails(
        &ntmemctl(&["check", "/nowhere/at.log"]),
        7,
        &["cannot be read"],
    );
}
