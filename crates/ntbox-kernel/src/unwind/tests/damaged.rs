//! Damaged unwind data: an error, whatever it is, and never a crash or a loop.

use super::machine::{BASE, Machine, STACK, bytes, code, registers};
use crate::unwind::function_table;
use crate::unwind::reader::Damage;
use crate::unwind::unwind_info::{EHANDLER, UHANDLER};

#[test]
fn unwind_of_unknown_version_or_operation_fails() {
    for version in [0, 3, 7] {
        let mut machine = Machine::new();
        machine.function([version, 0, 0, 0], &[]);
        let result = machine.unwind(0x110, &mut registers(0x100), 0);
        assert_eq!(
            result,
            Err(Damage::Version {
                rva: 0x400,
                version
            })
        );
    }
    for operation in 11..16 {
        let mut machine = Machine::new();
        machine.function([1, 0, 1, 0], &[code(0, operation, 0)]);
        let result = machine.unwind(0x110, &mut registers(0x100), 0);
        assert_eq!(
            result,
            Err(Damage::Operation {
                rva: 0x400,
                code: operation
            })
        );
    }
}

#[test]
fn unwind_of_truncated_operation_fails() {
    for (operation, info) in [
        (1, 0),
        (1, 1),
        (4, 3),
        (5, 3),
        (6, 0),
        (7, 0),
        (8, 6),
        (9, 6),
    ] {
        let mut machine = Machine::new();
        machine.function([1, 0, 1, 0], &[code(0, operation, info)]);
        let result = machine.unwind(0x110, &mut registers(0x100), 0);
        assert_eq!(
            result,
            Err(Damage::Cut { rva: 0x400 }),
            "operation {operation}"
        );
    }
}

#[test]
fn unwind_data_outside_image_fails() {
    let cases = [
        // The information itself, its codes, the handler's address, the parent.
        (0x1000, [1, 0, 0, 0]),
        (0xffff_fff0, [1, 0, 0, 0]),
        (0xff8, [1, 0, 8, 0]),
        (0xffc, [1 | 1 << 3, 0, 0, 0]),
        (0xffc, [1 | 4 << 3, 0, 0, 0]),
    ];
    for (rva, head) in cases {
        let mut machine = Machine::new();
        if rva < 0x1000 {
            machine.unwind_info(rva, head, &[]);
        }
        machine.entry(0x100, 0x200, rva);
        let result = machine.unwind(0x110, &mut registers(0x100), EHANDLER);
        assert!(
            matches!(result, Err(Damage::Outside { .. })),
            "{rva:#x} {head:?}: {result:?}"
        );
    }
    // The handler.
    let mut machine = Machine::new();
    let tail = machine.unwind_info(0x400, [1 | 1 << 3, 0, 0, 0], &[]);
    machine.put(tail, &0x1000_u32.to_le_bytes());
    machine.entry(0x100, 0x200, 0x400);
    let result = machine.unwind(0x110, &mut registers(0x100), EHANDLER);
    assert_eq!(
        result,
        Err(Damage::Outside {
            what: "a language handler",
            rva: 0x1000
        })
    );
}

#[test]
fn unwind_of_circular_chain_fails() {
    for version in [1, 2] {
        let mut machine = Machine::new();
        let tail = machine.unwind_info(0x400, [version | 4 << 3, 0, 2, 0], &[code(1, 6, 1), 0]);
        let entry = machine.entry(0x100, 0x200, 0x400);
        machine.put(tail, &bytes(entry));
        for rva in [0x110, 0x1ff] {
            let result = machine.unwind(rva, &mut registers(0x100), 0);
            assert_eq!(
                result,
                Err(Damage::Chain { rva: 0x400 }),
                "version {version}, {rva:#x}"
            );
        }
        // Also where a jump asks which function its target belongs to.
        machine.entry(0x200, 0x280, 0x400);
        machine.put(0x110, &[0xeb, 0x00, 0xe9, 0xf0, 0x00, 0x00, 0x00]);
        let result = machine.unwind(0x112, &mut registers(0x100), 0);
        assert!(result.is_err() || version == 1, "{result:?}");
    }
}

#[test]
fn unwind_of_unmapped_stack_fails() {
    let mut machine = Machine::new();
    machine.function(
        [1, 8, 5, 0],
        &[code(8, 8, 6), 0xffff, code(4, 1, 1), 0, 0x7fff],
    );
    let unreadable = |rsp| {
        let mut context = registers(0);
        context.registers[4] = rsp;
        machine.unwind(0x110, &mut context, 0)
    };
    for rsp in [0, u64::MAX, STACK + 0x1ff9, STACK] {
        let result = unreadable(rsp);
        assert!(
            matches!(
                result,
                Err(Damage::Unreadable {
                    what: "the stack",
                    ..
                })
            ),
            "{result:?}"
        );
    }
}

/// A generator of numbers that look random, the same ones in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }
}

#[test]
fn unwind_of_random_data_terminates() {
    let mut numbers = Numbers(0x1234_5678_9abc_def1);
    let (mut whole, mut damaged) = (0, 0);
    for round in 0..20_000 {
        let mut machine = Machine::new();
        for byte in &mut machine.image {
            *byte = numbers.byte();
        }
        // Entries that make sense to begin with, more often than chance would.
        machine.entry(0x100, 0x180, numbers.next().to_le_bytes()[0].into());
        let chain = if round % 2 == 0 { 4 } else { 0 };
        let head = [
            (1 + numbers.byte() % 2) | chain << 3,
            numbers.byte(),
            numbers.byte() % 12,
            numbers.byte(),
        ];
        machine.put(0x400, &head);
        machine.entry(0x180, 0x200, 0x400);
        machine.entry(0x200, 0x280, u32::from(numbers.byte()) << 3 | 1);
        let mut context = registers(0x800);
        for slot in &mut context.registers {
            if numbers.byte() < 128 {
                *slot = STACK + (numbers.next() & 0x1ff8);
            }
        }
        let rva = 0x100 + u32::from(numbers.byte()) + u32::from(numbers.byte() & 0x7f);
        let pc = BASE + u64::from(rva);
        let image = machine.view();
        let Ok(Some(_)) = function_table::lookup(&machine, &image, pc) else {
            damaged += 1;
            continue;
        };
        match machine.unwind(rva, &mut context, EHANDLER | UHANDLER) {
            Ok(_) => whole += 1,
            Err(_) => damaged += 1,
        }
    }
    // Both ways were taken, so the test looked at both.
    assert!(
        whole > 1_000 && damaged > 1_000,
        "{whole} whole, {damaged} damaged"
    );
}
