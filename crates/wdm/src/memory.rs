//! Memory with more than one address, and the arithmetic of pages.
//!
//! Memory that is mapped twice changes through one address while Rust code uses the other,
//! so no reference to it is formed. [`SharedBytes`] copies single bytes with volatile
//! accesses, which the compiler does not remove, reorder or merge.

use core::{cell::Cell, ffi::c_void, fmt, marker::PhantomData, ptr::NonNull};

use wdk_sys::ntddk::MmGetPhysicalAddress;

/// Bytes in a page: `PAGE_SIZE` of x64.
pub const PAGE_SIZE: usize = 0x1000;

/// Number of the lowest address bit that tells pages apart: `PAGE_SHIFT` of x64.
pub const PAGE_SHIFT: u32 = 12;

/// Offset of an address within its page: `BYTE_OFFSET`. IRQL: any.
#[must_use]
pub const fn byte_offset(address: usize) -> usize {
    address & (PAGE_SIZE - 1)
}

/// Pages that `len` bytes from `address` touch:
/// `ADDRESS_AND_SIZE_TO_SPAN_PAGES`. IRQL: any.
#[must_use]
pub const fn span_pages(address: usize, len: usize) -> usize {
    byte_offset(address).saturating_add(len).div_ceil(PAGE_SIZE)
}

/// The size of a structure as the kernel's functions take it, in bytes.
pub(crate) const fn structure_size<T>() -> u32 {
    const {
        assert!(
            size_of::<T>() <= u32::MAX as usize,
            "no structure is that large"
        );
    };
    #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
    let size = size_of::<T>() as u32;
    size
}

/// A place in physical memory, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub struct PhysicalAddress(u64);

impl PhysicalAddress {
    pub(crate) const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The address as a number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The page that the address lies in.
    #[must_use]
    pub const fn frame(self) -> FrameNumber {
        FrameNumber(self.0 >> PAGE_SHIFT)
    }
}

impl fmt::LowerHex for PhysicalAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, formatter)
    }
}

/// A page frame number: a physical address in units of [`PAGE_SIZE`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub struct FrameNumber(u64);

impl FrameNumber {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::LowerHex for FrameNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, formatter)
    }
}

/// A view of resident, initialised memory of the kernel that may be reached
/// through other addresses as well.
///
/// Copies of a view, and views of other mappings, may be used side by side; all
/// of them stay on the thread that made them, because volatile accesses do not
/// synchronise with another thread's.
///
/// # Invariants
///
/// For all of `'a` the `len` bytes from `start` are mapped, resident, writable and
/// initialised, and no reference leads to them. Of Rust code only the thread at hand
/// accesses them; a program may write to pages of its own at any time, which is why
/// every access is volatile.
#[derive(Clone, Copy)]
pub struct SharedBytes<'a> {
    start: NonNull<u8>,
    len: usize,
    /// Shared and mutable, like a cell, and so neither `Send` nor `Sync`.
    memory: PhantomData<&'a Cell<u8>>,
}

impl<'a> SharedBytes<'a> {
    /// A view of `len` bytes from `start`.
    ///
    /// # Safety
    ///
    /// For all of `'a` the bytes are mapped, resident, writable, initialised, not
    /// in reach of any reference, and of Rust code only accessed by the thread at hand.
    pub(crate) const unsafe fn new(start: NonNull<u8>, len: usize) -> Self {
        // INVARIANT: the caller promises the same.
        Self {
            start,
            len,
            memory: PhantomData,
        }
    }

    /// Address of the first byte. IRQL: any.
    #[must_use]
    pub fn address(self) -> usize {
        self.start.as_ptr().expose_provenance()
    }

    /// Length in bytes. IRQL: any.
    #[must_use]
    pub const fn len(self) -> usize {
        self.len
    }

    /// Whether there is no byte. IRQL: any.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The bytes before `middle` and those from it on; `None` if there are fewer.
    /// IRQL: any.
    #[must_use]
    pub fn split_at(self, middle: usize) -> Option<(Self, Self)> {
        let rest = self.len.checked_sub(middle)?;
        // SAFETY: `middle` is at most `len`, so that the result is within the
        // memory or one past its end.
        let second = unsafe { self.start.add(middle) };
        Some((
            Self {
                len: middle,
                ..self
            },
            Self {
                start: second,
                len: rest,
                ..self
            },
        ))
    }

