//! Heaps of drivers (`RtlCreateHeap` and the others). On Windows a heap is memory
//! of the current process; here its blocks are paged pool, each by itself, so
//! that what is known of pool holds for them: overruns, use after free, and what
//! is left at unload. A heap in memory that the driver brings is refused.
//!
//! A heap is a block of pool with a list of its blocks, each of which has a
//! header in front of what the driver gets.

use nt_layout::{RtlHeap, RtlHeapBlock};
use nt_status::{STATUS_NO_MEMORY, STATUS_SUCCESS};
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::APC_LEVEL;
use ntbox_host::gate::{Call, NoReturn};
use ntbox_host::memory_map::PAGE_SIZE;

use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::{list_entry, log};
use crate::mm::pool::{PoolKind, Request};
use crate::{ex, mm};

type Heap = DriverPtr<RtlHeap>;
type Block = DriverPtr<RtlHeapBlock>;

const GROWABLE: u32 = 2;
const GENERATE_EXCEPTIONS: u32 = 4;
const ZERO_MEMORY: u32 = 8;
/// The largest block of a heap that does not grow.
const LARGEST: u64 = 0x7_f000;
/// Pages of a heap without a given size.
const PAGES: u64 = 64;
const SIGNATURE: u64 = u64::from_le_bytes(*b"RtlHeap\0");
const TAG: u32 = u32::from_le_bytes(*b"Heap");

fn allocate(call: &Call<'_>, size: u64, zeroed: bool) -> Option<u64> {
    let request = Request {
        kind: PoolKind::Paged,
        size,
        tag: TAG,
        zeroed,
        cache_aligned: false,
        caller: call.return_address(),
    };
    mm::with(|memory| memory.pools.allocate(request))
}

/// Whether an address is a heap.
fn is_heap(heap: Heap) -> Result<bool, Fault> {
    let known = mm::with(|memory| memory.pools.block(heap.address()).is_some());
    Ok(known && heap.get(|heap| &heap.signature)? == SIGNATURE)
}

/// The header of a block of a heap, if that is what an address is.
fn block_at(heap: Heap, address: u64) -> Result<Option<Block>, Fault> {
    let Some(block) = address.checked_sub(Block::SIZE) else {
        return Ok(None);
    };
    let known = is_heap(heap)? && mm::with(|memory| memory.pools.block(block).is_some());
    let block = Block::new(block);
    let owned = known && block.get(|block| &block.heap)? == heap.address();
    Ok(owned.then_some(block))
}

/// Removes a block from its heap and frees it.
fn release(call: &Call<'_>, heap: Heap, block: Block, function: &str) -> Result<(), NoReturn> {
    let size = block.get(|block| &block.size)?;
    let used = heap.get(|heap| &heap.used)?;
    heap.set(|heap| &heap.used, used.wrapping_sub(size))?;
    list_entry::remove(block.address())?;
    ex::pool::free(block.address(), None, call.return_address(), function)
}

/// Bytes of a block with its header, if the heap's limit allows them.
fn size_with_header(heap: Heap, size: u64) -> Result<Option<u64>, Fault> {
    let limit = heap.get(|heap| &heap.limit)?;
    let used = heap.get(|heap| &heap.used)?;
    let fits = limit == 0 || size <= LARGEST && used.saturating_add(size) <= limit;
    Ok(size.checked_add(Block::SIZE).filter(|_| fits))
}

