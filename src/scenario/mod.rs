//! The test scenarios: three ways from a block of nonpaged pool to a second address.
//!
//! Each scenario logs its steps, checks that both addresses alias the same pages, and
//! releases its resources in reverse order. A scenario whose step fails logs the
//! failure, releases its resources and returns the status of the step.

mod double_map;
mod lock;
mod nonpaged;
mod record;
mod steps;
mod user;

use core::fmt;

use ntmem_ioctl::{ScenarioKind, ScenarioReply};
use wdm::{Status, debug::Level, irql::Apc, map::CacheType, string::UnicodeStr, user_map::Access};

pub use self::record::Record;
use crate::{
    log::{Scope, StatusFields},
    parameters::{RejectReason, cache_type_name},
};

/// A test scenario.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Lock the pages, then map them into system space: the documented way.
    Lock,
    /// Build the MDL for nonpaged pool and use the pool's own address.
    Nonpaged,
    /// Build the MDL for nonpaged pool and map it into system space a second time,
    /// which the reference forbids and tutorials show.
    DoubleMap,
}

impl Scenario {
    const ALL: [Self; 3] = [Self::Lock, Self::Nonpaged, Self::DoubleMap];

    /// The name in the registry and in the log.
    const fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Nonpaged => "nonpaged",
            Self::DoubleMap => "double-map",
        }
    }

    /// The scenario with this name; `textbook` is an alias of
    /// `double-map`.
    fn parse(word: UnicodeStr<'_>) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|scenario| word.eq_ignore_ascii_case(scenario.name()))
            .or_else(|| {
                word.eq_ignore_ascii_case("textbook")
                    .then_some(Self::DoubleMap)
            })
    }

    /// The scenario with this number in a request.
    pub const fn from_kind(kind: ScenarioKind) -> Self {
        match kind {
            ScenarioKind::Lock => Self::Lock,
            ScenarioKind::Nonpaged => Self::Nonpaged,
            ScenarioKind::DoubleMap => Self::DoubleMap,
        }
    }

    /// Runs the scenario. `double-map` into a process is
    /// `STATUS_INVALID_PARAMETER`.
    pub fn run(self, plan: &Plan, target: Target<'_>) -> (Result<(), Status>, ScenarioReply) {
        let scope = Scope::new(self.name(), plan.level);
        let cache = cache_type_name(plan.cache);
        step!(scope, "begin size={} cache-type={cache}", plan.size);
        let mut record = Record::new(scope);
        let result = match (self, target) {
            (Self::Lock, target) => lock::run(plan, target, &mut record),
            (Self::Nonpaged, target) => nonpaged::run(plan, target, &mut record),
            (Self::DoubleMap, Target::System) => double_map::run(plan, &mut record),
            (Self::DoubleMap, Target::User(..)) => Err(Status::INVALID_PARAMETER),
        };
        match result {
            Ok(()) => step!(scope, "end {}", StatusFields(Status::SUCCESS)),
            Err(status) => error!(scope, "end {}", StatusFields(status)),
        }
        (result, record.finish(result))
    }
}

/// The settings of a scenario.
pub struct Plan {
    /// Size of the block, in bytes.
    pub size: u32,
    /// The cache type requested for the mapping.
    pub cache: CacheType,
    /// The level of the lines that log steps.
    pub level: Level,
}

/// The address space of the second mapping.
pub enum Target<'a> {
    /// System space.
    System,
    /// The current process, with this access.
    User(Access, &'a mut Apc),
}

/// The scenarios to run, in order, each at most once.
#[derive(Clone, Copy)]
pub struct ScenarioList([Option<Scenario>; Scenario::ALL.len()]);

impl ScenarioList {
    /// The scenarios that keep to the reference.
    pub const DEFAULT: Self = Self([Some(Scenario::Lock), Some(Scenario::Nonpaged), None]);

    const NONE: Self = Self([None; Scenario::ALL.len()]);

    /// Parses names separated by commas or blanks; `none` is the empty list.
    pub fn parse(text: UnicodeStr<'_>) -> Result<Self, RejectReason> {
        const SEPARATORS: [u16; 3] = [b',' as u16, b' ' as u16, b'\t' as u16];
        let mut list = Self::NONE;
        let mut none = false;
        let words = text.split(|unit| SEPARATORS.contains(&unit));
        for word in words.filter(|word| !word.units().is_empty()) {
            if word.eq_ignore_ascii_case("none") {
                none = true;
                continue;
            }
            list.push(Scenario::parse(word).ok_or(RejectReason::UnknownName)?)?;
        }
        match (none, list.iter().next()) {
            (false, None) => Err(RejectReason::Empty),
            (true, Some(_)) => Err(RejectReason::Contradictory),
            _ => Ok(list),
        }
    }

    /// The scenarios, in order.
    pub fn iter(&self) -> impl Iterator<Item = Scenario> {
        self.0.iter().copied().flatten()
    }

    fn push(&mut self, scenario: Scenario) -> Result<(), RejectReason> {
        if self.iter().any(|listed| listed == scenario) {
            return Err(RejectReason::Contradictory);
        }
        // There is a slot for each scenario.
        let slot = self.0.iter_mut().find(|slot| slot.is_none());
        *slot.ok_or(RejectReason::Contradictory)? = Some(scenario);
        Ok(())
    }
}

/// The names with commas between them, or `none`.
impl fmt::Display for ScenarioList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut scenarios = self.iter();
        let Some(first) = scenarios.next() else {
            return formatter.write_str("none");
        };
        formatter.write_str(first.name())?;
        scenarios.try_for_each(|scenario| write!(formatter, ",{}", scenario.name()))
    }
}
