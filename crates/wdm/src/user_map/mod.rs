//! Mappings of kernel pages into user address spaces.
//!
//! A mapping belongs to one process and has to be unmapped there, before the process
//! exits. [`Mdl::with_user_mapping`] maps for the duration of a closure that runs in the
//! process. A [`UserMappingTable`] owns longer mappings and their pool, and observes
//! process exits. Only whole pages are mapped, so no other data is exposed.

mod table;

use core::{ffi::c_void, fmt, ptr::NonNull};

use wdk_sys::{
    MDL,
    ntddk::{MmGetPhysicalAddress, MmMapLockedPagesSpecifyCache, MmUnmapLockedPages},
};

pub use self::table::{Owner, UserMappingTable};
use crate::{
    Error, Result, Status,
    irql::Apc,
    map::{CacheType, NORMAL_PAGE_PRIORITY},
    mdl::{BuiltForNonpaged, ListsPages, Locked, Mdl},
    memory::{PAGE_SIZE, PhysicalAddress, byte_offset},
    process::Process,
    seh, system,
    user::UserRange,
};

/// Name of the function that makes a mapping.
const CALL: &str = "MmMapLockedPagesSpecifyCache";

/// `UserMode` of `MODE`, as an argument in a register.
const USER_MODE: usize = 1;

/// `MdlMappingNoWrite`, defined from Windows 8 on.
const MDL_MAPPING_NO_WRITE: usize = 0x8000_0000;

/// What the program may do with a mapping. It can never run code in one, and cannot
/// give itself more than this.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Read: `MdlMappingNoWrite`.
    Read,
    /// Read and write.
    ReadWrite,
}

/// States in which the pages of an MDL may be mapped into a program: locked, or
/// built for nonpaged pool.
pub trait MapsToUser: ListsPages {}

impl MapsToUser for Locked {}
impl MapsToUser for BuiltForNonpaged {}

impl<S: MapsToUser> Mdl<S> {
    /// Maps the pages into the current process, runs `work` with the mapping, and
    /// undoes it: `MmMapLockedPagesSpecifyCache` with `UserMode`, no base address
    /// and normal priority, and `MmUnmapLockedPages`.
    ///
    /// IRQL: `<= APC_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_INVALID_PARAMETER`: the block is not whole pages.
    /// * `STATUS_NOT_SUPPORTED`: a mapping for reading only is asked of a kernel
    ///   older than Windows 8.
    /// * The code of the exception that the function raised, such as
    ///   `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn with_user_mapping<R>(
        &self,
        access: Access,
        cache: CacheType,
        irql: &mut Apc,
        work: impl FnOnce(&UserMapping<'_>, &mut Apc) -> R,
    ) -> Result<R> {
        // SAFETY: the mapping is undone below, by this thread, before `self` goes and
        // before this thread does anything else in the process. The address space of a
        // process goes when its last thread is done with everything else, or this one
        // is the last.
        let mapped = unsafe { MappedAddress::map(self, access, cache, irql) }?;
        let view = UserMapping {
            address: &mapped,
            len: self.block().size(),
        };
        let result = work(&view, irql);
        mapped.unmap(irql);
        Ok(result)
    }
}

/// The pages of an MDL in the current process, while a closure runs.
pub struct UserMapping<'v> {
    address: &'v MappedAddress,
    len: usize,
}

