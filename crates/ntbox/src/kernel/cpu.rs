//! The processor: the control region (KPCR) that drivers read through GS, and
//! behind it the few words that the transitions between driver and kernel need.
//!
//! Linux programs keep their thread data behind FS, so GS is free to point where
//! a Windows kernel has it.

use std::arch::asm;
use std::cell::Cell;

use super::layout::PCRS;

/// `PASSIVE_LEVEL`.
pub const PASSIVE_LEVEL: u8 = 0;
/// `APC_LEVEL`.
pub const APC_LEVEL: u8 = 1;
/// `DISPATCH_LEVEL`.
pub const DISPATCH_LEVEL: u8 = 2;
/// `HIGH_LEVEL`.
pub const HIGH_LEVEL: u8 = 15;

/// Offset of [`Cpu`] from the start of the control region. The part before it
/// looks like the start of a Windows KPCR.
pub const CPU_OFFSET: usize = 0x2000;
/// Bytes of a control region with what belongs to it.
pub const PCR_SIZE: u64 = 0x3000;

/// What the kernel keeps for a processor. The first fields are known to assembly
/// by their offsets from GS: 0x2000, 0x2008, …
#[repr(C)]
#[derive(Debug)]
pub struct Cpu {
    /// 0x2000: stack pointer to take when the driver calls the kernel.
    pub host_rsp: Cell<u64>,
    /// 0x2008: this structure's own address.
    pub own: Cell<u64>,
    /// 0x2010: lowest address of the host stack, to tell whose code faulted.
    pub host_stack_low: Cell<u64>,
    /// 0x2018: end of the host stack.
    pub host_stack_high: Cell<u64>,
    /// Current IRQL, the value of CR8.
    pub irql: Cell<u8>,
    /// Whether interrupts are enabled (`cli`, `sti`).
    pub interrupts: Cell<bool>,
}

/// Sets the base of GS; works on every processor, which the instruction does not.
const ARCH_SET_GS: libc::c_int = 0x1001;

/// Prepares the control region in memory at the start of [`PCRS`], which must be
/// mapped and zero, and points GS of this thread at it.
///
/// # Safety
/// Nothing else may use GS of this thread, and the memory stays mapped for as
/// long as the thread runs driver or kernel code.
pub unsafe fn attach(current_thread: u64, host_stack: (u64, u64)) {
    let pcr = PCRS.base;
    let prcb = pcr + 0x180;
    let put = |offset: u64, value: u64| {
        // SAFETY: the caller says that the region is mapped and ours.
        unsafe { ((pcr + offset) as *mut u64).write(value) };
    };
    // The fields that inline code of the WDK reads: Self, CurrentPrcb, and in
    // the PRCB the current thread.
    put(0x18, pcr);
    put(0x20, prcb);
    put(0x188, current_thread);
    let cpu = pcr + CPU_OFFSET as u64;
    // SAFETY: inside the region, aligned, and all-zero is a valid `Cpu`.
    let cpu_ref = unsafe { &*(cpu as *const Cpu) };
    cpu_ref.own.set(cpu);
    cpu_ref.host_stack_low.set(host_stack.0);
    cpu_ref.host_stack_high.set(host_stack.1);
    cpu_ref.interrupts.set(true);
    // SAFETY: sets a register that nothing else in this thread uses.
    let result = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, pcr) };
    assert_eq!(result, 0, "arch_prctl(ARCH_SET_GS) failed");
}

/// The processor that this thread is.
pub fn current() -> &'static Cpu {
    let own: *const Cpu;
    // SAFETY: reads the self pointer that `attach` stored; code of the kernel
    // only runs on threads that were attached.
    unsafe {
        asm!("mov {}, gs:[0x2008]", out(reg) own, options(nostack, readonly, preserves_flags));
    };
    // SAFETY: the region lives as long as the process; all fields are cells that
    // only this thread uses.
    unsafe { &*own }
}

/// Current IRQL.
pub fn irql() -> u8 {
    current().irql.get()
}

/// Sets the IRQL and returns the one before.
pub fn set_irql(new: u8) -> u8 {
    current().irql.replace(new)
}
