//! The end of a request: what happens when an IRP has come back up to where it
//! was made.

use nt_layout::{FileObject, Irp};
use ntbox_api::rules;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::APC_LEVEL;
use ntbox_host::hook::Hook;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::memory_map::is_system;
use rustc_hash::FxHashMap;

use super::irp::IrpOwner;
use super::uninitialized_output::OutputRequest;
use super::write_status_block;
use super::{irp, transfer, uninitialized_output};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::{diag, export_table, thread_table};
use crate::ke::{apc, object, sched, wait};
use crate::mm::pool::PoolKind;
use crate::mm::{pool, process_address_space};
use crate::ob;

/// `NT_ERROR`: the status says that the request failed; a warning does not.
fn is_error(status: u32) -> bool {
    status >> 30 == 3
}

/// The result of a request on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedRequest {
    /// Final status.
    pub status: u32,
    /// `IoStatus.Information`.
    pub information: u64,
    /// Whether a driver had marked it pending.
    pub pending_returned: bool,
}

/// What completion signals besides the waiting thread: I/O status block, event, APC.
#[derive(Debug, Clone, Copy, Default)]
pub struct CompletionTarget {
    /// Address of an `IO_STATUS_BLOCK`; 0 for none.
    pub block: u64,
    /// An event object, referenced for this; 0 for none.
    pub event: u64,
    /// The file object, referenced for this, whose own event is set if there is
    /// no other; 0 for none.
    pub file: u64,
    /// What is called in the thread that asked.
    pub apc: Apc,
}

/// A routine that the end of a request calls as an APC.
#[derive(Debug, Clone, Copy, Default)]
pub struct Apc {
    /// The routine; 0 for none.
    pub routine: u64,
    /// Its first argument.
    pub context: u64,
    /// The thread.
    pub thread: u64,
    /// Processor mode of the one who asked.
    pub mode: u8,
}

impl CompletedRequest {
    /// What the sender of a request sees that did not return `STATUS_PENDING`: the
    /// value that the dispatch routine returned, and of the status block only what
    /// was written there.
    #[must_use]
    pub fn seen_with(self, returned: u32) -> Self {
        let written = !is_error(self.status) || self.pending_returned;
        Self {
            status: returned,
            information: if written { self.information } else { 0 },
            ..self
        }
    }
}

impl Apc {
    /// Queues it, with the status block as its second argument.
    fn queue(self, block: u64) -> Result<(), Fault> {
        /// Bytes of a KAPC.
        const SIZE: u64 = 0x58;
        /// `CurrentApcEnvironment`.
        const CURRENT: u32 = 2;
        if self.routine == 0 {
            return Ok(());
        }
        let Some(apc) = pool::allocate(PoolKind::NonPaged, SIZE, u32::from_le_bytes(*b"Irp "))
        else {
            return Ok(());
        };
        let routines = apc::Routines {
            kernel: export_table::resolve("IopRequestApcDelivered").unwrap_or(0),
            rundown: 0,
            normal: self.routine,
            context: self.context,
        };
        apc::initialize(apc, self.thread, CURRENT, self.mode, &routines)?;
        if !apc::insert(apc, block, 0)? {
            pool::free(apc);
        }
        Ok(())
    }
}

exports! {
    /// The kernel routine of a request's APC: its memory is not needed any more. No
    /// driver imports it.
    fn IopRequestApcDelivered(apc: u64) -> () [max APC_LEVEL, undocumented "a routine inside this kernel"] {
        pool::free(apc);
        Ok(())
    }
}

impl CompletionTarget {
    /// Gives the references back.
    pub fn give_back(self, caller: &CallContext<'_>) {
        for object in [self.event, self.file] {
            if object != 0 {
                ob::dereference(object, caller);
            }
        }
    }

