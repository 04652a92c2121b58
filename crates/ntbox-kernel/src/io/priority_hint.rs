//! How urgent a request is: hints that travel in the IRP's flags, which nothing here
//! acts upon.

use nt_layout::Irp;
use ntbox_host::gate::irql::HIGH_LEVEL;

use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;

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
    fn IoGetIoPriorityHint(irp: DriverPtr<Irp>) -> u32 [max HIGH_LEVEL, wdm] {
        let hint = (irp.get(|irp| &irp.flags)? & MASK) >> SHIFT;
        Ok(hint.checked_sub(1).unwrap_or(NORMAL))
    }

    /// `IoSetIoPriorityHint`.
    fn IoSetIoPriorityHint(irp: DriverPtr<Irp>, hint: u32) -> u32 [max HIGH_LEVEL, wdm] {
        if hint >= END {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        }
        let flags = irp.at(|irp| &irp.flags);
        flags.update(|flags| flags & !MASK | (hint + 1) << SHIFT)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `IoGetPagingIoPriority`: invalid for what is no paging, normal, or high.
    fn IoGetPagingIoPriority(irp: DriverPtr<Irp>) -> u32 [max HIGH_LEVEL, ntddk] {
        let flags = irp.get(|irp| &irp.flags)?;
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
    fn priority_hint_keeps_other_irp_flags() {
        let mut irp = [0_u32; 8];
        irp[4] = 0x43;
        assert_eq!(value(IoGetIoPriorityHint, &[address(&irp)]), 2);
        for hint in 0..5 {
            assert_eq!(
                status(IoSetIoPriorityHint, &[address_mut(&mut irp), hint]),
                0
            );
            assert_eq!(value(IoGetIoPriorityHint, &[address(&irp)]), hint);
            assert_eq!(irp[4] & !MASK, 0x43);
        }
        let refused = status(IoSetIoPriorityHint, &[address_mut(&mut irp), 5]);
        assert_eq!(refused, nt_status::STATUS_INVALID_PARAMETER);
        assert_eq!(value(IoGetIoPriorityHint, &[address(&irp)]), 4);
    }

    #[test]
    fn paging_priority_is_zero_without_paging_io() {
        for (flags, expected) in [(0x8000_u32, 0), (2, 1), (0x8002, 2)] {
            let mut irp = [0_u32; 8];
            irp[4] = flags;
            assert_eq!(value(IoGetPagingIoPriority, &[address(&irp)]), expected);
        }
    }
}
