//! References as drivers take and give them: `Ob…` on pointers and handles.

use super::{Caller, Type};
use crate::kernel::call::irql::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::kernel::call::{Stop, exports};
use crate::kernel::guest;

/// The stop for an address at which no object is, or no more.
fn no_object(object: u64, function: &str) -> Stop {
    Stop::bug_check(
        0x18,
        [0, object, 2, 0],
        format!("{function} was given {object:#018x}, where no object is: it was never one, or its last reference is gone (REFERENCE_BY_POINTER)"),
    )
}

fn reference(object: u64, function: &str) -> Result<u64, Stop> {
    super::reference(object).ok_or_else(|| no_object(object, function))
}

fn dereference(object: u64, caller: &Caller<'_>, function: &str) -> Result<u64, Stop> {
    super::dereference(object, caller).ok_or_else(|| no_object(object, function))
}

/// The type that a driver names by its object; NULL is any.
fn wanted(kind: u64) -> Result<Option<Type>, u32> {
    match kind {
        0 => Ok(None),
        kind => super::type_at(kind).map(Some).ok_or(ntstatus::STATUS_OBJECT_TYPE_MISMATCH),
    }
}

fn by_handle(handle: u64, access: u32, kind: u64, user: bool, object: u64, information: u64) -> Result<u32, Stop> {
    let entry = wanted(kind).and_then(|kind| super::reference_by_handle(handle, access, kind, user));
    match entry {
        Ok(entry) => {
            guest::write_u64(object, entry.object)?;
            if information != 0 {
                // OBJECT_HANDLE_INFORMATION: attributes and rights of the handle.
                guest::write_u32(information, entry.attributes)?;
                guest::write_u32(information.wrapping_add(4), entry.access)?;
            }
            Ok(ntstatus::STATUS_SUCCESS)
        }
        Err(status) => {
            guest::write_u64(object, 0)?;
            Ok(status)
        }
    }
}

fn by_pointer(object: u64, kind: u64, user: bool, function: &str) -> Result<u32, Stop> {
    let known = super::type_of(object).ok_or_else(|| no_object(object, function))?;
    match wanted(kind) {
        // From kernel mode without a type, any will do, but for links.
        Ok(None) if !user && known != Type::SymbolicLink => {}
        Ok(Some(kind)) if kind == known => {}
        _ => return Ok(ntstatus::STATUS_OBJECT_TYPE_MISMATCH),
    }
    reference(object, function)?;
    Ok(ntstatus::STATUS_SUCCESS)
}

exports! {
    /// `ObReferenceObjectByHandle`.
    fn ObReferenceObjectByHandle(handle: u64, access: u32, kind: u64, mode: u8, object: u64, information: u64) -> u32
        [max PASSIVE_LEVEL] fails 0xc000_0008
    {
        by_handle(handle, access, kind, mode != 0, object, information)
    }

    /// `ObReferenceObjectByHandleWithTag`.
    fn ObReferenceObjectByHandleWithTag(
        handle: u64, access: u32, kind: u64, mode: u8, tag: u32, object: u64, information: u64,
    ) -> u32 [max PASSIVE_LEVEL] fails 0xc000_0008 {
        by_handle(handle, access, kind, mode != 0, object, information)
    }

    /// `ObReferenceObjectByPointer`.
    fn ObReferenceObjectByPointer(object: u64, access: u32, kind: u64, mode: u8) -> u32 [max DISPATCH_LEVEL] {
        by_pointer(object, kind, mode != 0, "ObReferenceObjectByPointer")
    }

    /// `ObReferenceObjectByPointerWithTag`.
    fn ObReferenceObjectByPointerWithTag(object: u64, access: u32, kind: u64, mode: u8, tag: u32) -> u32 [max DISPATCH_LEVEL] {
        by_pointer(object, kind, mode != 0, "ObReferenceObjectByPointerWithTag")
    }

    /// `ObfReferenceObject`: how many references there are now.
    fn ObfReferenceObject(object: u64) -> u64 [max DISPATCH_LEVEL] {
        reference(object, "ObReferenceObject")
    }

    /// `ObfReferenceObjectWithTag`.
    fn ObfReferenceObjectWithTag(object: u64, tag: u32) -> u64 [max DISPATCH_LEVEL] {
        reference(object, "ObReferenceObjectWithTag")
    }

    /// `ObfDereferenceObject`: how many references are left.
    fn ObfDereferenceObject<call>(object: u64) -> u64 [max DISPATCH_LEVEL] {
        dereference(object, &Caller::of(call), "ObDereferenceObject")
    }

    /// `ObfDereferenceObjectWithTag`.
    fn ObfDereferenceObjectWithTag<call>(object: u64, tag: u32) -> u64 [max DISPATCH_LEVEL] {
        dereference(object, &Caller::of(call), "ObDereferenceObjectWithTag")
    }

    /// `ObDereferenceObjectDeferDelete`: the end of the object may come later; here
    /// it comes at once.
    fn ObDereferenceObjectDeferDelete<call>(object: u64) -> () [max DISPATCH_LEVEL] {
        dereference(object, &Caller::of(call), "ObDereferenceObjectDeferDelete").map(drop)
    }
}
