//! Writes a unit's translation: its blocks in address order, and behind them what runs
//! seldom.

use std::collections::BTreeMap;

use iced_x86::{Code, Instruction, Register};

use crate::{
    Coverage, Gpr, Layout, Policy, RegisterSet,
    assembler::{Assembled, Assembler, Label},
    cold::Cold,
    graph::{Block, Graph},
    instruction::{Control, Insn},
    location::Phase,
    scratch::Scratch,
    site::{InstructionName, Site, SiteKind},
    state,
};

/// Who else knows things: the translator, as emission sees it.
pub(crate) trait Surroundings {
    /// The cache address of code translated before.
    fn entry(&self, original: u64) -> Option<u64>;
    /// A counter for a block or edge, if there is one left.
    fn counter(&mut self, original: u64, edge: bool) -> Option<u64>;
    /// The number that the unit's first site gets.
    fn first_site(&self) -> u32;
    /// Where code goes that has no translation yet: RDX says where to.
    fn dispatch(&self) -> u64;
    /// Whether `address` is in the image of the unit.
    fn is_own_image(&self, address: u64) -> bool;
    /// The register that addresses the frame, where there is one.
    fn frame_register(&self) -> Option<Gpr>;
    /// Whether the direction flag may be set.
    fn direction_may_be_down(&self) -> bool;
}

/// A jump to code of another unit.
pub(crate) struct Link {
    /// Where the displacement of the jump is.
    pub at: u64,
    pub target: u64,
    /// Where it goes while the target has no translation.
    pub exit: u64,
}

/// Code that indirect branches reach by the table: it compares the address in RDX.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stub {
    pub target: u64,
    pub address: u64,
    /// Where the displacement of the jump to the next stub is.
    pub miss: u64,
}

/// What a unit's translation consists of.
pub(crate) struct Emitted {
    pub code: Assembled,
    /// Leaders: original address, cache address, what is read there.
    pub entries: Vec<(u64, u64, RegisterSet)>,
    pub links: Vec<Link>,
    pub stubs: Vec<Stub>,
    pub sites: Vec<Site>,
}

/// A link while addresses are not final.
struct PendingLink {
    at: u64,
    target: u64,
    exit: Label,
}

pub(crate) struct Emitter<'a, S> {
    pub asm: Assembler,
    pub graph: &'a Graph,
    pub policy: Policy,
    pub layout: &'a Layout,
    pub around: &'a mut S,
    pub scratch: Scratch,
    pub cold: Vec<Cold>,
    pub sites: Vec<(Site, Option<Label>)>,
    leaders: BTreeMap<u64, Label>,
    exits: BTreeMap<u64, Label>,
    links: Vec<PendingLink>,
    stubs: Vec<Stub>,
}

impl<'a, S: Surroundings> Emitter<'a, S> {
    pub fn new(
        start: u64,
        graph: &'a Graph,
        policy: Policy,
        layout: &'a Layout,
        around: &'a mut S,
    ) -> Self {
        let mut asm = Assembler::new(start, layout.state);
        let leaders = graph
            .insns
            .iter()
            .filter(|insn| insn.leader)
            .map(|insn| (insn.ip(), asm.label()))
            .collect();
        Self {
            asm,
            graph,
            policy,
            layout,
            around,
            scratch: Scratch::default(),
            cold: Vec::new(),
            sites: Vec::new(),
            leaders,
            exits: BTreeMap::new(),
            links: Vec::new(),
            stubs: Vec::new(),
        }
    }

    /// The whole unit. `None` when an instruction could not be encoded.
    pub fn emit(mut self) -> Option<Emitted> {
        let graph = self.graph;
        for (number, block) in graph.blocks.iter().enumerate() {
            let following = graph
                .blocks
                .get(number + 1)
                .map(|next| graph.insns[next.range.start].ip());
            self.block(block, following);
        }
        self.cold_code();
        let Self {
            asm,
            graph,
            leaders,
            links,
            stubs,
            sites,
            ..
        } = self;
        let code = asm.finish()?;
        let entries = leaders
            .iter()
            .filter_map(|(ip, label)| {
                Some((
                    *ip,
                    code.address(*label),
                    graph.insns[graph.index_of(*ip)?].live_in,
                ))
            })
            .collect();
        let links = links
            .into_iter()
            .map(|link| Link {
                at: link.at,
                target: link.target,
                exit: code.address(link.exit),
            })
            .collect();
        let sites = sites
            .into_iter()
            .map(|(site, resume)| Site {
                resume: resume.map_or(0, |label| code.address(label)),
                ..site
            })
            .collect();
        Some(Emitted {
            code,
            entries,
            links,
            stubs,
            sites,
        })
    }

