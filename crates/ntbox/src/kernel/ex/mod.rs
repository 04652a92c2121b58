//! The executive.

pub mod active;
mod blocking;
pub mod fast_mutex;
pub mod interlocked;
mod list;
pub mod lookaside;
pub mod pool;
pub mod push_lock;
pub mod resource;
pub mod rundown;
pub mod slist;
pub mod spinlock;
