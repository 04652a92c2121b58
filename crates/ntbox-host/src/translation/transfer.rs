//! What the gates call: where the driver goes on, and what an instruction that is not
//! carried over does instead.

use std::arch::asm;
use std::ops::Range;

use ntbox_translate::{AccessExtent, Arrival, Gpr, Site, SiteKind, TrapReason, state};

use super::gates::GateFrame;
use super::{TRAP_FLAG, from_gs, interruption, refuse, with};
use crate::bug_check::Access;
use crate::context::Context;
use crate::memory_map::{CODE_CACHE, GUEST_END, NT};
use crate::signals::{Emulation, GENERAL};
use crate::trap::Trap;
use crate::{driver_mem, kernel_entry, upcall};

/// First of the addresses that no processor has, up to the system half of Windows.
const NOT_CANONICAL: u64 = 0x0000_8000_0000_0000;

/// A doubleword of the processor's state block.
macro_rules! state_field {
    ($field:expr) => {{
        let value: u32;
        // SAFETY: reads the state block behind GS; called on processors that have one.
        unsafe {
            asm!("mov {0:e}, gs:[{1}]", out(reg) value, const from_gs($field),
                options(nostack, readonly, preserves_flags));
        }
        value
    }};
}

/// Asks translated code to stop at its next branch backwards. Whether it was asked
/// before and has not stopped since.
pub fn request_poll() -> bool {
    let before = state_field!(state::POLL);
    // SAFETY: a field of the state block behind GS that only this thread uses.
    unsafe {
        asm!("mov dword ptr gs:[{0}], 1", const from_gs(state::POLL),
            options(nostack, preserves_flags));
    }
    before != 0
}

/// Takes the request back; whether there was one.
pub fn take_poll() -> bool {
    if state_field!(state::POLL) == 0 {
        return false;
    }
    // SAFETY: as in `request_poll`.
    unsafe {
        asm!("mov dword ptr gs:[{0}], 0", const from_gs(state::POLL),
            options(nostack, preserves_flags));
    }
    with(|machine| machine.suspend(false));
    true
}

/// The dispatch gate: where the driver goes on.
pub extern "sysv64" fn dispatch(frame: *mut GateFrame) -> u64 {
    // SAFETY: the gate passes the frame on its own stack; nothing else has it.
    let frame = unsafe { &mut *frame };
    let arrival = Arrival::from_number(state_field!(state::ARRIVAL));
    let signals = &kernel_entry::get().signals;
    if interruption::take_step() {
        frame.flags |= u64::from(TRAP_FLAG);
        (signals.trap)(&frame.context(), Trap::SingleStep);
    }
    if take_poll() && (signals.timer)(true) {
        (signals.tick)(frame.context(), Trap::Tick);
    }
    go_on(frame, arrival)
}

/// Where the driver goes on at the original address in the frame.
fn go_on(frame: &GateFrame, arrival: Arrival) -> u64 {
    let target = frame.rip;
    let trap = |trap: Trap| -> ! { (kernel_entry::get().signals.trap)(&frame.context(), trap) };
    if (NOT_CANONICAL..0xffff_8000_0000_0000).contains(&target) {
        let context = at_branch(frame.context());
        (kernel_entry::get().signals.trap)(&context, Trap::GeneralProtection);
    }
    if target >= GUEST_END && target != upcall::return_address() {
        trap(Trap::Page {
            address: target,
            access: Access::Execute,
        });
    }
    with(|machine| {
        if target >= GUEST_END || NT.contains(target) && !machine.code.contains(target) {
            machine.bind(target);
            return target;
        }
        // Where no code is, the processor itself says what happens.
        machine.entry(target, arrival).unwrap_or(target)
    })
}

/// The registers before the indirect branch that led to where they are: a branch to an
/// address that no processor has faults itself.
fn at_branch(context: Context) -> Context {
    let distance = i64::from(state_field!(state::BRANCH).cast_signed());
    let rip = CODE_CACHE.base.wrapping_add_signed(distance);
    let bytes = [0, 1, 2].map(|n| driver_mem::read_u8(rip + n).unwrap_or(0));
    // How far the stack pointer moved.
    let moved = match bytes {
        [0xc3, ..] | [0xf3, 0xc3, _] => 8,
        [0xc2, low, high] => 8 + i64::from(u16::from_le_bytes([low, high])),
        [0xff, modrm, _] | [0x40..=0x4f, 0xff, modrm] if modrm & 0x38 == 0x10 => -8,
        _ => 0,
    };
    let mut context = context;
    context.set_rsp(context.rsp().wrapping_add_signed(-moved));
    context.rip = rip;
    context
}

fn site() -> Site {
    let number = state_field!(state::SITE);
    with(|machine| machine.translator.site(number).copied())
        .expect("translated code names a site of its translator")
}

/// An access of the driver that the shadow has not let pass, before it happens.
pub struct CheckedAccess<'a> {
    /// The instruction.
    pub place: u64,
    /// What it accesses.
    pub range: Range<u64>,
    /// Whether it writes.
    pub write: bool,
    frame: &'a GateFrame,
    site: Site,
}

impl CheckedAccess<'_> {
    /// The driver's registers.
    #[must_use]
    pub fn context(&self) -> Context {
        let mut context = self.frame.context();
        let spills = interruption::spills();
        for gpr in self.site.spilled.registers() {
            let number = usize::from(gpr.number());
            context.registers[number] = spills[number];
        }
        context.rip = self.place;
        context
    }
}

