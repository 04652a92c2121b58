//! The processor: an IRQL for each thread, and the functions that catch what others
//! raise. `wdm` has these in assembly.

use core::ffi::c_void;
use std::cell::Cell;

use crate::{
    mdl::{MmMapLockedPagesSpecifyCache, MmProbeAndLockPages},
    pool::AllocateWithQuota,
    system::{ProbeForRead, ProbeForWrite, is_user_memory},
    types::{KIRQL, NTSTATUS},
};

thread_local! {
    static IRQL: Cell<KIRQL> = const { Cell::new(0) };
    /// What the function that was called last has raised.
    static RAISED: Cell<Option<NTSTATUS>> = const { Cell::new(None) };
}

pub const PASSIVE_LEVEL: KIRQL = 0;
pub const APC_LEVEL: KIRQL = 1;
pub const DISPATCH_LEVEL: KIRQL = 2;

/// Where user memory ends. The host's heap lies below.
const USER_END: usize = 0x7FFF_FFFF_0000;

/// The IRQL of this thread, whose processor it has for itself.
#[must_use]
pub fn irql() -> KIRQL {
    IRQL.get()
}

pub(crate) fn set_irql(level: KIRQL) -> KIRQL {
    IRQL.replace(level)
}

/// Panics if the IRQL is above what a function allows.
pub(crate) fn at_most(level: KIRQL, function: &str) {
    assert!(irql() <= level, "{function} at IRQL {}", irql());
}

/// Ends the process, as the kernel stops.
pub fn fast_fail(code: u32) -> ! {
    panic!("fast fail {code}");
}

#[must_use]
pub fn system_time() -> i64 {
    0x01DC_0000_0000_0000
}

/// `MmHighestUserAddress`, `MmUserProbeAddress` and `MmSystemRangeStart`.
#[must_use]
pub fn address_limits() -> [usize; 3] {
    [USER_END - 1, USER_END, 0xFFFF_8000_0000_0000]
}

#[unsafe(no_mangle)]
unsafe extern "C" fn KfRaiseIrql(new: KIRQL) -> KIRQL {
    assert!(new >= irql(), "KfRaiseIrql from {} to {new}", irql());
    set_irql(new)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn KeLowerIrql(new: KIRQL) {
    assert!(new <= irql(), "KeLowerIrql from {} to {new}", irql());
    set_irql(new);
}

/// Raises, for [`guarded_call`]; the function that calls this returns at once.
pub(crate) fn raise(status: NTSTATUS) {
    RAISED.set(Some(status));
}

/// Calls one of the functions that raise, each with the arguments that it has.
pub unsafe fn guarded_call(
    function: *const c_void,
    arguments: *const [usize; 6],
    outcome: *mut u64,
) -> u32 {
    let [a, b, c, d, rest @ ..] = *arguments;
    let pointer = core::ptr::with_exposed_provenance_mut::<c_void>;
    let small = |word: usize| u32::try_from(word).expect("an argument has 32 bits");
    RAISED.set(None);
    let result = if function == ProbeForRead as *const c_void {
        ProbeForRead(pointer(a), b as u64, small(c));
        0
    } else if function == ProbeForWrite as *const c_void {
        ProbeForWrite(pointer(a), b as u64, small(c));
        0
    } else if function == MmProbeAndLockPages as *const c_void {
        MmProbeAndLockPages(pointer(a).cast(), i8::try_from(b).unwrap(), small(c));
        0
    } else if function == MmMapLockedPagesSpecifyCache as *const c_void {
        let mode = i8::try_from(b).unwrap();
        let cache = i32::try_from(c).unwrap();
        let (list, base) = (pointer(a).cast(), pointer(d));
        MmMapLockedPagesSpecifyCache(list, mode, cache, base, small(rest[0]), small(rest[1]))
            .expose_provenance()
    } else {
        // `wdm` declares these two itself, which in Miri gives them other addresses.
        let allocate = core::mem::transmute::<*const c_void, AllocateWithQuota>(function);
        allocate(small(a), b as u64, small(c)).expose_provenance()
    };
    if let Some(status) = RAISED.take() {
        *outcome = u64::from(status.cast_unsigned());
        return 1;
    }
    *outcome = result as u64;
    0
}

/// Copies, unless the side that is user memory is not there.
pub unsafe fn guarded_copy(to: *mut u8, from: *const u8, len: usize) -> u32 {
    at_most(APC_LEVEL, "a copy of user memory");
    if !is_user_memory(to.addr(), len) && !is_user_memory(from.addr(), len) {
        return crate::STATUS_ACCESS_VIOLATION.cast_unsigned();
    }
    to.copy_from(from, len);
    0
}
