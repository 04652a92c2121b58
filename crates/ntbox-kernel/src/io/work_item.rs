//! Work items of the I/O manager: a system thread calls the driver, and the
//! device or driver object that the item belongs to stays for as long.

use std::collections::BTreeMap;

use nt_layout::IoWorkitem;
use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, HIGH_LEVEL};
use ntbox_host::gate::{Call, NoReturn};
use ntbox_host::kernel_cell::KernelCell;

use crate::base::diag;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::leak_check::Leak;
use crate::ex::work_item;
use crate::ex::worker::QueuedWork;
use crate::mm::lent;
use crate::ob;
use crate::ob::Type;

/// Pool tag of allocated items.
const TAG: u32 = u32::from_le_bytes(*b"IoWI");

/// A work item that is allocated or initialised.
#[derive(Debug, Clone, Copy)]
pub struct WorkItemRecord {
    /// Whether `IoAllocateWorkItem` allocated it; otherwise its memory is the driver's.
    pub allocated: bool,
    /// Who made it.
    pub caller: u64,
}

static ITEMS: KernelCell<BTreeMap<u64, WorkItemRecord>> = KernelCell::new(BTreeMap::new());

fn with<T>(work: impl FnOnce(&mut BTreeMap<u64, WorkItemRecord>) -> T) -> T {
    work(&mut ITEMS.lock())
}

/// Items that are not freed or uninitialised.
pub fn leaks() -> Vec<Leak> {
    let leak = |(item, known): (&u64, &WorkItemRecord)| {
        let end = if known.allocated {
            "freed"
        } else {
            "uninitialized"
        };
        let message = format!("the work item at {item:#018x} is not {end}");
        Leak::new(rules::WORK_ITEM_LEAK, message, known.caller)
    };
    with(|items| items.iter().map(leak).collect())
}

fn initialize(item: u64, object: u64, allocated: bool, caller: u64) -> Result<(), Fault> {
    driver_mem::fill(item, 0, DriverPtr::<IoWorkitem>::SIZE)?;
    DriverPtr::<IoWorkitem>::new(item).set(|item| &item.io_object, object)?;
    with(|items| items.insert(item, WorkItemRecord { allocated, caller }));
    Ok(())
}

/// The end of an item: it must exist, be of the right origin, and not be queued.
fn end(item: u64, allocated: bool, function: &str) -> Result<(), NoReturn> {
    if let Some(routine) = work_item::queued(item) {
        return Err(NoReturn::bug_check(
            0xe4,
            [2, item, routine, 0],
            format!(
                "{function} was given the work item at {item:#018x}, which is queued (WORKER_INVALID)"
            ),
        ));
    }
    let known = with(|items| items.remove(&item));
    if known.is_none_or(|known| known.allocated != allocated) {
        let maker = if allocated {
            "IoAllocateWorkItem"
        } else {
            "IoInitializeWorkItem"
        };
        return Err(NoReturn::bug_check(
            0xe4,
            [3, item, 0, 0],
            format!(
                "{function} was given {item:#018x}, which is no work item of {maker} (WORKER_INVALID)"
            ),
        ));
    }
    Ok(())
}

/// Queues an item; `extended` routines get it as their third argument.
fn enqueue(call: &Call<'_>, function: &str, extended: bool) -> Result<(), NoReturn> {
    let (item, routine) = (call.argument(0)?, call.argument(1)?);
    let kind = u32::try_from(call.argument(2)? & 0xffff_ffff).unwrap_or(u32::MAX);
    let context = call.argument(3)?;
    let caller = call.return_address();
    if with(|items| !items.contains_key(&item)) {
        return Err(NoReturn::bug_check(
            0xe4,
            [3, item, 0, 0],
            format!("{function} was given {item:#018x}, which is no work item (WORKER_INVALID)"),
        ));
    }
    let object = DriverPtr::<IoWorkitem>::new(item).get(|item| &item.io_object)?;
    let owner = ob::inspect(object, |header| header.kind);
    match owner {
        Some(Type::Device) => {}
        Some(Type::Driver) if extended => {}
        _ => {
            let what = format!(
                "{function} called with a work item whose object, {object:#018x}, is no {}",
                if extended {
                    "device or driver object"
                } else {
                    "device object"
                }
            );
            diag::violation(rules::WRONG_OBJECT_TYPE, what, caller);
        }
    }
    let job = QueuedWork {
        item,
        routine,
        arguments: [object, context, if extended { item } else { 0 }],
        object,
        caller,
    };
    work_item::enqueue(job, kind, function)?;
    let item = DriverPtr::<IoWorkitem>::new(item);
    item.set(|item| &item.routine, routine)?;
    item.set(|item| &item.context, context)?;
    ob::reference(object);
    Ok(())
}

exports! {
    /// `IoAllocateWorkItem`: NULL without memory.
    fn IoAllocateWorkItem<call>(object: u64) -> u64 [max DISPATCH_LEVEL, wdm] fails 0 {
        let caller = call.return_address();
        let Some(item) = lent::allocate(DriverPtr::<IoWorkitem>::SIZE, TAG, true, caller) else { return Ok(0) };
        initialize(item, object, true, caller)?;
        Ok(item)
    }

    /// `IoFreeWorkItem`.
    fn IoFreeWorkItem<call>(item: u64) -> () [max DISPATCH_LEVEL, wdm] {
        end(item, true, "IoFreeWorkItem")?;
        lent::free(item, call.return_address())
    }

    /// `IoSizeofWorkItem`.
    fn IoSizeofWorkItem() -> u32 [max HIGH_LEVEL, wdm] {
        Ok(u32::try_from(DriverPtr::<IoWorkitem>::SIZE).unwrap_or(0))
    }

    /// `IoInitializeWorkItem`.
    fn IoInitializeWorkItem<call>(object: u64, item: u64) -> () [max HIGH_LEVEL, wdm] {
        Ok(initialize(item, object, false, call.return_address())?)
    }

    /// `IoUninitializeWorkItem`.
    fn IoUninitializeWorkItem(item: u64) -> () [max HIGH_LEVEL, wdm] {
        end(item, false, "IoUninitializeWorkItem")
    }

    /// `IoQueueWorkItem`.
    fn IoQueueWorkItem<call>(item: u64, routine: u64, kind: u32, context: u64) -> () [max DISPATCH_LEVEL, wdm] {
        enqueue(call, "IoQueueWorkItem", false)
    }

    /// `IoQueueWorkItemEx`: the routine gets the item, too.
    fn IoQueueWorkItemEx<call>(item: u64, routine: u64, kind: u32, context: u64) -> () [max DISPATCH_LEVEL, wdm] {
        enqueue(call, "IoQueueWorkItemEx", true)
    }

    /// `IoTryQueueWorkItem`: FALSE for an item that is queued.
    fn IoTryQueueWorkItem<call>(item: u64, routine: u64, kind: u32, context: u64) -> bool
        [max DISPATCH_LEVEL, undocumented] {
        if work_item::queued(item).is_some() {
            return Ok(false);
        }
        enqueue(call, "IoTryQueueWorkItem", true).map(|()| true)
    }
}
