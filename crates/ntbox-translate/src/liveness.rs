//! Which registers and flags the program still reads after each instruction, so that
//! checks may use the others.
//!
//! Nothing is assumed of registers at calls, returns and unknown targets: there all
//! are read. Arithmetic flags are taken as dead at calls and returns, as every
//! compiler's calling convention has it, unless `flags_cross` says that code was seen
//! that passes them on.

use crate::{
    RegisterSet,
    graph::{Block, Graph},
    instruction::Control,
};

/// Computes `live_in` of every instruction. `known` gives what is read at the entry of
/// code translated before.
pub(crate) fn compute(
    graph: &mut Graph,
    flags_cross: bool,
    exact_flags: bool,
    known: impl Fn(u64) -> RegisterSet,
) {
    let at_calls = if flags_cross {
        RegisterSet::ALL
    } else {
        RegisterSet::GENERAL
    };
    let blocks = graph.blocks.clone();
    let mut changed = true;
    while changed {
        changed = false;
        for block in blocks.iter().rev() {
            changed |= update(graph, block, at_calls, &known);
        }
    }
    if exact_flags {
        for insn in &mut graph.insns {
            insn.live_in |= RegisterSet::FLAGS;
        }
    }
}

fn update(
    graph: &mut Graph,
    block: &Block,
    at_calls: RegisterSet,
    known: &impl Fn(u64) -> RegisterSet,
) -> bool {
    let Some(last) = block.range.clone().next_back() else {
        return false;
    };
    let at = |ip: u64| {
        graph
            .index_of(ip)
            .map_or_else(|| known(ip), |index| graph.insns[index].live_in)
    };
    let insn = &graph.insns[last];
    let mut live = match insn.control {
        Control::Next => at(insn.next_ip()),
        Control::Jump(target) => at(target),
        Control::Branch(target) => at(target) | at(insn.next_ip()),
        Control::Call(_) | Control::CallIndirect | Control::Return { .. } => at_calls,
        Control::JumpIndirect | Control::Trap(_) => RegisterSet::ALL,
    };
    let mut changed = false;
    for index in block.range.clone().rev() {
        let insn = &mut graph.insns[index];
        live = insn.uses | (live & !insn.defs);
        changed |= insn.live_in != live;
        insn.live_in = live;
    }
    changed
}
