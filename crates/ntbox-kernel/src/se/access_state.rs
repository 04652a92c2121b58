//! Access states: the rights that are granted and still to be granted while an object
//! is opened, and the privileges that were used.

use nt_layout::{AccessState, AuxAccessData, LuidAndAttributes, PrivilegeSet};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::{access, token};
use crate::base::call_context::CallContext;
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::thread_table;
use crate::ex::{luid, pool};
use crate::mm;
use crate::mm::pool::{PoolKind, Request};

/// Bytes of a `PRIVILEGE_SET` before its privileges, and of each of those.
const SET_HEADER: u64 = DriverPtr::<PrivilegeSet>::SIZE;
const PRIVILEGE: u64 = DriverPtr::<LuidAndAttributes>::SIZE;
/// Privileges that fit into an access state.
const INITIAL_PRIVILEGES: u32 = 3;
/// `TOKEN_HAS_TRAVERSE_PRIVILEGE`, and the number of that privilege.
const HAS_TRAVERSE: u32 = 8;
const CHANGE_NOTIFY_PRIVILEGE: u32 = 23;
/// Pool tag of a set that does not fit.
const TAG: u32 = u32::from_le_bytes(*b"SePr");

/// The fields of the `ACCESS_STATE` at an address.
const fn access_state(state: u64) -> DriverPtr<AccessState> {
    DriverPtr::new(state)
}

/// The fields of the `AUX_ACCESS_DATA` at an address.
const fn aux_access_data(data: u64) -> DriverPtr<AuxAccessData> {
    DriverPtr::new(data)
}

fn create(
    state: u64,
    aux_data: u64,
    desired: u32,
    mapping: u64,
    caller: &CallContext<'_>,
) -> Result<(), NoReturn> {
    driver_mem::fill(state, 0, DriverPtr::<AccessState>::SIZE)?;
    driver_mem::fill(aux_data, 0, DriverPtr::<AuxAccessData>::SIZE)?;
    let mut wanted = desired;
    if mapping != 0 {
        wanted = access::map_generic(desired, access::read_mapping(mapping)?);
        driver_mem::copy(
            aux_access_data(aux_data)
                .at(|data| &data.generic_mapping)
                .address(),
            mapping,
            16,
        )?;
    }
    let (thread, process) = (
        thread_table::current_thread(),
        thread_table::current_process(),
    );
    token::capture(
        thread,
        process,
        access_state(state)
            .at(|state| &state.subject_security_context)
            .address(),
        caller,
    )?;
    let subject = token::of_subject(
        access_state(state)
            .at(|state| &state.subject_security_context)
            .address(),
    )?;
    if subject.is_some_and(|token| token.has_privilege(CHANGE_NOTIFY_PRIVILEGE)) {
        access_state(state).set(|state| &state.flags, HAS_TRAVERSE)?;
    }
    access_state(state).set(|state| &state.operation_id, luid::next())?;
    access_state(state).set(|state| &state.remaining_desired_access, wanted)?;
    access_state(state).set(|state| &state.original_desired_access, wanted)?;
    access_state(state).set(|state| &state.aux_data, aux_data)?;
    Ok(aux_access_data(aux_data).set(
        |data| &data.privileges_used,
        access_state(state).at(|state| &state.privileges).address(),
    )?)
}

fn free(block: u64, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    pool::free(block, None, caller.address(), "SeDeleteAccessState")
}

fn delete(state: u64, caller: &CallContext<'_>) -> Result<(), NoReturn> {
    let aux_data = access_state(state).get(|state| &state.aux_data)?;
    if access_state(state).get(|state| &state.privileges_allocated)? != 0 {
        free(
            aux_access_data(aux_data).get(|data| &data.privileges_used)?,
            caller,
        )?;
    }
    let names = [
        access_state(state).at(|state| &state.object_name),
        access_state(state).at(|state| &state.object_type_name),
    ];
    for name in names {
        let string = UnicodeString::read(name.address())?;
        if string.buffer != 0 {
            free(string.buffer, caller)?;
        }
    }
    token::release(
        access_state(state)
            .at(|state| &state.subject_security_context)
            .address(),
        caller,
    )
}

/// Adds privileges to those that were used; where there is no room, in a set of its
/// own. The status.
fn append(state: u64, more: u64, caller: &CallContext<'_>) -> Result<u32, NoReturn> {
    let aux_data = access_state(state).get(|state| &state.aux_data)?;
    let used = aux_access_data(aux_data).get(|data| &data.privileges_used)?;
    let (before, added) = (driver_mem::read_u32(used)?, driver_mem::read_u32(more)?);
    let allocated = access_state(state).get(|state| &state.privileges_allocated)? != 0;
    let all = u64::from(before) + u64::from(added);
    let mut set = used;
    if allocated || all > u64::from(INITIAL_PRIVILEGES) {
        let size = SET_HEADER + PRIVILEGE * all;
        let request = Request {
            kind: PoolKind::Paged,
            size,
            tag: TAG,
            zeroed: false,
            cache_aligned: false,
            caller: caller.address(),
        };
        let Some(new) = mm::with(|memory| memory.pools.allocate(request)) else {
            return Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES);
        };
        driver_mem::copy(new, used, SET_HEADER + PRIVILEGE * u64::from(before))?;
        set = new;
    }
    let end = set + SET_HEADER + PRIVILEGE * u64::from(before);
    driver_mem::copy(
        end,
        more.wrapping_add(SET_HEADER),
        PRIVILEGE * u64::from(added),
    )?;
    driver_mem::write_u32(set, u32::try_from(all).unwrap_or(u32::MAX))?;
    if set != used {
        if allocated {
            free(used, caller)?;
        }
        aux_access_data(aux_data).set(|data| &data.privileges_used, set)?;
        access_state(state).set(|state| &state.privileges_allocated, 1)?;
    }
    Ok(nt_status::STATUS_SUCCESS)
}

exports! {
    /// `SeCreateAccessState`: for the current thread.
    fn SeCreateAccessState<call>(state: u64, aux_data: u64, desired: u32, mapping: u64) -> u32
        [max PASSIVE_LEVEL, undocumented]
        fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        create(state, aux_data, desired, mapping, &CallContext::of(call))?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `SeDeleteAccessState`: what it holds, not the structure.
    fn SeDeleteAccessState<call>(state: u64) -> () [max PASSIVE_LEVEL, undocumented] {
        delete(state, &CallContext::of(call))
    }

    /// `SeSetAccessStateGenericMapping`.
    fn SeSetAccessStateGenericMapping(state: u64, mapping: u64) -> () [max PASSIVE_LEVEL, ntifs] {
        let aux_data = access_state(state).get(|state| &state.aux_data)?;
        Ok(driver_mem::copy(aux_access_data(aux_data).at(|data| &data.generic_mapping).address(), mapping, 16)?)
    }

    /// `SeAppendPrivileges`.
    fn SeAppendPrivileges<call>(state: u64, more: u64) -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        append(state, more, &CallContext::of(call))
    }

    /// `SeFreePrivileges`: of a set that a check of access gave.
    fn SeFreePrivileges<call>(set: u64) -> () [max PASSIVE_LEVEL, ntifs] {
        pool::free(set, None, call.return_address(), "SeFreePrivileges")
    }
}
