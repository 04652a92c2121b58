//! Queued spin locks by number: those that the system has for all, one for each
//! `KSPIN_LOCK_QUEUE_NUMBER`. They are at no address that a driver knows. Number 7
//! is the cancel spin lock itself.

use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::HIGH_LEVEL;
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::{cpu, driver_mem};

use super::sched::{Spin, SpinWait};
use super::{ipi, irp_cancel_lock, irql};
use crate::base::export::exports;

/// `LockQueueMaximumLock`.
const COUNT: usize = 17;
/// `LockQueueIoCancelLock`.
const CANCEL: u32 = 7;
/// The IRQL at which the system's own synchronisation runs, on x64.
const SYNCH_LEVEL: u8 = 12;

/// Who holds each: the address of the call that took it, and the processor.
static HOLDERS: KernelCell<[Option<(u64, u32)>; COUNT]> = KernelCell::new([None; COUNT]);

/// The place of a lock among the others.
fn index(number: u32, function: &str) -> Result<usize, NoReturn> {
    let at = usize::try_from(number).ok().filter(|at| *at < COUNT);
    at.ok_or_else(|| {
        NoReturn::bug_check(
            0x10,
            [u64::from(number), 0, 0, 0],
            format!("{function} was given the number {number}, which no queued spin lock has; they end before {COUNT}"),
        )
    })
}

/// Takes a lock if it is free.
fn try_take(at: usize, caller: u64) -> bool {
    let mut holders = HOLDERS.lock();
    let free = holders[at].is_none();
    if free {
        holders[at] = Some((caller, cpu::number()));
    }
    free
}

/// Takes a lock, at the IRQL that has been raised for it.
fn take(at: usize, caller: u64, function: &str) -> Result<(), NoReturn> {
    if try_take(at, caller) {
        return Ok(());
    }
    let spinning = SpinWait::on(Spin::Numbered { number: at, caller });
    while !try_take(at, caller) {
        let holder = HOLDERS.lock()[at];
        if let Some((by, processor)) = holder
            && processor == cpu::number()
        {
            return Err(NoReturn::bug_check(
                0x0f,
                [at as u64, by, caller, 0],
                format!(
                    "{function} would wait for ever for the queued spin lock {at}, which this processor holds (SPIN_LOCK_ALREADY_OWNED)"
                ),
            ));
        }
        spinning.turn().map_err(|why| ipi::locked_up(&why))?;
    }
    Ok(())
}

/// Raises the IRQL and takes the lock; the IRQL before.
fn acquire(number: u32, level: u8, caller: u64, function: &str) -> Result<u8, NoReturn> {
    let at = index(number, function)?;
    let old = cpu::irql();
    if number == CANCEL {
        irp_cancel_lock::acquire(caller)?;
        cpu::set_irql(old.max(level));
        return Ok(old);
    }
    cpu::set_irql(old.max(level));
    take(at, caller, function)?;
    Ok(old)
}

/// Takes the lock if it is free, and only then raises the IRQL. Where it was is
/// told in any case.
fn attempt(
    number: u32,
    level: u8,
    old_irql: u64,
    caller: u64,
    function: &str,
) -> Result<bool, NoReturn> {
    let at = index(number, function)?;
    let old = cpu::irql();
    driver_mem::write_u8(old_irql, old)?;
    let taken = if number == CANCEL {
        let free = !irp_cancel_lock::is_held();
        if free {
            irp_cancel_lock::acquire(caller)?;
        }
        free
    } else {
        try_take(at, caller)
    };
    if taken {
        cpu::set_irql(old.max(level));
    }
    Ok(taken)
}

