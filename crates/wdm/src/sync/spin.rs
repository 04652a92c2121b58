//! The spin lock, held at `DISPATCH_LEVEL`.

use core::{cell::UnsafeCell, fmt};

use wdk_sys::{
    KSPIN_LOCK,
    ntddk::{KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock},
};

use crate::irql::Dispatch;

/// A value that one processor at a time uses: `KSPIN_LOCK`.
///
/// ```no_run
/// # use wdm::{irql::Passive, sync::SpinLock};
/// # fn example(passive: &mut Passive) {
/// let counter = SpinLock::new(0_u32);
/// counter.with(passive, |count, _dispatch| *count += 1);
/// # }
/// ```
///
/// # Invariants
///
/// Who reaches `value` by a shared reference holds `lock`.
pub struct SpinLock<T> {
    /// 0 when it is free: what `KeInitializeSpinLock`, an inline function,
    /// writes.
    lock: UnsafeCell<KSPIN_LOCK>,
    value: UnsafeCell<T>,
}

// SAFETY: the lock lets one thread at a time at the value.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A free lock. IRQL: any.
    #[must_use]
    pub const fn new(value: T) -> Self {
        Self {
            lock: UnsafeCell::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// Runs `work` with the value at `DISPATCH_LEVEL`, then goes back to the level
    /// of before: `KeAcquireSpinLock` and `KeReleaseSpinLock`. Taking the same
    /// lock inside `work` deadlocks.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[inline]
    pub fn with<R>(&self, _: &mut Dispatch, work: impl FnOnce(&mut T, &mut Dispatch) -> R) -> R {
        // SAFETY: the token says that the level is not above DISPATCH_LEVEL.
        unsafe { self.with_unchecked(work) }
    }

    /// [`Self::with`] for code that cannot be given a token: `Drop`, and what the
    /// kernel calls.
    ///
    /// # Safety
    ///
    /// The IRQL is not above `DISPATCH_LEVEL`, and no code that `work` can reach
    /// has a token of a lower level.
    // Not inlined, so that what runs at DISPATCH_LEVEL is in resident code even if
    // the caller is in pageable code.
    #[inline(never)]
    pub(crate) unsafe fn with_unchecked<R>(
        &self,
        work: impl FnOnce(&mut T, &mut Dispatch) -> R,
    ) -> R {
        // SAFETY: the lock is initialised, and the caller vouches for the level.
        let before = unsafe { KeAcquireSpinLockRaiseToDpc(self.lock.get()) };
        // SAFETY: by the type's invariant holding the lock makes this the only access.
        let value = unsafe { &mut *self.value.get() };
        // SAFETY: the level is DISPATCH_LEVEL until the lock is released.
        let result = work(value, &mut unsafe { Dispatch::assume() });
        // SAFETY: this thread holds the lock, and `before` is the level of before.
        unsafe { KeReleaseSpinLock(self.lock.get(), before) };
        result
    }
}

impl<T> fmt::Debug for SpinLock<T> {
    /// Not the value, which others may be changing.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SpinLock")
    }
}
