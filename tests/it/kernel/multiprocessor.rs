//! Machines of several processors: drivers that check them from inside, and the report of
//! a deadlock between processors.

use integration_tests::{images, self_check};
use ntbox::{Config, RegValue, Report, Verdict};

/// Runs `processors.sys` on so many, with mistake number `how`.
fn run(count: u32, how: u32) -> Report {
    let config = Config::new(images::driver("processors"))
        .parameter("Count", RegValue::Dword(count))
        .parameter("How", RegValue::Dword(how))
        .processors(count);
    ntbox::run(&config).expect("the driver runs")
}

#[test]
fn processor_cases_pass_for_each_count() {
    for count in [1, 2, 4, 8] {
        let report = run(count, 0);
        let alone = [
            "Counts",
            "Moves",
            "Numbers",
            "Locks",
            "Dpcs",
            "Calls",
            "GenericDpcs",
        ];
        let together = [
            "Counts",
            "Moves",
            "Numbers",
            "Locks",
            "AtTheSameTime",
            "Dpcs",
            "Calls",
            "GenericDpcs",
        ];
        let cases = if count == 1 {
            &alone[..]
        } else {
            &together[..]
        };
        let log: Vec<&str> = report.shown().collect();
        assert_eq!(log, self_check::lines(cases), "{count}: {report:#?}");
        assert!(report.clean(), "{count}: {report:#?}");
    }
}

#[test]
fn driver_cases_pass_on_several_processors() {
    for driver in ["threads", "ke_callbacks", "ex_locks", "io_queues"] {
        let config = Config::new(images::driver(driver));
        let alone = ntbox::run(&config).expect("the driver runs");
        let together = ntbox::run(&config.processors(3)).expect("the driver runs");
        let shown = |report: &Report| report.shown().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(shown(&together), shown(&alone), "{driver}: {together:#?}");
        assert_eq!(together.verdict(), Verdict::Clean, "{driver}");
    }
}

#[test]
fn spin_lock_deadlock_stops_with_both_locks() {
    let stop = run(2, 1).bug_check.expect("it stopped");
    assert_eq!(
        (stop.code, stop.parameters[0]),
        (0x133, 1),
        "{}",
        stop.message
    );
    for spins in ["processor 0 spins at", "processor 1 spins at"] {
        assert!(stop.message.contains(spins), "{}", stop.message);
    }
    for holds in ["which processor 0 holds", "which processor 1 holds"] {
        assert!(stop.message.contains(holds), "{}", stop.message);
    }
    let place = stop.stack.first().and_then(|place| place.symbol.as_deref());
    assert!(
        matches!(place, Some("LockOut" | "TakesOtherFirst")),
        "{place:?}"
    );
}

#[test]
fn spin_lock_acquired_twice_stops_with_0x0f() {
    for count in [1, 2] {
        let stop = run(count, 2).bug_check.expect("it stopped");
        assert_eq!(stop.code, 0x0f, "{}", stop.message);
        assert!(
            stop.message.contains("it was acquired by"),
            "{}",
            stop.message
        );
    }
}

#[test]
fn dpc_for_missing_processor_is_reported() {
    let rules: Vec<String> = run(2, 3).violations.into_iter().map(|v| v.rule).collect();
    assert_eq!(rules, ["dpc-processor"]);
}

#[test]
fn generic_dpc_without_done_call_stops_as_hang() {
    for count in [1, 2] {
        let stop = run(count, 4).bug_check.expect("it stopped");
        let expected = format!(
            "KeGenericCallDpc waits for {count} of {count} processors on which its routine has not called KeSignalCallDpcDone"
        );
        assert_eq!(stop.code, 0x133, "{}", stop.message);
        assert!(stop.message.contains(&expected), "{}", stop.message);
    }
}

#[test]
fn processor_count_out_of_range_is_refused() {
    for count in [0, 9] {
        let config = Config::new(images::driver("processors")).processors(count);
        let error = ntbox::run(&config).expect_err("it is refused").to_string();
        let wanted = format!("a machine with {count} processors was asked for");
        assert!(error.contains(&wanted), "{error}");
    }
}
