//! `RTL_BITMAP`: a count of bits and the address of the memory that holds them,
//! bit 0 in the lowest bit of the first byte.
//!
//! Any IRQL, as long as header and bits are resident.

use nt_layout::{RtlBitmap, RtlBitmapRun};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::HIGH_LEVEL;

use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;

/// What the search functions answer when there is nothing.
const NOT_FOUND: u32 = u32::MAX;

exports! {
    /// `RtlInitializeBitMap`; the bits stay as they are.
    fn RtlInitializeBitMap(header: DriverPtr<RtlBitmap>, buffer: u64, size: u32) -> () [max HIGH_LEVEL, wdm] {
        header.set(|header| &header.size_of_bit_map, size)?;
        Ok(header.set(|header| &header.buffer, buffer)?)
    }

    /// `RtlSetBit`.
    fn RtlSetBit(header: DriverPtr<RtlBitmap>, bit: u32) -> () [max HIGH_LEVEL, wdm] { Ok(Bitmap::read(header)?.fill(bit, 1, true)?) }

    /// `RtlClearBit`.
    fn RtlClearBit(header: DriverPtr<RtlBitmap>, bit: u32) -> () [max HIGH_LEVEL, wdm] { Ok(Bitmap::read(header)?.fill(bit, 1, false)?) }

    /// `RtlTestBit`.
    fn RtlTestBit(header: DriverPtr<RtlBitmap>, bit: u32) -> bool [max HIGH_LEVEL, wdm] { Ok(Bitmap::read(header)?.test(bit)?) }

    /// `RtlSetBits`.
    fn RtlSetBits(header: DriverPtr<RtlBitmap>, start: u32, count: u32) -> () [max HIGH_LEVEL, wdm] {
        Ok(Bitmap::read(header)?.fill(start, count, true)?)
    }

    /// `RtlClearBits`.
    fn RtlClearBits(header: DriverPtr<RtlBitmap>, start: u32, count: u32) -> () [max HIGH_LEVEL, wdm] {
        Ok(Bitmap::read(header)?.fill(start, count, false)?)
    }

    /// `RtlSetAllBits`: up to the end of the last ULONG.
    fn RtlSetAllBits(header: DriverPtr<RtlBitmap>) -> () [max HIGH_LEVEL, wdm] {
        let bitmap = Bitmap::read(header)?;
        Ok(driver_mem::fill(bitmap.buffer, 0xff, bitmap.bytes())?)
    }

    /// `RtlClearAllBits`: up to the end of the last ULONG.
    fn RtlClearAllBits(header: DriverPtr<RtlBitmap>) -> () [max HIGH_LEVEL, wdm] {
        let bitmap = Bitmap::read(header)?;
        Ok(driver_mem::fill(bitmap.buffer, 0, bitmap.bytes())?)
    }

    /// `RtlAreBitsSet`: FALSE for no bits and for bits that are not there.
    fn RtlAreBitsSet(header: DriverPtr<RtlBitmap>, start: u32, count: u32) -> bool [max HIGH_LEVEL, wdm] {
        Ok(Bitmap::read(header)?.are(start, count, true)?)
    }

    /// `RtlAreBitsClear`: FALSE for no bits and for bits that are not there.
    fn RtlAreBitsClear(header: DriverPtr<RtlBitmap>, start: u32, count: u32) -> bool [max HIGH_LEVEL, wdm] {
        Ok(Bitmap::read(header)?.are(start, count, false)?)
    }

    /// `RtlNumberOfSetBits`.
    fn RtlNumberOfSetBits(header: DriverPtr<RtlBitmap>) -> u32 [max HIGH_LEVEL, wdm] { Ok(Bitmap::read(header)?.count(true)?) }

    /// `RtlNumberOfClearBits`.
    fn RtlNumberOfClearBits(header: DriverPtr<RtlBitmap>) -> u32 [max HIGH_LEVEL, wdm] { Ok(Bitmap::read(header)?.count(false)?) }

    /// `RtlFindSetBits`.
    fn RtlFindSetBits(header: DriverPtr<RtlBitmap>, count: u32, hint: u32) -> u32 [max HIGH_LEVEL, wdm] {
        Ok(Bitmap::read(header)?.find(count, hint, true)?)
    }

    /// `RtlFindClearBits`.
    fn RtlFindClearBits(header: DriverPtr<RtlBitmap>, count: u32, hint: u32) -> u32 [max HIGH_LEVEL, wdm] {
        Ok(Bitmap::read(header)?.find(count, hint, false)?)
    }

    /// `RtlFindSetBitsAndClear`.
    fn RtlFindSetBitsAndClear(header: DriverPtr<RtlBitmap>, count: u32, hint: u32) -> u32 [max HIGH_LEVEL, wdm] {
        Ok(Bitmap::read(header)?.find_and_turn(count, hint, true)?)
    }

    /// `RtlFindClearBitsAndSet`.
    fn RtlFindClearBitsAndSet(header: DriverPtr<RtlBitmap>, count: u32, hint: u32) -> u32 [max HIGH_LEVEL, wdm] {
        Ok(Bitmap::read(header)?.find_and_turn(count, hint, false)?)
    }

    /// `RtlFindNextForwardRunClear`: length of the first clear run at or after a
    /// bit.
    fn RtlFindNextForwardRunClear(header: DriverPtr<RtlBitmap>, from: u32, start: u64) -> u32 [max HIGH_LEVEL, wdm] {
        let runs = Bitmap::read(header)?.clear_runs(from)?;
        let run = runs.first().copied().unwrap_or(BitRun { start: from, length: 0 });
        driver_mem::write_u32(start, run.start)?;
        Ok(run.length)
    }

    /// `RtlFindFirstRunClear`: length of the first clear run.
    fn RtlFindFirstRunClear(header: DriverPtr<RtlBitmap>, start: u64) -> u32 [max HIGH_LEVEL, wdm] {
        let runs = Bitmap::read(header)?.clear_runs(0)?;
        let run = runs.first().copied().unwrap_or_default();
        driver_mem::write_u32(start, run.start)?;
        Ok(run.length)
    }

    /// `RtlFindLongestRunClear`: length of the first of the longest clear runs.
    fn RtlFindLongestRunClear(header: DriverPtr<RtlBitmap>, start: u64) -> u32 [max HIGH_LEVEL, wdm] {
        let runs = longest_first(Bitmap::read(header)?.clear_runs(0)?);
        let run = runs.first().copied().unwrap_or_default();
        driver_mem::write_u32(start, run.start)?;
        Ok(run.length)
    }

    /// `RtlFindLastBackwardRunClear`: length of the last clear run that begins
    /// at or before a bit, as far as that bit.
    fn RtlFindLastBackwardRunClear(header: DriverPtr<RtlBitmap>, from: u32, start: u64) -> u32 [max HIGH_LEVEL, wdm] {
        let runs = Bitmap::read(header)?.clear_runs(0)?;
        let Some(run) = runs.into_iter().rfind(|run| run.start <= from) else { return Ok(0) };
        driver_mem::write_u32(start, run.start)?;
        Ok(run.length.min((from - run.start).saturating_add(1)))
    }

    /// `RtlFindClearRuns`: start and length of clear runs, the longest or the
    /// first.
    fn RtlFindClearRuns(header: DriverPtr<RtlBitmap>, array: DriverPtr<RtlBitmapRun>, room: u32, longest: bool) -> u32 [max HIGH_LEVEL, wdm] {
        let mut runs = Bitmap::read(header)?.clear_runs(0)?;
        if longest {
            runs = longest_first(runs);
        }
        runs.truncate(room as usize);
        for (n, run) in (0..).zip(&runs) {
            let element = array.next(n);
            element.set(|element| &element.starting_index, run.start)?;
            element.set(|element| &element.number_of_bits, run.length)?;
        }
        Ok(u32::try_from(runs.len()).unwrap_or(room))
    }

    /// `RtlNumberOfSetBitsUlongPtr`.
    fn RtlNumberOfSetBitsUlongPtr(value: u64) -> u32 [max HIGH_LEVEL, wdm] { Ok(value.count_ones()) }

    /// `RtlFindLeastSignificantBit`: -1 for zero.
    fn RtlFindLeastSignificantBit(value: u64) -> i32 [max HIGH_LEVEL, wdm] {
        Ok(if value == 0 { -1 } else { value.trailing_zeros().cast_signed() })
    }

    /// `RtlFindMostSignificantBit`: -1 for zero.
    fn RtlFindMostSignificantBit(value: u64) -> i32 [max HIGH_LEVEL, wdm] {
        Ok(value.checked_ilog2().map_or(-1, u32::cast_signed))
    }
}

