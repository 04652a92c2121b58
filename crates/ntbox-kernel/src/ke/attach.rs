//! Attaching a thread to another process: until it detaches, the user addresses
//! it sees are those of that process, and handles without `OBJ_KERNEL_HANDLE`
//! are looked up there.
//!
//! What was before is kept in the caller's `KAPC_STATE`, so that attachments
//! nest. Its contents are the kernel's own business; this kernel keeps in the
//! place of the process what it needs to go back.

use nt_layout::KapcState;
use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL};

use super::mutex;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::thread_table;
use crate::base::thread_table::Thread;
use crate::mm::process_address_space;

/// In place of a process: attaching changed nothing.
const UNCHANGED: u64 = 1;
/// In place of a process: the thread saw the memory of its own.
const OWN: u64 = 0;

/// `INVALID_PROCESS_ATTACH_ATTEMPT`.
const INVALID_ATTACH: u32 = 0x05;
/// `INVALID_PROCESS_DETACH_ATTEMPT`.
const INVALID_DETACH: u32 = 0x06;
/// `APC_INDEX_MISMATCH`.
const APC_INDEX_MISMATCH: u32 = 0x01;

/// The current thread as it is known. There always is one while a driver runs.
fn current() -> Option<(u64, Thread)> {
    let object = thread_table::current_thread();
    thread_table::thread(object).map(|thread| (object, thread))
}

/// Changes whose memory the current thread sees, and how often it is attached.
fn see(object: u64, process: u64, attachments: u32) {
    thread_table::update(object, |thread| {
        thread.attached = process;
        thread.attachments = attachments;
    });
    process_address_space::see(process);
}

/// The object at `process`, which must be a process.
fn check(process: u64, thread: &Thread, function: &str) -> Result<(), NoReturn> {
    if thread_table::process(process).is_some() {
        return Ok(());
    }
    Err(NoReturn::bug_check(
        INVALID_ATTACH,
        [process, thread.attached, 0, 0],
        format!("{function} was called for {process:#018x}, which is no process"),
    ))
}

/// The stop for a thread that ends while it is attached.
pub fn ended_attached(thread: &Thread) -> Option<NoReturn> {
    (thread.attachments != 0).then(|| {
        NoReturn::bug_check(
            INVALID_ATTACH,
            [thread.process, thread.attached, 1, 0],
            format!(
                "a thread ended while it was attached to the process at {:#018x}",
                thread.attached
            ),
        )
    })
}

/// How deep a thread is in regions, as a KTHREAD has it: the two counts are 16 bits
/// each, and count downwards.
pub fn apc_counts(critical: i32, guarded: i32) -> u64 {
    let downwards = |count: i32| u64::from(count.wrapping_neg().cast_unsigned() & 0xffff);
    downwards(critical) | downwards(guarded) << 16
}

/// The stop for a thread that goes back to user mode otherwise than it came: it
/// is still attached, or still keeps APCs away.
pub fn returned_otherwise(object: u64, thread: &Thread) -> Option<NoReturn> {
    let attached = thread.attachments != 0;
    if !attached && thread.critical == 0 && thread.guarded == 0 {
        return None;
    }
    let what = if attached {
        format!(
            "is still attached to the process at {:#018x}",
            thread.attached
        )
    } else if let Some(held) = mutex::held_text(object).filter(|_| thread.critical != 0) {
        format!("{held}, so it is in a critical region")
    } else if thread.critical != 0 {
        format!(
            "is still in {} critical region(s); KeLeaveCriticalRegion was not called as often as KeEnterCriticalRegion",
            thread.critical
        )
    } else {
        format!(
            "is still in {} guarded region(s); KeLeaveGuardedRegion was not called as often as KeEnterGuardedRegion",
            thread.guarded
        )
    };
    Some(NoReturn::bug_check(
        APC_INDEX_MISMATCH,
        [
            0,
            u64::from(attached),
            apc_counts(thread.critical, thread.guarded),
            0,
        ],
        format!("a request ended, and its thread {what}"),
    ))
}

exports! {
    /// `KeStackAttachProcess`.
    fn KeStackAttachProcess(process: u64, state: u64) -> () [max APC_LEVEL, ntifs] {
        driver_mem::fill(state, 0, DriverPtr::<KapcState>::SIZE)?;
        let Some((object, thread)) = current() else { return Ok(()) };
        check(process, &thread, "KeStackAttachProcess")?;
        let before = if thread.attached == process {
            UNCHANGED
        } else if thread.attachments == 0 {
            OWN
        } else {
            thread.attached
        };
        DriverPtr::<KapcState>::new(state).set(|state| &state.process, before)?;
        if before != UNCHANGED {
            see(object, process, thread.attachments + 1);
        }
        Ok(())
    }

    /// `KeUnstackDetachProcess`.
    fn KeUnstackDetachProcess(state: u64) -> () [max APC_LEVEL, ntifs] {
        let before = DriverPtr::<KapcState>::new(state).get(|state| &state.process)?;
        if before == UNCHANGED {
            return Ok(());
        }
        let Some((object, thread)) = current() else { return Ok(()) };
        let back = if before == OWN { thread.process } else { before };
        // Only the first attachment of several leaves the thread's own process.
        let fits = (before == OWN) == (thread.attachments == 1);
        if thread.attachments == 0 || !fits || thread_table::process(back).is_none() {
            return Err(NoReturn::bug_check(
                INVALID_DETACH,
                [state, thread.process, thread.attached, 0],
                "KeUnstackDetachProcess was called with a state that no KeStackAttachProcess of this thread left, or twice with the same",
            ));
        }
        see(object, back, thread.attachments - 1);
        Ok(())
    }

    /// `KeAttachProcess`: does not nest.
    fn KeAttachProcess(process: u64) -> () [max APC_LEVEL, ntifs] {
        let Some((object, thread)) = current() else { return Ok(()) };
        check(process, &thread, "KeAttachProcess")?;
        if thread.attached == process {
            return Ok(());
        }
        if thread.attachments != 0 {
            return Err(NoReturn::bug_check(
                INVALID_ATTACH,
                [process, thread.attached, 1, 0],
                format!(
                    "KeAttachProcess was called for {process:#018x} by a thread that is attached to {:#018x}; KeStackAttachProcess nests, this does not",
                    thread.attached
                ),
            ));
        }
        see(object, process, 1);
        Ok(())
    }

    /// `KeDetachProcess`: back to the thread's own process.
    fn KeDetachProcess() -> () [max APC_LEVEL, ntifs] {
        if let Some((object, thread)) = current()
            && thread.attachments != 0
        {
            see(object, thread.process, 0);
        }
        Ok(())
    }

    /// `KeIsAttachedProcess`.
    fn KeIsAttachedProcess() -> bool [max DISPATCH_LEVEL, undocumented] {
        Ok(current().is_some_and(|(_, thread)| thread.attachments != 0))
    }
}
