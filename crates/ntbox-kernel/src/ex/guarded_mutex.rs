//! Guarded mutexes (`KGUARDED_MUTEX`): since Windows 8 fast mutexes by another
//! name, at `APC_LEVEL` and not in a guarded region.

use ntbox_host::gate::irql::{APC_LEVEL, HIGH_LEVEL};

use super::fast_mutex;
use crate::base::export::exports;

exports! {
    /// `KeInitializeGuardedMutex`.
    fn KeInitializeGuardedMutex(mutex: u64) -> () [max APC_LEVEL, wdm] {
        fast_mutex::initialize(mutex)
    }

    /// `KeAcquireGuardedMutex`.
    fn KeAcquireGuardedMutex<call>(mutex: u64) -> () [max HIGH_LEVEL, wdm] {
        fast_mutex::acquire(mutex, "KeAcquireGuardedMutex", call.return_address())
    }

    /// `KeTryToAcquireGuardedMutex`.
    fn KeTryToAcquireGuardedMutex<call>(mutex: u64) -> bool [max HIGH_LEVEL, wdm] {
        fast_mutex::try_acquire(mutex, "KeTryToAcquireGuardedMutex", call.return_address())
    }

    /// `KeReleaseGuardedMutex`.
    fn KeReleaseGuardedMutex<call>(mutex: u64) -> () [max HIGH_LEVEL, wdm] {
        fast_mutex::release(mutex, "KeReleaseGuardedMutex", call.return_address())
    }

    /// `KeAcquireGuardedMutexUnsafe`.
    fn KeAcquireGuardedMutexUnsafe<call>(mutex: u64) -> () [max HIGH_LEVEL, wdm] {
        fast_mutex::acquire_unsafe(mutex, "KeAcquireGuardedMutexUnsafe", call.return_address())
    }

    /// `KeReleaseGuardedMutexUnsafe`.
    fn KeReleaseGuardedMutexUnsafe<call>(mutex: u64) -> () [max HIGH_LEVEL, wdm] {
        fast_mutex::release_unsafe(mutex, "KeReleaseGuardedMutexUnsafe", call.return_address())
    }
}
