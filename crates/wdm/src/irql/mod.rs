//! The interrupt request level: what the processor may be interrupted by, and
//! with it what code may do. Rules are stated as "at or below a level".
//!
//! The reference gives such a rule for every function. Here the rules that ask
//! for less than `DISPATCH_LEVEL` are parameters: a function that must run at
//! `PASSIVE_LEVEL` takes a [`&Passive`](Passive), one for `<= APC_LEVEL` takes an
//! [`&Apc`](Apc). The kernel's entry points hand out the first token, and only
//! [`Dispatch::raise_to_dispatch`] and [`Apc::raise_to_apc`] make others. A token has no
//! size; a reference to it that nobody reads is gone after inlining.

mod raise;
mod token;

use core::fmt;

pub use self::token::{Apc, Dispatch, Passive};
use crate::arch;

/// An IRQL: `KIRQL` of the reference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub struct Irql(u8);

impl Irql {
    /// Threads run here; everything is allowed.
    pub const PASSIVE: Self = Self(0);
    /// No APC is delivered; page faults are still allowed.
    pub const APC: Self = Self(1);
    /// No other thread is scheduled on this processor; no page fault, no wait.
    pub const DISPATCH: Self = Self(2);

    /// The current IRQL of this processor: `KeGetCurrentIrql`.
    ///
    /// Reads CR8, as the headers' inline function does. IRQL: any.
    #[must_use]
    pub fn current() -> Self {
        Self(arch::irql())
    }

    /// The level as a number, 0 to 15.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Irql {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
