//! Kernel pool: owned, tagged and fallible allocations.
//!
//! A block is freed with the tag of its allocation when it is dropped. Kernels before
//! Windows 10 2004 lack `ExAllocatePool2`; there a block comes from
//! `ExAllocatePoolWithTag`, is not executable where the kernel supports that, and is
//! zeroed by this crate.
//!
//! # Types
//!
//! | nonpaged pool | paged pool | contents |
//! |---|---|---|
//! | [`PoolBox`] | [`PagedBox`] | one value |
//! | [`PoolVec`] | [`PagedVec`] | a growing array |
//! | [`PoolSlice`] | | an array of fixed length |
//! | [`UnicodeBuffer`] | | text |
//! | [`NonpagedBlock`] | [`legacy::Block`] | bytes that are written concurrently |
//!
//! Access to paged pool needs a token for `<= APC_LEVEL`. The borrow of the token
//! prevents raising the IRQL meanwhile.
//!
//! # No global allocator
//!
//! The collections of `alloc` panic when memory runs out, which is a bug check, and have
//! one tag and one kind of pool for everything. A driver that needs `alloc` can link
//! `wdk-alloc`, which ignores alignments above 16.

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
    /// Allocates a block of `layout.size()` bytes, all 0: `ExAllocatePool2`, or
    /// `ExAllocatePoolWithTag` where the kernel lacks it.
    ///
    /// The kernel aligns a block to 16 bytes, and to a page if it is a page or
    /// larger. A layout that asks for more than 16 is given at least a page.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed.
    /// * `STATUS_INVALID_PARAMETER`: the size is 0.
    /// * `STATUS_NOT_SUPPORTED`: the alignment is above a page.
    pub fn zeroed(layout: Layout, tag: PoolTag) -> Result<Self> {
        Self::zeroed_with(layout, tag, Options::NONE)
    }

    /// [`Self::zeroed`] with options.
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

    /// Allocates a block of `layout.size()` bytes whose contents are whatever the
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
        // SAFETY: the block is ours, `size` bytes long, and no other pointer to it exists.
        unsafe { block.start.write_bytes(byte, block.size) };
        NonpagedBlock { block }
    }
}
