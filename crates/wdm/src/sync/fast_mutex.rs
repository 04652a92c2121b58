//! The fast mutex, a lock whose waiters block.
//!
//! It is held at `APC_LEVEL`, where user memory and pageable memory can be accessed and
//! processes attached to. `FAST_MUTEX` contains a list head that points to itself and
//! must not move, so it is in pool.

use core::{cell::UnsafeCell, fmt, ptr::null_mut};

use wdk_sys::{
    _EVENT_TYPE::SynchronizationEvent,
    FAST_MUTEX,
    ntddk::{ExAcquireFastMutex, ExReleaseFastMutex, KeInitializeEvent},
};

use crate::{
    Result,
    irql::Apc,
    pool::{PoolBox, PoolTag},
};

/// A value that one thread at a time uses: `FAST_MUTEX`.
///
/// ```no_run
/// # use wdm::{Status, irql::Apc, sync::FastMutex, user::UserReader};
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # #[derive(Default)]
/// # struct Names([u8; 32]);
/// # impl Names {
/// #     fn read_from(&mut self, reader: &mut UserReader<'_>, apc: &Apc) -> Result<(), Status> {
/// #         reader.read_bytes(&mut self.0, apc)
/// #     }
/// # }
/// # fn example(mut reader: UserReader<'_>, passive: &mut wdm::irql::Passive) -> Result<(), Status> {
/// let names = FastMutex::new(Names::default(), TAG).map_err(|error| error.status())?;
/// names.with(passive, |names, apc| names.read_from(&mut reader, apc))?;
/// # Ok(())
/// # }
/// ```
///
/// IRQL: `<= APC_LEVEL`; dropping it `<= DISPATCH_LEVEL`, unless the value asks for
/// less.
pub struct FastMutex<T>(PoolBox<Inner<T>>);

/// # Invariants
///
/// It lies in nonpaged pool, where it stays, with its event initialised, before
/// anybody acquires it. Who reaches `value` by a shared reference holds `mutex`.
struct Inner<T> {
    mutex: UnsafeCell<FAST_MUTEX>,
    value: UnsafeCell<T>,
}

// SAFETY: the mutex lets one thread at a time at the value.
unsafe impl<T: Send> Sync for Inner<T> {}
// SAFETY: a free mutex belongs to no thread, and while somebody holds
// it, the value is borrowed and cannot be sent.
unsafe impl<T: Send> Send for Inner<T> {}

/// `FM_LOCK_BIT`: the count of a mutex that is free.
const FREE: i32 = 1;

impl<T> FastMutex<T> {
    /// A free mutex: `ExInitializeFastMutex`, an inline function of the
    /// headers. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed.
    pub fn new(value: T, tag: PoolTag) -> Result<Self> {
        let inner = Inner {
            mutex: UnsafeCell::new(FAST_MUTEX {
                Count: FREE,
                Owner: null_mut(),
                Contention: 0,
                ..FAST_MUTEX::default()
            }),
            value: UnsafeCell::new(value),
        };
        let inner = PoolBox::new(inner, tag).map_err(|rejected| rejected.error)?;
        // SAFETY: the structure is ours and has got where it stays.
        let event = unsafe { &raw mut (*inner.mutex.get()).Event };
        // INVARIANT: from here on the structure is complete.
        // SAFETY: no other code owns the event yet, and it stays where it is.
        unsafe { KeInitializeEvent(event, SynchronizationEvent, 0) };
        Ok(Self(inner))
    }

    /// Runs `work` with the value at `APC_LEVEL`, then goes back to the level of
    /// before: `ExAcquireFastMutex` and `ExReleaseFastMutex`. Taking the same mutex
    /// inside `work` deadlocks.
    ///
    /// IRQL: `<= APC_LEVEL`.
    #[inline]
    pub fn with<R>(&self, _: &mut Apc, work: impl FnOnce(&mut T, &mut Apc) -> R) -> R {
        let mutex = self.0.mutex.get();
        // SAFETY: the mutex is initialised, and the token says that the level is not
        // above APC_LEVEL.
        unsafe { ExAcquireFastMutex(mutex) };
        // SAFETY: holding the mutex makes this the only access.
        let value = unsafe { &mut *self.0.value.get() };
        // SAFETY: the level is APC_LEVEL until the mutex is released.
        let result = work(value, &mut unsafe { Apc::assume() });
        // SAFETY: this thread holds the mutex.
        unsafe { ExReleaseFastMutex(mutex) };
        result
    }
}

impl<T> fmt::Debug for FastMutex<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FastMutex")
    }
}
