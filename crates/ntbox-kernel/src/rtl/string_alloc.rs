//! Pool that run-time routines take on behalf of the driver: a string's buffer,
//! which the driver must give back.

use ntbox_host::gate::{Call, NoReturn};

use crate::ex::pool;
use crate::mm;
use crate::mm::pool::{PoolKind, Request};

/// Tag of strings, `Strg` in a debugger.
const TAG: u32 = u32::from_le_bytes(*b"Strg");

/// Takes paged pool in the name of the caller; `None` when there is none left.
pub fn take(call: &Call<'_>, size: u64) -> Option<u64> {
    let request = Request {
        kind: PoolKind::Paged,
        size: size.max(1),
        tag: TAG,
        zeroed: false,
        cache_aligned: false,
        caller: call.return_address(),
    };
    mm::with(|memory| memory.pools.allocate(request))
}

/// Gives a buffer back, which may come from [`take`] or be any pool of the
/// driver: the string routines free with `ExFreePool`.
pub fn give(call: &Call<'_>, va: u64) -> Result<(), NoReturn> {
    pool::free(va, None, call.return_address(), "a string routine")
}
