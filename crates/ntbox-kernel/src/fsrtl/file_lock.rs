//! Byte ranges that a driver's own files are locked in: what a file system keeps in a
//! `FILE_LOCK` for each of its files, and leaves to the run-time library.
//!
//! The structure is the driver's; the locks are kept beside it, from its initialisation
//! to its end. A block of pool stands for them from the first one on, so that a lock
//! that is never uninitialised is a block that is never freed, as on Windows.

use std::collections::BTreeMap;

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::Stop;
use ntbox_host::kernel_cell::Exclusive;

use super::lock;
use super::lock::{Locks, Owner, Range};
use crate::base::call_context::Caller;
use crate::base::io_layout::{irp, stack};
use crate::base::{export_table, thread_table};
use crate::ex::pool;
use crate::io::irp as packets;
use crate::mm;

#[cfg(test)]
mod tests;

/// Bytes of a `FILE_LOCK`, and offsets in it.
pub const SIZE: u64 = 0x60;
pub mod offset {
    pub const COMPLETE: u64 = 0x00;
    pub const UNLOCK: u64 = 0x08;
    pub const QUESTIONABLE: u64 = 0x10;
    pub const INFORMATION: u64 = 0x18;
    pub const LAST_INFO: u64 = 0x20;
    pub const LAST: u64 = 0x50;
    pub const IN_PROGRESS: u64 = 0x58;
}

/// Bytes of a `FILE_LOCK_INFO`, and offsets in it.
const INFO_SIZE: u64 = 0x30;
mod info {
    pub const START: u64 = 0x00;
    pub const LENGTH: u64 = 0x08;
    pub const EXCLUSIVE: u64 = 0x10;
    pub const KEY: u64 = 0x14;
    pub const FILE: u64 = 0x18;
    pub const PROCESS: u64 = 0x20;
    pub const END: u64 = 0x28;
}

/// `PagedPool`, and the tag of what stands for the locks.
pub const PAGED: u32 = 1;
pub const TAG: u32 = u32::from_le_bytes(*b"FSfl");

/// The locks of each `FILE_LOCK`.
static LOCKS: Exclusive<BTreeMap<u64, Locks>> = Exclusive::new(BTreeMap::new());
/// Requests that wait: where, and with which context they end.
pub static WAITING: Exclusive<BTreeMap<u64, (u64, u64)>> = Exclusive::new(BTreeMap::new());

pub fn with<T>(at: u64, work: impl FnOnce(&mut Locks) -> T) -> T {
    work(LOCKS.lock().entry(at).or_default())
}

/// A lock that is asked for.
pub struct LockParams {
    pub range: Range,
    pub wait: bool,
    /// Address of a status block.
    pub block: u64,
    /// The request; 0 for none.
    pub packet: u64,
    pub context: u64,
}

pub fn initialize(at: u64, complete: u64, unlock: u64) -> Result<(), Fault> {
    LOCKS.lock().remove(&at);
    driver_mem::fill(at, 0, SIZE)?;
    driver_mem::write_u64(at + offset::COMPLETE, complete)?;
    driver_mem::write_u64(at + offset::UNLOCK, unlock)
}

/// Forgets the locks; who waits is told that there is nothing to lock any more.
pub fn uninitialize(at: u64, caller: &Caller<'_>) -> Result<(), Stop> {
    let locks = LOCKS.lock().remove(&at);
    let block = driver_mem::read_u64(at.wrapping_add(offset::INFORMATION))?;
    if block != 0 {
        mm::pool::free_by(block, caller.address());
        driver_mem::write_u64(at + offset::INFORMATION, 0)?;
    }
    for (packet, _) in locks.into_iter().flat_map(|locks| locks.waiting) {
        end_waiting(at, packet, nt_status::STATUS_RANGE_NOT_LOCKED, caller)?;
    }
    Ok(())
}

/// Completes a request, or lets the driver do it; the status that it ends with.
fn complete(
    at: u64,
    packet: u64,
    context: u64,
    status: u32,
    caller: &Caller<'_>,
) -> Result<u32, Stop> {
    driver_mem::write_u32(packet + irp::STATUS, status)?;
    driver_mem::write_u64(packet + irp::INFORMATION, 0)?;
    match driver_mem::read_u64(at + offset::COMPLETE)? {
        0 => {
            packets::complete(packet, caller)?;
            Ok(status)
        }
        routine => {
            let answer = caller.call(routine, &[context, packet]);
            Ok(u32::try_from(answer & 0xffff_ffff).unwrap_or(0))
        }
    }
}

