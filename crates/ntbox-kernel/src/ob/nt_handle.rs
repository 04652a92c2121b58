//! Closing and copying handles.

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::attributes::KERNEL_HANDLE;
use super::handles::Entry;
use super::{Type, callbacks, handles};
use crate::base::call_context::CallContext;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::{error, thread_table};
use crate::ob;

/// `DUPLICATE_…`.
mod option {
    pub const CLOSE_SOURCE: u32 = 0x1;
    pub const SAME_ACCESS: u32 = 0x2;
    pub const SAME_ATTRIBUTES: u32 = 0x4;
}

/// A request to duplicate a handle.
struct DuplicateRequest {
    source_process: u64,
    source: u64,
    target_process: u64,
    /// Where the new handle goes; 0 if there is to be none.
    target: u64,
    access: u32,
    attributes: u32,
    options: u32,
}

exports! {
    /// `ZwClose`.
    fn ZwClose<call>(handle: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        Ok(handles::close_for(handle, &CallContext::of(call)))
    }

    /// `NtClose`: the same for drivers, whose previous mode is kernel mode.
    fn NtClose<call>(handle: u64) -> u32 [max PASSIVE_LEVEL, ntifs] {
        Ok(handles::close_for(handle, &CallContext::of(call)))
    }

    /// `ZwDuplicateObject`.
    fn ZwDuplicateObject<call>(
        source_process: u64,
        source: u64,
        target_process: u64,
        target: u64,
        access: u32,
        attributes: u32,
        options: u32,
    ) -> u32 [max PASSIVE_LEVEL, ntifs] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let copy = DuplicateRequest { source_process, source, target_process, target, access, attributes, options };
        error::status(duplicate(&copy, &CallContext::of(call)))
    }
}

fn duplicate(copy: &DuplicateRequest, caller: &CallContext<'_>) -> Result<(), Refusal> {
    let from = process(copy.source_process)?;
    let entry = handles::get_in(from, copy.source)?;
    let made = if copy.target == 0 {
        Ok(None)
    } else {
        open_copy(copy, entry, caller).map(Some)
    };
    if copy.options & option::CLOSE_SOURCE != 0 {
        handles::close_in(from, copy.source, caller)?;
    }
    if let Some(handle) = made? {
        driver_mem::write_u64(copy.target, handle)?;
    }
    Ok(())
}

fn open_copy(copy: &DuplicateRequest, entry: Entry, caller: &CallContext<'_>) -> Result<u64, u32> {
    let (from, to) = (process(copy.source_process)?, process(copy.target_process)?);
    let access = if copy.options & option::SAME_ACCESS == 0 {
        entry.kind.grant(copy.access)
    } else {
        entry.access
    };
    let attributes = if copy.options & option::SAME_ATTRIBUTES == 0 {
        copy.attributes
    } else {
        entry.attributes
    };
    // Only the system process has the kernel's handles: for another process the flag
    // means nothing.
    let attributes = if to == thread_table::system_process() {
        attributes
    } else {
        attributes & !KERNEL_HANDLE
    };
    let wanted = callbacks::HandleParams {
        object: entry.object,
        kind: entry.kind,
        access,
        kernel: attributes & KERNEL_HANDLE != 0,
        copied: Some((from, to)),
    };
    callbacks::open(&wanted, caller, |access| {
        handles::insert_in(to, entry.object, access, attributes, caller.address())
    })
}

/// The process behind a handle to one.
fn process(handle: u64) -> Result<u64, u32> {
    ob::by_handle(handle, 0, Some(Type::Process), false).map(|entry| entry.object)
}
