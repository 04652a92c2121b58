//! The rest of an epilogue carried out, and what only looks like one.

use super::machine::{Machine, STACK, bytes, code, registers, word_at};
use crate::unwind::unwind_info::EHANDLER;

/// A function at 0x100 that pushes rbx, rsi, r14 and takes 0x20 bytes, with an
/// exception handler; its code is `code` at 0x180.
fn with_code(instructions: &[u8]) -> Machine {
    let mut machine = Machine::new();
    let codes = [code(8, 2, 3), code(4, 0, 14), code(2, 0, 6), code(1, 0, 3)];
    let tail = machine.unwind_info(0x400, [1 | 1 << 3, 8, 4, 0], &codes);
    machine.put(tail, &0x345_u32.to_le_bytes());
    machine.entry(0x100, 0x200, 0x400);
    machine.put(0x180, instructions);
    machine
}

/// Whether `instructions` are taken for an epilogue: then nothing but them
/// moves the stack pointer, and there is no handler.
fn is_epilogue(instructions: &[u8]) -> bool {
    let machine = with_code(instructions);
    let unwound = machine
        .unwind(0x180, &mut registers(0x400), EHANDLER)
        .expect("whole");
    unwound.handler.is_none()
}

const WHOLE: [u8; 9] = [0x48, 0x83, 0xc4, 0x20, 0x41, 0x5e, 0x5e, 0x5b, 0xc3];

#[test]
fn unwind_at_each_epilogue_instruction() {
    let machine = with_code(&WHOLE);
    // Offset, what the caller's stack pointer is, r14, rsi, rbx.
    let (r14, rsi, rbx) = (0xaa0e, 0xaa06, 0xaa03);
    let cases = [
        (0, 0x440, word_at(0x420), word_at(0x428), word_at(0x430)),
        (4, 0x420, word_at(0x400), word_at(0x408), word_at(0x410)),
        (6, 0x418, r14, word_at(0x400), word_at(0x408)),
        (7, 0x410, r14, rsi, word_at(0x400)),
        (8, 0x408, r14, rsi, rbx),
    ];
    for (offset, rsp, r14, rsi, rbx) in cases {
        let mut context = registers(0x400);
        let unwound = machine
            .unwind(0x180 + offset, &mut context, EHANDLER)
            .expect("whole");
        assert_eq!(unwound.handler, None, "at {offset}");
        assert_eq!(context.rsp(), STACK + rsp, "at {offset}");
        assert_eq!(context.registers[14], r14, "at {offset}");
        assert_eq!(context.registers[6], rsi, "at {offset}");
        assert_eq!(context.registers[3], rbx, "at {offset}");
        assert_eq!(context.rip, word_at(rsp - 8), "at {offset}");
    }
}

#[test]
fn is_epilogue_accepts_each_ending() {
    let ends: [&[u8]; 12] = [
        &[0xc3],
        &[0xc2, 0x08, 0x00],
        &[0xf3, 0xc3],
        &[0xf2, 0xc3],
        // Jumps out of the function: near, short, to its own start, through an
        // import, through a register.
        &[0xe9, 0x00, 0x01, 0x00, 0x00],
        &[0xeb, 0x7e],
        &[0xe9, 0x7b, 0xff, 0xff, 0xff],
        &[0xff, 0x25, 0x00, 0x00, 0x00, 0x00],
        &[0x48, 0xff, 0xe0],
        &[0x48, 0xff, 0x25, 0x00, 0x00, 0x00, 0x00],
        &[0x49, 0xff, 0xe3],
        &[0x5b, 0x41, 0x5f, 0xc3],
    ];
    for end in ends {
        assert!(is_epilogue(end), "{end:02x?}");
    }
}

