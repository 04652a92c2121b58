//! Requests from user mode: a device is opened by its link, data moves by each method,
//! requests pend, are cancelled and end with their process, and mistakes are reported.

use integration_tests::device::{Client, Device, assert_clean};
use ntbox::{Error, Handle, Operation, Progress, Reply, Report, Ticket};

/// `FILE_DEVICE_UNKNOWN` is not in it: the driver numbers its codes itself.
const DEVICE_TYPE: u32 = 0x8000;
const BUFFERED: u32 = 0;
const OUT_DIRECT: u32 = 2;
const NEITHER: u32 = 3;
/// The name that programs know the driver's device by.
const LINK: &str = r"\\.\NtboxTest";

/// The driver, started, with one process that has its device open.
struct Open {
    device: Device,
    client: Client,
}

fn code(function: u32, method: u32) -> u32 {
    DEVICE_TYPE << 16 | (0x800 + function) << 2 | method
}

impl Open {
    fn new() -> Self {
        let mut device = Device::start("control_device", LINK);
        let client = device.client("app.exe");
        Self { device, client }
    }

    fn operation(&self, function: u32, method: u32, input: &[u8], output: usize) -> Operation {
        Operation::Control {
            handle: self.client.handle,
            code: code(function, method),
            input: input.to_vec(),
            output: vec![0; output],
        }
    }

    fn control(&mut self, function: u32, method: u32, input: &[u8], output: usize) -> Reply {
        let operation = self.operation(function, method, input, output);
        self.call(operation)
    }

    fn call(&mut self, operation: Operation) -> Reply {
        self.device.call(self.client.process, operation)
    }

    /// A request that waits.
    fn pending(&mut self, operation: Operation) -> Ticket {
        match self.device.machine.begin(self.client.process, operation) {
            Ok(Progress::Pending(ticket)) => ticket,
            other => panic!("the request does not wait: {other:?}"),
        }
    }

    fn wait_for(&mut self, ticket: Ticket) -> Reply {
        self.device
            .machine
            .wait_for(ticket)
            .expect("the kernel runs")
    }

    /// Makes a request that stops the kernel; gives the report of it.
    fn stopped_by(mut self, operation: Operation) -> Report {
        let stopped = self.device.machine.call(self.client.process, operation);
        assert!(matches!(stopped, Err(Error::Stopped)), "{stopped:?}");
        self.device.finish()
    }

    fn finish(mut self) -> Report {
        let handle = self.client.handle;
        assert_eq!(self.call(Operation::Close { handle }).status, 0);
        self.device.finish()
    }
}

fn rules(report: &Report) -> Vec<&str> {
    report
        .violations
        .iter()
        .map(|violation| violation.rule.as_str())
        .collect()
}

#[test]
fn device_control_moves_data_by_each_method() {
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
    assert_eq!(reply.status, nt_status::STATUS_INVALID_DEVICE_REQUEST);
    assert_clean(&open.finish());
}

#[test]
fn file_gets_one_create_cleanup_and_close() {
    let mut open = Open::new();
    let second = open
        .device
        .open(open.client.process, r"\\.\NtboxTest\below\it");
    let second = second.handle.expect("a handle");
    let close = Operation::Close { handle: second };
    assert_eq!(open.call(close.clone()).status, 0);
    assert_eq!(open.call(close).status, nt_status::STATUS_INVALID_HANDLE);
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
fn open_of_missing_device_fails() {
    let mut open = Open::new();
    let reply = open.device.open(open.client.process, r"\\.\NtboxTost");
    assert_eq!(
        (reply.status, reply.handle),
        (nt_status::STATUS_OBJECT_NAME_NOT_FOUND, None)
    );
    let reply = open.device.open(open.client.process, r"\Device");
    assert_eq!(reply.status, nt_status::STATUS_OBJECT_TYPE_MISMATCH);
    let unknown = Operation::Control {
        handle: Handle(0x1234),
        code: code(0, 0),
        input: Vec::new(),
        output: Vec::new(),
    };
    let reply = open.call(unknown);
    assert_eq!(reply.status, nt_status::STATUS_INVALID_HANDLE);
    assert_clean(&open.finish());
}

/// Addresses that the caller has not, or that are the system's, end in a status
/// and not in the driver, for the methods in which the I/O manager touches them.
#[test]
fn request_with_invalid_address_fails_before_the_driver() {
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
            handle: open.client.handle,
            code: code(function, method),
            input,
            output,
        };
        let reply = open.call(operation);
        assert_eq!(
            reply.status,
            nt_status::STATUS_ACCESS_VIOLATION,
            "input {input:x?} output {output:x?}"
        );
    }
    assert_clean(&open.finish());
}

