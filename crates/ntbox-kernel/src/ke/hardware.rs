//! What drivers of hardware ask of the processor: caches and buffers, which are
//! coherent on x64 and have nothing to flush; the lock of an interrupt, which no
//! device of this machine has; and how long DPCs may run.

use nt_status::{STATUS_SUCCESS, STATUS_UNSUCCESSFUL};
use ntbox_host::gate::irql::{DISPATCH_LEVEL, HIGH_LEVEL};
use ntbox_host::gate::{ExportResult, NoReturn};
use ntbox_host::{cpu, driver_mem};

use super::dpc;
use crate::base::export::exports;

/// Bytes of `KDPC_WATCHDOG_INFORMATION`.
const WATCHDOG_INFORMATION: u64 = 0x14;

/// The stop for an interrupt object that cannot be one: none is ever connected.
fn no_interrupt(function: &str, interrupt: u64) -> ExportResult {
    Err(NoReturn::bug_check(
        0x50,
        [interrupt, 0, 0, 0],
        format!(
            "{function} was called for {interrupt:#018x}; this kernel has no devices that interrupt, and no interrupt objects"
        ),
    ))
}

exports! {
    /// `KeFlushWriteBuffer`: stores reach memory in their order.
    fn KeFlushWriteBuffer() -> () [max HIGH_LEVEL, undocumented] {
        Ok(())
    }

    /// `KeFlushIoBuffers`: caches see what a device reads and writes.
    fn KeFlushIoBuffers(mdl: u64, read: bool, dma: bool) -> () [max DISPATCH_LEVEL, wdm] {
        Ok(())
    }

    /// `KeInvalidateRangeAllCaches`: caches of this machine are coherent.
    fn KeInvalidateRangeAllCaches(base: u64, length: u32) -> () [max DISPATCH_LEVEL, ntddk] {
        Ok(())
    }

    /// `KeShouldYieldProcessor`: whether DPCs wait for this processor.
    fn KeShouldYieldProcessor() -> u32 [max DISPATCH_LEVEL, wdm] {
        Ok(dpc::pending().into())
    }

    /// `KeQueryDpcWatchdogInformation`: all zero, as where the watchdog is turned off;
    /// only in a DPC or at its IRQL.
    fn KeQueryDpcWatchdogInformation(information: u64) -> u32
        [max HIGH_LEVEL, wdm, partial "no watchdog: a long DPC is found by the run's time-out"] {
        if !dpc::runs() && cpu::irql() < DISPATCH_LEVEL {
            return Ok(STATUS_UNSUCCESSFUL);
        }
        driver_mem::fill(information, 0, WATCHDOG_INFORMATION)?;
        Ok(STATUS_SUCCESS)
    }

    /// `KeAcquireInterruptSpinLock`.
    fn KeAcquireInterruptSpinLock(interrupt: u64) -> u64 [max HIGH_LEVEL, wdm] {
        no_interrupt("KeAcquireInterruptSpinLock", interrupt)
    }

    /// `KeReleaseInterruptSpinLock`.
    fn KeReleaseInterruptSpinLock(interrupt: u64, before: u8) -> u64 [max HIGH_LEVEL, wdm] {
        no_interrupt("KeReleaseInterruptSpinLock", interrupt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, bug_check, call, processor, status, value};

    #[test]
    fn query_dpc_watchdog_at_dispatch_level_only() {
        processor();
        let mut information = [7_u32; 6];
        let to = address_mut(&mut information);
        let query = || status(KeQueryDpcWatchdogInformation, &[to]);
        assert_eq!(query(), STATUS_UNSUCCESSFUL);
        assert_eq!(information, [7; 6]);
        cpu::set_irql(DISPATCH_LEVEL);
        let at_dispatch = query();
        cpu::set_irql(0);
        assert_eq!(at_dispatch, STATUS_SUCCESS);
        assert_eq!(information, [0, 0, 0, 0, 0, 7]);
    }

    #[test]
    fn should_yield_without_dpcs_is_false() {
        assert_eq!(value(KeShouldYieldProcessor, &[]), 0);
    }

    #[test]
    fn interrupt_spin_lock_without_interrupt_stops() {
        for stop in [
            bug_check(call(KeAcquireInterruptSpinLock, &[0x5000])),
            bug_check(call(KeReleaseInterruptSpinLock, &[0x5000, 0])),
        ] {
            assert_eq!((stop.code, stop.parameters[0]), (0x50, 0x5000));
            assert!(
                stop.message.contains("InterruptSpinLock"),
                "{}",
                stop.message
            );
        }
    }
}
