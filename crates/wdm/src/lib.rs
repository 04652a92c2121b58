//! Safe Rust for WDM drivers: the one place of a driver that holds `unsafe`.
//!
//! The rules of the kernel's memory interface are kept by types instead of by
//! memory: pool frees itself with the tag that it was taken with, a mapping
//! borrows the MDL that it maps, and an MDL that was built for nonpaged pool has
//! no safe way into system space again. What can fail returns an [`Error`] that
//! names the kernel's function and its status; nothing here panics, and nothing
//! allocates unless its name says so.
//!
//! # IRQL
//!
//! Every item says at which IRQL it may be used. What must run at `PASSIVE_LEVEL`,
//! or not above `APC_LEVEL`, takes a token of [`irql`] that only exists there, so
//! that the rest of a program cannot get it wrong; what may run up to
//! `DISPATCH_LEVEL` takes none, because nothing here leads above it.
//!
//! Dropping takes no parameters, so for it there is one rule: everything may be
//! dropped up to `DISPATCH_LEVEL`. What cannot be undone there is handed to the
//! driver's scope, which undoes it when the next request arrives at
//! `PASSIVE_LEVEL`, or when the driver is unloaded; it takes no memory for that. A
//! value that borrows a token instead cannot get there.
//!
//! # What the driver forgets
//!
//! What the kernel could call the image for (a device, a notification) belongs to
//! the scope too, and the value that the driver has is a handle. If it is forgotten,
//! or kept in a static, the scope undoes it before the image goes: at the unload,
//! and when a start fails.
//!
//! # What has to run first
//!
//! [`driver!`] makes the entry point, and the entry point asks the kernel what it
//! can do (which allocator, whether memory can be kept from executing) before any
//! code of the driver runs. A crate that makes its own entry point must not use
//! this one.

#![no_std]

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
