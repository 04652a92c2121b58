//! Raw pool blocks: the call of the allocator, for everything but [`super::legacy`].

use core::{alloc::Layout, ptr::NonNull};

use wdk_sys::{
    POOL_FLAG_CACHE_ALIGNED, POOL_FLAG_NON_PAGED, POOL_FLAG_PAGED, POOL_FLAG_UNINITIALIZED,
    POOL_FLAG_USE_QUOTA, POOL_FLAGS, POOL_QUOTA_FAIL_INSTEAD_OF_RAISE, POOL_TYPE, PVOID, SIZE_T,
};

use crate::{
    Error, Result, Status,
    memory::PAGE_SIZE,
    pool::{
        PoolTag,
        legacy::{
            self, ExAllocatePoolWithQuotaTag, ExAllocatePoolWithTag, ExFreePoolWithTag, Pool,
        },
        usage,
    },
    system,
};

/// What every block of less than a page is aligned to, in bytes, on x64.
pub(crate) const BLOCK_ALIGNMENT: usize = 16;

/// What can be asked of a block besides its size: of nonpaged pool and of paged
/// pool alike.
///
/// ```no_run
/// # use wdm::pool::{Options, PoolBox};
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # type Statistics = [u32; 4];
/// # fn example() -> wdm::Result<()> {
/// let options = Options::NONE.cache_aligned().charged();
/// let boxed = PoolBox::new_with(Statistics::default(), TAG, options).map_err(|rejected| rejected.error)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    is_cache_aligned: bool,
    is_charged: bool,
}

impl Options {
    /// Nothing special.
    pub const NONE: Self = Self {
        is_cache_aligned: false,
        is_charged: false,
    };

    /// The block begins with a line of the processor's cache:
    /// `POOL_FLAG_CACHE_ALIGNED`.
    #[must_use]
    pub const fn cache_aligned(self) -> Self {
        Self {
            is_cache_aligned: true,
            ..self
        }
    }

    /// The block is charged to the quota of the current process, which stays in
    /// memory until it is freed: `POOL_FLAG_USE_QUOTA`. Beyond the quota it is
    /// not given.
    #[must_use]
    pub const fn charged(self) -> Self {
        Self {
            is_charged: true,
            ..self
        }
    }
}

/// The arguments of a pool allocation.
#[derive(Clone, Copy)]
pub(crate) struct PoolRequest {
    pub(crate) layout: Layout,
    pub(crate) tag: PoolTag,
    pub(crate) pool: Pool,
    pub(crate) options: Options,
}

impl PoolRequest {
    /// Nonpaged pool without options.
    pub(crate) const fn nonpaged(layout: Layout, tag: PoolTag) -> Self {
        Self {
            layout,
            tag,
            pool: Pool::Nonpaged,
            options: Options::NONE,
        }
    }

    /// The flags of `ExAllocatePool2`.
    fn flags(self, contents: Contents) -> POOL_FLAGS {
        let mut flags = match self.pool {
            Pool::Nonpaged => POOL_FLAG_NON_PAGED,
            Pool::Paged => POOL_FLAG_PAGED,
        };
        if contents == Contents::Uninitialised {
            flags |= POOL_FLAG_UNINITIALIZED;
        }
        if self.options.is_cache_aligned {
            flags |= POOL_FLAG_CACHE_ALIGNED;
        }
        if self.options.is_charged {
            flags |= POOL_FLAG_USE_QUOTA;
        }
        flags
    }

    /// The pool type of the older functions.
    fn pool_type(self) -> POOL_TYPE {
        let line = if self.options.is_cache_aligned {
            legacy::CACHE_ALIGNED
        } else {
            0
        };
        self.pool.pool_type() | line
    }

