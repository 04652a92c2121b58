//! Pool: paged and nonpaged, in blocks with the placement that the reference
//! promises (16-byte alignment, a block of a page or less never crosses a page,
//! a larger one begins on a page).
//!
//! All bookkeeping is outside the driver's reach, so a driver that writes past
//! a block does not confuse the allocator. Bytes between the end of a block and
//! the next one hold a guard pattern that is checked when the block is freed.

use std::ops::Range;

use ntbox_api::rules;
use ntbox_api::{Guard, Verify, report};
use ntbox_host::kernel_address_space::Protection;
use ntbox_host::memory_map::{EXECUTABLE_POOL, NONPAGED_POOL, PAGE_SIZE, PAGED_POOL, Zone};
use ntbox_host::{driver_mem, kernel_entry};
use rustc_hash::FxHashMap;

use super::lent;
use super::pool_pages::Pool;
use super::special_pool::{InaccessibleRegion, NearbyBlock, Special};
use crate::base::leak_check::Leak;
use crate::base::stack_trace_db;
use crate::base::stack_trace_db::StackId;

/// What uninitialised memory is filled with.
pub const UNINITIALIZED: u8 = 0xbd;
/// What freed memory is filled with.
pub const FREED: u8 = 0xdf;
/// What follows a block up to the next one.
const GUARD: u8 = 0xa5;
/// Bytes kept behind every small block for the guard pattern.
const GUARD_BYTES: u64 = 16;
/// Largest request that shares a page with others.
const SMALL_LIMIT: u64 = PAGE_SIZE - GUARD_BYTES;

/// Which pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// Resident memory, to be touched at any IRQL.
    NonPaged,
    /// The same, and code may be put there.
    NonPagedExecute,
    /// Memory that may be paged out.
    Paged,
}

/// A block that is in use.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    /// Bytes asked for.
    pub size: u64,
    /// Pool tag, first character in the low byte.
    pub tag: u32,
    /// Which pool.
    pub kind: PoolKind,
    /// Address in the driver of the call that took it; 0 for the kernel's own.
    pub caller: u64,
    /// With which stack it was taken, if that was kept.
    pub stack: StackId,
    /// Whether the kernel took it for a driver, and frees it itself.
    pub lent: bool,
    /// Bytes that the block occupies, guard included.
    footprint: u64,
}

/// The call that freed a block.
#[derive(Debug, Clone, Copy)]
struct FreeRecord {
    tag: u32,
    caller: u64,
    taken: StackId,
    stack: StackId,
}

/// What is known of an address where a block is or was: one entry, because most
/// blocks are taken and freed again and again at the same few addresses.
#[derive(Debug, Clone, Copy)]
enum BlockRecord {
    Taken(Block),
    /// Until the address is used again.
    Freed(FreeRecord),
}

impl BlockRecord {
    fn taken(&self) -> Option<&Block> {
        match self {
            Self::Taken(block) => Some(block),
            Self::Freed(_) => None,
        }
    }
}

/// Why a block cannot be freed.
#[derive(Debug, Clone, Copy)]
pub enum BadFree {
    /// It was freed before, by the call at this address.
    Twice {
        /// The tag that it had.
        tag: u32,
        /// Who freed it.
        freed_by: u64,
    },
    /// Not the start of a block.
    NotPool,
}

/// Both pools and what is in use.
#[derive(Debug)]
pub struct Pools {
    nonpaged: Pool,
    executable: Pool,
    paged: Pool,
    /// Blocks, taken and freed, by their first byte.
    blocks: FxHashMap<u64, BlockRecord>,
    /// Where the driver's blocks are if it is watched.
    special: Vec<(PoolKind, Special)>,
    /// Bytes that drivers have, and may have.
    driver_bytes: u64,
    limit: Option<u64>,
}

