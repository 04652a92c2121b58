//! Byte-range locks of a driver's files (`FILE_LOCK`), which a file system has for each
//! of its files.
//!
//! The structure is in the driver's memory; the locks are kept here, from its
//! initialization to its end. The first lock allocates a block of pool, so that a
//! `FILE_LOCK` that is never uninitialized leaks pool, as on Windows.

use std::collections::BTreeMap;

use nt_layout::{
    FileLock, FileLockInfo, IoStackLocation, IoStatusBlock, Irp, LockControlParameters,
    ReadWriteParameters,
};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::kernel_cell::KernelCell;

use super::lock::{
    LOCK, Locks, Owner, Range, UNLOCK_ALL, UNLOCK_ALL_BY_KEY, UNLOCK_SINGLE, mark_pending,
};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::io_layout::stack;
use crate::base::{export_table, thread_table};
use crate::ex::pool;
use crate::io::irp as irps;
use crate::mm;

#[cfg(test)]
mod tests;

pub type FileLockPtr = DriverPtr<FileLock>;

/// `PagedPool`, and the tag of what stands for the locks.
pub const PAGED: u32 = 1;
pub const TAG: u32 = u32::from_le_bytes(*b"FSfl");

/// The locks of each `FILE_LOCK`.
static LOCKS: KernelCell<BTreeMap<u64, Locks>> = KernelCell::new(BTreeMap::new());
/// Requests that wait: where, and with which context they end.
pub static WAITING: KernelCell<BTreeMap<u64, (u64, u64)>> = KernelCell::new(BTreeMap::new());

pub fn with<T>(lock: FileLockPtr, work: impl FnOnce(&mut Locks) -> T) -> T {
    work(LOCKS.lock().entry(lock.address()).or_default())
}

/// A lock that is asked for.
pub struct LockParams {
    pub range: Range,
    pub wait: bool,
    /// Address of a status block.
    pub block: u64,
    /// The request; 0 for none.
    pub irp: u64,
    pub context: u64,
}

pub fn initialize(lock: FileLockPtr, complete: u64, unlock: u64) -> Result<(), Fault> {
    LOCKS.lock().remove(&lock.address());
    driver_mem::fill(lock.address(), 0, FileLockPtr::SIZE)?;
    lock.set(|lock| &lock.complete_lock_irp_routine, complete)?;
    lock.set(|lock| &lock.unlock_routine, unlock)
}

/// Removes the locks. Waiting requests end with `STATUS_RANGE_NOT_LOCKED`.
pub fn uninitialize(lock: FileLockPtr, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let locks = LOCKS.lock().remove(&lock.address());
    let block = lock.get(|lock| &lock.lock_information)?;
    if block != 0 {
        mm::pool::free_by(block, caller.address());
        lock.set(|lock| &lock.lock_information, 0)?;
    }
    for (irp, _) in locks.into_iter().flat_map(|locks| locks.waiting) {
        end_waiting(lock, irp, nt_status::STATUS_RANGE_NOT_LOCKED, caller)?;
    }
    Ok(())
}

/// Completes a request, by the driver's routine if it has one. Returns the final status.
fn complete(
    lock: FileLockPtr,
    irp: u64,
    context: u64,
    status: u32,
    caller: &CallContext<'_>,
) -> Result<u32, NoReturn> {
    DriverPtr::<Irp>::new(irp).set(|irp| &irp.io_status.status, status)?;
    DriverPtr::<Irp>::new(irp).set(|irp| &irp.io_status.information, 0)?;
    match lock.get(|lock| &lock.complete_lock_irp_routine)? {
        0 => {
            irps::complete(irp, caller)?;
            Ok(status)
        }
        routine => {
            let answer = caller.call(routine, &[context, irp]);
            Ok(u32::try_from(answer & 0xffff_ffff).unwrap_or(0))
        }
    }
}

/// Completes a request that waited.
pub fn end_waiting(
    lock: FileLockPtr,
    irp: u64,
    status: u32,
    caller: &CallContext<'_>,
) -> Result<u32, NoReturn> {
    let waited = WAITING.lock().remove(&irp);
    let context = waited.map_or(0, |(_, context)| context);
    DriverPtr::<Irp>::new(irp).set(|irp| &irp.cancel_routine, 0)?;
    complete(lock, irp, context, status, caller)
}

