//! Interlocked operations on driver memory, with their faults survived.
//!
//! The driver's own code works on the same words with locked instructions, and
//! several processors may do so at once; so what the kernel does to a lock, a
//! list head or a counter is one locked instruction, too.

use std::arch::naked_asm;

use super::{Fault, RawResult, check};

// As in `driver_mem`: nothing between begin and end uses the stack. RBX, which
// `cmpxchg16b` needs, is kept in R10 and put back on every way out.
std::arch::global_asm!(
    ".pushsection .text.ntbox_atomic, \"ax\", @progbits",
    ".p2align 4",
    ".globl ntbox_atomic_begin",
    ".hidden ntbox_atomic_begin",
    "ntbox_atomic_begin:",
    ".globl ntbox_atomic_add4",
    ".hidden ntbox_atomic_add4",
    "ntbox_atomic_add4: mov r10, rbx",
    "lock xadd dword ptr [rdi], esi",
    "mov eax, esi",
    "xor edx, edx",
    "ret",
    ".globl ntbox_atomic_add8",
    ".hidden ntbox_atomic_add8",
    "ntbox_atomic_add8: mov r10, rbx",
    "lock xadd qword ptr [rdi], rsi",
    "mov rax, rsi",
    "xor edx, edx",
    "ret",
    ".globl ntbox_atomic_compare4",
    ".hidden ntbox_atomic_compare4",
    "ntbox_atomic_compare4: mov r10, rbx",
    "mov eax, esi",
    "lock cmpxchg dword ptr [rdi], edx",
    "xor edx, edx",
    "ret",
    ".globl ntbox_atomic_compare8",
    ".hidden ntbox_atomic_compare8",
    "ntbox_atomic_compare8: mov r10, rbx",
    "mov rax, rsi",
    "lock cmpxchg qword ptr [rdi], rdx",
    "xor edx, edx",
    "ret",
    // Address, expected low and high, new low and high, and where the words
    // that were there go.
    ".globl ntbox_atomic_compare16",
    ".hidden ntbox_atomic_compare16",
    "ntbox_atomic_compare16: mov r10, rbx",
    "mov rax, rsi",
    "mov rbx, rcx",
    "mov rcx, r8",
    "lock cmpxchg16b xmmword ptr [rdi]",
    "mov qword ptr [r9], rax",
    "mov qword ptr [r9 + 8], rdx",
    "setz al",
    "movzx eax, al",
    "xor edx, edx",
    "mov rbx, r10",
    "ret",
    ".globl ntbox_atomic_end",
    ".hidden ntbox_atomic_end",
    "ntbox_atomic_end:",
    // The signal handler has put address and kind into RAX and RDX.
    ".globl ntbox_atomic_fault",
    ".hidden ntbox_atomic_fault",
    "ntbox_atomic_fault: mov rbx, r10",
    "ret",
    ".popsection",
);

unsafe extern "sysv64" {
    fn ntbox_atomic_add4(va: u64, value: u64) -> RawResult;
    fn ntbox_atomic_add8(va: u64, value: u64) -> RawResult;
    fn ntbox_atomic_compare4(va: u64, expected: u64, new: u64) -> RawResult;
    fn ntbox_atomic_compare8(va: u64, expected: u64, new: u64) -> RawResult;
    fn ntbox_atomic_compare16(
        va: u64,
        expected_low: u64,
        expected_high: u64,
        new_low: u64,
        new_high: u64,
        found: *mut [u64; 2],
    ) -> RawResult;
}

/// Where a faulting access of this module goes on, if `rip` is in it.
pub fn recovery(rip: u64) -> Option<u64> {
    #[repr(C)]
    struct Range {
        begin: u64,
        end: u64,
    }
    #[unsafe(naked)]
    extern "sysv64" fn range() -> Range {
        naked_asm!(
            "lea rax, [rip + ntbox_atomic_begin]",
            "lea rdx, [rip + ntbox_atomic_end]",
            "ret"
        )
    }
    #[unsafe(naked)]
    extern "sysv64" fn fault() -> u64 {
        naked_asm!("lea rax, [rip + ntbox_atomic_fault]", "ret")
    }
    let Range { begin, end } = range();
    (begin..end).contains(&rip).then(|| fault())
}

