//! Generic tables: a driver's elements in order of its own comparison, in memory
//! of its own allocation. There are two kinds, over splay trees and over AVL
//! trees; the links lie in the driver's memory with the layout of the reference,
//! so that its macros and debuggers read them.

pub mod avl;
pub mod avl_table;
pub mod splay;
pub mod splay_table;
#[cfg(test)]
mod tests;

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::Stop;
use ntbox_host::routine::Routine;

use crate::base::call_context::Caller;

/// `GenericLessThan`: the first element comes before the second.
const LESS: u32 = 0;
/// `GenericGreaterThan`.
const GREATER: u32 = 1;

/// Which child of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What comes before it.
    Left,
    /// What comes after it.
    Right,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// The links that both kinds of nodes begin with: parent, left child, right
/// child. An address in the driver, of which nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node(pub u64);

impl Node {
    /// The node above it.
    pub fn parent(self) -> Result<Self, Fault> {
        driver_mem::read_u64(self.0).map(Self)
    }

    /// Sets the node above it.
    pub fn set_parent(self, parent: Self) -> Result<(), Fault> {
        driver_mem::write_u64(self.0, parent.0)
    }

    /// A child, if there is one.
    pub fn child(self, side: Side) -> Result<Option<Self>, Fault> {
        let child = driver_mem::read_u64(self.slot(side))?;
        Ok((child != 0).then_some(Self(child)))
    }

    /// Sets a child, whose parent is then this one.
    pub fn adopt(self, side: Side, child: Option<Self>) -> Result<(), Fault> {
        driver_mem::write_u64(self.slot(side), child.map_or(0, |child| child.0))?;
        child.map_or(Ok(()), |child| child.set_parent(self))
    }

    /// Which child of `parent` it is.
    pub fn side_of(self, parent: Self) -> Result<Side, Fault> {
        let left = driver_mem::read_u64(parent.slot(Side::Left))? == self.0;
        Ok(if left { Side::Left } else { Side::Right })
    }

    /// The last node on a side of the tree below it; itself if there is none.
    pub fn outermost(self, side: Side) -> Result<Self, Fault> {
        let mut node = self;
        while let Some(child) = node.child(side)? {
            node = child;
        }
        Ok(node)
    }

    fn slot(self, side: Side) -> u64 {
        self.0.wrapping_add(match side {
            Side::Left => 8,
            Side::Right => 16,
        })
    }
}

/// Where the search for an element has ended: `TABLE_SEARCH_RESULT`, with the
/// node that was found or would be the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// There are no elements.
    Empty,
    /// This is the one.
    Found(Node),
    /// There is none; it would be this child of this node.
    Missing(Node, Side),
}

impl Search {
    /// The number of the reference, and the node.
    fn to_driver(self) -> (u32, Option<Node>) {
        match self {
            Self::Empty => (0, None),
            Self::Found(node) => (1, Some(node)),
            Self::Missing(node, Side::Left) => (2, Some(node)),
            Self::Missing(node, Side::Right) => (3, Some(node)),
        }
    }

    /// What a driver hands back of an earlier search.
    fn from_driver(result: u32, node: u64) -> Self {
        match result {
            0 => Self::Empty,
            1 => Self::Found(Node(node)),
            2 => Self::Missing(Node(node), Side::Left),
            _ => Self::Missing(Node(node), Side::Right),
        }
    }

    /// Stores it where a driver wants it; an empty table leaves the node alone.
    fn store(self, node_or_parent: u64, result: u64) -> Result<(), Fault> {
        let (number, node) = self.to_driver();
        if let Some(node) = node {
            driver_mem::write_u64(node_or_parent, node.0)?;
        }
        driver_mem::write_u32(result, number)
    }
}

/// The parts of a table's layout in which the two kinds differ.
#[derive(Debug)]
struct Layout {
    /// Offset of the compare routine; allocate, free and context follow.
    routines: u64,
    /// Offset of the number of elements.
    count: u64,
    /// Bytes of a node in front of the driver's element.
    header: u64,
}

/// A table in the driver, for the time of one call.
#[derive(Debug, Clone, Copy)]
struct Table<'a> {
    va: u64,
    layout: &'static Layout,
    caller: Caller<'a>,
}

impl Table<'_> {
    fn routine(&self, number: u64) -> Result<u64, Fault> {
        driver_mem::read_u64(self.va.wrapping_add(self.layout.routines + 8 * number))
    }

    /// The element behind a node's links.
    fn element(&self, node: Node) -> u64 {
        node.0.wrapping_add(self.layout.header)
    }

    /// Number of elements.
    fn count(&self) -> Result<u32, Fault> {
        driver_mem::read_u32(self.va.wrapping_add(self.layout.count))
    }

    fn set_count(&self, count: u32) -> Result<(), Fault> {
        driver_mem::write_u32(self.va.wrapping_add(self.layout.count), count)
    }

    /// Searches below `root`.
    fn search(&self, root: Option<Node>, buffer: u64) -> Result<Search, Stop> {
        let compare = Routine::new(self.routine(0)?, "compare routine").held_by(self.va, "table");
        let Some(mut node) = root else {
            return Ok(Search::Empty);
        };
        loop {
            let order = self
                .caller
                .call(compare, &[self.va, buffer, self.element(node)]);
            // An enumeration: the low 32 bits.
            let side = match order & 0xffff_ffff {
                order if order == u64::from(LESS) => Side::Left,
                order if order == u64::from(GREATER) => Side::Right,
                _ => return Ok(Search::Found(node)),
            };
            match node.child(side)? {
                Some(child) => node = child,
                None => return Ok(Search::Missing(node, side)),
            }
        }
    }

    /// A new node with room for an element of `size` bytes, its links zero;
    /// `None` if the driver has no memory.
    fn allocate(&self, size: u32) -> Result<Option<Node>, Stop> {
        let header = self.layout.header;
        let bytes = u64::from(size) + header;
        let node = self.caller.call(self.routine(1)?, &[self.va, bytes]);
        if node == 0 {
            return Ok(None);
        }
        driver_mem::fill(node, 0, header)?;
        Ok(Some(Node(node)))
    }

    /// Gives a node back to the driver.
    fn free(&self, node: Node) -> Result<(), Stop> {
        self.caller.call(self.routine(2)?, &[self.va, node.0]);
        Ok(())
    }
}

/// Tells, if it is to be told, whether an element is new.
fn tell_new(to: u64, new: bool) -> Result<(), Fault> {
    if to == 0 {
        return Ok(());
    }
    driver_mem::write_u8(to, new.into())
}
