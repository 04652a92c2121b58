//! Reader-writer spin locks (`EX_SPIN_LOCK`): one writer or any number of
//! readers. The word is the driver's: the writer's bit, and the readers counted
//! in the low bits; a driver initialises it to zero itself.

use ntbox_api::rules;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::HIGH_LEVEL;
use ntbox_host::{cpu, driver_mem};

use crate::base::export::exports;
use crate::base::lock_class::LockClass;
use crate::base::{diag, events};
use crate::ke::lock_owner;
use crate::ke::lock_owner::Mode;
use crate::ke::spinlock::{acquire_by, at_dispatch, lower, not_owned, raise, rule};

/// Set while a writer holds the lock.
const WRITER: u32 = 0x8000_0000;

/// Takes the lock for writing. False if somebody holds it.
fn try_exclusive(lock: u64, caller: u64) -> Result<bool, NoReturn> {
    let free = driver_mem::compare_exchange_u32(lock, 0, WRITER)? == 0;
    if free {
        lock_owner::add(lock, Mode::Exclusive, caller);
        events::lock_acquired(lock, LockClass::SpinLock, caller);
    }
    Ok(free)
}

fn word(lock: u64) -> Result<u64, NoReturn> {
    Ok(u64::from(driver_mem::read_u32(lock)?))
}

fn exclusive(lock: u64, function: &str, caller: u64) -> Result<(), NoReturn> {
    events::lock_acquiring(lock, LockClass::SpinLock, caller);
    acquire_by(
        lock,
        function,
        caller,
        || word(lock),
        || try_exclusive(lock, caller),
    )
}

/// Takes the lock for reading. False if a writer holds it.
fn try_shared(lock: u64, caller: u64) -> Result<bool, NoReturn> {
    let readers = driver_mem::update_u32(lock, |word| {
        (word & WRITER == 0).then_some(word.wrapping_add(1))
    })?;
    if readers.is_ok() {
        lock_owner::add(lock, Mode::Shared, caller);
        events::lock_acquired(lock, LockClass::SharedSpinLock, caller);
    }
    Ok(readers.is_ok())
}

fn shared(lock: u64, function: &str, caller: u64) -> Result<(), NoReturn> {
    if let Some(before) = lock_owner::find_here(lock).filter(|held| held.mode == Mode::Shared) {
        let what = format!(
            "{function} called for {lock:#018x}, which the caller holds; {}. It deadlocks if a writer waits in between",
            lock_owner::taken_by(before)
        );
        diag::violation(rules::SPIN_LOCK_RECURSIVE, what, caller);
    }
    events::lock_acquiring(lock, LockClass::SharedSpinLock, caller);
    acquire_by(
        lock,
        function,
        caller,
        || word(lock),
        || try_shared(lock, caller),
    )
}

fn release_exclusive(
    lock: u64,
    function: &str,
) -> Result<Option<lock_owner::HeldSpinLock>, NoReturn> {
    match driver_mem::compare_exchange_u32(lock, WRITER, 0)? {
        WRITER => {
            events::lock_released(lock);
            Ok(lock_owner::remove(lock))
        }
        0 => Err(not_owned(lock, function)),
        word => Err(wrong_mode(lock, word, function)),
    }
}

fn release_shared(lock: u64, function: &str) -> Result<Option<lock_owner::HeldSpinLock>, NoReturn> {
    let change = |word: u32| {
        if word & WRITER == 0 {
            word.checked_sub(1)
        } else {
            None
        }
    };
    match driver_mem::update_u32(lock, change)? {
        Ok(_) => {
            events::lock_released(lock);
            Ok(lock_owner::remove(lock))
        }
        Err(0) => Err(not_owned(lock, function)),
        Err(word) => Err(wrong_mode(lock, word, function)),
    }
}

/// The stop for a release that does not match how the lock was acquired.
fn wrong_mode(lock: u64, word: u32, function: &str) -> NoReturn {
    let how = if word & WRITER == 0 {
        "shared"
    } else {
        "exclusive"
    };
    NoReturn::bug_check(
        0xc4,
        [0x1009, lock, u64::from(word), 0],
        format!(
            "{function} was called for {lock:#018x}, which is held for {how} access (it holds {word:#x})"
        ),
    )
}

