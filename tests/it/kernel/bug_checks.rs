//! Drivers that fault, overflow or lose their stack, or hang: each stops its own kernel
//! with the bug check of Windows at the location of the fault.

use std::time::Duration;

use driver_harness::host::ntbox::Options;
use driver_harness::host::{RegValue, Service};
use driver_harness::record::{BugCheck, StartResult};
use integration_tests::embedded::{options, run_with};
use integration_tests::images;

/// Runs `crash.sys` in its way number `how`; gives the stop.
fn stop(how: u32) -> BugCheck {
    let service = Service::new(images::driver("crash")).parameter("How", RegValue::Dword(how));
    let options = Options {
        timeout: Some(Duration::from_secs(2)),
        ..options()
    };
    let run = run_with(options, &service);
    assert_eq!(run.start, StartResult::KernelStopped);
    assert_eq!(
        run.texts().collect::<Vec<_>>(),
        [format!("crash: way {how}")],
        "the log so far, and no more"
    );
    assert!(!run.findings.unloaded);
    run.findings.bug_check.expect("a bug check")
}

/// The stop of way `how`, which has this code and lies in this function.
#[track_caller]
fn stops(how: u32, codes: &[u32], function: &str) -> BugCheck {
    let stop = stop(how);
    assert!(
        codes.contains(&stop.code),
        "{}: {}",
        nt_status::NamedBugCheck(stop.code),
        stop.message
    );
    let in_driver: Vec<_> = stop
        .stack
        .iter()
        .filter(|place| place.module == "crash.sys")
        .collect();
    let place = in_driver
        .first()
        .unwrap_or_else(|| panic!("no place in the driver: {stop:?}"));
    assert_eq!(place.symbol.as_deref(), Some(function), "{place}");
    assert_ne!(place.offset, 0);
    stop
}

/// What an exception that nobody handles is: in a system thread 0x7E, which is
/// where DriverEntry runs.
const UNHANDLED: [u32; 2] = [0x7E, 0x1E];
const ACCESS_VIOLATION: u64 = 0xC000_0005;

#[test]
fn null_access_stops_with_unhandled_exception() {
    let read = stops(0, &UNHANDLED, "ReadNull");
    assert_eq!(read.parameters[0] & 0xFFFF_FFFF, ACCESS_VIOLATION);
    let called_from = read
        .stack
        .iter()
        .any(|place| place.symbol.as_deref() == Some("DriverEntry"));
    assert!(called_from, "{:?}", read.stack);
    let source = read
        .stack
        .first()
        .and_then(|place| place.source.as_ref())
        .expect("file and line");
    assert!(source.0.ends_with("crash.c") && source.1 > 0, "{source:?}");
    stops(1, &UNHANDLED, "WriteNull");
}

#[test]
fn system_address_unmapped_stops_with_0x50() {
    let stop = stops(2, &[0x50], "ReadSystem");
    assert_eq!(stop.parameters[1], 0, "a read");
}

#[test]
fn protection_violation_stops_with_0xbe() {
    let stop = stops(3, &[0xBE], "WriteConstant");
    assert_ne!(stop.parameters[0], 0);
    // The driver is where it jumped to: the caller is one frame up.
    let stop = self::stop(4);
    assert_eq!(stop.code, 0xFC, "{}", stop.message);
    let caller = stop
        .stack
        .iter()
        .any(|place| place.symbol.as_deref() == Some("ExecuteData"));
    assert!(caller, "{:?}", stop.stack);
}

#[test]
fn null_call_stops_with_caller_on_the_stack() {
    let stop = stop(5);
    assert!(UNHANDLED.contains(&stop.code), "{}", stop.message);
    let caller = stop
        .stack
        .iter()
        .any(|place| place.symbol.as_deref() == Some("CallNull"));
    assert!(caller, "{:?}", stop.stack);
}

#[test]
fn trapping_instruction_stops_with_its_status() {
    let undefined = stops(6, &UNHANDLED, "Undefined");
    assert_eq!(undefined.parameters[0] & 0xFFFF_FFFF, 0xC000_001D);
    let divide = stops(7, &UNHANDLED, "Divide");
    assert_eq!(divide.parameters[0] & 0xFFFF_FFFF, 0xC000_0094);
    let fast_fail = stops(8, &[0x139], "FastFail");
    assert_eq!(fast_fail.parameters[0], 3);
    let halt = stops(9, &[0x7F, 0x7E, 0x1E], "Halt");
    assert!(halt.message.contains("hlt"), "{}", halt.message);
}

/// No stack to handle the fault on: on Windows a double fault.
#[test]
fn stack_pointer_invalid_stops_at_the_function() {
    let stop = stop(10);
    assert!([0x7F, 0x7E, 0x1E].contains(&stop.code), "{}", stop.message);
    assert_eq!(
        stop.stack.first().and_then(|place| place.symbol.as_deref()),
        Some("LoseStack"),
        "{stop:?}"
    );
}

#[test]
fn stack_overflow_stops_with_double_fault() {
    let stop = stops(14, &[0x7F], "Recurse");
    assert_eq!(stop.parameters[0], 8, "a double fault");
    assert!(stop.message.contains("stack"), "{}", stop.message);
}

/// What an exception is handled with lies on the stack: with less than a kilobyte
/// left that cannot be, here as on Windows, and the fault is still told exactly.
#[test]
fn fault_near_stack_end_stops_with_double_fault() {
    let stop = stops(12, &[0x7F], "ReadNull");
    assert_eq!(stop.parameters[0], 8, "a double fault");
}

#[test]
fn fault_at_dispatch_level_stops_with_the_irql() {
    let stop = stops(13, &[0xD1, 0x0A], "ReadNull");
    assert_eq!(stop.parameters[1], 2, "the IRQL");
}

#[test]
fn ke_bug_check_ex_by_driver_keeps_its_parameters() {
    let stop = stops(15, &[0xDEAD_BEEF], "DriverEntry");
    assert_eq!(stop.parameters, [1, 2, 3, 4]);
}

/// A driver that never comes back is ended, and the report says so.
#[test]
fn hang_is_stopped_by_watchdog() {
    let stop = stop(11);
    assert!(stop.message.contains('2'), "{}", stop.message);
}

/// As on Windows a breakpoint stops a system without a debugger. With one the driver
/// goes on, and the log says where it was.
#[test]
fn breakpoint_without_debugger_stops() {
    let stop = stops(16, &UNHANDLED, "Break");
    assert_eq!(stop.parameters[0] & 0xFFFF_FFFF, 0x8000_0003);
    assert!(stop.message.contains("--debugger"), "{}", stop.message);
    let config = ntbox::Config::new(images::driver("crash"))
        .parameter("How", RegValue::Dword(16))
        .debugger(true);
    let report = ntbox::run(&config).expect("the driver runs");
    assert!(report.clean(), "{}", report.text());
    let lines: Vec<_> = report.shown().collect();
    let [way, first, second, still] = lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!((way, still), ("crash: way 16", "crash: still here"));
    for line in [first, second] {
        assert!(
            line.starts_with("[debugger] breakpoint at crash.sys+0x"),
            "{line}"
        );
    }
    assert_ne!(first, second);
}
