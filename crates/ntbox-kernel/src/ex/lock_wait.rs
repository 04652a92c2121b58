//! What locks that threads wait for have in common: where they may be used, and
//! the waiting itself.

use std::collections::BTreeSet;

use ntbox_api::rules;
use ntbox_host::cpu;
use ntbox_host::gate::NoReturn;
use ntbox_host::kernel_cell::KernelCell;

use crate::base::{diag, thread_table};
use crate::ke::{critical_region, sched};

/// The stop for a lock that is taken where its owner could never be let run:
/// `KERNEL_AUTO_BOOST_LOCK_ACQUISITION_WITH_RAISED_IRQL`.
///
/// # Errors
/// The IRQL is above `APC_LEVEL`.
pub fn check_irql(lock: u64, function: &str) -> Result<(), NoReturn> {
    let irql = cpu::irql();
    if irql <= cpu::APC_LEVEL {
        return Ok(());
    }
    Err(NoReturn::bug_check(
        0x192,
        [thread_table::current_thread(), lock, u64::from(irql), 0],
        format!("{function} was called for {lock:#018x} at IRQL {irql}; APC_LEVEL is the limit"),
    ))
}

/// Locks whose acquisition was reported: their release is the same mistake.
static REPORTED: KernelCell<BTreeSet<u64>> = KernelCell::new(BTreeSet::new());

/// Reports a lock that is acquired or released while normal kernel APCs could interrupt
/// the thread; `code` is what Driver Verifier calls it.
pub fn check_apcs(code: u64, lock: u64, function: &str, caller: u64, is_release: bool) {
    let is_reported = if is_release {
        REPORTED.lock().remove(&lock)
    } else {
        false
    };
    if !critical_region::apcs_disabled() && !is_reported {
        if !is_release {
            REPORTED.lock().insert(lock);
        }
        let what = format!(
            "{function} called for {lock:#018x} with APCs enabled; a critical region must be entered before"
        );
        diag::violation(
            rules::LOCK_WITH_APCS_ENABLED.with_stop(0xc4, code),
            what,
            caller,
        );
    }
}

/// Blocks the current thread until something happens to the lock.
///
/// # Errors
/// The IRQL is above `APC_LEVEL`.
pub fn block(lock: u64, function: &str) -> Result<(), NoReturn> {
    check_irql(lock, function)?;
    sched::park(lock, None);
    Ok(())
}

/// The stop for a lock that its holder can never get.
pub fn self_deadlock(code: u64, lock: u64, function: &str, why: &str) -> NoReturn {
    NoReturn::bug_check(
        0xc4,
        [code, lock, thread_table::current_thread(), 0],
        format!("{function} would wait for ever for the lock at {lock:#018x}: {why}"),
    )
}

/// The stop for a lock that is released by a thread that does not own it:
/// `KERNEL_AUTO_BOOST_INVALID_LOCK_RELEASE`.
pub fn not_owned(lock: u64, function: &str, found: &str) -> NoReturn {
    let thread = thread_table::current_thread();
    NoReturn::bug_check(
        0x162,
        [thread, lock, 0, 0],
        format!(
            "{function} was called for {lock:#018x} by the thread {thread:#018x}, which does not own it: {found}"
        ),
    )
}
