//! Values in paged pool, which may be on disk: touching one where page faults
//! cannot be handled stops the system. So there is no way to one without a token
//! for `<= APC_LEVEL`, and while a reference is out the token is borrowed, which
//! keeps the level from being raised.

use core::{fmt, mem::ManuallyDrop};

use crate::{
    Rejected, Result,
    irql::{Apc, Irql},
    pool::{Demand, Options, PoolBox, PoolTag, PoolVec, boxed::layout, legacy::Pool},
};

/// A value in paged pool: `ExAllocatePool2`, or `ExAllocatePoolWithTag` where the
/// kernel lacks it. Freed when dropped: `ExFreePoolWithTag`.
///
/// IRQL: `<= APC_LEVEL`. A box that is dropped above that is left to leak.
///
/// ```ignore
/// let settings = PagedBox::new(Settings::default(), TAG, passive)?;
/// let limit = settings.get(passive).limit;
/// ```
pub struct PagedBox<T>(ManuallyDrop<PoolBox<T>>);

impl<T> PagedBox<T> {
    /// Takes a block and moves `value` into it. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`PoolBox::new`]; the value comes back.
    pub fn new(value: T, tag: PoolTag, irql: &Apc) -> Result<Self, Rejected<T>> {
        Self::new_with(value, tag, Options::NONE, irql)
    }

    /// [`Self::new`] with further wishes. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`Self::new`].
    pub fn new_with(
        value: T,
        tag: PoolTag,
        options: Options,
        _: &Apc,
    ) -> Result<Self, Rejected<T>> {
        let demand = Demand {
            layout: layout::<T>(),
            tag,
            pool: Pool::Paged,
            options,
        };
        // SAFETY: the token is for this call; from then on the box is only reached
        // with another, and dropped after a look at the level.
        let boxed = unsafe { PoolBox::take(value, demand) }?;
        Ok(Self(ManuallyDrop::new(boxed)))
    }

    /// The value. IRQL: `<= APC_LEVEL`, as long as the reference lives.
    #[must_use]
    pub fn get<'a>(&'a self, _: &'a Apc) -> &'a T {
        &self.0
    }

    /// The value, to be changed. IRQL: as for [`Self::get`].
    #[must_use]
    pub fn get_mut<'a>(&'a mut self, _: &'a Apc) -> &'a mut T {
        &mut self.0
    }

    /// Where the value is. IRQL: any.
    #[must_use]
    pub fn address(&self) -> usize {
        self.0.address()
    }
}

impl<T> Drop for PagedBox<T> {
    fn drop(&mut self) {
        if Irql::current() <= Irql::APC {
            // SAFETY: the value is dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        }
    }
}

impl<T> fmt::Debug for PagedBox<T> {
    /// Where the value is; it may be absent.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PagedBox at {:#x}", self.address())
    }
}

/// A growing array in paged pool. An empty one holds no block.
///
/// IRQL: `<= APC_LEVEL`. An array that is dropped above that is left to leak.
///
/// ```ignore
/// let mut names = PagedVec::new(TAG);
/// names.push(name, passive).map_err(|rejected| rejected.error)?;
/// for name in names.get(passive) {}
/// ```
pub struct PagedVec<T>(ManuallyDrop<PoolVec<T>>);

impl<T> PagedVec<T> {
    /// An array without values, which takes no memory yet. IRQL: any.
    #[must_use]
    pub const fn new(tag: PoolTag) -> Self {
        Self::new_with(tag, Options::NONE)
    }

    /// [`Self::new`] with further wishes for its blocks. IRQL: any.
    #[must_use]
    pub const fn new_with(tag: PoolTag, options: Options) -> Self {
        Self(ManuallyDrop::new(PoolVec::empty(tag, Pool::Paged, options)))
    }

    /// Appends a value. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`PoolVec::push`].
    pub fn push(&mut self, value: T, _: &Apc) -> Result<(), Rejected<T>> {
        self.0.push(value)
    }

    /// Takes the last value off. IRQL: `<= APC_LEVEL`.
    pub fn pop(&mut self, _: &Apc) -> Option<T> {
        self.0.pop()
    }

    /// The values. IRQL: `<= APC_LEVEL`, as long as the reference lives.
    #[must_use]
    pub fn get<'a>(&'a self, _: &'a Apc) -> &'a [T] {
        &self.0
    }

    /// The values, to be changed. IRQL: as for [`Self::get`].
    #[must_use]
    pub fn get_mut<'a>(&'a mut self, _: &'a Apc) -> &'a mut [T] {
        &mut self.0
    }
}

impl<T> Drop for PagedVec<T> {
    fn drop(&mut self) {
        if Irql::current() <= Irql::APC {
            // SAFETY: the value is dropped once, here.
            unsafe { ManuallyDrop::drop(&mut self.0) };
        }
    }
}

impl<T> fmt::Debug for PagedVec<T> {
    /// Not the values, which may be absent.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PagedVec")
    }
}
