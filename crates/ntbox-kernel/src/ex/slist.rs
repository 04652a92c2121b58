//! Sequenced singly linked lists (`SLIST_HEADER`).
//!
//! The head is 16 bytes on a 16-byte boundary: in the first word the depth in
//! the low 16 bits and a sequence number above, in the second the first entry,
//! whose low four bits belong to the system. Both words change in one locked
//! instruction; the sequence number tells a head that was changed and changed
//! back from one that was not touched.

use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, HIGH_LEVEL};

use crate::base::diag;
use crate::base::export::exports;

/// The part of the first word that counts entries.
const DEPTH: u64 = 0xffff;
/// One in the sequence number.
const SEQUENCE: u64 = 0x1_0000;
/// The part of the second word that is not the address of an entry.
const RESERVED: u64 = 0xf;

/// An `SLIST_HEADER` as its two words.
#[derive(Debug, Clone, Copy)]
struct Head([u64; 2]);

impl Head {
    /// Reads a head. The words need not belong together; the exchange that
    /// follows fails if they do not.
    fn read(va: u64) -> Result<Self, NoReturn> {
        Ok(Self([
            driver_mem::read_u64(va)?,
            driver_mem::read_u64(va.wrapping_add(8))?,
        ]))
    }

    fn depth(self) -> u64 {
        self.0[0] & DEPTH
    }

    fn first(self) -> u64 {
        self.0[1] & !RESERVED
    }

    /// The same head with another first entry and depth.
    fn with(self, first: u64, depth: u64, sequence: u64) -> Self {
        let counted = (self.0[0] & !DEPTH).wrapping_add(sequence) | depth & DEPTH;
        Self([counted, first | self.0[1] & RESERVED])
    }
}

/// Replaces a head by what `change` makes of it, until nobody interferes.
/// Returns the head before.
fn update(
    va: u64,
    change: impl Fn(Head) -> Result<Option<Head>, NoReturn>,
) -> Result<Head, NoReturn> {
    let mut found = Head::read(va)?;
    loop {
        let new = match change(found) {
            Ok(Some(new)) => new,
            Ok(None) => return Ok(found),
            // What was first may be gone by now, taken by somebody else; that
            // counts only if it is still first.
            Err(stop) => {
                let again = Head::read(va)?;
                if again.0 == found.0 {
                    return Err(stop);
                }
                found = again;
                continue;
            }
        };
        match driver_mem::compare_exchange_u128(va, found.0, new.0)? {
            Ok(()) => return Ok(found),
            Err(now) => found = Head(now),
        }
    }
}

/// Makes a head that has no entries.
pub fn initialize(va: u64) -> Result<(), NoReturn> {
    if va & 0xf != 0 {
        return Err(NoReturn::raise(nt_status::STATUS_DATATYPE_MISALIGNMENT));
    }
    driver_mem::write_u64(va, 0)?;
    driver_mem::write_u64(va.wrapping_add(8), 0)?;
    Ok(())
}

/// Number of entries.
pub fn depth(va: u64) -> Result<u16, NoReturn> {
    Ok(driver_mem::read_u16(va)?)
}

/// The first entry, or NULL.
pub fn first(va: u64) -> Result<u64, NoReturn> {
    Ok(Head::read(va)?.first())
}

/// Puts an entry at the front; returns the one that was there, or NULL.
pub fn push(va: u64, entry: u64, caller: u64) -> Result<u64, NoReturn> {
    if entry & 0xf != 0 {
        let what = format!(
            "entry {entry:#018x} pushed onto the sequenced list {va:#018x}; entries must be 16-byte aligned"
        );
        diag::violation(rules::SLIST_ENTRY_MISALIGNED, what, caller);
        return Err(NoReturn::raise(nt_status::STATUS_DATATYPE_MISALIGNMENT));
    }
    let before = update(va, |head| {
        driver_mem::write_u64(entry, head.first())?;
        Ok(Some(head.with(entry, head.depth() + 1, SEQUENCE)))
    })?;
    Ok(before.first())
}

/// Takes the first entry; NULL if there is none.
pub fn pop(va: u64) -> Result<u64, NoReturn> {
    let before = update(va, |head| {
        if head.first() == 0 {
            return Ok(None);
        }
        let next = driver_mem::read_u64(head.first())?;
        Ok(Some(head.with(next, head.depth().wrapping_sub(1), 0)))
    })?;
    Ok(before.first())
}

/// Takes all entries: returns the first, or NULL.
pub fn flush(va: u64) -> Result<u64, NoReturn> {
    let before = update(va, |head| {
        Ok((head.first() != 0).then(|| head.with(0, 0, 0)))
    })?;
    Ok(before.first())
}

