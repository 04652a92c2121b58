//! Pool: blocks of the host's heap, each with what has to be right when it is freed.

use core::ptr::null_mut;
use std::{
    alloc::{Layout, alloc, dealloc},
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    POOL_FLAG_PAGED, POOL_FLAG_UNINITIALIZED, POOL_QUOTA_FAIL_INSTEAD_OF_RAISE,
    STATUS_INSUFFICIENT_RESOURCES, host,
    machine::{APC_LEVEL, DISPATCH_LEVEL, at_most, raise},
    types::{POOL_FLAGS, POOL_TYPE, PVOID, SIZE_T, ULONG},
};

struct Block {
    layout: Layout,
    /// 0 if the block was taken without one.
    tag: ULONG,
    is_paged: bool,
}

static BLOCKS: Mutex<Option<HashMap<usize, Block>>> = Mutex::new(None);

fn blocks() -> MutexGuard<'static, Option<HashMap<usize, Block>>> {
    BLOCKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many blocks are not back.
pub(crate) fn held() -> usize {
    blocks().as_ref().map_or(0, HashMap::len)
}

fn level_for(is_paged: bool) -> u8 {
    if is_paged { APC_LEVEL } else { DISPATCH_LEVEL }
}

unsafe fn take(is_paged: bool, bytes: SIZE_T, tag: ULONG, is_zeroed: bool) -> PVOID {
    at_most(level_for(is_paged), "taking pool");
    assert_ne!(bytes, 0, "a block without bytes");
    if host::fails() {
        return null_mut();
    }
    let size = usize::try_from(bytes).expect("an address has as many bits");
    let alignment = if size >= 4096 { 4096 } else { 16 };
    let Ok(layout) = Layout::from_size_align(size, alignment) else {
        return null_mut();
    };
    if size > 1 << 30 {
        return null_mut();
    }
    let start = alloc(layout);
    if is_zeroed {
        start.write_bytes(0, size);
    }
    let block = Block {
        layout,
        tag,
        is_paged,
    };
    blocks().get_or_insert_default().insert(start.addr(), block);
    start.cast()
}

unsafe fn give_back(start: PVOID, tag: Option<ULONG>) {
    let block = blocks()
        .as_mut()
        .and_then(|held| held.remove(&start.addr()));
    let block = block.expect("freeing what is no block");
    at_most(level_for(block.is_paged), "freeing pool");
    if let Some(tag) = tag {
        assert_eq!(block.tag, tag, "freeing with another tag");
    }
    dealloc(start.cast(), block.layout);
}

pub(crate) unsafe extern "C" fn ExAllocatePool2(
    flags: POOL_FLAGS,
    bytes: SIZE_T,
    tag: ULONG,
) -> PVOID {
    let is_zeroed = flags & POOL_FLAG_UNINITIALIZED == 0;
    take(flags & POOL_FLAG_PAGED != 0, bytes, tag, is_zeroed)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ExAllocatePool(pool: POOL_TYPE, bytes: SIZE_T) -> PVOID {
    take(pool & 1 != 0, bytes, 0, false)
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn ExAllocatePoolWithTag(
    pool: POOL_TYPE,
    bytes: SIZE_T,
    tag: ULONG,
) -> PVOID {
    take(pool & 1 != 0, bytes, tag, false)
}

/// Both functions that charge and raise: the one without a tag has an argument that
/// it does not look at, so that they can be called alike.
pub(crate) type AllocateWithQuota = unsafe extern "C" fn(POOL_TYPE, SIZE_T, ULONG) -> PVOID;

unsafe fn take_charged(pool: POOL_TYPE, bytes: SIZE_T, tag: ULONG) -> PVOID {
    let start = take(pool & 1 != 0, bytes, tag, false);
    if start.is_null() && pool & POOL_QUOTA_FAIL_INSTEAD_OF_RAISE == 0 {
        raise(STATUS_INSUFFICIENT_RESOURCES);
    }
    start
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ExAllocatePoolWithQuota(pool: POOL_TYPE, bytes: SIZE_T, _: ULONG) -> PVOID {
    take_charged(pool, bytes, 0)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ExAllocatePoolWithQuotaTag(
    pool: POOL_TYPE,
    bytes: SIZE_T,
    tag: ULONG,
) -> PVOID {
    take_charged(pool, bytes, tag)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ExFreePool(start: PVOID) {
    give_back(start, None);
}

#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn ExFreePoolWithTag(start: PVOID, tag: ULONG) {
    give_back(start, Some(tag));
}
