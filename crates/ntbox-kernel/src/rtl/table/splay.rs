//! Splay links: binary trees that bring what was used to the root. The parent of
//! a root is the root itself.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::DISPATCH_LEVEL;

use super::{ChildSide, Node};
use crate::base::export::exports;

/// Whether a node is its own parent.
fn is_root(node: Node) -> Result<bool, Fault> {
    Ok(node.parent()? == node)
}

/// Moves a node into its parent's place, and the parent below it.
fn rotate(node: Node) -> Result<(), Fault> {
    let parent = node.parent()?;
    let side = node.side_of(parent)?;
    replace(parent, node)?;
    parent.adopt(side, node.child(side.other())?)?;
    node.adopt(side.other(), Some(parent))
}

/// Puts `new` where `old` is: below its parent, or as the root.
fn replace(old: Node, new: Node) -> Result<(), Fault> {
    let above = old.parent()?;
    if above == old {
        return new.set_parent(new);
    }
    above.adopt(old.side_of(above)?, Some(new))
}

/// Brings a node to the root of its tree.
pub fn splay(node: Node) -> Result<(), Fault> {
    while !is_root(node)? {
        let parent = node.parent()?;
        if !is_root(parent)? {
            let grandparent = parent.parent()?;
            // On the same side, the parent goes first.
            let straight = node.side_of(parent)? == parent.side_of(grandparent)?;
            rotate(if straight { parent } else { node })?;
        }
        rotate(node)?;
    }
    Ok(())
}

/// The nearest node on a side in the tree below a node.
pub fn below(node: Node, side: ChildSide) -> Result<Option<Node>, Fault> {
    node.child(side)?
        .map(|child| child.outermost(side.other()))
        .transpose()
}

/// The next node on a side, in the order of the whole tree.
pub fn next(node: Node, side: ChildSide) -> Result<Option<Node>, Fault> {
    if let Some(found) = below(node, side)? {
        return Ok(Some(found));
    }
    let mut node = node;
    loop {
        let parent = node.parent()?;
        if parent == node {
            return Ok(None);
        }
        if node.side_of(parent)? == side.other() {
            return Ok(Some(parent));
        }
        node = parent;
    }
}

/// Takes a node out of its tree. What it leaves: the node that was above it, or
/// in its place if it was the root; `None` if the tree is empty.
fn unlink(node: Node) -> Result<Option<Node>, Fault> {
    if node.child(ChildSide::Left)?.is_some()
        && let Some(after) = below(node, ChildSide::Left)?
        && node.child(ChildSide::Right)?.is_some()
    {
        exchange(node, after)?;
    }
    let child = match node.child(ChildSide::Left)? {
        Some(child) => Some(child),
        None => node.child(ChildSide::Right)?,
    };
    let parent = node.parent()?;
    if parent == node {
        if let Some(child) = child {
            child.set_parent(child)?;
        }
        return Ok(child);
    }
    parent.adopt(node.side_of(parent)?, child)?;
    Ok(Some(parent))
}

/// Lets a node and its predecessor below it change places.
fn exchange(node: Node, predecessor: Node) -> Result<(), Fault> {
    let parent = predecessor.parent()?;
    let (left, right) = (node.child(ChildSide::Left)?, node.child(ChildSide::Right)?);
    let below = predecessor.child(ChildSide::Left)?;
    replace(node, predecessor)?;
    predecessor.adopt(ChildSide::Right, right)?;
    node.adopt(ChildSide::Left, below)?;
    node.adopt(ChildSide::Right, None)?;
    if parent == node {
        return predecessor.adopt(ChildSide::Left, Some(node));
    }
    predecessor.adopt(ChildSide::Left, left)?;
    parent.adopt(ChildSide::Right, Some(node))
}

/// Takes a node out of its tree and brings the one above it to the root.
pub fn delete(node: Node) -> Result<Option<Node>, Fault> {
    let left = unlink(node)?;
    if let Some(left) = left {
        splay(left)?;
    }
    Ok(left)
}

/// The address of a node, 0 for none.
pub fn address(node: Option<Node>) -> u64 {
    node.map_or(0, |node| node.0)
}

exports! {
    /// `RtlSplay`: the new root, which is the node.
    fn RtlSplay(node: u64) -> u64 [max DISPATCH_LEVEL, ntddk] {
        splay(Node(node))?;
        Ok(node)
    }

    /// `RtlDelete`: the root of what is left.
    fn RtlDelete(node: u64) -> u64 [max DISPATCH_LEVEL, ntddk] {
        Ok(address(delete(Node(node))?))
    }

    /// `RtlDeleteNoSplay`: changes the root only if it has to.
    fn RtlDeleteNoSplay(node: u64, root: u64) -> () [max DISPATCH_LEVEL, ntddk] {
        let is_root = driver_mem::read_u64(root)? == node;
        // The predecessor takes the place of a root with two children.
        let heir = below(Node(node), ChildSide::Left)?;
        let two = heir.is_some() && Node(node).child(ChildSide::Right)?.is_some();
        let left = unlink(Node(node))?;
        if is_root {
            driver_mem::write_u64(root, address(if two { heir } else { left }))?;
        }
        Ok(())
    }

    /// `RtlSubtreeSuccessor`: the next one below the node.
    fn RtlSubtreeSuccessor(node: u64) -> u64 [max DISPATCH_LEVEL, ntddk] {
        Ok(address(below(Node(node), ChildSide::Right)?))
    }

    /// `RtlSubtreePredecessor`.
    fn RtlSubtreePredecessor(node: u64) -> u64 [max DISPATCH_LEVEL, ntddk] {
        Ok(address(below(Node(node), ChildSide::Left)?))
    }

    /// `RtlRealSuccessor`: the next one in the whole tree.
    fn RtlRealSuccessor(node: u64) -> u64 [max DISPATCH_LEVEL, ntddk] {
        Ok(address(next(Node(node), ChildSide::Right)?))
    }

    /// `RtlRealPredecessor`.
    fn RtlRealPredecessor(node: u64) -> u64 [max DISPATCH_LEVEL, ntddk] {
        Ok(address(next(Node(node), ChildSide::Left)?))
    }
}
