//! Lookaside lists: nonpaged, paged, and one with an allocator that counts its calls.

use core::sync::atomic::{AtomicU32, Ordering};

use ntmem_ioctl::LookasideReply;
use wdm::{
    Result,
    irql::Passive,
    lookaside::{
        BlockRequest, LookasideAllocator, LookasideBlock, LookasideList, PagedLookasideList,
        PoolAllocator,
    },
    pool::PoolUsage,
};

use super::status_of;
use crate::tags::SELFTEST;

/// A value whose type asks for more than a list can give.
#[repr(align(64))]
struct TooWide(#[expect(dead_code, reason = "its alignment is what counts")] [u8; 1]);

/// Supplies so many blocks, and counts.
struct AtMost {
    left: AtomicU32,
    supplied: AtomicU32,
    refused: AtomicU32,
    reclaimed: &'static AtomicU32,
}

/// Outlives the list, whose deletion gives blocks back. Counted up only; each
/// exercise looks at the difference.
static RECLAIMED: AtomicU32 = AtomicU32::new(0);

impl LookasideAllocator for AtMost {
    fn allocate<'c>(&self, request: BlockRequest<'c>) -> Option<LookasideBlock<'c>> {
        let counted = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        if counted.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let block = request.allocate_from_pool()?;
        self.supplied.fetch_add(1, Ordering::Relaxed);
        Some(block)
    }

    fn free(&self, block: LookasideBlock<'_>) {
        self.reclaimed.fetch_add(1, Ordering::Relaxed);
        drop(block);
    }
}

wdm::pageable! { passive:
    /// Uses lookaside lists of every kind.
    pub fn lookaside(passive: &Passive) -> Result<LookasideReply> {
        let mut reply = LookasideReply {
            held_before: PoolUsage::current().outstanding(),
            ..LookasideReply::default()
        };
        nonpaged(&mut reply, passive)?;
        paged(&mut reply, passive)?;
        supplied(&mut reply, passive)?;
        let refused = LookasideList::<TooWide>::new(SELFTEST, PoolAllocator, passive);
        reply.too_wide_status = status_of(&refused);
        reply.held_after = PoolUsage::current().outstanding();
        Ok(reply)
    }
}

fn nonpaged(reply: &mut LookasideReply, passive: &Passive) -> Result<()> {
    let list = LookasideList::<u64>::new(SELFTEST, PoolAllocator, passive)?;
    {
        let take = |number| list.allocate(number).map_err(|rejected| rejected.error);
        let values = [
            take(0)?,
            take(1)?,
            take(2)?,
            take(3)?,
            take(4)?,
            take(5)?,
            take(6)?,
            take(7)?,
        ];
        reply.sum = values.iter().map(|value| **value).sum();
    }
    let address = |number| {
        let value = list.allocate(number).map_err(|rejected| rejected.error)?;
        Ok(core::ptr::from_ref(&*value).addr())
    };
    let (once, again) = (address(8)?, address(9)?);
    reply.last_first = (once == again).into();
    let counts = list.statistics();
    reply.taken = counts.total_allocates.into();
    reply.take_misses = counts.allocate_misses.into();
    reply.freed = counts.total_frees.into();
    reply.free_misses = counts.free_misses.into();
    reply.depth = counts.depth.into();
    list.flush();
    reply.flushed_depth = list.statistics().depth.into();
    Ok(())
}

fn paged(reply: &mut LookasideReply, passive: &Passive) -> Result<()> {
    let list = PagedLookasideList::<u64>::new(SELFTEST, PoolAllocator, passive)?;
    for number in 0..8 {
        let mut value = list
            .allocate(0, passive)
            .map_err(|rejected| rejected.error)?;
        *value = number;
        reply.paged_sum = reply.paged_sum.saturating_add(*value);
    }
    let counts = list.statistics();
    reply.paged_taken = counts.total_allocates.into();
    reply.paged_take_misses = counts.allocate_misses.into();
    Ok(())
}

fn supplied(reply: &mut LookasideReply, passive: &Passive) -> Result<()> {
    let before = RECLAIMED.load(Ordering::Relaxed);
    let allocator = AtMost {
        left: AtomicU32::new(2),
        supplied: AtomicU32::new(0),
        refused: AtomicU32::new(0),
        reclaimed: &RECLAIMED,
    };
    let list = LookasideList::<[u64; 5], AtMost>::new(SELFTEST, allocator, passive)?;
    {
        let first = list.allocate([1; 5]).map_err(|rejected| rejected.error)?;
        let second = list.allocate([2; 5]).map_err(|rejected| rejected.error)?;
        let third = list.allocate([3; 5]).map_err(|rejected| rejected.error);
        reply.refused_status = status_of(&third);
        drop((first, second));
    }
    // From what came back, so that nobody is asked.
    drop(list.allocate([4; 5]).map_err(|rejected| rejected.error)?);
    reply.supplied = list.allocator().supplied.load(Ordering::Relaxed).into();
    reply.refused = list.allocator().refused.load(Ordering::Relaxed).into();
    drop(list);
    let reclaimed = RECLAIMED.load(Ordering::Relaxed).wrapping_sub(before);
    reply.reclaimed = reclaimed.into();
    Ok(())
}
