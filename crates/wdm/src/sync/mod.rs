//! Locks that hold what they protect, and the IRQL with it.
//!
//! The work under a lock is a closure, which gets the value and a token of the
//! level that the lock is held at; what needs a lower one cannot be called in it,
//! and the lock cannot be kept by forgetting a guard.
//!
//! | type | held at | taken at |
//! |---|---|---|
//! | [`SpinLock`] | `DISPATCH_LEVEL` | `<= DISPATCH_LEVEL` |
//! | [`FastMutex`] | `APC_LEVEL` | `<= APC_LEVEL` |
//! | [`GuardedMutex`] | `APC_LEVEL`; before Windows 8 the caller's, without APCs | `<= APC_LEVEL` |
//!
//! An [`Event`] is waited for; a [`RemoveLock`] counts who uses a device that is to
//! go. What the kernel links into lists of its own lies in pool, where it stays.

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
