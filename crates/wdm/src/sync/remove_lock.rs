//! The remove lock: counts the users of a device; the thread that removes the device waits
//! for them. Driver Verifier checks remove locks. [`crate::rundown`] is for other objects
//! and allocates nothing.

use core::{
    cell::UnsafeCell,
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use wdk_sys::{
    IO_REMOVE_LOCK,
    ntddk::{
        IoAcquireRemoveLockEx, IoInitializeRemoveLockEx, IoReleaseRemoveLockAndWaitEx,
        IoReleaseRemoveLockEx,
    },
};

use crate::{
    Error, Result, Status,
    irql::Passive,
    memory::structure_size,
    pool::{PoolBox, PoolTag},
};

/// A count of users: `IO_REMOVE_LOCK`.
///
/// ```no_run
/// # use wdm::sync::RemoveLock;
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # fn example(passive: &mut wdm::irql::Passive) -> wdm::Result<()> {
/// let lock = RemoveLock::new(TAG, passive)?;
/// let guard = lock.acquire()?;
/// guard.remove_and_wait(passive)?;
/// assert!(lock.acquire().is_err());
/// # Ok(())
/// # }
/// ```
pub struct RemoveLock(PoolBox<Raw>);

struct Raw {
    lock: UnsafeCell<IO_REMOVE_LOCK>,
    /// Whether somebody removes the device, which only one may do.
    is_removed: AtomicBool,
}

// SAFETY: a lock belongs to no thread.
unsafe impl Send for Raw {}
// SAFETY: the kernel's functions change the count with interlocked instructions.
unsafe impl Sync for RemoveLock {}

/// The size by which the kernel tells this structure from that of a checked build.
const SIZE: u32 = structure_size::<IO_REMOVE_LOCK>();

impl RemoveLock {
    /// An unused lock: `IoInitializeRemoveLockEx`. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed.
    pub fn new(tag: PoolTag, _: &Passive) -> Result<Self> {
        let raw = Raw {
            lock: UnsafeCell::new(IO_REMOVE_LOCK::default()),
            is_removed: AtomicBool::new(false),
        };
        let boxed = PoolBox::new(raw, tag).map_err(|rejected| rejected.error)?;
        // SAFETY: the lock is ours, in nonpaged memory, where it stays; no limits
        // are set.
        unsafe { IoInitializeRemoveLockEx(boxed.lock.get(), tag.raw(), 0, 0, SIZE) };
        Ok(Self(boxed))
    }

    /// Holds off the removal: `IoAcquireRemoveLock`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_DELETE_PENDING`: the device is being removed.
    pub fn acquire(&self) -> Result<RemoveGuard<'_>> {
        let lock = self.0.lock.get();
        // SAFETY: the lock is initialised; neither tag nor file is looked at, as
        // the size says.
        let status = unsafe { IoAcquireRemoveLockEx(lock, lock.cast(), c"".as_ptr(), 1, SIZE) };
        Error::check("IoAcquireRemoveLock", Status::from_raw(status))?;
        Ok(RemoveGuard(self))
    }
}

impl fmt::Debug for RemoveLock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RemoveLock")
    }
}

/// A reference: while it exists, the device stays. Given back when dropped:
/// `IoReleaseRemoveLock`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
#[derive(Debug)]
pub struct RemoveGuard<'l>(&'l RemoveLock);

impl RemoveGuard<'_> {
    /// Lets go and waits until nobody holds another reference, after which nobody
    /// gets one: `IoReleaseRemoveLockAndWait`. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_DELETE_PENDING`: another thread removes the device. The reference is
    /// given back; the kernel's function, called twice, would make the first caller
    /// wait for ever.
    pub fn remove_and_wait(self, _: &Passive) -> Result<()> {
        let raw = &*self.0.0;
        if raw.is_removed.swap(true, Ordering::AcqRel) {
            let call = "IoReleaseRemoveLockAndWait";
            return Err(Error::new(call, Status::DELETE_PENDING));
        }
        let lock = raw.lock.get();
        core::mem::forget(self);
        // SAFETY: this reference is given back once, here, and this is the one call
        // for this lock; the token says that waiting is possible.
        unsafe { IoReleaseRemoveLockAndWaitEx(lock, lock.cast(), SIZE) };
        Ok(())
    }
}

impl Drop for RemoveGuard<'_> {
    fn drop(&mut self) {
        let lock = self.0.0.lock.get();
        // SAFETY: this value is the reference.
        unsafe { IoReleaseRemoveLockEx(lock, lock.cast(), SIZE) };
    }
}
