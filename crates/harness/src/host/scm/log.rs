//! Where the driver's debug output is on Windows: in a file that somebody writes,
//! DebugView or a debugger on another computer.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::super::{HostError, Service};
use crate::logs;
use crate::record::Line;

/// Where to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: the host has no output.
    Nowhere,
    /// A file that something else writes: DebugView's, or a debugger's `-logo`.
    File(PathBuf),
    /// What this program has `dbgviewcli.exe` write, whose path this is.
    DebugView(PathBuf),
}

/// How long a writer may take to write what was logged.
const QUIET: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(5);

/// The lines since a service was installed.
pub struct Reader {
    file: Option<PathBuf>,
    /// Where they begin.
    start: u64,
    /// What each of the driver's lines begins with.
    prefix: String,
    writer: Option<Child>,
}

impl Source {
    /// Begins to listen.
    pub fn open(&self, service: &Service) -> Result<Reader, HostError> {
        let stem = service.image.file_stem().unwrap_or_default();
        let prefix = format!("{}: ", stem.to_string_lossy());
        let (file, writer) = match self {
            Self::Nowhere => (None, None),
            Self::File(path) => (Some(path.clone()), None),
            Self::DebugView(program) => {
                let (path, writer) = debug_view(program)?;
                (Some(path), Some(writer))
            }
        };
        let start = match (&file, &writer) {
            (Some(path), None) => fs::metadata(path)
                .map_err(|error| unreadable(path, &error))?
                .len(),
            _ => 0,
        };
        Ok(Reader {
            file,
            start,
            prefix,
            writer,
        })
    }
}

fn unreadable(path: &std::path::Path, error: &std::io::Error) -> HostError {
    HostError::Options(format!(
        "the log {} cannot be read: {error}",
        path.display()
    ))
}

/// Starts DebugView's program for the command line, and waits until it listens.
fn debug_view(program: &PathBuf) -> Result<(PathBuf, Child), HostError> {
    let path = std::env::temp_dir().join(format!("ntmem-debug-{}.log", std::process::id()));
    let _ = fs::remove_file(&path);
    let child = Command::new(program)
        .args(["--accepteula", "--kernel", "--verbose-kernel", "--no-win32"])
        .args(["--no-banner", "--format", "text", "--log"])
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| {
            HostError::Options(format!("{} cannot be started: {error}", program.display()))
        })?;
    let since = Instant::now();
    while !path.exists() && since.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok((path, child))
}

impl Reader {
    /// The driver's lines so far; waits until the writer has nothing more.
    pub fn lines(&mut self) -> Result<Vec<Line>, HostError> {
        let Some(path) = &self.file else {
            return Ok(Vec::new());
        };
        let since = Instant::now();
        let mut size = None;
        loop {
            let now = fs::metadata(path)
                .map_err(|error| unreadable(path, &error))?
                .len();
            if size == Some(now) || since.elapsed() > PATIENCE {
                break;
            }
            size = Some(now);
            std::thread::sleep(QUIET);
        }
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|mut file| {
                file.seek(SeekFrom::Start(self.start))?;
                file.read_to_end(&mut bytes)
            })
            .map_err(|error| unreadable(path, &error))?;
        let mut lines = logs::lines(&logs::decode(&bytes));
        lines.retain(|line| line.text.starts_with(&self.prefix));
        Ok(lines)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(writer) = &mut self.writer {
            let _ = writer.kill();
            let _ = writer.wait();
            if let Some(path) = &self.file {
                let _ = fs::remove_file(path);
            }
        }
    }
}