/// The check gate: where the driver goes on.
pub extern "sysv64" fn check(frame: *mut GateFrame) -> u64 {
    // SAFETY: the gate passes the frame on its own stack; nothing else has it.
    let frame = unsafe { &*frame };
    let site = site();
    if let SiteKind::Access {
        size,
        write,
        extent,
    } = site.kind
        && let Some(range) = accessed(frame, &site, extent, size.into())
    {
        (kernel_entry::get().access_checked)(&CheckedAccess {
            place: site.original,
            range,
            write,
            frame,
            site,
        });
    }
    if interruption::take_step() {
        // The gate's own return would trap in the gate.
        let mut behind = frame.context();
        behind.eflags |= TRAP_FLAG;
        behind.rip = site.resume;
        // SAFETY: the registers are those that the code behind the check expects, and the
        // gate is not returned to.
        unsafe { upcall::load_context(&raw const behind) }
    }
    site.resume
}

/// The bytes that an instruction accesses at least; `None` if it may be none.
fn accessed(
    frame: &GateFrame,
    site: &Site,
    extent: AccessExtent,
    bytes: u64,
) -> Option<Range<u64>> {
    /// The direction flag.
    const DOWN: u64 = 0x400;
    let at = state_quadword();
    let element = at..at.saturating_add(bytes);
    match extent {
        AccessExtent::Fixed => Some(element),
        AccessExtent::Computed => None,
        AccessExtent::Repeated => {
            let number = usize::from(Gpr::RCX.number());
            let count = if site.spilled.contains(Gpr::RCX) {
                interruption::spills()[number]
            } else {
                frame.registers[number]
            };
            let others = count.checked_sub(1)?.saturating_mul(bytes);
            if stops_early(site.original) {
                Some(element)
            } else if frame.flags & DOWN != 0 {
                Some(at.saturating_sub(others)..element.end)
            } else {
                Some(at..element.end.saturating_add(others))
            }
        }
    }
}

/// Whether a repeated instruction ends when its operands differ, or do not: `cmps`, `scas`.
fn stops_early(instruction: u64) -> bool {
    let mut bytes = (0..15).map(|n| driver_mem::read_u8(instruction + n).unwrap_or(0));
    let is_prefix = |byte: &u8| {
        matches!(
            byte,
            0x66 | 0x67 | 0xf2 | 0xf3 | 0x2e | 0x3e | 0x64 | 0x65 | 0x40..=0x4f
        )
    };
    matches!(
        bytes.find(|byte| !is_prefix(byte)),
        Some(0xa6 | 0xa7 | 0xae | 0xaf)
    )
}

/// The address that the check was for.
fn state_quadword() -> u64 {
    let value: u64;
    // SAFETY: reads the state block behind GS, which a processor in the cache has.
    unsafe {
        asm!("mov {0}, gs:[{1}]", out(reg) value, const from_gs(state::ADDRESS),
            options(nostack, readonly, preserves_flags));
    }
    value
}

/// The trap gate: what the instruction does instead of running in the cache.
pub extern "sysv64" fn trap(frame: *mut GateFrame) -> u64 {
    // SAFETY: the gate passes the frame on its own stack; nothing else has it.
    let frame = unsafe { &mut *frame };
    let Site {
        original,
        next,
        kind,
        ..
    } = site();
    let SiteKind::Trap {
        reason,
        instruction,
    } = kind
    else {
        unreachable!("an access calls the check gate");
    };
    frame.rip = original;
    let stop = |frame: &GateFrame, trap: Trap| -> ! {
        (kernel_entry::get().signals.trap)(&frame.context(), trap)
    };
    match reason {
        TrapReason::InvalidOpcode => stop(frame, Trap::InvalidOpcode),
        TrapReason::Interrupt(3) => {
            frame.rip = next - 1;
            stop(frame, Trap::Breakpoint)
        }
        TrapReason::Interrupt(1) if next == original + 1 => {
            frame.rip = next;
            stop(frame, Trap::SingleStep)
        }
        TrapReason::SystemCall | TrapReason::Interrupt(0x80) => {
            stop(frame, Trap::Privileged("a system call"))
        }
        TrapReason::Interrupt(_) | TrapReason::Privileged => emulate(frame),
        TrapReason::Unreadable => {
            let address = with(|machine| machine.code.from(original).end);
            let access = Access::Execute;
            stop(frame, Trap::Page { address, access })
        }
        _ => refuse(original, &format_args!("{instruction}: {reason}")),
    }
}

/// Carries out an instruction that only a kernel may execute.
fn emulate(frame: &mut GateFrame) -> u64 {
    // SAFETY: all zero is a valid value of this plain structure.
    let mut context: libc::ucontext_t = unsafe { std::mem::zeroed() };
    let registers = &mut context.uc_mcontext.gregs;
    for (number, slot) in GENERAL.into_iter().enumerate() {
        registers[slot] = frame.registers[number].cast_signed();
    }
    registers[libc::REG_RIP as usize] = frame.rip.cast_signed();
    registers[libc::REG_EFL as usize] = frame.flags.cast_signed();
    let signals = &kernel_entry::get().signals;
    let emulation = (signals.emulate)(&mut context);
    if let Emulation::Trap(trap) = emulation {
        (signals.trap)(&frame.context(), trap)
    }
    let registers = &context.uc_mcontext.gregs;
    for (number, slot) in GENERAL.into_iter().enumerate() {
        frame.registers[number] = registers[slot].cast_unsigned();
    }
    frame.rip = registers[libc::REG_RIP as usize].cast_unsigned();
    frame.flags = registers[libc::REG_EFL as usize].cast_unsigned();
    if let Emulation::IrqlLowered = emulation {
        (signals.tick)(frame.context(), Trap::Lowered);
    }
    go_on(frame, Arrival::Direct)
}
