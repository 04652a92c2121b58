//! A file object used after its request was pended, completed by another thread and
//! closed. The request holds the reference on Windows, so the access is an error.

use integration_tests::device::assert_clean;
use integration_tests::images;
use ntbox::{
    Config, Error, Handle, Machine, Operation, Process, Progress, Report, Started, Ticket, Verify,
};

const PEND_AND_LOOK: u32 = 0;
const LOOK_AND_PEND: u32 = 1;
const COMPLETE: u32 = 2;
const GO: u32 = 3;
/// `GENERIC_READ | GENERIC_WRITE`.
const READ_WRITE: u32 = 0xc000_0000;

/// The driver and a program.
struct Running {
    machine: Machine,
    process: Process,
}

impl Running {
    fn new() -> Self {
        let config = Config::new(images::driver("file_object_lifetime")).verify(Verify::Overruns);
        let mut machine = Machine::boot(&config).expect("the driver boots");
        assert_eq!(machine.start().expect("it runs"), Started::Status(0));
        let process = machine.process("app.exe").expect("a process");
        Self { machine, process }
    }

    fn open(&mut self) -> Handle {
        let operation = Operation::Open {
            path: r"\\.\FileGone".to_owned(),
            access: READ_WRITE,
        };
        let reply = self.machine.call(self.process, operation);
        reply.expect("it runs").handle.expect("the device opens")
    }

    fn control(handle: Handle, function: u32) -> Operation {
        Operation::Control {
            handle,
            code: 0x8000 << 16 | (0x800 + function) << 2,
            input: Vec::new(),
            output: Vec::new(),
        }
    }

    fn call(&mut self, operation: Operation) {
        let reply = self.machine.call(self.process, operation);
        assert_eq!(reply.expect("it runs").status, 0);
    }

    /// Begins a request whose dispatch routine goes on after it is pending, and has
    /// its file closed meanwhile.
    fn close_meanwhile(&mut self, function: u32) -> (Ticket, Handle) {
        let (file, other) = (self.open(), self.open());
        let ticket = match self
            .machine
            .begin(self.process, Self::control(file, function))
        {
            Ok(Progress::Pending(ticket)) => ticket,
            other => panic!("the request does not wait: {other:?}"),
        };
        self.call(Operation::Close { handle: file });
        self.call(Self::control(other, COMPLETE));
        (ticket, other)
    }

    fn finish(self) -> Report {
        self.machine.finish().expect("it runs")
    }
}

fn texts(report: &Report) -> Vec<&str> {
    report.log.iter().map(|line| line.text.as_str()).collect()
}

#[test]
fn file_used_after_pending_stops_with_0xd5() {
    let mut running = Running::new();
    let (_, other) = running.close_meanwhile(PEND_AND_LOOK);
    let go = Running::control(other, GO);
    // The routine goes on as soon as the event is set, before or after the answer.
    if let Ok(reply) = running.machine.call(running.process, go) {
        assert_eq!(reply.status, 0);
        let ended = running.machine.exit(running.process);
        assert!(matches!(ended, Err(Error::Stopped)), "{ended:?}");
    }
    let report = running.finish();
    let stop = report.bug_check.as_ref().expect("the block is freed");
    assert_eq!(stop.code, 0xd5, "{stop:?}");
    assert_eq!(texts(&report), ["file: closed"]);
}

#[test]
fn file_used_before_pending_is_valid() {
    let mut running = Running::new();
    let (ticket, other) = running.close_meanwhile(LOOK_AND_PEND);
    running.call(Running::control(other, GO));
    let reply = running.machine.wait_for(ticket).expect("it runs");
    assert_eq!(reply.status, 0);
    running.call(Operation::Close { handle: other });
    let report = running.finish();
    assert_clean(&report);
    assert_eq!(
        texts(&report),
        [
            "file: closed",
            "file: the file had its mark: 1",
            "file: closed"
        ]
    );
}