    fn block(&mut self, block: &Block, following: Option<u64>) {
        let insns = self.graph.insns_of(block);
        let (Some(first), Some(last)) = (insns.first(), insns.last()) else {
            return;
        };
        self.scratch = Scratch::default();
        self.asm
            .note(first.ip(), Phase::Instruction, RegisterSet::EMPTY, false);
        if block.returned_to {
            self.return_stub(first);
        }
        if block.loop_head {
            self.asm.align();
        }
        if let Some(label) = self.leaders.get(&first.ip()) {
            self.asm.bind(*label);
        }
        if block.loop_head {
            self.poll(first);
        }
        if self.policy.coverage != Coverage::Off
            && let Some(counter) = self.around.counter(first.ip(), false)
        {
            self.count(counter, first.live_in, insns);
        }
        let plan = self.plan_checks(insns);
        for (index, insn) in insns.iter().enumerate() {
            self.emit_checks(&plan, index, insns);
            self.instruction(insn);
        }
        if insns.iter().all(|insn| insn.control == Control::Next) {
            self.scratch.restore_all(&mut self.asm);
        }
        if last.falls_through() && following != Some(last.next_ip()) {
            self.jump(last, last.next_ip());
        }
    }

    fn instruction(&mut self, insn: &Insn) {
        if insn.control == Control::Next {
            self.scratch.restore(&mut self.asm, insn.uses);
            self.note(insn);
            self.copy(insn);
            self.scratch.executed(insn);
            return;
        }
        self.scratch.restore_all(&mut self.asm);
        self.note(insn);
        self.control(insn);
    }

    /// What follows does the work of `insn`, with the registers as they are.
    pub fn note(&mut self, insn: &Insn) {
        let spilled = self.scratch.spilled();
        self.asm.note(insn.ip(), Phase::Instruction, spilled, false);
    }

    /// Copies an instruction; only its RIP-relative displacement changes.
    fn copy(&mut self, insn: &Insn) {
        if !insn.instruction.is_ip_rel_memory_operand() {
            self.asm.bytes(insn.code());
            return;
        }
        let target = insn.instruction.ip_rel_memory_address();
        let end = self.asm.ip() + insn.instruction.len() as u64;
        let offset = usize::from(insn.displacement_offset);
        let mut bytes = insn.bytes;
        if let Ok(displacement) = i32::try_from(target.wrapping_sub(end).cast_signed())
            && let Some(place) = bytes.get_mut(offset..offset + 4)
        {
            place.copy_from_slice(&displacement.to_le_bytes());
            self.asm.bytes(&bytes[..insn.code().len()]);
        } else if insn.instruction.code() == Code::Lea_r64_m
            && let Some(gpr) = Gpr::containing(insn.instruction.op0_register())
        {
            self.asm.move_constant(gpr, target);
        } else {
            self.scratch.restore_all(&mut self.asm);
            self.note(insn);
            self.trap(insn, crate::TrapReason::OperandOutOfReach);
        }
    }

    /// Calls the trap gate. Code never goes on behind it.
    pub fn trap(&mut self, insn: &Insn, reason: crate::TrapReason) {
        let kind = SiteKind::Trap {
            reason,
            instruction: InstructionName(insn.instruction.mnemonic()),
        };
        let number = self.site(insn, kind, None, false);
        self.asm.store_state_32(state::SITE, number);
        self.asm.jump_state(state::TRAP_GATE);
    }

    /// A new site; gives its number.
    pub fn site(
        &mut self,
        insn: &Insn,
        kind: SiteKind,
        resume: Option<Label>,
        flags_in_ax: bool,
    ) -> u32 {
        let number = self.around.first_site() + u32::try_from(self.sites.len()).unwrap_or(u32::MAX);
        let (original, next, spilled) = (insn.ip(), insn.next_ip(), self.scratch.spilled());
        self.sites.push((
            Site {
                original,
                next,
                kind,
                resume: 0,
                spilled,
                flags_in_ax,
            },
            resume,
        ));
        number
    }

    /// Adds 1 to a counter, or sets it.
    fn count(&mut self, counter: u64, live: RegisterSet, ahead: &[Insn]) {
        let operand = crate::assembler::rip_operand(counter);
        if self.policy.coverage == Coverage::Blocks {
            self.asm
                .emit(Instruction::with2(Code::Mov_rm8_imm8, operand, 1));
        } else if live.intersects(RegisterSet::FLAGS) {
            let gpr = self
                .scratch
                .acquire(&mut self.asm, RegisterSet::EMPTY, live, ahead);
            self.add_without_flags(gpr, counter);
        } else {
            self.asm.emit(Instruction::with1(Code::Inc_rm8, operand));
        }
    }

    /// Adds 1 to a counter through `gpr`, which is overwritten.
    pub fn add_without_flags(&mut self, gpr: Gpr, counter: u64) {
        let operand = crate::assembler::rip_operand(counter);
        self.asm
            .emit(Instruction::with2(Code::Movzx_r32_rm8, gpr.r32(), operand));
        let next = iced_x86::MemoryOperand::with_base_displ(gpr.r64(), 1);
        self.asm
            .emit(Instruction::with2(Code::Lea_r32_m, gpr.r32(), next));
        self.asm
            .emit(Instruction::with2(Code::Mov_rm8_r8, operand, gpr.r8()));
    }

