//! The rules that the embedded kernel checks. Each is declared once, with its former
//! identifiers, the set it belongs to, the bug check it leads to and its page in
//! `docs/reference/rules`. The kernel reports a violation with the constant of its rule.

mod index;
mod io;
mod leaks;
mod locks;
mod memory;
mod objects;
mod user;

use serde::{Deserialize, Serialize};

pub use self::index::index;
pub use self::io::*;
pub use self::leaks::*;
pub use self::locks::*;
pub use self::memory::*;
pub use self::objects::*;
pub use self::user::*;
use crate::parse::{self, ParseError};

/// How closely a driver is watched: which rules hold, beside those that always do.
/// Each holds those of the ones before it.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verify {
    /// Not more than always: no special pool, no call stacks.
    #[default]
    Off,
    /// What Driver Verifier's standard settings look at.
    Standard,
    /// Also what old but correct drivers do, and what may be meant.
    Strict,
}

impl Verify {
    /// The name of [`Verify::Standard`] in former versions.
    #[doc(hidden)]
    #[expect(non_upper_case_globals, reason = "it was a variant of this name")]
    pub const Overruns: Self = Self::Standard;
}

/// On which side of a block of special pool the inaccessible page is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guard {
    /// Blocks end where an inaccessible page begins.
    #[default]
    After,
    /// Blocks begin where an inaccessible page ends.
    Before,
}

/// A bug check with which Windows or Driver Verifier stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopCode {
    /// Bug check code.
    pub code: u32,
    /// First parameter; `None` if it depends on the violation.
    pub first: Option<u64>,
}

/// A rule. A driver that breaks it does not stop the kernel.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its identifier, in kebab case.
    pub id: &'static str,
    /// Its identifiers in former versions.
    pub former_ids: &'static [&'static str],
    /// The first set of rules that it belongs to; [`Verify::Off`] for one that is always
    /// checked.
    pub set: Verify,
    /// The bug check of Windows or Driver Verifier. Several if it depends on the function.
    pub stop_codes: &'static [StopCode],
    /// What is wrong, in one line.
    pub summary: &'static str,
    /// Its page, in Markdown.
    pub page: &'static str,
}

impl Rule {
    /// The name of the set that it belongs to.
    #[must_use]
    pub const fn set_name(&self) -> &'static str {
        match self.set {
            Verify::Off => "always",
            Verify::Standard => "standard",
            Verify::Strict => "strict",
        }
    }

    /// The rule, for a violation with one of its bug checks.
    #[must_use]
    pub fn with_stop(&'static self, code: u32, first: u64) -> Broken {
        let mut declared = self.stop_codes.iter();
        debug_assert!(
            declared.any(|stop| stop.code == code && stop.first.is_none_or(|only| only == first)),
            "{} does not declare {code:#x}/{first:#x}",
            self.id
        );
        Broken {
            rule: self,
            stop: Some((code, first)),
        }
    }

    /// The rule, for a violation that has no bug check although others have one.
    #[must_use]
    pub const fn without_stop(&'static self) -> Broken {
        Broken {
            rule: self,
            stop: None,
        }
    }
}

/// A rule that is broken, with the bug check of this violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// The rule.
    pub rule: &'static Rule,
    /// Bug check code and first parameter.
    pub stop: Option<(u32, u64)>,
}

impl From<&'static Rule> for Broken {
    /// With the bug check of the rule, if it has exactly one.
    fn from(rule: &'static Rule) -> Self {
        let stop = match rule.stop_codes {
            [
                StopCode {
                    code,
                    first: Some(first),
                },
            ] => Some((*code, *first)),
            _ => None,
        };
        Self { rule, stop }
    }
}

/// Declares rules: constants, and the list of them.
macro_rules! rules {
    ($list:ident: $(
        $name:ident = $id:literal $((formerly $($former:literal),+))?, $set:ident
            $(, stops $($code:literal / $first:tt)|+)?,
            $summary:literal;
    )*) => {
        $(
            #[doc = concat!($summary, ".")]
            pub const $name: &$crate::rules::Rule = &$crate::rules::Rule {
                id: $id,
                former_ids: &[$($($former),+)?],
                set: rules!(@set $set),
                stop_codes: &[$($($crate::rules::StopCode {
                    code: $code,
                    first: rules!(@first $first),
                }),+)?],
                summary: $summary,
                page: include_str!(concat!("../../../../docs/reference/rules/", $id, ".md")),
            };
        )*
        /// All of this file.
        pub(super) const $list: &[&$crate::rules::Rule] = &[$($name),*];
    };
    (@set always) => { $crate::Verify::Off };
    (@set standard) => { $crate::Verify::Standard };
    (@set strict) => { $crate::Verify::Strict };
    (@first _) => { None };
    (@first $first:literal) => { Some($first) };
}
use rules;

/// The rules by subject.
const SUBJECTS: [(&str, &[&Rule]); 6] = [
    ("Leaks at unload", LEAKS),
    ("Pool, MDLs and mappings", MEMORY),
    ("IRQL, locks and lists", LOCKS),
    ("IRPs and devices", IO),
    ("User memory", USER),
    ("Objects, registry, strings and messages", OBJECTS),
];

/// All rules, by subject.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    SUBJECTS.iter().flat_map(|(_, rules)| rules.iter().copied())
}

/// The rule of this identifier, or former identifier.
#[must_use]
pub fn find(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id == id || rule.former_ids.contains(&id))
}

/// The identifier of a rule; a former identifier gives the present one.
///
/// # Errors
/// There is no such rule; the message names those that are spelled like it.
pub fn rule(text: &str) -> Result<String, ParseError> {
    if let Some(rule) = find(text) {
        return Ok(rule.id.to_owned());
    }
    let ids = all().flat_map(|rule| rule.former_ids.iter().copied().chain([rule.id]));
    let mut near: Vec<&str> = parse::similar(text, ids)
        .into_iter()
        .filter_map(|id| Some(find(id)?.id))
        .collect();
    near.dedup();
    let hint = parse::did_you_mean(&near, "; `ntbox rules` lists them");
    Err(ParseError::new(format!("there is no rule `{text}`{hint}")))
}

#[cfg(test)]
mod tests;