exports! {
    /// `RtlCreateHeap`: NULL for memory of the caller, and for a heap without
    /// memory that may not grow.
    fn RtlCreateHeap<call>(
        flags: u32,
        base: u64,
        reserve: u64,
        commit: u64,
        lock: u64,
        parameters: u64,
    ) -> u64
        [max APC_LEVEL, ntifs, partial "blocks are paged pool, not memory of the process; none in memory of the caller"] fails 0 {
        if base != 0 {
            log::note("RtlCreateHeap was given memory for the heap; ntbox makes none there");
            return Ok(0);
        }
        let reserve = if reserve == 0 { commit } else { reserve };
        let limit = match (flags & GROWABLE != 0, reserve) {
            (true, _) => 0,
            (false, 0) => PAGES * PAGE_SIZE,
            (false, reserve) => reserve.checked_next_multiple_of(PAGE_SIZE).unwrap_or(u64::MAX),
        };
        let Some(at) = allocate(call, Heap::SIZE, true) else { return Ok(0) };
        let heap = Heap::new(at);
        list_entry::initialize(heap.at(|heap| &heap.blocks).address())?;
        heap.set(|heap| &heap.signature, SIGNATURE)?;
        heap.set(|heap| &heap.flags, flags)?;
        heap.set(|heap| &heap.limit, limit)?;
        Ok(at)
    }

    /// `RtlAllocateHeap`: NULL without memory, or `STATUS_NO_MEMORY` raised where
    /// that was asked for.
    fn RtlAllocateHeap<call>(heap: Heap, flags: u32, size: u64) -> u64 [max APC_LEVEL, ntifs] fails 0 {
        if !is_heap(heap)? {
            return Ok(0);
        }
        let flags = flags | heap.get(|heap| &heap.flags)?;
        let block = size_with_header(heap, size)?.and_then(|whole| allocate(call, whole, flags & ZERO_MEMORY != 0));
        let Some(block) = block else {
            if flags & GENERATE_EXCEPTIONS != 0 {
                return Err(NoReturn::raise(STATUS_NO_MEMORY));
            }
            return Ok(0);
        };
        let block = Block::new(block);
        list_entry::insert_tail(heap.address(), block.address())?;
        block.set(|block| &block.heap, heap.address())?;
        block.set(|block| &block.size, size)?;
        let used = heap.get(|heap| &heap.used)?;
        heap.set(|heap| &heap.used, used + size)?;
        Ok(block.next(1).address())
    }

    /// `RtlFreeHeap`: FALSE for what is no block of the heap. No block is no error.
    fn RtlFreeHeap<call>(heap: Heap, flags: u32, address: u64) -> bool [max APC_LEVEL, ntifs] {
        if address == 0 {
            return Ok(true);
        }
        let Some(block) = block_at(heap, address)? else { return Ok(false) };
        release(call, heap, block, "RtlFreeHeap")?;
        Ok(true)
    }

    /// `RtlSizeHeap`: all ones for what is no block of the heap.
    fn RtlSizeHeap(heap: Heap, flags: u32, address: u64) -> u64 [max APC_LEVEL, undocumented] {
        let block = block_at(heap, address)?;
        Ok(match block {
            Some(block) => block.get(|block| &block.size)?,
            None => u64::MAX,
        })
    }

    /// `RtlZeroHeap`: fills what is free with zeros; there is no such memory here.
    fn RtlZeroHeap(heap: Heap, flags: u32) -> u32 [max APC_LEVEL, undocumented] { Ok(STATUS_SUCCESS) }

    /// `RtlDestroyHeap`: with all its blocks. The heap, if it is none.
    fn RtlDestroyHeap<call>(heap: Heap) -> Heap [max APC_LEVEL, ntifs] {
        if !is_heap(heap)? {
            return Ok(heap);
        }
        loop {
            let block = list_entry::forward(heap.address())?;
            if block == heap.address() {
                break;
            }
            release(call, heap, Block::new(block), "RtlDestroyHeap")?;
        }
        heap.set(|heap| &heap.signature, 0)?;
        ex::pool::free(heap.address(), None, call.return_address(), "RtlDestroyHeap")?;
        Ok(Heap::new(0))
    }
}

#[cfg(test)]
mod tests {
    use ntbox_host::driver_mem;

    use super::*;
    use crate::rtl::scan;
    use crate::test_support::{address, call, value};

