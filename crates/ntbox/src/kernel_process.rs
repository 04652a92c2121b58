//! The caller's side: a kernel process, what it was asked and what it said.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ntbox_api::config::Config;
use ntbox_api::ipc::{Event, Request};
use ntbox_api::report::{BugCheck, ImageInfo, LogLine, Report};
use ntbox_api::request::{Account, Operation, Process, Progress, Reply, Ticket};
use ntbox_api::{host_file, ipc, parse};
use ntbox_host::bug_check::HUNG;
use ntbox_host::last_call::LastCall;
use ntbox_host::process;

use super::{Error, exit_reason, imports};

/// The program that runs, which the kernel process runs too.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// A kernel in a process of its own with one driver loaded.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    stream: UnixStream,
    config: Config,
    report: Report,
    /// What the process notes in case that it dies.
    last_call: File,
    /// Whether the driver is loaded: from then on the process only ends by itself
    /// because of the driver.
    loaded: bool,
    /// What the driver is asked for, in words.
    errand: String,
    /// Whether the kernel has stopped or the process is gone.
    stopped: bool,
}

/// How DriverEntry ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It returned this status.
    Status(u32),
    /// It did not return: see the report's bug check.
    Stopped,
}

impl Machine {
    /// Starts the process and loads the driver, without calling it.
    ///
    /// # Errors
    /// The file cannot be read, is no driver, a call is to fail that cannot, or no
    /// process can be started.
    pub fn boot(config: &Config) -> Result<Self, Error> {
        check_file(&config.image)?;
        config
            .files
            .iter()
            .try_for_each(|file| check_file(&file.content))?;
        parse::service(&config.service).map_err(|error| Error::Config(error.to_string()))?;
        if let Some(reason) = config
            .faults
            .iter()
            .find_map(|fault| imports::cannot_fail(&fault.export))
        {
            return Err(Error::Config(reason));
        }
        let ignored_rules: Result<Vec<String>, _> = config
            .ignored_rules
            .iter()
            .map(|id| parse::rule(id))
            .collect();
        let config = Config {
            ignored_rules: ignored_rules.map_err(|error| Error::Config(error.to_string()))?,
            ..config.clone()
        };
        crate::start::link();
        let (stream, theirs) =
            UnixStream::pair().map_err(|error| Error::Host(error.to_string()))?;
        let (last_call, notes) = LastCall::create()
            .and_then(|file| Ok((file.try_clone()?, file)))
            .map_err(|error| Error::Host(format!("it has no memory for its notes: {error}")))?;
        let child = Command::new(OWN_PROGRAM)
            .env(ntbox_kernel::VARIABLE, "1")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(notes))
            .spawn()
            .map_err(|error| Error::Host(cannot_start(&error)))?;
        let report = Report {
            image: ImageInfo {
                name: String::new(),
                base: 0,
                size: 0,
            },
            entry_status: None,
            unloaded: false,
            log: Vec::new(),
            bug_check: None,
            violations: Vec::new(),
            verify: config.verify,
            guard: config.guard,
            ignored_rules: config.ignored_rules.clone(),
            schedule: config.schedule,
            calls: Vec::new(),
            fault_points: Vec::new(),
            notes: Vec::new(),
        };
        let mut machine = Self {
            child,
            stream,
            config: config.clone(),
            report,
            last_call,
            loaded: false,
            errand: String::new(),
            stopped: false,
        };
        machine.request(&Request::Boot(Box::new(config.clone())))?;
        match machine.wait()? {
            Some(Event::Booted(image)) => {
                machine.report.image = image;
                machine.loaded = true;
                Ok(machine)
            }
            Some(Event::Refused(reason)) => Err(Error::Image {
                path: config.image,
                reason,
            }),
            Some(Event::Unable(reason)) => Err(Error::Host(reason)),
            other => Err(Error::Host(machine.unexpected(other))),
        }
    }

    /// Calls DriverEntry.
    ///
    /// # Errors
    /// The kernel process cannot be heard, which is not the driver's doing.
    pub fn start(&mut self) -> Result<Started, Error> {
        self.request(&Request::Start)?;
        match self.wait()? {
            Some(Event::Entered(status)) => {
                self.report.entry_status = Some(status);
                Ok(Started::Status(status))
            }
            None if self.stopped => Ok(Started::Stopped),
            other => Err(Error::Host(self.unexpected(other))),
        }
    }

    /// Makes a user process, which an administrator runs.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn process(&mut self, name: &str) -> Result<Process, Error> {
        self.process_of(name, Account::Administrator)
    }

    /// Makes a user process that this account runs.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn process_of(&mut self, name: &str, account: Account) -> Result<Process, Error> {
        match self.ask(&Request::Process(name.to_owned(), account))? {
            Event::Made(Some(process)) => Ok(process),
            Event::Made(None) => Err(Error::Host("it has no memory for a process".to_owned())),
            other => Err(Error::Host(self.unexpected(Some(other)))),
        }
    }

    /// Begins a request; it may end at once.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the driver stopped the kernel meanwhile; otherwise
    /// as for [`start`](Self::start).
    pub fn begin(&mut self, process: Process, operation: Operation) -> Result<Progress, Error> {
        match self.ask(&Request::Begin(process, operation))? {
            Event::Progress(progress) => Ok(progress),
            other => Err(Error::Host(self.unexpected(Some(other)))),
        }
    }

    /// Begins requests one after the other, without coming back in between: what
    /// [`begin`](Self::begin) does, for many. Together they may take as long as one
    /// request.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin); it is not told which of them it was.
    pub fn batch(
        &mut self,
        process: Process,
        operations: Vec<Operation>,
    ) -> Result<Vec<Progress>, Error> {
        match self.ask(&Request::Batch(process, operations))? {
            Event::Batch(progress) => Ok(progress),
            other => Err(Error::Host(self.unexpected(Some(other)))),
        }
    }

    /// Waits for the end of a request.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn wait_for(&mut self, ticket: Ticket) -> Result<Reply, Error> {
        match self.ask(&Request::Wait(ticket, None))? {
            Event::Ended(Some(reply)) => Ok(reply),
            Event::Ended(None) => Err(Error::Host(format!("it knows no request {}", ticket.0))),
            other => Err(Error::Host(self.unexpected(Some(other)))),
        }
    }

    /// Waits for the end of a request, for so long of the kernel's time. `None` if it
    /// has not ended by then.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn wait_at_most(&mut self, ticket: Ticket, time: Duration) -> Result<Option<Reply>, Error> {
        let units = u64::try_from(time.as_nanos() / 100).unwrap_or(u64::MAX);
        match self.ask(&Request::Wait(ticket, Some(units)))? {
            Event::Ended(reply) => Ok(reply),
            other => Err(Error::Host(self.unexpected(Some(other)))),
        }
    }

    /// Makes a request and waits for its end.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn call(&mut self, process: Process, operation: Operation) -> Result<Reply, Error> {
        match self.begin(process, operation)? {
            Progress::Done(reply) => Ok(reply),
            Progress::Pending(ticket) => self.wait_for(ticket),
        }
    }

    /// Cancels a request. False if no driver had a cancel routine set for it.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn cancel(&mut self, ticket: Ticket) -> Result<bool, Error> {
        self.whether(&Request::Cancel(ticket))
    }

    /// Ends a process: its requests are cancelled, its handles closed. False if it
    /// had ended before.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn exit(&mut self, process: Process) -> Result<bool, Error> {
        self.whether(&Request::Exit(process))
    }

    /// Shuts the system down, as far as drivers are told: `IRP_MJ_SHUTDOWN` goes to
    /// every device that is registered for it. False if none was.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn shutdown(&mut self) -> Result<bool, Error> {
        self.whether(&Request::Shutdown)
    }

    fn whether(&mut self, request: &Request) -> Result<bool, Error> {
        match self.ask(request)? {
            Event::Did(did) => Ok(did),
            other => Err(Error::Host(self.unexpected(Some(other)))),
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Event, Error> {
        if self.stopped {
            return Err(Error::Stopped);
        }
        self.request(request)?;
        self.wait()?.ok_or(Error::Stopped)
    }

    /// What the driver has logged so far.
    #[must_use]
    pub fn log(&self) -> &[LogLine] {
        &self.report.log
    }

    /// Ends the programs, calls DriverUnload if the driver is started, looks for what
    /// it left behind, and ends the process. A driver is not unloaded while a handle
    /// to one of its devices is open.
    ///
    /// # Errors
    /// The kernel process failed, which is not the driver's doing.
    pub fn finish(mut self) -> Result<Report, Error> {
        if !self.stopped {
            self.request(&Request::Finish)?;
            loop {
                match self.wait()? {
                    Some(Event::Unloaded) => self.report.unloaded = true,
                    Some(Event::Finished(calls)) => {
                        self.report.calls = calls;
                        break;
                    }
                    None if self.stopped => break,
                    other => return Err(Error::Host(self.unexpected(other))),
                }
            }
        }
        let mut report = self.report.clone();
        ntbox_symbols::resolve(&mut report, &self.config.image);
        Ok(report)
    }

    fn request(&mut self, request: &Request) -> Result<(), Error> {
        self.errand = request.describe();
        match ipc::write(&mut self.stream, request) {
            Ok(()) => Ok(()),
            // That it has died is then read where its answer would be.
            Err(_) if self.loaded => Ok(()),
            Err(error) => Err(Error::Host(format!("it does not take requests: {error}"))),
        }
    }

    /// Waits for an answer, recording what comes before it. `None` once the
    /// kernel has stopped.
    fn wait(&mut self) -> Result<Option<Event>, Error> {
        let deadline = Instant::now() + self.config.timeout;
        let mut held = VecDeque::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(self.hung());
            }
            self.stream
                .set_read_timeout(Some(left.max(Duration::from_millis(1))))
                .map_err(|error| Error::Host(error.to_string()))?;
            match ipc::read(&mut self.stream) {
                Ok(Some(Event::Log(line))) => self.report.log.push(line),
                Ok(Some(Event::Violation(violation))) => self.report.violations.push(violation),
                Ok(Some(Event::Note(note))) => self.note(note),
                Ok(Some(Event::FaultPoint(point))) => self.report.fault_points.push(point),
                Ok(Some(Event::BugCheck(bug_check))) => {
                    self.report.bug_check = Some(*bug_check);
                    self.stopped = true;
                    return Ok(None);
                }
                Ok(Some(event)) => {
                    held.push_back(event);
                    return Ok(held.pop_front());
                }
                Ok(None) if self.loaded => return Ok(self.died("")),
                Ok(None) => return Err(Error::Host(self.gone())),
                Err(error) if is_timeout(&error) => return Ok(self.hung()),
                Err(error) if self.loaded => {
                    let what = format!("its answer cannot be read: {error}; ");
                    return Ok(self.died(&what));
                }
                Err(error) => {
                    return Err(Error::Host(format!(
                        "its answer cannot be read: {error}; {}",
                        self.gone()
                    )));
                }
            }
        }
    }

    /// Keeps a note, once.
    fn note(&mut self, note: String) {
        if !self.report.notes.contains(&note) {
            self.report.notes.push(note);
        }
    }

    /// The driver did not come back in time.
    fn hung(&mut self) -> Option<Event> {
        let stop = self.last_words();
        let _ = self.child.kill();
        self.stopped = true;
        let mut stop = stop.unwrap_or_else(|| BugCheck {
            code: HUNG,
            parameters: [0; 4],
            message: String::new(),
            location: None,
            stack: Vec::new(),
            history: Vec::new(),
        });
        if stop.code == HUNG {
            let time = self.config.timeout;
            stop.message = format!("the driver did not return within {time:?} and was ended");
        }
        self.report.bug_check = Some(stop);
        None
    }

    /// Has a driver that hangs stopped by its kernel, which knows where it is. It
    /// has some time for that: the driver may be inside a call.
    fn last_words(&mut self) -> Option<BugCheck> {
        const TIME: Duration = Duration::from_millis(500);
        let process = libc::pid_t::try_from(self.child.id()).ok()?;
        self.stream.set_read_timeout(Some(TIME)).ok()?;
        process::send_overdue(process);
        let deadline = Instant::now() + TIME;
        while Instant::now() < deadline {
            match ipc::read(&mut self.stream) {
                Ok(Some(Event::Log(line))) => self.report.log.push(line),
                Ok(Some(Event::Violation(violation))) => self.report.violations.push(violation),
                Ok(Some(Event::Note(note))) => self.note(note),
                Ok(Some(Event::FaultPoint(point))) => self.report.fault_points.push(point),
                Ok(Some(Event::BugCheck(stop))) => return Some(*stop),
                // It came back after all, which is too late; or it is gone, or
                // waits inside the call.
                _ => return None,
            }
        }
        None
    }

    /// The process died under the driver: message is known of it.
    fn died(&mut self, message: &str) -> Option<Event> {
        // If only its answers are gone, it is of no more use.
        if !message.is_empty() {
            let _ = self.child.kill();
        }
        let status = self.child.wait().ok();
        // What cannot be read is not known.
        let last = LastCall::read(&self.last_call).unwrap_or_default();
        let mut stop = exit_reason::bug_check(status, &last, &self.errand, &self.report.image);
        stop.message.insert_str(0, message);
        self.stopped = true;
        self.report.bug_check = Some(stop);
        None
    }

    /// The process ended without a word: how.
    fn gone(&mut self) -> String {
        if let Ok(LastCall {
            reason: Some(reason),
            ..
        }) = LastCall::read(&self.last_call)
        {
            return reason;
        }
        match self.child.wait() {
            Ok(status) => format!("the process ended early ({status})"),
            Err(error) => format!("the process is lost: {error}"),
        }
    }

    fn unexpected(&mut self, event: Option<Event>) -> String {
        match event {
            Some(event) => format!("it answered out of order: {event:?}"),
            None => self.report.bug_check.as_ref().map_or_else(
                || "it gave no answer".to_owned(),
                |bug_check| format!("it stopped while it was set up: {}", bug_check.message),
            ),
        }
    }
}

/// Whether a read ended because its time was up.
fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Why the kernel process was not started.
fn cannot_start(error: &io::Error) -> String {
    if Path::new(OWN_PROGRAM).exists() {
        format!("it cannot be started: {error}")
    } else {
        format!(
            "it is started from {OWN_PROGRAM}, which is not there: {error}; \
             mount the process file system, as with `mount -t proc proc /proc`"
        )
    }
}

/// Refuses what is no regular file, or is too large.
pub fn check_file(path: &Path) -> Result<(), Error> {
    host_file::check(path, host_file::LIMIT).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

/// Loads, starts and unloads a driver.
///
/// ```no_run
/// let config = ntbox::Config::new("mydriver.sys").fault("IoAllocateMdl", 1);
/// let report = ntbox::run(&config)?;
/// assert_eq!(report.entry_status, Some(nt_status::STATUS_INSUFFICIENT_RESOURCES));
/// assert!(report.violations.is_empty(), "{}", report.text());
/// # Ok::<(), ntbox::Error>(())
/// ```
///
/// # Errors
/// As for [`Machine::boot`] and [`Machine::finish`].
pub fn run(config: &Config) -> Result<Report, Error> {
    let mut machine = Machine::boot(config)?;
    machine.start()?;
    machine.finish()
}
