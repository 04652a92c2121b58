//! System mappings: a second virtual address for the pages of an MDL.
//!
//! A [`Mapping`] borrows its MDL, so the MDL cannot be unlocked or freed before it is
//! unmapped. An MDL has at most one system mapping.

use core::{ffi::c_void, fmt, ptr::NonNull};

use wdk_sys::{
    _MEMORY_CACHING_TYPE::{MmCached, MmNonCached, MmWriteCombined},
    KPROCESSOR_MODE, MDL, MEMORY_CACHING_TYPE,
    ntddk::{MmMapLockedPagesSpecifyCache, MmUnmapLockedPages},
};

use crate::{
    Error, Rejected, Result, Status,
    mdl::{BuiltForNonpaged, Locked, Mdl, Poisoned},
    memory::SharedBytes,
    system,
};

/// Name of the function that makes a mapping.
const CALL: &str = "MmMapLockedPagesSpecifyCache";

/// `KernelMode` of `MODE`.
const KERNEL_MODE: KPROCESSOR_MODE = 0;

/// `NormalPagePriority`.
pub(crate) const NORMAL_PAGE_PRIORITY: u32 = 16;

/// `MdlMappingNoExecute`, defined from Windows 8 on.
const MDL_MAPPING_NO_EXECUTE: u32 = 0x4000_0000;

/// How the processor caches what goes through a mapping. The kernel heeds it only
/// for pages that have no cache type yet; pool's pages have one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CacheType {
    /// Past the cache: `MmNonCached`.
    NonCached,
    /// As ordinary memory: `MmCached`.
    Cached,
    /// Writes are gathered, reads are not cached: `MmWriteCombined`.
    WriteCombined,
}

impl CacheType {
    const fn raw(self) -> MEMORY_CACHING_TYPE {
        match self {
            Self::NonCached => MmNonCached,
            Self::Cached => MmCached,
            Self::WriteCombined => MmWriteCombined,
        }
    }

    /// The number, as an argument in a register.
    pub(crate) const fn argument(self) -> usize {
        match self {
            Self::NonCached => 0,
            Self::Cached => 1,
            Self::WriteCombined => 2,
        }
    }
}

/// The pages of a locked MDL at an address in system space. Undone when dropped:
/// `MmUnmapLockedPages`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
pub struct Mapping<'m> {
    mdl: &'m Mdl<Locked>,
    start: NonNull<c_void>,
}

impl Mdl<Locked> {
    /// Maps the pages into system space, not executable where the kernel knows of
    /// that: `MmMapLockedPagesSpecifyCache` with `KernelMode`, no base address, no
    /// bug check on failure, and normal priority.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_INSUFFICIENT_RESOURCES`: the kernel has no page table entries
    ///   left for it.
    /// * `STATUS_INVALID_DEVICE_STATE`: the MDL is mapped already.
    pub fn map(&self, cache: CacheType) -> Result<Mapping<'_>> {
        if self.state.is_mapped() {
            return Err(Error::new(CALL, Status::INVALID_DEVICE_STATE));
        }
        // SAFETY: the MDL is locked and has no system mapping.
        let start = unsafe { map_into_system_space(self.as_ptr(), cache) }?;
        // SAFETY: the kernel has just mapped the pages there.
        unsafe { self.state.set_mapping(start) };
        Ok(Mapping { mdl: self, start })
    }
}

impl Mapping<'_> {
    /// The bytes of the buffer at their second address. IRQL: any.
    #[must_use]
    pub fn memory(&self) -> SharedBytes<'_> {
        // SAFETY: the pages are mapped here, writable, until `self` is dropped,
        // and initialised, as the block is. Neither it nor its MDL is `Sync`.
        unsafe { SharedBytes::new(self.start.cast(), self.mdl.block().size()) }
    }

    /// Undoes the mapping: `MmUnmapLockedPages`. The same as dropping it, for
    /// code that wants to say so. IRQL: `<= DISPATCH_LEVEL`.
    pub fn unmap(self) {
        drop(self);
    }
}

impl Drop for Mapping<'_> {
    fn drop(&mut self) {
        self.mdl.state.unmap();
    }
}

