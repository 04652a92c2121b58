//! Events: `KEVENT`.

use core::{cell::UnsafeCell, fmt};

use wdk_sys::{
    _EVENT_TYPE::{NotificationEvent, SynchronizationEvent},
    _KWAIT_REASON::Executive,
    _MODE::KernelMode,
    KEVENT, LARGE_INTEGER, PVOID,
    ntddk::{
        KeClearEvent, KeInitializeEvent, KeReadStateEvent, KeResetEvent, KeSetEvent,
        KeWaitForSingleObject,
    },
};

use crate::{
    Result, Status,
    irql::Apc,
    pool::{PoolBox, PoolTag},
    time::Interval,
};

/// The type of an event: `EVENT_TYPE`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// It stays set, and everybody goes on: `NotificationEvent`.
    Notification,
    /// A wait that it satisfies resets it: `SynchronizationEvent`.
    Synchronization,
}

/// An event: `KEVENT`.
///
/// ```no_run
/// # use wdm::sync::{Event, EventKind};
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # fn example(passive: &mut wdm::irql::Passive) -> wdm::Result<()> {
/// let done = Event::new(EventKind::Notification, false, TAG)?;
/// done.set();
/// done.wait(passive);
/// # Ok(())
/// # }
/// ```
pub struct Event(PoolBox<Raw>);

struct Raw(UnsafeCell<KEVENT>);

// SAFETY: an event belongs to no thread.
unsafe impl Send for Raw {}
// SAFETY: the kernel's functions order access to an event.
unsafe impl Sync for Event {}

impl Event {
    /// An event, set or not: `KeInitializeEvent`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed.
    pub fn new(kind: EventKind, is_set: bool, tag: PoolTag) -> Result<Self> {
        let raw = Raw(UnsafeCell::new(KEVENT::default()));
        let boxed = PoolBox::new(raw, tag).map_err(|rejected| rejected.error)?;
        let kind = match kind {
            EventKind::Notification => NotificationEvent,
            EventKind::Synchronization => SynchronizationEvent,
        };
        // SAFETY: the event is ours, in nonpaged memory, where it stays.
        unsafe { KeInitializeEvent(boxed.0.get(), kind, u8::from(is_set)) };
        Ok(Self(boxed))
    }

    /// Sets the event and says whether it was set: `KeSetEvent`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[expect(
        clippy::must_use_candidate,
        reason = "it is set from now on, which is what counts"
    )]
    pub fn set(&self) -> bool {
        // SAFETY: the event is initialised; no wait follows in the same step.
        unsafe { KeSetEvent(self.0.0.get(), 0, 0) != 0 }
    }

    /// Clears the event: `KeClearEvent`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn clear(&self) {
        // SAFETY: the event is initialised.
        unsafe { KeClearEvent(self.0.0.get()) };
    }

    /// Clears the event and says whether it was set: `KeResetEvent`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use = "to clear it without asking there is `clear`"]
    pub fn reset(&self) -> bool {
        // SAFETY: the event is initialised.
        unsafe { KeResetEvent(self.0.0.get()) != 0 }
    }

    /// Whether the event is set now: `KeReadStateEvent`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn is_set(&self) -> bool {
        // SAFETY: the event is initialised.
        unsafe { KeReadStateEvent(self.0.0.get()) != 0 }
    }

    /// Waits until the event is set: `KeWaitForSingleObject`. IRQL: `<= APC_LEVEL`.
    pub fn wait(&self, irql: &Apc) {
        self.wait_until(core::ptr::null_mut(), irql);
    }

    /// Waits no longer than so long, and says whether the event was set:
    /// `KeWaitForSingleObject`. IRQL: `<= APC_LEVEL`.
    #[must_use = "the wait may have ended without the event"]
    pub fn wait_for(&self, at_most: Interval, irql: &Apc) -> bool {
        // Negative: from now on.
        let mut due = LARGE_INTEGER {
            QuadPart: at_most.units().saturating_neg(),
        };
        self.wait_until(&raw mut due, irql) == Status::SUCCESS
    }

    /// Waits in kernel mode and without alerts, so the end is one of two.
    fn wait_until(&self, due: *mut LARGE_INTEGER, _: &Apc) -> Status {
        let event: PVOID = self.0.0.get().cast();
        let mode = i8::try_from(KernelMode).unwrap_or(0);
        // SAFETY: the event is initialised and lives until the wait is over; the
        // token says that waiting is possible; `due` is null or leads to a time.
        let status = unsafe { KeWaitForSingleObject(event, Executive, mode, 0, due) };
        Status::from_raw(status)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Event")
    }
}