    /// The bytes in pieces of `size`, the last one shorter if they do not divide.
    /// A `size` of 0 gives one piece with everything. IRQL: any.
    pub fn chunks(self, size: usize) -> impl Iterator<Item = Self> + 'a {
        let mut left = Some(self).filter(|bytes| !bytes.is_empty());
        core::iter::from_fn(move || {
            let bytes = left.take()?;
            match bytes.split_at(size) {
                Some((chunk, rest)) if !chunk.is_empty() => {
                    left = Some(rest).filter(|bytes| !bytes.is_empty());
                    Some(chunk)
                }
                _ => Some(bytes),
            }
        })
    }

    /// The bytes cut at page boundaries: one piece for each page that they touch.
    /// IRQL: any.
    pub fn pages(self) -> impl Iterator<Item = Self> + 'a {
        let to_boundary = PAGE_SIZE.saturating_sub(byte_offset(self.address()));
        let (first, rest) = match self.split_at(to_boundary) {
            Some((first, rest)) => (first, Some(rest)),
            None => (self, None),
        };
        Some(first)
            .filter(|bytes| !bytes.is_empty())
            .into_iter()
            .chain(rest.into_iter().flat_map(|bytes| bytes.chunks(PAGE_SIZE)))
    }

    /// Sets every byte: `RtlFillMemory`. IRQL: `<= DISPATCH_LEVEL`.
    pub fn fill(self, byte: u8) {
        for place in self.places() {
            // SAFETY: by the type's invariant each place may be accessed so.
            unsafe { place.write_volatile(byte) };
        }
    }

    /// Copies `bytes` to the start of the memory, as many as fit, and returns how
    /// many these are. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use = "fewer bytes than given are copied if the memory is shorter"]
    pub fn copy_from(self, bytes: &[u8]) -> usize {
        for (place, byte) in self.places().zip(bytes) {
            // SAFETY: by the type's invariant each place may be accessed so.
            unsafe { place.write_volatile(*byte) };
        }
        self.len.min(bytes.len())
    }

    /// Copies the start of the memory to `bytes`, as many as fit, and returns how
    /// many these are. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use = "fewer bytes than there is room for are copied if the memory is shorter"]
    pub fn copy_to(self, bytes: &mut [u8]) -> usize {
        for (place, byte) in self.places().zip(bytes.iter_mut()) {
            // SAFETY: by the type's invariant each place may be accessed so.
            *byte = unsafe { place.read_volatile() };
        }
        self.len.min(bytes.len())
    }

    /// Compares the start of the memory with `bytes` and returns how many bytes are
    /// equal before the first that differs, or before either ends:
    /// `RtlCompareMemory`. IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn count_equal(self, bytes: &[u8]) -> usize {
        let pairs = self.places().zip(bytes);
        pairs
            // SAFETY: by the type's invariant each place may be accessed so.
            .take_while(|(place, byte)| unsafe { place.read_volatile() } == **byte)
            .count()
    }

    /// Where the first byte is in physical memory: `MmGetPhysicalAddress`.
    ///
    /// The kernel answers 0 for an address that is not mapped, which cannot be one
    /// of a view. Not for programming DMA. IRQL: any.
    #[must_use]
    pub fn physical_address(self) -> PhysicalAddress {
        let address: *mut c_void = self.start.as_ptr().cast();
        // SAFETY: any address may be asked about, and that of a view is mapped.
        let physical = unsafe { MmGetPhysicalAddress(address) };
        // SAFETY: all members of this union are views of the same 64 bits.
        let bytes = unsafe { physical.QuadPart };
        PhysicalAddress(bytes.cast_unsigned())
    }

    /// Every byte's place. Each may be read and written through volatile accesses
    /// while `'a` lasts; that is what the caller of [`Self::new`] promised.
    fn places(self) -> impl Iterator<Item = NonNull<u8>> {
        // SAFETY: an offset below `len` stays within the memory.
        (0..self.len).map(move |offset| unsafe { self.start.add(offset) })
    }
}

impl fmt::Debug for SharedBytes<'_> {
    /// Where the memory is; never what is in it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes at {:p}", self.len, self.start)
    }
}
