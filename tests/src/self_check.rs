//! Runs drivers that check the kernel from inside and drivers that make a chosen mistake,
//! and compares their logs and reports.

use driver_harness::host::{RegValue, Service};
use driver_harness::record::{BugCheck, StartResult, Violation};
use driver_harness::service_run::ServiceRun;

use crate::embedded::run;
use crate::images;

/// What such a driver logs when each of `cases` goes well, in this order.
#[must_use]
pub fn lines(cases: &[&str]) -> Vec<String> {
    cases
        .iter()
        .map(|case| format!("check: {case} ok"))
        .collect()
}

/// Runs a driver that checks the kernel: all its cases go well, in this order,
/// and it leaves nothing behind.
///
/// # Panics
///
/// If one does not.
#[track_caller]
pub fn all_well(driver: &str, cases: &[&str]) {
    let run = run(&Service::new(images::driver(driver)));
    assert_eq!(
        run.texts().collect::<Vec<_>>(),
        lines(cases),
        "{:?}",
        run.findings
    );
    went_on(&run, driver);
    assert!(run.findings.unloaded);
    assert_eq!(run.findings.violations, []);
}

/// Mistake number `how` of a driver that reads from its parameters which one it
/// is to make.
#[must_use]
pub fn mistake(driver: &str, how: u32) -> ServiceRun {
    run(&Service::new(images::driver(driver)).parameter("How", RegValue::Dword(how)))
}

/// The bug check that ended a run before DriverEntry returned.
///
/// # Panics
///
/// If none did.
#[track_caller]
#[must_use]
pub fn stopped(run: ServiceRun, what: &str) -> BugCheck {
    assert_eq!(run.start, StartResult::KernelStopped, "{what}");
    run.findings
        .bug_check
        .unwrap_or_else(|| panic!("{what} did not stop it"))
}

/// The driver started, and no bug check followed.
///
/// # Panics
///
/// If that is not so.
#[track_caller]
pub fn went_on(run: &ServiceRun, what: &str) {
    assert_eq!(
        (run.start, &run.findings.bug_check),
        (StartResult::Running(0), &None),
        "{what}"
    );
}

/// The violations of a run that went on, each of which has a place.
///
/// # Panics
///
/// If it stopped, or a violation has no place.
#[track_caller]
#[must_use]
pub fn reported(run: ServiceRun, what: &str) -> Vec<Violation> {
    went_on(&run, what);
    let violations = run.findings.violations;
    for violation in &violations {
        assert!(
            violation.location.is_some(),
            "{}: no location",
            violation.rule
        );
    }
    violations
}

/// The names of the rules that were broken.
#[must_use]
pub fn rules(violations: &[Violation]) -> Vec<&str> {
    violations
        .iter()
        .map(|violation| violation.rule.as_str())
        .collect()
}

/// The innermost function of the driver when the system stopped.
#[must_use]
pub fn stopped_in(stop: &BugCheck) -> Option<&str> {
    stop.stack.first().and_then(|place| place.symbol.as_deref())
}