#[test]
fn is_epilogue_rejects_similar_code() {
    let others: [&[u8]; 11] = [
        // Jumps inside of the function, through a table, a call, nothing.
        &[0xeb, 0x10],
        &[0xe9, 0x10, 0x00, 0x00, 0x00],
        &[0xff, 0xe0],
        &[0xff, 0x24, 0xc5, 0x00, 0x00, 0x00, 0x00],
        &[0xff, 0x15, 0x00, 0x00, 0x00, 0x00],
        &[0x90, 0xc3],
        // A pop and then something else; an addition to another register; one
        // in 32 bits; a move.
        &[0x5b, 0x90, 0xc3],
        &[0x48, 0x83, 0xc0, 0x20, 0xc3],
        &[0x83, 0xc4, 0x20, 0xc3],
        &[0x48, 0x89, 0xec, 0xc3],
        // `lea rsp` from what is not the frame register.
        &[0x48, 0x8d, 0x65, 0x10, 0xc3],
    ];
    for other in others {
        assert!(!is_epilogue(other), "{other:02x?}");
    }
}

#[test]
fn unwind_in_epilogue_with_frame_register() {
    let lea: [(&[u8], u64); 2] = [
        (&[0x49, 0x8d, 0x65, 0x10, 0x41, 0x5d, 0xc3], 0x610),
        (
            &[0x49, 0x8d, 0xa5, 0x10, 0x01, 0x00, 0x00, 0x41, 0x5d, 0xc3],
            0x710,
        ),
    ];
    for (instructions, rsp) in lea {
        let mut machine = Machine::new();
        // push r13; sub rsp, 0x20; lea r13, [rsp + 0x10].
        machine.unwind_info(
            0x400,
            [1, 10, 3, 0x1d],
            &[code(10, 3, 0), code(6, 2, 3), code(2, 0, 13)],
        );
        machine.entry(0x100, 0x200, 0x400);
        machine.put(0x180, instructions);
        let mut context = registers(0x100);
        context.registers[13] = STACK + 0x600;
        machine.unwind(0x180, &mut context, 0).expect("whole");
        assert_eq!(context.registers[13], word_at(rsp));
        assert_eq!(context.rip, word_at(rsp + 8));
        assert_eq!(context.rsp(), STACK + rsp + 16);
    }
}

#[test]
fn unwind_at_jump_inside_function_is_no_epilogue() {
    let mut machine = Machine::new();
    let tail = machine.unwind_info(0x400, [1 | 1 << 3, 1, 1, 0], &[code(1, 0, 3)]);
    machine.put(tail, &0x345_u32.to_le_bytes());
    let whole = machine.entry(0x100, 0x180, 0x400);
    let tail = machine.unwind_info(0x500, [1 | 4 << 3, 0, 0, 0], &[]);
    machine.put(tail, &bytes(whole));
    machine.entry(0x180, 0x200, 0x500);
    machine.entry(0x200, 0x280, 0x400);
    let handler = |machine: &Machine, rva| {
        machine
            .unwind(rva, &mut registers(0x100), EHANDLER)
            .expect("whole")
            .handler
    };
    // From the first part to the second and back, but not to the start.
    machine.put(0x110, &[0xe9, 0x80, 0x00, 0x00, 0x00]);
    machine.put(0x190, &[0xeb, 0xa0]);
    assert!(handler(&machine, 0x110).is_some());
    assert!(handler(&machine, 0x190).is_some());
    // To the start, and to another function.
    machine.put(0x1a0, &[0xe9, 0x5b, 0xff, 0xff, 0xff]);
    machine.put(0x1b0, &[0xeb, 0x60]);
    assert!(handler(&machine, 0x1a0).is_none());
    assert!(handler(&machine, 0x1b0).is_none());
}

/// Version 2: push rbx, rsi, r14 and 0x20 bytes, an epilogue of five bytes (the
/// pops and the return) at the end and another one 0x45 bytes before the end.
fn described(first: u16) -> Machine {
    let mut machine = Machine::new();
    let codes = [
        first,
        code(0x45, 6, 0),
        code(8, 2, 3),
        code(4, 0, 14),
        code(2, 0, 6),
        code(1, 0, 3),
    ];
    let tail = machine.unwind_info(0x400, [2 | 1 << 3, 8, 6, 0], &codes);
    machine.put(tail, &0x345_u32.to_le_bytes());
    machine.entry(0x100, 0x200, 0x400);
    // No instruction here is one that an epilogue could be recognised by.
    machine.put(0x100, &[0x90; 0x100]);
    machine
}

