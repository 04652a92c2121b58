//! Soundness of `wdm`: `tests/wdm-misuse-driver` misuses the interface in safe code, and
//! the kernel reports nothing.

use integration_tests::images;
use ntbox::{
    Config, Handle, Machine, Operation, Process, Progress, RegValue, Reply, Report, Started,
    Ticket, Verify,
};

/// `GENERIC_READ | GENERIC_WRITE`.
const READ_WRITE: u32 = 0xc000_0000;

/// The driver, about to make one of its attempts.
struct Attempt {
    machine: Machine,
    process: Process,
}

impl Attempt {
    fn new(number: u32) -> Self {
        let config = Config::new(images::wdm_misuse_driver())
            .parameter("Attempt", RegValue::Dword(number))
            .verify(Verify::Overruns);
        let mut machine = Machine::boot(&config).expect("the driver boots");
        assert_eq!(machine.start().expect("it runs"), Started::Status(0));
        let process = machine.process("app.exe").expect("a process");
        Self { machine, process }
    }

    fn open(&mut self, path: &str) -> Handle {
        let operation = Operation::Open {
            path: path.to_owned(),
            access: READ_WRITE,
        };
        let reply = self.machine.call(self.process, operation);
        reply.expect("it runs").handle.expect("the device opens")
    }

    /// Begins a request, which waits.
    fn begin(&mut self, handle: Handle, code: u32) -> Ticket {
        match self.machine.begin(self.process, control(handle, code)) {
            Ok(Progress::Pending(ticket)) => ticket,
            other => panic!("the request does not wait: {other:?}"),
        }
    }

    /// The status of a request that does not wait.
    fn call(&mut self, handle: Handle, code: u32) -> u32 {
        self.ask(control(handle, code)).status
    }

    /// The end of a request that does not wait.
    fn ask(&mut self, operation: Operation) -> Reply {
        let reply = self.machine.call(self.process, operation);
        reply.expect("it runs")
    }

    fn wait_for(&mut self, ticket: Ticket) -> u32 {
        self.machine.wait_for(ticket).expect("it runs").status
    }

    /// Ends the program and the driver: nothing was found.
    #[track_caller]
    fn end(mut self) -> Report {
        self.machine.exit(self.process).expect("it runs");
        let report = self.machine.finish().expect("it runs");
        assert_eq!(report.bug_check, None);
        assert_eq!(report.violations, []);
        assert!(report.unloaded);
        report
    }
}

fn control(handle: Handle, code: u32) -> Operation {
    Operation::Control {
        handle,
        code,
        input: Vec::new(),
        output: Vec::new(),
    }
}

/// What the driver said.
fn texts(report: &Report) -> Vec<&str> {
    report.log.iter().map(|line| line.text.as_str()).collect()
}

#[test]
fn rundown_reference_refused_is_not_released() {
    const HOLD: u32 = 0x22_2000;
    const WAIT: u32 = 0x22_2004;
    const LATE: u32 = 0x22_2008;
    let mut attempt = Attempt::new(1);
    let handle = attempt.open(r"\\.\Attempt");
    let holder = attempt.begin(handle, HOLD);
    let waiter = attempt.begin(handle, WAIT);
    assert_eq!(attempt.call(handle, LATE), 0);
    assert_eq!(attempt.wait_for(holder), 0);
    assert_eq!(attempt.wait_for(waiter), 0);
    let report = attempt.end();
    assert_eq!(
        texts(&report),
        [
            "holder: true",
            "late: false",
            "holder lets go",
            "nobody holds it"
        ]
    );
}

#[test]
fn device_deleted_stays_until_its_request_completes() {
    const ANY: u32 = 0x22_2000;
    let mut attempt = Attempt::new(2);
    let first = attempt.open(r"\\.\Going");
    let second = attempt.open(r"\\.\Going");
    let staying = attempt.open(r"\\.\Attempt");
    let waits = attempt.begin(first, ANY);
    let deletes = attempt.begin(staying, ANY);
    assert_eq!(
        attempt.call(second, ANY),
        nt_status::STATUS_DELETE_PENDING,
        "a device that goes takes no request"
    );
    assert_eq!(attempt.wait_for(waits), 0);
    assert_eq!(attempt.wait_for(deletes), 0);
    let report = attempt.end();
    assert_eq!(
        texts(&report),
        ["the device is there: true", "the device goes"]
    );
}

