//! Critical and guarded regions: the current thread holds back APCs.

use ntbox_host::cpu;
use ntbox_host::gate::irql::APC_LEVEL;
use ntbox_host::kernel_cell::KernelCell;
use rustc_hash::FxHashMap;

use crate::base::export::exports;
use crate::base::thread_table;

/// The return address of the latest call with which each thread entered a region.
static ENTERED: KernelCell<Option<FxHashMap<u64, u64>>> = KernelCell::new(None);

fn note_entered(caller: u64) {
    let thread = thread_table::current_thread();
    ENTERED
        .lock()
        .get_or_insert_default()
        .insert(thread, caller);
}

/// The return address of the latest call with which the current thread entered a
/// critical or guarded region.
pub fn entered_by() -> Option<u64> {
    let entered = ENTERED.lock();
    let all = entered.as_ref()?;
    all.get(&thread_table::current_thread()).copied()
}

exports! {
    /// `KeEnterCriticalRegion`: no normal APCs until it is left.
    fn KeEnterCriticalRegion<call>() -> () [max APC_LEVEL, wdm] {
        note_entered(call.return_address());
        enter_critical_region();
        Ok(())
    }

    /// `KeLeaveCriticalRegion`.
    fn KeLeaveCriticalRegion() -> () [max APC_LEVEL, wdm] {
        leave_critical_region();
        Ok(())
    }

    /// `KeEnterGuardedRegion`: no APCs at all until it is left.
    fn KeEnterGuardedRegion<call>() -> () [max APC_LEVEL, wdm] {
        note_entered(call.return_address());
        thread_table::update(thread_table::current_thread(), |info| info.guarded += 1);
        Ok(())
    }

    /// `KeLeaveGuardedRegion`.
    fn KeLeaveGuardedRegion() -> () [max APC_LEVEL, wdm] {
        thread_table::update(thread_table::current_thread(), |info| info.guarded -= 1);
        Ok(())
    }
}

/// Holds back normal kernel APCs of the current thread until the region is left.
pub fn enter_critical_region() {
    thread_table::update(thread_table::current_thread(), |info| info.critical += 1);
}

/// Leaves a critical region of the current thread. Leaving more than were entered
/// keeps APCs away as well, and ends with `APC_INDEX_MISMATCH` where the thread
/// goes back to its caller.
pub fn leave_critical_region() {
    thread_table::update(thread_table::current_thread(), |info| info.critical -= 1);
}

/// Whether no normal kernel APC can interrupt the current thread.
pub fn apcs_disabled() -> bool {
    cpu::irql() >= APC_LEVEL
        || thread_table::current().is_some_and(|thread| thread.critical != 0 || thread.guarded != 0)
}