impl UserMapping<'_> {
    /// Address of the first byte, which means something in the current process
    /// only. IRQL: any.
    #[must_use]
    pub fn address(&self) -> usize {
        self.address.start.as_ptr().expose_provenance()
    }

    /// The bytes, as the program has them: it may be using them meanwhile.
    /// IRQL: any.
    ///
    /// # Errors
    ///
    /// `STATUS_ACCESS_VIOLATION`: the kernel gave an address beyond the user range.
    pub fn range(&self) -> Result<UserRange<'_>, Status> {
        UserRange::new(self.address(), self.len)
    }

    /// Where each page is in physical memory: `MmGetPhysicalAddress`.
    /// IRQL: `<= APC_LEVEL`.
    pub fn physical_addresses(&self) -> impl Iterator<Item = PhysicalAddress> + '_ {
        let pages = self.len.div_ceil(PAGE_SIZE);
        let start = self.address.start.as_ptr();
        (0..pages).map(move |page| {
            let address = start.wrapping_byte_add(page.wrapping_mul(PAGE_SIZE));
            // SAFETY: any address may be asked about; this one is mapped.
            let physical = unsafe { MmGetPhysicalAddress(address) };
            // SAFETY: all members of this union are views of the same 64 bits.
            let bytes = unsafe { physical.QuadPart };
            PhysicalAddress::new(bytes.cast_unsigned())
        })
    }
}

impl fmt::Debug for UserMapping<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} bytes at {:p} of {:?}",
            self.len, self.address.start, self.address.process
        )
    }
}

/// Where the kernel mapped the pages of an MDL in a process.
///
/// There is no `Drop`: whoever has one undoes it with [`Self::unmap`].
struct MappedAddress {
    start: NonNull<c_void>,
    process: Process,
    list: NonNull<MDL>,
}

// SAFETY: a mapping belongs to a process, which is attached to where it matters, and
// to no thread.
unsafe impl Send for MappedAddress {}

impl MappedAddress {
    /// Maps the pages of an MDL into the current process.
    ///
    /// # Safety
    ///
    /// [`Self::unmap`] is called before the MDL is dropped, and before the address
    /// space of the process goes.
    unsafe fn map<S: MapsToUser>(
        mdl: &Mdl<S>,
        access: Access,
        cache: CacheType,
        _: &Apc,
    ) -> Result<Self> {
        let (start, size) = (mdl.block().address(), mdl.block().size());
        if byte_offset(start) != 0 || byte_offset(size) != 0 {
            return Err(Error::new(CALL, Status::INVALID_PARAMETER));
        }
        let no_write = match access {
            Access::ReadWrite => 0,
            // Defined since Windows 8, like the other flag.
            Access::Read if system::has_no_execute_memory() => MDL_MAPPING_NO_WRITE,
            Access::Read => return Err(Error::new(CALL, Status::NOT_SUPPORTED)),
        };
        let process = Process::current().ok_or(Error::new(CALL, Status::UNSUCCESSFUL))?;
        let list = mdl.as_ptr();
        let function = (MmMapLockedPagesSpecifyCache as *const ()).cast();
        let arguments = [
            list.as_ptr().expose_provenance(),
            USER_MODE,
            cache.argument(),
            0,
            0,
            NORMAL_PAGE_PRIORITY as usize | no_write,
        ];
        // SAFETY: function and arguments are those of the reference; the pages are
        // locked or nonpaged, and the token says that the level is low enough. What
        // is not mapped is not undone.
        let mapped = unsafe { seh::call(function, arguments) };
        let mapped = mapped.map_err(|status| Error::new(CALL, status))?;
        let address = usize::try_from(mapped).map_err(|_| Error::out_of_resources(CALL))?;
        NonNull::new(core::ptr::with_exposed_provenance_mut(address))
            .map(|start| Self {
                start,
                process,
                list,
            })
            .ok_or(Error::out_of_resources(CALL))
    }

    /// Undoes the mapping, in its process: `MmUnmapLockedPages`.
    fn unmap(self, irql: &Apc) {
        // SAFETY: the kernel mapped the MDL's pages here in this process, they are
        // unmapped once, and the MDL is there: `map` asks for that.
        let unmap = || unsafe { MmUnmapLockedPages(self.start.as_ptr(), self.list.as_ptr()) };
        if self.process.is_current() {
            unmap();
        } else {
            // SAFETY: the address space is there: `map` asks for that.
            unsafe { self.process.attached(irql, unmap) };
        }
    }
}
