//! Generic tables over AVL trees (`RTL_AVL_TABLE`).

use nt_layout::{RtlAvlTable, RtlBalancedLinks};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::DISPATCH_LEVEL;

use super::{ChildSide, Node, Search, Table, TableLayout, avl, write_is_new};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;

impl TableLayout for RtlAvlTable {
    const NODE_SIZE: u64 = DriverPtr::<RtlBalancedLinks>::SIZE;

    fn element_count(&self) -> &u32 {
        &self.number_generic_table_elements
    }

    fn compare_routine(&self) -> &u64 {
        &self.compare_routine
    }

    fn allocate_routine(&self) -> &u64 {
        &self.allocate_routine
    }

    fn free_routine(&self) -> &u64 {
        &self.free_routine
    }
}

impl Table<'_, RtlAvlTable> {
    fn head(&self) -> Node {
        Node(self.table.address())
    }

    fn top(&self) -> Result<Option<Node>, Fault> {
        if self.count()? == 0 {
            return Ok(None);
        }
        self.head().child(ChildSide::Right)
    }

    fn after(&self, node: Node) -> Result<Option<Node>, Fault> {
        avl::next(self.head(), node, ChildSide::Right)
    }

    /// Clears the position of the last access by number.
    fn forget_number(&self) -> Result<(), Fault> {
        self.table.set(|table| &table.which_ordered_element, 0)?;
        self.table.set(|table| &table.ordered_pointer, 0)
    }

    fn add(&self, buffer: u64, length: u32, new: u64, search: Search) -> Result<u64, NoReturn> {
        let (parent, side) = match search {
            Search::Found(node) => {
                write_is_new(new, false)?;
                return Ok(self.element(node));
            }
            Search::Missing(node, side) => (node, side),
            Search::Empty => (self.head(), ChildSide::Right),
        };
        let Some(node) = self.allocate(length)? else {
            write_is_new(new, false)?;
            return Ok(0);
        };
        self.set_count(self.count()?.wrapping_add(1))?;
        self.forget_number()?;
        if avl::insert(self.head(), node, parent, side)? {
            let depth = self.table.get(|table| &table.depth_of_tree)?;
            self.table
                .set(|table| &table.depth_of_tree, depth.wrapping_add(1))?;
        }
        driver_mem::copy(self.element(node), buffer, length.into())?;
        write_is_new(new, true)?;
        Ok(self.element(node))
    }

    /// The next element of an enumeration whose last node is at `key`.
    fn step(&self, key: DriverPtr<u64>) -> Result<u64, Fault> {
        let Some(top) = self.top()? else {
            return Ok(0);
        };
        let node = match key.read()? {
            0 => Some(top.outermost(ChildSide::Left)?),
            last => self.after(Node(last))?,
        };
        let Some(node) = node else { return Ok(0) };
        key.write(node.0)?;
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
        let number = index + 1;
        let which = self.table.get(|table| &table.which_ordered_element)?;
        let mut node = self.table.get(|table| &table.ordered_pointer).map(Node)?;
        let mut at = which;
        if which == 0 || which.abs_diff(number) > index {
            node = top.outermost(ChildSide::Left)?;
            at = 1;
        }
        while at != number {
            let side = if at < number {
                ChildSide::Right
            } else {
                ChildSide::Left
            };
            let Some(next) = avl::next(self.head(), node, side)? else {
                return Ok(0);
            };
            node = next;
            at = if at < number { at + 1 } else { at - 1 };
        }
        self.table
            .set(|table| &table.which_ordered_element, number)?;
        self.table.set(|table| &table.ordered_pointer, node.0)?;
        Ok(self.element(node))
    }

    /// The first node of a directory-like enumeration: the element that equals the
    /// buffer, or the first greater one; the next one if an equal element is skipped.
    fn resume(&self, buffer: u64, skip: bool) -> Result<Option<Node>, NoReturn> {
        Ok(match self.search(self.top()?, buffer)? {
            Search::Empty => None,
            Search::Found(node) if skip => self.after(node)?,
            Search::Found(node) | Search::Missing(node, ChildSide::Left) => Some(node),
            Search::Missing(node, ChildSide::Right) => self.after(node)?,
        })
    }
}

