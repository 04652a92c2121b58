//! The kernel's memory routines on byte slices: copy, move, fill, zero, compare.
//!
//! Lengths come from the slices, so no routine accesses memory outside them. Two slices
//! cannot overlap, as `RtlCopyMemory` requires; [`move_within`] moves within one slice.
//! Use [`SharedBytes`](crate::memory::SharedBytes) for memory that is written
//! concurrently.

use core::{
    ops::Range,
    sync::atomic::{Ordering, compiler_fence},
};

use wdk_sys::ntddk::RtlCompareMemory;

/// Copies `from` to the beginning of `to`, and returns how many bytes were copied:
/// the length of the shorter one. `RtlCopyMemory`. IRQL: any, if both slices are resident.
///
/// ```
/// # use wdm::bytes;
/// # let (mut header, packet) = ([0; 4], [1; 8]);
/// let copied = bytes::copy(&mut header, &packet);
/// # assert_eq!((copied, header), (4, [1; 4]));
/// ```
#[must_use = "fewer bytes than given are copied if there is no room"]
pub fn copy(to: &mut [u8], from: &[u8]) -> usize {
    let len = to.len().min(from.len());
    // SAFETY: both have so many bytes, and a mutable slice overlaps no other.
    unsafe { core::ptr::copy_nonoverlapping(from.as_ptr(), to.as_mut_ptr(), len) };
    len
}

/// Moves a part of `bytes` to offset `to`, where the two places may overlap:
/// `RtlMoveMemory`. `None` if either reaches beyond the end; nothing is moved then.
/// IRQL: any, if the memory is resident.
///
/// ```
/// # use wdm::{Status, bytes};
/// # let mut buffer = [0; 64];
/// bytes::move_within(&mut buffer, 16..64, 0).ok_or(Status::INVALID_PARAMETER)?;
/// # Ok::<(), Status>(())
/// ```
#[must_use = "nothing is moved if the memory is too short"]
pub fn move_within(bytes: &mut [u8], from: Range<usize>, to: usize) -> Option<()> {
    let len = bytes.get(from.clone())?.len();
    bytes.get(to..to.checked_add(len)?)?;
    let start = bytes.as_mut_ptr();
    // SAFETY: both ranges have just been found to lie in the slice.
    let source = unsafe { start.add(from.start) };
    // SAFETY: `to` and as many bytes behind it have been found to lie in the slice.
    let target = unsafe { start.add(to) };
    // SAFETY: so many bytes are at both places; they may overlap.
    unsafe { core::ptr::copy(source, target, len) };
    Some(())
}

/// Sets every byte: `RtlFillMemory`. IRQL: any, if the memory is resident.
pub fn fill(bytes: &mut [u8], byte: u8) {
    bytes.fill(byte);
}

/// Sets every byte to 0: `RtlZeroMemory`. IRQL: any, if the memory is resident.
///
/// The compiler may leave it out if nobody reads the bytes afterwards; where they
/// were a secret, use [`secure_zero`].
pub fn zero(bytes: &mut [u8]) {
    bytes.fill(0);
}

/// Sets every byte to 0 even if nobody reads them afterwards:
/// `RtlSecureZeroMemory`. IRQL: any, if the memory is resident.
pub fn secure_zero(bytes: &mut [u8]) {
    for byte in bytes {
        // SAFETY: a reference leads to a byte that may be written.
        unsafe { core::ptr::from_mut(byte).write_volatile(0) };
    }
    compiler_fence(Ordering::SeqCst);
}

/// How many bytes are equal before the first that differs, or before either ends:
/// `RtlCompareMemory`. IRQL: any, if both slices are resident.
///
/// ```
/// # use wdm::bytes;
/// assert_eq!(bytes::count_equal(b"abcd", b"abXd"), 2);
/// ```
#[must_use]
pub fn count_equal(first: &[u8], second: &[u8]) -> usize {
    let len = first.len().min(second.len());
    // The kernel's sizes are addresses' sizes.
    let Ok(size) = len.try_into() else { return 0 };
    // SAFETY: both have so many bytes.
    let equal = unsafe { RtlCompareMemory(first.as_ptr().cast(), second.as_ptr().cast(), size) };
    usize::try_from(equal).unwrap_or(0)
}

/// Whether both have the same bytes, and as many: `RtlEqualMemory`. IRQL: any, if
/// both are resident.
#[must_use]
pub fn equal(first: &[u8], second: &[u8]) -> bool {
    first == second
}
