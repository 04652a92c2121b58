//! The page that the kernel shares with everyone (`KUSER_SHARED_DATA`).
//!
//! Inline code of the WDK reads time, tick count and version at a fixed address
//! in the upper half of the address space, which a Linux process cannot map. The
//! read faults; the handler brings the page up to date, lends the instruction
//! an address where it lies, and takes it back one instruction later.

use std::cell::Cell;

use ntbox_host::driver_mem;
use ntbox_host::kernel_address_space::{NoSpace, Protection, Use};
use ntbox_host::memory_map::{SHARED_DATA, Zone};

use super::{processor, seeded_schedule};
use crate::base::{clock, os_version};
use crate::mm;

/// Where Windows has the page.
const WINDOWS: Zone = Zone {
    base: 0xffff_f780_0000_0000,
    size: 0x1000,
};

/// Offsets in the page.
mod offset {
    pub const TICK_COUNT_MULTIPLIER: u64 = 0x004;
    pub const INTERRUPT_TIME: u64 = 0x008;
    pub const SYSTEM_TIME: u64 = 0x014;
    pub const SYSTEM_ROOT: u64 = 0x030;
    pub const BUILD_NUMBER: u64 = 0x260;
    pub const PRODUCT_TYPE: u64 = 0x264;
    pub const PRODUCT_TYPE_IS_VALID: u64 = 0x268;
    pub const MAJOR_VERSION: u64 = 0x26c;
    pub const MINOR_VERSION: u64 = 0x270;
    pub const TICK_COUNT: u64 = 0x320;
    pub const ACTIVE_PROCESSOR_COUNT: u64 = 0x3c0;
    pub const ACTIVE_GROUP_COUNT: u64 = 0x3c4;
}

/// Trap flag.
const TRAP_FLAG: i64 = 0x100;

thread_local! {
    /// The register that was lent an address: its slot, its value, the loan.
    static LENT: Cell<Option<(usize, i64, i64)>> = const { Cell::new(None) };
}

/// Maps the page and fills in what does not change.
pub fn initialize() -> Result<(), NoSpace> {
    mm::with(|memory| memory.map_new(SHARED_DATA.base, 1, Protection::READ_WRITE, Use::Kernel))?;
    let version = os_version::get();
    let put = |at: u64, value: u32| {
        driver_mem::write_u32(SHARED_DATA.base + at, value).map_err(|_| NoSpace)
    };
    put(offset::TICK_COUNT_MULTIPLIER, 0x0fa0_0000)?;
    put(offset::BUILD_NUMBER, version.build)?;
    // NtProductWinNt.
    put(offset::PRODUCT_TYPE, 1)?;
    put(offset::PRODUCT_TYPE_IS_VALID, 1)?;
    put(offset::MAJOR_VERSION, version.major)?;
    put(offset::MINOR_VERSION, version.minor)?;
    put(offset::ACTIVE_PROCESSOR_COUNT, processor::active())?;
    put(offset::ACTIVE_GROUP_COUNT, 1)?;
    for (n, unit) in "C:\\Windows".encode_utf16().enumerate() {
        driver_mem::write_u16(SHARED_DATA.base + offset::SYSTEM_ROOT + 2 * n as u64, unit)
            .map_err(|_| NoSpace)?;
    }
    Ok(())
}

/// Whether an address lies in the page, as Windows has it.
pub fn contains(va: u64) -> bool {
    WINDOWS.contains(va)
}

/// Brings the times up to date. Each is a `KSYSTEM_TIME`: low, high, high again.
fn refresh() {
    let times = [
        (offset::INTERRUPT_TIME, clock::interrupt_time()),
        (offset::SYSTEM_TIME, clock::system_time()),
        (offset::TICK_COUNT, clock::interrupt_time() / clock::TICK),
    ];
    for (at, time) in times {
        let va = SHARED_DATA.base + at;
        let high = u32::try_from(time >> 32).unwrap_or(0);
        let low = u32::try_from(time & 0xffff_ffff).unwrap_or(0);
        // The page is mapped read-write for as long as the process lives.
        let _ = driver_mem::write_u32(va, low);
        let _ = driver_mem::write_u32(va + 4, high);
        let _ = driver_mem::write_u32(va + 8, high);
    }
}

