//! References to objects, as drivers take and give them.

use ntbox_api::rules;
use ntbox_host::driver_mem;
use ntbox_host::gate::irql::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::gate::{Call, ExportResult, NoReturn};

use super::types::Type;
use super::{handles, init, object, open_object};
use crate::base::call_context::CallContext;
use crate::base::export::exports;
use crate::base::{diag, thread_table};

/// `REFERENCE_BY_POINTER`.
const REFERENCE_BY_POINTER: u32 = 0x18;
/// `UserMode`.
const USER_MODE: u8 = 1;

/// A request to reference an object by its handle.
struct ReferenceRequest {
    handle: u64,
    access: u32,
    /// Address of the type's object; 0 for any type.
    kind: u64,
    mode: u8,
}

/// Addresses that the result is written to.
struct OutputAddresses {
    object: u64,
    information: u64,
}

exports! {
    /// `ObReferenceObjectByHandle`.
    fn ObReferenceObjectByHandle<call>(
        handle: u64, access: u32, kind: u64, mode: u8, object: u64, information: u64,
    ) -> u32 [max PASSIVE_LEVEL, wdm] fails_by by_handle_failure {
        by_handle(&ReferenceRequest { handle, access, kind, mode }, &OutputAddresses { object, information }, &CallContext::of(call))
    }

    /// `ObReferenceObjectByHandleWithTag`.
    fn ObReferenceObjectByHandleWithTag<call>(
        handle: u64, access: u32, kind: u64, mode: u8, tag: u32, object: u64, information: u64,
    ) -> u32 [max PASSIVE_LEVEL, wdm, since WINDOWS_7] fails_by by_tagged_handle_failure {
        by_handle(&ReferenceRequest { handle, access, kind, mode }, &OutputAddresses { object, information }, &CallContext::of(call))
    }

    /// `ObReferenceObjectByPointer`: in kernel mode any type will do.
    fn ObReferenceObjectByPointer<call>(object: u64, access: u32, kind: u64, mode: u8) -> u32
        [max DISPATCH_LEVEL, wdm] {
        by_pointer(object, kind, mode, &CallContext::of(call))
    }

    /// `ObReferenceObjectByPointerWithTag`.
    fn ObReferenceObjectByPointerWithTag<call>(object: u64, access: u32, kind: u64, mode: u8, tag: u32) -> u32
        [max DISPATCH_LEVEL, wdm, since WINDOWS_7]
    {
        by_pointer(object, kind, mode, &CallContext::of(call))
    }

    /// `ObfReferenceObject`: returns the number of references.
    fn ObfReferenceObject<call>(object: u64) -> u64 [max DISPATCH_LEVEL, wdm] {
        reference(object, &CallContext::of(call))
    }

    /// `ObfReferenceObjectWithTag`.
    fn ObfReferenceObjectWithTag<call>(object: u64, tag: u32) -> u64
        [max DISPATCH_LEVEL, page "windows-hardware/drivers/ddi/wdm/nf-wdm-obreferenceobjectwithtag"] {
        reference(object, &CallContext::of(call))
    }

    /// `ObReferenceObjectSafe`: FALSE if the object is being deleted.
    fn ObReferenceObjectSafe<call>(object: u64) -> bool [max DISPATCH_LEVEL, wdm] {
        Ok(object::reference_if_alive(object, &CallContext::of(call)))
    }

    /// `ObReferenceObjectSafeWithTag`.
    fn ObReferenceObjectSafeWithTag<call>(object: u64, tag: u32) -> bool [max DISPATCH_LEVEL, undocumented] {
        Ok(object::reference_if_alive(object, &CallContext::of(call)))
    }

    /// `ObfDereferenceObject`: returns the number of references left. Above
    /// `PASSIVE_LEVEL` the end of the object is put off.
    fn ObfDereferenceObject<call>(object: u64) -> u64
        [max DISPATCH_LEVEL, page "windows-hardware/drivers/ddi/wdm/nf-wdm-obdereferenceobject"] {
        dereference(object, &CallContext::of(call))
    }

    /// `ObfDereferenceObjectWithTag`.
    fn ObfDereferenceObjectWithTag<call>(object: u64, tag: u32) -> u64
        [max DISPATCH_LEVEL, page "windows-hardware/drivers/ddi/wdm/nf-wdm-obdereferenceobjectwithtag"] {
        dereference(object, &CallContext::of(call))
    }

    /// `ObDereferenceObject`: the function behind the macro of that name.
    fn ObDereferenceObject<call>(object: u64) -> u64 [max DISPATCH_LEVEL, wdm] {
        dereference(object, &CallContext::of(call))
    }

    /// `ObDereferenceObjectDeferDelete`: the object ends before the call returns
    /// where that can be, which its reference allows.
    fn ObDereferenceObjectDeferDelete<call>(object: u64) -> () [max DISPATCH_LEVEL, wdm] {
        dereference(object, &CallContext::of(call)).map(drop)
    }

    /// `ObDereferenceObjectDeferDeleteWithTag`.
    fn ObDereferenceObjectDeferDeleteWithTag<call>(object: u64, tag: u32) -> ()
        [max DISPATCH_LEVEL, wdm, since WINDOWS_7] {
        dereference(object, &CallContext::of(call)).map(drop)
    }
}

