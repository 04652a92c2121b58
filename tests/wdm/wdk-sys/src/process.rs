//! Processes, as far as they are remembered, gone back to, and end.

use core::ptr::without_provenance_mut;
use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicUsize, atomic::Ordering},
};

use crate::{
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_CID, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
    host,
    machine::{APC_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL, at_most},
    types::{BOOLEAN, HANDLE, KAPC_STATE, NTSTATUS, PEPROCESS, PETHREAD, PKPROCESS, PVOID},
};

/// The process that drivers are loaded in.
pub(crate) const SYSTEM: usize = 4;

/// What an address of a process object is more than its identifier.
const OBJECTS: usize = 0x7000_0000_0000_0000;

thread_local! {
    static PROCESS: Cell<usize> = const { Cell::new(SYSTEM) };
    static THREAD: usize = NEXT_THREAD.fetch_add(4, Ordering::Relaxed);
}

static NEXT_THREAD: AtomicUsize = AtomicUsize::new(8);

type Notify = unsafe extern "C" fn(HANDLE, HANDLE, BOOLEAN);
pub type PCREATE_PROCESS_NOTIFY_ROUTINE = Option<Notify>;

/// References by drivers, and who is told of ends.
pub(crate) struct Table {
    references: BTreeMap<usize, usize>,
    observers: Vec<Notify>,
}

static TABLE: Mutex<Table> = Mutex::new(Table {
    references: BTreeMap::new(),
    observers: Vec::new(),
});

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// References and observers that are left, which are forgotten.
pub(crate) fn drain() -> (usize, usize) {
    let mut table = table();
    let references = table.references.values().sum();
    table.references.clear();
    let observers = table.observers.len();
    table.observers.clear();
    (references, observers)
}

/// Runs `work` in a process.
pub(crate) fn within<R>(process: usize, work: impl FnOnce() -> R) -> R {
    let before = PROCESS.replace(process);
    let result = work();
    PROCESS.set(before);
    result
}

/// Tells those who want to know that the current process ends.
pub(crate) fn end() {
    let process = PsGetCurrentProcessId_();
    let observers = table().observers.clone();
    for observer in observers {
        // SAFETY: whoever registered the routine keeps it callable until it is out.
        unsafe { observer(without_provenance_mut(SYSTEM), process, 0) };
    }
}

fn PsGetCurrentProcessId_() -> HANDLE {
    without_provenance_mut(PROCESS.get())
}

pub unsafe extern "C" fn PsGetCurrentProcessId() -> HANDLE {
    PsGetCurrentProcessId_()
}

pub unsafe extern "C" fn PsGetCurrentThreadId() -> HANDLE {
    current_thread()
}

/// The current thread's object, whose address is its identifier here.
pub(crate) fn current_thread() -> PETHREAD {
    without_provenance_mut(THREAD.with(|id| *id))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn KeGetCurrentThread() -> PETHREAD {
    current_thread()
}

pub unsafe extern "C" fn PsGetProcessId(process: PEPROCESS) -> HANDLE {
    without_provenance_mut(identifier(process))
}

pub unsafe extern "C" fn IoGetCurrentProcess() -> PEPROCESS {
    without_provenance_mut(PROCESS.get() + OBJECTS)
}

fn identifier(object: PVOID) -> usize {
    object
        .addr()
        .checked_sub(OBJECTS)
        .expect("an object that is no process")
}

pub unsafe extern "C" fn ObfReferenceObject(object: PVOID) -> i64 {
    at_most(DISPATCH_LEVEL, "ObReferenceObject");
    *table().references.entry(identifier(object)).or_default() += 1;
    2
}

pub unsafe extern "C" fn ObfDereferenceObject(object: PVOID) -> i64 {
    at_most(DISPATCH_LEVEL, "ObDereferenceObject");
    let mut table = table();
    let references = table.references.entry(identifier(object)).or_default();
    *references = references
        .checked_sub(1)
        .expect("a process dereferenced too often");
    1
}

pub unsafe extern "C" fn PsLookupProcessByProcessId(
    id: HANDLE,
    process: *mut PEPROCESS,
) -> NTSTATUS {
    at_most(APC_LEVEL, "PsLookupProcessByProcessId");
    if id.is_null() || !id.addr().is_multiple_of(4) {
        return STATUS_INVALID_CID;
    }
    let object = without_provenance_mut(id.addr() + OBJECTS);
    ObfReferenceObject(object);
    process.write(object);
    STATUS_SUCCESS
}

pub unsafe extern "C" fn KeStackAttachProcess(process: PKPROCESS, state: *mut KAPC_STATE) {
    at_most(APC_LEVEL, "KeStackAttachProcess");
    (*state).Process = IoGetCurrentProcess();
    PROCESS.set(identifier(process));
}

pub unsafe extern "C" fn KeUnstackDetachProcess(state: *mut KAPC_STATE) {
    PROCESS.set(identifier((*state).Process));
}

pub unsafe extern "C" fn PsSetCreateProcessNotifyRoutine(
    routine: PCREATE_PROCESS_NOTIFY_ROUTINE,
    remove: BOOLEAN,
) -> NTSTATUS {
    at_most(PASSIVE_LEVEL, "PsSetCreateProcessNotifyRoutine");
    let routine = routine.expect("a routine");
    if remove == 0 {
        if host::fails() {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        table().observers.push(routine);
        return STATUS_SUCCESS;
    }
    let mut table = table();
    let at = table
        .observers
        .iter()
        .position(|other| *other as usize == routine as usize);
    match at {
        Some(index) => {
            table.observers.remove(index);
            STATUS_SUCCESS
        }
        None => STATUS_INVALID_PARAMETER,
    }
}
