//! Requests from user mode: a device is opened by its link, data moves in every
//! way that there is, requests wait, are cancelled and end with their process,
//! and the mistakes of a dispatch routine are named.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use ntbox::{Config, Error, Handle, Machine, Operation, Process, Progress, Reply, Report, Started};
use suites::build;

/// `FILE_DEVICE_UNKNOWN` is not in it: the driver numbers its codes itself.
const DEVICE_TYPE: u32 = 0x8000;
const BUFFERED: u32 = 0;
const OUT_DIRECT: u32 = 2;
const NEITHER: u32 = 3;
/// `GENERIC_READ | GENERIC_WRITE`.
const READ_WRITE: u32 = 0xc000_0000;

/// The driver, started, with one process that has its device open.
struct Open {
    machine: Machine,
    process: Process,
    handle: Handle,
}

fn code(function: u32, method: u32) -> u32 {
    DEVICE_TYPE << 16 | (0x800 + function) << 2 | method
}

impl Open {
    fn new() -> Self {
        let mut machine =
            Machine::boot(&Config::new(build::driver("device"))).expect("the driver boots");
        assert_eq!(
            machine.start().expect("the kernel runs"),
            Started::Status(0)
        );
        let process = machine.process("app.exe").expect("a process");
        let handle = open(&mut machine, process, r"\\.\NtboxTest")
            .handle
            .expect("a handle");
        Self {
            machine,
            process,
            handle,
        }
    }

    fn operation(&self, function: u32, method: u32, input: &[u8], output: usize) -> Operation {
        let (handle, code) = (self.handle, code(function, method));
        Operation::Control {
            handle,
            code,
            input: input.to_vec(),
            output: vec![0; output],
        }
    }

    fn control(&mut self, function: u32, method: u32, input: &[u8], output: usize) -> Reply {
        let operation = self.operation(function, method, input, output);
        self.machine
            .call(self.process, operation)
            .expect("the kernel runs")
    }

    fn finish(mut self) -> Report {
        let closed = self
            .machine
            .call(
                self.process,
                Operation::Close {
                    handle: self.handle,
                },
            )
            .expect("the kernel runs");
        assert_eq!(closed.status, 0);
        self.machine.finish().expect("the kernel runs")
    }
}

fn open(machine: &mut Machine, process: Process, path: &str) -> Reply {
    let operation = Operation::Open {
        path: path.to_owned(),
        access: READ_WRITE,
    };
    machine.call(process, operation).expect("the kernel runs")
}

#[track_caller]
fn assert_clean(report: &Report) {
    assert_eq!(report.bug_check, None);
    assert_eq!(report.violations, []);
    assert!(report.unloaded);
}

fn rules(report: &Report) -> Vec<&str> {
    report
        .violations
        .iter()
        .map(|violation| violation.rule.as_str())
        .collect()
}

#[test]
fn data_moves_in_every_way() {
    let mut open = Open::new();
    let reply = open.control(0, BUFFERED, &[0x00, 0x0f, 0xff], 8);
    assert_eq!((reply.status, reply.information), (0, 3));
    assert_eq!(
        reply.output,
        [0x55, 0x5a, 0xaa, 0, 0, 0, 0, 0],
        "nothing but what the driver says comes back"
    );
    let reply = open.control(1, OUT_DIRECT, &[], 5000);
    assert_eq!((reply.status, reply.information), (0, 5000));
    assert!(
        reply
            .output
            .iter()
            .enumerate()
            .all(|(n, byte)| usize::from(*byte) == n % 256)
    );
    let reply = open.control(2, NEITHER, &41_u32.to_le_bytes(), 4);
    assert_eq!(
        (reply.status, reply.output.as_slice()),
        (0, &42_u32.to_le_bytes()[..])
    );
    let reply = open.control(77, BUFFERED, &[1], 1);
    assert_eq!(reply.status, ntstatus::STATUS_INVALID_DEVICE_REQUEST);
    assert_clean(&open.finish());
}

