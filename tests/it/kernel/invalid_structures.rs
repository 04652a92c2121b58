//! Invalid callback pointers and corrupt structures: each ends in the bug check of Windows,
//! or in one that names the kernel's last call; never in a failure of ntbox.

use integration_tests::images;
use ntbox::{BugCheck, Config, Error, Instrument, Machine, Operation, RegValue, Report};

/// What no processor has as an address: the pattern of fresh pool.
const PATTERN: u32 = 0;
/// An address that is nobody's in the driver's world.
const NOBODYS: u32 = 1;
/// One where pool could be and is not.
const UNMAPPED: u32 = 2;

/// A routine that the kernel calls: the function of the driver that gives it, what
/// the report calls it, and the bug checks for a pattern and for an unmapped address.
type Way = (&'static str, &'static str, u32, u32);

const WAYS: [Way; 17] = [
    ("QueueDpc", "DPC routine", 0x1e, 0xd1),
    ("SetTimer", "DPC routine", 0x1e, 0xd1),
    ("QueueWork", "work routine", 0x7e, 0x50),
    ("QueueIoWork", "work routine", 0x7e, 0x50),
    ("StartThread", "start routine", 0x7e, 0x50),
    ("SendIrp", "completion routine", 0x7e, 0x50),
    ("InsertApc", "kernel routine", 0x1e, 0x50),
    ("FilterRegistry", "registry callback", 0x135, 0x50),
    ("GiveToList", "Free routine", 0x7e, 0x50),
    ("CancelIrp", "cancel routine", 0x7e, 0xd1),
    ("SearchTable", "compare routine", 0x7e, 0x50),
    ("NotifyCallback", "callback routine", 0x7e, 0x50),
    ("RegisterNotify", "notify routine", 0x7e, 0x50),
    ("SetMajorFunction", "MajorFunction entry", 0x3b, 0x50),
    ("OverwriteDriver", "MajorFunction entry", 0x3b, 0x3b),
    ("OverwriteDevice", "0xbdbdbdbdbdbdbdbd", 0x3b, 0x3b),
    ("SetUnload", "DriverUnload entry", 0x7e, 0x50),
];

fn run(driver: &str, how: usize, right: bool, value: u32) -> Report {
    // The way that makes a system call is one for native code: translated, it makes none.
    let is_native = (driver, how) == ("invalid_callbacks", WAYS.len());
    let how = u32::try_from(how).expect("a small number");
    let mut config = Config::new(images::driver(driver))
        .parameter("How", RegValue::Dword(how))
        .parameter("Right", RegValue::Dword(right.into()))
        .parameter("Value", RegValue::Dword(value));
    if is_native {
        config.instrument = Instrument::Off;
    }
    let mut machine = Machine::boot(&config).expect("the driver boots");
    let fail = |error: Error| panic!("{driver} {how}: {error}");
    machine.start().unwrap_or_else(fail);
    let open = || Operation::Open {
        path: r"\\.\Garbage".to_owned(),
        access: 0xc000_0000,
    };
    let opened = machine
        .process("app.exe")
        .and_then(|process| machine.call(process, open()).map(|reply| (process, reply)));
    match opened {
        Ok((process, _)) => drop(machine.exit(process)),
        Err(Error::Stopped) => {}
        Err(error) => panic!("{driver} {how}: {error}"),
    }
    machine
        .finish()
        .unwrap_or_else(|error| panic!("{driver} {how}: {error}"))
}

fn stop(report: &Report) -> &BugCheck {
    let stop = report.bug_check.as_ref();
    stop.unwrap_or_else(|| panic!("no stop:\n{}", report.text()))
}

#[test]
fn callback_pointer_with_pool_pattern_stops_as_on_windows() {
    for (how, (function, kind, code, _)) in WAYS.into_iter().enumerate() {
        let report = run("invalid_callbacks", how, false, PATTERN);
        let stop = stop(&report);
        assert_eq!(stop.code, code, "{function}:\n{}", report.text());
        if function != "OverwriteDevice" {
            let said = stop.message.contains(kind) && stop.message.contains("0xbdbdbdbdbdbdbdbd");
            assert!(said, "{function}: {}", stop.message);
        }
    }
}