    /// Tells of the end. The memory seen is that of the process that asked.
    fn tell(self, outcome: &CompletedRequest) -> Result<(), Fault> {
        // An error that came back at once is the caller's from the status alone.
        if is_error(outcome.status) && !outcome.pending_returned {
            return Ok(());
        }
        if self.block != 0 {
            let written = write_status_block(self.block, outcome.status, outcome.information);
            // A program's block may be gone by now, which is its own business.
            if is_system(self.block) {
                written?;
            }
        }
        let event = match (self.event, self.file) {
            (0, 0) => return self.apc.queue(self.block),
            (0, file) => DriverPtr::<FileObject>::new(file)
                .at(|file| &file.event)
                .address(),
            (event, _) => event,
        };
        object::set_state(event, 1)?;
        wait::signal(event)?;
        self.apc.queue(self.block)
    }
}

/// A request on a file whose IRP is pending.
#[derive(Debug, Clone, Copy)]
struct PendingRequest {
    id: u64,
    /// Bytes that the caller has room for.
    output_length: u32,
    subject: OutputRequest,
    notify: CompletionTarget,
    /// Whether nobody waits for its outcome.
    detached: bool,
}

#[derive(Default)]
struct PendingRequests {
    next: u64,
    underway: FxHashMap<u64, PendingRequest>,
    done: FxHashMap<u64, CompletedRequest>,
}

static STATE: KernelCell<Option<PendingRequests>> = KernelCell::new(None);

fn with<T>(work: impl FnOnce(&mut PendingRequests) -> T) -> T {
    work(STATE.lock().get_or_insert_default())
}

/// Notes that an IRP carries a request of a file; returns the request's number.
pub fn begin(irp: u64, output_length: u32, notify: CompletionTarget) -> Result<u64, Fault> {
    let subject = OutputRequest::of(irp, irp::next_location(irp)?)?;
    Ok(with(|state| {
        state.next += 1;
        let id = state.next;
        let underway = PendingRequest {
            id,
            output_length,
            subject,
            notify,
            detached: false,
        };
        state.underway.insert(irp, underway);
        id
    }))
}

/// Says that nobody will ask for the outcome of a request.
pub fn detach(id: u64) {
    with(|state| {
        state.done.remove(&id);
        for underway in state.underway.values_mut().filter(|one| one.id == id) {
            underway.detached = true;
        }
    });
}

/// Takes the outcome of a request that has ended.
pub fn take(id: u64) -> Option<CompletedRequest> {
    with(|state| state.done.remove(&id))
}

/// IRPs of requests that have not ended and were sent by a thread.
pub fn underway_of(thread: u64) -> Vec<u64> {
    let packets: Vec<u64> = with(|state| state.underway.keys().copied().collect());
    packets
        .into_iter()
        .filter(|irp| DriverPtr::<Irp>::new(*irp).get(|irp| &irp.thread) == Ok(thread))
        .collect()
}

/// Waits until an IRP of a file has come to its end.
pub fn wait_for_end(irp: u64) {
    while let Some(id) = with(|state| state.underway.get(&irp).map(|one| one.id)) {
        sched::park(key(id), None);
    }
}

/// What a thread that waits for a request is parked on.
pub fn key(id: u64) -> u64 {
    0xffff_ff00_0000_0000 | id
}

/// Waits for the outcome of a request.
pub fn wait_for(id: u64) -> CompletedRequest {
    loop {
        if let Some(outcome) = take(id) {
            return outcome;
        }
        sched::park(key(id), None);
    }
}

