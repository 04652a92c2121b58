//! Values that are dropped at a maximum IRQL, whatever the IRQL of their owner. The link
//! for deferring the drop is allocated with the value.

use core::{
    marker::PhantomData,
    ops::{Deref, DerefMut},
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicPtr, Ordering},
};

use crate::{
    Rejected, Result,
    irql::{Irql, Passive},
    pool::{PoolBox, PoolTag},
};

/// What must not be dropped at any level. It may be dropped by another thread than
/// its owner's, and after all that its owner borrows.
pub(crate) trait DropAtIrql: Send + 'static {
    /// The highest level at which it may be dropped.
    fn max_irql(&self) -> Irql;

    /// Called once before it is dropped, at a level at which it may be, while others
    /// may still be using it.
    fn end(&self) {}
}

/// A value in nonpaged memory, which is dropped at the level that it asks for:
/// at once, or when the scope is settled.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
pub(crate) struct DeferredDrop<T: DropAtIrql> {
    record: NonNull<Record<T>>,
    value: PhantomData<T>,
}

/// The part of a [`Record`] that does not depend on the type.
struct Link {
    /// The next in the chain.
    next: *mut Self,
    drop: unsafe fn(NonNull<Self>),
}

/// The link comes first, so that its address is the record's.
#[repr(C)]
struct Record<T> {
    link: Link,
    tag: PoolTag,
    value: T,
}

/// What waits to be dropped, from the last to the first.
static CHAIN: AtomicPtr<Link> = AtomicPtr::new(null_mut());

// SAFETY: the value may change threads, and this owns it.
unsafe impl<T: DropAtIrql> Send for DeferredDrop<T> {}
// SAFETY: a shared one gives shared access to the value, and nothing else.
unsafe impl<T: DropAtIrql + Sync> Sync for DeferredDrop<T> {}

impl<T: DropAtIrql> DeferredDrop<T> {
    /// Moves a value to memory of its own.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed. The value is returned.
    pub(crate) fn new(value: T, tag: PoolTag) -> Result<Self, Rejected<T>> {
        let record = Record {
            link: Link {
                next: null_mut(),
                drop: free::<T>,
            },
            tag,
            value,
        };
        match PoolBox::new(record, tag) {
            Ok(boxed) => Ok(Self {
                record: boxed.into_raw(),
                value: PhantomData,
            }),
            Err(rejected) => Err(Rejected {
                error: rejected.error,
                returned: rejected.returned.value,
            }),
        }
    }
}

impl<T: DropAtIrql> DeferredDrop<T> {
    /// Where the value is. It stays there for as long as this exists.
    pub(crate) fn start(&self) -> NonNull<T> {
        // SAFETY: the record is there until this value is dropped.
        let value = unsafe { &raw mut (*self.record.as_ptr()).value };
        // SAFETY: a field of a record that is there has an address.
        unsafe { NonNull::new_unchecked(value) }
    }
}

impl<T: DropAtIrql> Deref for DeferredDrop<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the record is there until this value is dropped.
        unsafe { &self.record.as_ref().value }
    }
}

impl<T: DropAtIrql> DerefMut for DeferredDrop<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the record is there until this value, which is borrowed mutably,
        // is dropped.
        unsafe { &mut self.record.as_mut().value }
    }
}

impl<T: DropAtIrql> Drop for DeferredDrop<T> {
    fn drop(&mut self) {
        let link: NonNull<Link> = self.record.cast();
        if Irql::current() <= self.max_irql() {
            // SAFETY: this value owned the record, and does not use it again.
            unsafe { free::<T>(link) };
        } else {
            // SAFETY: as for `free`: the chain owns it from here on.
            unsafe { push(link) };
        }
    }
}

/// Puts a record in the chain.
///
/// # Safety
///
/// The record is there, and no other code owns it.
unsafe fn push(link: NonNull<Link>) {
    let mut first = CHAIN.load(Ordering::Relaxed);
    loop {
        // SAFETY: no other code owns the record until it is in the chain.
        unsafe { (*link.as_ptr()).next = first };
        match CHAIN.compare_exchange_weak(
            first,
            link.as_ptr(),
            Ordering::Release,
            Ordering::Relaxed,
        ) {
            Ok(_) => return,
            Err(now) => first = now,
        }
    }
}

/// Drops a value and frees its record.
///
/// # Safety
///
/// The link is that of a [`Record<T>`] that is there, and no other code owns it. The
/// level is one at which the value may be dropped.
unsafe fn free<T: DropAtIrql>(link: NonNull<Link>) {
    let record: NonNull<Record<T>> = link.cast();
    // SAFETY: the caller vouches for the record.
    let Record { tag, value, .. } = unsafe { record.as_ref() };
    let tag = *tag;
    value.end();
    // SAFETY: the address came from `into_raw` of a box with this tag.
    drop(unsafe { PoolBox::from_raw(record, tag) });
}

/// Drops what waits for that, in the order in which it came.
pub(super) fn drop_all(_: &mut Passive) {
    while !CHAIN.load(Ordering::Relaxed).is_null() {
        let mut last = CHAIN.swap(null_mut(), Ordering::Acquire);
        let mut first: *mut Link = null_mut();
        while let Some(link) = NonNull::new(last) {
            // SAFETY: the chain that was taken out is this function's alone.
            last = unsafe { (*link.as_ptr()).next };
            // SAFETY: the record is there until it is freed below.
            unsafe { (*link.as_ptr()).next = first };
            first = link.as_ptr();
        }
        while let Some(link) = NonNull::new(first) {
            // SAFETY: the record is there until the next line but one.
            first = unsafe { (*link.as_ptr()).next };
            // SAFETY: the record is there.
            let drop = unsafe { (*link.as_ptr()).drop };
            // SAFETY: the function is that of the record's type, the record is out
            // of the chain, and the token says that the level is low enough.
            unsafe { drop(link) };
        }
    }
}
