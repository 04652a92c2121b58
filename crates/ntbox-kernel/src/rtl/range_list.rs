//! Lists of ranges with owners (`RTL_RANGE_LIST`), in which resource arbiters record
//! what is assigned.
//!
//! The list is in the driver's memory. Each range is a block of pool that begins with
//! the public `RTL_RANGE`. Ranges are sorted by start; overlapping ones are listed one
//! by one.

use nt_layout::{ListEntry, RtlRangeList, RtlRangeListEntry, RtlRangeListIterator};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::APC_LEVEL;

use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::list_walk::ListWalk;
use crate::mm;
use crate::mm::pool::{PoolKind, Request};

type List = DriverPtr<RtlRangeList>;
type Entry = DriverPtr<RtlRangeListEntry>;
type Iterator = DriverPtr<RtlRangeListIterator>;

/// `RTL_RANGE_LIST_ADD_IF_CONFLICT` and `RTL_RANGE_LIST_ADD_SHARED`.
const ADD_IF_CONFLICT: u32 = 1;
const ADD_SHARED: u32 = 2;
/// `RTL_RANGE_LIST_SHARED_OK` and `RTL_RANGE_LIST_NULL_CONFLICT_OK`.
const SHARED_OK: u32 = 1;
const NULL_CONFLICT_OK: u32 = 2;
/// `RTL_RANGE_SHARED` and `RTL_RANGE_CONFLICT`.
const SHARED: u8 = 1;
const CONFLICT: u8 = 2;
/// Pool tag of ranges.
const TAG: u32 = u32::from_le_bytes(*b"RlRe");

/// A range and its entry in the list.
#[derive(Debug, Clone, Copy)]
struct Range {
    entry: Entry,
    start: u64,
    end: u64,
    owner: u64,
    attributes: u8,
    flags: u8,
}

impl Range {
    fn read(entry: Entry) -> Result<Self, Fault> {
        Ok(Self {
            entry,
            start: entry.get(|entry| &entry.range.start)?,
            end: entry.get(|entry| &entry.range.end)?,
            owner: entry.get(|entry| &entry.range.owner)?,
            attributes: entry.get(|entry| &entry.range.attributes)?,
            flags: entry.get(|entry| &entry.range.flags)?,
        })
    }

    fn overlaps(&self, start: u64, end: u64) -> bool {
        self.start <= end && start <= self.end
    }
}

fn ranges(list: List) -> Result<Vec<Range>, NoReturn> {
    let mut ranges = Vec::new();
    let mut walk = ListWalk::from(list.address());
    let mut links = DriverPtr::new(list.get(|list| &list.list_head.flink)?);
    while links != head(list) {
        walk.visit(links.address())?;
        ranges.push(Range::read(entry_of(links))?);
        links = DriverPtr::new(links.get(|links| &links.flink)?);
    }
    Ok(ranges)
}

fn head(list: List) -> DriverPtr<ListEntry> {
    list.at(|list| &list.list_head)
}

fn entry_of(links: DriverPtr<ListEntry>) -> Entry {
    links.containing(|entry: &RtlRangeListEntry| &entry.list_entry)
}

/// Changes the number of ranges, and the stamp that enumerations compare.
fn add_to_count(list: List, change: i32) -> Result<(), Fault> {
    let count = list.get(|list| &list.count)?;
    list.set(|list| &list.count, count.wrapping_add_signed(change))?;
    let stamp = list.get(|list| &list.stamp)?;
    list.set(|list| &list.stamp, stamp.wrapping_add(1))
}

/// Arguments of `RtlAddRange`.
struct AddParams {
    start: u64,
    end: u64,
    attributes: u8,
    flags: u32,
    user_data: u64,
    owner: u64,
}

