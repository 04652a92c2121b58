//! Random programs of several functions, native and translated in every mode.

use ntbox_translate::{Coverage, MemoryChecks, Policy, Unit};

use crate::{
    executor::{
        Addressing, Context, Exit, Machine, STACK, leave_address, may_access, memory_of,
        write_code, write_data, write_shadow,
    },
    program::{ENTRY, POINTER, Program, WINDOW, generate},
    random::Random,
};

const STACK_WINDOW: std::ops::Range<u64> = STACK.end - 0x2000..STACK.end;

/// Everything that a run leaves behind, but for flags: nobody expects them of a `ret`.
#[derive(PartialEq, Debug)]
struct Trace {
    exit: Exit,
    gpr: [u64; 16],
    fx: Vec<u8>,
    window: Vec<u8>,
    stack: Vec<u8>,
}

/// Data and registers as a program finds them.
fn prepare(seed: u64) -> Context {
    let mut random = Random(seed);
    for range in [WINDOW, STACK_WINDOW] {
        let bytes: Vec<u8> = (0..(range.end - range.start) / 8)
            .flat_map(|_| random.next().to_le_bytes())
            .collect();
        write_data(range.start, &bytes);
    }
    let mut context = Context::new();
    for gpr in &mut context.gpr {
        *gpr = random.next();
    }
    context.gpr[4] = STACK.end - 0x1000 - 8;
    context.gpr[12] = POINTER;
    context.gpr[13] = 3;
    context.flags = 0x202 | random.next() & 0x8d5;
    write_data(context.gpr[4], &leave_address().to_le_bytes());
    context
}

fn trace(exit: Exit, context: &Context) -> Trace {
    Trace {
        exit,
        gpr: context.gpr,
        fx: context.fx[160..416].to_vec(),
        window: memory_of(WINDOW),
        stack: memory_of(STACK_WINDOW),
    }
}

fn run(machine: &mut Machine, seed: u64, translated: bool) -> Trace {
    let mut context = prepare(seed);
    let exit = if translated {
        machine.run_translated(&mut context, ENTRY)
    } else {
        machine.run_native(&mut context, ENTRY)
    };
    trace(exit, &context)
}

fn modes() -> Vec<(Policy, Addressing)> {
    let shadow = Policy {
        memory: MemoryChecks::Shadow,
        ..Policy::default()
    };
    vec![
        (Policy::default(), Addressing::Gs),
        (
            Policy {
                coverage: Coverage::BlockCounts,
                ..Policy::default()
            },
            Addressing::Absolute,
        ),
        (
            Policy {
                unit: Unit::Block,
                coverage: Coverage::Blocks,
                ..Policy::default()
            },
            Addressing::Gs,
        ),
        (shadow, Addressing::Gs),
        (
            Policy {
                coverage: Coverage::EdgeCounts,
                ..shadow
            },
            Addressing::Absolute,
        ),
        (
            Policy {
                exact_flags: true,
                coverage: Coverage::BlockCounts,
                ..shadow
            },
            Addressing::Gs,
        ),
        (
            Policy {
                unit: Unit::Block,
                ..shadow
            },
            Addressing::Gs,
        ),
    ]
}

fn programs(count: u64, seed: u64, mut each: impl FnMut(&mut Machine, &Program, &mut Random, u64)) {
    for (policy, addressing) in modes() {
        let mut machine = Machine::new(policy, addressing);
        for number in 0..count {
            let seed = seed + number;
            let mut random = Random(seed);
            let program = generate(&mut random);
            write_code(ENTRY, &program.code);
            machine.flush();
            machine.asked.clear();
            each(&mut machine, &program, &mut random, seed);
        }
    }
}

