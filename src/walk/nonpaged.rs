//! The way without a second address in system space: the pages of nonpaged pool
//! are there already, and the MDL says where.

use wdm::{
    Status,
    mdl::{BuiltForNonpaged, Mdl},
};

use crate::{
    parameters::Parameters,
    proof::{self, Addresses},
    report::{Address, Scope},
    walk::steps::{Flags, free, list_pages, prepare},
};

pub fn run(parameters: &Parameters, scope: Scope) -> Result<(), Status> {
    let mdl = prepare(parameters, scope)?.build_for_nonpaged_pool();
    step!(
        scope,
        "build {} pages={}",
        Flags(mdl.header().flags),
        mdl.frames().count()
    );
    list_pages(&mdl, scope);
    let outcome = find_and_prove(&mdl, scope);
    free(mdl, scope);
    outcome
}

fn find_and_prove(mdl: &Mdl<BuiltForNonpaged>, scope: Scope) -> Result<(), Status> {
    let memory = mdl
        .system_address()
        .map_err(|error| scope.failed("system-address", &error))?;
    step!(
        scope,
        "system-address address={} {}",
        Address(memory.address()),
        Flags(mdl.header().flags),
    );
    proof::run(mdl, memory, Addresses::Equal, scope)
}
