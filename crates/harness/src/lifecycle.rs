//! A driver's whole life on a host, in the order in which a person does it with
//! `sc`: create, start, stop, delete. Whatever goes wrong on the way, what was
//! done is undone.

use serde::Serialize;

use crate::host::{Host, HostError, Service};
use crate::record::{Findings, Line, Start};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// How the start ended.
    #[serde(flatten)]
    pub start: Start,
    /// Everything that was logged, up to the unload.
    pub log: Vec<Line>,
    /// What the host found.
    pub findings: Findings,
}

impl Run {
    /// The status that DriverEntry returned, if it did.
    #[must_use]
    pub fn status(&self) -> Option<u32> {
        match self.start {
            Start::Running(status) | Start::Refused(status) => Some(status),
            Start::Stopped => None,
        }
    }

    /// The texts of the log, shown or not.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.log.iter().map(|line| line.text.as_str())
    }
}

/// Installs, starts, stops and removes `service`.
///
/// # Errors
///
/// When the host fails; the service is removed all the same.
pub fn run(host: &mut dyn Host, service: &Service) -> Result<Run, HostError> {
    host.install(service)?;
    let run = start_and_stop(host);
    let removed = host.remove();
    let run = run?;
    removed.map(|()| run)
}

fn start_and_stop(host: &mut dyn Host) -> Result<Run, HostError> {
    let start = host.start()?;
    let findings = host.stop()?;
    let log = host.output()?;
    Ok(Run {
        start,
        log,
        findings,
    })
}
