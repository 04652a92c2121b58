//! Mistakes with locks, the IRQL, references, handles, the driver object and memory of
//! programs: each is one finding, with its place, and each correct twin is clean.

use integration_tests::images;
use integration_tests::mistakes::seen;
use ntbox::{Config, Error, Machine, Operation, RegValue, Report, Started, Verify};

/// A mistake: where the driver's table has it, the function that is shown, what is seen,
/// and parts of what is said.
type Mistake = (u32, &'static str, &'static str, &'static [&'static str]);

const LOCKS: [Mistake; 25] = [
    (
        0,
        "Push",
        "lock-order-inversion: 0xC4 (0x1001)",
        &["push lock", "!PushOne"],
    ),
    (
        1,
        "Readers",
        "lock-order-inversion: 0xC4 (0x1001)",
        &["spin lock", "!ReadersTwo"],
    ),
    (
        2,
        "ResetZeroEvent",
        "dispatcher-object-not-initialized",
        &["KeResetEvent", "!ZeroEvent"],
    ),
    (
        3,
        "ClearZeroEvent",
        "dispatcher-object-not-initialized",
        &["KeClearEvent", "!ZeroEvent"],
    ),
    (
        4,
        "SetZeroTimer",
        "dispatcher-object-not-initialized",
        &["KeSetTimer", "!ZeroTimer"],
    ),
    (
        5,
        "UseZeroResource",
        "resource-not-initialized: 0xC4 (0x1002)",
        &["ExAcquireResourceExclusiveLite", "!ZeroResource"],
    ),
    (
        6,
        "WriteIrql",
        "irql-wrong-direction: 0xC4 (0x31)",
        &["raised from 0 to 2 by KeLowerIrql"],
    ),
    (
        7,
        "WriteIrql",
        "irql-wrong-direction: 0xC4 (0x31)",
        &["raised from 1 to 2", "KeRaiseIrql has lowered it to 1"],
    ),
    (
        8,
        "DriverEntry",
        "apc-disable-imbalance",
        &["!Mutex", "!KeepMutex", "KeReleaseMutex"],
    ),
    (
        9,
        "DriverEntry",
        "irql-changed-on-return",
        &["fast mutex", "!Fast", "!KeepFastMutex"],
    ),
    (
        10,
        "AcquireWithApcs",
        "lock-with-apcs-enabled: 0xC4 (0x37)",
        &["!Resource"],
    ),
    (
        11,
        "DereferenceDriver",
        "object-over-dereferenced",
        &["Driver"],
    ),
    (
        12,
        "DereferenceDevice",
        "object-over-dereferenced",
        &[r"\Device\Locks"],
    ),
    (13, "CreateCallback", "reference-leak", &["Callback"]),
    (
        14,
        "AllocateVirtual",
        "virtual-memory-leak",
        &["process System"],
    ),
    (
        15,
        "DriverEntry",
        "driver-object-damaged",
        &["another DriverName"],
    ),
    (
        16,
        "DriverEntry",
        "driver-object-damaged",
        &["another DriverSection"],
    ),
    (
        18,
        "OpenOddName",
        "unicode-string-odd-length",
        &["ZwOpenKey", "Length is 51"],
    ),
    (
        19,
        "AppendToOdd",
        "unicode-string-odd-length",
        &["RtlAppendUnicodeToString", "Length is 7"],
    ),
    (
        20,
        "BroadcastGarbage",
        "0x7E",
        &["routine 0xcdcdcdcdcdcdcdcd"],
    ),
    (
        100,
        "DereferenceFile",
        "object-over-dereferenced",
        &["File"],
    ),
    (
        101,
        "CreateThread",
        "user-handle-created",
        &["PsCreateSystemThread"],
    ),
    (
        102,
        "KeepRegion",
        "0x1",
        &["KeLeaveCriticalRegion was not called"],
    ),
    (
        103,
        "CompleteMinusOne",
        "irp-completed-invalid-status: 0xC9 (0x6)",
        &["0xffffffff"],
    ),
    // The timer comes after the cancel routine.
    (104, "Complete", "0xD1", &["freed IRP"]),
];

