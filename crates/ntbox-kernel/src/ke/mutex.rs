//! Mutexes (KMUTEX) and mutants. A kernel mutex keeps normal kernel APCs from its
//! owner, as a critical region does; a thread must not end while it holds one.

use nt_layout::Kmutant;
use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, HIGH_LEVEL};

use super::lock_owner::place;
use super::object::Kind;
use super::wait::signal_boosting;
use super::{object, wait_flag};
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::{events, thread_table};

/// `MUTANT_INCREMENT`: how far the next owner's priority is lifted.
pub const INCREMENT: i32 = 1;
/// `STATUS_ABANDONED`.
const ABANDONED: u32 = 0x80;

/// The fields of the KMUTANT at an address.
const fn kmutant(va: u64) -> DriverPtr<Kmutant> {
    DriverPtr::new(va)
}

fn initialize(va: u64, disables_apcs: bool) -> Result<(), NoReturn> {
    const SIZE: u64 = DriverPtr::<Kmutant>::SIZE;
    // Windows 10 clears all of it, and keeps no size in the header of this kind.
    driver_mem::fill(va, 0, SIZE)?;
    events::memory_freed(va, SIZE);
    object::initialize(va, Kind::Mutant, 0, 1)?;
    kmutant(va).set(|mutex| &mutex.apc_disable, u8::from(disables_apcs))?;
    Ok(())
}

/// Whether holding a mutex keeps normal kernel APCs away.
pub fn disables_apcs(va: u64) -> Result<bool, NoReturn> {
    Ok(kmutant(va).get(|mutex| &mutex.apc_disable)? != 0)
}

/// The mutexes that a thread holds and that keep APCs away, as the end of a sentence
/// about it.
pub fn held_text(thread: u64) -> Option<String> {
    let held = thread_table::mutants_of(thread).into_iter();
    let held: Vec<String> = held
        .filter(|va| matches!(disables_apcs(*va), Ok(true)))
        .map(|va| format!("{va:#018x}"))
        .collect();
    let last = events::lock_held();
    let last = last.filter(|last| thread_table::mutants_of(thread).contains(&last.lock));
    let by = last.map_or_else(String::new, |last| {
        format!(", acquired {}", place(last.return_address))
    });
    (!held.is_empty()).then(|| {
        format!(
            "still holds the mutex at {}, which was not released (KeReleaseMutex){by}",
            held.join(" and the one at ")
        )
    })
}

/// Frees a mutex, however often its owner has taken it; lifts the priority of
/// the thread that takes it.
pub fn free(va: u64, owner: u64, abandoned: bool, increment: i32) -> Result<(), NoReturn> {
    object::set_state(va, 1)?;
    kmutant(va).set(|mutex| &mutex.owner_thread, 0)?;
    kmutant(va).set(|mutex| &mutex.abandoned, u8::from(abandoned))?;
    thread_table::mutant_released(owner, va);
    events::lock_released(va);
    if disables_apcs(va)? {
        thread_table::update(owner, |info| {
            info.critical = info.critical.wrapping_sub(1);
        });
    }
    Ok(signal_boosting(va, increment)?)
}

/// Releases it once; the signal state before.
fn release(va: u64, increment: i32) -> Result<i32, NoReturn> {
    let thread = thread_table::current_thread();
    let before = object::state(va)?;
    if kmutant(va).get(|mutex| &mutex.owner_thread)? != thread || before > 0 {
        let abandoned = kmutant(va).get(|mutex| &mutex.abandoned)? != 0;
        return Err(NoReturn::raise(if abandoned {
            ABANDONED
        } else {
            nt_status::STATUS_MUTANT_NOT_OWNED
        }));
    }
    if before == 0 {
        free(va, thread, false, increment)?;
    } else {
        object::set_state(va, before.wrapping_add(1))?;
    }
    Ok(before)
}

/// Takes it from its owner, if it has one; the signal state before.
fn abandon(va: u64, increment: i32) -> Result<i32, NoReturn> {
    let before = object::state(va)?;
    if before < 1 {
        let owner = kmutant(va).get(|mutex| &mutex.owner_thread)?;
        free(va, owner, true, increment)?;
    }
    Ok(before)
}

exports! {
    /// `KeInitializeMutex`.
    fn KeInitializeMutex(va: u64, level: u32) -> () [max HIGH_LEVEL, wdm] {
        initialize(va, true)
    }

    /// `KeInitializeMutant`: a mutex that does not disable APCs.
    fn KeInitializeMutant(va: u64, owned: bool) -> () [max HIGH_LEVEL, ntifs] {
        initialize(va, false)?;
        if owned {
            object::consume(va, thread_table::current_thread())?;
        }
        Ok(())
    }

    /// `KeReleaseMutex`: returns 0 once it is free, negative numbers before; raises
    /// if the thread does not own it.
    fn KeReleaseMutex<call>(va: u64, wait: bool) -> i32 [max DISPATCH_LEVEL, wdm] {
        events::object_used(va, "KeReleaseMutex", call.return_address())?;
        let before = release(va, INCREMENT)?;
        wait_flag::promise(wait, "KeReleaseMutex", call.return_address());
        Ok(before)
    }

    /// `KeReleaseMutant`: abandons it if it is told to, whoever owns it.
    fn KeReleaseMutant<call>(va: u64, increment: i32, abandoned: bool, wait: bool) -> i32
        [max DISPATCH_LEVEL, ntifs] {
        events::object_used(va, "KeReleaseMutant", call.return_address())?;
        let before = if abandoned { abandon(va, increment)? } else { release(va, increment)? };
        wait_flag::promise(wait, "KeReleaseMutant", call.return_address());
        Ok(before)
    }

    /// `KeReadStateMutex`: 1 if it is free.
    fn KeReadStateMutex(va: u64) -> i32 [max DISPATCH_LEVEL, wdm] {
        Ok(object::state(va)?)
    }

    /// `KeReadStateMutant`.
    fn KeReadStateMutant(va: u64) -> i32 [max DISPATCH_LEVEL, ntifs] {
        Ok(object::state(va)?)
    }
}
