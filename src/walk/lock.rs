//! The documented way: lock the pages, map them, undo both.

use ntmem_ioctl::WalkStage;
use wdm::{
    Rejected, Status,
    mdl::{Locked, Mdl},
};

use crate::{
    parameters::cache_type_name,
    proof::{self, Addresses},
    report::Address,
    walk::{
        Journal, Plan, Target,
        steps::{Flags, free, list_pages, prepare},
        user,
    },
};

pub fn run(plan: &Plan, target: Target<'_>, journal: &mut Journal) -> Result<(), Status> {
    let mdl = prepare(plan, journal)?;
    let mdl = match mdl.lock() {
        Ok(mdl) => mdl,
        Err(Rejected { error, returned }) => {
            let status = journal.failed(WalkStage::Lock, &error);
            free(returned, journal);
            return Err(status);
        }
    };
    list_pages(&mdl, WalkStage::Lock, journal);

    let outcome = match target {
        Target::System => map_and_prove(&mdl, plan, journal),
        Target::User(access, apc) => user::map_and_prove(&mdl, plan, access, journal, apc),
    };

    let mdl = mdl.unlock();
    let flags = mdl.header().flags;
    step!(journal.scope, "unlock {}", Flags(flags));
    journal.done(WalkStage::Unlock, Some(flags));
    free(mdl, journal);
    outcome
}

fn map_and_prove(mdl: &Mdl<Locked>, plan: &Plan, journal: &mut Journal) -> Result<(), Status> {
    let mapping = mdl
        .map(plan.cache)
        .map_err(|error| journal.failed(WalkStage::Map, &error))?;
    let address = mapping.memory().address();
    let flags = mdl.header().flags;
    step!(
        journal.scope,
        "map address={} cache-type={} {}",
        Address(address),
        cache_type_name(plan.cache),
        Flags(flags),
    );
    journal.done(WalkStage::Map, Some(flags));
    let outcome = proof::run(mdl, mapping.memory(), Addresses::Differ, journal);
    mapping.unmap();
    let flags = mdl.header().flags;
    step!(
        journal.scope,
        "unmap address={} {}",
        Address(address),
        Flags(flags)
    );
    journal.done(WalkStage::Unmap, Some(flags));
    outcome
}
