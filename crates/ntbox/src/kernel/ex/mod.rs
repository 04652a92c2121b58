//! The executive.

pub mod pool;
