//! Random programs: functions with blocks, loops, calls, jump tables, flags that cross
//! blocks. They end, and access their own data only.

use crate::{
    executor::{CODE, DATA},
    random::Random,
};

/// What R12 points to, all the time.
pub const POINTER: u64 = DATA.start + 0x8000;
/// What a program may change of its data.
pub const WINDOW: std::ops::Range<u64> = POINTER - 0x100..POINTER + 0x1000;

/// Registers that bodies use: not RSP, nor R12 (the data) and R13 (an index). The last
/// two are left out by some functions: the translator keeps them elsewhere then.
const FREE: [u8; 13] = [0, 1, 2, 3, 5, 6, 7, 8, 9, 14, 15, 10, 11];

struct Fixup {
    at: usize,
    label: usize,
}

/// Machine code with labels.
#[derive(Default)]
pub struct Program {
    pub code: Vec<u8>,
    /// Where each instruction begins.
    pub instructions: Vec<usize>,
    labels: Vec<Option<usize>>,
    fixups: Vec<Fixup>,
    /// How many of [`FREE`] the function uses.
    free: usize,
    /// Jump tables: where, of which labels.
    tables: Vec<(usize, Vec<usize>)>,
}

impl Program {
    fn label(&mut self) -> usize {
        self.labels.push(None);
        self.labels.len() - 1
    }

    fn bind(&mut self, label: usize) {
        self.labels[label] = Some(self.code.len());
    }

    fn put(&mut self, bytes: &[u8]) {
        self.instructions.push(self.code.len());
        self.code.extend(bytes);
    }

    /// An instruction that ends in the distance to a label.
    fn put_to(&mut self, bytes: &[u8], label: usize) {
        self.put(bytes);
        self.fixups.push(Fixup {
            at: self.code.len(),
            label,
        });
        self.code.extend([0; 4]);
    }

    fn finish(&mut self) {
        for (label, targets) in std::mem::take(&mut self.tables) {
            self.bind(label);
            let base = self.code.len();
            for target in targets {
                let distance = self.labels[target].unwrap() as i64 - base as i64;
                self.code.extend((distance as i32).to_le_bytes());
            }
        }
        for fixup in &self.fixups {
            let distance = self.labels[fixup.label].unwrap() as i64 - (fixup.at as i64 + 4);
            self.code[fixup.at..fixup.at + 4].copy_from_slice(&(distance as i32).to_le_bytes());
        }
    }

    /// `op reg, reg` of 64 or 32 bits.
    fn two(&mut self, random: &mut Random, opcode: &[u8], wide: bool, to: u8, from: u8) {
        let rex = 0x40 | u8::from(wide) << 3 | (from >> 3) << 2 | to >> 3;
        let modrm = 0xc0 | (from & 7) << 3 | to & 7;
        let mut bytes = vec![rex];
        bytes.extend(opcode);
        bytes.push(modrm);
        if random.one_in(40) {
            bytes.insert(0, 0x2e);
        }
        self.put(&bytes);
    }

    /// An instruction with the memory operand `[r12 + displacement]`, or with R13 as index.
    fn memory(
        &mut self,
        random: &mut Random,
        prefix: &[u8],
        escape: &[u8],
        opcodes: &[u8],
        register: u8,
    ) {
        let wide = u8::from(random.one_in(2)) << 3;
        let indexed = random.one_in(3);
        let displacement = random.below(24) as u8 * 4;
        let mut bytes = prefix.to_vec();
        bytes.push(0x40 | wide | (register >> 3) << 2 | u8::from(indexed) << 1 | 1);
        bytes.extend(escape);
        bytes.push(random.pick(opcodes));
        // R12 as a base wants a SIB byte; R13 as the index is 5 with REX.X.
        bytes.push(0x44 | (register & 7) << 3);
        bytes.push(if indexed {
            (random.below(4) as u8) << 6 | 5 << 3 | 4
        } else {
            0x24
        });
        bytes.push(displacement);
        self.put(&bytes);
    }
}

/// One instruction of a body.
fn body(program: &mut Program, random: &mut Random) {
    let free = &FREE[..program.free];
    let (a, b) = (random.pick(free), random.pick(free));
    let wide = random.one_in(2);
    match random.below(20) {
        0..=4 => {
            let opcode = random.pick(&[0x01, 0x09, 0x11, 0x19, 0x21, 0x29, 0x31, 0x39, 0x85, 0x89]);
            program.two(random, &[opcode], wide, a, b);
        }
        5 => program.two(random, &[0x0f, 0xaf], wide, b, a),
        6 => {
            let condition = random.below(16) as u8;
            program.two(random, &[0x0f, 0x40 | condition], wide, b, a);
        }
        7 => {
            let condition = random.below(16) as u8;
            program.put(&[0x40 | a >> 3, 0x0f, 0x90 | condition, 0xc0 | a & 7]);
        }
        8 => {
            let kind = random.pick(&[0, 1, 4, 5, 7]);
            program.put(&[
                0x48 | a >> 3,
                random.pick(&[0xc1, 0xd1, 0xd3]),
                0xc0 | kind << 3 | a & 7,
            ]);
            if program.code[program.code.len() - 2] == 0xc1 {
                program.code.push(random.below(66) as u8);
            }
        }
        9 => program.put(&[
            0x48 | a >> 3,
            random.pick(&[0xff, 0xf7]),
            0xc0 | random.pick(&[0, 8]) & 8 | a & 7,
        ]),
        // An index below 128.
        10 => {
            program.put(&[0x44 | a >> 3, 0x0f, 0xb6, 0xe8 | a & 7]);
            program.put(&[0x41, 0x83, 0xe5, 0x3f]);
        }
        11 => program.memory(
            random,
            &[],
            &[],
            &[0x8b, 0x03, 0x2b, 0x33, 0x3b, 0x13, 0x8d],
            a,
        ),
        12 => program.memory(
            random,
            &[],
            &[],
            &[0x89, 0x01, 0x29, 0x31, 0x11, 0x87, 0x88, 0x00],
            a,
        ),
        13 => program.memory(random, &[], &[0x0f], &[0xb6, 0xb7, 0xbe, 0xbf], a),
        14 => program.memory(random, &[0xf0], &[], &[0x01, 0x31, 0x21], a),
        15 => program.memory(random, &[], &[0x0f], &[0x10, 0x11], a & 7),
        16 => program.memory(random, &[0xf3], &[0x0f], &[0x6f, 0x7f], a & 7),
        // Flags to memory.
        17 => {
            program.put(&[0x9c]);
            program.put(&[0x41, 0x5d]);
            program.put(&[0x41, 0x81, 0xe5, 0xd5, 0x08, 0, 0]);
            program.memory(random, &[], &[], &[0x31], 13);
            program.put(&[0x45, 0x31, 0xed]);
        }
        18 => {
            program.put(&[0x40 | a >> 3, 0x50 | a & 7]);
            program.put(&[0x40 | b >> 3, 0x58 | b & 7]);
        }
        // AH, and the like, as operands.
        _ => program.put(&[
            random.pick(&[0x00, 0x08, 0x28, 0x30, 0x38, 0x88]),
            0xc0 | random.below(64) as u8,
        ]),
    }
    // A high byte of RBX or an addition to R13's low half must not lead outside.
    program.put(&[0x41, 0x83, 0xe5, 0x3f]);
}

