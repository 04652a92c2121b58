//! IRQL: the real number, which CR8 and these functions share. Drivers also read and
//! write CR8 inline, which is all that `KeRaiseIrql` and `KeLowerIrql` are in the
//! headers of x64: no function checks the direction then.

use ntbox_api::rules;
use ntbox_host::cpu;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, HIGH_LEVEL};
use ntbox_host::kernel_cell::KernelCell;
use rustc_hash::FxHashSet;

use super::{dpc, lock_owner};
use crate::base::export::exports;
use crate::base::{diag, thread_table};

/// Threads, and DPCs by their processors, that have read CR8 since they last wrote it.
static INLINE_READS: KernelCell<Option<FxHashSet<u64>>> = KernelCell::new(None);

fn inline_reads<T>(work: impl FnOnce(&mut FxHashSet<u64>) -> T) -> T {
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

/// An instruction reads CR8.
pub fn read_inline() -> u8 {
    inline_reads(|reads| reads.insert(runner()));
    cpu::irql()
}

/// The instruction at `pc` writes CR8. `KeRaiseIrql` reads it first, `KeLowerIrql` does
/// not: so what raises without a read before it is `KeLowerIrql`. If `KeRaiseIrql` has
/// lowered the IRQL, it is the one that goes back to the level before.
pub fn write_inline(new: u8, pc: u64) {
    let old = cpu::irql();
    let has_read = inline_reads(|reads| reads.remove(&runner()));
    if !has_read && new > old {
        let what = format!(
            "IRQL raised from {old} to {new} by KeLowerIrql, inline; or KeRaiseIrql has lowered it to {old} before"
        );
        diag::violation_of(pc, rules::IRQL_WRONG_DIRECTION, what);
    }
    cpu::set_irql(new);
}

/// The stop for an IRQL change in the wrong direction.
fn wrong_way(code: u32, from: u8, to: u8, function: &str) -> NoReturn {
    NoReturn::bug_check(
        code,
        [u64::from(from), u64::from(to), 0, 0],
        format!("{function} was called at IRQL {from} for IRQL {to}"),
    )
}

fn raise(new: u8, function: &str) -> Result<u8, NoReturn> {
    let old = cpu::irql();
    if new < old || new > HIGH_LEVEL {
        // IRQL_NOT_GREATER_OR_EQUAL.
        return Err(wrong_way(0x09, old, new, function));
    }
    Ok(cpu::set_irql(new))
}

/// Lowers the IRQL; `caller` is where the driver asked for it.
pub fn lower(new: u8, function: &str, caller: u64) -> Result<(), NoReturn> {
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
