//! Dispatcher objects in pageable memory: each way to make or use one is reported with its
//! location; the same in nonpaged or locked pool is clean.

use integration_tests::images;
use ntbox::{Config, RegValue, Report, Verify};

/// The ways, by the functions of the driver.
const WAYS: [&str; 6] = [
    "PutEvent",
    "PutMutex",
    "PutSemaphore",
    "PutTimer",
    "WaitUnlocked",
    "WaitForMany",
];

fn run(how: usize, right: u32, verify: Verify) -> Report {
    let how = u32::try_from(how).expect("a small number");
    let config = Config::new(images::driver("pageable_objects"))
        .parameter("How", RegValue::Dword(how))
        .parameter("Right", RegValue::Dword(right))
        .verify(verify);
    ntbox::run(&config).expect("it runs")
}

#[test]
fn object_in_paged_pool_is_reported_once_where_used() {
    for (how, function) in WAYS.into_iter().enumerate() {
        let report = run(how, 0, Verify::Standard);
        assert_eq!(report.bug_check, None, "{}", report.text());
        let [found] = &report.violations[..] else {
            panic!("{function}: not one finding:\n{}", report.text());
        };
        assert_eq!(found.rule, "object-pageable", "{function}");
        let place = found.location.as_ref().expect("a place");
        assert_eq!(place.symbol.as_deref(), Some(function));
    }
}

#[test]
fn object_in_nonpaged_or_locked_pool_is_clean() {
    for (how, function) in WAYS.into_iter().enumerate() {
        for right in [1, 2] {
            let report = run(how, right, Verify::Standard);
            assert_eq!(report.bug_check, None, "{function}, {right}");
            assert_eq!(report.violations, [], "{function}, {right}");
        }
    }
}

#[test]
fn object_in_paged_pool_without_verifier_is_clean() {
    let report = run(0, 0, Verify::Off);
    assert_eq!(report.violations, []);
}
