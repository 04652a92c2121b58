//! Structured exception handling: the drivers check filters, handlers and registers from
//! inside; the tests check that each case passed, and how unhandled exceptions stop.

use driver_harness::record::BugCheck;
use integration_tests::self_check::{all_well, mistake, stopped};

#[test]
fn except_cases_pass() {
    all_well(
        "catch_seh",
        &[
            "ReadFault",
            "WriteFault",
            "CallNowhere",
            "NotCanonical",
            "RaiseStatus",
            "RaiseNamed",
            "RaiseAndContinue",
            "ProcessorTraps",
            "RepairAndContinue",
            "NonContinuable",
            "InnerDeclines",
            "InnerTakes",
            "Rethrow",
            "ExceptionInFilter",
            "TryInFilter",
            "AcrossFrames",
            "ManyTimes",
            "FaultInExport",
        ],
    );
}

#[test]
fn finally_cases_pass() {
    all_well(
        "unwind_seh",
        &[
            "NormalEnd",
            "AbnormalEnd",
            "AcrossFunctions",
            "OuterBlockWaits",
            "LeaveByJump",
            "Collided",
            "CollidedAcross",
            "CollidedTwice",
            "TryInBlock",
            "UnwindInUnwind",
            "FilterFails",
            "ManyTimes",
        ],
    );
}

#[test]
fn exceptions_through_kernel_frames_cases_pass() {
    all_well(
        "callback_seh",
        &[
            "ThroughOneCall",
            "ThroughTwoCalls",
            "ContinueInside",
            "ManyTimes",
            "InsideADpc",
        ],
    );
}

#[test]
fn unwind_restores_registers_of_each_frame_shape() {
    all_well(
        "seh_frames",
        &[
            "AcrossAllShapes",
            "AcrossAnExport",
            "AcrossWildCall",
            "EachInstructionByHand",
            "EachInstructionCompiled",
            "ChainedPart",
        ],
    );
}

#[test]
fn language_handler_cases_pass() {
    all_well(
        "seh_handlers",
        &[
            "OwnHandlerDeclines",
            "OwnHandlerRepairs",
            "OwnHandlerNonsense",
            "OwnHandlerUnwinds",
            "UnwindWithoutException",
        ],
    );
}

#[test]
fn context_and_backtrace_cases_pass() {
    all_well(
        "seh_contexts",
        &[
            "Headers",
            "SavedWhere",
            "BackTraces",
            "CaptureAndRestore",
            "CaptureEverything",
            "Jumps",
            "StackProbe",
        ],
    );
}

const SYSTEM_THREAD_EXCEPTION_NOT_HANDLED: u32 = 0x7E;
const UNEXPECTED_KERNEL_MODE_TRAP: u32 = 0x7F;
const DOUBLE_FAULT: u64 = 8;
const GENERAL_PROTECTION: u64 = 13;

/// Runs `seh_stops.sys` in its way number `how`; gives the stop.
#[track_caller]
fn stop(how: u32) -> BugCheck {
    let run = mistake("seh_stops", how);
    assert_eq!(
        run.texts().collect::<Vec<_>>(),
        [format!("seh_stops: way {how}")],
        "the log so far, and no more"
    );
    stopped(run, &format!("way {how}"))
}

/// The driver's functions on the stack of a stop, innermost first. Those made by
/// hand are known by a symbol only, to which the offset is added.
fn functions(stop: &BugCheck) -> Vec<&str> {
    stop.stack
        .iter()
        .filter_map(|place| place.symbol.as_deref()?.split('+').next())
        .collect()
}

/// The stop of way `how`, by an exception with this status that nobody took.
#[track_caller]
fn unhandled(how: u32, status: u32) -> BugCheck {
    let stop = stop(how);
    assert_eq!(
        stop.code, SYSTEM_THREAD_EXCEPTION_NOT_HANDLED,
        "{}",
        stop.message
    );
    let extended = i64::from(status.cast_signed()).cast_unsigned();
    assert_eq!(stop.parameters[0], extended, "{}", stop.message);
    stop
}

/// The stop of way `how`, by a trap with this number.
#[track_caller]
fn trapped(how: u32, trap: u64) -> BugCheck {
    let stop = stop(how);
    assert_eq!(stop.code, UNEXPECTED_KERNEL_MODE_TRAP, "{}", stop.message);
    assert_eq!(stop.parameters[0], trap, "{}", stop.message);
    stop
}