exports! {
    /// `ExAcquireSpinLockExclusive`: returns the IRQL before.
    fn ExAcquireSpinLockExclusive<call>(lock: u64) -> u8 [max HIGH_LEVEL, wdm] {
        let (function, caller) = ("ExAcquireSpinLockExclusive", call.return_address());
        let old = raise(cpu::DISPATCH_LEVEL, function, lock, caller);
        exclusive(lock, function, caller)?;
        Ok(old)
    }

    /// `ExReleaseSpinLockExclusive`.
    fn ExReleaseSpinLockExclusive<call>(lock: u64, irql: u8) -> () [max HIGH_LEVEL, wdm] {
        let (function, caller) = ("ExReleaseSpinLockExclusive", call.return_address());
        let held = release_exclusive(lock, function)?;
        lower(irql, function, held, lock, caller)
    }

    /// `ExAcquireSpinLockExclusiveAtDpcLevel`.
    fn ExAcquireSpinLockExclusiveAtDpcLevel<call>(lock: u64) -> () [max HIGH_LEVEL, wdm] {
        let (function, caller) = ("ExAcquireSpinLockExclusiveAtDpcLevel", call.return_address());
        at_dispatch(rule::ACQUIRE_AT_DPC_LEVEL, function, lock, caller);
        exclusive(lock, function, caller)
    }

    /// `ExReleaseSpinLockExclusiveFromDpcLevel`.
    fn ExReleaseSpinLockExclusiveFromDpcLevel<call>(lock: u64) -> () [max HIGH_LEVEL, wdm] {
        let (function, caller) = ("ExReleaseSpinLockExclusiveFromDpcLevel", call.return_address());
        at_dispatch(rule::RELEASE_FROM_DPC_LEVEL, function, lock, caller);
        release_exclusive(lock, function).map(drop)
    }

    /// `ExTryAcquireSpinLockExclusiveAtDpcLevel`.
    fn ExTryAcquireSpinLockExclusiveAtDpcLevel<call>(lock: u64) -> bool [max HIGH_LEVEL, undocumented] {
        let caller = call.return_address();
        at_dispatch(rule::ACQUIRE_AT_DPC_LEVEL, "ExTryAcquireSpinLockExclusiveAtDpcLevel", lock, caller);
        try_exclusive(lock, caller)
    }

    /// `ExAcquireSpinLockShared`: returns the IRQL before.
    fn ExAcquireSpinLockShared<call>(lock: u64) -> u8 [max HIGH_LEVEL, wdm] {
        let (function, caller) = ("ExAcquireSpinLockShared", call.return_address());
        let old = raise(cpu::DISPATCH_LEVEL, function, lock, caller);
        shared(lock, function, caller)?;
        Ok(old)
    }

    /// `ExReleaseSpinLockShared`.
    fn ExReleaseSpinLockShared<call>(lock: u64, irql: u8) -> () [max HIGH_LEVEL, wdm] {
        let (function, caller) = ("ExReleaseSpinLockShared", call.return_address());
        let held = release_shared(lock, function)?;
        lower(irql, function, held, lock, caller)
    }

    /// `ExAcquireSpinLockSharedAtDpcLevel`.
    fn ExAcquireSpinLockSharedAtDpcLevel<call>(lock: u64) -> () [max HIGH_LEVEL, wdm] {
        let (function, caller) = ("ExAcquireSpinLockSharedAtDpcLevel", call.return_address());
        at_dispatch(rule::ACQUIRE_AT_DPC_LEVEL, function, lock, caller);
        shared(lock, function, caller)
    }

    /// `ExReleaseSpinLockSharedFromDpcLevel`.
    fn ExReleaseSpinLockSharedFromDpcLevel<call>(lock: u64) -> () [max HIGH_LEVEL, wdm] {
        let (function, caller) = ("ExReleaseSpinLockSharedFromDpcLevel", call.return_address());
        at_dispatch(rule::RELEASE_FROM_DPC_LEVEL, function, lock, caller);
        release_shared(lock, function).map(drop)
    }

    /// `ExTryAcquireSpinLockSharedAtDpcLevel`.
    fn ExTryAcquireSpinLockSharedAtDpcLevel<call>(lock: u64) -> bool [max HIGH_LEVEL, undocumented] {
        let caller = call.return_address();
        at_dispatch(rule::ACQUIRE_AT_DPC_LEVEL, "ExTryAcquireSpinLockSharedAtDpcLevel", lock, caller);
        try_shared(lock, caller)
    }

    /// `ExTryConvertSharedSpinLockExclusive`: whether the only reader became the
    /// writer.
    fn ExTryConvertSharedSpinLockExclusive<call>(lock: u64) -> bool [max HIGH_LEVEL, wdm] {
        let (function, caller) = ("ExTryConvertSharedSpinLockExclusive", call.return_address());
        at_dispatch(rule::ACQUIRE_AT_DPC_LEVEL, function, lock, caller);
        match driver_mem::compare_exchange_u32(lock, 1, WRITER)? {
            1 => {
                lock_owner::remove(lock);
                lock_owner::add(lock, Mode::Exclusive, caller);
                Ok(true)
            }
            word if word & WRITER != 0 => Err(wrong_mode(lock, word, function)),
            0 => Err(not_owned(lock, function)),
            _ => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, broken_rules, bug_check, call, processor, value};

    #[test]
    fn spin_lock_shared_by_readers_not_writer() {
        processor();
        let mut word = 0_u32;
        let lock = address_mut(&mut word);
        assert_eq!(value(ExAcquireSpinLockShared, &[lock]), 0);
        assert_eq!((cpu::irql(), driver_mem::read_u32(lock)), (2, Ok(1)));
        assert_eq!(value(ExTryAcquireSpinLockSharedAtDpcLevel, &[lock]), 1);
        assert_eq!(driver_mem::read_u32(lock), Ok(2));
        assert_eq!(value(ExTryAcquireSpinLockExclusiveAtDpcLevel, &[lock]), 0);
        assert_eq!(
            value(ExTryConvertSharedSpinLockExclusive, &[lock]),
            0,
            "there is another reader"
        );
        value(ExReleaseSpinLockSharedFromDpcLevel, &[lock]);
        assert_eq!(value(ExTryConvertSharedSpinLockExclusive, &[lock]), 1);
        assert_eq!(driver_mem::read_u32(lock), Ok(WRITER));
        assert_eq!(value(ExTryAcquireSpinLockSharedAtDpcLevel, &[lock]), 0);
        value(ExReleaseSpinLockExclusive, &[lock, 0]);
        assert_eq!((cpu::irql(), driver_mem::read_u32(lock)), (0, Ok(0)));
        assert_eq!(broken_rules(), [""; 0]);
    }

    #[test]
    fn spin_lock_exclusive_by_reader_stops() {
        processor();
        let mut word = 0_u32;
        let lock = address_mut(&mut word);
        value(ExAcquireSpinLockShared, &[lock]);
        assert_eq!(
            bug_check(call(ExAcquireSpinLockExclusiveAtDpcLevel, &[lock])).code,
            0x0f
        );
        let stop = bug_check(call(ExReleaseSpinLockExclusive, &[lock, 0]));
        assert_eq!((stop.code, stop.parameters[0]), (0xc4, 0x1009));
        value(ExReleaseSpinLockShared, &[lock, 0]);
        assert_eq!(
            bug_check(call(ExReleaseSpinLockShared, &[lock, 0])).code,
            0x10
        );
    }

    #[test]
    fn spin_lock_shared_twice_is_reported() {
        processor();
        let mut word = 0_u32;
        let lock = address_mut(&mut word);
        value(ExAcquireSpinLockShared, &[lock]);
        value(ExAcquireSpinLockSharedAtDpcLevel, &[lock]);
        assert_eq!(broken_rules(), ["spin-lock-recursive"]);
        value(ExReleaseSpinLockSharedFromDpcLevel, &[lock]);
        value(ExReleaseSpinLockShared, &[lock, 0]);
        assert_eq!((cpu::irql(), driver_mem::read_u32(lock)), (0, Ok(0)));
    }
}
