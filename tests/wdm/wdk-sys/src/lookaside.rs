//! Lookaside lists: the five functions, which `wdm` looks up by name.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::{
    STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS, host,
    lists::{
        ExQueryDepthSList, ExpInterlockedFlushSList, ExpInterlockedPopEntrySList,
        ExpInterlockedPushEntrySList, InitializeSListHead,
    },
    machine::{DISPATCH_LEVEL, at_most},
    pool::{ExAllocatePoolWithTag, ExFreePoolWithTag},
    types::{
        NTSTATUS, PALLOCATE_FUNCTION_EX, PFREE_FUNCTION_EX, PLOOKASIDE_LIST_EX, POOL_TYPE, PVOID,
        SIZE_T, ULONG, USHORT,
    },
};

/// How many blocks a list keeps: few, so that tests reach the end.
const DEPTH: USHORT = 2;

unsafe extern "C" fn allocate(
    pool: POOL_TYPE,
    bytes: SIZE_T,
    tag: ULONG,
    _: PLOOKASIDE_LIST_EX,
) -> PVOID {
    ExAllocatePoolWithTag(pool, bytes, tag)
}

unsafe extern "C" fn free(block: PVOID, list: PLOOKASIDE_LIST_EX) {
    ExFreePoolWithTag(block, (*list).L.Tag);
}

pub(crate) unsafe extern "C" fn ExInitializeLookasideListEx(
    list: PLOOKASIDE_LIST_EX,
    allocate_ex: PALLOCATE_FUNCTION_EX,
    free_ex: PFREE_FUNCTION_EX,
    pool: POOL_TYPE,
    _: ULONG,
    size: SIZE_T,
    tag: ULONG,
    depth: USHORT,
) -> NTSTATUS {
    at_most(DISPATCH_LEVEL, "ExInitializeLookasideListEx");
    assert_eq!(depth, 0, "the depth is reserved");
    if host::fails() {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let part = &raw mut (*list).L;
    InitializeSListHead(&raw mut (*part).__bindgen_anon_1.ListHead);
    (*part).Depth = DEPTH;
    (*part).Type = pool;
    (*part).Tag = tag;
    (*part).Size = ULONG::try_from(size).expect("blocks are small");
    (*part).__bindgen_anon_4.AllocateEx = Some(allocate_ex.unwrap_or(allocate));
    (*part).__bindgen_anon_5.FreeEx = Some(free_ex.unwrap_or(free));
    (*part).initialised = true;
    host::registered(list.addr());
    STATUS_SUCCESS
}

pub(crate) unsafe extern "C" fn ExFlushLookasideListEx(list: PLOOKASIDE_LIST_EX) {
    assert!((*list).L.initialised, "flushing no list");
    let free = (*list)
        .L
        .__bindgen_anon_5
        .FreeEx
        .expect("a list has a routine");
    let mut entry = ExpInterlockedFlushSList(&raw mut (*list).L.__bindgen_anon_1.ListHead);
    while !entry.is_null() {
        let next = (*entry).Next;
        free(entry.cast(), list);
        entry = next;
    }
}

pub(crate) unsafe extern "C" fn ExDeleteLookasideListEx(list: PLOOKASIDE_LIST_EX) {
    ExFlushLookasideListEx(list);
    (*list).L.initialised = false;
    host::unregistered(list.addr());
}

unsafe fn count(place: *mut ULONG) {
    AtomicU32::from_ptr(place).fetch_add(1, Ordering::Relaxed);
}

pub(crate) unsafe extern "C" fn ExAllocateFromLookasideListEx(list: PLOOKASIDE_LIST_EX) -> PVOID {
    let part = &raw mut (*list).L;
    assert!((*part).initialised, "a block of no list");
    count(&raw mut (*part).TotalAllocates);
    let entry = ExpInterlockedPopEntrySList(&raw mut (*part).__bindgen_anon_1.ListHead);
    if !entry.is_null() {
        return entry.cast();
    }
    count(&raw mut (*part).__bindgen_anon_2);
    let allocate = (*part)
        .__bindgen_anon_4
        .AllocateEx
        .expect("a list has a routine");
    allocate((*part).Type, SIZE_T::from((*part).Size), (*part).Tag, list)
}

pub(crate) unsafe extern "C" fn ExFreeToLookasideListEx(list: PLOOKASIDE_LIST_EX, block: PVOID) {
    let part = &raw mut (*list).L;
    assert!((*part).initialised, "a block for no list");
    count(&raw mut (*part).TotalFrees);
    let head = &raw mut (*part).__bindgen_anon_1.ListHead;
    if ExQueryDepthSList(head) < (*part).Depth {
        ExpInterlockedPushEntrySList(head, block.cast());
        return;
    }
    count(&raw mut (*part).__bindgen_anon_3);
    let free = (*part)
        .__bindgen_anon_5
        .FreeEx
        .expect("a list has a routine");
    free(block, list);
}
