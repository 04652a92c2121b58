//! Copying, filling and comparing memory: the `Rtl…Memory` routines, and the C
//! functions that compilers call on their own.
//!
//! All run at any IRQL as long as the memory is resident.

use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::Call;
use ntbox_host::gate::irql::HIGH_LEVEL;

use super::scan;
use crate::base::diag;
use crate::base::export::exports;

exports! {
    /// `RtlCopyMemory`; source and destination must not overlap.
    fn RtlCopyMemory<call>(to: u64, from: u64, length: u64) -> () [max HIGH_LEVEL, wdm] {
        check_overlap(call, "RtlCopyMemory", to, from, length);
        Ok(driver_mem::copy(to, from, length)?)
    }

    /// `RtlCopyMemoryNonTemporal`; the same, without filling the cache.
    fn RtlCopyMemoryNonTemporal<call>(to: u64, from: u64, length: u64) -> () [max HIGH_LEVEL, wdm] {
        check_overlap(call, "RtlCopyMemoryNonTemporal", to, from, length);
        Ok(driver_mem::copy(to, from, length)?)
    }

    /// `RtlMoveMemory`; the ranges may overlap.
    fn RtlMoveMemory(to: u64, from: u64, length: u64) -> () [max HIGH_LEVEL, wdm] {
        Ok(driver_mem::copy(to, from, length)?)
    }

    /// `RtlFillMemory`; the byte comes last.
    fn RtlFillMemory(to: u64, length: u64, byte: u8) -> () [max HIGH_LEVEL, wdm] {
        Ok(driver_mem::fill(to, byte, length)?)
    }

    /// `RtlZeroMemory`.
    fn RtlZeroMemory(to: u64, length: u64) -> () [max HIGH_LEVEL, wdm] {
        Ok(driver_mem::fill(to, 0, length)?)
    }

    /// `RtlCompareMemory`: the number of bytes from the start that are equal.
    fn RtlCompareMemory(one: u64, two: u64, length: u64) -> u64 [max HIGH_LEVEL, wdm] {
        Ok(scan::equal_bytes(one, two, length)?)
    }

    /// `RtlCompareMemoryUlong`: the number of bytes from the start that hold the
    /// pattern, in whole words. The reference says 0 for an address or a length
    /// that is no multiple of 4; Windows compares all the same, and leaves out
    /// the bytes behind the last whole word. A driver meets Windows, so that is
    /// followed.
    fn RtlCompareMemoryUlong(source: u64, length: u64, pattern: u32) -> u64 [max HIGH_LEVEL, ntifs] {
        let (mut done, whole) = (0, length & !3);
        while done < whole && driver_mem::read_u32(source.wrapping_add(done))? == pattern {
            done += 4;
        }
        Ok(done)
    }

    /// `RtlPrefetchMemoryNonTemporal`: advice, nothing to be seen of it.
    fn RtlPrefetchMemoryNonTemporal(source: u64, length: u64) -> () [max HIGH_LEVEL, wdm] {
        Ok(())
    }

    /// `memcpy`; source and destination must not overlap.
    fn memcpy<call>(to: u64, from: u64, length: u64) -> u64 [max HIGH_LEVEL, crt] {
        check_overlap(call, "memcpy", to, from, length);
        driver_mem::copy(to, from, length)?;
        Ok(to)
    }

    /// `memmove`.
    fn memmove(to: u64, from: u64, length: u64) -> u64 [max HIGH_LEVEL, crt] {
        driver_mem::copy(to, from, length)?;
        Ok(to)
    }

    /// `memset`.
    fn memset(to: u64, byte: u8, length: u64) -> u64 [max HIGH_LEVEL, crt] {
        driver_mem::fill(to, byte, length)?;
        Ok(to)
    }

    /// `memcmp`: bytes compared as unsigned numbers.
    fn memcmp(one: u64, two: u64, length: u64) -> i32 [max HIGH_LEVEL, crt] {
        let equal = scan::equal_bytes(one, two, length)?;
        if equal == length {
            return Ok(0);
        }
        let left = driver_mem::read_u8(one.wrapping_add(equal))?;
        let right = driver_mem::read_u8(two.wrapping_add(equal))?;
        Ok(if left < right { -1 } else { 1 })
    }

    /// `memchr`.
    fn memchr(source: u64, byte: u8, length: u64) -> u64 [max HIGH_LEVEL, crt] {
        let at = scan::find_byte(source, length, |found| found == byte)?;
        Ok(if at == length { 0 } else { source.wrapping_add(at) })
    }
}

