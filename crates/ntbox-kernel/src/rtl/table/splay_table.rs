//! Generic tables over splay trees (`RTL_GENERIC_TABLE`), which also know the
//! order in which elements came.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::DISPATCH_LEVEL;

use super::splay::address;
use super::{Layout, Node, Search, Side, Table, splay, tell_new};
use crate::base::call_context::Caller;
use crate::base::export::exports;

/// Offsets in an `RTL_GENERIC_TABLE`.
mod offset {
    pub const ROOT: u64 = 0;
    pub const INSERT_ORDER: u64 = 8;
    pub const ORDERED_POINTER: u64 = 24;
    pub const WHICH_ORDERED: u64 = 32;
}

const LAYOUT: Layout = Layout {
    routines: 40,
    count: 36,
    // Splay links and the entry in the list of insertion.
    header: 40,
};

/// Offset of the list entry in a node.
const LIST_ENTRY: u64 = 24;

impl<'a> Table<'a> {
    fn splay(va: u64, caller: Caller<'a>) -> Self {
        Self {
            va,
            layout: &LAYOUT,
            caller,
        }
    }

    fn root(&self) -> Result<Option<Node>, Fault> {
        let root = driver_mem::read_u64(self.va.wrapping_add(offset::ROOT))?;
        Ok((root != 0).then_some(Node(root)))
    }

    fn set_root(&self, root: Option<Node>) -> Result<(), Fault> {
        driver_mem::write_u64(self.va.wrapping_add(offset::ROOT), address(root))
    }

    fn order(&self) -> u64 {
        self.va.wrapping_add(offset::INSERT_ORDER)
    }

    /// Forgets which element was last asked for by its number.
    fn forget_position(&self) -> Result<(), Fault> {
        driver_mem::write_u32(self.va.wrapping_add(offset::WHICH_ORDERED), 0)?;
        driver_mem::write_u64(self.va.wrapping_add(offset::ORDERED_POINTER), self.order())
    }

    /// Brings a node to the root; its element.
    fn bring_up(&self, node: Node) -> Result<u64, Fault> {
        splay::splay(node)?;
        self.set_root(Some(node))?;
        Ok(self.element(node))
    }

    fn insert(&self, buffer: u64, length: u32, new: u64, search: Search) -> Result<u64, Stop> {
        let (parent, side) = match search {
            Search::Found(node) => {
                tell_new(new, false)?;
                return Ok(self.bring_up(node)?);
            }
            Search::Missing(node, side) => (Some(node), side),
            Search::Empty => (None, Side::Left),
        };
        let Some(node) = self.allocate(length)? else {
            tell_new(new, false)?;
            return Ok(0);
        };
        append(self.order(), node.0.wrapping_add(LIST_ENTRY))?;
        self.set_count(self.count()?.wrapping_add(1))?;
        match parent {
            Some(parent) => parent.adopt(side, Some(node))?,
            None => node.set_parent(node)?,
        }
        driver_mem::copy(self.element(node), buffer, length.into())?;
        tell_new(new, true)?;
        Ok(self.bring_up(node)?)
    }

    /// The element that was inserted as number `index`.
    fn by_order(&self, index: u32) -> Result<u64, Fault> {
        let count = self.count()?;
        if index >= count {
            return Ok(0);
        }
        // From the nearest of: the one asked for last, the first, the last. Their
        // numbers count from 1; the head of the list is 0.
        let which = driver_mem::read_u32(self.va.wrapping_add(offset::WHICH_ORDERED))?;
        let pointer = driver_mem::read_u64(self.va.wrapping_add(offset::ORDERED_POINTER))?;
        let wanted = index + 1;
        let starts = [
            (which, pointer),
            (0, self.order()),
            (count + 1, self.order()),
        ];
        let (mut at, mut entry) = starts
            .into_iter()
            .min_by_key(|(number, _)| number.abs_diff(wanted))
            .unwrap_or((0, self.order()));
        while at != wanted {
            let forward = at < wanted;
            entry = driver_mem::read_u64(entry.wrapping_add(if forward { 0 } else { 8 }))?;
            at = if forward { at + 1 } else { at - 1 };
        }
        driver_mem::write_u32(self.va.wrapping_add(offset::WHICH_ORDERED), wanted)?;
        driver_mem::write_u64(self.va.wrapping_add(offset::ORDERED_POINTER), entry)?;
        Ok(self.element(Node(entry.wrapping_sub(LIST_ENTRY))))
    }
}

/// Adds an entry at the tail of a list.
fn append(head: u64, entry: u64) -> Result<(), Fault> {
    let last = driver_mem::read_u64(head.wrapping_add(8))?;
    driver_mem::write_u64(entry, head)?;
    driver_mem::write_u64(entry.wrapping_add(8), last)?;
    driver_mem::write_u64(last, entry)?;
    driver_mem::write_u64(head.wrapping_add(8), entry)
}

/// Takes an entry out of its list.
fn remove(entry: u64) -> Result<(), Fault> {
    let next = driver_mem::read_u64(entry)?;
    let previous = driver_mem::read_u64(entry.wrapping_add(8))?;
    driver_mem::write_u64(previous, next)?;
    driver_mem::write_u64(next.wrapping_add(8), previous)
}

