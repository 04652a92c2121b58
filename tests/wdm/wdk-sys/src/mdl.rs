//! Memory descriptor lists over the host's memory. A second mapping of a page has
//! the address of the first: what the list says of itself is what is checked.

use core::{mem::size_of, ptr::null_mut};
use std::alloc::{Layout, alloc, dealloc};

use crate::{
    STATUS_ACCESS_VIOLATION, STATUS_INSUFFICIENT_RESOURCES, host,
    machine::{APC_LEVEL, DISPATCH_LEVEL, at_most, raise},
    types::{
        BOOLEAN, IRP, KPROCESSOR_MODE, LARGE_INTEGER, MDL, MEMORY_CACHING_TYPE, PFN_NUMBER,
        PHYSICAL_ADDRESS, PVOID, ULONG,
    },
};

const MAPPED_TO_SYSTEM_VA: i16 = 0x1;
const PAGES_LOCKED: i16 = 0x2;
const SOURCE_IS_NONPAGED_POOL: i16 = 0x4;

fn layout(pages: usize) -> Layout {
    let size = size_of::<MDL>() + pages * size_of::<PFN_NUMBER>();
    Layout::from_size_align(size, 16).expect("an MDL is small")
}

unsafe fn pages(list: *mut MDL) -> usize {
    ((*list).ByteOffset + (*list).ByteCount).div_ceil(4096) as usize
}

pub unsafe extern "C" fn IoAllocateMdl(
    start: PVOID,
    len: ULONG,
    _: BOOLEAN,
    _: BOOLEAN,
    _: *mut IRP,
) -> *mut MDL {
    at_most(DISPATCH_LEVEL, "IoAllocateMdl");
    if host::fails() {
        return null_mut();
    }
    let offset = start.addr() % 4096;
    let header = MDL {
        StartVa: start.wrapping_byte_sub(offset),
        ByteCount: len,
        ByteOffset: u32::try_from(offset).expect("less than a page"),
        ..MDL::default()
    };
    let pages = (offset + len as usize).div_ceil(4096);
    // The frame numbers stay uninitialised until a function lists them.
    let list: *mut MDL = alloc(layout(pages)).cast();
    list.write(header);
    (*list).Size = i16::try_from(layout(pages).size()).expect("an MDL is small");
    host::registered(list.addr());
    list
}

pub unsafe extern "C" fn IoFreeMdl(list: *mut MDL) {
    at_most(DISPATCH_LEVEL, "IoFreeMdl");
    let flags = (*list).MdlFlags;
    assert_eq!(flags & PAGES_LOCKED, 0, "an MDL freed while it is locked");
    assert_eq!(
        flags & MAPPED_TO_SYSTEM_VA,
        0,
        "an MDL freed while it is mapped"
    );
    host::unregistered(list.addr());
    dealloc(list.cast(), layout(pages(list)));
}

unsafe fn list_pages(list: *mut MDL) {
    let array: *mut PFN_NUMBER = list.add(1).cast();
    for index in 0..pages(list) {
        let frame = ((*list).StartVa.addr() / 4096 + index) as u64;
        array.add(index).write(frame);
    }
}

unsafe fn start(list: *mut MDL) -> PVOID {
    (*list)
        .StartVa
        .wrapping_byte_add((*list).ByteOffset as usize)
}

pub unsafe extern "C" fn MmBuildMdlForNonPagedPool(list: *mut MDL) {
    at_most(DISPATCH_LEVEL, "MmBuildMdlForNonPagedPool");
    assert_eq!((*list).MdlFlags, 0, "an MDL that has been used");
    list_pages(list);
    (*list).MappedSystemVa = start(list);
    (*list).MdlFlags = SOURCE_IS_NONPAGED_POOL;
}

// Known by its address, which Miri lets differ for what may be inlined.
#[inline(never)]
pub unsafe extern "C" fn MmProbeAndLockPages(list: *mut MDL, _: KPROCESSOR_MODE, _: u32) {
    at_most(DISPATCH_LEVEL, "MmProbeAndLockPages");
    assert_eq!((*list).MdlFlags, 0, "an MDL that has been used");
    if host::fails() {
        raise(STATUS_ACCESS_VIOLATION);
        return;
    }
    list_pages(list);
    (*list).MdlFlags = PAGES_LOCKED;
}

pub unsafe extern "C" fn MmUnlockPages(list: *mut MDL) {
    at_most(DISPATCH_LEVEL, "MmUnlockPages");
    assert_eq!(
        (*list).MdlFlags,
        PAGES_LOCKED,
        "unlocking what is not locked only"
    );
    (*list).MdlFlags = 0;
}

// Known by its address, which Miri lets differ for what may be inlined.
#[inline(never)]
pub unsafe extern "C" fn MmMapLockedPagesSpecifyCache(
    list: *mut MDL,
    mode: KPROCESSOR_MODE,
    _: MEMORY_CACHING_TYPE,
    _: PVOID,
    _: ULONG,
    _: ULONG,
) -> PVOID {
    let is_user = mode != 0;
    at_most(
        if is_user { APC_LEVEL } else { DISPATCH_LEVEL },
        "MmMapLockedPages",
    );
    assert_eq!((*list).MdlFlags & MAPPED_TO_SYSTEM_VA, 0, "mapped twice");
    if host::fails() {
        if is_user {
            raise(STATUS_INSUFFICIENT_RESOURCES);
        }
        return null_mut();
    }
    let start = start(list);
    if is_user {
        host::registered(start.addr());
    } else {
        (*list).MdlFlags |= MAPPED_TO_SYSTEM_VA;
        (*list).MappedSystemVa = start;
    }
    start
}

pub unsafe extern "C" fn MmUnmapLockedPages(address: PVOID, list: *mut MDL) {
    assert_eq!(address, start(list), "unmapping what is mapped elsewhere");
    if (*list).MdlFlags & MAPPED_TO_SYSTEM_VA == 0 {
        at_most(APC_LEVEL, "MmUnmapLockedPages");
        host::unregistered(address.addr());
    } else {
        at_most(DISPATCH_LEVEL, "MmUnmapLockedPages");
        (*list).MdlFlags &= !MAPPED_TO_SYSTEM_VA;
    }
}

pub unsafe extern "C" fn MmGetPhysicalAddress(address: PVOID) -> PHYSICAL_ADDRESS {
    LARGE_INTEGER {
        QuadPart: i64::try_from(address.addr()).unwrap_or(0),
    }
}
