//! The translator on this processor: original and translated code must do the same.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(missing_docs, reason = "tests")]
#![allow(unsafe_code, reason = "the executor runs machine code")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "addresses and registers are numbers of 64 bits here"
)]

#[path = "../executor/mod.rs"]
mod executor;

mod case;
mod changes;
mod differential;
mod plain;
mod program;
mod programs;
mod random;
mod redzones;
mod traps;
