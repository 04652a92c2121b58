//! `ntmem.sys` on the embedded kernel, with a client process that has its device open.

use ntbox::{Config, Handle, Machine, Operation, Process, Progress, RegValue, Reply, Report};
use ntbox::{Started, Ticket};
use ntmem_ioctl::{Command, DEVICE_LINK, SignalReply, SignalRequest};
use zerocopy::{FromBytes, IntoBytes};

use crate::images;

/// `GENERIC_READ | GENERIC_WRITE`.
pub const READ_WRITE: u32 = 0xC000_0000;

/// The driver, started, and a process that has its device open.
#[derive(Debug)]
pub struct Open {
    /// The kernel.
    pub machine: Machine,
    /// The process.
    pub process: Process,
    /// Its handle.
    pub handle: Handle,
}

impl Default for Open {
    fn default() -> Self {
        Self::new()
    }
}

impl Open {
    /// The driver, without scenarios of its own.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn new() -> Self {
        Self::with(&config())
    }

    /// The driver with this configuration.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn with(config: &Config) -> Self {
        let mut machine = Machine::boot(config).expect("the driver boots");
        assert_eq!(
            machine.start().expect("the kernel runs"),
            Started::Status(0)
        );
        let process = machine.process("app.exe").expect("a process");
        let handle = open(&mut machine, process, READ_WRITE)
            .handle
            .expect("a handle");
        Self {
            machine,
            process,
            handle,
        }
    }

    /// Carries out a request in the process.
    ///
    /// # Panics
    /// If the kernel stops.
    pub fn call(&mut self, operation: Operation) -> Reply {
        self.machine
            .call(self.process, operation)
            .expect("the kernel runs")
    }

    /// A control request on the handle.
    #[must_use]
    pub fn operation(&self, code: u32, input: &[u8], output: usize) -> Operation {
        Operation::Control {
            handle: self.handle,
            code,
            input: input.to_vec(),
            output: vec![0xEE; output],
        }
    }

    /// Sends a command with this input and room for so much output.
    pub fn control(&mut self, command: Command, input: &[u8], output: usize) -> Reply {
        let operation = self.operation(command.code(), input, output);
        self.call(operation)
    }

    /// A command that has to succeed.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn ask<T: FromBytes>(&mut self, command: Command, input: &[u8]) -> T {
        let reply = self.control(command, input, size_of::<T>());
        assert_eq!(reply.status, 0, "{command:?}");
        assert_eq!(reply.information, size_of::<T>() as u64, "{command:?}");
        T::read_from_bytes(&reply.output).expect("a reply of this size")
    }

    /// Sends a `wait`, which waits.
    ///
    /// # Panics
    /// If it does not.
    pub fn wait(&mut self) -> Ticket {
        let operation = self.operation(Command::Wait.code(), &[], size_of::<SignalRequest>());
        match self.machine.begin(self.process, operation) {
            Ok(Progress::Pending(ticket)) => ticket,
            other => panic!("the request does not wait: {other:?}"),
        }
    }

    /// Sends a `signal`; returns how many it woke.
    pub fn signal(&mut self, number: u64) -> u32 {
        let request = SignalRequest { number };
        self.ask::<SignalReply>(Command::Signal, request.as_bytes())
            .woken
    }

    /// Closes the handle.
    ///
    /// # Panics
    /// If that fails.
    pub fn close(&mut self) {
        let handle = self.handle;
        assert_eq!(self.call(Operation::Close { handle }).status, 0);
    }

    /// Closes the handle and unloads the driver, which must have left nothing.
    ///
    /// # Panics
    /// If it has.
    pub fn finish(mut self) {
        self.close();
        assert_clean(&self.machine.finish().expect("the kernel runs"));
    }
}

/// The driver, without scenarios of its own.
#[must_use]
pub fn config() -> Config {
    Config::new(images::ntmem()).parameter("Scenario", RegValue::Sz("none".into()))
}

/// Opens the device.
///
/// # Panics
/// If the kernel stops.
pub fn open(machine: &mut Machine, process: Process, access: u32) -> Reply {
    let operation = Operation::Open {
        path: DEVICE_LINK.to_owned(),
        access,
    };
    machine.call(process, operation).expect("the kernel runs")
}

/// The driver was unloaded and broke no rule.
///
/// # Panics
/// If not.
#[track_caller]
pub fn assert_clean(report: &Report) {
    assert_eq!(report.bug_check, None);
    assert_eq!(report.violations, []);
    assert!(report.unloaded);
}
