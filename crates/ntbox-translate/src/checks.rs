//! Which accesses of a block are checked, and together with which others.
//!
//! Accesses by the same registers that nothing writes in between are checked once,
//! before the first of them, over the bytes from the lowest to the highest. Where flags
//! are live there, the check moves up to where they are not.

use crate::{
    Gpr, MemoryChecks, RegisterSet,
    check_code::Member,
    emit::{Emitter, Surroundings},
    instruction::{Access, Extent, Insn},
};

/// The most bytes that one check looks at: sixteen of the shadow, wherever they begin.
pub(crate) const MOST_BYTES: i64 = 121;

/// Accesses that are checked together.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// The check is before this instruction of the block.
    pub at: usize,
    /// Its operand, with the lowest displacement.
    pub operand: Access,
    /// The number of bytes from there on.
    pub span: i64,
    pub members: Vec<Member>,
    open: bool,
}

/// The checks of a block.
#[derive(Default)]
pub(crate) struct Plan {
    groups: Vec<Group>,
}

impl Plan {
    /// The checks before an instruction.
    pub fn at(&self, index: usize) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(move |group| group.at == index)
    }

    fn add(&mut self, index: usize, access: Access) {
        let member = Member { index, access };
        let fixed = access.extent == Extent::Fixed;
        let (low, high) = (
            access.displacement,
            access.displacement.wrapping_add(i64::from(access.size)),
        );
        let fits = |group: &&mut Group| {
            let (group_low, group_high) = (
                group.operand.displacement,
                group.operand.displacement + group.span,
            );
            group.open
                && same_registers(&group.operand, &access)
                && group_high
                    .max(high)
                    .checked_sub(group_low.min(low))
                    .is_some_and(|span| span <= MOST_BYTES)
        };
        if fixed && let Some(group) = self.groups.iter_mut().find(fits) {
            let group_high = group.operand.displacement + group.span;
            group.operand.displacement = group.operand.displacement.min(low);
            group.span = group_high.max(high) - group.operand.displacement;
            group.members.push(member);
            return;
        }
        self.groups.push(Group {
            at: index,
            operand: access,
            span: i64::from(access.size),
            members: vec![member],
            open: fixed,
        });
    }

    fn close(&mut self, written: RegisterSet) {
        for group in &mut self.groups {
            group.open &= !written.intersects(group.operand.registers());
        }
    }

    /// Moves checks up to where they need not preserve flags.
    fn hoist(&mut self, insns: &[Insn]) {
        const FARTHEST: usize = 8;
        let flags_live = |index: usize| insns[index].live_in.intersects(RegisterSet::FLAGS);
        for group in self
            .groups
            .iter_mut()
            .filter(|group| group.operand.extent == Extent::Fixed && flags_live(group.at))
        {
            let registers = group.operand.registers();
            let reachable = insns[..group.at]
                .iter()
                .rev()
                .take_while(|insn| !insn.writes.intersects(registers))
                .count();
            let dead = (1..=reachable.min(FARTHEST))
                .map(|distance| group.at - distance)
                .find(|index| !flags_live(*index));
            group.at = dead.unwrap_or(group.at);
        }
    }
}

fn same_registers(a: &Access, b: &Access) -> bool {
    (a.base, a.index, a.scale, a.rip_relative, a.address_32)
        == (b.base, b.index, b.scale, b.rip_relative, b.address_32)
}

impl Access {
    /// The registers that make its address.
    pub fn registers(&self) -> RegisterSet {
        self.base
            .into_iter()
            .chain(self.index)
            .fold(RegisterSet::EMPTY, |set, gpr| set | RegisterSet::of(gpr))
    }
}

impl<S: Surroundings> Emitter<'_, S> {
    /// Decides on the checks of a block.
    pub fn plan_checks(&self, insns: &[Insn]) -> Plan {
        let mut plan = Plan::default();
        if self.policy.memory == MemoryChecks::Off {
            return plan;
        }
        for (index, insn) in insns.iter().enumerate() {
            for access in &insn.accesses {
                if !self.needs_none(access) {
                    plan.add(index, *access);
                }
            }
            plan.close(insn.writes);
        }
        plan.hoist(insns);
        plan
    }

    /// Whether the access is provably to the frame or the own image.
    pub fn needs_none(&self, access: &Access) -> bool {
        if access.extent != Extent::Fixed || access.index.is_some() || access.address_32 {
            return false;
        }
        if access.rip_relative {
            let address = access.displacement.cast_unsigned();
            return self.around.is_own_image(address)
                && self.around.is_own_image(
                    address.saturating_add(u64::from(access.size).saturating_sub(1)),
                );
        }
        access
            .base
            .is_some_and(|base| base == Gpr::RSP || Some(base) == self.around.frame_register())
    }
}
