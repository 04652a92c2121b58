//! Each operation of a prologue undone, from the function's body and from
//! within the prologue.

use ntbox_host::context::RSP;

use super::machine::{BASE, Machine, STACK, bytes, code, registers, word_at};
use crate::unwind::unwind_info::{EHANDLER, Handler, UHANDLER};
use crate::unwind::virtual_unwind::SavedRegisters;

/// Version 1 without flags; prologue size, number of codes, frame register.
fn head(prologue: u8, count: u8, frame: u8) -> [u8; 4] {
    [1, prologue, count, frame]
}

#[test]
fn unwind_undoes_pushes_and_allocations_in_reverse() {
    let mut machine = Machine::new();
    // push rbx (1 byte), push r15 (2 bytes), sub rsp, 0x28 (4 bytes).
    machine.function(
        head(7, 3, 0),
        &[code(7, 2, 4), code(3, 0, 15), code(1, 0, 3)],
    );
    let mut context = registers(0x400);
    let mut saved = SavedRegisters::default();
    let unwound = machine
        .unwind_saving(0x110, &mut context, 0, &mut saved)
        .expect("whole");
    assert_eq!(unwound.establisher, STACK + 0x400);
    assert_eq!(unwound.handler, None);
    assert_eq!(context.registers[15], word_at(0x428));
    assert_eq!(context.registers[3], word_at(0x430));
    assert_eq!(context.rip, word_at(0x438));
    assert_eq!(context.rsp(), STACK + 0x440);
    assert_eq!(saved.integer[15], STACK + 0x428);
    assert_eq!(saved.integer[3], STACK + 0x430);
    assert_eq!(saved.integer[5], 0);
    // What was not saved stays.
    assert_eq!(context.registers[5], 0xaa05);
}

#[test]
fn unwind_inside_prologue_undoes_executed_part() {
    let mut machine = Machine::new();
    machine.function(
        head(7, 3, 0),
        &[code(7, 2, 4), code(3, 0, 15), code(1, 0, 3)],
    );
    let cases = [
        (0x100, STACK + 0x408, 0xaa03, 0xaa0f),
        (0x101, STACK + 0x410, word_at(0x400), 0xaa0f),
        (0x103, STACK + 0x418, word_at(0x408), word_at(0x400)),
        (0x107, STACK + 0x440, word_at(0x430), word_at(0x428)),
    ];
    for (rva, rsp, rbx, r15) in cases {
        let mut context = registers(0x400);
        machine.unwind(rva, &mut context, 0).expect("whole");
        assert_eq!(context.rsp(), rsp, "at {rva:#x}");
        assert_eq!(context.registers[3], rbx, "at {rva:#x}");
        assert_eq!(context.registers[15], r15, "at {rva:#x}");
        assert_eq!(context.rip, word_at(rsp - STACK - 8), "at {rva:#x}");
    }
}

#[test]
fn unwind_of_each_allocation_size() {
    let cases: [(&[u16], u64); 4] = [
        (&[code(4, 2, 0)], 8),
        (&[code(4, 2, 15)], 128),
        (&[code(4, 1, 0), 0x30], 0x180),
        (&[code(4, 1, 1), 0x1230, 0x0000], 0x1230),
    ];
    for (codes, size) in cases {
        let mut machine = Machine::new();
        machine.function(head(4, u8::try_from(codes.len()).expect("few"), 0), codes);
        let mut context = registers(0x100);
        machine.unwind(0x150, &mut context, 0).expect("whole");
        assert_eq!(context.rsp(), STACK + 0x108 + size, "{codes:x?}");
    }
}

#[test]
fn unwind_restores_registers_saved_by_moves() {
    let mut machine = Machine::new();
    let codes = [
        // xmm15 far, xmm6 near, rsi far, rdi near, sub rsp, 0x180.
        code(30, 9, 15),
        0x0140,
        0,
        code(25, 8, 6),
        0x0002,
        code(20, 5, 6),
        0x0110,
        0,
        code(15, 4, 7),
        0x0003,
        code(7, 1, 0),
        0x0030,
    ];
    machine.function(head(30, 12, 0), &codes);
    let mut context = registers(0x200);
    let mut saved = SavedRegisters::default();
    machine
        .unwind_saving(0x150, &mut context, 0, &mut saved)
        .expect("whole");
    assert_eq!(context.registers[7], word_at(0x218));
    assert_eq!(context.registers[6], word_at(0x310));
    let pair = |at| u128::from(word_at(at)) | u128::from(word_at(at + 8)) << 64;
    assert_eq!(context.xmm[6], pair(0x220));
    assert_eq!(context.xmm[15], pair(0x340));
    assert_eq!(context.rsp(), STACK + 0x388);
    assert_eq!(saved.xmm[6], STACK + 0x220);
    assert_eq!(saved.xmm[15], STACK + 0x340);
    assert_eq!(saved.integer[6], STACK + 0x310);
}

