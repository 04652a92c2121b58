//! The control device `NtMem`: what programs can ask of the running driver.
//!
//! Each command of the protocol has a function here, which gets what it needs and
//! answers with plain data. `docs/driver.md` describes them one by one.

mod blocks;
mod commands;
mod contexts;
mod counts;
mod scenario;
mod store;
mod transfers;
mod views;

use ntmem_ioctl::{
    BlocksRequest, COPY_LIMIT, Command, ExchangeRequest, MapRequest, ProbeRequest, ScenarioRequest,
    SendRequest, SignalRequest, StatisticsReply, UnmapRequest, VIEW_LIMIT,
};
use wdm::{
    Error, Status,
    debug::Level,
    device::{ControlDevice, Device, DeviceNames},
    driver::Context,
    irp::{self, CancelSafeQueue, Completion, Direction, FileId, ProcessorMode},
    irql::Passive,
    pool::PoolTag,
    sync::SpinLock,
    system::Version,
    user_map::UserMappingTable,
    utf16,
};
use zerocopy::{Immutable, IntoBytes};

use self::{
    contexts::Entry,
    counts::{COUNTS, Counts, read, to_u64},
    store::Store,
};

use crate::{log::Scope, selftest, tags};

/// The device object's name and the name by which programs open it.
const NAMES: DeviceNames = DeviceNames {
    device: utf16!(r"\Device\NtMem"),
    link: utf16!(r"\DosDevices\NtMem"),
};

/// The device: what all its callers share.
pub struct NtMem {
    version: Version,
    counts: &'static Counts,
    /// Something for a command to lock.
    lock: SpinLock<()>,
    waiting: CancelSafeQueue,
    /// The level of the lines about steps.
    level: Level,
    /// Pages in programs, by the file that they were asked for through.
    views: UserMappingTable<VIEW_LIMIT>,
}

/// One open file.
pub struct File {
    counts: &'static Counts,
    /// Tells files apart.
    number: u64,
    /// What it keeps for its caller.
    store: Store,
}

/// A control request, and one to read or write, with the file that it is about.
type Request<'r> = irp::Request<'r, File>;
type ReadWriteRequest<'r> = irp::ReadWriteRequest<'r, File>;

impl Drop for File {
    fn drop(&mut self) {
        counts::add(&self.counts.closed);
    }
}

wdm::init! { context:
    /// Makes the device, and says so.
    pub fn create(
        context: &Context<'_>,
        scope: Scope,
        passive: &mut Passive,
    ) -> Result<ControlDevice<NtMem>, Status> {
        let failed = |error: Error| scope.failed("device", &error);
        contexts::note(Entry::Start, None, passive);
        let device = NtMem {
            version: context.version().map_err(failed)?,
            counts: &COUNTS,
            lock: SpinLock::new(()),
            waiting: CancelSafeQueue::new(tags::DEVICE).map_err(failed)?,
            level: scope.level(),
            views: UserMappingTable::new(tags::DEVICE, passive).map_err(failed)?,
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
}

impl Device for NtMem {
    const TAG: PoolTag = tags::DEVICE;
    type File = File;

    fn create(&self, requestor: ProcessorMode, passive: &mut Passive) -> Result<File, Status> {
        contexts::note(Entry::Create, Some(requestor), passive);
        let store = Store::new(&self.counts.stored)?;
        Ok(File {
            counts: self.counts,
            number: counts::add(&self.counts.opened),
            store,
        })
    }

    fn control<'r>(&self, request: Request<'r>, passive: &mut Passive) -> Completion<'r> {
        contexts::note(Entry::Control, Some(request.requestor()), passive);
        counts::add(&self.counts.requests);
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
            Command::Scenario => self.scenario(request, passive),
            Command::Map => self.map(request, passive),
            Command::Unmap => self.unmap(request, passive),
            Command::Exchange => self.exchange(request, passive),
            Command::Contexts => request.reply(&contexts::all(passive)),
            Command::Send => Self::send(request, passive),
            Command::Receive => Self::receive(request, passive),
            Command::Sum => Self::sum(request, passive),
            Command::Blocks => self.blocks(request, passive),
            Command::Pool => self.measure(request, || selftest::pool(passive)),
            Command::List => self.measure(request, || selftest::list(passive)),
            Command::Lookaside => self.measure(request, || selftest::lookaside(passive)),
            Command::Memory => self.measure(request, || selftest::memory(passive)),
            Command::Sync => self.measure(request, || selftest::sync(passive)),
            Command::Time => request.reply(&selftest::time(passive)),
            Command::Held => {
                let counts = self.statistics(passive);
                request.reply(&selftest::held(counts.open, counts.waiting))
            }
            Command::Probe => self.probe(request, passive),
        }
    }

    fn transfer<'r>(
        &self,
        transfer: ReadWriteRequest<'r>,
        passive: &mut Passive,
    ) -> Completion<'r> {
        let entry = match transfer.direction() {
            Direction::Read => Entry::Read,
            Direction::Write => Entry::Write,
        };
        contexts::note(entry, Some(transfer.requestor()), passive);
        Self::read_or_write(transfer, passive)
    }

    fn cleanup(&self, file: &File, id: FileId, passive: &mut Passive) {
        contexts::note(Entry::Cleanup, None, passive);
        self.end_waiting(id, passive);
        self.views.unmap_all(file.number, passive);
    }

    fn close(file: &File, passive: &mut Passive) {
        contexts::note(Entry::Close, None, passive);
        file.store.clear(passive);
    }
}

