//! The host `ntbox`: the embedded kernel. Each start boots a new kernel process, which
//! ends at the stop. The options of this host inject failures, set the debug print
//! filter and limit the time of a request.

use std::time::Duration;

use ntbox::{
    Config, Handle, Machine, Operation, OsVersion, Process, Progress, Reply, Report, Started,
};

use super::{Host, HostError, IoctlRequest, IoctlResponse, Service};
use crate::record::{
    BugCheck, CodeLocation, ExportCalls, Findings, LogLine, StartResult, Violation,
};

/// The options of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Calls that fail: the export, and the number of the call, from 1.
    pub faults: Vec<(String, u32)>,
    /// Masks of the debug print filter: component number and mask.
    pub filter: Vec<(u32, u32)>,
    /// The mask of WIN2000, if not the default of Windows.
    pub win2000: Option<u32>,
    /// The reported version of Windows, if not the default.
    pub version: Option<OsVersion>,
    /// The time limit of one request, if not the default.
    pub timeout: Option<Duration>,
}

/// The host.
#[derive(Default)]
pub struct Ntbox {
    options: Options,
    service: ServiceState,
    /// The lines of earlier starts.
    log: Vec<LogLine>,
}

#[derive(Default)]
enum ServiceState {
    #[default]
    Empty,
    Installed(Box<Config>),
    Started(Box<Config>, Box<Machine>),
}

/// `GENERIC_READ | GENERIC_WRITE`.
const READ_WRITE: u32 = 0xC000_0000;

/// A client process with the device open, or the status of the failed open.
struct Client {
    process: Process,
    handle: Result<Handle, u32>,
}

impl Client {
    fn open(machine: &mut Machine, path: &str) -> Result<Self, ntbox::Error> {
        let process = machine.process("driverctl.exe")?;
        let open = Operation::Open {
            path: path.to_owned(),
            access: READ_WRITE,
        };
        let opened = machine.call(process, open)?;
        let handle = opened.handle.ok_or(opened.status);
        Ok(Self { process, handle })
    }

    /// Sends the request.
    fn send(
        &self,
        machine: &mut Machine,
        request: &IoctlRequest,
    ) -> Result<PendingIo, ntbox::Error> {
        let handle = match self.handle {
            Ok(handle) => handle,
            Err(status) => return Ok(PendingIo::OpenFailed(status)),
        };
        let control = Operation::Control {
            handle,
            code: request.code,
            input: request.input.clone(),
            output: vec![0; request.output_size],
        };
        machine.begin(self.process, control).map(PendingIo::Sent)
    }

    /// Waits for the completion of the request, closes the handle and ends the process.
    fn finish(self, machine: &mut Machine, io: PendingIo) -> Result<IoctlResponse, ntbox::Error> {
        let response = match io {
            PendingIo::OpenFailed(status) => IoctlResponse::OpenFailed(status),
            PendingIo::Sent(Progress::Done(reply)) => completed(reply),
            PendingIo::Sent(Progress::Pending(ticket)) => completed(machine.wait_for(ticket)?),
        };
        if let Ok(handle) = self.handle {
            machine.call(self.process, Operation::Close { handle })?;
        }
        machine.exit(self.process)?;
        Ok(response)
    }
}

/// A request in progress.
enum PendingIo {
    OpenFailed(u32),
    Sent(Progress),
}

fn completed(mut reply: Reply) -> IoctlResponse {
    let written = usize::try_from(reply.information).unwrap_or(usize::MAX);
    reply.output.truncate(written);
    IoctlResponse::Completed(reply.status, reply.output)
}

/// Opens the device, sends the request and closes the device, in a new process.
fn send_ioctl(
    machine: &mut Machine,
    path: &str,
    request: &IoctlRequest,
) -> Result<IoctlResponse, ntbox::Error> {
    let client = Client::open(machine, path)?;
    let io = client.send(machine, request)?;
    client.finish(machine, io)
}

/// Like [`send_ioctl`] in two processes; the first request can be pending until the second.
fn send_ioctl_pair(
    machine: &mut Machine,
    path: &str,
    (first, second): (&IoctlRequest, &IoctlRequest),
) -> Result<(IoctlResponse, IoctlResponse), ntbox::Error> {
    let client = Client::open(machine, path)?;
    let io = client.send(machine, first)?;
    let second = send_ioctl(machine, path, second)?;
    Ok((client.finish(machine, io)?, second))
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
    /// The kernel of the started service.
    fn started(&mut self, action: &'static str) -> Result<&mut Machine, HostError> {
        match &mut self.service {
            ServiceState::Started(_, machine) => Ok(machine),
            _ => Err(state(action, "the service is not started")),
        }
    }
}

fn state(action: &'static str, reason: &'static str) -> HostError {
    HostError::State {
        host: NAME,
        action,
        reason,
    }
}

