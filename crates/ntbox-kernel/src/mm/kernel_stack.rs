//! Kernel stacks, with inaccessible pages on both sides.

use ntbox_host::kernel_address_space::{NoSpace, Protection, Use};
use ntbox_host::memory_map::STACKS;

use super::with;

/// Pages of a kernel stack: 24 KiB, as on x64 Windows.
const STACK_PAGES: u64 = 6;
/// Bytes of a kernel stack.
pub const STACK_SIZE: u64 = STACK_PAGES * 0x1000;

/// Makes a kernel stack; returns its upper end. The pages on both sides stay
/// inaccessible.
pub fn new_stack() -> Result<u64, String> {
    new_stack_of(STACK_SIZE)
}

/// Makes a kernel stack of so many bytes, in whole pages.
pub fn new_stack_of(bytes: u64) -> Result<u64, String> {
    let pages = bytes.div_ceil(0x1000);
    with(|memory| {
        let va = memory.space.room(STACKS, pages + 1)? + 0x1000;
        memory.map_new(va, pages, Protection::READ_WRITE, Use::Stack)?;
        Ok(va + pages * 0x1000)
    })
    .map_err(|_: NoSpace| "no memory for a kernel stack".to_owned())
}
