//! [`PoolBox`]: a `Box` in nonpaged pool. A failed allocation returns the value.

use core::{
    alloc::Layout,
    fmt,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
};

use crate::{
    Rejected, Result,
    pool::{Contents, Options, PoolRequest, PoolTag, RawBlock},
};

/// A value in nonpaged pool: `ExAllocatePool2`, or `ExAllocatePoolWithTag` where
/// the kernel lacks it. Freed when dropped: `ExFreePoolWithTag`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included, unless dropping the value asks
/// for less.
///
/// ```no_run
/// # use wdm::pool::PoolBox;
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # type Statistics = [u32; 4];
/// # fn example() -> wdm::Result<()> {
/// let boxed = PoolBox::new(Statistics::default(), TAG).map_err(|rejected| rejected.error)?;
/// # Ok(())
/// # }
/// ```
///
/// # Invariants
///
/// `block` has room for a `T`, aligned for it, and holds one, to which the box alone
/// leads. A box of paged pool is used and dropped at `<= APC_LEVEL` only.
pub struct PoolBox<T> {
    block: RawBlock,
    value: PhantomData<T>,
}

// SAFETY: a shared box gives shared access to the value, and nothing else.
unsafe impl<T: Sync> Sync for PoolBox<T> {}

impl<T> PoolBox<T> {
    /// Allocates a block and moves `value` into it.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed.
    /// * `STATUS_NOT_SUPPORTED`: the type's alignment is above a page.
    ///
    /// Both return the value.
    pub fn new(value: T, tag: PoolTag) -> Result<Self, Rejected<T>> {
        Self::new_with(value, tag, Options::NONE)
    }

    /// [`Self::new`] with options.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`Self::new`].
    pub fn new_with(value: T, tag: PoolTag, options: Options) -> Result<Self, Rejected<T>> {
        let request = PoolRequest {
            options,
            ..PoolRequest::nonpaged(layout::<T>(), tag)
        };
        // SAFETY: the pool is nonpaged.
        unsafe { Self::take(value, request) }
    }

    /// Allocates a block of either pool and moves `value` into it.
    ///
    /// # Safety
    ///
    /// The request's layout is [`layout`] of `T`. For paged pool the IRQL is
    /// `<= APC_LEVEL`, here and wherever the box is used or dropped.
    pub(super) unsafe fn take(value: T, request: PoolRequest) -> Result<Self, Rejected<T>> {
        // SAFETY: the caller vouches for the IRQL.
        match unsafe { RawBlock::allocate(request, Contents::Uninitialised) } {
            Ok((block, _)) => {
                // SAFETY: the block is ours and has room for the value, aligned.
                unsafe { block.start.cast::<T>().write(value) };
                Ok(Self {
                    block,
                    value: PhantomData,
                })
            }
            Err(error) => Err(Rejected {
                error,
                returned: value,
            }),
        }
    }

    /// Where the value is. IRQL: any.
    #[must_use]
    pub fn address(&self) -> usize {
        self.block.start.as_ptr().expose_provenance()
    }

    /// The tag of the block. IRQL: any.
    #[must_use]
    pub const fn tag(&self) -> PoolTag {
        self.block.tag
    }

    /// Where the value is. It stays there for as long as the box exists.
    pub(crate) const fn start(&self) -> NonNull<T> {
        self.block.start.cast()
    }

    /// Takes the value out and frees the block.
    pub(super) fn into_inner(self) -> T {
        let this = ManuallyDrop::new(self);
        // SAFETY: the block holds a value, which is not dropped here: it moves out.
        let value = unsafe { this.block.start.cast::<T>().read() };
        // SAFETY: the box is not used again, so the block is freed once.
        drop(unsafe { ptr::read(&raw const this.block) });
        value
    }

    /// Leaks the value and returns its address, for [`Self::from_raw`].
    pub(crate) fn into_raw(self) -> NonNull<T> {
        let start = self.block.start.cast();
        core::mem::forget(self);
        start
    }

    /// The box from [`Self::into_raw`].
    ///
    /// # Safety
    ///
    /// `start` came from `into_raw` of a box with this tag, nothing has taken it
    /// back, and nothing refers to the value any more.
    pub(crate) unsafe fn from_raw(start: NonNull<T>, tag: PoolTag) -> Self {
        Self {
            block: RawBlock {
                start: start.cast(),
                size: layout::<T>().size(),
                tag,
            },
            value: PhantomData,
        }
    }
}

/// Room for a `T`, aligned for it: a block has at least one byte.
pub(super) const fn layout<T>() -> Layout {
    let layout = Layout::new::<T>();
    match Layout::from_size_align(1, layout.align()) {
        Ok(one) if layout.size() == 0 => one,
        _ => layout,
    }
}

impl<T> Deref for PoolBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the block holds a value for as long as the box exists.
        unsafe { self.block.start.cast().as_ref() }
    }
}

impl<T> DerefMut for PoolBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the block holds a value for as long as the box exists, and the
        // mutable borrow leads to it alone.
        unsafe { self.block.start.cast().as_mut() }
    }
}

impl<T> Drop for PoolBox<T> {
    fn drop(&mut self) {
        // SAFETY: the value is dropped once, and its block after it.
        unsafe { self.block.start.cast::<T>().drop_in_place() };
    }
}

impl<T: fmt::Debug> fmt::Debug for PoolBox<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}
