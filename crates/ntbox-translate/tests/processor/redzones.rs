//! Tables of accesses around an object: which are asked about, which pass.

use ntbox_translate::{Gpr, MemoryChecks, Policy};

use crate::executor::{
    Addressing, CODE, Context, DATA, Exit, FailedCheck, Machine, STACK, leave_address, may_access,
    write_code, write_data, write_shadow,
};

/// The object under test begins here; 64 bytes on both sides are forbidden.
const OBJECT: u64 = DATA.start + 0x1000;

fn place_object(size: u64, beyond: u8) {
    let mut shadow = vec![beyond; 8];
    shadow.extend(vec![0; (size / 8) as usize]);
    if !size.is_multiple_of(8) {
        shadow.push((size % 8) as u8);
    }
    shadow.extend(vec![beyond; 16]);
    write_shadow(OBJECT - 64, &shadow);
}

fn remove_object() {
    write_shadow(OBJECT - 64, &[0; 64]);
}

fn machine(exact_flags: bool) -> Box<Machine> {
    Machine::new(
        Policy {
            memory: MemoryChecks::Shadow,
            exact_flags,
            ..Policy::default()
        },
        Addressing::Gs,
    )
}

/// Runs code that ends in a `ret`, with RCX, RSI and RDI as given.
fn run(machine: &mut Machine, rcx: u64, rsi: u64, rdi: u64, down: bool) -> Vec<FailedCheck> {
    let mut context = Context::new();
    context.gpr[4] = STACK.end - 4096;
    write_data(context.gpr[4], &leave_address().to_le_bytes());
    (context.gpr[1], context.gpr[6], context.gpr[7]) = (rcx, rsi, rdi);
    if down {
        context.flags |= 0x400;
    }
    machine.asked.clear();
    assert_eq!(machine.run_translated(&mut context, CODE.start), Exit::Left);
    std::mem::take(&mut machine.asked)
}

fn load(machine: &mut Machine, code: &[u8]) {
    let mut code = code.to_vec();
    code.push(0xc3);
    write_code(CODE.start, &code);
    machine.flush();
}

/// Instructions at `[rdi]`: size, whether they write, bytes.
const ACCESSES: [(u64, bool, &[u8]); 11] = [
    (1, false, &[0x8a, 0x07]),
    (1, true, &[0x88, 0x07]),
    (2, false, &[0x66, 0x8b, 0x07]),
    (2, true, &[0x66, 0x89, 0x07]),
    (4, false, &[0x8b, 0x07]),
    (4, true, &[0x89, 0x07]),
    (8, false, &[0x48, 0x8b, 0x07]),
    (8, true, &[0x48, 0x89, 0x07]),
    (16, false, &[0x0f, 0x10, 0x07]),
    (16, true, &[0x0f, 0x11, 0x07]),
    (8, true, &[0xf0, 0x48, 0x01, 0x07]),
];

#[test]
fn access_outside_object_is_reported() {
    for exact_flags in [false, true] {
        let mut machine = machine(exact_flags);
        let mut outside = 0;
        for (size, write, code) in ACCESSES {
            load(&mut machine, code);
            for object in [1, 3, 4, 7, 8, 9, 12, 15, 16, 17, 24, 61, 64] {
                place_object(object, 0xfa);
                for offset in -17..=(object as i64 + 17) {
                    let address = OBJECT.wrapping_add_signed(offset);
                    let inside = offset >= 0 && offset as u64 + size <= object;
                    assert_eq!(may_access(address, size), inside);
                    let asked = run(&mut machine, 0, 0, address, false);
                    assert_eq!(
                        asked.is_empty(),
                        inside,
                        "{size} bytes at {offset} of {object}, {code:x?}"
                    );
                    if let [asked] = asked[..] {
                        assert_eq!((asked.rip, asked.address), (CODE.start, address));
                        assert_eq!((u64::from(asked.size), asked.write), (size, write));
                        assert_eq!(asked.registers[7], address);
                        outside += 1;
                    }
                }
                remove_object();
            }
        }
        assert!(outside > 1000);
    }
}

