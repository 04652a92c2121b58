//! `LOOKASIDE_LIST_EX`: the pool is a parameter, and the driver's routines are
//! told which list they work for.

use ntbox_host::gate::irql::DISPATCH_LEVEL;

use super::{Parameters, RAISE, allocate, check_known, delete, failure, flush, free, initialize};
use crate::base::call_context::CallContext;
use crate::base::export::exports;
use crate::ex::tracked_structs::Kind;

/// `EX_LOOKASIDE_LIST_EX_FLAGS_RAISE_ON_FAIL`.
const RAISE_ON_FAIL: u32 = 1;
/// `EX_LOOKASIDE_LIST_EX_FLAGS_FAIL_NO_RAISE`.
const FAIL_NO_RAISE: u32 = 2;
/// `POOL_QUOTA_FAIL_INSTEAD_OF_RAISE`.
const QUOTA_FAIL_INSTEAD_OF_RAISE: u32 = 8;

/// Whether a value is one of the enumeration `POOL_TYPE` that still exists:
/// "must succeed" does not.
fn is_pool_type(value: u32) -> bool {
    /// Paged, cache aligned, session, no-execute.
    const BITS: u32 = 0x1 | 0x4 | 0x20 | 0x200;
    value & !BITS == 0
}

/// The bit that the flags add to the pool type; `None` if they are invalid.
fn behaviour(flags: u32) -> Option<u32> {
    match flags {
        0 => Some(0),
        RAISE_ON_FAIL => Some(RAISE),
        FAIL_NO_RAISE => Some(QUOTA_FAIL_INSTEAD_OF_RAISE),
        _ => None,
    }
}

exports! {
    /// `ExInitializeLookasideListEx`.
    fn ExInitializeLookasideListEx<call>(
        va: u64, allocate: u64, free: u64, pool_type: u32, flags: u32, size: u64, tag: u32, depth: u16,
    ) -> u32 [max DISPATCH_LEVEL, wdm] {
        if !is_pool_type(pool_type) {
            return Ok(nt_status::STATUS_INVALID_PARAMETER_4);
        }
        let Some(behaviour) = behaviour(flags) else { return Ok(nt_status::STATUS_INVALID_PARAMETER_5) };
        let kind = Kind::LookasideEx;
        let parameters = Parameters { kind, allocate, free, pool_type: pool_type | behaviour, size, tag };
        initialize(va, parameters, call.return_address())?;
        Ok(0)
    }

    /// `ExDeleteLookasideListEx`.
    fn ExDeleteLookasideListEx<call>(va: u64) -> () [max DISPATCH_LEVEL, wdm] {
        delete(Kind::LookasideEx, va, "ExDeleteLookasideListEx", call)
    }

    /// `ExFlushLookasideListEx`: frees the entries that are in the list.
    fn ExFlushLookasideListEx<call>(va: u64) -> () [max DISPATCH_LEVEL, wdm] {
        let (function, origin) = ("ExFlushLookasideListEx", CallContext::of(call));
        check_known(Kind::LookasideEx, va, function, origin.address());
        flush(va, function, &origin)
    }

    /// `ExAllocateFromLookasideListEx`: NULL on failure, or raises.
    fn ExAllocateFromLookasideListEx<call>(va: u64) -> u64 [max DISPATCH_LEVEL, wdm] fails_by failure {
        allocate(Kind::LookasideEx, va, "ExAllocateFromLookasideListEx", call)
    }

    /// `ExFreeToLookasideListEx`.
    fn ExFreeToLookasideListEx<call>(va: u64, entry: u64) -> () [max DISPATCH_LEVEL, wdm] {
        free(Kind::LookasideEx, va, entry, "ExFreeToLookasideListEx", call)
    }
}
