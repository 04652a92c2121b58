//! The way without a second address in system space: the pages of nonpaged pool
//! are there already, and the MDL says where. Only a program can have another one.

use ntmem_ioctl::WalkStage;
use wdm::{
    Status,
    mdl::{BuiltForNonpaged, Mdl},
};

use crate::{
    proof::{self, Addresses},
    report::Address,
    walk::{
        Journal, Plan, Target,
        steps::{Flags, free, prepare_built},
        user,
    },
};

pub fn run(plan: &Plan, target: Target<'_>, journal: &mut Journal) -> Result<(), Status> {
    let mdl = prepare_built(plan, journal)?;
    let outcome = match target {
        Target::System => find_and_prove(&mdl, journal),
        Target::User(access, apc) => user::map_and_prove(&mdl, plan, access, journal, apc),
    };
    free(mdl, journal);
    outcome
}

fn find_and_prove(mdl: &Mdl<BuiltForNonpaged>, journal: &mut Journal) -> Result<(), Status> {
    let memory = mdl
        .system_address()
        .map_err(|error| journal.failed(WalkStage::SystemAddress, &error))?;
    let flags = mdl.header().flags;
    step!(
        journal.scope,
        "system-address address={} {}",
        Address(memory.address()),
        Flags(flags),
    );
    journal.done(WalkStage::SystemAddress, Some(flags));
    proof::run(mdl, memory, Addresses::Equal, journal)
}
