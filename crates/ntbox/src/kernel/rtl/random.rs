//! Random numbers and checksums. The seed is the caller's, so a driver gets the
//! same numbers in every run.

use super::scan;
use crate::kernel::call::exports;
use crate::kernel::call::irql::{APC_LEVEL, HIGH_LEVEL};
use crate::kernel::guest::{self, Fault};

/// `MAXLONG`, the modulus of the generator.
const MODULUS: u64 = 0x7fff_ffff;

exports! {
    /// `RtlRandom`: 0 to MAXLONG - 1.
    fn RtlRandom(seed: u64) -> u32 [max APC_LEVEL] { Ok(next(seed)?) }

    /// `RtlRandomEx`: 0 to MAXLONG - 1.
    fn RtlRandomEx(seed: u64) -> u32 [max APC_LEVEL] { Ok(next(seed)?) }

    /// `RtlComputeCrc32`: as Ethernet and ZIP files have it.
    fn RtlComputeCrc32(start: u32, data: u64, length: u32) -> u32 [max HIGH_LEVEL] {
        let bytes = scan::bytes(data, length.into())?;
        Ok(!bytes.into_iter().fold(!start, |sum, byte| {
            (0..8).fold(sum ^ u32::from(byte), |sum, _| {
                if sum & 1 == 0 { sum >> 1 } else { sum >> 1 ^ 0xedb8_8320 }
            })
        }))
    }
}

/// A step of a linear congruential generator with the seed of the caller.
fn next(seed: u64) -> Result<u32, Fault> {
    let value = (u64::from(guest::read_u32(seed)?) * 0x7fff_ffed + 0x7fff_ffc3) % MODULUS;
    let value = u32::try_from(value).unwrap_or(0);
    guest::write_u32(seed, value)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::testing::{NOWHERE, address, address_mut, fault, value};

    #[test]
    fn numbers_are_in_range_and_spread() {
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
            assert_eq!(distinct.len(), 1000);
        }
    }

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        let (mut one, mut two) = (99_u32, 99_u32);
        for _ in 0..10 {
            assert_eq!(
                value(RtlRandomEx, &[address_mut(&mut one)]),
                value(RtlRandomEx, &[address_mut(&mut two)])
            );
        }
        assert_eq!(fault(RtlRandom, &[NOWHERE]), NOWHERE);
    }

    #[test]
    fn the_checksum_of_the_standard_text() {
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
