//! Reads the driver's debug output on Windows from a file that DebugView or a debugger on
//! another computer writes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::super::debugview::DebugView;
use super::super::{HostError, Service};
use super::interrupt;
use crate::logs::Tail;
use crate::record::LogLine;

/// The source of the debug output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// None: the host has no log.
    None,
    /// A file that another program writes: DebugView, or a debugger with `-logo`.
    File(PathBuf),
    /// The path of a DebugView program, which the host starts.
    DebugView(PathBuf),
}

/// The log is complete if it does not grow for this time.
const SETTLE_TIME: Duration = Duration::from_millis(300);
const TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the lines since a service was installed.
pub struct Reader {
    tail: Option<Tail>,
    /// The lines read so far.
    lines: Vec<LogLine>,
    /// The prefix of the driver's lines.
    prefix: String,
    /// The DebugView program to start.
    program: Option<DebugView>,
    writer: Option<Writer>,
}

/// A running DebugView program and the file that it writes.
struct Writer {
    program: DebugView,
    child: Child,
    file: PathBuf,
}

impl Source {
    /// Opens the source.
    pub fn open(&self, service: &Service) -> Result<Reader, HostError> {
        let stem = service.image.file_stem().unwrap_or_default();
        let prefix = format!("{}: ", stem.to_string_lossy());
        let (tail, program) = match self {
            Self::None => (None, None),
            Self::File(path) => {
                let tail = Tail::from_end(path).map_err(|error| unreadable(path, &error))?;
                (Some(tail), None)
            }
            Self::DebugView(path) => (None, Some(DebugView::new(path))),
        };
        let mut reader = Reader {
            tail,
            lines: Vec::new(),
            prefix,
            program,
            writer: None,
        };
        reader.start_writer()?;
        Ok(reader)
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> HostError {
    HostError::Options(format!("log {} cannot be read: {error}", path.display()))
}

impl Writer {
    /// Starts the program, and waits until it has created its file.
    fn start(program: &DebugView) -> Result<Self, HostError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ntmem-debug-{}-{number}.log", std::process::id());
        let file = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&file);
        let failed = |message: String| {
            let message = format!("{} {message}", program.path().display());
            Err(HostError::Options(message))
        };
        let child = Command::new(program.path())
            .args(program.start_arguments(&file))
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
        interrupt::register_writer(writer.child.id(), &writer.program, &writer.file);
        let since = Instant::now();
        while !writer.file.exists() {
            if let Ok(Some(status)) = writer.child.try_wait() {
                return failed(format!(
                    "ended at once ({status}); start it from an elevated prompt, and end any other \
                     DebugView"
                ));
            }
            if since.elapsed() > TIMEOUT {
                return failed(format!(
                    "did not create {} within {} s; check that it is DebugView",
                    writer.file.display(),
                    TIMEOUT.as_secs()
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // The program can create the file before it loads its driver.
        std::thread::sleep(SETTLE_TIME);
        Ok(writer)
    }

    /// Requests the program to end, so that it completes its file, and waits; terminates
    /// it after a timeout.
    fn stop(&mut self) {
        let (program, arguments) = self.program.stop_command(self.child.id());
        let _ = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let since = Instant::now();
        while since.elapsed() < TIMEOUT {
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
    /// Starts the program that writes the log, if there is one and it is not running.
    pub fn start_writer(&mut self) -> Result<(), HostError> {
        if let Some(program) = &self.program
            && self.writer.is_none()
        {
            let writer = Writer::start(program)?;
            self.tail = Some(Tail::new(&writer.file));
            self.writer = Some(writer);
        }
        Ok(())
    }

    /// Reads the remaining lines and ends the program that writes them.
    pub fn finish(&mut self) -> Result<(), HostError> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(());
        };
        self.read()?;
        writer.stop();
        self.read()?;
        if let Some(tail) = self.tail.take() {
            self.lines.extend(tail.last_line());
        }
        Ok(())
    }

    /// The driver's lines so far; waits until the log does not grow.
    pub fn lines(&mut self) -> Result<Vec<LogLine>, HostError> {
        self.read()?;
        let mut lines = self.lines.clone();
        lines.extend(self.tail.iter().flat_map(Tail::last_line));
        lines.retain(|line| line.text.starts_with(&self.prefix));
        Ok(lines)
    }

    fn read(&mut self) -> Result<(), HostError> {
        let Some(tail) = &mut self.tail else {
            return Ok(());
        };
        let since = Instant::now();
        let mut previous = None;
        loop {
            let read = tail.read();
            self.lines
                .extend(read.map_err(|error| unreadable(tail.path(), &error))?);
            let position = Some(tail.position());
            if previous == position || since.elapsed() > TIMEOUT {
                return Ok(());
            }
            previous = position;
            std::thread::sleep(SETTLE_TIME);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop();
        }
        interrupt::unregister_writer(self.child.id());
        let _ = std::fs::remove_file(&self.file);
    }
}
