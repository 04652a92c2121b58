//! The driver's scope: releases everything that must not outlive the image, even if the
//! driver leaks it, stores it in a static, or drops it at too high an IRQL.
//!
//! A [`Registration`] is an object through which the kernel calls the driver. The scope
//! owns it, in nonpaged pool; the driver has a [`RegistrationHandle`]. Dropping the handle
//! at `PASSIVE_LEVEL` unregisters it. Dropping it above closes the object to new calls and
//! unregisters it at the next call at `PASSIVE_LEVEL`. At the unload, or after a failed
//! start, the scope unregisters the rest: devices first, then notify routines.
//!
//! A [`DeferredDrop`] value is dropped at its maximum IRQL or below: a drop above it is
//! queued until the same points. Neither way allocates when something is dropped.

mod deferred;

use core::{
    cell::Cell,
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering},
};

pub(crate) use self::deferred::{DeferredDrop, DropAtIrql};
use crate::{
    Error, Result, Status,
    irql::{Irql, Passive},
    pool::{PoolBox, PoolTag},
    rundown::Rundown,
    sync::SpinLock,
};

/// The tag of what this crate takes nonpaged pool for without being told another.
pub(crate) const TAG: PoolTag = crate::pool_tag!(b"WdmS");

/// The order in which a scope that ends undoes what is left. Within a stage, what
/// came last goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Devices, through which requests arrive.
    Device,
    /// Notify routines.
    Notification,
}

/// An object through which the kernel calls the driver until it is unregistered.
pub(crate) trait Registration: Send + Sync + Sized + 'static {
    /// When its turn comes as the scope ends.
    const STAGE: Stage;

    /// A reference to this is held while a call of the kernel uses the value.
    fn rundown(&self) -> &Rundown;

    /// The handle was dropped above `PASSIVE_LEVEL`, where it cannot be unregistered.
    /// IRQL: `<= DISPATCH_LEVEL`.
    fn abandon(&self) {}

    /// Takes it back from the kernel, as far as the kernel was told, and waits for
    /// the calls that use it. Called once, before the value is dropped; the rundown
    /// is not asked for from then on.
    fn unregister(&self, passive: &mut Passive);
}

/// The part of an [`Entry`] that does not depend on the type.
struct Head {
    functions: &'static Functions,
    /// The neighbours in the scope's list. Like the two flags, used under the lock
    /// of [`SCOPE`] only.
    next: Cell<Option<NonNull<Self>>>,
    previous: Cell<Option<NonNull<Self>>>,
    /// The handle was dropped where nothing can be undone.
    is_abandoned: Cell<bool>,
    /// The scope, which ends, undoes it or has done so.
    is_unregistered: Cell<bool>,
}

/// What is done with an entry, by its head.
struct Functions {
    stage: Stage,
    rundown: unsafe fn(NonNull<Head>) -> NonNull<Rundown>,
    abandon: unsafe fn(NonNull<Head>),
    unregister: unsafe fn(NonNull<Head>, &mut Passive),
    free: unsafe fn(NonNull<Head>),
}

/// A registration as the scope has it. The head comes first, so that its address is
/// the entry's.
#[repr(C)]
struct Entry<R> {
    head: Head,
    tag: PoolTag,
    registration: R,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Handles undo what is theirs.
    Open,
    /// The scope undoes what is left. No entry is freed.
    Ending,
    /// All is undone, and entries are freed: no handle leads anywhere.
    Ended,
}

/// Type invariant: from `first` over `next` lead all entries that are registered
/// and that nobody is undoing, and `previous` leads back; from `undone` over `next`
/// all that the ending scope has undone or is undoing. What is in either list is not
/// freed.
struct Scope {
    phase: Phase,
    first: Option<NonNull<Head>>,
    undone: Option<NonNull<Head>>,
}

// SAFETY: what entries hold may be used by any thread, and the lock around the
// scope orders access to the rest.
unsafe impl Send for Scope {}

/// The scope of this driver: the image has one copy of this crate.
static SCOPE: SpinLock<Scope> = SpinLock::new(Scope {
    phase: Phase::Open,
    first: None,
    undone: None,
});

/// Held by a thread that registers with the kernel, so that the scope does
/// not end in between.
static GATE: Rundown = Rundown::new();

