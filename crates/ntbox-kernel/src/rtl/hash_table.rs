//! Dynamic hash tables (`RtlCreateHashTable`, Windows 7 and later), which
//! `ntddk.h` declares and no page describes.
//!
//! The table is the structure of the header, whose macros read its counts; what
//! `Directory` points at is the kernel's own: blocks of pool with a list head
//! for each bucket, the first for 128 buckets, each further one as large as all
//! before it, so that heads never move. The table grows and shrinks by a bucket
//! at a time, as linear hashing does, and only when the driver asks for it. In a
//! chain the entries lie in the order of their signatures, so that those of one
//! signature are neighbours. An enumeration has an entry in the chain, with the
//! reserved signature 0.

use nt_layout::{
    ListEntry, RtlDynamicHashTable, RtlDynamicHashTableContext, RtlDynamicHashTableEntry,
    RtlDynamicHashTableEnumerator,
};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::gate::{Call, NoReturn};

use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::list_entry;
use crate::mm::pool::{PoolKind, Request};
use crate::{ex, mm};

type Table = DriverPtr<RtlDynamicHashTable>;
type Entry = DriverPtr<RtlDynamicHashTableEntry>;
type Context = DriverPtr<RtlDynamicHashTableContext>;
type Enumerator = DriverPtr<RtlDynamicHashTableEnumerator>;

/// `RTL_HASH_ALLOCATED_HEADER`.
const ALLOCATED: u32 = 1;
/// `RTL_HASH_RESERVED_SIGNATURE`, and what stands for it in an entry.
const RESERVED: u64 = 0;
const ALTERNATIVE: u64 = 1;
/// Buckets at the start and at least.
const FIRST: u32 = 128;
/// Blocks of a directory; the last ends at 2^26 buckets.
const BLOCKS: u32 = 20;
const TAG: u32 = u32::from_le_bytes(*b"HTab");

fn allocate(call: &Call<'_>, size: u64) -> Option<u64> {
    let request = Request {
        kind: PoolKind::NonPaged,
        size,
        tag: TAG,
        zeroed: true,
        cache_aligned: false,
        caller: call.return_address(),
    };
    mm::with(|memory| memory.pools.allocate(request))
}

fn free(call: &Call<'_>, block: u64, what: &str) -> Result<(), NoReturn> {
    ex::pool::free(block, None, call.return_address(), what)
}

/// The block of a bucket, and its index there.
fn block_of(bucket: u32) -> (u32, u32) {
    if bucket < FIRST {
        return (0, bucket);
    }
    let block = (bucket / FIRST).ilog2() + 1;
    (block, bucket - (FIRST << (block - 1)))
}

/// Buckets of a block.
fn buckets_of(block: u32) -> u32 {
    FIRST << block.saturating_sub(1)
}

/// The block pointers of a table.
fn directory(table: Table) -> Result<DriverPtr<u64>, Fault> {
    Ok(DriverPtr::new(table.get(|table| &table.directory)?))
}

/// The list head of a bucket.
fn head(table: Table, bucket: u32) -> Result<u64, Fault> {
    let (block, index) = block_of(bucket);
    let heads = directory(table)?.next(block.into()).read()?;
    Ok(DriverPtr::<ListEntry>::new(heads)
        .next(index.into())
        .address())
}

/// Adds to a field, modulo 2^32.
fn add(field: DriverPtr<u32>, change: u32) -> Result<(), Fault> {
    field.write(field.read()?.wrapping_add(change))
}

/// The bucket of a signature.
fn bucket_of(table: Table, signature: u64) -> Result<u32, Fault> {
    let shift = table.get(|table| &table.shift)?;
    let mask = table.get(|table| &table.divisor_mask)?;
    let hash = signature.checked_shr(shift).unwrap_or(0);
    let low = |mask: u32| u32::try_from(hash & u64::from(mask)).unwrap_or(0);
    let bucket = low(mask);
    Ok(if bucket < table.get(|table| &table.pivot)? {
        low(mask << 1 | 1)
    } else {
        bucket
    })
}

