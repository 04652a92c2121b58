//! The lookaside lists of Windows 2000: one kind for nonpaged entries, one for
//! paged ones. Taking and freeing were inline until the Windows 11 22H2 WDK and
//! are exported since.

use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};

use super::{Parameters, RAISE, allocate, delete, failure, free, initialize};
use crate::base::export::exports;
use crate::ex::tracked_structs::Kind;

/// `POOL_NX_ALLOCATION`.
const NX: u32 = 0x200;
/// What the flags of an initialisation may add to the pool type.
const FLAGS: u32 = RAISE | NX;

exports! {
    /// `ExInitializeNPagedLookasideList`.
    fn ExInitializeNPagedLookasideList<call>(
        va: u64, allocate: u64, free: u64, flags: u32, size: u64, tag: u32, depth: u16,
    ) -> () [max DISPATCH_LEVEL, wdm] {
        let kind = Kind::NPagedLookaside;
        let parameters = Parameters { kind, allocate, free, pool_type: flags & FLAGS, size, tag };
        initialize(va, parameters, call.return_address())
    }

    /// `ExInitializePagedLookasideList`.
    fn ExInitializePagedLookasideList<call>(
        va: u64, allocate: u64, free: u64, flags: u32, size: u64, tag: u32, depth: u16,
    ) -> () [max APC_LEVEL, wdm] {
        let kind = Kind::PagedLookaside;
        let pool_type = super::PAGED | flags & FLAGS;
        let parameters = Parameters { kind, allocate, free, pool_type, size, tag };
        initialize(va, parameters, call.return_address())
    }

    /// `ExDeleteNPagedLookasideList`.
    fn ExDeleteNPagedLookasideList<call>(va: u64) -> () [max DISPATCH_LEVEL, wdm] {
        delete(Kind::NPagedLookaside, va, "ExDeleteNPagedLookasideList", call)
    }

    /// `ExDeletePagedLookasideList`.
    fn ExDeletePagedLookasideList<call>(va: u64) -> () [max APC_LEVEL, wdm] {
        delete(Kind::PagedLookaside, va, "ExDeletePagedLookasideList", call)
    }

    /// `ExAllocateFromNPagedLookasideList`: NULL on failure, or raises.
    fn ExAllocateFromNPagedLookasideList<call>(va: u64) -> u64 [max DISPATCH_LEVEL, wdm] fails_by failure {
        allocate(Kind::NPagedLookaside, va, "ExAllocateFromNPagedLookasideList", call)
    }

    /// `ExAllocateFromPagedLookasideList`: NULL on failure, or raises.
    fn ExAllocateFromPagedLookasideList<call>(va: u64) -> u64 [max APC_LEVEL, wdm] fails_by failure {
        allocate(Kind::PagedLookaside, va, "ExAllocateFromPagedLookasideList", call)
    }

    /// `ExFreeToNPagedLookasideList`.
    fn ExFreeToNPagedLookasideList<call>(va: u64, entry: u64) -> () [max DISPATCH_LEVEL, wdm] {
        free(Kind::NPagedLookaside, va, entry, "ExFreeToNPagedLookasideList", call)
    }

    /// `ExFreeToPagedLookasideList`.
    fn ExFreeToPagedLookasideList<call>(va: u64, entry: u64) -> () [max APC_LEVEL, wdm] {
        free(Kind::PagedLookaside, va, entry, "ExFreeToPagedLookasideList", call)
    }
}