/// Grants waiting requests where possible. A driver that completes its request with an
/// error releases the lock.
fn grant(lock: FileLockPtr, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    loop {
        let waiting: Vec<(u64, Range)> =
            with(lock, |locks| locks.waiting.iter().copied().collect());
        let granted = with(lock, Locks::grant);
        if granted.is_empty() {
            return Ok(());
        }
        for irp in granted {
            let status = end_waiting(lock, irp, nt_status::STATUS_SUCCESS, caller)?;
            let range = waiting.iter().find(|(known, _)| *known == irp);
            if let Some((_, range)) = range
                && status.cast_signed() < 0
            {
                with(lock, |locks| locks.unlock(range));
            }
        }
    }
}

/// Allocates the block of pool that stands for the locks.
pub fn ensure_block(lock: FileLockPtr, caller: u64) -> Result<(), NoReturn> {
    if lock.get(|lock| &lock.lock_information)? == 0 {
        let block = pool::allocate_or_raise(PAGED, DriverPtr::<FileLockInfo>::SIZE, TAG, caller)?;
        lock.set(|lock| &lock.lock_information, block)?;
    }
    Ok(())
}

/// Writes the immediate status of a lock request.
fn answer(
    lock: FileLockPtr,
    wanted: &LockParams,
    status: u32,
    caller: &CallContext<'_>,
) -> Result<bool, NoReturn> {
    let mut status = status;
    if wanted.irp != 0 && status != nt_status::STATUS_PENDING {
        status = complete(lock, wanted.irp, wanted.context, status, caller)?;
    }
    let block = DriverPtr::<IoStatusBlock>::new(wanted.block);
    block.set(|block| &block.status, status)?;
    block.set(|block| &block.information, 0)?;
    Ok(true)
}

/// Locks a range, or queues the request; false if it is not granted and cannot wait.
pub fn private_lock(
    lock: FileLockPtr,
    wanted: &LockParams,
    caller: &CallContext<'_>,
) -> Result<bool, NoReturn> {
    let range = wanted.range;
    if range.wraps() {
        return answer(lock, wanted, nt_status::STATUS_INVALID_LOCK_RANGE, caller);
    }
    ensure_block(lock, caller.address())?;
    let granted = with(lock, |locks| {
        let may = locks.may_lock(&range);
        if may {
            locks.held.push(range);
        }
        may
    });
    if granted {
        lock.set(|lock| &lock.fast_io_is_questionable, 1)?;
        answer(lock, wanted, nt_status::STATUS_SUCCESS, caller)?;
        if driver_mem::read_u32(wanted.block)?.cast_signed() < 0 {
            with(lock, |locks| locks.unlock(&range));
            grant(lock, caller)?;
        }
        return Ok(true);
    }
    if !wanted.wait {
        return answer(lock, wanted, nt_status::STATUS_LOCK_NOT_GRANTED, caller);
    }
    if wanted.irp == 0 {
        return Ok(false);
    }
    if DriverPtr::<Irp>::new(wanted.irp).get(|irp| &irp.cancel)? != 0 {
        return answer(lock, wanted, nt_status::STATUS_CANCELLED, caller);
    }
    lock.set(|lock| &lock.fast_io_is_questionable, 1)?;
    mark_pending(irps::location(wanted.irp)?, true)?;
    let routine = export_table::resolve("IopCancelFileLockRequest").unwrap_or(0);
    DriverPtr::<Irp>::new(wanted.irp).set(|irp| &irp.cancel_routine, routine)?;
    WAITING
        .lock()
        .insert(wanted.irp, (lock.address(), wanted.context));
    with(lock, |locks| locks.waiting.push_back((wanted.irp, range)));
    answer(lock, wanted, nt_status::STATUS_PENDING, caller)
}

/// Writes the description of a lock.
pub fn write_info(info: DriverPtr<FileLockInfo>, range: &Range) -> Result<(), Fault> {
    info.set(|info| &info.starting_byte, range.start)?;
    info.set(|info| &info.length, range.length)?;
    info.set(|info| &info.exclusive_lock, range.exclusive.into())?;
    info.set(|info| &info.key, range.owner.key)?;
    info.set(|info| &info.file_object, range.owner.file)?;
    info.set(|info| &info.process_id, range.owner.process)?;
    let end = range.start.wrapping_add(range.length).wrapping_sub(1);
    info.set(|info| &info.ending_byte, end)
}

/// Calls the driver's unlock routine for removed locks and grants waiting requests.
/// The status says whether there were any locks.
fn unlocked(
    lock: FileLockPtr,
    gone: &[Range],
    context: u64,
    caller: &CallContext<'_>,
) -> Result<u32, NoReturn> {
    if gone.is_empty() {
        return Ok(nt_status::STATUS_RANGE_NOT_LOCKED);
    }
    let routine = lock.get(|lock| &lock.unlock_routine)?;
    if routine != 0 {
        let block = lock.get(|lock| &lock.lock_information)?;
        for range in gone {
            write_info(DriverPtr::new(block), range)?;
            caller.call(routine, &[context, block]);
        }
    }
    grant(lock, caller)?;
    Ok(nt_status::STATUS_SUCCESS)
}

