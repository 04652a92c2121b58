//! MDLs: describing a block and building the list, and locking and mapping it.

use core::{hint::black_box, ptr::null_mut};

use wdk_sys::{
    _MEMORY_CACHING_TYPE::MmCached,
    MDL, PVOID,
    ntddk::{
        IoAllocateMdl, IoFreeMdl, MmBuildMdlForNonPagedPool, MmMapLockedPagesSpecifyCache,
        MmUnmapLockedPages,
    },
};
use wdm::{
    map::CacheType,
    mdl::{Locked, Mdl},
    pool::NonpagedBlock,
};

/// Takes the block by its place, as C would, and leaves none there.
pub extern "C" fn mdl_build_safe(block: &mut Option<NonpagedBlock>) -> bool {
    let Some(taken) = block.take() else {
        return false;
    };
    match Mdl::allocate(taken) {
        Ok(mdl) => {
            let mdl = mdl.build_for_nonpaged_pool();
            black_box(mdl.header().flags);
            *block = Some(mdl.free());
            true
        }
        Err(rejected) => {
            *block = Some(rejected.returned);
            false
        }
    }
}

pub extern "C" fn mdl_build_raw(start: PVOID, len: u32) -> bool {
    // SAFETY: the caller's buffer is nonpaged pool.
    let list = unsafe { IoAllocateMdl(start, len, 0, 0, null_mut()) };
    if list.is_null() {
        return false;
    }
    // SAFETY: the list was made just now for a buffer of nonpaged pool.
    unsafe { MmBuildMdlForNonPagedPool(list) };
    // SAFETY: the list is there.
    black_box(unsafe { (*list).MdlFlags });
    // SAFETY: the list came from IoAllocateMdl.
    unsafe { IoFreeMdl(list) };
    true
}

pub extern "C" fn map_safe(mdl: &Mdl<Locked>) -> bool {
    match mdl.map(CacheType::Cached) {
        Ok(mapping) => {
            black_box(mapping.memory().address());
            mapping.unmap();
            true
        }
        Err(_) => false,
    }
}

pub extern "C" fn map_raw(list: *mut MDL) -> bool {
    const NORMAL_PAGE_PRIORITY: u32 = 16;
    const MDL_MAPPING_NO_EXECUTE: u32 = 0x4000_0000;
    let priority = NORMAL_PAGE_PRIORITY | MDL_MAPPING_NO_EXECUTE;
    // SAFETY: the caller's MDL is locked and not mapped.
    let start =
        unsafe { MmMapLockedPagesSpecifyCache(list, 0, MmCached, null_mut(), 0, priority as _) };
    if start.is_null() {
        return false;
    }
    black_box(start.addr());
    // SAFETY: the kernel mapped the pages there.
    unsafe { MmUnmapLockedPages(start, list) };
    true
}
