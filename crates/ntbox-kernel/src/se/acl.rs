//! Access control lists, as drivers build them in memory of their own.

use nt_layout::{AccessAce, AceHeader, Acl};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::APC_LEVEL;

use super::sid;
use crate::base::driver_ptr::DriverPtr;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;

/// Bytes of an ACL without entries.
pub const HEADER: u64 = 8;
/// `ACL_REVISION` and the last one that there is.
const REVISION: u8 = 2;
const LAST_REVISION: u8 = 4;
/// Bytes of an entry before its SID.
const ENTRY_HEADER: u64 = 8;
/// `VALID_INHERIT_FLAGS`.
const INHERIT_FLAGS: u32 = 0x1f;

/// The size of the entry at an address.
fn entry_size(at: u64) -> Result<u64, Fault> {
    let entry: DriverPtr<AceHeader> = DriverPtr::new(at);
    entry.get(|entry| &entry.ace_size).map(u64::from)
}

/// The fixed part of a list.
#[derive(Debug, Clone, Copy)]
struct List {
    revision: u8,
    size: u64,
    count: u16,
}

impl List {
    fn read(va: u64) -> Result<Self, Fault> {
        let list: DriverPtr<Acl> = DriverPtr::new(va);
        Ok(Self {
            revision: list.get(|list| &list.acl_revision)?,
            size: u64::from(list.get(|list| &list.acl_size)?),
            count: list.get(|list| &list.ace_count)?,
        })
    }

    /// Offsets of the entries and, last, of the first byte behind them; `None` if
    /// they do not fit into the list.
    fn entries(self, va: u64) -> Result<Option<Vec<u64>>, Fault> {
        let mut offsets = vec![HEADER];
        let mut at = HEADER;
        for _ in 0..self.count {
            if at + 4 > self.size {
                return Ok(None);
            }
            let size = entry_size(va.wrapping_add(at))?;
            at += size;
            if size < 4 || at > self.size {
                return Ok(None);
            }
            offsets.push(at);
        }
        Ok(Some(offsets))
    }
}

/// Whether there is a valid list at `va`.
pub fn is_valid(va: u64) -> Result<bool, Fault> {
    let list = List::read(va)?;
    Ok((REVISION..=LAST_REVISION).contains(&list.revision)
        && list.size >= HEADER
        && list.entries(va)?.is_some())
}

/// The bytes of the list at `va`.
pub fn read(va: u64) -> Result<Vec<u8>, Fault> {
    let mut bytes = vec![0; usize::try_from(List::read(va)?.size).unwrap_or(0)];
    driver_mem::read_bytes(va, &mut bytes)?;
    Ok(bytes)
}

exports! {
    /// `RtlCreateAcl`.
    fn RtlCreateAcl(acl: u64, size: u32, revision: u32) -> u32 [max APC_LEVEL, ntifs] {
        if u64::from(size) < HEADER {
            return Ok(nt_status::STATUS_BUFFER_TOO_SMALL);
        }
        let revision = u8::try_from(revision).unwrap_or(0);
        let Ok(size) = u16::try_from(size) else {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        };
        if !(REVISION..=LAST_REVISION).contains(&revision) {
            return Ok(nt_status::STATUS_INVALID_PARAMETER);
        }
        driver_mem::write_bytes(acl, &[revision, 0])?;
        let list: DriverPtr<Acl> = DriverPtr::new(acl);
        list.set(|list| &list.acl_size, size & !3)?;
        // Also the reserved field behind the count.
        driver_mem::write_u32(list.at(|list| &list.ace_count).address(), 0)?;
        Ok(nt_status::STATUS_SUCCESS)
    }

    /// `RtlAddAccessAllowedAce`.
    fn RtlAddAccessAllowedAce(acl: u64, revision: u32, mask: u32, sid: u64) -> u32 [max APC_LEVEL, ntifs] {
        error::status(add_allowed(acl, revision, 0, mask, sid))
    }

    /// `RtlAddAccessAllowedAceEx`: with inheritance.
    fn RtlAddAccessAllowedAceEx(acl: u64, revision: u32, flags: u32, mask: u32, sid: u64) -> u32
        [max APC_LEVEL, ntifs] {
        error::status(add_allowed(acl, revision, flags, mask, sid))
    }

    /// `RtlAddAce`: entries as they lie in memory, before one that is there.
    fn RtlAddAce(acl: u64, revision: u32, index: u32, entries: u64, length: u32) -> u32 [max APC_LEVEL, ntifs] {
        error::status(add(acl, revision, index, entries, length))
    }

    /// `RtlDeleteAce`.
    fn RtlDeleteAce(acl: u64, index: u32) -> u32 [max APC_LEVEL, ntifs] {
        error::status(delete(acl, index))
    }

    /// `RtlGetAce`.
    fn RtlGetAce(acl: u64, index: u32, entry: u64) -> u32 [max APC_LEVEL, ntifs] {
        let get = || -> Result<(), Refusal> {
            let offsets = offsets(acl, nt_status::STATUS_INVALID_PARAMETER)?;
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            if index + 1 >= offsets.len() {
                return Err(nt_status::STATUS_INVALID_PARAMETER.into());
            }
            Ok(driver_mem::write_u64(entry, acl.wrapping_add(offsets[index]))?)
        };
        error::status(get())
    }
}

