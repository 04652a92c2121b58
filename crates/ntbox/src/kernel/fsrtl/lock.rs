//! Byte ranges that are locked: whoever has one shared keeps others from writing
//! there, whoever has one exclusively keeps them from reading, too.

use std::collections::VecDeque;

use crate::host::driver_mem;
use crate::host::driver_mem::Fault;
use crate::host::gate::irql::DISPATCH_LEVEL;
use crate::host::gate::{Stop, exports};
use crate::kernel::base::call_context::Caller;
use crate::kernel::base::export_table;
use crate::kernel::base::io_layout::stack::{flag, lock as parameter, special};
use crate::kernel::base::io_layout::{irp as offset, stack};
use crate::kernel::io::irp;
use crate::kernel::ke::irp_cancel_lock;
use crate::kernel::ramfs::dir_tree::Id;
use crate::kernel::ramfs::with;

/// `IRP_MN_LOCK` and the three ways to unlock.
pub(crate) const LOCK: u8 = 1;
pub(crate) const UNLOCK_SINGLE: u8 = 2;
pub(crate) const UNLOCK_ALL: u8 = 3;
pub(crate) const UNLOCK_ALL_BY_KEY: u8 = 4;

/// Who has a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The file object.
    pub file: u64,
    /// The process, where that counts; else 0.
    pub process: u64,
    /// The caller's key.
    pub key: u32,
}

/// A range that is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub owner: Owner,
    pub start: u64,
    pub length: u64,
    pub exclusive: bool,
}

impl Range {
    /// Whether it ends behind the last byte that there can be.
    pub fn wraps(&self) -> bool {
        self.length != 0 && self.start.checked_add(self.length - 1).is_none()
    }

    fn overlaps(&self, start: u64, length: u64) -> bool {
        self.length != 0
            && length != 0
            && start <= self.start + (self.length - 1)
            && self.start <= start + (length - 1)
    }
}

/// The locks of a file.
#[derive(Debug, Default)]
pub struct Locks {
    pub(crate) held: Vec<Range>,
    /// Requests that wait: the IRP and what it asks for.
    pub(crate) waiting: VecDeque<(u64, Range)>,
}

impl Locks {
    /// Whether this owner may read there.
    pub fn may_read(&self, owner: Owner, start: u64, length: u64) -> bool {
        let against = |range: &&Range| range.exclusive && range.owner != owner;
        !self
            .held
            .iter()
            .filter(against)
            .any(|range| range.overlaps(start, length))
    }

    /// Whether this owner may write there: not even its own shared locks let it.
    pub fn may_write(&self, owner: Owner, start: u64, length: u64) -> bool {
        let against = |range: &&Range| !range.exclusive || range.owner != owner;
        !self
            .held
            .iter()
            .filter(against)
            .any(|range| range.overlaps(start, length))
    }

    /// Whether a range may be locked.
    pub(crate) fn may_lock(&self, wanted: &Range) -> bool {
        let against =
            |range: &&Range| wanted.exclusive || (range.exclusive && range.owner != wanted.owner);
        !self
            .held
            .iter()
            .filter(against)
            .any(|range| range.overlaps(wanted.start, wanted.length))
    }

    /// Releases one range, an exclusive lock before a shared one.
    pub(crate) fn unlock(&mut self, wanted: &Range) -> Option<Range> {
        let same = |range: &Range| {
            (range.owner, range.start, range.length) == (wanted.owner, wanted.start, wanted.length)
        };
        let found = (self.held.iter())
            .position(|range| same(range) && range.exclusive)
            .or_else(|| self.held.iter().position(same));
        found.map(|at| self.held.remove(at))
    }

    /// Releases all ranges of owners.
    pub(crate) fn unlock_all(&mut self, of: impl Fn(Owner) -> bool) -> Vec<Range> {
        self.held.extract_if(.., |range| of(range.owner)).collect()
    }

    /// Grants what can be granted now to those who wait; their IRPs.
    pub(crate) fn grant(&mut self) -> Vec<u64> {
        let mut granted = Vec::new();
        for (packet, range) in std::mem::take(&mut self.waiting) {
            if self.may_lock(&range) {
                self.held.push(range);
                granted.push(packet);
            } else {
                self.waiting.push_back((packet, range));
            }
        }
        granted
    }
}

/// What a request for locks comes to.
enum Outcome {
    Done(u32),
    Waits,
}

