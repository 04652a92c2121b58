//! Lookaside lists: caches of freed blocks of one size, for values that are allocated and
//! freed often.
//!
//! A [`LookasideBox`] returns its block to the list when it is dropped. It borrows the
//! list, so the list cannot be deleted before it. When the list is empty, blocks come
//! from a [`LookasideAllocator`], which can limit or count allocations.
//!
//! # Exports
//!
//! Initialising, flushing and deleting are exports of every kernel from Windows
//! Vista on. Allocating and freeing were inline functions until the WDK of Windows 11
//! 22H2, and are exports since. All are looked up by name, since a static import
//! keeps the driver from loading where it is absent: without the first three there
//! are no such lists (`STATUS_NOT_SUPPORTED`), and without the other two, what the
//! inline functions do is done here.

mod allocator;
mod list;

use core::{
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

pub use self::allocator::{BlockRequest, LookasideAllocator, LookasideBlock, PoolAllocator};
use self::list::RawList;
use crate::{
    Error, Rejected, Result,
    irql::{Apc, Passive},
    pool::{PoolTag, legacy::Pool},
};

/// A lookaside list of nonpaged blocks for values of one type: `LOOKASIDE_LIST_EX`
/// with `NonPagedPoolNx`. Deleted when dropped: `ExDeleteLookasideListEx`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
///
/// ```no_run
/// # use wdm::lookaside::{PoolAllocator, LookasideList};
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # #[derive(Default)]
/// # struct Packet;
/// # fn example(passive: &mut wdm::irql::Passive) -> wdm::Result<()> {
/// let list = LookasideList::<Packet>::new(TAG, PoolAllocator, passive)?;
/// let packet = list.allocate(Packet::default()).map_err(|rejected| rejected.error)?;
/// # Ok(())
/// # }
/// ```
pub struct LookasideList<T, S: LookasideAllocator = PoolAllocator> {
    list: RawList<S>,
    values: PhantomData<T>,
}

/// The counters of a list's head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LookasideStatistics {
    /// Allocations: `TotalAllocates`.
    pub total_allocates: u32,
    /// Allocations from an empty list: `AllocateMisses`.
    pub allocate_misses: u32,
    /// Frees: `TotalFrees`.
    pub total_frees: u32,
    /// Frees to a full list: `FreeMisses`.
    pub free_misses: u32,
    /// Blocks in the list.
    pub depth: u16,
}

impl<T, S: LookasideAllocator> LookasideList<T, S> {
    /// An empty list: `ExInitializeLookasideListEx`. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed for the head.
    /// * `STATUS_NOT_SUPPORTED`: the type's alignment is above 16 bytes, or the
    ///   kernel, older than Windows Vista, has no such lists.
    /// * Whatever else `ExInitializeLookasideListEx` returns.
    pub fn new(tag: PoolTag, allocator: S, passive: &Passive) -> Result<Self> {
        Ok(Self {
            list: RawList::new::<T>(Pool::Nonpaged, tag, allocator, passive)?,
            values: PhantomData,
        })
    }

    /// Allocates a block and moves `value` into it: `ExAllocateFromLookasideListEx`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES`: the list is empty, and its allocator
    /// failed. The value is returned.
    pub fn allocate(&self, value: T) -> Result<LookasideBox<'_, T, S>, Rejected<T>> {
        // SAFETY: the list is of nonpaged blocks.
        let value = unsafe { allocate(&self.list, value) }?;
        Ok(LookasideBox {
            value,
            list: &self.list,
        })
    }

    /// Frees the blocks in the list to its allocator:
    /// `ExFlushLookasideListEx`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn flush(&self) {
        // SAFETY: the list is of nonpaged blocks.
        unsafe { self.list.flush() };
    }

    /// The list's counters. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn statistics(&self) -> LookasideStatistics {
        self.list.statistics()
    }

    /// The list's allocator. IRQL: any.
    #[must_use]
    pub fn allocator(&self) -> &S {
        self.list.allocator()
    }
}

impl<T, S: LookasideAllocator> fmt::Debug for LookasideList<T, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LookasideList {:?}", self.statistics())
    }
}

/// A value in a block of a [`LookasideList`], which gets the block back when this
/// is dropped: `ExFreeToLookasideListEx`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included, unless dropping the value asks for
/// less.
pub struct LookasideBox<'l, T, S: LookasideAllocator = PoolAllocator> {
    value: NonNull<T>,
    list: &'l RawList<S>,
}

// SAFETY: the box owns the value, and the list may be shared.
unsafe impl<T: Send, S: LookasideAllocator> Send for LookasideBox<'_, T, S> {}
// SAFETY: a shared box gives shared access to the value.
unsafe impl<T: Sync, S: LookasideAllocator> Sync for LookasideBox<'_, T, S> {}

impl<T, S: LookasideAllocator> Deref for LookasideBox<'_, T, S> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the block holds a value for as long as the box exists.
        unsafe { self.value.as_ref() }
    }
}

impl<T, S: LookasideAllocator> DerefMut for LookasideBox<'_, T, S> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the block holds a value for as long as the box exists, and the
        // mutable borrow leads to it alone.
        unsafe { self.value.as_mut() }
    }
}

impl<T, S: LookasideAllocator> Drop for LookasideBox<'_, T, S> {
    fn drop(&mut self) {
        // SAFETY: value and block are this box's, and the list is of nonpaged
        // blocks.
        unsafe { free(self.list, self.value) };
    }
}

impl<T: fmt::Debug, S: LookasideAllocator> fmt::Debug for LookasideBox<'_, T, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

