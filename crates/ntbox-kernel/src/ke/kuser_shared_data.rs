//! The page that the kernel shares with everyone (`KUSER_SHARED_DATA`).
//!
//! Inline code of the WDK reads time, tick count and version at a fixed address
//! in the upper half of the address space, which a Linux process cannot map. The
//! read faults; the handler brings the page up to date, lends the instruction
//! an address where it lies, and takes it back one instruction later.

use std::cell::Cell;

use nt_layout::KuserSharedData;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::kernel_address_space::{NoSpace, Protection, Use};
use ntbox_host::memory_map::{SHARED_DATA, Zone};

use super::{processor, seeded_schedule};
use crate::base::driver_ptr::DriverPtr;
use crate::base::{clock, os_version};
use crate::mm;

/// Where Windows has the page.
const WINDOWS: Zone = Zone {
    base: 0xffff_f780_0000_0000,
    size: 0x1000,
};

/// The page where this process has it.
const PAGE: DriverPtr<KuserSharedData> = DriverPtr::new(SHARED_DATA.base);

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
    let write = || -> Result<(), Fault> {
        PAGE.set(|page| &page.tick_count_multiplier, 0x0fa0_0000)?;
        PAGE.set(|page| &page.nt_build_number, version.build)?;
        // NtProductWinNt.
        PAGE.set(|page| &page.nt_product_type, 1)?;
        PAGE.set(|page| &page.product_type_is_valid, 1)?;
        PAGE.set(|page| &page.nt_major_version, version.major)?;
        PAGE.set(|page| &page.nt_minor_version, version.minor)?;
        PAGE.set(|page| &page.active_processor_count, processor::active())?;
        PAGE.set(|page| &page.active_group_count, 1)?;
        for (n, unit) in "C:\\Windows".encode_utf16().enumerate() {
            PAGE.set(|page| &page.nt_system_root[n], unit)?;
        }
        Ok(())
    };
    write().map_err(|_| NoSpace)
}

/// Whether an address lies in the page, as Windows has it.
pub fn contains(va: u64) -> bool {
    WINDOWS.contains(va)
}

/// Brings the times up to date. Each is a `KSYSTEM_TIME`: low, high, high again.
fn refresh() {
    let times = [
        (
            PAGE.at(|page| &page.interrupt_time),
            clock::interrupt_time(),
        ),
        (PAGE.at(|page| &page.system_time), clock::system_time()),
        (
            PAGE.at(|page| &page.tick_count),
            clock::interrupt_time() / clock::TICK,
        ),
    ];
    for (field, time) in times {
        let high = u32::try_from(time >> 32).unwrap_or(0);
        let low = u32::try_from(time & 0xffff_ffff).unwrap_or(0);
        // The page is mapped read-write for as long as the process lives.
        let _ = field.set(|time| &time.low_part, low);
        let _ = field.set(|time| &time.high1_time, high);
        let _ = field.set(|time| &time.high2_time, high);
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