#[test]
fn a_file_is_created_cleaned_up_and_closed_once() {
    let mut open = Open::new();
    let second = self::open(&mut open.machine, open.process, r"\\.\NtboxTest\below\it");
    let second = second.handle.expect("a handle");
    let close = Operation::Close { handle: second };
    assert_eq!(
        open.machine
            .call(open.process, close.clone())
            .expect("the kernel runs")
            .status,
        0
    );
    let again = open
        .machine
        .call(open.process, close)
        .expect("the kernel runs")
        .status;
    assert_eq!(again, ntstatus::STATUS_INVALID_HANDLE);
    let report = open.finish();
    assert_clean(&report);
    let log: Vec<&str> = report.shown().collect();
    assert_eq!(
        log,
        [
            "device: create '(null)' mode 1",
            r"device: create '\below\it' mode 1",
            "device: cleanup",
            "device: close",
            "device: cleanup",
            "device: close",
        ]
    );
}

#[test]
fn what_is_not_there_cannot_be_opened() {
    let mut open = Open::new();
    let reply = self::open(&mut open.machine, open.process, r"\\.\NtboxTost");
    assert_eq!(
        (reply.status, reply.handle),
        (ntstatus::STATUS_OBJECT_NAME_NOT_FOUND, None)
    );
    let reply = self::open(&mut open.machine, open.process, r"\Device");
    assert_eq!(reply.status, ntstatus::STATUS_OBJECT_TYPE_MISMATCH);
    let unknown = Operation::Control {
        handle: Handle(0x1234),
        code: code(0, 0),
        input: Vec::new(),
        output: Vec::new(),
    };
    let reply = open
        .machine
        .call(open.process, unknown)
        .expect("the kernel runs");
    assert_eq!(reply.status, ntstatus::STATUS_INVALID_HANDLE);
    assert_clean(&open.finish());
}

/// Addresses that the caller has not, or that are the system's, end in a status
/// and not in the driver, for the methods in which the I/O manager touches them.
#[test]
fn bad_addresses_do_not_reach_the_driver() {
    let mut open = Open::new();
    for (input, output, method) in [
        ((0x1000, 8), (0, 0), BUFFERED),
        ((0x0000_4100_0000_0000, 8), (0, 0), BUFFERED),
        ((0, 0), (0x0000_4100_0000_0000, 8), BUFFERED),
        ((0, 0), (u64::MAX - 3, 8), BUFFERED),
        ((0, 0), (0x1000, 8), OUT_DIRECT),
    ] {
        let function = u32::from(method == OUT_DIRECT);
        let operation = Operation::RawControl {
            handle: open.handle,
            code: code(function, method),
            input,
            output,
        };
        let reply = open
            .machine
            .call(open.process, operation)
            .expect("the kernel runs");
        assert_eq!(
            reply.status,
            ntstatus::STATUS_ACCESS_VIOLATION,
            "input {input:x?} output {output:x?}"
        );
    }
    assert_clean(&open.finish());
}

/// Without a handler in the driver, a bad pointer that it was handed unprobed
/// ends in an unhandled exception.
#[test]
fn a_driver_that_trusts_a_pointer_is_stopped() {
    let mut open = Open::new();
    let operation = Operation::RawControl {
        handle: open.handle,
        code: code(2, NEITHER),
        input: (0x1000, 4),
        output: (0x1000, 4),
    };
    let stopped = open.machine.call(open.process, operation);
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    let report = open.machine.finish().expect("the kernel runs");
    let bug_check = report.bug_check.expect("a bug check");
    let location = bug_check.location.expect("a place");
    assert_eq!(
        (location.module.as_str(), location.symbol.as_deref()),
        ("device.sys", Some("Control"))
    );
}

