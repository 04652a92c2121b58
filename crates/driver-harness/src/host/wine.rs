//! Wine as a host: its Service Control Manager and its I/O manager, which this
//! project did not write. `ntmemctl.exe`, built for Windows, serves the host
//! [`scm`](super) in there; what drivers print comes out of Wine's debug channel.
//!
//! Wine is no NT kernel: it does not map MDLs, and has no pool of its own. What
//! it does have (loading, services, devices, requests) is had from others.

use std::fs::{self, File};
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Asked, Host, HostError, Inquiry, Service};
use crate::logs;
use crate::record::{Findings, Line, Start};
use crate::remote::Remote;

const NAME: &str = "wine";

/// What this host needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `ntmemctl.exe`.
    pub program: PathBuf,
    /// The folder of Wine's prefix, for this host alone; made if it is missing.
    pub prefix: PathBuf,
}

/// The host. Its Wine runs from the first install until it is dropped.
pub struct Wine {
    options: Options,
    session: Option<Session>,
}

struct Session {
    /// `None` while it is being ended.
    remote: Option<Remote<BufReader<ChildStdout>, ChildStdin>>,
    program: Child,
    /// What Wine's processes write to their standard error.
    log: PathBuf,
    /// Where the log of the service begins.
    start: u64,
}

/// How long Wine may take to write what was logged before.
const QUIET: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(5);

impl Wine {
    /// A host with these options.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            session: None,
        }
    }

    /// A command in the prefix, with Wine's channels set to what drivers print.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("WINEPREFIX", &self.options.prefix)
            .env("WINEDEBUG", "-all,warn+debugstr,fixme+ntoskrnl")
            // A new prefix would ask whether it should download these.
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY");
        command
    }

    fn session(&mut self) -> Result<&mut Session, HostError> {
        if self.session.is_none() {
            let session = self
                .begin()
                .map_err(|error| failed("begin to run", &format!("{error}; is Wine installed?")))?;
            self.session = Some(session);
        }
        self.running("run")
    }

    fn running(&mut self, action: &'static str) -> Result<&mut Session, HostError> {
        self.session.as_mut().ok_or(HostError::State {
            host: NAME,
            action,
            why: "no service is installed",
        })
    }

    fn begin(&self) -> std::io::Result<Session> {
        fs::create_dir_all(&self.options.prefix)?;
        let log = self.options.prefix.join("debug-output.log");
        // The service manager is started by the first program of a session, and
        // writes where that one writes.
        let mut program = self
            .command("wine")
            .arg(&self.options.program)
            .args(["serve", "--host", "scm"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()?;
        let (Some(answers), Some(requests)) = (program.stdout.take(), program.stdin.take()) else {
            return Err(std::io::Error::other("its streams are missing"));
        };
        Ok(Session {
            remote: Some(Remote::new(NAME, BufReader::new(answers), requests)),
            program,
            log,
            start: 0,
        })
    }
}

/// A path of this system as programs in Wine name it.
fn windows_path(path: &Path) -> std::io::Result<PathBuf> {
    let whole = std::path::absolute(path)?;
    let text = whole.to_string_lossy().replace('/', "\\");
    Ok(PathBuf::from(format!("Z:{text}")))
}

fn failed(action: &'static str, why: &str) -> HostError {
    HostError::Failed {
        host: NAME,
        action,
        why: why.to_owned(),
    }
}

impl Session {
    fn remote(&mut self) -> Result<&mut dyn Host, HostError> {
        match &mut self.remote {
            Some(remote) => Ok(remote),
            None => Err(failed("reach", "the session has ended")),
        }
    }

    /// The size of the log when nothing has been added for a moment.
    fn quiet_size(&self) -> std::io::Result<u64> {
        let since = Instant::now();
        let mut size = fs::metadata(&self.log)?.len();
        loop {
            std::thread::sleep(QUIET);
            let now = fs::metadata(&self.log)?.len();
            if now == size || since.elapsed() > PATIENCE {
                return Ok(now);
            }
            size = now;
        }
    }

    fn lines(&self) -> std::io::Result<Vec<Line>> {
        self.quiet_size()?;
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut lines = logs::lines(&logs::decode(&bytes));
        // Lines without a component were written by Wine, not printed.
        lines.retain(|line| line.component.is_some());
        Ok(lines)
    }
}

impl Host for Wine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn install(&mut self, service: &Service) -> Result<(), HostError> {
        service.check_name()?;
        let unreadable = |error: std::io::Error| {
            HostError::Image(format!("{}: {error}", service.image.display()))
        };
        fs::metadata(&service.image).map_err(unreadable)?;
        let there = Service {
            image: windows_path(&service.image).map_err(unreadable)?,
            ..service.clone()
        };
        let session = self.session()?;
        session.remote()?.install(&there)?;
        session.start = session
            .quiet_size()
            .map_err(|error| failed("read the log of", &error.to_string()))?;
        Ok(())
    }

    fn start(&mut self) -> Result<Start, HostError> {
        self.running("start")?.remote()?.start()
    }

    fn stop(&mut self) -> Result<Findings, HostError> {
        self.running("stop")?.remote()?.stop()
    }

    fn remove(&mut self) -> Result<(), HostError> {
        self.running("remove")?.remote()?.remove()
    }

    fn ask(&mut self, path: &str, inquiry: &Inquiry) -> Result<Asked, HostError> {
        self.running("ask")?.remote()?.ask(path, inquiry)
    }

    fn ask_both(
        &mut self,
        path: &str,
        first: &Inquiry,
        second: &Inquiry,
    ) -> Result<(Asked, Asked), HostError> {
        self.running("ask")?.remote()?.ask_both(path, first, second)
    }

    fn output(&mut self) -> Result<Vec<Line>, HostError> {
        self.running("read the log of")?
            .lines()
            .map_err(|error| failed("read the log of", &error.to_string()))
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        let Some(mut session) = self.session.take() else {
            return;
        };
        // The end of its input ends the program, which removes its service.
        session.remote = None;
        let _ = session.program.wait();
        let _ = self.command("wineserver").arg("-k").status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_windows_paths() {
        let path = windows_path(Path::new("/a/b c/d.sys")).expect("a path");
        assert_eq!(path, Path::new(r"Z:\a\b c\d.sys"));
    }

    #[test]
    fn a_machine_without_wine_says_so() {
        let mut host = Wine::new(Options {
            program: PathBuf::from("ntmemctl.exe"),
            prefix: PathBuf::from("/dev/null/no-folder"),
        });
        let service = Service::new(file!());
        // The image is looked at first; this file stands for one.
        let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = host
            .install(&Service { image, ..service })
            .expect_err("there is no such prefix");
        assert!(error.to_string().contains("is Wine installed?"), "{error}");
    }
}
