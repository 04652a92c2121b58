//! The way that tutorials print, and that the reference forbids: an MDL built for
//! nonpaged pool, mapped into system space all the same. It runs only if somebody
//! names it.

use double_map::AcceptUndefinedBehaviour;
use ntmem_ioctl::WalkStage;
use wdm::{Rejected, Status};

use crate::{
    parameters::cache_type_name,
    proof::{self, Addresses},
    report::Address,
    walk::{
        Journal, Plan,
        steps::{Flags, free, prepare_built},
    },
};

pub fn run(plan: &Plan, journal: &mut Journal) -> Result<(), Status> {
    step!(
        journal.scope,
        "warning rule=system-mapping-of-nonpaged-mdl behaviour=undefined"
    );
    let mdl = prepare_built(plan, journal)?;
    let signature = AcceptUndefinedBehaviour::requested_by_name();
    let mapping = match double_map::map(mdl, plan.cache, signature) {
        Ok(mapping) => mapping,
        Err(Rejected { error, returned }) => {
            let status = journal.failed(WalkStage::Map, &error);
            free(returned, journal);
            return Err(status);
        }
    };
    let address = mapping.memory().address();
    let flags = mapping.mdl().header().flags;
    step!(
        journal.scope,
        "map address={} cache-type={} {}",
        Address(address),
        cache_type_name(plan.cache),
        Flags(flags),
    );
    journal.done(WalkStage::Map, Some(flags));
    let outcome = proof::run(mapping.mdl(), mapping.memory(), Addresses::Differ, journal);

    let mdl = mapping.unmap();
    let flags = mdl.header().flags;
    step!(
        journal.scope,
        "unmap address={} {}",
        Address(address),
        Flags(flags)
    );
    journal.done(WalkStage::Unmap, Some(flags));
    free(mdl, journal);
    outcome
}
