//! Security descriptors of objects.

use std::collections::BTreeMap;

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::{APC_LEVEL, PASSIVE_LEVEL};
use ntbox_host::kernel_cell::KernelCell;

use super::default_sd;
use super::sd::control::DACL_PRESENT;
use super::sd::{Descriptor, part};
use super::sd_self_relative::in_pool;
use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::io_layout::file;
use crate::base::processor_mode::Mode;
use crate::ex::pool;
use crate::ob;
use crate::ob::Type;
use crate::ob::types::{ObjectFilter, OutputBuffer};

/// Descriptors that were set, by object.
static SET: KernelCell<BTreeMap<u64, Descriptor>> = KernelCell::new(BTreeMap::new());

fn with<T>(work: impl FnOnce(&mut BTreeMap<u64, Descriptor>) -> T) -> T {
    work(&mut SET.lock())
}

/// The descriptor of an object: the one that was set, or what objects of the
/// kernel have by default.
pub fn of(object: u64) -> Descriptor {
    with(|set| set.get(&object).cloned()).unwrap_or_else(|| default_sd::of(object))
}

/// Gives a new object a descriptor: the parts that there are.
///
/// # Errors
/// `STATUS_INVALID_SECURITY_DESCR`, also for what cannot be read.
pub fn set(object: u64, descriptor: u64) -> Result<(), u32> {
    let new = Descriptor::read(descriptor).ok().flatten();
    let new = new.ok_or(nt_status::STATUS_INVALID_SECURITY_DESCR)?;
    let parts = [
        (1, new.owner.is_some()),
        (2, new.group.is_some()),
        (4, new.control & DACL_PRESENT != 0),
        (8, new.sacl.is_some()),
    ];
    let parts = parts.into_iter().filter(|(_, there)| *there);
    let mut own = of(object);
    own.replace(parts.fold(0, |all, (part, _)| all | part), &new);
    with(|set| set.insert(object, own));
    Ok(())
}

/// Security descriptors of objects, for the object manager.
pub const OBJECT_SECURITY: ob::object::ObjectSecurity = ob::object::ObjectSecurity {
    assign: set,
    remove: forget,
};

/// Forgets what was set for an object that is gone.
pub fn forget(object: u64) {
    with(|set| set.remove(&object));
}

/// The rights that a program needs to ask for parts of a descriptor, or to set them.
fn rights_for(parts: u32, set: bool) -> u32 {
    /// `READ_CONTROL`, `WRITE_DAC`, `WRITE_OWNER` and `ACCESS_SYSTEM_SECURITY`.
    const READ_CONTROL: u32 = 0x2_0000;
    const WRITE_DAC: u32 = 0x4_0000;
    const WRITE_OWNER: u32 = 0x8_0000;
    const SYSTEM_SECURITY: u32 = 0x100_0000;
    let (owner, list) = if set {
        (WRITE_OWNER, WRITE_DAC)
    } else {
        (READ_CONTROL, READ_CONTROL)
    };
    let wanted = [
        (part::OWNER | part::GROUP, owner),
        (part::DACL, list),
        (part::SACL, SYSTEM_SECURITY),
    ];
    let wanted = wanted.into_iter().filter(|(bits, _)| parts & bits != 0);
    wanted.fold(0, |all, (_, right)| all | right)
}

/// The address and room of an output.
struct OutputAddress {
    buffer: u64,
    length: u32,
    needed: u64,
}

fn query(
    handle: u64,
    parts: u32,
    to: &OutputAddress,
    mode: Mode,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    mode.probe(to.buffer, u64::from(to.length), 4)?;
    mode.probe(to.needed, 4, 4)?;
    let object = guarded_by(handle, rights_for(parts, false), mode)?;
    let mut answer = || {
        let bytes = of(object).only(parts).relative();
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        driver_mem::write_u32(to.needed, size)?;
        if to.length < size {
            return Err(nt_status::STATUS_BUFFER_TOO_SMALL.into());
        }
        Ok(driver_mem::write_bytes(to.buffer, &bytes)?)
    };
    let Some(filter) = filter_of(object) else {
        return answer();
    };
    let buffer = OutputBuffer {
        address: to.buffer,
        length: to.length,
        return_length: to.needed,
    };
    filter.query_security(object, parts, &buffer, caller, &mut answer)
}

