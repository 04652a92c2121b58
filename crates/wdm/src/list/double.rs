//! The doubly linked list: `InsertHeadList`, `RemoveEntryList` and the other inline
//! functions of the WDK headers.
//!
//! Each operation checks the links of the neighbours first. A corrupt list stops the
//! system with `KERNEL_SECURITY_CHECK_FAILURE` (0x139) and
//! `FAST_FAIL_CORRUPT_LIST_ENTRY`, as the kernel's own functions do.

use core::{fmt, marker::PhantomData, ptr::NonNull};

use wdk_sys::LIST_ENTRY;

use super::{DoubleLinks, Linked, from_links, into_links, record};
use crate::{
    Result, arch,
    pool::{PoolBox, PoolTag},
};

/// A doubly linked list: `LIST_ENTRY`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included, unless dropping an entry asks for
/// less.
///
/// ```no_run
/// # use wdm::{list::{DoubleLinks, List}, pool::PoolBox};
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # struct Waiting {
/// #     since: u64,
/// #     links: DoubleLinks,
/// # }
/// # wdm::linked!(Waiting, links: DoubleLinks);
/// # impl Waiting {
/// #     fn new(since: u64) -> Self {
/// #         Self { since, links: DoubleLinks::new() }
/// #     }
/// # }
/// # fn example() -> wdm::Result<()> {
/// let mut list = List::new(TAG)?;
/// list.push_back(PoolBox::new(Waiting::new(7), TAG).map_err(|rejected| rejected.error)?);
/// let first = list.pop_front();
/// # Ok(())
/// # }
/// ```
///
/// # Invariants
///
/// The head and `len` entries form one circle of links. Each entry is a box that
/// `into_links` took apart, and no reference to it exists that this list has not
/// lent.
pub struct List<T: Linked<DoubleLinks>> {
    /// In memory of its own, because entries point to it.
    head: PoolBox<DoubleLinks>,
    len: usize,
    entries: PhantomData<PoolBox<T>>,
}

impl<T: Linked<DoubleLinks>> List<T> {
    /// A list without entries: `InitializeListHead`. IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed for the head.
    pub fn new(tag: PoolTag) -> Result<Self> {
        let head = new_head(tag)?;
        Ok(Self {
            head,
            len: 0,
            entries: PhantomData,
        })
    }

    /// How many entries there are. IRQL: any.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none: `IsListEmpty`. IRQL: any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // SAFETY: the head is initialised.
        unsafe { next(self.head()) == self.head() }
    }

    /// Inserts at the front: `InsertHeadList`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn push_front(&mut self, entry: PoolBox<T>) {
        let before = self.head();
        self.insert_after(before, entry);
    }

    /// Inserts at the end: `InsertTailList`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn push_back(&mut self, entry: PoolBox<T>) {
        // SAFETY: the head is initialised.
        let before = unsafe { previous(self.head()) };
        self.insert_after(before, entry);
    }

    /// Takes the first entry: `RemoveHeadList`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn pop_front(&mut self) -> Option<PoolBox<T>> {
        // SAFETY: the head is initialised.
        let first = unsafe { next(self.head()) };
        self.take(first)
    }

    /// Takes the last entry: `RemoveTailList`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn pop_back(&mut self) -> Option<PoolBox<T>> {
        // SAFETY: the head is initialised.
        let last = unsafe { previous(self.head()) };
        self.take(last)
    }

    /// The entries from the first to the last. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        Iter {
            // SAFETY: the head is initialised.
            first: unsafe { next(self.head()) },
            // SAFETY: by the type's invariant the head has links, to itself if
            // nothing else.
            last: unsafe { previous(self.head()) },
            left: self.len,
            list: PhantomData,
        }
    }

    /// A cursor at the first entry, with which entries are taken out or put in
    /// anywhere. IRQL: `<= DISPATCH_LEVEL`.
    pub fn cursor(&mut self) -> Cursor<'_, T> {
        // SAFETY: the head is initialised.
        let at = unsafe { next(self.head()) };
        Cursor { list: self, at }
    }

    fn head(&self) -> NonNull<LIST_ENTRY> {
        NonNull::from(&*self.head).cast()
    }

    fn insert_after(&mut self, before: NonNull<LIST_ENTRY>, entry: PoolBox<T>) {
        let entry = into_links::<T, DoubleLinks>(entry).cast();
        // SAFETY: `before` is in this list, and the entry in none.
        unsafe { link(before, entry) };
        self.len = self.len.saturating_add(1);
    }

    /// Takes an entry out; `None` for the head.
    fn take(&mut self, entry: NonNull<LIST_ENTRY>) -> Option<PoolBox<T>> {
        if entry == self.head() {
            return None;
        }
        // SAFETY: the entry is in this list.
        unsafe { unlink(entry) };
        self.len = self.len.saturating_sub(1);
        // SAFETY: entries come from `into_links`, this one is out of the list, and
        // the list is borrowed mutably, so that nothing refers to it.
        unsafe { from_links(entry.cast()) }
    }
}

