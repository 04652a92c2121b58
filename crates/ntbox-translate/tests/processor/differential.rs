//! One random instruction, one random state: what it does natively and translated.
//!
//! `NTBOX_TRANSLATE_CASES` sets the number of cases, `NTBOX_TRANSLATE_SEED` the first seed.

use iced_x86::{Code, InstructionInfoFactory};
use ntbox_translate::{MemoryChecks, Policy, Unit};

use crate::{
    case::{Case, STACK_WINDOW, WINDOW, plain_accesses, random_shadow},
    executor::{
        Addressing, CODE, Context, Exit, Machine, leave_address, may_access, memory_of, write_data,
        write_shadow,
    },
    random::Random,
};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// The parts of the x87 state that say where the last instruction was are not the
/// program's business: they are cleared.
fn comparable(mut context: Context) -> Context {
    context.fx[6..24].fill(0);
    context.fx[464..512].fill(0);
    context
}

/// The state of the processor and of memory after a run.
struct EndState {
    exit: Exit,
    context: Context,
    window: Vec<u8>,
    stack: Vec<u8>,
}

fn run(machine: &mut Machine, context: &Context, seed: u64, translated: bool) -> EndState {
    let mut random = Random(seed);
    let fill = |random: &mut Random, range: &std::ops::Range<u64>| {
        let bytes: Vec<u8> = (0..(range.end - range.start) / 8)
            .flat_map(|_| random.next().to_le_bytes())
            .collect();
        write_data(range.start, &bytes);
    };
    fill(&mut random, &WINDOW);
    fill(&mut random, &STACK_WINDOW);
    // A `ret` leads out.
    write_data(context.gpr[4], &leave_address().to_le_bytes());
    machine.asked.clear();
    let mut context = *context;
    let exit = if translated {
        machine.run_translated(&mut context, CODE.start)
    } else {
        machine.run_native(&mut context, CODE.start)
    };
    EndState {
        exit,
        context: comparable(context),
        window: memory_of(WINDOW),
        stack: memory_of(STACK_WINDOW),
    }
}

/// A branch to an address that is not canonical faults at the branch natively; the host
/// of translated code learns of the target alone.
fn is_jump_to_no_address(native: &Exit, translated: &Exit) -> bool {
    match (native, translated) {
        (
            Exit::Fault {
                rip, address: 0, ..
            },
            Exit::Fault { rip: target, .. },
        ) => *rip == CODE.start && (target.cast_signed() << 16 >> 16).cast_unsigned() != *target,
        _ => false,
    }
}

/// Fails unless both did the same.
fn compare(native: &EndState, translated: &EndState, policy: Policy, what: &dyn Fn() -> String) {
    assert_eq!(native.exit, translated.exit, "{}", what());
    let mut expected = native.context;
    if matches!(native.exit, Exit::Fault { .. }) {
        // Flags that the instruction overwrites are not kept by checks.
        if !policy.exact_flags && policy.memory != MemoryChecks::Off {
            expected.flags = translated.context.flags;
        }
        expected.flags = expected.flags & !0x1_0000 | translated.context.flags & 0x1_0000;
        expected.fx = translated.context.fx;
        expected.ymm = translated.context.ymm;
    }
    assert_eq!(expected.gpr, translated.context.gpr, "{}", what());
    assert_eq!(expected.flags, translated.context.flags, "{}", what());
    assert!(
        expected == translated.context,
        "vector registers: {}",
        what()
    );
    assert!(native.window == translated.window, "memory: {}", what());
    assert!(native.stack == translated.stack, "stack: {}", what());
}

#[derive(Default, Debug)]
struct Tally {
    compared: u64,
    faulted: u64,
    trapped: u64,
    forbidden: u64,
    codes: std::collections::HashSet<Code>,
}

fn campaign(policy: Policy, addressing: Addressing, seed: u64, cases: u64) -> Tally {
    let mut machine = Machine::new(policy, addressing);
    write_shadow(
        WINDOW.start,
        &vec![0; ((WINDOW.end - WINDOW.start) / 8) as usize],
    );
    let mut info = InstructionInfoFactory::new();
    let mut tally = Tally::default();
    for case in 0..cases {
        let case_seed = seed.wrapping_add(case.wrapping_mul(0x1_0000_0001));
        let mut random = Random(case_seed);
        let Case {
            code,
            instruction,
            context,
        } = Case::random(&mut random, &mut info);
        let edits = machine.translator.invalidate(CODE);
        Machine::apply(&edits);
        if machine.translator.used() > 0x1_0000 {
            machine.flush();
        }
        let checked = policy.memory != MemoryChecks::Off;
        if checked {
            write_shadow(WINDOW.start, &random_shadow(&mut random));
        }
        let translated = run(&mut machine, &context, case_seed, true);
        let asked = std::mem::take(&mut machine.asked);
        if let Exit::Trap(site) = translated.exit {
            // What it would do natively must not be tried; the trap must change nothing.
            assert_eq!(site.original, CODE.start, "seed {case_seed}: {code:x?}");
            assert_eq!(
                (translated.context.gpr, translated.context.flags & 0x8d5),
                (context.gpr, context.flags & 0x8d5),
                "seed {case_seed}: {code:x?}"
            );
            tally.trapped += 1;
            continue;
        }
        let native = run(&mut machine, &context, case_seed, false);
        if is_jump_to_no_address(&native.exit, &translated.exit) {
            continue;
        }
        let what = || {
            format!(
                "seed {case_seed}, {policy:?}, {:?} {code:02x?}",
                instruction.code()
            )
        };
        compare(&native, &translated, policy, &what);
        tally.faulted += u64::from(matches!(translated.exit, Exit::Fault { .. }));
        for (address, size) in plain_accesses(&instruction, &context, &mut info) {
            if checked && !may_access(address, size) {
                let found = asked
                    .iter()
                    .any(|asked| (asked.rip, asked.address) == (CODE.start, address));
                assert!(found, "no question about {address:#x}: {}", what());
                tally.forbidden += 1;
            }
        }
        assert!(
            asked.iter().all(|asked| asked.registers == context.gpr),
            "registers of the program: {}",
            what()
        );
        tally.compared += 1;
        tally.codes.insert(instruction.code());
    }
    write_shadow(
        WINDOW.start,
        &vec![0; ((WINDOW.end - WINDOW.start) / 8) as usize],
    );
    tally
}

#[test]
fn random_instructions_translated_do_as_native() {
    let cases = setting("NTBOX_TRANSLATE_CASES", 60_000);
    let seed = setting("NTBOX_TRANSLATE_SEED", 1);
    let shadow = Policy {
        memory: MemoryChecks::Shadow,
        ..Policy::default()
    };
    let modes = [
        (Policy::default(), Addressing::Gs),
        (shadow, Addressing::Gs),
        (
            Policy {
                exact_flags: true,
                ..shadow
            },
            Addressing::Absolute,
        ),
        (
            Policy {
                unit: Unit::Block,
                coverage: ntbox_translate::Coverage::EdgeCounts,
                ..shadow
            },
            Addressing::Gs,
        ),
    ];
    for (number, (policy, addressing)) in modes.into_iter().enumerate() {
        let seed = seed.wrapping_add(number as u64 * 0x1234_5678_9abc);
        let tally = campaign(policy, addressing, seed, cases / modes.len() as u64);
        println!(
            "{policy:?}: {} compared ({} faults, {} forms), {} traps, {} forbidden accesses",
            tally.compared,
            tally.faulted,
            tally.codes.len(),
            tally.trapped,
            tally.forbidden
        );
        assert!(tally.compared > cases / modes.len() as u64 / 2);
    }
}
