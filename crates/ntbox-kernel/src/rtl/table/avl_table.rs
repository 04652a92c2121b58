//! Generic tables over AVL trees (`RTL_AVL_TABLE`).

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::DISPATCH_LEVEL;

use super::{Layout, Node, Search, Side, Table, avl, tell_new};
use crate::base::call_context::Caller;
use crate::base::export::exports;

/// Offsets in an `RTL_AVL_TABLE`, which begins with the head's links.
mod offset {
    pub const ORDERED_POINTER: u64 = 32;
    pub const WHICH_ORDERED: u64 = 40;
    pub const DEPTH: u64 = 48;
    pub const RESTART_KEY: u64 = 56;
    pub const DELETE_COUNT: u64 = 64;
}

/// Bytes of an `RTL_AVL_TABLE`.
const SIZE: u64 = 104;

const LAYOUT: Layout = Layout {
    routines: 72,
    count: 44,
    // `RTL_BALANCED_LINKS`.
    header: 32,
};

impl<'a> Table<'a> {
    fn avl(va: u64, caller: Caller<'a>) -> Self {
        Self {
            va,
            layout: &LAYOUT,
            caller,
        }
    }

    fn head(&self) -> Node {
        Node(self.va)
    }

    fn top(&self) -> Result<Option<Node>, Fault> {
        if self.count()? == 0 {
            return Ok(None);
        }
        self.head().child(Side::Right)
    }

    fn after(&self, node: Node) -> Result<Option<Node>, Fault> {
        avl::next(self.head(), node, Side::Right)
    }

    fn word(&self, at: u64) -> Result<u32, Fault> {
        driver_mem::read_u32(self.va.wrapping_add(at))
    }

    fn set_word(&self, at: u64, value: u32) -> Result<(), Fault> {
        driver_mem::write_u32(self.va.wrapping_add(at), value)
    }

    /// Forgets which element was last asked for by its number.
    fn forget_number(&self) -> Result<(), Fault> {
        self.set_word(offset::WHICH_ORDERED, 0)?;
        driver_mem::write_u64(self.va.wrapping_add(offset::ORDERED_POINTER), 0)
    }

    fn add(&self, buffer: u64, length: u32, new: u64, search: Search) -> Result<u64, Stop> {
        let (parent, side) = match search {
            Search::Found(node) => {
                tell_new(new, false)?;
                return Ok(self.element(node));
            }
            Search::Missing(node, side) => (node, side),
            Search::Empty => (self.head(), Side::Right),
        };
        let Some(node) = self.allocate(length)? else {
            tell_new(new, false)?;
            return Ok(0);
        };
        self.set_count(self.count()?.wrapping_add(1))?;
        self.forget_number()?;
        if avl::insert(self.head(), node, parent, side)? {
            self.set_word(offset::DEPTH, self.word(offset::DEPTH)?.wrapping_add(1))?;
        }
        driver_mem::copy(self.element(node), buffer, length.into())?;
        tell_new(new, true)?;
        Ok(self.element(node))
    }

    /// The next element of an enumeration that remembers the last at `key`.
    fn step(&self, key: u64) -> Result<u64, Fault> {
        let Some(top) = self.top()? else {
            return Ok(0);
        };
        let node = match driver_mem::read_u64(key)? {
            0 => Some(top.outermost(Side::Left)?),
            last => self.after(Node(last))?,
        };
        let Some(node) = node else { return Ok(0) };
        driver_mem::write_u64(key, node.0)?;
        Ok(self.element(node))
    }

    /// The element with a number in the order of comparison.
    fn by_number(&self, index: u32) -> Result<u64, Fault> {
        let Some(top) = self.top()?.filter(|_| index != u32::MAX) else {
            return Ok(0);
        };
        if index >= self.count()? {
            return Ok(0);
        }
        let wanted = index + 1;
        let which = self.word(offset::WHICH_ORDERED)?;
        let mut node =
            driver_mem::read_u64(self.va.wrapping_add(offset::ORDERED_POINTER)).map(Node)?;
        let mut at = which;
        if which == 0 || which.abs_diff(wanted) > index {
            node = top.outermost(Side::Left)?;
            at = 1;
        }
        while at != wanted {
            let side = if at < wanted { Side::Right } else { Side::Left };
            let Some(next) = avl::next(self.head(), node, side)? else {
                return Ok(0);
            };
            node = next;
            at = if at < wanted { at + 1 } else { at - 1 };
        }
        self.set_word(offset::WHICH_ORDERED, wanted)?;
        driver_mem::write_u64(self.va.wrapping_add(offset::ORDERED_POINTER), node.0)?;
        Ok(self.element(node))
    }

