//! Builds the MDL for nonpaged pool. The pages are in system space already, so only a
//! process can have a second mapping of them.

use ntmem_ioctl::ScenarioStep;
use wdm::{
    Status,
    mdl::{BuiltForNonpaged, Mdl},
};

use crate::{
    alias_check::{self, Addresses},
    log::Address,
    scenario::{
        Plan, Record, Target,
        steps::{Flags, free, prepare_built},
        user,
    },
};

pub fn run(plan: &Plan, target: Target<'_>, record: &mut Record) -> Result<(), Status> {
    let mdl = prepare_built(plan, record)?;
    let result = match target {
        Target::System => check_system_address(&mdl, record),
        Target::User(access, apc) => user::map_and_check(&mdl, plan, access, record, apc),
    };
    free(mdl, record);
    result
}

fn check_system_address(mdl: &Mdl<BuiltForNonpaged>, record: &mut Record) -> Result<(), Status> {
    let memory = mdl
        .system_address()
        .map_err(|error| record.failed(ScenarioStep::SystemAddress, &error))?;
    let flags = mdl.header().flags;
    step!(
        record.scope,
        "system-address address={} {}",
        Address(memory.address()),
        Flags(flags),
    );
    record.done(ScenarioStep::SystemAddress, Some(flags));
    alias_check::run(mdl, memory, Addresses::Equal, record)
}
