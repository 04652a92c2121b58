//! The IRQL, as the compiler's intrinsics read and write it on this processor: the
//! headers have these functions inline.

use core::arch::asm;

use wdk_sys::KIRQL;

/// `KeGetCurrentIrql`.
pub fn current() -> KIRQL {
    let level: u64;
    // SAFETY: reading the register has no effect.
    unsafe { asm!("mov {}, cr8", out(reg) level, options(nomem, nostack, preserves_flags)) };
    level.to_le_bytes()[0]
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
