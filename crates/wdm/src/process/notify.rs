//! Process exit notification, called while the address space still exists.
//!
//! The kernel's notify routine has no context parameter, so a driver has at most one
//! [`ProcessNotify`], found through a static. The routine holds rundown protection while
//! it uses the observer, because the reference does not say whether a removed routine can
//! still be running.

use core::{
    fmt,
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

use wdk_sys::{BOOLEAN, HANDLE, ntddk::PsSetCreateProcessNotifyRoutine};

use crate::{
    Error, Result, Status,
    irql::{Irql, Passive},
    pool::PoolTag,
    rundown::Rundown,
    scope::{Registration, RegistrationHandle, Stage},
    sync::SpinLock,
};

/// Name of the function that registers.
const CALL: &str = "PsSetCreateProcessNotifyRoutine";

/// Observes process exits.
pub trait ProcessObserver: Send + Sync + Sized + 'static {
    /// A process exits: its last thread is terminating. Called at
    /// `PASSIVE_LEVEL` in that process, before its handles are closed and its
    /// memory is freed.
    fn on_process_exit(&self, process: usize, passive: &mut Passive);

    /// The observer is about to be unregistered. Releases the resources that must not
    /// outlive their processes. Called at `PASSIVE_LEVEL`
    /// in any process, once.
    fn on_unregister(&self, _passive: &mut Passive) {}
}

/// A registered observer of process exits: `PsSetCreateProcessNotifyRoutine`.
/// Dropping it unregisters the observer and waits for a running call. Dropped above `PASSIVE_LEVEL`, it ends when the next request arrives, or
/// at the unload. If it is never dropped, the
/// scope unregisters it before the image is unloaded. Dropping it in its own observer
/// deadlocks.
///
/// IRQL: `PASSIVE_LEVEL`; dropping it: `<= DISPATCH_LEVEL`.
pub struct ProcessNotify<O: ProcessObserver>(RegistrationHandle<NotifyRegistration<O>>);

/// The part of [`NotifyRegistration`] that does not depend on the observer's type.
struct Head {
    /// Held while the observer is used.
    rundown: Rundown,
    notify_observer: unsafe fn(NonNull<Head>, usize, &mut Passive),
}

#[repr(C)]
struct NotifyRegistration<O> {
    head: Head,
    /// Whether the static leads here.
    is_current: AtomicBool,
    /// Whether the notify routine is registered.
    is_registered: AtomicBool,
    observer: O,
}

/// Where the static leads.
struct CurrentNotify(Option<NonNull<Head>>);

// SAFETY: observers may be used by any thread, and so may the rest of what the
// address leads to.
unsafe impl Send for CurrentNotify {}

/// The registration of this driver.
static CURRENT: SpinLock<CurrentNotify> = SpinLock::new(CurrentNotify(None));

impl<O: ProcessObserver> ProcessNotify<O> {
    /// Registers `observer`. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_DEVICE_BUSY`: the driver has registered an observer already.
    /// * `STATUS_DELETE_PENDING`: the driver is being unloaded.
    /// * `STATUS_INVALID_PARAMETER`: the system has no room for more notify routines.
    /// * `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed.
    pub fn new(observer: O, tag: PoolTag, passive: &mut Passive) -> Result<Self> {
        let registration = NotifyRegistration {
            head: Head {
                rundown: Rundown::new(),
                notify_observer: notify_observer::<O>,
            },
            is_current: AtomicBool::new(false),
            is_registered: AtomicBool::new(false),
            observer,
        };
        RegistrationHandle::new(registration, tag, passive, NotifyRegistration::register).map(Self)
    }

    /// Runs `work` with the observer. `None` once the driver is being unloaded and
    /// the observer is unregistered. IRQL: `<= DISPATCH_LEVEL`, and what `work` asks for.
    pub fn with<R>(&self, work: impl FnOnce(&O) -> R) -> Option<R> {
        self.0.enter(|registration| work(&registration.observer))
    }

