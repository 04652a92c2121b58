//! Taking pool and giving it back.

use core::{alloc::Layout, hint::black_box};

use wdk_sys::{POOL_FLAG_NON_PAGED, ntddk::ExFreePoolWithTag};
use wdm::pool::NonpagedBlock;

use crate::{RAW_TAG, TAG};

/// The kernel's `ExAllocatePool2`, looked up when the driver started.
pub type Allocate =
    unsafe extern "system" fn(wdk_sys::POOL_FLAGS, u64, u32) -> *mut core::ffi::c_void;

pub extern "C" fn pool_safe() -> bool {
    match NonpagedBlock::zeroed(Layout::new::<[u64; 8]>(), TAG) {
        Ok(block) => {
            black_box(block.address());
            true
        }
        Err(_) => false,
    }
}

pub extern "C" fn pool_raw(allocate: Allocate) -> bool {
    // SAFETY: size and tag are not 0, and the flags are defined ones.
    let block = unsafe { allocate(POOL_FLAG_NON_PAGED, 64, RAW_TAG) };
    if block.is_null() {
        return false;
    }
    black_box(block.addr());
    // SAFETY: the block came from the kernel with this tag.
    unsafe { ExFreePoolWithTag(block, RAW_TAG) };
    true
}
