//! Spin locks.
//!
//! The lock word is the driver's: 0 is free, 1 is held; a queued spin lock holds
//! the address of the last handle that waits for it (see [`queued_spinlock`]). A
//! processor that finds the lock held spins: the others have their turns
//! meanwhile. A lock that the processor itself holds, or that nobody holds, can
//! never become free: what would hang a machine is a bug check here that says who
//! holds it.
//!
//! [`queued_spinlock`]: super::queued_spinlock

use ntbox_api::rules;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::HIGH_LEVEL;
use ntbox_host::{cpu, driver_mem};

use super::lock_owner::Mode;
use super::sched::{Spin, SpinWait};
use super::{ipi, irql, lock_owner};
use crate::base::export::exports;
use crate::base::lock_class::LockClass;
use crate::base::{diag, events};

/// The IRQL at which the system's own synchronisation runs, on x64.
const SYNCH_LEVEL: u8 = 12;
/// A lock word that is free.
const FREE: u64 = 0;
/// A lock word that is held as an ordinary spin lock.
const HELD: u64 = 1;

/// What Driver Verifier calls an IRQL that is wrong for a spin lock: the first
/// parameter of bug check 0xC4.
pub(crate) mod rule {
    /// Released at an IRQL other than `DISPATCH_LEVEL`.
    pub const RELEASE: u64 = 0x32;
    /// Acquired below `DISPATCH_LEVEL` by a function that does not raise.
    pub const ACQUIRE_AT_DPC_LEVEL: u64 = 0x40;
    /// Released below `DISPATCH_LEVEL` by a function that does not lower.
    pub const RELEASE_FROM_DPC_LEVEL: u64 = 0x41;
    /// Acquired above `DISPATCH_LEVEL`.
    pub const ACQUIRE: u64 = 0x42;
}

/// Reports an IRQL that is wrong for a spin lock.
fn wrong_irql(rule: u64, function: &str, lock: u64, wanted: &str, caller: u64) {
    let irql = cpu::irql();
    let what = format!(
        "{function} called for {lock:#018x} at IRQL {irql}, must be {wanted} DISPATCH_LEVEL"
    );
    diag::violation(rules::SPIN_LOCK_IRQL.with_stop(0xc4, rule), what, caller);
}

/// Raises the IRQL for a lock and returns the one before.
pub(crate) fn raise(level: u8, function: &str, lock: u64, caller: u64) -> u8 {
    let old = cpu::irql();
    if old > cpu::DISPATCH_LEVEL && old > level {
        wrong_irql(rule::ACQUIRE, function, lock, "at most", caller);
    }
    cpu::set_irql(old.max(level))
}

/// Checks that the IRQL is at `DISPATCH_LEVEL` or above, as functions need that
/// do not change it.
pub(crate) fn at_dispatch(rule: u64, function: &str, lock: u64, caller: u64) {
    if cpu::irql() < cpu::DISPATCH_LEVEL {
        wrong_irql(rule, function, lock, "at least", caller);
    }
}

/// Checks the IRQL of a release that lowers it, and lowers it.
pub(crate) fn lower(
    new: u8,
    function: &str,
    held: Option<lock_owner::HeldSpinLock>,
    lock: u64,
    caller: u64,
) -> Result<(), NoReturn> {
    let current = cpu::irql();
    let expected = held.map_or(cpu::DISPATCH_LEVEL, |held| held.irql);
    if current != cpu::DISPATCH_LEVEL && current != expected {
        wrong_irql(rule::RELEASE, function, lock, "at", caller);
        // There is nothing to lower from here.
        if current < new {
            return Ok(());
        }
    }
    irql::lower(new, function, caller)
}

/// The stop for a lock that will never be free.
pub(crate) fn already_owned(lock: u64, word: u64, function: &str) -> NoReturn {
    let why = lock_owner::find(lock).map_or_else(
        || format!("it holds {word:#x}, and nobody has acquired it: it was never initialised, or was overwritten"),
        lock_owner::taken_by,
    );
    NoReturn::bug_check(
        0x0f,
        [lock, word, 0, 0],
        format!("{function} would wait for ever for the spin lock at {lock:#018x}: {why}"),
    )
}

