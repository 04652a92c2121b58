//! Lists of ranges that belong to somebody: what arbiters of resources keep account
//! with.
//!
//! The list is the driver's, and so are the ranges, each a block of pool that begins
//! with the public `RTL_RANGE`. They lie in the order of their starts; where several
//! overlap, all are listed one by one.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::APC_LEVEL;

use crate::base::call_context::Caller;
use crate::base::export::exports;
use crate::base::list_walk::ListWalk;
use crate::mm;
use crate::mm::pool::{PoolKind, Request};

/// Offsets in an `RTL_RANGE_LIST`, whose first bytes are the head of the list.
mod list {
    pub const FLAGS: u64 = 0x10;
    pub const COUNT: u64 = 0x14;
    pub const STAMP: u64 = 0x18;
}

/// Bytes of a range with its place in the list, and offsets in it.
const SIZE: u64 = 0x38;
mod range {
    pub const START: u64 = 0x00;
    pub const END: u64 = 0x08;
    pub const USER_DATA: u64 = 0x10;
    pub const OWNER: u64 = 0x18;
    pub const ATTRIBUTES: u64 = 0x20;
    pub const FLAGS: u64 = 0x21;
    pub const LINKS: u64 = 0x28;
}

/// Offsets in an `RTL_RANGE_LIST_ITERATOR`.
mod iterator {
    pub const HEAD: u64 = 0x00;
    pub const MERGED: u64 = 0x08;
    pub const CURRENT: u64 = 0x10;
    pub const STAMP: u64 = 0x18;
}

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

/// A range, and where it is.
#[derive(Debug, Clone, Copy)]
struct Range {
    at: u64,
    start: u64,
    end: u64,
    owner: u64,
    attributes: u8,
    flags: u8,
}

impl Range {
    fn read(at: u64) -> Result<Self, Fault> {
        Ok(Self {
            at,
            start: driver_mem::read_u64(at + range::START)?,
            end: driver_mem::read_u64(at + range::END)?,
            owner: driver_mem::read_u64(at + range::OWNER)?,
            attributes: driver_mem::read_u8(at + range::ATTRIBUTES)?,
            flags: driver_mem::read_u8(at + range::FLAGS)?,
        })
    }

    fn meets(&self, start: u64, end: u64) -> bool {
        self.start <= end && start <= self.end
    }
}

fn ranges(at: u64) -> Result<Vec<Range>, Stop> {
    let mut found = Vec::new();
    let mut walk = ListWalk::from(at);
    let mut links = driver_mem::read_u64(at)?;
    while links != at {
        walk.visit(links)?;
        found.push(Range::read(links.wrapping_sub(range::LINKS))?);
        links = driver_mem::read_u64(links)?;
    }
    Ok(found)
}

fn changed(at: u64, by: i32) -> Result<(), Fault> {
    let count = driver_mem::read_u32(at + list::COUNT)?;
    driver_mem::write_u32(at + list::COUNT, count.wrapping_add_signed(by))?;
    let stamp = driver_mem::read_u32(at + list::STAMP)?;
    driver_mem::write_u32(at + list::STAMP, stamp.wrapping_add(1))
}

/// What a range is to be.
struct New {
    start: u64,
    end: u64,
    attributes: u8,
    flags: u32,
    user_data: u64,
    owner: u64,
}

fn add(at: u64, new: &New, caller: u64) -> Result<u32, Stop> {
    if new.start > new.end {
        return Ok(nt_status::STATUS_INVALID_PARAMETER);
    }
    let known = ranges(at)?;
    let shared = new.flags & ADD_SHARED != 0;
    let against =
        |range: &&Range| range.meets(new.start, new.end) && !(shared && range.flags & SHARED != 0);
    let conflict = known.iter().any(|range| against(&range));
    if conflict && new.flags & ADD_IF_CONFLICT == 0 {
        return Ok(nt_status::STATUS_RANGE_LIST_CONFLICT);
    }
    let request = Request {
        kind: PoolKind::Paged,
        size: SIZE,
        tag: TAG,
        zeroed: true,
        cache_aligned: false,
        caller,
    };
    let Some(block) = mm::with(|memory| memory.pools.allocate(request)) else {
        return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
    };
    let flags = if shared { SHARED } else { 0 } | if conflict { CONFLICT } else { 0 };
    driver_mem::write_u64(block + range::START, new.start)?;
    driver_mem::write_u64(block + range::END, new.end)?;
    driver_mem::write_u64(block + range::USER_DATA, new.user_data)?;
    driver_mem::write_u64(block + range::OWNER, new.owner)?;
    driver_mem::write_u8(block + range::ATTRIBUTES, new.attributes)?;
    driver_mem::write_u8(block + range::FLAGS, flags)?;
    let behind = known.iter().find(|range| range.start > new.start);
    let (next, links) = (
        behind.map_or(at, |range| range.at + range::LINKS),
        block + range::LINKS,
    );
    let previous = driver_mem::read_u64(next + 8)?;
    driver_mem::write_u64(links, next)?;
    driver_mem::write_u64(links + 8, previous)?;
    driver_mem::write_u64(previous, links)?;
    driver_mem::write_u64(next + 8, links)?;
    changed(at, 1)?;
    Ok(nt_status::STATUS_SUCCESS)
}

