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
    with(|memory| {
        let pool = memory
            .space
            .find(va)
            .is_some_and(|(_, area)| matches!(area.used_for, Use::NonPagedPool | Use::PagedPool));
        if pool {
            return memory.pools.holds(va);
        }
        memory.page(va).is_some_and(|(_, access)| access.read)
    })
}

exports! {
    /// `MmGetPhysicalAddress`: 0 where nothing is.
    fn MmGetPhysicalAddress(va: u64) -> u64 [max HIGH_LEVEL] {
        if !is_valid(va) {
            return Ok(0);
        }
        let page = with(|memory| memory.page(va));
        Ok(page.map_or(0, |(pfn, _)| (pfn << PAGE_SHIFT) | (va & (PAGE_SIZE - 1))))
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
