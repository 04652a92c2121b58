//! Intrusive lists: the links are fields of the entries, so insertion allocates nothing
//! and removal takes constant time.
//!
//! An entry is a [`PoolBox`]. A list owns it until its removal. Only shared references
//! lead to an entry in a list, so safe code cannot move it, free it or change its links.
//! Dropping a list drops its entries.
//!
//! | type | WDK | concurrent use |
//! |---|---|---|
//! | [`List`] | `LIST_ENTRY`, inline functions | no |
//! | [`InterlockedList`] | `ExInterlockedInsertHeadList`, `ExInterlockedRemoveHeadList` | yes, with a spin lock |
//! | [`Stack`] | `SINGLE_LIST_ENTRY`, inline functions | no |
//! | [`InterlockedStack`] | `ExInterlockedPushEntryList`, `ExInterlockedPopEntryList` | yes, with a spin lock |
//! | [`SList`] | `SLIST_HEADER`, `ExpInterlockedPushEntrySList`, `ExpInterlockedPopEntrySList` | yes, without a lock |
//!
//! [`linked!`](crate::linked!) names the field with the links.

mod double;
mod interlocked;
mod single;
mod slist;

use core::{
    cell::{Cell, UnsafeCell},
    fmt,
    ptr::NonNull,
};

use wdk_sys::{LIST_ENTRY, SINGLE_LIST_ENTRY, SLIST_ENTRY};

pub use self::{
    double::{Cursor, List},
    interlocked::InterlockedList,
    single::{InterlockedStack, Stack},
    slist::{Flushed, SList},
};
use crate::pool::{PoolBox, PoolTag};

/// A type with links of the kind `L` in one of its fields.
/// [`linked!`](crate::linked!) implements it.
///
/// # Safety
///
/// `OFFSET` is the offset of a field of type `L`, in bytes.
pub unsafe trait Linked<L: Links>: Sized {
    /// Where the links lie in the value, in bytes.
    const OFFSET: usize;

    /// Where the field lies, by which the compiler compares its type with `L`.
    ///
    /// # Safety
    ///
    /// There is memory for a value at `entry`.
    #[doc(hidden)]
    unsafe fn __links(entry: *const Self) -> *const L;
}

/// For [`linked!`](crate::linked!): the offset, if `L` is aligned there.
#[doc(hidden)]
#[must_use]
pub const fn __aligned<T, L: Links>(offset: usize) -> usize {
    assert!(
        align_of::<T>() >= align_of::<L>() && offset.is_multiple_of(align_of::<L>()),
        "links are aligned in their entry, so it cannot be packed"
    );
    offset
}

/// Says which field of a type has the links; `CONTAINING_RECORD` of the reference
/// gets back from it to the value. The field has to be aligned, which it is not in
/// a type with `repr(packed)`: that does not compile.
///
/// ```no_run
/// # use wdm::list::DoubleLinks;
/// struct Waiting {
///     since: u64,
///     links: DoubleLinks,
/// }
/// wdm::linked!(Waiting, links: DoubleLinks);
/// ```
#[macro_export]
macro_rules! linked {
    ($entry:ty, $field:ident: $links:ty) => {
        // SAFETY: the offset is that of a field, and the function compiles only if the
        // field's type is that of the links: raw pointers are not coerced. No item is
        // declared where the caller's tokens are, so they mean the same everywhere.
        unsafe impl $crate::list::Linked<$links> for $entry {
            const OFFSET: usize =
                $crate::list::__aligned::<Self, $links>(::core::mem::offset_of!(Self, $field));

            unsafe fn __links(entry: *const Self) -> *const $links {
                // SAFETY: the caller vouches for the memory, and nothing is read of it.
                unsafe { &raw const (*entry).$field }
            }
        }

        // Looked at here, not only where there is a list.
        const _: () = {
            let _ = <$entry as $crate::list::Linked<$links>>::OFFSET;
        };
    };
}

/// What a list owns that entries are put into through shared references. A list of
/// entries that live long must not pass for one of entries that do not, as one that
/// is borrowed mutably may: whoever puts in a short-lived one would leave it there.
type Shared<T> = (PoolBox<T>, fn(T) -> T);

