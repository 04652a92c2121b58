//! Writes a unit's translation: its blocks in address order, and behind them what runs
//! seldom.
//!
//! A block may expect that some registers are in use for checks when it begins, their
//! values in the state block: [`Leader::held`]. Edges between blocks see to it.

use std::collections::BTreeMap;

use iced_x86::{Code, Instruction, MemoryOperand};

use crate::{
    Coverage, Gpr, Layout, MemoryChecks, Policy, RegisterSet, TrapReason,
    assembler::{Assembled, Assembler, Label, rip_operand},
    cold::Cold,
    graph::{Block, Graph},
    instruction::{Control, Insn},
    location::Phase,
    loops,
    scratch::Scratch,
    site::{InstructionName, Site, SiteKind},
    state,
    stub::{STUB_REGISTERS, Stub, StubKind, emit_stub},
};

/// Who else knows things: the translator, as emission sees it.
pub(crate) trait Surroundings {
    /// Where code lies that was translated before.
    fn entry(&self, original: u64) -> Option<EntryPoint>;
    /// A counter for a block or edge, if there is one left.
    fn counter(&mut self, original: u64, edge: bool) -> Option<u64>;
    /// The number that the unit's first site gets.
    fn first_site(&self) -> u32;
    /// Where the last stub of a chain leads.
    fn chain_end(&self, kind: StubKind) -> u64;
    /// Whether `address` is in the image of the unit.
    fn is_own_image(&self, address: u64) -> bool;
    /// The register that addresses the frame, where there is one.
    fn frame_register(&self) -> Option<Gpr>;
    /// What the pointer at an address leads to, if that is a gate of the host's: the
    /// target and the gate.
    fn native_at(&self, address: u64) -> Option<(u64, u64)>;
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
    /// Whether R10 and R11 are in the state block at the jump.
    pub at_home: bool,
}

/// The first instruction of a translated block.
#[derive(Clone, Copy)]
pub(crate) struct EntryPoint {
    /// Where it is entered with the program's registers.
    pub cache: u64,
    /// Where it is entered with R10 and R11 in the state block, if it is such a block.
    pub at_home: Option<u64>,
    /// What is read there.
    pub live: RegisterSet,
}

/// What a unit's translation consists of.
pub(crate) struct Emitted {
    pub code: Assembled,
    /// Leaders, by original address.
    pub entries: Vec<(u64, EntryPoint)>,
    pub links: Vec<Link>,
    pub stubs: Vec<Stub>,
    pub sites: Vec<Site>,
}

/// A link while addresses are not final.
pub(crate) struct PendingLink {
    pub at: u64,
    pub target: u64,
    pub exit: Label,
    pub at_home: bool,
}

/// The first instruction of a block.
#[derive(Clone, Copy)]
pub(crate) struct Leader {
    pub label: Label,
    /// The registers that are in use there.
    pub held: RegisterSet,
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
    pub leaders: BTreeMap<u64, Leader>,
    pub exits: BTreeMap<u64, Label>,
    pub home_exits: BTreeMap<u64, Label>,
    /// R10 and R11 if no instruction of the unit touches them: then the program's are in
    /// the state block throughout, and indirect branches need not save them.
    pub home: RegisterSet,
    pub links: Vec<PendingLink>,
    stubs: Vec<Stub>,
    /// Where each leader is entered from outside the unit.
    entries: BTreeMap<u64, Label>,
}

impl<'a, S: Surroundings> Emitter<'a, S> {
    pub fn new(
        start: u64,
        graph: &'a Graph,
        policy: Policy,
        layout: &'a Layout,
        around: &'a mut S,
    ) -> Self {
        let asm = Assembler::new(start, layout.state);
        let mut emitter = Self {
            asm,
            graph,
            policy,
            layout,
            around,
            scratch: Scratch::default(),
            cold: Vec::new(),
            sites: Vec::new(),
            leaders: BTreeMap::new(),
            exits: BTreeMap::new(),
            home_exits: BTreeMap::new(),
            home: home(graph),
            links: Vec::new(),
            stubs: Vec::new(),
            entries: BTreeMap::new(),
        };
        emitter.find_leaders();
        emitter
    }

