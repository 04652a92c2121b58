//! Registry callbacks and object callbacks, by drivers that check them from inside.

use driver_harness::host::{RegValue, Service};
use driver_harness::record::StartResult;
use driver_harness::service_run::ServiceRun;
use integration_tests::embedded::run;
use integration_tests::images;
use integration_tests::self_check::{
    all_well, lines, mistake, reported, rules, stopped, stopped_in,
};
use integration_tests::temp_file;

#[test]
fn registry_callback_cases_pass() {
    let cases = [
        "Registering",
        "Structures",
        "Blocking",
        "Changing",
        "Recursion",
        "Contexts",
        "Names",
        "Library",
        "Notified",
    ];
    all_well("cm_callbacks", &cases);
}

#[test]
fn registry_callback_left_at_unload_is_reported() {
    let violations = reported(mistake("cm_misuse", 0), "a filter is left");
    assert_eq!(rules(&violations), ["registry-callback-not-unregistered"]);
}

#[test]
fn registry_callback_with_exception_stops_with_0x135() {
    let stop = stopped(mistake("cm_misuse", 1), "a filter faults");
    assert_eq!(
        (stop.code, stop.parameters[0]),
        (0x135, 0xffff_ffff_c000_0005)
    );
    assert_eq!(stopped_in(&stop), Some("Fault"));
}

/// Runs the driver that filters handles, in an image that is marked as one whose
/// integrity is checked.
fn filter_of_handles(how: u32) -> ServiceRun {
    let mut image = std::fs::read(images::driver("ob_callbacks")).expect("it was built");
    let header = u32::from_le_bytes(image[0x3c..0x40].try_into().expect("four bytes"));
    // The high half of DllCharacteristics has none of it; FORCE_INTEGRITY is 0x80.
    image[header as usize + 0x5e] |= 0x80;
    let marked = temp_file("ob_callbacks.sys", &image);
    run(&Service::new(&marked).parameter("How", RegValue::Dword(how)))
}

#[test]
fn object_callback_cases_pass() {
    let run = filter_of_handles(0);
    let cases = ["Modules", "Registering", "Opening", "Threads", "Order"];
    assert_eq!(
        run.texts().collect::<Vec<_>>(),
        lines(&cases),
        "{:?}",
        run.findings
    );
    assert_eq!(run.start, StartResult::Running(0));
    assert!(run.findings.unloaded);
    assert_eq!(run.findings.violations, []);
}

#[test]
fn object_callbacks_left_at_unload_are_reported() {
    let violations = reported(filter_of_handles(1), "a filter is left");
    assert_eq!(rules(&violations), ["object-callbacks-not-unregistered"]);
}

#[test]
fn object_callbacks_of_image_without_integrity_check_are_denied() {
    let run = mistake("ob_callbacks", 1);
    assert_eq!(run.start, StartResult::EntryFailed(0xc000_0022));
    assert_eq!(run.findings.violations, []);
}
