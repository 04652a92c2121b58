//! The table for indirect branches: for each slot a chain of stubs, each of which
//! compares the target with its own address and otherwise jumps to the next one.
//!
//! Stubs that keep flags come first, so that they are reached with the program's flags.

use std::collections::HashMap;

use crate::{
    Edit, state,
    stub::{Stub, StubKind},
};

/// All chains.
pub(crate) struct Chains {
    slots: HashMap<u32, Vec<Stub>>,
    /// Where a slot without stubs leads.
    pub miss: u64,
    /// Where a comparison that changed flags leads in the end.
    pub miss_compared: u64,
}

/// The slot of an original address.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the lower bits are what counts"
)]
const fn slot(target: u64) -> u32 {
    (target as usize % state::TABLE_ENTRIES) as u32
}

impl Chains {
    pub fn new(miss: u64, miss_compared: u64) -> Self {
        Self {
            slots: HashMap::new(),
            miss,
            miss_compared,
        }
    }

    /// Whether indirect branches find `target`.
    pub fn contains(&self, target: u64) -> bool {
        self.slots
            .get(&slot(target))
            .is_some_and(|chain| chain.iter().any(|stub| stub.target == target))
    }

    /// Where the last stub of a chain leads when it is of a kind.
    pub fn end(&self, kind: StubKind) -> u64 {
        match kind {
            StubKind::Plain => self.miss_compared,
            StubKind::KeepsFlags => self.miss,
        }
    }

    /// Makes what comes before `position` lead to what is there now.
    fn connect(&self, slot: u32, position: usize) -> Edit {
        let chain = self.slots.get(&slot).map_or(&[][..], Vec::as_slice);
        let to = |end: u64| chain.get(position).map_or(end, |stub| stub.address);
        match position
            .checked_sub(1)
            .and_then(|previous| chain.get(previous))
        {
            None => Edit::Table {
                slot,
                address: to(self.miss),
            },
            Some(previous) => Edit::link(previous.miss, to(self.end(previous.kind))),
        }
    }

    /// Adds a stub, whose own miss leads to [`Self::end`] so far.
    pub fn insert(&mut self, stub: Stub, edits: &mut Vec<Edit>) {
        let slot = slot(stub.target);
        let chain = self.slots.entry(slot).or_default();
        let position = if stub.kind == StubKind::KeepsFlags {
            0
        } else {
            chain.len()
        };
        chain.insert(position, stub);
        edits.push(self.connect(slot, position + 1));
        edits.push(self.connect(slot, position));
    }

    /// Takes the stubs for `target` out.
    pub fn remove(&mut self, target: u64, edits: &mut Vec<Edit>) {
        let slot = slot(target);
        while let Some(chain) = self.slots.get_mut(&slot)
            && let Some(position) = chain.iter().position(|stub| stub.target == target)
        {
            chain.remove(position);
            edits.push(self.connect(slot, position));
        }
    }

    /// Empties every slot.
    pub fn clear(&mut self, edits: &mut Vec<Edit>) {
        self.suspend(edits);
        self.slots.clear();
    }

    /// Makes every branch by the table miss, until [`Self::resume`].
    pub fn suspend(&self, edits: &mut Vec<Edit>) {
        edits.extend(self.slots.keys().map(|slot| Edit::Table {
            slot: *slot,
            address: self.miss,
        }));
    }

    /// Undoes [`Self::suspend`].
    pub fn resume(&self, edits: &mut Vec<Edit>) {
        edits.extend(self.slots.keys().map(|slot| self.connect(*slot, 0)));
    }
}