/// Equal bits next to each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct BitRun {
    start: u32,
    length: u32,
}

/// Sorts by length; of equal ones the first stays first.
fn longest_first(mut runs: Vec<BitRun>) -> Vec<BitRun> {
    runs.sort_by_key(|run| std::cmp::Reverse(run.length));
    runs
}

/// A bitmap of the driver.
#[derive(Debug, Clone, Copy)]
struct Bitmap {
    size: u32,
    buffer: u64,
}

impl Bitmap {
    fn read(header: DriverPtr<RtlBitmap>) -> Result<Self, Fault> {
        Ok(Self {
            size: header.get(|header| &header.size_of_bit_map)?,
            buffer: header.get(|header| &header.buffer)?,
        })
    }

    /// Bytes of the whole ULONGs that the bits are in.
    fn bytes(self) -> u64 {
        u64::from(self.size).div_ceil(32) * 4
    }

    fn byte_of(self, bit: u32) -> u64 {
        self.buffer.wrapping_add(u64::from(bit / 8))
    }

    fn test(self, bit: u32) -> Result<bool, Fault> {
        Ok(driver_mem::read_u8(self.byte_of(bit))? >> (bit % 8) & 1 != 0)
    }

    /// Sets or clears a range. It is the caller's to be inside.
    fn fill(self, start: u32, count: u32, set: bool) -> Result<(), Fault> {
        let end = start.saturating_add(count);
        let mut bit = start;
        while bit < end {
            if bit.is_multiple_of(8) && end - bit >= 8 {
                let whole = (end - bit) / 8;
                driver_mem::fill(self.byte_of(bit), if set { 0xff } else { 0 }, whole.into())?;
                bit += 8 * whole;
            } else {
                let (va, mask) = (self.byte_of(bit), 1 << (bit % 8));
                let byte = driver_mem::read_u8(va)?;
                driver_mem::write_u8(va, if set { byte | mask } else { byte & !mask })?;
                bit += 1;
            }
        }
        Ok(())
    }