    /// Allocates on a kernel without `ExAllocatePool2`.
    ///
    /// # Safety
    ///
    /// `bytes` is not 0, and the IRQL is what the pool asks for.
    unsafe fn allocate_legacy(self, bytes: SIZE_T) -> (&'static str, PVOID) {
        if self.options.is_charged {
            const NO_EXCEPTION: POOL_TYPE = POOL_QUOTA_FAIL_INSTEAD_OF_RAISE as POOL_TYPE;
            let pool_type = self.pool_type() | NO_EXCEPTION;
            // SAFETY: the kernel knows the type and is told to return NULL; the
            // caller vouches for the rest.
            let start = unsafe { ExAllocatePoolWithQuotaTag(pool_type, bytes, self.tag.raw()) };
            ("ExAllocatePoolWithQuotaTag", start)
        } else {
            // SAFETY: the kernel knows the type; the caller vouches for the rest.
            let start = unsafe { ExAllocatePoolWithTag(self.pool_type(), bytes, self.tag.raw()) };
            ("ExAllocatePoolWithTag", start)
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    Zeroed,
    Uninitialised,
}

/// An address that is freed with its tag.
///
/// # Invariants
///
/// `start` is a block of the kernel's pool that was taken with `tag`, has at least
/// `size` bytes, and belongs to this value alone. If it is paged, the value is used
/// and dropped at `<= APC_LEVEL`.
pub(crate) struct RawBlock {
    pub(crate) start: NonNull<u8>,
    pub(crate) size: usize,
    pub(crate) tag: PoolTag,
}

// SAFETY: pool belongs to no thread or process: any may use and free it.
unsafe impl Send for RawBlock {}

impl RawBlock {
    /// Allocates pool, and returns whether it is zeroed: not every allocator
    /// can zero it.
    ///
    /// # Safety
    ///
    /// For paged pool the IRQL is `<= APC_LEVEL`, here and where the block is
    /// dropped.
    pub(crate) unsafe fn allocate(
        request: PoolRequest,
        contents: Contents,
    ) -> Result<(Self, Contents)> {
        let allocate2 = system::allocate_pool2();
        let bytes = bytes_for(request.layout).map_err(|status| {
            let call = if allocate2.is_some() {
                "ExAllocatePool2"
            } else {
                "ExAllocatePoolWithTag"
            };
            Error::new(call, status)
        })?;
        let (call, start, contents) = if let Some(allocate2) = allocate2 {
            // SAFETY: size and tag are not 0, the flags are defined ones, and the
            // caller vouches for the IRQL.
            let start = unsafe { allocate2(request.flags(contents), bytes, request.tag.raw()) };
            ("ExAllocatePool2", start, contents)
        } else {
            // SAFETY: the size is not 0, and the caller vouches for the IRQL.
            let (call, start) = unsafe { request.allocate_legacy(bytes) };
            (call, start, Contents::Uninitialised)
        };
        let start = NonNull::new(start.cast()).ok_or(Error::out_of_resources(call))?;
        usage::record_allocation();
        // INVARIANT: the kernel has just given the block, for this layout and tag; the
        // caller vouches for the IRQL.
        let block = Self {
            start,
            size: request.layout.size(),
            tag: request.tag,
        };
        Ok((block, contents))
    }

    /// Leaks the block and returns its address.
    pub(crate) fn into_raw(self) -> NonNull<u8> {
        let start = self.start;
        core::mem::forget(self);
        start
    }
}

impl Drop for RawBlock {
    fn drop(&mut self) {
        let start: PVOID = self.start.as_ptr().cast();
        // SAFETY: by the type's invariant the block was taken with this tag, and nobody
        // else has it.
        unsafe { ExFreePoolWithTag(start, self.tag.raw()) };
        usage::record_free();
    }
}

/// How many bytes to ask for, so that the kernel's alignment is the layout's.
fn bytes_for(layout: Layout) -> Result<SIZE_T, Status> {
    let size = match (layout.size(), layout.align()) {
        (0, _) => return Err(Status::INVALID_PARAMETER),
        (size, ..=BLOCK_ALIGNMENT) => size,
        (size, ..=PAGE_SIZE) => size.max(PAGE_SIZE),
        _ => return Err(Status::NOT_SUPPORTED),
    };
    SIZE_T::try_from(size).map_err(|_| Status::INVALID_PARAMETER)
}
