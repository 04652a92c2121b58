//! The documented way: lock the pages, map them, undo both.

use wdm::{
    Rejected, Status,
    mdl::{Locked, Mdl},
};

use crate::{
    parameters::{Parameters, cache_type_name},
    proof::{self, Addresses},
    report::{Address, Scope},
    walk::steps::{Flags, free, list_pages, prepare},
};

pub fn run(parameters: &Parameters, scope: Scope) -> Result<(), Status> {
    let mdl = prepare(parameters, scope)?;
    let mdl = match mdl.lock() {
        Ok(mdl) => mdl,
        Err(Rejected { error, returned }) => {
            let status = scope.failed("lock", &error);
            free(returned, scope);
            return Err(status);
        }
    };
    step!(
        scope,
        "lock {} pages={}",
        Flags(mdl.header().flags),
        mdl.frames().count()
    );
    list_pages(&mdl, scope);

    let outcome = map_and_prove(&mdl, parameters, scope);

    let mdl = mdl.unlock();
    step!(scope, "unlock {}", Flags(mdl.header().flags));
    free(mdl, scope);
    outcome
}

fn map_and_prove(mdl: &Mdl<Locked>, parameters: &Parameters, scope: Scope) -> Result<(), Status> {
    let mapping = mdl
        .map(parameters.cache)
        .map_err(|error| scope.failed("map", &error))?;
    let address = mapping.memory().address();
    step!(
        scope,
        "map address={} cache-type={} {}",
        Address(address),
        cache_type_name(parameters.cache),
        Flags(mdl.header().flags),
    );
    let outcome = proof::run(mdl, mapping.memory(), Addresses::Differ, scope);
    mapping.unmap();
    step!(
        scope,
        "unmap address={} {}",
        Address(address),
        Flags(mdl.header().flags)
    );
    outcome
}
