//! The object manager: names, references, handles and types.

use core::{ffi::c_void, ptr};

use wdk_sys::{
    _EVENT_TYPE::NotificationEvent,
    DIRECTORY_ALL_ACCESS, GENERIC_READ, OBJ_CASE_INSENSITIVE, OBJ_OPENIF, OBJECT_NAME_INFORMATION,
    STATUS_INFO_LENGTH_MISMATCH, STATUS_INVALID_HANDLE, STATUS_OBJECT_NAME_COLLISION,
    STATUS_OBJECT_NAME_EXISTS, STATUS_OBJECT_NAME_INVALID, STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_OBJECT_PATH_NOT_FOUND, STATUS_OBJECT_PATH_SYNTAX_BAD, STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SUCCESS, SYMBOLIC_LINK_QUERY, UNICODE_STRING,
    ntddk::{
        ObOpenObjectByPointer, ObQueryNameString, ObReferenceObjectByHandle,
        ObReferenceObjectByPointer, ObfDereferenceObject, ObfReferenceObject,
        ZwCreateDirectoryObject, ZwCreateEvent, ZwCreateSymbolicLinkObject, ZwOpenEvent,
        ZwOpenSymbolicLinkObject, ZwQuerySymbolicLinkObject,
    },
};

use crate::{
    check::{Case, Checks, Outcome, ok},
    imports,
    kernel::{FALSE, KERNEL_MODE},
    owned::{EVENT_ALL_ACCESS, Handle, Object, attributes},
};

pub const CASES: &[Case] = &[
    (c"Directories", directories),
    (c"Links", links),
    (c"BadNames", bad_names),
    (c"Handles", handles),
    (c"References", references),
    (c"Names", names),
];

/// Creates or opens a named event.
fn event(
    name: *mut UNICODE_STRING,
    root: Option<&Handle>,
    flags: u32,
) -> Result<(Handle, i32), i32> {
    let root = root.map_or(ptr::null_mut(), Handle::get);
    let mut attributes = attributes(name, root, flags);
    let mut status = 0;
    // SAFETY: name and attributes live as long as the call.
    let handle = Handle::from_call(|handle| unsafe {
        status = ZwCreateEvent(
            handle,
            EVENT_ALL_ACCESS,
            &raw mut attributes,
            NotificationEvent,
            FALSE,
        );
        status
    })?;
    Ok((handle, status))
}

/// A directory for the names of a case.
fn directory() -> Result<Handle, i32> {
    let mut name = unicode!("\\FamilyDirectory");
    let mut attributes = attributes(&raw mut name, ptr::null_mut(), OBJ_CASE_INSENSITIVE);
    // SAFETY: name and attributes live as long as the call.
    Handle::from_call(|handle| unsafe {
        ZwCreateDirectoryObject(handle, DIRECTORY_ALL_ACCESS, &raw mut attributes)
    })
}

fn directories(checks: &mut Checks) -> Outcome {
    let directory = directory()?;
    let mut name = unicode!("Member");
    let mut other_case = unicode!("MEMBER");
    let (_member, status) = event(&raw mut name, Some(&directory), 0)?;
    returns!(checks, status, STATUS_SUCCESS);
    let again = event(&raw mut name, Some(&directory), 0).err();
    check!(checks, again == Some(STATUS_OBJECT_NAME_COLLISION));
    let opened = event(&raw mut name, Some(&directory), OBJ_OPENIF)?;
    returns!(checks, opened.1, STATUS_OBJECT_NAME_EXISTS);
    // Case counts unless the attributes say that it does not.
    let found = event(
        &raw mut other_case,
        Some(&directory),
        OBJ_OPENIF | OBJ_CASE_INSENSITIVE,
    )?;
    returns!(checks, found.1, STATUS_OBJECT_NAME_EXISTS);
    let other = event(&raw mut other_case, Some(&directory), OBJ_OPENIF)?;
    returns!(checks, other.1, STATUS_SUCCESS);
    Ok(())
}

fn links(checks: &mut Checks) -> Outcome {
    let directory = directory()?;
    let mut name = unicode!("Link");
    let mut target = unicode!("\\FamilyDirectory");
    let mut link_attributes = attributes(&raw mut name, directory.get(), 0);
    // SAFETY: names and attributes live as long as the calls.
    let _link = Handle::from_call(|handle| unsafe {
        ZwCreateSymbolicLinkObject(
            handle,
            SYMBOLIC_LINK_QUERY,
            &raw mut link_attributes,
            &raw mut target,
        )
    })?;
    // SAFETY: the attributes and the name that they lead to live as long as the
    // call.
    let opened = Handle::from_call(|handle| unsafe {
        ZwOpenSymbolicLinkObject(handle, GENERIC_READ, &raw mut link_attributes)
    })?;
    let mut room = [0_u16; 32];
    let mut text = UNICODE_STRING {
        Length: 0,
        MaximumLength: 64,
        Buffer: room.as_mut_ptr(),
    };
    let none = ptr::null_mut();
    // SAFETY: the string has that much room.
    let status = unsafe { ZwQuerySymbolicLinkObject(opened.get(), &raw mut text, none) };
    returns!(checks, status, STATUS_SUCCESS);
    check!(
        checks,
        room[..16] == wide!("\\FamilyDirectory")[..16] && text.Length == 32
    );
    // A name goes through the link.
    let mut through = unicode!("\\FamilyDirectory\\Link\\Member");
    let mut direct = unicode!("\\FamilyDirectory\\Member");
    let _member = event(&raw mut through, None, 0)?;
    let same = event(&raw mut direct, None, OBJ_OPENIF)?;
    returns!(checks, same.1, STATUS_OBJECT_NAME_EXISTS);
    Ok(())
}