/// A lookaside list of paged blocks: `LOOKASIDE_LIST_EX` with `PagedPool`. Its head
/// is nonpaged, as it has to be.
///
/// IRQL: `<= APC_LEVEL`; dropping it: `<= DISPATCH_LEVEL`.
///
/// ```no_run
/// # use wdm::lookaside::{PoolAllocator, PagedLookasideList};
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # type Name = [u8; 32];
/// # fn example(passive: &mut wdm::irql::Passive) -> wdm::Result<()> {
/// let list = PagedLookasideList::<Name>::new(TAG, PoolAllocator, passive)?;
/// let name = list.allocate(Name::default(), passive).map_err(|rejected| rejected.error)?;
/// # Ok(())
/// # }
/// ```
pub struct PagedLookasideList<T, S: LookasideAllocator = PoolAllocator> {
    list: RawList<S>,
    values: PhantomData<T>,
}

impl<T, S: LookasideAllocator> PagedLookasideList<T, S> {
    /// An empty list: `ExInitializeLookasideListEx`. IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`LookasideList::new`].
    pub fn new(tag: PoolTag, allocator: S, passive: &Passive) -> Result<Self> {
        Ok(Self {
            list: RawList::new::<T>(Pool::Paged, tag, allocator, passive)?,
            values: PhantomData,
        })
    }

    /// Allocates a block and moves `value` into it: `ExAllocateFromLookasideListEx`.
    /// IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`LookasideList::allocate`].
    pub fn allocate<'l>(
        &'l self,
        value: T,
        _: &'l Apc,
    ) -> Result<PagedLookasideBox<'l, T, S>, Rejected<T>> {
        // SAFETY: the token says that paged pool may be touched.
        let value = unsafe { allocate(&self.list, value) }?;
        Ok(PagedLookasideBox {
            value,
            list: &self.list,
            irql: PhantomData,
        })
    }

    /// Frees the blocks in the list to its allocator:
    /// `ExFlushLookasideListEx`. IRQL: `<= APC_LEVEL`.
    pub fn flush(&self, _: &Apc) {
        // SAFETY: the token says that paged pool may be touched.
        unsafe { self.list.flush() };
    }

    /// The list's counters. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn statistics(&self) -> LookasideStatistics {
        self.list.statistics()
    }

    /// The list's allocator. IRQL: any.
    #[must_use]
    pub fn allocator(&self) -> &S {
        self.list.allocator()
    }
}

impl<T, S: LookasideAllocator> fmt::Debug for PagedLookasideList<T, S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PagedLookasideList {:?}", self.statistics())
    }
}

/// A value in a block of a [`PagedLookasideList`], which gets the block back when
/// this is dropped.
///
/// It borrows the token that it was taken with, so it is used and dropped by the same
/// thread, and the level is not raised meanwhile: dropping it needs no room in
/// nonpaged pool, which a list of paged blocks is there to save.
///
/// IRQL: `<= APC_LEVEL`, dropping included.
pub struct PagedLookasideBox<'l, T, S: LookasideAllocator = PoolAllocator> {
    value: NonNull<T>,
    list: &'l RawList<S>,
    irql: PhantomData<&'l Apc>,
}

impl<T, S: LookasideAllocator> Deref for PagedLookasideBox<'_, T, S> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the block holds a value for as long as the box exists, and while
        // the token is borrowed an absent page can be fetched.
        unsafe { self.value.as_ref() }
    }
}

impl<T, S: LookasideAllocator> DerefMut for PagedLookasideBox<'_, T, S> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the block holds a value for as long as the box exists, which is
        // borrowed mutably, and an absent page can be fetched while the token is
        // borrowed.
        unsafe { self.value.as_mut() }
    }
}

impl<T, S: LookasideAllocator> Drop for PagedLookasideBox<'_, T, S> {
    fn drop(&mut self) {
        // SAFETY: value and block are this box's, and the token that it borrows says
        // that paged pool may be touched.
        unsafe { free(self.list, self.value) };
    }
}

impl<T, S: LookasideAllocator> fmt::Debug for PagedLookasideBox<'_, T, S> {
    /// Where the value is; it may be absent.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PagedLookasideBox at {:p}", self.value)
    }
}

/// Allocates a block and moves a value into it.
///
/// # Safety
///
/// The list is for values of this type, and the IRQL what its blocks ask for.
unsafe fn allocate<T, S: LookasideAllocator>(
    list: &RawList<S>,
    value: T,
) -> Result<NonNull<T>, Rejected<T>> {
    // SAFETY: the caller vouches for the IRQL.
    match unsafe { list.allocate() } {
        Some(block) => {
            let place = block.cast::<T>();
            // SAFETY: the block is ours, and the list's blocks have room for a `T`,
            // aligned.
            unsafe { place.write(value) };
            Ok(place)
        }
        None => Err(Rejected {
            error: Error::out_of_resources("ExAllocateFromLookasideListEx"),
            returned: value,
        }),
    }
}

/// Drops a value and frees its block.
///
/// # Safety
///
/// [`allocate`] gave it, of the same list, and it is no longer in use. The IRQL is
/// what the list's blocks ask for.
unsafe fn free<T, S: LookasideAllocator>(list: &RawList<S>, value: NonNull<T>) {
    // SAFETY: the value is dropped once, and its block given back after it.
    unsafe { value.drop_in_place() };
    // SAFETY: the caller vouches for the block and the IRQL.
    unsafe { list.free(value.cast()) };
}
