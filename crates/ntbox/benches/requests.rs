//! What drivers do most, measured inside the kernel process: a control request by
//! each transfer method, a page locked and mapped a second time, a change of
//! thread and back.
//!
//! The kernel repeats a request and says how long that took, so that neither the
//! start of the process nor the way to it is in the number. Criterion's
//! throughput is requests (or mappings, or changes there and back) a second.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use ntbox::{Handle, Machine, Operation, Process};

#[path = "../tests/common/mod.rs"]
mod common;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/requests.c");
const DEVICE: &str = r"\Device\NtboxBench";
/// Bytes that go in and come out.
const BYTES: u32 = 64;
/// How often the driver does what a request of the second kind asks for.
const TIMES: u64 = 1000;

/// A control code of the driver.
const fn code(function: u32, method: u32) -> u32 {
    0x8000_0000 | (0x800 + function) << 2 | method
}

/// Name, control code, and how many make one request.
const SUBJECTS: [(&str, u32, u64); 6] = [
    ("request buffered", code(0, 0), 1),
    ("request in-direct", code(0, 1), 1),
    ("request out-direct", code(0, 2), 1),
    ("request neither", code(0, 3), 1),
    ("lock, map, unmap, unlock a page", code(1, 0), TIMES),
    ("thread there and back", code(2, 0), TIMES),
];

fn main() -> ExitCode {
    let Some(driver) = common::with_gcc_from(SOURCE, &[]) else {
        println!("nothing is measured: there is no compiler for the driver");
        return ExitCode::SUCCESS;
    };
    let config = ntbox::Config::new(&driver.image);
    let mut machine = Machine::boot(&config).expect("a kernel");
    machine.start().expect("the driver starts");
    let process = machine.process("bench.exe").expect("a process");
    let opened = machine
        .call(
            process,
            Operation::Open {
                path: DEVICE.to_owned(),
                access: 0xc000_0000,
            },
        )
        .expect("an answer");
    let handle = opened.handle.expect("the device opens");
    let results = Path::new(env!("CARGO_TARGET_TMPDIR")).join("criterion");
    let mut criterion = Criterion::default()
        .output_directory(&results)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
        .configure_from_args();
    let mut group = criterion.benchmark_group("device");
    for (name, code, times) in SUBJECTS {
        group.throughput(Throughput::Elements(times));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|count| {
                repeat(&mut machine, process, handle, code, count).unwrap_or_else(|error| {
                    panic!("{name}: {error}: {:?}", machine.log().last());
                })
            });
        });
    }
    group.finish();
    criterion.final_summary();
    let closed = machine
        .call(process, Operation::Close { handle })
        .expect("an answer");
    assert_eq!(closed.status, nt_status::STATUS_SUCCESS);
    let report = machine.finish().expect("the driver is unloaded");
    assert!(report.clean(), "{}", report.text());
    ExitCode::SUCCESS
}

/// Lets the kernel repeat a request; how long that took there.
fn repeat(
    machine: &mut Machine,
    process: Process,
    handle: Handle,
    code: u32,
    count: u64,
) -> Result<Duration, ntbox::Error> {
    let operation = Operation::Repeat {
        handle,
        code,
        input: vec![0; BYTES as usize],
        output_length: BYTES,
        count,
    };
    let reply = machine.call(process, operation)?;
    assert_eq!(
        reply.status,
        nt_status::STATUS_SUCCESS,
        "code {code:#x}: {:#010x}",
        reply.status
    );
    Ok(Duration::from_nanos(reply.information))
}
