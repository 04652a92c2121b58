//! The memory manager: MDLs, mappings and pages.

use core::{ptr, slice};

use wdk_sys::{
    _LOCK_OPERATION::IoWriteAccess,
    _MEMORY_CACHING_TYPE::MmCached,
    LARGE_INTEGER, MDL, MDL_MAPPED_TO_SYSTEM_VA, MDL_PAGES_LOCKED, MDL_PARTIAL,
    MDL_SOURCE_IS_NONPAGED_POOL, NTSTATUS, PAGE_READONLY, PAGE_READWRITE, PMDL,
    POOL_FLAG_NON_PAGED, POOL_FLAG_PAGED, PVOID, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS,
    ntddk::{
        ExFreePool, IoAllocateMdl, IoBuildPartialMdl, IoFreeMdl,
        MmAllocateContiguousMemorySpecifyCache, MmAllocateMappingAddress, MmAllocatePagesForMdlEx,
        MmBuildMdlForNonPagedPool, MmFreeContiguousMemory, MmFreeMappingAddress,
        MmFreePagesFromMdl, MmGetPhysicalAddress, MmGetSystemRoutineAddress, MmIsAddressValid,
        MmMapLockedPagesSpecifyCache, MmMapLockedPagesWithReservedMapping, MmProbeAndLockPages,
        MmProtectMdlSystemAddress, MmSizeOfMdl, MmUnlockPages, MmUnmapLockedPages,
        MmUnmapReservedMapping,
    },
};

use crate::{
    check::{Case, Checks, Outcome},
    kernel::FALSE,
    owned::{Block, Finally, TAG},
};

pub const CASES: &[Case] = &[
    (c"Describe", describe),
    (c"Map", map),
    (c"Partial", partial),
    (c"Lock", lock),
    (c"Pages", pages),
    (c"Contiguous", contiguous),
    (c"Reserved", reserved),
    (c"Routines", routines),
];

/// Mapping may fail, at normal priority, and what is mapped is not code.
const PRIORITY: u32 = 16 | 0x4000_0000;

/// An MDL of `IoAllocateMdl`.
struct Description(PMDL);

impl Description {
    fn new(address: *mut u8, bytes: u32) -> Result<Self, NTSTATUS> {
        let (no, none) = (FALSE, ptr::null_mut());
        // SAFETY: the call only notes the addresses.
        let mdl = unsafe { IoAllocateMdl(address.cast(), bytes, no, no, none) };
        if mdl.is_null() {
            Err(STATUS_INSUFFICIENT_RESOURCES)
        } else {
            Ok(Self(mdl))
        }
    }

    /// Whether all of `flags` are set.
    fn has(&self, flags: u32) -> bool {
        // SAFETY: the MDL is there.
        let set = u32::from(unsafe { (*self.0).MdlFlags }.cast_unsigned());
        set & flags == flags
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        // SAFETY: what it describes is no longer locked or mapped.
        unsafe { IoFreeMdl(self.0) };
    }
}

/// Maps what an MDL describes into system space.
///
/// # Safety
///
/// Its pages are locked or from nonpaged pool, and the mapping is removed again.
unsafe fn map_pages(mdl: PMDL) -> Result<*mut u8, NTSTATUS> {
    // SAFETY: the caller sees to it.
    let address =
        unsafe { MmMapLockedPagesSpecifyCache(mdl, 0, MmCached, ptr::null_mut(), 0, PRIORITY) };
    if address.is_null() {
        Err(STATUS_INSUFFICIENT_RESOURCES)
    } else {
        Ok(address.cast())
    }
}

