//! Debug output and breakpoints: the `Dbg…` functions, and the C functions that
//! format text, which are the same formatter.

pub mod debugger;
mod format;
mod format_spec;
mod output;
mod print_to_buffer;

use ntbox_host::gate::Export;

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[debugger::EXPORTS, output::EXPORTS, print_to_buffer::EXPORTS];