fn by_handle(
    wanted: &ReferenceRequest,
    out: &OutputAddresses,
    caller: &CallContext<'_>,
) -> Result<u32, NoReturn> {
    driver_mem::write_u64(out.object, 0)?;
    check_mode(wanted, caller);
    let kind = match wanted.kind {
        0 => None,
        address => match init::type_at(address) {
            Some(kind) => Some(kind),
            None => return Ok(nt_status::STATUS_OBJECT_TYPE_MISMATCH),
        },
    };
    let user = wanted.mode == USER_MODE;
    match open_object::by_handle(wanted.handle, wanted.access, kind, user) {
        Err(status) => Ok(status),
        Ok(entry) => {
            reference(entry.object, caller)?;
            driver_mem::write_u64(out.object, entry.object)?;
            if out.information != 0 {
                driver_mem::write_u32(out.information, entry.attributes)?;
                driver_mem::write_u32(out.information.wrapping_add(4), entry.access)?;
            }
            Ok(nt_status::STATUS_SUCCESS)
        }
    }
}

/// Reports handles that a driver must not take as its own.
fn check_mode(wanted: &ReferenceRequest, caller: &CallContext<'_>) {
    let ReferenceRequest { handle, mode, .. } = *wanted;
    let pseudo = handle == handles::CURRENT_PROCESS || handle == handles::CURRENT_THREAD;
    if handle == 0 {
        let what = "ObReferenceObjectByHandle called with a NULL handle";
        diag::violation(rules::NULL_HANDLE, what, caller.address());
    } else if mode != USER_MODE
        && !pseudo
        && !handles::is_kernel(handle)
        && thread_table::current_process() != thread_table::system_process()
    {
        let what = format!(
            "handle {handle:#x} of a user process referenced with access mode KernelMode, which checks no access; handles from user mode are referenced with UserMode"
        );
        diag::violation(rules::USER_HANDLE_AS_KERNEL, what, caller.address());
    }
}

fn by_pointer(object: u64, kind: u64, mode: u8, caller: &CallContext<'_>) -> Result<u32, NoReturn> {
    let own = object::type_of(object).ok_or_else(|| no_object(object, "referenced"))?;
    let same = kind == init::object_of(own);
    if !same && (mode == USER_MODE || kind == init::object_of(Type::SymbolicLink)) {
        return Ok(nt_status::STATUS_OBJECT_TYPE_MISMATCH);
    }
    reference(object, caller).map(|_| nt_status::STATUS_SUCCESS)
}

fn reference(object: u64, caller: &CallContext<'_>) -> Result<u64, NoReturn> {
    object::reference_for(object, caller).ok_or_else(|| no_object(object, "referenced"))
}

fn dereference(object: u64, caller: &CallContext<'_>) -> Result<u64, NoReturn> {
    let held = |header: &object::Header| {
        let needed = header.handles + u64::from(header.name.is_some());
        let is_kernels = matches!(
            header.kind,
            Type::Process | Type::Thread | Type::File | Type::Device | Type::Driver
        );
        let is_stolen = is_kernels && !header.is_taken();
        (header.kind, header.pointers <= needed, is_stolen)
    };
    match object::inspect(object, held) {
        None => Err(no_object(object, "dereferenced")),
        Some((kind, true, _)) => Err(NoReturn::bug_check(
            REFERENCE_BY_POINTER,
            [init::object_of(kind), object, 0, 0],
            format!(
                "an object of type {} at {object:#018x} was dereferenced once more than referenced; its handles \
                 and its name still need it",
                kind.name()
            ),
        )),
        Some((_, false, true)) => {
            // The reference is the kernel's own. On Windows the object would end while
            // it is in use; here it is kept.
            let what = format!(
                "the {} dereferenced, to which no driver has a reference; this one is the kernel's own",
                object::describe(object)
            );
            diag::violation(rules::OBJECT_OVER_DEREFERENCED, what, caller.address());
            let left = object::inspect(object, |header| header.pointers);
            Ok(left.unwrap_or(0))
        }
        Some((_, false, false)) => {
            object::dereference_for(object, caller).ok_or_else(|| no_object(object, "dereferenced"))
        }
    }
}

/// The stop for a reference to what is no object, or none any more.
fn no_object(object: u64, what: &str) -> NoReturn {
    NoReturn::bug_check(
        REFERENCE_BY_POINTER,
        [0, object, 0, 0],
        format!("{object:#018x} was {what}, where there is no object, or none any more"),
    )
}

fn by_handle_failure(call: &mut Call<'_>) -> ExportResult {
    fail(call, 4)
}

fn by_tagged_handle_failure(call: &mut Call<'_>) -> ExportResult {
    fail(call, 5)
}

/// What a reference by handle does when it fails: no object, and a status.
fn fail(call: &Call<'_>, out: usize) -> ExportResult {
    driver_mem::write_u64(call.argument(out)?, 0)?;
    Ok(u64::from(nt_status::STATUS_INVALID_HANDLE))
}
