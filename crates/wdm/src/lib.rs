//! Safe Rust for WDM drivers: contains the `unsafe` code, so that a driver needs none.
//!
//! Types enforce the rules of the kernel's memory interface: a pool block is freed with
//! the tag of its allocation, a mapping borrows its MDL, and an MDL built for nonpaged
//! pool has no safe way to a second system mapping. A call that can fail returns an
//! [`Error`] with the kernel function and its status. Nothing panics. Only functions
//! whose name says so allocate.
//!
//! # IRQL
//!
//! Every item documents its IRQL. A function that must run at `PASSIVE_LEVEL`, or not
//! above `APC_LEVEL`, takes a token of [`irql`] that exists only there. A function that
//! may run up to `DISPATCH_LEVEL` takes none, because this crate does not raise above
//! that level.
//!
//! Everything may be dropped up to `DISPATCH_LEVEL`. A resource that cannot be released
//! at the current IRQL is queued in the driver's scope, without allocating, and released
//! when the next request arrives at `PASSIVE_LEVEL`, or at the unload. Values that borrow
//! a token are dropped at its level.
//!
//! # Leaked values
//!
//! The scope owns each registration with the kernel (a device, a notify routine); the
//! driver has a handle. The scope removes the registrations that the driver has leaked or
//! stored in a static: at the unload, and after a failed start.
//!
//! # Initialization
//!
//! The entry point that [`driver!`] defines queries the kernel's features (the allocator,
//! no-execute memory) before it calls the driver. A crate with an entry point of another
//! kind cannot use this one.

#![no_std]
#![allow(unsafe_code, reason = "the crate wraps the interface of the kernel")]

mod arch;
pub mod bytes;
pub mod debug;
pub mod device;
pub mod driver;
mod error;
pub mod irp;
pub mod irql;
pub mod list;
pub mod lookaside;
pub mod map;
pub mod mdl;
pub mod memory;
pub mod pool;
pub mod probe;
pub mod process;
pub mod registry;
pub mod rundown;
mod scope;
pub mod section;
mod seh;
mod status;
pub mod string;
pub mod sync;
pub mod system;
pub mod time;
pub mod user;
pub mod user_map;

pub use error::{Error, Rejected, Result};
pub use status::Status;
