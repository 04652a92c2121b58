//! Locks that own the data they protect.
//!
//! The work under a lock is a closure. It receives the data and a token of the IRQL at
//! which the lock is held, so it cannot call functions that need a lower IRQL, and the
//! lock is always released.
//!
//! | type | held at | acquired at |
//! |---|---|---|
//! | [`SpinLock`] | `DISPATCH_LEVEL` | `<= DISPATCH_LEVEL` |
//! | [`FastMutex`] | `APC_LEVEL` | `<= APC_LEVEL` |
//! | [`GuardedMutex`] | `APC_LEVEL`; before Windows 8 the caller's IRQL, with APCs disabled | `<= APC_LEVEL` |
//!
//! There are also [`Event`] and [`RemoveLock`]. Objects that the kernel links into its own
//! lists are in pool, where they do not move.

mod event;
mod fast_mutex;
mod guarded_mutex;
mod remove_lock;
mod spin;

pub use self::{
    event::{Event, EventKind},
    fast_mutex::FastMutex,
    guarded_mutex::GuardedMutex,
    remove_lock::{RemoveGuard, RemoveLock},
    spin::SpinLock,
};