#[test]
fn exception_unhandled_stops_at_its_location() {
    let read = unhandled(0, nt_status::STATUS_ACCESS_VIOLATION);
    assert!(
        read.message.contains("a read of 0x0000000000012340"),
        "{}",
        read.message
    );
    assert_eq!(functions(&read)[0], "LeafFault");
    let raised = unhandled(1, nt_status::STATUS_DEVICE_NOT_READY);
    assert!(functions(&raised).contains(&"DriverEntry"), "{raised:?}");
    // The record and the context that handlers saw lie on the driver's stack.
    let [_, _, record, context] = raised.parameters;
    assert!(record > context && context != 0);
    // A filter was asked, and declined.
    let declined = unhandled(2, nt_status::STATUS_ACCESS_VIOLATION);
    assert!(functions(&declined).contains(&"Marked"), "{declined:?}");
}

#[test]
fn unwind_data_damaged_stops_with_the_damage() {
    let cases = [
        (3, "version 7", "WrongVersion"),
        (4, "unknown operation 14", "UnknownOperation"),
        (5, "is cut off", "CutOperation"),
        (
            6,
            "image offset 0x7fffff00, outside of the image",
            "HandlerNowhere",
        ),
        (7, "has no end", "EndlessChain"),
        (8, "the stack at", "TooMuchStack"),
        (9, "the stack at", "NoFrame"),
    ];
    for (how, why, function) in cases {
        let stop = unhandled(how, nt_status::STATUS_ACCESS_VIOLATION);
        assert!(stop.message.contains(why), "way {how}: {}", stop.message);
        assert!(functions(&stop).contains(&function), "way {how}: {stop:?}");
    }
    // Data that are only wrong lead astray, and that ends, too.
    unhandled(10, nt_status::STATUS_ACCESS_VIOLATION);
}

#[test]
fn nested_exceptions_without_end_overflow_the_stack() {
    let in_filter = trapped(11, DOUBLE_FAULT);
    let filters = functions(&in_filter)
        .iter()
        .filter(|name| **name == "FailAlways")
        .count();
    assert!(filters > 2, "{in_filter:?}");
    trapped(12, DOUBLE_FAULT);
}

/// A machine would hang there. Here the kernel says at once which handler it is, and
/// does not wait for the time of a driver that never comes back.
#[test]
fn handler_continuing_forever_stops_as_hang() {
    const DPC_WATCHDOG_VIOLATION: u32 = 0x133;
    let stop = stop(21);
    assert_eq!(stop.code, DPC_WATCHDOG_VIOLATION, "{}", stop.message);
    for part in [
        "the language handler at ",
        "STATUS_ACCESS_VIOLATION (0xC0000005) at seh_stops!",
        "continued 1000 times",
    ] {
        assert!(stop.message.contains(part), "{part}: {}", stop.message);
    }
    assert_eq!(functions(&stop)[0], "LeafFault");
}

#[test]
fn continue_at_invalid_context_stops() {
    let nowhere = trapped(13, GENERAL_PROTECTION);
    assert!(
        nowhere.message.contains("0x0010000000000000"),
        "{}",
        nowhere.message
    );
    trapped(14, DOUBLE_FAULT);
}

#[test]
fn unwind_to_missing_frame_stops() {
    let past = unhandled(15, nt_status::STATUS_BAD_STACK);
    assert!(past.message.contains("STATUS_UNWIND"), "{}", past.message);
    assert_eq!(functions(&past)[0], "UnwindPast");
    unhandled(16, nt_status::STATUS_UNWIND);
}

#[test]
fn frame_larger_than_stack_stops_in_chkstk() {
    let stop = trapped(17, DOUBLE_FAULT);
    assert_eq!(functions(&stop)[..2], ["__chkstk", "HugeFrame"]);
}

#[test]
fn dpc_exception_is_not_handled_by_interrupted_thread() {
    let stop = stop(18);
    assert_eq!(stop.code, 0x1E, "{}", stop.message);
    assert_eq!(stop.parameters[0] & 0xFFFF_FFFF, 0xC000_000D);
    assert_eq!(functions(&stop)[..2], ["DpcRoutine", "RunDpc"]);
}

#[test]
fn call_of_unmapped_address_stops_in_driver() {
    let stop = stop(19);
    assert_eq!((stop.code, stop.parameters[0]), (0x50, 0x7FFF_0000_0000));
    assert!(functions(&stop).contains(&"DriverEntry"), "{stop:?}");
}

#[test]
fn collided_unwind_without_context_stops() {
    let stop = stop(20);
    assert_eq!(
        (stop.code, stop.parameters[0]),
        (0x50, 0x12340),
        "{}",
        stop.message
    );
}
