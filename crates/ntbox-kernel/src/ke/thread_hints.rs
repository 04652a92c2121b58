//! What a thread may say of itself for the scheduler and the memory manager: which
//! processor it is at home on, whether its stack may leave memory, and that others may
//! go first.

use std::collections::BTreeMap;

use nt_status::{STATUS_NO_YIELD_PERFORMED, STATUS_SUCCESS};
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};
use ntbox_host::kernel_cell::KernelCell;

use super::{processor, sched};
use crate::base::export::exports;
use crate::base::thread_table;

/// What was said of a thread.
#[derive(Debug, Clone, Copy, Default)]
struct Hints {
    ideal_processor: u8,
    stack_stays: bool,
}

static HINTS: KernelCell<BTreeMap<u64, Hints>> = KernelCell::new(BTreeMap::new());

/// A thread has ended: whether its stack had to stay in memory even so.
pub fn ended(thread: u64) -> bool {
    let hints = HINTS.lock().remove(&thread);
    hints.is_some_and(|hints| hints.stack_stays)
}

exports! {
    /// `KeSetIdealProcessorThread`: the one before; a processor that there is not
    /// changes nothing. No thread is kept on its ideal processor here.
    fn KeSetIdealProcessorThread(object: u64, number: u8) -> u8
        [max DISPATCH_LEVEL, ntifs, partial "is kept and told; no thread is kept on its ideal processor"] {
        thread_table::require(thread_table::thread(object), object)?;
        let mut all = HINTS.lock();
        let hints = all.entry(object).or_default();
        let before = hints.ideal_processor;
        if usize::from(number) < processor::count() {
            hints.ideal_processor = number;
        }
        Ok(before)
    }

    /// `ZwYieldExecution`: gives other threads that are ready a turn.
    fn ZwYieldExecution() -> u32 [max APC_LEVEL, undocumented] {
        Ok(if sched::yield_now() { STATUS_SUCCESS } else { STATUS_NO_YIELD_PERFORMED })
    }

    /// `KeSetKernelStackSwapEnable`: whether it was. No stack ever leaves memory, but
    /// a thread must not end while its own may not.
    fn KeSetKernelStackSwapEnable(enable: bool) -> bool [max APC_LEVEL, ntifs] {
        let mut all = HINTS.lock();
        let hints = all.entry(thread_table::current_thread()).or_default();
        Ok(!std::mem::replace(&mut hints.stack_stays, !enable))
    }
}
