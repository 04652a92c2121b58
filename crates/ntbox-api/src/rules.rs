//! The rules that the embedded kernel can report, and from which set of rules on each
//! is looked at. A program that lets a person leave one out looks its name up here,
//! so that a misspelt name is an error and not a rule that nobody leaves out.

use serde::{Deserialize, Serialize};

use crate::parse::ParseError;

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

/// A rule that a driver can break without a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its name in kebab case.
    pub name: &'static str,
    /// The first set of rules that it belongs to.
    pub set: Verify,
}

/// All rules, by their names.
pub fn all() -> impl Iterator<Item = Rule> {
    RULES.iter().map(|(name, set)| Rule { name, set: *set })
}

/// The rule of this name.
#[must_use]
pub fn find(name: &str) -> Option<Rule> {
    let at = RULES.binary_search_by(|(other, _)| (*other).cmp(name));
    at.ok()
        .and_then(|at| RULES.get(at))
        .map(|(name, set)| Rule { name, set: *set })
}

/// The name of a rule.
///
/// # Errors
/// There is no such rule; the message names those that are spelled like it.
pub fn rule(text: &str) -> Result<String, ParseError> {
    if let Some(rule) = find(text) {
        return Ok(rule.name.to_owned());
    }
    let near = near(text);
    let hint = if near.is_empty() {
        "; docs/reference/verifier.md lists them".to_owned()
    } else {
        format!("; did you mean {}?", near.join(" or "))
    };
    Err(ParseError::new(format!("there is no rule `{text}`{hint}")))
}

/// Rules whose names are like a text: few letters differ, or it is a part of them.
/// The most alike first, at most three.
fn near(text: &str) -> Vec<&'static str> {
    let limit = text.len() / 3;
    let alike = |name: &str| {
        let distance = distance(text, name);
        let part = text.len() >= 4 && name.contains(text);
        (distance <= limit || part).then_some(distance)
    };
    let mut found: Vec<(usize, &str)> = all()
        .filter_map(|rule| Some((alike(rule.name)?, rule.name)))
        .collect();
    found.sort_unstable();
    found.truncate(3);
    found.into_iter().map(|(_, name)| name).collect()
}

