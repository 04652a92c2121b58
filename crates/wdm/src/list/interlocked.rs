//! The interlocked doubly linked list. The kernel's functions acquire a spin lock for each
//! operation.

use core::{cell::UnsafeCell, fmt, marker::PhantomData, ptr::NonNull};

use wdk_sys::{
    KSPIN_LOCK, LIST_ENTRY,
    ntddk::{
        ExInterlockedInsertHeadList, ExInterlockedInsertTailList, ExInterlockedRemoveHeadList,
    },
};

use super::{DoubleLinks, Linked, Shared, double::initialise_head, from_links, into_links};
use crate::{
    Result,
    pool::{PoolBox, PoolTag},
};

/// A list that is shared: `LIST_ENTRY` with a `KSPIN_LOCK`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included, unless dropping an entry asks for
/// less. The kernel's functions may be called at any IRQL; entries are nonpaged
/// pool, which may not.
///
/// ```no_run
/// # use wdm::{list::{DoubleLinks, InterlockedList}, pool::PoolBox};
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # struct Entry {
/// #     links: DoubleLinks,
/// # }
/// # wdm::linked!(Entry, links: DoubleLinks);
/// # fn example(entry: PoolBox<Entry>) -> wdm::Result<()> {
/// let list = InterlockedList::new(TAG)?;
/// list.push_back(entry);
/// while let Some(entry) = list.pop_front() {}
/// # Ok(())
/// # }
/// ```
///
/// # Invariants
///
/// Head and lock lie in nonpaged pool. The head and the entries form one circle of
/// links, which changes under the lock only; each entry is a box that `into_links`
/// took apart, and no reference to it exists.
pub struct InterlockedList<T: Linked<DoubleLinks>> {
    /// In memory of its own, which is nonpaged wherever the list lies.
    core: PoolBox<Core>,
    entries: PhantomData<Shared<T>>,
}

/// Head and lock, both of which the kernel uses at a raised level.
#[repr(C)]
struct Core {
    head: DoubleLinks,
    lock: UnsafeCell<KSPIN_LOCK>,
}

// SAFETY: a head and a lock belong to no thread.
unsafe impl Send for Core {}
// SAFETY: the lock orders access to the links; entries go from one thread to
// another, and no reference to one that is in the list is ever given out.
unsafe impl<T: Linked<DoubleLinks> + Send> Sync for InterlockedList<T> {}

impl<T: Linked<DoubleLinks>> InterlockedList<T> {
    /// A list without entries. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed for the head.
    pub fn new(tag: PoolTag) -> Result<Self> {
        let core = Core {
            head: DoubleLinks::new(),
            // What `KeInitializeSpinLock`, an inline function, writes.
            lock: UnsafeCell::new(0),
        };
        let core = PoolBox::new(core, tag).map_err(|rejected| rejected.error)?;
        initialise_head(&core.head);
        Ok(Self {
            core,
            entries: PhantomData,
        })
    }

    /// Inserts at the front and says whether the list was empty:
    /// `ExInterlockedInsertHeadList`. IRQL: `<= DISPATCH_LEVEL`.
    #[expect(clippy::must_use_candidate, reason = "the insertion is the purpose")]
    pub fn push_front(&self, entry: PoolBox<T>) -> bool {
        let entry = into_links::<T, DoubleLinks>(entry).cast();
        // SAFETY: head and lock are this list's and initialised; the entry is in
        // no list; all three are nonpaged.
        unsafe { ExInterlockedInsertHeadList(self.head(), entry.as_ptr(), self.core.lock.get()) }
            .is_null()
    }

    /// Inserts at the end and says whether the list was empty:
    /// `ExInterlockedInsertTailList`. IRQL: `<= DISPATCH_LEVEL`.
    #[expect(clippy::must_use_candidate, reason = "the insertion is the purpose")]
    pub fn push_back(&self, entry: PoolBox<T>) -> bool {
        let entry = into_links::<T, DoubleLinks>(entry).cast();
        // SAFETY: head and lock are this list's, in nonpaged pool and initialised;
        // the entry is a nonpaged block that is in no list.
        unsafe { ExInterlockedInsertTailList(self.head(), entry.as_ptr(), self.core.lock.get()) }
            .is_null()
    }

    /// Takes the first entry: `ExInterlockedRemoveHeadList`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use = "an entry that is dropped is freed"]
    pub fn pop_front(&self) -> Option<PoolBox<T>> {
        // SAFETY: head and lock are this list's and initialised.
        let entry = unsafe { ExInterlockedRemoveHeadList(self.head(), self.core.lock.get()) };
        let entry = NonNull::new(entry)?;
        // SAFETY: entries come from `into_links`; this one is out of the list, and
        // no reference to it exists.
        unsafe { from_links(entry.cast()) }
    }

    fn head(&self) -> *mut LIST_ENTRY {
        NonNull::from(&self.core.head).cast().as_ptr()
    }
}

impl<T: Linked<DoubleLinks>> Drop for InterlockedList<T> {
    fn drop(&mut self) {
        while let Some(entry) = self.pop_front() {
            drop(entry);
        }
    }
}

impl<T: Linked<DoubleLinks>> fmt::Debug for InterlockedList<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("InterlockedList")
    }
}