pub fn unlock_single(
    lock: FileLockPtr,
    range: &Range,
    context: u64,
    caller: &CallContext<'_>,
) -> Result<u32, NoReturn> {
    let gone = with(lock, |locks| locks.unlock(range));
    unlocked(lock, gone.as_slice(), context, caller)
}

pub fn unlock_all(
    lock: FileLockPtr,
    owner: Owner,
    by_key: bool,
    context: u64,
    caller: &CallContext<'_>,
) -> Result<u32, NoReturn> {
    let same = |known: Owner| {
        (known.file, known.process) == (owner.file, owner.process)
            && (!by_key || known.key == owner.key)
    };
    let gone = with(lock, |locks| locks.unlock_all(same));
    unlocked(lock, &gone, context, caller)
}

/// The process that a request is made for: the one its thread is attached to.
fn process_of(irp: u64) -> Result<u64, Fault> {
    let thread = DriverPtr::<Irp>::new(irp).get(|irp| &irp.thread)?;
    let thread = thread_table::thread(thread).or_else(thread_table::current);
    Ok(thread.map_or(0, |thread| thread.attached))
}

/// The range of a lock request, its minor function, and whether it may wait.
fn requested_range(irp: u64) -> Result<(Range, u8, bool), Fault> {
    let location = DriverPtr::<IoStackLocation>::new(irps::location(irp)?);
    let parameters: DriverPtr<LockControlParameters> =
        location.at(|location| &location.parameters).cast();
    let minor = location.get(|location| &location.minor_function)?;
    let flags = location.get(|location| &location.flags)?;
    let length = match minor {
        LOCK | UNLOCK_SINGLE => driver_mem::read_u64(parameters.get(|lock| &lock.length)?)?,
        _ => 0,
    };
    let range = Range {
        owner: Owner {
            file: location.get(|location| &location.file_object)?,
            process: process_of(irp)?,
            key: parameters.get(|lock| &lock.key)?,
        },
        start: parameters.get(|lock| &lock.byte_offset)?,
        length,
        exclusive: flags & stack::special::EXCLUSIVE_LOCK != 0,
    };
    Ok((range, minor, flags & stack::special::FAIL_IMMEDIATELY == 0))
}

/// Carries out `IRP_MJ_LOCK_CONTROL`; what the dispatch routine returns.
pub fn process(
    lock: FileLockPtr,
    irp: u64,
    context: u64,
    block: u64,
    caller: &CallContext<'_>,
) -> Result<u32, NoReturn> {
    let (range, minor, wait) = requested_range(irp)?;
    let status = match minor {
        LOCK => {
            let wanted = LockParams {
                range,
                wait,
                block,
                irp,
                context,
            };
            private_lock(lock, &wanted, caller)?;
            return Ok(driver_mem::read_u32(block)?);
        }
        UNLOCK_SINGLE => unlock_single(lock, &range, context, caller)?,
        UNLOCK_ALL => unlock_all(lock, range.owner, false, context, caller)?,
        UNLOCK_ALL_BY_KEY => unlock_all(lock, range.owner, true, context, caller)?,
        _ => nt_status::STATUS_INVALID_DEVICE_REQUEST,
    };
    complete(lock, irp, context, status, caller)
}

/// Whether a read or a write may be carried out.
pub fn may_transfer(lock: FileLockPtr, irp: u64, write: bool) -> Result<bool, Fault> {
    let location = DriverPtr::<IoStackLocation>::new(irps::location(irp)?);
    let parameters: DriverPtr<ReadWriteParameters> =
        location.at(|location| &location.parameters).cast();
    let owner = Owner {
        file: location.get(|location| &location.file_object)?,
        process: process_of(irp)?,
        key: parameters.get(|transfer| &transfer.key)?,
    };
    let start = parameters.get(|transfer| &transfer.byte_offset)?;
    let length = u64::from(parameters.get(|transfer| &transfer.length)?);
    Ok(may(lock, owner, start, length, write))
}

pub fn may(lock: FileLockPtr, owner: Owner, start: u64, length: u64, write: bool) -> bool {
    with(lock, |locks| {
        if write {
            locks.may_write(owner, start, length)
        } else {
            locks.may_read(owner, start, length)
        }
    })
}
