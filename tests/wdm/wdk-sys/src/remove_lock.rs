//! Remove locks, in the words of the reference: a count, and whoever removes waits.

use core::ffi::c_char;

use crate::{
    STATUS_DELETE_PENDING, STATUS_SUCCESS,
    machine::{DISPATCH_LEVEL, PASSIVE_LEVEL, at_most},
    sync::{changed, dispatcher, wait},
    types::{IO_REMOVE_LOCK, NTSTATUS, PVOID, ULONG},
};

pub unsafe extern "C" fn IoInitializeRemoveLockEx(
    lock: *mut IO_REMOVE_LOCK,
    _: ULONG,
    _: ULONG,
    _: ULONG,
    _: ULONG,
) {
    at_most(PASSIVE_LEVEL, "IoInitializeRemoveLock");
    let _guard = dispatcher();
    lock.write(IO_REMOVE_LOCK {
        initialised: true,
        removed: false,
        count: 0,
    });
}

pub unsafe extern "C" fn IoAcquireRemoveLockEx(
    lock: *mut IO_REMOVE_LOCK,
    _: PVOID,
    _: *const c_char,
    _: ULONG,
    _: ULONG,
) -> NTSTATUS {
    at_most(DISPATCH_LEVEL, "IoAcquireRemoveLock");
    let _guard = dispatcher();
    assert!((*lock).initialised, "IoAcquireRemoveLock of no lock");
    if (*lock).removed {
        return STATUS_DELETE_PENDING;
    }
    (*lock).count += 1;
    STATUS_SUCCESS
}

unsafe fn let_go(lock: *mut IO_REMOVE_LOCK) {
    assert!((*lock).count > 0, "a remove lock released too often");
    (*lock).count -= 1;
    changed();
}

pub unsafe extern "C" fn IoReleaseRemoveLockEx(lock: *mut IO_REMOVE_LOCK, _: PVOID, _: ULONG) {
    at_most(DISPATCH_LEVEL, "IoReleaseRemoveLock");
    let _guard = dispatcher();
    let_go(lock);
}

pub unsafe extern "C" fn IoReleaseRemoveLockAndWaitEx(
    lock: *mut IO_REMOVE_LOCK,
    _: PVOID,
    _: ULONG,
) {
    at_most(PASSIVE_LEVEL, "IoReleaseRemoveLockAndWait");
    let mut guard = dispatcher();
    assert!(!(*lock).removed, "a device removed twice");
    (*lock).removed = true;
    let_go(lock);
    while (*lock).count > 0 {
        guard = wait(guard);
    }
}
