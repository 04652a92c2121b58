//! What the device counts. Outside of the device, because files outlive it.

use core::sync::atomic::{AtomicU64, Ordering};

/// The counts.
pub struct Counts {
    pub opened: AtomicU64,
    pub closed: AtomicU64,
    pub requests: AtomicU64,
    pub refused: AtomicU64,
    /// Bytes that files keep.
    pub stored: AtomicU64,
}

/// Those of the one device that there is.
pub static COUNTS: Counts = Counts {
    opened: AtomicU64::new(0),
    closed: AtomicU64::new(0),
    requests: AtomicU64::new(0),
    refused: AtomicU64::new(0),
    stored: AtomicU64::new(0),
};

/// Counts one more; the number of the one that is counted, from 1.
pub fn add(count: &AtomicU64) -> u64 {
    count.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
}

/// So many more.
pub fn raise(count: &AtomicU64, by: usize) {
    count.fetch_add(to_u64(by), Ordering::Relaxed);
}

/// So many less.
pub fn lower(count: &AtomicU64, by: usize) {
    count.fetch_sub(to_u64(by), Ordering::Relaxed);
}

/// What a count is now.
pub fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// A number of this machine in the protocol's 64 bits.
pub fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