fn set_by_handle(
    handle: u64,
    parts: u32,
    descriptor: u64,
    mode: Mode,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    if descriptor == 0 {
        return Err(nt_status::STATUS_ACCESS_VIOLATION.into());
    }
    mode.probe(descriptor, 0x14, 4)?;
    let object = guarded_by(handle, rights_for(parts, true), mode)?;
    let mut change = || change(object, parts, descriptor);
    match filter_of(object) {
        Some(filter) => filter.set_security(object, parts, descriptor, caller, &mut change),
        None => change(),
    }
}

exports! {
    /// `ZwQuerySecurityObject`.
    fn ZwQuerySecurityObject<call>(handle: u64, parts: u32, buffer: u64, length: u32, needed: u64) -> u32
        [max PASSIVE_LEVEL, ntifs]
    {
        let to = OutputAddress { buffer, length, needed };
        Mode::Kernel.status(query(handle, parts, &to, Mode::Kernel, &CallContext::of(call)))
    }

    /// `NtQuerySecurityObject`: a program needs the rights for what it asks.
    fn NtQuerySecurityObject<call>(handle: u64, parts: u32, buffer: u64, length: u32, needed: u64) -> u32
        [max PASSIVE_LEVEL, ntifs]
    {
        let (mode, to) = (Mode::previous(), OutputAddress { buffer, length, needed });
        mode.status(query(handle, parts, &to, mode, &CallContext::of(call)))
    }

    /// `ZwSetSecurityObject`.
    fn ZwSetSecurityObject<call>(handle: u64, parts: u32, descriptor: u64) -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        Mode::Kernel.status(set_by_handle(handle, parts, descriptor, Mode::Kernel, &CallContext::of(call)))
    }

    /// `NtSetSecurityObject`: a program needs the rights for what it sets.
    fn NtSetSecurityObject<call>(handle: u64, parts: u32, descriptor: u64) -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let mode = Mode::previous();
        mode.status(set_by_handle(handle, parts, descriptor, mode, &CallContext::of(call)))
    }

    /// `ObQueryObjectAuditingByHandle`: nothing is audited.
    fn ObQueryObjectAuditingByHandle(handle: u64, generates: u64) -> u32 [max PASSIVE_LEVEL, ntifs] {
        match ob::by_handle(handle, 0, None, false) {
            Ok(_) => {
                driver_mem::write_u8(generates, 0)?;
                Ok(nt_status::STATUS_SUCCESS)
            }
            Err(status) => Ok(status),
        }
    }

    /// `ObSetSecurityObjectByPointer`.
    fn ObSetSecurityObjectByPointer(object: u64, parts: u32, descriptor: u64) -> u32
        [max PASSIVE_LEVEL, undocumented] {
        error::status(change(object, parts, descriptor))
    }

    /// `ObGetObjectSecurity`: a copy, to be given to `ObReleaseObjectSecurity`.
    fn ObGetObjectSecurity<call>(object: u64, descriptor: u64, allocated: u64) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let copy = || -> Result<(), Refusal> {
            let block = in_pool(&of(object).relative(), call.return_address())?;
            driver_mem::write_u64(descriptor, block)?;
            Ok(driver_mem::write_u8(allocated, 1)?)
        };
        error::status(copy())
    }

    /// `ObReleaseObjectSecurity`.
    fn ObReleaseObjectSecurity<call>(descriptor: u64, allocated: bool) -> () [max APC_LEVEL, wdm] {
        if descriptor != 0 && allocated {
            pool::free(descriptor, None, call.return_address(), "ObReleaseObjectSecurity")?;
        }
        Ok(())
    }
}

/// The callbacks around what is done to an object, if there are any.
fn filter_of(object: u64) -> Option<&'static dyn ObjectFilter> {
    ob::inspect(object, |header| header.kind)?.active_filter()
}

/// The object that a handle's descriptor is kept for: for a file on a device, the
/// device.
fn guarded_by(handle: u64, access: u32, mode: Mode) -> Result<u64, Refusal> {
    let entry = ob::by_handle(handle, access, None, mode.is_user())?;
    Ok(match entry.kind {
        Type::File => driver_mem::read_u64(entry.object + file::DEVICE_OBJECT)?,
        _ => entry.object,
    })
}

fn change(object: u64, parts: u32, descriptor: u64) -> Result<(), Refusal> {
    let new = Descriptor::read(descriptor)?.ok_or(nt_status::STATUS_INVALID_SECURITY_DESCR)?;
    let mut own = of(object);
    own.replace(parts, &new);
    with(|set| set.insert(object, own));
    let kind = ob::inspect(object, |header| header.kind);
    if let Some(changed) = kind.and_then(|kind| kind.procedures().security_changed) {
        changed(object);
    }
    Ok(())
}