fn remove(range: &Range, caller: u64) -> Result<(), Fault> {
    let links = range.at + range::LINKS;
    let (next, previous) = (
        driver_mem::read_u64(links)?,
        driver_mem::read_u64(links + 8)?,
    );
    driver_mem::write_u64(previous, next)?;
    driver_mem::write_u64(next.wrapping_add(8), previous)?;
    mm::pool::free_by(range.at, caller);
    Ok(())
}

/// Who may be overlapped all the same.
struct Tolerance {
    flags: u32,
    attributes: u8,
    callback: u64,
    context: u64,
}

impl Tolerance {
    fn accepts(&self, range: &Range, caller: &Caller<'_>) -> bool {
        self.flags & SHARED_OK != 0 && range.flags & SHARED != 0
            || self.flags & NULL_CONFLICT_OK != 0 && range.owner == 0
            || self.attributes & range.attributes != 0
            || self.callback != 0
                && caller.call(self.callback, &[self.context, range.at]) & 0xff != 0
    }

    /// The first range that is in the way.
    fn obstacle<'a>(
        &self,
        known: &'a [Range],
        start: u64,
        end: u64,
        caller: &Caller<'_>,
    ) -> Option<&'a Range> {
        let mut met = known.iter().filter(|range| range.meets(start, end));
        met.find(|range| !self.accepts(range, caller))
    }
}

/// The highest place between two numbers, a multiple of the alignment, where so many
/// are free.
fn find(
    known: &[Range],
    (minimum, maximum): (u64, u64),
    (length, alignment): (u64, u64),
    tolerance: &Tolerance,
    caller: &Caller<'_>,
) -> Option<u64> {
    let down = |at: u64| at - at % alignment;
    let mut start = down(maximum.checked_sub(length - 1)?);
    while start >= minimum {
        match tolerance.obstacle(known, start, start + (length - 1), caller) {
            None => return Some(start),
            Some(range) => start = down(range.start.checked_sub(length)?),
        }
    }
    None
}

/// Writes where an enumeration is, and gives the range to the caller.
fn show(walk: u64, current: u64, out: u64) -> Result<u32, Fault> {
    driver_mem::write_u64(walk + iterator::CURRENT, current)?;
    driver_mem::write_u64(out, current)?;
    Ok(if current == 0 {
        nt_status::STATUS_NO_MORE_ENTRIES
    } else {
        nt_status::STATUS_SUCCESS
    })
}

/// Begins an enumeration with a range of the list, if there is one.
fn begin(at: u64, walk: u64, first: Option<&Range>, out: u64) -> Result<u32, Fault> {
    driver_mem::write_u64(walk + iterator::HEAD, at)?;
    driver_mem::write_u64(walk + iterator::MERGED, 0)?;
    driver_mem::write_u32(
        walk + iterator::STAMP,
        driver_mem::read_u32(at + list::STAMP)?,
    )?;
    show(walk, first.map_or(0, |range| range.at), out)
}

