//! The kernel proper as drivers see it: what threads wait for, what interrupts
//! them, and queues of work, checked from inside by a driver.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use harness::host::{RegValue, Service};
use harness::lifecycle::Run;
use harness::record::Start;
use suites::build;
use suites::embedded::run;

/// Runs a driver that checks the kernel, whose cases must all go well.
#[track_caller]
fn all_is_well(name: &str, cases: &[&str]) {
    let run = run(&Service::new(build::driver(name)));
    let expected: Vec<String> = cases
        .iter()
        .map(|case| format!("check: {case} ok"))
        .collect();
    assert_eq!(run.texts().collect::<Vec<_>>(), expected);
    assert_eq!(
        (run.start, &run.findings.bug_check),
        (Start::Running(0), &None)
    );
    assert!(run.findings.unloaded);
    assert_eq!(run.findings.violations, []);
}

#[test]
fn waits_apcs_and_queues() {
    let cases = [
        "Events",
        "Mutexes",
        "Semaphores",
        "OwnApcs",
        "OthersApcs",
        "Queues",
    ];
    all_is_well("ke_waits_seh", &cases);
}

#[test]
fn what_is_registered_and_called() {
    let cases = [
        "Callbacks",
        "Timers",
        "Stack",
        "Notifications",
        "Tables",
        "Ids",
    ];
    all_is_well("ke_more", &cases);
}

/// A run of `ke_stop.sys`.
fn stopped(how: u32) -> Run {
    run(&Service::new(build::driver("ke_stop")).parameter("How", RegValue::Dword(how)))
}

#[test]
fn routines_hear_of_a_stop_and_cannot_hide_it() {
    let log = ["stop: first 9", "stop: irql 15 state 2 buffer 7 length 4"];
    for (how, lines) in [(0, &log[..]), (1, &log[..1])] {
        let run = stopped(how);
        assert_eq!(run.texts().collect::<Vec<_>>(), lines);
        let stop = run.findings.bug_check.expect("it stopped");
        assert_eq!((stop.code, stop.parameters), (0xDEAD, [1, 2, 3, 4]));
        let place = stop.stack.first().and_then(|place| place.symbol.as_deref());
        assert_eq!(place, Some("StopTheSystem"));
    }
}

#[test]
fn threads_end_without_regions_and_mutexes() {
    for (how, code) in [(2, 0x20), (3, 0x4000_008A)] {
        let stop = stopped(how).findings.bug_check.expect("it stopped");
        assert_eq!(stop.code, code, "{}", stop.what);
    }
}

#[test]
fn a_notify_routine_must_not_outlive_its_driver() {
    let run = stopped(4);
    let violations = run.findings.violations;
    let rules: Vec<_> = violations
        .iter()
        .map(|violation| violation.rule.as_str())
        .collect();
    assert_eq!(rules, ["notify-routine-left"]);
    assert!(violations[0].place.is_some());
}
