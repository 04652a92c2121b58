//! The executive: lists, lookaside lists and locks, by drivers that check them from
//! inside; and the bug check or rule of each mistake.

use integration_tests::self_check::{all_well, mistake, reported, rules, stopped, stopped_in};

#[test]
fn list_cases_pass() {
    let cases = [
        "Doubly",
        "Singly",
        "Counters",
        "Sequenced",
        "Classic",
        "Paged",
        "Extended",
    ];
    all_well("ex_lists", &cases);
}

#[test]
fn lock_cases_pass() {
    let cases = [
        "SpinLocks",
        "QueuedSpinLocks",
        "ReaderWriterSpinLocks",
        "FastMutexes",
        "GuardedMutexes",
        "PushLocks",
        "RundownProtection",
    ];
    all_well("ex_locks", &cases);
}

#[test]
fn resource_cases_pass() {
    let cases = [
        "Alone",
        "Sharing",
        "Turns",
        "Conversion",
        "OwnerPointers",
        "Reinitialised",
    ];
    all_well("ex_resources", &cases);
}

/// The driver that makes them.
const MISUSE: &str = "ex_misuse";

/// Mistakes that stop the system: number, code, first parameter if it says
/// something, and the function that made it.
const STOPS: [(u32, u32, Option<u64>, &str); 14] = [
    (5, 0xC4, Some(0x13), "FreeEntryTwice"),
    (6, 0x139, Some(3), "RemoveTwice"),
    (7, 0xD1, Some(8), "FaultInterlocked"),
    (8, 0x0F, None, "SpinForever"),
    (9, 0x10, None, "ReleaseFreeSpinLock"),
    (12, 0x10, None, "ReleaseHandleTwice"),
    (13, 0xC4, Some(0x1001), "AcquireMutexTwice"),
    (14, 0x192, None, "AcquireMutexAtDispatch"),
    (15, 0x162, None, "ReleaseFreeMutex"),
    (16, 0xC4, Some(0x1002), "ZeroedMutex"),
    (17, 0x162, None, "ReleaseFreePushLock"),
    (19, 0xE3, None, "ReleaseFreeResource"),
    (21, 0xC4, Some(0x1000), "ShareThenOwn"),
    (25, 0x16E, None, "ReleaseForStranger"),
];

#[test]
fn ex_misuse_stops_with_its_code() {
    for (how, code, parameter, function) in STOPS {
        let stop = stopped(mistake(MISUSE, how), function);
        assert_eq!(stop.code, code, "{function}: {}", stop.message);
        if let Some(parameter) = parameter {
            assert_eq!(
                stop.parameters[0], parameter,
                "{function}: {}",
                stop.message
            );
        }
        assert_eq!(stopped_in(&stop), Some(function), "{}", stop.message);
    }
}

/// A violation: rule, bug check code and first parameter.
type Expected = (&'static str, u32, u64);

/// Mistakes that are reported while the system goes on: number, and each rule
/// with the code and first parameter that Driver Verifier would stop with.
const REPORTS: [(u32, &[Expected]); 12] = [
    (0, &[("lookaside-initialized-twice", 0xC4, 0xCA)]),
    (1, &[("lookaside-not-initialized", 0xC4, 0xCB)]),
    (2, &[("lookaside-freed", 0xC4, 0xCC)]),
    (3, &[("lookaside-entry-too-small", 0xC4, 0xCD)]),
    (4, &[("lookaside-leak", 0xCE, 0)]),
    (10, &[("spin-lock-irql", 0xC4, 0x32)]),
    (11, &[("spin-lock-held", 0xC4, 0x4_0009)]),
    (
        18,
        // Its release is the same mistake.
        &[("lock-with-apcs-enabled", 0xC4, 0xEA)],
    ),
    (20, &[("lock-with-apcs-enabled", 0xC4, 0x37)]),
    (22, &[("resource-initialized-twice", 0xC4, 0xD0)]),
    (23, &[("resource-freed", 0xC4, 0xD2)]),
    (24, &[("resource-deleted-while-owned", 0xC4, 0x100B)]),
];

#[test]
fn ex_misuse_reports_its_rule() {
    for (how, rules) in REPORTS {
        let violations = reported(mistake(MISUSE, how), &format!("mistake {how}"));
        let found: Vec<_> = violations
            .iter()
            .map(|violation| {
                let (code, parameter) = violation.driver_verifier_code.unwrap_or_default();
                (violation.rule.as_str(), code, parameter)
            })
            .collect();
        assert_eq!(found, rules, "mistake {how}");
    }
}

/// One that Driver Verifier has no name for.
#[test]
fn rundown_release_without_acquire_is_reported() {
    let violations = reported(mistake(MISUSE, 26), "mistake 26");
    assert_eq!(rules(&violations), ["rundown-not-acquired"]);
}
