//! Push locks (`EX_PUSH_LOCK`): one word for any number of readers or one
//! writer, fair to nobody. Bit 0 says that the lock is held, bit 1 that threads
//! wait for it, and from bit 4 on the readers are counted. A word without
//! bit 0 is zero.

use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::HIGH_LEVEL;

use super::lock_wait;
use crate::base::events;
use crate::base::export::exports;
use crate::base::lock_class::LockClass;
use crate::ke::sched;

/// Somebody holds the lock.
const LOCKED: u64 = 0x1;
/// Somebody waits for it; no more readers are let in.
const WAITING: u64 = 0x2;
/// One reader.
const READER: u64 = 0x10;
/// Flags that the functions with flags know; they tell how the system boosts
/// the holder's priority.
const VALID_FLAGS: u32 = 0x3;

/// What Driver Verifier calls a push lock handled with APCs enabled.
mod rule {
    pub const ACQUIRE: u64 = 0xea;
    pub const RELEASE: u64 = 0xeb;
}

/// How a push lock is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Exclusive,
    Shared,
}

impl Mode {
    /// The class of a lock that is taken so.
    fn class(self) -> LockClass {
        match self {
            Self::Exclusive => LockClass::PushLock,
            Self::Shared => LockClass::SharedPushLock,
        }
    }

    /// The word after taking a lock whose word this is.
    fn taken(self, word: u64) -> Option<u64> {
        match (self, word) {
            (Self::Exclusive, 0) => Some(LOCKED),
            (Self::Shared, 0) => Some(LOCKED | READER),
            (Self::Shared, word) if word >= READER && word & WAITING == 0 => Some(word + READER),
            _ => None,
        }
    }

    /// The word after giving it back, or `None` if it is not held so.
    fn given(self, word: u64) -> Option<u64> {
        let readers = word / READER;
        match self {
            _ if word & LOCKED == 0 => None,
            Self::Exclusive if readers == 0 => Some(0),
            Self::Shared if readers == 1 => Some(0),
            Self::Shared if readers > 1 => Some(word - READER),
            _ => None,
        }
    }
}

fn try_take(lock: u64, mode: Mode) -> Result<bool, NoReturn> {
    Ok(driver_mem::update_u64(lock, |word| mode.taken(word))?.is_ok())
}

/// Takes the lock, waiting for it if need be.
fn take(lock: u64, mode: Mode, function: &str) -> Result<(), NoReturn> {
    while !try_take(lock, mode)? {
        // Unless it became free meanwhile.
        if driver_mem::update_u64(lock, |word| (word != 0).then_some(word | WAITING))?.is_ok() {
            lock_wait::block(lock, function)?;
        }
    }
    Ok(())
}

/// Gives the lock back; who waits tries again.
fn give(lock: u64, mode: Mode, function: &str) -> Result<(), NoReturn> {
    match driver_mem::update_u64(lock, |word| mode.given(word))? {
        Ok(before) => {
            if before & WAITING != 0 && mode.given(before) == Some(0) {
                sched::wake(lock);
            }
            Ok(())
        }
        Err(0) => Err(lock_wait::not_owned(lock, function, "nobody holds it")),
        Err(word) => {
            let held = if word >= READER {
                "shared"
            } else {
                "exclusive"
            };
            Err(NoReturn::bug_check(
                0xc4,
                [0x1009, lock, word, 0],
                format!(
                    "{function} was called for the push lock at {lock:#018x}, which is held {held} (it holds {word:#x})"
                ),
            ))
        }
    }
}

fn check_flags(lock: u64, flags: u32, function: &str) -> Result<(), NoReturn> {
    if flags & !VALID_FLAGS == 0 {
        return Ok(());
    }
    // INVALID_PUSH_LOCK_FLAGS.
    Err(NoReturn::bug_check(
        0x152,
        [u64::from(flags), lock, 0, 0],
        format!("{function} was called for {lock:#018x} with the flags {flags:#x}"),
    ))
}

