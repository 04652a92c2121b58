//! Random numbers and checksums. The seed is the caller's and the tables start
//! the same, so a driver gets the same numbers in every run.
//!
//! The reference says that the results of `RtlRandomEx` repeat later than those
//! of a plain generator, and that `RtlRandom` takes twice as long: both shuffle a
//! linear congruential generator through a table, the latter with a second step.
//! So a result is not the new seed. The first numbers of the tables are our own;
//! those of Windows are not published.

use std::sync::atomic::{AtomicU32, Ordering};

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::{APC_LEVEL, HIGH_LEVEL};

use super::scan;
use crate::base::export::exports;

/// `MAXLONG`, the modulus of the generator.
const MODULUS: u64 = 0x7fff_ffff;

/// Numbers in a table.
const PLACES: usize = 128;

exports! {
    /// `RtlRandom`: 0 to MAXLONG - 1. The second step chooses the place.
    fn RtlRandom(seed: u64) -> u32 [max APC_LEVEL, ntifs] {
        static TABLE: [AtomicU32; PLACES] = first_numbers(1);
        let number = step(seed)?;
        let place = step(seed)?;
        Ok(exchange(&TABLE, place, number))
    }

    /// `RtlRandomEx`: 0 to MAXLONG - 1. The result before chooses the place.
    fn RtlRandomEx(seed: u64) -> u32 [max APC_LEVEL, ntifs] {
        static TABLE: [AtomicU32; PLACES] = first_numbers(2);
        static BEFORE: AtomicU32 = AtomicU32::new(3);
        let number = step(seed)?;
        let result = exchange(&TABLE, BEFORE.load(Ordering::Relaxed), number);
        BEFORE.store(result, Ordering::Relaxed);
        Ok(result)
    }

    /// `RtlComputeCrc32`: as Ethernet and ZIP files have it.
    fn RtlComputeCrc32(start: u32, data: u64, length: u32) -> u32 [max HIGH_LEVEL, undocumented] {
        let bytes = scan::bytes(data, length.into())?;
        Ok(!bytes.into_iter().fold(!start, |sum, byte| {
            (0..8).fold(sum ^ u32::from(byte), |sum, _| {
                if sum & 1 == 0 { sum >> 1 } else { sum >> 1 ^ 0xedb8_8320 }
            })
        }))
    }
}

/// The number behind `seed`.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the modulus has 31 bits; `try_from` is not for constants"
)]
const fn next(seed: u32) -> u32 {
    ((seed as u64 * 0x7fff_ffed + 0x7fff_ffc3) % MODULUS) as u32
}

/// A step of the generator with the seed of the caller.
fn step(seed: u64) -> Result<u32, Fault> {
    let value = next(driver_mem::read_u32(seed)?);
    driver_mem::write_u32(seed, value)?;
    Ok(value)
}

/// What a table holds at the start.
const fn first_numbers(mut seed: u32) -> [AtomicU32; PLACES] {
    let mut numbers = [const { AtomicU32::new(0) }; PLACES];
    let mut place = 0;
    while place < PLACES {
        seed = next(seed);
        numbers[place] = AtomicU32::new(seed);
        place += 1;
    }
    numbers
}

/// Puts a number at a place of the table, of which the low bits count, and takes
/// what was there.
fn exchange(table: &[AtomicU32; PLACES], place: u32, number: u32) -> u32 {
    table[place as usize % PLACES].swap(number, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use ntbox_host::gate::{Call, ExportResult};

    use super::*;
    use crate::test_support::{NOWHERE, address, address_mut, fault, value};

    type Handler = fn(&mut Call<'_>) -> ExportResult;

    #[test]
    fn random_is_in_range_and_distinct() {
        for handler in [RtlRandom, RtlRandomEx] {
            let mut seed = 1_u32;
            let numbers: Vec<u64> = (0..1000)
                .map(|_| value(handler, &[address_mut(&mut seed)]))
                .collect();
            assert!(numbers.iter().all(|number| *number < MODULUS));
            let upper = numbers
                .iter()
                .filter(|number| **number > MODULUS / 2)
                .count();
            assert!(
                (400..600).contains(&upper),
                "{upper} of 1000 in the upper half"
            );
            let mut distinct = numbers.clone();
            distinct.sort_unstable();
            distinct.dedup();
            // The table of 128 numbers may hold numbers of this seed from calls before.
            let distinct = distinct.len();
            assert!(distinct >= 1000 - 128, "{distinct} of 1000 are distinct");
        }
    }

    #[test]
    fn random_advances_seed() {
        // Worked out with big integers elsewhere.
        for (before, one, two) in [
            (0_u32, 0x7fff_ffc3_u32, 0x3fc_u32),
            (1, 0x7fff_ffb1, 0x540),
            (3, 0x7fff_ff8d, 0x7c8),
            (0x1234_5678, 0x3851_eb51, 0x0a3d_740a),
            (0x7fff_ffff, 0x7fff_ffc3, 0x3fc),
            (0xffff_ffff, 0x7fff_ffb1, 0x540),
        ] {
            for (handler, after) in [(RtlRandomEx as Handler, one), (RtlRandom, two)] {
                let mut seed = before;
                value(handler, &[address_mut(&mut seed)]);
                assert_eq!(seed, after, "{before:#x}");
            }
        }
        assert_eq!(fault(RtlRandom, &[NOWHERE]), NOWHERE);
    }

    #[test]
    fn random_returns_earlier_seed() {
        for (handler, steps) in [(RtlRandomEx as Handler, 1), (RtlRandom, 2)] {
            let mut seed = 77_u32;
            let (mut made, mut results) = (Vec::new(), Vec::new());
            for _ in 0..4000 {
                made.push(u64::from(next(seed)));
                results.push(value(handler, &[address_mut(&mut seed)]));
                assert_ne!(results.last(), Some(&u64::from(seed)));
                assert_ne!(results.last(), made.last(), "{steps} steps");
            }
            // All but those that were in the table come out in another order.
            let late = results.iter().filter(|result| made.contains(result));
            assert_eq!(late.count(), 4000 - PLACES, "{steps} steps");
        }
    }

    #[test]
    fn crc32_of_check_text() {
        let text = *b"123456789";
        assert_eq!(value(RtlComputeCrc32, &[0, address(&text), 9]), 0xcbf4_3926);
        // In two steps.
        let first = value(RtlComputeCrc32, &[0, address(&text), 4]);
        assert_eq!(
            value(RtlComputeCrc32, &[first, address(&text) + 4, 5]),
            0xcbf4_3926
        );
        assert_eq!(value(RtlComputeCrc32, &[0, NOWHERE, 0]), 0);
    }
}
