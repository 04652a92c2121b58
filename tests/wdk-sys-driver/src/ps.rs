//! Processes and threads.

use core::{
    ptr,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
};

use wdk_sys::{
    BOOLEAN, HANDLE, KAPC_STATE, NTSTATUS, PEPROCESS, PETHREAD, PVOID, STATUS_INVALID_CID,
    STATUS_INVALID_PARAMETER, STATUS_PROCEDURE_NOT_FOUND, STATUS_SUCCESS, THREAD_ALL_ACCESS,
    ntddk::{
        IoGetCurrentProcess, KeStackAttachProcess, KeUnstackDetachProcess,
        ObReferenceObjectByHandle, PsCreateSystemThread, PsGetCurrentProcessId,
        PsGetCurrentThreadId, PsGetProcessId, PsGetThreadId, PsIsSystemThread,
        PsLookupProcessByProcessId, PsLookupThreadByThreadId, PsRemoveCreateThreadNotifyRoutine,
        PsSetCreateProcessNotifyRoutine, PsSetCreateThreadNotifyRoutine, PsTerminateSystemThread,
    },
};

use crate::{
    check::{Case, Checks, Outcome, ok},
    imports,
    ke::wait,
    kernel::{FALSE, KERNEL_MODE, TRUE},
    owned::{Handle, Object, attributes},
};

pub const CASES: &[Case] = &[
    (c"Here", here),
    (c"Lookups", lookups),
    (c"Threads", threads),
    (c"ThreadRoutines", thread_routines),
    (c"ProcessRoutines", process_routines),
    (c"Attached", attached),
];

fn here(checks: &mut Checks) -> Outcome {
    // SAFETY: the calls ask for nothing.
    unsafe {
        // A driver starts in the System process.
        check!(checks, PsGetCurrentProcessId().addr() == 4);
        check!(
            checks,
            PsGetProcessId(IoGetCurrentProcess()) == PsGetCurrentProcessId()
        );
        check!(checks, !PsGetCurrentThreadId().is_null());
    }
    Ok(())
}

fn lookups(checks: &mut Checks) -> Outcome {
    let nobody: HANDLE = ptr::without_provenance_mut(0x00FF_FFF0);
    let mut process: PEPROCESS = ptr::null_mut();
    let mut thread: PETHREAD = ptr::null_mut();
    // SAFETY: the room lives as long as the calls; references are given back.
    unsafe {
        let found = Object::from_call(|object| {
            PsLookupProcessByProcessId(PsGetCurrentProcessId(), object.cast())
        })?;
        check!(checks, found.get() == IoGetCurrentProcess());
        let found = Object::from_call(|object| {
            PsLookupThreadByThreadId(PsGetCurrentThreadId(), object.cast())
        })?;
        check!(checks, PsGetThreadId(found.get()) == PsGetCurrentThreadId());
        check!(checks, PsIsSystemThread(found.get()) != 0);
        let missing = PsLookupProcessByProcessId(nobody, &raw mut process);
        check!(
            checks,
            missing == STATUS_INVALID_CID || missing == STATUS_INVALID_PARAMETER
        );
        returns!(
            checks,
            PsLookupThreadByThreadId(nobody, &raw mut thread),
            STATUS_INVALID_PARAMETER
        );
        // The number of a process is none of a thread.
        let process_id = PsGetCurrentProcessId();
        returns!(
            checks,
            PsLookupThreadByThreadId(process_id, &raw mut thread),
            STATUS_INVALID_PARAMETER
        );
    }
    Ok(())
}

static RUNS: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn routine(context: PVOID) {
    RUNS.fetch_add(1, SeqCst);
    if !context.is_null() {
        // SAFETY: this is a system thread's routine.
        let _ = unsafe { PsTerminateSystemThread(STATUS_SUCCESS) };
        // Nobody comes here.
        RUNS.fetch_add(100, SeqCst);
    }
}

