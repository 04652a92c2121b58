//! The memory manager: physical pages, the address spaces over them, pool, and
//! memory descriptor lists.

pub mod force_irql;
pub mod force_irql_image;
pub mod module_list;
use ntbox_host::kernel_address_space;

use crate::base::leak_check::LeakCheck;
mod contiguous;
pub mod kernel_stack;
pub mod lent;
mod lock_pagable;
pub mod locking;
pub mod mapping;
mod mapping_address;
pub mod mdl;
mod mdl_pages;
pub mod pool;
mod pool_pages;
mod probe;
pub mod process_address_space;
pub mod query;
pub mod resource_ledger;
pub mod section_table;
pub mod segment;
pub mod special_pool;
pub mod user_stack;
pub mod vad;

use ntbox_host::gate::Export;
use ntbox_host::kernel_address_space::{Area, Frames, Protection, Space, Use};
use ntbox_host::kernel_cell::KernelCell;
use ntbox_host::memory_map::{EXECUTABLE_POOL, NONPAGED_POOL, PAGE_SHIFT, PAGED_POOL, Zone};
use ntbox_host::pfn::Physical;

use super::mm::pool::Pools;

/// The leak checks.
pub const LEAK_CHECKS: &[LeakCheck] = &[mdl::leaks, resource_ledger::leaks, pool::leaks];

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[
    contiguous::EXPORTS,
    lock_pagable::EXPORTS,
    locking::EXPORTS,
    mapping::EXPORTS,
    mapping_address::EXPORTS,
    mdl::EXPORTS,
    mdl_pages::EXPORTS,
    probe::EXPORTS,
    query::EXPORTS,
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
    pub users: process_address_space::ProcessAddressSpaces,
    /// What is behind sections.
    pub segments: segment::Segments,
    /// Sections.
    pub sections: section_table::Sections,
    /// Views in system space: their segments by address.
    pub system_views: std::collections::BTreeMap<u64, u64>,
    /// Addresses reserved for mappings.
    reservations: mapping_address::Reservations,
    /// Pageable sections that are locked.
    locked_sections: lock_pagable::Locks,
    /// What drivers have to give back.
    pub debts: resource_ledger::OutstandingResources,
}

static MEMORY: KernelCell<Option<Memory>> = KernelCell::new(None);

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
        users: process_address_space::ProcessAddressSpaces::default(),
        segments: segment::Segments::default(),
        sections: section_table::Sections::default(),
        system_views: std::collections::BTreeMap::new(),
        reservations: mapping_address::Reservations::new(),
        locked_sections: lock_pagable::Locks::new(),
        debts: resource_ledger::OutstandingResources::new(),
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
    ) -> Result<(), kernel_address_space::NoSpace> {
        let frames = self
            .physical
            .take(pages)
            .ok_or(kernel_address_space::NoSpace)?;
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