    /// Whether all bits of a range are of a kind; a range that is empty or not
    /// inside has none.
    fn are(self, start: u32, count: u32, set: bool) -> Result<bool, Fault> {
        let Some(end) = start.checked_add(count).filter(|end| *end <= self.size) else {
            return Ok(false);
        };
        for bit in start..end {
            if self.test(bit)? != set {
                return Ok(false);
            }
        }
        Ok(count > 0)
    }

    fn count(self, set: bool) -> Result<u32, Fault> {
        let clear: u32 = self.clear_runs(0)?.iter().map(|run| run.length).sum();
        Ok(if set { self.size - clear } else { clear })
    }

    /// All runs of bits of a kind from a bit on, in order.
    fn runs(self, from: u32, set: bool) -> Result<Vec<BitRun>, Fault> {
        let mut runs = Vec::new();
        let mut start = None;
        for bit in from..self.size {
            match (self.test(bit)? == set, start) {
                (true, None) => start = Some(bit),
                (false, Some(begin)) => {
                    runs.push(BitRun {
                        start: begin,
                        length: bit - begin,
                    });
                    start = None;
                }
                _ => {}
            }
        }
        runs.extend(start.map(|begin| BitRun {
            start: begin,
            length: self.size - begin,
        }));
        Ok(runs)
    }

    fn clear_runs(self, from: u32) -> Result<Vec<BitRun>, Fault> {
        self.runs(from, false)
    }

    /// First place from `hint` on, then from the start, where `count` bits of a
    /// kind are together.
    fn find(self, count: u32, hint: u32, set: bool) -> Result<u32, Fault> {
        let hint = if hint < self.size { hint } else { 0 };
        if count == 0 {
            return Ok(hint & !7);
        }
        for from in [hint, 0] {
            if let Some(run) = self.runs(from, set)?.iter().find(|run| run.length >= count) {
                return Ok(run.start);
            }
        }
        Ok(NOT_FOUND)
    }

