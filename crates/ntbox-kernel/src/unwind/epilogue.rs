//! Being inside an epilogue: what is left of it is carried out, forwards.
//!
//! The x64 convention allows few forms of epilogue, so that an unwinder can
//! recognise one by its instructions: an optional `add rsp` or `lea rsp`, pops,
//! and a return or a jump out of the function. Version 2 of the unwind
//! information says where epilogues are instead, and what is popped follows
//! from the prologue.

use ntbox_host::context::RSP;

use super::function_table::{CHAIN_LIMIT, FunctionEntry};
use super::reader::{Damage, Image, Memory};
use super::unwind_info::{Effect, UnwindInfo};
use super::virtual_unwind::Registers;
use super::{function_table, unwind_info};

/// Most pops of one epilogue: there are not more registers.
const MAX_POPS: usize = 16;

/// The rest of an epilogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Epilogue {
    /// A register and what is added to it to give the stack pointer.
    adjust: Option<(usize, i64)>,
    pops: [usize; MAX_POPS],
    pop_count: usize,
    /// One more pop, into a register of no meaning.
    discard: bool,
    /// Ends in an `iretq`.
    machine_frame: bool,
}

impl Epilogue {
    fn pop(&mut self, register: usize) -> Option<()> {
        *self.pops.get_mut(self.pop_count)? = register;
        self.pop_count += 1;
        Some(())
    }

    /// Carries out the instructions.
    pub fn run(&self, registers: &mut Registers<'_, impl Memory>) -> Result<(), Damage> {
        if let Some((base, displacement)) = self.adjust {
            let value = registers.context.registers[base];
            registers.context.registers[RSP] = value.wrapping_add_signed(displacement);
        }
        for register in &self.pops[..self.pop_count] {
            registers.pop(*register)?;
        }
        if self.discard {
            registers.advance(8);
        }
        if self.machine_frame {
            registers.machine_frame(false)
        } else {
            registers.return_()
        }
    }
}

/// A function and a place in it.
#[derive(Debug)]
pub struct CodePosition<'a, M> {
    /// Memory to read from.
    pub memory: &'a M,
    /// Image of the function.
    pub image: &'a Image,
    /// The function's entry.
    pub entry: FunctionEntry,
    /// The place.
    pub pc: u64,
}

