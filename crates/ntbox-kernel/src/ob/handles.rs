//! Handles: numbers that stand for objects, in a table for each process.
//!
//! A kernel handle is one of the System process's table and carries the mark
//! [`KERNEL`], so that it means the same object in every process.

use std::collections::BTreeMap;

use nt_status::Named;
use ntbox_api::rules;

use super::attributes::{EXCLUSIVE, INHERIT, KERNEL_HANDLE};
use super::types::Type;
use super::{ObjectTables, object, with};
use crate::base::call_context::CallContext;
use crate::base::leak_check::Leak;
use crate::base::{diag, events, thread_table};

/// Mark of a kernel handle.
pub const KERNEL: u64 = 0xffff_ffff_8000_0000;
/// `OBJ_PROTECT_CLOSE`.
pub const PROTECT_CLOSE: u32 = 0x1;
/// `NtCurrentProcess()`.
pub const CURRENT_PROCESS: u64 = u64::MAX;
/// `NtCurrentThread()`.
pub const CURRENT_THREAD: u64 = u64::MAX - 1;

/// References that an object gets with each handle, ahead of their use.
const READY: u64 = 0x8000;

/// What a handle stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The object.
    pub object: u64,
    /// Its type.
    pub kind: Type,
    /// Rights granted.
    pub access: u32,
    /// `OBJ_…` attributes of the handle.
    pub attributes: u32,
    /// Address in the driver of the call that made it; 0 for the kernel's own.
    pub caller: u64,
}

/// A handle that was closed, for the owner of the object's type.
#[derive(Debug, Clone, Copy)]
pub struct ClosedHandle {
    /// The object.
    pub object: u64,
    /// Handles to the object that are left, in all processes.
    pub left: u64,
}

/// The handles of one process.
#[derive(Debug, Default)]
pub struct Table {
    entries: BTreeMap<u64, Entry>,
    /// How many of its [`READY`] references each handle has used up.
    used_up: BTreeMap<u64, u64>,
    /// Numbers that were used before, the one freed first at the front.
    free: std::collections::VecDeque<u64>,
    /// How many numbers were ever used.
    used: u64,
}

impl Table {
    /// Whether there is a handle of a number.
    pub fn has(&self, number: u64) -> bool {
        self.entries.contains_key(&number)
    }

    fn insert(&mut self, entry: Entry) -> u64 {
        let handle = self.free.pop_front().unwrap_or_else(|| {
            self.used += 1;
            4 * self.used
        });
        self.entries.insert(handle, entry);
        handle
    }
}

/// Splits a handle of a process into the process whose table it is in and its
/// number there.
fn locate(process: u64, handle: u64) -> (u64, u64) {
    // The two low bits are the caller's to use.
    if is_kernel(handle) {
        (thread_table::system_process(), handle & !KERNEL & !3)
    } else {
        (process, handle & !3)
    }
}

/// Whether a handle carries the mark of kernel handles.
pub fn is_kernel(handle: u64) -> bool {
    handle & KERNEL == KERNEL && handle != CURRENT_PROCESS && handle != CURRENT_THREAD
}

/// Opens a handle to an object in the current process, or in the kernel's table.
/// It holds a reference of its own.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER` if there is no such object, or for a handle that
/// is to be both exclusive and inherited; `STATUS_ACCESS_DENIED` for an object
/// that another process has for itself.
pub fn insert(object: u64, access: u32, attributes: u32, caller: u64) -> Result<u64, u32> {
    insert_in(
        thread_table::current_process(),
        object,
        access,
        attributes,
        caller,
    )
}

/// The same in a process.
///
/// # Errors
/// As for [`insert`].
pub fn insert_in(
    process: u64,
    object: u64,
    access: u32,
    attributes: u32,
    caller: u64,
) -> Result<u64, u32> {
    let kernel = attributes & KERNEL_HANDLE != 0;
    let process = if kernel {
        thread_table::system_process()
    } else {
        process
    };
    if attributes & EXCLUSIVE != 0 && attributes & INHERIT != 0 {
        return Err(nt_status::STATUS_INVALID_PARAMETER);
    }
    events::handle_creating(process, attributes, caller);
    with(|state| {
        let header = state
            .objects
            .get_mut(&object)
            .ok_or(nt_status::STATUS_INVALID_PARAMETER)?;
        match header.exclusive_to {
            Some(owner) if owner != process => return Err(nt_status::STATUS_ACCESS_DENIED),
            None if attributes & EXCLUSIVE != 0 && header.handles > 0 => {
                return Err(nt_status::STATUS_ACCESS_DENIED);
            }
            None if attributes & EXCLUSIVE != 0 => header.exclusive_to = Some(process),
            _ => {}
        }
        header.pointers += 1;
        header.handles += 1;
        header.ready += READY;
        let kind = header.kind;
        let attributes = attributes & (INHERIT | PROTECT_CLOSE);
        let entry = Entry {
            object,
            kind,
            access,
            attributes,
            caller,
        };
        let handle = state.tables.entry(process).or_default().insert(entry);
        Ok(if kernel { handle | KERNEL } else { handle })
    })
}

/// What a handle stands for.
///
/// # Errors
/// `STATUS_INVALID_HANDLE`.
pub fn get(handle: u64) -> Result<Entry, u32> {
    let found = get_in(thread_table::current_process(), handle);
    if found.is_err() {
        events::handle_not_found(handle);
    }
    found
}

/// What a handle of a process stands for.
///
/// # Errors
/// `STATUS_INVALID_HANDLE`.
pub fn get_in(process: u64, handle: u64) -> Result<Entry, u32> {
    let (process, number) = locate(process, handle);
    with(|state| state.tables.get(&process)?.entries.get(&number).copied())
        .ok_or(nt_status::STATUS_INVALID_HANDLE)
}