/// Lets the instruction at the fault read the page. False if it is one whose
/// operand this does not understand.
pub fn lend(context: &mut libc::ucontext_t, order: &[usize; 16]) -> bool {
    let registers = &mut context.uc_mcontext.gregs;
    let rip = registers[libc::REG_RIP as usize].cast_unsigned();
    let mut code = [0_u8; 15];
    if driver_mem::read_bytes(rip, &mut code).is_err() {
        return false;
    }
    if seeded_schedule::is_drawn() {
        // Who reads the time in a loop sees it pass.
        clock::pass(seeded_schedule::STEP);
    }
    refresh();
    let (rex, start) = prefixes(&code);
    if let Some(length) = absolute_load(&code, rex, start, registers) {
        registers[libc::REG_RIP as usize] += length;
        return true;
    }
    let Some(base) = base_register(&code, rex, start) else {
        return false;
    };
    let slot = order[base];
    let before = registers[slot];
    let loan = before
        .wrapping_sub(WINDOWS.base.cast_signed())
        .wrapping_add(SHARED_DATA.base.cast_signed());
    LENT.set(Some((slot, before, loan)));
    registers[slot] = loan;
    registers[libc::REG_EFL as usize] |= TRAP_FLAG;
    true
}

/// Whether an instruction has an address on loan: it must not be interrupted.
pub fn is_lent() -> bool {
    LENT.get().is_some()
}

/// Takes the address back after the instruction. False if none was lent.
pub fn take_back(context: &mut libc::ucontext_t) -> bool {
    let Some((slot, before, loan)) = LENT.take() else {
        return false;
    };
    let registers = &mut context.uc_mcontext.gregs;
    // Unless the instruction has loaded the register itself.
    if registers[slot] == loan {
        registers[slot] = before;
    }
    registers[libc::REG_EFL as usize] &= !TRAP_FLAG;
    true
}

/// REX prefix (0 if none) and where the opcode begins.
fn prefixes(code: &[u8]) -> (u8, usize) {
    let legacy = code
        .iter()
        .take_while(|byte| matches!(byte, 0x66 | 0x67 | 0xf2 | 0xf3 | 0x2e | 0x3e))
        .count();
    match code.get(legacy) {
        Some(rex @ 0x40..=0x4f) => (*rex, legacy + 1),
        _ => (0, legacy),
    }
}

/// `mov` to the accumulator from an absolute 64-bit address, carried out.
/// Returns the length of the instruction.
fn absolute_load(code: &[u8], rex: u8, start: usize, registers: &mut [i64; 23]) -> Option<i64> {
    let opcode = *code.get(start)?;
    let address: [u8; 8] = code.get(start + 1..start + 9)?.try_into().ok()?;
    let va = u64::from_le_bytes(address);
    if !matches!(opcode, 0xa0 | 0xa1) || !WINDOWS.contains(va) {
        return None;
    }
    let va = va - WINDOWS.base + SHARED_DATA.base;
    let rax = registers[libc::REG_RAX as usize].cast_unsigned();
    let value = match opcode {
        0xa0 => rax & !0xff | u64::from(driver_mem::read_u8(va).ok()?),
        _ if rex & 8 != 0 => driver_mem::read_u64(va).ok()?,
        _ if code.contains(&0x66) && code[0] == 0x66 => {
            rax & !0xffff | u64::from(driver_mem::read_u16(va).ok()?)
        }
        _ => u64::from(driver_mem::read_u32(va).ok()?),
    };
    registers[libc::REG_RAX as usize] = value.cast_signed();
    i64::try_from(start + 9).ok()
}

/// Number of the base register of the memory operand.
fn base_register(code: &[u8], rex: u8, start: usize) -> Option<usize> {
    let at = if *code.get(start)? == 0x0f {
        start + 2
    } else {
        start + 1
    };
    let modrm = *code.get(at)?;
    let (mode, low) = (modrm >> 6, modrm & 7);
    let extension = usize::from(rex & 1) << 3;
    match (mode, low) {
        (3, _) | (0, 5) => None,
        (_, 4) => {
            let sib = *code.get(at + 1)?;
            let base = sib & 7;
            if mode == 0 && base == 5 {
                None
            } else {
                Some(usize::from(base) | extension)
            }
        }
        _ => Some(usize::from(low) | extension),
    }
}
