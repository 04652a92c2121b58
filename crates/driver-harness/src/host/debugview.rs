//! DebugView's two programs, the one for the command line and the one with a
//! window: what each is told so that it writes the kernel's lines into a file, and
//! how each is asked to end. Ended by force, it may leave its driver loaded and
//! its file unwritten.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A program that writes a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    has_window: bool,
}

impl Program {
    /// Which one it is, by its name: `dbgviewcli.exe` and its kin have no window,
    /// `Dbgview.exe` and its kin have one.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Self {
            path: path.to_owned(),
            has_window: !stem.to_ascii_lowercase().contains("cli"),
        }
    }

    /// The program's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is started with, to write into `log`.
    #[must_use]
    pub fn to_write(&self, log: &Path) -> Vec<OsString> {
        let switches: &[&str] = if self.has_window {
            // In the tray, without asking for filters: elapsed time, the kernel's
            // lines of every level.
            &["/accepteula", "/t", "/f", "/on", "/k", "/v", "/l"]
        } else {
            &[
                "--accepteula",
                "--kernel",
                "--verbose-kernel",
                "--no-win32",
                "--no-banner",
                "--format",
                "text",
                "--log",
            ]
        };
        let mut arguments: Vec<OsString> = switches.iter().map(OsString::from).collect();
        arguments.push(log.into());
        arguments
    }

    /// The program to run, and its arguments, that asks the process `id` of this
    /// program to end.
    #[must_use]
    pub fn to_end(&self, id: u32) -> (PathBuf, Vec<OsString>) {
        if self.has_window {
            // Without `/F` it closes the window.
            let arguments = ["/PID".into(), id.to_string().into()];
            ("taskkill.exe".into(), arguments.into())
        } else {
            (self.path.clone(), vec!["--stop".into()])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(arguments: &[OsString]) -> String {
        let arguments: Vec<_> = arguments.iter().map(|one| one.to_string_lossy()).collect();
        arguments.join(" ")
    }

    #[test]
    fn the_command_lines_program_is_known_by_its_name() {
        for name in ["dbgviewcli.exe", "DbgViewCli64.exe", "dbgviewcli64a.exe"] {
            let program = Program::at(Path::new(name));
            let told = text(&program.to_write(Path::new("a.log")));
            assert!(told.contains("--kernel") && told.ends_with("--log a.log"));
            let (ends, arguments) = program.to_end(7);
            assert_eq!((ends, text(&arguments)), (name.into(), "--stop".into()));
        }
    }

    #[test]
    fn any_other_has_a_window() {
        for name in ["Dbgview.exe", "dbgview64.exe"] {
            let program = Program::at(Path::new(name));
            let told = text(&program.to_write(Path::new("a.log")));
            assert!(told.starts_with("/accepteula") && told.ends_with("/l a.log"));
            assert!(!told.contains("--"), "{told}");
            let (ends, arguments) = program.to_end(7);
            assert_eq!(ends, Path::new("taskkill.exe"));
            assert_eq!(text(&arguments), "/PID 7");
        }
    }
}
