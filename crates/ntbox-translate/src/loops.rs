//! Registers set aside for checks in loops.
//!
//! A check saves the register that it overwrites, and the end of a block puts it back.
//! In a loop of short blocks this is a chain through memory, slower than all the rest.
//! So a register that nothing in the loop touches is saved where control enters the
//! loop and put back where it leaves.

use std::ops::RangeInclusive;

use crate::{
    Gpr, RegisterSet,
    graph::Graph,
    instruction::{Control, Insn},
};

/// The register set aside in each block, if any. `needs` says which instructions have
/// use for one.
pub(crate) fn set_aside(graph: &Graph, needs: impl Fn(&Insn) -> bool) -> Vec<RegisterSet> {
    let mut aside = vec![RegisterSet::EMPTY; graph.blocks.len()];
    for range in loops(graph) {
        if !aside[*range.start()].is_empty() || !aside[*range.end()].is_empty() {
            continue;
        }
        let blocks = graph.blocks.get(range.clone()).unwrap_or(&[]);
        let insns = || blocks.iter().flat_map(|block| graph.insns_of(block));
        if !insns().any(&needs) {
            continue;
        }
        let touched = insns().fold(RegisterSet::of(Gpr::RSP), |set, insn| {
            set | insn.uses | insn.writes
        });
        let Some(head) = insns().next() else { continue };
        // A dead one, if there is one: nobody waits for it behind the loop.
        let untouched = || Gpr::all().rev().filter(|gpr| !touched.contains(*gpr));
        if let Some(gpr) = untouched()
            .find(|gpr| !head.live_in.contains(*gpr))
            .or_else(|| untouched().next())
        {
            aside[range].fill(RegisterSet::of(gpr));
        }
    }
    aside
}

/// Loops as ranges of blocks, outer ones first: from the target of a branch backwards
/// to the branch.
fn loops(graph: &Graph) -> Vec<RangeInclusive<usize>> {
    let block_at = |ip: u64| {
        graph
            .blocks
            .binary_search_by_key(&ip, |block| graph.insns[block.range.start].ip())
            .ok()
    };
    let mut loops = Vec::new();
    for (number, block) in graph.blocks.iter().enumerate() {
        let Some(last) = graph.insns_of(block).last() else {
            continue;
        };
        if let Control::Jump(target) | Control::Branch(target) = last.control
            && let Some(head) = block_at(target)
            && head <= number
        {
            loops.push(head..=number);
        }
    }
    loops.sort_by_key(|range| range.start().wrapping_sub(*range.end()));
    loops
}
