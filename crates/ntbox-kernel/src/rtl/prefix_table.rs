//! Tables of path prefixes, in which a file system finds what it knows of the longest
//! beginning of a path.
//!
//! Table and entries are the driver's memory. The entries are a list, those of more
//! components first, and closed by the table; entries that differ in case only hang
//! together in a ring, of which one is in the list.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::APC_LEVEL;

use super::unicode;
use crate::base::export::exports;
use crate::base::list_walk::ListWalk;

/// Offsets in a `UNICODE_PREFIX_TABLE` and, but for the second half, in an entry.
mod offset {
    pub const TYPE: u64 = 0x00;
    pub const NAME_LENGTH: u64 = 0x02;
    pub const NEXT: u64 = 0x08;
    /// Of a table: where an enumeration is.
    pub const LAST: u64 = 0x10;
    /// Of an entry: the next in its ring.
    pub const CASE_MATCH: u64 = 0x10;
    /// Of an entry: `RTL_SPLAY_LINKS`, parent and two children.
    pub const LINKS: u64 = 0x18;
    /// Of an entry: the driver's `UNICODE_STRING`.
    pub const PREFIX: u64 = 0x30;
}

/// Kinds of node.
const TABLE: u16 = 0x800;
const IN_LIST: u16 = 0x801;
const IN_RING: u16 = 0x803;
const SEPARATOR: u16 = b'\\' as u16;

fn prefix(entry: u64) -> Result<Vec<u16>, Fault> {
    UnicodeString::read(driver_mem::read_u64(entry + offset::PREFIX)?)?.units()
}

/// How many components a path counts for: one more than it has separators before its
/// last character.
fn components(path: &[u16]) -> u16 {
    let inner = path.split_last().map_or(path, |(_, inner)| inner);
    let count = inner.iter().filter(|unit| **unit == SEPARATOR).count();
    u16::try_from(count + 1).unwrap_or(u16::MAX)
}

/// The entries of the list.
fn list(table: u64) -> Result<Vec<u64>, Stop> {
    let mut entries = Vec::new();
    let mut walk = ListWalk::from(table);
    let mut at = driver_mem::read_u64(table.wrapping_add(offset::NEXT))?;
    while at != table {
        walk.visit(at)?;
        entries.push(at);
        at = driver_mem::read_u64(at.wrapping_add(offset::NEXT))?;
    }
    Ok(entries)
}

/// The entries that equal one of the list but for case, that one first.
fn ring(first: u64) -> Result<Vec<u64>, Stop> {
    let mut entries = vec![first];
    let mut walk = ListWalk::from(first);
    let mut at = driver_mem::read_u64(first + offset::CASE_MATCH)?;
    while at != first {
        walk.visit(at)?;
        entries.push(at);
        at = driver_mem::read_u64(at.wrapping_add(offset::CASE_MATCH))?;
    }
    Ok(entries)
}

/// Whether a path begins with a prefix, case apart, and goes on with a new component.
fn is_prefix(prefix: &[u16], path: &[u16]) -> bool {
    let Some(begin) = path.get(..prefix.len()) else {
        return false;
    };
    let ends = path
        .get(prefix.len())
        .is_none_or(|next| *next == SEPARATOR || prefix == [SEPARATOR]);
    ends && unicode::compare(prefix, begin, true) == 0
}

/// Writes what every new entry has.
fn begin(entry: u64, kind: u16, count: u16, string: u64) -> Result<(), Fault> {
    driver_mem::write_u16(entry + offset::TYPE, kind)?;
    driver_mem::write_u16(entry + offset::NAME_LENGTH, count)?;
    driver_mem::write_u64(entry + offset::LINKS, entry + offset::LINKS)?;
    driver_mem::write_u64(entry + offset::LINKS + 8, 0)?;
    driver_mem::write_u64(entry + offset::LINKS + 16, 0)?;
    driver_mem::write_u64(entry + offset::PREFIX, string)
}