/// Takes a lock, by what `attempt` does to it; spins if another processor holds it.
pub(crate) fn acquire_by(
    lock: u64,
    function: &str,
    caller: u64,
    word: impl Fn() -> Result<u64, NoReturn>,
    mut attempt: impl FnMut() -> Result<bool, NoReturn>,
) -> Result<(), NoReturn> {
    if attempt()? {
        return Ok(());
    }
    let spinning = SpinWait::on(Spin::Lock { lock, caller });
    loop {
        let here = cpu::number();
        if lock_owner::find(lock).is_none_or(|held| held.processor == here) {
            return Err(already_owned(lock, word()?, function));
        }
        spinning.turn().map_err(|why| ipi::locked_up(&why))?;
        if attempt()? {
            return Ok(());
        }
    }
}

/// The stop for the release of a lock that nobody holds.
pub(crate) fn not_owned(lock: u64, function: &str) -> NoReturn {
    NoReturn::bug_check(
        0x10,
        [lock, 0, 0, 0],
        format!("{function} was called for the spin lock at {lock:#018x}, which is not held"),
    )
}

/// Takes a free lock at the current IRQL. False if it is held.
pub(crate) fn try_acquire(lock: u64, caller: u64) -> Result<bool, NoReturn> {
    let free = driver_mem::compare_exchange_u64(lock, FREE, HELD)? == FREE;
    if free {
        lock_owner::add(lock, Mode::Ordinary, caller);
        events::lock_acquired(lock, LockClass::SpinLock, caller);
    }
    Ok(free)
}

/// Takes a lock at the current IRQL.
pub(crate) fn acquire(lock: u64, function: &str, caller: u64) -> Result<(), NoReturn> {
    let word = || Ok(driver_mem::read_u64(lock)?);
    events::lock_acquiring(lock, LockClass::SpinLock, caller);
    acquire_by(lock, function, caller, word, || try_acquire(lock, caller))
}

/// Gives a lock back, at any IRQL; returns what was known of it.
pub(crate) fn release(
    lock: u64,
    function: &str,
) -> Result<Option<lock_owner::HeldSpinLock>, NoReturn> {
    match driver_mem::compare_exchange_u64(lock, HELD, FREE)? {
        HELD => {
            events::lock_released(lock);
            Ok(lock_owner::remove(lock))
        }
        FREE => Err(not_owned(lock, function)),
        word => Err(NoReturn::bug_check(
            0xc4,
            [0x1009, lock, 0, 0],
            format!(
                "{function} was called for {lock:#018x}, which holds {word:#x}: it was acquired as a queued spin lock, or overwritten"
            ),
        )),
    }
}

/// Raises the IRQL, takes the lock, and returns the IRQL before.
fn raise_and_acquire(level: u8, lock: u64, function: &str, caller: u64) -> Result<u8, NoReturn> {
    let old = raise(level, function, lock, caller);
    acquire(lock, function, caller)?;
    Ok(old)
}

/// Gives the lock back and lowers the IRQL.
fn release_and_lower(lock: u64, new: u8, function: &str, caller: u64) -> Result<(), NoReturn> {
    let held = release(lock, function)?;
    lower(new, function, held, lock, caller)
}

