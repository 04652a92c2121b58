//! Being told that a process ends, in time to take out of it what is there.
//!
//! The kernel's notification has no context parameter, so a driver has one
//! [`Watch`] at a time, to which a static leads. Whoever follows it holds off the
//! end of the watch meanwhile: the reference does not say whether a routine that
//! is removed may still be running.

use core::{fmt, mem::ManuallyDrop, ops::Deref, ptr::NonNull};

use wdk_sys::{BOOLEAN, HANDLE, ntddk::PsSetCreateProcessNotifyRoutine};

use crate::{
    Error, Result, Status,
    irql::{Irql, Passive},
    pool::{PoolBox, PoolTag},
    rundown::Rundown,
    sync::SpinLock,
};

/// Name of the function that registers.
const CALL: &str = "PsSetCreateProcessNotifyRoutine";

/// What is told of the end of processes.
pub trait Observer: Send + Sync + Sized + 'static {
    /// A process ends: its last thread is on its way out. Called at
    /// `PASSIVE_LEVEL` in that process, before its handles are closed and its
    /// memory is freed.
    fn process_ends(&self, process: usize, passive: &mut Passive);
}

/// An observer that the kernel tells of the end of every process:
/// `PsSetCreateProcessNotifyRoutine`. Dropping it ends that, after waiting for the
/// observer.
///
/// IRQL: `PASSIVE_LEVEL`, dropping included. Dropped at a higher level, it leaks
/// and stays registered.
pub struct Watch<O: Observer>(ManuallyDrop<PoolBox<Watched<O>>>);

/// The part of [`Watched`] that does not depend on the observer's type.
struct Head {
    /// Held while the observer runs.
    rundown: Rundown,
    tell: unsafe fn(NonNull<Head>, usize, &mut Passive),
}

#[repr(C)]
struct Watched<O> {
    head: Head,
    observer: O,
}

/// Where the static leads.
struct Place(Option<NonNull<Head>>);

// SAFETY: observers may be used by any thread, and so may the rest of what the
// address leads to.
unsafe impl Send for Place {}

/// The watch of this driver.
static CURRENT: SpinLock<Place> = SpinLock::new(Place(None));

impl<O: Observer> Watch<O> {
    /// Has `observer` told from now on. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_DEVICE_BUSY`: the driver has a watch already.
    /// * `STATUS_INVALID_PARAMETER`: the system takes no more observers.
    /// * `STATUS_INSUFFICIENT_RESOURCES`: no memory is left.
    pub fn new(observer: O, tag: PoolTag, passive: &mut Passive) -> Result<Self> {
        let watched = Watched {
            head: Head {
                rundown: Rundown::new(),
                tell: tell::<O>,
            },
            observer,
        };
        let watched = PoolBox::new(watched, tag).map_err(|rejected| rejected.error)?;
        let place = watched.start().cast();
        let was_free = CURRENT.with(passive, |current, _| {
            let was_free = current.0.is_none();
            current.0.get_or_insert(place);
            was_free
        });
        if !was_free {
            return Err(Error::new(CALL, Status::DEVICE_BUSY));
        }
        let watch = Self(ManuallyDrop::new(watched));
        // SAFETY: the routine is this driver's and is removed when the watch is
        // dropped, which is before the driver goes.
        let status = unsafe { PsSetCreateProcessNotifyRoutine(Some(notify), ADD) };
        match Error::check(CALL, Status::from_raw(status)) {
            Ok(()) => Ok(watch),
            Err(error) => {
                watch.end(passive);
                Err(error)
            }
        }
    }

    /// Frees the observer once nobody can get to it. The routine is not registered
    /// any more.
    fn end(self, passive: &mut Passive) {
        let mut this = ManuallyDrop::new(self);
        CURRENT.with(passive, |current, _| current.0 = None);
        this.0.head.rundown.wait(passive);
        // SAFETY: `self` is not dropped, so the value is freed once; nobody finds it
        // any more, and who had found it has gone.
        unsafe { ManuallyDrop::drop(&mut this.0) };
    }
}

/// `Remove` of the function, `FALSE`.
const ADD: BOOLEAN = 0;

/// `Remove` of the function, `TRUE`.
const REMOVE: BOOLEAN = 1;

impl<O: Observer> Deref for Watch<O> {
    type Target = O;

    fn deref(&self) -> &O {
        &self.0.observer
    }
}

impl<O: Observer> Drop for Watch<O> {
    fn drop(&mut self) {
        if Irql::current() != Irql::PASSIVE {
            return;
        }
        // SAFETY: looked up just now.
        let mut passive = unsafe { Passive::assume() };
        // SAFETY: the routine was registered when the watch was made.
        let status = unsafe { PsSetCreateProcessNotifyRoutine(Some(notify), REMOVE) };
        if Status::from_raw(status).is_success() {
            // SAFETY: the value is not used again: `self` is being dropped.
            let watched = unsafe { ManuallyDrop::take(&mut self.0) };
            Self(ManuallyDrop::new(watched)).end(&mut passive);
        }
    }
}

impl<O: Observer + fmt::Debug> fmt::Debug for Watch<O> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

/// What the kernel calls when a process begins or ends.
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
        // SAFETY: a watch is freed only after it is out of this place.
        let is_held = unsafe { head.as_ref() }.rundown.count_up();
        is_held.then_some(head)
    });
    let Some(head) = head else {
        return;
    };
    // SAFETY: the reference taken above holds off the end of the watch.
    let head_ref = unsafe { head.as_ref() };
    // SAFETY: the head is that of a watch that is there, and the function is that
    // of its observer's type.
    unsafe { (head_ref.tell)(head, process.addr(), &mut passive) };
    // SAFETY: the reference was taken above.
    unsafe { head_ref.rundown.count_down() };
}

/// Tells an observer.
///
/// # Safety
///
/// `head` is that of a [`Watched<O>`] which is there.
unsafe fn tell<O: Observer>(head: NonNull<Head>, process: usize, passive: &mut Passive) {
    // SAFETY: the head is the first field of the structure that the caller vouches
    // for.
    let watched = unsafe { head.cast::<Watched<O>>().as_ref() };
    watched.observer.process_ends(process, passive);
}
