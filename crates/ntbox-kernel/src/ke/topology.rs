//! How processors belong together: each is a core of its own, all are in one package,
//! one node and one group. Of caches nothing is known, so none is told of.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::DISPATCH_LEVEL;

use super::processor;
use crate::base::export::exports;
use crate::base::info_buffer::Information;

/// `LOGICAL_PROCESSOR_RELATIONSHIP`.
mod relation {
    pub const CORE: u32 = 0;
    pub const NODE: u32 = 1;
    pub const PACKAGE: u32 = 3;
    pub const GROUP: u32 = 4;
    pub const ALL: u32 = 0xffff;
}

/// A group's affinity, preceded by the number of affinities.
fn affinity(start: Information, mask: u64) -> Vec<u8> {
    let start = start.bytes(&1_u16.to_le_bytes());
    start.u64(mask).u64(0).finish()
}

/// One `SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX`.
fn one(kind: u32, body: &[u8]) -> Vec<u8> {
    let start = Information::default().u32(kind).size(8 + body.len());
    start.bytes(body).finish()
}

/// What there is of a kind, concerning these processors.
fn of_kind(kind: u32, numbers: &[u8]) -> Vec<u8> {
    let all = processor::mask();
    match kind {
        // Flags, efficiency class, reserved bytes.
        relation::CORE => numbers
            .iter()
            .flat_map(|number| {
                one(
                    kind,
                    &affinity(Information::default().bytes(&[0; 22]), 1 << number),
                )
            })
            .collect(),
        // A node has its number, 0, where a package has flags.
        relation::PACKAGE | relation::NODE => {
            one(kind, &affinity(Information::default().bytes(&[0; 22]), all))
        }
        relation::GROUP => {
            let count = processor::count();
            let count = u8::try_from(count).unwrap_or(u8::MAX);
            let groups = Information::default().u32(0x1_0001).bytes(&[0; 20]);
            let group = groups.bytes(&[count, count]).bytes(&[0; 38]);
            one(kind, &group.u64(all).finish())
        }
        _ => Vec::new(),
    }
}

exports! {
    /// `KeQueryLogicalProcessorRelationship`.
    fn KeQueryLogicalProcessorRelationship(number: u64, kind: u32, information: u64, length: u64) -> u32
        [max DISPATCH_LEVEL, wdm, since WINDOWS_7, partial "no caches are told of"]
    {
        let all: Vec<u8> = (0..=u8::MAX).take(processor::count()).collect();
        let numbers = match number {
            0 => all,
            at => match processor::read_number(at)? {
                Some(number) => vec![number],
                None => return Ok(nt_status::STATUS_INVALID_PARAMETER),
            },
        };
        let kinds: &[u32] = match kind {
            relation::ALL => &[relation::CORE, relation::PACKAGE, relation::NODE, relation::GROUP],
            relation::CORE..=relation::GROUP => std::slice::from_ref(&kind),
            _ => return Ok(nt_status::STATUS_INVALID_PARAMETER),
        };
        let bytes: Vec<u8> = kinds.iter().flat_map(|kind| of_kind(*kind, &numbers)).collect();
        let needed = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let room = driver_mem::read_u32(length)?;
        driver_mem::write_u32(length, needed)?;
        if room < needed {
            return Ok(nt_status::STATUS_INFO_LENGTH_MISMATCH);
        }
        driver_mem::write_bytes(information, &bytes)?;
        Ok(nt_status::STATUS_SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support;
    use crate::test_support::{address, address_mut, status};

    fn ask(number: u64, kind: u32) -> (u32, Vec<u8>) {
        let mut length = 0_u32;
        let at = address_mut(&mut length);
        let first = status(
            KeQueryLogicalProcessorRelationship,
            &[number, u64::from(kind), 0, at],
        );
        if first != nt_status::STATUS_INFO_LENGTH_MISMATCH {
            return (first, Vec::new());
        }
        let mut bytes = vec![0_u8; length as usize];
        let buffer = address_mut(bytes.as_mut_slice());
        let second = status(
            KeQueryLogicalProcessorRelationship,
            &[number, u64::from(kind), buffer, at],
        );
        (second, bytes)
    }

    #[test]
    fn processor_information_has_one_core_and_package() {
        test_support::processor();
        let (status, bytes) = ask(0, relation::ALL);
        assert_eq!((status, bytes.len()), (0, 3 * 0x30 + 0x50));
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        // Kind, size, number of groups and mask of the core.
        assert_eq!(
            (word(0), word(4), word(0x1e) & 0xffff, word(0x20)),
            (0, 0x30, 1, 1)
        );
        assert_eq!(
            (word(0x30), word(0x60), word(0x90), word(0x94)),
            (3, 1, 4, 0x50)
        );
        assert_eq!(
            (word(0x98), word(0xb0) & 0xffff, word(0xd8)),
            (0x1_0001, 0x101, 1)
        );
    }

    #[test]
    fn processor_information_of_missing_processor_fails() {
        let nobody = 0x7_0000_u32;
        let invalid = nt_status::STATUS_INVALID_PARAMETER;
        assert_eq!(ask(address(&nobody), relation::CORE).0, invalid);
        assert_eq!(ask(0, 99).0, invalid);
        assert_eq!(ask(0, 2), (0, Vec::new()));
    }
}
