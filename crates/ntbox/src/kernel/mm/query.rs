//! What is behind an address, and where a routine is.

use super::space::Use;
use super::with;
use crate::kernel::call::exports;
use crate::kernel::call::irql::{DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};
use crate::kernel::guest::UnicodeString;
use crate::kernel::layout::PAGE_SHIFT;
use crate::kernel::layout::PAGE_SIZE;

/// Whether an access to `va` would find a page.
fn is_valid(va: u64) -> bool {
    with(|memory| match memory.space.find(va) {
        None => false,
        Some((_, area)) => match area.used_for {
            Use::NonPagedPool | Use::PagedPool => memory.pools.holds(va),
            _ => area.protection.read,
        },
    })
}

exports! {
    /// `MmGetPhysicalAddress`: 0 where nothing is.
    fn MmGetPhysicalAddress(va: u64) -> u64 [max HIGH_LEVEL] {
        if !is_valid(va) {
            return Ok(0);
        }
        let frame = with(|memory| memory.space.frame(va));
        Ok(frame.map_or(0, |pfn| (pfn << PAGE_SHIFT) | (va & (PAGE_SIZE - 1))))
    }

    /// `MmIsAddressValid`.
    fn MmIsAddressValid(va: u64) -> bool [max DISPATCH_LEVEL] {
        Ok(is_valid(va))
    }

    /// `MmGetSystemRoutineAddress`: NULL for what is not exported.
    fn MmGetSystemRoutineAddress(name: u64) -> u64 [max PASSIVE_LEVEL] fails 0 {
        let name = UnicodeString::read(name)?.text()?;
        Ok(crate::kernel::exports::resolve(&name).unwrap_or(0))
    }
}
