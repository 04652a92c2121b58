//! The I/O manager as drivers see it: queues of requests and of work do what the
//! reference says, checked from inside by drivers; and every mistake with them
//! gets the name that Windows has for it.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use harness::host::{RegValue, Service};
use harness::lifecycle::Run;
use harness::record::Start;
use ntbox::{Config, Machine, Started};
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
    assert_eq!(
        run.texts().collect::<Vec<_>>(),
        expected,
        "{:?}",
        run.findings
    );
    assert_eq!(
        (run.start, &run.findings.bug_check),
        (Start::Running(0), &None)
    );
    assert!(run.findings.unloaded);
    assert_eq!(run.findings.violations, []);
}

#[test]
fn queues_of_requests_and_of_work() {
    let cases = [
        "IoWorkItems",
        "OwnMemory",
        "ExWorkItems",
        "CancelSafeQueue",
        "RefusingQueue",
        "RemoveLocks",
        "DeviceQueues",
        "StartedPackets",
    ];
    all_is_well("io_queues", &cases);
}

#[test]
fn a_driver_that_opens_its_own_device() {
    let cases = ["Opening", "Synchronous", "Asynchronous", "Built"];
    all_is_well("io_files", &cases);
}

/// Also: DriverEntry is followed by what it asked for, and shutting down tells
/// the device registered last first, and the last chance last.
#[test]
fn timers_extensions_and_irps_around_irps() {
    let cases = [
        "DriverExtension",
        "ErrorLog",
        "Stacks",
        "NamedEvents",
        "Timers",
        "Forwarding",
        "Completion",
        "Associated",
        "Requestors",
    ];
    let mut machine = Machine::boot(&Config::new(build::driver("io_rest"))).expect("it boots");
    assert_eq!(machine.start().expect("it runs"), Started::Status(0));
    assert!(machine.shutdown().expect("it runs"));
    assert!(!machine.shutdown().expect("it runs"), "each is told once");
    let report = machine.finish().expect("it runs");
    let mut expected: Vec<String> = cases
        .iter()
        .map(|case| format!("check: {case} ok"))
        .collect();
    for line in [
        "reinitialize 1 1",
        "reinitialize 2 1",
        "shutdown upper",
        "shutdown lower",
        "shutdown lower",
    ] {
        expected.push(line.to_owned());
    }
    assert_eq!(report.shown().collect::<Vec<_>>(), expected);
    assert!(report.clean(), "{report:#?}");
}

/// Mistake number `how` of `io_misuse.sys`.
fn mistake(how: u32) -> Run {
    run(&Service::new(build::driver("io_misuse")).parameter("How", RegValue::Dword(how)))
}

/// Mistakes that stop the system: number, code and first parameter.
const STOPS: [(u32, u32, Option<u64>); 5] = [
    (0, 0xE4, Some(2)),
    (1, 0xE4, Some(1)),
    (2, 0xE4, Some(0)),
    (3, 0xE4, Some(3)),
    (4, 0xE1, None),
];

#[test]
fn mistakes_that_stop_the_system() {
    for (how, code, parameter) in STOPS {
        let run = mistake(how);
        assert_eq!(run.start, Start::Stopped, "mistake {how}");
        let stop = run.findings.bug_check.expect("a bug check");
        assert_eq!(stop.code, code, "mistake {how}: {}", stop.what);
        if let Some(parameter) = parameter {
            assert_eq!(stop.parameters[0], parameter, "mistake {how}");
        }
    }
}

/// Mistakes that are reported while the system goes on.
const REPORTS: [(u32, &str); 6] = [
    (5, "work-item-leak"),
    (6, "remove-lock-held"),
    (7, "remove-lock-not-held"),
    (8, "device-queue-not-busy"),
    (9, "irql-too-low"),
    (10, "work-item-queued"),
];

#[test]
fn mistakes_that_are_reported() {
    for (how, rule) in REPORTS {
        let run = mistake(how);
        assert_eq!(
            (run.start, &run.findings.bug_check),
            (Start::Running(0), &None),
            "mistake {how}"
        );
        let rules: Vec<_> = run
            .findings
            .violations
            .iter()
            .map(|violation| {
                assert!(violation.place.is_some(), "{}: no place", violation.rule);
                violation.rule.as_str()
            })
            .collect();
        assert_eq!(rules, [rule], "mistake {how}");
    }
}
