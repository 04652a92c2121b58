//! Signals that arrive while the processor is in the code cache: the registers that the
//! signal's handlers see are the driver's, at its original instruction.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ntbox_translate::{Gpr, Location, Phase, state};

use super::{STATE_OFFSET, gates, is_on, transfer, with};
use crate::memory_map::{CODE_CACHE, GUEST_END};
use crate::signals::GENERAL;
use crate::{cpu, driver_mem};

/// The flag that makes the processor trap after one instruction.
const TRAP_FLAG: i64 = 0x100;

/// The original instruction at which a driver that traps after each instruction has gone
/// on; 0 if that is not known.
static STEPPING_FROM: AtomicU64 = AtomicU64::new(0);
/// Whether such a driver has come to a gate.
static STEPPED_INTO_GATE: AtomicBool = AtomicBool::new(false);

/// Whether a driver traps because it writes to its own code, and no translation made
/// before holds after the instruction.
static RESYNCHRONIZES: AtomicBool = AtomicBool::new(false);

/// The processor as it was in the cache, while its registers are the driver's.
pub struct Interrupted {
    registers: [i64; 23],
    location: Location,
    /// The driver's registers, by number, and where it was.
    seen: [u64; 16],
    rip: u64,
    /// Where the processor was.
    at: u64,
}

fn rip(context: &libc::ucontext_t) -> u64 {
    context.uc_mcontext.gregs[libc::REG_RIP as usize].cast_unsigned()
}

/// Whether the processor is in the cache.
pub fn is_in_cache(context: &libc::ucontext_t) -> bool {
    is_on() && CODE_CACHE.contains(rip(context))
}

/// The clock's signal has arrived in the cache: the driver is interrupted at its next
/// branch backwards, or, if it has none, at its next indirect branch.
pub fn tick() {
    if transfer::request_poll() {
        with(|machine| machine.suspend(true));
    }
}

/// Replaces the registers by the driver's, if the processor is in the cache.
pub fn leave(context: &mut libc::ucontext_t) -> Option<Interrupted> {
    if !is_in_cache(context) {
        return None;
    }
    let at = rip(context);
    let location = with(|machine| machine.translator.locate(at))?;
    let registers = &mut context.uc_mcontext.gregs;
    let interrupted = *registers;
    let processor = GENERAL.map(|slot| registers[slot].cast_unsigned());
    let seen = location.registers(processor, spills());
    for (number, slot) in GENERAL.into_iter().enumerate() {
        registers[slot] = seen[number].cast_signed();
    }
    let flags = &mut registers[libc::REG_EFL as usize];
    *flags = location
        .flags(flags.cast_unsigned(), processor[0])
        .cast_signed();
    registers[libc::REG_RIP as usize] = location.original.cast_signed();
    Some(Interrupted {
        registers: interrupted,
        location,
        seen,
        rip: location.original,
        at,
    })
}

/// A driver goes on that traps after each instruction.
pub fn step_from(original: u64) {
    STEPPING_FROM.store(original, Ordering::Relaxed);
}

/// The processor has trapped after an instruction. True if it was not one of the driver's,
/// but one of a gate, or of the way to one.
pub fn is_step_out(context: &mut libc::ucontext_t) -> bool {
    if !is_on() || driver_mem::recovery(rip(context)).is_some() {
        return false;
    }
    if rip(context) >= GUEST_END {
        context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG;
        // A gate finds what was translated since.
        let ended = RESYNCHRONIZES.swap(false, Ordering::Relaxed);
        STEPPED_INTO_GATE.store(!ended, Ordering::Relaxed);
        return true;
    }
    is_in_cache(context) && with(|machine| machine.translator.locate(rip(context))).is_none()
}

/// Whether the driver traps after an instruction that writes to code.
pub fn resynchronizes() -> bool {
    RESYNCHRONIZES.load(Ordering::Relaxed)
}

/// Whether a driver that traps after each instruction has come to this gate.
pub fn take_step() -> bool {
    STEPPED_INTO_GATE.swap(false, Ordering::Relaxed)
}