exports! {
    /// `KeAcquireQueuedSpinLock`: the IRQL before.
    fn KeAcquireQueuedSpinLock<call>(number: u32) -> u8 [max HIGH_LEVEL, ntifs] {
        acquire(number, cpu::DISPATCH_LEVEL, call.return_address(), "KeAcquireQueuedSpinLock")
    }

    /// `KeAcquireQueuedSpinLockRaiseToSynch`.
    fn KeAcquireQueuedSpinLockRaiseToSynch<call>(number: u32) -> u8 [max HIGH_LEVEL, undocumented] {
        acquire(number, SYNCH_LEVEL, call.return_address(), "KeAcquireQueuedSpinLockRaiseToSynch")
    }

    /// `KeTryToAcquireQueuedSpinLock`: a LOGICAL.
    fn KeTryToAcquireQueuedSpinLock<call>(number: u32, old: u64) -> u32 [max HIGH_LEVEL, ntifs] {
        let function = "KeTryToAcquireQueuedSpinLock";
        Ok(attempt(number, cpu::DISPATCH_LEVEL, old, call.return_address(), function)?.into())
    }

    /// `KeTryToAcquireQueuedSpinLockRaiseToSynch`.
    fn KeTryToAcquireQueuedSpinLockRaiseToSynch<call>(number: u32, old: u64) -> bool [max HIGH_LEVEL, undocumented] {
        attempt(number, SYNCH_LEVEL, old, call.return_address(), "KeTryToAcquireQueuedSpinLockRaiseToSynch")
    }

    /// `KeReleaseQueuedSpinLock`.
    fn KeReleaseQueuedSpinLock<call>(number: u32, old: u8) -> () [max HIGH_LEVEL, ntifs] {
        let function = "KeReleaseQueuedSpinLock";
        let at = index(number, function)?;
        if number == CANCEL {
            return irp_cancel_lock::release(old, call.return_address());
        }
        let holder = HOLDERS.lock()[at].take();
        if holder.is_none() {
            let what = format!("{function} was called for the queued spin lock {number}, which is not held (SPIN_LOCK_NOT_OWNED)");
            return Err(NoReturn::bug_check(0x10, [u64::from(number), 0, 0, 0], what));
        }
        irql::lower(old, function, call.return_address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, bug_check, call, processor, value};

    #[test]
    fn queued_spin_lock_by_number_is_acquired_once() {
        processor();
        cpu::set_irql(1);
        assert_eq!(value(KeAcquireQueuedSpinLock, &[12]), 1);
        assert_eq!(cpu::irql(), 2);
        let mut old = 0xcc_u8;
        let at = address_mut(&mut old);
        assert_eq!(value(KeTryToAcquireQueuedSpinLock, &[12, at]), 0);
        assert_eq!((cpu::irql(), old), (2, 2));
        assert_eq!(bug_check(call(KeAcquireQueuedSpinLock, &[12])).code, 0x0f);
        value(KeReleaseQueuedSpinLock, &[12, 1]);
        assert_eq!(cpu::irql(), 1);
        assert_eq!(
            value(KeTryToAcquireQueuedSpinLockRaiseToSynch, &[12, at]),
            1
        );
        assert_eq!((cpu::irql(), driver_mem::read_u8(at)), (12, Ok(1)));
        value(KeReleaseQueuedSpinLock, &[12, 1]);
        let stop = bug_check(call(KeReleaseQueuedSpinLock, &[12, 1]));
        assert_eq!((stop.code, stop.parameters[0]), (0x10, 12));
        assert_eq!(bug_check(call(KeAcquireQueuedSpinLock, &[17])).code, 0x10);
        cpu::set_irql(0);
    }

    #[test]
    fn queued_spin_lock_7_is_cancel_spin_lock() {
        processor();
        cpu::set_irql(0);
        assert_eq!(value(KeAcquireQueuedSpinLock, &[7]), 0);
        assert!(irp_cancel_lock::is_held());
        let mut old = 0_u8;
        let at = address_mut(&mut old);
        assert_eq!(value(KeTryToAcquireQueuedSpinLock, &[7, at]), 0);
        value(KeReleaseQueuedSpinLock, &[7, 0]);
        assert!(!irp_cancel_lock::is_held());
        assert_eq!(cpu::irql(), 0);
    }
}
