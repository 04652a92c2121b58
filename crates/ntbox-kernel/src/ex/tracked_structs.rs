//! Structures of drivers that the system goes on using until they are deleted:
//! lookaside lists and resources. The system keeps them in lists of its own; a
//! driver that initialises one twice, frees its memory or leaves it behind
//! breaks those lists for everybody. Here that is a report.

use std::collections::BTreeMap;

use ntbox_api::rules::{self, Broken, Rule};
use ntbox_host::kernel_cell::KernelCell;

use crate::base::diag;
use crate::base::leak_check::Leak;

/// What a structure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `NPAGED_LOOKASIDE_LIST`.
    NPagedLookaside,
    /// `PAGED_LOOKASIDE_LIST`.
    PagedLookaside,
    /// `LOOKASIDE_LIST_EX`.
    LookasideEx,
    /// ERESOURCE.
    Resource,
}

/// The rules on the mistakes with a structure.
struct Rules {
    initialized_twice: Broken,
    deleted_uninitialized: Broken,
    freed: Broken,
    leak: &'static Rule,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::NPagedLookaside => "nonpaged lookaside list",
            Self::PagedLookaside => "paged lookaside list",
            Self::LookasideEx => "lookaside list (LOOKASIDE_LIST_EX)",
            Self::Resource => "resource (ERESOURCE)",
        }
    }

    fn rules(self) -> Rules {
        if self == Self::Resource {
            Rules {
                initialized_twice: rules::RESOURCE_INITIALIZED_TWICE.into(),
                deleted_uninitialized: rules::RESOURCE_NOT_INITIALIZED.with_stop(0xc4, 0xd1),
                freed: rules::RESOURCE_FREED.into(),
                leak: rules::RESOURCE_LEAK,
            }
        } else {
            Rules {
                initialized_twice: rules::LOOKASIDE_INITIALIZED_TWICE.into(),
                deleted_uninitialized: rules::LOOKASIDE_NOT_INITIALIZED.into(),
                freed: rules::LOOKASIDE_FREED.into(),
                leak: rules::LOOKASIDE_LEAK,
            }
        }
    }
}

/// A structure in use.
#[derive(Debug, Clone, Copy)]
struct Active {
    kind: Kind,
    /// Address that the call which initialised it returns to.
    caller: u64,
}

static ACTIVE: KernelCell<BTreeMap<u64, Active>> = KernelCell::new(BTreeMap::new());

fn with<T>(work: impl FnOnce(&mut BTreeMap<u64, Active>) -> T) -> T {
    work(&mut ACTIVE.lock())
}

/// Where a structure was initialised, in words.
fn origin(active: Active) -> String {
    diag::location(active.caller).map_or_else(String::new, |place| {
        format!(", initialized by {}+{:#x},", place.module, place.offset)
    })
}

/// Notes that a structure is in use from now on. One that is already is
/// reported.
pub fn begin(kind: Kind, va: u64, caller: u64) {
    let before = with(|active| active.insert(va, Active { kind, caller }));
    if let Some(before) = before {
        let what = format!(
            "a {} initialized at {va:#018x}, where a {}{} is in use",
            kind.name(),
            before.kind.name(),
            origin(before)
        );
        diag::violation(kind.rules().initialized_twice, what, caller);
    }
}

/// Notes that a structure is no longer in use. False, and a report, if it was
/// not, or as something else.
pub fn end(kind: Kind, va: u64, caller: u64) -> bool {
    let before = with(|active| active.remove(&va));
    if before.is_some_and(|before| before.kind == kind) {
        return true;
    }
    let found = before.map_or("nothing that was initialized", |before| before.kind.name());
    let what = format!(
        "a {} deleted at {va:#018x}, where there is {found}",
        kind.name()
    );
    diag::violation(kind.rules().deleted_uninitialized, what, caller);
    false
}

/// Whether a structure of this kind is in use at an address.
pub fn is(kind: Kind, va: u64) -> bool {
    with(|active| active.get(&va).is_some_and(|entry| entry.kind == kind))
}

/// Reports what is in use inside memory that is being freed, and forgets it.
pub fn check_freed(va: u64, size: u64, caller: u64) {
    let inside: Vec<(u64, Active)> = with(|active| {
        let inside: Vec<_> = active
            .range(va..va.saturating_add(size))
            .map(|(at, entry)| (*at, *entry))
            .collect();
        for (at, _) in &inside {
            active.remove(at);
        }
        inside
    });
    for (at, entry) in inside {
        let what = format!(
            "pool at {va:#018x}, {size} bytes, freed with a {} in it, at {at:#018x}{} that was not deleted",
            entry.kind.name(),
            origin(entry)
        );
        diag::violation(entry.kind.rules().freed, what, caller);
    }
}

/// Structures that are still in use. All of them are forgotten.
pub fn leaks() -> Vec<Leak> {
    let structures = with(std::mem::take);
    structures
        .into_iter()
        .map(|(va, entry)| {
            let message = format!("the {} at {va:#018x} is not deleted", entry.kind.name());
            Leak::new(entry.kind.rules().leak, message, entry.caller)
        })
        .collect()
}
