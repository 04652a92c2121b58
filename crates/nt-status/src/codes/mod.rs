//! The lists of codes, one a severity. Each is a macro that hands its whole list
//! to another macro, so that constants, tables and tests are made from the same
//! lines and cannot drift apart.

pub(crate) mod bug_check;
pub(crate) mod error;
pub(crate) mod success;
pub(crate) mod warning;
