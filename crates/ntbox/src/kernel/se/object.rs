//! Access control lists of devices: setting them, and asking them on open.
//!
//! A device whose driver sets none can be opened by everybody here; Windows then
//! gives it a list by its type, which lets everybody read and write.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::access::{grants, token};
use super::descriptor::{self, List, Unusable};
use crate::kernel::call::irql::PASSIVE_LEVEL;
use crate::kernel::call::{Stop, exports};
use crate::kernel::guest::{self, Fault};
use crate::kernel::io::layout::{device, file};
use crate::kernel::ob::{self, Refusal, Type, handles};

/// `DACL_SECURITY_INFORMATION`.
const DACL: u32 = 4;
/// `OWNER_…`, `GROUP_…`, `SACL_SECURITY_INFORMATION`.
const OTHERS: u32 = 1 | 2 | 8;
/// `FILE_DEVICE_SECURE_OPEN`.
const SECURE_OPEN: u32 = 0x100;

static LISTS: Mutex<BTreeMap<u64, List>> = Mutex::new(BTreeMap::new());

fn with<T>(work: impl FnOnce(&mut BTreeMap<u64, List>) -> T) -> T {
    work(&mut LISTS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether a process may open a device, or the name `rest` below it, with these
/// rights. Names below are the driver's own affair unless it has said otherwise.
pub fn check_open(body: u64, rest: &[u16], access: u32, process: u64) -> Result<bool, Fault> {
    let characteristics = guest::read_u32(body + device::CHARACTERISTICS)?;
    if !rest.is_empty() && characteristics & SECURE_OPEN == 0 {
        return Ok(true);
    }
    let list = with(|lists| lists.get(&body).cloned()).flatten();
    Ok(grants(&list, &token(process), access))
}

/// A device is gone.
pub fn forget(body: u64) {
    with(|lists| lists.remove(&body));
}

exports! {
    /// `ZwSetSecurityObject`, for the lists of devices.
    fn ZwSetSecurityObject(handle: u64, information: u32, descriptor: u64) -> u32 [max PASSIVE_LEVEL] fails 0xc000_009a {
        ob::status(set(handle, information, descriptor))
    }
}

fn set(handle: u64, information: u32, descriptor: u64) -> Result<(), Refusal> {
    if descriptor == 0 {
        return Err(ntstatus::STATUS_ACCESS_VIOLATION.into());
    }
    let entry = handles::get(handle)?;
    let body = match entry.kind {
        Type::Device => entry.object,
        Type::File => guest::read_u64(entry.object + file::DEVICE_OBJECT)?,
        other => return Err(unknown(&format!("an object of the type {other:?}")).into()),
    };
    if information & OTHERS != 0 {
        return Err(unknown("another part of a descriptor than its DACL").into());
    }
    let list = descriptor::read_list(descriptor).map_err(|unusable| match unusable {
        Unusable::Status(status) => Refusal::Status(status),
        Unusable::Fault(fault) => Refusal::Stop(fault.into()),
        Unusable::EntryType(kind) => unknown(&format!("an entry of the type {kind}")).into(),
    })?;
    if information & DACL != 0 {
        with(|lists| lists.insert(body, list));
    }
    Ok(())
}

/// What this kernel cannot do must not look as if it were done.
fn unknown(what: &str) -> Stop {
    let what = format!("ZwSetSecurityObject was to set {what}, which this kernel does not know");
    Stop::bug_check(0xe2, [0; 4], what)
}
