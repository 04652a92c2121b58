//! The kernel proper as drivers see it: what threads wait for, what interrupts
//! them, and queues of work, checked from inside by a driver.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use harness::host::Service;
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
