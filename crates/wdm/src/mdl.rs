//! Memory descriptor lists (MDLs), with their state as a type.
//!
//! An MDL describes a buffer by its physical pages. The allowed operations depend on the
//! earlier ones, and the kernel does not check the order. Each step here consumes the MDL
//! and returns it in its next state: [`Unlocked`], then either [`Locked`] (can be mapped,
//! must be unlocked) or [`BuiltForNonpaged`] (is mapped already, must not be mapped again).
//!
//! An MDL owns the pool that it describes. Dropping it unmaps and unlocks the pages, frees
//! the MDL and frees the pool, in this order.

use core::{cell::Cell, ffi::c_void, fmt, ptr::NonNull};

use wdk_sys::{
    MDL, PFN_NUMBER,
    ntddk::{
        IoAllocateMdl, IoFreeMdl, MmBuildMdlForNonPagedPool, MmProbeAndLockPages, MmUnlockPages,
        MmUnmapLockedPages,
    },
};

use crate::{
    Error, Rejected, Result, Status,
    memory::{FrameNumber, SharedBytes, span_pages},
    pool::NonpagedBlock,
    seh,
};

/// `KernelMode` of `MODE`, as an argument in a register.
const KERNEL_MODE: usize = 0;

/// `IoModifyAccess` of `LOCK_OPERATION`, as an argument in a register.
const IO_MODIFY_ACCESS: usize = 2;

/// An MDL and the pool that it describes. `S` is its state: [`Unlocked`],
/// [`Locked`], [`BuiltForNonpaged`] or [`Poisoned`].
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
///
/// # Invariants
///
/// * `list` describes all of `block`, which is nonpaged pool.
/// * What `S` says has been done with `list`, and nothing else.
/// * In a state that [lists pages](ListsPages) the array behind the structure is
///   filled for every page that `block` touches.
//
// Fields are dropped in this order, which is the order in which the kernel wants
// the work undone.
pub struct Mdl<S> {
    pub(crate) state: S,
    list: List,
    block: NonpagedBlock,
}

/// The state of an MDL that says where its buffer is and nothing of its pages.
pub struct Unlocked(());

/// The state of an MDL whose pages are locked in memory and listed.
///
/// Dropping it unlocks the pages, after undoing a mapping that was forgotten.
///
/// # Invariants
///
/// The pages of `list` are locked, `list` outlives this value, and `mapping` is where
/// the kernel has mapped them in system space, if it has.
pub struct Locked {
    list: NonNull<MDL>,
    /// Where the pages are mapped in system space, if they are.
    mapping: Cell<Option<NonNull<c_void>>>,
}

/// The state of an MDL whose pages are listed and belong to nonpaged pool, which
/// is in memory and in system space for as long as it exists.
pub struct BuiltForNonpaged(());

/// The state of an MDL that has been used against the kernel's rules: it can be
/// looked at and freed, and nothing else.
pub struct Poisoned(());

/// States in which the MDL lists its pages.
pub trait ListsPages: sealed::Sealed {}

impl ListsPages for Locked {}
impl ListsPages for BuiltForNonpaged {}
impl ListsPages for Poisoned {}

/// States in which the MDL can be freed: its pages are not locked.
pub trait NotLocked: sealed::Sealed {}

impl NotLocked for Unlocked {}
impl NotLocked for BuiltForNonpaged {}
impl NotLocked for Poisoned {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Unlocked {}
    impl Sealed for super::Locked {}
    impl Sealed for super::BuiltForNonpaged {}
    impl Sealed for super::Poisoned {}
}

impl Mdl<Unlocked> {
    /// Makes an MDL that describes `block`: `IoAllocateMdl`, without an IRP and
    /// without charging a quota.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed for the MDL.
    /// * `STATUS_INVALID_PARAMETER`: the block is 4 GiB or larger.
    ///
    /// Both return the block.
    pub fn allocate(block: NonpagedBlock) -> Result<Self, Rejected<NonpagedBlock>> {
        match List::allocate(&block) {
            // INVARIANT: the list was made for this block, and nothing else was done.
            Ok(list) => Ok(Self {
                state: Unlocked(()),
                list,
                block,
            }),
            Err(error) => Err(Rejected {
                error,
                returned: block,
            }),
        }
    }

