//! The host `wine`: the Service Control Manager and I/O manager of Wine, a second
//! implementation of loading, services, devices and requests. `driverctl.exe`, built for
//! Windows, serves the host `scm` inside Wine; the driver's log is Wine's debug channel.
//!
//! Wine has no pool and does not map MDLs.

use std::fs::{self, File};
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Host, HostError, IoctlRequest, IoctlResponse, Service};
use crate::json_lines::RemoteHost;
use crate::logs;
use crate::record::{Findings, LogLine, StartResult};

const NAME: &str = "wine";

/// The options of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The path of `driverctl.exe`.
    pub program: PathBuf,
    /// The folder of the Wine prefix, which no other program uses; created if missing.
    pub prefix: PathBuf,
}

/// The host. Its Wine session lasts from the first install until the drop.
pub struct Wine {
    options: Options,
    session: Option<Session>,
}

struct Session {
    /// `None` while the session ends.
    remote: Option<RemoteHost<BufReader<ChildStdout>, ChildStdin>>,
    program: Child,
    /// The standard error of Wine's processes.
    log: PathBuf,
    /// The offset of the service's first line in the log.
    log_start: u64,
}

/// The log is complete if it does not grow for this time.
const SETTLE_TIME: Duration = Duration::from_millis(50);
const TIMEOUT: Duration = Duration::from_secs(5);

impl Wine {
    /// A host with these options.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            session: None,
        }
    }

    /// A command in the prefix, with the debug channels of drivers enabled.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("WINEPREFIX", &self.options.prefix)
            .env("WINEDEBUG", "-all,warn+debugstr,fixme+ntoskrnl")
            // A new prefix would offer to download these.
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY");
        command
    }

    fn session(&mut self) -> Result<&mut Session, HostError> {
        if self.session.is_none() {
            let session = self.start_session().map_err(|error| {
                failed("run", &format!("{error}; check that Wine is installed"))
            })?;
            self.session = Some(session);
        }
        self.running("run")
    }

    fn running(&mut self, action: &'static str) -> Result<&mut Session, HostError> {
        self.session.as_mut().ok_or(HostError::State {
            host: NAME,
            action,
            reason: "no service is installed",
        })
    }

    fn start_session(&self) -> std::io::Result<Session> {
        fs::create_dir_all(&self.options.prefix)?;
        let log = self.options.prefix.join("debug-output.log");
        // The first program of a session starts the service manager, which inherits its
        // standard error.
        let mut program = self
            .command("wine")
            .arg(&self.options.program)
            .args(["stdio-server", "--host", "scm"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()?;
        let (Some(responses), Some(requests)) = (program.stdout.take(), program.stdin.take())
        else {
            return Err(std::io::Error::other("the standard streams are missing"));
        };
        Ok(Session {
            remote: Some(RemoteHost::new(NAME, BufReader::new(responses), requests)),
            program,
            log,
            log_start: 0,
        })
    }
}

/// A path of this system as a Windows path in Wine.
fn windows_path(path: &Path) -> std::io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let text = absolute.to_string_lossy().replace('/', "\\");
    Ok(PathBuf::from(format!("Z:{text}")))
}

fn failed(action: &'static str, reason: &str) -> HostError {
    HostError::Failed {
        host: NAME,
        action,
        reason: reason.to_owned(),
    }
}

impl Session {
    fn remote(&mut self) -> Result<&mut dyn Host, HostError> {
        match &mut self.remote {
            Some(remote) => Ok(remote),
            None => Err(failed("reach", "the session has ended")),
        }
    }

    /// Waits until the log does not grow, and returns its size.
    fn settled_size(&self) -> std::io::Result<u64> {
        let since = Instant::now();
        let mut size = fs::metadata(&self.log)?.len();
        loop {
            std::thread::sleep(SETTLE_TIME);
            let now = fs::metadata(&self.log)?.len();
            if now == size || since.elapsed() > TIMEOUT {
                return Ok(now);
            }
            size = now;
        }
    }

    fn lines(&self) -> std::io::Result<Vec<LogLine>> {
        self.settled_size()?;
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.log_start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut lines = logs::parse(&logs::decode(&bytes));
        // Wine wrote the lines without a component, not the driver.
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
        let in_wine = Service {
            image: windows_path(&service.image).map_err(unreadable)?,
            ..service.clone()
        };
        let session = self.session()?;
        session.remote()?.install(&in_wine)?;
        session.log_start = session
            .settled_size()
            .map_err(|error| failed("read the log of", &error.to_string()))?;
        Ok(())
    }

    fn start(&mut self) -> Result<StartResult, HostError> {
        self.running("start")?.remote()?.start()
    }

    fn stop(&mut self) -> Result<Findings, HostError> {
        self.running("stop")?.remote()?.stop()
    }

    fn remove(&mut self) -> Result<(), HostError> {
        self.running("remove")?.remote()?.remove()
    }

    fn send_ioctl(
        &mut self,
        path: &str,
        request: &IoctlRequest,
    ) -> Result<IoctlResponse, HostError> {
        self.running("send a request to")?
            .remote()?
            .send_ioctl(path, request)
    }

    fn send_ioctl_pair(
        &mut self,
        path: &str,
        first: &IoctlRequest,
        second: &IoctlRequest,
    ) -> Result<(IoctlResponse, IoctlResponse), HostError> {
        self.running("send a request to")?
            .remote()?
            .send_ioctl_pair(path, first, second)
    }

    fn output(&mut self) -> Result<Vec<LogLine>, HostError> {
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
        // The program ends at the end of its input, and removes its service.
        session.remote = None;
        let _ = session.program.wait();
        let _ = self.command("wineserver").arg("-k").status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_path_is_on_drive_z() {
        let path = windows_path(Path::new("/a/b c/d.sys")).expect("a path");
        assert_eq!(path, Path::new(r"Z:\a\b c\d.sys"));
    }

    #[test]
    fn install_without_wine_is_an_error_with_the_remedy() {
        let mut host = Wine::new(Options {
            program: PathBuf::from("driverctl.exe"),
            prefix: PathBuf::from("/dev/null/no-folder"),
        });
        let service = Service::new(file!());
        // The image has to be a file; its contents do not matter here.
        let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let error = host
            .install(&Service { image, ..service })
            .expect_err("the prefix cannot be created");
        assert!(error.to_string().contains("Wine is installed"), "{error}");
    }
}
