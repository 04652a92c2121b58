//! Small facts about the machine and its threads that drivers ask for.

use ntstatus::STATUS_SUCCESS;

use super::{clock, dpc};
use crate::kernel::call::irql::{DISPATCH_LEVEL, HIGH_LEVEL};
use crate::kernel::call::{Stop, exports};
use crate::kernel::guest;

exports! {
    /// `KeQueryUnbiasedInterruptTime`: interrupt time without that spent asleep;
    /// this machine never sleeps.
    fn KeQueryUnbiasedInterruptTime() -> u64 [max HIGH_LEVEL] {
        Ok(clock::interrupt_time())
    }

    /// `KeQueryUnbiasedInterruptTimePrecise`: also the performance counter.
    fn KeQueryUnbiasedInterruptTimePrecise(counter: u64) -> u64 [max HIGH_LEVEL] {
        let now = clock::interrupt_time();
        guest::write_u64(counter, now)?;
        Ok(now)
    }

    /// `KeSaveFloatingPointState`: on x64 nothing has to be saved.
    fn KeSaveFloatingPointState(save: u64) -> u32 [max DISPATCH_LEVEL] {
        Ok(STATUS_SUCCESS)
    }

    /// `KeRestoreFloatingPointState`.
    fn KeRestoreFloatingPointState(save: u64) -> u32 [max DISPATCH_LEVEL] {
        Ok(STATUS_SUCCESS)
    }

    /// `KeSaveExtendedProcessorState`: programs have no registers here that a driver
    /// could spoil.
    fn KeSaveExtendedProcessorState(mask: u64, save: u64) -> u32 [max DISPATCH_LEVEL] {
        Ok(STATUS_SUCCESS)
    }

    /// `KeRestoreExtendedProcessorState`.
    fn KeRestoreExtendedProcessorState(save: u64) -> () [max DISPATCH_LEVEL] {
        Ok(())
    }

    /// `KeIsExecutingDpc`: whether this processor runs a deferred procedure call.
    fn KeIsExecutingDpc() -> u32 [max HIGH_LEVEL] {
        Ok(dpc::runs().into())
    }

    /// `KeInvalidateAllCaches`: caches of this machine are coherent.
    fn KeInvalidateAllCaches() -> bool [max HIGH_LEVEL] {
        Ok(true)
    }

    /// `KeGetRecommendedSharedDataAlignment`: bytes of a cache line.
    fn KeGetRecommendedSharedDataAlignment() -> u32 [max HIGH_LEVEL] {
        Ok(64)
    }

    /// `KeQueryHighestNodeNumber`: there is one node, number 0.
    fn KeQueryHighestNodeNumber() -> u16 [max HIGH_LEVEL] {
        Ok(0)
    }

    /// `KeGetCurrentNodeNumber`.
    fn KeGetCurrentNodeNumber() -> u16 [max HIGH_LEVEL] {
        Ok(0)
    }

    /// `KeSynchronizeExecution`: there are no interrupt objects, so none can be
    /// passed.
    fn KeSynchronizeExecution(interrupt: u64, routine: u64, context: u64) -> bool [max HIGH_LEVEL] {
        Err(Stop::bug_check(
            0x50,
            [interrupt, 0, 0, 0],
            format!("KeSynchronizeExecution was called for {interrupt:#018x}; this kernel has no devices that interrupt, and no interrupt objects"),
        ))
    }
}
