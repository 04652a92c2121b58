//! The walk that tutorials print, in plain windows-drivers-rs: nonpaged pool, an MDL
//! over it, a second mapping in system space, proof that both are the same memory.
//!
//! It is written as Microsoft's samples are, with raw bindings, to be compared with
//! `examples/safe-double-map`, which does the same with `wdm`. Step 4 breaks a rule: an MDL
//! that `MmBuildMdlForNonPagedPool` filled in must not be mapped into system space
//! again. The compiler accepts it and free builds of Windows run it.
//! docs/explanation/raw-and-safe.md sets both drivers side by side.

#![no_std]

extern crate alloc;
// Brings the panic handler.
use wdk_panic as _;

use alloc::vec::Vec;
use core::{ptr, slice};

use wdk::{nt_success, println};
use wdk_alloc::WdkAllocator;
use wdk_sys::{
    _MEMORY_CACHING_TYPE::MmCached,
    _MM_PAGE_PRIORITY::NormalPagePriority,
    _MODE::KernelMode,
    DRIVER_OBJECT, KPROCESSOR_MODE, MDL, NTSTATUS, PAGE_SIZE, PCUNICODE_STRING, PDRIVER_OBJECT,
    PFN_NUMBER, POOL_FLAG_NON_PAGED, PVOID, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS, ULONG,
    ntddk::{
        ExAllocatePool2, ExFreePoolWithTag, IoAllocateMdl, IoFreeMdl, MmBuildMdlForNonPagedPool,
        MmGetPhysicalAddress, MmMapLockedPagesSpecifyCache, MmUnmapLockedPages,
    },
};

/// What `Vec` allocates from. Only calls that can fail are used: the others panic
/// when pool is short.
#[global_allocator]
static GLOBAL_ALLOCATOR: WdkAllocator = WdkAllocator;

/// Bytes that are mapped twice: one page.
const BYTES: u32 = 0x1000;
/// The pool tag.
const TAG: ULONG = u32::from_ne_bytes(*b"RawW");
/// `KernelMode`, as functions take it.
#[expect(clippy::cast_possible_truncation, reason = "it is 0")]
const KERNEL_MODE: KPROCESSOR_MODE = KernelMode as KPROCESSOR_MODE;
/// `MdlMappingNoExecute`, which MinGW's headers do not define.
const MDL_MAPPING_NO_EXECUTE: ULONG = 0x4000_0000;

/// Walks, then stays loaded so that it can be unloaded.
///
/// # Safety
///
/// Called by the kernel, with its object for this driver and the path of the
/// service's key.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(
    driver: PDRIVER_OBJECT,
    _registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    // SAFETY: the kernel passes a valid driver object, which only this routine uses
    // until it returns.
    unsafe { (*driver).DriverUnload = Some(unload) };
    println!("raw-double-map: start");
    let status = allocate();
    println!("raw-double-map: end status={status:#010x}");
    if nt_success(status) {
        STATUS_SUCCESS
    } else {
        status
    }
}

/// Logs that the driver goes.
unsafe extern "C" fn unload(_driver: *mut DRIVER_OBJECT) {
    println!("raw-double-map: unload");
}

/// Step 1: takes the pool, and frees it behind the other steps.
fn allocate() -> NTSTATUS {
    // SAFETY: the IRQL is PASSIVE_LEVEL; size and tag are not zero.
    let pool = unsafe { ExAllocatePool2(POOL_FLAG_NON_PAGED, BYTES.into(), TAG) };
    if pool.is_null() {
        return failed("ExAllocatePool2");
    }
    println!("raw-double-map: allocate-pool address={pool:p} size={BYTES}");
    let status = describe(pool);
    // SAFETY: the block came from ExAllocatePool2 with this tag, and nothing refers
    // to it any more: `describe` has freed the MDL.
    unsafe { ExFreePoolWithTag(pool, TAG) };
    println!("raw-double-map: free-pool address={pool:p}");
    status
}

/// Step 2: describes the pool with an MDL, and frees the MDL behind the other steps.
fn describe(pool: PVOID) -> NTSTATUS {
    // SAFETY: the block is BYTES long. No IRP is involved, so none is passed.
    let mdl = unsafe { IoAllocateMdl(pool, BYTES, 0, 0, ptr::null_mut()) };
    if mdl.is_null() {
        return failed("IoAllocateMdl");
    }
    log_mdl("allocate-mdl", mdl);
    // SAFETY: the MDL describes nonpaged pool and is neither locked nor built.
    unsafe { MmBuildMdlForNonPagedPool(mdl) };
    log_mdl("build", mdl);
    let mut status = list_pages(mdl);
    if nt_success(status) {
        status = map(pool, mdl);
    }
    // SAFETY: `map` has undone its mapping; the MDL holds no lock.
    unsafe { IoFreeMdl(mdl) };
    println!("raw-double-map: free-mdl mdl={mdl:p}");
    status
}

