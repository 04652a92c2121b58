//! The translator on this processor: original and translated code must do the same.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(missing_docs, reason = "tests")]

#[path = "../executor/mod.rs"]
mod executor;

mod differential;
mod plain;
mod random;