/// How many letters are to be inserted, removed or replaced to make one text of the
/// other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (n, letter) in from.bytes().enumerate() {
        let mut diagonal = n;
        let mut left = n + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(to.bytes()) {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = n + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// In the order of their names.
const RULES: &[(&str, Verify)] = &[
    ("apcs-not-restored", Verify::Off),
    ("assertion-failed", Verify::Off),
    ("bad-handle-closed", Verify::Off),
    ("bug-check-callback-left", Verify::Off),
    ("bug-check-on-failure", Verify::Off),
    ("build-mdl-locked", Verify::Off),
    ("build-mdl-not-nonpaged", Verify::Off),
    ("callback-left", Verify::Off),
    ("cancel-lock-held", Verify::Off),
    ("contiguous-leak", Verify::Off),
    ("delete-attached-device", Verify::Off),
    ("delete-unknown-device", Verify::Off),
    ("device-damaged", Verify::Off),
    ("device-left", Verify::Off),
    ("device-queue-not-busy", Verify::Off),
    ("dispatcher-object-not-initialised", Verify::Off),
    ("dpc-processor", Verify::Off),
    ("driver-unloads-itself", Verify::Off),
    ("error-log-entry-leak", Verify::Off),
    ("event-provider-left", Verify::Off),
    ("executable-mapping", Verify::Strict),
    ("executable-pool", Verify::Strict),
    ("floating-point-format", Verify::Off),
    ("format-writes-memory", Verify::Off),
    ("free-locked-mdl", Verify::Off),
    ("free-mapped-mdl", Verify::Off),
    ("free-pages-mapped", Verify::Off),
    ("free-pages-not-allocated", Verify::Off),
    ("freed-pool-logged", Verify::Off),
    ("handle-leak", Verify::Off),
    ("handle-of-another-process", Verify::Off),
    ("information-too-large", Verify::Off),
    ("interrupt-not-connected", Verify::Off),
    ("io-timer-stopped-inside", Verify::Off),
    ("irp-completed-invalid-status", Verify::Off),
    ("irp-completed-pending", Verify::Off),
    ("irp-completed-with-cancel-routine", Verify::Off),
    ("irp-initialised-twice", Verify::Off),
    ("irp-leak", Verify::Off),
    ("irp-mdl-unlocked", Verify::Off),
    ("irp-not-completed", Verify::Off),
    ("irp-not-reclaimed", Verify::Off),
    ("irp-pending-at-unload", Verify::Off),
    ("irp-pending-not-marked", Verify::Off),
    ("irp-pending-not-returned", Verify::Off),
    ("irp-status-mismatch", Verify::Off),
    ("irql-not-restored", Verify::Off),
    ("irql-too-high", Verify::Off),
    ("irql-too-low", Verify::Off),
    ("kernel-pool-freed", Verify::Off),
    ("link-left", Verify::Off),
    ("lock-leak", Verify::Off),
    ("lock-nonpaged-mdl", Verify::Off),
    ("lock-order", Verify::Standard),
    ("lock-outlives-process", Verify::Off),
    ("lock-pages-unguarded", Verify::Standard),
    ("lock-twice", Verify::Off),
    ("lock-with-apcs-enabled", Verify::Off),
    ("lookaside-entry-too-small", Verify::Off),
    ("lookaside-freed", Verify::Off),
    ("lookaside-head-paged", Verify::Off),
    ("lookaside-initialised-twice", Verify::Off),
    ("lookaside-left", Verify::Off),
    ("lookaside-not-initialised", Verify::Off),
    ("map-nonpaged-to-system", Verify::Off),
    ("map-not-locked", Verify::Off),
    ("map-twice", Verify::Off),
    ("mapping-address-leak", Verify::Off),
    ("mapping-leak", Verify::Off),
    ("mapping-outlives-process", Verify::Off),
    ("mdl-leak", Verify::Off),
    ("mutex-irql", Verify::Off),
    ("mutex-not-initialised", Verify::Off),
    ("notify-routine-left", Verify::Off),
    ("null-dereference-handled", Verify::Standard),
    ("null-handle", Verify::Off),
    ("object-callbacks-left", Verify::Off),
    ("object-over-dereferenced", Verify::Off),
    ("object-pageable", Verify::Standard),
    ("overlapping-copy", Verify::Off),
    ("page-leak", Verify::Off),
    ("pnp-notification-left", Verify::Off),
    ("pool-freed-while-locked", Verify::Standard),
    ("pool-leak", Verify::Off),
    ("pool-tag-zero", Verify::Off),
    ("pool-zero-size", Verify::Off),
    ("power-callback-left", Verify::Off),
    ("power-request-left", Verify::Off),
    ("processor-callback-left", Verify::Off),
    ("reference-leak", Verify::Off),
    ("registry-callback-left", Verify::Off),
    ("registry-expand", Verify::Off),
    ("remove-lock-held", Verify::Off),
    ("remove-lock-not-held", Verify::Off),
    ("remove-lock-not-initialised", Verify::Off),
    ("remove-lock-size", Verify::Off),
    ("resource-deleted-while-owned", Verify::Off),
    ("resource-freed", Verify::Off),
    ("resource-initialised-twice", Verify::Off),
    ("resource-left", Verify::Off),
    ("resource-misaligned", Verify::Off),
    ("resource-not-initialised", Verify::Off),
    ("resource-owner-pointer", Verify::Off),
    ("rundown-not-acquired", Verify::Off),
    ("rundown-not-completed", Verify::Off),
    ("rundown-too-small", Verify::Off),
    ("section-lock-leak", Verify::Off),
    ("secured-left", Verify::Off),
    ("shutdown-notification-left", Verify::Off),
    ("slist-entry-misaligned", Verify::Off),
    ("spin-lock-held", Verify::Off),
    ("spin-lock-irql", Verify::Off),
    ("spin-lock-recursive", Verify::Off),
    ("system-state-left", Verify::Off),
    ("thread-left", Verify::Off),
    ("timer-left", Verify::Off),
    ("unicode-format-irql", Verify::Off),
    ("unicode-string-odd-length", Verify::Standard),
    ("uninitialised-pool-logged", Verify::Off),
    ("uninitialised-pool-returned", Verify::Standard),
    ("uninitialised-pool-stored", Verify::Standard),
    ("unlock-nonpaged-mdl", Verify::Off),
    ("unlock-not-locked", Verify::Off),
    ("unmap-bad-user-address", Verify::Off),
    ("unmap-not-mapped", Verify::Off),
    ("unsecure-not-secured", Verify::Off),
    ("user-handle-as-kernel", Verify::Off),
    ("user-handle-created", Verify::Standard),
    ("user-memory-irql", Verify::Standard),
    ("user-memory-locked-as-kernel", Verify::Standard),
    ("user-memory-not-probed", Verify::Standard),
    ("user-memory-read-twice", Verify::Strict),
    ("user-memory-unguarded", Verify::Standard),
    ("view-leak", Verify::Off),
    ("wmi-provider-left", Verify::Off),
    ("work-item-leak", Verify::Off),
    ("work-item-queued", Verify::Off),
    ("wrong-object-type", Verify::Off),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_in_order_and_each_is_found() {
        assert!(RULES.is_sorted_by(|one, other| one.0 < other.0));
        for rule in all() {
            assert_eq!(find(rule.name), Some(rule));
        }
        assert_eq!(find("pool"), None);
    }

    #[test]
    fn rule_unknown_names_those_like_it() {
        assert_eq!(rule("pool-leak").as_deref(), Ok("pool-leak"));
        let message = |text: &str| rule(text).expect_err("no rule").to_string();
        assert_eq!(
            message("pool-leek"),
            "there is no rule `pool-leek`; did you mean pool-leak?"
        );
        assert!(message("executable").contains("executable-pool"));
        assert!(message("xyzzy").ends_with("docs/reference/verifier.md lists them"));
        assert!(message("").ends_with("docs/reference/verifier.md lists them"));
    }

    #[test]
    fn distance_counts_letters() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("abc", "axc", 1),
            ("abc", "bc", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn sets_hold_those_before_them() {
        assert!(Verify::Off < Verify::Standard && Verify::Standard < Verify::Strict);
    }
}
