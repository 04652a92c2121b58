//! The structures that exception handling on x64 passes around, with the layout
//! that drivers see.

use super::driver_mem::{self, Fault};
use super::gate::Frame;

/// `CONTEXT_UNWOUND_TO_CALL`: the instruction pointer of a context is a return
/// address, not the place of a fault.
pub const UNWOUND_TO_CALL: u32 = 0x2000_0000;

/// `CONTEXT`, 0x4D0 bytes.
#[repr(C, align(16))]
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// Home space for register parameters, `P1Home` to `P6Home`.
    pub home: [u64; 6],
    /// 0x30: which parts are valid.
    pub flags: u32,
    /// 0x34: SSE control.
    pub mxcsr: u32,
    /// 0x38: CS, DS, ES, FS, GS, SS.
    pub segments: [u16; 6],
    /// 0x44: flags register.
    pub eflags: u32,
    /// 0x48: debug registers 0 to 3, 6, 7.
    pub debug: [u64; 6],
    /// 0x78: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15: the order in
    /// which unwind codes number them.
    pub registers: [u64; 16],
    /// 0xF8: instruction pointer.
    pub rip: u64,
    /// 0x100: `XMM_SAVE_AREA32` up to its registers: x87 state.
    pub x87: [u8; 0xa0],
    /// 0x1A0: XMM0 to XMM15.
    pub xmm: [u128; 16],
    /// 0x2A0: the rest of the save area, vector and debug control.
    pub rest: [u64; 70],
}

const _: () = assert!(size_of::<Context>() == 0x4d0);
const _: () = assert!(std::mem::offset_of!(Context, registers) == 0x78);
const _: () = assert!(std::mem::offset_of!(Context, xmm) == 0x1a0);

/// Number of RSP in [`Context::registers`].
pub const RSP: usize = 4;
/// Number of RBP.
pub const RBP: usize = 5;
/// `CONTEXT_FULL` for x64.
pub const CONTEXT_FULL: u32 = 0x0010_000b;

impl Context {
    /// A context with all registers zero.
    #[must_use]
    pub fn zeroed() -> Self {
        Self {
            home: [0; 6],
            flags: CONTEXT_FULL,
            mxcsr: 0x1f80,
            segments: [0x10, 0x2b, 0x2b, 0x53, 0x2b, 0x18],
            eflags: 0x202,
            debug: [0; 6],
            registers: [0; 16],
            rip: 0,
            x87: [0; 0xa0],
            xmm: [0; 16],
            rest: [0; 70],
        }
    }

    /// The state of a driver just after its call into the kernel returns: what
    /// the frame saved, RIP and RSP past the call.
    #[must_use]
    pub fn after_call(frame: &Frame, return_address: u64) -> Self {
        let mut context = Self::zeroed();
        context.rip = return_address;
        context.mxcsr = current_mxcsr();
        let registers = &mut context.registers;
        registers[3] = frame.rbx;
        registers[RSP] = frame.rsp.wrapping_add(8);
        registers[RBP] = frame.rbp;
        registers[6] = frame.rsi;
        registers[7] = frame.rdi;
        registers[12..].copy_from_slice(&frame.r12_15);
        context.xmm[6..].copy_from_slice(&frame.xmm6_15);
        context
    }

    /// With the bits cleared that a processor does not let anybody set: those
    /// that MXCSR reserves, and all flags but those that a program may change.
    #[must_use]
    pub fn for_processor(&self) -> Self {
        /// Carry, parity, adjust, zero, sign, trap, direction, overflow.
        const FLAGS: u32 = 0xdd5;
        /// Reserved bit 1 and interrupts, always set.
        const ALWAYS: u32 = 0x202;
        Self {
            mxcsr: self.mxcsr & 0xffff,
            eflags: self.eflags & FLAGS | ALWAYS,
            ..*self
        }
    }

    /// Stack pointer.
    #[must_use]
    pub fn rsp(&self) -> u64 {
        self.registers[RSP]
    }

    /// Changes RSP.
    pub fn set_rsp(&mut self, rsp: u64) {
        self.registers[RSP] = rsp;
    }