/// Ends a request that waited.
pub fn end_waiting(at: u64, packet: u64, status: u32, caller: &Caller<'_>) -> Result<u32, Stop> {
    let waited = WAITING.lock().remove(&packet);
    let context = waited.map_or(0, |(_, context)| context);
    driver_mem::write_u64(packet + irp::CANCEL_ROUTINE, 0)?;
    complete(at, packet, context, status, caller)
}

/// Grants what can be granted to those who wait. A driver that ends its request in an
/// error gives its lock up.
fn grant(at: u64, caller: &Caller<'_>) -> Result<(), Stop> {
    loop {
        let waiting: Vec<(u64, Range)> = with(at, |locks| locks.waiting.iter().copied().collect());
        let granted = with(at, Locks::grant);
        if granted.is_empty() {
            return Ok(());
        }
        for packet in granted {
            let status = end_waiting(at, packet, nt_status::STATUS_SUCCESS, caller)?;
            let range = waiting.iter().find(|(known, _)| *known == packet);
            if let Some((_, range)) = range
                && status.cast_signed() < 0
            {
                with(at, |locks| locks.unlock(range));
            }
        }
    }
}

/// The block that stands for the locks.
pub fn ensure_block(at: u64, caller: u64) -> Result<(), Stop> {
    if driver_mem::read_u64(at + offset::INFORMATION)? == 0 {
        let block = pool::allocate_or_raise(PAGED, INFO_SIZE, TAG, caller)?;
        driver_mem::write_u64(at + offset::INFORMATION, block)?;
    }
    Ok(())
}

/// What is told of a lock at once: a status, and whether there is one at all.
fn answer(at: u64, wanted: &LockParams, status: u32, caller: &Caller<'_>) -> Result<bool, Stop> {
    let mut status = status;
    if wanted.packet != 0 && status != nt_status::STATUS_PENDING {
        status = complete(at, wanted.packet, wanted.context, status, caller)?;
    }
    driver_mem::write_u32(wanted.block, status)?;
    driver_mem::write_u64(wanted.block.wrapping_add(8), 0)?;
    Ok(true)
}

/// Locks a range, if need be later; false if it cannot be had and nothing can wait.
pub fn private_lock(at: u64, wanted: &LockParams, caller: &Caller<'_>) -> Result<bool, Stop> {
    let range = wanted.range;
    if range.wraps() {
        return answer(at, wanted, nt_status::STATUS_INVALID_LOCK_RANGE, caller);
    }
    ensure_block(at, caller.address())?;
    let granted = with(at, |locks| {
        let may = locks.may_lock(&range);
        if may {
            locks.held.push(range);
        }
        may
    });
    if granted {
        driver_mem::write_u8(at + offset::QUESTIONABLE, 1)?;
        answer(at, wanted, nt_status::STATUS_SUCCESS, caller)?;
        if driver_mem::read_u32(wanted.block)?.cast_signed() < 0 {
            with(at, |locks| locks.unlock(&range));
            grant(at, caller)?;
        }
        return Ok(true);
    }
    if !wanted.wait {
        return answer(at, wanted, nt_status::STATUS_LOCK_NOT_GRANTED, caller);
    }
    if wanted.packet == 0 {
        return Ok(false);
    }
    if driver_mem::read_u8(wanted.packet + irp::CANCEL)? != 0 {
        return answer(at, wanted, nt_status::STATUS_CANCELLED, caller);
    }
    driver_mem::write_u8(at + offset::QUESTIONABLE, 1)?;
    lock::mark_pending(packets::location(wanted.packet)?, true)?;
    let routine = export_table::resolve("IopCancelFileLockRequest").unwrap_or(0);
    driver_mem::write_u64(wanted.packet + irp::CANCEL_ROUTINE, routine)?;
    WAITING.lock().insert(wanted.packet, (at, wanted.context));
    with(at, |locks| locks.waiting.push_back((wanted.packet, range)));
    answer(at, wanted, nt_status::STATUS_PENDING, caller)
}

/// Writes what is told of a lock.
pub fn write_info(place: u64, range: &Range) -> Result<(), Fault> {
    driver_mem::write_u64(place + info::START, range.start)?;
    driver_mem::write_u64(place + info::LENGTH, range.length)?;
    driver_mem::write_u8(place + info::EXCLUSIVE, range.exclusive.into())?;
    driver_mem::write_u32(place + info::KEY, range.owner.key)?;
    driver_mem::write_u64(place + info::FILE, range.owner.file)?;
    driver_mem::write_u64(place + info::PROCESS, range.owner.process)?;
    let end = range.start.wrapping_add(range.length).wrapping_sub(1);
    driver_mem::write_u64(place + info::END, end)
}

