//! Whether a value that a driver has read of a process decides something: a jump, an
//! address, an argument. Only then a second read of the same bytes is dangerous.
//!
//! The code behind the read is followed in a straight line, from register to register
//! and through the stack. What is stored elsewhere is not followed.

use iced_x86::{
    ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory,
    Mnemonic, OpAccess, OpKind, Register,
};
use ntbox_host::context::Context;
use ntbox_host::driver_mem;
use rustc_hash::FxHashSet;

/// Instructions that are followed.
const FOLLOWED: usize = 48;
/// Bytes of the longest instruction.
const LONGEST: usize = 15;
/// Registers in which the first arguments of a call are.
const ARGUMENTS: [Register; 4] = [Register::RCX, Register::RDX, Register::R8, Register::R9];

/// What a value decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing that is seen.
    Nothing,
    /// A jump, by whether it is equal to another one: so a scan ends.
    Equality,
    /// How far, how much or where.
    Amount,
}

/// Decodes the instruction at an address; `None` if it is none.
pub fn decode(at: u64) -> Option<Instruction> {
    let mut code = [0_u8; LONGEST];
    // Near the end of a section fewer bytes can be read.
    let length = (1..=LONGEST)
        .rev()
        .find(|length| driver_mem::read_bytes(at, &mut code[..*length]).is_ok())?;
    let mut decoder = Decoder::with_ip(64, &code[..length], at, DecoderOptions::NONE);
    let instruction = decoder.decode();
    (!instruction.is_invalid()).then_some(instruction)
}

/// Bytes that the instruction accesses from the address on at which it faulted.
pub fn bytes_accessed(instruction: &Instruction, registers: &Context) -> u64 {
    let element = instruction.memory_size().size().max(1) as u64;
    if instruction.is_string_instruction() && instruction.has_rep_prefix() {
        registers.registers[Register::RCX.number()].saturating_mul(element)
    } else {
        element
    }
}

/// Registers and stack slots that hold the value, or what was made of it.
#[derive(Debug, Default)]
struct Holders {
    registers: FxHashSet<Register>,
    slots: FxHashSet<(Register, u64)>,
    flags: bool,
}

/// The bytes of the stack that an instruction names.
fn slots(instruction: &Instruction) -> Vec<(Register, u64)> {
    let base = instruction.memory_base();
    let is_stack = matches!(base, Register::RSP | Register::RBP)
        && instruction.memory_index() == Register::None;
    let bytes = if is_stack {
        instruction.memory_size().size() as u64
    } else {
        0
    };
    let start = instruction.memory_displacement64();
    let slot = |byte| (base, start.wrapping_add(byte));
    (0..bytes).map(slot).collect()
}

/// Follows what was read by the instruction at an address.
pub fn decision(at: u64) -> Decision {
    let Some(read) = decode(at) else {
        return Decision::Nothing;
    };
    let mut factory = InstructionInfoFactory::new();
    let mut holders = Holders::default();
    follow(&read, &mut factory, &mut holders, true);
    let mut next = read.next_ip();
    let mut equality = Decision::Nothing;
    for _ in 0..FOLLOWED {
        let Some(instruction) = decode(next) else {
            break;
        };
        next = instruction.next_ip();
        match instruction.flow_control() {
            FlowControl::ConditionalBranch if !holders.flags => continue,
            FlowControl::UnconditionalBranch => {
                next = instruction.near_branch_target();
                continue;
            }
            FlowControl::Call | FlowControl::IndirectCall => {
                let is_argument = |register| holders.registers.contains(register);
                if ARGUMENTS.iter().any(is_argument) {
                    return Decision::Amount;
                }
                break;
            }
            FlowControl::Next | FlowControl::ConditionalBranch => {}
            _ => break,
        }
        if holders.flags && instruction.condition_code() != ConditionCode::None {
            match instruction.condition_code() {
                ConditionCode::e | ConditionCode::ne => equality = Decision::Equality,
                _ => return Decision::Amount,
            }
        }
        let is_address = [instruction.memory_base(), instruction.memory_index()]
            .iter()
            .any(|register| holders.registers.contains(&register.full_register()));
        if is_address && instruction.mnemonic() != Mnemonic::Lea {
            return Decision::Amount;
        }
        follow(&instruction, &mut factory, &mut holders, false);
    }
    equality
}

