//! Maps the pages into the requesting process for the duration of the request.

use ntmem_ioctl::{ScenarioCheck, ScenarioStep};
use wdm::{
    Status,
    irql::Apc,
    mdl::Mdl,
    memory::SharedBytes,
    user_map::{Access, MapsToUser, UserMapping},
};

use crate::{
    alias_check::{self, Addresses, CheckResults, Pattern},
    log::Address,
    parameters::cache_type_name,
    scenario::{Plan, Record, steps::Flags},
};

/// Maps the pages into the current process, checks that both addresses alias, and
/// unmaps them.
pub fn map_and_check<S: MapsToUser>(
    mdl: &Mdl<S>,
    plan: &Plan,
    access: Access,
    record: &mut Record,
    apc: &mut Apc,
) -> Result<(), Status> {
    let mapped = mdl.with_user_mapping(access, plan.cache, apc, |view, apc| {
        let address = view.address();
        let flags = mdl.header().flags;
        step!(
            record.scope,
            "map-user address={} cache-type={} access={} {}",
            Address(address),
            cache_type_name(plan.cache),
            access_name(access),
            Flags(flags),
        );
        record.done(ScenarioStep::MapUser, Some(flags));
        (check_alias(mdl, view, access, record, apc), address)
    });
    let (result, address) = mapped.map_err(|error| record.failed(ScenarioStep::MapUser, &error))?;
    let flags = mdl.header().flags;
    step!(
        record.scope,
        "unmap-user address={} {}",
        Address(address),
        Flags(flags)
    );
    record.done(ScenarioStep::UnmapUser, Some(flags));
    result
}

/// The name of an access, in the log.
const fn access_name(access: Access) -> &'static str {
    match access {
        Access::Read => "read-only",
        Access::ReadWrite => "read-write",
    }
}

fn check_alias<S: MapsToUser>(
    mdl: &Mdl<S>,
    view: &UserMapping<'_>,
    access: Access,
    record: &mut Record,
    apc: &Apc,
) -> Result<(), Status> {
    let pool = mdl.block().memory();
    let bytes = pool.len();
    let count_equal = |pattern: Pattern| {
        let range = view.range().ok()?;
        Some(pattern.count_equal_user(range, apc))
    };
    let filled = count_equal(Pattern::FILL).unwrap_or(0);
    let filled = alias_check::checked_bytes(ScenarioCheck::Filled, bytes, filled, record);
    Pattern::FORWARD.write(pool);
    let forward = count_equal(Pattern::FORWARD).unwrap_or(0);
    let forward = alias_check::checked_bytes(ScenarioCheck::Forward, bytes, forward, record);
    let last = match access {
        Access::ReadWrite => {
            if let Ok(range) = view.range() {
                // A failed write shows in the comparison below.
                let _ = Pattern::BACKWARD.write_user(range, apc);
            }
            let equal = Pattern::BACKWARD.count_equal(pool);
            alias_check::checked_bytes(ScenarioCheck::Backward, bytes, equal, record)
        }
        Access::Read => write_is_refused(view, pool, record, apc),
    };
    let physical = alias_check::check_physical(mdl, view.physical_addresses(), record);
    alias_check::conclude(
        CheckResults {
            contents: filled && forward && last,
            physical,
            addresses: Addresses::Differ,
        },
        (pool.address(), view.address()),
        record,
    )
}

/// Whether a write through the address raises an access violation and changes
/// nothing.
fn write_is_refused(
    view: &UserMapping<'_>,
    pool: SharedBytes<'_>,
    record: &mut Record,
    apc: &Apc,
) -> bool {
    let written = view
        .range()
        .and_then(|range| Pattern::BACKWARD.write_user(range, apc));
    let refused = written == Err(Status::ACCESS_VIOLATION);
    let unchanged = Pattern::FORWARD.count_equal(pool) == pool.len();
    let equal = usize::from(refused && unchanged);
    step!(
        record.scope,
        "check name={} writes=1 refused={equal}",
        ScenarioCheck::ReadOnly.name()
    );
    record.check(ScenarioCheck::ReadOnly, 1, equal)
}
