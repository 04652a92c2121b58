//! Processors: the control region (KPCR) of each, which drivers read through GS,
//! and behind it the few words that the transitions between driver and kernel
//! need.
//!
//! Linux programs keep their thread data behind FS, so GS is free to point where
//! a Windows kernel has it. The processors are simulated: one thread of the host
//! is each of them in turn, and GS says which.

use std::arch::asm;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use ntbox_api::config::MAXIMUM_PROCESSORS;

use super::driver_mem::Fault;
use super::memory_map::PCRS;
use super::{driver_mem, kernel_entry, translation};

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
/// Bytes from one control region to the next. In between is the state of translated
/// code.
pub const PCR_STRIDE: u64 = 0x10_0000;
/// Most processors that a machine can have.
pub const MAXIMUM: usize = MAXIMUM_PROCESSORS as usize;

/// What the kernel keeps for a processor. The first fields are known to assembly
/// by their offsets from GS: 0x2000, 0x2008, …
#[repr(C)]
#[derive(Debug)]
pub struct Cpu {
    /// 0x2000: stack pointer to take when the driver calls the kernel.
    pub host_rsp: Cell<u64>,
    /// 0x2008: this structure's own address.
    pub own: Cell<u64>,
    /// Number of the processor, from 0.
    pub number: Cell<u32>,
    /// Current IRQL, the value of CR8.
    pub irql: Cell<u8>,
    /// Whether interrupts are enabled (`cli`, `sti`).
    pub interrupts: Cell<bool>,
    /// 0x2016: whether driver code is translated.
    pub is_translated: Cell<bool>,
}

const _: () = assert!(std::mem::offset_of!(Cpu, is_translated) == 0x16);

/// Sets the base of GS; works on every processor, which the instruction does not.
const ARCH_SET_GS: libc::c_int = 0x1001;

/// Where the control region of a processor lies.
#[must_use]
pub fn region(number: u32) -> u64 {
    PCRS.base + u64::from(number) * PCR_STRIDE
}

/// Offsets in a control region.
mod offset {
    /// `Self`.
    pub const OWN: u64 = 0x18;
    /// `CurrentPrcb`: the control block of the processor, inside the region.
    pub const CURRENT_PRCB: u64 = 0x20;
    /// `MajorVersion`, 1.
    pub const MAJOR_VERSION: u64 = 0x60;
    /// The control block begins; first in it is MXCSR.
    pub const PRCB: u64 = 0x180;
    /// `LegacyNumber` of the processor, a byte.
    pub const LEGACY_NUMBER: u64 = 0x184;
    /// `CurrentThread`.
    pub const CURRENT_THREAD: u64 = 0x188;
    /// `IdleThread`.
    pub const IDLE_THREAD: u64 = 0x198;
    /// `Number` of the processor in the system.
    pub const NUMBER: u64 = 0x1a4;
}

/// Fills in the control region of a processor, with the fields that inline code
/// of the WDK reads. The [`PCR_SIZE`] bytes at its [`region`] must be mapped and zero.
///
/// # Errors
/// It is not.
pub fn prepare(number: u32, idle_thread: u64) -> Result<(), Fault> {
    const MXCSR: u32 = 0x1f80;
    let pcr = region(number);
    driver_mem::write_u64(pcr + offset::OWN, pcr)?;
    driver_mem::write_u64(pcr + offset::CURRENT_PRCB, pcr + offset::PRCB)?;
    driver_mem::write_u16(pcr + offset::MAJOR_VERSION, 1)?;
    driver_mem::write_u32(pcr + offset::PRCB, MXCSR)?;
    driver_mem::write_u8(
        pcr + offset::LEGACY_NUMBER,
        u8::try_from(number).unwrap_or(u8::MAX),
    )?;
    driver_mem::write_u64(pcr + offset::CURRENT_THREAD, idle_thread)?;
    driver_mem::write_u64(pcr + offset::IDLE_THREAD, idle_thread)?;
    driver_mem::write_u32(pcr + offset::NUMBER, number)?;
    let at = pcr + CPU_OFFSET as u64;
    // SAFETY: inside the region, which was written to just now; aligned, and
    // all-zero is a valid `Cpu`.
    let cpu = unsafe { &*(at as *const Cpu) };
    cpu.own.set(at);
    cpu.number.set(number);
    cpu.interrupts.set(true);
    cpu.is_translated.set(translation::prepare_processor(pcr));
    if let Some(prepared) = PREPARED.get(number as usize) {
        prepared.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Makes this thread of the host be a processor.
///
/// # Panics
/// The control region of the processor was not prepared.
pub fn become_processor(number: u32) {
    let is_prepared = PREPARED.get(number as usize);
    let is_prepared = is_prepared.is_some_and(|prepared| prepared.load(Ordering::Relaxed));
    assert!(is_prepared, "processor {number} has no control region");
    set_gs(region(number));
}

/// The processors whose control regions are prepared. Their memory stays mapped for the
/// life of the process.
static PREPARED: [AtomicBool; MAXIMUM] = [const { AtomicBool::new(false) }; MAXIMUM];

fn set_gs(base: u64) {
    // SAFETY: sets a register that nothing else in this thread uses: neither the
    // standard library nor the C library uses GS on x86-64.
    let result = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, base) };
    assert_eq!(result, 0, "arch_prctl(ARCH_SET_GS) failed");
}

/// Memory for the control region of a thread of a unit test, zero.
#[cfg(any(test, feature = "test-support"))]
#[repr(C, align(4096))]
struct TestRegion([u8; CPU_OFFSET + 0x1000]);

/// Makes a thread of a unit test a processor, with a control region that is never
/// freed.
#[cfg(any(test, feature = "test-support"))]
pub fn become_test_processor() {
    let region: &'static mut TestRegion = Box::leak(Box::new(TestRegion([0; _])));
    let base = std::ptr::from_mut(region) as u64;
    let own = base + CPU_OFFSET as u64;
    let own_slot = CPU_OFFSET + 8;
    region.0[own_slot..own_slot + 8].copy_from_slice(&own.to_le_bytes());
    set_gs(base);
}

/// The features of the processor's extended state that the host has enabled; 0 without
/// `XSAVE`.
#[must_use]
pub fn enabled_features() -> u64 {
    if !std::is_x86_feature_detected!("xsave") {
        return 0;
    }
    let (low, high): (u32, u32);
    // SAFETY: the instruction reads a register that is there when the system has
    // enabled XSAVE, which is what was just asked.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack));
    };
    u64::from(high) << 32 | u64::from(low)
}

/// The processor that this thread is.
#[must_use]
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
#[must_use]
pub fn irql() -> u8 {
    current().irql.get()
}

/// Sets the IRQL and returns the one before.
#[expect(
    clippy::must_use_candidate,
    reason = "the level before is for those who restore it"
)]
pub fn set_irql(new: u8) -> u8 {
    let old = current().irql.replace(new);
    if new >= DISPATCH_LEVEL
        && old < DISPATCH_LEVEL
        && let Some(entries) = kernel_entry::registered()
    {
        (entries.irql_raised)();
    }
    old
}

/// Number of the processor that this thread is.
#[must_use]
pub fn number() -> u32 {
    current().number.get()
}

/// The same, as an index.
#[must_use]
pub fn index() -> usize {
    number() as usize
}

/// Says in the control region which thread runs.
///
/// # Errors
/// There is no control region, as in unit tests.
pub fn set_thread(thread: u64) -> Result<(), Fault> {
    driver_mem::write_u64(region(number()) + offset::CURRENT_THREAD, thread)
}
