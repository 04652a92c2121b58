//! Threads, waiting and time, by a driver that checks each step itself.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use ntbox::Config;
use suites::{build, checked};

#[test]
fn threads_waits_and_timers() {
    let report = ntbox::run(&Config::new(build::driver("threads"))).expect("the driver runs");
    let log: Vec<&str> = report.shown().collect();
    assert_eq!(log, ["threads: status 00000000"]);
    assert!(report.clean(), "{report:#?}");
}

#[test]
fn priorities_decide_who_runs() {
    let report = ntbox::run(&Config::new(build::driver("priorities"))).expect("the driver runs");
    let log: Vec<&str> = report.shown().collect();
    let cases = [
        "HigherRunsAtOnce",
        "LowerRunsWhenThisOneWaits",
        "BoostsDecide",
        "NotAtDispatchLevel",
        "AfterDpcs",
        "ChangesHoldAtOnce",
        "TheClockBringsTheHigher",
    ];
    assert_eq!(log, checked::lines(&cases), "{report:#?}");
    assert!(report.clean(), "{report:#?}");
}
