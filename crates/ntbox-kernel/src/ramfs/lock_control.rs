//! Byte-range locks of files on the volume: `IRP_MJ_LOCK_CONTROL`.

use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::DISPATCH_LEVEL;

use super::dir_tree::Id;
use super::with;
use crate::base::call_context::CallContext;
use crate::base::export::exports;
use crate::base::export_table;
use crate::base::io_layout::stack::{lock as parameter, special};
use crate::base::io_layout::{irp as offset, stack};
use crate::fsrtl::lock::{
    LOCK, Locks, Owner, Range, UNLOCK_ALL, UNLOCK_ALL_BY_KEY, UNLOCK_SINGLE, complete_all,
    mark_pending,
};
use crate::io::irp;
use crate::ke::irp_cancel_lock;

/// The result of a request for locks.
enum LockResult {
    Done(u32),
    Waits,
}

/// Carries out `IRP_MJ_LOCK_CONTROL`, and completes it now or later; returns what
/// the dispatch routine returns.
pub fn control(packet: u64, place: u64, caller: &CallContext<'_>) -> Result<u32, NoReturn> {
    let minor = driver_mem::read_u8(place + stack::MINOR)?;
    let flags = driver_mem::read_u8(place + stack::FLAGS)?;
    let file = driver_mem::read_u64(place + stack::FILE_OBJECT)?;
    let owner = Owner {
        file,
        process: 0,
        key: driver_mem::read_u32(place + parameter::KEY)?,
    };
    let length = driver_mem::read_u64(place + parameter::LENGTH)?;
    let length = match minor {
        LOCK | UNLOCK_SINGLE => driver_mem::read_u64(length)?,
        _ => 0,
    };
    let range = Range {
        owner,
        start: driver_mem::read_u64(place + parameter::BYTE_OFFSET)?,
        length,
        exclusive: flags & special::EXCLUSIVE_LOCK != 0,
    };
    let wait = flags & special::FAIL_IMMEDIATELY == 0;
    // Whoever unlocks next may find this request at once.
    if minor == LOCK && wait {
        mark_pending(place, true)?;
        let routine = export_table::resolve("IopCancelLockRequest").unwrap_or(0);
        driver_mem::write_u64(packet + offset::CANCEL_ROUTINE, routine)?;
    }
    let (outcome, granted) = with(|volume| {
        let node = volume.opens.get(&file).and_then(|open| open.node);
        let node = node.and_then(|node| volume.tree.get_mut(node));
        match node {
            Some(node) if !node.is_directory() => {
                change(&mut node.locks, minor, packet, range, wait)
            }
            _ => (
                LockResult::Done(nt_status::STATUS_INVALID_PARAMETER),
                Vec::new(),
            ),
        }
    })
    .unwrap_or((
        LockResult::Done(nt_status::STATUS_INVALID_PARAMETER),
        Vec::new(),
    ));
    let status = match outcome {
        LockResult::Waits => irp::PENDING,
        LockResult::Done(status) => {
            mark_pending(place, false)?;
            driver_mem::write_u64(packet + offset::CANCEL_ROUTINE, 0)?;
            driver_mem::write_u32(packet + offset::STATUS, status)?;
            driver_mem::write_u64(packet + offset::INFORMATION, 0)?;
            irp::complete(packet, caller)?;
            status
        }
    };
    complete_all(granted, nt_status::STATUS_SUCCESS, caller)?;
    Ok(status)
}

fn change(
    locks: &mut Locks,
    minor: u8,
    packet: u64,
    range: Range,
    wait: bool,
) -> (LockResult, Vec<u64>) {
    let found = |found| {
        LockResult::Done(if found {
            nt_status::STATUS_SUCCESS
        } else {
            nt_status::STATUS_RANGE_NOT_LOCKED
        })
    };
    let outcome = match minor {
        LOCK if range.wraps() => LockResult::Done(nt_status::STATUS_INVALID_LOCK_RANGE),
        LOCK if locks.may_lock(&range) => {
            locks.held.push(range);
            LockResult::Done(nt_status::STATUS_SUCCESS)
        }
        LOCK if wait => {
            locks.waiting.push_back((packet, range));
            LockResult::Waits
        }
        LOCK => LockResult::Done(nt_status::STATUS_LOCK_NOT_GRANTED),
        UNLOCK_SINGLE => found(locks.unlock(&range).is_some()),
        UNLOCK_ALL => found(
            !locks
                .unlock_all(|owner| owner.file == range.owner.file)
                .is_empty(),
        ),
        UNLOCK_ALL_BY_KEY => found(!locks.unlock_all(|owner| owner == range.owner).is_empty()),
        _ => LockResult::Done(nt_status::STATUS_INVALID_DEVICE_REQUEST),
    };
    (outcome, locks.grant())
}

exports! {
    /// The cancel routine of a request that waits for a lock. No driver imports it.
    fn IopCancelLockRequest<call>(body: u64, packet: u64) -> ()
        [max DISPATCH_LEVEL, undocumented "a routine inside this kernel"] {
        let caller = CallContext::of(call);
        let file = driver_mem::read_u64(packet + offset::ORIGINAL_FILE_OBJECT)?;
        let waited = with(|volume| {
            let node = volume.opens.get(&file)?.node?;
            let waiting = &mut volume.tree.get_mut(node)?.locks.waiting;
            let at = waiting.iter().position(|(waiting, _)| *waiting == packet)?;
            waiting.remove(at)
        });
        let irql = driver_mem::read_u8(packet + offset::CANCEL_IRQL)?;
        irp_cancel_lock::release(irql, caller.address())?;
        match waited.flatten() {
            Some(_) => complete_all(vec![packet], nt_status::STATUS_CANCELLED, &caller),
            None => Ok(()),
        }
    }
}

/// The last handle to a file object is closed: its locks go, and so do its
/// requests for more.
pub fn release_all(node: Id, file: u64, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let (given_up, granted) = with(|volume| {
        let locks = &mut volume.tree.get_mut(node)?.locks;
        locks.unlock_all(|owner| owner.file == file);
        let (own, others) = std::mem::take(&mut locks.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, range)| range.owner.file == file);
        locks.waiting = others.into();
        let own: Vec<u64> = own.into_iter().map(|(packet, _)| packet).collect();
        Some((own, locks.grant()))
    })
    .flatten()
    .unwrap_or_default();
    complete_all(given_up, nt_status::STATUS_RANGE_NOT_LOCKED, caller)?;
    complete_all(granted, nt_status::STATUS_SUCCESS, caller)
}