fn bodies(program: &mut Program, random: &mut Random) {
    for _ in 0..random.below(6) {
        body(program, random);
    }
}

/// A repeated string instruction within the window, and what it needs.
fn string(program: &mut Program, random: &mut Random) {
    program.put(&[0x49, 0x8d, 0x74, 0x24, random.below(64) as u8]);
    program.put(&[0x49, 0x8d, 0xbc, 0x24, random.below(256) as u8, 1, 0, 0]);
    program.put(&[0xb9, random.below(20) as u8, 0, 0, 0]);
    let instruction = random.pick(&[0xa4, 0xa5, 0xaa, 0xab, 0xa6, 0xae, 0xac]);
    program.put(&[random.pick(&[0xf3, 0xf3, 0xf2]), instruction]);
}

/// Functions of which each calls later ones only.
pub fn generate(random: &mut Random) -> Program {
    let mut program = Program::default();
    let functions: Vec<usize> = (0..4).map(|_| program.label()).collect();
    for (number, function) in functions.iter().enumerate() {
        program.bind(*function);
        program.free = FREE.len() - random.pick(&[0, 2, 2]);
        program.put(&[0x48, 0x83, 0xec, 0x28]);
        // A loop of a few rounds; the counter is on the stack.
        program.put(&[0xc7, 0x44, 0x24, 0x20, 1 + random.below(4) as u8, 0, 0, 0]);
        let head = program.label();
        program.bind(head);
        for _ in 0..=random.below(5) {
            segment(&mut program, random, &functions[number + 1..]);
        }
        program.put(&[0xff, 0x4c, 0x24, 0x20]);
        program.put_to(&[0x0f, 0x85], head);
        bodies(&mut program, random);
        program.put(&[0x48, 0x83, 0xc4, 0x28]);
        program.put(&[0xc3]);
    }
    program.finish();
    program
}

/// Some instructions and a way on.
fn segment(program: &mut Program, random: &mut Random, callees: &[usize]) {
    bodies(program, random);
    match random.below(7) {
        0 => {
            let over = program.label();
            program.put_to(&[0x0f, 0x80 | random.below(16) as u8], over);
            bodies(program, random);
            program.bind(over);
        }
        1 => {
            let over = program.label();
            program.put(&[random.pick(&[0xe0, 0xe1, 0xe2, 0xe3]), 5]);
            program.put_to(&[0xe9], over);
            bodies(program, random);
            program.bind(over);
        }
        2 if !callees.is_empty() => {
            let callee = random.pick(callees);
            program.put_to(&[0xe8], callee);
        }
        3 if !callees.is_empty() => {
            let callee = random.pick(callees);
            program.put_to(&[0x48, 0x8d, 0x05], callee);
            if random.one_in(2) {
                program.put(&[0xff, 0xd0]);
            } else {
                program.put(&[0x49, 0x89, 0x44, 0x24, 0x70]);
                program.put(&[0x41, 0xff, 0x54, 0x24, 0x70]);
            }
        }
        4 => switch(program, random),
        5 => string(program, random),
        _ => {}
    }
}

/// A jump by a table.
fn switch(program: &mut Program, random: &mut Random) {
    let table = program.label();
    let end = program.label();
    let cases: Vec<usize> = (0..4).map(|_| program.label()).collect();
    program.put(&[0x41, 0x83, 0xe5, 0x03]);
    program.put_to(&[0x48, 0x8d, 0x05], table);
    program.put(&[0x4e, 0x63, 0x2c, 0xa8]);
    program.put(&[0x49, 0x01, 0xc5]);
    program.put(&[0x41, 0xff, 0xe5]);
    for case in &cases {
        program.bind(*case);
        program.put(&[0x45, 0x31, 0xed]);
        bodies(program, random);
        program.put_to(&[0xe9], end);
    }
    program.bind(end);
    program.put(&[0x45, 0x31, 0xed]);
    program.tables.push((table, cases));
}

/// Where programs begin.
pub const ENTRY: u64 = CODE.start;