#[test]
fn unwind_version_2_uses_described_epilogues() {
    let machine = described(code(5, 6, 1));
    for start in [0x1bb, 0x1fb] {
        let cases = [
            (0, 0x420, word_at(0x400), word_at(0x408), word_at(0x410)),
            (2, 0x418, 0xaa0e, word_at(0x400), word_at(0x408)),
            (3, 0x410, 0xaa0e, 0xaa06, word_at(0x400)),
            (4, 0x408, 0xaa0e, 0xaa06, 0xaa03),
        ];
        for (offset, rsp, r14, rsi, rbx) in cases {
            let mut context = registers(0x400);
            let unwound = machine
                .unwind(start + offset, &mut context, EHANDLER)
                .expect("whole");
            assert_eq!(unwound.handler, None, "at {start:#x} + {offset}");
            assert_eq!(context.rsp(), STACK + rsp, "at {start:#x} + {offset}");
            assert_eq!(context.registers[14], r14, "at {start:#x} + {offset}");
            assert_eq!(context.registers[6], rsi, "at {start:#x} + {offset}");
            assert_eq!(context.registers[3], rbx, "at {start:#x} + {offset}");
            assert_eq!(context.rip, word_at(rsp - 8), "at {start:#x} + {offset}");
        }
    }
}

#[test]
fn unwind_version_2_outside_epilogue_uses_prologue() {
    let machine = described(code(5, 6, 1));
    for rva in [0x1ba, 0x1c0, 0x1fa] {
        let mut context = registers(0x400);
        let unwound = machine.unwind(rva, &mut context, EHANDLER).expect("whole");
        assert!(unwound.handler.is_some(), "at {rva:#x}");
        assert_eq!(context.rsp(), STACK + 0x440, "at {rva:#x}");
    }
    // Without the bit, there is none at the end.
    let machine = described(code(5, 6, 0));
    let unwound = machine
        .unwind(0x1fc, &mut registers(0x400), EHANDLER)
        .expect("whole");
    assert!(unwound.handler.is_some());
}

#[test]
fn unwind_version_2_epilogue_uses_chained_pushes() {
    let mut machine = Machine::new();
    machine.unwind_info(0x400, [2, 2, 2, 0], &[code(2, 0, 6), code(1, 0, 3)]);
    let whole = machine.entry(0x100, 0x140, 0x400);
    let tail = machine.unwind_info(0x500, [2 | 4 << 3, 0, 2, 0], &[code(3, 6, 1), 0]);
    machine.put(tail, &bytes(whole));
    machine.entry(0x180, 0x1c0, 0x500);
    let mut context = registers(0x400);
    machine.unwind(0x1bd, &mut context, 0).expect("whole");
    assert_eq!(context.registers[6], word_at(0x400));
    assert_eq!(context.registers[3], word_at(0x408));
    assert_eq!(context.rsp(), STACK + 0x418);
}

#[test]
fn unwind_version_2_epilogue_of_interrupt_routine() {
    let mut machine = Machine::new();
    // pushfq, push rbx in the prologue of an interrupt routine: pops of one
    // byte each, then iretq.
    let codes = [
        code(4, 6, 1),
        0,
        code(2, 0, 3),
        code(1, 2, 0),
        code(0, 10, 0),
    ];
    machine.function([2, 2, 5, 0], &codes);
    let mut context = registers(0x400);
    machine.unwind(0x1fc, &mut context, 0).expect("whole");
    assert_eq!(context.registers[3], word_at(0x400));
    assert_eq!(context.rip, word_at(0x410));
    assert_eq!(context.rsp(), word_at(0x428));
    let mut context = registers(0x400);
    machine.unwind(0x1fe, &mut context, 0).expect("whole");
    assert_eq!(context.rip, word_at(0x400));
}