/// A request for a block.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Which pool.
    pub kind: PoolKind,
    /// Bytes, not 0.
    pub size: u64,
    /// Pool tag.
    pub tag: u32,
    /// Whether it comes filled with zeros.
    pub zeroed: bool,
    /// Whether it begins on a cache line.
    pub cache_aligned: bool,
    /// Address in the driver of the call; 0 for the kernel's own blocks.
    pub caller: u64,
}

impl Pools {
    /// Empty pools over their zones.
    pub fn new() -> Self {
        Self {
            nonpaged: Pool::new(NONPAGED_POOL, Protection::READ_WRITE),
            executable: Pool::new(EXECUTABLE_POOL, Protection::ALL),
            paged: Pool::new(PAGED_POOL, Protection::READ_WRITE),
            blocks: FxHashMap::default(),
            special: Vec::new(),
            driver_bytes: 0,
            limit: None,
        }
    }

    /// Keeps the upper half of each pool for blocks with pages of their own if the
    /// driver is watched, and limits what drivers get. Before the first block.
    pub fn configure(&mut self, verify: Verify, guard: Guard, limit: Option<u64>) {
        self.limit = limit;
        if verify == Verify::Off {
            return;
        }
        for kind in [
            PoolKind::NonPaged,
            PoolKind::NonPagedExecute,
            PoolKind::Paged,
        ] {
            let pool = self.pool(kind);
            let half = pool.zone.size / 2;
            let upper = Zone {
                base: pool.zone.base + half,
                size: half,
            };
            pool.zone.size = half;
            let at_start = guard == Guard::Before;
            let special = Special::new(kind, upper, pool.protection, at_start);
            self.special.push((kind, special));
        }
    }

    fn special(&self, va: u64) -> Option<&Special> {
        let mut all = self.special.iter().map(|(_, special)| special);
        all.find(|special| special.contains(va))
    }

    /// Takes a block of the special pool; `None` if there is none or it is used up.
    fn take_special(&mut self, request: Request, block: &Block) -> Option<u64> {
        if block.caller == 0 && !block.lent {
            return None;
        }
        let mut all = self.special.iter_mut();
        let (_, special) = all.find(|(kind, _)| *kind == request.kind)?;
        let unit = if request.cache_aligned { 64 } else { 16 };
        let name = if block.lent {
            lent::name(block.tag)
        } else {
            "block"
        };
        special.take(request.size, unit, block.stack, name)
    }

    fn pool(&mut self, kind: PoolKind) -> &mut Pool {
        match kind {
            PoolKind::NonPaged => &mut self.nonpaged,
            PoolKind::NonPagedExecute => &mut self.executable,
            PoolKind::Paged => &mut self.paged,
        }
    }

    /// Takes a block; `None` when the pool is used up.
    pub fn allocate(&mut self, request: Request) -> Option<u64> {
        self.take(request, stack_trace_db::current(request.caller), false)
    }

    /// The same for what the kernel lends a driver, by the call that returns to
    /// `caller`.
    pub fn lend(&mut self, request: Request, caller: u64) -> Option<u64> {
        self.take(request, stack_trace_db::current(caller), true)
    }

    fn take(&mut self, request: Request, stack: StackId, lent: bool) -> Option<u64> {
        let Request {
            kind,
            size,
            tag,
            caller,
            ..
        } = request;
        let of_driver = if caller == 0 { 0 } else { size };
        let limit = self.limit.unwrap_or(u64::MAX);
        if of_driver > limit.saturating_sub(self.driver_bytes) {
            return None;
        }
        let fill = if request.zeroed { 0 } else { UNINITIALIZED };
        let block = Block {
            size,
            tag,
            kind,
            caller,
            stack,
            lent,
            footprint: size,
        };
        if let Some(va) = self.take_special(request, &block) {
            driver_mem::fill(va, fill, size).ok()?;
            self.note_taken(va, block);
            return Some(va);
        }
        let footprint = if size <= SMALL_LIMIT {
            let unit = if request.cache_aligned { 64 } else { 16 };
            let wanted = (size + GUARD_BYTES).next_multiple_of(unit);
            if wanted > SMALL_LIMIT {
                PAGE_SIZE
            } else {
                wanted
            }
        } else {
            size.checked_next_multiple_of(PAGE_SIZE)?
        };
        let va = self.pool(kind).take(footprint)?;
        self.note_taken(va, Block { footprint, ..block });
        let filled = driver_mem::fill(va, fill, size)
            .and_then(|()| driver_mem::fill(va + size, GUARD, footprint - size));
        filled.ok().map(|()| va)
    }

