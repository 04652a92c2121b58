//! What can be wrong with a build's surroundings.

use std::{io, path::PathBuf};

use thiserror::Error;

/// A file operation that failed, with the file.
#[derive(Debug, Error)]
#[error("cannot use {}: {source}", path.display())]
pub struct IoError {
    path: PathBuf,
    source: io::Error,
}

impl IoError {
    /// Says on which `path` the operation failed.
    pub fn with_path(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self {
            path: path.into(),
            source,
        }
    }
}

/// Why a build cannot be configured.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),

    /// A file operation failed whose file the caller does not name.
    #[cfg(any(feature = "api-0-3", feature = "api-0-4"))]
    #[error(transparent)]
    Unnamed(#[from] io::Error),

    /// `WDKContentRoot` is not set.
    #[error(
        "the variable WDKContentRoot is not set, so there is no kit to build with; \
         `cargo ntbox build` assembles one and sets it"
    )]
    NoContentRoot,

    /// A part of the kit is missing.
    #[error(
        "the kit lacks the folder {}; check WDKContentRoot, or run `cargo ntbox clean` and `cargo ntbox build`", .0.display()
    )]
    MissingFolder(PathBuf),

    /// Cargo did not set a variable that build scripts always have.
    #[error("the variable {0} is not set; this must run in a build script")]
    NotABuildScript(&'static str),

    /// No workspace manifest was found.
    #[error("no Cargo.lock lies above {}, and NTBOX_MANIFEST does not name a manifest", .0.display())]
    NoManifest(PathBuf),

    /// `cargo metadata` failed.
    #[error("`cargo metadata` failed for {}: {message}", manifest.display())]
    Metadata {
        /// The manifest that it was asked about.
        manifest: PathBuf,
        /// What it said.
        message: String,
    },

    /// No package says what driver it is.
    #[error(
        "no package of {} has [package.metadata.wdk.driver-model]; add `driver-type = \"WDM\"` \
         there", manifest.display()
    )]
    NoDriverModel {
        /// The workspace's manifest.
        manifest: PathBuf,
    },

    /// A package asks for a driver model that is not served here.
    #[error(
        "package `{package}` asks for the driver model `{found}`; away from Windows only \"WDM\" \
         can be built"
    )]
    UnsupportedDriverModel {
        /// The package.
        package: String,
        /// What its manifest says.
        found: String,
    },

    /// The target is not x86-64.
    #[error("cannot build for `{0}`; away from Windows only x86_64 can be built")]
    UnsupportedArchitecture(String),

    /// `crt-static` is off.
    #[error(
        "a driver needs `-C target-feature=+crt-static`; build with `cargo ntbox build`, \
         which sets it"
    )]
    CrtNotStatic,

    /// A header subset is not served here.
    #[error("headers for {0} are part of a full WDK only, and are not served away from Windows")]
    UnsupportedApiSubset(&'static str),

    /// bindgen does not know the compiler version.
    #[error("bindgen cannot write for Rust {version}: {reason}")]
    UnsupportedRustVersion {
        /// The version asked for.
        version: String,
        /// What bindgen said.
        reason: String,
    },
}
