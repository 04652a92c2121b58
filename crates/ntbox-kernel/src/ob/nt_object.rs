//! What can be asked of any object through a handle, and the end of its
//! permanence.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::attributes::INHERIT;
use super::handles::{Entry, PROTECT_CLOSE};
use super::{Type, handles, query_name};
use crate::base::call_context::CallContext;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::info_buffer::Information;
use crate::base::{error, os_version};
use crate::{base, ob};

/// `OBJECT_INFORMATION_CLASS`.
mod class {
    pub const BASIC: u32 = 0;
    pub const NAME: u32 = 1;
    pub const TYPE: u32 = 2;
    pub const HANDLE_FLAGS: u32 = 4;
}

/// `OBJ_PERMANENT`, as an object's attribute.
const PERMANENT: u32 = 0x10;
/// Bytes of an `OBJECT_NAME_INFORMATION` without the name.
const NAME_SIZE: usize = 16;
/// Bytes of an `OBJECT_TYPE_INFORMATION` without the name.
const TYPE_SIZE: usize = 0x68;

exports! {
    /// `ZwMakeTemporaryObject`.
    fn ZwMakeTemporaryObject<call>(handle: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        let run = || -> Result<(), Refusal> {
            let entry = ob::by_handle(handle, 0, None, false)?;
            ob::make_temporary(entry.object, &CallContext::of(call));
            Ok(())
        };
        error::status(run())
    }

    /// `ZwQueryObject`: `ObjectBasicInformation`, `ObjectNameInformation`,
    /// `ObjectTypeInformation` and `ObjectHandleFlagInformation`.
    fn ZwQueryObject<call>(handle: u64, class: u32, buffer: u64, length: u32, return_length: u64) -> u32
        [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::status(query(handle, class, (buffer, length), return_length, &CallContext::of(call)))
    }

    /// `ZwSetInformationObject`: `ObjectHandleFlagInformation`.
    fn ZwSetInformationObject(handle: u64, class: u32, buffer: u64, length: u32) -> u32
        [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::status(set(handle, class, buffer, length))
    }
}

fn query(
    handle: u64,
    class: u32,
    (buffer, length): (u64, u32),
    return_length: u64,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    let entry = ob::by_handle(handle, 0, None, false)?;
    let information = match class {
        class::BASIC => basic(&entry),
        class::NAME => {
            return query_name::write(entry.object, buffer, length, return_length, caller);
        }
        class::TYPE => type_information(entry.kind, buffer),
        class::HANDLE_FLAGS => {
            let flag = |attribute| u8::from(entry.attributes & attribute != 0);
            vec![flag(INHERIT), flag(PROTECT_CLOSE)]
        }
        _ => return Err(nt_status::STATUS_INVALID_INFO_CLASS.into()),
    };
    if return_length != 0 {
        let size = u32::try_from(information.len()).unwrap_or(u32::MAX);
        driver_mem::write_u32(return_length, size)?;
    }
    let room = usize::try_from(length).unwrap_or(usize::MAX);
    // Structures of a fixed size want exactly that size.
    let fits = match class {
        class::TYPE => room >= information.len(),
        _ => room == information.len(),
    };
    if !fits {
        return Err(nt_status::STATUS_INFO_LENGTH_MISMATCH.into());
    }
    Ok(driver_mem::write_bytes(buffer, &information)?)
}

/// `OBJECT_BASIC_INFORMATION`.
fn basic(entry: &Entry) -> Vec<u8> {
    let counts = ob::inspect(entry.object, |header| {
        let ready = if os_version::has_ready_references() {
            header.ready
        } else {
            0
        };
        (header.handles, header.pointers + ready, header.permanent)
    });
    let (handles, pointers, permanent) = counts.unwrap_or_default();
    // The call itself refers to the object while it looks.
    let pointers = pointers.saturating_add(1);
    let name_size = match query_name::full(entry.object) {
        Some(name) => 2 * name.len() + 2 + NAME_SIZE,
        None => 0,
    };
    let attributes = entry.attributes | if permanent { PERMANENT } else { 0 };
    let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    let start = Information::default().u32(attributes).u32(entry.access);
    let start = start.u32(count(handles)).u32(count(pointers));
    // Pool charges, three reserved ones, the size of the name.
    let start = start.u32(0).u32(0).u32(0).u32(0).u32(0).size(name_size);
    let name = 2 * entry.kind.name().len() + 2;
    // No security descriptor, and no time of creation.
    start.size(TYPE_SIZE + name).u32(0).u64(0).finish()
}

/// `OBJECT_TYPE_INFORMATION` as it lies at `at`, with the name behind it.
fn type_information(kind: Type, at: u64) -> Vec<u8> {
    let name = base::utf16::wide(kind.name());
    let bytes = u32::try_from(2 * name.len()).unwrap_or(0);
    let (objects, handles) = ob::count_of(kind);
    let start = Information::default().u32(bytes | (bytes + 2) << 16).u32(0);
    let start = start
        .u64(at.wrapping_add(TYPE_SIZE as u64))
        .size(objects)
        .size(handles);
    // Pool and table usage, and the most that there ever was of all six.
    let start = (0..10).fold(start, |information, _| information.u32(0));
    let start = start.u32(0);
    let start = kind
        .generic_mapping()
        .into_iter()
        .fold(start, Information::u32);
    let start = start.u32(kind.valid_access());
    // Security and handle count kept, index, pool type, charges.
    start
        .u32(0)
        .u32(0)
        .u32(0)
        .u32(0)
        .name(&name)
        .name(&[0])
        .finish()
}

fn set(handle: u64, class: u32, buffer: u64, length: u32) -> Result<(), Refusal> {
    if class != class::HANDLE_FLAGS {
        return Err(nt_status::STATUS_INVALID_INFO_CLASS.into());
    }
    if length != 2 {
        return Err(nt_status::STATUS_INFO_LENGTH_MISMATCH.into());
    }
    let inherit = driver_mem::read_u8(buffer)? != 0;
    let protect = driver_mem::read_u8(buffer.wrapping_add(1))? != 0;
    let attributes = if inherit { INHERIT } else { 0 } | if protect { PROTECT_CLOSE } else { 0 };
    Ok(handles::set_attributes(handle, attributes)?)
}
