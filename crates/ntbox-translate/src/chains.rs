//! The table for indirect branches: for each slot a chain of stubs, each of which
//! compares the target with its own address and otherwise jumps to the next one.

use std::collections::HashMap;

use crate::{Edit, emit::Stub, state};

/// All chains.
#[derive(Default)]
pub(crate) struct Chains {
    slots: HashMap<u32, Vec<Stub>>,
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
    /// Whether indirect branches find `target`.
    pub fn contains(&self, target: u64) -> bool {
        self.slots
            .get(&slot(target))
            .is_some_and(|chain| chain.iter().any(|stub| stub.target == target))
    }

    /// Appends a stub, whose own miss leads to the dispatcher.
    pub fn insert(&mut self, stub: Stub, edits: &mut Vec<Edit>) {
        let slot = slot(stub.target);
        let chain = self.slots.entry(slot).or_default();
        edits.push(match chain.last() {
            None => Edit::Table {
                slot,
                address: stub.address,
            },
            Some(last) => Edit::link(last.miss, stub.address),
        });
        chain.push(stub);
    }

    /// Takes the stub at `address` out. `dispatch` is where a miss ends.
    pub fn remove(&mut self, target: u64, address: u64, dispatch: u64, edits: &mut Vec<Edit>) {
        let slot = slot(target);
        let Some(chain) = self.slots.get_mut(&slot) else {
            return;
        };
        let Some(position) = chain.iter().position(|stub| stub.address == address) else {
            return;
        };
        chain.remove(position);
        let next = chain.get(position).map_or(dispatch, |stub| stub.address);
        edits.push(
            match position
                .checked_sub(1)
                .and_then(|previous| chain.get(previous))
            {
                None => Edit::Table {
                    slot,
                    address: next,
                },
                Some(previous) => Edit::link(previous.miss, next),
            },
        );
        if chain.is_empty() {
            self.slots.remove(&slot);
        }
    }

    /// Empties every slot.
    pub fn clear(&mut self, dispatch: u64, edits: &mut Vec<Edit>) {
        edits.extend(self.slots.drain().map(|(slot, _)| Edit::Table {
            slot,
            address: dispatch,
        }));
    }
}
