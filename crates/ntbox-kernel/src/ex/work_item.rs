//! `ExQueueWorkItem`: queues a work item, a structure of the driver's, for a system
//! thread.
//!
//! The list entry in a `WORK_QUEUE_ITEM` says whether it is queued: its first
//! link is NULL while it is not. `IO_WORKITEM` begins with the same structure.

use std::collections::BTreeMap;

use nt_layout::WorkQueueItem;
use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::kernel_cell::KernelCell;

use super::worker;
use super::worker::QueuedWork;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::ke::object;

/// Items that are queued, and the routine of each.
static QUEUED: KernelCell<BTreeMap<u64, u64>> = KernelCell::new(BTreeMap::new());

fn with<T>(work: impl FnOnce(&mut BTreeMap<u64, u64>) -> T) -> T {
    work(&mut QUEUED.lock())
}

/// The routine of an item that is queued.
pub fn queued(item: u64) -> Option<u64> {
    with(|items| items.get(&item).copied())
}

/// Queues an item; its list entry says so from now on.
///
/// # Errors
/// A bug check for one that is queued already, and for a queue that there is not.
pub fn enqueue(job: QueuedWork, kind: u32, function: &str) -> Result<(), NoReturn> {
    let item = job.item;
    if driver_mem::read_u64(item)? != 0 {
        let why = if queued(item).is_some() {
            "is queued"
        } else {
            "was not initialised, or is damaged: its list entry is not empty"
        };
        return Err(NoReturn::bug_check(
            0xe4,
            [1, item, u64::from(kind), 0],
            format!(
                "{function} was given the work item at {item:#018x}, which {why} (WORKER_INVALID)"
            ),
        ));
    }
    worker::queue(job, kind, function)?;
    object::initialize_list(item)?;
    with(|items| items.insert(item, job.routine));
    Ok(())
}

/// An item was taken off its queue: it may be queued again, or freed.
pub fn dequeued(item: u64) {
    with(|items| items.remove(&item));
    // Its memory was there when it was queued, and freeing it is a bug check.
    let _ = driver_mem::write_u64(item, 0);
}

/// Refuses to free pool in which a queued item lies.
///
/// # Errors
/// `WORKER_INVALID`.
pub fn check_freed(va: u64, size: u64) -> Result<(), NoReturn> {
    let inside = with(|items| {
        items
            .range(va..va.saturating_add(size))
            .next()
            .map(|(item, _)| *item)
    });
    match inside {
        None => Ok(()),
        Some(item) => Err(NoReturn::bug_check(
            0xe4,
            [0, item, va, va.saturating_add(size)],
            format!(
                "pool at {va:#018x}, {size} bytes, was freed with a queued work item in it, at {item:#018x} (WORKER_INVALID)"
            ),
        )),
    }
}

exports! {
    /// `ExQueueWorkItem`.
    fn ExQueueWorkItem<call>(item: u64, kind: u32) -> () [max DISPATCH_LEVEL, wdm] {
        let fields: DriverPtr<WorkQueueItem> = DriverPtr::new(item);
        let routine = fields.get(|item| &item.worker_routine)?;
        let parameter = fields.get(|item| &item.parameter)?;
        let caller = call.return_address();
        let job = QueuedWork { item, routine, arguments: [parameter, 0, 0], object: 0, caller };
        enqueue(job, kind, "ExQueueWorkItem")
    }
}
