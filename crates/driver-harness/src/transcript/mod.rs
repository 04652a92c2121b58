//! Checks a driver's log against what the driver promises.
//!
//! A [`Script`] says which lines come in which order, which of them may be
//! absent, repeated or one of several, and what must hold between the values on
//! them. [`Script::check`] finds the first place where a log is not that: a
//! line that differs, is missing or is too many, or two values that do not
//! agree. The answer points at it the way a compiler points at a mistake.
//!
//! ```
//! use driver_harness::transcript::{line, repeat, seq, var, Script};
//!
//! let script = Script::new(seq([
//!     line("pool {size:dec} bytes at {pool:ptr}"),
//!     line("mapped at {map:ptr}")
//!         .with(var("map").differs_from(var("pool")), "it is a second mapping"),
//!     repeat(var("size") >> 12, line("page {_:hex}")),
//! ]));
//! let log = ["pool 4096 bytes at FFFF800000001000", "mapped at FFFF900000001000", "page 0x77"];
//! assert!(script.check_texts(&log).is_ok());
//! let short = &log[..2];
//! assert!(script.check_texts(short).unwrap_err().to_string().contains("page"));
//! ```

mod condition;
mod matcher;
mod mismatch;
mod pattern;
mod script;
#[cfg(test)]
mod tests;

pub use condition::{
    Condition, EvalError, Expr, Operator, Relation, any_of, count, distinct, nth, one_of, var,
};
pub use matcher::Captures;
pub use mismatch::{Kind as MismatchKind, Mark, Mismatch};
pub use pattern::{Kind, Pattern, PatternError, Value};
pub use script::{
    Node, Script, Times, check, either, line, maybe, never, nothing, repeat, repeat_between, seq,
};
