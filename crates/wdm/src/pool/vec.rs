//! [`PoolVec`]: a `Vec` in nonpaged pool. A failed allocation returns the value.

use core::{
    alloc::Layout,
    fmt,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    ptr::{self, NonNull},
    slice,
};

use crate::{
    Error, Rejected, Result, Status,
    pool::{Contents, Options, PoolRequest, PoolTag, RawBlock, legacy::Pool},
};

/// A growing array in nonpaged pool: `ExAllocatePool2`, or
/// `ExAllocatePoolWithTag`; `ExFreePoolWithTag` when dropped. An empty one holds no
/// block.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included, unless dropping a value asks for
/// less.
///
/// ```no_run
/// # use wdm::pool::PoolVec;
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # fn example() -> wdm::Result<()> {
/// let mut sizes = PoolVec::new(TAG);
/// sizes.push(4096_u32).map_err(|rejected| rejected.error)?;
/// assert_eq!(sizes.first(), Some(&4096));
/// # Ok(())
/// # }
/// ```
///
/// # Invariants
///
/// * `block` has room for `capacity` values, aligned for them; without one `capacity`
///   is 0, or any number of values without a size.
/// * The first `len` places, at most `capacity`, hold values, and nobody else has
///   them. No other place does.
/// * In an array of paged pool, `self` is only reached at `<= APC_LEVEL`.
pub struct PoolVec<T> {
    block: Option<RawBlock>,
    /// How many values the block has room for.
    capacity: usize,
    len: usize,
    tag: PoolTag,
    pool: Pool,
    options: Options,
    values: PhantomData<T>,
}

// SAFETY: a shared array gives shared access to its values, and nothing else.
unsafe impl<T: Sync> Sync for PoolVec<T> {}

impl<T> PoolVec<T> {
    /// Values that the first block has room for.
    const FIRST: usize = 4;

    /// An array without values, which takes no memory yet. IRQL: any.
    #[must_use]
    pub const fn new(tag: PoolTag) -> Self {
        Self::new_with(tag, Options::NONE)
    }

    /// [`Self::new`] with options. IRQL: any.
    #[must_use]
    pub const fn new_with(tag: PoolTag, options: Options) -> Self {
        Self::empty(tag, Pool::Nonpaged, options)
    }

    /// An array of either pool; whoever makes one of paged pool keeps it where
    /// only a token leads to it.
    pub(super) const fn empty(tag: PoolTag, pool: Pool, options: Options) -> Self {
        // INVARIANT: there is no value, and no room but for those without a size.
        Self {
            block: None,
            // Values without a size need no memory.
            capacity: if size_of::<T>() == 0 { usize::MAX } else { 0 },
            len: 0,
            tag,
            pool,
            options,
            values: PhantomData,
        }
    }

    /// An array of nonpaged pool with room for `len` values and no more.
    pub(super) fn exactly(len: usize, tag: PoolTag, options: Options) -> Result<Self> {
        let mut values = Self::new_with(tag, options);
        if len > values.capacity {
            values.move_to(len)?;
        }
        Ok(values)
    }

    /// How many values there is room for. IRQL: any.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Makes room for so many more values. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// The array is as before.
    ///
    /// * `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed.
    /// * `STATUS_INVALID_PARAMETER`: more bytes than an address can count.
    /// * `STATUS_NOT_SUPPORTED`: the type's alignment is above a page.
    pub fn reserve(&mut self, additional: usize) -> Result<()> {
        let needed = self.len.checked_add(additional).ok_or(TOO_MANY)?;
        if needed <= self.capacity {
            return Ok(());
        }
        let target = needed.max(self.capacity.saturating_mul(2)).max(Self::FIRST);
        self.move_to(target)
    }

