//! Kernel stacks, as drivers ask for them.

use ntbox_host::driver_mem;
use ntbox_host::gate::Call;
use ntbox_host::gate::irql::HIGH_LEVEL;

use crate::base::export::exports;
use crate::base::thread_table;
use crate::ke::dpc;
use crate::mm::kernel_stack;

/// The stack that a call came on: that of DPCs, or the thread's.
fn limits(call: &Call<'_>) -> (u64, u64) {
    let rsp = call.frame().rsp;
    let thread = thread_table::current().map_or((0, 0), |thread| thread.stack);
    let dpc = dpc::stack_top().map(|high| (high - kernel_stack::STACK_SIZE, high));
    dpc.filter(|(low, high)| (*low..*high).contains(&rsp))
        .unwrap_or(thread)
}

exports! {
    /// `IoGetStackLimits`.
    fn IoGetStackLimits<call>(low: u64, high: u64) -> () [max HIGH_LEVEL, wdm] {
        let (lowest, end) = limits(call);
        driver_mem::write_u64(low, lowest)?;
        driver_mem::write_u64(high, end)?;
        Ok(())
    }

    /// `IoGetRemainingStackSize`.
    fn IoGetRemainingStackSize<call>() -> u64 [max HIGH_LEVEL, wdm] {
        Ok(call.frame().rsp.saturating_sub(limits(call).0))
    }

    /// `IoWithinStackLimits`: whether a range lies on the stack.
    fn IoWithinStackLimits<call>(start: u64, size: u64) -> u32 [max HIGH_LEVEL, wdm] {
        let (low, high) = limits(call);
        let inside = start >= low && start.checked_add(size).is_some_and(|end| end <= high);
        Ok(u32::from(inside))
    }

    /// `IoGetInitialStack`: where the thread's stack begins.
    fn IoGetInitialStack() -> u64 [max HIGH_LEVEL, wdm] {
        Ok(thread_table::current().map_or(0, |thread| thread.stack.1))
    }
}
