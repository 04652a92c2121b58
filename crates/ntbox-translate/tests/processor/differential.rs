//! One random instruction, one random state: what it does natively and translated.
//!
//! `NTBOX_TRANSLATE_CASES` sets the number of cases, `NTBOX_TRANSLATE_SEED` the first seed.

use iced_x86::{
    Code, CodeSize, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory,
    Mnemonic, OpAccess, Register,
};
use ntbox_translate::{MemoryChecks, Policy, Unit};

use crate::{
    executor::{
        Addressing, CODE, Context, DATA, Exit, Machine, STACK, leave_address, may_access,
        memory_of, write_code, write_data, write_shadow,
    },
    random::Random,
};

const BASE: u64 = DATA.start + 0x1_0000;
/// What is compared of memory: around where registers point, and the top of the stack.
const WINDOW: std::ops::Range<u64> = BASE - 0x800..BASE + 0x800;
const STACK_WINDOW: std::ops::Range<u64> = STACK.end - 4096 - 512..STACK.end - 4096 + 512;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Bytes that begin with an instruction, often enough.
fn random_bytes(random: &mut Random) -> [u8; 16] {
    let mut bytes = [0; 16];
    for chunk in bytes.chunks_mut(8) {
        chunk.copy_from_slice(&random.next().to_le_bytes());
    }
    let mut at = 0;
    if random.one_in(4) {
        bytes[at] = random.pick(&[0x66, 0xf2, 0xf3, 0xf0, 0x67, 0x65, 0x2e, 0x66]);
        at += 1;
    }
    if random.one_in(2) {
        bytes[at] = 0x40 | bytes[at] & 15;
        at += 1;
    }
    match random.below(10) {
        0..=2 => {
            bytes[at] = 0x0f;
        }
        3 => {
            bytes[at] = 0x0f;
            bytes[at + 1] = random.pick(&[0x38, 0x3a]);
        }
        4 => {
            // VEX with three bytes, maps 1 to 3.
            bytes[0] = 0xc4;
            bytes[1] = bytes[1] & 0xe0 | u8::try_from(1 + random.below(3)).unwrap();
        }
        5 => {
            bytes[0] = 0xc5;
        }
        _ => {}
    }
    bytes
}

/// What cannot be compared: it differs from run to run, or changes what must stay.
fn excluded(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    let legacy_fpu_environment = matches!(
        instruction.mnemonic(),
        M::Fstenv
            | M::Fnstenv
            | M::Fsave
            | M::Fnsave
            | M::Fxsave
            | M::Fxsave64
            | M::Xsave
            | M::Xsave64
            | M::Xsaveopt
            | M::Xsaveopt64
    ) || matches!(
        instruction.mnemonic(),
        M::Xsavec
            | M::Xsavec64
            | M::Xrstor
            | M::Xrstor64
            | M::Fxrstor
            | M::Fxrstor64
            | M::Frstor
            | M::Fldenv
    );
    legacy_fpu_environment
        || matches!(
            instruction.mnemonic(),
            M::Rdtsc
                | M::Rdtscp
                | M::Rdrand
                | M::Rdseed
                | M::Rdpid
                | M::Rdpru
                | M::Cpuid
                | M::Xgetbv
                | M::Popf
                | M::Popfq
                | M::Umwait
                | M::Tpause
                | M::Umonitor
                | M::Monitorx
                | M::Mwaitx
                | M::Rdgsbase
                | M::Rdfsbase
                | M::Wrgsbase
                | M::Wrfsbase
                | M::Sgdt
                | M::Sidt
                | M::Sldt
                | M::Str
                | M::Smsw
                | M::Pause
                | M::Clzero
                | M::Mcommit
                | M::Rdpkru
                | M::Serialize
                | M::Enqcmd
        )
        || instruction.segment_prefix() == Register::GS
        || is_bit_string_by_its_own_address(instruction)
        || is_far_from_the_stack(instruction)
}

/// `[rsp + displacement]` with nothing else to keep it near.
fn is_far_from_the_stack(instruction: &Instruction) -> bool {
    let displacement = instruction.memory_displacement64().cast_signed();
    instruction.memory_base().full_register() == Register::RSP
        && (!instruction.memory_index().is_gpr() || instruction.memory_base() == Register::ESP)
        && !(-0x100..0x100).contains(&displacement)
}