/// Step 3: copies the page frame numbers and logs them.
fn list_pages(mdl: *mut MDL) -> NTSTATUS {
    let count = (BYTES / PAGE_SIZE) as usize;
    let mut frames: Vec<PFN_NUMBER> = Vec::new();
    if frames.try_reserve_exact(count).is_err() {
        return failed("ExAllocatePool2");
    }
    // SAFETY: the page frame numbers lie behind the MDL, one a page, and
    // MmBuildMdlForNonPagedPool has filled them in. Pool of this size is page-aligned,
    // so there are `count`.
    let listed = unsafe { slice::from_raw_parts(mdl.add(1).cast::<PFN_NUMBER>(), count) };
    // There is room: this allocates nothing.
    frames.extend_from_slice(listed);
    for (index, frame) in frames.iter().enumerate() {
        println!("raw-double-map: page index={index} pfn={frame:#x}");
    }
    STATUS_SUCCESS
}

/// Step 4: maps the pages a second time, and unmaps them behind the proof.
fn map(pool: PVOID, mdl: *mut MDL) -> NTSTATUS {
    // SAFETY: none of it is sound by the reference: the MDL was built for nonpaged
    // pool, and a second system mapping of such an MDL is undefined. It is what the
    // source document does, and what this driver shows; it runs where a test or a
    // person asked for it. On kernels without checks the call maps the pages at
    // another address, which `MmUnmapLockedPages` undoes.
    let second = unsafe {
        MmMapLockedPagesSpecifyCache(
            mdl,
            KERNEL_MODE,
            MmCached,
            ptr::null_mut(),
            0,
            NormalPagePriority as ULONG | MDL_MAPPING_NO_EXECUTE,
        )
    };
    if second.is_null() {
        return failed("MmMapLockedPagesSpecifyCache");
    }
    println!("raw-double-map: map address={second:p}");
    prove(pool.cast(), second.cast());
    // SAFETY: the address is that mapping's, and nobody uses it from here on.
    unsafe { MmUnmapLockedPages(second, mdl) };
    println!("raw-double-map: unmap address={second:p}");
    STATUS_SUCCESS
}

/// Step 5: writes through one address, reads through the other, both ways, and
/// compares the physical addresses.
fn prove(pool: *mut u8, second: *mut u8) {
    let forward = copies(pool, second, 0xA5);
    let backward = copies(second, pool, 0x3C);
    // SAFETY: the address is of nonpaged pool, which is resident.
    let here = unsafe { MmGetPhysicalAddress(pool.cast()) };
    // SAFETY: the address is of a mapping of resident pages.
    let there = unsafe { MmGetPhysicalAddress(second.cast()) };
    // SAFETY: every bit pattern is a value of this member.
    let (here, there) = unsafe { (here.QuadPart, there.QuadPart) };
    println!("raw-double-map: check forward={forward} backward={backward} of={BYTES}");
    println!("raw-double-map: physical pool={here:#x} second={there:#x}");
    let is_same = forward == BYTES && backward == BYTES && here == there && pool != second;
    let verdict = if is_same { "same-memory" } else { "different" };
    println!("raw-double-map: verdict={verdict}");
}

/// Writes `byte` and its successors through `to`; returns how many are read back
/// through `from`.
fn copies(to: *mut u8, from: *const u8, byte: u8) -> u32 {
    for (offset, value) in (0..BYTES as usize).zip((0..=u8::MAX).cycle()) {
        // SAFETY: `to` addresses BYTES bytes that only this driver uses. Volatile, for
        // the compiler does not know that another address is the same memory.
        unsafe { to.add(offset).write_volatile(value ^ byte) };
    }
    let mut equal = 0;
    for (offset, value) in (0..BYTES as usize).zip((0..=u8::MAX).cycle()) {
        // SAFETY: `from` addresses BYTES bytes that only this driver uses.
        let read = unsafe { from.add(offset).read_volatile() };
        equal += u32::from(read == value ^ byte);
    }
    equal
}

/// Logs the parts of an MDL that drivers may look at.
fn log_mdl(step: &str, mdl: *const MDL) {
    // SAFETY: IoAllocateMdl returned the MDL, and it is not freed yet.
    let header = unsafe { &*mdl };
    println!(
        "raw-double-map: {step} mdl={mdl:p} size={} flags={:#06x} byte-count={} byte-offset={:#x}",
        header.Size, header.MdlFlags, header.ByteCount, header.ByteOffset,
    );
}

/// Logs that a call failed which gives no reason; returns the status for it.
fn failed(function: &str) -> NTSTATUS {
    println!("raw-double-map: failed function={function}");
    STATUS_INSUFFICIENT_RESOURCES
}
