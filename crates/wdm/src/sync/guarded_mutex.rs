//! The guarded mutex, which disables APCs. Since Windows 8 it is a fast mutex
//! ([`FastMutex`](super::FastMutex)). It cannot be acquired recursively.

use core::{cell::UnsafeCell, fmt};

use wdk_sys::{
    KGUARDED_MUTEX,
    ntddk::{KeAcquireGuardedMutex, KeInitializeGuardedMutex, KeReleaseGuardedMutex},
};

use crate::{
    Result,
    irql::Apc,
    pool::{PoolBox, PoolTag},
};

/// A value that one thread at a time uses, without APCs: `KGUARDED_MUTEX`.
///
/// ```no_run
/// # use wdm::sync::GuardedMutex;
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # fn example(passive: &mut wdm::irql::Passive) -> wdm::Result<()> {
/// let count = GuardedMutex::new(0_u32, TAG)?;
/// count.with(passive, |count, _| *count += 1);
/// # Ok(())
/// # }
/// ```
pub struct GuardedMutex<T>(PoolBox<Guarded<T>>);

/// A mutex of the kernel, and what it protects.
///
/// # Invariants
///
/// It lies in nonpaged pool, where it stays, with its mutex initialised. Who reaches
/// `value` by a shared reference holds `mutex`.
struct Guarded<T> {
    mutex: UnsafeCell<KGUARDED_MUTEX>,
    value: UnsafeCell<T>,
}

// SAFETY: a free mutex belongs to no thread.
unsafe impl<T: Send> Send for Guarded<T> {}
// SAFETY: the mutex lets one thread at a time at the value.
unsafe impl<T: Send> Sync for GuardedMutex<T> {}

impl<T> GuardedMutex<T> {
    /// A free mutex: `KeInitializeGuardedMutex`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed.
    pub fn new(value: T, tag: PoolTag) -> Result<Self> {
        let guarded = Guarded {
            mutex: UnsafeCell::new(KGUARDED_MUTEX::default()),
            value: UnsafeCell::new(value),
        };
        let boxed = PoolBox::new(guarded, tag).map_err(|rejected| rejected.error)?;
        // SAFETY: the mutex is ours, in nonpaged memory, where it stays.
        unsafe { KeInitializeGuardedMutex(boxed.mutex.get()) };
        Ok(Self(boxed))
    }

    /// Runs `work` with the value while no APC is delivered:
    /// `KeAcquireGuardedMutex` and `KeReleaseGuardedMutex`. Taking the same mutex
    /// inside `work` deadlocks.
    ///
    /// IRQL: `<= APC_LEVEL`.
    pub fn with<R>(&self, irql: &mut Apc, work: impl FnOnce(&mut T, &mut Apc) -> R) -> R {
        let Guarded { mutex, value } = &*self.0;
        // SAFETY: the mutex is initialised; the token says that waiting is possible.
        unsafe { KeAcquireGuardedMutex(mutex.get()) };
        // SAFETY: holding the mutex makes this the only access.
        let result = work(unsafe { &mut *value.get() }, irql);
        // SAFETY: this thread holds the mutex.
        unsafe { KeReleaseGuardedMutex(mutex.get()) };
        result
    }
}

impl<T> fmt::Debug for GuardedMutex<T> {
    /// Not the value, which others may be changing.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("GuardedMutex")
    }
}
