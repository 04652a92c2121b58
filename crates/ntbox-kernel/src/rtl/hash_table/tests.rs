//! Hash tables against what the same calls do to a `BTreeMap`.

use std::collections::BTreeMap;

use ntbox_host::driver_mem;

use super::*;
use crate::mm;
use crate::test_support::{address, address_mut, value};

/// `RTL_DYNAMIC_HASH_TABLE_ENTRY` and a number.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
struct Entry {
    links: [u64; 2],
    signature: u64,
    number: u64,
}

fn new_table(shift: u64) -> u64 {
    let mut table = 0_u64;
    let created = value(RtlCreateHashTable, &[address_mut(&mut table), shift, 0]);
    assert_eq!(created, 1);
    table
}

/// Buckets, entries and chains with entries, as the macros of the header have
/// them.
fn counts(table: u64) -> [u32; 3] {
    let table = Table::new(table).read().unwrap();
    [table.table_size, table.num_entries, table.non_empty_buckets]
}

fn number_at(entry: u64) -> u64 {
    driver_mem::read_u64(entry + 24).unwrap()
}

/// The numbers of all entries with a signature.
fn lookup(table: u64, signature: u64) -> Vec<u64> {
    let mut context = [0_u64; 3];
    let context = address_mut(&mut context);
    let mut numbers = Vec::new();
    let mut entry = value(RtlLookupEntryHashTable, &[table, signature, context]);
    while entry != 0 {
        numbers.push(number_at(entry));
        entry = value(RtlGetNextEntryHashTable, &[table, context]);
    }
    numbers.sort_unstable();
    numbers
}

/// The numbers of all entries.
fn enumerate(table: u64) -> Vec<u64> {
    let mut enumerator = [0_u64; 5];
    let enumerator = address_mut(&mut enumerator);
    let mut numbers = Vec::new();
    value(RtlInitEnumerationHashTable, &[table, enumerator]);
    loop {
        match value(RtlEnumerateEntryHashTable, &[table, enumerator]) {
            0 => break,
            entry => numbers.push(number_at(entry)),
        }
    }
    assert_eq!(value(RtlExpandHashTable, &[table]), 0);
    value(RtlEndEnumerationHashTable, &[table, enumerator]);
    let mut weak = Vec::new();
    value(RtlInitWeakEnumerationHashTable, &[table, enumerator]);
    loop {
        match value(RtlWeaklyEnumerateEntryHashTable, &[table, enumerator]) {
            0 => break,
            entry => weak.push(number_at(entry)),
        }
    }
    value(RtlEndWeakEnumerationHashTable, &[table, enumerator]);
    assert_eq!(weak, numbers);
    numbers.sort_unstable();
    numbers
}

#[test]
fn hash_table_matches_map_while_resized() {
    let table = new_table(0);
    let mut entries = vec![Entry::default(); 600];
    let mut model: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for n in 0..600_u64 {
        // Several with one signature, some far apart, some in one chain.
        let signature = (n / 3).wrapping_mul(0x1_0000_0041) | 1;
        let entry = &mut entries[usize::try_from(n).unwrap()];
        entry.number = n;
        let arguments = [table, address_mut(entry), signature, 0];
        assert_eq!(value(RtlInsertEntryHashTable, &arguments), 1);
        model.entry(signature).or_default().push(n);
        if n % 2 == 0 {
            assert_eq!(value(RtlExpandHashTable, &[table]), 1);
        }
    }
    let check = |model: &BTreeMap<u64, Vec<u64>>, size: u32| {
        let [buckets, total, non_empty] = counts(table);
        let all: Vec<u64> = {
            let mut all: Vec<u64> = model.values().flatten().copied().collect();
            all.sort_unstable();
            all
        };
        assert_eq!((buckets, total as usize), (size, all.len()));
        for (signature, numbers) in model {
            assert_eq!(&lookup(table, *signature), numbers, "{signature:#x}");
        }
        assert!(lookup(table, 0xdead_beef).is_empty());
        assert_eq!(enumerate(table), all);
        let chains = (0..size).filter(|bucket| {
            let head = head(Table::new(table), *bucket).unwrap();
            !chain(head, false).unwrap().is_empty()
        });
        assert_eq!(chains.count(), non_empty as usize);
    };
    check(&model, 128 + 300);
    for n in (0..600_usize).filter(|n| n % 4 != 1) {
        let signature = entries[n].signature;
        let entry = address(&entries[n]);
        assert_eq!(value(RtlRemoveEntryHashTable, &[table, entry, 0]), 1);
        let numbers = model.get_mut(&signature).unwrap();
        numbers.retain(|number| *number != n as u64);
        if n % 2 == 0 {
            assert_eq!(value(RtlContractHashTable, &[table]), 1);
        }
    }
    check(&model, 128);
    assert_eq!(value(RtlContractHashTable, &[table]), 0);
    for n in (0..600_usize).filter(|n| n % 4 == 1) {
        value(RtlRemoveEntryHashTable, &[table, address(&entries[n]), 0]);
    }
    assert_eq!(counts(table), [128, 0, 0]);
    value(RtlDeleteHashTable, &[table]);
    assert!(mm::with(|memory| memory.pools.block(table).is_none()));
}

#[test]
fn hash_table_enumeration_survives_removal() {
    let table = new_table(0);
    let mut entries = [Entry::default(); 5];
    for (n, entry) in (0..).zip(&mut entries) {
        entry.number = n;
        value(RtlInsertEntryHashTable, &[table, address_mut(entry), 7, 0]);
    }
    let mut enumerator = [0_u64; 5];
    let at = address_mut(&mut enumerator);
    value(RtlInitEnumerationHashTable, &[table, at]);
    let mut seen = Vec::new();
    loop {
        let entry = value(RtlEnumerateEntryHashTable, &[table, at]);
        if entry == 0 {
            break;
        }
        seen.push(number_at(entry));
        value(RtlRemoveEntryHashTable, &[table, entry, 0]);
    }
    value(RtlEndEnumerationHashTable, &[table, at]);
    // The newest of a signature is first.
    assert_eq!(seen, [4, 3, 2, 1, 0]);
    assert_eq!(counts(table), [128, 0, 0]);
    value(RtlDeleteHashTable, &[table]);
}

#[test]
fn hash_table_replaces_reserved_signature_and_shifts() {
    let mut memory = [0_u8; 0x28];
    let place = address_mut(&mut memory);
    let mut table = place;
    let created = value(RtlCreateHashTable, &[address_mut(&mut table), 8, 0]);
    assert_eq!((created, table), (1, place));
    let mut entries = [Entry::default(); 3];
    let mut context = [0_u64; 3];
    let context = address_mut(&mut context);
    for (entry, signature) in entries.iter_mut().zip([0, 0x10, 0x300]) {
        let arguments = [table, address_mut(entry), signature, 0];
        value(RtlInsertEntryHashTable, &arguments);
    }
    assert_ne!(entries[0].signature, 0);
    let found = value(RtlLookupEntryHashTable, &[table, 0, context]);
    assert_eq!(found, address(&entries[0]));
    // The first two differ only in bits that do not count.
    assert_eq!(counts(table), [128, 3, 2]);
    value(RtlDeleteHashTable, &[table]);
    let refused = value(RtlCreateHashTable, &[address_mut(&mut table), 0, 4]);
    assert_eq!(refused, 0);
}
