//! Dynamic hash tables (`RtlCreateHashTable`, Windows 7 and later), which
//! `ntddk.h` declares and no page describes.
//!
//! The table is the structure of the header, whose macros read its counts; what
//! `Directory` points at is the kernel's own: blocks of pool with a list head
//! for each bucket, the first for 128 buckets, each further one as large as all
//! before it, so that heads never move. The table grows and shrinks by a bucket
//! at a time, as linear hashing does, and only when the driver asks for it. In a
//! chain the entries lie in the order of their signatures, so that those of one
//! signature are neighbours. An enumeration has a place of its own in the chain:
//! an entry with signature 0, which no other has.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::DISPATCH_LEVEL;
use ntbox_host::gate::{Call, Stop};

use crate::base::export::exports;
use crate::base::list_entry;
use crate::mm::pool::{PoolKind, Request};
use crate::{ex, mm};

/// Offsets in an `RTL_DYNAMIC_HASH_TABLE`, and its size.
mod table {
    pub const FLAGS: u64 = 0x00;
    pub const SHIFT: u64 = 0x04;
    pub const SIZE: u64 = 0x08;
    pub const PIVOT: u64 = 0x0c;
    pub const DIVISOR_MASK: u64 = 0x10;
    pub const ENTRIES: u64 = 0x14;
    pub const NON_EMPTY: u64 = 0x18;
    pub const ENUMERATORS: u64 = 0x1c;
    pub const DIRECTORY: u64 = 0x20;
    pub const BYTES: u64 = 0x28;
}

/// Offset in an `RTL_DYNAMIC_HASH_TABLE_ENTRY`, which begins with its links.
const SIGNATURE: u64 = 0x10;

/// Offsets in an `RTL_DYNAMIC_HASH_TABLE_CONTEXT`.
mod context {
    pub const CHAIN: u64 = 0x00;
    pub const PREVIOUS: u64 = 0x08;
    pub const SIGNATURE: u64 = 0x10;
}

/// Offsets in an `RTL_DYNAMIC_HASH_TABLE_ENUMERATOR` behind its entry.
mod enumerator {
    pub const CHAIN: u64 = 0x18;
    pub const BUCKET: u64 = 0x20;
}

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
/// Bytes of a `LIST_ENTRY`.
const HEAD: u64 = 16;

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

fn free(call: &Call<'_>, block: u64, what: &str) -> Result<(), Stop> {
    ex::pool::free(block, None, call.return_address(), what)
}

/// The block of a bucket, and its place there.
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

/// Where the list head of a bucket lies.
fn head(table: u64, bucket: u32) -> Result<u64, Fault> {
    let (block, place) = block_of(bucket);
    let directory = driver_mem::read_u64(table.wrapping_add(table::DIRECTORY))?;
    let heads = driver_mem::read_u64(directory.wrapping_add(8 * u64::from(block)))?;
    Ok(heads.wrapping_add(HEAD * u64::from(place)))
}

fn field(table: u64, offset: u64) -> Result<u32, Fault> {
    driver_mem::read_u32(table.wrapping_add(offset))
}

/// Adds to a field, modulo 2^32.
fn add(table: u64, offset: u64, change: u32) -> Result<(), Fault> {
    let value = field(table, offset)?.wrapping_add(change);
    driver_mem::write_u32(table.wrapping_add(offset), value)
}

/// The bucket of a signature.
fn bucket_of(table: u64, signature: u64) -> Result<u32, Fault> {
    let (shift, mask) = (
        field(table, table::SHIFT)?,
        field(table, table::DIVISOR_MASK)?,
    );
    let hash = signature.checked_shr(shift).unwrap_or(0);
    let low = |mask: u32| u32::try_from(hash & u64::from(mask)).unwrap_or(0);
    let bucket = low(mask);
    Ok(if bucket < field(table, table::PIVOT)? {
        low(mask << 1 | 1)
    } else {
        bucket
    })
}

