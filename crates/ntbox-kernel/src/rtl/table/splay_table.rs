//! Generic tables over splay trees (`RTL_GENERIC_TABLE`), which also list their
//! elements in order of insertion.

use nt_layout::{ListEntry, RtlGenericTable, RtlGenericTableNode};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::DISPATCH_LEVEL;

use super::splay::address;
use super::{ChildSide, Node, Search, Table, TableLayout, splay, write_is_new};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;

impl TableLayout for RtlGenericTable {
    const NODE_SIZE: u64 = DriverPtr::<RtlGenericTableNode>::SIZE;

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

/// The entry of a node in the list of insertion.
fn entry_of(node: Node) -> DriverPtr<ListEntry> {
    DriverPtr::<RtlGenericTableNode>::new(node.0).at(|node| &node.list_entry)
}

impl Table<'_, RtlGenericTable> {
    fn root(&self) -> Result<Option<Node>, Fault> {
        let root = self.table.get(|table| &table.table_root)?;
        Ok((root != 0).then_some(Node(root)))
    }

    fn set_root(&self, root: Option<Node>) -> Result<(), Fault> {
        self.table.set(|table| &table.table_root, address(root))
    }

    fn insert_order(&self) -> DriverPtr<ListEntry> {
        self.table.at(|table| &table.insert_order_list)
    }

    /// Clears the position of the last access by number.
    fn forget_position(&self) -> Result<(), Fault> {
        self.table.set(|table| &table.which_ordered_element, 0)?;
        self.table.set(
            |table| &table.ordered_pointer,
            self.insert_order().address(),
        )
    }

    /// Brings a node to the root; its element.
    fn bring_up(&self, node: Node) -> Result<u64, Fault> {
        splay::splay(node)?;
        self.set_root(Some(node))?;
        Ok(self.element(node))
    }

    fn insert(&self, buffer: u64, length: u32, new: u64, search: Search) -> Result<u64, NoReturn> {
        let (parent, side) = match search {
            Search::Found(node) => {
                write_is_new(new, false)?;
                return Ok(self.bring_up(node)?);
            }
            Search::Missing(node, side) => (Some(node), side),
            Search::Empty => (None, ChildSide::Left),
        };
        let Some(node) = self.allocate(length)? else {
            write_is_new(new, false)?;
            return Ok(0);
        };
        append(self.insert_order(), entry_of(node))?;
        self.set_count(self.count()?.wrapping_add(1))?;
        match parent {
            Some(parent) => parent.adopt(side, Some(node))?,
            None => node.set_parent(node)?,
        }
        driver_mem::copy(self.element(node), buffer, length.into())?;
        write_is_new(new, true)?;
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
        let which = self.table.get(|table| &table.which_ordered_element)?;
        let pointer = self.table.get(|table| &table.ordered_pointer)?;
        let target = index + 1;
        let head = self.insert_order();
        let starts = [
            (which, DriverPtr::new(pointer)),
            (0, head),
            (count + 1, head),
        ];
        let (mut at, mut entry) = starts
            .into_iter()
            .min_by_key(|(number, _)| number.abs_diff(target))
            .unwrap_or((0, head));
        while at != target {
            let forward = at < target;
            let next = entry.get(|entry| if forward { &entry.flink } else { &entry.blink })?;
            entry = DriverPtr::new(next);
            at = if forward { at + 1 } else { at - 1 };
        }
        self.table
            .set(|table| &table.which_ordered_element, target)?;
        self.table
            .set(|table| &table.ordered_pointer, entry.address())?;
        let node = entry.containing(|node: &RtlGenericTableNode| &node.list_entry);
        Ok(self.element(Node(node.address())))
    }
}

/// Adds an entry at the tail of a list.
fn append(head: DriverPtr<ListEntry>, entry: DriverPtr<ListEntry>) -> Result<(), Fault> {
    let last = DriverPtr::<ListEntry>::new(head.get(|head| &head.blink)?);
    entry.set(|entry| &entry.flink, head.address())?;
    entry.set(|entry| &entry.blink, last.address())?;
    last.set(|last| &last.flink, entry.address())?;
    head.set(|head| &head.blink, entry.address())
}

/// Removes an entry from its list.
fn remove(entry: DriverPtr<ListEntry>) -> Result<(), Fault> {
    let next = DriverPtr::<ListEntry>::new(entry.get(|entry| &entry.flink)?);
    let previous = DriverPtr::<ListEntry>::new(entry.get(|entry| &entry.blink)?);
    previous.set(|previous| &previous.flink, next.address())?;
    next.set(|next| &next.blink, previous.address())
}

