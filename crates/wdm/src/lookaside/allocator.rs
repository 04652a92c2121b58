//! Allocators of lookaside lists: the `AllocateEx` and `FreeEx` routines.

use core::{alloc::Layout, cell::Cell, fmt, marker::PhantomData, ptr::NonNull};

use crate::pool::{Contents, Options, PoolRequest, PoolTag, RawBlock, legacy::Pool};

/// Supplies a lookaside list. Both functions are called wherever blocks are taken
/// and freed, from several threads at once, at the IRQL of the caller: for a
/// nonpaged list up to `DISPATCH_LEVEL`.
///
/// ```no_run
/// # use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
/// # use wdm::lookaside::{LookasideBlock, BlockRequest, LookasideAllocator};
/// struct AtMost(AtomicU32);
///
/// impl LookasideAllocator for AtMost {
///     fn allocate<'c>(&self, request: BlockRequest<'c>) -> Option<LookasideBlock<'c>> {
///         self.0.try_update(Relaxed, Relaxed, |left| left.checked_sub(1)).ok()?;
///         request.allocate_from_pool()
///     }
///
///     fn free(&self, block: LookasideBlock<'_>) {
///         drop(block);
///         self.0.fetch_add(1, Relaxed);
///     }
/// }
/// ```
pub trait LookasideAllocator: Send + Sync + 'static {
    /// Whether the list is given no routines, so that the kernel's own serve it and
    /// neither function is called.
    const USES_DEFAULT_ROUTINES: bool = false;

    /// A block for the list; `None` if there is none to be had.
    fn allocate<'c>(&self, request: BlockRequest<'c>) -> Option<LookasideBlock<'c>>;

    /// Takes a block back. Dropping it frees it.
    fn free(&self, block: LookasideBlock<'_>) {
        drop(block);
    }
}

/// Blocks come from pool and go there: what a list does that is given no routines.
#[derive(Clone, Copy, Debug)]
pub struct PoolAllocator;

impl LookasideAllocator for PoolAllocator {
    const USES_DEFAULT_ROUTINES: bool = true;

    fn allocate<'c>(&self, request: BlockRequest<'c>) -> Option<LookasideBlock<'c>> {
        request.allocate_from_pool()
    }
}

/// A request for one block of a list. It ends with the call, and so does the block
/// that comes of it: neither can be kept for another IRQL or another list.
pub struct BlockRequest<'c> {
    request: PoolRequest,
    /// Invariant, so that a block belongs to the call that it was made in.
    call: PhantomData<Cell<&'c ()>>,
}

impl<'c> BlockRequest<'c> {
    /// # Safety
    ///
    /// For paged pool the IRQL is `<= APC_LEVEL` during `'c`.
    pub(super) const unsafe fn new(layout: Layout, pool: Pool, tag: PoolTag) -> Self {
        Self {
            request: PoolRequest {
                layout,
                tag,
                pool,
                options: Options::NONE,
            },
            call: PhantomData,
        }
    }

    /// How many bytes the block needs. IRQL: any.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.request.layout.size()
    }

    /// A block of the pool that the list is of, with its tag: `ExAllocatePool2`,
    /// or `ExAllocatePoolWithTag` where the kernel lacks it. `None` if no memory is
    /// left. IRQL: that of the call.
    #[must_use]
    pub fn allocate_from_pool(self) -> Option<LookasideBlock<'c>> {
        // SAFETY: the caller of the constructor vouched for the IRQL.
        let taken = unsafe { RawBlock::allocate(self.request, Contents::Uninitialised) };
        taken.ok().map(|(block, _)| LookasideBlock {
            block,
            call: PhantomData,
        })
    }
}

impl fmt::Debug for BlockRequest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BlockRequest for {} bytes", self.size())
    }
}

/// A block on its way into a list or out of one. Freed when dropped:
/// `ExFreePoolWithTag`.
pub struct LookasideBlock<'c> {
    block: RawBlock,
    call: PhantomData<Cell<&'c ()>>,
}

impl LookasideBlock<'_> {
    /// The block at this address.
    ///
    /// # Safety
    ///
    /// [`Self::into_raw`] gave the address of a block of this size and tag, and
    /// nobody uses it. For paged pool the IRQL is `<= APC_LEVEL` during `'c`.
    pub(super) const unsafe fn from_raw(start: NonNull<u8>, size: usize, tag: PoolTag) -> Self {
        Self {
            block: RawBlock { start, size, tag },
            call: PhantomData,
        }
    }

    pub(super) fn into_raw(self) -> NonNull<u8> {
        self.block.into_raw()
    }
}

impl fmt::Debug for LookasideBlock<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} bytes at {:p}",
            self.block.size, self.block.start
        )
    }
}