    /// [`Self::with`] with a value for `work`, which comes back if that is not run.
    pub(crate) fn with_value<V, R>(&self, value: V, work: impl FnOnce(&O, V) -> R) -> Result<R, V> {
        self.0.enter_with(value, |registration, value| {
            work(&registration.observer, value)
        })
    }
}

impl<O: ProcessObserver> NotifyRegistration<O> {
    /// Registers the notify routine, unless the driver has another observer.
    fn register(&self, passive: &mut Passive) -> Result<()> {
        let place: NonNull<Head> = NonNull::from(self).cast();
        let was_free = CURRENT.with(passive, |current, _| {
            let was_free = current.0.is_none();
            current.0.get_or_insert(place);
            was_free
        });
        if !was_free {
            return Err(Error::new(CALL, Status::DEVICE_BUSY));
        }
        self.is_current.store(true, Ordering::Release);
        // SAFETY: the routine is this driver's, and is removed when the registration is
        // undone, which is before the driver goes.
        let status = unsafe { PsSetCreateProcessNotifyRoutine(Some(notify), ADD) };
        Error::check(CALL, Status::from_raw(status))?;
        self.is_registered.store(true, Ordering::Release);
        Ok(())
    }
}

impl<O: ProcessObserver> Registration for NotifyRegistration<O> {
    const STAGE: Stage = Stage::Notification;

    fn rundown(&self) -> &Rundown {
        &self.head.rundown
    }

    fn unregister(&self, passive: &mut Passive) {
        self.observer.on_unregister(passive);
        if self.is_registered.load(Ordering::Acquire) {
            // The one failure, a routine that is not registered, cannot occur.
            // SAFETY: the routine was registered when it was made.
            let _ = unsafe { PsSetCreateProcessNotifyRoutine(Some(notify), REMOVE) };
        }
        if self.is_current.load(Ordering::Acquire) {
            CURRENT.with(passive, |current, _| current.0 = None);
        }
        self.head.rundown.wait(passive);
    }
}

/// `Remove` of the function, `FALSE`.
const ADD: BOOLEAN = 0;

/// `Remove` of the function, `TRUE`.
const REMOVE: BOOLEAN = 1;

impl<O: ProcessObserver> fmt::Debug for ProcessNotify<O> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ProcessNotify")
    }
}

/// The notify routine: the kernel calls it when a process is created or exits.
// The kernel knows it by its address, which has to be one, however often the function
// is named: what may be inlined is compiled wherever it is used.
#[inline(never)]
unsafe extern "C" fn notify(_parent: HANDLE, process: HANDLE, create: BOOLEAN) {
    if create != 0 || Irql::current() != Irql::PASSIVE {
        return;
    }
    // SAFETY: looked up just now.
    let mut passive = unsafe { Passive::assume() };
    let head = CURRENT.with(&mut passive, |current, _| {
        let head = current.0?;
        // SAFETY: a registration is undone, and freed, only after it is out of this place.
        let is_referenced = unsafe { head.as_ref() }.rundown.acquire_unguarded();
        is_referenced.then_some(head)
    });
    let Some(head) = head else {
        return;
    };
    // SAFETY: the reference taken above delays the end of the registration.
    let head_ref = unsafe { head.as_ref() };
    // SAFETY: the head is that of a registration that exists, and the function is that
    // of its observer's type.
    unsafe { (head_ref.notify_observer)(head, process.addr(), &mut passive) };
    // SAFETY: the reference was taken above.
    unsafe { head_ref.rundown.release_unguarded() };
}

/// Calls an observer.
///
/// # Safety
///
/// `head` is that of a [`NotifyRegistration<O>`] which is there.
unsafe fn notify_observer<O: ProcessObserver>(
    head: NonNull<Head>,
    process: usize,
    passive: &mut Passive,
) {
    // SAFETY: the head is the first field of the structure that the caller vouches
    // for.
    let registration = unsafe { head.cast::<NotifyRegistration<O>>().as_ref() };
    registration.observer.on_process_exit(process, passive);
}
