//! Writes the code of one unit: iced's encoder for what the translator adds, copied
//! bytes for the program's instructions, labels, and the map from cache to program.

use std::collections::BTreeMap;

use iced_x86::{Code, Encoder, IcedError, Instruction, MemoryOperand, Register};

use crate::{
    Base, Gpr, RegisterSet,
    location::{MapEntry, Phase},
    state,
};

/// A place in the code, bound or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub(crate) struct Label(usize);

struct Fixup {
    /// Where the displacement is.
    at: usize,
    wide: bool,
    label: Label,
}

/// The code of a unit while it is written.
pub(crate) struct Assembler {
    encoder: Encoder,
    start: u64,
    length: usize,
    state: Base,
    labels: Vec<Option<usize>>,
    fixups: Vec<Fixup>,
    constants: BTreeMap<u64, Label>,
    pub map: Vec<MapEntry>,
    /// An instruction that could not be encoded: an error of the translator.
    failed: bool,
}

/// What [`Assembler::finish`] gives.
pub(crate) struct Assembled {
    pub bytes: Vec<u8>,
    pub map: Vec<MapEntry>,
    labels: Vec<Option<usize>>,
    start: u64,
}

impl Assembled {
    /// The address of a bound label.
    pub fn address(&self, label: Label) -> u64 {
        self.start + self.labels[label.0].unwrap_or(0) as u64
    }
}

impl Assembler {
    pub fn new(start: u64, state: Base) -> Self {
        Self {
            encoder: Encoder::new(64),
            start,
            length: 0,
            state,
            labels: Vec::new(),
            fixups: Vec::new(),
            constants: BTreeMap::new(),
            map: Vec::new(),
            failed: false,
        }
    }

    /// The address of the next instruction.
    pub fn ip(&self) -> u64 {
        self.start + self.length as u64
    }

    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    pub fn bind(&mut self, label: Label) {
        self.labels[label.0] = Some(self.length);
    }

    pub fn here(&mut self) -> Label {
        let label = self.label();
        self.bind(label);
        label
    }

    /// From here on the code does the work of the instruction at `original`; the
    /// program's values of `spilled` are in the state block.
    pub fn note(&mut self, original: u64, phase: Phase, spilled: RegisterSet, flags_in_ax: bool) {
        let entry = MapEntry::new(self.length, original, phase, spilled, flags_in_ax);
        self.add_entry(entry);
    }

    /// As [`Self::note`], for the look of a check at the shadow; a fault goes to `ask`.
    pub fn note_check(
        &mut self,
        original: u64,
        spilled: RegisterSet,
        flags_in_ax: bool,
        ask: Label,
    ) {
        let mut entry = MapEntry::new(
            self.length,
            original,
            Phase::Check { ask: 0 },
            spilled,
            flags_in_ax,
        );
        entry.ask = Some(ask);
        self.add_entry(entry);
    }

    fn add_entry(&mut self, entry: MapEntry) {
        match self.map.last_mut() {
            Some(last) if last.same_place(&entry) => {}
            Some(last) if last.offset == entry.offset => *last = entry,
            _ => self.map.push(entry),
        }
    }

