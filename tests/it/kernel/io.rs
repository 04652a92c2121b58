//! The I/O manager: queues of requests and work, timers, IRPs, by drivers that check them
//! from inside; and the bug check or rule of each mistake.

use integration_tests::images;
use integration_tests::self_check::{all_well, lines, mistake, reported, rules, stopped};
use ntbox::{Config, Machine, Started};

#[test]
fn queue_cases_pass() {
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
    all_well("io_queues", &cases);
}

#[test]
fn access_check_cases_pass() {
    let cases = [
        "Hints",
        "HardErrors",
        "Rights",
        "Attributes",
        "Devices",
        "Processors",
        "Names",
        "Power",
    ];
    all_well("io_access_checks", &cases);
}

#[test]
fn file_object_cases_pass() {
    let cases = ["Opening", "Synchronous", "Asynchronous", "Built"];
    all_well("io_files", &cases);
}

#[test]
fn power_and_etw_cases_pass_and_report_registrations() {
    let cases = [
        "AttachByName",
        "Tracing",
        "Management",
        "Settings",
        "States",
        "Arrivals",
    ];
    all_well("po_etw", &cases);
    let left = reported(mistake("po_etw", 1), "registrations");
    let mut left = rules(&left);
    left.sort_unstable();
    assert_eq!(
        left,
        [
            "event-provider-not-unregistered",
            "pnp-notification-not-unregistered",
            "power-callback-not-unregistered",
            "system-state-not-unregistered",
            "wmi-provider-not-unregistered"
        ]
    );
}

/// Also: DriverEntry is followed by what it asked for, and shutting down tells
/// the device registered last first, and the last chance last.
#[test]
fn timer_and_irp_cases_pass_through_shutdown() {
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
    let mut machine = Machine::boot(&Config::new(images::driver("io_timers"))).expect("it boots");
    assert_eq!(machine.start().expect("it runs"), Started::Status(0));
    assert!(machine.shutdown().expect("it runs"));
    assert!(!machine.shutdown().expect("it runs"), "each is told once");
    let report = machine.finish().expect("it runs");
    let mut expected = lines(&cases);
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

/// The driver that makes them.
const MISUSE: &str = "io_misuse";

/// Mistakes that stop the system: number, code and first parameter.
const STOPS: [(u32, u32, Option<u64>); 5] = [
    (0, 0xE4, Some(2)),
    (1, 0xE4, Some(1)),
    (2, 0xE4, Some(0)),
    (3, 0xE4, Some(3)),
    (4, 0xE1, None),
];

#[test]
fn io_misuse_stops_with_its_code() {
    for (how, code, parameter) in STOPS {
        let stop = stopped(mistake(MISUSE, how), &format!("mistake {how}"));
        assert_eq!(stop.code, code, "mistake {how}: {}", stop.message);
        if let Some(parameter) = parameter {
            assert_eq!(stop.parameters[0], parameter, "mistake {how}");
        }
    }
}

/// Mistakes that are reported while the system goes on.
const REPORTS: [(u32, &str); 7] = [
    (5, "work-item-leak"),
    (6, "remove-lock-held"),
    (7, "remove-lock-not-held"),
    (8, "device-queue-not-busy"),
    (9, "irql-too-low"),
    (10, "io-timer-stopped-inside"),
    (11, "work-item-queued-at-unload"),
];

#[test]
fn io_misuse_reports_its_rule() {
    for (how, rule) in REPORTS {
        let violations = reported(mistake(MISUSE, how), &format!("mistake {how}"));
        assert_eq!(rules(&violations), [rule], "mistake {how}");
    }
}
