//! The three ways from a block of nonpaged pool to a second address of it.
//!
//! Each walk logs its steps, proves that the two addresses are the same memory,
//! and gives back what it took, in the reverse order. When a step fails, the walk
//! says so, gives back what it has by then, and ends with the step's status.

mod journal;
mod lock;
mod nonpaged;
mod steps;
mod textbook;
mod user;

use core::fmt;

use ntmem_ioctl::{WalkKind, WalkReply};
use wdm::{Status, debug::Level, irql::Apc, map::CacheType, string::UnicodeStr, user_map::Access};

pub use self::journal::Journal;
use crate::{
    parameters::{Reason, cache_type_name},
    report::{Outcome, Scope},
};

/// One of the walks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// The pages are locked, then mapped into system space: the documented way.
    Lock,
    /// The MDL is built for nonpaged pool, whose address is the system address.
    Nonpaged,
    /// The MDL is built for nonpaged pool and then mapped into system space, which
    /// the reference forbids and tutorials do.
    Textbook,
}

impl Walk {
    const ALL: [Self; 3] = [Self::Lock, Self::Nonpaged, Self::Textbook];

    /// The walk's name, in the registry and in the log.
    const fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Nonpaged => "nonpaged",
            Self::Textbook => "textbook",
        }
    }

    /// The walk that a program names.
    pub const fn of(kind: WalkKind) -> Self {
        match kind {
            WalkKind::Lock => Self::Lock,
            WalkKind::Nonpaged => Self::Nonpaged,
            WalkKind::Textbook => Self::Textbook,
        }
    }

    /// Runs the walk. The forbidden one has no target but system space: another is
    /// `STATUS_INVALID_PARAMETER`.
    pub fn run(self, plan: &Plan, target: Target<'_>) -> (Result<(), Status>, WalkReply) {
        let scope = Scope::new(self.name(), plan.level);
        let cache = cache_type_name(plan.cache);
        step!(scope, "begin size={} cache-type={cache}", plan.size);
        let mut journal = Journal::new(scope);
        let outcome = match (self, target) {
            (Self::Lock, target) => lock::run(plan, target, &mut journal),
            (Self::Nonpaged, target) => nonpaged::run(plan, target, &mut journal),
            (Self::Textbook, Target::System) => textbook::run(plan, &mut journal),
            (Self::Textbook, Target::User(..)) => Err(Status::INVALID_PARAMETER),
        };
        match outcome {
            Ok(()) => step!(scope, "end {}", Outcome(Status::SUCCESS)),
            Err(status) => error!(scope, "end {}", Outcome(status)),
        }
        (outcome, journal.end(outcome))
    }
}

/// What a walk is done with.
pub struct Plan {
    /// Bytes of the block.
    pub size: u32,
    /// The cache type that is asked of the mapping.
    pub cache: CacheType,
    /// The level of the lines about steps.
    pub level: Level,
}

/// Where the second address is to be.
pub enum Target<'a> {
    /// In system space.
    System,
    /// In the current process, for this.
    User(Access, &'a mut Apc),
}

/// Walks to run, each at most once, in order.
#[derive(Clone, Copy)]
pub struct Walks([Option<Walk>; Walk::ALL.len()]);

impl Walks {
    /// The walks that are legal.
    pub const DEFAULT: Self = Self([Some(Walk::Lock), Some(Walk::Nonpaged), None]);

    const NONE: Self = Self([None; Walk::ALL.len()]);

    /// The walks that `text` names, separated by commas or blanks; or none of them
    /// for the name `none`.
    pub fn parse(text: UnicodeStr<'_>) -> Result<Self, Reason> {
        const SEPARATORS: [u16; 3] = [b',' as u16, b' ' as u16, b'\t' as u16];
        let mut walks = Self::NONE;
        let mut none = false;
        let words = text.split(|unit| SEPARATORS.contains(&unit));
        for word in words.filter(|word| !word.units().is_empty()) {
            if word.eq_ignore_ascii_case("none") {
                none = true;
                continue;
            }
            let mut all = Walk::ALL.into_iter();
            let walk = all
                .find(|walk| word.eq_ignore_ascii_case(walk.name()))
                .ok_or(Reason::UnknownName)?;
            walks.add(walk)?;
        }
        match (none, walks.iter().next()) {
            (false, None) => Err(Reason::Empty),
            (true, Some(_)) => Err(Reason::Contradictory),
            _ => Ok(walks),
        }
    }

    /// The walks, in order.
    pub fn iter(&self) -> impl Iterator<Item = Walk> {
        self.0.iter().copied().flatten()
    }

    fn add(&mut self, walk: Walk) -> Result<(), Reason> {
        if self.iter().any(|listed| listed == walk) {
            return Err(Reason::Contradictory);
        }
        // A walk that is not listed yet finds room: there is a place for each.
        let place = self.0.iter_mut().find(|place| place.is_none());
        place
            .map(|place| *place = Some(walk))
            .ok_or(Reason::Contradictory)
    }
}

/// The names with commas between them, or `none`.
impl fmt::Display for Walks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut walks = self.iter();
        let Some(first) = walks.next() else {
            return formatter.write_str("none");
        };
        formatter.write_str(first.name())?;
        walks.try_for_each(|walk| write!(formatter, ",{}", walk.name()))
    }
}