/// Moves the value on by one instruction. `is_read` is the one that reads it of the
/// process.
fn follow(
    instruction: &Instruction,
    factory: &mut InstructionInfoFactory,
    holders: &mut Holders,
    is_read: bool,
) {
    let info = factory.info(instruction);
    let reads = |access| {
        matches!(
            access,
            OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
        )
    };
    let writes = |access| {
        matches!(
            access,
            OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
        )
    };
    let slots = slots(instruction);
    let of_slot = slots.iter().any(|slot| holders.slots.contains(slot))
        && info.used_memory().iter().any(|used| reads(used.access()));
    let of_register = info
        .used_registers()
        .iter()
        .filter(|used| reads(used.access()))
        .any(|used| holders.registers.contains(&used.register().full_register()));
    // `xor eax, eax` makes nothing of what was there.
    let is_cleared = matches!(instruction.mnemonic(), Mnemonic::Xor | Mnemonic::Sub)
        && instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register
        && instruction.op0_register() == instruction.op1_register();
    let holds = is_read || ((of_slot || of_register) && !is_cleared);
    for used in info.used_registers() {
        let register = used.register().full_register();
        if writes(used.access())
            && (register.is_gpr() || register.is_vector_register())
            && register != Register::RSP
        {
            if holds {
                holders.registers.insert(register);
            } else if matches!(used.access(), OpAccess::Write) {
                holders.registers.remove(&register);
            }
        }
    }
    if info.used_memory().iter().any(|used| writes(used.access())) {
        for slot in slots {
            if holds {
                holders.slots.insert(slot);
            } else {
                holders.slots.remove(&slot);
            }
        }
    }
    if instruction.rflags_modified() != 0 {
        holders.flags = holds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, processor};

    fn of(code: &[u8]) -> Decision {
        processor();
        let mut padded = code.to_vec();
        padded.extend([0xc3; 16]);
        decision(address(padded.as_slice()))
    }

    #[test]
    fn decision_of_a_sum_is_nothing() {
        // movzx eax, byte ptr [rcx]; add edx, eax; cmp r8, r9; jb; ret
        assert_eq!(
            of(&[0x0f, 0xb6, 0x01, 0x01, 0xc2, 0x4d, 0x39, 0xc8, 0x72, 0xf6]),
            Decision::Nothing
        );
    }

    #[test]
    fn decision_of_a_bound_is_an_amount() {
        // mov eax, [rcx]; cmp eax, 64; ja
        assert_eq!(
            of(&[0x8b, 0x01, 0x83, 0xf8, 0x40, 0x77, 0x00]),
            Decision::Amount
        );
        // Through the stack: mov eax, [rcx]; mov [rsp+8], eax; cmp [rsp+8], 64; ja
        assert_eq!(
            of(&[
                0x8b, 0x01, 0x89, 0x44, 0x24, 0x08, 0x83, 0x7c, 0x24, 0x08, 0x40, 0x77, 0x00
            ]),
            Decision::Amount
        );
    }

    #[test]
    fn decision_of_an_index_or_argument_is_an_amount() {
        // mov eax, [rcx]; mov dl, [rbx+rax]
        assert_eq!(of(&[0x8b, 0x01, 0x8a, 0x14, 0x03]), Decision::Amount);
        // mov r8d, [rcx]; call
        assert_eq!(of(&[0x44, 0x8b, 0x01, 0xe8, 0, 0, 0, 0]), Decision::Amount);
    }

    #[test]
    fn decision_of_a_terminator_is_equality() {
        // cmp byte ptr [rcx], 0; je
        assert_eq!(of(&[0x80, 0x39, 0x00, 0x74, 0x00]), Decision::Equality);
        // mov eax, [rcx]; xor eax, eax; test eax, eax; je
        assert_eq!(
            of(&[0x8b, 0x01, 0x31, 0xc0, 0x85, 0xc0, 0x74, 0x00]),
            Decision::Nothing
        );
    }
}
