//! Where the driver's debug output is on Windows: in a file that somebody writes,
//! DebugView or a debugger on another computer.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::super::{HostError, Service};
use crate::logs::Tail;
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
    tail: Option<Tail>,
    /// Those that have been read.
    lines: Vec<Line>,
    /// What each of the driver's lines begins with.
    prefix: String,
    writer: Option<Writer>,
}

/// A program that writes a log for this one.
struct Writer {
    child: Child,
    file: PathBuf,
}

impl Source {
    /// Begins to listen.
    pub fn open(&self, service: &Service) -> Result<Reader, HostError> {
        let stem = service.image.file_stem().unwrap_or_default();
        let prefix = format!("{}: ", stem.to_string_lossy());
        let (tail, writer) = match self {
            Self::Nowhere => (None, None),
            Self::File(path) => {
                let tail = Tail::from_end(path).map_err(|error| unreadable(path, &error))?;
                (Some(tail), None)
            }
            Self::DebugView(program) => {
                let writer = debug_view(program)?;
                (Some(Tail::new(&writer.file)), Some(writer))
            }
        };
        Ok(Reader {
            tail,
            lines: Vec::new(),
            prefix,
            writer,
        })
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> HostError {
    HostError::Options(format!(
        "the log {} cannot be read: {error}",
        path.display()
    ))
}

/// Starts DebugView's program for the command line, and waits until it listens.
fn debug_view(program: &Path) -> Result<Writer, HostError> {
    let file = std::env::temp_dir().join(format!("ntmem-debug-{}.log", std::process::id()));
    let _ = std::fs::remove_file(&file);
    let child = Command::new(program)
        .args(["--accepteula", "--kernel", "--verbose-kernel", "--no-win32"])
        .args(["--no-banner", "--format", "text", "--log"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| {
            HostError::Options(format!("{} cannot be started: {error}", program.display()))
        })?;
    let since = Instant::now();
    while !file.exists() && since.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(Writer { child, file })
}

impl Reader {
    /// The driver's lines so far; waits until the writer has nothing more.
    pub fn lines(&mut self) -> Result<Vec<Line>, HostError> {
        let Some(tail) = &mut self.tail else {
            return Ok(Vec::new());
        };
        let since = Instant::now();
        let mut before = None;
        loop {
            let read = tail.read();
            self.lines
                .extend(read.map_err(|error| unreadable(tail.path(), &error))?);
            let now = Some(tail.position());
            if before == now || since.elapsed() > PATIENCE {
                break;
            }
            before = now;
            std::thread::sleep(QUIET);
        }
        let mut lines = self.lines.clone();
        lines.extend(tail.last());
        lines.retain(|line| line.text.starts_with(&self.prefix));
        Ok(lines)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.file);
    }
}
