//! Fails each call of each command of the device once, with the verifier on: the driver
//! does not start, or the request returns an error status, and nothing leaks.

use std::collections::BTreeMap;

use integration_tests::ntmem::{READ_WRITE, config};
use ntbox::{
    Error, Handle, Machine, Operation, Process, Progress, Report, Started, Verify, Violation,
};
use ntmem_ioctl::{
    BlocksRequest, Checksum, Command, ContextReply, DEVICE_LINK, ExchangeRequest, MapReply,
    MapRequest, ProbeRequest, ScenarioRequest, SendRequest, SignalRequest, UnmapRequest,
};
use zerocopy::{FromBytes, IntoBytes};

/// Room for every reply.
const ROOM: usize = 4096;
/// What is sent and copied.
const DATA: [u8; 300] = [0x5A; 300];

/// A program that asks the driver for something.
struct Program {
    machine: Machine,
    process: Process,
    handle: Handle,
    /// Of the requests, in order.
    statuses: Vec<u32>,
}

impl Program {
    fn call(&mut self, operation: Operation) -> Result<Vec<u8>, Error> {
        let reply = self.machine.call(self.process, operation)?;
        self.statuses.push(reply.status);
        Ok(reply.output)
    }

    fn control(&mut self, command: Command, input: &[u8], output: &[u8]) -> Result<Vec<u8>, Error> {
        self.call(Operation::Control {
            handle: self.handle,
            code: command.code(),
            input: input.to_vec(),
            output: output.to_vec(),
        })
    }

    /// Maps a view; its address, 0 if there is none.
    fn map(&mut self) -> Result<u64, Error> {
        let request = MapRequest {
            size: 0x1000,
            read_only: 0,
        };
        let output = self.control(
            Command::Map,
            request.as_bytes(),
            &[0; size_of::<MapReply>()],
        )?;
        Ok(MapReply::read_from_bytes(&output).map_or(0, |reply| reply.address))
    }

    /// Requests that wait, one that is woken and one that the handle's end cancels.
    fn wait(&mut self) -> Result<(), Error> {
        for _ in 0..2 {
            let operation = Operation::Control {
                handle: self.handle,
                code: Command::Wait.code(),
                input: Vec::new(),
                output: vec![0; size_of::<SignalRequest>()],
            };
            if let Progress::Done(reply) = self.machine.begin(self.process, operation)? {
                self.statuses.push(reply.status);
            }
        }
        let request = SignalRequest { number: 7 };
        self.control(Command::Signal, request.as_bytes(), &[0; ROOM])?;
        Ok(())
    }

    /// Everything that one command can do.
    fn ask(&mut self, command: Command) -> Result<(), Error> {
        let room = [0; ROOM];
        match command {
            Command::Wait | Command::Signal => self.wait()?,
            Command::Map => {
                self.map()?;
            }
            Command::Unmap => {
                let address = self.map()?;
                self.control(command, UnmapRequest { address }.as_bytes(), &[])?;
            }
            Command::Exchange => {
                let request = ExchangeRequest {
                    address: self.map()?,
                    offset: 8,
                    value: 1,
                };
                self.control(command, request.as_bytes(), &room)?;
            }
            Command::Send | Command::Receive => {
                let sum = Checksum::EMPTY.then(&DATA).number();
                self.control(Command::Send, SendRequest { sum }.as_bytes(), &DATA)?;
                self.control(Command::Receive, &[], &room)?;
            }
            Command::Copy | Command::Sum => {
                self.control(command, &DATA, &room)?;
            }
            Command::Probe => {
                let bytes = DATA.len() as u64;
                let allocated = Operation::Allocate { bytes };
                let address = self.machine.call(self.process, allocated)?.information;
                let request = ProbeRequest {
                    address,
                    len: bytes,
                    alignment: 4,
                    for_writing: 1,
                };
                self.control(command, request.as_bytes(), &room)?;
            }
            Command::Scenario => self.walk()?,
            Command::Blocks => {
                let context = self.control(Command::Context, &[], &room)?;
                let process =
                    ContextReply::read_from_prefix(&context).map_or(0, |(reply, _)| reply.process);
                let request = BlocksRequest {
                    process,
                    address: 0,
                };
                self.control(command, request.as_bytes(), &room)?;
            }
            _ => {
                self.control(command, &[], &room)?;
            }
        }
        Ok(())
    }

    /// The legal walks, with the second address in system space and in the process.
    fn walk(&mut self) -> Result<(), Error> {
        for (kind, target) in [(0, 0), (1, 0), (0, 1), (1, 1), (1, 2)] {
            let request = ScenarioRequest {
                kind,
                target,
                cache: 1,
                size: 0x2000,
            };
            self.control(Command::Scenario, request.as_bytes(), &[0; ROOM])?;
        }
        Ok(())
    }

