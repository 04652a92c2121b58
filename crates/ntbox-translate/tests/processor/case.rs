//! Cases of the differential test: an instruction, a state of the registers with which
//! it stays in a window of memory, mostly, and what the shadow says of the window.

use iced_x86::{
    CodeSize, Decoder, DecoderOptions, EncodingKind, FlowControl, Instruction,
    InstructionInfoFactory, Mnemonic, OpAccess, Register,
};

use crate::{
    executor::{CODE, Context, DATA, SHADOW, STACK, STATE, leave_address, write_code},
    random::Random,
};

const BASE: u64 = DATA.start + 0x1_0000;
/// What is compared of memory: around where registers point, and the top of the stack.
pub const WINDOW: std::ops::Range<u64> = BASE - 0x800..BASE + 0x800;
pub const STACK_WINDOW: std::ops::Range<u64> = STACK.end - 4096 - 512..STACK.end - 4096 + 512;

/// An instruction and the registers before it.
pub struct Case {
    pub code: Vec<u8>,
    pub instruction: Instruction,
    pub context: Context,
}

impl Case {
    /// A case whose code is in place.
    pub fn random(random: &mut Random, info: &mut InstructionInfoFactory) -> Self {
        loop {
            let case = Self::attempt(random, info);
            if case.stays_in_the_windows(info) {
                return case;
            }
        }
    }

    /// Whether it accesses nothing that is mapped but the windows.
    fn stays_in_the_windows(&self, info: &mut InstructionInfoFactory) -> bool {
        let instruction = &self.instruction;
        let value = |register: Register| match register {
            Register::None | Register::RIP | Register::EIP => 0,
            register if register.size() == 4 => {
                self.context.gpr[register.full_register().number() % 16] & 0xffff_ffff
            }
            register => self.context.gpr[register.full_register().number() % 16],
        };
        let bit = value(instruction.op1_register().full_register());
        let far_bit = matches!(
            instruction.mnemonic(),
            Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc
        ) && instruction.op1_register().is_gpr()
            && instruction.memory_size().size() > 0
            && bit >= 1024;
        !far_bit
            && info.info(instruction).used_memory().iter().all(|used| {
                if used.index() != Register::None && !used.index().is_gpr() {
                    return true;
                }
                let index = value(used.index()).wrapping_mul(u64::from(used.scale()));
                let mut address = value(used.base())
                    .wrapping_add(index)
                    .wrapping_add(used.displacement());
                if used.address_size() == CodeSize::Code32 {
                    address &= 0xffff_ffff;
                }
                let end = address.saturating_add(256);
                [WINDOW, STACK_WINDOW]
                    .iter()
                    .any(|window| window.start <= address && end <= window.end)
                    || end < STATE.start
                    || address > SHADOW.end + 256
            })
    }

    fn attempt(random: &mut Random, info: &mut InstructionInfoFactory) -> Self {
        let (bytes, instruction) = loop {
            let bytes = random_bytes(random);
            let mut decoder = Decoder::with_ip(64, &bytes, CODE.start, DecoderOptions::NONE);
            let instruction = decoder.decode();
            if !instruction.is_invalid() && !excluded(&instruction) {
                break (bytes, instruction);
            }
        };
        let length = instruction.len();
        let mut code = bytes[..length].to_vec();
        let mut instruction = instruction;
        point_into_the_window(random, &mut code, &mut instruction);
        let mut program = code.clone();
        program.extend(leave_code());
        program.resize(length + 32, 0x90);
        program.extend([0x48, 0x87, 0xd9]);
        program.extend(leave_code());
        write_code(CODE.start, &program);
        let mut context = random_context(random);
        let stack = context.gpr[4];
        if code.contains(&0x67) || instruction.is_ip_rel_memory_operand() || !random.one_in(16) {
            aim(random, &mut context, &instruction, info);
        } else {
            // Addresses of which nothing is mapped.
            context.gpr = std::array::from_fn(|_| random.next() >> 17 | 1 << 45);
        }
        context.gpr[4] = stack;
        Self {
            code,
            instruction,
            context,
        }
    }
}

/// Makes a RIP-relative operand lie in the window, and a branch lead to the second of
/// the two ways out.
fn point_into_the_window(random: &mut Random, code: &mut [u8], instruction: &mut Instruction) {
    if instruction.is_ip_rel_memory_operand() {
        // Into the window, by a displacement that the bytes get.
        let mut decoder = Decoder::with_ip(64, code, CODE.start, DecoderOptions::NONE);
        decoder.decode_out(instruction);
        let offset = decoder
            .get_constant_offsets(instruction)
            .displacement_offset();
        let displacement = (BASE + random.next() % 0x80).wrapping_sub(instruction.next_ip()) as u32;
        code[offset..offset + 4].copy_from_slice(&displacement.to_le_bytes());
    }
    if matches!(
        instruction.flow_control(),
        FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch | FlowControl::Call
    ) {
        // To the second way out, 32 bytes behind the first.
        let mut decoder = Decoder::with_ip(64, code, CODE.start, DecoderOptions::NONE);
        let again = decoder.decode();
        let offsets = decoder.get_constant_offsets(&again);
        let place = &mut code[offsets.immediate_offset()..][..offsets.immediate_size()];
        place.fill(0);
        if let Some(lowest) = place.first_mut() {
            *lowest = 32;
        }
    }
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
        || uses_avx512(instruction)
}

/// The executor keeps neither mask registers nor more than AVX's sixteen vectors.
fn uses_avx512(instruction: &Instruction) -> bool {
    instruction.code().encoding() == EncodingKind::EVEX
        || (0..instruction.op_count()).any(|operand| instruction.op_register(operand).is_k())
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

/// `jmp` to the gate, wherever it is: `jmp [rip]` and the address.
fn leave_code() -> Vec<u8> {
    let mut code = vec![0xff, 0x25, 0, 0, 0, 0];
    code.extend(leave_address().to_le_bytes());
    code
}

/// What the shadow of the window says in a case: mostly that all is allowed.
pub fn random_shadow(random: &mut Random) -> Vec<u8> {
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
pub fn plain_accesses(
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