/// Whether a command takes so many bytes of input.
const fn takes(command: Command, len: usize) -> bool {
    match command {
        Command::Copy | Command::Sum => len <= COPY_LIMIT,
        Command::Signal => len == size_of::<SignalRequest>(),
        Command::Scenario => len == size_of::<ScenarioRequest>(),
        Command::Map => len == size_of::<MapRequest>(),
        Command::Unmap => len == size_of::<UnmapRequest>(),
        Command::Exchange => len == size_of::<ExchangeRequest>(),
        Command::Send => len == size_of::<SendRequest>(),
        Command::Version
        | Command::Context
        | Command::Statistics
        | Command::Irql
        | Command::Wait
        | Command::Contexts
        | Command::Receive
        | Command::Pool
        | Command::List
        | Command::Lookaside
        | Command::Memory
        | Command::Sync
        | Command::Time
        | Command::Held => len == 0,
        Command::Probe => len == size_of::<ProbeRequest>(),
        Command::Blocks => len == size_of::<BlocksRequest>(),
    }
}

impl NtMem {
    /// Answers with what a command measures, or with the status of what fails.
    /// Without room for the answer nothing is done.
    fn measure<'r, T: IntoBytes + Immutable>(
        &self,
        request: Request<'r>,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Completion<'r> {
        if request.output_len() < size_of::<T>() {
            return self.refuse(request, Status::BUFFER_TOO_SMALL);
        }
        match work() {
            Ok(reply) => request.reply(&reply),
            Err(error) => request.fail(error.status()),
        }
    }

    wdm::pageable! { passive:
        /// Probes memory of the caller.
        fn probe<'r>(&self, mut request: Request<'r>, passive: &Passive) -> Completion<'r> {
            let probed = request
                .input()
                .and_then(|input| selftest::probe(&input, passive));
            match probed {
                Ok(reply) => request.reply(&reply),
                Err(status) => self.refuse(request, status),
            }
        }
    }

    fn refuse<'r>(&self, request: Request<'r>, status: Status) -> Completion<'r> {
        counts::add(&self.counts.refused);
        request.fail(status)
    }

    /// Cancels all requests of a file that wait.
    fn end_waiting(&self, file: FileId, passive: &mut Passive) {
        while let Some(pended) = self.waiting.remove_next_of_file(file, passive) {
            drop(pended);
        }
    }

    /// Lets a request wait, if there will be room for the answer.
    fn wait<'r>(&self, request: Request<'r>) -> Completion<'r> {
        if request.output_len() < size_of::<SignalRequest>() {
            return self.refuse(request, Status::BUFFER_TOO_SMALL);
        }
        request.pend(&self.waiting)
    }

    wdm::pageable! { passive:
        /// Copies the caller's input to its output.
        fn copy<'r>(mut request: Request<'r>, passive: &Passive) -> Completion<'r> {
            let copied = request
                .neither()
                .and_then(|memory| commands::copy(memory, passive));
            match copied {
                Ok(()) => request.succeed(),
                Err(status) => request.fail(status),
            }
        }
    }

    wdm::pageable! { passive:
        fn signal<'r>(&self, mut request: Request<'r>, passive: &mut Passive) -> Completion<'r> {
            if request.output_len() < size_of::<ntmem_ioctl::SignalReply>() {
                return self.refuse(request, Status::BUFFER_TOO_SMALL);
            }
            let signal: SignalRequest = match request.input() {
                Ok(signal) => signal,
                Err(status) => return self.refuse(request, status),
            };
            let woken = self.waiting.take(passive);
            let reply = ntmem_ioctl::SignalReply {
                woken: u32::from(woken.is_some()),
            };
            if let Some(woken) = woken {
                woken.reply(&signal);
            }
            request.reply(&reply)
        }
    }

    wdm::pageable! { passive:
        fn statistics(&self, passive: &mut Passive) -> StatisticsReply {
            let counts = self.counts;
            let (views, view_bytes) = self.views.held(passive);
            let closed = read(&counts.closed);
            let opened = read(&counts.opened);
            StatisticsReply {
                opened,
                open: opened.saturating_sub(closed),
                requests: read(&counts.requests),
                refused: read(&counts.refused),
                waiting: to_u64(self.waiting.len(passive)),
                views: to_u64(views),
                view_bytes: to_u64(view_bytes),
                stored: read(&counts.stored),
            }
        }
    }
}