/// A request of attempt 3 with room for 4,000 bytes.
fn ask(attempt: &mut Attempt, handle: Handle, code: u32) -> Reply {
    attempt.ask(Operation::Control {
        handle,
        code,
        input: vec![1, 2, 3, 4],
        output: vec![0; 4000],
    })
}

#[test]
fn buffered_request_returns_only_bytes_it_wrote() {
    const ALL: u32 = 0x22_2000;
    const NOTHING: u32 = 0x22_2004;
    const LESS: u32 = 0x22_2008;
    let mut attempt = Attempt::new(3);
    let handle = attempt.open(r"\\.\Attempt");
    let reply = ask(&mut attempt, handle, ALL);
    assert_eq!((reply.status, reply.information), (0, 4000));
    assert!(reply.output.iter().all(|byte| *byte == 0x41));
    let reply = ask(&mut attempt, handle, NOTHING);
    assert_eq!((reply.status, reply.information), (0, 0));
    assert!(reply.output.iter().all(|byte| *byte == 0), "nothing comes");
    let reply = ask(&mut attempt, handle, LESS);
    assert_eq!((reply.status, reply.information), (0, 7));
    assert_eq!(reply.output[..8], *b"BBBCCCC\0");
    attempt.end();
}

#[test]
fn request_completed_with_pending_status_becomes_unsuccessful() {
    const PENDING: u32 = 0x22_200c;
    let mut attempt = Attempt::new(3);
    let handle = attempt.open(r"\\.\Attempt");
    let reply = ask(&mut attempt, handle, PENDING);
    assert_eq!(reply.status, nt_status::STATUS_UNSUCCESSFUL);
    attempt.end();
}

#[test]
fn request_memory_taken_twice_is_refused() {
    const NEITHER: u32 = 0x22_201b;
    const OUT_DIRECT: u32 = 0x22_201e;
    let mut attempt = Attempt::new(3);
    let handle = attempt.open(r"\\.\Attempt");
    for code in [NEITHER, OUT_DIRECT] {
        let reply = ask(&mut attempt, handle, code);
        assert_eq!(reply.status, nt_status::STATUS_INVALID_DEVICE_STATE);
    }
    attempt.end();
}

#[test]
fn request_pended_after_cleanup_is_cancelled() {
    const LATE: u32 = 0x22_2010;
    const GO: u32 = 0x22_2014;
    let mut attempt = Attempt::new(3);
    let file = attempt.open(r"\\.\Attempt");
    let other = attempt.open(r"\\.\Attempt");
    let late = attempt.begin(file, LATE);
    let closed = attempt.ask(Operation::Close { handle: file });
    assert_eq!(closed.status, 0);
    assert_eq!(attempt.call(other, GO), 0);
    assert_eq!(
        attempt.wait_for(late),
        nt_status::STATUS_CANCELLED,
        "nobody looks for requests of the file any more"
    );
    attempt.end();
}

#[test]
fn overaligned_values_are_aligned() {
    let report = Attempt::new(4).end();
    assert_eq!(texts(&report), ["21, lookaside refused: true"]);
}

#[test]
fn remove_lock_with_two_removers_lets_one_remove() {
    const LATE: u32 = 0x22_2000;
    const AT_ONCE: u32 = 0x22_2004;
    let mut attempt = Attempt::new(5);
    let handle = attempt.open(r"\\.\Attempt");
    let late = attempt.begin(handle, LATE);
    let first = attempt.begin(handle, AT_ONCE);
    assert_eq!(attempt.wait_for(late), nt_status::STATUS_DELETE_PENDING);
    assert_eq!(attempt.wait_for(first), 0, "it waited for the other only");
    assert_eq!(
        attempt.call(handle, AT_ONCE),
        nt_status::STATUS_DELETE_PENDING
    );
    assert_eq!(texts(&attempt.end()), ["also removes"]);
}