/// Starts a system thread and waits for its end.
fn run_thread(context: usize) -> Outcome {
    let mut attributes = attributes(ptr::null_mut(), ptr::null_mut(), 0);
    // SAFETY: the routine asks for nothing.
    let handle = Handle::from_call(|handle| unsafe {
        PsCreateSystemThread(
            handle,
            THREAD_ALL_ACCESS,
            &raw mut attributes,
            ptr::null_mut(),
            ptr::null_mut(),
            Some(routine),
            ptr::without_provenance_mut(context),
        )
    })?;
    let kind = imports::thread_type();
    let none = ptr::null_mut();
    // SAFETY: the handle is the kernel's, and a thread can be waited for.
    unsafe {
        let thread = Object::from_call(|object| {
            ObReferenceObjectByHandle(handle.get(), 0, kind, KERNEL_MODE, object, none)
        });
        // Without it the routine could outlive the driver.
        match thread {
            Ok(thread) => ok(wait(thread.get(), 10_000)),
            Err(status) => {
                let end = wdk_sys::ntddk::ZwWaitForSingleObject(handle.get(), 0, none.cast());
                ok(end).and(Err(status))
            }
        }
    }
}

fn threads(checks: &mut Checks) -> Outcome {
    RUNS.store(0, SeqCst);
    run_thread(0)?;
    check!(checks, RUNS.load(SeqCst) == 1);
    run_thread(1)?;
    check!(checks, RUNS.load(SeqCst) == 2);
    Ok(())
}

/// Beginnings and ends of threads that were heard of.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" fn heard(_: HANDLE, _: HANDLE, create: BOOLEAN) {
    let count = if create == 0 { &ENDED } else { &BEGUN };
    count.fetch_add(1, SeqCst);
}

fn thread_routines(checks: &mut Checks) -> Outcome {
    BEGUN.store(0, SeqCst);
    ENDED.store(0, SeqCst);
    // SAFETY: the routine is this driver's, which removes it again.
    unsafe {
        ok(PsSetCreateThreadNotifyRoutine(Some(heard)))?;
        let ran = run_thread(0);
        let removed = PsRemoveCreateThreadNotifyRoutine(Some(heard));
        returns!(checks, removed, STATUS_SUCCESS);
        ran?;
        check!(checks, BEGUN.load(SeqCst) >= 1 && ENDED.load(SeqCst) >= 1);
        let again = PsRemoveCreateThreadNotifyRoutine(Some(heard));
        returns!(checks, again, STATUS_PROCEDURE_NOT_FOUND);
    }
    Ok(())
}

unsafe extern "C" fn process_heard(_: HANDLE, _: HANDLE, _: BOOLEAN) {}

fn process_routines(checks: &mut Checks) -> Outcome {
    let routine = Some(process_heard as unsafe extern "C" fn(HANDLE, HANDLE, BOOLEAN));
    // SAFETY: the routine lies in the image, does nothing, and is removed before
    // this returns.
    unsafe {
        ok(PsSetCreateProcessNotifyRoutine(routine, FALSE))?;
        let again: NTSTATUS = PsSetCreateProcessNotifyRoutine(routine, FALSE);
        returns!(checks, again, STATUS_INVALID_PARAMETER);
        let removed = PsSetCreateProcessNotifyRoutine(routine, TRUE);
        returns!(checks, removed, STATUS_SUCCESS);
        let gone = PsSetCreateProcessNotifyRoutine(routine, TRUE);
        returns!(checks, gone, STATUS_PROCEDURE_NOT_FOUND);
    }
    Ok(())
}

fn attached(checks: &mut Checks) -> Outcome {
    object!(state: KAPC_STATE);
    // SAFETY: the process is the current one, which stays; what is attached is
    // detached.
    unsafe {
        let process = IoGetCurrentProcess();
        KeStackAttachProcess(process.cast(), state);
        check!(checks, IoGetCurrentProcess() == process);
        KeUnstackDetachProcess(state);
        check!(checks, IoGetCurrentProcess() == process);
    }
    Ok(())
}