#[test]
fn accesses_by_one_register_are_checked_each() {
    // mov rax,[rdi]; mov [rdi+16],rax; mov eax,[rdi+28]; movups xmm0,[rdi+40]; mov al,[rdi+63]
    let code = [
        0x48, 0x8b, 0x07, 0x48, 0x89, 0x47, 0x10, 0x8b, 0x47, 0x1c, 0x0f, 0x10, 0x47, 0x28, 0x8a,
        0x47, 0x3f,
    ];
    let members: [(u64, u64, u64); 5] =
        [(0, 0, 8), (3, 16, 8), (7, 28, 4), (10, 40, 16), (14, 63, 1)];
    let mut machine = machine(false);
    load(&mut machine, &code);
    for object in 1..=64 {
        place_object(object, 0xfd);
        let asked = run(&mut machine, 0, 0, OBJECT, false);
        let forbidden: Vec<(u64, u64)> = asked
            .iter()
            .filter(|asked| !may_access(asked.address, u64::from(asked.size)))
            .map(|asked| (asked.rip - CODE.start, asked.address - OBJECT))
            .collect();
        let expected: Vec<(u64, u64)> = members
            .iter()
            .filter(|(_, offset, size)| offset + size > object)
            .map(|(rip, offset, _)| (*rip, *offset))
            .collect();
        assert_eq!(forbidden, expected, "object of {object}");
        assert_eq!(asked.is_empty(), object == 64);
        remove_object();
    }
}

#[test]
fn repeated_string_instruction_outside_object_is_reported() {
    let mut machine = machine(false);
    // rep stosb, stosd, stosq; rep movsb, movsq (from elsewhere)
    for (size, code) in [
        (1, &[0xf3, 0xaa][..]),
        (4, &[0xf3, 0xab]),
        (8, &[0xf3, 0x48, 0xab]),
        (1, &[0xf3, 0xa4]),
        (8, &[0xf3, 0x48, 0xa5]),
    ] {
        load(&mut machine, code);
        for object in [1, 8, 13, 64, 200] {
            place_object(object, 0xfa);
            for offset in [-1, 0, 1, 7, 8] {
                for count in 0..=(object / size + 2) {
                    let address = OBJECT.wrapping_add_signed(offset);
                    let inside =
                        count == 0 || (offset >= 0 && offset as u64 + count * size <= object);
                    let asked = run(&mut machine, count, DATA.start + 0x8000, address, false);
                    let forbidden = asked
                        .iter()
                        .any(|asked| !may_access(asked.address, u64::from(asked.size) * count));
                    assert_eq!(
                        !inside, forbidden,
                        "{count} of {size} at {offset} of {object}, {code:x?}"
                    );
                    assert!(
                        inside
                            || asked
                                .iter()
                                .any(|asked| asked.address == address && asked.write)
                    );
                }
            }
            remove_object();
            write_shadow(OBJECT, &[0; 64]);
        }
    }
}

#[test]
fn repeated_string_instruction_downwards_is_always_reported() {
    let mut machine = machine(false);
    // std; rep stosb; cld
    load(&mut machine, &[0xfd, 0xf3, 0xaa, 0xfc]);
    let asked = run(&mut machine, 4, 0, OBJECT, true);
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].address, OBJECT);
}

#[test]
fn frame_register_of_unwind_data_needs_no_check() {
    let mut machine = machine(false);
    // mov rdi,rsp; mov rax,[rdi-32]; mov rax,[rsp-32]
    load(
        &mut machine,
        &[
            0x48, 0x89, 0xe7, 0x48, 0x8b, 0x47, 0xe0, 0x48, 0x8b, 0x44, 0x24, 0xe0,
        ],
    );
    let stack = STACK.end - 4096 - 32;
    write_shadow(stack, &[0xf1]);
    let asked = run(&mut machine, 0, 0, 0, false);
    assert_eq!(asked.len(), 1, "by RDI alone");
    let function = ntbox_translate::Function {
        range: CODE,
        frame_register: Gpr::new(7),
    };
    machine.code.functions.push(function);
    machine.flush();
    assert!(run(&mut machine, 0, 0, 0, false).is_empty());
    write_shadow(stack, &[0]);
}
