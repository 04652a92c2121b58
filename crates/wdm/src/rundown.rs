//! Rundown protection: users of an object hold references, and its owner waits until all
//! are released. After that no reference is granted.
//!
//! Like `EX_RUNDOWN_REF`, it is a count and, during a wait, the address of an event on the
//! waiting thread's stack. It contains no kernel object and may be in paged pool. The
//! kernel's own functions are not used because some kernels, such as Wine's, lack them.

use core::{
    cell::UnsafeCell,
    fmt,
    ptr::null_mut,
    sync::atomic::{AtomicPtr, AtomicU64, Ordering},
};

use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    _KWAIT_REASON::Executive,
    _MODE::KernelMode,
    KEVENT, LARGE_INTEGER,
    ntddk::{KeDelayExecutionThread, KeInitializeEvent, KeSetEvent, KeWaitForSingleObject},
};

use crate::irql::Apc;

/// No reference is granted any more.
const CLOSED: u64 = 1;
/// A waiting thread has claimed the event.
const CLAIMED: u64 = 2;
/// The event is initialised and its address stored.
const READY: u64 = 4;
/// One reference.
const ONE: u64 = 8;

/// Rundown protection of an object, like `EX_RUNDOWN_REF`.
///
/// ```no_run
/// # use wdm::{irql::Passive, rundown::Rundown};
/// # fn example(passive: &mut Passive) {
/// let rundown = Rundown::new();
/// if let Some(held) = rundown.acquire() {
///     // Here the thing is there.
///     drop(held);
/// }
/// rundown.wait(passive);
/// assert!(rundown.acquire().is_none());
/// # }
/// ```
pub struct Rundown {
    /// References, in units of [`ONE`], and the three bits.
    state: AtomicU64,
    /// What the last reference sets when it goes, if the state says [`READY`].
    event: AtomicPtr<KEVENT>,
}

impl Rundown {
    /// Without references, like `ExInitializeRundownProtection`. IRQL: any.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: AtomicU64::new(0),
            event: AtomicPtr::new(null_mut()),
        }
    }

    /// Acquires a reference, like `ExAcquireRundownProtection`. `None` once the
    /// owner waits. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn acquire(&self) -> Option<RundownGuard<'_>> {
        // Made only if there is a reference: dropping the value gives one back.
        self.acquire_unguarded().then(|| RundownGuard(self))
    }

    /// Waits until all references are released, and grants none afterwards, like
    /// `ExWaitForRundownProtectionRelease`. A thread that holds a reference
    /// deadlocks. IRQL: `<= APC_LEVEL`.
    pub fn wait(&self, _: &Apc) {
        let mode = i8::try_from(KernelMode).unwrap_or(0);
        self.close();
        loop {
            let state = self.state.load(Ordering::Acquire);
            if state & CLAIMED != 0 {
                // Another thread waits. The last reference may be about to read
                // where his event is, so this value must stay until he is done.
                let mut moment = LARGE_INTEGER { QuadPart: -1 };
                // SAFETY: the token says that waiting is possible.
                let _ = unsafe { KeDelayExecutionThread(mode, 0, &raw mut moment) };
            } else if state < ONE {
                // Whoever gave the last one back saw no event, and so has not
                // touched this value since.
                return;
            } else if self.claim(state) {
                break;
            }
        }
        let event = UnsafeCell::new(KEVENT::default());
        // SAFETY: the event is ours, and on a stack that stays resident: the wait
        // below is one in kernel mode.
        unsafe { KeInitializeEvent(event.get(), NotificationEvent, 0) };
        self.event.store(event.get(), Ordering::Release);
        if self.state.fetch_or(READY, Ordering::AcqRel) >= ONE {
            // SAFETY: the event is initialised, and the token says that waiting is
            // possible. The reference that goes last sets it, because `READY` was
            // there first.
            let _ = unsafe {
                KeWaitForSingleObject(event.get().cast(), Executive, mode, 0, null_mut())
            };
        }
        // Nobody holds a reference, and nobody is about to read the address.
        self.state.fetch_and(!(CLAIMED | READY), Ordering::AcqRel);
    }

    /// Makes this thread the one that has the event, if the state is still so.
    fn claim(&self, state: u64) -> bool {
        self.state
            .compare_exchange(state, state | CLAIMED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Grants no reference any more, without waiting. IRQL: any.
    pub(crate) fn close(&self) {
        self.state.fetch_or(CLOSED, Ordering::AcqRel);
    }

    /// Reinitialises the protection when it is not in use, like
    /// `ExReInitializeRundownProtection`. IRQL: any.
    pub(crate) fn reopen(&self) {
        self.state.fetch_and(!CLOSED, Ordering::AcqRel);
    }

    /// Whether a reference is held. IRQL: any.
    pub(crate) fn is_referenced(&self) -> bool {
        self.state.load(Ordering::Acquire) >= ONE
    }

    /// Acquires a reference that [`Self::release_unguarded`] releases.
    pub(crate) fn acquire_unguarded(&self) -> bool {
        let more = |state: u64| {
            (state & CLOSED == 0)
                .then(|| state.checked_add(ONE))
                .flatten()
        };
        self.state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .is_ok()
    }

    /// Releases a reference.
    ///
    /// # Safety
    ///
    /// [`Self::acquire_unguarded`] gave the reference, and it has not been released.
    pub(crate) unsafe fn release_unguarded(&self) {
        let before = self.state.fetch_sub(ONE, Ordering::AcqRel);
        if before == ONE | CLOSED | CLAIMED | READY {
            let event = self.event.load(Ordering::Acquire);
            // SAFETY: the event is initialised, as `READY` says, and whoever waits
            // for it keeps it and this value in their places until it is set; no
            // wait follows in the same step.
            unsafe { KeSetEvent(event, 0, 0) };
        }
    }
}

impl Default for Rundown {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Rundown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Rundown")
    }
}

/// A reference: the owner waits for its release. Released when dropped, like
/// `ExReleaseRundownProtection`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
#[derive(Debug)]
pub struct RundownGuard<'r>(&'r Rundown);

impl Drop for RundownGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: this value is the reference.
        unsafe { self.0.release_unguarded() };
    }
}
