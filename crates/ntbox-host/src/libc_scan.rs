//! glibc's `sscanf`, for unit tests that compare with it.

use std::ffi::CStr;

/// Reads up to three numbers by a format of conversions that store at most eight bytes
/// each, such as `%lld`; returns how many were stored.
///
/// # Panics
/// The format has more than three conversions, or one that stores text or a `long double`.
pub fn sscanf(text: &CStr, format: &CStr, numbers: &mut [i64; 3]) -> i32 {
    let conversions = format.to_bytes().split(|byte| *byte == b'%').count() - 1;
    let stores_text = format
        .to_bytes()
        .iter()
        .any(|byte| b"sS[cCL".contains(byte));
    assert!(
        conversions <= 3 && !stores_text,
        "a format that could overrun: {format:?}"
    );
    let [a, b, c] = numbers.each_mut().map(std::ptr::from_mut);
    // SAFETY: both are C strings, and the format stores no more than three numbers of
    // eight bytes, as was checked.
    unsafe { libc::sscanf(text.as_ptr(), format.as_ptr(), a, b, c) }
}