exports! {
    /// `InitializeSListHead`: a head off its boundary raises.
    fn InitializeSListHead(head: u64) -> () [max HIGH_LEVEL, wdm] {
        initialize(head)
    }

    /// `ExQueryDepthSList`.
    fn ExQueryDepthSList(head: u64) -> u16 [max DISPATCH_LEVEL, wdm] {
        depth(head)
    }

    /// `FirstEntrySList`.
    fn FirstEntrySList(head: u64) -> u64 [max HIGH_LEVEL, wdm] {
        first(head)
    }

    /// `ExpInterlockedPushEntrySList`, which `ExInterlockedPushEntrySList` and
    /// `InterlockedPushEntrySList` are on x64.
    fn ExpInterlockedPushEntrySList<call>(head: u64, entry: u64) -> u64 [max HIGH_LEVEL, wdm] {
        push(head, entry, call.return_address())
    }

    /// `ExpInterlockedPopEntrySList`.
    fn ExpInterlockedPopEntrySList(head: u64) -> u64 [max HIGH_LEVEL, wdm] {
        pop(head)
    }

    /// `ExpInterlockedFlushSList`.
    fn ExpInterlockedFlushSList(head: u64) -> u64
        [max HIGH_LEVEL, page "windows-hardware/drivers/ddi/wdm/nf-wdm-exinterlockedflushslist"] {
        flush(head)
    }

    /// `InterlockedPushListSList`: `count` entries, linked from `list` to `end`.
    fn InterlockedPushListSList(head: u64, list: u64, end: u64, count: u32) -> u64 [max HIGH_LEVEL, undocumented] {
        let before = update(head, |head| {
            driver_mem::write_u64(end, head.first())?;
            Ok(Some(head.with(list, head.depth() + u64::from(count), SEQUENCE)))
        })?;
        Ok(before.first())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{NOWHERE, address_mut, broken_rules, call, fault, processor, value};

    #[repr(C, align(16))]
    #[derive(Default)]
    struct Words([u64; 2]);

    #[test]
    fn slist_header_has_depth_sequence_and_next() {
        processor();
        let mut head = Words([u64::MAX; 2]);
        let head_at = address_mut(&mut head);
        let (mut a, mut b) = (Words::default(), Words::default());
        let (a, b) = (address_mut(&mut a), address_mut(&mut b));
        value(InitializeSListHead, &[head_at]);
        assert_eq!(value(ExpInterlockedPopEntrySList, &[head_at]), 0);
        assert_eq!(value(ExpInterlockedPushEntrySList, &[head_at, a]), 0);
        assert_eq!(value(ExpInterlockedPushEntrySList, &[head_at, b]), a);
        assert_eq!(head.0, [(2 * SEQUENCE) | 2, b]);
        assert_eq!(value(ExQueryDepthSList, &[head_at]), 2);
        assert_eq!(value(FirstEntrySList, &[head_at]), b);
        assert_eq!(value(ExpInterlockedPopEntrySList, &[head_at]), b);
        assert_eq!(value(ExpInterlockedPopEntrySList, &[head_at]), a);
        assert_eq!(value(ExpInterlockedPopEntrySList, &[head_at]), 0);
        assert_eq!(head.0[0] & DEPTH, 0);
    }

    #[test]
    fn slist_header_keeps_reserved_bits() {
        processor();
        // What inline code of older headers makes of an empty head.
        let mut head = Words([0, 3]);
        let head_at = address_mut(&mut head);
        let mut entry = Words::default();
        let entry = address_mut(&mut entry);
        value(ExpInterlockedPushEntrySList, &[head_at, entry]);
        assert_eq!(head.0[1], entry | 3);
        assert_eq!(value(ExpInterlockedFlushSList, &[head_at]), entry);
        assert_eq!(head.0[1], 3);
        assert_eq!(value(ExpInterlockedFlushSList, &[head_at]), 0);
    }

    #[test]
    fn slist_push_list_and_flush() {
        processor();
        let (mut head, mut old) = (Words::default(), Words::default());
        let mut entries: [Words; 3] = std::array::from_fn(|_| Words::default());
        let at: [u64; 3] = std::array::from_fn(|n| address_mut(&mut entries[n]));
        let (head_at, old) = (address_mut(&mut head), address_mut(&mut old));
        driver_mem::write_u64(at[0], at[1]).expect("it is ours");
        driver_mem::write_u64(at[1], at[2]).expect("it is ours");
        value(ExpInterlockedPushEntrySList, &[head_at, old]);
        assert_eq!(
            value(InterlockedPushListSList, &[head_at, at[0], at[2], 3]),
            old
        );
        assert_eq!(value(ExQueryDepthSList, &[head_at]), 4);
        assert_eq!(value(ExpInterlockedFlushSList, &[head_at]), at[0]);
        assert_eq!(driver_mem::read_u64(at[2]), Ok(old));
        assert_eq!(value(ExQueryDepthSList, &[head_at]), 0);
    }

    #[test]
    fn slist_misaligned_raises_and_is_reported() {
        processor();
        let mut head = Words::default();
        let head_at = address_mut(&mut head);
        let raised = |result| match result {
            Err(NoReturn::Raise(record)) => record.code,
            other => panic!("nothing was raised: {other:?}"),
        };
        assert_eq!(
            raised(call(InitializeSListHead, &[head_at + 8])),
            nt_status::STATUS_DATATYPE_MISALIGNMENT
        );
        assert_eq!(
            raised(call(ExpInterlockedPushEntrySList, &[head_at, head_at + 8])),
            nt_status::STATUS_DATATYPE_MISALIGNMENT
        );
        assert_eq!(broken_rules(), ["slist-entry-misaligned"]);
    }

    #[test]
    fn slist_pop_of_unmapped_entry_faults() {
        processor();
        let mut head = Words([1, NOWHERE & !0xf]);
        assert_eq!(
            fault(ExpInterlockedPopEntrySList, &[address_mut(&mut head)]),
            NOWHERE
        );
        assert_eq!(head.0[0], 1, "nothing was taken");
    }
}
