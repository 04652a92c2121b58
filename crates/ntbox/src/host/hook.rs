//! Functions that an upper layer registers with a lower one: how a component calls
//! behaviour of a component above it without importing it. `kernel::init::wiring`
//! registers them all, before the driver runs.

use std::sync::{OnceLock, RwLock};

/// A function that one upper component provides.
#[derive(Debug)]
pub struct Hook<F>(OnceLock<F>);

impl<F: Copy> Hook<F> {
    /// An empty hook.
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Registers the function. The first registration counts.
    pub fn set(&self, function: F) {
        let _ = self.0.set(function);
    }

    /// The function, if one is registered.
    pub fn get(&self) -> Option<F> {
        self.0.get().copied()
    }
}

/// Functions of any number of upper components, in the order of registration.
#[derive(Debug)]
pub struct HookList<F>(RwLock<Vec<F>>);

impl<F: Copy> HookList<F> {
    /// An empty list.
    pub const fn new() -> Self {
        Self(RwLock::new(Vec::new()))
    }

    /// Adds a function.
    pub fn add(&self, function: F) {
        let list = self.0.write();
        list.unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(function);
    }

    /// The functions.
    pub fn all(&self) -> Vec<F> {
        let list = self.0.read();
        list.unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}