/// Finishes an IRP.
type FinishIrp = fn(u64, &CallContext<'_>) -> Result<(), NoReturn>;

/// Finishes an IRP of `PoRequestPowerIrp`.
pub static FINISH_POWER_IRP: Hook<FinishIrp> = Hook::new();

/// Ends an IRP that has passed its last stack location.
pub fn finish(irp: u64, owner: Option<IrpOwner>, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    match owner {
        Some(IrpOwner::File) => finish_file(irp, caller),
        Some(IrpOwner::Built | IrpOwner::Asynchronous) => finish_built(irp, caller),
        Some(IrpOwner::Power) => (FINISH_POWER_IRP.get())(irp, caller),
        Some(IrpOwner::Associated) => finish_associated(irp, caller),
        Some(IrpOwner::Driver | IrpOwner::Initialized) | None => {
            let what = format!(
                "the IRP at {irp:#018x} of a driver completed to the end; its completion routine must return STATUS_MORE_PROCESSING_REQUIRED"
            );
            diag::violation(rules::IRP_NOT_RECLAIMED, what, caller.address());
            Ok(())
        }
    }
}

fn finish_file(irp: u64, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let irp = DriverPtr::<Irp>::new(irp);
    let Some(underway) = with(|state| state.underway.remove(&irp.address())) else {
        return Err(NoReturn::bug_check(
            0x44,
            [irp.address(), 0, 0, 0],
            format!("the IRP at {irp:#018x} was completed before"),
        ));
    };
    // Output goes to the process that asked, whoever completes.
    let thread = irp.get(|irp| &irp.thread)?;
    let process = thread_table::thread(thread)
        .map_or_else(thread_table::system_process, |thread| thread.process);
    let seen = process_address_space::see(process);
    let room = underway.output_length;
    let checked =
        uninitialized_output::check(irp.address(), room, underway.subject, caller.address());
    let copied = checked.and_then(|()| transfer::copy_back(irp.address(), Some(room)));
    let told = copied.and_then(|(status, too_much)| {
        let outcome = CompletedRequest {
            status,
            information: irp.get(|irp| &irp.io_status.information)?,
            pending_returned: irp.get(|irp| &irp.pending_returned)? != 0,
        };
        underway.notify.tell(&outcome)?;
        Ok((outcome, too_much))
    });
    process_address_space::see(seen);
    let (outcome, too_much) = told?;
    if let Some(bytes) = too_much {
        let what = format!(
            "request completed with {bytes} bytes of output (IoStatus.Information), maximum is {}; Windows would copy all of them, and with them the memory behind the system buffer",
            underway.output_length
        );
        diag::violation(
            rules::IRP_INFORMATION_EXCEEDS_BUFFER,
            what,
            caller.address(),
        );
    }
    transfer::release(irp.address(), caller.address())?;
    irp::free(irp.address(), caller.address())?;
    if !underway.detached {
        with(|state| state.done.insert(underway.id, outcome));
    }
    underway.notify.give_back(caller);
    sched::wake(key(underway.id));
    Ok(())
}

/// One part of a master IRP has ended: with the last one the master does.
fn finish_associated(irp: u64, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let master = DriverPtr::<Irp>::new(irp).get(|irp| &irp.system_buffer)?;
    transfer::release(irp, caller.address())?;
    irp::free(irp, caller.address())?;
    // `AssociatedIrp.IrpCount` of the master.
    let count = DriverPtr::<Irp>::new(master)
        .at(|irp| &irp.system_buffer)
        .cast::<u32>();
    let remaining = count.read()?.wrapping_sub(1);
    count.write(remaining)?;
    if remaining == 0 {
        irp::complete(master, caller)?;
    }
    Ok(())
}

/// An IRP that `IoBuildDeviceIoControlRequest`, `IoBuildSynchronousFsdRequest` or
/// `IoBuildAsynchronousFsdRequest` made: everything is freed, the status block is
/// filled and the event set. An error that came back at once is the sender's from
/// `IoCallDriver` alone: neither happens.
fn finish_built(irp: u64, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let irp = DriverPtr::<Irp>::new(irp);
    let (status, _) = transfer::copy_back(irp.address(), None)?;
    let information = irp.get(|irp| &irp.io_status.information)?;
    let block = irp.get(|irp| &irp.user_iosb)?;
    let event = irp.get(|irp| &irp.user_event)?;
    let pending_returned = irp.get(|irp| &irp.pending_returned)? != 0;
    transfer::release(irp.address(), caller.address())?;
    irp::free(irp.address(), caller.address())?;
    if is_error(status) && !pending_returned {
        return Ok(());
    }
    if block != 0 {
        write_status_block(block, status, information)?;
    }
    if event != 0 {
        object::set_state(event, 1)?;
        wait::signal(event)?;
    }
    Ok(())
}