#[test]
fn callback_pointer_unmapped_stops_as_on_windows() {
    for value in [NOBODYS, UNMAPPED] {
        for (how, (function, kind, _, code)) in WAYS.into_iter().enumerate() {
            if function.starts_with("Overwrite") {
                continue;
            }
            let report = run("invalid_callbacks", how, false, value);
            let stop = stop(&report);
            assert_eq!(stop.code, code, "{function}:\n{}", report.text());
            assert!(stop.message.contains(kind), "{function}: {}", stop.message);
            let irql = u64::from(code == 0xd1) * 2;
            let rest = if irql == 0 {
                [8, stop.parameters[0]]
            } else {
                [irql, 8]
            };
            assert_eq!(stop.parameters[1..3], rest, "{function}: {stop:?}");
        }
    }
}

/// Where nothing of the driver is on the stack, the place is that of who registered
/// the routine.
#[test]
fn callback_pointer_invalid_names_the_registration() {
    for (how, (function, ..)) in WAYS.into_iter().enumerate().take(5) {
        let report = run("invalid_callbacks", how, false, PATTERN);
        let place = stop(&report).location.as_ref().expect("a place");
        assert_eq!(place.symbol.as_deref(), Some(function), "{}", report.text());
    }
}

#[test]
fn callback_pointer_valid_is_clean() {
    for (how, (function, ..)) in WAYS.into_iter().enumerate() {
        let report = run("invalid_callbacks", how, true, PATTERN);
        let only_notify = report.violations.is_empty();
        assert!(
            report.bug_check.is_none() && only_notify,
            "{function}:\n{}",
            report.text()
        );
    }
}

/// A system call of the host ends the process, and the report says where it was.
#[test]
fn exit_group_by_driver_stops_with_the_last_call() {
    let report = run("invalid_callbacks", WAYS.len(), false, PATTERN);
    let stop = stop(&report);
    assert_eq!(stop.code, 0xe2, "{}", report.text());
    for part in [
        "ended by itself",
        "exit status 3",
        "IoCreateSymbolicLink",
        "DriverEntry",
    ] {
        assert!(stop.message.contains(part), "{part}: {}", stop.message);
    }
    let place = stop.location.as_ref().expect("a place");
    assert_eq!(place.symbol.as_deref(), Some("DriverEntry"));
    let twin = run("invalid_callbacks", WAYS.len(), true, PATTERN);
    assert!(twin.clean(), "{}", twin.text());
}

/// Structures of every kind that the kernel walks: whatever comes of it, it is the
/// driver's doing, and no failure of ntbox itself.
#[test]
fn corrupt_structure_never_ends_ntbox() {
    /// What a structure can be full of, see the driver.
    const FILLS: std::ops::Range<u32> = 0..8;
    /// `STATUS_INVALID_PARAMETER`: there are no more.
    const NO_MORE: Option<u32> = Some(nt_status::STATUS_INVALID_PARAMETER);
    let mut failures = Vec::new();
    let mut ways = 0;
    'all: for how in 0.. {
        for fill in FILLS {
            let report = run_briefly(how, fill);
            if report.entry_status == NO_MORE {
                break 'all;
            }
            let ended = |stop: &&BugCheck| {
                stop.message.contains("failed in what it did") || stop.message.contains("ended by")
            };
            if let Some(stop) = report.bug_check.as_ref().filter(ended) {
                failures.push(format!("{how}, {fill}: {}", stop.message));
            }
        }
        ways += 1;
    }
    assert!(ways > 100, "{ways}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A wait for garbage may last for ever; it is ended then.
fn run_briefly(how: usize, fill: u32) -> Report {
    let how = u32::try_from(how).expect("a small number");
    let config = Config {
        timeout: std::time::Duration::from_millis(1500),
        ..Config::new(images::driver("corrupt_structures"))
            .parameter("How", RegValue::Dword(how))
            .parameter("Value", RegValue::Dword(fill))
    };
    ntbox::run(&config).unwrap_or_else(|error| panic!("{how}, {fill}: {error}"))
}
