//! What a walk has done, for the log and for whoever asked for it.
//!
//! The log gets every address, because it is what a person at a debugger needs.
//! The report gets none, because it goes to a program.

use ntmem_ioctl::{WalkCheck, WalkProbe, WalkReply, WalkStage, WalkStep, WalkVerdict};
use wdm::{
    Error, Status,
    mdl::{MdlFlags, MdlHeader},
};

use crate::report::Scope;

/// The log's scope, and the report so far.
pub struct Journal {
    pub scope: Scope,
    report: WalkReply,
    steps: usize,
    checks: usize,
}

impl Journal {
    /// A journal without entries.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            report: WalkReply::default(),
            steps: 0,
            checks: 0,
        }
    }

    /// Notes a step that succeeded, with the MDL's flags after it if there is one.
    pub fn done(&mut self, stage: WalkStage, flags: Option<MdlFlags>) {
        self.note(stage, Status::SUCCESS, flags);
    }

    /// Notes and logs that a call failed during a step; returns its status.
    pub fn failed(&mut self, stage: WalkStage, error: &Error) -> Status {
        let status = self.scope.failed(stage.name(), error);
        self.note(stage, status, None);
        status
    }

    /// Notes what the MDL says of the block.
    pub fn described(&mut self, header: &MdlHeader) {
        self.report.mdl_size = header.size.into();
        self.report.byte_count = header.byte_count;
        self.report.byte_offset = header.byte_offset;
        self.done(WalkStage::Describe, Some(header.flags));
    }

    /// Notes that the MDL lists so many pages now.
    pub fn listed(&mut self, stage: WalkStage, flags: MdlFlags, pages: usize) {
        self.report.pages = narrow(pages);
        self.done(stage, Some(flags));
    }

    /// Notes a comparison; returns whether all was as it must be.
    pub fn check(&mut self, probe: WalkProbe, compared: usize, equal: usize) -> bool {
        if let Some(place) = self.report.checks.get_mut(self.checks) {
            *place = WalkCheck {
                probe: probe.number(),
                compared: narrow(compared),
                equal: narrow(equal),
            };
            self.checks = self.checks.saturating_add(1);
        }
        compared == equal
    }

    /// Notes the verdict.
    pub fn verdict(&mut self, verdict: WalkVerdict, status: Status) {
        self.report.verdict = verdict.number();
        self.note(WalkStage::Verdict, status, None);
    }

    /// The report of a walk that ended so.
    pub fn end(mut self, outcome: Result<(), Status>) -> WalkReply {
        self.report.status = outcome.err().unwrap_or(Status::SUCCESS).code();
        self.report
    }

    fn note(&mut self, stage: WalkStage, status: Status, flags: Option<MdlFlags>) {
        if let Some(place) = self.report.steps.get_mut(self.steps) {
            *place = WalkStep {
                stage: stage.number(),
                status: status.code(),
                flags: flags.map_or(0, |flags| flags.bits().into()),
            };
            self.steps = self.steps.saturating_add(1);
        }
    }
}

/// A count in the protocol's 32 bits. Blocks are far smaller.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