    fn find_and_turn(self, count: u32, hint: u32, set: bool) -> Result<u32, Fault> {
        let found = self.find(count, hint, set)?;
        if found != NOT_FOUND {
            self.fill(found, count, !set)?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use ntbox_host::gate::{Call, ExportResult};

    use super::*;
    use crate::test_support::{NOWHERE, address, address_mut, fault, value};

    type Handler = fn(&mut Call<'_>) -> ExportResult;

    /// A header over bits, as `RtlInitializeBitMap` makes it.
    fn header(bits: &mut [u32], size: u64) -> [u64; 2] {
        let mut header = [0; 2];
        value(
            RtlInitializeBitMap,
            &[address_mut(&mut header), address_mut(bits), size],
        );
        header
    }

    fn run(handler: Handler, header: &[u64; 2], rest: &[u64]) -> u64 {
        let mut arguments = vec![address(header)];
        arguments.extend(rest);
        value(handler, &arguments)
    }

    #[test]
    fn initialize_bitmap_stores_size_and_address() {
        let mut bits = [0xdead_beef_u32];
        let header = header(&mut bits, 32);
        assert_eq!((header[0], header[1]), (32, address(&bits)));
        assert_eq!(bits, [0xdead_beef]);
    }

    #[test]
    fn set_clear_and_test_bit() {
        let mut bits = [0_u32; 2];
        let header = header(&mut bits, 64);
        for bit in [0, 7, 8, 31, 32, 63] {
            assert_eq!(run(RtlTestBit, &header, &[bit]), 0);
            run(RtlSetBit, &header, &[bit]);
            assert_eq!(run(RtlTestBit, &header, &[bit]), 1);
        }
        assert_eq!(driver_mem::read_u64(header[1]), Ok(0x8000_0001_8000_0181));
        run(RtlClearBit, &header, &[8]);
        assert_eq!(driver_mem::read_u64(header[1]), Ok(0x8000_0001_8000_0081));
    }

    #[test]
    fn set_and_clear_bit_ranges() {
        let mut bits = [0_u32; 3];
        let header = header(&mut bits, 90);
        run(RtlSetBits, &header, &[5, 50]);
        assert_eq!(run(RtlNumberOfSetBits, &header, &[]), 50);
        assert_eq!(run(RtlNumberOfClearBits, &header, &[]), 40);
        assert_eq!(run(RtlAreBitsSet, &header, &[5, 50]), 1);
        assert_eq!(run(RtlAreBitsSet, &header, &[4, 2]), 0);
        assert_eq!(run(RtlAreBitsClear, &header, &[55, 35]), 1);
        run(RtlClearBits, &header, &[10, 30]);
        assert_eq!(run(RtlAreBitsClear, &header, &[10, 30]), 1);
        assert_eq!(run(RtlAreBitsSet, &header, &[5, 5]), 1);
        run(RtlSetBits, &header, &[0, 0]);
        assert_eq!(run(RtlNumberOfSetBits, &header, &[]), 20);
        // Nothing, and what is not there, is neither set nor clear.
        for handler in [RtlAreBitsSet as Handler, RtlAreBitsClear] {
            assert_eq!(run(handler, &header, &[0, 0]), 0);
            assert_eq!(run(handler, &header, &[80, 11]), 0);
            assert_eq!(run(handler, &header, &[0xffff_ffff, 2]), 0);
        }
    }

    #[test]
    fn set_all_bits_sets_whole_words() {
        let mut bits = [0_u32; 3];
        let header = header(&mut bits, 33);
        run(RtlSetAllBits, &header, &[]);
        assert_eq!(driver_mem::read_u64(header[1]), Ok(u64::MAX));
        assert_eq!(driver_mem::read_u32(header[1] + 8), Ok(0));
        run(RtlClearAllBits, &header, &[]);
        assert_eq!(driver_mem::read_u64(header[1]), Ok(0));
    }

    #[test]
    fn find_bits_starts_at_hint_and_wraps() {
        // Clear: 1, 4, 5, 7 and 8 to 31.
        let mut bits = [0b0100_1101_u32];
        let header = header(&mut bits, 8);
        for (count, hint, expected) in [
            (1, 0, 1),
            (1, 1, 1),
            (1, 2, 4),
            (2, 0, 4),
            (2, 5, 4),
            (1, 7, 7),
            (3, 0, u32::MAX),
            (9, 0, u32::MAX),
        ] {
            assert_eq!(
                run(RtlFindClearBits, &header, &[count, hint]),
                u64::from(expected),
                "{count} {hint}"
            );
        }
        for (count, hint, expected) in
            [(1, 0, 0), (2, 0, 2), (1, 4, 6), (1, 7, 0), (3, 0, u32::MAX)]
        {
            assert_eq!(
                run(RtlFindSetBits, &header, &[count, hint]),
                u64::from(expected),
                "{count} {hint}"
            );
        }
        // A hint that is not there counts as none, and no bits are anywhere.
        assert_eq!(run(RtlFindClearBits, &header, &[1, 99]), 1);
        assert_eq!(run(RtlFindClearBits, &header, &[0, 6]), 0);
    }

    #[test]
    fn find_bits_and_set() {
        let mut bits = [0b0011_u32];
        let header = header(&mut bits, 8);
        assert_eq!(run(RtlFindClearBitsAndSet, &header, &[3, 0]), 2);
        assert_eq!(
            run(RtlFindClearBitsAndSet, &header, &[4, 0]),
            u64::from(u32::MAX)
        );
        assert_eq!(driver_mem::read_u32(header[1]), Ok(0b1_1111));
        assert_eq!(run(RtlFindSetBitsAndClear, &header, &[2, 1]), 1);
        assert_eq!(driver_mem::read_u32(header[1]), Ok(0b1_1001));
    }

    #[test]
    fn find_clear_runs_lists_runs() {
        // Clear: 1 to 2, 4 to 9, 11, 13 to 15.
        let mut bits = [0b0001_0100_0000_1001_u32];
        let header = header(&mut bits, 16);
        let mut start = 0_u32;
        let to = address_mut(&mut start);
        assert_eq!((run(RtlFindFirstRunClear, &header, &[to]), start), (2, 1));
        assert_eq!((run(RtlFindLongestRunClear, &header, &[to]), start), (6, 4));
        assert_eq!(
            (run(RtlFindNextForwardRunClear, &header, &[5, to]), start),
            (5, 5)
        );
        assert_eq!(
            (run(RtlFindNextForwardRunClear, &header, &[10, to]), start),
            (1, 11)
        );
        assert_eq!(run(RtlFindNextForwardRunClear, &header, &[16, to]), 0);
        assert_eq!(
            (run(RtlFindLastBackwardRunClear, &header, &[12, to]), start),
            (1, 11)
        );
        assert_eq!(
            (run(RtlFindLastBackwardRunClear, &header, &[6, to]), start),
            (3, 4)
        );
        assert_eq!(run(RtlFindLastBackwardRunClear, &header, &[0, to]), 0);
        let mut runs = [[0_u32; 2]; 3];
        let array = address_mut(&mut runs);
        assert_eq!(run(RtlFindClearRuns, &header, &[array, 3, 1]), 3);
        assert_eq!(runs, [[4, 6], [13, 3], [1, 2]]);
        assert_eq!(run(RtlFindClearRuns, &header, &[array, 2, 0]), 2);
        assert_eq!(runs, [[1, 2], [4, 6], [1, 2]]);
    }

    #[test]
    fn find_clear_run_in_full_bitmap_is_empty() {
        let mut bits = [u32::MAX];
        let header = header(&mut bits, 32);
        let mut start = 7_u32;
        assert_eq!(
            run(RtlFindLongestRunClear, &header, &[address_mut(&mut start)]),
            0
        );
        assert_eq!(run(RtlNumberOfClearBits, &header, &[]), 0);
    }

    #[test]
    fn count_and_find_bits_of_number() {
        assert_eq!(
            value(RtlNumberOfSetBitsUlongPtr, &[0xff00_0000_0000_0001]),
            9
        );
        for (number, least, most) in [(0, -1, -1), (1, 0, 0), (0x8000_0000_0000_0010, 4, 63)] {
            assert_eq!(
                value(RtlFindLeastSignificantBit, &[number]).cast_signed(),
                least
            );
            assert_eq!(
                value(RtlFindMostSignificantBit, &[number]).cast_signed(),
                most
            );
        }
    }

    #[test]
    fn bitmap_at_invalid_address_faults() {
        assert_eq!(fault(RtlTestBit, &[NOWHERE, 0]), NOWHERE);
        let header = [64, NOWHERE];
        assert_eq!(fault(RtlSetAllBits, &[address(&header)]), NOWHERE);
        assert_eq!(fault(RtlSetBits, &[address(&header), 9, 2]), NOWHERE + 1);
    }
}
