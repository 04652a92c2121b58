//! The embedded kernel as a host. Each start is a kernel process of its own,
//! which ends with the stop; beyond the common trait this host can make calls
//! fail, set the debug print filter and bound the time that a driver may take.

use std::time::Duration;

use ntbox::{
    Config, Handle, Machine, Operation, OsVersion, Process, Progress, Reply, Report, Started,
};

use super::{Asked, Host, HostError, Inquiry, Service};
use crate::record::{BugCheck, Calls, Findings, Line, Place, Start, Violation};

/// What only this host can do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Calls that are made to fail: export, and which of its calls from 1.
    pub faults: Vec<(String, u32)>,
    /// Masks of the debug print filter: component number and mask.
    pub filter: Vec<(u32, u32)>,
    /// The mask of WIN2000, if not the one of a fresh Windows.
    pub win2000: Option<u32>,
    /// Version of Windows to claim to be, if not the usual one.
    pub version: Option<OsVersion>,
    /// How long one request may keep the driver busy, if not the usual time.
    pub timeout: Option<Duration>,
}

/// The host.
#[derive(Default)]
pub struct Ntbox {
    options: Options,
    state: State,
    /// Lines of kernels that have ended.
    log: Vec<Line>,
}

#[derive(Default)]
enum State {
    #[default]
    Empty,
    Installed(Box<Config>),
    Started(Box<Config>, Box<Machine>),
}

/// `GENERIC_READ | GENERIC_WRITE`.
const READ_WRITE: u32 = 0xC000_0000;

/// A program that has the device open, or the status that it got instead.
struct Program {
    process: Process,
    handle: Result<Handle, u32>,
}

impl Program {
    fn open(machine: &mut Machine, path: &str) -> Result<Self, ntbox::Error> {
        let process = machine.process("ntmemctl.exe")?;
        let open = Operation::Open {
            path: path.to_owned(),
            access: READ_WRITE,
        };
        let opened = machine.call(process, open)?;
        let handle = opened.handle.ok_or(opened.status);
        Ok(Self { process, handle })
    }

    /// Begins the request.
    fn begin(&self, machine: &mut Machine, inquiry: &Inquiry) -> Result<Begun, ntbox::Error> {
        let handle = match self.handle {
            Ok(handle) => handle,
            Err(status) => return Ok(Begun::Unopened(status)),
        };
        let control = Operation::Control {
            handle,
            code: inquiry.code,
            input: inquiry.input.clone(),
            output: vec![0; inquiry.room],
        };
        machine.begin(self.process, control).map(Begun::Progress)
    }

    /// Waits for the end of the request, closes the handle and ends the program.
    fn end(self, machine: &mut Machine, begun: Begun) -> Result<Asked, ntbox::Error> {
        let asked = match begun {
            Begun::Unopened(status) => Asked::Unopened(status),
            Begun::Progress(Progress::Done(reply)) => answered(reply),
            Begun::Progress(Progress::Pending(ticket)) => answered(machine.wait_for(ticket)?),
        };
        if let Ok(handle) = self.handle {
            machine.call(self.process, Operation::Close { handle })?;
        }
        machine.exit(self.process)?;
        Ok(asked)
    }
}

/// How far a program got.
enum Begun {
    Unopened(u32),
    Progress(Progress),
}

fn answered(mut reply: Reply) -> Asked {
    let written = usize::try_from(reply.information).unwrap_or(usize::MAX);
    reply.output.truncate(written);
    Asked::Answered(reply.status, reply.output)
}

/// Opens, asks and closes in a process that then ends.
fn ask(machine: &mut Machine, path: &str, inquiry: &Inquiry) -> Result<Asked, ntbox::Error> {
    let program = Program::open(machine, path)?;
    let begun = program.begin(machine, inquiry)?;
    program.end(machine, begun)
}

/// The same in two processes, the first of which may wait for the second.
fn ask_both(
    machine: &mut Machine,
    path: &str,
    (first, second): (&Inquiry, &Inquiry),
) -> Result<(Asked, Asked), ntbox::Error> {
    let program = Program::open(machine, path)?;
    let begun = program.begin(machine, first)?;
    let second = ask(machine, path, second)?;
    Ok((program.end(machine, begun)?, second))
}

const NAME: &str = "ntbox";

impl Ntbox {
    /// A host with these options.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    fn config(&self, service: &Service) -> Config {
        let mut config = Config::new(&service.image);
        config.service.clone_from(&service.name);
        config.parameters.clone_from(&service.parameters);
        config.filter.components.clone_from(&self.options.filter);
        if let Some(mask) = self.options.win2000 {
            config.filter.win2000 = mask;
        }
        if let Some(version) = self.options.version {
            config.version = version;
        }
        if let Some(timeout) = self.options.timeout {
            config.timeout = timeout;
        }
        self.options
            .faults
            .iter()
            .fold(config, |config, (export, nth)| config.fault(export, *nth))
    }
}

impl Ntbox {
    /// The kernel of a service that is started.
    fn started(&mut self, action: &'static str) -> Result<&mut Machine, HostError> {
        match &mut self.state {
            State::Started(_, machine) => Ok(machine),
            _ => Err(state(action, "the service is not started")),
        }
    }
}

