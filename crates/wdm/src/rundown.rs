//! Rundown protection: whoever uses a thing holds a reference for that long, and
//! whoever takes it away waits until the last one is gone. From then on nobody
//! gets another.

use core::{cell::UnsafeCell, fmt};

use wdk_sys::{
    EX_RUNDOWN_REF,
    ntddk::{
        ExAcquireRundownProtection, ExInitializeRundownProtection, ExReleaseRundownProtection,
        ExWaitForRundownProtectionRelease,
    },
};

use crate::irql::Apc;

/// Counts who uses a thing: `EX_RUNDOWN_REF`.
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
pub struct Rundown(UnsafeCell<EX_RUNDOWN_REF>);

// SAFETY: the kernel's functions change the count with interlocked instructions,
// and nothing else touches it.
unsafe impl Sync for Rundown {}
// SAFETY: as above; the structure belongs to no thread, and is moved only while
// nobody holds a reference.
unsafe impl Send for Rundown {}

impl Rundown {
    /// A count of nobody: `ExInitializeRundownProtection`. IRQL: any.
    #[must_use]
    pub fn new() -> Self {
        let mut count = EX_RUNDOWN_REF::default();
        // SAFETY: the structure is ours; it holds a number, and may be moved.
        unsafe { ExInitializeRundownProtection(&raw mut count) };
        Self(UnsafeCell::new(count))
    }

    /// Holds off the end: `ExAcquireRundownProtection`. `None` once somebody waits
    /// for it. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn acquire(&self) -> Option<Held<'_>> {
        self.count_up().then_some(Held(self))
    }

    /// Waits until nobody holds a reference, after which nobody gets one:
    /// `ExWaitForRundownProtectionRelease`. Whoever waits and holds one waits for
    /// ever. IRQL: `<= APC_LEVEL`.
    pub fn wait(&self, _: &Apc) {
        // SAFETY: the structure is initialised, and the token says that waiting is
        // possible.
        unsafe { ExWaitForRundownProtectionRelease(self.0.get()) };
    }

    /// One more reference, which [`Self::count_down`] gives back.
    pub(crate) fn count_up(&self) -> bool {
        // SAFETY: the structure is initialised.
        unsafe { ExAcquireRundownProtection(self.0.get()) != 0 }
    }

    /// Gives a reference back.
    ///
    /// # Safety
    ///
    /// [`Self::count_up`] gave the reference, and nobody has given it back.
    pub(crate) unsafe fn count_down(&self) {
        // SAFETY: the caller holds a reference.
        unsafe { ExReleaseRundownProtection(self.0.get()) };
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
/// dropped: `ExReleaseRundownProtection`.
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
