//! [`PoolSlice`]: a boxed slice of fixed length in nonpaged pool.

use core::{
    fmt,
    ops::{Deref, DerefMut},
};

use crate::{
    Result,
    pool::{Options, PoolTag, PoolVec},
};

/// An array of a length that is fixed when it is made, in one block of nonpaged
/// pool that is no larger than it has to be.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included, unless dropping a value asks for
/// less.
///
/// ```no_run
/// # use wdm::pool::PoolSlice;
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # fn example() -> wdm::Result<()> {
/// let squares = PoolSlice::from_fn(8, TAG, |index| index * index)?;
/// # Ok(())
/// # }
/// ```
pub struct PoolSlice<T>(PoolVec<T>);

impl<T> PoolSlice<T> {
    /// `len` values, each made by `make` from its index.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`PoolVec::reserve`]; `make` is not called then.
    pub fn from_fn(len: usize, tag: PoolTag, make: impl FnMut(usize) -> T) -> Result<Self> {
        Self::from_fn_with(len, tag, Options::NONE, make)
    }

    /// [`Self::from_fn`] with options. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`Self::from_fn`].
    pub fn from_fn_with(
        len: usize,
        tag: PoolTag,
        options: Options,
        mut make: impl FnMut(usize) -> T,
    ) -> Result<Self> {
        let mut values = PoolVec::exactly(len, tag, options)?;
        for index in 0..len {
            values
                .push(make(index))
                .map_err(|rejected| rejected.error)?;
        }
        Ok(Self(values))
    }

    /// Copies of values. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`PoolVec::reserve`].
    pub fn copied(values: &[T], tag: PoolTag) -> Result<Self>
    where
        T: Copy,
    {
        let mut copy = PoolVec::exactly(values.len(), tag, Options::NONE)?;
        copy.extend_from_slice(values)?;
        Ok(Self(copy))
    }
}

impl<T> Deref for PoolSlice<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for PoolSlice<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for PoolSlice<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}
