//! Drivers in C without `wdm`, compiled by mingw-w64: they run, and their mistakes are
//! reported.

use driver_harness::host::{RegValue, Service};
use driver_harness::logmatch::{ExpectedLog, line, seq, var};
use driver_harness::record::{StartResult, Violation};
use driver_harness::service_run::ServiceRun;
use integration_tests::embedded::run;
use integration_tests::images;

fn service(name: &str) -> Service {
    Service::new(images::driver(name))
}

#[track_caller]
fn assert_log(run: &ServiceRun, script: &ExpectedLog) {
    script
        .check(&run.log)
        .unwrap_or_else(|found| panic!("{found}"));
}

#[test]
fn double_map_in_c_logs_expected_lines() {
    let run = run(&service("double_map"));
    assert_eq!(run.findings.bug_check, None);
    assert_log(
        &run,
        &ExpectedLog::new(seq([
            line("double_map: started as {_:text}\\Services\\double_map"),
            line("double_map: pool at {pool:ptr}").with(
                (var("pool") % 4096u64).equals(0),
                "a page of pool is a page",
            ),
            line("double_map: mdl {_:ptr} size 56 flags 8 count 4096 offset 0"),
            line("double_map: locked, flags 8a pfn {pfn:word}"),
            line("double_map: mapped at {map:ptr}")
                .with(var("map").differs_from(var("pool")), "a second mapping"),
            line("double_map: physical {physical:word} and {=physical:word}"),
            line("double_map: done, status 00000000"),
            line("double_map: unloaded, driver object {_:ptr}"),
        ])),
    );
    assert_eq!(
        (run.start, run.findings.unloaded),
        (StartResult::Running(0), true)
    );
    assert_eq!(run.findings.violations, []);
}

/// Pool that nobody has written to is not zero: a driver that relies on it must
/// not get away with it here.
#[test]
fn pool_uninitialized_is_not_zero() {
    let run = run(&service("uninitialised"));
    assert_log(
        &run,
        &ExpectedLog::new(line(
            "uninitialised: first {_:word} last {_:word}, 0 of 16 are zero",
        )),
    );
    assert_eq!(
        (run.start, run.findings.unloaded),
        (StartResult::Running(0), true)
    );
    let rules: Vec<&str> = run
        .findings
        .violations
        .iter()
        .map(|violation| violation.rule.as_str())
        .collect();
    assert_eq!(
        rules, ["uninitialized-pool-logged"; 2],
        "one for each value"
    );
    let place = run.findings.violations[0]
        .location
        .as_ref()
        .expect("a place");
    assert_eq!(place.symbol.as_deref(), Some("DriverEntry"));
}

#[test]
fn leaks_at_unload_are_reported() {
    let run = run(&service("leak"));
    assert_eq!(
        (run.start, run.findings.unloaded),
        (StartResult::Running(0), true)
    );
    let rules: Vec<_> = run
        .findings
        .violations
        .iter()
        .map(|violation| violation.rule.as_str())
        .collect();
    assert!(rules.contains(&"pool-leak"), "{rules:?}");
    let pool = find(&run, "pool-leak");
    // As Driver Verifier has it: DRIVER_VERIFIER_DETECTED_VIOLATION, 0x62.
    assert_eq!(pool.driver_verifier_code, Some((0xC4, 0x62)));
    assert!(
        pool.message.contains("Leak"),
        "the tag is named: {}",
        pool.message
    );
    assert!(
        pool.message.contains("8192") || pool.message.contains("0x2000"),
        "the size is named: {}",
        pool.message
    );
    let place = pool.location.as_ref().expect("the call that took it");
    assert_eq!(place.module, "leak.sys");
    assert_eq!(place.symbol.as_deref(), Some("DriverEntry"), "{place}");
    assert!(
        rules.len() >= 3,
        "the MDL and the locked or mapped pages are left behind, too: {rules:?}"
    );
}

fn find<'a>(run: &'a ServiceRun, rule: &str) -> &'a Violation {
    run.findings
        .violations
        .iter()
        .find(|violation| violation.rule == rule)
        .expect(rule)
}

/// An import that the kernel does not have stops a driver when it is called, not
/// before.
#[test]
fn import_unresolved_stops_when_called() {
    let quiet = run(&service("unresolved_import"));
    assert_eq!(
        (quiet.start, quiet.findings.unloaded),
        (StartResult::Running(0), true)
    );
    let run = run(&service("unresolved_import").parameter("Call", RegValue::Dword(1)));
    assert_eq!(run.start, StartResult::KernelStopped);
    let stop = run.findings.bug_check.as_ref().expect("a stop");
    assert!(
        stop.message.contains("KeSetHardwareCounterConfiguration"),
        "{}",
        stop.message
    );
    assert!(
        stop.message
            .ends_with("; performance counters are not collected"),
        "the reason of the list of missing exports: {}",
        stop.message
    );
    assert_eq!(
        run.texts().collect::<Vec<_>>(),
        ["unresolved_import: calling"],
        "the log so far is kept"
    );
    let place = stop.stack.first().expect("a place");
    assert_eq!(
        (place.module.as_str(), place.symbol.as_deref()),
        ("unresolved_import.sys", Some("DriverEntry")),
        "{place}"
    );
}

/// The HAL's table is there to be read; a routine that is called through it is named.
#[test]
fn hal_dispatch_routine_called_stops_with_its_name() {
    let run = run(&service("unresolved_import").parameter("Table", RegValue::Dword(1)));
    assert_eq!(run.start, StartResult::KernelStopped);
    assert_eq!(
        run.texts().collect::<Vec<_>>(),
        ["unresolved_import: table 4"]
    );
    let stop = run.findings.bug_check.as_ref().expect("a stop");
    assert!(
        stop.message
            .starts_with("HalDispatchTable->HalQuerySystemInformation"),
        "{}",
        stop.message
    );
}

/// A driver that looks names up finds what is exported, and NULL for the rest.
#[test]
fn routine_address_is_found_for_exports_only() {
    let run = run(&service("unresolved_import").parameter("Find", RegValue::Dword(1)));
    assert_eq!(run.start, StartResult::Running(0));
    assert_eq!(
        run.texts().collect::<Vec<_>>(),
        [
            "unresolved_import: KeQueryNodeActiveAffinity 1",
            "unresolved_import: HalDispatchTable 1",
            "unresolved_import: CcCopyRead 0",
        ]
    );
}

/// A driver for Plug and Play does next to nothing here: that must not look like a
/// test of it.
#[test]
fn driver_with_add_device_gets_a_note() {
    let notes = |add: u32| {
        let config = ntbox::Config::new(images::driver("unresolved_import"))
            .parameter("Add", RegValue::Dword(add));
        let report = ntbox::run(&config).expect("the driver runs");
        assert!(report.clean(), "{}", report.text());
        report.notes
    };
    assert_eq!(notes(0), Vec::<String>::new());
    let [note] = notes(1).try_into().expect("one note");
    assert!(note.contains("AddDevice"), "{note}");
}