fn state(action: &'static str, why: &'static str) -> HostError {
    HostError::State {
        host: NAME,
        action,
        why,
    }
}

fn failed(action: &'static str, error: ntbox::Error) -> HostError {
    match error {
        ntbox::Error::Read { .. } | ntbox::Error::Image { .. } => {
            HostError::Image(error.to_string())
        }
        ntbox::Error::Config(why) => HostError::Options(why),
        ntbox::Error::Stopped | ntbox::Error::Host(_) => HostError::Failed {
            host: NAME,
            action,
            why: error.to_string(),
        },
    }
}

impl Host for Ntbox {
    fn name(&self) -> &'static str {
        NAME
    }

    fn install(&mut self, service: &Service) -> Result<(), HostError> {
        service.check_name()?;
        let State::Empty = self.state else {
            return Err(state("install", "a service is installed already"));
        };
        self.log.clear();
        self.state = State::Installed(Box::new(self.config(service)));
        Ok(())
    }

    fn start(&mut self) -> Result<Start, HostError> {
        let config = match &self.state {
            State::Empty => return Err(state("start", "no service is installed")),
            State::Started(..) => return Err(state("start", "the service is started already")),
            State::Installed(config) => config.clone(),
        };
        let mut machine = Machine::boot(&config).map_err(|error| failed("load", error))?;
        let started = machine.start().map_err(|error| failed("start", error))?;
        self.state = State::Started(config, Box::new(machine));
        Ok(match started {
            Started::Status(status) => Start::from_status(status),
            Started::Stopped => Start::Stopped,
        })
    }

    fn stop(&mut self) -> Result<Findings, HostError> {
        match std::mem::take(&mut self.state) {
            State::Started(config, machine) => {
                self.state = State::Installed(config);
                let report = machine.finish().map_err(|error| failed("stop", error))?;
                self.log.extend(report.log.iter().map(Line::from));
                Ok(report.into())
            }
            other => {
                self.state = other;
                Err(state("stop", "the service is not started"))
            }
        }
    }

    fn remove(&mut self) -> Result<(), HostError> {
        match self.state {
            State::Empty => Err(state("remove", "no service is installed")),
            State::Started(..) => Err(state("remove", "the service is started; stop it first")),
            State::Installed(_) => {
                self.state = State::Empty;
                Ok(())
            }
        }
    }

    fn ask(&mut self, path: &str, inquiry: &Inquiry) -> Result<Asked, HostError> {
        match ask(self.started("ask")?, path, inquiry) {
            Err(ntbox::Error::Stopped) => Ok(Asked::Stopped),
            other => other.map_err(|error| failed("ask", error)),
        }
    }

    fn ask_both(
        &mut self,
        path: &str,
        first: &Inquiry,
        second: &Inquiry,
    ) -> Result<(Asked, Asked), HostError> {
        match ask_both(self.started("ask")?, path, (first, second)) {
            Err(ntbox::Error::Stopped) => Ok((Asked::Stopped, Asked::Stopped)),
            other => other.map_err(|error| failed("ask", error)),
        }
    }

    fn output(&mut self) -> Result<Vec<Line>, HostError> {
        let mut lines = self.log.clone();
        if let State::Started(_, machine) = &self.state {
            lines.extend(machine.log().iter().map(Line::from));
        }
        Ok(lines)
    }
}

impl From<&ntbox::LogLine> for Line {
    fn from(line: &ntbox::LogLine) -> Self {
        Self {
            time: line.time,
            component: Some(line.component),
            level: Some(line.level.into()),
            shown: line.shown,
            text: line.text.clone(),
        }
    }
}

impl From<Report> for Findings {
    fn from(report: Report) -> Self {
        Self {
            bug_check: report.bug_check.map(BugCheck::from),
            violations: report.violations.into_iter().map(Violation::from).collect(),
            calls: report.calls.into_iter().map(Calls::from).collect(),
            unloaded: report.unloaded,
        }
    }
}

impl From<ntbox::BugCheck> for BugCheck {
    fn from(bug_check: ntbox::BugCheck) -> Self {
        let mut stack: Vec<Place> = bug_check.stack.into_iter().map(Place::from).collect();
        let place = bug_check.location.map(Place::from);
        if let Some(place) = place
            && stack.first() != Some(&place)
        {
            stack.insert(0, place);
        }
        Self {
            code: bug_check.code,
            parameters: bug_check.parameters,
            what: bug_check.what,
            stack,
        }
    }
}

impl From<ntbox::Violation> for Violation {
    fn from(violation: ntbox::Violation) -> Self {
        Self {
            rule: violation.rule,
            verifier: violation.verifier,
            what: violation.what,
            place: violation.location.map(Place::from),
        }
    }
}

impl From<ntbox::Location> for Place {
    fn from(location: ntbox::Location) -> Self {
        Self {
            module: location.module,
            offset: location.offset,
            symbol: location.symbol,
            source: location.source,
        }
    }
}

impl From<ntbox::CallCount> for Calls {
    fn from(calls: ntbox::CallCount) -> Self {
        Self {
            export: calls.export,
            count: calls.count,
            can_fail: calls.can_fail,
        }
    }
}