#[test]
fn unwind_with_frame_register_ignores_stack_pointer() {
    let mut machine = Machine::new();
    // push rbp; sub rsp, 0x40; lea rbp, [rsp + 0x20]; mov [rsp + 8], rsi.
    let codes = [
        code(15, 4, 6),
        1,
        code(10, 3, 0),
        code(5, 2, 7),
        code(1, 0, 5),
    ];
    machine.function(head(15, 5, 0x25), &codes);
    // In the body the stack pointer has moved away by an unknown amount.
    let mut context = registers(0x100);
    context.registers[5] = STACK + 0x600 + 0x20;
    let unwound = machine.unwind(0x150, &mut context, 0).expect("whole");
    assert_eq!(unwound.establisher, STACK + 0x600);
    assert_eq!(context.registers[6], word_at(0x608));
    assert_eq!(context.registers[5], word_at(0x640));
    assert_eq!(context.rip, word_at(0x648));
    assert_eq!(context.rsp(), STACK + 0x650);
    // Before it is set, the stack pointer counts.
    let mut context = registers(0x100);
    let unwound = machine.unwind(0x105, &mut context, 0).expect("whole");
    assert_eq!(unwound.establisher, STACK + 0x100);
    assert_eq!(context.rsp(), STACK + 0x150);
    // After it is set, still in the prologue, the register does.
    let mut context = registers(0x600);
    context.registers[5] = STACK + 0x620;
    let unwound = machine.unwind(0x10a, &mut context, 0).expect("whole");
    assert_eq!(unwound.establisher, STACK + 0x600);
    assert_eq!(context.registers[6], 0xaa06);
    assert_eq!(context.rsp(), STACK + 0x650);
}

#[test]
fn unwind_of_machine_frame_returns_interrupted_context() {
    for (info, extra) in [(0, 0), (1, 8)] {
        let mut machine = Machine::new();
        machine.function(head(5, 2, 0), &[code(5, 2, 3), code(0, 10, info)]);
        let mut context = registers(0x100);
        machine.unwind(0x150, &mut context, 0).expect("whole");
        assert_eq!(context.rip, word_at(0x120 + extra));
        assert_eq!(context.rsp(), word_at(0x138 + extra));
    }
}

#[test]
fn unwind_skips_reserved_operations_and_epilogues() {
    let mut machine = Machine::new();
    // An epilogue pair, a reserved operation of three slots, then push rbx.
    let codes = [
        code(1, 6, 0),
        code(0, 6, 0),
        code(1, 7, 5),
        0xffff,
        0xffff,
        code(1, 0, 3),
    ];
    machine.function([2, 1, 6, 0], &codes);
    let mut context = registers(0x100);
    machine.unwind(0x150, &mut context, 0).expect("whole");
    assert_eq!(context.registers[3], word_at(0x100));
    assert_eq!(context.rip, word_at(0x108));
}

#[test]
fn unwind_returns_handler_outside_prologue_by_kind() {
    let mut machine = Machine::new();
    // Flags: exception handler only. Three codes are padded to four.
    let codes = [code(7, 2, 4), code(3, 0, 15), code(1, 0, 3)];
    let tail = machine.unwind_info(0x400, [1 | 1 << 3, 7, 3, 0], &codes);
    machine.put(tail, &0x345_u32.to_le_bytes());
    machine.entry(0x100, 0x200, 0x400);
    let handler = |rva, kinds| {
        machine
            .unwind(rva, &mut registers(0x400), kinds)
            .expect("whole")
            .handler
    };
    assert_eq!(tail, 0x40c);
    let expected = Handler {
        routine: BASE + 0x345,
        data: BASE + 0x410,
    };
    assert_eq!(handler(0x110, EHANDLER), Some(expected));
    assert_eq!(handler(0x107, EHANDLER), Some(expected));
    assert_eq!(handler(0x106, EHANDLER), None);
    assert_eq!(handler(0x110, UHANDLER), None);
    assert_eq!(handler(0x110, 0), None);
}

#[test]
fn unwind_continues_in_chained_function() {
    let mut machine = Machine::new();
    // The function: push rbx; sub rsp, 0x40, with a termination handler.
    let tail = machine.unwind_info(
        0x400,
        [1 | 2 << 3, 5, 2, 0],
        &[code(5, 2, 7), code(1, 0, 3)],
    );
    machine.put(tail, &0x345_u32.to_le_bytes());
    let whole = machine.entry(0x100, 0x140, 0x400);
    // A part of it that also saves rsi, and another one behind that.
    let tail = machine.unwind_info(0x500, [1 | 4 << 3, 5, 2, 0], &[code(5, 4, 6), 2]);
    machine.put(tail, &bytes(whole));
    let part = machine.entry(0x140, 0x180, 0x500);
    let tail = machine.unwind_info(0x600, [1 | 4 << 3, 4, 2, 0], &[code(4, 4, 7), 3]);
    machine.put(tail, &bytes(part));
    machine.entry(0x180, 0x1c0, 0x600);

    let mut context = registers(0x100);
    let unwound = machine
        .unwind(0x190, &mut context, UHANDLER)
        .expect("whole");
    assert_eq!(context.registers[7], word_at(0x118));
    assert_eq!(context.registers[6], word_at(0x110));
    assert_eq!(context.registers[3], word_at(0x140));
    assert_eq!(context.rip, word_at(0x148));
    assert_eq!(context.registers[RSP], STACK + 0x150);
    assert_eq!(
        unwound.handler.map(|handler| handler.routine),
        Some(BASE + 0x345)
    );

    // At the start of the last part nothing of its own has happened.
    let mut context = registers(0x100);
    machine.unwind(0x180, &mut context, 0).expect("whole");
    assert_eq!(context.registers[7], 0xaa07);
    assert_eq!(context.registers[6], word_at(0x110));
}
