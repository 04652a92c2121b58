//! Functions that an upper layer registers with a lower one: how a component calls
//! behaviour of a component above it without importing it. `kernel::init::wiring`
//! registers them all, before the driver runs.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// A function that one upper component provides.
#[derive(Debug)]
pub struct Hook<F>(OnceLock<F>);

impl<F: Copy> Default for Hook<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Copy> Hook<F> {
    /// An empty hook.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Registers the function. The first registration counts.
    pub fn set(&self, function: F) {
        let _ = self.0.set(function);
    }

    /// The function of a component that is always there.
    ///
    /// # Panics
    /// It is not registered: a mistake in `kernel::init::wiring`.
    pub fn get(&self) -> F {
        self.registered()
            .expect("`init::wiring` registers the function of every hook")
    }

    /// The function of an observer, which may not be there.
    pub fn registered(&self) -> Option<F> {
        self.0.get().copied()
    }
}

/// Functions that are called when something happens: an event of a lower component,
/// and its observers. Without an observer an event costs a load and a branch.
#[derive(Debug)]
pub struct Event<F> {
    observers: [OnceLock<F>; OBSERVERS],
    is_observed: AtomicBool,
}

/// The maximum number of observers of one event.
const OBSERVERS: usize = 4;

impl<F: Copy> Default for Event<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Copy> Event<F> {
    /// An event without observers.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            observers: [const { OnceLock::new() }; OBSERVERS],
            is_observed: AtomicBool::new(false),
        }
    }

    /// Adds an observer. They are called in the order in which they were added.
    ///
    /// # Panics
    /// The event has `OBSERVERS` observers.
    pub fn subscribe(&self, observer: F) {
        let mut free = self.observers.iter();
        let added = free.any(|place| place.set(observer).is_ok());
        assert!(added, "an event has {OBSERVERS} observers at most");
        self.is_observed.store(true, Ordering::Release);
    }

    /// Calls each observer by `call`.
    #[inline]
    pub fn notify(&self, call: impl FnMut(F)) {
        if self.is_observed.load(Ordering::Acquire) {
            self.observers
                .iter()
                .map_while(OnceLock::get)
                .copied()
                .for_each(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_with_two_observers_calls_both_in_order() {
        let event: Event<fn(&mut Vec<u8>)> = Event::new();
        let mut calls = Vec::new();
        event.notify(|observer| observer(&mut calls));
        assert!(calls.is_empty());
        event.subscribe(|calls| calls.push(1));
        event.subscribe(|calls| calls.push(2));
        event.notify(|observer| observer(&mut calls));
        assert_eq!(calls, [1, 2]);
    }

    #[test]
    fn hook_set_twice_keeps_the_first() {
        let hook: Hook<u8> = Hook::new();
        assert_eq!(hook.registered(), None);
        hook.set(1);
        hook.set(2);
        assert_eq!(hook.get(), 1);
    }
}
