//! The unit that is translated at once: the instructions that direct branches reach
//! from its entry within its function, in address order, cut into blocks.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
};

use iced_x86::{Decoder, DecoderError, DecoderOptions};

use crate::{
    CodeSource, Unit,
    instruction::{Analyser, Control, Insn},
};

/// More instructions than this are left to units of their own.
const MOST_INSTRUCTIONS: usize = 4096;

/// A run of instructions that is entered at its first one only.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Indices of its instructions.
    pub range: Range<usize>,
    /// A backward branch of the unit leads here.
    pub loop_head: bool,
    /// It follows a call.
    pub returned_to: bool,
    /// A direct branch of the unit leads here, or the instruction before does.
    pub branched_to: bool,
}

/// The instructions of a unit.
pub(crate) struct Graph {
    pub insns: Vec<Insn>,
    pub blocks: Vec<Block>,
    by_ip: BTreeMap<u64, usize>,
}

impl Graph {
    /// Follows the code from `entry`. `translated` says what needs no second translation.
    pub fn discover(
        entry: u64,
        source: &impl CodeSource,
        unit: Unit,
        analyser: &mut Analyser,
        translated: impl Fn(u64) -> bool,
    ) -> Self {
        let within = source
            .function(entry)
            .map_or(0..u64::MAX, |function| function.range);
        let mut found: BTreeMap<u64, Insn> = BTreeMap::new();
        let mut work = vec![entry];
        let mut leaders = vec![entry];
        while let Some(start) = work.pop() {
            let outside = !within.contains(&start) && start != entry;
            if outside
                || found.contains_key(&start)
                || (start != entry && translated(start))
                || found.len() >= MOST_INSTRUCTIONS
            {
                continue;
            }
            let code = source.code(start);
            let mut decoder = Decoder::with_ip(64, code, start, DecoderOptions::NONE);
            loop {
                let ip = decoder.ip();
                if found.contains_key(&ip)
                    || (ip != entry && (translated(ip) || !within.contains(&ip)))
                {
                    leaders.push(ip);
                    break;
                }
                let position = decoder.position();
                let instruction = decoder.decode();
                let offset = decoder
                    .get_constant_offsets(&instruction)
                    .displacement_offset();
                let readable = decoder.last_error() != DecoderError::NoMoreBytes;
                let insn = analyser.analyse(
                    instruction,
                    code.get(position..).unwrap_or(&[]),
                    offset,
                    readable,
                );
                let (control, next) = (insn.control, insn.next_ip());
                found.insert(ip, insn);
                let ends = match control {
                    Control::Next => false,
                    Control::Jump(target) => {
                        leaders.push(target);
                        work.push(target);
                        true
                    }
                    Control::Branch(target) => {
                        leaders.extend([target, next]);
                        work.push(target);
                        unit == Unit::Block
                    }
                    Control::Call(_) | Control::CallIndirect => {
                        leaders.push(next);
                        unit == Unit::Block
                    }
                    Control::Trap(reason) => {
                        leaders.push(next);
                        !reason.may_resume() || unit == Unit::Block
                    }
                    Control::JumpIndirect | Control::Return { .. } => true,
                };
                if ends || found.len() >= MOST_INSTRUCTIONS {
                    break;
                }
            }
            if unit == Unit::Block {
                break;
            }
        }
        Self::arrange(found, &leaders)
    }

    fn arrange(mut found: BTreeMap<u64, Insn>, leaders: &[u64]) -> Self {
        for leader in leaders {
            if let Some(insn) = found.get_mut(leader) {
                insn.leader = true;
            }
        }
        // Where the instruction that follows in address order is not the next one:
        // code that overlaps, or that was found translated.
        let ips: Vec<(u64, u64)> = found
            .iter()
            .map(|(ip, insn)| (*ip, insn.next_ip()))
            .collect();
        for (position, (_, next)) in ips.iter().enumerate() {
            if ips
                .get(position + 1)
                .is_none_or(|(following, _)| following != next)
            {
                if let Some(insn) = found.get_mut(next) {
                    insn.leader = true;
                }
                if let Some((following, _)) = ips.get(position + 1)
                    && let Some(insn) = found.get_mut(following)
                {
                    insn.leader = true;
                }
            }
        }
        let by_ip = found
            .keys()
            .enumerate()
            .map(|(index, ip)| (*ip, index))
            .collect();
        let insns: Vec<Insn> = found.into_values().collect();
        let mut graph = Self {
            blocks: Vec::new(),
            insns,
            by_ip,
        };
        graph.cut();
        graph
    }

    fn cut(&mut self) {
        let mut start = 0;
        for index in 0..self.insns.len() {
            let last = self.insns.get(index + 1).is_none_or(|next| next.leader)
                || !matches!(self.insns[index].control, Control::Next);
            if last {
                self.blocks.push(Block {
                    range: start..index + 1,
                    loop_head: false,
                    returned_to: false,
                    branched_to: false,
                });
                start = index + 1;
            }
        }
        for insn in &mut self.insns {
            insn.leader = false;
        }
        for block in &self.blocks {
            self.insns[block.range.start].leader = true;
        }
        let (mut heads, mut sites, mut targets) = (HashSet::new(), HashSet::new(), HashSet::new());
        for insn in &self.insns {
            match insn.control {
                Control::Jump(target) | Control::Branch(target) => {
                    targets.insert(target);
                    if target <= insn.ip() {
                        heads.insert(target);
                    }
                }
                Control::Call(target) => {
                    targets.insert(target);
                    sites.insert(insn.next_ip());
                }
                Control::CallIndirect => {
                    sites.insert(insn.next_ip());
                }
                _ => {}
            }
            if insn.falls_through() {
                targets.insert(insn.next_ip());
            }
        }
        for block in &mut self.blocks {
            let ip = self.insns[block.range.start].ip();
            block.loop_head = heads.contains(&ip);
            block.returned_to = sites.contains(&ip);
            block.branched_to = targets.contains(&ip);
        }
    }

    /// The index of the instruction at an address.
    pub fn index_of(&self, ip: u64) -> Option<usize> {
        self.by_ip.get(&ip).copied()
    }

    /// The instructions of a block.
    pub fn insns_of(&self, block: &Block) -> &[Insn] {
        &self.insns[block.range.clone()]
    }
}