impl<T: Linked<DoubleLinks>> Drop for List<T> {
    fn drop(&mut self) {
        while let Some(entry) = self.pop_front() {
            drop(entry);
        }
    }
}

impl<T: Linked<DoubleLinks>> fmt::Debug for List<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "List of {}", self.len)
    }
}

/// Goes through a list from both ends.
struct Iter<'l, T> {
    first: NonNull<LIST_ENTRY>,
    last: NonNull<LIST_ENTRY>,
    left: usize,
    list: PhantomData<&'l T>,
}

impl<'l, T: Linked<DoubleLinks>> Iterator for Iter<'l, T> {
    type Item = &'l T;

    fn next(&mut self) -> Option<&'l T> {
        self.left = self.left.checked_sub(1)?;
        let entry = self.first;
        // SAFETY: as many entries as were left are in the list, which is borrowed.
        self.first = unsafe { next(entry) };
        // SAFETY: entries of the list are values of this type, and stay while the
        // list is borrowed.
        Some(unsafe { value(entry) })
    }
}

impl<T: Linked<DoubleLinks>> DoubleEndedIterator for Iter<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let entry = self.last;
        // SAFETY: as for `next`.
        self.last = unsafe { previous(entry) };
        // SAFETY: entries of the list are values of this type, and stay while the
        // list is borrowed.
        Some(unsafe { value(entry) })
    }
}

/// A place in a list: at an entry, or behind the last one.
///
/// IRQL: `<= DISPATCH_LEVEL`.
///
/// ```no_run
/// # use wdm::list::{DoubleLinks, List};
/// # struct Waiting {
/// #     since: u64,
/// #     links: DoubleLinks,
/// # }
/// # wdm::linked!(Waiting, links: DoubleLinks);
/// # impl Waiting {
/// #     fn is_over(&self) -> bool {
/// #         self.since == 0
/// #     }
/// # }
/// # fn example(mut list: List<Waiting>) -> wdm::Result<()> {
/// let mut cursor = list.cursor();
/// while let Some(waiting) = cursor.current() {
///     if waiting.is_over() {
///         drop(cursor.take());
///     } else {
///         cursor.move_next();
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Cursor<'l, T: Linked<DoubleLinks>> {
    list: &'l mut List<T>,
    at: NonNull<LIST_ENTRY>,
}

impl<T: Linked<DoubleLinks>> Cursor<'_, T> {
    /// The entry, or `None` behind the last one. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn current(&self) -> Option<&T> {
        if self.at == self.list.head() {
            return None;
        }
        // SAFETY: the entry is in the list, and stays while this is borrowed.
        Some(unsafe { value(self.at) })
    }

    /// Goes to the next entry; from behind the last one to the first.
    /// IRQL: `<= DISPATCH_LEVEL`.
    pub fn move_next(&mut self) {
        // SAFETY: the place is in the list.
        self.at = unsafe { next(self.at) };
    }

    /// Takes the entry out and goes to the next: `RemoveEntryList`.
    /// IRQL: `<= DISPATCH_LEVEL`.
    pub fn take(&mut self) -> Option<PoolBox<T>> {
        let entry = self.at;
        self.move_next();
        let taken = self.list.take(entry);
        if taken.is_none() {
            self.at = entry;
        }
        taken
    }

    /// Inserts before the entry; behind the last one, at the end.
    /// IRQL: `<= DISPATCH_LEVEL`.
    pub fn insert_before(&mut self, entry: PoolBox<T>) {
        // SAFETY: the place is in the list.
        let before = unsafe { previous(self.at) };
        self.list.insert_after(before, entry);
    }
}

impl<T: Linked<DoubleLinks>> fmt::Debug for Cursor<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Cursor in {:?}", self.list)
    }
}

