//! Kernel pool that is owned, tagged, and fallible.
//!
//! Pool is the kernel's heap. A block knows the tag that it was taken with and
//! frees itself with it, so neither a leak nor a wrong tag can be written down.
//! Kernels before Windows 10 2004 lack `ExAllocatePool2`; there a block comes from
//! `ExAllocatePoolWithTag`, without execute permission where the kernel knows of
//! it, and is zeroed here.
//!
//! # Which type
//!
//! | of nonpaged pool | of paged pool | holds |
//! |---|---|---|
//! | [`PoolBox`] | [`PagedBox`] | one value |
//! | [`PoolVec`] | [`PagedVec`] | values, and grows |
//! | [`PoolSlice`] | | so many values |
//! | [`UnicodeBuffer`] | | text |
//! | [`NonpagedBlock`] | [`legacy::Block`] | bytes that others may write to |
//!
//! What is in paged pool can only be reached with a token for `<= APC_LEVEL`, and
//! the borrow of the token keeps the level from being raised meanwhile.
//!
//! # Why there is no global allocator
//!
//! `#[global_allocator]` would bring `alloc`, whose collections end the program,
//! here the system, if memory runs out, and which has one tag and one kind of pool
//! for everything. A driver that needs no more than this module stays without it,
//! and one that wants `alloc` chooses `wdk-alloc` itself, knowing that it gives
//! types with an alignment above 16 less than they ask for.

mod boxed;
pub mod legacy;
mod paged;
mod raw;
mod slice;
mod tag;
mod text;
mod usage;
mod vec;

use core::{alloc::Layout, fmt, ptr::NonNull};

pub(crate) use self::raw::{BLOCK_ALIGNMENT, Contents, PoolRequest, RawBlock};
pub use self::{
    boxed::PoolBox,
    paged::{PagedBox, PagedVec},
    raw::Options,
    slice::PoolSlice,
    tag::PoolTag,
    text::UnicodeBuffer,
    usage::PoolUsage,
    vec::PoolVec,
};
use crate::{Result, memory::SharedBytes};

/// A block of nonpaged, initialised pool. Freed when dropped:
/// `ExFreePoolWithTag`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
pub struct NonpagedBlock {
    block: RawBlock,
}

impl NonpagedBlock {
    /// Takes a block of `layout.size()` bytes, all 0: `ExAllocatePool2`, or
    /// `ExAllocatePoolWithTag` where the kernel lacks it.
    ///
    /// The kernel aligns a block to 16 bytes, and to a page if it is a page or
    /// larger. A layout that asks for more than 16 is given at least a page.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_INSUFFICIENT_RESOURCES`: no memory is left.
    /// * `STATUS_INVALID_PARAMETER`: the size is 0.
    /// * `STATUS_NOT_SUPPORTED`: the alignment is above a page.
    pub fn zeroed(layout: Layout, tag: PoolTag) -> Result<Self> {
        Self::zeroed_with(layout, tag, Options::NONE)
    }

    /// [`Self::zeroed`] with further wishes.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// As for [`Self::zeroed`].
    pub fn zeroed_with(layout: Layout, tag: PoolTag, options: Options) -> Result<Self> {
        let request = PoolRequest {
            options,
            ..PoolRequest::nonpaged(layout, tag)
        };
        // SAFETY: the pool is nonpaged.
        match unsafe { RawBlock::allocate(request, Contents::Zeroed) }? {
            (block, Contents::Zeroed) => Ok(Self { block }),
            (block, Contents::Uninitialised) => Ok(UninitialisedBlock { block }.fill(0)),
        }
    }

    /// Takes a block of `layout.size()` bytes whose contents are whatever the
    /// memory held before: nothing to read until it has been filled.
    ///
    /// IRQL, alignment and errors as for [`Self::zeroed`].
    ///
    /// # Errors
    ///
    /// As for [`Self::zeroed`].
    pub fn uninitialised(layout: Layout, tag: PoolTag) -> Result<UninitialisedBlock> {
        let request = PoolRequest::nonpaged(layout, tag);
        // SAFETY: the pool is nonpaged.
        let (block, _) = unsafe { RawBlock::allocate(request, Contents::Uninitialised) }?;
        Ok(UninitialisedBlock { block })
    }

    /// Address of the first byte. IRQL: any.
    #[must_use]
    pub fn address(&self) -> usize {
        self.block.start.as_ptr().expose_provenance()
    }

    /// Size in bytes, as asked for; never 0. IRQL: any.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.block.size
    }

    /// The tag that the block carries. IRQL: any.
    #[must_use]
    pub const fn tag(&self) -> PoolTag {
        self.block.tag
    }

    /// The bytes of the block. IRQL: any.
    #[must_use]
    pub fn memory(&self) -> SharedBytes<'_> {
        // SAFETY: nonpaged pool is mapped, resident and writable until freed, which
        // the borrow prevents; it is initialised, and references into it are never
        // made. The block is not `Sync`, nor is anything that lends it out.
        unsafe { SharedBytes::new(self.block.start, self.block.size) }
    }

    pub(crate) const fn start(&self) -> NonNull<u8> {
        self.block.start
    }
}

impl fmt::Debug for NonpagedBlock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} tagged {}", self.memory(), self.tag())
    }
}

/// A block of nonpaged pool that nothing has been written to yet. Freed when
/// dropped.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
pub struct UninitialisedBlock {
    block: RawBlock,
}

impl UninitialisedBlock {
    /// Sets every byte, after which the block can be read.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn fill(self, byte: u8) -> NonpagedBlock {
        let Self { block } = self;
        // SAFETY: the block is ours, `size` bytes long, and nobody else knows it.
        unsafe { block.start.write_bytes(byte, block.size) };
        NonpagedBlock { block }
    }
}
