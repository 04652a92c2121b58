//! The interrupt request level (IRQL), as a value and as tokens.
//!
//! The WDK reference states a maximum IRQL for every function. A function with a maximum
//! below `DISPATCH_LEVEL` takes a token: [`&Passive`](Passive) for `PASSIVE_LEVEL`,
//! [`&Apc`](Apc) for `<= APC_LEVEL`. Entry points receive the first token;
//! [`Dispatch::raise_to_dispatch`] and [`Apc::raise_to_apc`] are the only other source.
//! Tokens have no size and do not exist at run time.

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
