//! Instructions that only a kernel may execute, carried out for the driver.

use ntbox_host::signals::{Emulation, GENERAL};
use ntbox_host::trap::Trap;
use ntbox_host::{cpu, driver_mem};

use crate::ke::{apc, clock_interrupt, dpc, irql, processor, sched, seeded_schedule};

/// Looks at the instruction that caused a general protection fault and carries
/// it out if it is one of those that drivers use inline: reading and writing
/// CR8 (the IRQL), `cli` and `sti`, the software interrupts of Windows.
pub fn emulate(context: &mut libc::ucontext_t) -> Emulation {
    let registers = &mut context.uc_mcontext.gregs;
    let rip = registers[libc::REG_RIP as usize].cast_unsigned();
    let mut code = [0_u8; 15];
    // Near the end of a section fewer bytes can be read.
    let length = (1..=code.len())
        .rev()
        .find(|length| driver_mem::read_bytes(rip, &mut code[..*length]).is_ok());
    let Some(length) = length else {
        return Emulation::Trap(Trap::GeneralProtection);
    };
    let code = &code[..length];
    let done = |registers: &mut [i64; 23], length: i64| {
        registers[libc::REG_RIP as usize] += length;
        Emulation::Done
    };
    match *code {
        [0xfa, ..] => {
            cpu::current().interrupts.set(false);
            done(registers, 1)
        }
        [0xfb, ..] => {
            cpu::current().interrupts.set(true);
            done(registers, 1);
            if is_due() && clock_interrupt::may_interrupt() {
                Emulation::IrqlLowered
            } else {
                Emulation::Done
            }
        }
        // mov r64, cr8 and mov cr8, r64: REX.R extends control register 0 to 8.
        [
            rex @ (0x44 | 0x45 | 0x4c | 0x4d),
            0x0f,
            opcode @ (0x20 | 0x22),
            modrm,
            ..,
        ] if modrm & 0xf8 == 0xc0 => {
            let number = usize::from(modrm & 7) | usize::from(rex & 1) << 3;
            let slot = &mut registers[GENERAL[number]];
            if opcode == 0x20 {
                *slot = i64::from(irql::read_inline());
            } else {
                // Bits above the low four are reserved: the processor faults.
                let Ok(level @ 0..=15) = u8::try_from(*slot) else {
                    return Emulation::Trap(Trap::GeneralProtection);
                };
                irql::write_inline(level, rip);
                if is_due() && clock_interrupt::may_interrupt() {
                    done(registers, 4);
                    return Emulation::IrqlLowered;
                }
            }
            done(registers, 4)
        }
        [0xcd, 0x29, ..] => Emulation::Trap(Trap::FastFail(
            registers[libc::REG_RCX as usize].cast_unsigned(),
        )),
        [0xcd, 0x2c, ..] => Emulation::Trap(Trap::Assertion),
        [0xcd, 0x2d, ..] => Emulation::Trap(Trap::Breakpoint),
        [0xf4, ..] => Emulation::Trap(Trap::Privileged("hlt")),
        [0x0f, 0x32, ..] => Emulation::Trap(Trap::Privileged("rdmsr")),
        [0x0f, 0x30, ..] => Emulation::Trap(Trap::Privileged("wrmsr")),
        [0x0f, 0x20 | 0x22, ..] | [_, 0x0f, 0x20 | 0x22, ..] => Emulation::Trap(Trap::Privileged(
            "access to a control register other than CR8",
        )),
        [0xe4..=0xe7 | 0xec..=0xef, ..] | [0x66, 0xe4..=0xe7 | 0xec..=0xef, ..] => {
            Emulation::Trap(Trap::Privileged("port input or output"))
        }
        _ => Emulation::Trap(Trap::GeneralProtection),
    }
}

/// Whether something waits for a lower IRQL.
fn is_due() -> bool {
    dpc::pending()
        || apc::pending()
        || processor::is_leaving()
        || sched::is_preempted()
        || seeded_schedule::is_drawn()
}
