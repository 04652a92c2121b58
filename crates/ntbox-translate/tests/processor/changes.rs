//! Code that changes or goes away, loops that the host interrupts, counters.

use ntbox_translate::{Coverage, Policy, TranslateError};

use crate::executor::{
    Addressing, CODE, Context, Exit, Machine, leave_address, memory_of, write_code, write_data,
};

fn context() -> Context {
    let mut context = Context::new();
    write_data(context.gpr[4], &leave_address().to_le_bytes());
    context.gpr[0] = 0;
    context
}

/// mov eax, `value`; ret
fn returns(value: u8) -> [u8; 6] {
    [0xb8, value, 0, 0, 0, 0xc3]
}

#[test]
fn invalidated_code_is_translated_again() {
    let mut machine = Machine::new(Policy::default(), Addressing::Gs);
    let callee = CODE.start + 0x100;
    // call callee; ret
    write_code(CODE.start, &[0xe8, 0xfb, 0, 0, 0, 0xc3]);
    for value in 1..5 {
        write_code(callee, &returns(value));
        let edits = machine.translator.invalidate(callee..callee + 6);
        Machine::apply(&edits);
        for _ in 0..3 {
            let mut context = context();
            assert_eq!(machine.run_translated(&mut context, CODE.start), Exit::Left);
            assert_eq!(context.gpr[0], u64::from(value));
        }
    }
}

#[test]
fn invalidated_code_invalidates_liveness_users() {
    let mut machine = Machine::new(Policy::default(), Addressing::Gs);
    let other = CODE.start + 0x200;
    // The second unit is translated first, so that the first one knows what it reads.
    write_code(other, &returns(1));
    // mov ecx, 7; jmp other
    write_code(CODE.start, &[0xb9, 7, 0, 0, 0, 0xe9, 0xf6, 1, 0, 0]);
    assert_eq!(machine.run_translated(&mut context(), other), Exit::Left);
    let mut first = context();
    assert_eq!(machine.run_translated(&mut first, CODE.start), Exit::Left);
    assert!(machine.translator.lookup(CODE.start).is_some());
    // mov eax, ecx; ret
    write_code(other, &[0x89, 0xc8, 0xc3]);
    let edits = machine.translator.invalidate(other..other + 3);
    Machine::apply(&edits);
    assert!(machine.translator.lookup(CODE.start).is_none());
    let mut second = context();
    assert_eq!(machine.run_translated(&mut second, CODE.start), Exit::Left);
    assert_eq!((first.gpr[0], second.gpr[0]), (1, 7));
}

#[test]
fn endless_loop_reaches_dispatch_gate() {
    // inc rax; jmp to itself; and with flags live at the head: adc rax, 1; jmp
    for code in [
        &[0x48, 0xff, 0xc0, 0xeb, 0xfb][..],
        &[0x48, 0x83, 0xd0, 1, 0xeb, 0xfa],
    ] {
        let mut machine = Machine::new(Policy::default(), Addressing::Gs);
        write_code(CODE.start, code);
        machine.polls_left = Some(0);
        Machine::request_poll();
        let exit = machine.run_translated(&mut context(), CODE.start);
        assert!(
            matches!(exit, Exit::Fault { signal: 0, rip, .. } if rip == CODE.start),
            "{exit:?}"
        );
    }
}

#[test]
fn branch_to_unmapped_address_faults_there() {
    let mut machine = Machine::new(Policy::default(), Addressing::Gs);
    assert_eq!(
        machine
            .translator
            .translate(&machine.code, 0x1234, ntbox_translate::Arrival::Direct),
        Err(TranslateError::NotCode)
    );
    // mov eax, 0x1234; jmp rax
    write_code(CODE.start, &[0xb8, 0x34, 0x12, 0, 0, 0xff, 0xe0]);
    let mut native = context();
    let mut translated = native;
    let expected = machine.run_native(&mut native, CODE.start);
    assert_eq!(
        machine.run_translated(&mut translated, CODE.start),
        expected
    );
    assert_eq!(native.gpr, translated.gpr);
}

