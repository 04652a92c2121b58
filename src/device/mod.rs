//! The control device `NtMem`: what programs can ask of the running driver.
//!
//! Each command of the protocol has a function here, which gets what it needs and
//! answers with plain data. `docs/driver.md` describes them one by one.

mod commands;
mod walk;

use core::sync::atomic::{AtomicU64, Ordering};

use protocol::{COPY_LIMIT, Command, SignalRequest, StatisticsReply, WalkRequest};
use wdm::{
    Error, Status,
    debug::Level,
    device::{ControlDevice, Device, Names},
    driver::Context,
    irp::{Answer, PendingQueue, Request},
    irql::Passive,
    pool::PoolTag,
    sync::SpinLock,
    system::Version,
    utf16,
};

use crate::{report::Scope, tags};

/// The device object's name and the name by which programs open it.
const NAMES: Names = Names {
    device: utf16!(r"\Device\NtMem"),
    link: utf16!(r"\DosDevices\NtMem"),
};

/// The device: what all its callers share.
pub struct NtMem {
    version: Version,
    counts: &'static Counts,
    /// Something for a command to lock.
    lock: SpinLock<()>,
    waiting: PendingQueue,
    /// The level of the lines about steps.
    level: Level,
}

/// What is counted; outside of the device, because files outlive it.
#[derive(Default)]
struct Counts {
    opened: AtomicU64,
    closed: AtomicU64,
    requests: AtomicU64,
    refused: AtomicU64,
}

static COUNTS: Counts = Counts {
    opened: AtomicU64::new(0),
    closed: AtomicU64::new(0),
    requests: AtomicU64::new(0),
    refused: AtomicU64::new(0),
};

impl Counts {
    fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// One open file.
pub struct File {
    counts: &'static Counts,
}

impl Drop for File {
    fn drop(&mut self) {
        Counts::add(&self.counts.closed);
    }
}

/// Makes the device, and says so.
pub fn create(
    context: &Context<'_>,
    scope: Scope,
    passive: &mut Passive,
) -> Result<ControlDevice<NtMem>, Status> {
    let failed = |error: Error| scope.failed("device", &error);
    let device = NtMem {
        version: context.version().map_err(failed)?,
        counts: &COUNTS,
        lock: SpinLock::new(()),
        waiting: PendingQueue::new(tags::DEVICE).map_err(failed)?,
        level: scope.level(),
    };
    let device = ControlDevice::create(context, NAMES, device, passive).map_err(failed)?;
    step!(
        scope,
        "device object=\"{}\" link=\"{}\"",
        NAMES.device,
        NAMES.link
    );
    Ok(device)
}

impl Device for NtMem {
    const TAG: PoolTag = tags::DEVICE;
    type File = File;

    fn create(&self, _: &mut Passive) -> Result<File, Status> {
        Counts::add(&self.counts.opened);
        Ok(File {
            counts: self.counts,
        })
    }

    fn control<'r>(&self, _: &File, request: Request<'r>, passive: &mut Passive) -> Answer<'r> {
        Counts::add(&self.counts.requests);
        let Some(command) = Command::from_code(request.code().raw()) else {
            return self.refuse(request, Status::INVALID_DEVICE_REQUEST);
        };
        if !takes(command, request.input_len()) {
            return self.refuse(request, Status::INFO_LENGTH_MISMATCH);
        }
        match command {
            Command::Version => request.reply(&commands::version(self.version)),
            Command::Context => {
                let reply = commands::context(request.requestor());
                request.reply(&reply)
            }
            Command::Statistics => request.reply(&self.statistics(passive)),
            Command::Irql => request.reply(&commands::irql(&self.lock, passive)),
            Command::Wait => self.wait(request),
            Command::Signal => self.signal(request, passive),
            Command::Copy => Self::copy(request, passive),
            Command::Walk => self.walk(request, passive),
        }
    }
}

/// Whether a command takes so many bytes of input.
const fn takes(command: Command, len: usize) -> bool {
    match command {
        Command::Copy => len <= COPY_LIMIT,
        Command::Signal => len == size_of::<SignalRequest>(),
        Command::Walk => len == size_of::<WalkRequest>(),
        Command::Version
        | Command::Context
        | Command::Statistics
        | Command::Irql
        | Command::Wait => len == 0,
    }
}

impl NtMem {
    fn refuse<'r>(&self, request: Request<'r>, status: Status) -> Answer<'r> {
        Counts::add(&self.counts.refused);
        request.fail(status)
    }

    /// Lets a request wait, if there will be room for the answer.
    fn wait<'r>(&self, request: Request<'r>) -> Answer<'r> {
        if request.output_len() < size_of::<SignalRequest>() {
            return self.refuse(request, Status::BUFFER_TOO_SMALL);
        }
        request.pend(&self.waiting)
    }

    /// Copies the caller's input to its output.
    fn copy<'r>(mut request: Request<'r>, passive: &Passive) -> Answer<'r> {
        let copied = request
            .neither()
            .and_then(|memory| commands::copy(memory, passive));
        match copied {
            Ok(written) => request.succeed(written),
            Err(status) => request.fail(status),
        }
    }

    fn signal<'r>(&self, mut request: Request<'r>, passive: &mut Passive) -> Answer<'r> {
        if request.output_len() < size_of::<protocol::SignalReply>() {
            return self.refuse(request, Status::BUFFER_TOO_SMALL);
        }
        let signal: SignalRequest = match request.input() {
            Ok(signal) => signal,
            Err(status) => return self.refuse(request, status),
        };
        let woken = self.waiting.take(passive);
        let reply = protocol::SignalReply {
            woken: u32::from(woken.is_some()),
        };
        if let Some(woken) = woken {
            woken.reply(&signal);
        }
        request.reply(&reply)
    }

    fn statistics(&self, passive: &mut Passive) -> StatisticsReply {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counts = self.counts;
        let closed = read(&counts.closed);
        let opened = read(&counts.opened);
        StatisticsReply {
            opened,
            open: opened.saturating_sub(closed),
            requests: read(&counts.requests),
            refused: read(&counts.refused),
            waiting: u64::try_from(self.waiting.len(passive)).unwrap_or(u64::MAX),
        }
    }
}