/// The number of abandoned entries that are still registered.
static ABANDONED: AtomicUsize = AtomicUsize::new(0);

impl Scope {
    fn insert(&mut self, head: NonNull<Head>) {
        // SAFETY: the caller has just made the entry.
        let new = unsafe { head.as_ref() };
        new.next.set(self.first);
        if let Some(first) = self.first {
            // SAFETY: what is in the list is there.
            unsafe { first.as_ref() }.previous.set(Some(head));
        }
        self.first = Some(head);
    }

    /// Takes out an entry that is in the list.
    fn remove(&mut self, head: NonNull<Head>) {
        // SAFETY: what is in the list is there. So are its neighbours.
        let removed = unsafe { head.as_ref() };
        let (before, after) = (removed.previous.take(), removed.next.take());
        match before {
            // SAFETY: a neighbour in the list is there.
            Some(before) => unsafe { before.as_ref() }.next.set(after),
            None => self.first = after,
        }
        if let Some(after) = after {
            // SAFETY: a neighbour in the list is there.
            unsafe { after.as_ref() }.previous.set(before);
        }
    }

    /// The entry that comes next: of the first stage that there is, the one that
    /// came last. Only such as `is_meant` says.
    fn next(&self, is_meant: impl Fn(NonNull<Head>) -> bool) -> Option<NonNull<Head>> {
        let mut next: Option<(Stage, NonNull<Head>)> = None;
        let mut at = self.first;
        while let Some(head) = at {
            // SAFETY: what is in the list is there.
            let entry = unsafe { head.as_ref() };
            at = entry.next.get();
            let stage = entry.functions.stage;
            if next.is_none_or(|(other, _)| stage < other) && is_meant(head) {
                next = Some((stage, head));
            }
        }
        next.map(|(_, head)| head)
    }

    /// Removes an abandoned entry that is not in use.
    fn remove_abandoned(&mut self) -> Option<NonNull<Head>> {
        if self.phase != Phase::Open {
            return None;
        }
        let head = self.next(|head| {
            // SAFETY: what is in the list is there.
            let entry = unsafe { head.as_ref() };
            if !entry.is_abandoned.get() {
                return false;
            }
            // SAFETY: the functions are those of the entry's type, and it is not
            // undone.
            let rundown = unsafe { (entry.functions.rundown)(head) };
            // SAFETY: the rundown is there while its entry is in the list.
            !unsafe { rundown.as_ref() }.is_referenced()
        })?;
        self.remove(head);
        Some(head)
    }

    /// Moves what comes next to the list of what is undone.
    fn remove_for_teardown(&mut self) -> Option<NonNull<Head>> {
        self.phase = Phase::Ending;
        let head = self.next(|_| true)?;
        self.remove(head);
        // SAFETY: the entry is there: only this function's caller frees it.
        let entry = unsafe { head.as_ref() };
        entry.is_unregistered.set(true);
        entry.next.set(self.undone);
        self.undone = Some(head);
        Some(head)
    }
}

/// The driver's handle of a registration. Dropping it undoes the registration, at
/// `PASSIVE_LEVEL` at once, above it at the next call at `PASSIVE_LEVEL`. Not to
/// drop it leaves that to the end of the scope.
///
/// Type invariant: while the scope is not [`Phase::Ended`], the entry is there.
pub(crate) struct RegistrationHandle<R: Registration> {
    entry: NonNull<Entry<R>>,
    registration: PhantomData<R>,
}

// SAFETY: a registration may be used and undone by any thread.
unsafe impl<R: Registration> Send for RegistrationHandle<R> {}
// SAFETY: a shared handle gives shared access to the registration.
unsafe impl<R: Registration> Sync for RegistrationHandle<R> {}

