//! `wdm`'s rundown protection under loom, which tries every order of its steps, and
//! every value that a load may give, for a few threads. Miri tries some; this is
//! where one order of many is a device that is freed under a request.
//!
//! The source is `wdm`'s own. What it calls `core` and `wdk_sys` is this crate, in
//! which atomics and events are loom's. The other locks of `wdm` are the kernel's.

// Names in the sources that are built here lead to this crate.
extern crate self as core;
extern crate self as wdk_sys;

pub mod event;
#[cfg(test)]
mod orders;
pub mod sync;

#[allow(dead_code, reason = "what the rest of wdm uses of it")]
#[path = "../../../../crates/wdm/src/rundown.rs"]
pub mod rundown;

pub use event::{_EVENT_TYPE, _KWAIT_REASON, _MODE, KEVENT, LARGE_INTEGER, ntddk};
pub use std::{cell, fmt, ptr};

/// The token for a level at which a thread may wait, which each thread here has.
pub mod irql {
    /// See `wdm`.
    #[derive(Debug)]
    pub struct Apc;
}
