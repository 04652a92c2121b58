//! `setjmp` and `longjmp`: the buffer holds what a callee must preserve and the
//! frame to unwind to, so that `__finally` blocks on the way are run.

use ntbox_host::context::{Context, RBP, RSP};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;

/// Offsets in `_JUMP_BUFFER`.
mod offset {
    pub const FRAME: u64 = 0x00;
    pub const RBX: u64 = 0x08;
    pub const RSP: u64 = 0x10;
    pub const RBP: u64 = 0x18;
    pub const RSI: u64 = 0x20;
    pub const RDI: u64 = 0x28;
    pub const R12: u64 = 0x30;
    pub const RIP: u64 = 0x50;
    pub const MXCSR: u64 = 0x58;
    pub const FPCSR: u64 = 0x5c;
    pub const XMM6: u64 = 0x60;
}

/// Fields of the buffer that are general registers, by their numbers.
const GENERAL: [(u64, usize); 9] = [
    (offset::RBX, 3),
    (offset::RSP, RSP),
    (offset::RBP, RBP),
    (offset::RSI, 6),
    (offset::RDI, 7),
    (offset::R12, 12),
    (offset::R12 + 8, 13),
    (offset::R12 + 16, 14),
    (offset::R12 + 24, 15),
];

/// x87 control word of a kernel thread.
const FPCSR: u16 = 0x027f;

/// Fills a buffer with the place that a call of `setjmp` returns to.
pub fn save(buffer: u64, context: &Context, frame: u64) -> Result<(), Fault> {
    let at = |offset| buffer.wrapping_add(offset);
    driver_mem::write_u64(at(offset::FRAME), frame)?;
    for (offset, register) in GENERAL {
        driver_mem::write_u64(at(offset), context.registers[register])?;
    }
    driver_mem::write_u64(at(offset::RIP), context.rip)?;
    driver_mem::write_u32(at(offset::MXCSR), context.mxcsr)?;
    driver_mem::write_u16(at(offset::FPCSR), FPCSR)?;
    for (n, value) in (0..).zip(&context.xmm[6..]) {
        driver_mem::write_bytes(at(offset::XMM6 + 16 * n), &value.to_le_bytes())?;
    }
    Ok(())
}

/// Puts what a buffer holds into the registers.
pub fn restore(buffer: u64, context: &mut Context) -> Result<(), Fault> {
    let at = |offset| buffer.wrapping_add(offset);
    for (offset, register) in GENERAL {
        context.registers[register] = driver_mem::read_u64(at(offset))?;
    }
    context.rip = driver_mem::read_u64(at(offset::RIP))?;
    context.mxcsr = driver_mem::read_u32(at(offset::MXCSR))?;
    for (n, slot) in (0..).zip(&mut context.xmm[6..]) {
        let mut bytes = [0; 16];
        driver_mem::read_bytes(at(offset::XMM6 + 16 * n), &mut bytes)?;
        *slot = u128::from_le_bytes(bytes);
    }
    Ok(())
}

/// The frame that a buffer unwinds to; 0 for a jump without unwinding.
pub fn frame(buffer: u64) -> Result<u64, Fault> {
    driver_mem::read_u64(buffer.wrapping_add(offset::FRAME))
}

/// Where a buffer goes on.
pub fn target(buffer: u64) -> Result<u64, Fault> {
    driver_mem::read_u64(buffer.wrapping_add(offset::RIP))
}