/// Offsets of the entries and of the end, or `otherwise` if the list is not valid.
fn offsets(acl: u64, otherwise: u32) -> Result<Vec<u64>, Refusal> {
    let list = List::read(acl)?;
    if !(REVISION..=LAST_REVISION).contains(&list.revision) {
        return Err(otherwise.into());
    }
    Ok(list.entries(acl)?.ok_or(otherwise)?)
}

fn add_allowed(acl: u64, revision: u32, flags: u32, mask: u32, sid: u64) -> Result<(), Refusal> {
    if !sid::is_valid(sid)? {
        return Err(nt_status::STATUS_INVALID_SID.into());
    }
    let list = List::read(acl)?;
    let revision = u8::try_from(revision).unwrap_or(u8::MAX);
    if revision > LAST_REVISION || list.revision > LAST_REVISION {
        return Err(nt_status::STATUS_REVISION_MISMATCH.into());
    }
    if flags & !INHERIT_FLAGS != 0 {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    let offsets = offsets(acl, nt_status::STATUS_INVALID_ACL)?;
    let end = offsets.last().copied().unwrap_or(HEADER);
    let size = ENTRY_HEADER + sid::length(sid)?;
    if end + size > list.size {
        return Err(nt_status::STATUS_ALLOTTED_SPACE_EXCEEDED.into());
    }
    let at = acl.wrapping_add(end);
    driver_mem::write_bytes(at, &[0, u8::try_from(flags).unwrap_or(0)])?;
    let entry: DriverPtr<AccessAce> = DriverPtr::new(at);
    entry.set(
        |entry| &entry.header.ace_size,
        u16::try_from(size).unwrap_or(0),
    )?;
    entry.set(|entry| &entry.mask, mask)?;
    driver_mem::copy(at.wrapping_add(ENTRY_HEADER), sid, sid::length(sid)?)?;
    DriverPtr::<Acl>::new(acl).set(|acl| &acl.ace_count, list.count + 1)?;
    Ok(driver_mem::write_u8(acl, list.revision.max(revision))?)
}

fn add(acl: u64, revision: u32, index: u32, entries: u64, length: u32) -> Result<(), Refusal> {
    let invalid = nt_status::STATUS_INVALID_PARAMETER;
    let list = List::read(acl)?;
    let offsets = offsets(acl, invalid)?;
    let revision = u8::try_from(revision).map_err(|_| invalid)?;
    if revision > LAST_REVISION || revision < list.revision {
        return Err(invalid.into());
    }
    let length = u64::from(length);
    let (mut at, mut count) = (0, 0);
    while at < length {
        let size = entry_size(entries.wrapping_add(at))?;
        at += size;
        count += 1;
        if size < 4 || at > length {
            return Err(invalid.into());
        }
    }
    let end = offsets.last().copied().unwrap_or(HEADER);
    if end + length > list.size {
        return Err(nt_status::STATUS_BUFFER_TOO_SMALL.into());
    }
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    let place = offsets.get(index).copied().unwrap_or(end);
    driver_mem::copy(
        acl.wrapping_add(place + length),
        acl.wrapping_add(place),
        end - place,
    )?;
    driver_mem::copy(acl.wrapping_add(place), entries, length)?;
    DriverPtr::<Acl>::new(acl).set(|acl| &acl.ace_count, list.count.wrapping_add(count))?;
    Ok(driver_mem::write_u8(acl, revision)?)
}

fn delete(acl: u64, index: u32) -> Result<(), Refusal> {
    let offsets = offsets(acl, nt_status::STATUS_INVALID_PARAMETER)?;
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    if index >= offsets.len() - 1 {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    let (from, next) = (offsets[index], offsets[index + 1]);
    let end = offsets.last().copied().unwrap_or(next);
    driver_mem::copy(acl.wrapping_add(from), acl.wrapping_add(next), end - next)?;
    driver_mem::fill(acl.wrapping_add(end - (next - from)), 0, next - from)?;
    let count = DriverPtr::<Acl>::new(acl).at(|acl| &acl.ace_count);
    Ok(count.write(count.read()? - 1)?)
}
