//! `ntbox sweep`: every call that may fail is made to fail, once for each call
//! stack that leads to it, each time in a fresh run.
//!
//! A run in which a call fails goes new ways and makes new calls; they get their
//! turn in runs in which the call before fails too. A generation of runs goes on
//! in parallel, and its results are taken in order, so the outcome is always the
//! same.

use std::collections::HashSet;
use std::io::{self, IsTerminal as _, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::{Config, Error, Fault, FaultPoint, Location, Report, Verdict};
use serde::Serialize;

use super::args::Sweep;
use super::ioctl;

/// A run in which calls failed.
#[derive(Debug, Serialize)]
pub struct Failed {
    /// The calls; the last is the one that this run is about.
    pub faults: Vec<Fault>,
    /// The call stack of that one.
    pub stack: Vec<Location>,
    /// What the run came to, by its stable name.
    pub verdict: &'static str,
    /// The run.
    pub report: Report,
}

impl Failed {
    /// Whether the driver bore it.
    pub fn is_well(&self) -> bool {
        !matches!(
            self.report.verdict(),
            Verdict::BugCheck | Verdict::Violations
        )
    }

    /// The calls, for a person.
    pub fn name(&self) -> String {
        let calls = self.faults.iter();
        let calls: Vec<String> = calls
            .map(|fault| format!("{}:{}", fault.export, fault.nth))
            .collect();
        calls.join(", ")
    }
}

/// All runs of a sweep.
#[derive(Debug, Serialize)]
pub struct Swept {
    /// The run in which nothing was made to fail.
    #[serde(skip)]
    pub first: Report,
    /// The others, in the order in which they came up.
    pub runs: Vec<Failed>,
}

impl Swept {
    /// The runs that the driver did not bear.
    pub fn bad(&self) -> impl Iterator<Item = &Failed> {
        self.runs.iter().filter(|run| !run.is_well())
    }
}

/// What a run is to be.
struct Job {
    faults: Vec<Fault>,
    stack: Vec<Location>,
}

/// What makes two calls the same.
type Key = (String, Vec<(String, u64)>);

fn key(point: &FaultPoint) -> Key {
    let places = point.stack.iter();
    let places = places.map(|place| (place.module.clone(), place.offset));
    (point.export.clone(), places.collect())
}

/// Runs the driver once as it is, and once for each call stack.
pub fn run(args: &Sweep) -> Result<Swept, Error> {
    let mut config = args.run.config();
    config.list_faults = true;
    let mut first = once(args, &config)?;
    let mut seen = HashSet::new();
    let mut jobs = next_jobs(&mut first, &config.faults, &mut seen);
    let mut runs = Vec::new();
    let progress = Progress::new();
    while !jobs.is_empty() {
        progress.expect(runs.len() + jobs.len());
        let reports = generation(args, &config, &jobs, &progress);
        let mut next = Vec::new();
        for (job, report) in jobs.into_iter().zip(reports) {
            let mut report = report?;
            next.extend(next_jobs(&mut report, &job.faults, &mut seen));
            runs.push(Failed {
                faults: job.faults,
                stack: job.stack,
                verdict: report.verdict().name(),
                report,
            });
        }
        jobs = next;
    }
    progress.end();
    Ok(Swept { first, runs })
}

/// The runs that a run gives rise to: its own faults and one of its calls that was
/// not seen before. Takes the calls out of the report.
fn next_jobs(report: &mut Report, faults: &[Fault], seen: &mut HashSet<Key>) -> Vec<Job> {
    let points = std::mem::take(&mut report.fault_points);
    let new = points.into_iter().filter(|point| seen.insert(key(point)));
    new.map(|point| {
        let mut faults = faults.to_vec();
        faults.push(Fault {
            export: point.export,
            nth: point.nth,
        });
        Job {
            faults,
            stack: point.stack,
        }
    })
    .collect()
}

fn once(args: &Sweep, config: &Config) -> Result<Report, Error> {
    match &args.device {
        Some(device) => ioctl::session(config, device, &args.requests).map(|done| done.report),
        None => crate::run(config),
    }
}

/// Runs all jobs, as many at a time as there are processors.
fn generation(
    args: &Sweep,
    config: &Config,
    jobs: &[Job],
    progress: &Progress,
) -> Vec<Result<Report, Error>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(jobs.len()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(number) else { return };
            let config = Config {
                faults: job.faults.clone(),
                ..config.clone()
            };
            let result = once(args, &config);
            progress.step();
            let mut done = done
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            done.push((number, result));
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers.min(jobs.len()) {
            scope.spawn(work);
        }
    });
    let mut done = done
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// How far it is, for whoever watches: only on a terminal.
struct Progress {
    shown: bool,
    done: AtomicUsize,
    expected: AtomicUsize,
}

impl Progress {
    fn new() -> Self {
        Self {
            shown: io::stderr().is_terminal(),
            done: AtomicUsize::new(0),
            expected: AtomicUsize::new(0),
        }
    }

    fn expect(&self, runs: usize) {
        self.expected.store(runs, Ordering::Relaxed);
    }

    fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.shown {
            let expected = self.expected.load(Ordering::Relaxed);
            // Who cannot be shown it misses nothing.
            let _ = write!(io::stderr(), "\r{done} of {expected} runs\x1b[K");
        }
    }

    fn end(&self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(export: &str, nth: u32, offset: u64) -> FaultPoint {
        FaultPoint {
            export: export.to_owned(),
            nth,
            stack: vec![Location::new("a.sys", offset)],
        }
    }

    fn report(points: Vec<FaultPoint>) -> Report {
        let json = r#"{"image":{"name":"a.sys","base":"0x0","size":0},"entry_status":null,
            "unloaded":false,"log":[],"bug_check":null,"violations":[],"verify":"off",
            "guard":"after","ignored_rules":[],"schedule":null,"calls":[],
            "fault_points":[],"notes":[]}"#;
        let mut report: Report = serde_json::from_str(json).expect("it is a report");
        report.fault_points = points;
        report
    }

    #[test]
    fn points_are_one_per_call_stack() {
        let mut seen = HashSet::new();
        let points = vec![
            point("A", 1, 1),
            point("A", 2, 2),
            point("B", 1, 1),
            point("A", 3, 1),
        ];
        let jobs = next_jobs(&mut report(points), &[], &mut seen);
        let names: Vec<_> = jobs
            .iter()
            .map(|job| (job.faults[0].export.as_str(), job.faults[0].nth))
            .collect();
        assert_eq!(names, [("A", 1), ("A", 2), ("B", 1)]);
        let again = vec![point("A", 1, 1), point("C", 1, 7)];
        let jobs = next_jobs(&mut report(again), &jobs[0].faults, &mut seen);
        assert_eq!(jobs.len(), 1);
        let exports: Vec<_> = jobs[0].faults.iter().map(|fault| &fault.export).collect();
        assert_eq!(exports, ["A", "C"]);
    }
}
