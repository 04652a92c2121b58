//! A cancel-safe IRP queue.
//!
//! The steps follow Microsoft's "Cancel-Safe IRP Queues" and "Synchronizing IRP
//! Cancellation": the side that removes the cancel routine from an IRP owns it. A request
//! whose cancel routine the kernel has removed is left to that routine. A request whose
//! file has no open handle is not inserted.

use core::{
    ffi::c_void,
    fmt,
    marker::PhantomData,
    ptr::{NonNull, null_mut},
};

use wdk_sys::{DEVICE_OBJECT, IRP, LIST_ENTRY, ntddk::IoReleaseCancelSpinLock};
use zerocopy::{Immutable, IntoBytes};

use crate::{
    Result, Status,
    irp::{FileId, Irp, SystemBuffer, file},
    irql::{Apc, Dispatch, Irql},
    pool::PoolTag,
    rundown::Rundown,
    scope::{DeferredDrop, DropAtIrql},
    sync::SpinLock,
};

/// A queue of pending requests, first in, first out.
///
/// A request leaves it in one of three ways: [`Self::remove_next`], cancellation, which
/// completes it with `STATUS_CANCELLED`, or the end of the queue, which does the
/// same to all. One whose file has no handle any more is not let in, so what
/// [`Device::cleanup`](crate::device::Device::cleanup) takes out of it is all that
/// there will be of that file.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included. Dropped above `APC_LEVEL`, it ends
/// when the next request arrives, or at the unload.
///
/// ```no_run
/// # use wdm::{Status, irp::{Completion, ControlCode, CancelSafeQueue, Request}, irql::Passive};
/// # const WAIT: ControlCode = ControlCode::from_raw(0x8000_2004);
/// # struct Sample { waiting: CancelSafeQueue }
/// # impl Sample {
/// # fn control<'r>(&self, request: Request<'r>) -> Completion<'r> {
/// # match request.code() {
/// // In a dispatch routine:
/// WAIT => request.pend(&self.waiting),
/// # _ => request.fail(Status::INVALID_DEVICE_REQUEST),
/// # }
/// # }
/// # fn happen(&self, event: u32, passive: &mut Passive) {
/// // Where the event happens:
/// if let Some(request) = self.waiting.remove_next(passive) {
///     request.reply(&event);
/// }
/// # }
/// # }
/// ```
pub struct CancelSafeQueue(DeferredDrop<Core>);

/// What requests point to, and so does not move.
struct Core {
    list: SpinLock<List>,
    /// One reference for each request that is here or being cancelled.
    rundown: Rundown,
}

/// A chain of requests through their list entries, null at both ends.
struct List {
    first: Option<Irp>,
    last: Option<Irp>,
    len: usize,
}

// SAFETY: requests belong to no thread; the lock around the list orders access.
unsafe impl Send for List {}

impl CancelSafeQueue {
    /// An empty queue. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed.
    pub fn new(tag: PoolTag) -> Result<Self> {
        let core = Core {
            list: SpinLock::new(List {
                first: None,
                last: None,
                len: 0,
            }),
            rundown: Rundown::new(),
        };
        match DeferredDrop::new(core, tag) {
            Ok(core) => Ok(Self(core)),
            Err(rejected) => Err(rejected.error),
        }
    }

    /// Removes the request that has been pending longest, like
    /// `IoCsqRemoveNextIrp`. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use = "a request that is dropped is cancelled"]
    pub fn remove_next(&self, irql: &mut Dispatch) -> Option<DequeuedRequest> {
        self.remove_if(irql, |_| true)
    }

    /// Removes the request of a file that has been pending longest, for
    /// `IRP_MJ_CLEANUP`. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use = "a request that is dropped is cancelled"]
    pub fn remove_next_of_file(
        &self,
        file: FileId,
        irql: &mut Dispatch,
    ) -> Option<DequeuedRequest> {
        self.remove_if(irql, |irp| FileId::of(irp) == file)
    }

    fn remove_if(
        &self,
        irql: &mut Dispatch,
        is_match: impl Fn(Irp) -> bool,
    ) -> Option<DequeuedRequest> {
        self.0.remove_if(irql, is_match)
    }

