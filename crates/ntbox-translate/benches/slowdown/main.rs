//! How much slower translated code is than the same code as it was.
//!
//! Rounds take all modes in turn, so that what else the machine does hits all alike;
//! each mode's ratio is of medians over the rounds, and of minima. This is why it is no
//! benchmark of a framework: those measure one thing after the other.
//! Words after `--` choose functions.

#![cfg_attr(not(all(target_os = "linux", target_arch = "x86_64")), allow(unused))]
#![allow(missing_docs, clippy::pedantic, reason = "a program that measures")]
#![allow(unsafe_code, reason = "the executor runs machine code")]

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "../../tests/executor/mod.rs"]
#[allow(dead_code, reason = "tests use more of it")]
mod executor;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod functions;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod measure;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod near;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod requests;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use measure::import;

fn main() {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    measure::run();
}