#[test]
fn return_to_invalid_address_faults_there() {
    let mut machine = Machine::new(Policy::default(), Addressing::Gs);
    write_code(CODE.start, &[0xc3]);
    let mut native = context();
    write_data(native.gpr[4], &0x7654_3210_u64.to_le_bytes());
    let mut translated = native;
    let expected = machine.run_native(&mut native, CODE.start);
    assert_eq!(
        machine.run_translated(&mut translated, CODE.start),
        expected
    );
    assert!(matches!(
        expected,
        Exit::Fault {
            rip: 0x7654_3210,
            ..
        }
    ));
    assert_eq!(native.gpr, translated.gpr);
}

#[test]
fn flags_returned_to_caller_are_kept() {
    let mut machine = Machine::new(
        Policy {
            memory: ntbox_translate::MemoryChecks::Shadow,
            ..Policy::default()
        },
        Addressing::Gs,
    );
    let callee = CODE.start + 0x100;
    // call callee; setb al; movzx eax, al; ret
    write_code(
        CODE.start,
        &[
            0xe8, 0xfb, 0, 0, 0, 0x0f, 0x92, 0xc0, 0x0f, 0xb6, 0xc0, 0xc3,
        ],
    );
    // stc; mov rdx,[rdi]; ret
    write_code(callee, &[0xf9, 0x48, 0x8b, 0x17, 0xc3]);
    for _ in 0..3 {
        // The callee is translated first: alone it shows no use for its flags.
        let mut context = context();
        context.gpr[7] = crate::executor::DATA.start;
        assert_eq!(machine.run_translated(&mut context, callee), Exit::Left);
        write_data(context.gpr[4] - 8, &leave_address().to_le_bytes());
        context.gpr[4] -= 8;
        assert_eq!(machine.run_translated(&mut context, CODE.start), Exit::Left);
        assert_eq!(context.gpr[0], 1);
    }
}

#[test]
fn counters_count_blocks_and_edges() {
    let mut machine = Machine::new(
        Policy {
            coverage: Coverage::EdgeCounts,
            ..Policy::default()
        },
        Addressing::Gs,
    );
    // mov ecx, 5; l: dec ecx; jne l; ret
    write_code(
        CODE.start,
        &[0xb9, 5, 0, 0, 0, 0xff, 0xc9, 0x75, 0xfc, 0xc3],
    );
    let start = machine.counters().start;
    let before = memory_of(start..start + 64);
    assert_eq!(
        machine.run_translated(&mut context(), CODE.start),
        Exit::Left
    );
    let after = memory_of(start..start + 64);
    let counts: Vec<(u64, bool, u8)> = machine
        .translator
        .counters()
        .iter()
        .enumerate()
        .map(|(index, counter)| {
            (
                counter.original - CODE.start,
                counter.edge,
                after[index].wrapping_sub(before[index]),
            )
        })
        .collect();
    assert_eq!(
        counts,
        [(0, false, 1), (5, false, 5), (7, true, 4), (9, false, 1)]
    );
}

#[test]
fn import_with_changed_pointer_calls_new_target() {
    let mut machine = Machine::new(Policy::default(), Addressing::Gs);
    let (slot, export, other) = (CODE.start + 0x80, CODE.start + 0x300, CODE.start + 0x500);
    // call [rip+slot]; ret
    write_code(CODE.start, &[0xff, 0x15, 0x7a, 0, 0, 0, 0xc3]);
    write_code(other, &returns(5));
    let edits = machine.translator.bind(export, leave_address()).unwrap();
    Machine::apply(&edits);
    for (pointer, result, pushed) in [(export, 0, 8), (other, 5, 0), (export, 0, 8), (other, 5, 0)]
    {
        write_code(slot, &pointer.to_le_bytes());
        let mut context = context();
        let stack = context.gpr[4];
        context.gpr[10] = 0x1234;
        assert_eq!(machine.run_translated(&mut context, CODE.start), Exit::Left);
        // The export leaves with its return address on the stack, a `ret` without.
        assert_eq!(
            context.gpr[4],
            if pushed == 0 {
                stack + 8
            } else {
                stack - pushed
            }
        );
        assert_eq!((context.gpr[0], context.gpr[10]), (result, 0x1234));
    }
    assert_eq!(machine.translator.statistics().units, 2);
}
