//! The control device `NtMem` and its commands. Each command has a function, which
//! takes its arguments and returns plain data.

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

/// The names of the device object and its symbolic link.
const NAMES: DeviceNames = DeviceNames {
    device: utf16!(r"\Device\NtMem"),
    link: utf16!(r"\DosDevices\NtMem"),
};

/// The device state, shared by all requests.
pub struct NtMem {
    version: Version,
    counts: &'static Counts,
    /// The lock of the command `irql`.
    lock: SpinLock<()>,
    pending: CancelSafeQueue,
    /// The level of the lines that log steps.
    level: Level,
    /// Mappings in programs, owned by files.
    views: UserMappingTable<VIEW_LIMIT>,
}

/// One open file.
pub struct File {
    counts: &'static Counts,
    /// Identifies the file.
    number: u64,
    /// The file's data.
    store: Store,
}

/// A control request, and one to read or write, with the file that it is about.
type Request<'r> = irp::Request<'r, File>;
type ReadWriteRequest<'r> = irp::ReadWriteRequest<'r, File>;

impl Drop for File {
    fn drop(&mut self) {
        counts::increment(&self.counts.closed);
    }
}

wdm::init! { context:
    /// Creates the device and logs its names.
    pub fn create(
        context: &Context<'_>,
        scope: Scope,
        passive: &mut Passive,
    ) -> Result<ControlDevice<NtMem>, Status> {
        let failed = |error: Error| scope.failed("device", &error);
        contexts::record(Entry::Start, None, passive);
        let device = NtMem {
            version: context.version().map_err(failed)?,
            counts: &COUNTS,
            lock: SpinLock::new(()),
            pending: CancelSafeQueue::new(tags::DEVICE).map_err(failed)?,
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
        contexts::record(Entry::Create, Some(requestor), passive);
        let store = Store::new(&self.counts.stored)?;
        Ok(File {
            counts: self.counts,
            number: counts::increment(&self.counts.opened),
            store,
        })
    }

    fn control<'r>(&self, request: Request<'r>, passive: &mut Passive) -> Completion<'r> {
        contexts::record(Entry::Control, Some(request.requestor()), passive);
        counts::increment(&self.counts.requests);
        let Some(command) = Command::from_code(request.code().raw()) else {
            return self.reject(request, Status::INVALID_DEVICE_REQUEST);
        };
        if !accepts_input(command, request.input_len()) {
            return self.reject(request, Status::INFO_LENGTH_MISMATCH);
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
            Command::Contexts => request.reply(&contexts::snapshot(passive)),
            Command::Send => Self::send(request, passive),
            Command::Receive => Self::receive(request, passive),
            Command::Sum => Self::sum(request, passive),
            Command::Blocks => self.blocks(request, passive),
            Command::Pool => self.complete_selftest(request, || selftest::pool(passive)),
            Command::List => self.complete_selftest(request, || selftest::list(passive)),
            Command::Lookaside => self.complete_selftest(request, || selftest::lookaside(passive)),
            Command::Memory => self.complete_selftest(request, || selftest::memory(passive)),
            Command::Sync => self.complete_selftest(request, || selftest::sync(passive)),
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
        contexts::record(entry, Some(transfer.requestor()), passive);
        Self::read_or_write(transfer, passive)
    }

    fn cleanup(&self, file: &File, id: FileId, passive: &mut Passive) {
        contexts::record(Entry::Cleanup, None, passive);
        self.cancel_pending(id, passive);
        self.views.unmap_all(file.number, passive);
    }

    fn close(file: &File, passive: &mut Passive) {
        contexts::record(Entry::Close, None, passive);
        file.store.clear(passive);
    }
}

/// Whether a command accepts an input of this length.
const fn accepts_input(command: Command, len: usize) -> bool {
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
    /// Runs a self-test and completes the request with its reply or status. Does
    /// nothing if the output buffer is too small.
    fn complete_selftest<'r, T: IntoBytes + Immutable>(
        &self,
        request: Request<'r>,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Completion<'r> {
        if request.output_len() < size_of::<T>() {
            return self.reject(request, Status::BUFFER_TOO_SMALL);
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
                Err(status) => self.reject(request, status),
            }
        }
    }

    fn reject<'r>(&self, request: Request<'r>, status: Status) -> Completion<'r> {
        counts::increment(&self.counts.refused);
        request.fail(status)
    }

    /// Cancels the pending requests of a file.
    fn cancel_pending(&self, file: FileId, passive: &mut Passive) {
        while let Some(pended) = self.pending.remove_next_of_file(file, passive) {
            drop(pended);
        }
    }

    /// Marks a request pending if the reply will fit.
    fn wait<'r>(&self, request: Request<'r>) -> Completion<'r> {
        if request.output_len() < size_of::<SignalRequest>() {
            return self.reject(request, Status::BUFFER_TOO_SMALL);
        }
        request.pend(&self.pending)
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
                return self.reject(request, Status::BUFFER_TOO_SMALL);
            }
            let signal: SignalRequest = match request.input() {
                Ok(signal) => signal,
                Err(status) => return self.reject(request, status),
            };
            let woken = self.pending.remove_next(passive);
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
            let (views, view_bytes) = self.views.usage(passive);
            let closed = read(&counts.closed);
            let opened = read(&counts.opened);
            StatisticsReply {
                opened,
                open: opened.saturating_sub(closed),
                requests: read(&counts.requests),
                refused: read(&counts.refused),
                waiting: to_u64(self.pending.len(passive)),
                views: to_u64(views),
                view_bytes: to_u64(view_bytes),
                stored: read(&counts.stored),
            }
        }
    }
}
