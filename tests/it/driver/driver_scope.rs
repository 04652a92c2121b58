//! The scope of a `wdm` driver: resources that `tests/wdm-misuse-driver` does not release
//! are released before the image is unloaded, and values dropped at a raised IRQL later.

use integration_tests::images;
use ntbox::{
    Config, Handle, Machine, Operation, Process, Progress, RegValue, Report, Started, Verify,
};

/// A machine with the driver, which makes one of its attempts as it starts.
fn start(number: u32) -> (Machine, Started) {
    let config = Config::new(images::wdm_misuse_driver())
        .parameter("Attempt", RegValue::Dword(number))
        .verify(Verify::Overruns);
    let mut machine = Machine::boot(&config).expect("the driver boots");
    let started = machine.start().expect("it runs");
    (machine, started)
}

/// Ends the driver: nothing was found.
#[track_caller]
fn finish(machine: Machine) -> Report {
    let report = machine.finish().expect("it runs");
    assert_eq!(report.bug_check, None);
    assert_eq!(report.violations, []);
    report
}

/// What the driver said.
fn texts(report: &Report) -> Vec<&str> {
    report.log.iter().map(|line| line.text.as_str()).collect()
}

fn open(machine: &mut Machine, process: Process, path: &str) -> Result<Handle, u32> {
    let operation = Operation::Open {
        path: path.to_owned(),
        access: 0xc000_0000,
    };
    let reply = machine.call(process, operation).expect("it runs");
    reply.handle.ok_or(reply.status)
}

fn control(handle: Handle, code: u32) -> Operation {
    Operation::Control {
        handle,
        code,
        input: Vec::new(),
        output: Vec::new(),
    }
}

/// Makes the attempts, all of which end in the same way: a program's end is told to
/// the observer, and before the image goes device and observer go, in this order.
#[track_caller]
fn assert_undone(number: u32) {
    let (mut machine, started) = start(number);
    assert_eq!(started, Started::Status(0));
    let process = machine.process("app.exe").expect("a process");
    open(&mut machine, process, r"\\.\Attempt").expect("the device opens");
    machine.exit(process).expect("it runs");
    let report = finish(machine);
    assert!(report.unloaded);
    let said = texts(&report);
    assert_eq!(said.first(), Some(&"a process ends"));
    for goes in ["the device goes", "the observer goes"] {
        let count = said.iter().filter(|&&text| text == goes).count();
        assert_eq!(count, 1, "{goes}: {said:?}");
    }
}

#[test]
fn object_forgotten_is_released_before_unload() {
    assert_undone(20);
}

#[test]
fn object_dropped_under_spin_lock_is_released_before_unload() {
    assert_undone(21);
}

#[test]
fn object_dropped_at_raised_irql_is_released_before_unload() {
    assert_undone(22);
}

#[test]
fn object_in_static_is_released_before_unload() {
    assert_undone(23);
}

#[test]
fn object_in_static_is_released_when_driver_entry_fails() {
    let (machine, started) = start(24);
    assert_eq!(
        started,
        Started::Status(nt_status::STATUS_INVALID_PARAMETER)
    );
    let report = finish(machine);
    let mut said = texts(&report);
    said.sort_unstable();
    assert_eq!(said, ["the device goes", "the observer goes"]);
}

/// A request by its number among those of the attempt.
const fn code(number: u32) -> u32 {
    0x22_2000 + 4 * number
}

/// A program that asks the driver to drop things.
struct Program {
    machine: Machine,
    process: Process,
    handle: Handle,
}

impl Program {
    fn new() -> Self {
        let (mut machine, started) = start(30);
        assert_eq!(started, Started::Status(0));
        let process = machine.process("app.exe").expect("a process");
        let handle = open(&mut machine, process, r"\\.\Attempt").expect("the device opens");
        Self {
            machine,
            process,
            handle,
        }
    }

    /// Makes a request, which succeeds.
    #[track_caller]
    fn call(&mut self, number: u32) {
        let operation = control(self.handle, code(number));
        let reply = self.machine.call(self.process, operation);
        assert_eq!(reply.expect("it runs").status, 0, "request {number}");
    }

