//! Maps an MDL built for nonpaged pool into system space a second time, for the scenario
//! `double-map`.
//!
//! Many tutorials show this sequence. The reference of both functions forbids it: the
//! pages are in system space already, and the behaviour is undefined. Lock the pages
//! instead.
//!
//! `wdm` has the mapping as an unsafe function. Only this crate calls it, so that the
//! driver itself needs no `unsafe` and the call is kept apart from sound code.
//!
//! # What happens
//!
//! Kernels without checks treat the MDL as they treat a locked one: they take free
//! page table entries of the system, point them to the pages, and note the new
//! address and `MDL_MAPPED_TO_SYSTEM_VA` in the MDL. Unmapping gives the entries
//! back. The MDL then names an address that is gone, although its flags still say
//! that it is nonpaged pool's: this is the trap. Kernels with checks stop: a
//! checked build asserts, Driver Verifier bug checks.

#![no_std]
#![expect(
    unsafe_code,
    reason = "the crate makes the one call that `wdm` excludes"
)]

use wdm::{
    Rejected, Result,
    map::{CacheType, UncheckedMapping},
    mdl::{BuiltForNonpaged, Mdl, Poisoned},
};

/// Consent to the undefined behaviour of [`map`].
#[derive(Clone, Copy, Debug)]
pub struct AcceptUndefinedBehaviour(());

impl AcceptUndefinedBehaviour {
    /// For code that runs only because a person asked for this very sequence by
    /// name, on a system that may stop.
    #[must_use]
    pub const fn requested_by_name() -> Self {
        Self(())
    }
}

/// Maps an MDL that was built for nonpaged pool into system space, against the
/// rules: `MmMapLockedPagesSpecifyCache`.
///
/// This is not sound, whatever its signature says: the reference leaves open what
/// happens. Nothing but a driver that demonstrates it may call it.
///
/// IRQL: `<= DISPATCH_LEVEL`.
///
/// # Errors
///
/// `STATUS_INSUFFICIENT_RESOURCES`: the kernel has no page table entries left. The
/// returned MDL can only be freed.
pub fn map(
    mdl: Mdl<BuiltForNonpaged>,
    cache: CacheType,
    signature: AcceptUndefinedBehaviour,
) -> Result<UncheckedMapping, Rejected<Mdl<Poisoned>>> {
    let AcceptUndefinedBehaviour(()) = signature;
    // SAFETY: a judgement from how kernels behave, not a promise of Microsoft's. The
    // scenario is run because a person asked for it by name, to see what it does,
    // and has signed for a system that may stop. What goes wrong stays confined:
    // the pool belongs to the MDL and nobody else, so no other code's memory is
    // involved; the new mapping uses page table entries of its own and is undone by
    // the one value that made it, before MDL and pool are freed; and the MDL is
    // `Poisoned` from then on, so nobody can ask it for the address that it names after
    // unmapping. A kernel that checks answers with a bug check, which ends the
    // system but corrupts nothing.
    unsafe { mdl.map_unchecked(cache) }
}