impl Interrupted {
    /// The processor has trapped after an instruction of the cache: whether the driver's
    /// instruction is not done.
    pub fn is_within_instruction(&self) -> bool {
        let from = match STEPPING_FROM.swap(0, Ordering::Relaxed) {
            0 => with(|machine| machine.translator.locate(self.at - 1))
                .map_or(0, |before| before.original),
            from => from,
        };
        if from == self.rip {
            step_from(from);
        }
        from == self.rip
    }

    /// Makes the driver's instruction, which writes to code, the last one of its
    /// translation.
    pub fn step_to_resynchronize(&self, context: &mut libc::ucontext_t) {
        RESYNCHRONIZES.store(true, Ordering::Relaxed);
        step_from(self.rip);
        self.restore(context);
        context.uc_mcontext.gregs[libc::REG_EFL as usize] |= TRAP_FLAG;
    }

    /// The processor has trapped after it: goes on by a new translation, or to the end
    /// of the instruction.
    pub fn resynchronize(&self, context: &mut libc::ucontext_t) {
        if self.is_within_instruction() {
            self.restore(context);
            return;
        }
        RESYNCHRONIZES.store(false, Ordering::Relaxed);
        context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG;
        enter(context);
    }

    /// Where a check goes on that has found no shadow.
    pub fn check(&self) -> Option<u64> {
        match self.location.phase {
            Phase::Check { ask } => Some(ask),
            Phase::Instruction => None,
        }
    }

    /// Puts the registers back as they were in the cache.
    pub fn restore(&self, context: &mut libc::ucontext_t) {
        context.uc_mcontext.gregs = self.registers;
    }

    /// Goes on in the cache with what handlers have changed of the driver's registers.
    pub fn go_on(mut self, context: &mut libc::ucontext_t) {
        if rip(context) != self.rip {
            enter(context);
            return;
        }
        let changed = context.uc_mcontext.gregs;
        for (gpr, slot) in Gpr::all().zip(GENERAL) {
            let value = changed[slot];
            if value.cast_unsigned() == self.seen[usize::from(gpr.number())] {
                continue;
            }
            if self.location.spilled.contains(gpr) {
                write_spill(gpr, value.cast_unsigned());
            } else {
                self.registers[slot] = value;
            }
        }
        let flags = &mut self.registers[libc::REG_EFL as usize];
        *flags = *flags & !TRAP_FLAG | changed[libc::REG_EFL as usize] & TRAP_FLAG;
        self.restore(context);
    }
}

/// Lets the processor go on in the cache, where its registers, which are the driver's,
/// say that it is.
pub fn enter(context: &mut libc::ucontext_t) {
    if !is_on() {
        return;
    }
    let registers = &mut context.uc_mcontext.gregs;
    let target = registers[libc::REG_RIP as usize];
    write_spill(Gpr::RCX, registers[libc::REG_RCX as usize].cast_unsigned());
    write_spill(Gpr::RDX, registers[libc::REG_RDX as usize].cast_unsigned());
    write_u32(state::ARRIVAL, 0);
    registers[libc::REG_RDX as usize] = target;
    registers[libc::REG_RIP as usize] = (gates::dispatch_gate as *const () as u64).cast_signed();
}

/// The address of a field of this processor's state block.
fn field(offset: i32) -> u64 {
    let region = cpu::current().own.get() - cpu::CPU_OFFSET as u64;
    region + u64::from(STATE_OFFSET.unsigned_abs()) + u64::from(offset.unsigned_abs())
}

/// What the state block keeps of the driver's registers.
pub fn spills() -> [u64; 16] {
    let at = field(state::SPILLS) as *const [u64; 16];
    // SAFETY: sixteen aligned quadwords of the state block, to which no reference points.
    unsafe { at.read() }
}

fn write_spill(gpr: Gpr, value: u64) {
    // SAFETY: an aligned quadword of the state block, to which no reference points.
    unsafe { (field(state::spill(gpr)) as *mut u64).write(value) };
}

fn write_u32(offset: i32, value: u32) {
    // SAFETY: an aligned doubleword of the state block, to which no reference points.
    unsafe { (field(offset) as *mut u32).write(value) };
}