    /// The number of pending requests. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn len(&self, irql: &mut Dispatch) -> usize {
        self.0.list.with(irql, |list, _| list.len)
    }

    /// Whether no request is pending. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn is_empty(&self, irql: &mut Dispatch) -> bool {
        self.len(irql) == 0
    }

    /// Puts a request in, or completes it if it has been cancelled or its file has
    /// no handle any more.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Safety
    ///
    /// The request is not completed, no other code owns it, its file is one of a device
    /// of this crate, and its dispatch routine returns `STATUS_PENDING`.
    pub(super) unsafe fn insert(&self, irp: Irp) {
        irp.mark_pending();
        // Cannot fail: whoever waits for the end has the queue alone.
        let _ = self.0.rundown.acquire_unguarded();
        let core: *const Core = &raw const *self.0;
        // SAFETY: the word is the driver's own while it has the request.
        unsafe { irp.context().write(core.cast_mut().cast()) };
        let push = |list: &mut List| {
            // Looked at under the lock: whoever closes the file looks into the list
            // after it has said so.
            // SAFETY: the caller vouches for the request and its file.
            if unsafe { file::is_closed(irp) } {
                return true;
            }
            list.push(irp);
            irp.set_cancel_routine(Some(cancel));
            // Cancelled before there was a routine: then nobody called it, and taking
            // it out again makes the request ours.
            let is_cancelled = irp.is_cancelled() && irp.set_cancel_routine(None);
            if is_cancelled {
                list.remove(irp);
            }
            is_cancelled
        };
        // SAFETY: whoever has a request runs at DISPATCH_LEVEL or below; the work
        // makes no token.
        let is_cancelled = unsafe { self.0.list.with_unchecked(|list, _| push(list)) };
        if is_cancelled {
            // SAFETY: the request is not in the list and its routine not in it.
            unsafe { self.0.complete_cancelled(irp) };
        }
    }
}

impl DropAtIrql for Core {
    fn max_irql(&self) -> Irql {
        Irql::APC
    }

    fn end(&self) {
        // SAFETY: the level is not above what `max_irql` says, and nothing in this
        // function raises it for long.
        let mut apc = unsafe { Apc::assume() };
        while let Some(request) = self.remove_if(&mut apc, |_| true) {
            drop(request);
        }
        self.rundown.wait(&apc);
    }
}

impl fmt::Debug for CancelSafeQueue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CancelSafeQueue")
    }
}

impl Core {
    fn remove_if(
        &self,
        irql: &mut Dispatch,
        is_match: impl Fn(Irp) -> bool,
    ) -> Option<DequeuedRequest> {
        let irp = self
            .list
            .with(irql, |list, _| list.remove_first(is_match))?;
        // SAFETY: the request's reference is given back once, here.
        unsafe { self.rundown.release_unguarded() };
        // SAFETY: the cancel routine is out, so the request is ours alone.
        Some(unsafe { DequeuedRequest::new(irp) })
    }

    /// Completes a cancelled request and releases its reference to the queue.
    ///
    /// # Safety
    ///
    /// The request is out of the list, its cancel routine is out of it, and it has
    /// a reference to the queue.
    unsafe fn complete_cancelled(&self, irp: Irp) {
        // SAFETY: the reference is the request's, and nothing of the queue is used
        // after it.
        unsafe { self.rundown.release_unguarded() };
        // SAFETY: the request is ours alone.
        unsafe { irp.complete(Status::CANCELLED, 0) };
    }
}

/// The cancel routine. The kernel calls it with the cancel spin lock held.
unsafe extern "C" fn cancel(_: *mut DEVICE_OBJECT, irp: *mut IRP) {
    let Some(irp) = NonNull::new(irp) else {
        return;
    };
    // SAFETY: the kernel has taken this routine out of the request, which gives
    // the request to it.
    let irp = unsafe { Irp::new(irp) };
    // SAFETY: this is how a cancel routine releases the lock that it is called with.
    unsafe { IoReleaseCancelSpinLock(irp.cancel_irql()) };
    // SAFETY: `insert` wrote the word before it set this routine.
    let core: *const Core = unsafe { irp.context().read() }.cast::<Core>();
    // SAFETY: the request is still in the queue's list and has a reference to it.
    let core = unsafe { &*core };
    // SAFETY: releasing the cancel lock has left at most DISPATCH_LEVEL.
    unsafe { core.list.with_unchecked(|list, _| list.remove(irp)) };
    // SAFETY: the request is out of the list now.
    unsafe { core.complete_cancelled(irp) };
}