fn signature_of(entry: u64) -> Result<u64, Fault> {
    Entry::new(entry).get(|entry| &entry.signature)
}

fn stored_signature(signature: u64) -> u64 {
    if signature == RESERVED {
        ALTERNATIVE
    } else {
        signature
    }
}

/// The entries of a chain with their signatures; those of enumerations only if
/// asked for.
fn chain(head: u64, enumerations: bool) -> Result<Vec<(u64, u64)>, NoReturn> {
    let mut entries = Vec::new();
    let mut at = list_entry::forward(head)?;
    while at != head {
        let signature = signature_of(at)?;
        if enumerations || signature != RESERVED {
            entries.push((at, signature));
        }
        at = list_entry::forward(at)?;
    }
    Ok(entries)
}

/// Fills a context: the chain of a signature, and the link behind which its
/// entries are or would be.
fn locate(table: Table, signature: u64) -> Result<(u64, u64), NoReturn> {
    let head = head(table, bucket_of(table, signature)?)?;
    let before = chain(head, true)?
        .into_iter()
        .take_while(|(_, other)| *other == RESERVED || *other < signature)
        .last();
    Ok((head, before.map_or(head, |(entry, _)| entry)))
}

fn store_context(context: Context, head: u64, previous: u64, signature: u64) -> Result<(), Fault> {
    if context.is_null() {
        return Ok(());
    }
    context.set(|context| &context.chain_head, head)?;
    context.set(|context| &context.prev_linkage, previous)?;
    context.set(|context| &context.signature, signature)
}

/// Changes the count of chains with entries if this chain has none.
fn count_chain(table: Table, head: u64, change: u32) -> Result<(), NoReturn> {
    if chain(head, false)?.is_empty() {
        add(table.at(|table| &table.non_empty_buckets), change)?;
    }
    Ok(())
}

/// Initializes a bucket, and allocates its block if it is the first of it.
fn open_bucket(call: &Call<'_>, table: Table, bucket: u32) -> Result<bool, NoReturn> {
    let (block, index) = block_of(bucket);
    if block >= BLOCKS {
        return Ok(false);
    }
    if index == 0 {
        let Some(heads) = allocate(
            call,
            DriverPtr::<ListEntry>::SIZE * u64::from(buckets_of(block)),
        ) else {
            return Ok(false);
        };
        directory(table)?.next(block.into()).write(heads)?;
    }
    list_entry::initialize(head(table, bucket)?)?;
    Ok(true)
}

/// Moves the entries of a chain that now belong to another one.
fn move_entries(table: Table, from: u32) -> Result<(), NoReturn> {
    let source = head(table, from)?;
    for (entry, signature) in chain(source, false)? {
        let (target, previous) = locate_behind(table, signature)?;
        if target != source {
            list_entry::remove(entry)?;
            list_entry::insert_after(previous, entry)?;
        }
    }
    Ok(())
}

/// As [`locate`], behind all entries of the signature.
fn locate_behind(table: Table, signature: u64) -> Result<(u64, u64), NoReturn> {
    let head = head(table, bucket_of(table, signature)?)?;
    let before = chain(head, true)?
        .into_iter()
        .take_while(|(_, other)| *other <= signature)
        .last();
    Ok((head, before.map_or(head, |(entry, _)| entry)))
}

/// How many chains of two have entries.
fn non_empty(table: Table, buckets: [u32; 2]) -> Result<u32, NoReturn> {
    let mut count = 0;
    for bucket in buckets {
        count += u32::from(!chain(head(table, bucket)?, false)?.is_empty());
    }
    Ok(count)
}