    fn find_leaders(&mut self) {
        let graph = self.graph;
        let checked = |insn: &Insn| insn.accesses.iter().any(|access| !self.needs_none(access));
        let aside = if self.home.is_empty() && self.policy.memory != MemoryChecks::Off {
            loops::set_aside(graph, checked)
        } else {
            vec![self.home; graph.blocks.len()]
        };
        for (block, mut held) in graph.blocks.iter().zip(aside) {
            if held.is_empty() && block.returned_to && !block.branched_to {
                held = STUB_REGISTERS;
            }
            let label = self.asm.label();
            self.leaders
                .insert(graph.insns[block.range.start].ip(), Leader { label, held });
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
            entries,
            links,
            stubs,
            sites,
            ..
        } = self;
        let code = asm.finish()?;
        let entries = entries
            .iter()
            .filter_map(|(ip, label)| {
                let leader = leaders.get(ip)?;
                let at_home = (leader.held == STUB_REGISTERS).then(|| code.address(leader.label));
                let live = graph.insns[graph.index_of(*ip)?].live_in;
                Some((
                    *ip,
                    EntryPoint {
                        cache: code.address(*label),
                        at_home,
                        live,
                    },
                ))
            })
            .collect();
        let links = links
            .into_iter()
            .map(|link| Link {
                at: link.at,
                target: link.target,
                exit: code.address(link.exit),
                at_home: link.at_home,
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
        let Some(leader) = self.leaders.get(&first.ip()).copied() else {
            return;
        };
        if block.returned_to {
            let kind = StubKind::for_target(first.live_in);
            let stub = emit_stub(&mut self.asm, kind, first.ip(), self.around.chain_end(kind));
            self.stubs.push(stub);
            self.hold_exactly(first.ip(), STUB_REGISTERS, leader.held);
        }
        if block.loop_head {
            self.asm.align();
        }
        self.asm.bind(leader.label);
        self.enter_from_outside(first.ip(), leader);
        self.scratch = Scratch::holding(leader.held);
        self.note(first);
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
        match last.control {
            Control::Next => {
                let held = self.held_at(last.next_ip());
                self.hold(last.ip(), held);
                if following != Some(last.next_ip()) {
                    self.jump(last, last.next_ip());
                }
            }
            Control::Branch(_) => {
                let held = self.held_at(last.next_ip());
                self.hold(last.ip(), held);
                if following != Some(last.next_ip()) {
                    self.jump_unpolled(last.next_ip());
                }
            }
            _ => {}
        }
    }

    /// Code of other units, and the host, enter with the program's registers.
    fn enter_from_outside(&mut self, ip: u64, leader: Leader) {
        let entry = if leader.held.is_empty() {
            leader.label
        } else {
            let entry = self.asm.label();
            self.cold.push(Cold::Entry {
                label: entry,
                ip,
                leader,
            });
            entry
        };
        self.entries.insert(ip, entry);
    }

    fn instruction(&mut self, insn: &Insn) {
        match insn.control {
            Control::Next => {
                self.scratch.restore(&mut self.asm, insn.uses);
                self.note(insn);
                self.copy(insn);
                self.scratch.executed(insn);
            }
            Control::Jump(target) => {
                let held = self.held_at(target);
                self.hold(insn.ip(), held);
                self.note(insn);
                self.control(insn);
            }
            Control::Branch(target) => {
                self.scratch.restore(&mut self.asm, insn.uses);
                let (taken, not_taken) = (self.held_at(target), self.held_at(insn.next_ip()));
                let both = self.scratch.spilled() & (taken | not_taken);
                self.hold(insn.ip(), if taken == not_taken { taken } else { both });
                self.control(insn);
            }
            Control::JumpIndirect | Control::CallIndirect | Control::Return { .. } => {
                // The branch saves these two anyway.
                let restored = RegisterSet::GENERAL & !(STUB_REGISTERS & !insn.uses);
                self.scratch.restore(&mut self.asm, restored);
                self.note(insn);
                self.control(insn);
            }
            Control::Call(_) => {
                let home = self.home;
                self.hold(insn.ip(), home);
                self.note(insn);
                self.control(insn);
            }
            Control::Trap(_) => {
                self.scratch.restore_all(&mut self.asm);
                self.note(insn);
                self.control(insn);
            }
        }
    }

    /// The registers that code at an original address expects in use. Other units are
    /// left as this one has it.
    pub fn held_at(&self, ip: u64) -> RegisterSet {
        self.leaders
            .get(&ip)
            .map_or(self.home, |leader| leader.held)
    }

    /// Makes exactly `to` the registers in use.
    pub fn hold(&mut self, original: u64, to: RegisterSet) {
        let from = self.scratch.spilled();
        self.hold_exactly(original, from, to);
        self.scratch = Scratch::holding(to);
    }

    /// Code for a change of the registers in use.
    pub fn hold_exactly(&mut self, original: u64, from: RegisterSet, to: RegisterSet) {
        for gpr in (from & !to).registers() {
            self.asm.unspill(gpr);
        }
        for gpr in (to & !from).registers() {
            self.asm.spill(gpr);
        }
        self.asm.note(original, Phase::Instruction, to, false);
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
            self.trap(insn, TrapReason::OperandOutOfReach);
        }
    }

    /// Calls the trap gate. Code never goes on behind it.
    pub fn trap(&mut self, insn: &Insn, reason: TrapReason) {
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
        if self.policy.coverage == Coverage::Blocks {
            self.asm.emit(Instruction::with2(
                Code::Mov_rm8_imm8,
                rip_operand(counter),
                1,
            ));
        } else if live.intersects(RegisterSet::FLAGS) {
            let gpr = self
                .scratch
                .acquire(&mut self.asm, RegisterSet::EMPTY, live, ahead);
            self.add_without_flags(gpr, counter);
        } else {
            self.asm.increment(counter);
        }
    }

    /// Adds 1 to a counter through `gpr`, which is overwritten.
    pub fn add_without_flags(&mut self, gpr: Gpr, counter: u64) {
        self.asm.emit(Instruction::with2(
            Code::Movzx_r32_rm8,
            gpr.r32(),
            rip_operand(counter),
        ));
        let next = MemoryOperand::with_base_displ(gpr.r64(), 1);
        self.asm
            .emit(Instruction::with2(Code::Lea_r32_m, gpr.r32(), next));
        self.asm.emit(Instruction::with2(
            Code::Mov_rm8_r8,
            rip_operand(counter),
            gpr.r8(),
        ));
    }
}

/// R10 and R11 if no instruction touches them.
fn home(graph: &Graph) -> RegisterSet {
    let touches = |insn: &Insn| {
        let touched = match insn.control {
            // All registers are the program's at a trap anyway.
            Control::Trap(_) => RegisterSet::EMPTY,
            _ => insn.uses | insn.writes,
        };
        touched.intersects(STUB_REGISTERS)
    };
    if graph.insns.iter().any(touches) {
        RegisterSet::EMPTY
    } else {
        STUB_REGISTERS
    }
}
