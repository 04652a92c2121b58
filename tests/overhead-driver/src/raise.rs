//! Raising the IRQL, and spin locks: what is promised to cost nothing.

use core::{arch::asm, cell::UnsafeCell};

use wdk_sys::{
    KIRQL, KSPIN_LOCK,
    ntddk::{KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock},
};
use wdm::{
    irql::{Irql, Passive},
    sync::SpinLock,
};

unsafe extern "system" {
    fn KfRaiseIrql(new: KIRQL) -> KIRQL;
    fn KeLowerIrql(new: KIRQL);
}

fn read_irql() -> u8 {
    let level: u64;
    // SAFETY: kernel code may read CR8 at any IRQL.
    unsafe {
        asm!("mov {}, cr8", out(reg) level, options(nomem, nostack, preserves_flags));
    }
    level.to_le_bytes()[0]
}

pub extern "C" fn raise_safe() -> u8 {
    // SAFETY: the caller is at PASSIVE_LEVEL.
    let mut passive = unsafe { Passive::assume() };
    passive.raise_to_dispatch(|_| Irql::current().level())
}

pub extern "C" fn raise_raw() -> u8 {
    // SAFETY: the caller is at PASSIVE_LEVEL.
    let before = unsafe { KfRaiseIrql(2) };
    let level = read_irql();
    // SAFETY: the level was raised above.
    unsafe { KeLowerIrql(before) };
    level
}

pub extern "C" fn raise_apc_safe() -> u8 {
    // SAFETY: the caller is at PASSIVE_LEVEL.
    let mut passive = unsafe { Passive::assume() };
    passive.raise_to_apc(|_| Irql::current().level())
}

pub extern "C" fn raise_apc_raw() -> u8 {
    // SAFETY: the caller is at PASSIVE_LEVEL.
    let before = unsafe { KfRaiseIrql(1) };
    let level = read_irql();
    // SAFETY: the level was raised above.
    unsafe { KeLowerIrql(before) };
    level
}

/// What a spin lock of `wdm` is made of.
pub struct Locked {
    lock: UnsafeCell<KSPIN_LOCK>,
    value: UnsafeCell<u32>,
}

pub extern "C" fn lock_safe(lock: &SpinLock<u32>) -> u32 {
    // SAFETY: the caller is at PASSIVE_LEVEL.
    let mut passive = unsafe { Passive::assume() };
    lock.with(&mut passive, |value, _| {
        *value = value.wrapping_add(1);
        *value
    })
}

pub extern "C" fn lock_raw(locked: &Locked) -> u32 {
    // SAFETY: the lock is initialised, and the caller is at PASSIVE_LEVEL.
    let before = unsafe { KeAcquireSpinLockRaiseToDpc(locked.lock.get()) };
    // SAFETY: the lock is held.
    let value = unsafe { &mut *locked.value.get() };
    *value = value.wrapping_add(1);
    let result = *value;
    // SAFETY: the lock is held.
    unsafe { KeReleaseSpinLock(locked.lock.get(), before) };
    result
}
