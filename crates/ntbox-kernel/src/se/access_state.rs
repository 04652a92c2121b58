//! Access states: what an attempt to open an object has come to, which rights are left
//! to be granted, and by which privileges the others were.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::Stop;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::{access, token};
use crate::base::call_context::Caller;
use crate::base::export::exports;
use crate::base::thread_table;
use crate::ex::{luid, pool};
use crate::mm;
use crate::mm::pool::{PoolKind, Request};

/// Bytes of an `ACCESS_STATE`, and offsets in it.
const SIZE: u64 = 0xa0;
mod offset {
    pub const OPERATION: u64 = 0x00;
    pub const PRIVILEGES_ALLOCATED: u64 = 0x0b;
    pub const FLAGS: u64 = 0x0c;
    pub const REMAINING: u64 = 0x10;
    pub const ORIGINAL: u64 = 0x18;
    pub const SUBJECT: u64 = 0x20;
    pub const AUX_DATA: u64 = 0x48;
    pub const PRIVILEGES: u64 = 0x50;
    pub const OBJECT_NAME: u64 = 0x80;
    pub const TYPE_NAME: u64 = 0x90;
}

/// Offsets in an `AUX_ACCESS_DATA`, of which nothing else is written: how much there is
/// behind differs from version to version.
mod aux {
    pub const PRIVILEGES_USED: u64 = 0x00;
    pub const GENERIC_MAPPING: u64 = 0x08;
    pub const AUDIT: u64 = 0x18;
}

/// Bytes of a `PRIVILEGE_SET` before its privileges, and of each of those.
const SET_HEADER: u64 = 8;
const PRIVILEGE: u64 = 12;
/// Privileges that an access state has room for.
const INITIAL_PRIVILEGES: u32 = 3;
/// `TOKEN_HAS_TRAVERSE_PRIVILEGE`, and the number of that privilege.
const HAS_TRAVERSE: u32 = 8;
const CHANGE_NOTIFY_PRIVILEGE: u32 = 23;
/// Pool tag of a set that was not enough.
const TAG: u32 = u32::from_le_bytes(*b"SePr");

fn mapping_at(at: u64) -> Result<[u32; 4], Fault> {
    let mut mapping = [0; 4];
    for (n, rights) in (0..).zip(mapping.iter_mut()) {
        *rights = driver_mem::read_u32(at.wrapping_add(4 * n))?;
    }
    Ok(mapping)
}

fn create(
    state: u64,
    aux_data: u64,
    desired: u32,
    mapping: u64,
    caller: &Caller<'_>,
) -> Result<(), Stop> {
    driver_mem::fill(state, 0, SIZE)?;
    driver_mem::fill(aux_data, 0, aux::AUDIT + 8)?;
    let mut wanted = desired;
    if mapping != 0 {
        wanted = access::map_generic(desired, mapping_at(mapping)?);
        driver_mem::copy(aux_data + aux::GENERIC_MAPPING, mapping, 16)?;
    }
    let (thread, process) = (
        thread_table::current_thread(),
        thread_table::current_process(),
    );
    token::capture(thread, process, state + offset::SUBJECT, caller)?;
    let subject = token::of_subject(state + offset::SUBJECT)?;
    if subject.is_some_and(|token| token.has_privilege(CHANGE_NOTIFY_PRIVILEGE)) {
        driver_mem::write_u32(state + offset::FLAGS, HAS_TRAVERSE)?;
    }
    driver_mem::write_u64(state + offset::OPERATION, luid::next())?;
    driver_mem::write_u32(state + offset::REMAINING, wanted)?;
    driver_mem::write_u32(state + offset::ORIGINAL, wanted)?;
    driver_mem::write_u64(state + offset::AUX_DATA, aux_data)?;
    Ok(driver_mem::write_u64(
        aux_data + aux::PRIVILEGES_USED,
        state + offset::PRIVILEGES,
    )?)
}

fn free(block: u64, caller: &Caller<'_>) -> Result<(), Stop> {
    pool::free(block, None, caller.address(), "SeDeleteAccessState")
}

fn delete(state: u64, caller: &Caller<'_>) -> Result<(), Stop> {
    let aux_data = driver_mem::read_u64(state.wrapping_add(offset::AUX_DATA))?;
    if driver_mem::read_u8(state + offset::PRIVILEGES_ALLOCATED)? != 0 {
        free(
            driver_mem::read_u64(aux_data + aux::PRIVILEGES_USED)?,
            caller,
        )?;
    }
    for name in [offset::OBJECT_NAME, offset::TYPE_NAME] {
        let string = UnicodeString::read(state + name)?;
        if string.buffer != 0 {
            free(string.buffer, caller)?;
        }
    }
    token::release(state + offset::SUBJECT, caller)
}

/// Adds privileges to those that were used; where there is no room, in a set of its
/// own. The status.
fn append(state: u64, more: u64, caller: &Caller<'_>) -> Result<u32, Stop> {
    let aux_data = driver_mem::read_u64(state.wrapping_add(offset::AUX_DATA))?;
    let used = driver_mem::read_u64(aux_data + aux::PRIVILEGES_USED)?;
    let (before, added) = (driver_mem::read_u32(used)?, driver_mem::read_u32(more)?);
    let allocated = driver_mem::read_u8(state + offset::PRIVILEGES_ALLOCATED)? != 0;
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
        driver_mem::write_u64(aux_data + aux::PRIVILEGES_USED, set)?;
        driver_mem::write_u8(state + offset::PRIVILEGES_ALLOCATED, 1)?;
    }
    Ok(nt_status::STATUS_SUCCESS)
}

exports! {
    /// `SeCreateAccessState`: for the current thread.
    fn SeCreateAccessState<call>(state: u64, aux_data: u64, desired: u32, mapping: u64) -> u32
        [max PASSIVE_LEVEL, undocumented]
        fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        create(state, aux_data, desired, mapping, &Caller::of(call))?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `SeDeleteAccessState`: what it holds, not the structure.
    fn SeDeleteAccessState<call>(state: u64) -> () [max PASSIVE_LEVEL, undocumented] {
        delete(state, &Caller::of(call))
    }

    /// `SeSetAccessStateGenericMapping`.
    fn SeSetAccessStateGenericMapping(state: u64, mapping: u64) -> () [max PASSIVE_LEVEL, ntifs] {
        let aux_data = driver_mem::read_u64(state.wrapping_add(offset::AUX_DATA))?;
        Ok(driver_mem::copy(aux_data + aux::GENERIC_MAPPING, mapping, 16)?)
    }

    /// `SeAppendPrivileges`.
    fn SeAppendPrivileges<call>(state: u64, more: u64) -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        append(state, more, &Caller::of(call))
    }

    /// `SeFreePrivileges`: of a set that a check of access gave.
    fn SeFreePrivileges<call>(set: u64) -> () [max PASSIVE_LEVEL, ntifs] {
        pool::free(set, None, call.return_address(), "SeFreePrivileges")
    }
}