    fn end(mut self) -> Report {
        self.machine.exit(self.process).expect("it runs");
        let report = finish(self.machine);
        assert!(report.unloaded);
        report
    }
}

/// Drops something at `DISPATCH_LEVEL`, in the request with this number, and asks
/// before and after how much pool is held: as much. What the driver says in between.
#[track_caller]
fn dropped(number: u32) -> Vec<String> {
    let mut program = Program::new();
    for request in [0, number, 0] {
        program.call(request);
    }
    let report = program.end();
    let said = texts(&report);
    let held: Vec<_> = said
        .iter()
        .filter(|text| text.starts_with("holds"))
        .collect();
    assert_eq!(held.len(), 2, "{said:?}");
    assert_eq!(held[0], held[1], "{said:?}");
    let last = said.iter().rposition(|text| text.starts_with("holds"));
    let between = &said[1..last.expect("found above")];
    between.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn paged_box_dropped_at_dispatch_level_is_freed_by_next_request() {
    assert_eq!(dropped(1), ["box dropped at 0"]);
}

#[test]
fn paged_array_dropped_at_dispatch_level_is_freed_by_next_request() {
    assert_eq!(dropped(2), ["array dropped at 0"]);
}

#[test]
fn paged_lookaside_list_dropped_at_dispatch_level_is_deleted_by_next_request() {
    assert_eq!(dropped(3), [""; 0]);
}

#[test]
fn paged_block_dropped_at_dispatch_level_is_freed_by_next_request() {
    assert_eq!(dropped(4), [""; 0]);
}

#[test]
fn key_dropped_at_dispatch_level_is_closed_by_next_request() {
    assert_eq!(dropped(5), [""; 0]);
}

#[test]
fn process_notify_dropped_at_dispatch_level_is_unregistered_by_next_request() {
    assert_eq!(dropped(6), ["watch dropped at 0"]);
}

#[test]
fn user_mappings_dropped_at_dispatch_level_are_unmapped_by_next_request() {
    let mut program = Program::new();
    for request in [0, 7, 8, 0] {
        program.call(request);
    }
    let report = program.end();
    let mut said = texts(&report);
    said.retain(|text| text.starts_with("holds"));
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[0], said[1]);
}

#[test]
fn user_mappings_dropped_at_dispatch_level_are_unmapped_at_process_exit() {
    let mut program = Program::new();
    for request in [7, 8] {
        program.call(request);
    }
    program.end();
}

#[test]
fn queue_dropped_at_dispatch_level_is_cancelled_by_next_request() {
    let mut program = Program::new();
    let waits = control(program.handle, code(9));
    let Ok(Progress::Pending(ticket)) = program.machine.begin(program.process, waits) else {
        panic!("the request does not wait");
    };
    program.call(10);
    program.call(0);
    let reply = program.machine.wait_for(ticket).expect("it runs");
    assert_eq!(reply.status, nt_status::STATUS_CANCELLED);
    program.end();
}

#[test]
fn device_dropped_at_dispatch_level_refuses_requests_and_is_deleted_by_next_request() {
    let mut program = Program::new();
    let other = open(&mut program.machine, program.process, r"\\.\Other").expect("it opens");
    program.call(11);
    // This one is refused, and has the device deleted as it comes.
    let reply = program
        .machine
        .call(program.process, control(other, code(0)))
        .expect("it runs");
    assert_eq!(reply.status, nt_status::STATUS_DELETE_PENDING);
    let gone = open(&mut program.machine, program.process, r"\\.\Other");
    assert_eq!(gone, Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND));
    let report = program.end();
    assert_eq!(texts(&report), ["device dropped at 0"]);
}

#[test]
fn locked_list_and_rundown_in_paged_box_work() {
    let (machine, started) = start(31);
    assert_eq!(started, Started::Status(0));
    let report = finish(machine);
    assert_eq!(
        texts(&report),
        [
            "from the list: 7",
            "acquired: true",
            "acquired after the end: false"
        ]
    );
}