    /// Encodes an instruction. An error, of making it or of encoding it, comes out of
    /// [`Self::finish`], so that what follows one another can be written so.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "takes what iced's constructors return"
    )]
    pub fn emit(&mut self, instruction: Result<Instruction, IcedError>) {
        let Ok(instruction) = instruction else {
            self.failed = true;
            return;
        };
        match self.encoder.encode(&instruction, self.ip()) {
            Ok(length) => self.length += length,
            Err(_) => self.failed = true,
        }
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.encoder.write_u8(*byte);
        }
        self.length += bytes.len();
    }

    fn branch(&mut self, code: Code, label: Label, wide: bool) {
        // Any target near enough to be encoded: the label's address is put in later.
        self.emit(Instruction::with_branch(code, self.ip()));
        let at = self.length - if wide { 4 } else { 1 };
        self.fixups.push(Fixup { at, wide, label });
    }

    pub fn jump(&mut self, label: Label) {
        self.branch(Code::Jmp_rel32_64, label, true);
    }

    pub fn jump_if(&mut self, code: Code, label: Label) {
        self.branch(code, label, true);
    }

    pub fn jump_if_to(&mut self, code: Code, target: u64) {
        self.emit(Instruction::with_branch(code, target));
    }

    pub fn jump_if_not_zero(&mut self, label: Label) {
        self.branch(Code::Jne_rel32_64, label, true);
    }

    pub fn jump_short_if(&mut self, code: Code, label: Label) {
        self.branch(code, label, false);
    }

    /// A short branch with the bytes of another one, but for its last: the distance.
    pub fn jump_short_as(&mut self, branch: &[u8], label: Label) {
        self.bytes(branch);
        self.fixups.push(Fixup {
            at: self.length - 1,
            wide: false,
            label,
        });
    }

    pub fn jump_if_rcx_zero(&mut self, label: Label) {
        self.branch(Code::Jrcxz_rel8_64, label, false);
    }

    /// A jump to an address; gives where its displacement is, to link it anew later.
    pub fn jump_to(&mut self, target: u64) -> u64 {
        self.emit(Instruction::with_branch(Code::Jmp_rel32_64, target));
        self.ip() - 4
    }

    /// A jump to anywhere.
    pub fn jump_far(&mut self, target: u64) {
        if is_near(target.wrapping_sub(self.ip())) {
            self.jump_to(target);
            return;
        }
        let label = self.constant(target);
        self.emit(Instruction::with1(Code::Jmp_rm64, rip_operand(self.ip())));
        self.fixups.push(Fixup {
            at: self.length - 4,
            wide: true,
            label,
        });
    }

    fn constant(&mut self, value: u64) -> Label {
        if let Some(label) = self.constants.get(&value) {
            return *label;
        }
        let label = self.label();
        self.constants.insert(value, label);
        label
    }

    pub fn jump_state(&mut self, offset: i32) {
        self.emit(Instruction::with1(Code::Jmp_rm64, self.state.at(offset)));
    }

    pub fn store_state(&mut self, offset: i32, register: Gpr) {
        self.emit(Instruction::with2(
            Code::Mov_rm64_r64,
            self.state.at(offset),
            register.r64(),
        ));
    }

    pub fn load_state(&mut self, register: Gpr, offset: i32) {
        self.emit(Instruction::with2(
            Code::Mov_r64_rm64,
            register.r64(),
            self.state.at(offset),
        ));
    }

    pub fn store_state_32(&mut self, offset: i32, value: u32) {
        self.emit(Instruction::with2(
            Code::Mov_rm32_imm32,
            self.state.at(offset),
            value,
        ));
    }

    pub fn load_state_32(&mut self, register: Gpr, offset: i32) {
        self.emit(Instruction::with2(
            Code::Mov_r32_rm32,
            register.r32(),
            self.state.at(offset),
        ));
    }

    pub fn compare_state_32_with_zero(&mut self, offset: i32) {
        self.emit(Instruction::with2(
            Code::Cmp_rm32_imm8,
            self.state.at(offset),
            0,
        ));
    }

    pub fn spill(&mut self, register: Gpr) {
        self.store_state(state::spill(register), register);
    }

    pub fn unspill(&mut self, register: Gpr) {
        self.load_state(register, state::spill(register));
    }

    /// Jumps through the table to where the lower bits of R11 say; R10 is overwritten.
    pub fn jump_by_table(&mut self) {
        self.emit(Instruction::with2(
            Code::Movzx_r32_rm16,
            Register::R10D,
            Register::R11W,
        ));
        self.emit(Instruction::with1(
            Code::Jmp_rm64,
            self.state.indexed(Gpr::R10, 8, state::TABLE),
        ));
    }

    /// Adds 1 to the byte at an address near; flags change.
    pub fn increment(&mut self, address: u64) {
        self.emit(Instruction::with1(Code::Inc_rm8, rip_operand(address)));
    }

    /// Compares R10 with R11.
    pub fn compare_targets(&mut self) {
        self.emit(Instruction::with2(
            Code::Cmp_r64_rm64,
            Register::R10,
            Register::R11,
        ));
    }

    pub fn move_register(&mut self, to: Gpr, from: Gpr) {
        self.emit(Instruction::with2(Code::Mov_r64_rm64, to.r64(), from.r64()));
    }

    pub fn move_constant(&mut self, register: Gpr, value: u64) {
        if let Ok(value) = u32::try_from(value) {
            self.emit(Instruction::with2(
                Code::Mov_r32_imm32,
                register.r32(),
                value,
            ));
        } else if i32::try_from(value.cast_signed()).is_ok() {
            self.emit(Instruction::with2(
                Code::Mov_rm64_imm32,
                register.r64(),
                value.cast_signed(),
            ));
        } else {
            self.emit(Instruction::with2(
                Code::Mov_r64_imm64,
                register.r64(),
                value,
            ));
        }
    }

    /// Pushes eight bytes that are kept beside the code.
    pub fn push_constant(&mut self, value: u64) {
        let label = self.constant(value);
        self.emit(Instruction::with1(Code::Push_rm64, rip_operand(self.ip())));
        self.fixups.push(Fixup {
            at: self.length - 4,
            wide: true,
            label,
        });
    }

    /// No-operations until the address is a multiple of 16.
    pub fn align(&mut self) {
        const NOPS: [&[u8]; 9] = [
            &[0x90],
            &[0x66, 0x90],
            &[0x0f, 0x1f, 0],
            &[0x0f, 0x1f, 0x40, 0],
            &[0x0f, 0x1f, 0x44, 0, 0],
            &[0x66, 0x0f, 0x1f, 0x44, 0, 0],
            &[0x0f, 0x1f, 0x80, 0, 0, 0, 0],
            &[0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
            &[0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
        ];
        let mut missing = usize::try_from(self.ip().wrapping_neg() % 16).unwrap_or(0);
        while missing > 0 {
            let nop = NOPS[missing.min(9) - 1];
            self.bytes(nop);
            missing -= nop.len();
        }
    }

    /// The code, or `None` when an instruction could not be encoded.
    pub fn finish(mut self) -> Option<Assembled> {
        while !self.length.is_multiple_of(8) {
            self.bytes(&[0xcc]);
        }
        for (value, label) in std::mem::take(&mut self.constants) {
            self.bind(label);
            self.bytes(&value.to_le_bytes());
        }
        let mut bytes = self.encoder.take_buffer();
        for fixup in &self.fixups {
            let target = self.labels[fixup.label.0]?;
            let end = fixup.at + if fixup.wide { 4 } else { 1 };
            let distance = i64::try_from(target).ok()? - i64::try_from(end).ok()?;
            if fixup.wide {
                bytes
                    .get_mut(fixup.at..end)?
                    .copy_from_slice(&i32::try_from(distance).ok()?.to_le_bytes());
            } else {
                *bytes.get_mut(fixup.at)? = i8::try_from(distance).ok()?.cast_unsigned();
            }
        }
        for entry in &mut self.map {
            if let Some(ask) = entry.ask.and_then(|label| self.labels[label.0]) {
                entry.location.phase = Phase::Check {
                    ask: self.start + ask as u64,
                };
            }
        }
        (!self.failed).then_some(Assembled {
            bytes,
            map: self.map,
            labels: self.labels,
            start: self.start,
        })
    }
}

/// Whether a displacement of 32 bits reaches so far from somewhere near.
pub(crate) fn is_near(distance: u64) -> bool {
    i32::try_from(distance.cast_signed())
        .is_ok_and(|distance| distance.saturating_abs() < i32::MAX - 64)
}

/// A RIP-relative operand.
pub(crate) fn rip_operand(target: u64) -> MemoryOperand {
    MemoryOperand::new(
        Register::RIP,
        Register::None,
        1,
        target.cast_signed(),
        8,
        false,
        Register::None,
    )
}