    fn note_taken(&mut self, va: u64, block: Block) {
        self.blocks.insert(va, BlockRecord::Taken(block));
        if block.caller != 0 {
            self.driver_bytes += block.size;
        }
    }

    /// What an address is that cannot be accessed, if special pool is there.
    pub fn special_place(&self, va: u64) -> Option<InaccessibleRegion> {
        self.special(va)?.place(va)
    }

    /// Makes the freed block of special pool inaccessible that an address lies in.
    pub fn protect_freed(&mut self, va: u64) {
        let mut all = self.special.iter_mut();
        if let Some((_, special)) = all.find(|(_, special)| special.contains(va)) {
            special.protect_freed(va);
        }
    }

    /// The block of special pool that a range lies beside, on its pages, and its tag.
    pub fn left_block(&self, range: &Range<u64>) -> Option<(NearbyBlock, u32)> {
        let near = self.special(range.start)?.left_block(range)?;
        let tag = self.block(near.block).map_or(0, |block| block.tag);
        Some((near, tag))
    }

    /// With which stacks the block at or beside an address was taken and freed.
    pub fn history(&self, va: u64) -> Option<(StackId, StackId)> {
        if let Some(special) = self.special(va) {
            return special.history(va);
        }
        if let Some(BlockRecord::Freed(was)) = self.blocks.get(&va) {
            return Some((was.taken, was.stack));
        }
        self.block_around(va).map(|(_, block)| (block.stack, 0))
    }

    /// The block that begins at an address.
    pub fn block(&self, va: u64) -> Option<&Block> {
        self.blocks.get(&va)?.taken()
    }

    /// All blocks that are in use, with their starts.
    fn taken(&self) -> impl Iterator<Item = (u64, &Block)> {
        let all = self.blocks.iter();
        all.filter_map(|(start, known)| Some((*start, known.taken()?)))
    }

    /// The block that holds an address, with its start.
    pub fn block_around(&self, va: u64) -> Option<(u64, &Block)> {
        self.taken()
            .find(|(start, block)| va >= *start && va - start < block.footprint)
    }

    /// Whether the page of an address is in use by a pool.
    pub fn holds(&self, va: u64) -> bool {
        if let Some(special) = self.special(va) {
            return special.holds(va);
        }
        [&self.nonpaged, &self.executable, &self.paged]
            .into_iter()
            .any(|pool| {
                let page = va.wrapping_sub(pool.zone.base) / PAGE_SIZE;
                pool.zone.contains(va)
                    && page < pool.next
                    && pool
                        .runs
                        .range(..=page)
                        .next_back()
                        .is_none_or(|(first, length)| page - first >= *length)
            })
    }

    /// Whether a block begins here that was freed.
    pub fn is_freed(&self, va: u64) -> bool {
        matches!(self.blocks.get(&va), Some(BlockRecord::Freed(_)))
    }

    /// Why `va` cannot be freed.
    pub fn bad_free(&self, va: u64) -> BadFree {
        match self.blocks.get(&va) {
            Some(BlockRecord::Freed(was)) => BadFree::Twice {
                tag: was.tag,
                freed_by: was.caller,
            },
            _ => BadFree::NotPool,
        }
    }

    /// First byte behind a block that no longer holds the guard pattern; in special
    /// pool one before it, too.
    pub fn damage(&self, va: u64) -> Option<u64> {
        let block = self.block(va)?;
        if let Some(special) = self.special(va) {
            return special.damage(va);
        }
        (va + block.size..va + block.footprint).find(|at| driver_mem::read_u8(*at) != Ok(GUARD))
    }

