//! Queries the address space of a process: the regions, not their contents.
//!
//! Only newer kernels export `ZwQueryVirtualMemory` to drivers, so it is looked up by name.

use core::{
    ffi::c_void,
    marker::PhantomData,
    mem::{offset_of, transmute},
    ptr::{null_mut, without_provenance_mut},
};

use wdk_sys::{
    HANDLE, NTSTATUS, OBJ_KERNEL_HANDLE,
    ntddk::{ObOpenObjectByPointer, ZwClose},
};

use super::Process;
use crate::{Error, Result, Status, irql::Passive, system::routine_address, utf16};

const CALL: &str = "ZwQueryVirtualMemory";

/// `ZwQueryVirtualMemory`.
type Query =
    unsafe extern "system" fn(HANDLE, *mut c_void, i32, *mut c_void, usize, *mut usize) -> NTSTATUS;

/// `MemoryBasicInformation`.
const BASIC_INFORMATION: i32 = 0;

/// `PROCESS_QUERY_INFORMATION`.
const QUERY_INFORMATION: u32 = 0x400;

/// The first address that no process has on x64, whatever the kernel: user mode's
/// half of the addresses that a processor takes.
const USER_END: usize = 1 << 47;

/// `MEMORY_BASIC_INFORMATION` of 64 bits.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct BasicInformation {
    base: usize,
    allocation_base: usize,
    allocation_protection: u32,
    /// A number of Windows 10, and padding before it.
    partition: u32,
    size: usize,
    state: u32,
    protection: u32,
    kind: u32,
    padding: u32,
}

// The layout that the reference gives.
const _: () = assert!(size_of::<BasicInformation>() == 0x30);
const _: () = assert!(offset_of!(BasicInformation, size) == 0x18);
const _: () = assert!(offset_of!(BasicInformation, kind) == 0x28);

/// A run of pages of a process with everything in common. The numbers are those of
/// `MEMORY_BASIC_INFORMATION`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// Where the allocation begins that it is of.
    pub allocation_base: usize,
    /// Its first address.
    pub base: usize,
    /// Its bytes; not 0.
    pub size: usize,
    /// `MEM_COMMIT`, `MEM_RESERVE` or `MEM_FREE`.
    pub state: u32,
    /// `MEM_PRIVATE`, `MEM_MAPPED` or `MEM_IMAGE`.
    pub kind: u32,
    /// A `PAGE_…`.
    pub protection: u32,
    /// That of the allocation.
    pub allocation_protection: u32,
}

/// The address space of a process, open for questions; closed when dropped:
/// `ZwClose`.
///
/// ```no_run
/// # use wdm::process::{AddressSpace, Process};
/// # fn example(id: usize, passive: &mut wdm::irql::Passive) -> wdm::Result<()> {
/// let process = Process::by_id(id, passive)?;
/// let space = AddressSpace::open(&process, passive)?;
/// let first = space.region(0)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AddressSpace<'p> {
    handle: HANDLE,
    query: Query,
    /// What is closed has to be closed at the level that this was opened at.
    passive: PhantomData<&'p Passive>,
}

impl<'p> AddressSpace<'p> {
    /// Opens that of a process: `ObOpenObjectByPointer`.
    ///
    /// IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_NOT_SUPPORTED`: the kernel does not export
    ///   `ZwQueryVirtualMemory`.
    /// * The status of `ObOpenObjectByPointer`.
    pub fn open(process: &Process, passive: &'p Passive) -> Result<Self> {
        let query = routine_address(utf16!("ZwQueryVirtualMemory"), passive)
            .ok_or(Error::new(CALL, Status::NOT_SUPPORTED))?;
        // SAFETY: the address is that of the kernel's export of this name, whose
        // reference page gives this signature; code addresses never change.
        let query = unsafe { transmute::<*mut c_void, Query>(query.as_ptr()) };
        let mut handle: HANDLE = null_mut();
        // SAFETY: the process is referenced, the handle goes into a variable of
        // ours, and no access state is passed, which is what a caller without one
        // does.
        let status = unsafe {
            ObOpenObjectByPointer(
                process.object().as_ptr(),
                OBJ_KERNEL_HANDLE,
                null_mut(),
                QUERY_INFORMATION,
                null_mut(),
                0,
                &raw mut handle,
            )
        };
        Error::check("ObOpenObjectByPointer", Status::from_raw(status))?;
        Ok(Self {
            handle,
            query,
            passive: PhantomData,
        })
    }

    /// The rest of the block that holds an address, from its page on:
    /// `ZwQueryVirtualMemory`. `None` for an address beyond those of processes.
    ///
    /// IRQL: `PASSIVE_LEVEL`.
    ///
    /// # Errors
    ///
    /// The status of `ZwQueryVirtualMemory`, such as
    /// `STATUS_PROCESS_IS_TERMINATING`; `STATUS_UNSUCCESSFUL` if its answer does
    /// not hold the address.
    pub fn region(&self, address: usize) -> Result<Option<Region>> {
        if address >= USER_END {
            return Ok(None);
        }
        let mut told = BasicInformation::default();
        let size = size_of::<BasicInformation>();
        // SAFETY: the handle is open with the right to ask; the structure is ours and
        // as large as said; that nothing of the length is wanted back, the reference
        // allows; the level is that of the token which this borrows.
        let status = unsafe {
            (self.query)(
                self.handle,
                without_provenance_mut(address),
                BASIC_INFORMATION,
                (&raw mut told).cast(),
                size,
                null_mut(),
            )
        };
        let status = Status::from_raw(status);
        if status == Status::INVALID_PARAMETER {
            return Ok(None);
        }
        Error::check(CALL, status)?;
        let end = told.base.checked_add(told.size);
        if told.base > address || end.is_none_or(|end| end <= address) {
            return Err(Error::new(CALL, Status::UNSUCCESSFUL));
        }
        Ok(Some(Region {
            allocation_base: told.allocation_base,
            base: told.base,
            size: told.size,
            state: told.state,
            kind: told.kind,
            protection: told.protection,
            allocation_protection: told.allocation_protection,
        }))
    }
}

impl Drop for AddressSpace<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is open, a kernel handle, and closed here only; the level
        // is still that of the token which this borrows.
        let _ = unsafe { ZwClose(self.handle) };
    }
}
