//! Records the steps and checks of a scenario in the log and in the reply.
//!
//! The log contains addresses, for use in a debugger. The reply contains none,
//! because it goes to a program.

use ntmem_ioctl::{
    ScenarioCheck, ScenarioCheckResult, ScenarioReply, ScenarioStep, ScenarioStepResult,
    ScenarioVerdict,
};
use wdm::{
    Error, Status,
    mdl::{MdlFlags, MdlHeader},
};

use crate::log::Scope;

/// The log scope and the reply of a running scenario.
pub struct Record {
    pub scope: Scope,
    report: ScenarioReply,
    steps: usize,
    checks: usize,
}

impl Record {
    /// An empty record.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            report: ScenarioReply::default(),
            steps: 0,
            checks: 0,
        }
    }

    /// Records a successful step with the MDL's flags, if there is an MDL.
    pub fn done(&mut self, step: ScenarioStep, flags: Option<MdlFlags>) {
        self.push_step(step, Status::SUCCESS, flags);
    }

    /// Records and logs a failed call; returns its status.
    pub fn failed(&mut self, step: ScenarioStep, error: &Error) -> Status {
        let status = self.scope.failed(step.name(), error);
        self.push_step(step, status, None);
        status
    }

    /// Records the header of the allocated MDL.
    pub fn mdl_allocated(&mut self, header: &MdlHeader) {
        self.report.mdl_size = header.size.into();
        self.report.byte_count = header.byte_count;
        self.report.byte_offset = header.byte_offset;
        self.done(ScenarioStep::AllocateMdl, Some(header.flags));
    }

    /// Records the number of pages that the MDL lists.
    pub fn pages_listed(&mut self, step: ScenarioStep, flags: MdlFlags, pages: usize) {
        self.report.pages = to_u32(pages);
        self.done(step, Some(flags));
    }

    /// Records a check; returns whether everything was equal.
    pub fn check(&mut self, check: ScenarioCheck, compared: usize, equal: usize) -> bool {
        if let Some(slot) = self.report.checks.get_mut(self.checks) {
            *slot = ScenarioCheckResult {
                check: check.number(),
                compared: to_u32(compared),
                equal: to_u32(equal),
            };
            self.checks = self.checks.saturating_add(1);
        }
        compared == equal
    }

    /// Records the verdict.
    pub fn verdict(&mut self, verdict: ScenarioVerdict, status: Status) {
        self.report.verdict = verdict.number();
        self.push_step(ScenarioStep::Verdict, status, None);
    }

    /// The reply of a scenario with this result.
    pub fn finish(mut self, result: Result<(), Status>) -> ScenarioReply {
        self.report.status = result.err().unwrap_or(Status::SUCCESS).code();
        self.report
    }

    fn push_step(&mut self, step: ScenarioStep, status: Status, flags: Option<MdlFlags>) {
        if let Some(slot) = self.report.steps.get_mut(self.steps) {
            *slot = ScenarioStepResult {
                step: step.number(),
                status: status.code(),
                flags: flags.map_or(0, |flags| flags.bits().into()),
            };
            self.steps = self.steps.saturating_add(1);
        }
    }
}

/// A count as the reply's 32 bits. Blocks are far smaller.
fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
