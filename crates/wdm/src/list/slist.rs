//! The sequenced singly linked list, `SLIST`. It needs no lock: one 16-byte
//! compare-exchange updates the head, the depth and the sequence number.

use core::{cell::UnsafeCell, fmt, marker::PhantomData, ptr::NonNull};

use wdk_sys::{
    SLIST_ENTRY, SLIST_HEADER,
    ntddk::{
        ExQueryDepthSList, ExpInterlockedFlushSList, ExpInterlockedPopEntrySList,
        ExpInterlockedPushEntrySList, InitializeSListHead,
    },
};

use super::{Linked, SListLinks, Shared, from_links, into_links};
use crate::{
    Result,
    pool::{PoolBox, PoolTag},
};

/// A list that is shared without a lock: `SLIST_HEADER`. Last in, first out.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included, unless dropping an entry asks for
/// less.
///
/// ```no_run
/// # use wdm::{list::{SListLinks, SList}, pool::PoolBox};
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # struct Entry {
/// #     links: SListLinks,
/// # }
/// # wdm::linked!(Entry, links: SListLinks);
/// # fn example(entry: PoolBox<Entry>) -> wdm::Result<()> {
/// let stack = SList::new(TAG)?;
/// stack.push(entry);
/// let last = stack.pop();
/// # Ok(())
/// # }
/// ```
///
/// # Invariants
///
/// The head is initialised. What it leads to are boxes that `into_links` took apart,
/// to which no reference exists.
pub struct SList<T: Linked<SListLinks>> {
    /// In memory of its own, aligned to 16 bytes and nonpaged.
    head: PoolBox<Head>,
    entries: PhantomData<Shared<T>>,
}

struct Head(UnsafeCell<SLIST_HEADER>);

const _: () = assert!(align_of::<Head>() == 16);

// SAFETY: a head belongs to no thread.
unsafe impl Send for Head {}
// SAFETY: the kernel's functions change the head with interlocked instructions;
// entries go from one thread to another, and no reference to one that is in the
// list is ever given out.
unsafe impl<T: Linked<SListLinks> + Send> Sync for SList<T> {}

impl<T: Linked<SListLinks>> SList<T> {
    /// A list without entries: `InitializeSListHead`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed for the head.
    pub fn new(tag: PoolTag) -> Result<Self> {
        let head = Head(UnsafeCell::new(SLIST_HEADER::default()));
        let head = PoolBox::new(head, tag).map_err(|rejected| rejected.error)?;
        // SAFETY: the head is ours, aligned to 16 bytes.
        unsafe { InitializeSListHead(head.0.get()) };
        Ok(Self {
            head,
            entries: PhantomData,
        })
    }

    /// How many entries there are, modulo 65536: `ExQueryDepthSList`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn depth(&self) -> u16 {
        // SAFETY: the head is initialised.
        unsafe { ExQueryDepthSList(self.head.0.get()) }
    }

    /// Inserts at the front and says whether the list was empty:
    /// `ExpInterlockedPushEntrySList`. IRQL: `<= DISPATCH_LEVEL`.
    #[expect(
        clippy::must_use_candidate,
        reason = "the entry is in, which is what counts"
    )]
    pub fn push(&self, entry: PoolBox<T>) -> bool {
        let entry = into_links::<T, SListLinks>(entry).cast();
        // SAFETY: the head is initialised; the entry is in no list, nonpaged, and
        // aligned to 16 bytes, as its type says.
        unsafe { ExpInterlockedPushEntrySList(self.head.0.get(), entry.as_ptr()) }.is_null()
    }

    /// Takes the first entry: `ExpInterlockedPopEntrySList`. Another processor may
    /// take and free the same entry while the kernel looks at it; the kernel
    /// handles that. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use = "an entry that is dropped is freed"]
    pub fn pop(&self) -> Option<PoolBox<T>> {
        // SAFETY: the head is initialised.
        let entry = unsafe { ExpInterlockedPopEntrySList(self.head.0.get()) };
        let entry = NonNull::new(entry)?;
        // SAFETY: entries come from `into_links`; this one is out of the list, and
        // no reference to it exists.
        unsafe { from_links(entry.cast()) }
    }

    /// Takes all entries at once: `ExpInterlockedFlushSList`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use = "entries that are dropped are freed"]
    pub fn flush(&self) -> Flushed<T> {
        // SAFETY: the head is initialised.
        let first = unsafe { ExpInterlockedFlushSList(self.head.0.get()) };
        Flushed {
            next: NonNull::new(first),
            entries: PhantomData,
        }
    }
}

impl<T: Linked<SListLinks>> Drop for SList<T> {
    fn drop(&mut self) {
        drop(self.flush());
    }
}

impl<T: Linked<SListLinks>> fmt::Debug for SList<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SList of {}", self.depth())
    }
}

/// The entries of a list that was flushed, from the one that was pushed last.
/// Those that are not asked for are dropped with it.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
pub struct Flushed<T: Linked<SListLinks>> {
    next: Option<NonNull<SLIST_ENTRY>>,
    entries: PhantomData<PoolBox<T>>,
}

impl<T: Linked<SListLinks>> Iterator for Flushed<T> {
    type Item = PoolBox<T>;

    fn next(&mut self) -> Option<PoolBox<T>> {
        let entry = self.next?;
        // SAFETY: the chain is this value's alone.
        self.next = NonNull::new(unsafe { (*entry.as_ptr()).Next });
        // SAFETY: entries come from `into_links`, and this one is out of the chain.
        unsafe { from_links(entry.cast()) }
    }
}

impl<T: Linked<SListLinks>> Drop for Flushed<T> {
    fn drop(&mut self) {
        self.by_ref().for_each(drop);
    }
}

impl<T: Linked<SListLinks>> fmt::Debug for Flushed<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Flushed")
    }
}