exports! {
    /// `RtlInitializeGenericTable`.
    fn RtlInitializeGenericTable(table: DriverPtr<RtlGenericTable>, compare: u64, allocate: u64, free: u64, context: u64) -> ()
        [max DISPATCH_LEVEL, ntddk] {
        let order = table.at(|table| &table.insert_order_list).address();
        // Root; head of the list; the list's head as the last position; number of
        // that position and of elements.
        let fields = [0, order, order, order, 0, compare, allocate, free, context];
        for (n, field) in (0..).zip(fields) {
            table.cast().next(n).write(field)?;
        }
        Ok(())
    }

    /// `RtlInsertElementGenericTable`: the element, new or found; NULL without
    /// memory.
    fn RtlInsertElementGenericTable<call>(table: DriverPtr<RtlGenericTable>, buffer: u64, size: u32, new: u64) -> u64
        [max DISPATCH_LEVEL, ntddk] {
        let table = Table::new(table, CallContext::of(call));
        let search = table.search(table.root()?, buffer)?;
        table.insert(buffer, size, new, search)
    }

    /// `RtlInsertElementGenericTableFull`: where a search has found its place.
    fn RtlInsertElementGenericTableFull<call>(
        table: DriverPtr<RtlGenericTable>, buffer: u64, size: u32, new: u64, node: u64, search: u32,
    ) -> u64 [max DISPATCH_LEVEL, undocumented] {
        let table = Table::new(table, CallContext::of(call));
        table.insert(buffer, size, new, Search::from_driver(search, node))
    }

    /// `RtlDeleteElementGenericTable`: whether there was one.
    fn RtlDeleteElementGenericTable<call>(table: DriverPtr<RtlGenericTable>, buffer: u64) -> bool [max DISPATCH_LEVEL, ntddk] {
        let table = Table::new(table, CallContext::of(call));
        let Search::Found(node) = table.search(table.root()?, buffer)? else { return Ok(false) };
        table.set_root(splay::delete(node)?)?;
        remove(entry_of(node))?;
        table.set_count(table.count()?.wrapping_sub(1))?;
        table.forget_position()?;
        table.free(node)?;
        Ok(true)
    }

    /// `RtlLookupElementGenericTable`: what is found becomes the root.
    fn RtlLookupElementGenericTable<call>(table: DriverPtr<RtlGenericTable>, buffer: u64) -> u64 [max DISPATCH_LEVEL, ntddk] {
        let table = Table::new(table, CallContext::of(call));
        match table.search(table.root()?, buffer)? {
            Search::Found(node) => Ok(table.bring_up(node)?),
            _ => Ok(0),
        }
    }

    /// `RtlLookupElementGenericTableFull`: also where it would be.
    fn RtlLookupElementGenericTableFull<call>(table: DriverPtr<RtlGenericTable>, buffer: u64, node: u64, result: u64) -> u64
        [max DISPATCH_LEVEL, undocumented] {
        let table = Table::new(table, CallContext::of(call));
        let search = table.search(table.root()?, buffer)?;
        search.store(node, result)?;
        match search {
            Search::Found(node) => Ok(table.bring_up(node)?),
            _ => Ok(0),
        }
    }

    /// `RtlEnumerateGenericTable`: the first, or the one after the last that was
    /// given, which is the root.
    fn RtlEnumerateGenericTable<call>(table: DriverPtr<RtlGenericTable>, restart: bool) -> u64 [max DISPATCH_LEVEL, ntddk] {
        let table = Table::new(table, CallContext::of(call));
        let Some(root) = table.root()? else { return Ok(0) };
        let node = if restart { Some(root.outermost(ChildSide::Left)?) } else { splay::next(root, ChildSide::Right)? };
        Ok(node.map(|node| table.bring_up(node)).transpose()?.unwrap_or(0))
    }

    /// `RtlEnumerateGenericTableWithoutSplaying`: the caller holds the last node.
    fn RtlEnumerateGenericTableWithoutSplaying<call>(table: DriverPtr<RtlGenericTable>, key: u64) -> u64 [max DISPATCH_LEVEL, ntddk] {
        let table = Table::new(table, CallContext::of(call));
        let Some(root) = table.root()? else { return Ok(0) };
        let node = match driver_mem::read_u64(key)? {
            0 => Some(root.outermost(ChildSide::Left)?),
            last => splay::next(Node(last), ChildSide::Right)?,
        };
        let Some(node) = node else { return Ok(0) };
        driver_mem::write_u64(key, node.0)?;
        Ok(table.element(node))
    }

    /// `RtlGetElementGenericTable`: by order of insertion, from 0.
    fn RtlGetElementGenericTable<call>(table: DriverPtr<RtlGenericTable>, index: u32) -> u64 [max DISPATCH_LEVEL, ntddk] {
        Ok(Table::new(table, CallContext::of(call)).by_order(index)?)
    }

    /// `RtlNumberGenericTableElements`.
    fn RtlNumberGenericTableElements<call>(table: DriverPtr<RtlGenericTable>) -> u32 [max DISPATCH_LEVEL, ntddk] {
        Ok(Table::new(table, CallContext::of(call)).count()?)
    }

    /// `RtlIsGenericTableEmpty`.
    fn RtlIsGenericTableEmpty<call>(table: DriverPtr<RtlGenericTable>) -> bool [max DISPATCH_LEVEL, ntddk] {
        Ok(Table::new(table, CallContext::of(call)).root()?.is_none())
    }
}
