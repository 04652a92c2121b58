//! One word for a whole run, and the exit status that goes with it. What weighs
//! most decides: a stopped kernel over a broken rule, that over a log that is
//! not as promised, that over a driver which refused to start.

use std::fmt;

use serde::Serialize;

use crate::lifecycle::Run;
use crate::record::Start;
use crate::transcript::{Mismatch, Script};

/// What comparing the log came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum Check {
    /// The log is what was promised, line by line.
    Passed {
        /// Number of lines.
        lines: usize,
    },
    /// It is not.
    Failed {
        /// The first place where it is not.
        mismatch: Box<Mismatch>,
    },
    /// It was not compared.
    Skipped {
        /// Why not.
        reason: String,
    },
}

impl Check {
    /// Compares the log of `run` with `script`.
    #[must_use]
    pub fn of(run: &Run, script: &Script) -> Self {
        match script.check(&run.log) {
            Ok(_) => Self::Passed {
                lines: run.log.len(),
            },
            Err(mismatch) => Self::Failed { mismatch },
        }
    }
}

/// How a run ended, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The kernel stopped: a bug check, a crash, a hang.
    KernelStopped,
    /// The driver broke rules or left something behind.
    Violations,
    /// The log is not what was promised.
    CheckFailed,
    /// DriverEntry returned a failure.
    Refused,
    /// None of these.
    Passed,
}

impl Verdict {
    /// The verdict on a run.
    #[must_use]
    pub fn of(run: &Run, check: &Check) -> Self {
        if run.findings.bug_check.is_some() || run.start == Start::Stopped {
            Self::KernelStopped
        } else if !run.findings.violations.is_empty() {
            Self::Violations
        } else if matches!(check, Check::Failed { .. }) {
            Self::CheckFailed
        } else if matches!(run.start, Start::Refused(_)) {
            Self::Refused
        } else {
            Self::Passed
        }
    }

    /// The exit status of a program that reports this verdict. 2 is for wrong
    /// usage, 6 and 7 for runs that never came to a verdict.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::CheckFailed => 1,
            Self::Refused => 3,
            Self::KernelStopped => 4,
            Self::Violations => 5,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KernelStopped => "the kernel stopped",
            Self::Violations => "rules were broken",
            Self::CheckFailed => "the log is not what was promised",
            Self::Refused => "the driver refused to start",
            Self::Passed => "passed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BugCheck, Findings, Line, Violation};
    use crate::transcript::line;

    fn verdict(start: Start, findings: Findings, text: &str) -> Verdict {
        let run = Run {
            start,
            log: vec![Line::from_text(text)],
            findings,
        };
        Verdict::of(&run, &Check::of(&run, &Script::new(line("right"))))
    }

    #[test]
    fn what_weighs_most_decides() {
        let stop = || Findings {
            bug_check: Some(BugCheck {
                code: 0x50,
                parameters: [0; 4],
                what: String::new(),
                stack: Vec::new(),
            }),
            violations: vec![violation()],
            ..Findings::default()
        };
        let broken = || Findings {
            violations: vec![violation()],
            ..Findings::default()
        };
        let (running, refused) = (Start::Running(0), Start::Refused(0xC000_0001));
        assert_eq!(verdict(running, stop(), "right"), Verdict::KernelStopped);
        assert_eq!(
            verdict(Start::Stopped, Findings::default(), "right"),
            Verdict::KernelStopped
        );
        assert_eq!(verdict(running, broken(), "wrong"), Verdict::Violations);
        assert_eq!(
            verdict(refused, Findings::default(), "wrong"),
            Verdict::CheckFailed
        );
        assert_eq!(
            verdict(refused, Findings::default(), "right"),
            Verdict::Refused
        );
        assert_eq!(
            verdict(running, Findings::default(), "right"),
            Verdict::Passed
        );
    }

    fn violation() -> Violation {
        Violation {
            rule: "pool-leak".to_owned(),
            verifier: None,
            what: String::new(),
            place: None,
        }
    }

    #[test]
    fn each_verdict_has_its_exit_status() {
        use Verdict::{CheckFailed, KernelStopped, Passed, Refused, Violations};
        let all = [KernelStopped, Violations, CheckFailed, Refused, Passed];
        let statuses = all.map(Verdict::exit_status);
        assert_eq!(statuses, [4, 5, 1, 3, 0]);
    }
}