exports! {
    /// `RtlInitializeRangeList`.
    fn RtlInitializeRangeList(at: u64) -> () [max APC_LEVEL, undocumented] {
        driver_mem::write_u64(at, at)?;
        driver_mem::write_u64(at.wrapping_add(8), at)?;
        for field in [list::FLAGS, list::COUNT, list::STAMP] {
            driver_mem::write_u32(at.wrapping_add(field), 0)?;
        }
        Ok(())
    }

    /// `RtlFreeRangeList`: frees the ranges.
    fn RtlFreeRangeList<call>(at: u64) -> () [max APC_LEVEL, undocumented] {
        for range in ranges(at)? {
            remove(&range, call.return_address())?;
        }
        driver_mem::write_u32(at + list::FLAGS, 0)?;
        Ok(driver_mem::write_u32(at + list::COUNT, 0)?)
    }

    /// `RtlAddRange`.
    fn RtlAddRange<call>(at: u64, start: u64, end: u64, attributes: u8, flags: u32, user_data: u64, owner: u64) -> u32
        [max APC_LEVEL, undocumented, partial "shared ranges that overlap are listed one by one, not merged"] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let new = New { start, end, attributes, flags, user_data, owner };
        add(at, &new, call.return_address())
    }

    /// `RtlDeleteRange`: the very same range of an owner.
    fn RtlDeleteRange<call>(at: u64, start: u64, end: u64, owner: u64) -> u32 [max APC_LEVEL, undocumented] {
        let known = ranges(at)?;
        let same = |range: &&Range| (range.start, range.end, range.owner) == (start, end, owner);
        let Some(range) = known.iter().find(same) else { return Ok(nt_status::STATUS_RANGE_NOT_FOUND) };
        remove(range, call.return_address())?;
        changed(at, -1)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `RtlDeleteOwnersRanges`.
    fn RtlDeleteOwnersRanges<call>(at: u64, owner: u64) -> u32 [max APC_LEVEL, undocumented] {
        for range in ranges(at)?.iter().filter(|range| range.owner == owner) {
            remove(range, call.return_address())?;
            changed(at, -1)?;
        }
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `RtlFindRange`: the highest place.
    fn RtlFindRange<call>(
        at: u64, minimum: u64, maximum: u64, length: u32, alignment: u32, flags: u32, attributes: u8, context: u64,
        callback: u64, out: u64,
    ) -> u32 [max APC_LEVEL, undocumented] {
        if length == 0 || alignment == 0 || minimum > maximum {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        }
        let tolerance = Tolerance { flags, attributes, callback, context };
        let size = (u64::from(length), u64::from(alignment));
        let found = find(&ranges(at)?, (minimum, maximum), size, &tolerance, &Caller::of(call));
        let Some(start) = found else { return Ok(nt_status::STATUS_UNSUCCESSFUL) };
        driver_mem::write_u64(out, start)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `RtlIsRangeAvailable`.
    fn RtlIsRangeAvailable<call>(
        at: u64, start: u64, end: u64, flags: u32, attributes: u8, context: u64, callback: u64, available: u64,
    ) -> u32 [max APC_LEVEL, undocumented] {
        let tolerance = Tolerance { flags, attributes, callback, context };
        let known = ranges(at)?;
        let free = tolerance.obstacle(&known, start, end, &Caller::of(call)).is_none();
        driver_mem::write_u8(available, free.into())?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `RtlGetFirstRange`.
    fn RtlGetFirstRange(at: u64, walk: u64, out: u64) -> u32 [max APC_LEVEL, undocumented] {
        Ok(begin(at, walk, ranges(at)?.first(), out)?)
    }

    /// `RtlGetLastRange`.
    fn RtlGetLastRange(at: u64, walk: u64, out: u64) -> u32 [max APC_LEVEL, undocumented] {
        Ok(begin(at, walk, ranges(at)?.last(), out)?)
    }

    /// `RtlGetNextRange`: not of a list that has changed meanwhile.
    fn RtlGetNextRange(walk: u64, out: u64, forwards: bool) -> u32 [max APC_LEVEL, undocumented] {
        let at = driver_mem::read_u64(walk.wrapping_add(iterator::HEAD))?;
        if driver_mem::read_u32(walk + iterator::STAMP)? != driver_mem::read_u32(at + list::STAMP)? {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        }
        let current = driver_mem::read_u64(walk + iterator::CURRENT)?;
        if current == 0 {
            return Ok(show(walk, 0, out)?);
        }
        let side = if forwards { 0 } else { 8 };
        let links = driver_mem::read_u64(current + range::LINKS + side)?;
        let next = if links == at { 0 } else { links.wrapping_sub(range::LINKS) };
        Ok(show(walk, next, out)?)
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
    fn ranges_are_in_order_and_do_not_meet() {
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
        assert_eq!(
            driver_mem::read_u64(at + list::COUNT),
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
        assert_eq!(driver_mem::read_u64(at + list::COUNT), Ok(6 << 32));
    }

    #[test]
    fn places_are_found_from_above() {
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
