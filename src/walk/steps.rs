//! The steps that the walks have in common, each with its line in the log.

use core::alloc::Layout;

use wdm::{
    Error, Rejected, Status,
    mdl::{Described, ListsPages, Mdl, MdlFlags, NotLocked},
    pool::NonpagedBlock,
};

use crate::{
    parameters::Parameters,
    proof,
    report::{Address, Scope},
    tags,
};

/// Prints the flags of an MDL: four hexadecimal digits.
pub struct Flags(pub MdlFlags);

impl core::fmt::Display for Flags {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "flags={:#06x}", self.0.bits())
    }
}

/// Takes nonpaged pool, describes it with an MDL, and fills it.
pub fn prepare(parameters: &Parameters, scope: Scope) -> Result<Mdl<Described>, Status> {
    let block = allocate(parameters, scope)?;
    let mdl = describe(block, scope)?;
    proof::fill(mdl.block().memory());
    step!(scope, "fill bytes={}", mdl.block().size());
    Ok(mdl)
}

fn allocate(parameters: &Parameters, scope: Scope) -> Result<NonpagedBlock, Status> {
    let failed = |error: Error| scope.failed("allocate", &error);
    // A size that is no layout is one that no pool has either.
    let size = usize::try_from(parameters.size).unwrap_or(usize::MAX);
    let layout = Layout::array::<u8>(size).map_err(|_| {
        failed(Error::new(
            "ExAllocatePool2",
            Status::INSUFFICIENT_RESOURCES,
        ))
    })?;
    let block = NonpagedBlock::zeroed(layout, tags::WALKED_BLOCK).map_err(failed)?;
    step!(
        scope,
        "allocate address={} size={} tag={}",
        Address(block.address()),
        block.size(),
        block.tag(),
    );
    Ok(block)
}

fn describe(block: NonpagedBlock, scope: Scope) -> Result<Mdl<Described>, Status> {
    let mdl = Mdl::describe(block).map_err(|Rejected { error, returned }| {
        let status = scope.failed("describe", &error);
        free_pool(returned, scope);
        status
    })?;
    let header = mdl.header();
    step!(
        scope,
        "describe mdl={} size={} {} byte-count={} byte-offset={:#05x} start={}",
        Address(header.address),
        header.size,
        Flags(header.flags),
        header.byte_count,
        header.byte_offset,
        Address(header.start),
    );
    Ok(mdl)
}

/// Logs the page frame number of each page.
pub fn list_pages<S: ListsPages>(mdl: &Mdl<S>, scope: Scope) {
    for (index, frame) in mdl.frames().enumerate() {
        step!(scope, "page index={index} pfn={frame:#x}");
    }
}

/// Frees an MDL and then its pool.
pub fn free<S: NotLocked>(mdl: Mdl<S>, scope: Scope) {
    let address = mdl.header().address;
    let block = mdl.free();
    step!(scope, "free-mdl mdl={}", Address(address));
    free_pool(block, scope);
}

fn free_pool(block: NonpagedBlock, scope: Scope) {
    let (address, tag) = (block.address(), block.tag());
    drop(block);
    step!(scope, "free-pool address={} tag={tag}", Address(address));
}