fn describe(checks: &mut Checks) -> Outcome {
    let block = Block::new(POOL_FLAG_NON_PAGED, 3 * 4096)?;
    let start = block.get::<u8>().wrapping_add(0x123);
    let mdl = Description::new(start, 2 * 4096)?;
    // SAFETY: the MDL is there, and describes nonpaged pool.
    unsafe {
        check!(
            checks,
            (*mdl.0).ByteOffset == 0x123 && (*mdl.0).ByteCount == 2 * 4096
        );
        check!(checks, (*mdl.0).StartVa.cast() == block.get::<u8>());
        check!(checks, (*mdl.0).Next.is_null());
        // Three pages, since it begins in the midst of one.
        check!(checks, MmSizeOfMdl(start.cast(), 2 * 4096) == 48 + 3 * 8);
        check!(
            checks,
            usize::from((*mdl.0).Size.cast_unsigned()) >= 48 + 3 * 8
        );
        check!(checks, !mdl.has(MDL_SOURCE_IS_NONPAGED_POOL));
        MmBuildMdlForNonPagedPool(mdl.0);
        check!(checks, mdl.has(MDL_SOURCE_IS_NONPAGED_POOL));
        check!(checks, (*mdl.0).MappedSystemVa == start.cast());
        let frames = slice::from_raw_parts(mdl.0.add(1).cast::<u64>(), 3);
        for (index, frame) in frames.iter().enumerate() {
            let page = block.get::<u8>().add(index * 4096);
            let physical = MmGetPhysicalAddress(page.cast()).QuadPart;
            check!(checks, physical.cast_unsigned() == frame << 12);
        }
    }
    Ok(())
}

fn map(checks: &mut Checks) -> Outcome {
    let block = Block::new(POOL_FLAG_NON_PAGED, 2 * 4096)?;
    let start = block.get::<u8>().wrapping_add(40);
    let mdl = Description::new(start, 4096)?;
    // SAFETY: the mapping is used while it is there, and removed before the MDL.
    unsafe {
        MmProbeAndLockPages(mdl.0, 0, IoWriteAccess);
        let _unlock = Finally(|| MmUnlockPages(mdl.0));
        let second = map_pages(mdl.0)?;
        check!(checks, second != start && second.addr() % 4096 == 40);
        start.write_volatile(0x11);
        check!(checks, second.read_volatile() == 0x11);
        second.add(4095).write_volatile(0x22);
        check!(checks, start.add(4095).read_volatile() == 0x22);
        MmUnmapLockedPages(second.cast(), mdl.0);
        check!(checks, MmIsAddressValid(second.cast()) == 0);
        check!(checks, MmIsAddressValid(start.cast()) != 0);
    }
    Ok(())
}

fn partial(checks: &mut Checks) -> Outcome {
    let block = Block::new(POOL_FLAG_NON_PAGED, 3 * 4096)?;
    let whole = Description::new(block.get(), 3 * 4096)?;
    let part = Description::new(block.get::<u8>().wrapping_add(4096), 100)?;
    // SAFETY: the part lies within the whole, which outlives it.
    unsafe {
        MmBuildMdlForNonPagedPool(whole.0);
        IoBuildPartialMdl(whole.0, part.0, block.get::<u8>().add(4096).cast(), 100);
        check!(checks, part.has(MDL_PARTIAL));
        check!(
            checks,
            (*part.0).ByteCount == 100 && (*part.0).ByteOffset == 0
        );
        let frames = |mdl: *mut MDL| mdl.add(1).cast::<u64>();
        check!(
            checks,
            frames(part.0).read() == frames(whole.0).add(1).read()
        );
    }
    Ok(())
}

fn lock(checks: &mut Checks) -> Outcome {
    let block = Block::new(POOL_FLAG_PAGED, 2 * 4096)?;
    let mdl = Description::new(block.get(), 2 * 4096)?;
    // SAFETY: paged pool can be locked; unlocking removes the mapping.
    unsafe {
        MmProbeAndLockPages(mdl.0, 0, IoWriteAccess);
        check!(checks, mdl.has(MDL_PAGES_LOCKED));
        let _unlock = Finally(|| MmUnlockPages(mdl.0));
        let second = map_pages(mdl.0)?;
        check!(checks, mdl.has(MDL_MAPPED_TO_SYSTEM_VA));
        second.add(5000).write_volatile(0x33);
        check!(checks, block.get::<u8>().add(5000).read_volatile() == 0x33);
    }
    check!(
        checks,
        !mdl.has(MDL_PAGES_LOCKED) && !mdl.has(MDL_MAPPED_TO_SYSTEM_VA)
    );
    Ok(())
}

/// A physical address, or a distance.
const fn physical(value: i64) -> LARGE_INTEGER {
    LARGE_INTEGER { QuadPart: value }
}