exports! {
    /// `RtlInitializeGenericTableAvl`.
    fn RtlInitializeGenericTableAvl(table: DriverPtr<RtlAvlTable>, compare: u64, allocate: u64, free: u64, context: u64) -> ()
        [max DISPATCH_LEVEL, ntddk] {
        driver_mem::fill(table.address(), 0, DriverPtr::<RtlAvlTable>::SIZE)?;
        let head = Node(table.address());
        head.set_parent(head)?;
        table.set(RtlAvlTable::compare_routine, compare)?;
        table.set(RtlAvlTable::allocate_routine, allocate)?;
        table.set(RtlAvlTable::free_routine, free)?;
        Ok(table.set(|table| &table.table_context, context)?)
    }

    /// `RtlInsertElementGenericTableAvl`: the element, new or found; NULL without
    /// memory.
    fn RtlInsertElementGenericTableAvl<call>(table: DriverPtr<RtlAvlTable>, buffer: u64, size: u32, new: u64) -> u64
        [max DISPATCH_LEVEL, ntddk] {
        let table = Table::new(table, CallContext::of(call));
        let search = table.search(table.top()?, buffer)?;
        table.add(buffer, size, new, search)
    }

    /// `RtlInsertElementGenericTableFullAvl`: where a search has found its place.
    fn RtlInsertElementGenericTableFullAvl<call>(
        table: DriverPtr<RtlAvlTable>, buffer: u64, size: u32, new: u64, node: u64, search: u32,
    ) -> u64 [max DISPATCH_LEVEL, ntddk] {
        let table = Table::new(table, CallContext::of(call));
        table.add(buffer, size, new, Search::from_driver(search, node))
    }

    /// `RtlDeleteElementGenericTableAvl`: whether there was one. An enumeration
    /// that stands on it steps back.
    fn RtlDeleteElementGenericTableAvl<call>(table: DriverPtr<RtlAvlTable>, buffer: u64) -> bool [max DISPATCH_LEVEL, ntddk] {
        let table = Table::new(table, CallContext::of(call));
        let Search::Found(node) = table.search(table.top()?, buffer)? else { return Ok(false) };
        let key = table.table.at(|table| &table.restart_key);
        if key.read()? == node.0 {
            let before = avl::next(table.head(), node, ChildSide::Left)?;
            key.write(before.map_or(0, |before| before.0))?;
        }
        let deletions = table.table.get(|table| &table.delete_count)?;
        table.table.set(|table| &table.delete_count, deletions.wrapping_add(1))?;
        if avl::delete(table.head(), node)? {
            let depth = table.table.get(|table| &table.depth_of_tree)?;
            table.table.set(|table| &table.depth_of_tree, depth.wrapping_sub(1))?;
        }
        table.set_count(table.count()?.wrapping_sub(1))?;
        table.forget_number()?;
        table.free(node)?;
        Ok(true)
    }

    /// `RtlLookupElementGenericTableAvl`.
    fn RtlLookupElementGenericTableAvl<call>(table: DriverPtr<RtlAvlTable>, buffer: u64) -> u64 [max DISPATCH_LEVEL, ntddk] {
        let table = Table::new(table, CallContext::of(call));
        match table.search(table.top()?, buffer)? {
            Search::Found(node) => Ok(table.element(node)),
            _ => Ok(0),
        }
    }

    /// `RtlLookupElementGenericTableFullAvl`: also where it would be.
    fn RtlLookupElementGenericTableFullAvl<call>(table: DriverPtr<RtlAvlTable>, buffer: u64, node: u64, result: u64) -> u64
        [max DISPATCH_LEVEL, ntddk] {
        let table = Table::new(table, CallContext::of(call));
        let search = table.search(table.top()?, buffer)?;
        search.store(node, result)?;
        match search {
            Search::Found(node) => Ok(table.element(node)),
            _ => Ok(0),
        }
    }

    /// `RtlLookupFirstMatchingElementGenericTableAvl`: the first of those that the
    /// comparison calls equal, and where to go on.
    fn RtlLookupFirstMatchingElementGenericTableAvl<call>(table: DriverPtr<RtlAvlTable>, buffer: u64, key: u64) -> u64
        [max DISPATCH_LEVEL, ntddk] {
        let table = Table::new(table, CallContext::of(call));
        driver_mem::write_u64(key, 0)?;
        let Search::Found(mut node) = table.search(table.top()?, buffer)? else { return Ok(0) };
        while let Some(before) = avl::next(table.head(), node, ChildSide::Left)? {
            let order = table.caller.call(table.table.get(RtlAvlTable::compare_routine)?, &[table.table.address(), buffer, table.element(before)]);
            if matches!(order & 0xffff_ffff, 0 | 1) {
                break;
            }
            node = before;
        }
        driver_mem::write_u64(key, node.0)?;
        Ok(table.element(node))
    }

    /// `RtlEnumerateGenericTableAvl`: the table holds the last node.
    fn RtlEnumerateGenericTableAvl<call>(table: DriverPtr<RtlAvlTable>, restart: bool) -> u64 [max DISPATCH_LEVEL, ntddk] {
        let key = table.at(|table| &table.restart_key);
        if restart {
            key.write(0)?;
        }
        Ok(Table::new(table, CallContext::of(call)).step(key)?)
    }

    /// `RtlEnumerateGenericTableWithoutSplayingAvl`: the caller holds the last node.
    fn RtlEnumerateGenericTableWithoutSplayingAvl<call>(table: DriverPtr<RtlAvlTable>, key: DriverPtr<u64>) -> u64 [max DISPATCH_LEVEL, ntddk] {
        Ok(Table::new(table, CallContext::of(call)).step(key)?)
    }

    /// `RtlEnumerateGenericTableLikeADirectory`: goes on where it stood, or, if
    /// something was deleted since, at what the buffer names.
    fn RtlEnumerateGenericTableLikeADirectory<call>(
        table: DriverPtr<RtlAvlTable>, matches: u64, data: u64, skip: u32, key: u64, deleted: u64, buffer: u64,
    ) -> u64 [max DISPATCH_LEVEL, ntddk] {
        let table = Table::new(table, CallContext::of(call));
        if table.top()?.is_none() {
            driver_mem::write_u64(key, 0)?;
            return Ok(0);
        }
        let changes = table.table.get(|table| &table.delete_count)?;
        let last = if driver_mem::read_u32(deleted)? == changes { driver_mem::read_u64(key)? } else { 0 };
        let mut node = match last {
            0 => table.resume(buffer, skip != 0)?,
            last if skip != 0 => table.after(Node(last))?,
            last => Some(Node(last)),
        };
        let mut status = nt_status::STATUS_NO_MATCH;
        while let Some(at) = node {
            let arguments = [table.table.address(), table.element(at), data];
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
    fn RtlGetElementGenericTableAvl<call>(table: DriverPtr<RtlAvlTable>, index: u32) -> u64 [max DISPATCH_LEVEL, ntddk] {
        Ok(Table::new(table, CallContext::of(call)).by_number(index)?)
    }

    /// `RtlNumberGenericTableElementsAvl`.
    fn RtlNumberGenericTableElementsAvl<call>(table: DriverPtr<RtlAvlTable>) -> u32 [max DISPATCH_LEVEL, ntddk] {
        Ok(Table::new(table, CallContext::of(call)).count()?)
    }

    /// `RtlIsGenericTableEmptyAvl`.
    fn RtlIsGenericTableEmptyAvl<call>(table: DriverPtr<RtlAvlTable>) -> bool [max DISPATCH_LEVEL, ntddk] {
        Ok(Table::new(table, CallContext::of(call)).count()? == 0)
    }
}