fn count(default: u64) -> u64 {
    std::env::var("NTBOX_TRANSLATE_PROGRAMS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[test]
fn random_programs_translated_do_as_native() {
    programs(count(150), 1, |machine, _, _, seed| {
        let native = run(machine, seed, false);
        assert_eq!(native.exit, Exit::Left, "seed {seed}");
        for _ in 0..2 {
            let translated = run(machine, seed, true);
            assert!(
                native == translated,
                "seed {seed}: {:x?} {:x?}",
                native.gpr,
                translated.gpr
            );
        }
        assert!(machine.asked.is_empty(), "seed {seed}");
    });
}

#[test]
fn random_programs_with_forbidden_memory_ask_and_do_as_native() {
    programs(count(100), 1000, |machine, _, random, seed| {
        let native = run(machine, seed, false);
        let shadow: Vec<u8> = (0..(WINDOW.end - WINDOW.start) / 8)
            .map(|_| {
                if random.one_in(3) {
                    random.pick(&[1, 4, 7, 0x80, 0xfe])
                } else {
                    0
                }
            })
            .collect();
        write_shadow(WINDOW.start, &shadow);
        let translated = run(machine, seed, true);
        let asked = std::mem::take(&mut machine.asked);
        let forbidden = asked
            .iter()
            .any(|asked| !may_access(asked.address, u64::from(asked.size)));
        write_shadow(WINDOW.start, &vec![0; shadow.len()]);
        assert!(
            native == translated,
            "seed {seed}: {:x?} {:x?}",
            native.gpr,
            translated.gpr
        );
        assert!(
            asked.is_empty() || forbidden || asked.iter().any(|asked| asked.size > 0),
            "seed {seed}"
        );
        assert!(
            asked.iter().all(|asked| asked.registers[12] == POINTER),
            "seed {seed}: registers of the program"
        );
    });
}

#[test]
fn random_programs_polled_and_dropped_do_as_native() {
    programs(count(60), 2000, |machine, _, random, seed| {
        let native = run(machine, seed, false);
        machine.drop_every = Some(1 + random.below(5));
        Machine::request_poll();
        let translated = run(machine, seed, true);
        machine.drop_every = None;
        assert!(
            native == translated,
            "seed {seed}: {:x?} {:x?}",
            native.gpr,
            translated.gpr
        );
    });
}

#[test]
fn fault_at_every_instruction_has_original_address_and_registers() {
    // ud2 becomes a trap; a store to where nothing is faults within a block.
    const FAULTS: [&[u8]; 2] = [&[0x0f, 0x0b], &[0x88, 0x04, 0x25, 0, 0x10, 0, 0]];
    programs(count(2), 3000, |machine, program, _, seed| {
        for (instruction, next) in program.instructions.iter().zip(&program.instructions[1..]) {
            for fault in FAULTS
                .into_iter()
                .filter(|fault| fault.len() <= next - instruction)
            {
                let at = ENTRY + *instruction as u64;
                write_code(ENTRY, &program.code);
                write_code(at, &vec![0x90; next - instruction]);
                write_code(at, fault);
                machine.flush();
                let mut native_context = prepare(seed);
                let native_exit = machine.run_native(&mut native_context, ENTRY);
                let mut native = trace(native_exit, &native_context);
                let mut context = prepare(seed);
                let exit = machine.run_translated(&mut context, ENTRY);
                let mut translated = trace(exit, &context);
                if let (Exit::Fault { rip, .. }, Exit::Trap(site)) = (native.exit, translated.exit)
                {
                    assert_eq!(rip, site.original, "seed {seed}");
                    assert_eq!(
                        native_context.flags & 0x8d5,
                        context.flags & 0x8d5,
                        "seed {seed}"
                    );
                    native.exit = translated.exit;
                }
                if native.exit != Exit::Left {
                    native.fx.clear();
                    translated.fx.clear();
                }
                assert!(
                    native == translated,
                    "seed {seed}, at {instruction:#x}: {:x?} {:x?}\n{:x?}\n{:x?}",
                    native.exit,
                    translated.exit,
                    native.gpr,
                    translated.gpr
                );
            }
        }
    });
}