impl List {
    fn push(&mut self, irp: Irp) {
        set_links(irp, self.last, None);
        match self.last {
            Some(last) => set_links(last, previous(last), Some(irp)),
            None => self.first = Some(irp),
        }
        self.last = Some(irp);
        self.len = self.len.saturating_add(1);
    }

    fn remove(&mut self, irp: Irp) {
        let (before, after) = (previous(irp), next(irp));
        match before {
            Some(before) => set_links(before, previous(before), after),
            None => self.first = after,
        }
        match after {
            Some(after) => set_links(after, before, next(after)),
            None => self.last = before,
        }
        self.len = self.len.saturating_sub(1);
    }

    /// The first such request that the kernel is not cancelling.
    fn remove_first(&mut self, is_match: impl Fn(Irp) -> bool) -> Option<Irp> {
        let mut at = self.first;
        while let Some(irp) = at {
            if is_match(irp) && irp.set_cancel_routine(None) {
                self.remove(irp);
                return Some(irp);
            }
            at = next(irp);
        }
        None
    }
}

fn set_links(irp: Irp, before: Option<Irp>, after: Option<Irp>) {
    let link = |irp: Option<Irp>| irp.map_or(null_mut(), |irp| irp.as_ptr().cast());
    let entry = LIST_ENTRY {
        Flink: link(after),
        Blink: link(before),
    };
    // SAFETY: the entry is the driver's own while it has the request. The links
    // are addresses of requests, not of entries; no other code reads them.
    unsafe { irp.entry().write(entry) };
}

fn next(irp: Irp) -> Option<Irp> {
    // SAFETY: the entry of a request in a list is one that `set_links` wrote.
    linked(unsafe { (*irp.entry()).Flink })
}

fn previous(irp: Irp) -> Option<Irp> {
    // SAFETY: both links of such an entry are what `set_links` wrote.
    linked(unsafe { (*irp.entry()).Blink })
}

fn linked(link: *mut LIST_ENTRY) -> Option<Irp> {
    let irp = NonNull::new(link.cast::<IRP>())?;
    // SAFETY: only requests in the list are linked, and they are not completed.
    Some(unsafe { Irp::new(irp) })
}

/// A pending request that was removed from its queue. Dropping it completes it with
/// `STATUS_CANCELLED`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
pub struct DequeuedRequest {
    irp: Irp,
    /// It is owned, wherever its memory is.
    request: PhantomData<*mut c_void>,
}

// SAFETY: a request belongs to no thread once it waits.
unsafe impl Send for DequeuedRequest {}

impl DequeuedRequest {
    /// # Safety
    ///
    /// The request is not completed, and no other code owns it.
    const unsafe fn new(irp: Irp) -> Self {
        Self {
            irp,
            request: PhantomData,
        }
    }

    /// Completes the request with `value` as the output of `METHOD_BUFFERED` and
    /// `STATUS_SUCCESS`; with `STATUS_BUFFER_TOO_SMALL` if there is no room.
    /// IRQL: `<= DISPATCH_LEVEL`.
    pub fn reply<T: IntoBytes + Immutable>(self, value: &T) {
        let mut written = 0;
        // SAFETY: the request, a device control request, is ours until it is
        // completed below.
        let buffer = unsafe { SystemBuffer::of(self.irp, &mut written) };
        match buffer.and_then(|mut buffer| buffer.write(value.as_bytes())) {
            Ok(()) => self.complete(Status::SUCCESS, written),
            Err(status) => self.complete(status, 0),
        }
    }

    /// Completes the request with an error status, and no output:
    /// `IoCompleteRequest`. A success status, such as `STATUS_PENDING`, becomes
    /// `STATUS_UNSUCCESSFUL`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn fail(self, status: Status) {
        self.complete(status.as_failure(), 0);
    }

    fn complete(self, status: Status, information: usize) {
        let irp = self.irp;
        core::mem::forget(self);
        // SAFETY: the request has just left the one value that had it.
        unsafe { irp.complete(status, information) };
    }
}

impl Drop for DequeuedRequest {
    fn drop(&mut self) {
        // SAFETY: every answer forgets the value, so the request is not completed.
        unsafe { self.irp.complete(Status::CANCELLED, 0) };
    }
}

impl fmt::Debug for DequeuedRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DequeuedRequest")
    }
}
