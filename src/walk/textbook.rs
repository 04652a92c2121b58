//! The way that tutorials print, and that the reference forbids: an MDL built for
//! nonpaged pool, mapped into system space all the same. It runs only if `Walk`
//! names it.

use wdm::{
    Rejected, Status,
    textbook::{self, AcceptUndefinedBehaviour},
};

use crate::{
    parameters::{Parameters, cache_type_name},
    proof::{self, Addresses},
    report::{Address, Scope},
    walk::steps::{Flags, free, list_pages, prepare},
};

pub fn run(parameters: &Parameters, scope: Scope) -> Result<(), Status> {
    step!(
        scope,
        "warning rule=system-mapping-of-nonpaged-mdl behaviour=undefined"
    );
    let mdl = prepare(parameters, scope)?.build_for_nonpaged_pool();
    step!(
        scope,
        "build {} pages={}",
        Flags(mdl.header().flags),
        mdl.frames().count()
    );
    list_pages(&mdl, scope);

    let signature = AcceptUndefinedBehaviour::because_the_user_asked_by_name();
    let mapping = match textbook::map(mdl, parameters.cache, signature) {
        Ok(mapping) => mapping,
        Err(Rejected { error, returned }) => {
            let status = scope.failed("map", &error);
            free(returned, scope);
            return Err(status);
        }
    };
    let address = mapping.memory().address();
    step!(
        scope,
        "map address={} cache-type={} {}",
        Address(address),
        cache_type_name(parameters.cache),
        Flags(mapping.mdl().header().flags),
    );
    let outcome = proof::run(mapping.mdl(), mapping.memory(), Addresses::Differ, scope);

    let mdl = mapping.unmap();
    step!(
        scope,
        "unmap address={} {}",
        Address(address),
        Flags(mdl.header().flags)
    );
    free(mdl, scope);
    outcome
}
