//! Small facts about the machine and its threads that drivers ask for.

use nt_status::STATUS_SUCCESS;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, HIGH_LEVEL};
use ntbox_host::{cpu, driver_mem};

use crate::base::export::exports;
use crate::base::{clock, log};
use crate::ke::dpc;

exports! {
    /// `RtlGetEnabledExtendedFeatures`: those of the host.
    fn RtlGetEnabledExtendedFeatures(mask: u64) -> u64 [max HIGH_LEVEL, ntddk, since WINDOWS_7] {
        Ok(cpu::enabled_features() & mask)
    }

    /// `HalMakeBeep`: refused, for there is no speaker.
    fn HalMakeBeep(frequency: u32) -> bool [max DISPATCH_LEVEL, undocumented] {
        log::note("HalMakeBeep fails: this machine has no speaker");
        Ok(false)
    }

    /// `MmIsRecursiveIoFault`: no page of a file is ever brought in by a fault.
    fn MmIsRecursiveIoFault() -> bool [max DISPATCH_LEVEL, ntifs] {
        Ok(false)
    }

    /// `KeQueryUnbiasedInterruptTime`: interrupt time without that spent asleep;
    /// this machine never sleeps.
    fn KeQueryUnbiasedInterruptTime() -> u64 [max HIGH_LEVEL, wdm, since WINDOWS_7] {
        Ok(clock::interrupt_time())
    }

    /// `KeQueryUnbiasedInterruptTimePrecise`: also the performance counter.
    fn KeQueryUnbiasedInterruptTimePrecise(counter: u64) -> u64 [max HIGH_LEVEL, undocumented] {
        let now = clock::interrupt_time();
        driver_mem::write_u64(counter, now)?;
        Ok(now)
    }

    /// `KeSaveFloatingPointState`: on x64 nothing has to be saved.
    fn KeSaveFloatingPointState(save: u64) -> u32 [max DISPATCH_LEVEL, wdm] {
        Ok(STATUS_SUCCESS)
    }

    /// `KeRestoreFloatingPointState`.
    fn KeRestoreFloatingPointState(save: u64) -> u32 [max DISPATCH_LEVEL, wdm] {
        Ok(STATUS_SUCCESS)
    }

    /// `KeSaveExtendedProcessorState`: programs have no registers here that a driver
    /// could spoil.
    fn KeSaveExtendedProcessorState(mask: u64, save: u64) -> u32
        [max DISPATCH_LEVEL, wdm, since WINDOWS_7, partial "no register is saved, nor restored later"] {
        Ok(STATUS_SUCCESS)
    }

    /// `KeRestoreExtendedProcessorState`.
    fn KeRestoreExtendedProcessorState(save: u64) -> () [max DISPATCH_LEVEL, wdm, since WINDOWS_7] {
        Ok(())
    }

    /// `KeIsExecutingDpc`: whether this processor runs a deferred procedure call.
    fn KeIsExecutingDpc() -> u32 [max HIGH_LEVEL, wdm] {
        Ok(dpc::runs().into())
    }

    /// `KeInvalidateAllCaches`: caches of this machine are coherent.
    fn KeInvalidateAllCaches() -> bool [max HIGH_LEVEL, ntddk] {
        Ok(true)
    }

    /// `KeGetRecommendedSharedDataAlignment`: bytes of a cache line.
    fn KeGetRecommendedSharedDataAlignment() -> u32 [max HIGH_LEVEL, wdm] {
        Ok(64)
    }

    /// `KeQueryHighestNodeNumber`: there is one node, number 0.
    fn KeQueryHighestNodeNumber() -> u16 [max HIGH_LEVEL, wdm, since WINDOWS_7] {
        Ok(0)
    }

    /// `KeGetCurrentNodeNumber`.
    fn KeGetCurrentNodeNumber() -> u16 [max HIGH_LEVEL, wdm, since WINDOWS_7] {
        Ok(0)
    }

    /// `KeSynchronizeExecution`: there are no interrupt objects, so none can be
    /// passed.
    fn KeSynchronizeExecution(interrupt: u64, routine: u64, context: u64) -> bool [max HIGH_LEVEL, wdm] {
        Err(NoReturn::bug_check(
            0x50,
            [interrupt, 0, 0, 0],
            format!("KeSynchronizeExecution was called for {interrupt:#018x}; this kernel has no devices that interrupt, and no interrupt objects"),
        ))
    }
}
