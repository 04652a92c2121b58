//! Calls kernel functions that raise exceptions, and returns the exception code as an
//! error. The module `arch` contains the handler.

use core::ffi::c_void;

use crate::{Status, arch};

/// Copies bytes between the kernel's memory and user memory, where any access may
/// raise; the exception comes back as its code. Some bytes may be copied by then.
///
/// IRQL: `<= APC_LEVEL`.
///
/// # Safety
///
/// Of the two ranges of `len` bytes one is valid memory of the kernel, for reading
/// or writing; the other lies below `MmUserProbeAddress` and in no memory that Rust
/// knows. Faults may be taken here.
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) -> Result<(), Status> {
    // SAFETY: the caller vouches for both ranges; an access to user memory that
    // cannot be made ends at the function's handler.
    match unsafe { arch::guarded_copy(to, from, len) } {
        0 => Ok(()),
        code => Err(Status::from_code(code)),
    }
}

/// Calls `function` with up to six arguments; an exception that it raises comes
/// back as the exception's code.
///
/// IRQL: what `function` asks for.
///
/// # Safety
///
/// `function` has the x64 calling convention of the system, takes at most these
/// arguments, each in eight bytes, and may be called with them here. If it raises,
/// it has undone its work.
pub(crate) unsafe fn call(function: *const c_void, arguments: [usize; 6]) -> Result<u64, Status> {
    let mut outcome = 0;
    // SAFETY: the caller vouches for function and arguments; both pointers are to
    // locals that outlive the call.
    let raised = unsafe { arch::guarded_call(function, &raw const arguments, &raw mut outcome) };
    if raised == 0 {
        Ok(outcome)
    } else {
        // A raised outcome is a zero-extended 32-bit code.
        let [b0, b1, b2, b3, ..] = outcome.to_le_bytes();
        Err(Status::from_code(u32::from_le_bytes([b0, b1, b2, b3])))
    }
}
