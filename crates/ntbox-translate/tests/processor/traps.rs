//! Instructions that are not carried over stop at the trap gate, by name.

use ntbox_translate::{MemoryChecks, Policy, SiteKind, TrapReason};

use crate::executor::{Addressing, CODE, Context, Exit, Machine, write_code};

const TABLE: [(&[u8], TrapReason, &str); 30] = [
    (&[0x0f, 0x05], TrapReason::SystemCall, "syscall"),
    (&[0x0f, 0x34], TrapReason::SystemCall, "sysenter"),
    (&[0x48, 0x0f, 0x07], TrapReason::SystemCall, "sysretq"),
    (&[0xcd, 0x80], TrapReason::Interrupt(0x80), "int"),
    (&[0xcd, 0x2e], TrapReason::Interrupt(0x2e), "int"),
    (&[0xcd, 0x29], TrapReason::Interrupt(0x29), "int"),
    (&[0xcc], TrapReason::Interrupt(3), "int3"),
    (&[0xf1], TrapReason::Interrupt(1), "int1"),
    (&[0x0f, 0x0b], TrapReason::InvalidOpcode, "ud2"),
    (&[0x06], TrapReason::InvalidOpcode, "invalid"),
    (&[0xfa], TrapReason::Privileged, "cli"),
    (&[0xfb], TrapReason::Privileged, "sti"),
    (&[0xf4], TrapReason::Privileged, "hlt"),
    (&[0xec], TrapReason::Privileged, "in"),
    (&[0xee], TrapReason::Privileged, "out"),
    (&[0x0f, 0x32], TrapReason::Privileged, "rdmsr"),
    (&[0x0f, 0x30], TrapReason::Privileged, "wrmsr"),
    (&[0x44, 0x0f, 0x20, 0xc0], TrapReason::Privileged, "mov"),
    (&[0x0f, 0x01, 0xf8], TrapReason::Privileged, "swapgs"),
    (&[0x8e, 0xd8], TrapReason::SegmentLoad, "mov"),
    (&[0x0f, 0xa9], TrapReason::SegmentLoad, "pop"),
    (
        &[0xf3, 0x48, 0x0f, 0xae, 0xd8],
        TrapReason::SegmentLoad,
        "wrgsbase",
    ),
    (&[0x64, 0x8b, 0x00], TrapReason::FsSegment, "mov"),
    (&[0xcb], TrapReason::FarTransfer, "retf"),
    (&[0x48, 0xcf], TrapReason::FarTransfer, "iretq"),
    (&[0xff, 0x28], TrapReason::FarTransfer, "jmp"),
    (&[0x66, 0xc3], TrapReason::OperandSizeBranch, "ret"),
    (&[0x66, 0xeb, 0x10], TrapReason::OperandSizeBranch, "jmp"),
    (&[0x0f, 0x01, 0xc1], TrapReason::Unsupported, "vmcall"),
    (&[0xc7, 0xf8, 0, 0, 0, 0], TrapReason::Transaction, "xbegin"),
];

#[test]
fn instruction_not_carried_over_traps_by_name() {
    for memory in [MemoryChecks::Off, MemoryChecks::Shadow] {
        let mut machine = Machine::new(
            Policy {
                memory,
                ..Policy::default()
            },
            Addressing::Gs,
        );
        for (bytes, expected, name) in TABLE {
            // nop; the instruction
            let mut code = vec![0x90];
            code.extend(bytes);
            write_code(CODE.start, &code);
            machine.flush();
            let mut context = Context::new();
            let before = context;
            let exit = machine.run_translated(&mut context, CODE.start);
            let Exit::Trap(site) = exit else {
                panic!("{bytes:x?}: {exit:?}")
            };
            let SiteKind::Trap {
                reason,
                instruction,
            } = site.kind
            else {
                panic!("{bytes:x?}: {site:?}")
            };
            assert_eq!(
                (reason, instruction.to_string().as_str()),
                (expected, name),
                "{bytes:x?}"
            );
            assert_eq!(site.original, CODE.start + 1);
            assert_eq!(context.gpr, before.gpr);
        }
    }
}

#[test]
fn operand_out_of_reach_traps_or_becomes_a_constant() {
    let mut machine = Machine::new(Policy::default(), Addressing::Gs);
    // lea rax,[rip-0x7fffff00]: from the cache, beyond two GiB
    let mut code = vec![0x48, 0x8d, 0x05];
    code.extend((-0x7fff_ff00_i32).to_le_bytes());
    code.extend([0x0f, 0x0b]);
    write_code(CODE.start, &code);
    let mut context = Context::new();
    let exit = machine.run_translated(&mut context, CODE.start);
    assert!(
        matches!(exit, Exit::Trap(site) if site.original == CODE.start + 7),
        "{exit:?}"
    );
    assert_eq!(context.gpr[0], (CODE.start + 7).wrapping_sub(0x7fff_ff00));
    // mov rax,[the same]
    code[1] = 0x8b;
    write_code(CODE.start, &code);
    machine.flush();
    let exit = machine.run_translated(&mut Context::new(), CODE.start);
    let Exit::Trap(site) = exit else {
        panic!("{exit:?}")
    };
    assert!(
        matches!(
            site.kind,
            SiteKind::Trap {
                reason: TrapReason::OperandOutOfReach,
                ..
            }
        ),
        "{site:?}"
    );
}