impl fmt::Debug for Mapping<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "mapping at {:p} of {:?}", self.start, self.mdl)
    }
}

/// A second system address of nonpaged pool, made from an MDL that was built for
/// it. Undone when dropped: `MmUnmapLockedPages`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
//
// The mapping is dropped before the MDL.
pub struct UncheckedMapping {
    address: SystemAddress,
    mdl: Mdl<Poisoned>,
}

impl Mdl<BuiltForNonpaged> {
    /// Maps the pages into system space a second time:
    /// `MmMapLockedPagesSpecifyCache`, as [`Mdl::map`] calls it for a locked MDL.
    ///
    /// The reference of `MmBuildMdlForNonPagedPool` says of this call, and of the
    /// one that undoes it, that the behaviour is undefined.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES`: the kernel has no page table entries left.
    /// The returned MDL can only be freed.
    ///
    /// # Safety
    ///
    /// The caller knows that the running kernel makes a second mapping of such an
    /// MDL, and undoes it, without harm, and accepts that it may stop the system
    /// with a bug check instead.
    pub unsafe fn map_unchecked(
        self,
        cache: CacheType,
    ) -> Result<UncheckedMapping, Rejected<Mdl<Poisoned>>> {
        let mdl = self.poison();
        // SAFETY: the caller answers for an MDL that is not locked. It has no
        // mapping of its own yet, since its state leaves no way to make another.
        match unsafe { map_into_system_space(mdl.as_ptr(), cache) } {
            Ok(start) => {
                let address = SystemAddress {
                    start,
                    list: mdl.as_ptr(),
                };
                Ok(UncheckedMapping { address, mdl })
            }
            Err(error) => Err(Rejected {
                error,
                returned: mdl,
            }),
        }
    }
}

impl UncheckedMapping {
    /// The bytes of the buffer at their second address. IRQL: any.
    #[must_use]
    pub fn memory(&self) -> SharedBytes<'_> {
        // SAFETY: the pages are mapped here, writable, until `self` is dropped,
        // and initialised, as the block is. Neither it nor its MDL is `Sync`.
        unsafe { SharedBytes::new(self.address.start.cast(), self.mdl.block().size()) }
    }

    /// The MDL, which is not good for anything but looking at it. IRQL: any.
    #[must_use]
    pub const fn mdl(&self) -> &Mdl<Poisoned> {
        &self.mdl
    }

    /// Undoes the mapping and returns the MDL: `MmUnmapLockedPages`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn unmap(self) -> Mdl<Poisoned> {
        let Self { address, mdl } = self;
        drop(address);
        mdl
    }
}

impl fmt::Debug for UncheckedMapping {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "forbidden mapping at {:p} of {:?}",
            self.address.start, self.mdl
        )
    }
}

/// Where the kernel mapped the pages of an MDL; undone when dropped, which has to
/// be before the MDL is freed.
struct SystemAddress {
    start: NonNull<c_void>,
    list: NonNull<MDL>,
}

impl Drop for SystemAddress {
    fn drop(&mut self) {
        // SAFETY: the kernel mapped the MDL's pages here, they are unmapped once,
        // and whoever holds this value holds the MDL beside it and drops it later.
        unsafe { MmUnmapLockedPages(self.start.as_ptr(), self.list.as_ptr()) };
    }
}

/// Maps the pages of an MDL into system space.
///
/// # Safety
///
/// The MDL lists its pages, they are locked, and they have no system mapping.
unsafe fn map_into_system_space(list: NonNull<MDL>, cache: CacheType) -> Result<NonNull<c_void>> {
    let no_execute = if system::has_no_execute_memory() {
        MDL_MAPPING_NO_EXECUTE
    } else {
        0
    };
    let priority = NORMAL_PAGE_PRIORITY | no_execute;
    // SAFETY: the caller vouches for the MDL; without a bug check on failure the
    // function answers a kernel mapping that cannot be made with NULL.
    let start = unsafe {
        MmMapLockedPagesSpecifyCache(
            list.as_ptr(),
            KERNEL_MODE,
            cache.raw(),
            core::ptr::null_mut(),
            0,
            priority as _,
        )
    };
    NonNull::new(start).ok_or(Error::out_of_resources(CALL))
}
