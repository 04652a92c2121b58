//! What can keep a host from building drivers, and what to do about it.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why preparing the build failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },

    /// A program could not be run at all.
    #[error("cannot run `{command}`: {source}")]
    Spawn {
        /// The command line.
        command: String,
        /// Why not.
        source: io::Error,
    },

    /// A program ran and failed.
    #[error("`{command}` failed ({outcome}){}", quoted(output))]
    Failed {
        /// The command line.
        command: String,
        /// Its exit status, or that it took too long.
        outcome: String,
        /// The end of what it printed.
        output: String,
    },

    /// System packages are missing and cannot be installed from here.
    #[error(
        "this build needs {needs}, which this system lacks; to install them, run\n    {command}"
    )]
    PackagesMissing {
        /// What they are for.
        needs: String,
        /// The command that installs them.
        command: String,
    },

    /// System packages are missing, and there is no apt to install them with.
    #[error(
        "this build needs {needs}, which this system lacks; install what your distribution calls \
         Debian's packages {packages}"
    )]
    NoPackageManager {
        /// What they are for.
        needs: String,
        /// What Debian calls them.
        packages: String,
    },

    /// A package was installed and still does not hold what it should.
    #[error(
        "{0} cannot be found where packages put it; set LIBCLANG_PATH, or report this with the \
         name of your system"
    )]
    NotFoundAfterInstall(&'static str),

    /// No standard library for the target.
    #[error(
        "no standard library for {target}, and no source of rustc {release}'s own to build it \
         from. Tried:\n{}With a network, `rustup target add {target}` is enough; without one, set \
         {variable} to a rust-library-{release}.tar.xz, the folder `library` of that release's \
         source",
        bulleted(tried)
    )]
    NoStandardLibrary {
        /// The target.
        target: &'static str,
        /// The compiler's release.
        release: String,
        /// The variable that can name an archive.
        variable: &'static str,
        /// Each step and why it gave nothing.
        tried: Vec<String>,
    },

    /// rustc's answer makes no sense.
    #[error("`rustc -vV` does not say its {0}")]
    Rustc(&'static str),

    /// No linker.
    #[error(
        "no linker for Windows: neither rust-lld in {} nor lld-link in PATH; install LLVM's lld \
         (Debian: apt-get install lld)", .0.display()
    )]
    NoLinker(PathBuf),

    /// A module definition file of ours is wrong.
    #[error("{} is no module definition: {message}", path.display())]
    ModuleDefinition {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
}

impl Error {
    /// A file operation that failed.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source,
        }
    }
}

/// Output below the line that introduces it, if there is any.
fn quoted(output: &str) -> String {
    if output.is_empty() {
        String::new()
    } else {
        format!(":\n{output}")
    }
}

/// Lines, each with a dash before it.
fn bulleted(lines: &[String]) -> String {
    lines
        .iter()
        .fold(String::new(), |text, line| text + "  - " + line + "\n")
}
