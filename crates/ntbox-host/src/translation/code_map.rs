//! What a driver may execute: ranges of memory that would be executable if the driver's
//! own code ran.

use std::collections::BTreeMap;
use std::ops::Range;

/// The ranges, by their first address: end, and whether it can be written, too.
#[derive(Debug, Default)]
pub struct CodeMap {
    ranges: BTreeMap<u64, (u64, bool)>,
}

impl CodeMap {
    /// The range with an address.
    fn range(&self, address: u64) -> Option<(Range<u64>, bool)> {
        let (start, (end, writable)) = self.ranges.range(..=address).next_back()?;
        (address < *end).then_some((*start..*end, *writable))
    }

    /// Whether there is code at an address.
    pub fn contains(&self, address: u64) -> bool {
        self.range(address).is_some()
    }

    /// Whether all of a range is code, and as writable.
    pub fn has(&self, range: &Range<u64>, writable: bool) -> bool {
        self.range(range.start)
            .is_some_and(|(own, is_writable)| own.end >= range.end && is_writable == writable)
    }

    /// What can be executed from an address on, without a gap.
    pub fn from(&self, address: u64) -> Range<u64> {
        let mut end = address;
        while let Some((range, _)) = self.range(end) {
            end = range.end;
        }
        address..end
    }

    /// The writable code around an address; empty if it cannot be written.
    pub fn writable_around(&self, address: u64) -> Range<u64> {
        match self.range(address) {
            Some((range, true)) => range,
            _ => address..address,
        }
    }

    /// Adds a range, none of which is there.
    pub fn insert(&mut self, range: Range<u64>, writable: bool) {
        let mut range = range;
        if let Some((before, is_writable)) = self.range(range.start.wrapping_sub(1))
            && is_writable == writable
        {
            range.start = before.start;
        }
        if let Some((behind, is_writable)) = self.range(range.end)
            && is_writable == writable
        {
            self.ranges.remove(&behind.start);
            range.end = behind.end;
        }
        self.ranges.insert(range.start, (range.end, writable));
    }

    /// Takes a range out; whether anything of it was there.
    pub fn remove(&mut self, range: &Range<u64>) -> bool {
        let first = self
            .range(range.start)
            .map_or(range.start, |(own, _)| own.start);
        let hit: Vec<(u64, (u64, bool))> = self
            .ranges
            .range(first..range.end)
            .map(|(start, rest)| (*start, *rest))
            .collect();
        for (start, (end, writable)) in &hit {
            self.ranges.remove(start);
            if *start < range.start {
                self.ranges.insert(*start, (range.start, *writable));
            }
            if *end > range.end {
                self.ranges.insert(range.end, (*end, *writable));
            }
        }
        !hit.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_map_remove_from_the_middle_keeps_both_ends() {
        let mut map = CodeMap::default();
        map.insert(0x1000..0x4000, false);
        assert!(map.remove(&(0x2000..0x3000)));
        assert!(!map.remove(&(0x2000..0x3000)));
        assert!(map.contains(0x1fff) && !map.contains(0x2000));
        assert!(!map.contains(0x2fff) && map.contains(0x3000));
        assert_eq!(map.from(0x1800), 0x1800..0x2000);
    }

    #[test]
    fn code_map_insert_joins_neighbours_of_one_kind() {
        let mut map = CodeMap::default();
        map.insert(0x1000..0x2000, false);
        map.insert(0x3000..0x4000, false);
        map.insert(0x2000..0x3000, false);
        assert!(map.has(&(0x1000..0x4000), false));
        map.insert(0x4000..0x5000, true);
        assert!(!map.has(&(0x1000..0x5000), false));
        assert_eq!(map.from(0x1000), 0x1000..0x5000);
        assert_eq!(map.from(0x5000), 0x5000..0x5000);
    }
}