    /// Blocks of pool with the tag of heaps.
    fn blocks() -> usize {
        let owned = mm::with(|memory| memory.pools.owned_by_drivers());
        owned.iter().filter(|(_, block)| block.tag == TAG).count()
    }

    #[test]
    fn heap_destroy_frees_blocks() {
        let heap = value(RtlCreateHeap, &[u64::from(GROWABLE), 0, 0, 0, 0, 0]);
        let blocks_at_first = blocks();
        let taken: Vec<u64> = [0, 1, 100, 0x10_0000]
            .into_iter()
            .map(|size| value(RtlAllocateHeap, &[heap, ZERO_MEMORY.into(), size]))
            .collect();
        assert!(taken.iter().all(|at| *at != 0 && at % 16 == 0));
        for (at, size) in taken.iter().zip([0_u64, 1, 100, 0x10_0000]) {
            assert_eq!(value(RtlSizeHeap, &[heap, 0, *at]), size);
            let zeros = scan::bytes(*at, size).expect("it is there");
            assert!(zeros.iter().all(|byte| *byte == 0));
            driver_mem::fill(*at, 0x55, size).expect("it is there");
        }
        assert_eq!(value(RtlFreeHeap, &[heap, 0, taken[1]]), 1);
        assert_eq!(value(RtlFreeHeap, &[heap, 0, taken[1]]), 0);
        assert_eq!(value(RtlFreeHeap, &[heap, 0, 0]), 1);
        assert_eq!(value(RtlZeroHeap, &[heap, 0]), u64::from(STATUS_SUCCESS));
        assert_eq!(blocks(), blocks_at_first + 3);
        assert_eq!(value(RtlDestroyHeap, &[heap]), 0);
        assert_eq!(blocks(), blocks_at_first - 1);
        assert_eq!(value(RtlDestroyHeap, &[heap]), heap);
    }

    #[test]
    fn heap_block_of_other_heap_is_refused() {
        let heaps = [0, 1].map(|_| value(RtlCreateHeap, &[2, 0, 0, 0, 0, 0]));
        let block = value(RtlAllocateHeap, &[heaps[0], 0, 24]);
        let other = [0_u64; 8];
        for (heap, at) in [
            (heaps[1], block),
            (heaps[0], block + 16),
            (heaps[0], address(&other) + 0x20),
            (address(&other), block),
        ] {
            assert_eq!(value(RtlFreeHeap, &[heap, 0, at]), 0);
            assert_eq!(value(RtlSizeHeap, &[heap, 0, at]), u64::MAX);
        }
        for heap in heaps {
            value(RtlDestroyHeap, &[heap]);
        }
    }

    #[test]
    fn heap_not_growable_is_exhausted() {
        // No flag, 128 pages.
        let heap = value(RtlCreateHeap, &[0, 0, 128 * PAGE_SIZE, 0, 0, 0]);
        assert_eq!(value(RtlAllocateHeap, &[heap, 0, LARGEST + 1]), 0);
        let large = value(RtlAllocateHeap, &[heap, 0, LARGEST]);
        assert_ne!(large, 0);
        assert_eq!(value(RtlAllocateHeap, &[heap, 0, PAGE_SIZE + 1]), 0);
        let raised = call(
            RtlAllocateHeap,
            &[heap, GENERATE_EXCEPTIONS.into(), PAGE_SIZE + 1],
        );
        assert!(
            matches!(raised, Err(NoReturn::Raise(record)) if record.code == STATUS_NO_MEMORY),
            "an exception"
        );
        assert_eq!(value(RtlFreeHeap, &[heap, 0, large]), 1);
        assert_ne!(value(RtlAllocateHeap, &[heap, 0, PAGE_SIZE + 1]), 0);
        assert_eq!(value(RtlDestroyHeap, &[heap]), 0);
        let memory = [0_u64; 512];
        let refused = [0, address(&memory), 4096, 4096, 0, 0];
        assert_eq!(value(RtlCreateHeap, &refused), 0);
    }
}