exports! {
    /// `RtlInitializeGenericTable`.
    fn RtlInitializeGenericTable(table: u64, compare: u64, allocate: u64, free: u64, context: u64) -> ()
        [max DISPATCH_LEVEL, ntddk] {
        let order = table.wrapping_add(offset::INSERT_ORDER);
        // Root; head of the list; the list's head as the last position; number of
        // that position and of elements.
        let fields = [0, order, order, order, 0, compare, allocate, free, context];
        for (n, field) in (0..).zip(fields) {
            driver_mem::write_u64(table.wrapping_add(8 * n), field)?;
        }
        Ok(())
    }

    /// `RtlInsertElementGenericTable`: the element, new or found; NULL without
    /// memory.
    fn RtlInsertElementGenericTable<call>(table: u64, buffer: u64, size: u32, new: u64) -> u64
        [max DISPATCH_LEVEL, ntddk] {
        let table = Table::splay(table, Caller::of(call));
        let search = table.search(table.root()?, buffer)?;
        table.insert(buffer, size, new, search)
    }

    /// `RtlInsertElementGenericTableFull`: where a search has found its place.
    fn RtlInsertElementGenericTableFull<call>(
        table: u64, buffer: u64, size: u32, new: u64, node: u64, search: u32,
    ) -> u64 [max DISPATCH_LEVEL, undocumented] {
        let table = Table::splay(table, Caller::of(call));
        table.insert(buffer, size, new, Search::from_driver(search, node))
    }

    /// `RtlDeleteElementGenericTable`: whether there was one.
    fn RtlDeleteElementGenericTable<call>(table: u64, buffer: u64) -> bool [max DISPATCH_LEVEL, ntddk] {
        let table = Table::splay(table, Caller::of(call));
        let Search::Found(node) = table.search(table.root()?, buffer)? else { return Ok(false) };
        table.set_root(splay::delete(node)?)?;
        remove(node.0.wrapping_add(LIST_ENTRY))?;
        table.set_count(table.count()?.wrapping_sub(1))?;
        table.forget_position()?;
        table.free(node)?;
        Ok(true)
    }

    /// `RtlLookupElementGenericTable`: what is found becomes the root.
    fn RtlLookupElementGenericTable<call>(table: u64, buffer: u64) -> u64 [max DISPATCH_LEVEL, ntddk] {
        let table = Table::splay(table, Caller::of(call));
        match table.search(table.root()?, buffer)? {
            Search::Found(node) => Ok(table.bring_up(node)?),
            _ => Ok(0),
        }
    }

    /// `RtlLookupElementGenericTableFull`: also where it would be.
    fn RtlLookupElementGenericTableFull<call>(table: u64, buffer: u64, node: u64, result: u64) -> u64
        [max DISPATCH_LEVEL, undocumented] {
        let table = Table::splay(table, Caller::of(call));
        let search = table.search(table.root()?, buffer)?;
        search.store(node, result)?;
        match search {
            Search::Found(node) => Ok(table.bring_up(node)?),
            _ => Ok(0),
        }
    }

    /// `RtlEnumerateGenericTable`: the first, or the one after the last that was
    /// given, which is the root.
    fn RtlEnumerateGenericTable<call>(table: u64, restart: bool) -> u64 [max DISPATCH_LEVEL, ntddk] {
        let table = Table::splay(table, Caller::of(call));
        let Some(root) = table.root()? else { return Ok(0) };
        let node = if restart { Some(root.outermost(Side::Left)?) } else { splay::next(root, Side::Right)? };
        Ok(node.map(|node| table.bring_up(node)).transpose()?.unwrap_or(0))
    }

    /// `RtlEnumerateGenericTableWithoutSplaying`: the caller remembers the node.
    fn RtlEnumerateGenericTableWithoutSplaying<call>(table: u64, key: u64) -> u64 [max DISPATCH_LEVEL, ntddk] {
        let table = Table::splay(table, Caller::of(call));
        let Some(root) = table.root()? else { return Ok(0) };
        let node = match driver_mem::read_u64(key)? {
            0 => Some(root.outermost(Side::Left)?),
            last => splay::next(Node(last), Side::Right)?,
        };
        let Some(node) = node else { return Ok(0) };
        driver_mem::write_u64(key, node.0)?;
        Ok(table.element(node))
    }

    /// `RtlGetElementGenericTable`: by order of insertion, from 0.
    fn RtlGetElementGenericTable<call>(table: u64, index: u32) -> u64 [max DISPATCH_LEVEL, ntddk] {
        Ok(Table::splay(table, Caller::of(call)).by_order(index)?)
    }

    /// `RtlNumberGenericTableElements`.
    fn RtlNumberGenericTableElements<call>(table: u64) -> u32 [max DISPATCH_LEVEL, ntddk] {
        Ok(Table::splay(table, Caller::of(call)).count()?)
    }

    /// `RtlIsGenericTableEmpty`.
    fn RtlIsGenericTableEmpty<call>(table: u64) -> bool [max DISPATCH_LEVEL, ntddk] {
        Ok(Table::splay(table, Caller::of(call)).root()?.is_none())
    }
}
