//! The walk that tutorials print, callable from safe code by who asks for it.
//!
//! They build an MDL for nonpaged pool and then map it into system space. The
//! reference of both functions forbids the second step: the pages *are* in system
//! space, and what happens is undefined. The sequence is shown here because it is
//! so widely copied, not because it should be used; lock the pages instead.
//!
//! # What happens
//!
//! Kernels without checks treat the MDL as they treat a locked one: they take free
//! page table entries of the system, point them to the pages, and note the new
//! address and `MDL_MAPPED_TO_SYSTEM_VA` in the MDL. Unmapping gives the entries
//! back. The MDL then names an address that is gone, although its flags still say
//! that it is nonpaged pool's: this is the trap. Kernels with checks stop: a
//! checked build asserts, Driver Verifier bug checks.
//!
//! # Why this can be called without `unsafe`
//!
//! [`map`] confines all of it. The pool belongs to the MDL and nobody else, so no
//! other code's memory is involved. The new mapping uses page table entries of its
//! own and is undone by the same value that made it. The MDL is [`Spent`] from then
//! on, so the address that it names after unmapping cannot be asked for. What
//! remains is that a kernel may answer with a bug check, which ends the system but
//! corrupts nothing, and which [`AcceptUndefinedBehaviour`] makes the caller sign
//! for. That is a judgement from how kernels behave, not a promise of Microsoft's.

use crate::{
    Rejected, Result,
    map::{CacheType, ForbiddenMapping},
    mdl::{BuiltForNonpaged, Mdl, Spent},
};

/// A signature under what [`map`] does.
#[derive(Clone, Copy, Debug)]
pub struct AcceptUndefinedBehaviour(());

impl AcceptUndefinedBehaviour {
    /// For code that runs only because a person asked for this very sequence by
    /// name, on a system that may stop.
    #[must_use]
    pub const fn because_the_user_asked_by_name() -> Self {
        Self(())
    }
}

/// Maps an MDL that was built for nonpaged pool into system space, against the
/// rules: `MmMapLockedPagesSpecifyCache`.
///
/// IRQL: `<= DISPATCH_LEVEL`.
///
/// # Errors
///
/// `STATUS_INSUFFICIENT_RESOURCES`: the kernel has no page table entries left. The
/// MDL comes back fit for freeing only.
pub fn map(
    mdl: Mdl<BuiltForNonpaged>,
    cache: CacheType,
    signature: AcceptUndefinedBehaviour,
) -> Result<ForbiddenMapping, Rejected<Mdl<Spent>>> {
    let AcceptUndefinedBehaviour(()) = signature;
    // SAFETY: the module's documentation says what kernels make of the call, and
    // why no harm reaches beyond the pool that the MDL owns; that the system may
    // stop is what the caller has signed for.
    unsafe { mdl.map_against_the_rules(cache) }
}
