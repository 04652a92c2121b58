//! Debug output and breakpoints: the `Dbg…` functions, and the C functions that
//! format text, which are the same formatter.

pub mod debugger;
mod format;
mod output;
mod print_to_buffer;
mod spec;

use super::call::Export;

/// The exports of this family.
pub const TABLES: &[&[Export]] = &[debugger::EXPORTS, output::EXPORTS, print_to_buffer::EXPORTS];