/// `bt [rax], eax`: the bit is wherever the address says.
fn is_bit_string_by_its_own_address(instruction: &Instruction) -> bool {
    let register = instruction.op1_register().full_register();
    matches!(
        instruction.mnemonic(),
        Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc
    ) && register.is_gpr()
        && (register == instruction.memory_base().full_register()
            || register == instruction.memory_index().full_register())
}

/// Gives the registers of memory operands values that lead to the window, mostly.
fn aim(
    random: &mut Random,
    context: &mut Context,
    instruction: &Instruction,
    info: &mut InstructionInfoFactory,
) {
    let window = |random: &mut Random| BASE + random.next() % 0x100;
    if instruction.is_string_instruction()
        || instruction.mnemonic() == Mnemonic::Maskmovdqu
        || instruction.mnemonic() == Mnemonic::Maskmovq
    {
        context.gpr[1] = random.next() % 20;
        context.gpr[6] = window(random);
        context.gpr[7] = window(random) + if random.one_in(3) { 0 } else { 0x200 };
        return;
    }
    // The bit that a register names may be far away: keep it in the window.
    let bits = matches!(
        instruction.mnemonic(),
        Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc
    ) && instruction.op1_register().is_gpr();
    if bits {
        context.gpr[instruction.op1_register().full_register().number()] = random.next() % 1024;
    }
    for used in info.info(instruction).used_memory() {
        let displacement = used.displacement();
        let (base, index) = (used.base(), used.index());
        if index.is_gpr() && (base.full_register() == Register::RSP || base == Register::None) {
            let from = if base == Register::None {
                window(random)
            } else {
                8
            };
            let distance = from.wrapping_sub(displacement).cast_signed();
            let value = (distance / i64::from(used.scale())).cast_unsigned();
            context.gpr[index.full_register().number()] = value;
        }
        if base == Register::RSP || base == Register::None || !base.is_gpr() {
            continue;
        }
        let number = base.full_register().number();
        let mut value = window(random);
        if index.is_gpr() && index.full_register() != base.full_register() {
            context.gpr[index.full_register().number()] = random.next() % 0x40;
            value = value.wrapping_sub(
                context.gpr[index.full_register().number()] * u64::from(used.scale()),
            );
        } else if index.is_gpr() {
            value /= 1 + u64::from(used.scale());
        }
        let mut value = value.wrapping_sub(displacement);
        if used.address_size() == CodeSize::Code32 {
            value &= 0xffff_ffff;
        }
        if base.full_register() != Register::RSP {
            context.gpr[number] = value;
        }
        if used.access() == OpAccess::None {
            context.gpr[number] = random.next();
        }
    }
}

fn random_context(random: &mut Random) -> Context {
    let mut context = Context::new();
    for (number, gpr) in context.gpr.iter_mut().enumerate() {
        if number != 4 {
            *gpr = match random.below(4) {
                0 => random.next(),
                1 => random.next() % 64,
                2 => BASE + random.next() % 0x100,
                _ => u64::from(random.next() as u32),
            };
        }
    }
    context.flags = 0x202 | random.next() & 0x8d5 | if random.one_in(8) { 0x400 } else { 0 };
    for register in &mut context.ymm {
        *register = std::array::from_fn(|_| random.next());
    }
    for register in 0..16 {
        for half in 0..2 {
            let at = 160 + 16 * register + 8 * half;
            context.fx[at..at + 8].copy_from_slice(&context.ymm[register][half].to_le_bytes());
        }
    }
    context
}

/// The parts of the x87 state that say where the last instruction was are not the
/// program's business: they are cleared.
fn comparable(mut context: Context) -> Context {
    context.fx[6..24].fill(0);
    context.fx[464..512].fill(0);
    context
}

struct Outcome {
    exit: Exit,
    context: Context,
    window: Vec<u8>,
    stack: Vec<u8>,
}

fn run(machine: &mut Machine, context: &Context, seed: u64, translated: bool) -> Outcome {
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
    Outcome {
        exit,
        context: comparable(context),
        window: memory_of(WINDOW),
        stack: memory_of(STACK_WINDOW),
    }
}

