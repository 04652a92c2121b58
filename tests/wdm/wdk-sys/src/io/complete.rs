//! The end of a request: completed, perhaps cancelled before.

use core::{
    ffi::c_void,
    ptr::null_mut,
    slice,
    sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering, fence},
};
use std::alloc::dealloc;

use super::{Address, FileBlock, Packet, Progress, drive};
use crate::{
    STATUS_PENDING, host,
    machine::{DISPATCH_LEVEL, at_most, set_irql},
    ntddk::{IoFreeMdl, KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock},
    types::{CCHAR, DEVICE_OBJECT, IRP, KIRQL, KSPIN_LOCK, PDRIVER_CANCEL},
};

static CANCEL_LOCK: AtomicU64 = AtomicU64::new(0);

fn cancel_lock() -> *mut KSPIN_LOCK {
    CANCEL_LOCK.as_ptr()
}

pub unsafe extern "C" fn IoReleaseCancelSpinLock(irql: KIRQL) {
    KeReleaseSpinLock(cancel_lock(), irql);
}

/// The output, of which each byte has to be one that somebody has written: Miri
/// says so of what was left as the pool had it.
unsafe fn output(packet: *mut Packet) -> Vec<u8> {
    let information = usize::try_from((*packet).irp.IoStatus.Information).unwrap();
    let is_error = (*packet)
        .irp
        .IoStatus
        .__bindgen_anon_1
        .Status
        .cast_unsigned()
        >> 30
        == 3;
    if (*packet).output_len == 0 || is_error {
        return Vec::new();
    }
    assert!(
        information <= (*packet).output_len,
        "more output than there is room for"
    );
    let buffer = (*packet).irp.AssociatedIrp.SystemBuffer;
    slice::from_raw_parts(buffer.cast::<u8>(), information).to_vec()
}

pub unsafe extern "C" fn IofCompleteRequest(irp: *mut IRP, _: CCHAR) {
    at_most(DISPATCH_LEVEL, "IoCompleteRequest");
    host::unregistered(irp.addr());
    let packet: *mut Packet = irp.cast();
    let status = (*irp).IoStatus.__bindgen_anon_1.Status;
    assert_ne!(status, STATUS_PENDING, "completed with STATUS_PENDING");
    let routine = cancel_routine(irp).load(Ordering::SeqCst);
    assert!(routine.is_null(), "completed with a cancel routine");
    let bytes = output(packet);
    let (file, mdl) = ((*packet).file, (*packet).mdl);
    let progress = (*packet).progress.clone();
    if !mdl.is_null() {
        // Unlocking unmaps what was mapped.
        (*mdl).MdlFlags = 0;
        IoFreeMdl(mdl);
    }
    let mut state = progress.state();
    state.marked_pending = (*packet).stack.Control & 1 != 0;
    state.reply = Some((status, (*irp).IoStatus.Information, bytes));
    state.packet = Address(null_mut());
    if state.cancelling == 0 {
        free(packet);
    } else {
        state.orphan = Address(packet);
    }
    progress.done.notify_all();
    drop(state);
    dereference(file);
}

/// The field, which those who complete and who cancel look at at once.
unsafe fn cancel_routine<'p>(irp: *mut IRP) -> &'p AtomicPtr<c_void> {
    let field: *mut PDRIVER_CANCEL = &raw mut (*irp).CancelRoutine;
    AtomicPtr::from_ptr(field.cast())
}

unsafe fn free(packet: *mut Packet) {
    if let Some(layout) = (*packet).buffer {
        dealloc((*packet).irp.AssociatedIrp.SystemBuffer.cast(), layout);
    }
    drop(Box::from_raw(packet));
}

/// Lets go of a file; the last one closes it, at `PASSIVE_LEVEL`, as the I/O manager
/// would have a worker do it.
pub(super) unsafe fn dereference(file: *mut FileBlock) {
    if file.is_null() || (*file).references.fetch_sub(1, Ordering::Release) != 1 {
        return;
    }
    fence(Ordering::Acquire);
    let before = set_irql(0);
    drive::close(file);
    set_irql(before);
}

/// `IoCancelIrp`, of a request that may be completed meanwhile.
pub(super) fn cancel(progress: &Progress) {
    let Address(packet) = {
        let mut state = progress.state();
        if state.packet.0.is_null() {
            return;
        }
        state.cancelling += 1;
        state.packet
    };
    // SAFETY: the memory of a request stays while somebody cancels it.
    unsafe { cancel_packet(packet) };
    let mut state = progress.state();
    state.cancelling -= 1;
    if state.cancelling == 0 && !state.orphan.0.is_null() {
        // SAFETY: it is completed, and nobody else has it.
        unsafe { free(state.orphan.0) };
        state.orphan = Address(null_mut());
    }
}

unsafe fn cancel_packet(packet: *mut Packet) {
    let irp = &raw mut (*packet).irp;
    let device: *mut DEVICE_OBJECT = (*packet).stack.DeviceObject;
    let before = KeAcquireSpinLockRaiseToDpc(cancel_lock());
    AtomicU8::from_ptr(&raw mut (*irp).Cancel).store(1, Ordering::SeqCst);
    let routine = cancel_routine(irp).swap(null_mut(), Ordering::SeqCst);
    if routine.is_null() {
        IoReleaseCancelSpinLock(before);
        return;
    }
    (*irp).CancelIrql = before;
    let routine = core::mem::transmute::<*mut c_void, PDRIVER_CANCEL>(routine);
    routine.expect("it is not null")(device, irp);
}
