//! Compares the log of a run with the expected log, and derives the verdict on a run.

use ntbox_api::Verdict;
use serde::Serialize;

use crate::logmatch::{ExpectedLog, Mismatch};
use crate::record::StartResult;
use crate::service_run::ServiceRun;

/// The result of comparing a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum LogCheck {
    /// The log is the expected one.
    Passed {
        /// Number of lines.
        lines: usize,
    },
    /// The log differs.
    Failed {
        /// The first difference.
        mismatch: Box<Mismatch>,
    },
    /// The log was not compared.
    Skipped {
        /// The reason.
        reason: String,
    },
}

impl LogCheck {
    /// Compares the log of `run` with `expected`.
    #[must_use]
    pub fn of(run: &ServiceRun, expected: &ExpectedLog) -> Self {
        match expected.check(&run.log) {
            Ok(_) => Self::Passed {
                lines: run.log.len(),
            },
            Err(mismatch) => Self::Failed { mismatch },
        }
    }
}

/// The verdict on a run whose log had this result.
#[must_use]
pub fn verdict(run: &ServiceRun, check: &LogCheck) -> Verdict {
    if run.findings.bug_check.is_some() || run.start == StartResult::KernelStopped {
        Verdict::BugCheck
    } else if !run.findings.violations.is_empty() {
        Verdict::Violations
    } else if matches!(check, LogCheck::Failed { .. }) {
        Verdict::LogMismatch
    } else if matches!(run.start, StartResult::EntryFailed(_)) {
        Verdict::EntryFailed
    } else if run.findings.unloaded {
        Verdict::Clean
    } else {
        Verdict::NoUnloadRoutine
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logmatch::line;
    use crate::record::{BugCheck, Findings, LogLine, Violation};

    fn verdict_of(start: StartResult, findings: &Findings, text: &str) -> Verdict {
        let run = ServiceRun {
            start,
            log: vec![LogLine::from_text(text)],
            findings: findings.clone(),
        };
        let check = LogCheck::of(&run, &ExpectedLog::new(line("right")));
        verdict(&run, &check)
    }

    #[test]
    fn verdict_is_the_most_severe_result() {
        let unloaded = Findings {
            unloaded: true,
            ..Findings::default()
        };
        let broken = Findings {
            violations: vec![Violation {
                rule: "pool-leak".to_owned(),
                driver_verifier_code: None,
                message: String::new(),
                location: None,
            }],
            ..unloaded.clone()
        };
        let stopped = Findings {
            bug_check: Some(BugCheck {
                code: 0x50,
                parameters: [0; 4],
                message: String::new(),
                stack: Vec::new(),
            }),
            ..broken.clone()
        };
        let loaded = Findings::default();
        let running = StartResult::Running(0);
        let failed = StartResult::EntryFailed(nt_status::STATUS_UNSUCCESSFUL);
        for (start, findings, text, expected) in [
            (running, &stopped, "right", Verdict::BugCheck),
            (
                StartResult::KernelStopped,
                &loaded,
                "right",
                Verdict::BugCheck,
            ),
            (running, &broken, "wrong", Verdict::Violations),
            (failed, &loaded, "wrong", Verdict::LogMismatch),
            (failed, &loaded, "right", Verdict::EntryFailed),
            (running, &loaded, "right", Verdict::NoUnloadRoutine),
            (running, &unloaded, "right", Verdict::Clean),
        ] {
            assert_eq!(verdict_of(start, findings, text), expected);
        }
    }
}
