//! What watching costs: a whole run, and what drivers do most, in each mode against
//! the same without checks.
//!
//! Every number is a ratio of times that were measured one after the other, in turns,
//! so that a machine which is busy now and then spoils few of them; the least of the
//! times stands for each. `NTMEM_SYS` names the driver `ntmem.sys`; without it that
//! column is left out.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ntbox::{Config, Guard, Instrument, Machine, Operation, Verify};

#[path = "../tests/common/mod.rs"]
mod common;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/requests.c");
const DEVICE: &str = r"\Device\NtboxBench";
/// How often everything is measured.
const TURNS: u32 = 15;

/// What is repeated in the kernel: a name, a control code, and how often.
const REQUESTS: [(&str, u32, u64); 4] = [
    ("request, METHOD_BUFFERED", code(0, 0), 2000),
    ("request, METHOD_NEITHER", code(0, 3), 500),
    ("1000 times: lock, map, unmap, unlock", code(1, 0), 5),
    ("1000 times: another thread and back", code(2, 0), 5),
];

/// A control code of the driver.
const fn code(function: u32, method: u32) -> u32 {
    0x8000_0000 | (0x800 + function) << 2 | method
}

/// A way to run a driver.
type Mode = (&'static str, fn(Config) -> Config);

const MODES: [Mode; 7] = [
    ("without checks", |config| config),
    ("`--verify`", |config| config.verify(Verify::Standard)),
    ("`--verify --guard before`", |config| {
        config.verify(Verify::Standard).guard(Guard::Before)
    }),
    ("`--instrument plain`", |config| {
        config.instrument(Instrument::Plain)
    }),
    ("`--verify --instrument memory`", |config| {
        config
            .verify(Verify::Standard)
            .instrument(Instrument::Memory)
    }),
    ("as `sweep` runs it", |config| Config {
        list_faults: true,
        ..config
    }),
    ("`--schedule 1`", |config| config.schedule(1)),
];

fn main() -> ExitCode {
    let small = common::with_gcc("CLEAN");
    let calls = common::with_gcc_and("CALLS", &["-DTIMES=100000"]);
    let device = common::with_gcc_from(SOURCE, &[]);
    let (Some(small), Some(calls), Some(device)) = (small, calls, device) else {
        println!("nothing is measured: there is no compiler for the drivers");
        return ExitCode::SUCCESS;
    };
    let mut runs = vec![
        ("a run of a small driver", small.image.clone()),
        ("a run with 100,000 calls", calls.image.clone()),
    ];
    match std::env::var_os("NTMEM_SYS") {
        Some(path) => runs.push(("a run of `ntmem.sys`", path.into())),
        None => println!("ntmem.sys is left out: NTMEM_SYS does not say where it is"),
    }
    let columns: Vec<&str> = runs
        .iter()
        .map(|(name, _)| *name)
        .chain(REQUESTS.iter().map(|(name, ..)| *name))
        .collect();
    let mut least = vec![vec![Duration::MAX; columns.len()]; MODES.len()];
    for _ in 0..TURNS {
        for (times, (_, mode)) in least.iter_mut().zip(MODES) {
            let measured = measure(&runs, &device.image, mode);
            for (time, now) in times.iter_mut().zip(measured) {
                *time = now.min(*time);
            }
        }
    }
    table(&columns, &least);
    ExitCode::SUCCESS
}

/// The times of everything in one mode.
fn measure(
    runs: &[(&str, PathBuf)],
    device: &PathBuf,
    mode: fn(Config) -> Config,
) -> Vec<Duration> {
    let whole = runs.iter().map(|(name, image)| {
        let start = Instant::now();
        let report = ntbox::run(&mode(Config::new(image))).expect("the driver is run");
        let elapsed = start.elapsed();
        assert!(report.clean(), "{name}:\n{}", report.text());
        elapsed
    });
    let mut times: Vec<Duration> = whole.collect();
    times.extend(requests(&mode(Config::new(device))));
    times
}

/// How long the kernel takes for each of the requests.
fn requests(config: &Config) -> Vec<Duration> {
    let mut machine = Machine::boot(config).expect("a kernel");
    machine.start().expect("the driver starts");
    let process = machine.process("bench.exe").expect("a process");
    let open = Operation::Open {
        path: DEVICE.to_owned(),
        access: 0xc000_0000,
    };
    let opened = machine.call(process, open).expect("an answer");
    let handle = opened.handle.expect("the device opens");
    let mut times = Vec::new();
    for (name, code, count) in REQUESTS {
        let operation = Operation::Repeat {
            handle,
            code,
            input: vec![0; 64],
            output_length: 64,
            count,
        };
        let reply = machine.call(process, operation).expect("an answer");
        assert_eq!(reply.status, nt_status::STATUS_SUCCESS, "{name}");
        times.push(Duration::from_nanos(reply.information));
    }
    let closed = machine.call(process, Operation::Close { handle });
    closed.expect("an answer");
    machine.finish().expect("the driver is unloaded");
    times
}

/// Prints the ratios, in the form of the guide's table.
fn table(columns: &[&str], least: &[Vec<Duration>]) {
    let modes = MODES.iter().skip(1);
    let names: Vec<&str> = modes.map(|(name, _)| *name).collect();
    println!("| against no checks | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    let Some((without, with)) = least.split_first() else {
        return;
    };
    for (n, column) in columns.iter().enumerate() {
        let ratios: Vec<String> = with
            .iter()
            .map(|times| format!("{:.1}", times[n].as_secs_f64() / without[n].as_secs_f64()))
            .collect();
        println!("| {column} | {} |", ratios.join(" | "));
    }
}
