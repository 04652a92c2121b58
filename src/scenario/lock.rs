//! The documented way: lock the pages, map them, undo both.

use ntmem_ioctl::ScenarioStep;
use wdm::{
    Rejected, Status,
    mdl::{Locked, Mdl},
};

use crate::{
    alias_check::{self, Addresses},
    log::Address,
    parameters::cache_type_name,
    scenario::{
        Plan, Record, Target,
        steps::{Flags, free, list_pages, prepare},
        user,
    },
};

pub fn run(plan: &Plan, target: Target<'_>, record: &mut Record) -> Result<(), Status> {
    let mdl = prepare(plan, record)?;
    let mdl = match mdl.lock() {
        Ok(mdl) => mdl,
        Err(Rejected { error, returned }) => {
            let status = record.failed(ScenarioStep::Lock, &error);
            free(returned, record);
            return Err(status);
        }
    };
    list_pages(&mdl, ScenarioStep::Lock, record);

    let result = match target {
        Target::System => map_and_check(&mdl, plan, record),
        Target::User(access, apc) => user::map_and_check(&mdl, plan, access, record, apc),
    };

    let mdl = mdl.unlock();
    let flags = mdl.header().flags;
    step!(record.scope, "unlock {}", Flags(flags));
    record.done(ScenarioStep::Unlock, Some(flags));
    free(mdl, record);
    result
}

fn map_and_check(mdl: &Mdl<Locked>, plan: &Plan, record: &mut Record) -> Result<(), Status> {
    let mapping = mdl
        .map(plan.cache)
        .map_err(|error| record.failed(ScenarioStep::Map, &error))?;
    let address = mapping.memory().address();
    let flags = mdl.header().flags;
    step!(
        record.scope,
        "map address={} cache-type={} {}",
        Address(address),
        cache_type_name(plan.cache),
        Flags(flags),
    );
    record.done(ScenarioStep::Map, Some(flags));
    let result = alias_check::run(mdl, mapping.memory(), Addresses::Differ, record);
    mapping.unmap();
    let flags = mdl.header().flags;
    step!(
        record.scope,
        "unmap address={} {}",
        Address(address),
        Flags(flags)
    );
    record.done(ScenarioStep::Unmap, Some(flags));
    result
}