    /// The bytes that a driver sees.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: the structure has no padding (the fields fill 0x4D0 bytes
        // exactly) and lives as long as the slice.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), size_of::<Self>()) }
    }

    /// From the bytes that a driver may have changed.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 0x4d0]) -> Self {
        // SAFETY: every field is an integer or an array of them, so any bytes
        // are a value; the read does not need alignment.
        unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() }
    }
}

/// SSE control, which the kernel leaves as the driver has it.
fn current_mxcsr() -> u32 {
    let mut value = 0_u32;
    // SAFETY: stores four bytes to a variable of ours.
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack, preserves_flags));
    }
    value
}

/// `EXCEPTION_RECORD`, 0x98 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExceptionRecord {
    /// Status that says what happened.
    pub code: u32,
    /// `EXCEPTION_…` flags.
    pub flags: u32,
    /// Address of the record that was being handled when this one came.
    pub nested: u64,
    /// Where.
    pub address: u64,
    /// Number of parameters in use.
    pub count: u32,
    /// Parameters, for an access violation 0 read, 1 write or 8 execute, and
    /// the address.
    pub information: [u64; 15],
}

/// `EXCEPTION_NONCONTINUABLE`.
pub const NONCONTINUABLE: u32 = 1;
/// `EXCEPTION_UNWINDING`.
pub const UNWINDING: u32 = 2;
/// `EXCEPTION_EXIT_UNWIND`.
pub const EXIT_UNWIND: u32 = 4;
/// `EXCEPTION_NESTED_CALL`.
pub const NESTED_CALL: u32 = 0x10;
/// `EXCEPTION_COLLIDED_UNWIND`.
pub const COLLIDED_UNWIND: u32 = 0x40;
/// `EXCEPTION_TARGET_UNWIND`.
pub const TARGET_UNWIND: u32 = 0x20;

impl ExceptionRecord {
    /// Bytes of the structure.
    pub const SIZE: usize = 0x98;

    /// One raised by software, such as `ExRaiseStatus`.
    #[must_use]
    pub fn software(code: u32) -> Self {
        Self {
            code,
            flags: NONCONTINUABLE,
            nested: 0,
            address: 0,
            count: 0,
            information: [0; 15],
        }
    }

    /// One raised by the processor.
    #[must_use]
    pub fn hardware(code: u32, address: u64, information: &[u64]) -> Self {
        let mut record = Self {
            flags: 0,
            address,
            ..Self::software(code)
        };
        for (slot, value) in record.information.iter_mut().zip(information) {
            *slot = *value;
            record.count += 1;
        }
        record
    }

    /// The bytes that a driver sees.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[0..4].copy_from_slice(&self.code.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.nested.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.address.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.count.to_le_bytes());
        for (slot, value) in bytes[32..].chunks_exact_mut(8).zip(self.information) {
            slot.copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    /// From the bytes of a driver; a count past the array is cut to it.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::SIZE]) -> Self {
        let u32_at = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        Self {
            code: u32_at(0),
            flags: u32_at(4),
            nested: u64_at(8),
            address: u64_at(16),
            count: u32_at(24).min(15),
            information: std::array::from_fn(|n| u64_at(32 + 8 * n)),
        }
    }
}

impl Context {
    /// Reads a `CONTEXT` of the driver.
    pub fn read(va: u64) -> Result<Self, Fault> {
        let mut bytes = [0; size_of::<Self>()];
        driver_mem::read_bytes(va, &mut bytes)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Writes it to driver memory.
    pub fn write(&self, va: u64) -> Result<(), Fault> {
        driver_mem::write_bytes(va, self.as_bytes())
    }
}

impl ExceptionRecord {
    /// Reads an `EXCEPTION_RECORD` of the driver.
    pub fn read(va: u64) -> Result<Self, Fault> {
        let mut bytes = [0; Self::SIZE];
        driver_mem::read_bytes(va, &mut bytes)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Writes it to driver memory.
    pub fn write(self, va: u64) -> Result<(), Fault> {
        driver_mem::write_bytes(va, &self.to_bytes())
    }
}