fn insert(table: u64, string: u64, entry: u64) -> Result<bool, Stop> {
    let units = UnicodeString::read(string)?.units()?;
    let count = components(&units);
    driver_mem::write_u64(table.wrapping_add(offset::LAST), 0)?;
    let mut before = table;
    for known in list(table)? {
        if driver_mem::read_u16(known + offset::NAME_LENGTH)? < count {
            break;
        }
        before = known;
        if unicode::compare(&prefix(known)?, &units, true) != 0 {
            continue;
        }
        for same in ring(known)? {
            if prefix(same)? == units {
                return Ok(false);
            }
        }
        begin(entry, IN_RING, count, string)?;
        driver_mem::write_u64(entry + offset::NEXT, 0)?;
        let after = driver_mem::read_u64(known + offset::CASE_MATCH)?;
        driver_mem::write_u64(entry + offset::CASE_MATCH, after)?;
        driver_mem::write_u64(known + offset::CASE_MATCH, entry)?;
        return Ok(true);
    }
    begin(entry, IN_LIST, count, string)?;
    driver_mem::write_u64(entry + offset::CASE_MATCH, entry)?;
    let after = driver_mem::read_u64(before.wrapping_add(offset::NEXT))?;
    driver_mem::write_u64(entry + offset::NEXT, after)?;
    driver_mem::write_u64(before.wrapping_add(offset::NEXT), entry)?;
    Ok(true)
}

/// The longest prefix of a path whose first characters, so many, are the same in case,
/// too.
fn find(table: u64, path: &[u16], exact: usize) -> Result<u64, Stop> {
    for known in list(table)? {
        if !is_prefix(&prefix(known)?, path) {
            continue;
        }
        for same in ring(known)? {
            let own = prefix(same)?;
            let length = exact.min(own.len());
            if own[..length] == path[..length] {
                return Ok(same);
            }
        }
    }
    Ok(0)
}

fn remove(table: u64, entry: u64) -> Result<(), Stop> {
    driver_mem::write_u64(table.wrapping_add(offset::LAST), 0)?;
    let mut before = table;
    for known in list(table)? {
        let ring = ring(known)?;
        let Some(at) = ring.iter().position(|same| *same == entry) else {
            before = known;
            continue;
        };
        let after = driver_mem::read_u64(entry + offset::CASE_MATCH)?;
        let previous = ring[(at + ring.len() - 1) % ring.len()];
        driver_mem::write_u64(previous + offset::CASE_MATCH, after)?;
        if at == 0 {
            let next = driver_mem::read_u64(entry + offset::NEXT)?;
            let heir = if after == entry { next } else { after };
            if heir == after {
                driver_mem::write_u16(heir + offset::TYPE, IN_LIST)?;
                driver_mem::write_u64(heir + offset::NEXT, next)?;
            }
            driver_mem::write_u64(before.wrapping_add(offset::NEXT), heir)?;
        }
        return Ok(());
    }
    Ok(())
}