impl<R: Registration> RegistrationHandle<R> {
    /// Gives a registration to the scope, and then calls `register`, which registers it with the kernel and may rely on the value staying where it is until it is undone. If
    /// anything fails, it is undone and dropped.
    ///
    /// # Errors
    ///
    /// * `STATUS_DELETE_PENDING`: the driver is being unloaded.
    /// * `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed.
    /// * The error of `register`.
    pub(crate) fn new(
        registration: R,
        tag: PoolTag,
        passive: &mut Passive,
        register: impl FnOnce(&R, &mut Passive) -> Result<()>,
    ) -> Result<Self> {
        let undone = |registration: R, error, passive: &mut Passive| {
            registration.unregister(passive);
            Err(error)
        };
        let Some(held) = GATE.acquire() else {
            let error = Error::new("DriverUnload", Status::DELETE_PENDING);
            return undone(registration, error, passive);
        };
        let entry = Entry {
            head: Head {
                functions: Functions::of::<R>(),
                next: Cell::new(None),
                previous: Cell::new(None),
                is_abandoned: Cell::new(false),
                is_unregistered: Cell::new(false),
            },
            tag,
            registration,
        };
        let entry = match PoolBox::new(entry, tag) {
            Ok(entry) => entry.into_raw(),
            Err(rejected) => {
                return undone(rejected.returned.registration, rejected.error, passive);
            }
        };
        SCOPE.with(passive, |scope, _| scope.insert(entry.cast()));
        let handle = Self {
            entry,
            registration: PhantomData,
        };
        // SAFETY: the scope does not end while the gate is held.
        let registration = unsafe { &entry.as_ref().registration };
        // If this fails, the handle is dropped, here and so at PASSIVE_LEVEL.
        register(registration, passive)?;
        drop(held);
        Ok(handle)
    }

    /// Runs `work` with the registration, which is not undone meanwhile. `None` if
    /// it is, or is about to be. IRQL: `<= DISPATCH_LEVEL`, before and in `work`.
    pub(crate) fn enter<T>(&self, work: impl FnOnce(&R) -> T) -> Option<T> {
        self.enter_with((), |registration, ()| work(registration))
            .ok()
    }

    /// [`Self::enter`] with a value for `work`, which comes back if that is not run.
    pub(crate) fn enter_with<V, T>(&self, value: V, work: impl FnOnce(&R, V) -> T) -> Result<T, V> {
        let acquire = |scope: &mut Scope| {
            if scope.phase == Phase::Ended {
                return false;
            }
            // SAFETY: the scope has not ended, so the entry is there.
            let entry = unsafe { self.entry.as_ref() };
            !entry.head.is_unregistered.get() && entry.registration.rundown().acquire_unguarded()
        };
        // SAFETY: nothing in this crate leads above DISPATCH_LEVEL; the work makes
        // no token.
        if !unsafe { SCOPE.with_unchecked(|scope, _| acquire(scope)) } {
            return Err(value);
        }
        // SAFETY: the reference that was taken above keeps the scope from ending,
        // and `self` keeps the registration from being undone before that.
        let registration = unsafe { &self.entry.as_ref().registration };
        let result = work(registration, value);
        // SAFETY: the reference was taken above.
        unsafe { registration.rundown().release_unguarded() };
        Ok(result)
    }
}

impl<R: Registration> Drop for RegistrationHandle<R> {
    fn drop(&mut self) {
        let is_passive = Irql::current() == Irql::PASSIVE;
        let head: NonNull<Head> = self.entry.cast();
        let leave = |scope: &mut Scope| {
            if scope.phase != Phase::Open {
                // The scope undoes it, or has done so.
                return false;
            }
            if is_passive {
                scope.remove(head);
                return true;
            }
            // SAFETY: the scope has not ended, so the entry is there.
            let entry = unsafe { head.as_ref() };
            entry.is_abandoned.set(true);
            ABANDONED.fetch_add(1, Ordering::Release);
            // SAFETY: the functions are those of the entry's type.
            unsafe { (entry.functions.abandon)(head) };
            false
        };
        // SAFETY: nothing in this crate leads above DISPATCH_LEVEL; the work makes
        // no token.
        if unsafe { SCOPE.with_unchecked(|scope, _| leave(scope)) } {
            // SAFETY: the level was looked at above.
            let mut passive = unsafe { Passive::assume() };
            // SAFETY: the entry is out of the list, and this was its handle.
            unsafe { unregister_and_free(head, &mut passive) };
        }
    }
}

/// # Safety
///
/// The entry is there, in no list, and no other pointer to it exists.
unsafe fn unregister_and_free(head: NonNull<Head>, passive: &mut Passive) {
    // SAFETY: the caller vouches for the entry.
    let functions = unsafe { head.as_ref() }.functions;
    // SAFETY: the functions are those of the entry's type.
    unsafe { (functions.unregister)(head, passive) };
    // SAFETY: the registration is undone, so that the entry is not in use.
    unsafe { (functions.free)(head) };
}

