//! The I/O manager.

pub mod mdl;
