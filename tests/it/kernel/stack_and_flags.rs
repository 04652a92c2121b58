//! Limits of a driver: processor flags, nested calls until the stack ends, many leaks. Each
//! ends in a correct report.

use integration_tests::images;
use ntbox::{Config, RegValue, Report};

const ALIGNMENT_CHECK: u32 = 0;
const SEND_HERE: u32 = 1;
const SEND_IN_THREAD: u32 = 2;
const EXPAND_FOR_EVER: u32 = 3;
const LEAK_MANY: u32 = 4;

fn run(how: u32) -> Report {
    let config =
        Config::new(images::driver("stack_and_flags")).parameter("How", RegValue::Dword(how));
    ntbox::run(&config).unwrap_or_else(|error| panic!("{how}: {error}"))
}

/// What the driver logged.
fn texts(report: &Report) -> Vec<&str> {
    report.log.iter().map(|line| line.text.trim_end()).collect()
}

#[test]
fn alignment_check_flag_set_by_driver_traps_nowhere() {
    let report = run(ALIGNMENT_CHECK);
    assert!(report.clean(), "{}", report.text());
    assert_eq!(texts(&report), ["stack_and_flags: 3 with AC"; 2]);
}

/// The stack ends while the kernel calls the driver, in code that is not the
/// driver's.
#[test]
fn nested_dispatch_calls_overflow_the_stack_with_double_fault() {
    for how in [SEND_HERE, SEND_IN_THREAD] {
        let report = run(how);
        let stop = report.bug_check.as_ref().expect("a stop");
        assert_eq!(stop.code, 0x7f, "{}", report.text());
        assert_eq!(stop.parameters[0], 8, "{}", report.text());
        assert!(stop.message.contains("is used up"), "{}", stop.message);
        let place = stop.location.as_ref().expect("a place");
        assert_eq!(place.symbol.as_deref(), Some("SendAgain"));
        assert!(stop.stack.len() > 16, "{}", report.text());
    }
}

#[test]
fn stack_expanded_without_end_is_refused() {
    let report = run(EXPAND_FOR_EVER);
    assert!(report.clean(), "{}", report.text());
    assert_eq!(texts(&report), ["stack_and_flags: expanded often"; 2]);
}

#[test]
fn leak_of_many_blocks_lists_the_first_thousand() {
    let report = run(LEAK_MANY);
    assert!(report.bug_check.is_none() && report.unloaded);
    let leaks = report.violations.iter().filter(|v| v.rule == "pool-leak");
    assert_eq!(leaks.count(), 1000);
    let note = "the rule pool-leak was broken more than 1000 times";
    let is_noted = report.notes.iter().any(|text| text.starts_with(note));
    assert!(is_noted, "{:?}", report.notes);
}