    /// Locks the pages in memory for reading and writing, and lists them:
    /// `MmProbeAndLockPages` with `KernelMode` and `IoModifyAccess`.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// The code of the exception that the function raised, such as
    /// `STATUS_ACCESS_VIOLATION` or `STATUS_INSUFFICIENT_RESOURCES`. The MDL is
    /// returned unchanged.
    pub fn lock(self) -> Result<Mdl<Locked>, Rejected<Self>> {
        let list = self.list.0;
        let function = (MmProbeAndLockPages as *const ()).cast();
        let arguments = [
            list.as_ptr().expose_provenance(),
            KERNEL_MODE,
            IO_MODIFY_ACCESS,
            0,
            0,
            0,
        ];
        // SAFETY: function and arguments are those of the reference; the MDL is
        // not locked, and its buffer is nonpaged pool that it owns. The function
        // leaves an MDL that it does not lock as it was.
        match unsafe { seh::call(function, arguments) } {
            // INVARIANT: the function has locked and listed the pages; the list is
            // dropped after its state.
            Ok(_) => Ok(self.with_state(Locked {
                list,
                mapping: Cell::new(None),
            })),
            Err(status) => Err(Rejected {
                error: Error::new("MmProbeAndLockPages", status),
                returned: self,
            }),
        }
    }

    /// Lists the pages, which are nonpaged already: `MmBuildMdlForNonPagedPool`.
    ///
    /// The reference forbids to lock, unlock, map or unmap such an MDL in system
    /// space from then on, and the type has no safe method for it.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn build_for_nonpaged_pool(self) -> Mdl<BuiltForNonpaged> {
        // SAFETY: the MDL describes a block of nonpaged pool, which it owns.
        unsafe { MmBuildMdlForNonPagedPool(self.list.as_ptr()) };
        // INVARIANT: the function has listed the pages.
        self.with_state(BuiltForNonpaged(()))
    }
}

impl Mdl<Locked> {
    /// Unlocks the pages: `MmUnlockPages`. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn unlock(self) -> Mdl<Unlocked> {
        self.with_state(Unlocked(()))
    }
}

impl Mdl<BuiltForNonpaged> {
    /// The pages in system space, which is where the pool is:
    /// `MmGetSystemAddressForMdlSafe`, an inline function of the headers.
    ///
    /// That function maps the pages if the MDL does not say that they are in
    /// system space already; for an MDL in this state that is forbidden, and this
    /// method never does. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INVALID_DEVICE_STATE`: the kernel did not mark the MDL as one of
    /// nonpaged pool, or gave it another address than that of the pool.
    pub fn system_address(&self) -> Result<SharedBytes<'_>> {
        let marked = MdlFlags::MAPPED_TO_SYSTEM_VA.union(MdlFlags::SOURCE_IS_NONPAGED_POOL);
        // SAFETY: the list is a valid MDL for as long as `self`.
        let address = unsafe { (*self.list.as_ptr()).MappedSystemVa };
        let is_pool = address.addr() == self.block.address();
        if self.header().flags.intersects(marked) && is_pool {
            Ok(self.block.memory())
        } else {
            Err(Error::new(
                "MmGetSystemAddressForMdlSafe",
                Status::INVALID_DEVICE_STATE,
            ))
        }
    }

    pub(crate) fn poison(self) -> Mdl<Poisoned> {
        self.with_state(Poisoned(()))
    }
}

impl<S: NotLocked> Mdl<S> {
    /// Frees the MDL and returns the pool: `IoFreeMdl`. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn free(self) -> NonpagedBlock {
        self.block
    }
}

impl<S> Mdl<S> {
    /// The pool that the MDL describes. IRQL: any.
    #[must_use]
    pub const fn block(&self) -> &NonpagedBlock {
        &self.block
    }

    /// The current header. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn header(&self) -> MdlHeader {
        let list = self.list.as_ptr();
        // SAFETY: by the type's invariant the list is an MDL for as long as `self`, and
        // the kernel writes to it only while a function is called with it.
        let header = unsafe { list.read() };
        MdlHeader {
            address: list.addr(),
            size: header.Size.cast_unsigned(),
            flags: MdlFlags(header.MdlFlags.cast_unsigned()),
            start: header.StartVa.addr(),
            byte_count: header.ByteCount,
            byte_offset: header.ByteOffset,
        }
    }

    pub(crate) const fn as_ptr(&self) -> NonNull<MDL> {
        self.list.0
    }

    /// The same MDL in another state; what the old state holds is undone.
    fn with_state<T>(self, state: T) -> Mdl<T> {
        let Self {
            state: old,
            list,
            block,
        } = self;
        drop(old);
        Mdl { state, list, block }
    }
}

