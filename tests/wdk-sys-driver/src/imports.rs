//! What the import library at hand lacks, functions of newer kernels, which the
//! compiler imports by itself; and the types of objects.

use core::ffi::c_void;

use wdk_sys::{
    BOOLEAN, ExEventObjectType, LONGLONG, PEX_TIMER, PEXT_CALLBACK, PEXT_CANCEL_PARAMETERS,
    PEXT_DELETE_PARAMETERS, POBJECT_TYPE, POOL_FLAGS, PVOID, PsProcessType, PsThreadType, SIZE_T,
    ULONG,
};

#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    pub fn ExAllocatePool2(flags: POOL_FLAGS, bytes: SIZE_T, tag: ULONG) -> PVOID;
    pub fn ExAllocateTimer(
        callback: PEXT_CALLBACK,
        context: *mut c_void,
        attributes: ULONG,
    ) -> PEX_TIMER;
    pub fn ExSetTimer(
        timer: PEX_TIMER,
        due: LONGLONG,
        period: LONGLONG,
        parameters: *mut c_void,
    ) -> BOOLEAN;
    pub fn ExCancelTimer(timer: PEX_TIMER, parameters: PEXT_CANCEL_PARAMETERS) -> BOOLEAN;
    pub fn ExDeleteTimer(
        timer: PEX_TIMER,
        cancel: BOOLEAN,
        wait: BOOLEAN,
        parameters: PEXT_DELETE_PARAMETERS,
    ) -> BOOLEAN;
}

/// The type of processes.
pub fn process_type() -> POBJECT_TYPE {
    // SAFETY: the kernel's variable is set before any driver starts.
    unsafe { *PsProcessType }
}

/// The type of threads.
pub fn thread_type() -> POBJECT_TYPE {
    // SAFETY: the loader has put the address of the kernel's variable there, which
    // is set before any driver starts.
    unsafe { *PsThreadType }
}

/// The type of events.
pub fn event_type() -> POBJECT_TYPE {
    // SAFETY: the variable is the kernel's, and set before any driver starts.
    unsafe { *ExEventObjectType }
}
