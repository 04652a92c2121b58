//! What a run costs: process, kernel, loading, DriverEntry, DriverUnload, report;
//! and what one call into the kernel costs.
//!
//! Times mean little by themselves, on machines that differ and are busy. Beside
//! them stand the floor, a process that is started and ends at once, measured in
//! the same minute, and the processor time, which a busy machine changes least.
//! `NTMEM_SYS` names the driver `ntmem.sys`; without it that measurement is left
//! out, which the output says.

#![expect(unsafe_code, reason = "processor time is read with `getrusage`")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use criterion::Criterion;

#[path = "../tests/common/mod.rs"]
mod common;

/// The argument that makes this program the empty process.
const EMPTY: &str = "--exit-at-once";
/// Name of the group, and of what is in it.
const GROUP: &str = "run";
const FLOOR: &str = "empty process";
const SMALL: &str = "small driver";
const CALLS: &str = "a million kernel calls";
const NTMEM: &str = "ntmem.sys";

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == EMPTY) {
        return ExitCode::SUCCESS;
    }
    let results = Path::new(env!("CARGO_TARGET_TMPDIR")).join("criterion");
    let mut criterion = Criterion::default()
        .output_directory(&results)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .configure_from_args();
    let subjects = subjects();
    let mut group = criterion.benchmark_group(GROUP);
    for (name, subject) in &subjects {
        group.bench_function(*name, |bencher| bencher.iter(|| subject.run()));
    }
    group.finish();
    criterion.final_summary();
    summary(&results.join(GROUP), &subjects);
    ExitCode::SUCCESS
}

fn empty_process() {
    let status = Command::new("/proc/self/exe")
        .arg(EMPTY)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .expect("an empty process");
    assert!(status.success(), "{status}");
}

fn run(image: &Path) {
    let report = ntbox::run(&ntbox::Config::new(image)).expect("the driver is run");
    assert!(report.clean(), "{}", report.text());
}

/// What is measured.
enum Subject {
    Floor,
    Built(common::Driver),
    Given(PathBuf),
}

impl Subject {
    fn run(&self) {
        match self {
            Self::Floor => empty_process(),
            Self::Built(driver) => run(&driver.image),
            Self::Given(image) => run(image),
        }
    }
}

/// What there is to measure, and a word on what there is not.
fn subjects() -> Vec<(&'static str, Subject)> {
    let mut list = vec![(FLOOR, Subject::Floor)];
    if let Some(driver) = common::with_gcc("CLEAN") {
        list.push((SMALL, Subject::Built(driver)));
    }
    if let Some(driver) = common::with_gcc_and("CALLS", &["-DTIMES=1000000"]) {
        list.push((CALLS, Subject::Built(driver)));
    }
    match std::env::var_os("NTMEM_SYS") {
        Some(path) => list.push((NTMEM, Subject::Given(path.into()))),
        None => println!("{NTMEM} is left out: the variable NTMEM_SYS does not say where it is"),
    }
    list
}

/// A line of the summary, in milliseconds.
struct Row {
    name: &'static str,
    median: f64,
    processor: f64,
}

/// Prints what was measured beside the floor.
fn summary(results: &Path, subjects: &[(&'static str, Subject)]) {
    let rows: Vec<Row> = subjects
        .iter()
        .filter_map(|(name, subject)| {
            let median = median(&results.join(name))? / 1e6;
            Some(Row {
                name,
                median,
                processor: processor_time(subject),
            })
        })
        .collect();
    let find = |wanted: &str| rows.iter().find(|row| row.name == wanted);
    println!(
        "{:<24} {:>10} {:>12} {:>14} {:>12}",
        "", "median/ms", "of the floor", "processor/ms", "of the floor"
    );
    for row in &rows {
        let ratio = |value: f64, floor: fn(&Row) -> f64| {
            find(FLOOR).map_or_else(
                || "?".to_owned(),
                |row| format!("{:.2}", value / floor(row)),
            )
        };
        println!(
            "{:<24} {:>10.3} {:>12} {:>14.3} {:>12}",
            row.name,
            row.median,
            ratio(row.median, |floor| floor.median),
            row.processor,
            ratio(row.processor, |floor| floor.processor),
        );
    }
    if let (Some(with), Some(without)) = (find(CALLS), find(SMALL)) {
        // Milliseconds for a million are nanoseconds for one.
        println!(
            "{:<24} {:>10.1} ns of processor time",
            "one kernel call",
            with.processor - without.processor
        );
    }
}

/// Processor time of a run in milliseconds, that of both processes.
fn processor_time(subject: &Subject) -> f64 {
    const RUNS: u32 = 50;
    let before = processor_time_so_far();
    for _ in 0..RUNS {
        subject.run();
    }
    (processor_time_so_far() - before) / f64::from(RUNS)
}

/// Processor time of this process and its children that have ended.
fn processor_time_so_far() -> f64 {
    let time = |whose| {
        // SAFETY: all zero is a valid value of this plain structure.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the structure is valid for the call.
        let result = unsafe { libc::getrusage(whose, &raw mut usage) };
        assert_eq!(result, 0, "getrusage failed");
        let milliseconds = |time: libc::timeval| {
            Duration::new(time.tv_sec.unsigned_abs(), 0).as_secs_f64() * 1e3
                + Duration::from_micros(time.tv_usec.unsigned_abs()).as_secs_f64() * 1e3
        };
        milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime)
    };
    time(libc::RUSAGE_SELF) + time(libc::RUSAGE_CHILDREN)
}

/// The median that criterion has written down, in nanoseconds; `None` if this
/// benchmark was not asked for.
fn median(folder: &Path) -> Option<f64> {
    let file = std::fs::read(folder.join("new/estimates.json")).ok()?;
    let estimates: serde_json::Value = serde_json::from_slice(&file).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}
