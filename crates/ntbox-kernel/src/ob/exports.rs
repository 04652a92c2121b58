//! Handles and names of objects, as drivers deal with them by pointer.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, PASSIVE_LEVEL};

use super::attributes::{Attributes, VALID};
use super::types::Type;
use super::{handles, init, namespace, object, open_object};
use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;

/// `UserMode`.
const USER_MODE: u8 = 1;
/// Attributes that a handle may be asked for with: the usual ones,
/// `OBJ_PROTECT_CLOSE` and one of the system's own.
const VALID_FOR_HANDLES: u32 = VALID | handles::PROTECT_CLOSE | 0x1_0000;

/// A request to open an object.
struct OpenRequest {
    attributes: u32,
    access: u32,
    /// Address of the type's object; 0 for any type.
    kind: u64,
    mode: u8,
}

exports! {
    /// `ObOpenObjectByPointer`. The access state is not looked at.
    fn ObOpenObjectByPointer<call>(
        object: u64, attributes: u32, access_state: u64, access: u32, kind: u64, mode: u8, handle: u64,
    ) -> u32 [max APC_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        by_pointer(object, &OpenRequest { attributes, access, kind, mode }, handle, &CallContext::of(call))
    }

    /// `ObOpenObjectByPointerWithTag`.
    fn ObOpenObjectByPointerWithTag<call>(
        object: u64, attributes: u32, access_state: u64, access: u32, kind: u64, mode: u8, tag: u32, handle: u64,
    ) -> u32 [max APC_LEVEL, undocumented, since WINDOWS_7] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        by_pointer(object, &OpenRequest { attributes, access, kind, mode }, handle, &CallContext::of(call))
    }

    /// `ObOpenObjectByName`: objects of types whose owner makes no sense of the
    /// rest of a path. The parse context is not looked at.
    fn ObOpenObjectByName<call>(
        attributes: u64, kind: u64, mode: u8, access_state: u64, access: u32, context: u64, handle: u64,
    ) -> u32 [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let caller = CallContext::of(call);
        let run = || -> Result<(), Refusal> {
            driver_mem::write_u64(handle, 0)?;
            let attributes = Attributes::require(attributes)?;
            let (object, _) = find(&attributes, kind, &caller)?;
            let opened = open_object::open(object, &attributes, access, &caller);
            object::dereference(object, &caller);
            Ok(driver_mem::write_u64(handle, opened?)?)
        };
        error::status(run())
    }

    /// `ObReferenceObjectByName`: not documented; for drivers and devices by name.
    fn ObReferenceObjectByName<call>(
        name: u64, attributes: u32, access_state: u64, access: u32, kind: u64, mode: u8, context: u64, object: u64,
    ) -> u32 [max PASSIVE_LEVEL, undocumented] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let caller = CallContext::of(call);
        let run = || -> Result<(), Refusal> {
            if name == 0 {
                return Err(nt_status::STATUS_OBJECT_NAME_INVALID.into());
            }
            let units = UnicodeString::read(name)?.units()?;
            let attributes = Attributes::named(units, attributes);
            let (found, _) = find(&attributes, kind, &caller)?;
            object::reference_for(found, &caller);
            object::dereference(found, &caller);
            Ok(driver_mem::write_u64(object, found)?)
        };
        error::status(run())
    }

    /// `ObCloseHandle`.
    fn ObCloseHandle<call>(handle: u64, mode: u8) -> u32 [max PASSIVE_LEVEL, wdm] {
        if mode == USER_MODE && handles::is_kernel(handle) {
            return Ok(nt_status::STATUS_INVALID_HANDLE);
        }
        Ok(handles::close_for(handle, &CallContext::of(call)))
    }

    /// `ObIsKernelHandle`.
    fn ObIsKernelHandle(handle: u64) -> bool [max APC_LEVEL, ntifs] {
        Ok(handles::is_kernel(handle))
    }

    /// `ObMakeTemporaryObject`: an object that has no handle loses its name.
    fn ObMakeTemporaryObject<call>(object: u64) -> () [max APC_LEVEL, ntifs] {
        namespace::make_temporary(object, &CallContext::of(call));
        Ok(())
    }

    /// `ObGetObjectType`: not documented; NULL for what is no object.
    fn ObGetObjectType(object: u64) -> u64 [max APC_LEVEL, undocumented] {
        Ok(object::type_of(object).map_or(0, init::object_of))
    }
}

fn by_pointer(
    object: u64,
    wanted: &OpenRequest,
    handle: u64,
    caller: &CallContext<'_>,
) -> Result<u32, NoReturn> {
    driver_mem::write_u64(handle, 0)?;
    let OpenRequest {
        attributes,
        access,
        kind,
        mode,
    } = *wanted;
    if attributes & !VALID_FOR_HANDLES != 0 {
        return Ok(nt_status::STATUS_INVALID_PARAMETER);
    }
    let Some(own) = object::type_of(object) else {
        return Err(NoReturn::bug_check(
            0x18,
            [0, object, 0, 0],
            format!("a handle was asked for to {object:#018x}, where there is no object"),
        ));
    };
    let same = kind == init::object_of(own);
    if !same && (mode == USER_MODE || kind != 0) {
        return Ok(nt_status::STATUS_OBJECT_TYPE_MISMATCH);
    }
    match open_object::open_handle(object, own, own.grant(access), attributes, caller) {
        Ok(value) => {
            driver_mem::write_u64(handle, value)?;
            Ok(nt_status::STATUS_SUCCESS)
        }
        Err(status) => Ok(status),
    }
}

/// Finds an object by name, with a reference that is the receiver's.
fn find(attributes: &Attributes, kind: u64, caller: &CallContext<'_>) -> Result<(u64, Type), u32> {
    let kind = match kind {
        0 => None,
        address => Some(init::type_at(address).ok_or(nt_status::STATUS_OBJECT_TYPE_MISMATCH)?),
    };
    let found = namespace::lookup(attributes, kind)?;
    if found.rest.is_empty() && kind.is_none_or(|kind| kind == found.kind) {
        return Ok((found.object, found.kind));
    }
    object::dereference(found.object, caller);
    Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH)
}