#[test]
fn a_waiting_request_can_be_cancelled() {
    let mut open = Open::new();
    let operation = open.operation(3, BUFFERED, &[], 4);
    let Progress::Pending(ticket) = open
        .machine
        .begin(open.process, operation)
        .expect("the kernel runs")
    else {
        panic!("the request ended at once");
    };
    // Others go on meanwhile.
    assert_eq!(open.control(0, BUFFERED, &[1], 1).status, 0);
    assert!(open.machine.cancel(ticket).expect("the kernel runs"));
    let reply = open.machine.wait_for(ticket).expect("the kernel runs");
    assert_eq!(reply.status, ntstatus::STATUS_CANCELLED);
    let report = open.finish();
    assert_clean(&report);
    assert!(
        report
            .shown()
            .any(|line| line == "device: cancelled at IRQL 0")
    );
}

/// The driver's timer is set to five seconds; nobody waits for them.
#[test]
fn a_timer_completes_a_request() {
    let mut open = Open::new();
    let reply = open.control(4, BUFFERED, &[], 4);
    assert_eq!(
        (reply.status, reply.output.as_slice()),
        (0, &2_u32.to_le_bytes()[..]),
        "completed at DISPATCH_LEVEL"
    );
    assert_clean(&open.finish());
}

#[test]
fn a_process_that_ends_leaves_nothing() {
    let mut open = Open::new();
    let operation = open.operation(3, BUFFERED, &[], 4);
    let pending = open
        .machine
        .begin(open.process, operation)
        .expect("the kernel runs");
    let Progress::Pending(ticket) = pending else {
        panic!("the request ended at once")
    };
    let mapped = open.control(9, BUFFERED, &[], 8);
    assert_eq!((mapped.status, mapped.information), (0, 8));
    assert!(open.machine.exit(open.process).expect("the kernel runs"));
    assert!(
        !open.machine.exit(open.process).expect("the kernel runs"),
        "a process ends once"
    );
    let reply = open.machine.wait_for(ticket).expect("the kernel runs");
    assert_eq!(reply.status, ntstatus::STATUS_CANCELLED);
    let report = open.machine.finish().expect("the kernel runs");
    assert_clean(&report);
    let log: Vec<&str> = report.shown().collect();
    assert!(
        log.iter()
            .any(|line| line.starts_with("device: unmapping in process ") && !line.ends_with(" 4")),
        "{log:?}"
    );
}

/// Memory of one process is not there for another.
#[test]
fn a_user_mapping_belongs_to_its_process() {
    let mut open = Open::new();
    let mapped = open.control(9, BUFFERED, &[], 8);
    let address = u64::from_le_bytes(mapped.output.try_into().expect("an address"));
    let raw = |handle, address| Operation::RawControl {
        handle,
        code: code(0, BUFFERED),
        input: (address, 4),
        output: (0, 0),
    };
    let own = open
        .machine
        .call(open.process, raw(open.handle, address))
        .expect("the kernel runs");
    assert_eq!(own.status, 0);
    let other = open.machine.process("other.exe").expect("a process");
    let handle = self::open(&mut open.machine, other, r"\\.\NtboxTest")
        .handle
        .expect("a handle");
    let foreign = open
        .machine
        .call(other, raw(handle, address))
        .expect("the kernel runs");
    assert_eq!(foreign.status, ntstatus::STATUS_ACCESS_VIOLATION);
}

#[test]
fn mistakes_of_a_dispatch_routine_are_named() {
    for (function, rule) in [
        (5, "information-too-large"),
        (6, "irp-not-completed"),
        (8, "irp-pending-not-marked"),
    ] {
        let mut open = Open::new();
        open.control(function, BUFFERED, &[], 4);
        let report = open.finish();
        assert_eq!(rules(&report), [rule]);
        assert_eq!(report.bug_check, None);
    }
}

#[test]
fn completing_twice_stops_the_kernel() {
    let mut open = Open::new();
    let operation = open.operation(7, BUFFERED, &[], 4);
    let stopped = open.machine.call(open.process, operation);
    assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
    let report = open.machine.finish().expect("the kernel runs");
    assert_eq!(report.bug_check.expect("a bug check").code, 0x44);
}
