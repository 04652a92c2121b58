//! The spin locks that processors hold: who took each, and how. The lock words
//! alone decide who gets a lock; this is what a report can say about one.

use std::cell::RefCell;

use ntbox_api::rules;
use ntbox_host::cpu;

use crate::base::diag;
use crate::base::leak_check::Leak;

/// How a spin lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As an ordinary spin lock.
    Ordinary,
    /// As a queued spin lock.
    Queued,
    /// For shared access, among readers.
    Shared,
    /// For exclusive access.
    Exclusive,
}

impl Mode {
    /// What a lock of this kind is called.
    fn name(self) -> &'static str {
        match self {
            Self::Ordinary => "spin lock",
            Self::Queued => "queued spin lock",
            Self::Shared | Self::Exclusive => "reader-writer spin lock",
        }
    }
}

/// A spin lock that a processor holds.
#[derive(Debug, Clone, Copy)]
pub struct HeldSpinLock {
    /// Address of the lock.
    pub lock: u64,
    /// How it is held.
    pub mode: Mode,
    /// Number of the processor that took it.
    pub processor: u32,
    /// IRQL at which it is held.
    pub irql: u8,
    /// Address that the call which took it returns to.
    pub caller: u64,
    /// Whether it was reported that it is held.
    pub is_reported: bool,
}

thread_local! {
    /// Of all processors, which are one thread of the host.
    static HELD: RefCell<Vec<HeldSpinLock>> = const { RefCell::new(Vec::new()) };
}

/// Notes that this processor now holds a lock, at the current IRQL.
pub fn add(lock: u64, mode: Mode, caller: u64) {
    insert(HeldSpinLock {
        lock,
        mode,
        processor: cpu::number(),
        irql: cpu::irql(),
        caller,
        is_reported: false,
    });
}

/// Notes that a lock is held.
pub fn insert(held: HeldSpinLock) {
    HELD.with_borrow_mut(|list| {
        // Entries may have outlived their lock: the driver may initialise it
        // anew or free its memory.
        if held.mode != Mode::Shared {
            list.retain(|entry| entry.lock != held.lock);
        }
        list.push(held);
    });
}

/// Notes that a lock is no longer held, by this processor if it is among several;
/// returns what was known.
pub fn remove(lock: u64) -> Option<HeldSpinLock> {
    let here = cpu::number();
    HELD.with_borrow_mut(|list| {
        let own = |entry: &HeldSpinLock| entry.lock == lock && entry.processor == here;
        let at = list.iter().rposition(own);
        let at = at.or_else(|| list.iter().rposition(|entry| entry.lock == lock))?;
        Some(list.remove(at))
    })
}

/// What is known of a lock that is held: by this processor if it is among several.
pub fn find(lock: u64) -> Option<HeldSpinLock> {
    find_here(lock).or_else(|| {
        HELD.with_borrow(|list| list.iter().rev().find(|entry| entry.lock == lock).copied())
    })
}

/// What is known of a lock that this processor holds.
pub fn find_here(lock: u64) -> Option<HeldSpinLock> {
    let here = cpu::number();
    HELD.with_borrow(|list| {
        let mut entries = list.iter().rev();
        entries
            .find(|entry| entry.lock == lock && entry.processor == here)
            .copied()
    })
}

/// A lock that is wanted, in words.
pub fn describe(lock: u64) -> String {
    find(lock).map_or_else(
        || format!("the spin lock at {lock:#018x}"),
        |held| {
            format!(
                "the {} at {lock:#018x}, which processor {} holds ({})",
                held.mode.name(),
                held.processor,
                taken_by(held)
            )
        },
    )
}

/// The place of a call, in words.
pub fn place(caller: u64) -> String {
    diag::location(caller).map_or_else(
        || format!("at {caller:#018x}"),
        |place| format!("at {}+{:#x}", place.module, place.offset),
    )
}

/// Where a lock was taken, in words.
pub fn taken_by(held: HeldSpinLock) -> String {
    diag::location(held.caller).map_or_else(
        || "it was acquired before".to_owned(),
        |place| format!("it was acquired by {}+{:#x}", place.module, place.offset),
    )
}

/// Reports a lock that is held while the IRQL falls below `DISPATCH_LEVEL`: the
/// processor may now run another thread that waits for it, for ever.
pub fn check_lowered(new: u8, caller: u64) {
    if new >= cpu::DISPATCH_LEVEL {
        return;
    }
    let here = cpu::number();
    let held = HELD.with_borrow_mut(|list| {
        let mut own = list.iter_mut().rev();
        let held = own.find(|held| held.processor == here && !held.is_reported)?;
        held.is_reported = true;
        Some(*held)
    });
    if let Some(held) = held {
        let what = format!(
            "IRQL lowered to {new} while the {} at {:#018x} is held; {}",
            held.mode.name(),
            held.lock,
            taken_by(held)
        );
        diag::violation(rules::SPIN_LOCK_HELD, what, caller);
    }
}

/// Reports the locks that this processor holds although the routine that took them
/// has returned, and forgets them.
pub fn check_returned() {
    let here = cpu::number();
    let held: Vec<HeldSpinLock> = HELD.with_borrow_mut(|list| {
        let own = list.extract_if(.., |held| held.processor == here);
        own.collect()
    });
    for held in held {
        let what = format!(
            "a dispatch routine returned while the {} at {:#018x} is held",
            held.mode.name(),
            held.lock
        );
        diag::violation(rules::SPIN_LOCK_HELD, what, held.caller);
    }
}

/// Locks that are still held. All of them are forgotten.
pub fn leaks() -> Vec<Leak> {
    let leak = |held: HeldSpinLock| {
        let message = format!("the {} at {:#018x} is held", held.mode.name(), held.lock);
        Leak::new(rules::SPIN_LOCK_HELD, message, held.caller)
    };
    let held = HELD.take().into_iter();
    held.filter(|held| !held.is_reported).map(leak).collect()
}
