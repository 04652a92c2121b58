//! Maps an MDL built for nonpaged pool into system space a second time, as tutorials
//! do and the reference forbids. Runs only on explicit request.

use double_map::AcceptUndefinedBehaviour;
use ntmem_ioctl::ScenarioStep;
use wdm::{Rejected, Status};

use crate::{
    alias_check::{self, Addresses},
    log::Address,
    parameters::cache_type_name,
    scenario::{
        Plan, Record,
        steps::{Flags, free, prepare_built},
    },
};

pub fn run(plan: &Plan, record: &mut Record) -> Result<(), Status> {
    step!(
        record.scope,
        "warning rule=system-mapping-of-nonpaged-mdl behaviour=undefined"
    );
    let mdl = prepare_built(plan, record)?;
    let signature = AcceptUndefinedBehaviour::requested_by_name();
    let mapping = match double_map::map(mdl, plan.cache, signature) {
        Ok(mapping) => mapping,
        Err(Rejected { error, returned }) => {
            let status = record.failed(ScenarioStep::Map, &error);
            free(returned, record);
            return Err(status);
        }
    };
    let address = mapping.memory().address();
    let flags = mapping.mdl().header().flags;
    step!(
        record.scope,
        "map address={} cache-type={} {}",
        Address(address),
        cache_type_name(plan.cache),
        Flags(flags),
    );
    record.done(ScenarioStep::Map, Some(flags));
    let result = alias_check::run(mapping.mdl(), mapping.memory(), Addresses::Differ, record);

    let mdl = mapping.unmap();
    let flags = mdl.header().flags;
    step!(
        record.scope,
        "unmap address={} {}",
        Address(address),
        Flags(flags)
    );
    record.done(ScenarioStep::Unmap, Some(flags));
    free(mdl, record);
    result
}