fn add(list: List, new: &AddParams, caller: u64) -> Result<u32, NoReturn> {
    if new.start > new.end {
        return Ok(nt_status::STATUS_INVALID_PARAMETER);
    }
    let existing = ranges(list)?;
    let shared = new.flags & ADD_SHARED != 0;
    let against = |range: &&Range| {
        range.overlaps(new.start, new.end) && !(shared && range.flags & SHARED != 0)
    };
    let conflict = existing.iter().any(|range| against(&range));
    if conflict && new.flags & ADD_IF_CONFLICT == 0 {
        return Ok(nt_status::STATUS_RANGE_LIST_CONFLICT);
    }
    let request = Request {
        kind: PoolKind::Paged,
        size: Entry::SIZE,
        tag: TAG,
        zeroed: true,
        cache_aligned: false,
        caller,
    };
    let Some(entry) = mm::with(|memory| memory.pools.allocate(request)) else {
        return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
    };
    let flags = if shared { SHARED } else { 0 } | if conflict { CONFLICT } else { 0 };
    let entry = Entry::new(entry);
    entry.set(|entry| &entry.range.start, new.start)?;
    entry.set(|entry| &entry.range.end, new.end)?;
    entry.set(|entry| &entry.range.user_data, new.user_data)?;
    entry.set(|entry| &entry.range.owner, new.owner)?;
    entry.set(|entry| &entry.range.attributes, new.attributes)?;
    entry.set(|entry| &entry.range.flags, flags)?;
    let after = existing.iter().find(|range| range.start > new.start);
    let next = after.map_or(head(list), |range| {
        range.entry.at(|entry| &entry.list_entry)
    });
    let links = entry.at(|entry| &entry.list_entry);
    let previous = DriverPtr::<ListEntry>::new(next.get(|next| &next.blink)?);
    links.set(|links| &links.flink, next.address())?;
    links.set(|links| &links.blink, previous.address())?;
    previous.set(|previous| &previous.flink, links.address())?;
    next.set(|next| &next.blink, links.address())?;
    add_to_count(list, 1)?;
    Ok(nt_status::STATUS_SUCCESS)
}

fn remove(range: &Range, caller: u64) -> Result<(), Fault> {
    let links = range.entry.at(|entry| &entry.list_entry);
    let next = DriverPtr::<ListEntry>::new(links.get(|links| &links.flink)?);
    let previous = DriverPtr::<ListEntry>::new(links.get(|links| &links.blink)?);
    previous.set(|previous| &previous.flink, next.address())?;
    next.set(|next| &next.blink, previous.address())?;
    mm::pool::free_by(range.entry.address(), caller);
    Ok(())
}

/// The ranges that a new one may overlap.
struct Tolerance {
    flags: u32,
    attributes: u8,
    callback: u64,
    context: u64,
}

impl Tolerance {
    fn accepts(&self, range: &Range, caller: &CallContext<'_>) -> bool {
        self.flags & SHARED_OK != 0 && range.flags & SHARED != 0
            || self.flags & NULL_CONFLICT_OK != 0 && range.owner == 0
            || self.attributes & range.attributes != 0
            || self.callback != 0
                && caller.call(self.callback, &[self.context, range.entry.address()]) & 0xff != 0
    }

    /// The first range that may not be overlapped.
    fn obstacle<'a>(
        &self,
        ranges: &'a [Range],
        start: u64,
        end: u64,
        caller: &CallContext<'_>,
    ) -> Option<&'a Range> {
        let mut met = ranges.iter().filter(|range| range.overlaps(start, end));
        met.find(|range| !self.accepts(range, caller))
    }
}

/// The highest aligned start of a free range of this length between two numbers.
fn find(
    ranges: &[Range],
    (minimum, maximum): (u64, u64),
    (length, alignment): (u64, u64),
    tolerance: &Tolerance,
    caller: &CallContext<'_>,
) -> Option<u64> {
    let down = |at: u64| at - at % alignment;
    let mut start = down(maximum.checked_sub(length - 1)?);
    while start >= minimum {
        match tolerance.obstacle(ranges, start, start + (length - 1), caller) {
            None => return Some(start),
            Some(range) => start = down(range.start.checked_sub(length)?),
        }
    }
    None
}

/// Writes the position of an enumeration, and returns the range to the caller.
fn set_current(iterator: Iterator, current: u64, out: u64) -> Result<u32, Fault> {
    iterator.set(|iterator| &iterator.current, current)?;
    driver_mem::write_u64(out, current)?;
    Ok(if current == 0 {
        nt_status::STATUS_NO_MORE_ENTRIES
    } else {
        nt_status::STATUS_SUCCESS
    })
}

/// Begins an enumeration with a range of the list, if there is one.
fn begin(list: List, iterator: Iterator, first: Option<&Range>, out: u64) -> Result<u32, Fault> {
    iterator.set(|iterator| &iterator.range_list_head, list.address())?;
    iterator.set(|iterator| &iterator.merged_head, 0)?;
    iterator.set(|iterator| &iterator.stamp, list.get(|list| &list.stamp)?)?;
    set_current(
        iterator,
        first.map_or(0, |range| range.entry.address()),
        out,
    )
}

