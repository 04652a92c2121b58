//! Map control blocks with numbers of 32 bits, as they were first: an `MCB` is a
//! `LARGE_MCB` of which the low halves are told. What is in no block of the disk is
//! at -1.

use nt_layout::LargeMcb;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::APC_LEVEL;
use ntbox_host::gate::{Call, ExportResult};
use ntbox_host::{driver_mem, gate};

use super::{add, answer, count, read, remove, truncate};
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::fsrtl::extent_map::Extent;
use crate::fsrtl::mcb;

/// Writes the low half of a number that the caller wants to know.
fn put(at: u64, value: i64) -> Result<(), Fault> {
    let low = u32::try_from(value.cast_unsigned() & 0xffff_ffff).unwrap_or(0);
    if at == 0 {
        Ok(())
    } else {
        driver_mem::write_u32(at, low)
    }
}

/// What the large form does with the same arguments.
fn as_large(
    call: &mut Call<'_>,
    function: fn(&mut Call<'_>) -> ExportResult,
) -> Result<(), gate::NoReturn> {
    function(call).map(drop)
}

exports! {
    /// `FsRtlInitializeMcb`.
    fn FsRtlInitializeMcb<call>() -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        as_large(call, mcb::FsRtlInitializeLargeMcb)
    }

    /// `FsRtlUninitializeMcb`.
    fn FsRtlUninitializeMcb<call>() -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        as_large(call, mcb::FsRtlUninitializeLargeMcb)
    }

    /// `FsRtlTruncateMcb`.
    fn FsRtlTruncateMcb<call>(mcb: DriverPtr<LargeMcb>, first: u32) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        truncate(mcb.at(|mcb| &mcb.base_mcb), i64::from(first), call.return_address())
    }

    /// `FsRtlAddMcbEntry`.
    fn FsRtlAddMcbEntry<call>(mcb: DriverPtr<LargeMcb>, first: u32, block: u32, count: u32) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let run = Extent { first: first.into(), block: block.into(), count: count.into() };
        answer(add(mcb.at(|mcb| &mcb.base_mcb), run, call.return_address()))
    }

    /// `FsRtlRemoveMcbEntry`.
    fn FsRtlRemoveMcbEntry<call>(mcb: DriverPtr<LargeMcb>, first: u32, count: u32) -> ()
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let removed = remove(mcb.at(|mcb| &mcb.base_mcb), first.into(), count.into(), call.return_address());
        answer(removed).map(drop)
    }

    /// `FsRtlLookupMcbEntry`: each answer is optional.
    fn FsRtlLookupMcbEntry(mcb: DriverPtr<LargeMcb>, first: u32, block: u64, count: u64, index: u64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let wanted = i64::from(first);
        let Some((at, run)) = read(mcb.at(|mcb| &mcb.base_mcb))?.find(wanted) else { return Ok(false) };
        put(block, run.block_of(wanted))?;
        put(count, run.count - (wanted - run.first))?;
        put(index, i64::try_from(at).unwrap_or(-1))?;
        Ok(true)
    }

    /// `FsRtlLookupLastMcbEntry`.
    fn FsRtlLookupLastMcbEntry(mcb: DriverPtr<LargeMcb>, first: u64, block: u64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let runs = read(mcb.at(|mcb| &mcb.base_mcb))?;
        let Some(run) = runs.last() else { return Ok(false) };
        let at = run.first + run.count - 1;
        put(first, at)?;
        put(block, run.block_of(at))?;
        Ok(true)
    }

    /// `FsRtlNumberOfRunsInMcb`: holes count.
    fn FsRtlNumberOfRunsInMcb(mcb: DriverPtr<LargeMcb>) -> u32 [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        count(mcb.at(|mcb| &mcb.base_mcb))
    }

    /// `FsRtlGetNextMcbEntry`.
    fn FsRtlGetNextMcbEntry(mcb: DriverPtr<LargeMcb>, index: u32, first: u64, block: u64, count: u64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let runs = read(mcb.at(|mcb| &mcb.base_mcb))?;
        let Some(run) = runs.get(usize::try_from(index).unwrap_or(usize::MAX)) else { return Ok(false) };
        put(first, run.first)?;
        put(block, run.block)?;
        put(count, run.count)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, processor, value};

    #[test]
    fn mcb_stores_32_bit_runs() {
        processor();
        let mut memory = [0_u64; 4];
        let mcb = address_mut(&mut memory);
        value(FsRtlInitializeMcb, &[mcb, 1]);
        assert_eq!(value(FsRtlAddMcbEntry, &[mcb, 0, 0xffff_fff0, 4]), 1);
        assert_eq!(value(FsRtlAddMcbEntry, &[mcb, 8, 100, 4]), 1);
        assert_eq!(
            value(FsRtlAddMcbEntry, &[mcb, 2, 7, 1]),
            0,
            "it is elsewhere"
        );
        let mut found = [9_u32; 3];
        let [one, two, three] = found.each_mut().map(address_mut);
        assert_eq!(value(FsRtlLookupMcbEntry, &[mcb, 1, one, two, three]), 1);
        assert_eq!(found, [0xffff_fff1, 3, 0]);
        assert_eq!(value(FsRtlLookupMcbEntry, &[mcb, 5, one, two, three]), 1);
        assert_eq!(found, [u32::MAX, 3, 1], "a hole");
        assert_eq!(value(FsRtlLookupMcbEntry, &[mcb, 12, one, two, three]), 0);
        assert_eq!(value(FsRtlLookupLastMcbEntry, &[mcb, one, two]), 1);
        assert_eq!(found[..2], [11, 103]);
        assert_eq!(value(FsRtlNumberOfRunsInMcb, &[mcb]), 3);
        assert_eq!(value(FsRtlGetNextMcbEntry, &[mcb, 2, one, two, three]), 1);
        assert_eq!(found, [8, 100, 4]);
        assert_eq!(value(FsRtlGetNextMcbEntry, &[mcb, 3, one, two, three]), 0);
        value(FsRtlRemoveMcbEntry, &[mcb, 9, 1]);
        assert_eq!(value(FsRtlNumberOfRunsInMcb, &[mcb]), 5);
        value(FsRtlTruncateMcb, &[mcb, 2]);
        assert_eq!(value(FsRtlNumberOfRunsInMcb, &[mcb]), 1);
        value(FsRtlUninitializeMcb, &[mcb]);
        assert_eq!(memory[0], 0);
    }
}
