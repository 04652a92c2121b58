//! Checks a log that was saved elsewhere: each life of the driver in it against
//! what the driver promises.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use driver_harness::host::Service;
use driver_harness::logs;
use driver_harness::promise;
use driver_harness::record::Start;
use driver_harness::saved::{self, Life};
use driver_harness::verdict::{Check, Verdict};
use serde_json::json;

use crate::args::CheckLog;
use crate::{Failure, show, show_failure};

/// A life of the driver, and what comparing it came to.
pub struct Checked {
    pub life: Life,
    pub check: Check,
    pub verdict: Verdict,
}

/// Checks a log; the worst verdict decides the exit status.
pub fn check_and_show(args: &CheckLog) -> (io::Result<()>, u8) {
    match check(args) {
        Ok(lives) => {
            let exit = worst(&lives).map_or(1, Verdict::exit_status);
            let shown = if args.json {
                show::print(&json(&lives, exit))
            } else {
                show::lives(&args.file, &lives)
            };
            (shown, exit)
        }
        Err(failure) => show_failure(&failure, args.json),
    }
}

/// The bytes of a log, which may come through a pipe, but has an end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    /// 256 MiB.
    const LIMIT: u64 = 256 << 20;
    let mut bytes = Vec::new();
    File::open(path)?.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        let what = format!("it has more than {LIMIT} bytes, which are the limit");
        return Err(io::Error::other(what));
    }
    Ok(bytes)
}

fn check(args: &CheckLog) -> Result<Vec<Checked>, Failure> {
    let bytes = read(&args.file).map_err(|error| {
        Failure::Unreadable(format!("{} cannot be read: {error}", args.file.display()))
    })?;
    let lives = saved::lives(&logs::lines(&logs::decode(&bytes)));
    Ok(lives
        .into_iter()
        .map(|life| {
            let check = compare(args, &life);
            let verdict = Verdict::of(&life.run, &check);
            Checked {
                life,
                check,
                verdict,
            }
        })
        .collect())
}

fn compare(args: &CheckLog, life: &Life) -> Check {
    let skipped = |reason: &str| Check::Skipped {
        reason: reason.to_owned(),
    };
    if life.run.start == Start::Stopped {
        return skipped("the log ends before DriverEntry returned");
    }
    // The script for the driver of this project, whatever its file was called.
    let mut service = Service::new("ntmem.sys");
    service.parameters = match &life.parameters {
        _ if !args.parameters.is_empty() => args.parameters.clone(),
        Some(parameters) => parameters.clone(),
        None => {
            return skipped("the log does not say which parameters were set; --param does");
        }
    };
    promise::of(&service, &life.run).map_or_else(
        || skipped("nothing is promised for such an end"),
        |script| Check::of(&life.run, &script),
    )
}

/// What weighs most, over all lives; `None` for a log without any.
pub fn worst(lives: &[Checked]) -> Option<Verdict> {
    let rank = |verdict: &Verdict| match verdict {
        Verdict::KernelStopped => 4,
        Verdict::Violations => 3,
        Verdict::CheckFailed => 2,
        Verdict::Refused => 1,
        Verdict::Passed => 0,
    };
    lives.iter().map(|life| life.verdict).max_by_key(rank)
}

fn json(lives: &[Checked], exit: u8) -> serde_json::Value {
    let lives: Vec<_> = lives
        .iter()
        .map(|checked| {
            json!({
                "run": checked.life.run,
                "asked": checked.life.asked,
                "check": checked.check,
                "verdict": checked.verdict,
            })
        })
        .collect();
    json!({ "lives": lives, "exit_status": exit })
}