impl Functions {
    const fn of<R: Registration>() -> &'static Self {
        &Self {
            stage: R::STAGE,
            rundown: rundown::<R>,
            abandon: abandon::<R>,
            unregister: unregister::<R>,
            free: free::<R>,
        }
    }
}

/// # Safety
///
/// `head` is that of an [`Entry<R>`] that is there.
unsafe fn rundown<R: Registration>(head: NonNull<Head>) -> NonNull<Rundown> {
    // SAFETY: the caller vouches for the entry.
    let entry = unsafe { head.cast::<Entry<R>>().as_ref() };
    NonNull::from(entry.registration.rundown())
}

/// # Safety
///
/// `head` is that of an [`Entry<R>`] that is there.
unsafe fn abandon<R: Registration>(head: NonNull<Head>) {
    // SAFETY: the caller vouches for the entry.
    let entry = unsafe { head.cast::<Entry<R>>().as_ref() };
    entry.registration.abandon();
}

/// # Safety
///
/// `head` is that of an [`Entry<R>`] that is there and that nobody has undone.
unsafe fn unregister<R: Registration>(head: NonNull<Head>, passive: &mut Passive) {
    // SAFETY: the caller vouches for the entry.
    let entry = unsafe { head.cast::<Entry<R>>().as_ref() };
    entry.registration.unregister(passive);
}

/// # Safety
///
/// `head` is that of an [`Entry<R>`] that is there and that is no longer in use.
unsafe fn free<R: Registration>(head: NonNull<Head>) {
    let entry: NonNull<Entry<R>> = head.cast();
    // SAFETY: the caller vouches for the entry.
    let tag = unsafe { entry.as_ref() }.tag;
    // SAFETY: the address came from `into_raw` of a box with this tag.
    drop(unsafe { PoolBox::from_raw(entry, tag) });
}

/// Undoes and drops what was dropped at too high a level, except what is in use.
/// Called where a request arrives at `PASSIVE_LEVEL`, when nothing of the driver is
/// held yet.
pub(crate) fn drain_deferred(passive: &mut Passive) {
    while ABANDONED.load(Ordering::Acquire) != 0 {
        let Some(head) = SCOPE.with(passive, |scope, _| scope.remove_abandoned()) else {
            break;
        };
        ABANDONED.fetch_sub(1, Ordering::Release);
        // SAFETY: the entry is out of the list, and its handle was dropped.
        unsafe { unregister_and_free(head, passive) };
    }
    deferred::drop_all(passive);
}

/// Begins the scope, before any other code of the driver runs. An image's statics are
/// as the linker made them; where tests load a driver again without its image, they
/// are as it left them.
pub(crate) fn begin(passive: &mut Passive) {
    SCOPE.with(passive, |scope, _| scope.phase = Phase::Open);
    ABANDONED.store(0, Ordering::Release);
    GATE.reopen();
}

/// Ends the scope: undoes whatever is registered, and drops it. From here on the
/// kernel calls nothing of the driver.
///
/// The thread at hand is the last to run code of the driver, apart from what has
/// been called for a registration and is waited for here: the kernel calls an unload
/// routine when no file is open and no request under way, and until the entry routine
/// has succeeded nobody can open a device.
pub(crate) fn end(passive: &mut Passive) {
    GATE.wait(passive);
    while let Some(head) = SCOPE.with(passive, |scope, _| scope.remove_for_teardown()) {
        // SAFETY: the entry is in the list of what is undone, so it is there.
        let functions = unsafe { head.as_ref() }.functions;
        // SAFETY: the functions are those of the entry's type, and entries are in
        // the list of what is registered only until somebody undoes them.
        unsafe { (functions.unregister)(head, passive) };
    }
    deferred::drop_all(passive);
    let mut at = SCOPE.with(passive, |scope, _| {
        scope.phase = Phase::Ended;
        scope.undone.take()
    });
    while let Some(head) = at {
        // SAFETY: the entry was in the list of what is undone, so it is there.
        let entry = unsafe { head.as_ref() };
        at = entry.next.get();
        // SAFETY: the kernel does not lead to the entry any more, and no handle does:
        // they look at the phase first.
        unsafe { (entry.functions.free)(head) };
    }
    deferred::drop_all(passive);
}
