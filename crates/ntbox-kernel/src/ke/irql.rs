//! IRQL: the real number, which CR8 and these functions share. Drivers also read and
//! write CR8 inline, which is all that `KeRaiseIrql` and `KeLowerIrql` are in the
//! headers of x64: no function checks the direction then.

use ntbox_api::rules;
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, HIGH_LEVEL};
use ntbox_host::kernel_cell::Exclusive;
use ntbox_host::{cpu, driver_mem};
use rustc_hash::FxHashMap;

use super::{dpc, lock_owner};
use crate::base::export::exports;
use crate::base::{diag, thread_table};

/// Bytes of code within which an inline `KeRaiseIrql` reads CR8 and writes it.
const INLINE_RAISE: usize = 32;
/// First parameter of bug check 0xC4: the IRQL is raised to a lower one.
const RAISE_LOWERS: u64 = 0x30;
/// First parameter of bug check 0xC4: the IRQL is lowered to a higher one.
const LOWER_RAISES: u64 = 0x31;

/// Where each thread, or the DPC of each processor, read CR8 since it last wrote it.
static INLINE_READS: Exclusive<Option<FxHashMap<u64, u64>>> = Exclusive::new(None);

fn inline_reads<T>(work: impl FnOnce(&mut FxHashMap<u64, u64>) -> T) -> T {
    work(INLINE_READS.lock().get_or_insert_default())
}

/// Who runs: a thread, or the DPC of a processor.
fn runner() -> u64 {
    if dpc::runs() {
        u64::from(cpu::number())
    } else {
        thread_table::current_thread()
    }
}

/// The instruction at `pc` reads CR8.
pub fn read_inline(pc: u64) -> u8 {
    inline_reads(|reads| reads.insert(runner(), pc));
    cpu::irql()
}

/// The instruction at `pc` writes CR8. `KeRaiseIrql` reads it first, `KeLowerIrql` does
/// not: so the one that raises without a read before it is `KeLowerIrql`, and the one
/// that lowers right behind a read is `KeRaiseIrql`.
pub fn write_inline(new: u8, pc: u64) {
    let old = cpu::irql();
    let read = inline_reads(|reads| reads.remove(&runner()));
    let wrong = match read {
        None if new > old => Some((LOWER_RAISES, "raised", "KeLowerIrql")),
        Some(read) if new < old && is_straight(read, pc) => {
            Some((RAISE_LOWERS, "lowered", "KeRaiseIrql"))
        }
        _ => None,
    };
    if let Some((parameter, verb, function)) = wrong {
        let what = format!("IRQL {verb} from {old} to {new} by {function}, inline");
        let rule = rules::IRQL_WRONG_DIRECTION.with_stop(0xc4, parameter);
        diag::violation_of(pc, rule, what);
        if parameter == RAISE_LOWERS {
            // It goes back to where it was, which is the same mistake.
            inline_reads(|reads| reads.insert(runner(), u64::MAX));
        }
    }
    cpu::set_irql(new);
}

/// Whether code leads from one instruction to another shortly behind it without a
/// conditional jump.
fn is_straight(from: u64, to: u64) -> bool {
    let mut code = [0_u8; INLINE_RAISE];
    let length = usize::try_from(to.wrapping_sub(from)).unwrap_or(usize::MAX);
    let Some(code) = code.get_mut(..length) else {
        return false;
    };
    // Bytes of immediates may look like a jump: then nothing is said.
    driver_mem::read_bytes(from, code).is_ok()
        && !code
            .iter()
            .any(|byte| (0x70..=0x8f).contains(byte) && !matches!(byte, 0x88..=0x8d))
}

/// The stop for an IRQL change in the wrong direction.
fn wrong_way(code: u32, from: u8, to: u8, function: &str) -> Stop {
    Stop::bug_check(
        code,
        [u64::from(from), u64::from(to), 0, 0],
        format!("{function} was called at IRQL {from} for IRQL {to}"),
    )
}

fn raise(new: u8, function: &str) -> Result<u8, Stop> {
    let old = cpu::irql();
    if new < old || new > HIGH_LEVEL {
        // IRQL_NOT_GREATER_OR_EQUAL.
        return Err(wrong_way(0x09, old, new, function));
    }
    Ok(cpu::set_irql(new))
}

/// Lowers the IRQL; `caller` is where the driver asked for it.
pub fn lower(new: u8, function: &str, caller: u64) -> Result<(), Stop> {
    let old = cpu::irql();
    if new > old {
        // IRQL_NOT_LESS_OR_EQUAL.
        return Err(wrong_way(0x0a, old, new, function));
    }
    lock_owner::check_lowered(new, caller);
    cpu::set_irql(new);
    Ok(())
}

exports! {
    /// `KeGetCurrentIrql`.
    fn KeGetCurrentIrql() -> u8 [max HIGH_LEVEL, wdm] {
        Ok(cpu::irql())
    }

    /// `KfRaiseIrql`: returns the IRQL before; lowering with it stops the system.
    fn KfRaiseIrql(new: u8) -> u8 [max HIGH_LEVEL, page "windows-hardware/drivers/ddi/wdm/nf-wdm-keraiseirql"] {
        raise(new, "KfRaiseIrql")
    }

    /// `KeRaiseIrqlToDpcLevel`.
    fn KeRaiseIrqlToDpcLevel() -> u8 [max HIGH_LEVEL, wdm] {
        raise(DISPATCH_LEVEL, "KeRaiseIrqlToDpcLevel")
    }

    /// `KeLowerIrql`: raising with it stops the system.
    fn KeLowerIrql<call>(new: u8) -> () [max HIGH_LEVEL, wdm] {
        lower(new, "KeLowerIrql", call.return_address())
    }
}