fn pages(checks: &mut Checks) -> Outcome {
    // SAFETY: any page will do; they are freed below.
    let mdl = unsafe {
        MmAllocatePagesForMdlEx(
            physical(0),
            physical(-1),
            physical(0),
            3 * 4096,
            MmCached,
            0,
        )
    };
    if mdl.is_null() {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    // SAFETY: the pages are no longer mapped then; the MDL is freed by itself.
    let _free = Finally(|| unsafe {
        MmFreePagesFromMdl(mdl);
        ExFreePool(mdl.cast());
    });
    // SAFETY: the mapping is removed before the pages are freed.
    unsafe {
        check!(checks, (*mdl).ByteCount > 0 && (*mdl).ByteCount <= 3 * 4096);
        check!(checks, (*mdl).ByteOffset == 0);
        let address = map_pages(mdl)?;
        let bytes = slice::from_raw_parts(address, (*mdl).ByteCount as usize);
        check!(checks, bytes.iter().all(|byte| *byte == 0));
        returns!(
            checks,
            MmProtectMdlSystemAddress(mdl, PAGE_READONLY),
            STATUS_SUCCESS
        );
        returns!(
            checks,
            MmProtectMdlSystemAddress(mdl, PAGE_READWRITE),
            STATUS_SUCCESS
        );
        address.write_volatile(1);
        MmUnmapLockedPages(address.cast(), mdl);
    }
    Ok(())
}

fn contiguous(checks: &mut Checks) -> Outcome {
    // SAFETY: any page will do; they are freed below.
    let memory: PVOID = unsafe {
        MmAllocateContiguousMemorySpecifyCache(
            4 * 4096,
            physical(0),
            physical(0xFFFF_FFFF),
            physical(0),
            MmCached,
        )
    };
    if memory.is_null() {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    // SAFETY: it is that long, and freed once.
    unsafe {
        let first = MmGetPhysicalAddress(memory).QuadPart;
        check!(
            checks,
            memory.addr().is_multiple_of(4096) && first % 4096 == 0
        );
        check!(checks, first + 4 * 4096 <= 1 << 32);
        for page in 1..4_u16 {
            let address = memory.wrapping_byte_add(usize::from(page) * 4096);
            check!(
                checks,
                MmGetPhysicalAddress(address).QuadPart == first + i64::from(page) * 4096
            );
        }
        MmFreeContiguousMemory(memory);
    }
    Ok(())
}

fn reserved(checks: &mut Checks) -> Outcome {
    let block = Block::new(POOL_FLAG_NON_PAGED, 4096)?;
    let mdl = Description::new(block.get(), 4096)?;
    // SAFETY: the addresses are freed below.
    let room = unsafe { MmAllocateMappingAddress(2 * 4096, TAG) };
    if room.is_null() {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    // SAFETY: nothing is mapped there any more then.
    let _free = Finally(|| unsafe { MmFreeMappingAddress(room, TAG) });
    // SAFETY: the room is as large as the pages, and the mapping is removed.
    unsafe {
        MmBuildMdlForNonPagedPool(mdl.0);
        let address = MmMapLockedPagesWithReservedMapping(room, TAG, mdl.0, MmCached);
        if address.is_null() {
            return Err(STATUS_INSUFFICIENT_RESOURCES);
        }
        check!(checks, address == room);
        address.cast::<u8>().write_volatile(0x44);
        check!(checks, block.get::<u8>().read_volatile() == 0x44);
        MmUnmapReservedMapping(room, TAG, mdl.0);
    }
    Ok(())
}

fn routines(checks: &mut Checks) -> Outcome {
    let mut known = unicode!("MmMapLockedPagesSpecifyCache");
    let mut unknown = unicode!("MmThereIsNoSuchRoutine");
    // SAFETY: the names live as long as the calls.
    unsafe {
        let found = MmGetSystemRoutineAddress(&raw mut known);
        check!(checks, !found.is_null());
        check!(
            checks,
            MmGetSystemRoutineAddress(&raw mut unknown).is_null()
        );
    }
    Ok(())
}

/// Unmaps what was never mapped.
pub fn unmap_nothing() {
    let Ok(block) = Block::new(POOL_FLAG_NON_PAGED, 4096) else {
        return;
    };
    let Ok(mdl) = Description::new(block.get(), 4096) else {
        return;
    };
    // SAFETY: there is no mapping; that is the mistake.
    unsafe {
        MmBuildMdlForNonPagedPool(mdl.0);
        MmUnmapLockedPages(block.get(), mdl.0);
    }
}
