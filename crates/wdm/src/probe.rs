//! `ProbeForRead` and `ProbeForWrite`, with their exceptions as errors.
//!
//! A probe checks addresses only; the memory can be unmapped right after it. The accesses
//! of [`crate::user`] catch exceptions themselves and need no probe. Use this module to
//! reject a range before starting work.

use core::ffi::c_void;

use wdk_sys::ntddk::{ProbeForRead, ProbeForWrite};

use crate::{Error, Result, irql::Apc, seh};

/// What a range has to be aligned to: the sizes that the reference allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alignment {
    /// To nothing.
    Byte = 1,
    /// To 2 bytes.
    Word = 2,
    /// To 4 bytes.
    Dword = 4,
    /// To 8 bytes.
    Qword = 8,
    /// To 16 bytes.
    Oword = 16,
}

impl Alignment {
    /// The alignment to so many bytes, if there is one. IRQL: any.
    #[must_use]
    pub const fn new(bytes: u32) -> Option<Self> {
        match bytes {
            1 => Some(Self::Byte),
            2 => Some(Self::Word),
            4 => Some(Self::Dword),
            8 => Some(Self::Qword),
            16 => Some(Self::Oword),
            _ => None,
        }
    }
}

/// Checks that a range lies in user memory and is aligned: `ProbeForRead`. It is
/// not touched, so nothing is said of whether it is there. 0 bytes pass anywhere.
///
/// IRQL: `<= APC_LEVEL`.
///
/// ```no_run
/// # use wdm::probe::{self, Alignment};
/// # fn example(address: usize, len: usize, passive: &mut wdm::irql::Passive) -> wdm::Result<()> {
/// probe::read(address, len, Alignment::Dword, passive)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// * `STATUS_DATATYPE_MISALIGNMENT`: it is not aligned.
/// * `STATUS_ACCESS_VIOLATION`: it reaches beyond user memory, or wraps.
pub fn read(address: usize, len: usize, alignment: Alignment, _: &Apc) -> Result<()> {
    let function = ProbeForRead as *const c_void;
    // SAFETY: the function takes any address, and touches none.
    unsafe { probe("ProbeForRead", function, address, len, alignment) }
}

/// Checks that a range lies in user memory, is aligned, and can be written to:
/// `ProbeForWrite`, which touches every page, writing what it reads. 0 bytes pass
/// anywhere.
///
/// IRQL: `<= APC_LEVEL`.
///
/// # Errors
///
/// * `STATUS_DATATYPE_MISALIGNMENT`: it is not aligned.
/// * `STATUS_ACCESS_VIOLATION`: it reaches beyond user memory, or wraps, or a page
///   is not there or not to be written to.
/// * What else touching a page raised, such as `STATUS_IN_PAGE_ERROR`.
pub fn write(address: usize, len: usize, alignment: Alignment, _: &Apc) -> Result<()> {
    let function = ProbeForWrite as *const c_void;
    // SAFETY: the function takes any address, and touches none but of user memory,
    // which no Rust code holds references to.
    unsafe { probe("ProbeForWrite", function, address, len, alignment) }
}

/// Calls one of the two.
///
/// # Safety
///
/// The function takes an address, a length and an alignment, whatever they are, at
/// the level at hand.
unsafe fn probe(
    call: &'static str,
    function: *const c_void,
    address: usize,
    len: usize,
    alignment: Alignment,
) -> Result<()> {
    let arguments = [address, len, alignment as usize, 0, 0, 0];
    // SAFETY: the caller vouches for the function, which has no work to undo.
    match unsafe { seh::call(function, arguments) } {
        Ok(_) => Ok(()),
        Err(status) => Err(Error::new(call, status)),
    }
}
