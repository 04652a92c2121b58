//! UUIDs: made of time, as the kernel makes them, with a random node, as RFC 9562
//! allows for machines without an address of their own.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::kernel_cell::KernelCell;

use crate::base::clock;
use crate::base::export::exports;

/// From the start of the Gregorian calendar, where UUIDs count from, to 1601,
/// where Windows does: 6653 days in units of 100 ns.
const EPOCH_DIFFERENCE: u64 = 6653 * 24 * 3600 * clock::SECOND;

/// What UUIDs are made of beside the time.
#[derive(Debug, Clone, Copy)]
struct Generator {
    /// Timestamp of the last one; none is used twice.
    last: u64,
    /// Clock sequence and node.
    rest: [u8; 8],
}

static GENERATOR: KernelCell<Option<Generator>> = KernelCell::new(None);

impl Generator {
    /// `None` if the host has no randomness.
    fn new() -> Option<Self> {
        let mut rest = [0_u8; 8];
        getrandom::fill(&mut rest).ok()?;
        // The variant of RFC 9562, and the mark of a node that is no address.
        rest[0] = rest[0] & 0x3f | 0x80;
        rest[2] |= 0x01;
        Some(Self { last: 0, rest })
    }

    fn next(&mut self, now: u64) -> [u8; 16] {
        self.last = now.max(self.last + 1);
        // Version 1 in the top four bits of the time.
        let time = self.last & !(0xf << 60) | 1 << 60;
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&time.to_le_bytes());
        uuid[8..].copy_from_slice(&self.rest);
        uuid
    }
}

/// A UUID that was never there before, as it lies in memory; `None` if the host has
/// no randomness.
pub fn create() -> Option<[u8; 16]> {
    let now = clock::system_time() + EPOCH_DIFFERENCE;
    let mut generator = GENERATOR.lock();
    if generator.is_none() {
        *generator = Generator::new();
    }
    Some(generator.as_mut()?.next(now))
}

exports! {
    /// `ExUuidCreate`: fails with `STATUS_RETRY`.
    fn ExUuidCreate(into: u64) -> u32 [max PASSIVE_LEVEL, ntddk] fails nt_status::STATUS_RETRY {
        let Some(uuid) = create() else { return Ok(nt_status::STATUS_RETRY) };
        driver_mem::write_bytes(into, &uuid)?;
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, status};

    #[test]
    fn uuid_create_is_unique_version_1() {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let mut uuid = [0_u8; 16];
            assert_eq!(status(ExUuidCreate, &[address_mut(&mut uuid)]), 0);
            assert_eq!((uuid[7] >> 4, uuid[8] >> 6), (1, 2), "version and variant");
            assert!(seen.insert(uuid));
        }
    }

    #[test]
    fn uuid_next_with_same_time_differs() {
        let mut generator = Generator {
            last: 0,
            rest: [0x80, 0, 1, 0, 0, 0, 0, 0],
        };
        let first = generator.next(0x0123_4567_89ab_cdef);
        assert_eq!(first[..8], [0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x11]);
        assert_eq!(generator.next(0x0123_4567_89ab_cdef)[0], 0xf0);
    }
}