exports! {
    /// `RtlInitializeUnicodePrefix`.
    fn RtlInitializeUnicodePrefix(table: u64) -> () [max APC_LEVEL, ntifs] {
        driver_mem::write_u16(table.wrapping_add(offset::TYPE), TABLE)?;
        driver_mem::write_u16(table.wrapping_add(offset::NAME_LENGTH), 0)?;
        driver_mem::write_u64(table.wrapping_add(offset::NEXT), table)?;
        Ok(driver_mem::write_u64(table.wrapping_add(offset::LAST), 0)?)
    }

    /// `RtlInsertUnicodePrefix`: false if the very same prefix is there.
    fn RtlInsertUnicodePrefix(table: u64, string: u64, entry: u64) -> bool [max APC_LEVEL, ntifs] {
        insert(table, string, entry)
    }

    /// `RtlFindUnicodePrefix`: the entry, or NULL; case counts before the index only.
    fn RtlFindUnicodePrefix(table: u64, name: u64, index: u32) -> u64 [max APC_LEVEL, ntifs] {
        let path = UnicodeString::read(name)?.units()?;
        find(table, &path, usize::try_from(index).unwrap_or(usize::MAX))
    }

    /// `RtlRemoveUnicodePrefix`.
    fn RtlRemoveUnicodePrefix(table: u64, entry: u64) -> () [max APC_LEVEL, ntifs] {
        remove(table, entry)
    }

    /// `RtlNextUnicodePrefix`: one entry after the other, then NULL. What is inserted
    /// or removed meanwhile makes it begin again.
    fn RtlNextUnicodePrefix(table: u64, restart: bool) -> u64 [max APC_LEVEL, ntifs] {
        let mut all = Vec::new();
        for known in list(table)? {
            all.extend(ring(known)?);
        }
        let last = driver_mem::read_u64(table.wrapping_add(offset::LAST))?;
        let next = match all.iter().position(|entry| *entry == last) {
            Some(at) if !restart => all.get(at + 1),
            _ => all.first(),
        };
        let next = next.copied().unwrap_or(0);
        driver_mem::write_u64(table.wrapping_add(offset::LAST), next)?;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cm::tests::helper::Text;
    use crate::test_support::{address_mut, processor, value};

    struct Prefixes {
        table: Box<[u64; 3]>,
        entries: Vec<(Box<[u64; 7]>, Text)>,
    }

    impl Prefixes {
        fn new() -> Self {
            processor();
            let mut table = Box::new([u64::MAX; 3]);
            value(RtlInitializeUnicodePrefix, &[address_mut(&mut *table)]);
            Self {
                table,
                entries: Vec::new(),
            }
        }

        fn insert(&mut self, path: &str) -> bool {
            let (mut entry, text) = (Box::new([u64::MAX; 7]), Text::new(path));
            let arguments = [
                address_mut(&mut *self.table),
                text.at(),
                address_mut(&mut *entry),
            ];
            self.entries.push((entry, text));
            value(RtlInsertUnicodePrefix, &arguments) != 0
        }

        fn name(entry: u64) -> Option<String> {
            (entry != 0).then(|| String::from_utf16_lossy(&prefix(entry).unwrap()))
        }

        fn find(&mut self, path: &str, index: u64) -> Option<String> {
            let text = Text::new(path);
            let arguments = [address_mut(&mut *self.table), text.at(), index];
            Self::name(value(RtlFindUnicodePrefix, &arguments))
        }

        fn remove(&mut self, n: usize) {
            let entry = address_mut(&mut *self.entries[n].0);
            value(
                RtlRemoveUnicodePrefix,
                &[address_mut(&mut *self.table), entry],
            );
        }

        fn all(&mut self) -> Vec<String> {
            let at = address_mut(&mut *self.table);
            let mut names = Vec::new();
            let mut restart = 1;
            while let Some(name) = Self::name(value(RtlNextUnicodePrefix, &[at, restart])) {
                names.push(name);
                restart = 0;
            }
            names
        }
    }

    #[test]
    fn the_longest_prefix_is_found() {
        let mut table = Prefixes::new();
        assert_eq!((table.find(r"\a", 0), table.all().len()), (None, 0));
        for path in [r"\", r"\dir", r"\dir\sub", r"\other"] {
            assert!(table.insert(path), "{path}");
        }
        let mut find = |path: &str| table.find(path, 0).unwrap_or_default();
        assert_eq!(find(r"\dir\sub\file"), r"\dir\sub");
        assert_eq!(find(r"\DIR\Sub"), r"\dir\sub");
        assert_eq!(find(r"\dir\subway"), r"\dir");
        assert_eq!(find(r"\directory"), r"\");
        assert_eq!(find("dir"), "");
        table.remove(2);
        assert_eq!(table.find(r"\dir\sub\file", 0).as_deref(), Some(r"\dir"));
        table.remove(0);
        assert_eq!(table.find(r"\directory", 0), None);
        assert_eq!(table.all(), [r"\dir", r"\other"]);
    }

    #[test]
    fn case_counts_up_to_an_index() {
        let mut table = Prefixes::new();
        assert!(table.insert(r"\Dir") && table.insert(r"\dIR") && table.insert(r"\dir"));
        assert!(!table.insert(r"\dIR"), "the very same");
        assert_eq!(table.find(r"\dir\x", 4).as_deref(), Some(r"\dir"));
        assert_eq!(table.find(r"\dIR\x", 100).as_deref(), Some(r"\dIR"));
        assert_eq!(table.find(r"\DIR\x", 4), None);
        assert_eq!(table.find(r"\Dxx\x", 0), None);
        assert_eq!(table.find(r"\DIR\x", 2).as_deref(), Some(r"\Dir"));
        assert_eq!(table.all().len(), 3);
        // The one that is in the list.
        table.remove(0);
        assert_eq!(table.find(r"\DIR\x", 2), None);
        assert_eq!(table.find(r"\dir\x", 4).as_deref(), Some(r"\dir"));
        assert_eq!(table.all().len(), 2);
        table.remove(1);
        table.remove(2);
        assert_eq!(table.all().len(), 0);
        assert_eq!(
            driver_mem::read_u64(address_mut(&mut *table.table) + 8),
            Ok(address_mut(&mut *table.table))
        );
    }
}