/// The kinds of links; nobody else can add one.
pub trait Links: sealed::Sealed {}

mod sealed {
    use core::cell::Cell;

    use crate::pool::PoolTag;

    /// What every kind of links has.
    pub trait Sealed {
        /// The tag of the block that the entry is in, while it is in a list.
        fn tag(&self) -> &Cell<Option<PoolTag>>;
    }
}

/// Defines a kind of links.
macro_rules! links {
    ($(#[$attribute:meta])* $name:ident holds $raw:ident) => {
        $(#[$attribute])*
        pub struct $name {
            entry: UnsafeCell<$raw>,
            tag: Cell<Option<PoolTag>>,
        }

        // SAFETY: only the list that an entry is in touches its links, with the
        // exclusion that the list's own functions have; shared references to the
        // entry lead to nothing of them.
        unsafe impl Sync for $name {}
        // SAFETY: links belong to no thread.
        unsafe impl Send for $name {}

        impl $name {
            /// Links of an entry that is in no list. IRQL: any.
            #[must_use]
            pub const fn new() -> Self {
                Self {
                    // SAFETY: pointers may be null.
                    entry: UnsafeCell::new(unsafe { core::mem::zeroed::<$raw>() }),
                    tag: Cell::new(None),
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl sealed::Sealed for $name {
            fn tag(&self) -> &Cell<Option<PoolTag>> {
                &self.tag
            }
        }

        impl Links for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(stringify!($name))
            }
        }
    };
}

links! {
    /// Links for a [`List`] or a [`InterlockedList`]: a `LIST_ENTRY`.
    #[repr(C)]
    DoubleLinks holds LIST_ENTRY
}

links! {
    /// The link for a [`Stack`] or a [`InterlockedStack`]: a `SINGLE_LIST_ENTRY`.
    #[repr(C)]
    SingleLinks holds SINGLE_LIST_ENTRY
}

links! {
    /// The link for an [`SList`]: an `SLIST_ENTRY`, aligned to 16 bytes as
    /// the processor's instruction wants it.
    #[repr(C, align(16))]
    SListLinks holds SLIST_ENTRY
}

const _: () = assert!(core::mem::offset_of!(DoubleLinks, entry) == 0);
const _: () = assert!(core::mem::offset_of!(SingleLinks, entry) == 0);
const _: () = assert!(core::mem::offset_of!(SListLinks, entry) == 0);
const _: () = assert!(align_of::<SListLinks>() == 16);

/// Takes a box apart: where its links are. [`from_links`] puts it together again.
fn into_links<T: Linked<L>, L: Links>(boxed: PoolBox<T>) -> NonNull<L> {
    let tag = boxed.tag();
    let value = boxed.into_raw();
    // SAFETY: the offset is that of a field of the value.
    let links: NonNull<L> = unsafe { value.byte_add(T::OFFSET) }.cast();
    // SAFETY: the field is there, and no other pointer to the value exists.
    unsafe { links.as_ref() }.tag().set(Some(tag));
    links
}

/// The value that has these links: `CONTAINING_RECORD`.
///
/// # Safety
///
/// The links are those of a `T` that [`into_links`] took apart.
const unsafe fn record<T: Linked<L>, L: Links>(links: NonNull<L>) -> NonNull<T> {
    // SAFETY: the links are at this offset of a value.
    unsafe { links.byte_sub(T::OFFSET) }.cast()
}

/// The box that [`into_links`] took apart.
///
/// # Safety
///
/// As for [`record`]; the entry is in no list, and nothing refers to it.
unsafe fn from_links<T: Linked<L>, L: Links>(links: NonNull<L>) -> Option<PoolBox<T>> {
    // SAFETY: the value is there.
    let tag = unsafe { links.as_ref() }.tag().take()?;
    // SAFETY: the caller vouches for the links.
    let value = unsafe { record::<T, L>(links) };
    // SAFETY: `into_raw` gave the address, of a box with this tag, and the caller
    // vouches for the rest.
    Some(unsafe { PoolBox::from_raw(value, tag) })
}
