//! IRQL: the real number, which CR8 and these functions share.

use ntbox_host::cpu;
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, HIGH_LEVEL};

use super::lock_owner;
use crate::base::export::exports;

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
