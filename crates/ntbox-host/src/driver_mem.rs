//! Memory of the driver, read and written with its faults survived.
//!
//! An export gets addresses from the driver and must not trust one of them. All
//! access goes through a few assembly routines below; when one of these faults,
//! the signal handler sends it to a fixed way out and the caller gets a
//! [`Fault`], which becomes what the same access would be on Windows: an
//! exception for a user address, a bug check for a system address.

use std::arch::naked_asm;

pub use super::driver_mem::atomic::*;
use super::memory_map;
use super::translation::shadow;

mod atomic;

/// An access that hit memory which is not there, or not for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Address of the access.
    pub address: u64,
    /// Whether it was a write.
    pub write: bool,
}

/// What the routines below return: a value in RAX, and in RDX 0 or, after a
/// fault (RAX holding its address), 1 for a read and 3 for a write.
#[repr(C)]
struct RawResult {
    value: u64,
    fault: u64,
}

impl RawResult {
    fn result(self) -> Result<u64, Fault> {
        if self.fault == 0 {
            Ok(self.value)
        } else {
            Err(Fault {
                address: self.value,
                write: self.fault & 2 != 0,
            })
        }
    }
}

// Everything between `ntbox_guest_begin` and `ntbox_guest_end` may fault; none of
// it uses the stack, so that the way out can return from any of its points.
std::arch::global_asm!(
    ".pushsection .text.ntbox_guest, \"ax\", @progbits",
    ".p2align 4",
    ".globl ntbox_guest_begin",
    ".hidden ntbox_guest_begin",
    "ntbox_guest_begin:",
    ".globl ntbox_guest_read1",
    ".hidden ntbox_guest_read1",
    "ntbox_guest_read1: movzx eax, byte ptr [rdi]",
    "xor edx, edx",
    "ret",
    ".globl ntbox_guest_read2",
    ".hidden ntbox_guest_read2",
    "ntbox_guest_read2: movzx eax, word ptr [rdi]",
    "xor edx, edx",
    "ret",
    ".globl ntbox_guest_read4",
    ".hidden ntbox_guest_read4",
    "ntbox_guest_read4: mov eax, dword ptr [rdi]",
    "xor edx, edx",
    "ret",
    ".globl ntbox_guest_read8",
    ".hidden ntbox_guest_read8",
    "ntbox_guest_read8: mov rax, qword ptr [rdi]",
    "xor edx, edx",
    "ret",
    ".globl ntbox_guest_write1",
    ".hidden ntbox_guest_write1",
    "ntbox_guest_write1: mov byte ptr [rdi], sil",
    "xor edx, edx",
    "ret",
    ".globl ntbox_guest_write2",
    ".hidden ntbox_guest_write2",
    "ntbox_guest_write2: mov word ptr [rdi], si",
    "xor edx, edx",
    "ret",
    ".globl ntbox_guest_write4",
    ".hidden ntbox_guest_write4",
    "ntbox_guest_write4: mov dword ptr [rdi], esi",
    "xor edx, edx",
    "ret",
    ".globl ntbox_guest_write8",
    ".hidden ntbox_guest_write8",
    "ntbox_guest_write8: mov qword ptr [rdi], rsi",
    "xor edx, edx",
    "ret",
    // Copies upwards unless the destination begins inside the source.
    ".globl ntbox_guest_copy",
    ".hidden ntbox_guest_copy",
    "ntbox_guest_copy: mov rcx, rdx",
    "mov rax, rdi",
    "sub rax, rsi",
    "cmp rax, rdx",
    "jb 2f",
    "rep movsb",
    "xor edx, edx",
    "ret",
    "2: lea rdi, [rdi + rcx - 1]",
    "lea rsi, [rsi + rcx - 1]",
    "std",
    "rep movsb",
    "cld",
    "xor edx, edx",
    "ret",
    ".globl ntbox_guest_fill",
    ".hidden ntbox_guest_fill",
    "ntbox_guest_fill: mov rcx, rdx",
    "mov eax, esi",
    "rep stosb",
    "xor edx, edx",
    "ret",
    ".globl ntbox_guest_end",
    ".hidden ntbox_guest_end",
    "ntbox_guest_end:",
    // The signal handler has put address and kind into RAX and RDX.
    ".globl ntbox_guest_fault",
    ".hidden ntbox_guest_fault",
    "ntbox_guest_fault: cld",
    "ret",
    ".popsection",
);