    fn read_and_write(&mut self) -> Result<(), Error> {
        let handle = self.handle;
        self.call(Operation::Write {
            handle,
            offset: 4000,
            data: DATA.to_vec(),
        })?;
        self.call(Operation::Read {
            handle,
            offset: 0,
            length: 4300,
        })?;
        Ok(())
    }
}

/// What a program does with the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// It opens and closes it.
    Nothing,
    /// It asks for something.
    Ask(Command),
    /// It writes and reads.
    Transfer,
}

/// One run: what the requests ended in, and the report.
fn run(work: Work, fault: Option<(&str, u32)>) -> (Vec<u32>, Report) {
    let mut config = config().verify(Verify::Strict);
    if let Some((export, nth)) = fault {
        config = config.fault(export, nth);
    }
    let mut machine = Machine::boot(&config).expect("the driver boots");
    let started = machine.start().expect("the kernel runs");
    if started != Started::Status(0) {
        return (Vec::new(), machine.finish().expect("a report"));
    }
    let process = machine.process("app.exe").expect("a process");
    let open = Operation::Open {
        path: DEVICE_LINK.to_owned(),
        access: READ_WRITE,
    };
    let opened = match machine.call(process, open) {
        Ok(reply) => reply.handle.ok_or(reply.status),
        Err(_) => Err(0),
    };
    let handle = match opened {
        Ok(handle) => handle,
        Err(status) => return (vec![status], machine.finish().expect("a report")),
    };
    let mut program = Program {
        machine,
        process,
        handle,
        statuses: Vec::new(),
    };
    let done = match work {
        Work::Nothing => Ok(()),
        Work::Ask(command) => program.ask(command),
        Work::Transfer => program.read_and_write(),
    };
    let closed = done.and_then(|()| program.machine.call(process, Operation::Close { handle }));
    assert!(
        matches!(closed, Ok(_) | Err(Error::Stopped)),
        "{work:?}, {fault:?}: {closed:?}"
    );
    let report = program.machine.finish().expect("a report");
    (program.statuses, report)
}

/// What a run broke, but for what is its purpose: the proof of a walk reads the
/// second address again and again, also if that is one of the program's.
fn broken(work: Work, report: &Report) -> Vec<&Violation> {
    let on_purpose = |violation: &&Violation| {
        work == Work::Ask(Command::Scenario) && violation.rule == "double-fetch"
    };
    let all = report.violations.iter();
    all.filter(|violation| !on_purpose(violation)).collect()
}

/// How often each export was called that can fail.
fn calls(report: &Report) -> BTreeMap<&str, u32> {
    let can_fail = report.calls.iter().filter(|calls| calls.can_fail);
    can_fail
        .map(|calls| (calls.export.as_str(), calls.count))
        .collect()
}

/// Makes each call fail that this work adds to those of opening and closing; how
/// many there are.
fn sweep(work: Work) -> u32 {
    let (_, idle) = run(Work::Nothing, None);
    let (statuses, plain) = run(work, None);
    assert!(
        plain.unloaded && broken(work, &plain).is_empty(),
        "{work:?}:\n{}",
        plain.text()
    );
    assert!(
        statuses.iter().all(|status| status.cast_signed() >= 0),
        "{work:?}: {statuses:x?}"
    );
    let before = calls(&idle);
    let mut swept = 0;
    for (export, count) in calls(&plain) {
        let more = count - before.get(export).copied().unwrap_or(0).min(count);
        if more == 0 {
            continue;
        }
        // Which of them are the command's depends on how the driver ends: all are
        // made to fail.
        for nth in 1..=count {
            let (statuses, report) = run(work, Some((export, nth)));
            assert_eq!(
                (&report.bug_check, broken(work, &report)),
                (&None, Vec::new()),
                "{work:?}, {export}, call {nth}: {statuses:x?}\n{}",
                report.text()
            );
            let refused = report.entry_status.is_some_and(|status| status != 0);
            assert!(report.unloaded != refused, "{work:?}, {export}, call {nth}");
        }
        swept += more;
    }
    swept
}

#[test]
fn commands_survive_each_fault() {
    let mut swept = BTreeMap::new();
    for command in Command::ALL {
        swept.insert(command.name(), sweep(Work::Ask(*command)));
    }
    println!("calls of each command that failed: {swept:?}");
    // A sweep that finds nothing to fail shows nothing.
    for name in ["pool", "list", "lookaside", "scenario", "map", "send"] {
        assert!(swept[name] > 0, "{name}: {swept:?}");
    }
}

#[test]
fn read_and_write_survive_each_fault() {
    assert!(sweep(Work::Transfer) > 0);
}
