//! The IRQL: read as the bindings do, written as the compiler's intrinsics do on this
//! processor, for the headers have that inline.

use core::arch::asm;

use wdk_sys::{KIRQL, ntddk::KeGetCurrentIrql};

/// `KeGetCurrentIrql`.
pub fn current() -> KIRQL {
    // SAFETY: a driver runs in kernel mode; reading the IRQL has no effect.
    unsafe { KeGetCurrentIrql() }
}

/// `KeRaiseIrql`; the level before.
///
/// # Safety
///
/// `level` is not below the current one, and [`lower`] follows in the same routine.
pub unsafe fn raise(level: u32) -> KIRQL {
    let before = current();
    // SAFETY: the caller sees to it.
    unsafe { asm!("mov cr8, {}", in(reg) u64::from(level), options(nostack, preserves_flags)) };
    before
}

/// `KeLowerIrql`.
///
/// # Safety
///
/// `level` is what [`raise`] returned.
pub unsafe fn lower(level: KIRQL) {
    // SAFETY: the caller sees to it.
    unsafe { asm!("mov cr8, {}", in(reg) u64::from(level), options(nostack, preserves_flags)) };
}