/// Uses up one of the references that came with a handle, as every reference by
/// it does. When they are gone there are new ones.
pub fn use_up(handle: u64) {
    let (process, number) = locate(thread_table::current_process(), handle);
    with(|state| {
        let table = state.tables.get_mut(&process)?;
        let object = table.entries.get(&number)?.object;
        let used = table.used_up.entry(number).or_default();
        let header = state.objects.get_mut(&object)?;
        if *used == READY {
            *used = 0;
            header.ready += READY;
        }
        *used += 1;
        header.ready -= 1;
        Some(())
    });
}

/// Closes a handle. With the last one the object's name may go, and with the
/// last reference the object; both may call the driver.
///
/// # Errors
/// `STATUS_INVALID_HANDLE`, `STATUS_HANDLE_NOT_CLOSABLE`.
pub fn close(handle: u64, caller: &CallContext<'_>) -> Result<(), u32> {
    close_in(thread_table::current_process(), handle, caller)
}

/// Closes a handle of a process.
///
/// # Errors
/// As for [`close`].
pub fn close_in(process: u64, handle: u64, caller: &CallContext<'_>) -> Result<(), u32> {
    let (process, number) = locate(process, handle);
    let closed = with(|state| state.remove_handle(process, number))?;
    after_close(closed, caller);
    Ok(())
}

/// Closes a handle for a driver; returns the status. A handle that cannot be
/// closed is reported: a kernel that is being debugged stops there, with
/// `INVALID_KERNEL_HANDLE`. Closing what stands for the current process or thread
/// does nothing.
pub fn close_for(handle: u64, caller: &CallContext<'_>) -> u32 {
    if [CURRENT_PROCESS, CURRENT_THREAD].contains(&handle) {
        return nt_status::STATUS_SUCCESS;
    }
    let Err(status) = close(handle, caller) else {
        return nt_status::STATUS_SUCCESS;
    };
    let what = format!(
        "ZwClose called for handle {handle:#x}, which cannot be closed: {}",
        Named(status)
    );
    diag::violation(
        rules::BAD_HANDLE_CLOSED.with_stop(0x93, handle),
        what,
        caller.address(),
    );
    status
}

/// Changes the attributes of a handle that can be changed: whether it is
/// inherited and whether it can be closed.
///
/// # Errors
/// `STATUS_INVALID_HANDLE`.
pub fn set_attributes(handle: u64, attributes: u32) -> Result<(), u32> {
    let (process, number) = locate(thread_table::current_process(), handle);
    with(|state| {
        let entry = state
            .tables
            .get_mut(&process)
            .and_then(|table| table.entries.get_mut(&number));
        entry.ok_or(nt_status::STATUS_INVALID_HANDLE)?.attributes = attributes;
        Ok(())
    })
}

/// Closes every handle of a process that ends.
pub fn close_all(process: u64, caller: &CallContext<'_>) {
    while let Some(number) =
        with(|state| state.tables.get(&process)?.entries.keys().next().copied())
    {
        let closed = with(|state| {
            if let Some(entry) = state
                .tables
                .get_mut(&process)
                .and_then(|table| table.entries.get_mut(&number))
            {
                entry.attributes &= !PROTECT_CLOSE;
            }
            state.remove_handle(process, number)
        });
        if let Ok(closed) = closed {
            after_close(closed, caller);
        }
    }
    with(|state| state.tables.remove(&process));
}

/// What follows once a handle is out of its table.
fn after_close((closed, kind): (ClosedHandle, Type), caller: &CallContext<'_>) {
    if let Some(close) = kind.procedures().close {
        close(&closed, caller);
    }
    super::namespace::forget_if_unused(closed.object, caller);
    object::dereference(closed.object, caller);
}

impl ObjectTables {
    fn remove_handle(&mut self, process: u64, number: u64) -> Result<(ClosedHandle, Type), u32> {
        let table = self
            .tables
            .get_mut(&process)
            .ok_or(nt_status::STATUS_INVALID_HANDLE)?;
        let entry = *table
            .entries
            .get(&number)
            .ok_or(nt_status::STATUS_INVALID_HANDLE)?;
        if entry.attributes & PROTECT_CLOSE != 0 {
            return Err(nt_status::STATUS_HANDLE_NOT_CLOSABLE);
        }
        table.entries.remove(&number);
        let used = table.used_up.remove(&number).unwrap_or(0);
        table.free.push_back(number);
        let object = entry.object;
        let header = self
            .objects
            .get_mut(&object)
            .ok_or(nt_status::STATUS_INVALID_HANDLE)?;
        header.handles -= 1;
        header.ready -= READY - used;
        if header.handles == 0 {
            header.exclusive_to = None;
        }
        let closed = ClosedHandle {
            object,
            left: header.handles,
        };
        Ok((closed, entry.kind))
    }
}

/// How many handles a process has open.
pub fn count(process: u64) -> usize {
    with(|state| {
        state
            .tables
            .get(&process)
            .map_or(0, |table| table.entries.len())
    })
}

/// Handles that drivers opened and did not close, by number.
pub fn leaks() -> Vec<Leak> {
    let system = thread_table::system_process();
    with(|state| {
        let mut list = Vec::new();
        for (process, table) in &state.tables {
            let mark = if *process == system { KERNEL } else { 0 };
            for (number, entry) in table.entries.iter().filter(|(_, entry)| entry.caller != 0) {
                list.push((number | mark, entry.object, entry.caller));
            }
        }
        list.sort_unstable();
        let leak = |(handle, object, caller)| {
            let message = format!(
                "handle {handle:#x} to {} is not closed",
                state.describe(object)
            );
            Leak::new(rules::HANDLE_LEAK, message, caller)
        };
        list.into_iter().map(leak).collect()
    })
}
