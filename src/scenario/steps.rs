//! The steps that scenarios share. Each step logs one line.

use core::alloc::Layout;

use ntmem_ioctl::ScenarioStep;
use wdm::{
    Error, Rejected, Status,
    mdl::{BuiltForNonpaged, ListsPages, Mdl, MdlFlags, NotLocked, Unlocked},
    pool::NonpagedBlock,
};

use crate::{
    alias_check,
    log::Address,
    scenario::{Plan, Record},
    tags,
};

/// Prints the flags of an MDL: four hexadecimal digits.
pub struct Flags(pub MdlFlags);

impl core::fmt::Display for Flags {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "flags={:#06x}", self.0.bits())
    }
}

/// Allocates nonpaged pool and an MDL for it, and fills the block.
pub fn prepare(plan: &Plan, record: &mut Record) -> Result<Mdl<Unlocked>, Status> {
    let block = allocate_pool(plan, record)?;
    let mdl = allocate_mdl(block, record)?;
    alias_check::fill(mdl.block().memory());
    step!(record.scope, "fill bytes={}", mdl.block().size());
    record.done(ScenarioStep::Fill, Some(mdl.header().flags));
    Ok(mdl)
}

/// [`prepare`], then builds the MDL for nonpaged pool.
pub fn prepare_built(plan: &Plan, record: &mut Record) -> Result<Mdl<BuiltForNonpaged>, Status> {
    let mdl = prepare(plan, record)?.build_for_nonpaged_pool();
    list_pages(&mdl, ScenarioStep::Build, record);
    Ok(mdl)
}

fn allocate_pool(plan: &Plan, record: &mut Record) -> Result<NonpagedBlock, Status> {
    let mut failed = |error: Error| record.failed(ScenarioStep::AllocatePool, &error);
    let size = usize::try_from(plan.size).unwrap_or(usize::MAX);
    let layout = Layout::array::<u8>(size).map_err(|_| {
        failed(Error::new(
            "ExAllocatePool2",
            Status::INSUFFICIENT_RESOURCES,
        ))
    })?;
    let block = NonpagedBlock::zeroed(layout, tags::SCENARIO_BLOCK).map_err(failed)?;
    step!(
        record.scope,
        "allocate-pool address={} size={} tag={}",
        Address(block.address()),
        block.size(),
        block.tag(),
    );
    record.done(ScenarioStep::AllocatePool, None);
    Ok(block)
}

fn allocate_mdl(block: NonpagedBlock, record: &mut Record) -> Result<Mdl<Unlocked>, Status> {
    let mdl = Mdl::allocate(block).map_err(|Rejected { error, returned }| {
        let status = record.failed(ScenarioStep::AllocateMdl, &error);
        free_pool(returned, record);
        status
    })?;
    let header = mdl.header();
    step!(
        record.scope,
        "allocate-mdl mdl={} size={} {} byte-count={} byte-offset={:#05x} start={}",
        Address(header.address),
        header.size,
        Flags(header.flags),
        header.byte_count,
        header.byte_offset,
        Address(header.start),
    );
    record.mdl_allocated(&header);
    Ok(mdl)
}

/// Logs and records the page frame numbers that the MDL lists.
pub fn list_pages<S: ListsPages>(mdl: &Mdl<S>, step: ScenarioStep, record: &mut Record) {
    let (flags, pages) = (mdl.header().flags, mdl.frames().count());
    step!(
        record.scope,
        "{} {} pages={pages}",
        step.name(),
        Flags(flags)
    );
    for (index, frame) in mdl.frames().enumerate() {
        step!(record.scope, "page index={index} pfn={frame:#x}");
    }
    record.pages_listed(step, flags, pages);
}

/// Frees an MDL and then its pool.
pub fn free<S: NotLocked>(mdl: Mdl<S>, record: &mut Record) {
    let address = mdl.header().address;
    let block = mdl.free();
    step!(record.scope, "free-mdl mdl={}", Address(address));
    record.done(ScenarioStep::FreeMdl, None);
    free_pool(block, record);
}

fn free_pool(block: NonpagedBlock, record: &mut Record) {
    let (address, tag) = (block.address(), block.tag());
    drop(block);
    step!(
        record.scope,
        "free-pool address={} tag={tag}",
        Address(address)
    );
    record.done(ScenarioStep::FreePool, None);
}
