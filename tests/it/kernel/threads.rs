//! Threads, waits, priorities and time, by drivers that check each step.

use integration_tests::{images, self_check};
use ntbox::Config;

#[test]
fn thread_and_timer_steps_succeed() {
    let report = ntbox::run(&Config::new(images::driver("threads"))).expect("the driver runs");
    let log: Vec<&str> = report.shown().collect();
    assert_eq!(log, ["threads: status 00000000"]);
    assert!(report.clean(), "{report:#?}");
}

#[test]
fn priority_cases_pass() {
    let report = ntbox::run(&Config::new(images::driver("priorities"))).expect("the driver runs");
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
    assert_eq!(log, self_check::lines(&cases), "{report:#?}");
    assert!(report.clean(), "{report:#?}");
}