/// The next entry of an enumeration behind `at`, with its chain and bucket.
fn next_entry(
    table: Table,
    mut bucket: u32,
    mut at: u64,
) -> Result<Option<(u64, u32, u64)>, NoReturn> {
    let size = table.get(|table| &table.table_size)?;
    while bucket < size {
        let head = head(table, bucket)?;
        let mut next = list_entry::forward(if at == 0 { head } else { at })?;
        while next != head {
            if signature_of(next)? != RESERVED {
                return Ok(Some((head, bucket, next)));
            }
            next = list_entry::forward(next)?;
        }
        (bucket, at) = (bucket + 1, 0);
    }
    Ok(None)
}

/// Writes the position of an enumeration.
fn store_position(enumerator: Enumerator, head: u64, bucket: u32) -> Result<(), Fault> {
    enumerator.set(|enumerator| &enumerator.chain_head, head)?;
    enumerator.set(|enumerator| &enumerator.bucket_index, bucket)
}

exports! {
    /// `RtlCreateHashTable`: in the caller's structure, or in one of pool.
    fn RtlCreateHashTable<call>(table: DriverPtr<u64>, shift: u32, flags: u32) -> bool [max DISPATCH_LEVEL, undocumented] fails 0 {
        if flags != 0 {
            return Ok(false);
        }
        let given = table.read()?;
        let at = if given == 0 { allocate(call, Table::SIZE) } else { Some(given) };
        let Some(at) = at else { return Ok(false) };
        let undo = |call: &Call<'_>| {
            if given == 0 { free(call, at, "RtlCreateHashTable") } else { Ok(()) }
        };
        let Some(directory) = allocate(call, 8 * u64::from(BLOCKS)) else {
            undo(call)?;
            return Ok(false);
        };
        driver_mem::fill(at, 0, Table::SIZE)?;
        let new = Table::new(at);
        new.set(|table| &table.flags, if given == 0 { ALLOCATED } else { 0 })?;
        new.set(|table| &table.shift, shift)?;
        new.set(|table| &table.table_size, FIRST)?;
        new.set(|table| &table.divisor_mask, FIRST - 1)?;
        new.set(|table| &table.directory, directory)?;
        for bucket in 0..FIRST {
            if !open_bucket(call, new, bucket)? {
                free(call, directory, "RtlCreateHashTable")?;
                undo(call)?;
                return Ok(false);
            }
        }
        table.write(at)?;
        Ok(true)
    }

    /// `RtlDeleteHashTable`: the entries are the driver's.
    fn RtlDeleteHashTable<call>(table: Table) -> () [max DISPATCH_LEVEL, undocumented] {
        let directory = directory(table)?;
        for block in 0..u64::from(BLOCKS) {
            let heads = directory.next(block).read()?;
            if heads != 0 {
                free(call, heads, "RtlDeleteHashTable")?;
            }
        }
        free(call, directory.address(), "RtlDeleteHashTable")?;
        if table.get(|table| &table.flags)? & ALLOCATED != 0 {
            free(call, table.address(), "RtlDeleteHashTable")?;
        }
        Ok(())
    }

    /// `RtlInsertEntryHashTable`: in front of the entries with the same signature.
    /// A context that was filled for this signature saves the search.
    fn RtlInsertEntryHashTable(table: Table, entry: u64, signature: u64, context: Context) -> bool
        [max DISPATCH_LEVEL, undocumented]
    {
        let signature = stored_signature(signature);
        let filled = !context.is_null() && context.get(|context| &context.chain_head)? != 0;
        let (head, previous) = if filled {
            let head = context.get(|context| &context.chain_head)?;
            (head, context.get(|context| &context.prev_linkage)?)
        } else {
            let (head, previous) = locate(table, signature)?;
            store_context(context, head, previous, signature)?;
            (head, previous)
        };
        count_chain(table, head, 1)?;
        Entry::new(entry).set(|entry| &entry.signature, signature)?;
        list_entry::insert_after(previous, entry)?;
        add(table.at(|table| &table.num_entries), 1)?;
        Ok(true)
    }

    /// `RtlRemoveEntryHashTable`.
    fn RtlRemoveEntryHashTable(table: Table, entry: u64, context: Context) -> bool [max DISPATCH_LEVEL, undocumented] {
        let signature = signature_of(entry)?;
        list_entry::remove(entry)?;
        let (head, previous) = locate(table, signature)?;
        count_chain(table, head, u32::MAX)?;
        add(table.at(|table| &table.num_entries), u32::MAX)?;
        store_context(context, head, previous, signature)?;
        Ok(true)
    }

    /// `RtlLookupEntryHashTable`: the first entry with a signature, or NULL.
    fn RtlLookupEntryHashTable(table: Table, signature: u64, context: Context) -> u64 [max DISPATCH_LEVEL, undocumented] {
        let signature = stored_signature(signature);
        let (head, previous) = locate(table, signature)?;
        store_context(context, head, previous, signature)?;
        let first = list_entry::forward(previous)?;
        Ok(if first != head && signature_of(first)? == signature { first } else { 0 })
    }

    /// `RtlGetNextEntryHashTable`: the entry behind the one that the lookup or the
    /// call before found, if it has the same signature.
    fn RtlGetNextEntryHashTable(table: Table, context: Context) -> u64 [max DISPATCH_LEVEL, undocumented] {
        let head = context.get(|context| &context.chain_head)?;
        let signature = context.get(|context| &context.signature)?;
        let found = list_entry::forward(context.get(|context| &context.prev_linkage)?)?;
        if found == head {
            return Ok(0);
        }
        // Skips positions of enumerations.
        let (mut previous, mut next) = (found, list_entry::forward(found)?);
        while next != head && signature_of(next)? == RESERVED {
            (previous, next) = (next, list_entry::forward(next)?);
        }
        if next == head || signature_of(next)? != signature {
            return Ok(0);
        }
        context.set(|context| &context.prev_linkage, previous)?;
        Ok(next)
    }

    /// `RtlInitEnumerationHashTable`: from now on the table neither grows nor
    /// shrinks; entries may come and go.
    fn RtlInitEnumerationHashTable(table: Table, enumerator: Enumerator) -> bool [max DISPATCH_LEVEL, undocumented] {
        let first = head(table, 0)?;
        list_entry::insert_after(first, enumerator.address())?;
        enumerator.set(|enumerator| &enumerator.hash_entry.signature, RESERVED)?;
        store_position(enumerator, first, 0)?;
        add(table.at(|table| &table.num_enumerators), 1)?;
        Ok(true)
    }

    /// `RtlEnumerateEntryHashTable`: the next entry, or NULL.
    fn RtlEnumerateEntryHashTable(table: Table, enumerator: Enumerator) -> u64 [max DISPATCH_LEVEL, undocumented] {
        let bucket = enumerator.get(|enumerator| &enumerator.bucket_index)?;
        let Some((head, bucket, entry)) = next_entry(table, bucket, enumerator.address())? else {
            return Ok(0);
        };
        list_entry::remove(enumerator.address())?;
        list_entry::insert_after(entry, enumerator.address())?;
        store_position(enumerator, head, bucket)?;
        Ok(entry)
    }

    /// `RtlEndEnumerationHashTable`.
    fn RtlEndEnumerationHashTable(table: Table, enumerator: Enumerator) -> () [max DISPATCH_LEVEL, undocumented] {
        list_entry::remove(enumerator.address())?;
        enumerator.set(|enumerator| &enumerator.chain_head, 0)?;
        Ok(add(table.at(|table| &table.num_enumerators), u32::MAX)?)
    }

    /// `RtlInitWeakEnumerationHashTable`: an enumeration during which the
    /// table does not change, so that it needs no entry in a chain.
    fn RtlInitWeakEnumerationHashTable(table: Table, enumerator: Enumerator) -> bool [max DISPATCH_LEVEL, undocumented] {
        let first = head(table, 0)?;
        let linkage = enumerator.at(|enumerator| &enumerator.hash_entry.linkage);
        linkage.set(|linkage| &linkage.flink, first)?;
        linkage.set(|linkage| &linkage.blink, first)?;
        enumerator.set(|enumerator| &enumerator.hash_entry.signature, RESERVED)?;
        store_position(enumerator, first, 0)?;
        add(table.at(|table| &table.num_enumerators), 1)?;
        Ok(true)
    }

    /// `RtlWeaklyEnumerateEntryHashTable`: the next entry, or NULL.
    fn RtlWeaklyEnumerateEntryHashTable(table: Table, enumerator: Enumerator) -> u64 [max DISPATCH_LEVEL, undocumented] {
        let bucket = enumerator.get(|enumerator| &enumerator.bucket_index)?;
        let at = list_entry::forward(enumerator.address())?;
        let Some((head, bucket, entry)) = next_entry(table, bucket, at)? else {
            return Ok(0);
        };
        enumerator.set(|enumerator| &enumerator.hash_entry.linkage.flink, entry)?;
        store_position(enumerator, head, bucket)?;
        Ok(entry)
    }

    /// `RtlEndWeakEnumerationHashTable`.
    fn RtlEndWeakEnumerationHashTable(table: Table, enumerator: Enumerator) -> () [max DISPATCH_LEVEL, undocumented] {
        enumerator.set(|enumerator| &enumerator.chain_head, 0)?;
        Ok(add(table.at(|table| &table.num_enumerators), u32::MAX)?)
    }

    /// `RtlExpandHashTable`: one bucket more, unless an enumeration goes on.
    fn RtlExpandHashTable<call>(table: Table) -> bool [max DISPATCH_LEVEL, undocumented] fails 0 {
        let size = table.get(|table| &table.table_size)?;
        if table.get(|table| &table.num_enumerators)? != 0 || !open_bucket(call, table, size)? {
            return Ok(false);
        }
        let (pivot, mask) = (table.get(|table| &table.pivot)?, table.get(|table| &table.divisor_mask)?);
        let before = non_empty(table, [pivot, size])?;
        table.set(|table| &table.table_size, size + 1)?;
        let (next, mask) = if pivot == mask { (0, mask << 1 | 1) } else { (pivot + 1, mask) };
        table.set(|table| &table.pivot, next)?;
        table.set(|table| &table.divisor_mask, mask)?;
        move_entries(table, pivot)?;
        let after = non_empty(table, [pivot, size])?;
        add(table.at(|table| &table.non_empty_buckets), after.wrapping_sub(before))?;
        Ok(true)
    }

    /// `RtlContractHashTable`: one bucket less, unless there would be too few or
    /// an enumeration goes on.
    fn RtlContractHashTable<call>(table: Table) -> bool [max DISPATCH_LEVEL, undocumented] {
        let size = table.get(|table| &table.table_size)?;
        if table.get(|table| &table.num_enumerators)? != 0 || size <= FIRST {
            return Ok(false);
        }
        let (pivot, mask) = (table.get(|table| &table.pivot)?, table.get(|table| &table.divisor_mask)?);
        let (pivot, mask) = if pivot == 0 { (mask >> 1, mask >> 1) } else { (pivot - 1, mask) };
        let last = size - 1;
        let before = non_empty(table, [pivot, last])?;
        table.set(|table| &table.pivot, pivot)?;
        table.set(|table| &table.divisor_mask, mask)?;
        move_entries(table, last)?;
        let after = non_empty(table, [pivot, last])?;
        add(table.at(|table| &table.non_empty_buckets), after.wrapping_sub(before))?;
        table.set(|table| &table.table_size, last)?;
        let (block, index) = block_of(last);
        if index == 0 {
            let slot = directory(table)?.next(block.into());
            free(call, slot.read()?, "RtlContractHashTable")?;
            slot.write(0)?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
