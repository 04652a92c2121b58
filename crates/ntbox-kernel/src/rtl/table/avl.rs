//! AVL trees: the two sides of a node differ in height by one at most. The links
//! of a table's head are the parent of the root, which is their right child.

use nt_layout::RtlBalancedLinks;
use ntbox_host::driver_mem::Fault;

use super::{ChildSide, Node};
use crate::base::driver_ptr::DriverPtr;

fn links(node: Node) -> DriverPtr<RtlBalancedLinks> {
    DriverPtr::new(node.0)
}

/// How much higher the right side of a node is than its left.
fn balance(node: Node) -> Result<i8, Fault> {
    links(node).get(|links| &links.balance)
}

fn set_balance(node: Node, balance: i8) -> Result<(), Fault> {
    links(node).set(|links| &links.balance, balance)
}

/// What one more level on a side adds to the balance.
fn weight(side: ChildSide) -> i8 {
    match side {
        ChildSide::Left => -1,
        ChildSide::Right => 1,
    }
}

/// Moves the child on `side` into its parent's place.
fn rotate(parent: Node, side: ChildSide) -> Result<(), Fault> {
    let Some(child) = parent.child(side)? else {
        return Ok(());
    };
    let above = parent.parent()?;
    let place = parent.side_of(above)?;
    parent.adopt(side, child.child(side.other())?)?;
    child.adopt(side.other(), Some(parent))?;
    above.adopt(place, Some(child))
}

/// Rebalances a node that is two levels higher on `side`. Returns whether the subtree
/// is lower now.
fn rebalance(node: Node, side: ChildSide) -> Result<bool, Fault> {
    let Some(child) = node.child(side)? else {
        return Ok(false);
    };
    let weight = weight(side);
    let leaning = balance(child)?;
    if leaning != -weight {
        rotate(node, side)?;
        // A child that stood even only comes of a deletion; the height stays.
        let even = leaning == 0;
        set_balance(node, if even { weight } else { 0 })?;
        set_balance(child, if even { -weight } else { 0 })?;
        return Ok(!even);
    }
    let Some(grandchild) = child.child(side.other())? else {
        return Ok(false);
    };
    let inner = balance(grandchild)?;
    rotate(child, side.other())?;
    rotate(node, side)?;
    set_balance(node, if inner == weight { -weight } else { 0 })?;
    set_balance(child, if inner == -weight { weight } else { 0 })?;
    set_balance(grandchild, 0)?;
    Ok(true)
}

/// Inserts a node of zeros as a child. Returns whether the tree is higher now.
pub fn insert(head: Node, node: Node, parent: Node, side: ChildSide) -> Result<bool, Fault> {
    parent.adopt(side, Some(node))?;
    let (mut node, mut parent) = (node, parent);
    while parent != head {
        let side = node.side_of(parent)?;
        let weight = weight(side);
        match balance(parent)? {
            0 => set_balance(parent, weight)?,
            now if now == weight => {
                rebalance(parent, side)?;
                return Ok(false);
            }
            _ => {
                set_balance(parent, 0)?;
                return Ok(false);
            }
        }
        node = parent;
        parent = node.parent()?;
    }
    Ok(true)
}

/// Removes a node. Returns whether the tree is lower now.
pub fn delete(head: Node, node: Node) -> Result<bool, Fault> {
    if let (Some(left), Some(_)) = (node.child(ChildSide::Left)?, node.child(ChildSide::Right)?) {
        exchange(node, left.outermost(ChildSide::Right)?)?;
    }
    let child = match node.child(ChildSide::Left)? {
        Some(child) => Some(child),
        None => node.child(ChildSide::Right)?,
    };
    let mut parent = node.parent()?;
    let mut side = node.side_of(parent)?;
    parent.adopt(side, child)?;
    while parent != head {
        let above = parent.parent()?;
        let place = parent.side_of(above)?;
        let weight = weight(side);
        let lower = match balance(parent)? {
            0 => {
                set_balance(parent, -weight)?;
                false
            }
            now if now == weight => {
                set_balance(parent, 0)?;
                true
            }
            _ => rebalance(parent, side.other())?,
        };
        if !lower {
            return Ok(false);
        }
        (parent, side) = (above, place);
    }
    Ok(true)
}

/// Exchanges a node with two children and its predecessor.
fn exchange(node: Node, predecessor: Node) -> Result<(), Fault> {
    let above = node.parent()?;
    let place = node.side_of(above)?;
    let parent = predecessor.parent()?;
    let (left, right) = (node.child(ChildSide::Left)?, node.child(ChildSide::Right)?);
    let below = predecessor.child(ChildSide::Left)?;
    let (own, other) = (balance(node)?, balance(predecessor)?);
    set_balance(predecessor, own)?;
    set_balance(node, other)?;
    above.adopt(place, Some(predecessor))?;
    predecessor.adopt(ChildSide::Right, right)?;
    node.adopt(ChildSide::Left, below)?;
    node.adopt(ChildSide::Right, None)?;
    if parent == node {
        return predecessor.adopt(ChildSide::Left, Some(node));
    }
    predecessor.adopt(ChildSide::Left, left)?;
    parent.adopt(ChildSide::Right, Some(node))
}

/// The next node on a side, in the order of the whole tree.
pub fn next(head: Node, node: Node, side: ChildSide) -> Result<Option<Node>, Fault> {
    if let Some(child) = node.child(side)? {
        return child.outermost(side.other()).map(Some);
    }
    let mut node = node;
    loop {
        let parent = node.parent()?;
        if parent == head {
            return Ok(None);
        }
        if node.side_of(parent)? == side.other() {
            return Ok(Some(parent));
        }
        node = parent;
    }
}
