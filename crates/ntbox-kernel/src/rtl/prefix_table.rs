//! Tables of path prefixes (`UNICODE_PREFIX_TABLE`), in which a file system looks up the
//! longest prefix of a path.
//!
//! Table and entries are in the driver's memory. The entries are a circular list through
//! the table, those of more components first. Entries that differ in case only are in a
//! ring, of which one is in the list.

use nt_layout::{UnicodePrefixTable, UnicodePrefixTableEntry};
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::APC_LEVEL;

use super::unicode;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::list_walk::ListWalk;

/// Table and entries begin with the same fields: a list may be followed by either.
type Table = DriverPtr<UnicodePrefixTable>;
type Entry = DriverPtr<UnicodePrefixTableEntry>;

/// Kinds of node.
const TABLE: u16 = 0x800;
const IN_LIST: u16 = 0x801;
const IN_RING: u16 = 0x803;
const SEPARATOR: u16 = b'\\' as u16;

fn prefix(entry: Entry) -> Result<Vec<u16>, Fault> {
    UnicodeString::read(entry.get(|entry| &entry.prefix)?)?.units()
}

/// How many components a path counts for: one more than it has separators before its
/// last character.
fn components(path: &[u16]) -> u16 {
    let inner = path.split_last().map_or(path, |(_, inner)| inner);
    let count = inner.iter().filter(|unit| **unit == SEPARATOR).count();
    u16::try_from(count + 1).unwrap_or(u16::MAX)
}

/// The entries of the list.
fn list(table: Table) -> Result<Vec<Entry>, NoReturn> {
    let mut entries = Vec::new();
    let mut walk = ListWalk::from(table.address());
    let mut entry = Entry::new(table.get(|table| &table.next_prefix_tree)?);
    while entry != table.cast() {
        walk.visit(entry.address())?;
        entries.push(entry);
        entry = Entry::new(entry.get(|entry| &entry.next_prefix_tree)?);
    }
    Ok(entries)
}

