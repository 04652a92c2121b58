//! Probing: whether a program's buffer may be one at all. It looks at the range
//! and not at the memory, but for `ProbeForWrite`, which writes to each page what
//! is there. What is probed can be gone at the next access, so that both are
//! called, and the buffer used, where exceptions are handled.

use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::APC_LEVEL;
use ntbox_host::memory_map::{PAGE_SIZE, USER_PROBE_ADDRESS};

use crate::base::export::exports;

exports! {
    /// `ProbeForRead`: raises what is wrong with the range. A length of 0 is no
    /// range, and nothing is wrong with it.
    fn ProbeForRead(address: u64, length: u64, alignment: u32) -> () [max APC_LEVEL, wdm] raises nt_status::STATUS_ACCESS_VIOLATION {
        range(address, length, alignment).map(drop)
    }

    /// `ProbeForWrite`: the same, and each page is written to.
    fn ProbeForWrite(address: u64, length: u64, alignment: u32) -> () [max APC_LEVEL, wdm] raises nt_status::STATUS_ACCESS_VIOLATION {
        let end = range(address, length, alignment)?;
        let mut at = address;
        while at < end {
            driver_mem::write_u8(at, driver_mem::read_u8(at)?)?;
            at = (at & !(PAGE_SIZE - 1)) + PAGE_SIZE;
        }
        Ok(())
    }
}

/// The end of a range that lies in user memory; `address` for an empty one.
fn range(address: u64, length: u64, alignment: u32) -> Result<u64, NoReturn> {
    if length == 0 {
        return Ok(address);
    }
    if address & u64::from(alignment).wrapping_sub(1) != 0 {
        return Err(NoReturn::raise(nt_status::STATUS_DATATYPE_MISALIGNMENT));
    }
    address
        .checked_add(length)
        .filter(|end| *end <= USER_PROBE_ADDRESS)
        .ok_or_else(|| NoReturn::raise(nt_status::STATUS_ACCESS_VIOLATION))
}

#[cfg(test)]
mod tests {
    use ntbox_host::gate::{Call, ExportResult};

    use super::*;
    use crate::test_support::{call, value};

    #[track_caller]
    fn assert_raises(export: fn(&mut Call<'_>) -> ExportResult, arguments: &[u64], status: u32) {
        match call(export, arguments) {
            Err(NoReturn::Raise(record)) => assert_eq!(record.code, status),
            other => panic!("nothing was raised: {other:?}"),
        }
    }

    #[test]
    fn probe_checks_range_only() {
        for export in [ProbeForRead, ProbeForWrite] {
            assert_eq!(value(export, &[u64::MAX, 0, 8]), 0, "no range, no check");
            assert_raises(
                export,
                &[0x1001, 8, 4],
                nt_status::STATUS_DATATYPE_MISALIGNMENT,
            );
            let wrong = nt_status::STATUS_ACCESS_VIOLATION;
            assert_raises(export, &[USER_PROBE_ADDRESS, 1, 1], wrong);
            assert_raises(export, &[USER_PROBE_ADDRESS - 8, 9, 1], wrong);
            assert_raises(export, &[0x1000, u64::MAX - 0xfff, 1], wrong);
            assert_raises(export, &[u64::MAX - 7, 8, 8], wrong);
            // Alignment comes first.
            let first = nt_status::STATUS_DATATYPE_MISALIGNMENT;
            assert_raises(export, &[u64::MAX, 1, 2], first);
        }
        value(ProbeForRead, &[USER_PROBE_ADDRESS - 8, 8, 8]);
        value(ProbeForRead, &[0x1000, 8, 8]);
    }
}
