//! Byte ranges that are locked: whoever has one shared keeps others from writing
//! there, whoever has one exclusively keeps them from reading, too.

use std::collections::VecDeque;

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;

use crate::base::call_context::CallContext;
use crate::base::io_layout::stack::flag;
use crate::base::io_layout::{irp as offset, stack};
use crate::io::irp;

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

pub fn complete_all(
    packets: Vec<u64>,
    status: u32,
    caller: &CallContext<'_>,
) -> Result<(), NoReturn> {
    for packet in packets {
        driver_mem::write_u64(packet + offset::CANCEL_ROUTINE, 0)?;
        driver_mem::write_u32(packet + offset::STATUS, status)?;
        driver_mem::write_u64(packet + offset::INFORMATION, 0)?;
        irp::complete(packet, caller)?;
    }
    Ok(())
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
    fn exclusive_lock_refuses_other_owners() {
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
    fn shared_lock_refuses_writes_of_owner() {
        let mut locks = Locks::default();
        locks.held.push(range(1, 0, 4, false));
        let one = owner(1, 0);
        assert!(locks.may_read(one, 0, 4) && !locks.may_write(one, 3, 1));
        assert!(locks.may_lock(&range(2, 0, 4, false)));
        assert!(!locks.may_lock(&range(2, 0, 4, true)));
    }

    #[test]
    fn unlock_releases_exclusive_first_and_grants_waiters() {
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