exports! {
    /// `RtlInitializeRangeList`.
    fn RtlInitializeRangeList(list: List) -> () [max APC_LEVEL, undocumented] {
        list.set(|list| &list.list_head.flink, list.address())?;
        list.set(|list| &list.list_head.blink, list.address())?;
        list.set(|list| &list.flags, 0)?;
        list.set(|list| &list.count, 0)?;
        Ok(list.set(|list| &list.stamp, 0)?)
    }

    /// `RtlFreeRangeList`: frees the ranges.
    fn RtlFreeRangeList<call>(list: List) -> () [max APC_LEVEL, undocumented] {
        for range in ranges(list)? {
            remove(&range, call.return_address())?;
        }
        list.set(|list| &list.flags, 0)?;
        Ok(list.set(|list| &list.count, 0)?)
    }

    /// `RtlAddRange`.
    fn RtlAddRange<call>(list: List, start: u64, end: u64, attributes: u8, flags: u32, user_data: u64, owner: u64) -> u32
        [max APC_LEVEL, undocumented, partial "shared ranges that overlap are listed one by one, not merged"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let new = AddParams { start, end, attributes, flags, user_data, owner };
        add(list, &new, call.return_address())
    }

    /// `RtlDeleteRange`: the very same range of an owner.
    fn RtlDeleteRange<call>(list: List, start: u64, end: u64, owner: u64) -> u32 [max APC_LEVEL, undocumented] {
        let ranges = ranges(list)?;
        let same = |range: &&Range| (range.start, range.end, range.owner) == (start, end, owner);
        let Some(range) = ranges.iter().find(same) else { return Ok(nt_status::STATUS_RANGE_NOT_FOUND) };
        remove(range, call.return_address())?;
        add_to_count(list, -1)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `RtlDeleteOwnersRanges`.
    fn RtlDeleteOwnersRanges<call>(list: List, owner: u64) -> u32 [max APC_LEVEL, undocumented] {
        for range in ranges(list)?.iter().filter(|range| range.owner == owner) {
            remove(range, call.return_address())?;
            add_to_count(list, -1)?;
        }
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `RtlFindRange`: the highest place.
    fn RtlFindRange<call>(
        list: List, minimum: u64, maximum: u64, length: u32, alignment: u32, flags: u32, attributes: u8, context: u64,
        callback: u64, out: u64,
    ) -> u32 [max APC_LEVEL, undocumented] {
        if length == 0 || alignment == 0 || minimum > maximum {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        }
        let tolerance = Tolerance { flags, attributes, callback, context };
        let size = (u64::from(length), u64::from(alignment));
        let found = find(&ranges(list)?, (minimum, maximum), size, &tolerance, &CallContext::of(call));
        let Some(start) = found else { return Ok(nt_status::STATUS_UNSUCCESSFUL) };
        driver_mem::write_u64(out, start)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `RtlIsRangeAvailable`.
    fn RtlIsRangeAvailable<call>(
        list: List, start: u64, end: u64, flags: u32, attributes: u8, context: u64, callback: u64, available: u64,
    ) -> u32 [max APC_LEVEL, undocumented] {
        let tolerance = Tolerance { flags, attributes, callback, context };
        let ranges = ranges(list)?;
        let free = tolerance.obstacle(&ranges, start, end, &CallContext::of(call)).is_none();
        driver_mem::write_u8(available, free.into())?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `RtlGetFirstRange`.
    fn RtlGetFirstRange(list: List, iterator: Iterator, out: u64) -> u32 [max APC_LEVEL, undocumented] {
        Ok(begin(list, iterator, ranges(list)?.first(), out)?)
    }

    /// `RtlGetLastRange`.
    fn RtlGetLastRange(list: List, iterator: Iterator, out: u64) -> u32 [max APC_LEVEL, undocumented] {
        Ok(begin(list, iterator, ranges(list)?.last(), out)?)
    }

    /// `RtlGetNextRange`: fails if the list has changed since.
    fn RtlGetNextRange(iterator: Iterator, out: u64, forwards: bool) -> u32 [max APC_LEVEL, undocumented] {
        let list = List::new(iterator.get(|iterator| &iterator.range_list_head)?);
        if iterator.get(|iterator| &iterator.stamp)? != list.get(|list| &list.stamp)? {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        }
        let current = Entry::new(iterator.get(|iterator| &iterator.current)?);
        if current.is_null() {
            return Ok(set_current(iterator, 0, out)?);
        }
        let links = current.get(|current| {
            let links = &current.list_entry;
            if forwards { &links.flink } else { &links.blink }
        })?;
        let links = DriverPtr::new(links);
        let next = if links == head(list) { 0 } else { entry_of(links).address() };
        Ok(set_current(iterator, next, out)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address_mut, processor, status, value};

    fn new_list(memory: &mut [u64; 4]) -> u64 {
        processor();
        let at = address_mut(memory);
        value(RtlInitializeRangeList, &[at]);
        at
    }

    fn add(at: u64, (start, end): (u64, u64), flags: u64, owner: u64) -> u32 {
        status(RtlAddRange, &[at, start, end, 1, flags, 5, owner])
    }

    /// Starts of all ranges, from the first to the last or back.
    fn starts(at: u64, forwards: bool) -> Vec<u64> {
        let (mut walk, mut found) = ([0_u64; 4], 0_u64);
        let (walk, out) = (address_mut(&mut walk), address_mut(&mut found));
        let first = if forwards {
            RtlGetFirstRange
        } else {
            RtlGetLastRange
        };
        let mut status_of = status(first, &[at, walk, out]);
        let mut all = Vec::new();
        while status_of == 0 {
            all.push(driver_mem::read_u64(driver_mem::read_u64(out).unwrap()).unwrap());
            status_of = status(RtlGetNextRange, &[walk, out, forwards.into()]);
        }
        assert_eq!(
            (status_of, driver_mem::read_u64(out)),
            (nt_status::STATUS_NO_MORE_ENTRIES, Ok(0))
        );
        all
    }

    #[test]
    fn add_range_orders_and_refuses_overlap() {
        let mut memory = [u64::MAX; 4];
        let at = new_list(&mut memory);
        assert_eq!(
            (add(at, (9, 8), 0, 1), starts(at, true).len()),
            (nt_status::STATUS_INVALID_PARAMETER, 0)
        );
        assert_eq!(
            (add(at, (0x100, 0x1ff), 0, 1), add(at, (0x10, 0x1f), 0, 1)),
            (0, 0)
        );
        assert_eq!(
            add(at, (0x1f, 0x1f), 0, 2),
            nt_status::STATUS_RANGE_LIST_CONFLICT
        );
        assert_eq!(
            add(at, (0x1f, 0x1f), u64::from(ADD_SHARED), 2),
            nt_status::STATUS_RANGE_LIST_CONFLICT
        );
        assert_eq!(add(at, (0x20, 0x2f), u64::from(ADD_SHARED), 2), 0);
        assert_eq!(add(at, (0x28, 0x2f), u64::from(ADD_SHARED), 3), 0);
        assert_eq!(starts(at, true), [0x10, 0x20, 0x28, 0x100]);
        assert_eq!(starts(at, false), [0x100, 0x28, 0x20, 0x10]);
        let count = List::new(at).at(|list| &list.count).address();
        assert_eq!(
            driver_mem::read_u64(count),
            Ok(4 | 4 << 32),
            "count and stamp"
        );
        assert_eq!(
            status(RtlDeleteRange, &[at, 0x10, 0x1f, 2]),
            nt_status::STATUS_RANGE_NOT_FOUND
        );
        assert_eq!(status(RtlDeleteRange, &[at, 0x10, 0x1f, 1]), 0);
        assert_eq!(status(RtlDeleteOwnersRanges, &[at, 3]), 0);
        assert_eq!(starts(at, true), [0x20, 0x100]);
        value(RtlFreeRangeList, &[at]);
        assert_eq!(driver_mem::read_u64(count), Ok(6 << 32));
    }

    #[test]
    fn find_range_searches_from_end() {
        let mut memory = [0; 4];
        let at = new_list(&mut memory);
        assert_eq!(add(at, (0x80, 0xff), 0, 1), 0);
        let find = |minimum: u64, length: u64, flags: u64| {
            let mut start = 0_u64;
            let out = address_mut(&mut start);
            let status = status(
                RtlFindRange,
                &[at, minimum, 0x10f, length, 8, flags, 0, 0, 0, out],
            );
            (status, start)
        };
        assert_eq!(find(0, 0x10, 0), (0, 0x100));
        assert_eq!(find(0, 0x11, 0), (0, 0x68));
        assert_eq!(find(0x70, 0x11, 0), (nt_status::STATUS_UNSUCCESSFUL, 0));
        let available = |start: u64, end: u64, attributes: u64| {
            let mut answer = 7_u8;
            let arguments = [
                at,
                start,
                end,
                0,
                attributes,
                0,
                0,
                address_mut(&mut answer),
            ];
            assert_eq!(status(RtlIsRangeAvailable, &arguments), 0);
            answer
        };
        assert_eq!(
            (
                available(0, 0x7f, 0),
                available(0, 0x80, 0),
                available(0, 0x80, 1)
            ),
            (1, 0, 1)
        );
        assert_eq!((available(0x80, 0x7f, 0), available(0x81, 0x80, 0)), (1, 0));
        value(RtlFreeRangeList, &[at]);
    }
}