impl<M: Memory> CodePosition<'_, M> {
    /// What is left of the epilogue, if the place is in one.
    pub fn epilogue(&self, info: &UnwindInfo) -> Result<Option<Epilogue>, Damage> {
        if info.version >= 2 {
            self.described(info)
        } else {
            Ok(self.recognised(info))
        }
    }

    fn byte(&self, at: u64) -> Option<u8> {
        let mut byte = [0];
        self.memory.read(self.pc.wrapping_add(at), &mut byte).ok()?;
        Some(byte[0])
    }

    fn displacement8(&self, at: u64) -> Option<i64> {
        self.byte(at).map(|byte| byte.cast_signed().into())
    }

    fn displacement32(&self, at: u64) -> Option<i64> {
        let mut bytes = [0; 4];
        self.memory
            .read(self.pc.wrapping_add(at), &mut bytes)
            .ok()?;
        Some(i32::from_le_bytes(bytes).into())
    }

    /// An epilogue by its instructions.
    fn recognised(&self, info: &UnwindInfo) -> Option<Epilogue> {
        let mut found = Epilogue::default();
        let mut at = 0;
        if let Some((length, adjust)) = self.adjustment(info.frame_register) {
            found.adjust = Some(adjust);
            at = length;
        }
        loop {
            match (self.byte(at)?, self.byte(at + 1)) {
                (opcode @ 0x58..=0x5f, _) => {
                    found.pop(usize::from(opcode & 7))?;
                    at += 1;
                }
                (rex @ 0x40..=0x4f, Some(opcode @ 0x58..=0x5f)) => {
                    found.pop(usize::from(rex & 1) << 3 | usize::from(opcode & 7))?;
                    at += 2;
                }
                _ => break,
            }
        }
        self.leaves(info, at).then_some(found)
    }

    /// `add rsp, n` or `lea rsp, n[frame]`: its length, the register and `n`.
    fn adjustment(&self, frame: Option<usize>) -> Option<(u64, (usize, i64))> {
        let (rex, opcode, modrm) = (self.byte(0)?, self.byte(1)?, self.byte(2)?);
        match (rex, opcode, modrm) {
            (0x48, 0x83, 0xc4) => Some((4, (RSP, self.displacement8(3)?))),
            (0x48, 0x81, 0xc4) => Some((7, (RSP, self.displacement32(3)?))),
            (0x48 | 0x49, 0x8d, _) => {
                let base = usize::from(rex & 1) << 3 | usize::from(modrm & 7);
                let frame = frame.filter(|frame| *frame == base)?;
                match modrm & 0xf8 {
                    0x60 => Some((4, (frame, self.displacement8(3)?))),
                    0xa0 => Some((7, (frame, self.displacement32(3)?))),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether the instruction at `at` leaves the function for good.
    fn leaves(&self, info: &UnwindInfo, at: u64) -> bool {
        // A prefix that only matters to the branch predictor or to MPX.
        let at = if self.byte(at) == Some(0xf2) {
            at + 1
        } else {
            at
        };
        match (self.byte(at), self.byte(at + 1)) {
            // Returns, and the jump through memory relative to RIP that goes to an
            // imported function.
            (Some(0xc2 | 0xc3), _) | (Some(0xf3), Some(0xc3)) | (Some(0xff), Some(0x25)) => true,
            // REX.W has no meaning for an indirect jump: compilers put it there
            // to say that the jump is a tail call.
            (Some(0x48..=0x4f), Some(0xff)) => {
                self.byte(at + 2).is_some_and(|modrm| modrm & 0x38 == 0x20)
            }
            (Some(0xeb), _) => self
                .displacement8(at + 1)
                .is_some_and(|by| self.leaves_to(info, at + 2, by)),
            (Some(0xe9), _) => self
                .displacement32(at + 1)
                .is_some_and(|by| self.leaves_to(info, at + 5, by)),
            _ => false,
        }
    }

    /// Whether a jump goes to another function, or back to this one's start,
    /// which is a call of itself.
    fn leaves_to(&self, info: &UnwindInfo, next: u64, by: i64) -> bool {
        let target = self.pc.wrapping_add(next).wrapping_add_signed(by);
        let offset = self.image.offset(target);
        if self.entry.contains(offset) {
            return offset == self.entry.begin && !info.is_chained();
        }
        let own = unwind_info::primary(self.memory, self.image, self.entry);
        let other = function_table::lookup(self.memory, self.image, target)
            .ok()
            .flatten()
            .and_then(|found| unwind_info::primary(self.memory, self.image, found.entry).ok());
        match (own, other) {
            (Ok(own), Some(other)) => own != other || offset == other.begin,
            _ => true,
        }
    }

    /// An epilogue by what version 2 of the unwind information says.
    fn described(&self, info: &UnwindInfo) -> Result<Option<Epilogue>, Damage> {
        let offset = self.image.offset(self.pc);
        let starts = epilogues(info.codes());
        let inside = starts
            .map(|(size, from_end)| (self.entry.end.wrapping_sub(from_end), size))
            .find(|(start, size)| offset.wrapping_sub(*start) < *size);
        match inside {
            Some((start, _)) => self.rest_of_pops(offset - start).map(Some),
            None => Ok(None),
        }
    }

    /// The pops that are left `done` bytes into an epilogue: those of the
    /// prologue's pushes, in the order in which they are undone.
    fn rest_of_pops(&self, done: u32) -> Result<Epilogue, Damage> {
        let mut entry = self.entry;
        for _ in 0..CHAIN_LIMIT {
            let info = UnwindInfo::read(self.memory, self.image, entry.unwind)?;
            let pushes = |effect| matches!(effect, Effect::Push(_) | Effect::MachineFrame { .. });
            let mut found = false;
            for operation in info.operations() {
                found |= pushes(operation?.effect);
            }
            if found {
                return mirror(&info, done);
            }
            match info.parent(self.memory, self.image)? {
                Some(parent) => entry = parent,
                None => return Ok(Epilogue::default()),
            }
        }
        Err(Damage::Chain {
            rva: self.entry.unwind,
        })
    }
}

/// Sizes of the epilogues and their distances from the function's end.
fn epilogues(codes: &[u16]) -> impl Iterator<Item = (u32, u32)> {
    const EPILOGUE: u16 = 6;
    let is_epilogue = |code: &&u16| (**code >> 8) & 15 == EPILOGUE;
    let first = codes.first().filter(is_epilogue).copied();
    // Without a first code there is no size, and nothing is inside.
    let size = first.map_or(0, |code| u32::from(code & 0xff));
    let at_end = first.filter(|code| code >> 12 & 1 != 0).map(|_| size);
    let rest = codes.iter().skip(1).take_while(is_epilogue);
    // The offset has its high four bits where the operation's details are. Zero
    // makes the number of codes even.
    let others = rest
        .map(|code| u32::from(code & 0xff) | u32::from(code >> 12) << 8)
        .take_while(|offset| *offset != 0);
    at_end
        .into_iter()
        .chain(others)
        .map(move |offset| (size, offset))
}

/// The pops that mirror the pushes of a prologue, without those whose
/// instructions end within the first `done` bytes.
fn mirror(info: &UnwindInfo, done: u32) -> Result<Epilogue, Damage> {
    let mut epilogue = Epilogue::default();
    let mut at = 0;
    let mut begun = false;
    for operation in info.operations() {
        match operation?.effect {
            Effect::Push(register) => {
                begun = true;
                if at >= done {
                    epilogue.pop(register);
                }
                at += if register < 8 { 1 } else { 2 };
            }
            // Pushed flags, popped into a register that does not matter.
            Effect::Allocate(8) if begun => {
                epilogue.discard = at >= done;
                at += 1;
            }
            Effect::MachineFrame { .. } => {
                epilogue.machine_frame = true;
                return Ok(epilogue);
            }
            _ => {}
        }
    }
    Ok(epilogue)
}