/// Carries out `IRP_MJ_LOCK_CONTROL`, and completes it now or later; returns what
/// the dispatch routine returns.
pub fn control(packet: u64, place: u64, caller: &Caller<'_>) -> Result<u32, Stop> {
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
                Outcome::Done(nt_status::STATUS_INVALID_PARAMETER),
                Vec::new(),
            ),
        }
    })
    .unwrap_or((
        Outcome::Done(nt_status::STATUS_INVALID_PARAMETER),
        Vec::new(),
    ));
    let status = match outcome {
        Outcome::Waits => irp::PENDING,
        Outcome::Done(status) => {
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
) -> (Outcome, Vec<u64>) {
    let found = |found| {
        Outcome::Done(if found {
            nt_status::STATUS_SUCCESS
        } else {
            nt_status::STATUS_RANGE_NOT_LOCKED
        })
    };
    let outcome = match minor {
        LOCK if range.wraps() => Outcome::Done(nt_status::STATUS_INVALID_LOCK_RANGE),
        LOCK if locks.may_lock(&range) => {
            locks.held.push(range);
            Outcome::Done(nt_status::STATUS_SUCCESS)
        }
        LOCK if wait => {
            locks.waiting.push_back((packet, range));
            Outcome::Waits
        }
        LOCK => Outcome::Done(nt_status::STATUS_LOCK_NOT_GRANTED),
        UNLOCK_SINGLE => found(locks.unlock(&range).is_some()),
        UNLOCK_ALL => found(
            !locks
                .unlock_all(|owner| owner.file == range.owner.file)
                .is_empty(),
        ),
        UNLOCK_ALL_BY_KEY => found(!locks.unlock_all(|owner| owner == range.owner).is_empty()),
        _ => Outcome::Done(nt_status::STATUS_INVALID_DEVICE_REQUEST),
    };
    (outcome, locks.grant())
}

/// Marks a request pending, or not.
pub(crate) fn mark_pending(place: u64, pending: bool) -> Result<(), Fault> {
    let at = place + stack::CONTROL;
    let control = driver_mem::read_u8(at)?;
    let marked = if pending {
        control | flag::PENDING_RETURNED
    } else {
        control & !flag::PENDING_RETURNED
    };
    driver_mem::write_u8(at, marked)
}

fn complete_all(packets: Vec<u64>, status: u32, caller: &Caller<'_>) -> Result<(), Stop> {
    for packet in packets {
        driver_mem::write_u64(packet + offset::CANCEL_ROUTINE, 0)?;
        driver_mem::write_u32(packet + offset::STATUS, status)?;
        driver_mem::write_u64(packet + offset::INFORMATION, 0)?;
        irp::complete(packet, caller)?;
    }
    Ok(())
}

exports! {
    /// The cancel routine of a request that waits for a lock. No driver imports it.
    fn IopCancelLockRequest<call>(body: u64, packet: u64) -> () [max DISPATCH_LEVEL] {
        let caller = Caller::of(call);
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
pub fn release_all(node: Id, file: u64, caller: &Caller<'_>) -> Result<(), Stop> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(file: u64, key: u32) -> Owner {
        Owner {
            file,
            process: 0,
            key,
        }
    }

    fn range(file: u64, start: u64, length: u64, exclusive: bool) -> Range {
        let owner = owner(file, 0);
        Range {
            owner,
            start,
            length,
            exclusive,
        }
    }

    #[test]
    fn locks_keep_others_out() {
        let mut locks = Locks::default();
        let (one, two) = (owner(1, 0), owner(2, 0));
        locks.held.push(range(1, 10, 10, true));
        assert!(!locks.may_read(two, 19, 1) && locks.may_read(two, 20, 1));
        assert!(locks.may_read(one, 10, 1) && locks.may_write(one, 10, 1));
        assert!(
            !locks.may_read(owner(1, 7), 10, 1),
            "another key is another owner"
        );
        assert!(
            !locks.may_lock(&range(1, 19, 1, true)),
            "not even one's own may overlap"
        );
        assert!(locks.may_lock(&range(1, 10, 10, false)));
        assert!(!locks.may_lock(&range(2, 0, u64::MAX, false)));
        assert!(locks.may_lock(&range(2, 0, 10, true)));
        assert!(
            locks.may_lock(&range(2, 15, 0, true)),
            "an empty range overlaps nothing"
        );
    }

    #[test]
    fn whoever_shares_cannot_write_either() {
        let mut locks = Locks::default();
        locks.held.push(range(1, 0, 4, false));
        let one = owner(1, 0);
        assert!(locks.may_read(one, 0, 4) && !locks.may_write(one, 3, 1));
        assert!(locks.may_lock(&range(2, 0, 4, false)));
        assert!(!locks.may_lock(&range(2, 0, 4, true)));
    }

    #[test]
    fn the_exclusive_lock_goes_first_and_waiters_follow() {
        let mut locks = Locks::default();
        locks.held.push(range(1, 0, 4, true));
        locks.held.push(range(1, 0, 4, false));
        locks.waiting.push_back((77, range(2, 0, 4, false)));
        assert_eq!(locks.unlock(&range(1, 0, 3, true)), None);
        assert!(locks.grant().is_empty());
        assert_eq!(
            locks.unlock(&range(1, 0, 4, false)),
            Some(range(1, 0, 4, true))
        );
        assert_eq!(locks.grant(), [77]);
        assert_eq!(locks.unlock_all(|owner| owner.file == 1).len(), 1);
        assert_eq!(locks.held, [range(2, 0, 4, false)]);
        assert_eq!(locks.unlock_all(|owner| owner.file == 1), []);
    }
}
