//! The steps that the walks have in common, each with its line in the log.

use core::alloc::Layout;

use ntmem_ioctl::WalkStage;
use wdm::{
    Error, Rejected, Status,
    mdl::{BuiltForNonpaged, ListsPages, Mdl, MdlFlags, NotLocked, Unlocked},
    pool::NonpagedBlock,
};

use crate::{
    proof,
    report::Address,
    tags,
    walk::{Journal, Plan},
};

/// Prints the flags of an MDL: four hexadecimal digits.
pub struct Flags(pub MdlFlags);

impl core::fmt::Display for Flags {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "flags={:#06x}", self.0.bits())
    }
}

/// Takes nonpaged pool, describes it with an MDL, and fills it.
pub fn prepare(plan: &Plan, journal: &mut Journal) -> Result<Mdl<Unlocked>, Status> {
    let block = allocate(plan, journal)?;
    let mdl = describe(block, journal)?;
    proof::fill(mdl.block().memory());
    step!(journal.scope, "fill bytes={}", mdl.block().size());
    journal.done(WalkStage::Fill, Some(mdl.header().flags));
    Ok(mdl)
}

/// Takes nonpaged pool, describes it with an MDL, fills it, and has the MDL list
/// the pages, which are nonpaged already.
pub fn prepare_built(plan: &Plan, journal: &mut Journal) -> Result<Mdl<BuiltForNonpaged>, Status> {
    let mdl = prepare(plan, journal)?.build_for_nonpaged_pool();
    list_pages(&mdl, WalkStage::Build, journal);
    Ok(mdl)
}

fn allocate(plan: &Plan, journal: &mut Journal) -> Result<NonpagedBlock, Status> {
    let mut failed = |error: Error| journal.failed(WalkStage::Allocate, &error);
    // A size that is no layout is one that no pool has either.
    let size = usize::try_from(plan.size).unwrap_or(usize::MAX);
    let layout = Layout::array::<u8>(size).map_err(|_| {
        failed(Error::new(
            "ExAllocatePool2",
            Status::INSUFFICIENT_RESOURCES,
        ))
    })?;
    let block = NonpagedBlock::zeroed(layout, tags::WALKED_BLOCK).map_err(failed)?;
    step!(
        journal.scope,
        "allocate address={} size={} tag={}",
        Address(block.address()),
        block.size(),
        block.tag(),
    );
    journal.done(WalkStage::Allocate, None);
    Ok(block)
}

fn describe(block: NonpagedBlock, journal: &mut Journal) -> Result<Mdl<Unlocked>, Status> {
    let mdl = Mdl::allocate(block).map_err(|Rejected { error, returned }| {
        let status = journal.failed(WalkStage::Describe, &error);
        free_pool(returned, journal);
        status
    })?;
    let header = mdl.header();
    step!(
        journal.scope,
        "describe mdl={} size={} {} byte-count={} byte-offset={:#05x} start={}",
        Address(header.address),
        header.size,
        Flags(header.flags),
        header.byte_count,
        header.byte_offset,
        Address(header.start),
    );
    journal.described(&header);
    Ok(mdl)
}

/// Logs that the MDL lists its pages, and the page frame number of each.
pub fn list_pages<S: ListsPages>(mdl: &Mdl<S>, stage: WalkStage, journal: &mut Journal) {
    let (flags, pages) = (mdl.header().flags, mdl.frames().count());
    step!(
        journal.scope,
        "{} {} pages={pages}",
        stage.name(),
        Flags(flags)
    );
    for (index, frame) in mdl.frames().enumerate() {
        step!(journal.scope, "page index={index} pfn={frame:#x}");
    }
    journal.listed(stage, flags, pages);
}

/// Frees an MDL and then its pool.
pub fn free<S: NotLocked>(mdl: Mdl<S>, journal: &mut Journal) {
    let address = mdl.header().address;
    let block = mdl.free();
    step!(journal.scope, "free-mdl mdl={}", Address(address));
    journal.done(WalkStage::FreeMdl, None);
    free_pool(block, journal);
}

fn free_pool(block: NonpagedBlock, journal: &mut Journal) {
    let (address, tag) = (block.address(), block.tag());
    drop(block);
    step!(
        journal.scope,
        "free-pool address={} tag={tag}",
        Address(address)
    );
    journal.done(WalkStage::FreePool, None);
}
