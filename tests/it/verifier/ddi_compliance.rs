//! Mistakes with IRPs, references, registrations and handles, and what is left at unload.
//! Each is one violation with its location and names; the correct variant is clean.

use std::path::PathBuf;
use std::sync::OnceLock;

use integration_tests::images;
use integration_tests::mistakes::seen;
use ntbox::{Config, Error, Location, Machine, Operation, Progress, RegValue, Report, Verify};

/// A mistake: where the driver's table has it, its function, what is seen, and parts
/// of what is said.
type Mistake = (u32, &'static str, &'static str, &'static [&'static str]);

/// Those that DriverEntry makes.
const ENTRIES: [Mistake; 15] = [
    (0, "LookUpProcess", "reference-leak", &["Process"]),
    (1, "LookUpThread", "reference-leak", &["Thread"]),
    (2, "GetPointer", "reference-leak", &["File"]),
    (
        3,
        "DereferenceProcess",
        "object-over-dereferenced",
        &["kernel's own"],
    ),
    (4, "MapView", "view-leak", &["process System"]),
    (
        5,
        "HearShutdown",
        "shutdown-notification-not-unregistered",
        &[r"\Device\Contract", "IoUnregisterShutdownNotification"],
    ),
    (
        6,
        "HearBugCheck",
        "bug-check-callback-not-unregistered",
        &["mistakes_contract_init!BugChecked"],
    ),
    (
        7,
        "LeaveTimer",
        "timer-active-at-unload: 0xC7",
        &[
            "mistakes_contract_init!Ticked",
            "mistakes_contract_init!Timer",
        ],
    ),
    (
        8,
        "FreeDpc",
        "0xC7",
        &["DPC of the timer", "mistakes_contract_init!Timer", "freed"],
    ),
    (9, "RaisedDpc", "irql-changed-on-return", &["a DPC called"]),
    (
        10,
        "Loop",
        "thread-running-at-unload",
        &["mistakes_contract_init!Loop"],
    ),
    (11, "LeaveDevice", "device-leak", &[r"\Device\ContractLeft"]),
    (12, "BuildSmall", "0x40", &["TARGET_MDL_TOO_SMALL"]),
    (
        13,
        "WaitForever",
        "0x133",
        &[
            "waits for the synchronization event",
            "mistakes_contract_init!Done",
            "mistakes_contract_init!WaitForever",
        ],
    ),
    (14, "CallData", "0xFC", &["which is data and no code"]),
];

/// Those that it makes with a program's request.
const REQUESTS: [Mistake; 11] = [
    (
        100,
        "PendUnmarked",
        "irp-pending-not-marked",
        &[
            "IRP_MJ_DEVICE_CONTROL with the control code 0x222000",
            "IoMarkIrpPending",
        ],
    ),
    (
        101,
        "PendUnsaid",
        "irp-pending-not-returned",
        &["0x222000", "STATUS_SUCCESS"],
    ),
    (
        102,
        "FailAndSucceed",
        "irp-status-mismatch",
        &[
            "returned STATUS_SUCCESS",
            "completed with STATUS_UNSUCCESSFUL",
        ],
    ),
    (
        103,
        "SucceedAndFail",
        "irp-status-mismatch",
        &[
            "returned STATUS_UNSUCCESSFUL",
            "completed with STATUS_SUCCESS",
        ],
    ),
    (
        104,
        "CompleteMinusOne",
        "irp-completed-invalid-status: 0xC9 (0x6)",
        &["0xffffffff"],
    ),
    (
        105,
        "KeepForever",
        "irp-pending-at-unload: 0xCE",
        &["0x222000", r"\Device\Contract", "still pending"],
    ),
    // The second one writes the status first, where the IRP was.
    (106, "CompleteLater", "0xD1", &["freed IRP"]),
    (
        107,
        "HoldMutex",
        "0x1",
        &[
            "still holds the mutex",
            "mistakes_contract_init!Mutex",
            "KeReleaseMutex",
        ],
    ),
    (
        108,
        "OpenInProgram",
        "user-handle-created",
        &["ZwOpenKey", "OBJ_KERNEL_HANDLE"],
    ),
    (
        109,
        "UseHandle",
        "handle-of-another-process",
        &["process System"],
    ),
    (
        110,
        "CallGone",
        "0x50",
        &["section INIT", "discarded after DriverEntry"],
    ),
];