/// A head whose links lead to itself.
fn new_head(tag: PoolTag) -> Result<PoolBox<DoubleLinks>> {
    let head = PoolBox::new(DoubleLinks::new(), tag).map_err(|rejected| rejected.error)?;
    initialise_head(&head);
    Ok(head)
}

/// Makes links, which are where they stay, the head of an empty list:
/// `InitializeListHead`.
pub(super) fn initialise_head(head: &DoubleLinks) {
    let at = NonNull::from(head).cast::<LIST_ENTRY>();
    let links = LIST_ENTRY {
        Flink: at.as_ptr(),
        Blink: at.as_ptr(),
    };
    // SAFETY: the links may be changed behind a shared reference, and nobody else
    // knows the head.
    unsafe { at.write(links) };
}

/// The value that an entry is in.
///
/// # Safety
///
/// The entry is one of a list of `T`, not its head, and stays in it for `'l`.
unsafe fn value<'l, T: Linked<DoubleLinks>>(entry: NonNull<LIST_ENTRY>) -> &'l T {
    // SAFETY: the caller vouches for the entry.
    let value = unsafe { record::<T, DoubleLinks>(entry.cast()) };
    // SAFETY: the value is there, and only shared references lead to it.
    unsafe { value.as_ref() }
}

/// The place after one.
///
/// # Safety
///
/// `entry` is in a list, or the head of one.
unsafe fn next(entry: NonNull<LIST_ENTRY>) -> NonNull<LIST_ENTRY> {
    // SAFETY: the caller vouches for the entry.
    checked(unsafe { (*entry.as_ptr()).Flink })
}

/// The place before one.
///
/// # Safety
///
/// As for [`next`].
unsafe fn previous(entry: NonNull<LIST_ENTRY>) -> NonNull<LIST_ENTRY> {
    // SAFETY: the caller vouches for the entry.
    checked(unsafe { (*entry.as_ptr()).Blink })
}

/// No link of a list is null.
fn checked(link: *mut LIST_ENTRY) -> NonNull<LIST_ENTRY> {
    NonNull::new(link).unwrap_or_else(|| corrupt())
}

/// Puts an entry behind `before`.
///
/// # Safety
///
/// `before` is in a list, or the head of one; `entry` is in none.
unsafe fn link(before: NonNull<LIST_ENTRY>, entry: NonNull<LIST_ENTRY>) {
    // SAFETY: the caller vouches for `before`.
    let after = unsafe { next(before) };
    // SAFETY: what is in a list leads to what is in it.
    if unsafe { previous(after) } != before {
        corrupt();
    }
    let links = LIST_ENTRY {
        Flink: after.as_ptr(),
        Blink: before.as_ptr(),
    };
    // SAFETY: the entry is ours until it is linked.
    unsafe { entry.write(links) };
    // SAFETY: `before` is in a list that the caller has alone.
    unsafe { (*before.as_ptr()).Flink = entry.as_ptr() };
    // SAFETY: `after` is the neighbour in the same list.
    unsafe { (*after.as_ptr()).Blink = entry.as_ptr() };
}

/// Takes an entry out of its list.
///
/// # Safety
///
/// `entry` is in a list, which the caller has alone.
unsafe fn unlink(entry: NonNull<LIST_ENTRY>) {
    // SAFETY: the caller vouches for the entry.
    let after = unsafe { next(entry) };
    // SAFETY: the caller vouches that the entry is in a list, so it has both links.
    let before = unsafe { previous(entry) };
    // SAFETY: what is in a list leads to what is in it.
    let follows = unsafe { next(before) } == entry;
    // SAFETY: what follows an entry of a list is in the list itself.
    let precedes = unsafe { previous(after) } == entry;
    if !follows || !precedes {
        corrupt();
    }
    // SAFETY: both neighbours are in the list, which the caller has alone.
    unsafe { (*before.as_ptr()).Flink = after.as_ptr() };
    // SAFETY: `after` is in the list, which the caller has alone.
    unsafe { (*after.as_ptr()).Blink = before.as_ptr() };
}

/// Stops the system as the kernel's own lists do: `RtlFailFast` with
/// `FAST_FAIL_CORRUPT_LIST_ENTRY`.
#[cold]
fn corrupt() -> ! {
    const CORRUPT_LIST_ENTRY: u32 = 3;
    arch::fast_fail(CORRUPT_LIST_ENTRY)
}