impl<S: ListsPages> Mdl<S> {
    /// The page frame numbers of the buffer's pages, in order:
    /// `MmGetMdlPfnArray`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn frames(&self) -> impl Iterator<Item = FrameNumber> + '_ {
        let count = span_pages(self.block.address(), self.block.size());
        // SAFETY: the array starts right behind the structure, in the same
        // allocation.
        let array: *const PFN_NUMBER = unsafe { self.list.as_ptr().add(1) }.cast();
        (0..count).map(move |index| {
            // SAFETY: the MDL was made for this many pages, so the array is as long.
            let entry = unsafe { array.add(index) };
            // SAFETY: by the type's invariant the kernel has filled the array in such
            // a state.
            FrameNumber::new(unsafe { entry.read() })
        })
    }
}

impl Locked {
    /// Whether the pages are mapped in system space.
    pub(crate) const fn is_mapped(&self) -> bool {
        self.mapping.get().is_some()
    }

    /// Records the address of the mapping.
    ///
    /// # Safety
    ///
    /// The kernel mapped them there just now, and they were not mapped before.
    pub(crate) unsafe fn set_mapping(&self, base: NonNull<c_void>) {
        self.mapping.set(Some(base));
    }

    /// Undoes the mapping if there is one: `MmUnmapLockedPages`.
    pub(crate) fn unmap(&self) {
        if let Some(base) = self.mapping.take() {
            // SAFETY: the kernel mapped the MDL's pages there and they have not
            // been unmapped since: the address is taken out when they are.
            unsafe { MmUnmapLockedPages(base.as_ptr(), self.list.as_ptr()) };
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.unmap();
        // SAFETY: the MDL is locked and not mapped, and it is freed after its
        // state only.
        unsafe { MmUnlockPages(self.list.as_ptr()) };
    }
}

/// An MDL as the kernel allocated it; freed when dropped.
struct List(NonNull<MDL>);

impl List {
    fn allocate(block: &NonpagedBlock) -> Result<Self> {
        const CALL: &str = "IoAllocateMdl";
        let start: *mut c_void = block.start().as_ptr().cast();
        let len =
            u32::try_from(block.size()).map_err(|_| Error::new(CALL, Status::INVALID_PARAMETER))?;
        // SAFETY: start and length are those of a block of pool. Without an IRP
        // the function only allocates and initialises.
        let list = unsafe { IoAllocateMdl(start, len, 0, 0, core::ptr::null_mut()) };
        NonNull::new(list)
            .map(Self)
            .ok_or(Error::out_of_resources(CALL))
    }

    const fn as_ptr(&self) -> *mut MDL {
        self.0.as_ptr()
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the MDL came from IoAllocateMdl, and its state, dropped before
        // it, has unmapped and unlocked what there was.
        unsafe { IoFreeMdl(self.as_ptr()) };
    }
}

/// The header of an MDL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MdlHeader {
    /// Address of the MDL itself.
    pub address: usize,
    /// Bytes of the structure and its page frame numbers; the field has 16 bits.
    pub size: u16,
    /// The MDL's flags.
    pub flags: MdlFlags,
    /// Address of the page that the buffer starts in.
    pub start: usize,
    /// Length of the buffer in bytes.
    pub byte_count: u32,
    /// Offset of the buffer in its first page, in bytes.
    pub byte_offset: u32,
}

/// The flags of an MDL. A kernel may set flags that the reference does not name.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct MdlFlags(u16);

impl MdlFlags {
    /// The pages have an address in system space.
    pub const MAPPED_TO_SYSTEM_VA: Self = Self(0x0001);
    /// The pages are locked.
    pub const PAGES_LOCKED: Self = Self(0x0002);
    /// The pages are nonpaged pool's.
    pub const SOURCE_IS_NONPAGED_POOL: Self = Self(0x0004);

    /// The flags of this field.
    pub(crate) const fn from_raw(flags: i16) -> Self {
        Self(flags.cast_unsigned())
    }

    /// The flags as a number.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The flags of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any flag is in both.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl fmt::Debug for MdlFlags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#06x}", self.0)
    }
}

impl<S> fmt::Debug for Mdl<S> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MDL at {:p} of {:?}", self.list.0, self.block)
    }
}
