//! The walk of `examples/raw-double-map` in safe Rust: nonpaged pool, an MDL over it, a
//! second mapping in system space, proof that both are the same memory.
//!
//! The steps and the log are the same but for step 3: `wdm` has no safe function that
//! maps an MDL of nonpaged pool again, so the pages are locked, which Windows allows.
//! docs/explanation/raw-and-safe.md sets both drivers side by side.

#![no_std]

use core::alloc::Layout;

// Brings the panic handler, which nothing in the release image can reach.
use wdk_panic as _;
use wdm::{
    Error, Rejected, Status,
    debug::Level,
    driver::{Context, Driver},
    irql::Passive,
    map::CacheType,
    mdl::{ListsPages, Locked, Mdl},
    memory::SharedBytes,
    pool::{NonpagedBlock, PoolTag},
};

/// Bytes that are mapped twice: one page.
const PAGE: Layout = Layout::new::<[u8; 0x1000]>();
/// The pool tag.
const TAG: PoolTag = wdm::pool_tag!(b"Safe");

/// Prints a line at the level that Windows shows by default.
macro_rules! println {
    ($($argument:tt)+) => { wdm::log!(Level::Error, $($argument)+) };
}

wdm::driver!(SafeDoubleMap);

/// The driver between its start and its unloading.
struct SafeDoubleMap;

impl Driver for SafeDoubleMap {
    fn start(_: &Context<'_>, _: &mut Passive) -> Result<Self, Status> {
        println!("safe-double-map: start");
        let result = walk();
        let status = result.err().unwrap_or(Status::SUCCESS);
        println!("safe-double-map: end status={:#010x}", status.code());
        result.map(|()| Self)
    }

    fn stop(self, _: &mut Passive) {
        println!("safe-double-map: unload");
    }
}

/// All steps. What one of them takes is given back when its value goes.
fn walk() -> Result<(), Status> {
    let block = NonpagedBlock::zeroed(PAGE, TAG).map_err(|error| failed(&error))?;
    let pool = block.address();
    println!(
        "safe-double-map: allocate-pool address={pool:#x} size={}",
        block.size()
    );
    let mdl = Mdl::allocate(block).map_err(|rejected| failed(&rejected.error))?;
    log_mdl("allocate-mdl", &mdl);
    let mdl = mdl
        .lock()
        .map_err(|Rejected { error, returned: _ }| failed(&error))?;
    log_mdl("lock", &mdl);
    list_pages(&mdl);
    map(&mdl)?;
    let mdl = mdl.unlock();
    let address = mdl.header().address;
    let block = mdl.free();
    println!("safe-double-map: free-mdl mdl={address:#x}");
    drop(block);
    println!("safe-double-map: free-pool address={pool:#x}");
    Ok(())
}

/// Maps the pages a second time, and unmaps them behind the proof.
fn map(mdl: &Mdl<Locked>) -> Result<(), Status> {
    let mapping = mdl.map(CacheType::Cached).map_err(|error| failed(&error))?;
    let second = mapping.memory().address();
    println!("safe-double-map: map address={second:#x}");
    prove(mdl.block().memory(), mapping.memory());
    mapping.unmap();
    println!("safe-double-map: unmap address={second:#x}");
    Ok(())
}

/// Writes through one address, reads through the other, both ways, and compares the
/// physical addresses.
fn prove(pool: SharedBytes<'_>, second: SharedBytes<'_>) {
    let forward = copies(pool, second, 0xA5);
    let backward = copies(second, pool, 0x3C);
    let (here, there) = (pool.physical_address(), second.physical_address());
    let bytes = pool.len();
    println!("safe-double-map: check forward={forward} backward={backward} of={bytes}");
    println!("safe-double-map: physical pool={here:#x} second={there:#x}");
    let is_same = forward == bytes
        && backward == bytes
        && here == there
        && pool.address() != second.address();
    let verdict = if is_same { "same-memory" } else { "different" };
    println!("safe-double-map: verdict={verdict}");
}

/// Writes a pattern of `byte` through `to`; returns how many bytes are read back
/// through `from`.
fn copies(to: SharedBytes<'_>, from: SharedBytes<'_>, byte: u8) -> usize {
    let pattern: [u8; 256] = core::array::from_fn(|index| index.to_le_bytes()[0] ^ byte);
    for chunk in to.chunks(pattern.len()) {
        let _ = chunk.copy_from(&pattern);
    }
    let chunks = from.chunks(pattern.len());
    chunks.map(|chunk| chunk.count_equal(&pattern)).sum()
}

/// Logs the page frame numbers, which the MDL lists once its pages are locked.
fn list_pages<S: ListsPages>(mdl: &Mdl<S>) {
    for (index, frame) in mdl.frames().enumerate() {
        println!("safe-double-map: page index={index} pfn={frame:#x}");
    }
}

/// Logs the parts of an MDL that drivers may look at.
fn log_mdl<S>(step: &str, mdl: &Mdl<S>) {
    let header = mdl.header();
    println!(
        "safe-double-map: {step} mdl={:#x} size={} flags={:#06x} byte-count={} byte-offset={:#x}",
        header.address,
        header.size,
        header.flags.bits(),
        header.byte_count,
        header.byte_offset,
    );
}

/// Logs which call failed; returns its status.
fn failed(error: &Error) -> Status {
    println!("safe-double-map: failed function={}", error.call());
    error.status()
}
