//! Singly linked lists, last in, first out: `PushEntryList`, `PopEntryList` and the
//! interlocked variants.

use core::{cell::UnsafeCell, fmt, marker::PhantomData, ptr::NonNull};

use wdk_sys::{
    KSPIN_LOCK, SINGLE_LIST_ENTRY,
    ntddk::{ExInterlockedPopEntryList, ExInterlockedPushEntryList},
};

use super::{Linked, Shared, SingleLinks, from_links, into_links, record};
use crate::{
    Result,
    pool::{PoolBox, PoolTag},
};

/// A singly linked list: `SINGLE_LIST_ENTRY`. Takes no memory of its own.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included, unless dropping an entry asks for
/// less.
///
/// ```no_run
/// # use wdm::{list::{SingleLinks, Stack}, pool::PoolBox};
/// # struct Entry {
/// #     links: SingleLinks,
/// # }
/// # wdm::linked!(Entry, links: SingleLinks);
/// # fn example(entry: PoolBox<Entry>) -> wdm::Result<()> {
/// let mut stack = Stack::new();
/// stack.push(entry);
/// let last = stack.pop();
/// # Ok(())
/// # }
/// ```
///
/// # Invariants
///
/// What `first` leads to are boxes that `into_links` took apart, to which nobody has a
/// reference that this list has not lent.
pub struct Stack<T: Linked<SingleLinks>> {
    first: Option<NonNull<SINGLE_LIST_ENTRY>>,
    entries: PhantomData<PoolBox<T>>,
}

// SAFETY: a stack owns its entries, which may change threads.
unsafe impl<T: Linked<SingleLinks> + Send> Send for Stack<T> {}
// SAFETY: a shared stack gives shared access to its entries, and nothing else.
unsafe impl<T: Linked<SingleLinks> + Sync> Sync for Stack<T> {}

impl<T: Linked<SingleLinks>> Stack<T> {
    /// A list without entries. IRQL: any.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            first: None,
            entries: PhantomData,
        }
    }

    /// Inserts at the front: `PushEntryList`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn push(&mut self, entry: PoolBox<T>) {
        let entry: NonNull<SINGLE_LIST_ENTRY> = into_links::<T, SingleLinks>(entry).cast();
        let link = SINGLE_LIST_ENTRY {
            Next: as_link(self.first),
        };
        // SAFETY: the entry is in no list, and its link may be changed.
        unsafe { entry.write(link) };
        self.first = Some(entry);
    }

    /// Takes the first entry: `PopEntryList`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn pop(&mut self) -> Option<PoolBox<T>> {
        let entry = self.first?;
        // SAFETY: the entry is in this list.
        self.first = NonNull::new(unsafe { (*entry.as_ptr()).Next });
        // SAFETY: entries come from `into_links`, and this one is out of the list,
        // which is borrowed mutably.
        unsafe { from_links(entry.cast()) }
    }

    /// The entries from the one that was pushed last. IRQL: `<= DISPATCH_LEVEL`.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let mut at = self.first;
        core::iter::from_fn(move || {
            let entry = at?;
            // SAFETY: the entry is in the list, which is borrowed.
            at = NonNull::new(unsafe { (*entry.as_ptr()).Next });
            // SAFETY: entries come from `into_links`.
            let value = unsafe { record::<T, SingleLinks>(entry.cast()) };
            // SAFETY: the value is there while the list is borrowed, and only
            // shared references lead to it.
            Some(unsafe { value.as_ref() })
        })
    }
}

fn as_link(entry: Option<NonNull<SINGLE_LIST_ENTRY>>) -> *mut SINGLE_LIST_ENTRY {
    entry.map_or(core::ptr::null_mut(), NonNull::as_ptr)
}

impl<T: Linked<SingleLinks>> Default for Stack<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Linked<SingleLinks>> Drop for Stack<T> {
    fn drop(&mut self) {
        while let Some(entry) = self.pop() {
            drop(entry);
        }
    }
}

impl<T: Linked<SingleLinks>> fmt::Debug for Stack<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Stack")
    }
}

/// A singly linked list that is shared: `SINGLE_LIST_ENTRY` with a `KSPIN_LOCK`.
///
/// IRQL: as for [`InterlockedList`](super::InterlockedList).
///
/// ```no_run
/// # use wdm::{list::{InterlockedStack, SingleLinks}, pool::PoolBox};
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # struct Entry {
/// #     links: SingleLinks,
/// # }
/// # wdm::linked!(Entry, links: SingleLinks);
/// # fn example(entry: PoolBox<Entry>) -> wdm::Result<()> {
/// let stack = InterlockedStack::new(TAG)?;
/// stack.push(entry);
/// let last = stack.pop();
/// # Ok(())
/// # }
/// ```
pub struct InterlockedStack<T: Linked<SingleLinks>> {
    /// In memory of its own, which is nonpaged.
    core: PoolBox<Core>,
    entries: PhantomData<Shared<T>>,
}

struct Core {
    head: UnsafeCell<SINGLE_LIST_ENTRY>,
    lock: UnsafeCell<KSPIN_LOCK>,
}

// SAFETY: a head belongs to no thread.
unsafe impl Send for Core {}
// SAFETY: the lock orders access to the links; entries go from one thread to
// another, and no reference to one that is in the list is ever given out.
unsafe impl<T: Linked<SingleLinks> + Send> Sync for InterlockedStack<T> {}

impl<T: Linked<SingleLinks>> InterlockedStack<T> {
    /// A list without entries. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed for the head.
    pub fn new(tag: PoolTag) -> Result<Self> {
        let core = Core {
            head: UnsafeCell::new(SINGLE_LIST_ENTRY {
                Next: core::ptr::null_mut(),
            }),
            lock: UnsafeCell::new(0),
        };
        Ok(Self {
            core: PoolBox::new(core, tag).map_err(|rejected| rejected.error)?,
            entries: PhantomData,
        })
    }

    /// Inserts at the front and says whether the list was empty:
    /// `ExInterlockedPushEntryList`. IRQL: `<= DISPATCH_LEVEL`.
    #[expect(
        clippy::must_use_candidate,
        reason = "the entry is in, which is what counts"
    )]
    pub fn push(&self, entry: PoolBox<T>) -> bool {
        let entry = into_links::<T, SingleLinks>(entry).cast();
        let Core { head, lock } = &*self.core;
        // SAFETY: head and lock are this list's and initialised; the entry is in
        // no list; all three are nonpaged.
        unsafe { ExInterlockedPushEntryList(head.get(), entry.as_ptr(), lock.get()) }.is_null()
    }

    /// Takes the first entry: `ExInterlockedPopEntryList`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use = "an entry that is dropped is freed"]
    pub fn pop(&self) -> Option<PoolBox<T>> {
        let Core { head, lock } = &*self.core;
        // SAFETY: head and lock are this list's and initialised.
        let entry = unsafe { ExInterlockedPopEntryList(head.get(), lock.get()) };
        let entry = NonNull::new(entry)?;
        // SAFETY: entries come from `into_links`; this one is out of the list, and
        // no reference to it exists.
        unsafe { from_links(entry.cast()) }
    }
}

impl<T: Linked<SingleLinks>> Drop for InterlockedStack<T> {
    fn drop(&mut self) {
        while let Some(entry) = self.pop() {
            drop(entry);
        }
    }
}

impl<T: Linked<SingleLinks>> fmt::Debug for InterlockedStack<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("InterlockedStack")
    }
}