unsafe extern "sysv64" {
    fn ntbox_guest_read1(va: u64) -> RawResult;
    fn ntbox_guest_read2(va: u64) -> RawResult;
    fn ntbox_guest_read4(va: u64) -> RawResult;
    fn ntbox_guest_read8(va: u64) -> RawResult;
    fn ntbox_guest_write1(va: u64, value: u64) -> RawResult;
    fn ntbox_guest_write2(va: u64, value: u64) -> RawResult;
    fn ntbox_guest_write4(va: u64, value: u64) -> RawResult;
    fn ntbox_guest_write8(va: u64, value: u64) -> RawResult;
    fn ntbox_guest_copy(to: u64, from: u64, length: u64) -> RawResult;
    fn ntbox_guest_fill(to: u64, byte: u64, length: u64) -> RawResult;
}

/// Where a faulting access of this module goes on, if `rip` is in it.
#[must_use]
pub fn recovery(rip: u64) -> Option<u64> {
    let (begin, end, fault) = bounds();
    (begin..end)
        .contains(&rip)
        .then_some(fault)
        .or_else(|| atomic::recovery(rip))
}

/// Begin and end of the routines and their way out.
fn bounds() -> (u64, u64, u64) {
    #[repr(C)]
    struct Range {
        begin: u64,
        end: u64,
    }
    #[unsafe(naked)]
    extern "sysv64" fn range() -> Range {
        naked_asm!(
            "lea rax, [rip + ntbox_guest_begin]",
            "lea rdx, [rip + ntbox_guest_end]",
            "ret",
        )
    }
    #[unsafe(naked)]
    extern "sysv64" fn fault() -> u64 {
        naked_asm!("lea rax, [rip + ntbox_guest_fault]", "ret")
    }
    let Range { begin, end } = range();
    (begin, end, fault())
}

/// Whether an address can hold driver data at all. Addresses of this program
/// itself are none of the driver's: they count as not there.
fn check(va: u64, length: u64, write: bool) -> Result<(), Fault> {
    let range = memory_map::driver_range();
    match va.checked_add(length.saturating_sub(1)) {
        Some(last) if last < range.end && (length == 0 || va >= range.start) => {
            match shadow::first_freed(va, length) {
                None => Ok(()),
                Some(address) => Err(Fault { address, write }),
            }
        }
        _ => Err(Fault { address: va, write }),
    }
}

macro_rules! accessors {
    ($($type:ty: $read:ident = $read_asm:ident, $write:ident = $write_asm:ident;)*) => {$(
        #[doc = concat!("Reads a `", stringify!($type), "` of the driver.")]
        pub fn $read(va: u64) -> Result<$type, Fault> {
            check(va, size_of::<$type>() as u64, false)?;
            // SAFETY: the routine may fault, which is caught; it reads and has no
            // other effect. Any bit pattern is an integer.
            let outcome = unsafe { $read_asm(va) };
            #[allow(clippy::cast_possible_truncation, reason = "the routine zero-extends")]
            outcome.result().map(|value| value as $type)
        }

        #[doc = concat!("Writes a `", stringify!($type), "` of the driver.")]
        pub fn $write(va: u64, value: $type) -> Result<(), Fault> {
            check(va, size_of::<$type>() as u64, true)?;
            // SAFETY: driver memory is never Rust memory: addresses come from the
            // driver, whose memory this crate only touches through this module.
            // A fault is caught.
            let outcome = unsafe { $write_asm(va, u64::from(value)) };
            outcome.result().map(drop)
        }
    )*};
}

accessors! {
    u8: read_u8 = ntbox_guest_read1, write_u8 = ntbox_guest_write1;
    u16: read_u16 = ntbox_guest_read2, write_u16 = ntbox_guest_write2;
    u32: read_u32 = ntbox_guest_read4, write_u32 = ntbox_guest_write4;
    u64: read_u64 = ntbox_guest_read8, write_u64 = ntbox_guest_write8;
}

