//! The executive.

pub mod interlocked;
mod list;
pub mod pool;
pub mod slist;
pub mod spinlock;