macro_rules! operations {
    ($($type:ty: $add:ident = $add_asm:ident, $compare:ident = $compare_asm:ident, $update:ident;)*) => {$(
        #[doc = concat!("Adds to a `", stringify!($type), "` of the driver, wrapping; returns what was there.")]
        pub fn $add(va: u64, value: $type) -> Result<$type, Fault> {
            check(va, size_of::<$type>() as u64, true)?;
            // SAFETY: driver memory is never Rust memory: addresses come from the
            // driver, whose memory is only touched through this module. A fault
            // is caught.
            let outcome = unsafe { $add_asm(va, u64::from(value)) };
            #[allow(clippy::cast_possible_truncation, reason = "the routine zero-extends")]
            outcome.result().map(|found| found as $type)
        }

        #[doc = concat!("Stores a `", stringify!($type), "` if `expected` is there; returns what was there.")]
        pub fn $compare(va: u64, expected: $type, new: $type) -> Result<$type, Fault> {
            check(va, size_of::<$type>() as u64, true)?;
            // SAFETY: the address is one of driver memory, which is never Rust
            // memory; a fault is caught.
            let outcome = unsafe { $compare_asm(va, u64::from(expected), u64::from(new)) };
            #[allow(clippy::cast_possible_truncation, reason = "the routine zero-extends")]
            outcome.result().map(|found| found as $type)
        }

        #[doc = concat!("Replaces a `", stringify!($type), "` by what `change` makes of it, until nobody interferes.")]
        ///
        /// `Ok` with the value before, or, where `change` gives `None` and nothing
        /// is stored, `Err` with the value found.
        pub fn $update(
            va: u64,
            change: impl Fn($type) -> Option<$type>,
        ) -> Result<Result<$type, $type>, Fault> {
            // Any value will do to begin with: a wrong one only costs a turn.
            let mut found = $compare(va, 0, 0)?;
            loop {
                let Some(new) = change(found) else { return Ok(Err(found)) };
                let before = $compare(va, found, new)?;
                if before == found {
                    return Ok(Ok(before));
                }
                found = before;
            }
        }
    )*};
}

operations! {
    u32: add_u32 = ntbox_atomic_add4, compare_exchange_u32 = ntbox_atomic_compare4, update_u32;
    u64: add_u64 = ntbox_atomic_add8, compare_exchange_u64 = ntbox_atomic_compare8, update_u64;
}

/// Stores two words at a 16-byte boundary if both expected ones are there: `Ok`;
/// else `Err` with those that are. Elsewhere the processor faults, as it does
/// when the driver does this itself.
pub fn compare_exchange_u128(
    va: u64,
    expected: [u64; 2],
    new: [u64; 2],
) -> Result<Result<(), [u64; 2]>, Fault> {
    check(va, 16, true)?;
    let mut found = [0; 2];
    // SAFETY: the words are driver memory and a fault is caught; `found` is ours.
    let outcome = unsafe {
        ntbox_atomic_compare16(va, expected[0], expected[1], new[0], new[1], &raw mut found)
    };
    Ok(if outcome.result()? == 0 {
        Err(found)
    } else {
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver_mem;

    /// An address at which there never is anything, known without touching it.
    const NOWHERE: u64 = 0xffff_8000_0000_1000;

    fn address_mut<T>(value: &mut T) -> u64 {
        std::ptr::from_mut(value) as u64
    }

    #[repr(align(16))]
    struct Pair([u64; 2]);

    #[test]
    fn operation_returns_previous_value() {
        let mut word = 5_u64;
        let va = address_mut(&mut word);
        assert_eq!(add_u64(va, u64::MAX), Ok(5));
        assert_eq!(add_u64(va, 5), Ok(4));
        assert_eq!(compare_exchange_u64(va, 8, 1), Ok(9));
        assert_eq!(compare_exchange_u64(va, 9, 7), Ok(9));
        assert_eq!(driver_mem::read_u64(va), Ok(7));
        let mut half = [1_u32, 2];
        let va = address_mut(&mut half);
        assert_eq!(add_u32(va, 0xffff_ffff), Ok(1));
        assert_eq!(compare_exchange_u32(va, 0, 0x8000_0000), Ok(0));
        assert_eq!(half, [0x8000_0000, 2], "the neighbour is not touched");
    }

    #[test]
    fn update_declined_stores_nothing() {
        let mut word = 3_u32;
        let va = address_mut(&mut word);
        assert_eq!(
            update_u32(va, |value| (value == 4).then_some(0)),
            Ok(Err(3))
        );
        assert_eq!(update_u32(va, |value| Some(value + 1)), Ok(Ok(3)));
        assert_eq!(driver_mem::read_u32(va), Ok(4));
    }

    #[test]
    fn compare_exchange_u128_is_atomic() {
        let mut pair = Pair([1, 2]);
        let va = address_mut(&mut pair);
        assert_eq!(compare_exchange_u128(va, [1, 3], [0, 0]), Ok(Err([1, 2])));
        assert_eq!(compare_exchange_u128(va, [1, 2], [3, 4]), Ok(Ok(())));
        assert_eq!(pair.0, [3, 4]);
    }

    #[test]
    fn operation_at_unmapped_address_is_write_fault() {
        let expected = Fault {
            address: NOWHERE,
            write: true,
        };
        assert_eq!(add_u32(NOWHERE, 1), Err(expected));
        assert_eq!(
            compare_exchange_u128(NOWHERE, [0; 2], [0; 2]),
            Err(expected)
        );
        assert_eq!(update_u64(NOWHERE, Some), Err(expected));
    }
}
