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

use nt_layout::RtlSplayLinks;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::NoReturn;
use ntbox_host::routine::Routine;
use zerocopy::FromZeros;

use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;

/// `GenericLessThan`: the first element comes before the second.
const LESS: u32 = 0;
/// `GenericGreaterThan`.
const GREATER: u32 = 1;

/// Which child of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildSide {
    /// What comes before it.
    Left,
    /// What comes after it.
    Right,
}

impl ChildSide {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// A node of either kind of tree. Both begin with parent, left child and right child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node(pub u64);

impl Node {
    fn links(self) -> DriverPtr<RtlSplayLinks> {
        DriverPtr::new(self.0)
    }

    /// The parent.
    pub fn parent(self) -> Result<Self, Fault> {
        self.links().get(|links| &links.parent).map(Self)
    }

    /// Sets the parent.
    pub fn set_parent(self, parent: Self) -> Result<(), Fault> {
        self.links().set(|links| &links.parent, parent.0)
    }

    /// A child, if there is one.
    pub fn child(self, side: ChildSide) -> Result<Option<Self>, Fault> {
        let child = self.child_link(side).read()?;
        Ok((child != 0).then_some(Self(child)))
    }

    /// Sets a child, and this node as the child's parent.
    pub fn adopt(self, side: ChildSide, child: Option<Self>) -> Result<(), Fault> {
        self.child_link(side)
            .write(child.map_or(0, |child| child.0))?;
        child.map_or(Ok(()), |child| child.set_parent(self))
    }

    /// Which child of `parent` it is.
    pub fn side_of(self, parent: Self) -> Result<ChildSide, Fault> {
        let left = parent.child_link(ChildSide::Left).read()? == self.0;
        Ok(if left {
            ChildSide::Left
        } else {
            ChildSide::Right
        })
    }

    /// The last node on a side of the tree below it; itself if there is none.
    pub fn outermost(self, side: ChildSide) -> Result<Self, Fault> {
        let mut node = self;
        while let Some(child) = node.child(side)? {
            node = child;
        }
        Ok(node)
    }

    fn child_link(self, side: ChildSide) -> DriverPtr<u64> {
        self.links().at(|links| match side {
            ChildSide::Left => &links.left_child,
            ChildSide::Right => &links.right_child,
        })
    }
}

/// Result of a search for an element: `TABLE_SEARCH_RESULT`, with the node that was
/// found or would be the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// There are no elements.
    Empty,
    /// This is the one.
    Found(Node),
    /// There is none; it would be this child of this node.
    Missing(Node, ChildSide),
}

impl Search {
    /// The value of `TABLE_SEARCH_RESULT`, and the node.
    fn to_driver(self) -> (u32, Option<Node>) {
        match self {
            Self::Empty => (0, None),
            Self::Found(node) => (1, Some(node)),
            Self::Missing(node, ChildSide::Left) => (2, Some(node)),
            Self::Missing(node, ChildSide::Right) => (3, Some(node)),
        }
    }

    /// The result of an earlier search, from a driver's arguments.
    fn from_driver(result: u32, node: u64) -> Self {
        match result {
            0 => Self::Empty,
            1 => Self::Found(Node(node)),
            2 => Self::Missing(Node(node), ChildSide::Left),
            _ => Self::Missing(Node(node), ChildSide::Right),
        }
    }

    /// Writes it to a driver's variables; an empty table leaves the node as it is.
    fn store(self, node_or_parent: u64, result: u64) -> Result<(), Fault> {
        let (number, node) = self.to_driver();
        if let Some(node) = node {
            driver_mem::write_u64(node_or_parent, node.0)?;
        }
        driver_mem::write_u32(result, number)
    }
}

/// What the two kinds of tables have in common, each in its own structure.
trait TableLayout: FromZeros {
    /// Bytes of a node in front of the driver's element.
    const NODE_SIZE: u64;

    fn element_count(&self) -> &u32;
    fn compare_routine(&self) -> &u64;
    fn allocate_routine(&self) -> &u64;
    fn free_routine(&self) -> &u64;
}

/// A table in the driver's memory, during one call.
#[derive(Debug, Clone, Copy)]
struct Table<'a, T> {
    table: DriverPtr<T>,
    caller: CallContext<'a>,
}

impl<'a, T: TableLayout> Table<'a, T> {
    fn new(table: DriverPtr<T>, caller: CallContext<'a>) -> Self {
        Self { table, caller }
    }

    /// The element behind a node's links.
    #[expect(
        clippy::unused_self,
        reason = "the table's type has the size of a node"
    )]
    fn element(&self, node: Node) -> u64 {
        node.0.wrapping_add(T::NODE_SIZE)
    }

    /// Number of elements.
    fn count(&self) -> Result<u32, Fault> {
        self.table.get(T::element_count)
    }

    fn set_count(&self, count: u32) -> Result<(), Fault> {
        self.table.set(T::element_count, count)
    }

    /// Searches below `root`.
    fn search(&self, root: Option<Node>, buffer: u64) -> Result<Search, NoReturn> {
        let compare = self.table.get(T::compare_routine)?;
        let compare =
            Routine::new(compare, "compare routine").held_by(self.table.address(), "table");
        let Some(mut node) = root else {
            return Ok(Search::Empty);
        };
        loop {
            let arguments = [self.table.address(), buffer, self.element(node)];
            let order = self.caller.call(compare, &arguments);
            // An enumeration: the low 32 bits.
            let side = match order & 0xffff_ffff {
                order if order == u64::from(LESS) => ChildSide::Left,
                order if order == u64::from(GREATER) => ChildSide::Right,
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
    fn allocate(&self, size: u32) -> Result<Option<Node>, NoReturn> {
        let bytes = u64::from(size) + T::NODE_SIZE;
        let routine = self.table.get(T::allocate_routine)?;
        let node = self.caller.call(routine, &[self.table.address(), bytes]);
        if node == 0 {
            return Ok(None);
        }
        driver_mem::fill(node, 0, T::NODE_SIZE)?;
        Ok(Some(Node(node)))
    }

    /// Frees a node with the driver's routine.
    fn free(&self, node: Node) -> Result<(), NoReturn> {
        let routine = self.table.get(T::free_routine)?;
        self.caller.call(routine, &[self.table.address(), node.0]);
        Ok(())
    }
}

/// Writes whether an element is new to a driver's variable, if there is one.
fn write_is_new(to: u64, new: bool) -> Result<(), Fault> {
    if to == 0 {
        return Ok(());
    }
    driver_mem::write_u8(to, new.into())
}