/// The entries that equal one of the list but for case, that one first.
fn ring(first: Entry) -> Result<Vec<Entry>, NoReturn> {
    let mut entries = vec![first];
    let mut walk = ListWalk::from(first.address());
    let mut entry = Entry::new(first.get(|entry| &entry.case_match)?);
    while entry != first {
        walk.visit(entry.address())?;
        entries.push(entry);
        entry = Entry::new(entry.get(|entry| &entry.case_match)?);
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

/// Initializes the fields that every new entry has.
fn begin(entry: Entry, kind: u16, count: u16, string: u64) -> Result<(), Fault> {
    entry.set(|entry| &entry.node_type_code, kind)?;
    entry.set(|entry| &entry.name_length, count)?;
    let links = entry.at(|entry| &entry.links);
    links.set(|links| &links.parent, links.address())?;
    links.set(|links| &links.left_child, 0)?;
    links.set(|links| &links.right_child, 0)?;
    entry.set(|entry| &entry.prefix, string)
}

fn insert(table: Table, string: u64, entry: Entry) -> Result<bool, NoReturn> {
    let units = UnicodeString::read(string)?.units()?;
    let count = components(&units);
    table.set(|table| &table.last_next_entry, 0)?;
    let mut before: Entry = table.cast();
    for known in list(table)? {
        if known.get(|entry| &entry.name_length)? < count {
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
        entry.set(|entry| &entry.next_prefix_tree, 0)?;
        let after = known.get(|entry| &entry.case_match)?;
        entry.set(|entry| &entry.case_match, after)?;
        known.set(|entry| &entry.case_match, entry.address())?;
        return Ok(true);
    }
    begin(entry, IN_LIST, count, string)?;
    entry.set(|entry| &entry.case_match, entry.address())?;
    let after = before.get(|entry| &entry.next_prefix_tree)?;
    entry.set(|entry| &entry.next_prefix_tree, after)?;
    before.set(|before| &before.next_prefix_tree, entry.address())?;
    Ok(true)
}

/// The longest prefix of a path whose first characters, so many, are the same in case,
/// too.
fn find(table: Table, path: &[u16], exact: usize) -> Result<Option<Entry>, NoReturn> {
    for known in list(table)? {
        if !is_prefix(&prefix(known)?, path) {
            continue;
        }
        for same in ring(known)? {
            let own = prefix(same)?;
            let length = exact.min(own.len());
            if own[..length] == path[..length] {
                return Ok(Some(same));
            }
        }
    }
    Ok(None)
}

fn remove(table: Table, entry: Entry) -> Result<(), NoReturn> {
    table.set(|table| &table.last_next_entry, 0)?;
    let mut before: Entry = table.cast();
    for known in list(table)? {
        let ring = ring(known)?;
        let Some(at) = ring.iter().position(|same| *same == entry) else {
            before = known;
            continue;
        };
        let after = Entry::new(entry.get(|entry| &entry.case_match)?);
        let previous = ring[(at + ring.len() - 1) % ring.len()];
        previous.set(|previous| &previous.case_match, after.address())?;
        if at == 0 {
            let next = entry.get(|entry| &entry.next_prefix_tree)?;
            let heir = if after == entry {
                Entry::new(next)
            } else {
                after
            };
            if heir == after {
                heir.set(|heir| &heir.node_type_code, IN_LIST)?;
                heir.set(|heir| &heir.next_prefix_tree, next)?;
            }
            before.set(|before| &before.next_prefix_tree, heir.address())?;
        }
        return Ok(());
    }
    Ok(())
}

exports! {
    /// `RtlInitializeUnicodePrefix`.
    fn RtlInitializeUnicodePrefix(table: Table) -> () [max APC_LEVEL, ntifs] {
        table.set(|table| &table.node_type_code, TABLE)?;
        table.set(|table| &table.name_length, 0)?;
        table.set(|table| &table.next_prefix_tree, table.address())?;
        Ok(table.set(|table| &table.last_next_entry, 0)?)
    }

    /// `RtlInsertUnicodePrefix`: false if the very same prefix is there.
    fn RtlInsertUnicodePrefix(table: Table, string: u64, entry: Entry) -> bool [max APC_LEVEL, ntifs] {
        insert(table, string, entry)
    }

    /// `RtlFindUnicodePrefix`: the entry, or NULL; case counts before the index only.
    fn RtlFindUnicodePrefix(table: Table, name: u64, index: u32) -> u64 [max APC_LEVEL, ntifs] {
        let path = UnicodeString::read(name)?.units()?;
        let exact = usize::try_from(index).unwrap_or(usize::MAX);
        Ok(find(table, &path, exact)?.map_or(0, DriverPtr::address))
    }

    /// `RtlRemoveUnicodePrefix`.
    fn RtlRemoveUnicodePrefix(table: Table, entry: Entry) -> () [max APC_LEVEL, ntifs] {
        remove(table, entry)
    }

    /// `RtlNextUnicodePrefix`: one entry after the other, then NULL. What is inserted
    /// or removed meanwhile makes it begin again.
    fn RtlNextUnicodePrefix(table: Table, restart: bool) -> u64 [max APC_LEVEL, ntifs] {
        let mut all = Vec::new();
        for known in list(table)? {
            all.extend(ring(known)?);
        }
        let last = table.get(|table| &table.last_next_entry)?;
        let next = match all.iter().position(|entry| entry.address() == last) {
            Some(at) if !restart => all.get(at + 1),
            _ => all.first(),
        };
        let next = next.map_or(0, |entry| entry.address());
        table.set(|table| &table.last_next_entry, next)?;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use ntbox_host::driver_mem;

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
            (entry != 0).then(|| String::from_utf16_lossy(&prefix(Entry::new(entry)).unwrap()))
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
    fn find_prefix_returns_longest() {
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
    fn find_prefix_is_case_sensitive_up_to_index() {
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
