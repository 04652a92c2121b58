//! A driver with a device, and client processes that have it open.

use ntbox::{Config, Handle, Machine, Operation, Process, Reply, Report, Started};

use crate::images;

/// `GENERIC_READ | GENERIC_WRITE`.
const READ_WRITE: u32 = 0xc000_0000;

/// A test driver that has started.
pub struct Device {
    /// Its kernel.
    pub machine: Machine,
    link: &'static str,
}

/// A process that has a device open.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// The process.
    pub process: Process,
    /// Its handle.
    pub handle: Handle,
}

impl Device {
    /// Starts a driver whose device programs open as `link`.
    ///
    /// # Panics
    /// If the driver does not start.
    #[must_use]
    pub fn start(driver: &str, link: &'static str) -> Self {
        let config = Config::new(images::driver(driver));
        let mut machine = Machine::boot(&config).expect("the driver boots");
        let started = machine.start().expect("the kernel runs");
        assert_eq!(started, Started::Status(0));
        Self { machine, link }
    }

    /// A new process that opens the device.
    ///
    /// # Panics
    /// If it may not.
    pub fn client(&mut self, name: &str) -> Client {
        let process = self.machine.process(name).expect("a process");
        let reply = self.open(process, self.link);
        let handle = reply.handle.expect("the device opens");
        Client { process, handle }
    }

    /// Opens `path` to read and write.
    ///
    /// # Panics
    /// If the kernel does not survive it.
    pub fn open(&mut self, process: Process, path: &str) -> Reply {
        let operation = Operation::Open {
            path: path.to_owned(),
            access: READ_WRITE,
        };
        self.call(process, operation)
    }

    /// Carries out a request to its end.
    ///
    /// # Panics
    /// If the kernel does not survive it.
    pub fn call(&mut self, process: Process, operation: Operation) -> Reply {
        self.machine
            .call(process, operation)
            .expect("the kernel runs")
    }

    /// Memory of a process with `data` in it: its address.
    ///
    /// # Panics
    /// Without memory.
    pub fn memory(&mut self, process: Process, data: &[u8]) -> u64 {
        let bytes = data.len() as u64;
        let allocated = self.call(process, Operation::Allocate { bytes });
        assert_eq!(allocated.status, 0);
        let (address, data) = (allocated.information, data.to_vec());
        assert_eq!(
            self.call(process, Operation::Store { address, data })
                .status,
            0
        );
        address
    }

    /// Unloads the driver.
    ///
    /// # Panics
    /// If the kernel process fails.
    #[must_use]
    pub fn finish(self) -> Report {
        self.machine.finish().expect("the kernel runs")
    }
}

/// The driver was unloaded, and broke no rule.
///
/// # Panics
/// If that is not so.
#[track_caller]
pub fn assert_clean(report: &Report) {
    assert_eq!(report.bug_check, None);
    assert_eq!(report.violations, []);
    assert!(report.unloaded);
}
