//! Locks and what is waited for. One lock of the host stands for the dispatcher's,
//! and one condition for every wait.

use core::sync::atomic::{AtomicU64, Ordering};
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use crate::{
    _EVENT_TYPE, STATUS_SUCCESS, STATUS_TIMEOUT,
    machine::{APC_LEVEL, DISPATCH_LEVEL, at_most, irql, set_irql},
    process::PsGetCurrentThreadId,
    types::{
        BOOLEAN, FAST_MUTEX, KEVENT, KGUARDED_MUTEX, KIRQL, KPRIORITY, KPROCESSOR_MODE, KSPIN_LOCK,
        LARGE_INTEGER, LONG, NTSTATUS, PVOID,
    },
};

static DISPATCHER: Mutex<()> = Mutex::new(());
static CHANGED: Condvar = Condvar::new();

pub(crate) fn dispatcher() -> MutexGuard<'static, ()> {
    DISPATCHER.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn wait(guard: MutexGuard<'static, ()>) -> MutexGuard<'static, ()> {
    CHANGED.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Lets those who wait look again.
pub(crate) fn changed() {
    CHANGED.notify_all();
}

pub unsafe extern "C" fn KeInitializeEvent(event: *mut KEVENT, kind: u32, state: BOOLEAN) {
    let _guard = dispatcher();
    event.write(KEVENT {
        initialised: true,
        synchronization: kind == _EVENT_TYPE::SynchronizationEvent,
        state: LONG::from(state),
    });
}

unsafe fn exchange(event: *mut KEVENT, state: LONG, function: &str) -> LONG {
    at_most(DISPATCH_LEVEL, function);
    let _guard = dispatcher();
    assert!((*event).initialised, "{function} of no event");
    let before = (*event).state;
    (*event).state = state;
    changed();
    before
}

pub unsafe extern "C" fn KeSetEvent(event: *mut KEVENT, _: KPRIORITY, wait: BOOLEAN) -> LONG {
    assert_eq!(wait, 0, "a wait would have to follow");
    exchange(event, 1, "KeSetEvent")
}

pub unsafe extern "C" fn KeClearEvent(event: *mut KEVENT) {
    exchange(event, 0, "KeClearEvent");
}

pub unsafe extern "C" fn KeResetEvent(event: *mut KEVENT) -> LONG {
    exchange(event, 0, "KeResetEvent")
}

pub unsafe extern "C" fn KeReadStateEvent(event: *mut KEVENT) -> LONG {
    at_most(DISPATCH_LEVEL, "KeReadStateEvent");
    let _guard = dispatcher();
    assert!((*event).initialised, "KeReadStateEvent of no event");
    (*event).state
}

/// With a timeout, time has passed when it is asked for.
pub unsafe extern "C" fn KeWaitForSingleObject(
    object: PVOID,
    _: u32,
    _: KPROCESSOR_MODE,
    _: BOOLEAN,
    timeout: *mut LARGE_INTEGER,
) -> NTSTATUS {
    at_most(APC_LEVEL, "KeWaitForSingleObject");
    let event: *mut KEVENT = object.cast();
    let mut guard = dispatcher();
    assert!((*event).initialised, "KeWaitForSingleObject of no event");
    while (*event).state == 0 {
        if !timeout.is_null() {
            return STATUS_TIMEOUT;
        }
        guard = wait(guard);
    }
    if (*event).synchronization {
        (*event).state = 0;
    }
    STATUS_SUCCESS
}

pub unsafe extern "C" fn KeDelayExecutionThread(
    _: KPROCESSOR_MODE,
    _: BOOLEAN,
    _: *mut LARGE_INTEGER,
) -> NTSTATUS {
    at_most(APC_LEVEL, "KeDelayExecutionThread");
    thread::yield_now();
    STATUS_SUCCESS
}

pub(crate) unsafe fn acquire(lock: *mut KSPIN_LOCK) {
    let lock = AtomicU64::from_ptr(lock);
    while lock.swap(1, Ordering::Acquire) != 0 {
        thread::yield_now();
    }
}

pub(crate) unsafe fn release(lock: *mut KSPIN_LOCK) {
    let before = AtomicU64::from_ptr(lock).swap(0, Ordering::Release);
    assert_eq!(before, 1, "releasing a spin lock that nobody holds");
}

pub unsafe extern "C" fn KeAcquireSpinLockRaiseToDpc(lock: *mut KSPIN_LOCK) -> KIRQL {
    at_most(DISPATCH_LEVEL, "KeAcquireSpinLock");
    let before = set_irql(DISPATCH_LEVEL);
    acquire(lock);
    before
}

pub unsafe extern "C" fn KeReleaseSpinLock(lock: *mut KSPIN_LOCK, irql: KIRQL) {
    release(lock);
    set_irql(irql);
}

pub unsafe extern "C" fn ExAcquireFastMutex(mutex: *mut FAST_MUTEX) {
    at_most(APC_LEVEL, "ExAcquireFastMutex");
    let me = PsGetCurrentThreadId();
    let mut guard = dispatcher();
    assert!((*mutex).Event.initialised, "ExAcquireFastMutex of no mutex");
    assert_ne!((*mutex).Owner, me, "a fast mutex taken twice");
    while (*mutex).Count != 1 {
        guard = wait(guard);
    }
    (*mutex).Count = 0;
    (*mutex).Owner = me;
    (*mutex).OldIrql = u32::from(irql());
    set_irql(APC_LEVEL);
}

pub unsafe extern "C" fn ExReleaseFastMutex(mutex: *mut FAST_MUTEX) {
    assert_eq!(irql(), APC_LEVEL, "ExReleaseFastMutex");
    let _guard = dispatcher();
    assert_eq!(
        (*mutex).Owner,
        PsGetCurrentThreadId(),
        "releasing another's mutex"
    );
    set_irql(u8::try_from((*mutex).OldIrql).expect("an IRQL"));
    (*mutex).Owner = core::ptr::null_mut();
    (*mutex).Count = 1;
    changed();
}

pub unsafe extern "C" fn KeInitializeGuardedMutex(mutex: *mut KGUARDED_MUTEX) {
    let _guard = dispatcher();
    mutex.write(KGUARDED_MUTEX {
        initialised: true,
        owner: 0,
    });
}

/// As from Windows 8 on, where it is a fast mutex but leaves the IRQL.
pub unsafe extern "C" fn KeAcquireGuardedMutex(mutex: *mut KGUARDED_MUTEX) {
    at_most(APC_LEVEL, "KeAcquireGuardedMutex");
    let me = PsGetCurrentThreadId().addr();
    let mut guard = dispatcher();
    assert!((*mutex).initialised, "KeAcquireGuardedMutex of no mutex");
    assert_ne!((*mutex).owner, me, "a guarded mutex taken twice");
    while (*mutex).owner != 0 {
        guard = wait(guard);
    }
    (*mutex).owner = me;
}

pub unsafe extern "C" fn KeReleaseGuardedMutex(mutex: *mut KGUARDED_MUTEX) {
    let me = PsGetCurrentThreadId().addr();
    let _guard = dispatcher();
    assert_eq!((*mutex).owner, me, "releasing another's mutex");
    (*mutex).owner = 0;
    changed();
}
