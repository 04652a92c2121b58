//! Threads, waiting and time, by a driver that checks each step itself.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use ntbox::Config;
use suites::build;

#[test]
fn threads_waits_and_timers() {
    let report = ntbox::run(&Config::new(build::driver("threads"))).expect("the driver runs");
    let log: Vec<&str> = report.shown().collect();
    assert_eq!(log, ["threads: status 00000000"]);
    assert!(report.clean(), "{report:#?}");
}