exports! {
    /// `KeInitializeSpinLock`: exported since Windows 8, inline before.
    fn KeInitializeSpinLock(lock: u64) -> () [max HIGH_LEVEL, wdm] {
        driver_mem::write_u64(lock, FREE)?;
        events::memory_freed(lock, 8);
        Ok(())
    }

    /// `KeAcquireSpinLockRaiseToDpc`, which `KeAcquireSpinLock` is on x64.
    fn KeAcquireSpinLockRaiseToDpc<call>(lock: u64) -> u8 [max HIGH_LEVEL, wdm] {
        raise_and_acquire(cpu::DISPATCH_LEVEL, lock, "KeAcquireSpinLock", call.return_address())
    }

    /// `KeAcquireSpinLockRaiseToSynch`.
    fn KeAcquireSpinLockRaiseToSynch<call>(lock: u64) -> u8 [max HIGH_LEVEL, undocumented] {
        raise_and_acquire(SYNCH_LEVEL, lock, "KeAcquireSpinLockRaiseToSynch", call.return_address())
    }

    /// `KeReleaseSpinLock`.
    fn KeReleaseSpinLock<call>(lock: u64, irql: u8) -> () [max HIGH_LEVEL, wdm] {
        release_and_lower(lock, irql, "KeReleaseSpinLock", call.return_address())
    }

    /// `KeAcquireSpinLockAtDpcLevel`.
    fn KeAcquireSpinLockAtDpcLevel<call>(lock: u64) -> () [max HIGH_LEVEL, wdm] {
        let (function, caller) = ("KeAcquireSpinLockAtDpcLevel", call.return_address());
        at_dispatch(rule::ACQUIRE_AT_DPC_LEVEL, function, lock, caller);
        acquire(lock, function, caller)
    }

    /// `KeTryToAcquireSpinLockAtDpcLevel`.
    fn KeTryToAcquireSpinLockAtDpcLevel<call>(lock: u64) -> bool [max HIGH_LEVEL, wdm] {
        let caller = call.return_address();
        at_dispatch(rule::ACQUIRE_AT_DPC_LEVEL, "KeTryToAcquireSpinLockAtDpcLevel", lock, caller);
        try_acquire(lock, caller)
    }

    /// `KeReleaseSpinLockFromDpcLevel`.
    fn KeReleaseSpinLockFromDpcLevel<call>(lock: u64) -> () [max HIGH_LEVEL, wdm] {
        let (function, caller) = ("KeReleaseSpinLockFromDpcLevel", call.return_address());
        at_dispatch(rule::RELEASE_FROM_DPC_LEVEL, function, lock, caller);
        release(lock, function).map(drop)
    }

    /// `KeAcquireSpinLockForDpc`: for threaded DPCs, which may run below
    /// `DISPATCH_LEVEL`.
    fn KeAcquireSpinLockForDpc<call>(lock: u64) -> u8 [max HIGH_LEVEL, wdm] {
        raise_and_acquire(cpu::DISPATCH_LEVEL, lock, "KeAcquireSpinLockForDpc", call.return_address())
    }

    /// `KeReleaseSpinLockForDpc`.
    fn KeReleaseSpinLockForDpc<call>(lock: u64, irql: u8) -> () [max HIGH_LEVEL, wdm] {
        release_and_lower(lock, irql, "KeReleaseSpinLockForDpc", call.return_address())
    }

    /// `KeTestSpinLock`: whether the lock is free.
    fn KeTestSpinLock(lock: u64) -> bool [max HIGH_LEVEL, wdm] {
        Ok(driver_mem::read_u64(lock)? == FREE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support;
    use crate::test_support::{address_mut, broken_rules, bug_check, call, processor, value};

    #[test]
    fn spin_lock_acquire_raises_and_release_restores_irql() {
        processor();
        cpu::set_irql(1);
        let mut word = u64::MAX;
        let lock = address_mut(&mut word);
        value(KeInitializeSpinLock, &[lock]);
        assert_eq!(value(KeTestSpinLock, &[lock]), 1);
        assert_eq!(value(KeAcquireSpinLockRaiseToDpc, &[lock]), 1);
        assert_eq!((cpu::irql(), driver_mem::read_u64(lock)), (2, Ok(1)));
        assert_eq!(value(KeTestSpinLock, &[lock]), 0);
        assert_eq!(value(KeTryToAcquireSpinLockAtDpcLevel, &[lock]), 0);
        value(KeReleaseSpinLock, &[lock, 1]);
        assert_eq!((cpu::irql(), driver_mem::read_u64(lock)), (1, Ok(0)));
        assert_eq!(broken_rules(), [""; 0]);
        cpu::set_irql(0);
    }

    #[test]
    fn spin_lock_acquired_twice_stops() {
        processor();
        let mut word = 0_u64;
        let lock = address_mut(&mut word);
        value(KeAcquireSpinLockRaiseToDpc, &[lock]);
        let stop = bug_check(call(KeAcquireSpinLockAtDpcLevel, &[lock]));
        assert_eq!((stop.code, stop.parameters[0]), (0x0f, lock));
        assert!(stop.message.contains("acquired before"), "{}", stop.message);
        value(KeReleaseSpinLock, &[lock, 0]);
    }

    #[test]
    fn spin_lock_with_pool_pattern_is_uninitialized() {
        processor();
        let mut word = 0xbdbd_bdbd_bdbd_bdbd_u64;
        let stop = bug_check(call(KeAcquireSpinLockRaiseToDpc, &[address_mut(&mut word)]));
        assert_eq!(stop.code, 0x0f);
        assert!(
            stop.message.contains("never initialised"),
            "{}",
            stop.message
        );
        cpu::set_irql(0);
    }

    #[test]
    fn spin_lock_release_of_free_or_queued_stops() {
        processor();
        cpu::set_irql(2);
        let mut word = 0_u64;
        let lock = address_mut(&mut word);
        assert_eq!(
            bug_check(call(KeReleaseSpinLockFromDpcLevel, &[lock])).code,
            0x10
        );
        let mut handle = [0_u64; 3];
        let handle = address_mut(&mut handle);
        value(
            super::super::queued_spinlock::KeAcquireInStackQueuedSpinLockAtDpcLevel,
            &[lock, handle],
        );
        let stop = bug_check(call(KeReleaseSpinLockFromDpcLevel, &[lock]));
        assert_eq!((stop.code, stop.parameters[0]), (0xc4, 0x1009));
        value(
            super::super::queued_spinlock::KeReleaseInStackQueuedSpinLockFromDpcLevel,
            &[handle],
        );
        assert_eq!(driver_mem::read_u64(lock), Ok(0));
        cpu::set_irql(0);
    }

    #[test]
    fn spin_lock_at_wrong_irql_has_verifier_code() {
        processor();
        let mut word = 0_u64;
        let lock = address_mut(&mut word);
        let code = || {
            test_support::violations()
                .pop()
                .and_then(|violation| violation.driver_verifier_code)
        };
        value(KeAcquireSpinLockAtDpcLevel, &[lock]);
        assert_eq!(code(), Some((0xc4, 0x40)));
        value(KeReleaseSpinLockFromDpcLevel, &[lock]);
        assert_eq!(code(), Some((0xc4, 0x41)));
        cpu::set_irql(5);
        assert_eq!(value(KeAcquireSpinLockRaiseToDpc, &[lock]), 5);
        assert_eq!((code(), cpu::irql()), (Some((0xc4, 0x42)), 5));
        cpu::set_irql(1);
        value(KeReleaseSpinLock, &[lock, 0]);
        assert_eq!(code(), Some((0xc4, 0x32)));
        cpu::set_irql(0);
    }

    #[test]
    fn lower_irql_with_held_spin_lock_is_reported() {
        processor();
        let (mut first, mut second) = (0_u64, 0_u64);
        let (first, second) = (address_mut(&mut first), address_mut(&mut second));
        assert_eq!(value(KeAcquireSpinLockRaiseToDpc, &[first]), 0);
        assert_eq!(value(KeAcquireSpinLockRaiseToDpc, &[second]), 2);
        // The wrong one of the two old levels.
        value(KeReleaseSpinLock, &[second, 0]);
        assert_eq!(broken_rules(), ["spin-lock-held"]);
        cpu::set_irql(2);
        value(KeReleaseSpinLock, &[first, 0]);
        assert_eq!(broken_rules(), [""; 0]);
    }

    #[test]
    fn spin_lock_raised_to_synch_level_is_released_there() {
        processor();
        let mut word = 0_u64;
        let lock = address_mut(&mut word);
        assert_eq!(value(KeAcquireSpinLockRaiseToSynch, &[lock]), 0);
        assert_eq!(cpu::irql(), SYNCH_LEVEL);
        value(KeReleaseSpinLock, &[lock, 0]);
        assert_eq!((cpu::irql(), broken_rules().len()), (0, 0));
    }
}