/// Copies inside driver memory; the ranges may overlap. What was copied before
/// a fault stays copied.
pub fn copy(to: u64, from: u64, length: u64) -> Result<(), Fault> {
    if length == 0 {
        return Ok(());
    }
    check(from, length, false)?;
    check(to, length, true)?;
    // SAFETY: as for the single accesses: both ranges are driver memory, faults
    // are caught, overlap is handled by the direction of the copy.
    let outcome = unsafe { ntbox_guest_copy(to, from, length) };
    outcome.result().map(drop)
}

/// Fills driver memory with one byte.
pub fn fill(to: u64, byte: u8, length: u64) -> Result<(), Fault> {
    if length == 0 {
        return Ok(());
    }
    check(to, length, true)?;
    // SAFETY: the range is driver memory and a fault is caught.
    let outcome = unsafe { ntbox_guest_fill(to, u64::from(byte), length) };
    outcome.result().map(drop)
}

/// Reads bytes of the driver into a buffer.
pub fn read_bytes(va: u64, into: &mut [u8]) -> Result<(), Fault> {
    if into.is_empty() {
        return Ok(());
    }
    check(va, into.len() as u64, false)?;
    // SAFETY: the destination is a buffer that we hold exclusively, of that
    // length; the source is driver memory, whose faults are caught.
    let outcome = unsafe { ntbox_guest_copy(into.as_mut_ptr() as u64, va, into.len() as u64) };
    outcome.result().map(drop)
}

/// Writes bytes into driver memory.
pub fn write_bytes(va: u64, from: &[u8]) -> Result<(), Fault> {
    if from.is_empty() {
        return Ok(());
    }
    check(va, from.len() as u64, true)?;
    // SAFETY: the source is a slice of that length; the destination is driver
    // memory, whose faults are caught.
    let outcome = unsafe { ntbox_guest_copy(va, from.as_ptr() as u64, from.len() as u64) };
    outcome.result().map(drop)
}

/// Reads bytes up to a NUL, `limit` at most, without the NUL.
pub fn read_c_string(va: u64, limit: usize) -> Result<Vec<u8>, Fault> {
    let mut text = Vec::new();
    while text.len() < limit {
        match read_u8(va.wrapping_add(text.len() as u64))? {
            0 => break,
            byte => text.push(byte),
        }
    }
    Ok(text)
}

/// Reads UTF-16 units up to a NUL, `limit` at most, without the NUL.
pub fn read_wide_string(va: u64, limit: usize) -> Result<Vec<u16>, Fault> {
    let mut text = Vec::new();
    while text.len() < limit {
        match read_u16(va.wrapping_add(2 * text.len() as u64))? {
            0 => break,
            unit => text.push(unit),
        }
    }
    Ok(text)
}

/// A `UNICODE_STRING` of the driver: its three fields.
#[derive(Debug, Clone, Copy)]
pub struct UnicodeString {
    /// Bytes in use.
    pub length: u16,
    /// Bytes that the buffer has.
    pub maximum_length: u16,
    /// Address of the buffer.
    pub buffer: u64,
}

impl UnicodeString {
    /// Reads the structure (not the text) at `va`.
    pub fn read(va: u64) -> Result<Self, Fault> {
        Ok(Self {
            length: read_u16(va)?,
            maximum_length: read_u16(va.wrapping_add(2))?,
            buffer: read_u64(va.wrapping_add(8))?,
        })
    }

    /// Writes the structure to `va`.
    pub fn write(self, va: u64) -> Result<(), Fault> {
        write_u16(va, self.length)?;
        write_u16(va.wrapping_add(2), self.maximum_length)?;
        write_u64(va.wrapping_add(8), self.buffer)
    }

    /// The text, in UTF-16 units.
    pub fn units(self) -> Result<Vec<u16>, Fault> {
        let mut bytes = vec![0; usize::from(self.length & !1)];
        read_bytes(self.buffer, &mut bytes)?;
        Ok(bytes
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .collect())
    }

    /// The text, with what is not UTF-16 replaced.
    pub fn text(self) -> Result<String, Fault> {
        Ok(String::from_utf16_lossy(&self.units()?))
    }
}
