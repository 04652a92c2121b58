//! Values in paged pool. A page fault above `APC_LEVEL` stops the system, so access needs
//! a token for `<= APC_LEVEL`, which a reference to the value keeps borrowed.
//!
//! A value that is dropped above `APC_LEVEL` is freed later at `PASSIVE_LEVEL` by another
//! thread. The link for that is allocated with the value, in nonpaged pool.

use core::fmt;

use crate::{
    Rejected, Result,
    irql::{Apc, Irql},
    pool::{Options, PoolBox, PoolRequest, PoolTag, PoolVec, boxed::layout, legacy::Pool},
    scope::{DeferredDrop, DropAtIrql},
};

/// What owns paged pool.
struct Paged<T>(T);

impl<T: Send + 'static> DropAtIrql for Paged<T> {
    fn max_irql(&self) -> Irql {
        Irql::APC
    }
}

/// A value in paged pool: `ExAllocatePool2`, or `ExAllocatePoolWithTag` where the
/// kernel lacks it. Freed when dropped: `ExFreePoolWithTag`.
///
/// IRQL: `<= APC_LEVEL`; dropping it: `<= DISPATCH_LEVEL`.
///
/// ```no_run
/// # use wdm::pool::PagedBox;
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # #[derive(Default)]
/// # struct Settings { limit: u32 }
/// # fn example(passive: &mut wdm::irql::Passive) -> wdm::Result<()> {
/// let settings = PagedBox::new(Settings::default(), TAG, passive).map_err(|rejected| rejected.error)?;
/// let limit = settings.get(passive).limit;
/// # Ok(())
/// # }
/// ```
pub struct PagedBox<T: Send + 'static>(DeferredDrop<Paged<PoolBox<T>>>);

impl<T: Send + 'static> PagedBox<T> {
    /// Allocates a block and moves `value` into it. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`PoolBox::new`]; the value is returned.
    pub fn new(value: T, tag: PoolTag, irql: &Apc) -> Result<Self, Rejected<T>> {
        Self::new_with(value, tag, Options::NONE, irql)
    }

    /// [`Self::new`] with options. IRQL: `<= APC_LEVEL`.
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
        let request = PoolRequest {
            layout: layout::<T>(),
            tag,
            pool: Pool::Paged,
            options,
        };
        // SAFETY: the token is for this call; from then on the box is only reached
        // with another, and dropped at the level that `Paged` asks for.
        let boxed = unsafe { PoolBox::take(value, request) }?;
        match DeferredDrop::new(Paged(boxed), tag) {
            Ok(owner) => Ok(Self(owner)),
            Err(rejected) => Err(Rejected {
                error: rejected.error,
                returned: rejected.returned.0.into_inner(),
            }),
        }
    }

    /// The value. IRQL: `<= APC_LEVEL`, as long as the reference lives.
    #[must_use]
    pub fn get<'a>(&'a self, _: &'a Apc) -> &'a T {
        &self.0.0
    }

    /// The value, to be changed. IRQL: as for [`Self::get`].
    #[must_use]
    pub fn get_mut<'a>(&'a mut self, _: &'a Apc) -> &'a mut T {
        &mut self.0.0
    }

    /// Where the value is. IRQL: any.
    #[must_use]
    pub fn address(&self) -> usize {
        self.0.0.address()
    }
}

impl<T: Send + 'static> fmt::Debug for PagedBox<T> {
    /// Where the value is; it may be absent.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PagedBox at {:#x}", self.address())
    }
}

/// A growing array in paged pool. An empty one holds no block.
///
/// IRQL: `<= APC_LEVEL`; dropping it: `<= DISPATCH_LEVEL`.
///
/// ```no_run
/// # use wdm::pool::PagedVec;
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # fn example(name: u32, passive: &mut wdm::irql::Passive) -> wdm::Result<()> {
/// let mut names = PagedVec::new(TAG);
/// names.push(name, passive).map_err(|rejected| rejected.error)?;
/// for name in names.get(passive) {}
/// # Ok(())
/// # }
/// ```
pub struct PagedVec<T: Send + 'static> {
    /// Made with the first value.
    values: Option<DeferredDrop<Paged<PoolVec<T>>>>,
    tag: PoolTag,
    options: Options,
}

impl<T: Send + 'static> PagedVec<T> {
    /// An array without values, which takes no memory yet. IRQL: any.
    #[must_use]
    pub const fn new(tag: PoolTag) -> Self {
        Self::new_with(tag, Options::NONE)
    }

    /// [`Self::new`] with options. IRQL: any.
    #[must_use]
    pub const fn new_with(tag: PoolTag, options: Options) -> Self {
        Self {
            values: None,
            tag,
            options,
        }
    }

    /// Appends a value. IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`PoolVec::push`].
    pub fn push(&mut self, value: T, _: &Apc) -> Result<(), Rejected<T>> {
        let values = match &mut self.values {
            Some(values) => values,
            none => {
                let values = PoolVec::empty(self.tag, Pool::Paged, self.options);
                match DeferredDrop::new(Paged(values), self.tag) {
                    Ok(values) => none.insert(values),
                    Err(rejected) => {
                        return Err(Rejected {
                            error: rejected.error,
                            returned: value,
                        });
                    }
                }
            }
        };
        values.0.push(value)
    }

    /// Takes the last value off. IRQL: `<= APC_LEVEL`.
    pub fn pop(&mut self, _: &Apc) -> Option<T> {
        self.values.as_mut()?.0.pop()
    }

    /// The values. IRQL: `<= APC_LEVEL`, as long as the reference lives.
    #[must_use]
    pub fn get<'a>(&'a self, _: &'a Apc) -> &'a [T] {
        self.values.as_ref().map_or(&[], |values| &values.0)
    }

    /// The values, to be changed. IRQL: as for [`Self::get`].
    #[must_use]
    pub fn get_mut<'a>(&'a mut self, _: &'a Apc) -> &'a mut [T] {
        self.values.as_mut().map_or(&mut [], |values| &mut values.0)
    }
}

impl<T: Send + 'static> fmt::Debug for PagedVec<T> {
    /// Not the values, which may be absent.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PagedVec")
    }
}
