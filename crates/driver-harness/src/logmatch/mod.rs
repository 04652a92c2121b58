//! Matches a log against an expected log.
//!
//! An [`ExpectedLog`] describes the lines in order, with optional, repeated and
//! alternative lines, and conditions on the values in them. [`ExpectedLog::check`]
//! reports the first mismatch as a compiler reports an error: a line that differs, is
//! missing or is extra, or a condition that does not hold.
//!
//! ```
//! use driver_harness::logmatch::{ExpectedLog, line, repeat, seq, var};
//!
//! let expected = ExpectedLog::new(seq([
//!     line("pool {size:dec} bytes at {pool:ptr}"),
//!     line("mapped at {map:ptr}")
//!         .with(var("map").differs_from(var("pool")), "the address is a second mapping"),
//!     repeat(var("size") >> 12, line("page {_:hex}")),
//! ]));
//! let log = ["pool 4096 bytes at FFFF800000001000", "mapped at FFFF900000001000", "page 0x77"];
//! assert!(expected.check_texts(&log).is_ok());
//! let short = &log[..2];
//! assert!(expected.check_texts(short).unwrap_err().to_string().contains("page"));
//! ```

mod condition;
mod engine;
mod matcher;
mod mismatch;
mod pattern;
#[cfg(test)]
mod tests;

pub use condition::{
    Condition, EvalError, Expr, Operator, Relation, any_of, count, distinct, nth, one_of, var,
};
pub use engine::Captures;
pub use matcher::{
    ExpectedLog, Matcher, Repeat, check, either, line, maybe, never, nothing, repeat,
    repeat_between, seq,
};
pub use mismatch::{Label, Mismatch, MismatchKind};
pub use pattern::{FieldKind, Pattern, PatternError, Value};