fn signature_of(entry: u64) -> Result<u64, Fault> {
    driver_mem::read_u64(entry.wrapping_add(SIGNATURE))
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
fn chain(head: u64, enumerations: bool) -> Result<Vec<(u64, u64)>, Stop> {
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
fn locate(table: u64, signature: u64) -> Result<(u64, u64), Stop> {
    let head = head(table, bucket_of(table, signature)?)?;
    let before = chain(head, true)?
        .into_iter()
        .take_while(|(_, other)| *other == RESERVED || *other < signature)
        .last();
    Ok((head, before.map_or(head, |(entry, _)| entry)))
}

fn store_context(context: u64, head: u64, previous: u64, signature: u64) -> Result<(), Fault> {
    if context == 0 {
        return Ok(());
    }
    driver_mem::write_u64(context.wrapping_add(context::CHAIN), head)?;
    driver_mem::write_u64(context.wrapping_add(context::PREVIOUS), previous)?;
    driver_mem::write_u64(context.wrapping_add(context::SIGNATURE), signature)
}

/// Counts a chain that is empty no longer, or again.
fn count_chain(table: u64, head: u64, change: u32) -> Result<(), Stop> {
    if chain(head, false)?.is_empty() {
        add(table, table::NON_EMPTY, change)?;
    }
    Ok(())
}

/// Makes a bucket ready, with a block for it if it is the first there.
fn open_bucket(call: &Call<'_>, table: u64, bucket: u32) -> Result<bool, Stop> {
    let (block, place) = block_of(bucket);
    if block >= BLOCKS {
        return Ok(false);
    }
    if place == 0 {
        let Some(heads) = allocate(call, HEAD * u64::from(buckets_of(block))) else {
            return Ok(false);
        };
        let directory = driver_mem::read_u64(table.wrapping_add(table::DIRECTORY))?;
        driver_mem::write_u64(directory.wrapping_add(8 * u64::from(block)), heads)?;
    }
    list_entry::initialize(head(table, bucket)?)?;
    Ok(true)
}

/// Moves the entries of a chain that belong elsewhere now.
fn move_entries(table: u64, from: u32) -> Result<(), Stop> {
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
fn locate_behind(table: u64, signature: u64) -> Result<(u64, u64), Stop> {
    let head = head(table, bucket_of(table, signature)?)?;
    let before = chain(head, true)?
        .into_iter()
        .take_while(|(_, other)| *other <= signature)
        .last();
    Ok((head, before.map_or(head, |(entry, _)| entry)))
}

/// How many chains of two have entries.
fn non_empty(table: u64, buckets: [u32; 2]) -> Result<u32, Stop> {
    let mut count = 0;
    for bucket in buckets {
        count += u32::from(!chain(head(table, bucket)?, false)?.is_empty());
    }
    Ok(count)
}

/// The next entry of an enumeration from `at` on, over the rest of the buckets:
/// its chain, bucket and address.
fn next_entry(table: u64, mut bucket: u32, mut at: u64) -> Result<Option<(u64, u32, u64)>, Stop> {
    let size = field(table, table::SIZE)?;
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

/// Stores where an enumeration is.
fn store_place(enumerator: u64, head: u64, bucket: u32) -> Result<(), Fault> {
    driver_mem::write_u64(enumerator.wrapping_add(enumerator::CHAIN), head)?;
    driver_mem::write_u32(enumerator.wrapping_add(enumerator::BUCKET), bucket)
}

exports! {
    /// `RtlCreateHashTable`: in the caller's structure, or in one of pool.
    fn RtlCreateHashTable<call>(table: u64, shift: u32, flags: u32) -> bool [max DISPATCH_LEVEL, undocumented] fails 0 {
        if flags != 0 {
            return Ok(false);
        }
        let given = driver_mem::read_u64(table)?;
        let at = if given == 0 { allocate(call, table::BYTES) } else { Some(given) };
        let Some(at) = at else { return Ok(false) };
        let undo = |call: &Call<'_>| {
            if given == 0 { free(call, at, "RtlCreateHashTable") } else { Ok(()) }
        };
        let Some(directory) = allocate(call, 8 * u64::from(BLOCKS)) else {
            undo(call)?;
            return Ok(false);
        };
        driver_mem::fill(at, 0, table::BYTES)?;
        driver_mem::write_u32(at + table::FLAGS, if given == 0 { ALLOCATED } else { 0 })?;
        driver_mem::write_u32(at + table::SHIFT, shift)?;
        driver_mem::write_u32(at + table::SIZE, FIRST)?;
        driver_mem::write_u32(at + table::DIVISOR_MASK, FIRST - 1)?;
        driver_mem::write_u64(at + table::DIRECTORY, directory)?;
        for bucket in 0..FIRST {
            if !open_bucket(call, at, bucket)? {
                free(call, directory, "RtlCreateHashTable")?;
                undo(call)?;
                return Ok(false);
            }
        }
        driver_mem::write_u64(table, at)?;
        Ok(true)
    }

    /// `RtlDeleteHashTable`: the entries are the driver's.
    fn RtlDeleteHashTable<call>(table: u64) -> () [max DISPATCH_LEVEL, undocumented] {
        let directory = driver_mem::read_u64(table.wrapping_add(table::DIRECTORY))?;
        for block in 0..u64::from(BLOCKS) {
            let heads = driver_mem::read_u64(directory.wrapping_add(8 * block))?;
            if heads != 0 {
                free(call, heads, "RtlDeleteHashTable")?;
            }
        }
        free(call, directory, "RtlDeleteHashTable")?;
        if field(table, table::FLAGS)? & ALLOCATED != 0 {
            free(call, table, "RtlDeleteHashTable")?;
        }
        Ok(())
    }

    /// `RtlInsertEntryHashTable`: in front of the entries with the same signature.
    /// A context that was filled for this signature saves the search.
    fn RtlInsertEntryHashTable(table: u64, entry: u64, signature: u64, context: u64) -> bool
        [max DISPATCH_LEVEL, undocumented]
    {
        let signature = stored_signature(signature);
        let filled = context != 0 && driver_mem::read_u64(context.wrapping_add(context::CHAIN))? != 0;
        let (head, previous) = if filled {
            let head = driver_mem::read_u64(context.wrapping_add(context::CHAIN))?;
            (head, driver_mem::read_u64(context.wrapping_add(context::PREVIOUS))?)
        } else {
            let (head, previous) = locate(table, signature)?;
            store_context(context, head, previous, signature)?;
            (head, previous)
        };
        count_chain(table, head, 1)?;
        driver_mem::write_u64(entry.wrapping_add(SIGNATURE), signature)?;
        list_entry::insert_after(previous, entry)?;
        add(table, table::ENTRIES, 1)?;
        Ok(true)
    }

    /// `RtlRemoveEntryHashTable`.
    fn RtlRemoveEntryHashTable(table: u64, entry: u64, context: u64) -> bool [max DISPATCH_LEVEL, undocumented] {
        let signature = signature_of(entry)?;
        list_entry::remove(entry)?;
        let (head, previous) = locate(table, signature)?;
        count_chain(table, head, u32::MAX)?;
        add(table, table::ENTRIES, u32::MAX)?;
        store_context(context, head, previous, signature)?;
        Ok(true)
    }

    /// `RtlLookupEntryHashTable`: the first entry with a signature, or NULL.
    fn RtlLookupEntryHashTable(table: u64, signature: u64, context: u64) -> u64 [max DISPATCH_LEVEL, undocumented] {
        let signature = stored_signature(signature);
        let (head, previous) = locate(table, signature)?;
        store_context(context, head, previous, signature)?;
        let first = list_entry::forward(previous)?;
        Ok(if first != head && signature_of(first)? == signature { first } else { 0 })
    }

    /// `RtlGetNextEntryHashTable`: the entry behind the one that the lookup or the
    /// call before found, if it has the same signature.
    fn RtlGetNextEntryHashTable(table: u64, context: u64) -> u64 [max DISPATCH_LEVEL, undocumented] {
        let head = driver_mem::read_u64(context.wrapping_add(context::CHAIN))?;
        let signature = driver_mem::read_u64(context.wrapping_add(context::SIGNATURE))?;
        let found = list_entry::forward(driver_mem::read_u64(context.wrapping_add(context::PREVIOUS))?)?;
        if found == head {
            return Ok(0);
        }
        // Places of enumerations are no entries.
        let (mut previous, mut next) = (found, list_entry::forward(found)?);
        while next != head && signature_of(next)? == RESERVED {
            (previous, next) = (next, list_entry::forward(next)?);
        }
        if next == head || signature_of(next)? != signature {
            return Ok(0);
        }
        driver_mem::write_u64(context.wrapping_add(context::PREVIOUS), previous)?;
        Ok(next)
    }

    /// `RtlInitEnumerationHashTable`: from now on the table neither grows nor
    /// shrinks; entries may come and go.
    fn RtlInitEnumerationHashTable(table: u64, enumerator: u64) -> bool [max DISPATCH_LEVEL, undocumented] {
        let first = head(table, 0)?;
        list_entry::insert_after(first, enumerator)?;
        driver_mem::write_u64(enumerator.wrapping_add(SIGNATURE), RESERVED)?;
        store_place(enumerator, first, 0)?;
        add(table, table::ENUMERATORS, 1)?;
        Ok(true)
    }

    /// `RtlEnumerateEntryHashTable`: the next entry, or NULL.
    fn RtlEnumerateEntryHashTable(table: u64, enumerator: u64) -> u64 [max DISPATCH_LEVEL, undocumented] {
        let bucket = field(enumerator, enumerator::BUCKET)?;
        let Some((head, bucket, entry)) = next_entry(table, bucket, enumerator)? else {
            return Ok(0);
        };
        list_entry::remove(enumerator)?;
        list_entry::insert_after(entry, enumerator)?;
        store_place(enumerator, head, bucket)?;
        Ok(entry)
    }

    /// `RtlEndEnumerationHashTable`.
    fn RtlEndEnumerationHashTable(table: u64, enumerator: u64) -> () [max DISPATCH_LEVEL, undocumented] {
        list_entry::remove(enumerator)?;
        driver_mem::write_u64(enumerator.wrapping_add(enumerator::CHAIN), 0)?;
        Ok(add(table, table::ENUMERATORS, u32::MAX)?)
    }

    /// `RtlInitWeakEnumerationHashTable`: an enumeration during which nobody
    /// changes the table, so that it needs no place in a chain.
    fn RtlInitWeakEnumerationHashTable(table: u64, enumerator: u64) -> bool [max DISPATCH_LEVEL, undocumented] {
        let first = head(table, 0)?;
        driver_mem::write_u64(enumerator, first)?;
        driver_mem::write_u64(enumerator.wrapping_add(8), first)?;
        driver_mem::write_u64(enumerator.wrapping_add(SIGNATURE), RESERVED)?;
        store_place(enumerator, first, 0)?;
        add(table, table::ENUMERATORS, 1)?;
        Ok(true)
    }

    /// `RtlWeaklyEnumerateEntryHashTable`: the next entry, or NULL.
    fn RtlWeaklyEnumerateEntryHashTable(table: u64, enumerator: u64) -> u64 [max DISPATCH_LEVEL, undocumented] {
        let bucket = field(enumerator, enumerator::BUCKET)?;
        let at = list_entry::forward(enumerator)?;
        let Some((head, bucket, entry)) = next_entry(table, bucket, at)? else {
            return Ok(0);
        };
        driver_mem::write_u64(enumerator, entry)?;
        store_place(enumerator, head, bucket)?;
        Ok(entry)
    }

    /// `RtlEndWeakEnumerationHashTable`.
    fn RtlEndWeakEnumerationHashTable(table: u64, enumerator: u64) -> () [max DISPATCH_LEVEL, undocumented] {
        driver_mem::write_u64(enumerator.wrapping_add(enumerator::CHAIN), 0)?;
        Ok(add(table, table::ENUMERATORS, u32::MAX)?)
    }

    /// `RtlExpandHashTable`: one bucket more, unless an enumeration goes on.
    fn RtlExpandHashTable<call>(table: u64) -> bool [max DISPATCH_LEVEL, undocumented] fails 0 {
        let size = field(table, table::SIZE)?;
        if field(table, table::ENUMERATORS)? != 0 || !open_bucket(call, table, size)? {
            return Ok(false);
        }
        let (pivot, mask) = (field(table, table::PIVOT)?, field(table, table::DIVISOR_MASK)?);
        let before = non_empty(table, [pivot, size])?;
        driver_mem::write_u32(table.wrapping_add(table::SIZE), size + 1)?;
        let (next, mask) = if pivot == mask { (0, mask << 1 | 1) } else { (pivot + 1, mask) };
        driver_mem::write_u32(table.wrapping_add(table::PIVOT), next)?;
        driver_mem::write_u32(table.wrapping_add(table::DIVISOR_MASK), mask)?;
        move_entries(table, pivot)?;
        let after = non_empty(table, [pivot, size])?;
        add(table, table::NON_EMPTY, after.wrapping_sub(before))?;
        Ok(true)
    }

    /// `RtlContractHashTable`: one bucket less, unless there would be too few or
    /// an enumeration goes on.
    fn RtlContractHashTable<call>(table: u64) -> bool [max DISPATCH_LEVEL, undocumented] {
        let size = field(table, table::SIZE)?;
        if field(table, table::ENUMERATORS)? != 0 || size <= FIRST {
            return Ok(false);
        }
        let (pivot, mask) = (field(table, table::PIVOT)?, field(table, table::DIVISOR_MASK)?);
        let (pivot, mask) = if pivot == 0 { (mask >> 1, mask >> 1) } else { (pivot - 1, mask) };
        let last = size - 1;
        let before = non_empty(table, [pivot, last])?;
        driver_mem::write_u32(table.wrapping_add(table::PIVOT), pivot)?;
        driver_mem::write_u32(table.wrapping_add(table::DIVISOR_MASK), mask)?;
        move_entries(table, last)?;
        let after = non_empty(table, [pivot, last])?;
        add(table, table::NON_EMPTY, after.wrapping_sub(before))?;
        driver_mem::write_u32(table.wrapping_add(table::SIZE), last)?;
        let (block, place) = block_of(last);
        if place == 0 {
            let directory = driver_mem::read_u64(table.wrapping_add(table::DIRECTORY))?;
            let slot = directory.wrapping_add(8 * u64::from(block));
            free(call, driver_mem::read_u64(slot)?, "RtlContractHashTable")?;
            driver_mem::write_u64(slot, 0)?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
