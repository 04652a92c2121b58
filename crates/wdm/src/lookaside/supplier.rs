//! Where a lookaside list gets blocks that it does not have, and where it gives
//! those that it has no room for: `AllocateEx` and `FreeEx` of the reference.

use core::{alloc::Layout, cell::Cell, fmt, marker::PhantomData, ptr::NonNull};

use crate::pool::{Contents, Demand, Options, PoolTag, RawBlock, legacy::Pool};

/// Supplies a lookaside list. Both functions are called wherever blocks are taken
/// and freed, from several threads at once, at the IRQL of the caller: for a
/// nonpaged list up to `DISPATCH_LEVEL`.
///
/// ```no_run
/// # use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
/// # use wdm::lookaside::{Block, Request, Supplier};
/// struct AtMost(AtomicU32);
///
/// impl Supplier for AtMost {
///     fn supply<'c>(&self, request: Request<'c>) -> Option<Block<'c>> {
///         self.0.try_update(Relaxed, Relaxed, |left| left.checked_sub(1)).ok()?;
///         request.into_pool_block()
///     }
///
///     fn reclaim(&self, block: Block<'_>) {
///         drop(block);
///         self.0.fetch_add(1, Relaxed);
///     }
/// }
/// ```
pub trait Supplier: Send + Sync + 'static {
    /// Whether the list is given no routines, so that the kernel's own serve it and
    /// neither function is called.
    const IS_KERNEL: bool = false;

    /// A block for the list; `None` if there is none to be had.
    fn supply<'c>(&self, request: Request<'c>) -> Option<Block<'c>>;

    /// Takes a block back. Dropping it frees it.
    fn reclaim(&self, block: Block<'_>) {
        drop(block);
    }
}

/// Blocks come from pool and go there: what a list does that is given no routines.
#[derive(Clone, Copy, Debug)]
pub struct FromPool;

impl Supplier for FromPool {
    const IS_KERNEL: bool = true;

    fn supply<'c>(&self, request: Request<'c>) -> Option<Block<'c>> {
        request.into_pool_block()
    }
}

/// A request for one block of a list. It ends with the call, and so does the block
/// that comes of it: neither can be kept for another IRQL or another list.
pub struct Request<'c> {
    demand: Demand,
    /// Invariant, so that a block belongs to the call that it was made in.
    call: PhantomData<Cell<&'c ()>>,
}

impl<'c> Request<'c> {
    /// # Safety
    ///
    /// For paged pool the IRQL is `<= APC_LEVEL` during `'c`.
    pub(super) const unsafe fn new(layout: Layout, pool: Pool, tag: PoolTag) -> Self {
        Self {
            demand: Demand {
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
        self.demand.layout.size()
    }

    /// A block of the pool that the list is of, with its tag: `ExAllocatePool2`,
    /// or `ExAllocatePoolWithTag` where the kernel lacks it. `None` if no memory is
    /// left. IRQL: that of the call.
    #[must_use]
    pub fn into_pool_block(self) -> Option<Block<'c>> {
        // SAFETY: whoever made the request vouched for the IRQL.
        let taken = unsafe { RawBlock::take(self.demand, Contents::Uninitialised) };
        taken.ok().map(|(block, _)| Block {
            block,
            call: PhantomData,
        })
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Request for {} bytes", self.size())
    }
}

/// A block on its way into a list or out of one. Freed when dropped:
/// `ExFreePoolWithTag`.
pub struct Block<'c> {
    block: RawBlock,
    call: PhantomData<Cell<&'c ()>>,
}

impl Block<'_> {
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

impl fmt::Debug for Block<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} bytes at {:p}",
            self.block.size, self.block.start
        )
    }
}
