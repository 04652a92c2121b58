//! The head of a lookaside list. It is in nonpaged pool, does not move, and is followed by
//! the data of the list's routines.

use core::{
    alloc::Layout,
    cell::UnsafeCell,
    mem::{offset_of, transmute},
    ptr::{self, NonNull, null_mut},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use wdk_sys::{
    LOOKASIDE_LIST_EX, NTSTATUS, PALLOCATE_FUNCTION_EX, PFREE_FUNCTION_EX, PLOOKASIDE_LIST_EX,
    POOL_TYPE, PVOID, SIZE_T, SLIST_ENTRY, SLIST_HEADER, ULONG, USHORT,
    ntddk::{ExQueryDepthSList, ExpInterlockedPopEntrySList, ExpInterlockedPushEntrySList},
};

use super::{
    LookasideStatistics,
    allocator::{BlockRequest, LookasideAllocator, LookasideBlock},
};
use crate::{
    Error, Result, Status,
    irql::{Irql, Passive},
    pool::{BLOCK_ALIGNMENT, PoolTag, legacy::Pool},
    scope::{DeferredDrop, DropAtIrql},
    system::routine_address,
    utf16,
};

/// `ExAllocateFromLookasideListEx`.
type Allocate = unsafe extern "system" fn(PLOOKASIDE_LIST_EX) -> PVOID;

/// `ExFreeToLookasideListEx`.
type Free = unsafe extern "system" fn(PLOOKASIDE_LIST_EX, PVOID);

/// `ExInitializeLookasideListEx`.
type Initialize = unsafe extern "system" fn(
    PLOOKASIDE_LIST_EX,
    PALLOCATE_FUNCTION_EX,
    PFREE_FUNCTION_EX,
    POOL_TYPE,
    ULONG,
    SIZE_T,
    ULONG,
    USHORT,
) -> NTSTATUS;

/// `ExDeleteLookasideListEx` and `ExFlushLookasideListEx`.
type Manage = unsafe extern "system" fn(PLOOKASIDE_LIST_EX);

/// The kernel's exports for lists of this kind.
#[derive(Clone, Copy)]
struct Exports {
    initialize: Initialize,
    delete: Manage,
    flush: Manage,
    /// The two that only newer kernels have.
    newer: Option<(Allocate, Free)>,
}

impl Exports {
    /// Looks them up.
    fn find(passive: &Passive) -> Option<Self> {
        let initialize = routine_address(utf16!("ExInitializeLookasideListEx"), passive)?;
        let delete = routine_address(utf16!("ExDeleteLookasideListEx"), passive)?;
        let flush = routine_address(utf16!("ExFlushLookasideListEx"), passive)?;
        Some(Self {
            // SAFETY: the address is that of the kernel's export of this name,
            // whose reference page gives this signature; code addresses never
            // change.
            initialize: unsafe { transmute::<PVOID, Initialize>(initialize.as_ptr()) },
            // SAFETY: the reference gives the export of this name one argument, the
            // list, and no result.
            delete: unsafe { transmute::<PVOID, Manage>(delete.as_ptr()) },
            // SAFETY: the reference gives the export of this name one argument, the
            // list, and no result.
            flush: unsafe { transmute::<PVOID, Manage>(flush.as_ptr()) },
            newer: Self::find_newer(passive),
        })
    }

    fn find_newer(passive: &Passive) -> Option<(Allocate, Free)> {
        let allocate = routine_address(utf16!("ExAllocateFromLookasideListEx"), passive)?;
        let free = routine_address(utf16!("ExFreeToLookasideListEx"), passive)?;
        // SAFETY: as in `find`.
        let allocate = unsafe { transmute::<PVOID, Allocate>(allocate.as_ptr()) };
        // SAFETY: the address is that of the export, with the signature of its page:
        // a list and a block.
        let free = unsafe { transmute::<PVOID, Free>(free.as_ptr()) };
        Some((allocate, free))
    }
}

/// A lookaside list of blocks of one size.
pub(super) struct RawList<S: LookasideAllocator> {
    head: DeferredDrop<Head<S>>,
}

/// What the kernel has of a list comes first, so that its address is the head's.
#[repr(C)]
struct Head<S> {
    list: UnsafeCell<LOOKASIDE_LIST_EX>,
    exports: Exports,
    layout: Layout,
    pool: Pool,
    tag: PoolTag,
    /// Whether the kernel knows of the list.
    is_initialised: AtomicBool,
    allocator: S,
}

impl<S: LookasideAllocator> DropAtIrql for Head<S> {
    fn max_irql(&self) -> Irql {
        match self.pool {
            Pool::Paged => Irql::APC,
            Pool::Nonpaged => Irql::DISPATCH,
        }
    }

    fn end(&self) {
        if self.is_initialised.load(Ordering::Acquire) {
            let list: PLOOKASIDE_LIST_EX = ptr::from_ref(self).cast_mut().cast();
            // SAFETY: the list is initialised, deleted once, and the boxes that
            // borrow it are gone.
            unsafe { (self.exports.delete)(list) };
        }
    }
}

// SAFETY: the kernel's part of a head belongs to no thread.
unsafe impl<S: Send> Send for Head<S> {}
// SAFETY: the kernel's part is changed with interlocked instructions, and the rest
// not at all.
unsafe impl<S: LookasideAllocator> Sync for RawList<S> {}

impl<S: LookasideAllocator> RawList<S> {
    /// A list of blocks with room for a `T`.
    pub(super) fn new<T>(
        pool: Pool,
        tag: PoolTag,
        allocator: S,
        passive: &Passive,
    ) -> Result<Self> {
        const CALL: &str = "ExInitializeLookasideListEx";
        let layout = Layout::new::<T>();
        if layout.align() > BLOCK_ALIGNMENT {
            return Err(Error::new(CALL, Status::NOT_SUPPORTED));
        }
        let exports = Exports::find(passive).ok_or(Error::new(CALL, Status::NOT_SUPPORTED))?;
        // A block that is in the list holds a link.
        let size = layout.size().max(size_of::<SLIST_ENTRY>());
        let layout = Layout::from_size_align(size, BLOCK_ALIGNMENT)
            .map_err(|_| Error::new(CALL, Status::INVALID_PARAMETER))?;
        let head = Head {
            list: UnsafeCell::new(LOOKASIDE_LIST_EX::default()),
            exports,
            layout,
            pool,
            tag,
            is_initialised: AtomicBool::new(false),
            allocator,
        };
        let head = DeferredDrop::new(head, tag).map_err(|rejected| rejected.error)?;
        initialise(&head)?;
        head.is_initialised.store(true, Ordering::Release);
        Ok(Self { head })
    }

    /// The kernel's part of the head. The address is good for all of the head, which
    /// the routines get back to from it.
    fn list(&self) -> PLOOKASIDE_LIST_EX {
        self.head.start().as_ptr().cast()
    }

    pub(super) fn allocator(&self) -> &S {
        &self.head.allocator
    }

    /// Allocates a block.
    ///
    /// # Safety
    ///
    /// The IRQL is what the list's blocks ask for.
    pub(super) unsafe fn allocate(&self) -> Option<NonNull<u8>> {
        let list = self.list();
        let start = match self.head.exports.newer {
            // SAFETY: the list is initialised; the caller vouches for the IRQL.
            Some((allocate, _)) => unsafe { allocate(list) },
            // SAFETY: the caller vouches for the IRQL, which is all that is asked.
            None => unsafe { self.allocate_inline() },
        };
        NonNull::new(start.cast())
    }

    /// Frees a block.
    ///
    /// # Safety
    ///
    /// [`Self::allocate`] gave it, and it is not in use. The IRQL is what the list's
    /// blocks ask for.
    pub(super) unsafe fn free(&self, block: NonNull<u8>) {
        let list = self.list();
        let block: PVOID = block.as_ptr().cast();
        match self.head.exports.newer {
            // SAFETY: the list is initialised; the caller vouches for the rest.
            Some((_, free)) => unsafe { free(list, block) },
            // SAFETY: the caller gives the block away and vouches for the IRQL.
            None => unsafe { self.free_inline(block) },
        }
    }

    /// What the header's `ExAllocateFromLookasideListEx` does.
    ///
    /// # Safety
    ///
    /// As for [`Self::allocate`].
    unsafe fn allocate_inline(&self) -> PVOID {
        let list = self.list();
        self.counter(Counter::TOTAL_ALLOCATES)
            .fetch_add(1, Ordering::Relaxed);
        // SAFETY: the list is initialised.
        let entry = unsafe { ExpInterlockedPopEntrySList(self.entries()) };
        if !entry.is_null() {
            return entry.cast();
        }
        self.counter(Counter::ALLOCATE_MISSES)
            .fetch_add(1, Ordering::Relaxed);
        // SAFETY: the fields do not change once the list is initialised.
        let routine = unsafe { (*list).L.__bindgen_anon_4 };
        // SAFETY: the pool's type is set when the list is initialised, and never
        // again.
        let pool_type = unsafe { (*list).L.Type };
        // SAFETY: the size is set when the list is initialised, and never again.
        let size = unsafe { (*list).L.Size };
        // SAFETY: the tag is set when the list is initialised, and never again.
        let tag = unsafe { (*list).L.Tag };
        // SAFETY: a list of this kind has a routine of this kind.
        match unsafe { routine.AllocateEx } {
            // SAFETY: the kernel or this crate put the routine there, to be called
            // like this; the caller vouches for the IRQL.
            Some(allocate) => unsafe { allocate(pool_type, SIZE_T::from(size), tag, list) },
            None => null_mut(),
        }
    }

    /// What the header's `ExFreeToLookasideListEx` does.
    ///
    /// # Safety
    ///
    /// As for [`Self::free`].
    unsafe fn free_inline(&self, block: PVOID) {
        let list = self.list();
        self.counter(Counter::TOTAL_FREES)
            .fetch_add(1, Ordering::Relaxed);
        // SAFETY: the list is there; only an address is made.
        let depth = unsafe { &raw const (*list).L.Depth };
        // SAFETY: the list is initialised; the kernel may change the depth at any
        // time, which a volatile access allows for.
        let depth = unsafe { depth.read_volatile() };
        // SAFETY: the list is initialised.
        if unsafe { ExQueryDepthSList(self.entries()) } < depth {
            // SAFETY: the block is large enough for a link and aligned for it, and
            // the caller gives it away.
            unsafe { ExpInterlockedPushEntrySList(self.entries(), block.cast()) };
            return;
        }
        self.counter(Counter::FREE_MISSES)
            .fetch_add(1, Ordering::Relaxed);
        // SAFETY: the field does not change once the list is initialised.
        let routine = unsafe { (*list).L.__bindgen_anon_5 };
        // SAFETY: a list of this kind has a routine of this kind.
        if let Some(free) = unsafe { routine.FreeEx } {
            // SAFETY: the kernel or this crate put the routine there; the caller
            // gives the block away and vouches for the IRQL.
            unsafe { free(block, list) };
        }
    }

    /// Gives the blocks that are in the list to its routine.
    ///
    /// # Safety
    ///
    /// The IRQL is what the list's blocks ask for.
    pub(super) unsafe fn flush(&self) {
        // SAFETY: the list is initialised; the caller vouches for the IRQL.
        unsafe { (self.head.exports.flush)(self.list()) };
    }

    pub(super) fn statistics(&self) -> LookasideStatistics {
        let read = |counter| self.counter(counter).load(Ordering::Relaxed);
        LookasideStatistics {
            total_allocates: read(Counter::TOTAL_ALLOCATES),
            allocate_misses: read(Counter::ALLOCATE_MISSES),
            total_frees: read(Counter::TOTAL_FREES),
            free_misses: read(Counter::FREE_MISSES),
            // SAFETY: the list is initialised.
            depth: unsafe { ExQueryDepthSList(self.entries()) },
        }
    }

    fn entries(&self) -> *mut SLIST_HEADER {
        let list = self.list();
        // SAFETY: the list is there; only an address is made.
        unsafe { &raw mut (*list).L.__bindgen_anon_1.ListHead }
    }

    /// One of the counts that the head keeps.
    fn counter(&self, counter: Counter) -> &AtomicU32 {
        // SAFETY: the count lies in the list.
        let place = unsafe { self.list().byte_add(counter.0) };
        // SAFETY: the field is an aligned `u32` that lives as long as the list;
        // Rust code only gets at it here.
        unsafe { AtomicU32::from_ptr(place.cast()) }
    }
}

/// Where a count lies in a head, in bytes.
#[derive(Clone, Copy)]
struct Counter(usize);

impl Counter {
    const TOTAL_ALLOCATES: Self = Self(offset_of!(LOOKASIDE_LIST_EX, L.TotalAllocates));
    /// In a union with the hits, which other lists count.
    const ALLOCATE_MISSES: Self = Self(offset_of!(LOOKASIDE_LIST_EX, L.__bindgen_anon_2));
    const TOTAL_FREES: Self = Self(offset_of!(LOOKASIDE_LIST_EX, L.TotalFrees));
    /// As above.
    const FREE_MISSES: Self = Self(offset_of!(LOOKASIDE_LIST_EX, L.__bindgen_anon_3));
}

/// Tells the kernel of a list.
fn initialise<S: LookasideAllocator>(head: &DeferredDrop<Head<S>>) -> Result<()> {
    const CALL: &str = "ExInitializeLookasideListEx";
    let size = SIZE_T::try_from(head.layout.size())
        .map_err(|_| Error::new(CALL, Status::INVALID_PARAMETER))?;
    let (allocate, free) = if S::USES_DEFAULT_ROUTINES {
        (None, None)
    } else {
        (Some(allocate::<S> as _), Some(free::<S> as _))
    };
    // SAFETY: the head is nonpaged, aligned, and stays where it is until the list
    // is deleted; the routines find the rest of it by its address. The depth is
    // reserved and has to be 0.
    let status = unsafe {
        (head.exports.initialize)(
            head.start().as_ptr().cast(),
            allocate,
            free,
            head.pool.pool_type(),
            0,
            size,
            head.tag.raw(),
            0,
        )
    };
    Error::check(CALL, Status::from_raw(status))
}

/// What the kernel calls for a block that a list does not have.
unsafe extern "C" fn allocate<S: LookasideAllocator>(
    _: POOL_TYPE,
    _: SIZE_T,
    _: ULONG,
    list: PLOOKASIDE_LIST_EX,
) -> PVOID {
    // SAFETY: the kernel passes the list that this routine was given to, which is
    // the beginning of a head.
    let head = unsafe { &*list.cast::<Head<S>>() };
    // SAFETY: whoever takes a block of a paged list is at `<= APC_LEVEL`.
    let request = unsafe { BlockRequest::new(head.layout, head.pool, head.tag) };
    match head.allocator.allocate(request) {
        Some(block) => block.into_raw().as_ptr().cast(),
        None => null_mut(),
    }
}

/// What the kernel calls with a block that a list has no room for.
unsafe extern "C" fn free<S: LookasideAllocator>(block: PVOID, list: PLOOKASIDE_LIST_EX) {
    // SAFETY: as for `allocate`.
    let head = unsafe { &*list.cast::<Head<S>>() };
    if let Some(start) = NonNull::new(block.cast()) {
        // SAFETY: every block of the list came from `allocate`, so has this size and
        // tag, and it is not in use; whoever frees a block of a paged list is at
        // `<= APC_LEVEL`.
        let block = unsafe { LookasideBlock::from_raw(start, head.layout.size(), head.tag) };
        head.allocator.free(block);
    }
}
