//! The kernel's interlocked lists. `SLIST` is under one lock for all, for Miri knows
//! no exchange of sixteen bytes.

use core::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    machine::{DISPATCH_LEVEL, set_irql},
    sync::{acquire, release},
    types::{KSPIN_LOCK, LIST_ENTRY, SINGLE_LIST_ENTRY, SLIST_ENTRY, SLIST_HEADER, USHORT},
};

static SEQUENCED: Mutex<()> = Mutex::new(());

fn sequenced() -> MutexGuard<'static, ()> {
    SEQUENCED.lock().unwrap_or_else(PoisonError::into_inner)
}

pub unsafe extern "C" fn InitializeSListHead(head: *mut SLIST_HEADER) {
    assert!(head.is_aligned(), "a list head that is not aligned");
    head.write(SLIST_HEADER::default());
}

pub unsafe extern "C" fn ExQueryDepthSList(head: *mut SLIST_HEADER) -> USHORT {
    let _guard = sequenced();
    (*head).depth
}

pub unsafe extern "C" fn ExpInterlockedPushEntrySList(
    head: *mut SLIST_HEADER,
    entry: *mut SLIST_ENTRY,
) -> *mut SLIST_ENTRY {
    assert!(entry.is_aligned(), "an entry that is not aligned");
    let _guard = sequenced();
    let before = (*head).first;
    (*entry).Next = before;
    (*head).first = entry;
    (*head).depth = (*head).depth.wrapping_add(1);
    before
}

pub unsafe extern "C" fn ExpInterlockedPopEntrySList(head: *mut SLIST_HEADER) -> *mut SLIST_ENTRY {
    let _guard = sequenced();
    let first = (*head).first;
    if !first.is_null() {
        (*head).first = (*first).Next;
        (*head).depth = (*head).depth.wrapping_sub(1);
    }
    first
}

pub unsafe extern "C" fn ExpInterlockedFlushSList(head: *mut SLIST_HEADER) -> *mut SLIST_ENTRY {
    let _guard = sequenced();
    let first = (*head).first;
    head.write(SLIST_HEADER::default());
    first
}

/// Holds a list's lock, as these functions do at any IRQL.
unsafe fn locked<R>(lock: *mut KSPIN_LOCK, work: impl FnOnce() -> R) -> R {
    let before = crate::machine::irql();
    set_irql(before.max(DISPATCH_LEVEL));
    acquire(lock);
    let result = work();
    release(lock);
    set_irql(before);
    result
}

/// Null for the head of a list, which these functions return as such.
fn unless_head(entry: *mut LIST_ENTRY, head: *mut LIST_ENTRY) -> *mut LIST_ENTRY {
    if entry == head { null_mut() } else { entry }
}

unsafe fn link(before: *mut LIST_ENTRY, entry: *mut LIST_ENTRY, after: *mut LIST_ENTRY) {
    assert_eq!((*before).Flink, after, "a list that is corrupt");
    assert_eq!((*after).Blink, before, "a list that is corrupt");
    entry.write(LIST_ENTRY {
        Flink: after,
        Blink: before,
    });
    (*before).Flink = entry;
    (*after).Blink = entry;
}

pub unsafe extern "C" fn ExInterlockedInsertHeadList(
    head: *mut LIST_ENTRY,
    entry: *mut LIST_ENTRY,
    lock: *mut KSPIN_LOCK,
) -> *mut LIST_ENTRY {
    locked(lock, || {
        let first = (*head).Flink;
        link(head, entry, first);
        unless_head(first, head)
    })
}

pub unsafe extern "C" fn ExInterlockedInsertTailList(
    head: *mut LIST_ENTRY,
    entry: *mut LIST_ENTRY,
    lock: *mut KSPIN_LOCK,
) -> *mut LIST_ENTRY {
    locked(lock, || {
        let last = (*head).Blink;
        link(last, entry, head);
        unless_head(last, head)
    })
}

pub unsafe extern "C" fn ExInterlockedRemoveHeadList(
    head: *mut LIST_ENTRY,
    lock: *mut KSPIN_LOCK,
) -> *mut LIST_ENTRY {
    locked(lock, || {
        let first = (*head).Flink;
        if first != head {
            let next = (*first).Flink;
            (*head).Flink = next;
            (*next).Blink = head;
        }
        unless_head(first, head)
    })
}

pub unsafe extern "C" fn ExInterlockedPushEntryList(
    head: *mut SINGLE_LIST_ENTRY,
    entry: *mut SINGLE_LIST_ENTRY,
    lock: *mut KSPIN_LOCK,
) -> *mut SINGLE_LIST_ENTRY {
    locked(lock, || {
        let first = (*head).Next;
        (*entry).Next = first;
        (*head).Next = entry;
        first
    })
}

pub unsafe extern "C" fn ExInterlockedPopEntryList(
    head: *mut SINGLE_LIST_ENTRY,
    lock: *mut KSPIN_LOCK,
) -> *mut SINGLE_LIST_ENTRY {
    locked(lock, || {
        let first = (*head).Next;
        if !first.is_null() {
            (*head).Next = (*first).Next;
        }
        first
    })
}
