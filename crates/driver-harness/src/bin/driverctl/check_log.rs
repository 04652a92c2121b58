//! `driverctl check`: compares each session of `ntmem` in a saved log with the expected
//! log.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use driver_harness::expectations;
use driver_harness::host::Service;
use driver_harness::logs;
use driver_harness::offline::{self, DriverSession};
use driver_harness::record::StartResult;
use driver_harness::verdict::{LogCheck, verdict};
use ntbox_api::{ExitStatus, Verdict};
use serde_json::json;

use crate::args::CheckLog;
use crate::{CommandResult, Failure, output, print_failure};

/// A session, and the result of its check.
pub struct CheckedSession {
    pub session: DriverSession,
    pub check: LogCheck,
    pub verdict: Verdict,
}

/// Checks a log; the most severe verdict determines the exit status.
pub fn check_and_print(args: &CheckLog) -> CommandResult {
    match check(args) {
        Ok(sessions) => {
            let exit = worst(&sessions).map_or(ExitStatus::LogMismatch, Verdict::exit_status);
            let written = if args.json {
                output::print_json(&json(&sessions, exit))
            } else {
                output::sessions(&args.file, &sessions)
            };
            (written, exit)
        }
        Err(failure) => print_failure(&failure, args.json),
    }
}

/// Reads a log, up to a size limit: the path can be a pipe.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    const LIMIT: u64 = 256 << 20;
    let mut bytes = Vec::new();
    File::open(path)?.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        let message = format!("it has more than {LIMIT} bytes, which is the maximum");
        return Err(io::Error::other(message));
    }
    Ok(bytes)
}

fn check(args: &CheckLog) -> Result<Vec<CheckedSession>, Failure> {
    let bytes = read(&args.file).map_err(|error| {
        Failure::Unreadable(format!("{} cannot be read: {error}", args.file.display()))
    })?;
    let sessions = offline::sessions(&logs::parse(&logs::decode(&bytes)));
    Ok(sessions
        .into_iter()
        .map(|session| {
            let check = compare(args, &session);
            let verdict = match verdict(&session.run, &check) {
                // The log does not tell whether the driver can be unloaded.
                Verdict::NoUnloadRoutine => Verdict::Clean,
                other => other,
            };
            CheckedSession {
                session,
                check,
                verdict,
            }
        })
        .collect())
}

fn compare(args: &CheckLog, session: &DriverSession) -> LogCheck {
    let skipped = |reason: &str| LogCheck::Skipped {
        reason: reason.to_owned(),
    };
    if session.run.start == StartResult::KernelStopped {
        return skipped("the log ends before DriverEntry returned");
    }
    // The log does not have the name of the image.
    let mut service = Service::new("ntmem.sys");
    service.parameters = match &session.parameters {
        _ if !args.parameters.is_empty() => args.parameters.clone(),
        Some(parameters) => parameters.clone(),
        None => return skipped("the log does not have the parameters; pass them with --param"),
    };
    expectations::expected_log(&service, &session.run).map_or_else(
        || skipped("this result has no expected log"),
        |expected| LogCheck::of(&session.run, &expected),
    )
}

/// The most severe verdict; `None` for a log without sessions.
pub fn worst(sessions: &[CheckedSession]) -> Option<Verdict> {
    sessions.iter().map(|session| session.verdict).min()
}

fn json(sessions: &[CheckedSession], exit: ExitStatus) -> serde_json::Value {
    let sessions: Vec<_> = sessions
        .iter()
        .map(|checked| {
            json!({
                "run": checked.session.run,
                "requested_lines": checked.session.requested_lines,
                "check": checked.check,
                "verdict": checked.verdict,
            })
        })
        .collect();
    json!({ "sessions": sessions, "exit_status": exit })
}
