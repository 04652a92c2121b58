//! Rundown protection: whoever uses a thing holds a reference for that long, and
//! whoever takes it away waits until the last one is gone. From then on nobody
//! gets another.
//!
//! It is what `EX_RUNDOWN_REF` is, with a count and an event of its own: a driver
//! whose device depends on it also loads where the kernel's functions for that
//! are missing, as in Wine.

use core::{
    cell::UnsafeCell,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    _KWAIT_REASON::Executive,
    _MODE::KernelMode,
    KEVENT, LARGE_INTEGER,
    ntddk::{KeDelayExecutionThread, KeInitializeEvent, KeSetEvent, KeWaitForSingleObject},
};

use crate::irql::Apc;

/// Somebody waits, and nobody gets a reference any more.
const ENDING: u64 = 1;
/// The event is initialised.
const READY: u64 = 2;
/// One reference.
const ONE: u64 = 4;

/// Counts who uses a thing, as `EX_RUNDOWN_REF` does.
///
/// ```ignore
/// let rundown = Rundown::new();
/// if let Some(held) = rundown.acquire() {
///     // Here the thing is there.
///     drop(held);
/// }
/// rundown.wait(passive);
/// assert!(rundown.acquire().is_none());
/// ```
pub struct Rundown {
    /// References, in units of [`ONE`], and the two bits.
    state: AtomicU64,
    /// Set when the last reference is gone. Initialised by the first one who
    /// waits, since before that this value may move.
    gone: UnsafeCell<KEVENT>,
}

// SAFETY: the count changes in single steps, and the event is initialised once, by
// the one who sets `ENDING`, before `READY` tells others that they may use it.
unsafe impl Sync for Rundown {}
// SAFETY: as above; the structure belongs to no thread, and cannot be moved while
// somebody waits, who borrows it.
unsafe impl Send for Rundown {}

impl Rundown {
    /// A count of nobody, as by `ExInitializeRundownProtection`. IRQL: any.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: AtomicU64::new(0),
            gone: UnsafeCell::new(KEVENT::default()),
        }
    }

    /// Holds off the end, as `ExAcquireRundownProtection` does. `None` once
    /// somebody waits for it. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn acquire(&self) -> Option<Held<'_>> {
        // Made only if there is a reference: dropping the value gives one back.
        self.count_up().then(|| Held(self))
    }

    /// Waits until nobody holds a reference, after which nobody gets one, as
    /// `ExWaitForRundownProtectionRelease` does. Whoever waits and holds one waits
    /// for ever. IRQL: `<= APC_LEVEL`.
    pub fn wait(&self, _: &Apc) {
        let mode = i8::try_from(KernelMode).unwrap_or(0);
        if self.state.fetch_or(ENDING, Ordering::AcqRel) & ENDING == 0 {
            // SAFETY: nobody else initialises it, nobody uses it before `READY`,
            // and from here on the structure stays where it is.
            unsafe { KeInitializeEvent(self.gone.get(), NotificationEvent, 0) };
            if self.state.fetch_or(READY, Ordering::AcqRel) < ONE {
                self.set();
            }
        }
        while self.state.load(Ordering::Acquire) & READY == 0 {
            // Another thread is about to initialise the event.
            let mut moment = LARGE_INTEGER { QuadPart: -1 };
            // SAFETY: the token says that waiting is possible.
            let _ = unsafe { KeDelayExecutionThread(mode, 0, &raw mut moment) };
        }
        // Also whoever finds no reference waits for the event: the one that gave
        // the last back may be about to set it, and must find it in its place.
        // SAFETY: the event is initialised, and the token says that waiting is
        // possible.
        let _ = unsafe {
            KeWaitForSingleObject(
                self.gone.get().cast(),
                Executive,
                mode,
                0,
                core::ptr::null_mut(),
            )
        };
    }

    /// Tells those who wait that nobody holds a reference.
    fn set(&self) {
        // SAFETY: the event is initialised, and whoever waits for it keeps it in
        // its place until it is set; no wait follows in the same step.
        unsafe { KeSetEvent(self.gone.get(), 0, 0) };
    }

    /// One more reference, which [`Self::count_down`] gives back.
    pub(crate) fn count_up(&self) -> bool {
        let more = |state: u64| {
            (state & ENDING == 0)
                .then(|| state.checked_add(ONE))
                .flatten()
        };
        self.state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .is_ok()
    }

    /// Gives a reference back.
    ///
    /// # Safety
    ///
    /// [`Self::count_up`] gave the reference, and nobody has given it back.
    pub(crate) unsafe fn count_down(&self) {
        let before = self.state.fetch_sub(ONE, Ordering::AcqRel);
        if before == ONE | ENDING | READY {
            self.set();
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

/// A reference: while it exists, nobody ends what it protects. Given back when
/// dropped, as by `ExReleaseRundownProtection`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
#[derive(Debug)]
pub struct Held<'r>(&'r Rundown);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: this value is the reference.
        unsafe { self.0.count_down() };
    }
}