/// `jmp` to the gate, wherever it is: `jmp [rip]` and the address.
fn leave_code() -> Vec<u8> {
    let mut code = vec![0xff, 0x25, 0, 0, 0, 0];
    code.extend(leave_address().to_le_bytes());
    code
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

/// What the shadow of the window says in a case: mostly that all is allowed.
fn random_shadow(random: &mut Random) -> Vec<u8> {
    let mixed = random.one_in(2);
    (0..(WINDOW.end - WINDOW.start) / 8)
        .map(|_| {
            if mixed && random.one_in(4) {
                random.pick(&[1, 3, 4, 7, 0x80, 0xfa, 0xfe])
            } else {
                0
            }
        })
        .collect()
}

/// The accesses of an instruction whose address and size are plain, with registers as
/// they were before it.
fn plain_accesses(
    instruction: &Instruction,
    context: &Context,
    info: &mut InstructionInfoFactory,
) -> Vec<(u64, u64)> {
    if instruction.is_string_instruction() || instruction.is_ip_rel_memory_operand() {
        return Vec::new();
    }
    let value = |register: Register| match register {
        Register::None => Some(0),
        register if register.is_gpr64() => Some(context.gpr[register.number()]),
        _ => None,
    };
    info.info(instruction)
        .used_memory()
        .iter()
        .filter(|used| {
            matches!(
                used.access(),
                OpAccess::Read | OpAccess::Write | OpAccess::ReadWrite
            ) && used.base() != Register::RSP
        })
        .filter_map(|used| {
            let (base, index) = (value(used.base())?, value(used.index())?);
            let address = base
                .wrapping_add(index.wrapping_mul(u64::from(used.scale())))
                .wrapping_add(used.displacement());
            let size = used.memory_size().size() as u64;
            (size > 0 && WINDOW.contains(&address) && WINDOW.contains(&(address + size)))
                .then_some((address, size))
        })
        .collect()
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
        let (bytes, instruction) = loop {
            let bytes = random_bytes(&mut random);
            let mut decoder = Decoder::with_ip(64, &bytes, CODE.start, DecoderOptions::NONE);
            let instruction = decoder.decode();
            if !instruction.is_invalid() && !excluded(&instruction) {
                break (bytes, instruction);
            }
        };
        let length = instruction.len();
        let mut code = bytes[..length].to_vec();
        let mut instruction = instruction;
        if instruction.is_ip_rel_memory_operand() {
            // Into the window, by a displacement that the bytes get.
            let mut decoder = Decoder::with_ip(64, &code, CODE.start, DecoderOptions::NONE);
            decoder.decode_out(&mut instruction);
            let offset = decoder
                .get_constant_offsets(&instruction)
                .displacement_offset();
            let displacement =
                (BASE + random.next() % 0x80).wrapping_sub(instruction.next_ip()) as u32;
            code[offset..offset + 4].copy_from_slice(&displacement.to_le_bytes());
        }
        if matches!(
            instruction.flow_control(),
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch | FlowControl::Call
        ) {
            // To the second way out, 32 bytes behind the first.
            let mut decoder = Decoder::with_ip(64, &code, CODE.start, DecoderOptions::NONE);
            let again = decoder.decode();
            let offsets = decoder.get_constant_offsets(&again);
            let place = &mut code[offsets.immediate_offset()..][..offsets.immediate_size()];
            place.fill(0);
            if let Some(lowest) = place.first_mut() {
                *lowest = 32;
            }
        }
        let mut program = code.clone();
        program.extend(leave_code());
        program.resize(length + 32, 0x90);
        program.extend([0x48, 0x87, 0xd9]);
        program.extend(leave_code());
        write_code(CODE.start, &program);
        let mut context = random_context(&mut random);
        let stack = context.gpr[4];
        if code.contains(&0x67) || !random.one_in(16) {
            aim(&mut random, &mut context, &instruction, &mut info);
        } else {
            // Addresses of which nothing is mapped.
            context.gpr = std::array::from_fn(|_| random.next() >> 17 | 1 << 45);
        }
        context.gpr[4] = stack;
        let edits = machine.translator.invalidate(CODE);
        Machine::apply(&edits);
        if machine.translator.used() > 0x100_0000 {
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
        assert_eq!(native.exit, translated.exit, "{}", what());
        let mut expected = native.context;
        if matches!(native.exit, Exit::Fault { .. }) {
            tally.faulted += 1;
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