/// The driver with a section INIT that may be discarded, which gcc cannot say.
fn image() -> PathBuf {
    /// `IMAGE_SCN_MEM_DISCARDABLE`, in the highest byte.
    const DISCARDABLE: u8 = 0x02;
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    let made = IMAGE.get_or_init(|| {
        let mut data = std::fs::read(images::driver("mistakes_contract")).expect("the driver");
        let name = b"INIT\0\0\0\0";
        let header = data.windows(name.len()).position(|bytes| bytes == name);
        data[header.expect("a section INIT") + 39] |= DISCARDABLE;
        let path = images::driver("mistakes_contract").with_file_name("mistakes_contract_init.sys");
        let part = path.with_extension(std::process::id().to_string());
        std::fs::write(&part, data).expect("a file");
        std::fs::rename(&part, &path).expect("its name");
        path
    });
    made.clone()
}

fn run(how: u32, right: bool) -> Report {
    run_with(how, right, Verify::Standard)
}

fn run_with(how: u32, right: bool, verify: Verify) -> Report {
    let mut config = Config::new(image())
        .parameter("How", RegValue::Dword(how))
        .parameter("Right", RegValue::Dword(right.into()))
        .verify(verify);
    config.timeout = std::time::Duration::from_secs(20);
    let mut machine = Machine::boot(&config).expect("the driver boots");
    machine.start().expect("the kernel runs");
    match request(&mut machine) {
        Ok(()) | Err(Error::Stopped) => {}
        Err(error) => panic!("{how}: {error}"),
    }
    machine.finish().expect("a report")
}

/// A program opens the device and sends a request, with its handle in it. It lets go
/// of what is still pending after a second.
fn request(machine: &mut Machine) -> Result<(), Error> {
    let process = machine.process("app.exe")?;
    let open = Operation::Open {
        path: r"\\.\Contract".to_owned(),
        access: 0xc000_0000,
    };
    let Some(handle) = machine.call(process, open)?.handle else {
        return Ok(());
    };
    let control = Operation::Control {
        handle,
        code: 0x0022_2000,
        input: handle.0.to_le_bytes().to_vec(),
        output: Vec::new(),
    };
    if let Progress::Pending(ticket) = machine.begin(process, control)? {
        machine.wait_at_most(ticket, std::time::Duration::from_secs(1))?;
    }
    // For what the driver does of its own accord.
    let event = Operation::CreateEvent {
        manual_reset: true,
        signaled: false,
    };
    if let Some(handle) = machine.call(process, event)?.handle {
        let milliseconds = Some(100);
        machine.call(
            process,
            Operation::Wait {
                handle,
                milliseconds,
            },
        )?;
        machine.call(process, Operation::Close { handle })?;
    }
    let close = Operation::Close { handle };
    machine.call(process, close).map(drop)
}

fn places(report: &Report) -> impl Iterator<Item = &Location> {
    let stop = report.bug_check.iter();
    let of_stop = stop.flat_map(|stop| stop.location.iter().chain(&stop.stack));
    let violations = report.violations.iter();
    let of_violations = violations.flat_map(|one| {
        let history = one.history.iter().flat_map(|past| &past.stack);
        one.location.iter().chain(history)
    });
    of_stop.chain(of_violations)
}

fn check((how, function, expected, parts): Mistake) {
    let report = run(how, false);
    assert_eq!(seen(&report), expected, "{function}:\n{}", report.text());
    let violations = report.violations.iter().map(|one| one.message.as_str());
    let stop = report.bug_check.iter().map(|stop| stop.message.as_str());
    let said: Vec<&str> = violations.chain(stop).collect();
    let said = said.join("\n");
    for part in parts {
        assert!(said.contains(part), "{function}: no {part} in: {said}");
    }
    let at = |place: &Location| {
        let symbol = place.symbol.as_deref().unwrap_or_default();
        symbol == function || (symbol == "Dispatch" && how >= 100)
    };
    let is_nowhere = report
        .bug_check
        .as_ref()
        .is_some_and(|stop| stop.stack.is_empty());
    assert!(
        is_nowhere || places(&report).any(at),
        "{function} is not in:\n{}",
        report.text()
    );
}

#[test]
fn driver_entry_mistake_is_reported_once_with_names() {
    ENTRIES.into_iter().for_each(check);
}

#[test]
fn request_mistake_is_reported_once_with_names() {
    REQUESTS.into_iter().for_each(check);
}

#[test]
fn ddi_correct_variant_is_clean() {
    for (how, function, ..) in ENTRIES.into_iter().chain(REQUESTS) {
        let report = run(how, true);
        assert!(report.clean(), "{function}:\n{}", report.text());
    }
}

/// Without special pool the memory of the IRP can still be written, and the second
/// completion is the stop of Windows.
#[test]
fn irp_completed_twice_names_the_first_completion() {
    let report = run_with(106, false, Verify::Off);
    assert_eq!(seen(&report), "0x44", "{}", report.text());
    let stop = report.bug_check.expect("a stop");
    let first = "completed before, by mistakes_contract_init!Complete";
    assert!(stop.message.contains(first), "{}", stop.message);
}