fn acquire(lock: u64, mode: Mode, flags: u32, function: &str, caller: u64) -> Result<(), NoReturn> {
    check_flags(lock, flags, function)?;
    lock_wait::check_irql(lock, function)?;
    lock_wait::check_apcs(rule::ACQUIRE, lock, function, caller, false);
    events::lock_acquiring(lock, mode.class(), caller);
    take(lock, mode, function)?;
    events::lock_acquired(lock, mode.class(), caller);
    Ok(())
}

fn try_acquire(
    lock: u64,
    mode: Mode,
    flags: u32,
    function: &str,
    caller: u64,
) -> Result<bool, NoReturn> {
    check_flags(lock, flags, function)?;
    lock_wait::check_irql(lock, function)?;
    lock_wait::check_apcs(rule::ACQUIRE, lock, function, caller, false);
    let is_taken = try_take(lock, mode)?;
    if is_taken {
        events::lock_acquired(lock, mode.class(), caller);
    }
    Ok(is_taken)
}

fn release(lock: u64, mode: Mode, flags: u32, function: &str, caller: u64) -> Result<(), NoReturn> {
    check_flags(lock, flags, function)?;
    lock_wait::check_apcs(rule::RELEASE, lock, function, caller, true);
    give(lock, mode, function)?;
    events::lock_released(lock);
    Ok(())
}

/// How the lock is held, for functions that release it either way.
fn mode_of(lock: u64) -> Result<Mode, NoReturn> {
    Ok(if driver_mem::read_u64(lock)? >= READER {
        Mode::Shared
    } else {
        Mode::Exclusive
    })
}

