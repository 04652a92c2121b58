//! The rounds, and the table.

use std::ops::Range;

use ntbox_translate::{Coverage, MemoryChecks, Policy};

use crate::{
    executor::{Addressing, Code, Context, DATA, Exit, Machine, leave_address, write_data},
    functions::{BUFFER, CASES, Case},
    near::{cache_near, export, export_address, export_gate_address, map_shadow},
};

/// An import, as drivers have them: a pointer in the image that is called through.
static mut IMPORT: unsafe extern "win64" fn(*mut u64) = export;

/// What the functions import: it changes a lock word.
#[inline(always)]
pub fn import() -> unsafe extern "win64" fn(*mut u64) {
    // SAFETY: `run` writes it before any function runs, and nothing after that.
    unsafe { IMPORT }
}

const OFF: Policy = Policy {
    unit: ntbox_translate::Unit::Function,
    coverage: Coverage::Off,
    memory: MemoryChecks::Off,
    exact_flags: false,
};
const SHADOW: Policy = Policy {
    memory: MemoryChecks::Shadow,
    ..OFF
};

const MODES: [(&str, Policy); 7] = [
    ("plain", OFF),
    (
        "blocks",
        Policy {
            coverage: Coverage::Blocks,
            ..OFF
        },
    ),
    (
        "counts",
        Policy {
            coverage: Coverage::BlockCounts,
            ..OFF
        },
    ),
    (
        "edges",
        Policy {
            coverage: Coverage::EdgeCounts,
            ..OFF
        },
    ),
    ("shadow", SHADOW),
    (
        "shadow+blocks",
        Policy {
            coverage: Coverage::Blocks,
            ..SHADOW
        },
    ),
    (
        "shadow exact",
        Policy {
            exact_flags: true,
            ..SHADOW
        },
    ),
];

/// The mappings of this program: its code, and all of it.
fn program() -> (Range<u64>, Range<u64>) {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("reading /proc/self/maps");
    let path = std::env::current_exe().expect("finding this program");
    let mut code = None;
    let mut all: Option<Range<u64>> = None;
    for line in maps
        .lines()
        .filter(|line| line.ends_with(&*path.to_string_lossy()))
    {
        let (range, rest) = line.split_once(' ').expect("a mapping");
        let (start, end) = range.split_once('-').expect("a range");
        let number = |text| u64::from_str_radix(text, 16).expect("an address");
        let (start, end) = (number(start), number(end));
        if rest.contains('x') {
            code = Some(start..end);
        }
        all = Some(all.map_or(start..end, |all| all.start.min(start)..all.end.max(end)));
    }
    (code.expect("code"), all.expect("mappings"))
}

fn context(case: &Case) -> Context {
    let mut context = Context::new();
    context.gpr[4] -= 256 + 8;
    write_data(context.gpr[4], &leave_address().to_le_bytes());
    context.gpr[1] = DATA.start;
    context.gpr[2] = case.argument;
    context
}

fn cpu_time() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the clock exists, and the structure is there to be written.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Nanoseconds of one run, and what it returned.
fn measure(machine: &mut Machine, case: &Case, address: u64, repetitions: u32) -> (f64, u64) {
    let run = |machine: &mut Machine| {
        let mut context = context(case);
        assert_eq!(machine.run_native(&mut context, address), Exit::Left);
        context.gpr[0]
    };
    let prepare = || (case.prepare)(std::ptr::with_exposed_provenance_mut(DATA.start as usize));
    prepare();
    let result = run(machine);
    run(machine);
    prepare();
    let start = cpu_time();
    for _ in 0..repetitions {
        run(machine);
    }
    ((cpu_time() - start) / f64::from(repetitions), result)
}

fn machine(policy: Policy, code: &Range<u64>, image: &Range<u64>) -> Box<Machine> {
    let mut machine = Machine::with_cache(policy, Addressing::Gs, cache_near(code.start));
    machine.code = Code {
        ranges: vec![code.clone()],
        functions: Vec::new(),
        image: Some(image.clone()),
    };
    let edits = machine
        .translator
        .bind(export_address(), export_gate_address())
        .expect("room for a stub");
    Machine::apply(&edits);
    machine
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn run() {
    let rounds: usize = std::env::var("NTBOX_TRANSLATE_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(11);
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    // SAFETY: nothing else runs yet. The compiler must not know what is called.
    unsafe { IMPORT = std::hint::black_box(export) };
    let (code, image) = program();
    drop(machine(OFF, &code, &image));
    map_shadow(image.clone());
    assert!(BUFFER as u64 <= DATA.end - DATA.start);
    print!("{:22}{:>10}", "median/minimum", "ns");
    for (name, _) in MODES {
        print!("{name:>15}");
    }
    println!();
    let mut totals = [(0.0, 0.0); MODES.len()];
    let mut count = 0.0;
    for case in CASES.iter().filter(|case| {
        chosen.is_empty() || chosen.iter().any(|word| case.name.contains(word.as_str()))
    }) {
        let row = measure_case(case, rounds, &code, &image);
        print!("{:22}{:>10.0}", case.name, row.native);
        for ((median, minimum), total) in row.ratios.iter().zip(&mut totals) {
            print!("{:>15}", format!("{median:.2}/{minimum:.2}"));
            total.0 += median.ln();
            total.1 += minimum.ln();
        }
        println!();
        count += 1.0;
    }
    print!("{:32}", "geometric mean");
    for (median, minimum) in totals {
        print!(
            "{:>15}",
            format!(
                "{:.2}/{:.2}",
                f64::exp(median / count),
                f64::exp(minimum / count)
            )
        );
    }
    println!();
}

struct Row {
    native: f64,
    ratios: [(f64, f64); MODES.len()],
}

fn measure_case(case: &Case, rounds: usize, code: &Range<u64>, image: &Range<u64>) -> Row {
    let function = case.function as *const () as u64;
    let mut native_machine = machine(OFF, code, image);
    let (once, _) = measure(&mut native_machine, case, function, 3);
    let repetitions = (300_000.0 / once).clamp(1.0, 3000.0) as u32;
    drop(native_machine);
    let mut times = vec![Vec::new(); MODES.len() + 1];
    for _ in 0..rounds {
        let (time, expected) = measure(&mut machine(OFF, code, image), case, function, repetitions);
        times[0].push(time);
        for (mode, (name, policy)) in MODES.iter().enumerate() {
            let mut machine = machine(*policy, code, image);
            let entry = machine.entry(function).expect("a translation");
            let (time, result) = measure(&mut machine, case, entry, repetitions);
            assert_eq!(result, expected, "{} {name}", case.name);
            assert!(
                machine.asked.is_empty(),
                "{} {name}: {:x?}",
                case.name,
                machine.asked.first()
            );
            times[mode + 1].push(time);
        }
    }
    let minimum = |times: &[f64]| times.iter().copied().fold(f64::MAX, f64::min);
    let (native, native_minimum) = (median(&mut times[0]), minimum(&times[0]));
    let ratios = std::array::from_fn(|mode| {
        let times = &mut times[mode + 1];
        (median(times) / native, minimum(times) / native_minimum)
    });
    Row { native, ratios }
}