/// Tells the driver of locks that are gone, grants what is free now, and says whether
/// there was anything.
fn unlocked(at: u64, gone: &[Range], context: u64, caller: &Caller<'_>) -> Result<u32, Stop> {
    if gone.is_empty() {
        return Ok(nt_status::STATUS_RANGE_NOT_LOCKED);
    }
    let routine = driver_mem::read_u64(at + offset::UNLOCK)?;
    if routine != 0 {
        let block = driver_mem::read_u64(at + offset::INFORMATION)?;
        for range in gone {
            write_info(block, range)?;
            caller.call(routine, &[context, block]);
        }
    }
    grant(at, caller)?;
    Ok(nt_status::STATUS_SUCCESS)
}

pub fn unlock_single(
    at: u64,
    range: &Range,
    context: u64,
    caller: &Caller<'_>,
) -> Result<u32, Stop> {
    let gone = with(at, |locks| locks.unlock(range));
    unlocked(at, gone.as_slice(), context, caller)
}

pub fn unlock_all(
    at: u64,
    owner: Owner,
    by_key: bool,
    context: u64,
    caller: &Caller<'_>,
) -> Result<u32, Stop> {
    let same = |known: Owner| {
        (known.file, known.process) == (owner.file, owner.process)
            && (!by_key || known.key == owner.key)
    };
    let gone = with(at, |locks| locks.unlock_all(same));
    unlocked(at, &gone, context, caller)
}

/// The process that a request is made for: that which its thread sees.
fn process_of(packet: u64) -> Result<u64, Fault> {
    let thread = driver_mem::read_u64(packet + irp::THREAD)?;
    let thread = thread_table::thread(thread).or_else(thread_table::current);
    Ok(thread.map_or(0, |thread| thread.attached))
}

/// The range that a lock request names, and its minor function.
fn asked(packet: u64) -> Result<(Range, u8, bool), Fault> {
    let place = packets::location(packet)?;
    let minor = driver_mem::read_u8(place + stack::MINOR)?;
    let flags = driver_mem::read_u8(place + stack::FLAGS)?;
    let length = match minor {
        lock::LOCK | lock::UNLOCK_SINGLE => {
            driver_mem::read_u64(driver_mem::read_u64(place + stack::lock::LENGTH)?)?
        }
        _ => 0,
    };
    let range = Range {
        owner: Owner {
            file: driver_mem::read_u64(place + stack::FILE_OBJECT)?,
            process: process_of(packet)?,
            key: driver_mem::read_u32(place + stack::lock::KEY)?,
        },
        start: driver_mem::read_u64(place + stack::lock::BYTE_OFFSET)?,
        length,
        exclusive: flags & stack::special::EXCLUSIVE_LOCK != 0,
    };
    Ok((range, minor, flags & stack::special::FAIL_IMMEDIATELY == 0))
}

/// Carries out `IRP_MJ_LOCK_CONTROL`; what the dispatch routine returns.
pub fn process(
    at: u64,
    packet: u64,
    context: u64,
    block: u64,
    caller: &Caller<'_>,
) -> Result<u32, Stop> {
    let (range, minor, wait) = asked(packet)?;
    let status = match minor {
        lock::LOCK => {
            let wanted = LockParams {
                range,
                wait,
                block,
                packet,
                context,
            };
            private_lock(at, &wanted, caller)?;
            return Ok(driver_mem::read_u32(block)?);
        }
        lock::UNLOCK_SINGLE => unlock_single(at, &range, context, caller)?,
        lock::UNLOCK_ALL => unlock_all(at, range.owner, false, context, caller)?,
        lock::UNLOCK_ALL_BY_KEY => unlock_all(at, range.owner, true, context, caller)?,
        _ => nt_status::STATUS_INVALID_DEVICE_REQUEST,
    };
    complete(at, packet, context, status, caller)
}

/// Whether a read or a write may be carried out.
pub fn may_transfer(at: u64, packet: u64, write: bool) -> Result<bool, Fault> {
    let place = packets::location(packet)?;
    let owner = Owner {
        file: driver_mem::read_u64(place + stack::FILE_OBJECT)?,
        process: process_of(packet)?,
        key: driver_mem::read_u32(place + stack::transfer::KEY)?,
    };
    let start = driver_mem::read_u64(place + stack::transfer::BYTE_OFFSET)?;
    let length = u64::from(driver_mem::read_u32(place + stack::transfer::LENGTH)?);
    Ok(may(at, owner, start, length, write))
}

pub fn may(at: u64, owner: Owner, start: u64, length: u64, write: bool) -> bool {
    with(at, |locks| {
        if write {
            locks.may_write(owner, start, length)
        } else {
            locks.may_read(owner, start, length)
        }
    })
}
