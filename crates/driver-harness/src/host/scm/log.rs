//! Where the driver's debug output is on Windows: in a file that somebody writes,
//! DebugView or a debugger on another computer.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::super::debugview::Program;
use super::super::{HostError, Service};
use super::interrupt;
use crate::logs::Tail;
use crate::record::Line;

/// Where to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: the host has no output.
    Nowhere,
    /// A file that something else writes: DebugView's, or a debugger's `-logo`.
    File(PathBuf),
    /// What one of DebugView's programs is made to write, whose path this is.
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
    /// DebugView's program, if it has to be started.
    program: Option<Program>,
    writer: Option<Writer>,
}

/// A program that writes a log for this one.
struct Writer {
    program: Program,
    child: Child,
    file: PathBuf,
}

impl Source {
    /// Begins to listen.
    pub fn open(&self, service: &Service) -> Result<Reader, HostError> {
        let stem = service.image.file_stem().unwrap_or_default();
        let prefix = format!("{}: ", stem.to_string_lossy());
        let (tail, program) = match self {
            Self::Nowhere => (None, None),
            Self::File(path) => {
                let tail = Tail::from_end(path).map_err(|error| unreadable(path, &error))?;
                (Some(tail), None)
            }
            Self::DebugView(path) => (None, Some(Program::at(path))),
        };
        let mut reader = Reader {
            tail,
            lines: Vec::new(),
            prefix,
            program,
            writer: None,
        };
        reader.listen()?;
        Ok(reader)
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> HostError {
    HostError::Options(format!(
        "the log {} cannot be read: {error}",
        path.display()
    ))
}

impl Writer {
    /// Starts DebugView's program, and waits until it has begun its file.
    fn start(program: &Program) -> Result<Self, HostError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ntmem-debug-{}-{number}.log", std::process::id());
        let file = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&file);
        let failed = |what: String| {
            let why = format!("{} {what}", program.path().display());
            Err(HostError::Options(why))
        };
        let child = Command::new(program.path())
            .args(program.to_write(&file))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) => return failed(format!("cannot be started: {error}")),
        };
        let mut writer = Self {
            program: program.clone(),
            child,
            file,
        };
        interrupt::watch_writer(writer.child.id(), &writer.program, &writer.file);
        let since = Instant::now();
        while !writer.file.exists() {
            if let Ok(Some(status)) = writer.child.try_wait() {
                return failed(format!(
                    "ended at once ({status}); it needs an elevated prompt, and no other DebugView \
                     may be running"
                ));
            }
            if since.elapsed() > PATIENCE {
                return failed(format!(
                    "has not begun {} after {} s; is it DebugView?",
                    writer.file.display(),
                    PATIENCE.as_secs()
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // The file may be there before its driver is.
        std::thread::sleep(QUIET);
        Ok(writer)
    }

    /// Asks the program to end, which makes it write all that it has, and waits
    /// until it did; by force, if it does not.
    fn end(&mut self) {
        let (program, arguments) = self.program.to_end(self.child.id());
        let _ = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Reader {
    /// Sees to it that what a driver logs from now on is written down.
    pub fn listen(&mut self) -> Result<(), HostError> {
        if let Some(program) = &self.program
            && self.writer.is_none()
        {
            let writer = Writer::start(program)?;
            self.tail = Some(Tail::new(&writer.file));
            self.writer = Some(writer);
        }
        Ok(())
    }

    /// The driver is gone: reads what is left, and ends the program that wrote it.
    pub fn finish(&mut self) -> Result<(), HostError> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(());
        };
        self.read()?;
        writer.end();
        self.read()?;
        if let Some(tail) = self.tail.take() {
            self.lines.extend(tail.last());
        }
        Ok(())
    }

    /// The driver's lines so far; waits until the writer has nothing more.
    pub fn lines(&mut self) -> Result<Vec<Line>, HostError> {
        self.read()?;
        let mut lines = self.lines.clone();
        lines.extend(self.tail.iter().flat_map(Tail::last));
        lines.retain(|line| line.text.starts_with(&self.prefix));
        Ok(lines)
    }

    fn read(&mut self) -> Result<(), HostError> {
        let Some(tail) = &mut self.tail else {
            return Ok(());
        };
        let since = Instant::now();
        let mut before = None;
        loop {
            let read = tail.read();
            self.lines
                .extend(read.map_err(|error| unreadable(tail.path(), &error))?);
            let now = Some(tail.position());
            if before == now || since.elapsed() > PATIENCE {
                return Ok(());
            }
            before = now;
            std::thread::sleep(QUIET);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
        interrupt::forget_writer(self.child.id());
        let _ = std::fs::remove_file(&self.file);
    }
}
