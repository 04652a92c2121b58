//! Windows programs, built on hosts that are not Windows, and Wine to run them.
//!
//! The target is Windows 7: what the standard library takes from later systems,
//! Debian's Wine does not have. Nobody ships the library for it, so Cargo builds
//! it, as it may do for the driver.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, Places, Rust, Say, packages, rust_src, sysroot};

/// The target that programs are built for.
pub const TARGET: &str = "x86_64-win7-windows-gnu";

/// All that Cargo needs for building programs.
#[derive(Debug)]
pub struct Programs {
    rustc: PathBuf,
    cargo_target: PathBuf,
}

impl Programs {
    /// Finds or makes everything that building programs needs.
    ///
    /// # Errors
    ///
    /// Whatever is missing and cannot be had, with what to do about it.
    pub fn prepare(places: &Places, rust: &Rust, say: Say) -> Result<Self, Error> {
        crate::make_folder(&places.work)?;
        packages::ensure(packages::FOR_PROGRAMS, &places.work, say)?;
        let source = rust_src::source(places, rust, say)?;
        Ok(Self {
            rustc: sysroot::with_source(places, rust, &source)?,
            cargo_target: places.work.join("programs"),
        })
    }

    /// Adds to `cargo`, a command that already has its subcommand, what makes it
    /// build for Windows.
    pub fn configure(&self, cargo: &mut Command) {
        cargo
            .args(["--target", TARGET, "-Zbuild-std=std,panic_abort"])
            .env("CARGO_TARGET_DIR", &self.cargo_target)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTC", &self.rustc)
            // What has parts in C does not know this target's compiler.
            .env("CC_x86_64_win7_windows_gnu", "x86_64-w64-mingw32-gcc")
            .env("AR_x86_64_win7_windows_gnu", "x86_64-w64-mingw32-ar")
            // Set by whoever ran us, for another target.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
    }

    /// The folder of the programs that were built in the development profile.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.cargo_target.join(TARGET).join("debug")
    }
}

/// Sees to it that Wine is there.
///
/// # Errors
///
/// It is not, and cannot be had; with what to do about it.
pub fn ensure_wine(scratch: &Path, say: Say) -> Result<(), Error> {
    crate::make_folder(scratch)?;
    packages::ensure(packages::FOR_WINE, scratch, say)
}