fn failed(action: &'static str, error: ntbox::Error) -> HostError {
    match error {
        ntbox::Error::Read { .. } | ntbox::Error::Image { .. } => {
            HostError::Image(error.to_string())
        }
        ntbox::Error::Config(message) => HostError::Options(message),
        ntbox::Error::Stopped | ntbox::Error::Host(_) => HostError::Failed {
            host: NAME,
            action,
            reason: error.to_string(),
        },
    }
}

impl Host for Ntbox {
    fn name(&self) -> &'static str {
        NAME
    }

    fn install(&mut self, service: &Service) -> Result<(), HostError> {
        service.check_name()?;
        let ServiceState::Empty = self.service else {
            return Err(state("install", "a service is installed already"));
        };
        self.log.clear();
        self.service = ServiceState::Installed(Box::new(self.config(service)));
        Ok(())
    }

    fn start(&mut self) -> Result<StartResult, HostError> {
        let config = match &self.service {
            ServiceState::Empty => return Err(state("start", "no service is installed")),
            ServiceState::Started(..) => {
                return Err(state("start", "the service is started already"));
            }
            ServiceState::Installed(config) => config.clone(),
        };
        let mut machine = Machine::boot(&config).map_err(|error| failed("load", error))?;
        let started = machine.start().map_err(|error| failed("start", error))?;
        self.service = ServiceState::Started(config, Box::new(machine));
        Ok(match started {
            Started::Status(status) => StartResult::from_status(status),
            Started::Stopped => StartResult::KernelStopped,
        })
    }

    fn stop(&mut self) -> Result<Findings, HostError> {
        match std::mem::take(&mut self.service) {
            ServiceState::Started(config, machine) => {
                self.service = ServiceState::Installed(config);
                let report = machine.finish().map_err(|error| failed("stop", error))?;
                self.log.extend(report.log.iter().map(LogLine::from));
                Ok(report.into())
            }
            other => {
                self.service = other;
                Err(state("stop", "the service is not started"))
            }
        }
    }

    fn remove(&mut self) -> Result<(), HostError> {
        match self.service {
            ServiceState::Empty => Err(state("remove", "no service is installed")),
            ServiceState::Started(..) => {
                Err(state("remove", "the service is started; stop it first"))
            }
            ServiceState::Installed(_) => {
                self.service = ServiceState::Empty;
                Ok(())
            }
        }
    }

    fn send_ioctl(
        &mut self,
        path: &str,
        request: &IoctlRequest,
    ) -> Result<IoctlResponse, HostError> {
        match send_ioctl(self.started("send a request to")?, path, request) {
            Err(ntbox::Error::Stopped) => Ok(IoctlResponse::KernelStopped),
            other => other.map_err(|error| failed("send a request to", error)),
        }
    }

    fn send_ioctl_pair(
        &mut self,
        path: &str,
        first: &IoctlRequest,
        second: &IoctlRequest,
    ) -> Result<(IoctlResponse, IoctlResponse), HostError> {
        match send_ioctl_pair(self.started("send a request to")?, path, (first, second)) {
            Err(ntbox::Error::Stopped) => {
                Ok((IoctlResponse::KernelStopped, IoctlResponse::KernelStopped))
            }
            other => other.map_err(|error| failed("send a request to", error)),
        }
    }

    fn output(&mut self) -> Result<Vec<LogLine>, HostError> {
        let mut lines = self.log.clone();
        if let ServiceState::Started(_, machine) = &self.service {
            lines.extend(machine.log().iter().map(LogLine::from));
        }
        Ok(lines)
    }
}

impl From<&ntbox::LogLine> for LogLine {
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
            calls: report.calls.into_iter().map(ExportCalls::from).collect(),
            unloaded: report.unloaded,
        }
    }
}

impl From<ntbox::BugCheck> for BugCheck {
    fn from(bug_check: ntbox::BugCheck) -> Self {
        let mut stack: Vec<CodeLocation> = bug_check
            .stack
            .into_iter()
            .map(CodeLocation::from)
            .collect();
        let location = bug_check.location.map(CodeLocation::from);
        if let Some(location) = location
            && stack.first() != Some(&location)
        {
            stack.insert(0, location);
        }
        Self {
            code: bug_check.code,
            parameters: bug_check.parameters,
            message: bug_check.message,
            stack,
        }
    }
}

impl From<ntbox::Violation> for Violation {
    fn from(violation: ntbox::Violation) -> Self {
        Self {
            rule: violation.rule,
            driver_verifier_code: violation.driver_verifier_code,
            message: violation.message,
            location: violation.location.map(CodeLocation::from),
        }
    }
}

impl From<ntbox::Location> for CodeLocation {
    fn from(location: ntbox::Location) -> Self {
        Self {
            module: location.module,
            offset: location.offset,
            symbol: location.symbol,
            source: location.source,
        }
    }
}

impl From<ntbox::CallCount> for ExportCalls {
    fn from(calls: ntbox::CallCount) -> Self {
        Self {
            export: calls.export,
            count: calls.count,
            can_fail: calls.can_fail,
        }
    }
}
