//! NTSTATUS and bug check codes by name, with what they mean to a driver author.
//!
//! Drivers speak in 32-bit numbers; people do not. Everything in this project
//! that shows a status shows it through here, so that it reads the same in a
//! log, in an error message and in a report.
//!
//! ```
//! use nt_status::{Named, STATUS_INSUFFICIENT_RESOURCES};
//!
//! let shown = Named(STATUS_INSUFFICIENT_RESOURCES).to_string();
//! assert_eq!(shown, "STATUS_INSUFFICIENT_RESOURCES (0xC000009A)");
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod codes;
mod explain;

use core::fmt;

pub use explain::explain;

macro_rules! constants {
    ($($name:ident = $value:literal;)*) => {$(
        #[doc = concat!("`", stringify!($value), "`")]
        pub const $name: u32 = $value;
    )*};
}
codes::success::success_codes!(constants);
codes::warning::warning_codes!(constants);
codes::error::error_codes!(constants);

macro_rules! table {
    ($($name:ident = $value:literal;)*) => { &[$(($value, stringify!($name)),)*] };
}

/// A list of codes with their names, in ascending order.
type Table = &'static [(u32, &'static str)];

const SUCCESS: Table = codes::success::success_codes!(table);
const WARNING: Table = codes::warning::warning_codes!(table);
const ERROR: Table = codes::error::error_codes!(table);
const BUG_CHECK: Table = codes::bug_check::bug_checks!(table);

/// Binary search; `None` if the code is not in the table.
fn find(table: Table, code: u32) -> Option<&'static str> {
    let at = table
        .binary_search_by_key(&code, |(value, _)| *value)
        .ok()?;
    table.get(at).map(|(_, name)| *name)
}

/// The name of a status, such as `STATUS_ACCESS_DENIED`, if it is one that
/// drivers meet.
#[must_use]
pub fn name(status: u32) -> Option<&'static str> {
    match status >> 30 {
        0 | 1 => find(SUCCESS, status),
        2 => find(WARNING, status),
        _ => find(ERROR, status),
    }
}

/// The status of a name, such as `STATUS_ACCESS_DENIED`.
#[must_use]
pub fn code(name: &str) -> Option<u32> {
    [SUCCESS, WARNING, ERROR]
        .into_iter()
        .find_map(|table| code_in(table, name))
}

/// The bug check of a name, such as `PAGE_FAULT_IN_NONPAGED_AREA`.
#[must_use]
pub fn bug_check_code(name: &str) -> Option<u32> {
    code_in(BUG_CHECK, name)
}

fn code_in(table: Table, name: &str) -> Option<u32> {
    let found = table.iter().find(|(_, other)| *other == name);
    found.map(|(code, _)| *code)
}

/// The name of a bug check, such as `PAGE_FAULT_IN_NONPAGED_AREA` for 0x50.
#[must_use]
pub fn bug_check_name(code: u32) -> Option<&'static str> {
    find(BUG_CHECK, code)
}

/// Whether a status is one of success or information, as `NT_SUCCESS` tells.
#[must_use]
pub const fn is_success(status: u32) -> bool {
    status >> 31 == 0
}

/// A status to be shown to a person: its name and its number, or the number
/// alone when it has no name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named(pub u32);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match name(self.0) {
            Some(name) => write!(f, "{name} (0x{:08X})", self.0),
            None => write!(f, "0x{:08X}", self.0),
        }
    }
}

/// A bug check to be shown to a person, as a blue screen writes it:
/// `PAGE_FAULT_IN_NONPAGED_AREA (0x50)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NamedBugCheck(pub u32);

impl fmt::Display for NamedBugCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match bug_check_name(self.0) {
            Some(name) => write!(f, "{name} (0x{:X})", self.0),
            None => write!(f, "0x{:X}", self.0),
        }
    }
}

#[cfg(test)]
mod tests;
