//! Whole functions, translated plainly.

use ntbox_translate::Policy;

use crate::executor::{
    Addressing, CODE, Context, Exit, Machine, leave_address, write_code, write_data,
};

#[test]
fn function_with_loop_and_call_returns_as_native() {
    // mov rcx, 10; xor eax, eax; l: add rax, rcx; call f; dec rcx; jne l; ret; f: lea rax,[rax+rax*2]; ret
    let code = [
        0x48, 0xc7, 0xc1, 10, 0, 0, 0, 0x31, 0xc0, 0x48, 0x01, 0xc8, 0xe8, 6, 0, 0, 0, 0x48, 0xff,
        0xc9, 0x75, 0xf3, 0xc3, 0x48, 0x8d, 0x04, 0x40, 0xc3,
    ];
    for addressing in [Addressing::Gs, Addressing::Absolute] {
        let mut machine = Machine::new(Policy::default(), addressing);
        write_code(CODE.start, &code);
        let mut native = Context::new();
        native.gpr[4] -= 8;
        write_data(native.gpr[4], &leave_address().to_le_bytes());
        let mut translated = native;
        assert_eq!(machine.run_native(&mut native, CODE.start), Exit::Left);
        assert_eq!(
            machine.run_translated(&mut translated, CODE.start),
            Exit::Left
        );
        assert_eq!(native, translated);
        assert_ne!(native.gpr[0], 0);
    }
}