exports! {
    /// `ExInitializePushLock`.
    fn ExInitializePushLock(lock: u64) -> () [max HIGH_LEVEL, wdm] {
        driver_mem::write_u64(lock, 0)?;
        events::memory_freed(lock, 8);
        Ok(())
    }

    /// `ExAcquirePushLockExclusiveEx`, which `ExAcquirePushLockExclusive` is.
    fn ExAcquirePushLockExclusiveEx<call>(lock: u64, flags: u32) -> () [max HIGH_LEVEL, undocumented] {
        acquire(lock, Mode::Exclusive, flags, "ExAcquirePushLockExclusiveEx", call.return_address())
    }

    /// `ExAcquirePushLockSharedEx`, which `ExAcquirePushLockShared` is.
    fn ExAcquirePushLockSharedEx<call>(lock: u64, flags: u32) -> () [max HIGH_LEVEL, undocumented] {
        acquire(lock, Mode::Shared, flags, "ExAcquirePushLockSharedEx", call.return_address())
    }

    /// `ExTryAcquirePushLockExclusiveEx`.
    fn ExTryAcquirePushLockExclusiveEx<call>(lock: u64, flags: u32) -> bool [max HIGH_LEVEL, undocumented] {
        try_acquire(lock, Mode::Exclusive, flags, "ExTryAcquirePushLockExclusiveEx", call.return_address())
    }

    /// `ExTryAcquirePushLockSharedEx`.
    fn ExTryAcquirePushLockSharedEx<call>(lock: u64, flags: u32) -> bool [max HIGH_LEVEL, undocumented] {
        try_acquire(lock, Mode::Shared, flags, "ExTryAcquirePushLockSharedEx", call.return_address())
    }

    /// `ExReleasePushLockExclusiveEx`.
    fn ExReleasePushLockExclusiveEx<call>(lock: u64, flags: u32) -> () [max HIGH_LEVEL, undocumented] {
        release(lock, Mode::Exclusive, flags, "ExReleasePushLockExclusiveEx", call.return_address())
    }

    /// `ExReleasePushLockSharedEx`.
    fn ExReleasePushLockSharedEx<call>(lock: u64, flags: u32) -> () [max HIGH_LEVEL, undocumented] {
        release(lock, Mode::Shared, flags, "ExReleasePushLockSharedEx", call.return_address())
    }

    /// `ExReleasePushLockEx`: however it is held.
    fn ExReleasePushLockEx<call>(lock: u64, flags: u32) -> () [max HIGH_LEVEL, undocumented] {
        release(lock, mode_of(lock)?, flags, "ExReleasePushLockEx", call.return_address())
    }

    /// `ExTryConvertPushLockSharedToExclusiveEx`: whether the only reader became
    /// the writer.
    fn ExTryConvertPushLockSharedToExclusiveEx(lock: u64, flags: u32) -> bool [max HIGH_LEVEL, undocumented] {
        check_flags(lock, flags, "ExTryConvertPushLockSharedToExclusiveEx")?;
        let only_reader = |word: u64| word & !WAITING == LOCKED | READER;
        Ok(driver_mem::update_u64(lock, |word| only_reader(word).then(|| word - READER))?.is_ok())
    }

    /// `ExfAcquirePushLockExclusive`.
    fn ExfAcquirePushLockExclusive<call>(lock: u64) -> () [max HIGH_LEVEL, undocumented] {
        acquire(lock, Mode::Exclusive, 0, "ExfAcquirePushLockExclusive", call.return_address())
    }

    /// `ExfAcquirePushLockShared`.
    fn ExfAcquirePushLockShared<call>(lock: u64) -> () [max HIGH_LEVEL, undocumented] {
        acquire(lock, Mode::Shared, 0, "ExfAcquirePushLockShared", call.return_address())
    }

    /// `ExfTryAcquirePushLockShared`.
    fn ExfTryAcquirePushLockShared<call>(lock: u64) -> bool [max HIGH_LEVEL, undocumented] {
        try_acquire(lock, Mode::Shared, 0, "ExfTryAcquirePushLockShared", call.return_address())
    }

    /// `ExfReleasePushLock`: however it is held.
    fn ExfReleasePushLock<call>(lock: u64) -> () [max HIGH_LEVEL, undocumented] {
        release(lock, mode_of(lock)?, 0, "ExfReleasePushLock", call.return_address())
    }

    /// `ExfReleasePushLockExclusive`.
    fn ExfReleasePushLockExclusive<call>(lock: u64) -> () [max HIGH_LEVEL, undocumented] {
        release(lock, Mode::Exclusive, 0, "ExfReleasePushLockExclusive", call.return_address())
    }

    /// `ExfReleasePushLockShared`.
    fn ExfReleasePushLockShared<call>(lock: u64) -> () [max HIGH_LEVEL, undocumented] {
        release(lock, Mode::Shared, 0, "ExfReleasePushLockShared", call.return_address())
    }

    /// `ExfTryToWakePushLock`: who waits tries again.
    fn ExfTryToWakePushLock(lock: u64) -> () [max HIGH_LEVEL, undocumented] {
        sched::wake(lock);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_lock_counts_readers_and_yields_to_writer() {
        assert_eq!(Mode::Exclusive.taken(0), Some(LOCKED));
        assert_eq!(Mode::Shared.taken(0), Some(LOCKED | READER));
        assert_eq!(
            Mode::Shared.taken(LOCKED | READER),
            Some(LOCKED | (2 * READER))
        );
        for (mode, word) in [
            (Mode::Exclusive, LOCKED),
            (Mode::Exclusive, LOCKED | READER),
            (Mode::Shared, LOCKED),
            (Mode::Shared, LOCKED | WAITING | READER),
        ] {
            assert_eq!(mode.taken(word), None, "{mode:?} {word:#x}");
        }
    }

    #[test]
    fn push_lock_is_free_after_last_release() {
        assert_eq!(Mode::Exclusive.given(LOCKED | WAITING), Some(0));
        assert_eq!(
            Mode::Shared.given(LOCKED | WAITING | (2 * READER)),
            Some(LOCKED | WAITING | READER)
        );
        assert_eq!(Mode::Shared.given(LOCKED | WAITING | READER), Some(0));
        for (mode, word) in [
            (Mode::Exclusive, 0),
            (Mode::Shared, 0),
            (Mode::Exclusive, LOCKED | READER),
            (Mode::Shared, LOCKED),
        ] {
            assert_eq!(mode.given(word), None, "{mode:?} {word:#x}");
        }
    }
}
