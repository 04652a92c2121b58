//! What can be wrong with a build's surroundings. Written without a crate for errors: each
//! dependency could conflict with the versions that a workspace has locked.

use std::{error::Error, fmt, io, path::PathBuf};

/// A file operation that failed, with the file.
#[derive(Debug)]
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

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use {}: {}", self.path.display(), self.source)
    }
}

impl Error for IoError {}

/// Why a build cannot be configured.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file operation failed.
    Io(IoError),
    /// A file operation failed whose file the caller does not name.
    #[cfg(any(feature = "api-0-3", feature = "api-0-4"))]
    Unnamed(io::Error),
    /// `WDKContentRoot` is not set.
    NoContentRoot,
    /// A part of the kit is missing.
    MissingFolder(PathBuf),
    /// Cargo did not set a variable that build scripts always have.
    NotABuildScript(&'static str),
    /// No workspace manifest was found.
    NoManifest(PathBuf),
    /// `cargo metadata` failed.
    Metadata {
        /// The manifest that it was asked about.
        manifest: PathBuf,
        /// What it said.
        message: String,
    },
    /// No package says what driver it is.
    NoDriverModel {
        /// The workspace's manifest.
        manifest: PathBuf,
    },
    /// A package asks for a driver model that is not served here.
    UnsupportedDriverModel {
        /// The package.
        package: String,
        /// What its manifest says.
        found: String,
    },
    /// The target is not x86-64.
    UnsupportedArchitecture(String),
    /// `crt-static` is off.
    CrtNotStatic,
    /// A header subset is not served here.
    UnsupportedApiSubset(&'static str),
    /// bindgen does not know the compiler version.
    UnsupportedRustVersion {
        /// The version asked for.
        version: String,
        /// What bindgen said.
        reason: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            #[cfg(any(feature = "api-0-3", feature = "api-0-4"))]
            Self::Unnamed(error) => error.fmt(f),
            Self::NoContentRoot => f.write_str(
                "the variable WDKContentRoot is not set, so there is no kit to build with; \
                 `cargo ntbox build` assembles one and sets it",
            ),
            Self::MissingFolder(folder) => write!(
                f,
                "the kit lacks the folder {}; check WDKContentRoot, or run `cargo ntbox clean` \
                 and `cargo ntbox build`",
                folder.display()
            ),
            Self::NotABuildScript(name) => {
                write!(
                    f,
                    "the variable {name} is not set; this must run in a build script"
                )
            }
            Self::NoManifest(folder) => write!(
                f,
                "no Cargo.lock lies above {}, and NTBOX_MANIFEST does not name a manifest",
                folder.display()
            ),
            Self::Metadata { manifest, message } => write!(
                f,
                "`cargo metadata` failed for {}: {message}",
                manifest.display()
            ),
            Self::NoDriverModel { manifest } => write!(
                f,
                "no package of {} has [package.metadata.wdk.driver-model]; add \
                 `driver-type = \"WDM\"` there",
                manifest.display()
            ),
            Self::UnsupportedDriverModel { package, found } => write!(
                f,
                "package `{package}` asks for the driver model `{found}`; away from Windows \
                 only \"WDM\" can be built"
            ),
            Self::UnsupportedArchitecture(name) => write!(
                f,
                "cannot build for `{name}`; away from Windows only x86_64 can be built"
            ),
            Self::CrtNotStatic => f.write_str(
                "a driver needs `-C target-feature=+crt-static`; build with `cargo ntbox build`, \
                 which sets it",
            ),
            Self::UnsupportedApiSubset(name) => write!(
                f,
                "headers for {name} are part of a full WDK only, and are not served away from \
                 Windows"
            ),
            Self::UnsupportedRustVersion { version, reason } => {
                write!(f, "bindgen cannot write for Rust {version}: {reason}")
            }
        }
    }
}

impl Error for ConfigError {}

impl From<IoError> for ConfigError {
    fn from(error: IoError) -> Self {
        Self::Io(error)
    }
}

#[cfg(any(feature = "api-0-3", feature = "api-0-4"))]
impl From<io::Error> for ConfigError {
    fn from(error: io::Error) -> Self {
        Self::Unnamed(error)
    }
}
