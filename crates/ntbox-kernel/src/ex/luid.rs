//! Numbers that are given out once until the system is started again.

use std::sync::atomic::{AtomicU64, Ordering};

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::processor_mode::Mode;

/// The first number: those below are the system's own, such as `SYSTEM_LUID`.
const FIRST: u64 = 1001;

static NEXT: AtomicU64 = AtomicU64::new(FIRST);

/// The next number.
pub fn next() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

exports! {
    /// `ZwAllocateLocallyUniqueId`.
    fn ZwAllocateLocallyUniqueId(luid: u64) -> u32 [max PASSIVE_LEVEL, ntddk] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        driver_mem::write_u64(luid, next())?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `NtAllocateLocallyUniqueId`.
    fn NtAllocateLocallyUniqueId(luid: u64) -> u32 [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let mode = Mode::previous();
        let allocate = || -> Result<(), Refusal> {
            mode.probe(luid, 8, 4)?;
            Ok(driver_mem::write_u64(luid, next())?)
        };
        mode.status(allocate())
    }
}

#[cfg(test)]
mod tests {
    use super::{FIRST, NtAllocateLocallyUniqueId, ZwAllocateLocallyUniqueId};
    use crate::test_support::{NOWHERE, address_mut, fault, status};

    #[test]
    fn allocate_luid_is_unique() {
        let mut luids = [0_u64; 2];
        for luid in &mut luids {
            let at = address_mut(luid);
            assert_eq!(status(ZwAllocateLocallyUniqueId, &[at]), 0);
        }
        assert!(luids[0] >= FIRST && luids[1] > luids[0]);
        assert_eq!(fault(ZwAllocateLocallyUniqueId, &[NOWHERE]), NOWHERE);
        let mut other = 0_u64;
        let at = address_mut(&mut other);
        assert_eq!(status(NtAllocateLocallyUniqueId, &[at]), 0);
        assert!(other > luids[1]);
    }
}
