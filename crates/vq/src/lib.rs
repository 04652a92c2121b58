//! The address space of a process as a list of blocks: what `VirtualQueryEx` tells
//! a program, what the kernel tells a driver, or what somebody wrote down before.
//!
//! A block is a run of pages that have everything in common. Whatever gives blocks
//! is a [`Source`]; a [`Walk`] asks it for one after the other, so that a million
//! blocks need no more memory than one. All views of them (the listing, sums,
//! pictures, differences) work on any system; only asking a living process needs
//! Windows.

pub mod block;
pub mod diff;
pub mod error;
pub mod export;
pub mod groups;
pub mod kernel;
pub mod listing;
pub mod map;
pub mod parse;
pub mod pe;
pub mod protection;
pub mod source;
pub mod summary;
pub mod walk;
#[cfg(windows)]
pub mod windows;
pub mod working_set;

pub use self::{
    block::{Block, Kind, State},
    error::Error,
    protection::Protection,
    source::Source,
    walk::Walk,
};
