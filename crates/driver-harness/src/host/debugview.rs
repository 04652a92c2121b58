//! The command lines that start and end DebugView's two programs, the console one and
//! the windowed one. A program that is terminated by force can leave its driver loaded
//! and its file incomplete.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// One of DebugView's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugView {
    path: PathBuf,
    has_window: bool,
}

impl DebugView {
    /// The program at `path`. A name with `cli`, as in `dbgviewcli64.exe`, is the console
    /// program's.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Self {
            path: path.to_owned(),
            has_window: !stem.to_ascii_lowercase().contains("cli"),
        }
    }

    /// The path of the program.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The arguments that make it write the kernel's lines to `log`.
    #[must_use]
    pub fn start_arguments(&self, log: &Path) -> Vec<OsString> {
        let switches: &[&str] = if self.has_window {
            // In the tray, without the filter dialog, with elapsed time and the kernel's
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

    /// The program and arguments that end the process `id` of this program.
    #[must_use]
    pub fn stop_command(&self, id: u32) -> (PathBuf, Vec<OsString>) {
        if self.has_window {
            // Without `/F`, `taskkill` closes the window.
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
        let arguments: Vec<_> = arguments
            .iter()
            .map(|argument| argument.to_string_lossy())
            .collect();
        arguments.join(" ")
    }

    #[test]
    fn debugview_with_cli_in_its_name_is_the_console_program() {
        for name in ["dbgviewcli.exe", "DbgViewCli64.exe", "dbgviewcli64a.exe"] {
            let program = DebugView::new(Path::new(name));
            let arguments = text(&program.start_arguments(Path::new("a.log")));
            assert!(arguments.contains("--kernel") && arguments.ends_with("--log a.log"));
            let (stop, stop_arguments) = program.stop_command(7);
            assert_eq!(stop, Path::new(name));
            assert_eq!(text(&stop_arguments), "--stop");
        }
    }

    #[test]
    fn debugview_with_another_name_is_the_windowed_program() {
        for name in ["Dbgview.exe", "dbgview64.exe"] {
            let program = DebugView::new(Path::new(name));
            let arguments = text(&program.start_arguments(Path::new("a.log")));
            assert!(arguments.starts_with("/accepteula") && arguments.ends_with("/l a.log"));
            assert!(!arguments.contains("--"), "{arguments}");
            let (stop, stop_arguments) = program.stop_command(7);
            assert_eq!(stop, Path::new("taskkill.exe"));
            assert_eq!(text(&stop_arguments), "/PID 7");
        }
    }
}
