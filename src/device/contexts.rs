//! Records the context of the last call of each entry point: process, thread, IRQL and
//! requestor mode. DriverEntry runs in the System process, a dispatch routine in its
//! caller's, `IRP_MJ_CLOSE` wherever the last reference is released.

use ntmem_ioctl::{ContextsReply, EntryContext};
use wdm::{
    irp::ProcessorMode,
    irql::{Dispatch, Irql},
    process,
    sync::SpinLock,
};

use super::counts::to_u64;

/// The entry points, in the order of `ntmem_ioctl::ENTRY_POINTS`.
#[derive(Clone, Copy)]
pub enum Entry {
    /// `DriverEntry`.
    Start,
    Create,
    Read,
    Write,
    Control,
    Cleanup,
    Close,
}

const NEVER: EntryContext = EntryContext {
    count: 0,
    process: 0,
    thread: 0,
    irql: 0,
    from_user: 0,
};

static CONTEXTS: SpinLock<ContextsReply> = SpinLock::new(ContextsReply {
    entries: [NEVER; ntmem_ioctl::ENTRY_POINTS.len()],
});

/// Records a call of an entry point, with the requestor mode of a request.
pub fn record(entry: Entry, requestor: Option<ProcessorMode>, irql: &mut Dispatch) {
    let now = EntryContext {
        count: 1,
        process: to_u64(process::current_process_id()),
        thread: to_u64(process::current_thread_id()),
        irql: Irql::current().level().into(),
        from_user: u32::from(requestor == Some(ProcessorMode::User)),
    };
    CONTEXTS.with(irql, |contexts, _| {
        if let Some(place) = contexts.entries.get_mut(entry as usize) {
            *place = EntryContext {
                count: place.count.saturating_add(1),
                ..now
            };
        }
    });
}

/// A copy of the records.
pub fn snapshot(irql: &mut Dispatch) -> ContextsReply {
    CONTEXTS.with(irql, |contexts, _| *contexts)
}
