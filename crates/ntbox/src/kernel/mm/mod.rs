//! The memory manager: physical pages, the address spaces over them, pool, and
//! memory descriptor lists.

mod contiguous;
mod image;
pub mod lent;
pub mod locking;
pub mod mapping;
pub mod mdl;
mod mdl_pages;
pub mod owed;
pub mod paged;
pub mod paged_image;
pub mod phys;
pub mod pool;
mod pool_pages;
mod probe;
pub mod protection;
pub mod query;
mod reserved;
mod resident;
pub mod section;
mod secure;
pub mod segment;
pub mod space;
pub mod special;
pub mod user;
pub mod user_rules;
pub mod user_stack;
pub mod vad;
mod view;
mod virtual_memory;
mod virtual_query;
pub mod watched_user;

use phys::Physical;
use pool::Pools;
use space::{Area, Frames, Protection, Space, Use};

use super::call::Export;
use super::layout::{EXECUTABLE_POOL, NONPAGED_POOL, PAGE_SHIFT, PAGED_POOL, Zone};
use crate::kernel::exclusive::Exclusive;

/// All exports of the memory manager.
pub const TABLES: &[&[Export]] = &[
    contiguous::EXPORTS,
    mapping::EXPORTS,
    locking::EXPORTS,
    mdl::EXPORTS,
    mdl_pages::EXPORTS,
    probe::EXPORTS,
    query::EXPORTS,
    reserved::EXPORTS,
    resident::EXPORTS,
    section::EXPORTS,
    secure::EXPORTS,
    view::EXPORTS,
    virtual_memory::EXPORTS,
    virtual_query::EXPORTS,
];

/// Everything that the memory manager knows.
#[derive(Debug)]
pub struct Memory {
    /// Page frames.
    pub physical: Physical,
    /// Page tables.
    pub space: Space,
    /// The pools.
    pub pools: Pools,
    /// MDLs that something is owed for.
    pub mdls: mdl::Mdls,
    /// What processes have.
    pub users: user::Users,
    /// What is behind sections.
    pub segments: segment::Segments,
    /// Sections.
    pub sections: section::Sections,
    /// Views in system space: their segments by address.
    pub system_views: std::collections::BTreeMap<u64, u64>,
    /// Addresses reserved for mappings.
    reservations: reserved::Reservations,
    /// Pageable sections that are locked.
    locked_sections: resident::Locks,
    /// What drivers have to give back.
    debts: owed::Debts,
}

static MEMORY: Exclusive<Option<Memory>> = Exclusive::new(None);

/// Sets up memory. Once, before anything else.
///
/// # Errors
/// The host has not enough of it, or its address space, and what would help.
pub fn initialize() -> Result<(), String> {
    let mut memory = Memory {
        physical: Physical::new()?,
        space: Space::default(),
        pools: Pools::new(),
        mdls: mdl::Mdls::default(),
        users: user::Users::default(),
        segments: segment::Segments::default(),
        sections: section::Sections::default(),
        system_views: std::collections::BTreeMap::new(),
        reservations: reserved::Reservations::new(),
        locked_sections: resident::Locks::new(),
        debts: owed::Debts::new(),
    };
    let pools: [(Zone, u64, Use); 3] = [
        (NONPAGED_POOL, Physical::nonpaged_pool(), Use::NonPagedPool),
        (PAGED_POOL, Physical::paged_pool(), Use::PagedPool),
        (
            EXECUTABLE_POOL,
            Physical::executable_pool(),
            Use::NonPagedPool,
        ),
    ];
    for (zone, first, used_for) in pools {
        let area = Area {
            pages: zone.size >> PAGE_SHIFT,
            frames: Frames::Run(first),
            // Opened page by page as the pool grows.
            protection: Protection::NONE,
            used_for,
        };
        memory
            .space
            .map(&memory.physical, zone.base, area)
            .map_err(|_| {
                "the process has too little address space for the kernel's pools: `ulimit -v` must allow 4 GiB"
                    .to_owned()
            })?;
    }
    *MEMORY.lock() = Some(memory);
    Ok(())
}

/// Works on memory. The driver must not be called meanwhile.
pub fn with<T>(work: impl FnOnce(&mut Memory) -> T) -> T {
    let mut guard = MEMORY.lock();
    work(guard.get_or_insert_with(|| panic!("memory is used before it is set up")))
}

/// The same where waiting is not possible; `None` if memory is being worked on.
pub fn try_with<T>(work: impl FnOnce(&mut Memory) -> T) -> Option<T> {
    MEMORY.try_lock()?.as_mut().map(work)
}

impl Memory {
    /// Takes frames and maps them at `va`.
    pub fn map_new(
        &mut self,
        va: u64,
        pages: u64,
        protection: Protection,
        used_for: Use,
    ) -> Result<(), space::NoSpace> {
        let frames = self.physical.take(pages).ok_or(space::NoSpace)?;
        let area = Area {
            pages,
            frames: Frames::List(frames.clone()),
            protection,
            used_for,
        };
        let mapped = self.space.map(&self.physical, va, area);
        if mapped.is_err() {
            self.physical.give(&frames);
        }
        mapped
    }

    /// Unmaps an area and gives its frames back.
    pub fn unmap_and_release(&mut self, va: u64) {
        if let Some(Area {
            frames: Frames::List(frames),
            ..
        }) = self.space.unmap(va)
        {
            self.physical.give(&frames);
        }
    }
}
