//! How urgent a request is: hints that travel in the IRP's flags, which nothing here
//! acts upon.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::HIGH_LEVEL;

use crate::base::export::exports;
use crate::base::io_layout::irp as offset;

/// The bits of the flags that hold the hint and one, or 0 for none.
const SHIFT: u32 = 17;
const MASK: u32 = 7 << SHIFT;
/// `IoPriorityNormal`, and the first number that is no `IO_PRIORITY_HINT`.
const NORMAL: u32 = 2;
const END: u32 = 5;
/// `IRP_PAGING_IO` and `IRP_HIGH_PRIORITY_PAGING_IO`.
const PAGING_IO: u32 = 0x2;
const HIGH_PRIORITY_PAGING_IO: u32 = 0x8000;

exports! {
    /// `IoGetIoPriorityHint`: normal if nobody has set one.
    fn IoGetIoPriorityHint(packet: u64) -> u32 [max HIGH_LEVEL, wdm] {
        let hint = (driver_mem::read_u32(packet.wrapping_add(offset::FLAGS))? & MASK) >> SHIFT;
        Ok(hint.checked_sub(1).unwrap_or(NORMAL))
    }

    /// `IoSetIoPriorityHint`.
    fn IoSetIoPriorityHint(packet: u64, hint: u32) -> u32 [max HIGH_LEVEL, wdm] {
        if hint >= END {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        }
        let at = packet.wrapping_add(offset::FLAGS);
        driver_mem::write_u32(at, driver_mem::read_u32(at)? & !MASK | (hint + 1) << SHIFT)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `IoGetPagingIoPriority`: invalid for what is no paging, normal, or high.
    fn IoGetPagingIoPriority(packet: u64) -> u32 [max HIGH_LEVEL, ntddk] {
        let flags = driver_mem::read_u32(packet.wrapping_add(offset::FLAGS))?;
        Ok(match (flags & PAGING_IO, flags & HIGH_PRIORITY_PAGING_IO) {
            (0, _) => 0,
            (_, 0) => 1,
            _ => 2,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, address_mut, status, value};

    #[test]
    fn a_hint_is_kept_beside_the_other_flags() {
        let mut packet = [0_u32; 8];
        packet[4] = 0x43;
        assert_eq!(value(IoGetIoPriorityHint, &[address(&packet)]), 2);
        for hint in 0..5 {
            assert_eq!(
                status(IoSetIoPriorityHint, &[address_mut(&mut packet), hint]),
                0
            );
            assert_eq!(value(IoGetIoPriorityHint, &[address(&packet)]), hint);
            assert_eq!(packet[4] & !MASK, 0x43);
        }
        let refused = status(IoSetIoPriorityHint, &[address_mut(&mut packet), 5]);
        assert_eq!(refused, nt_status::STATUS_INVALID_PARAMETER);
        assert_eq!(value(IoGetIoPriorityHint, &[address(&packet)]), 4);
    }

    #[test]
    fn only_paging_has_a_paging_priority() {
        for (flags, expected) in [(0x8000_u32, 0), (2, 1), (0x8002, 2)] {
            let mut packet = [0_u32; 8];
            packet[4] = flags;
            assert_eq!(value(IoGetPagingIoPriority, &[address(&packet)]), expected);
        }
    }
}
