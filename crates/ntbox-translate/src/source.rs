//! The code to translate, as its host sees it: bytes, the bounds of functions, images.

use std::ops::Range;

use crate::Gpr;

/// A function as unwind data gives it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// Its code. Direct branches to other places leave the translated unit.
    pub range: Range<u64>,
    /// The register that stays at a fixed distance from the stack pointer after the
    /// prologue (`UWOP_SET_FPREG`). What it addresses by a constant is the frame.
    pub frame_register: Option<Gpr>,
}

/// Where code comes from.
pub trait CodeSource {
    /// The bytes that can be executed from `address` on; empty where there is no code.
    fn code(&self, address: u64) -> &[u8];

    /// The function around `address`; `None` where nothing says.
    fn function(&self, address: u64) -> Option<Function>;

    /// The quadword at `address` of an image's data, such as an entry of its import
    /// table. Code tests again what it guesses by it.
    fn pointer(&self, address: u64) -> Option<u64>;

    /// The image around `address`: RIP-relative operands into it need no check.
    fn image(&self, address: u64) -> Range<u64>;
}
