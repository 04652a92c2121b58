//! Instructions that only a kernel may execute, carried out for the driver.

use crate::host::trap::Trap;
use crate::host::{cpu, driver_mem};
use crate::kernel::ke::{apc, clock_interrupt, dpc, processor, sched, seeded_schedule};

/// What became of an instruction.
#[derive(Debug)]
pub enum Carried {
    /// Done; the registers say so.
    Out,
    /// Done, and what waited for a lower IRQL can happen now.
    Lowered,
    /// Not one that is carried out here.
    Trap(Trap),
}

/// Looks at the instruction that caused a general protection fault and carries
/// it out if it is one of those that drivers use inline: reading and writing
/// CR8 (the IRQL), `cli` and `sti`, the software interrupts of Windows.
pub fn carry_out(context: &mut libc::ucontext_t) -> Carried {
    let registers = &mut context.uc_mcontext.gregs;
    let rip = registers[libc::REG_RIP as usize].cast_unsigned();
    let mut code = [0_u8; 15];
    // Near the end of a section fewer bytes can be read.
    let length = (1..=code.len())
        .rev()
        .find(|length| driver_mem::read_bytes(rip, &mut code[..*length]).is_ok());
    let Some(length) = length else {
        return Carried::Trap(Trap::GeneralProtection);
    };
    let code = &code[..length];
    let done = |registers: &mut [i64; 23], length: i64| {
        registers[libc::REG_RIP as usize] += length;
        Carried::Out
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
                Carried::Lowered
            } else {
                Carried::Out
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
                *slot = i64::from(cpu::irql());
            } else {
                // Bits above the low four are reserved: the processor faults.
                let Ok(irql @ 0..=15) = u8::try_from(*slot) else {
                    return Carried::Trap(Trap::GeneralProtection);
                };
                cpu::set_irql(irql);
                if is_due() && clock_interrupt::may_interrupt() {
                    done(registers, 4);
                    return Carried::Lowered;
                }
            }
            done(registers, 4)
        }
        [0xcd, 0x29, ..] => Carried::Trap(Trap::FastFail(
            registers[libc::REG_RCX as usize].cast_unsigned(),
        )),
        [0xcd, 0x2c, ..] => Carried::Trap(Trap::Assertion),
        [0xcd, 0x2d, ..] => Carried::Trap(Trap::Breakpoint),
        [0xf4, ..] => Carried::Trap(Trap::Privileged("hlt")),
        [0x0f, 0x32, ..] => Carried::Trap(Trap::Privileged("rdmsr")),
        [0x0f, 0x30, ..] => Carried::Trap(Trap::Privileged("wrmsr")),
        [0x0f, 0x20 | 0x22, ..] | [_, 0x0f, 0x20 | 0x22, ..] => Carried::Trap(Trap::Privileged(
            "access to a control register other than CR8",
        )),
        [0xe4..=0xe7 | 0xec..=0xef, ..] | [0x66, 0xe4..=0xe7 | 0xec..=0xef, ..] => {
            Carried::Trap(Trap::Privileged("port input or output"))
        }
        _ => Carried::Trap(Trap::GeneralProtection),
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

/// The registers in the order in which instructions number them.
pub const GENERAL: [usize; 16] = [
    libc::REG_RAX as usize,
    libc::REG_RCX as usize,
    libc::REG_RDX as usize,
    libc::REG_RBX as usize,
    libc::REG_RSP as usize,
    libc::REG_RBP as usize,
    libc::REG_RSI as usize,
    libc::REG_RDI as usize,
    libc::REG_R8 as usize,
    libc::REG_R9 as usize,
    libc::REG_R10 as usize,
    libc::REG_R11 as usize,
    libc::REG_R12 as usize,
    libc::REG_R13 as usize,
    libc::REG_R14 as usize,
    libc::REG_R15 as usize,
];
