//! What services that make or open objects have in common.

use super::attributes::{Attributes, KERNEL_HANDLE};
use super::handles::{CURRENT_PROCESS, CURRENT_THREAD, Entry};
use super::namespace::NameInsertion;
use super::types::Type;
use super::{attributes, callbacks, handles, namespace, object};
use crate::base::call_context::CallContext;
use crate::base::thread_table;

/// A handle that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedHandle {
    /// The handle.
    pub handle: u64,
    /// The object, kept alive by the handle.
    pub object: u64,
    /// `STATUS_SUCCESS`, or `STATUS_OBJECT_NAME_EXISTS` if there was one already.
    pub status: u32,
}

/// Gives a new object its name and a handle. The reference of its maker is used
/// up, also when this fails.
///
/// # Errors
/// As for [`namespace::insert`] and [`handles::insert`].
pub fn insert_and_open(
    new: u64,
    attributes: &Attributes,
    access: u32,
    caller: &CallContext<'_>,
) -> Result<OpenedHandle, u32> {
    let opened = namespace::insert(new, attributes).and_then(|inserted| {
        let (object, status) = match inserted {
            NameInsertion::New => {
                guard(new, attributes, caller)?;
                (new, nt_status::STATUS_SUCCESS)
            }
            NameInsertion::Existing(object) => (object, nt_status::STATUS_OBJECT_NAME_EXISTS),
        };
        let handle = open(object, attributes, access, caller);
        match inserted {
            NameInsertion::Existing(object) => {
                object::dereference(object, caller);
            }
            // A name does not outlive the failure to open a handle.
            NameInsertion::New if handle.is_err() => namespace::make_temporary(new, caller),
            NameInsertion::New => {}
        }
        Ok(OpenedHandle {
            handle: handle?,
            object,
            status,
        })
    });
    object::dereference(new, caller);
    opened
}

/// Gives a new object the security descriptor that its maker wants for it; if it is
/// none, the object loses its name.
fn guard(new: u64, attributes: &Attributes, caller: &CallContext<'_>) -> Result<(), u32> {
    let guarded = match attributes.descriptor {
        0 => Ok(()),
        descriptor => (object::SECURITY.get().assign)(new, descriptor),
    };
    if guarded.is_err() {
        namespace::make_temporary(new, caller);
    }
    guarded
}

/// Opens an object of a type without a syntax of its own.
///
/// # Errors
/// As for [`namespace::lookup`] and [`handles::insert`];
/// `STATUS_OBJECT_TYPE_MISMATCH`.
pub fn open_by_name(
    attributes: &Attributes,
    kind: Type,
    access: u32,
    caller: &CallContext<'_>,
) -> Result<u64, u32> {
    let found = namespace::lookup(attributes, Some(kind))?;
    let handle = if found.kind == kind && found.rest.is_empty() {
        open(found.object, attributes, access, caller)
    } else {
        Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH)
    };
    object::dereference(found.object, caller);
    handle
}

/// Opens a handle with the rights that are asked for.
///
/// # Errors
/// As for [`handles::insert`].
pub fn open(
    object: u64,
    attributes: &Attributes,
    access: u32,
    caller: &CallContext<'_>,
) -> Result<u64, u32> {
    let kind = object::type_of(object).ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
    let access = kind.grant(access);
    open_handle(object, kind, access, attributes.flags, caller)
}

/// Opens a handle with these rights, less those that filters of handles take away.
///
/// # Errors
/// As for [`handles::insert`]; `STATUS_INSUFFICIENT_RESOURCES`.
pub fn open_handle(
    object: u64,
    kind: Type,
    access: u32,
    attributes: u32,
    caller: &CallContext<'_>,
) -> Result<u64, u32> {
    let wanted = callbacks::HandleParams {
        object,
        kind,
        access,
        kernel: attributes & KERNEL_HANDLE != 0,
        copied: None,
    };
    callbacks::open(&wanted, caller, |access| {
        handles::insert(object, access, attributes, caller.address())
    })
}

/// What a handle stands for, pseudo handles included, if its object is of this
/// type. Takes no reference.
///
/// # Errors
/// `STATUS_INVALID_HANDLE`, also for a kernel handle from user mode;
/// `STATUS_OBJECT_TYPE_MISMATCH`; `STATUS_ACCESS_DENIED`, from user mode only.
pub fn by_handle(handle: u64, access: u32, kind: Option<Type>, user: bool) -> Result<Entry, u32> {
    let entry = match handle {
        CURRENT_PROCESS => pseudo(thread_table::current_process(), Type::Process),
        CURRENT_THREAD => pseudo(thread_table::current_thread(), Type::Thread),
        handle if user && handles::is_kernel(handle) => {
            return Err(nt_status::STATUS_INVALID_HANDLE);
        }
        handle => handles::get(handle)?,
    };
    if kind.is_some_and(|kind| kind != entry.kind) {
        return Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH);
    }
    if user && access & !entry.access != 0 {
        return Err(nt_status::STATUS_ACCESS_DENIED);
    }
    handles::use_up(handle);
    Ok(entry)
}

/// What a pseudo handle stands for.
fn pseudo(object: u64, kind: Type) -> Entry {
    Entry {
        object,
        kind,
        access: kind.grant(attributes::MAXIMUM_ALLOWED),
        attributes: 0,
        caller: 0,
    }
}