fn bad_names(checks: &mut Checks) -> Outcome {
    let refused = |mut name: UNICODE_STRING| {
        let mut attributes = attributes(&raw mut name, ptr::null_mut(), 0);
        let mut handle = ptr::null_mut();
        // SAFETY: name and attributes live as long as the call.
        unsafe { ZwOpenEvent(&raw mut handle, EVENT_ALL_ACCESS, &raw mut attributes) }
    };
    returns!(
        checks,
        refused(unicode!("\\FamilyNobody")),
        STATUS_OBJECT_NAME_NOT_FOUND
    );
    returns!(
        checks,
        refused(unicode!("\\FamilyNobody\\Name")),
        STATUS_OBJECT_PATH_NOT_FOUND
    );
    returns!(
        checks,
        refused(unicode!("FamilyNobody")),
        STATUS_OBJECT_PATH_SYNTAX_BAD
    );
    returns!(
        checks,
        refused(unicode!("\\Device")),
        STATUS_OBJECT_TYPE_MISMATCH
    );
    returns!(
        checks,
        refused(unicode!("\\Device\\\\Name")),
        STATUS_OBJECT_NAME_INVALID
    );
    Ok(())
}

fn handles(checks: &mut Checks) -> Outcome {
    let (handle, _) = event(ptr::null_mut(), None, 0)?;
    let reference = |kind, object: *mut *mut c_void| {
        let none = ptr::null_mut();
        // SAFETY: the room lives as long as the call.
        unsafe { ObReferenceObjectByHandle(handle.get(), 0, kind, KERNEL_MODE, object, none) }
    };
    let object = Object::from_call(|object| reference(imports::event_type(), object))?;
    let any = Object::from_call(|object| reference(ptr::null_mut(), object))?;
    check!(checks, any.get::<u8>() == object.get::<u8>());
    let mut wrong = ptr::null_mut();
    returns!(
        checks,
        reference(imports::process_type(), &raw mut wrong),
        STATUS_OBJECT_TYPE_MISMATCH
    );
    // A second handle to the same object.
    // SAFETY: the object is referenced.
    let second = Handle::from_call(|handle| unsafe {
        ObOpenObjectByPointer(
            object.get(),
            wdk_sys::OBJ_KERNEL_HANDLE,
            ptr::null_mut(),
            EVENT_ALL_ACCESS,
            imports::event_type(),
            KERNEL_MODE,
            handle,
        )
    })?;
    check!(checks, second.get() != handle.get());
    let value = second.get();
    returns!(checks, second.close(), STATUS_SUCCESS);
    let none = ptr::null_mut();
    // SAFETY: the call refuses a handle that is closed.
    let closed = unsafe {
        ObReferenceObjectByHandle(value, 0, none, KERNEL_MODE, &raw mut wrong, ptr::null_mut())
    };
    returns!(checks, closed, STATUS_INVALID_HANDLE);
    Ok(())
}

fn references(checks: &mut Checks) -> Outcome {
    let (handle, _) = event(ptr::null_mut(), None, 0)?;
    let none = ptr::null_mut();
    // SAFETY: every reference that is taken is given back.
    unsafe {
        let object = Object::from_call(|object| {
            let kind = imports::event_type();
            ObReferenceObjectByHandle(handle.get(), 0, kind, KERNEL_MODE, object, none)
        })?;
        let before = ObfReferenceObject(object.get());
        let more = ObfReferenceObject(object.get());
        check!(checks, more == before + 1);
        check!(checks, ObfDereferenceObject(object.get()) == before);
        let kind = imports::event_type();
        ok(ObReferenceObjectByPointer(
            object.get(),
            0,
            kind,
            KERNEL_MODE,
        ))?;
        check!(checks, ObfDereferenceObject(object.get()) == before);
        ObfDereferenceObject(object.get());
        // A reference outlives the last handle.
        ok(handle.close())?;
        check!(checks, wdk_sys::ntddk::KeReadStateEvent(object.get()) == 0);
    }
    Ok(())
}

fn names(checks: &mut Checks) -> Outcome {
    let directory = directory()?;
    let mut name = unicode!("Named");
    let (handle, _) = event(&raw mut name, Some(&directory), 0)?;
    let none = ptr::null_mut();
    // SAFETY: the handle is the kernel's.
    let object = Object::from_call(|object| unsafe {
        ObReferenceObjectByHandle(handle.get(), 0, none, KERNEL_MODE, object, ptr::null_mut())
    })?;
    let mut room = [0_u64; 32];
    let mut length = 0;
    let information = room.as_mut_ptr().cast::<OBJECT_NAME_INFORMATION>();
    // SAFETY: the room is as long as the calls are told.
    unsafe {
        let short = ObQueryNameString(object.get(), information, 8, &raw mut length);
        returns!(checks, short, STATUS_INFO_LENGTH_MISMATCH);
        ok(ObQueryNameString(
            object.get(),
            information,
            256,
            &raw mut length,
        ))?;
        let text = &(*information).Name;
        check!(
            checks,
            usize::from(text.Length) == 2 * "\\FamilyDirectory\\Named".len()
        );
        let units = core::slice::from_raw_parts(text.Buffer, usize::from(text.Length) / 2);
        check!(
            checks,
            units == &wide!("\\FamilyDirectory\\Named")[..units.len()]
        );
    }
    Ok(())
}