    /// Moves the values to a block with room for `capacity`, which is more than
    /// there are.
    fn move_to(&mut self, capacity: usize) -> Result<()> {
        let request = PoolRequest {
            layout: Layout::array::<T>(capacity).map_err(|_| TOO_MANY)?,
            tag: self.tag,
            pool: self.pool,
            options: self.options,
        };
        // SAFETY: an array of paged pool is only reached with a token.
        let (block, _) = unsafe { RawBlock::allocate(request, Contents::Uninitialised) }?;
        let (from, to) = (self.start(), block.start.cast::<T>());
        // SAFETY: the first `len` values are there, the new block has room for
        // more, and the two are different memory.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to.as_ptr(), self.len) };
        // Frees the old block; its values have moved.
        // INVARIANT: the new block was taken for so many values, and holds the first
        // `len`.
        self.block = Some(block);
        self.capacity = capacity;
        Ok(())
    }

    /// Appends a value. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`Self::reserve`]; the value is returned.
    pub fn push(&mut self, value: T) -> Result<(), Rejected<T>> {
        if let Err(error) = self.reserve(1) {
            return Err(Rejected {
                error,
                returned: value,
            });
        }
        // SAFETY: there is room behind the last value.
        let place = unsafe { self.start().add(self.len) };
        // SAFETY: the place is the array's, and nothing is in it.
        unsafe { place.write(value) };
        self.len = self.len.saturating_add(1);
        Ok(())
    }

    /// Takes the last value off. IRQL: `<= DISPATCH_LEVEL`.
    pub fn pop(&mut self) -> Option<T> {
        self.len = self.len.checked_sub(1)?;
        // SAFETY: there was a value at this index.
        let place = unsafe { self.start().add(self.len) };
        // SAFETY: the value is there, and no longer counted.
        Some(unsafe { place.read() })
    }

    /// Takes a value out and puts the last one in its place; `None` if there is
    /// none at `index`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn swap_remove(&mut self, index: usize) -> Option<T> {
        let last = self.len.checked_sub(1)?;
        if index > last {
            return None;
        }
        // SAFETY: the index is below the length, as was looked at just now.
        let at = unsafe { self.start().add(index) };
        // SAFETY: the last index is below the length.
        let end = unsafe { self.start().add(last) };
        // SAFETY: both lead to values, if not to the same one.
        unsafe { ptr::swap(at.as_ptr(), end.as_ptr()) };
        self.pop()
    }

    /// Drops all values and keeps the block. IRQL: `<= DISPATCH_LEVEL`.
    pub fn clear(&mut self) {
        let values = ptr::slice_from_raw_parts_mut(self.start().as_ptr(), self.len);
        self.len = 0;
        // SAFETY: the values were there, and are no longer counted.
        unsafe { values.drop_in_place() };
    }

    fn start(&self) -> NonNull<T> {
        match &self.block {
            Some(block) => block.start.cast(),
            None => NonNull::dangling(),
        }
    }
}

/// The refusal of more values than memory can be counted for.
const TOO_MANY: Error = Error::new("ExAllocatePool2", Status::INVALID_PARAMETER);

impl<T: Copy> PoolVec<T> {
    /// Appends copies of values. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`Self::reserve`]; nothing is appended.
    pub fn extend_from_slice(&mut self, values: &[T]) -> Result<()> {
        self.reserve(values.len())?;
        // SAFETY: there is room behind the last value.
        let place = unsafe { self.start().add(self.len) };
        // SAFETY: the room is for that many values, and is the array's alone.
        unsafe { ptr::copy_nonoverlapping(values.as_ptr(), place.as_ptr(), values.len()) };
        self.len = self.len.saturating_add(values.len());
        Ok(())
    }
}

impl<T> Deref for PoolVec<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: by the type's invariant so many values are there, or the pointer is
        // one for none.
        unsafe { slice::from_raw_parts(self.start().as_ptr(), self.len) }
    }
}

impl<T> DerefMut for PoolVec<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: by the type's invariant so many values are there, which the mutable
        // borrow leads to alone; or the pointer is one for none.
        unsafe { slice::from_raw_parts_mut(self.start().as_ptr(), self.len) }
    }
}

impl<T> Drop for PoolVec<T> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<T: fmt::Debug> fmt::Debug for PoolVec<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}
