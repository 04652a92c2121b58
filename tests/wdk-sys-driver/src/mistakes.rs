//! A mistake with each component: what the reference forbids, once.

use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    DISPATCH_LEVEL, FAST_MUTEX, KEVENT, KSPIN_LOCK, NTSTATUS, STATUS_INVALID_PARAMETER,
    STATUS_UNSUCCESSFUL,
    ntddk::{
        ExReleaseFastMutex, KeAcquireSpinLockRaiseToDpc, KeInitializeEvent, ObfDereferenceObject,
    },
};

use crate::{ex, io::Device, irql, ke, kernel::FALSE, mm, owned::Block, requests, zw};

/// Makes mistake `number`, counted from 1; no such mistake returns.
pub fn make(number: u32) -> NTSTATUS {
    let mistakes = [
        ex::free_twice,
        wait_at_dispatch,
        lock_twice,
        mm::unmap_nothing,
        requests::complete_twice,
        touch_freed,
        zw::create_at_dispatch,
        release_strange_mutex,
        dereference_nothing,
        leave_the_level,
        create_at_dispatch,
    ];
    let index = number as usize;
    match index.checked_sub(1).and_then(|index| mistakes.get(index)) {
        Some(mistake) => {
            mistake();
            STATUS_UNSUCCESSFUL
        }
        None => STATUS_INVALID_PARAMETER,
    }
}

/// Waits, with a time, where nobody may.
fn wait_at_dispatch() {
    object!(event: KEVENT);
    // SAFETY: the event lives in this frame; the level is the mistake.
    unsafe {
        KeInitializeEvent(event, NotificationEvent, FALSE);
        let before = irql::raise(DISPATCH_LEVEL);
        ke::wait(event.cast(), 10);
        irql::lower(before);
    }
}

/// Acquires a spin lock that this processor holds.
fn lock_twice() {
    let mut lock: KSPIN_LOCK = 0;
    // SAFETY: the lock lives in this frame; the second time is the mistake.
    unsafe {
        KeAcquireSpinLockRaiseToDpc(&raw mut lock);
        KeAcquireSpinLockRaiseToDpc(&raw mut lock);
    }
}

/// Reads memory that was given back.
fn touch_freed() {
    let Ok(block) = Block::new(wdk_sys::POOL_FLAG_NON_PAGED, 100) else {
        return;
    };
    let address = block.get::<u8>();
    drop(block);
    // SAFETY: it is not there; that is the mistake.
    unsafe { address.read_volatile() };
}

/// Releases a fast mutex that nobody holds.
fn release_strange_mutex() {
    object!(mutex: FAST_MUTEX);
    // SAFETY: the mutex lives in this frame; that it is free is the mistake.
    unsafe {
        (*mutex).Count = 1;
        let before = irql::raise(1);
        ExReleaseFastMutex(mutex);
        irql::lower(before);
    }
}

/// Gives back a reference that was never taken.
fn dereference_nothing() {
    let Ok(device) = Device::new(core::ptr::null_mut(), 0) else {
        return;
    };
    // SAFETY: the reference is not this driver's; that is the mistake.
    unsafe {
        ObfDereferenceObject(device.0.cast());
        ObfDereferenceObject(device.0.cast());
    }
}

/// Returns at a level that it raised.
fn leave_the_level() {
    // SAFETY: it is never lowered; that is the mistake.
    unsafe { irql::raise(DISPATCH_LEVEL) };
}

/// Creates a device where memory cannot be paged in.
fn create_at_dispatch() {
    // SAFETY: the level is lowered again; it is the mistake.
    unsafe {
        let before = irql::raise(DISPATCH_LEVEL);
        drop(Device::new(core::ptr::null_mut(), 0));
        irql::lower(before);
    }
}
