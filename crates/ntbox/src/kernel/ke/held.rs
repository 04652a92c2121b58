//! The spin locks that the processor holds: who took each, and how. The lock
//! words alone decide who gets a lock; this is what a report can say about one.

use std::cell::RefCell;

use crate::kernel::{cpu, stop};

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

/// A spin lock that the processor holds.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// Address of the lock.
    pub lock: u64,
    /// How it is held.
    pub mode: Mode,
    /// IRQL at which it is held.
    pub irql: u8,
    /// Address that the call which took it returns to.
    pub caller: u64,
}

thread_local! {
    /// Each processor is a thread of the host.
    static HELD: RefCell<Vec<Held>> = const { RefCell::new(Vec::new()) };
}

/// Notes that the processor now holds a lock, at the current IRQL.
pub fn add(lock: u64, mode: Mode, caller: u64) {
    let held = Held {
        lock,
        mode,
        irql: cpu::irql(),
        caller,
    };
    HELD.with_borrow_mut(|list| {
        // Entries may have outlived their lock: the driver may initialise it
        // anew or free its memory.
        if mode != Mode::Shared {
            list.retain(|entry| entry.lock != lock);
        }
        list.push(held);
    });
}

/// Notes that the processor no longer holds a lock; returns what was known.
pub fn remove(lock: u64) -> Option<Held> {
    HELD.with_borrow_mut(|list| {
        let at = list.iter().rposition(|entry| entry.lock == lock)?;
        Some(list.remove(at))
    })
}

/// What is known of a lock that the processor holds.
pub fn find(lock: u64) -> Option<Held> {
    HELD.with_borrow(|list| list.iter().rev().find(|entry| entry.lock == lock).copied())
}

/// Where a lock was taken, in words.
pub fn taken_by(held: Held) -> String {
    stop::location(held.caller).map_or_else(
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
    let held = HELD.with_borrow(|list| list.last().copied());
    if let Some(held) = held {
        let what = format!(
            "the IRQL was lowered to {new} while the {} at {:#018x} is held; {}",
            held.mode.name(),
            held.lock,
            taken_by(held)
        );
        stop::violation("spin-lock-held", Some((0xc4, 0x0004_0009)), what, caller);
    }
}

/// Forgets and returns the locks that are still held.
pub fn take_left_behind() -> Vec<(u64, &'static str, u64)> {
    HELD.take()
        .into_iter()
        .map(|held| (held.lock, held.mode.name(), held.caller))
        .collect()
}
