//! Exports that are machine code: no Rust function can have their convention.
//!
//! The code is copied into the kernel's zone and runs where it is called, on the
//! driver's stack. It must not depend on where it lies, nor move the stack
//! pointer: then a fault in it is one of a leaf function, with the driver's call
//! as its caller. Such calls are not counted.

use super::gate::Reference;

/// One export.
#[derive(Debug, Clone, Copy)]
pub struct Native {
    /// Name that drivers import.
    pub name: &'static str,
    /// Its code.
    pub code: fn() -> &'static [u8],
    /// Where its contract is written down.
    pub reference: Reference,
    /// The source file that it is in.
    pub source: &'static str,
}

/// The bytes between two labels of assembly, the second behind the first.
///
/// # Safety
/// Both lie in one read-only section of this program, in this order.
#[must_use]
pub unsafe fn between(begin: *const u8, end: *const u8) -> &'static [u8] {
    // SAFETY: both point into the same section, says the caller.
    let length = unsafe { end.offset_from_unsigned(begin) };
    // SAFETY: the section is mapped for as long as the program runs, and nothing
    // writes to it.
    unsafe { std::slice::from_raw_parts(begin, length) }
}
