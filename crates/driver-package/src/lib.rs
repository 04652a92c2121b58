//! What a driver package for Windows consists of besides the driver.
//!
//! Windows takes a driver into its store as a package: an INF that says what to
//! install, and a catalogue of hashes that a certificate vouches for. The WDK's
//! tools make and check both, and run on Windows only. This crate does what a
//! package needs elsewhere: [`inf`] stamps an INF and checks it against the
//! documented rules, [`catalog`] writes the catalogue, [`authenticode`] computes
//! the hash of an image that signatures and catalogues are about. Signing is left
//! to programs that others wrote and others check.

pub mod authenticode;
pub mod catalog;
pub mod date;
mod der;
pub mod files;
pub mod inf;
#[cfg(not(windows))]
pub mod sign;
