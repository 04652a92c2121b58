//! Rules that a driver breaks at one place again and again.
//!
//! A loop that never frees leaves a million blocks, and each would be a violation of
//! its own: a report that nobody reads and that takes longer than the run. So a
//! thousand of them are told, and that there were more.

use std::collections::BTreeMap;

use ntbox_api::report::Location;
use ntbox_host::kernel_cell::KernelCell;

use super::diag;

/// How many violations of one rule at one place are told.
const LIMIT: u32 = 1000;

/// A rule, and module and offset of where it was broken.
type Key = (String, Option<(String, u64)>);

static COUNTS: KernelCell<BTreeMap<Key, u32>> = KernelCell::new(BTreeMap::new());

/// Counts a violation. False if it is one too many to be told.
pub fn is_told(rule: &str, location: Option<&Location>) -> bool {
    let place = location.map(|place| (place.module.clone(), place.offset));
    let mut counts = COUNTS.lock();
    let count = counts.entry((rule.to_owned(), place)).or_default();
    *count = count.saturating_add(1);
    let count = *count;
    drop(counts);
    if count == LIMIT + 1 {
        let at = location.map_or_else(String::new, |place| {
            format!(" at {}+{:#x}", place.module, place.offset)
        });
        diag::note(format!(
            "the rule {rule} was broken more than {LIMIT} times{at}; the first {LIMIT} are listed"
        ));
    }
    count <= LIMIT
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{notes, processor};

    #[test]
    fn violations_over_limit_are_dropped_per_location() {
        processor();
        let here = Location::new("repeats-a.sys".to_owned(), 16);
        let there = Location::new("repeats-a.sys".to_owned(), 32);
        let told = |place| {
            (0..LIMIT + 5)
                .filter(|_| is_told("a-rule", Some(place)))
                .count()
        };
        assert_eq!(told(&here), LIMIT as usize);
        assert_eq!(notes().len(), 1);
        assert!(is_told("a-rule", Some(&there)));
        assert!(is_told("another-rule", Some(&here)));
        assert!(is_told("a-rule", None));
    }
}
