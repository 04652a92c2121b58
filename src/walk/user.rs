//! The second address in the program that asked: its own, for as long as the
//! request takes.

use ntmem_ioctl::{WalkProbe, WalkStage};
use wdm::{
    Status,
    irql::Apc,
    mdl::Mdl,
    memory::SharedBytes,
    user_map::{Access, MapsToUser, UserMapping},
};

use crate::{
    parameters::cache_type_name,
    proof::{self, Addresses, Pattern, Verdict},
    report::Address,
    walk::{Journal, Plan, steps::Flags},
};

/// Maps the pages into the current process, proves that they are the same memory,
/// and undoes the mapping.
pub fn map_and_prove<S: MapsToUser>(
    mdl: &Mdl<S>,
    plan: &Plan,
    access: Access,
    journal: &mut Journal,
    apc: &mut Apc,
) -> Result<(), Status> {
    let mapped = mdl.with_user_mapping(access, plan.cache, apc, |view, apc| {
        let address = view.address();
        let flags = mdl.header().flags;
        step!(
            journal.scope,
            "map-user address={} cache-type={} access={} {}",
            Address(address),
            cache_type_name(plan.cache),
            access_name(access),
            Flags(flags),
        );
        journal.done(WalkStage::MapUser, Some(flags));
        (prove(mdl, view, access, journal, apc), address)
    });
    let (outcome, address) = mapped.map_err(|error| journal.failed(WalkStage::MapUser, &error))?;
    let flags = mdl.header().flags;
    step!(
        journal.scope,
        "unmap-user address={} {}",
        Address(address),
        Flags(flags)
    );
    journal.done(WalkStage::UnmapUser, Some(flags));
    outcome
}

/// The name of an access, in the log.
const fn access_name(access: Access) -> &'static str {
    match access {
        Access::Read => "read-only",
        Access::ReadWrite => "read-write",
    }
}

fn prove<S: MapsToUser>(
    mdl: &Mdl<S>,
    view: &UserMapping<'_>,
    access: Access,
    journal: &mut Journal,
    apc: &Apc,
) -> Result<(), Status> {
    let pool = mdl.block().memory();
    let bytes = pool.len();
    let count_equal = |pattern: Pattern| {
        let range = view.range().ok()?;
        Some(pattern.count_equal_user(range, apc))
    };
    let filled = count_equal(Pattern::FILL).unwrap_or(0);
    let filled = proof::checked_bytes(WalkProbe::Filled, bytes, filled, journal);
    Pattern::FORWARD.write(pool);
    let forward = count_equal(Pattern::FORWARD).unwrap_or(0);
    let forward = proof::checked_bytes(WalkProbe::Forward, bytes, forward, journal);
    let last = match access {
        Access::ReadWrite => {
            if let Ok(range) = view.range() {
                // What is not written is not found below.
                let _ = Pattern::BACKWARD.write_user(range, apc);
            }
            let equal = Pattern::BACKWARD.count_equal(pool);
            proof::checked_bytes(WalkProbe::Backward, bytes, equal, journal)
        }
        Access::Read => is_refused(view, pool, journal, apc),
    };
    let physical = proof::check_physical(mdl, view.physical_addresses(), journal);
    proof::conclude(
        Verdict {
            contents: filled && forward && last,
            physical,
            addresses: Addresses::Differ,
        },
        (pool.address(), view.address()),
        journal,
    )
}

/// A write through the address has to end in an access violation and to leave the
/// memory as it was.
fn is_refused(
    view: &UserMapping<'_>,
    pool: SharedBytes<'_>,
    journal: &mut Journal,
    apc: &Apc,
) -> bool {
    let written = view
        .range()
        .and_then(|range| Pattern::BACKWARD.write_user(range, apc));
    let refused = written == Err(Status::ACCESS_VIOLATION);
    let unchanged = Pattern::FORWARD.count_equal(pool) == pool.len();
    let equal = usize::from(refused && unchanged);
    step!(
        journal.scope,
        "check name={} writes=1 refused={equal}",
        WalkProbe::ReadOnly.name()
    );
    journal.check(WalkProbe::ReadOnly, 1, equal)
}
