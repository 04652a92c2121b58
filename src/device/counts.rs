//! The device's counters. They are not in the device, because files outlive it.

use core::sync::atomic::{AtomicU64, Ordering};

/// The counters.
pub struct Counts {
    pub opened: AtomicU64,
    pub closed: AtomicU64,
    pub requests: AtomicU64,
    pub refused: AtomicU64,
    /// Bytes stored in files.
    pub stored: AtomicU64,
}

/// The counters of the device.
pub static COUNTS: Counts = Counts {
    opened: AtomicU64::new(0),
    closed: AtomicU64::new(0),
    requests: AtomicU64::new(0),
    refused: AtomicU64::new(0),
    stored: AtomicU64::new(0),
};

/// Increments a counter and returns its new value.
pub fn increment(count: &AtomicU64) -> u64 {
    count.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
}

/// Adds to a counter.
pub fn add(count: &AtomicU64, by: usize) {
    count.fetch_add(to_u64(by), Ordering::Relaxed);
}

/// Subtracts from a counter.
pub fn subtract(count: &AtomicU64, by: usize) {
    count.fetch_sub(to_u64(by), Ordering::Relaxed);
}

/// Reads a counter.
pub fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// A number as the reply's 64 bits.
pub fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