const USER: [Mistake; 5] = [
    (4, "FetchTwice", "double-fetch", &["!FetchTwice"]),
    (5, "FetchAround", "double-fetch", &["0004 read twice"]),
    (6, "FetchPart", "double-fetch", &["0005 read twice"]),
    (7, "FetchThenCopy", "double-fetch", &["0000 read twice"]),
    (8, "ReadGarbage", "invalid-address-handled", &["canonical"]),
];

fn run(driver: &str, device: &str, code: u32, how: u32, right: bool) -> Report {
    let config = Config::new(images::driver(driver))
        .parameter("How", RegValue::Dword(how))
        .parameter("Right", RegValue::Dword(right.into()))
        .verify(Verify::Standard);
    let mut machine = Machine::boot(&config).expect("the driver boots");
    let started = machine.start().expect("the kernel runs");
    if started != Started::Stopped {
        assert_eq!(started, Started::Status(0));
        match request(&mut machine, device, code) {
            Ok(()) | Err(Error::Stopped) => {}
            Err(error) => panic!("{how}: {error}"),
        }
    }
    machine.finish().expect("a report")
}

/// A program opens the device, sends a request and closes the device.
fn request(machine: &mut Machine, device: &str, code: u32) -> Result<(), Error> {
    let process = machine.process("app.exe")?;
    let open = Operation::Open {
        path: format!(r"\\.\{device}"),
        access: 0xc000_0000,
    };
    let handle = machine.call(process, open)?.handle.expect("it opens");
    let input = [8, 0, 0, 0, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0];
    let control = Operation::Control {
        handle,
        code,
        input: input.to_vec(),
        output: Vec::new(),
    };
    machine.call(process, control)?;
    machine.call(process, Operation::Close { handle }).map(drop)
}

fn locks(how: u32, right: bool) -> Report {
    run("mistakes_locks", "Locks", 0x0022_2000, how, right)
}

fn user(how: u32, right: bool) -> Report {
    run("mistakes_user_seh", "User", 0x0022_2003, how, right)
}

fn check((how, function, expected, parts): Mistake, run: fn(u32, bool) -> Report) {
    let report = run(how, false);
    assert_eq!(seen(&report), expected, "{how}:\n{}", report.text());
    let violations = report.violations.iter();
    let violations = violations.map(|one| (one.location.as_ref(), one.message.as_str()));
    let stop = report.bug_check.iter();
    let stop = stop.map(|stop| (stop.location.as_ref(), stop.message.as_str()));
    let (location, message) = violations.chain(stop).next().expect("a finding");
    let symbol = location.and_then(|place| place.symbol.as_deref());
    assert_eq!(symbol, Some(function), "{how}:\n{}", report.text());
    for part in parts {
        assert!(message.contains(part), "{how}: no {part} in: {message}");
    }
}

fn check_clean(how: u32, report: &Report) {
    assert!(report.clean(), "{how}:\n{}", report.text());
}

#[test]
fn mistakes_with_locks_and_objects_are_found_once_each_with_names() {
    for mistake in LOCKS {
        check(mistake, locks);
    }
}

#[test]
fn correct_twins_with_locks_and_objects_are_clean() {
    for (how, ..) in LOCKS {
        check_clean(how, &locks(how, true));
    }
}

/// `KeLowerIrql` behind a read of the IRQL is no `KeRaiseIrql`.
#[test]
fn inline_lower_after_a_comparison_is_clean() {
    check_clean(17, &locks(17, false));
}

#[test]
fn second_reads_of_what_decided_are_found() {
    for mistake in USER {
        check(mistake, user);
    }
}

#[test]
fn reads_that_decide_nothing_may_be_repeated() {
    for how in 0..4 {
        check_clean(how, &user(how, false));
    }
    for (how, ..) in USER {
        check_clean(how, &user(how, true));
    }
}
