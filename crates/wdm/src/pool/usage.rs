//! How much pool the driver holds: what was taken less what was freed. A driver
//! that reports it shows a leak while it runs, not only when it is unloaded.

use core::sync::atomic::{AtomicU64, Ordering};

static TAKEN: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);

/// How many blocks have been taken from the kernel's pool through this crate, and
/// how many are back. What the kernel's own routines take for a lookaside list is
/// not among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// Blocks taken so far.
    pub taken: u64,
    /// Blocks that went back.
    pub freed: u64,
}

impl Usage {
    /// The counts at this moment. IRQL: any.
    ///
    /// ```
    /// # use wdm::pool::Usage;
    /// let held = Usage::current().held();
    /// # assert_eq!(held, 0);
    /// ```
    #[must_use]
    pub fn current() -> Self {
        // In this order: a block that is taken and freed in between must not make
        // more freed than taken.
        let freed = FREED.load(Ordering::Acquire);
        let taken = TAKEN.load(Ordering::Acquire);
        Self { taken, freed }
    }

    /// Blocks that are not back. IRQL: any.
    #[must_use]
    pub const fn held(self) -> u64 {
        self.taken.saturating_sub(self.freed)
    }
}

pub(super) fn taken() {
    TAKEN.fetch_add(1, Ordering::Release);
}

pub(super) fn freed() {
    FREED.fetch_add(1, Ordering::Release);
}