/// Records a copy between ranges that overlap, for which Windows promises
/// nothing. Compilers do copy a structure onto itself: that is not one.
fn check_overlap(call: &Call<'_>, name: &str, to: u64, from: u64, length: u64) {
    if to == from || to.abs_diff(from) >= length {
        return;
    }
    let what = format!(
        "{name} called for ranges of {length} bytes that overlap, to {to:#018x} from {from:#018x}; RtlMoveMemory allows that"
    );
    diag::violation(rules::OVERLAPPING_COPY, what, call.return_address());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{
        NOWHERE, address, address_mut, broken_rules, fault, value, violations,
    };

    #[test]
    fn copy_memory_writes_destination_only() {
        let from = *b"abcdefgh";
        for handler in [
            RtlCopyMemory,
            RtlCopyMemoryNonTemporal,
            RtlMoveMemory,
            memcpy,
            memmove,
        ] {
            let mut to = *b"........";
            value(handler, &[address_mut(&mut to) + 1, address(&from) + 2, 5]);
            assert_eq!(&to, b".cdefg..");
        }
        assert!(broken_rules().is_empty());
    }

    #[test]
    fn memcpy_and_memset_return_destination() {
        let mut to = [0_u8; 4];
        let from = [1_u8; 4];
        let va = address_mut(&mut to);
        assert_eq!(value(memcpy, &[va, address(&from), 4]), va);
        assert_eq!(value(memmove, &[va, address(&from), 4]), va);
        assert_eq!(value(memset, &[va, 0x1_41, 3]), va);
        assert_eq!(to, [0x41, 0x41, 0x41, 1]);
    }

    #[test]
    fn move_memory_handles_overlap() {
        let mut text = *b"0123456789";
        let va = address_mut(&mut text);
        value(RtlMoveMemory, &[va + 2, va, 8]);
        assert_eq!(&text, b"0101234567");
        value(memmove, &[va, va + 2, 8]);
        assert_eq!(&text, b"0123456767");
        assert!(broken_rules().is_empty());
    }

    #[test]
    fn copy_memory_overlapping_is_reported() {
        let mut text = *b"0123456789";
        let va = address_mut(&mut text);
        for handler in [RtlCopyMemory, RtlCopyMemoryNonTemporal, memcpy] {
            value(handler, &[va + 2, va, 8]);
            let found = violations();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].rule, "overlapping-copy");
            assert_eq!(found[0].driver_verifier_code, Some((0xc4, 0xf0)));
        }
        value(memcpy, &[va, va, 8]);
        value(memcpy, &[va, va + 5, 5]);
        assert!(broken_rules().is_empty());
    }

    #[test]
    fn fill_memory_writes_range_only() {
        let mut bytes = [9_u8; 6];
        let va = address_mut(&mut bytes);
        value(RtlFillMemory, &[va + 1, 2, 0xffff_ff55]);
        value(RtlZeroMemory, &[va + 4, 1]);
        assert_eq!(bytes, [9, 0x55, 0x55, 9, 0, 9]);
    }

    #[test]
    fn compare_memory_counts_equal_bytes() {
        let (one, two) = (*b"abcdef", *b"abcXef");
        assert_eq!(
            value(RtlCompareMemory, &[address(&one), address(&two), 6]),
            3
        );
        assert_eq!(
            value(RtlCompareMemory, &[address(&one), address(&two), 3]),
            3
        );
        assert_eq!(
            value(RtlCompareMemory, &[address(&one), address(&two), 0]),
            0
        );
        let words = [7_u32, 7, 8];
        assert_eq!(value(RtlCompareMemoryUlong, &[address(&words), 12, 7]), 8);
        for (length, equal) in [(0, 0), (3, 0), (4, 4), (5, 4), (7, 4), (8, 8), (11, 8)] {
            let arguments = [address(&words), length, 7];
            assert_eq!(value(RtlCompareMemoryUlong, &arguments), equal, "{length}");
        }
        let bytes = *b"xabababab";
        for (offset, pattern, equal) in [(1, b"abab", 8), (2, b"baba", 4), (0, b"xaba", 4)] {
            let arguments = [
                address(&bytes) + offset,
                9 - offset,
                u32::from_le_bytes(*pattern).into(),
            ];
            assert_eq!(value(RtlCompareMemoryUlong, &arguments), equal);
        }
        assert_eq!(value(RtlCompareMemoryUlong, &[address(&words), 12, 8]), 0);
    }

    #[test]
    fn memcmp_compares_unsigned() {
        let (one, two) = ([1_u8, 0x80], [1_u8, 0x7f]);
        let compare = |a: &[u8], b: &[u8], length| {
            value(memcmp, &[address(a), address(b), length]).cast_signed()
        };
        assert_eq!(compare(&one, &two, 2), 1);
        assert_eq!(compare(&two, &one, 2), -1);
        assert_eq!(compare(&one, &two, 1), 0);
    }

    #[test]
    fn memchr_finds_first() {
        let text = *b"abcabc";
        let va = address(&text);
        assert_eq!(value(memchr, &[va, u64::from(b'c'), 6]), va + 2);
        assert_eq!(value(memchr, &[va, u64::from(b'c'), 2]), 0);
    }

    #[test]
    fn prefetch_of_unmapped_address_succeeds() {
        assert_eq!(value(RtlPrefetchMemoryNonTemporal, &[NOWHERE, 64]), 0);
    }

    #[test]
    fn memory_at_invalid_address_faults_unless_empty() {
        let mut byte = 0_u8;
        let va = address_mut(&mut byte);
        assert_eq!(fault(memcpy, &[NOWHERE, va, 1]), NOWHERE);
        assert_eq!(fault(memcpy, &[va, NOWHERE, 1]), NOWHERE);
        assert_eq!(fault(RtlZeroMemory, &[NOWHERE, 1]), NOWHERE);
        assert_eq!(fault(RtlCompareMemory, &[va, NOWHERE, 1]), NOWHERE);
        assert_eq!(value(memcpy, &[NOWHERE, NOWHERE + 64, 0]), NOWHERE);
        assert_eq!(value(RtlCompareMemory, &[NOWHERE, 0, 0]), 0);
    }
}