    /// Leaves the loop when the host asks for it.
    fn poll(&mut self, head: &Insn) {
        let exit = self.exit(head.ip());
        if head.live_in.intersects(RegisterSet::FLAGS) {
            let go_on = self.asm.label();
            let exit_restored = self.asm.label();
            self.asm.spill(Gpr::RCX);
            self.asm.load_state_32(Gpr::RCX, state::POLL);
            self.asm.jump_if_rcx_zero(go_on);
            self.asm.jump(exit_restored);
            self.asm.bind(go_on);
            self.asm.unspill(Gpr::RCX);
            self.cold.push(Cold::RestoreRcx {
                label: exit_restored,
                then: exit,
            });
        } else {
            self.asm.compare_state_32_with_zero(state::POLL);
            self.asm.jump_if_not_zero(exit);
        }
    }

    /// Before a block that a call returns to: whether this is where RDX says.
    fn return_stub(&mut self, first: &Insn) {
        let spilled = RegisterSet::of(Gpr::RCX) | RegisterSet::of(Gpr::RDX);
        self.asm
            .note(first.ip(), Phase::Instruction, spilled, false);
        let stub = emit_stub(&mut self.asm, first.ip(), self.around.dispatch());
        self.stubs.push(stub);
        self.asm.unspill(Gpr::RCX);
        self.asm.unspill(Gpr::RDX);
        self.asm
            .note(first.ip(), Phase::Instruction, RegisterSet::EMPTY, false);
    }

    /// Where code goes on at an original address that has no translation.
    pub fn exit(&mut self, target: u64) -> Label {
        if let Some(label) = self.exits.get(&target) {
            return *label;
        }
        let label = self.asm.label();
        self.exits.insert(target, label);
        label
    }

    /// A label for `target` in this unit.
    pub fn leader(&self, target: u64) -> Option<Label> {
        self.leaders.get(&target).copied()
    }

    /// Records that the jump just written leads to another unit.
    fn link(&mut self, target: u64, at: u64) {
        let exit = self.exit(target);
        self.links.push(PendingLink { at, target, exit });
    }

    /// Jumps to an original address, linked to its translation.
    pub fn jump(&mut self, from: &Insn, target: u64) {
        if let Some(label) = self.leader(target) {
            self.asm.jump(label);
        } else if target <= from.ip() && from.control != Control::Next {
            let label = self.polled_exit(target);
            self.asm.jump(label);
        } else {
            self.jump_linked(target);
        }
    }

    /// Jumps to another unit.
    pub fn jump_linked(&mut self, target: u64) {
        if let Some(entry) = self.around.entry(target) {
            let at = self.asm.jump_to(entry);
            self.link(target, at);
        } else {
            let exit = self.exit(target);
            self.asm.jump(exit);
            self.link(target, self.asm.ip() - 4);
        }
    }

    /// Jumps on a condition to an original address, linked to its translation.
    pub fn jump_if(&mut self, from: &Insn, code: Code, target: u64) {
        if let Some(label) = self.edge_or_leader(from, target) {
            self.asm.jump_if(code, label);
        } else if let Some(entry) = self.around.entry(target) {
            self.asm.emit(Instruction::with_branch(code, entry));
            self.link(target, self.asm.ip() - 4);
        } else {
            let exit = self.exit(target);
            self.asm.jump_if(code, exit);
            self.link(target, self.asm.ip() - 4);
        }
    }

    /// Where a taken branch goes first, if not straight to another unit.
    fn edge_or_leader(&mut self, from: &Insn, target: u64) -> Option<Label> {
        if self.policy.coverage == Coverage::EdgeCounts
            && let Some(counter) = self.around.counter(from.ip(), true)
        {
            let label = self.asm.label();
            self.cold.push(Cold::Edge {
                label,
                counter,
                from: from.ip(),
                target,
            });
            return Some(label);
        }
        match self.leader(target) {
            None if target <= from.ip() => Some(self.polled_exit(target)),
            leader => leader,
        }
    }

    fn polled_exit(&mut self, target: u64) -> Label {
        let label = self.asm.label();
        self.cold.push(Cold::PolledExit { label, target });
        label
    }

    /// The exits that were asked for.
    pub fn exits(&self) -> BTreeMap<u64, Label> {
        self.exits.clone()
    }
}

/// Writes the comparison of a stub: code behind it runs when RDX is `target`, with RCX
/// and RDX of the program still in the state block.
pub(crate) fn emit_stub(asm: &mut Assembler, target: u64, miss: u64) -> Stub {
    let address = asm.ip();
    let hit = asm.label();
    // RCX becomes zero for the target alone, and no flag changes.
    asm.emit(Instruction::with2(
        Code::Mov_r64_imm64,
        Register::RCX,
        target.wrapping_neg(),
    ));
    let sum = iced_x86::MemoryOperand::with_base_index(Register::RCX, Register::RDX);
    asm.emit(Instruction::with2(Code::Lea_r64_m, Register::RCX, sum));
    asm.jump_if_rcx_zero(hit);
    let miss = asm.jump_to(miss);
    asm.bind(hit);
    Stub {
        target,
        address,
        miss,
    }
}
