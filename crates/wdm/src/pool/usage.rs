//! Counts the driver's pool allocations, so that a running driver can report a leak.

use core::sync::atomic::{AtomicU64, Ordering};

static ALLOCATED: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);

/// How many blocks have been taken from the kernel's pool through this crate, and
/// how many are back. What the kernel's own routines take for a lookaside list is
/// not among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolUsage {
    /// Blocks taken so far.
    pub allocated: u64,
    /// Blocks that went back.
    pub freed: u64,
}

impl PoolUsage {
    /// The counts now. IRQL: any.
    ///
    /// ```
    /// # use wdm::pool::PoolUsage;
    /// let blocks = PoolUsage::current().outstanding();
    /// # assert_eq!(blocks, 0);
    /// ```
    #[must_use]
    pub fn current() -> Self {
        // In this order: a block that is taken and freed in between must not make
        // more freed than taken.
        let freed = FREED.load(Ordering::Acquire);
        let allocated = ALLOCATED.load(Ordering::Acquire);
        Self { allocated, freed }
    }

    /// Blocks that are not back. IRQL: any.
    #[must_use]
    pub const fn outstanding(self) -> u64 {
        self.allocated.saturating_sub(self.freed)
    }
}

pub(super) fn record_allocation() {
    ALLOCATED.fetch_add(1, Ordering::Release);
}

pub(super) fn record_free() {
    FREED.fetch_add(1, Ordering::Release);
}