    /// Gives a block back, whoever took it.
    pub fn free(&mut self, va: u64, caller: u64) -> Option<Block> {
        let known = self.blocks.get_mut(&va)?;
        let block = *known.taken()?;
        let freed = FreeRecord {
            tag: block.tag,
            caller,
            taken: block.stack,
            stack: stack_trace_db::current(caller),
        };
        *known = BlockRecord::Freed(freed);
        if block.caller != 0 {
            self.driver_bytes = self.driver_bytes.saturating_sub(block.size);
        }
        let mut all = self.special.iter_mut().map(|(_, special)| special);
        if let Some(special) = all.find(|special| special.contains(va)) {
            special.give(va, freed.stack);
            return Some(block);
        }
        // The zone is mapped read-write as far as blocks reach.
        let _ = driver_mem::fill(va, FREED, block.size);
        self.pool(block.kind).give(va, block.footprint);
        Some(block)
    }

    /// Blocks that a driver took and did not free, by address.
    pub fn owned_by_drivers(&self) -> Vec<(u64, Block)> {
        let mut list: Vec<_> = self
            .taken()
            .filter(|(_, block)| block.caller != 0)
            .map(|(va, block)| (va, *block))
            .collect();
        list.sort_unstable_by_key(|(va, _)| *va);
        list
    }
}

/// Blocks that drivers have not freed.
pub fn leaks() -> Vec<Leak> {
    let blocks = super::with(|memory| memory.pools.owned_by_drivers());
    let leak = |(va, block): (u64, Block)| {
        let kind = match block.kind {
            PoolKind::NonPaged | PoolKind::NonPagedExecute => "nonpaged",
            PoolKind::Paged => "paged",
        };
        let message = format!(
            "{} bytes of {kind} pool at {va:#018x}, tag '{}', are not freed",
            block.size,
            tag_text(block.tag)
        );
        let history = stack_trace_db::past("allocated", block.stack);
        Leak {
            history: history.into_iter().collect(),
            ..Leak::new(rules::POOL_LEAK, message, block.caller)
        }
    };
    blocks.into_iter().map(leak).collect()
}

/// Takes a block for the kernel itself, zeroed; `None` when the pool is used up.
pub fn allocate(kind: PoolKind, size: u64, tag: u32) -> Option<u64> {
    let request = Request {
        kind,
        size: size.max(1),
        tag,
        zeroed: true,
        cache_aligned: false,
        caller: 0,
    };
    super::with(|memory| memory.pools.allocate(request))
}

/// Frees a block of the kernel itself. The system stops if it is none.
pub fn free(va: u64) {
    free_by(va, 0);
}

/// The same by the driver's call that returns to `caller`.
pub fn free_by(va: u64, caller: u64) {
    if super::with(|memory| memory.pools.free(va, caller)).is_none() {
        let what =
            format!("the kernel was to free {va:#018x}, which is not the start of a pool block");
        kernel_entry::bug_check(0xc2, [0x46, va, 0, 0], what, None);
    }
}

/// A tag as its four characters.
pub fn tag_text(tag: u32) -> String {
    tag.to_le_bytes()
        .iter()
        .map(|byte| {
            if (0x20..0x7f).contains(byte) {
                char::from(*byte)
            } else {
                '.'
            }
        })
        .collect()
}
/// What happened to the pool block that the first of these addresses lies in or
/// next to.
pub fn history_of_memory(addresses: &[u64]) -> Vec<report::HistoryEntry> {
    if !stack_trace_db::is_on() {
        return Vec::new();
    }
    let stacks = super::try_with(|memory| {
        let mut found = addresses.iter();
        found.find_map(|va| memory.pools.history(*va))
    });
    let (taken, freed) = stacks.flatten().unwrap_or_default();
    let all = [
        stack_trace_db::past("allocated", taken),
        stack_trace_db::past("freed", freed),
    ];
    all.into_iter().flatten().collect()
}