    /// Where an enumeration like a directory's begins: at the element that is like
    /// the buffer, or the first that comes after; behind it if it was there and is
    /// to be skipped.
    fn resume(&self, buffer: u64, skip: bool) -> Result<Option<Node>, Stop> {
        Ok(match self.search(self.top()?, buffer)? {
            Search::Empty => None,
            Search::Found(node) if skip => self.after(node)?,
            Search::Found(node) | Search::Missing(node, Side::Left) => Some(node),
            Search::Missing(node, Side::Right) => self.after(node)?,
        })
    }
}

exports! {
    /// `RtlInitializeGenericTableAvl`.
    fn RtlInitializeGenericTableAvl(table: u64, compare: u64, allocate: u64, free: u64, context: u64) -> ()
        [max DISPATCH_LEVEL, ntddk] {
        driver_mem::fill(table, 0, SIZE)?;
        Node(table).set_parent(Node(table))?;
        for (n, field) in (0..).zip([compare, allocate, free, context]) {
            driver_mem::write_u64(table.wrapping_add(LAYOUT.routines + 8 * n), field)?;
        }
        Ok(())
    }

    /// `RtlInsertElementGenericTableAvl`: the element, new or found; NULL without
    /// memory.
    fn RtlInsertElementGenericTableAvl<call>(table: u64, buffer: u64, size: u32, new: u64) -> u64
        [max DISPATCH_LEVEL, ntddk] {
        let table = Table::avl(table, Caller::of(call));
        let search = table.search(table.top()?, buffer)?;
        table.add(buffer, size, new, search)
    }

    /// `RtlInsertElementGenericTableFullAvl`: where a search has found its place.
    fn RtlInsertElementGenericTableFullAvl<call>(
        table: u64, buffer: u64, size: u32, new: u64, node: u64, search: u32,
    ) -> u64 [max DISPATCH_LEVEL, ntddk] {
        let table = Table::avl(table, Caller::of(call));
        table.add(buffer, size, new, Search::from_driver(search, node))
    }

    /// `RtlDeleteElementGenericTableAvl`: whether there was one. An enumeration
    /// that stands on it steps back.
    fn RtlDeleteElementGenericTableAvl<call>(table: u64, buffer: u64) -> bool [max DISPATCH_LEVEL, ntddk] {
        let table = Table::avl(table, Caller::of(call));
        let Search::Found(node) = table.search(table.top()?, buffer)? else { return Ok(false) };
        let key = table.va.wrapping_add(offset::RESTART_KEY);
        if driver_mem::read_u64(key)? == node.0 {
            let before = avl::next(table.head(), node, Side::Left)?;
            driver_mem::write_u64(key, before.map_or(0, |before| before.0))?;
        }
        table.set_word(offset::DELETE_COUNT, table.word(offset::DELETE_COUNT)?.wrapping_add(1))?;
        if avl::delete(table.head(), node)? {
            table.set_word(offset::DEPTH, table.word(offset::DEPTH)?.wrapping_sub(1))?;
        }
        table.set_count(table.count()?.wrapping_sub(1))?;
        table.forget_number()?;
        table.free(node)?;
        Ok(true)
    }

    /// `RtlLookupElementGenericTableAvl`.
    fn RtlLookupElementGenericTableAvl<call>(table: u64, buffer: u64) -> u64 [max DISPATCH_LEVEL, ntddk] {
        let table = Table::avl(table, Caller::of(call));
        match table.search(table.top()?, buffer)? {
            Search::Found(node) => Ok(table.element(node)),
            _ => Ok(0),
        }
    }

    /// `RtlLookupElementGenericTableFullAvl`: also where it would be.
    fn RtlLookupElementGenericTableFullAvl<call>(table: u64, buffer: u64, node: u64, result: u64) -> u64
        [max DISPATCH_LEVEL, ntddk] {
        let table = Table::avl(table, Caller::of(call));
        let search = table.search(table.top()?, buffer)?;
        search.store(node, result)?;
        match search {
            Search::Found(node) => Ok(table.element(node)),
            _ => Ok(0),
        }
    }

    /// `RtlLookupFirstMatchingElementGenericTableAvl`: the first of those that the
    /// comparison calls equal, and where to go on.
    fn RtlLookupFirstMatchingElementGenericTableAvl<call>(table: u64, buffer: u64, key: u64) -> u64
        [max DISPATCH_LEVEL, ntddk] {
        let table = Table::avl(table, Caller::of(call));
        driver_mem::write_u64(key, 0)?;
        let Search::Found(mut node) = table.search(table.top()?, buffer)? else { return Ok(0) };
        while let Some(before) = avl::next(table.head(), node, Side::Left)? {
            let order = table.caller.call(table.routine(0)?, &[table.va, buffer, table.element(before)]);
            if matches!(order & 0xffff_ffff, 0 | 1) {
                break;
            }
            node = before;
        }
        driver_mem::write_u64(key, node.0)?;
        Ok(table.element(node))
    }

    /// `RtlEnumerateGenericTableAvl`: the table remembers the node.
    fn RtlEnumerateGenericTableAvl<call>(table: u64, restart: bool) -> u64 [max DISPATCH_LEVEL, ntddk] {
        let key = table.wrapping_add(offset::RESTART_KEY);
        if restart {
            driver_mem::write_u64(key, 0)?;
        }
        Ok(Table::avl(table, Caller::of(call)).step(key)?)
    }

    /// `RtlEnumerateGenericTableWithoutSplayingAvl`: the caller remembers the node.
    fn RtlEnumerateGenericTableWithoutSplayingAvl<call>(table: u64, key: u64) -> u64 [max DISPATCH_LEVEL, ntddk] {
        Ok(Table::avl(table, Caller::of(call)).step(key)?)
    }

    /// `RtlEnumerateGenericTableLikeADirectory`: goes on where it stood, or, if
    /// something was deleted since, at what the buffer names.
    fn RtlEnumerateGenericTableLikeADirectory<call>(
        table: u64, matches: u64, data: u64, skip: u32, key: u64, deleted: u64, buffer: u64,
    ) -> u64 [max DISPATCH_LEVEL, ntddk] {
        let table = Table::avl(table, Caller::of(call));
        if table.top()?.is_none() {
            driver_mem::write_u64(key, 0)?;
            return Ok(0);
        }
        let changes = table.word(offset::DELETE_COUNT)?;
        let last = if driver_mem::read_u32(deleted)? == changes { driver_mem::read_u64(key)? } else { 0 };
        let mut node = match last {
            0 => table.resume(buffer, skip != 0)?,
            last if skip != 0 => table.after(Node(last))?,
            last => Some(Node(last)),
        };
        let mut status = nt_status::STATUS_NO_MATCH;
        while let Some(at) = node {
            let arguments = [table.va, table.element(at), data];
            let answer = if matches == 0 { 0 } else { table.caller.call(matches, &arguments) };
            status = u32::try_from(answer & 0xffff_ffff).unwrap_or(nt_status::STATUS_NO_MATCH);
            if status != nt_status::STATUS_NO_MATCH {
                break;
            }
            node = table.after(at)?;
        }
        driver_mem::write_u64(key, node.map_or(0, |node| node.0))?;
        driver_mem::write_u32(deleted, changes)?;
        let found = node.filter(|_| status.cast_signed() >= 0);
        Ok(found.map_or(0, |node| table.element(node)))
    }

    /// `RtlGetElementGenericTableAvl`: by order of comparison, from 0.
    fn RtlGetElementGenericTableAvl<call>(table: u64, index: u32) -> u64 [max DISPATCH_LEVEL, ntddk] {
        Ok(Table::avl(table, Caller::of(call)).by_number(index)?)
    }

    /// `RtlNumberGenericTableElementsAvl`.
    fn RtlNumberGenericTableElementsAvl<call>(table: u64) -> u32 [max DISPATCH_LEVEL, ntddk] {
        Ok(Table::avl(table, Caller::of(call)).count()?)
    }

    /// `RtlIsGenericTableEmptyAvl`.
    fn RtlIsGenericTableEmptyAvl<call>(table: u64) -> bool [max DISPATCH_LEVEL, ntddk] {
        Ok(Table::avl(table, Caller::of(call)).count()? == 0)
    }
}
