//! What the parameter `Wait` of `KeSetEvent` and its kin promises: that a wait
//! follows at once. Until then the caller stays at `DISPATCH_LEVEL`, so that no
//! other thread runs in between; the wait goes back to the IRQL from before.

use ntbox_api::rules;
use ntbox_host::cpu;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};

use crate::base::{diag, thread_table};

/// Stays at `DISPATCH_LEVEL` if the caller has promised to wait next; `caller` is
/// where it did.
pub fn promise(wait: bool, function: &str, caller: u64) {
    if !wait {
        return;
    }
    let before = cpu::irql();
    if before > APC_LEVEL {
        let what = format!(
            "{function} called with Wait TRUE at IRQL {before}, maximum is 1 since a wait must follow"
        );
        diag::violation(rules::IRQL_TOO_HIGH, what, caller);
    }
    cpu::set_irql(before.max(DISPATCH_LEVEL));
    thread_table::update(thread_table::current_thread(), |info| {
        info.wait_next = Some(before);
    });
}

/// Begins a wait: goes back to the IRQL before the promise, if there was one.
pub fn begin() {
    let promised =
        thread_table::update(thread_table::current_thread(), |info| info.wait_next.take());
    if let Some(before) = promised.flatten()
        && cpu::irql() == before.max(DISPATCH_LEVEL)
    {
        cpu::set_irql(before);
    }
}
