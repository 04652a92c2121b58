//! What the driver is told: numbers in the `Parameters` key of its service.

use core::ptr;

use wdk_sys::{
    _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation,
    KEY_READ, KEY_VALUE_PARTIAL_INFORMATION, NTSTATUS, OBJ_CASE_INSENSITIVE, PCUNICODE_STRING,
    REG_DWORD, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_TYPE_MISMATCH, UNICODE_STRING,
    ntddk::{ZwOpenKey, ZwQueryValueKey},
};

use crate::owned::{Handle, attributes};

/// The value of that name; 0 if there is none.
pub fn dword(registry_path: PCUNICODE_STRING, mut name: UNICODE_STRING) -> Result<u32, NTSTATUS> {
    let service = open(ptr::null_mut(), registry_path.cast_mut())?;
    let mut parameters = unicode!("Parameters");
    let key = open(service.get(), &raw mut parameters)?;
    // The information's header, and a number.
    let mut value = [0_u32; 4];
    let mut length = 0;
    // SAFETY: the call writes at most as much as there is room.
    let status = unsafe {
        ZwQueryValueKey(
            key.get(),
            &raw mut name,
            KeyValuePartialInformation,
            value.as_mut_ptr().cast(),
            16,
            &raw mut length,
        )
    };
    if status == STATUS_OBJECT_NAME_NOT_FOUND {
        return Ok(0);
    }
    if status < 0 {
        return Err(status);
    }
    // SAFETY: the call wrote the information, which asks for less alignment.
    let information = unsafe { &*value.as_ptr().cast::<KEY_VALUE_PARTIAL_INFORMATION>() };
    if information.Type == REG_DWORD && information.DataLength == 4 {
        Ok(value[3])
    } else {
        Err(STATUS_OBJECT_TYPE_MISMATCH)
    }
}

/// Opens a key below another one.
fn open(root: wdk_sys::HANDLE, name: *mut UNICODE_STRING) -> Result<Handle, NTSTATUS> {
    let mut attributes = attributes(name, root, OBJ_CASE_INSENSITIVE);
    // SAFETY: the attributes live as long as the call.
    Handle::from_call(|key| unsafe { ZwOpenKey(key, KEY_READ, &raw mut attributes) })
}
