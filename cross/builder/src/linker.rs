//! The linker that Cargo is given: LLVM's, with a driver's arguments put right.
//!
//! rustc makes a driver like any DLL, and so asks for everything marked
//! `no_mangle` to be exported: the entry point, and runtime stubs of `wdk-sys`.
//! A driver exports nothing. It also needs a PE checksum, which Windows checks,
//! an INIT section that can be discarded, and no path of the building machine.
//! There is no switch of rustc's for the first, so the program that builds
//! stands in for the linker, corrects the arguments and runs the real one.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::{Error, Rust, Say, exec, packages};

/// The name by which the program knows that it is called as linker. rustc
/// derives from it which language of arguments to speak.
pub const NAME: &str = "lld-link";
/// The variable that tells the stand-in where the real linker is.
pub(crate) const LLD_VARIABLE: &str = "NTBOX_LLD";

/// What every driver's linker is told besides.
pub(crate) const ADDED: &[&str] = &[
    // The checksum in the PE header.
    "/RELEASE",
    // A hash of the image in place of the time of day.
    "/Brepro",
    // The PDB by its name alone.
    "/PDBALTPATH:%_PDB%",
    // Code that runs once: the kernel drops it when DriverEntry is done.
    "/SECTION:INIT,ERD",
];

/// LLVM's linker.
#[derive(Debug, Clone)]
pub(crate) struct Lld(PathBuf);

impl Lld {
    /// Finds it in the toolchain, in PATH, or as a package.
    pub(crate) fn find(rust: &Rust, scratch: &Path, say: Say) -> Result<Self, Error> {
        let own = rust.rustlib(&rust.host).join("bin/rust-lld");
        if own.is_file() {
            return Ok(Self(own));
        }
        packages::ensure(packages::FOR_LINKING, scratch, say)?;
        system_lld()
            .map(Self)
            .ok_or(Error::NoLinker(rust.sysroot.clone()))
    }

    /// As the stand-in finds it.
    pub(crate) fn as_variable(&self) -> &OsStr {
        self.0.as_os_str()
    }

    /// A command that links for Windows.
    pub(crate) fn command(program: &Path) -> Command {
        let mut command = Command::new(program);
        if program.file_name().is_some_and(|name| name == "rust-lld") {
            command.args(["-flavor", "link"]);
        }
        command
    }

    /// [`Lld::command`] for this one.
    pub(crate) fn link(&self) -> Command {
        Self::command(&self.0)
    }
}

/// The system's own LLVM linker.
pub(crate) fn system_lld() -> Option<PathBuf> {
    exec::find_versioned(NAME)
}

/// Runs the linker and returns how it ended, if this program was called as one;
/// otherwise `None`.
#[must_use]
pub fn run_if_invoked() -> Option<ExitCode> {
    let mut arguments = env::args_os();
    let program = PathBuf::from(arguments.next()?);
    if program.file_name()? != NAME {
        return None;
    }
    let message = match (env::var_os(LLD_VARIABLE), rewrite(arguments)) {
        (None, _) => {
            format!("{LLD_VARIABLE} is not set; only a build of a driver calls this program")
        }
        (Some(_), Err(message)) => message,
        (Some(lld), Ok(arguments)) => {
            // Only returns if it could not be run.
            let error = Lld::command(Path::new(&lld)).args(arguments).exec();
            format!("cannot run {}: {error}", lld.display())
        }
    };
    eprintln!("{NAME}: {message}");
    Some(ExitCode::FAILURE)
}

/// A driver's arguments in place of a DLL's.
fn rewrite(arguments: impl Iterator<Item = OsString>) -> Result<Vec<OsString>, String> {
    let mut rewritten = Vec::new();
    let mut arguments = arguments.peekable();
    // rustc takes us for LLVM's linker under its general name; see `Lld::command`.
    if arguments
        .next_if(|argument| argument == "-flavor")
        .is_some()
    {
        arguments.next();
    }
    for argument in arguments {
        let text = argument.as_bytes();
        if text.starts_with(b"@") {
            return Err(format!(
                "the command line is in a file, {}; that is not provided for",
                argument.display()
            ));
        }
        let is_definition = text.len() >= 5 && text[..5].eq_ignore_ascii_case(b"/DEF:");
        let is_import_library = text.len() >= 8 && text[..8].eq_ignore_ascii_case(b"/IMPLIB:");
        if !is_definition && !is_import_library {
            rewritten.push(argument);
        }
    }
    rewritten.extend(ADDED.iter().map(OsString::from));
    Ok(rewritten)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(arguments: &[&str]) -> Result<Vec<OsString>, String> {
        rewrite(arguments.iter().map(OsString::from))
    }

    #[test]
    fn rewritten_removes_exports_only() {
        let arguments = rewritten(&["/DLL", "/DEF:/tmp/x/lib.def", "/def:y", "a.o", "/IMPLIB:b"])
            .expect("plain arguments");
        assert_eq!(arguments[..2], ["/DLL", "a.o"]);
        assert_eq!(arguments[2..], *ADDED);
    }

    #[test]
    fn rewritten_removes_leading_flavor() {
        let arguments = rewritten(&["-flavor", "link", "a.o", "-flavor"]).expect("plain arguments");
        assert_eq!(arguments[..2], ["a.o", "-flavor"]);
    }

    #[test]
    fn rewritten_keeps_similar_arguments() {
        let arguments = rewritten(&["/DEFAULTLIB:x", "/DE", "é"]).expect("plain arguments");
        assert_eq!(arguments[..3], ["/DEFAULTLIB:x", "/DE", "é"]);
    }

    #[test]
    fn rewritten_refuses_response_file() {
        assert!(rewritten(&["@/tmp/linker-arguments"]).is_err());
    }
}