/// Without a handler in the driver, a bad pointer that it was handed unprobed
/// ends in an unhandled exception.
#[test]
fn unprobed_pointer_stops_at_the_dispatch_routine() {
    let open = Open::new();
    let operation = Operation::RawControl {
        handle: open.client.handle,
        code: code(2, NEITHER),
        input: (0x1000, 4),
        output: (0x1000, 4),
    };
    let report = open.stopped_by(operation);
    let bug_check = report.bug_check.expect("a bug check");
    let location = bug_check.location.expect("a place");
    assert_eq!(
        (location.module.as_str(), location.symbol.as_deref()),
        ("control_device.sys", Some("Control"))
    );
}

#[test]
fn pending_request_cancelled_calls_the_cancel_routine() {
    let mut open = Open::new();
    let operation = open.operation(3, BUFFERED, &[], 4);
    let ticket = open.pending(operation);
    // Others go on meanwhile.
    assert_eq!(open.control(0, BUFFERED, &[1], 1).status, 0);
    let cancelled = open.device.machine.cancel(ticket);
    assert!(cancelled.expect("the kernel runs"));
    let reply = open.wait_for(ticket);
    assert_eq!(reply.status, nt_status::STATUS_CANCELLED);
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
fn pending_request_is_completed_by_timer() {
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
fn process_exit_cancels_and_unmaps() {
    let mut open = Open::new();
    let operation = open.operation(3, BUFFERED, &[], 4);
    let ticket = open.pending(operation);
    let mapped = open.control(9, BUFFERED, &[], 8);
    assert_eq!((mapped.status, mapped.information), (0, 8));
    let process = open.client.process;
    let first = open.device.machine.exit(process);
    assert!(first.expect("the kernel runs"));
    let second = open.device.machine.exit(process);
    assert!(!second.expect("the kernel runs"), "a process ends once");
    assert_eq!(open.wait_for(ticket).status, nt_status::STATUS_CANCELLED);
    let report = open.device.finish();
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
fn user_mapping_is_not_visible_to_other_process() {
    let mut open = Open::new();
    let mapped = open.control(9, BUFFERED, &[], 8);
    let address = u64::from_le_bytes(mapped.output.try_into().expect("an address"));
    let raw = |handle, address| Operation::RawControl {
        handle,
        code: code(0, BUFFERED),
        input: (address, 4),
        output: (0, 0),
    };
    let own = open.call(raw(open.client.handle, address));
    assert_eq!(own.status, 0);
    let other = open.device.client("other.exe");
    let foreign = open.device.call(other.process, raw(other.handle, address));
    assert_eq!(foreign.status, nt_status::STATUS_ACCESS_VIOLATION);
}

#[test]
fn dispatch_routine_mistake_reports_its_rule() {
    for (function, rule) in [
        (5, "irp-information-exceeds-buffer"),
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
fn irp_completed_twice_stops_with_0x44() {
    let open = Open::new();
    let operation = open.operation(7, BUFFERED, &[], 4);
    let report = open.stopped_by(operation);
    assert_eq!(report.bug_check.expect("a bug check").code, 0x44);
}
