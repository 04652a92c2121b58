//! Kernel pool that is owned, tagged, and fallible.
//!
//! Pool is the kernel's heap. A block knows the tag that it was taken with and
//! frees itself with it, so neither a leak nor a wrong tag can be written down.
//! Kernels before Windows 10 2004 lack `ExAllocatePool2`; there a block comes from
//! `ExAllocatePoolWithTag`, without execute permission where the kernel knows of
//! it, and is zeroed here.

mod boxed;

use core::{alloc::Layout, ffi::c_void, fmt, ptr::NonNull};

use wdk_sys::{
    _POOL_TYPE::NonPagedPool, POOL_FLAG_NON_PAGED, POOL_FLAG_UNINITIALIZED, POOL_TYPE, PVOID,
    SIZE_T, ULONG, ntddk::ExFreePoolWithTag,
};

use crate::{
    Error, Result, Status,
    memory::{PAGE_SIZE, SharedBytes},
    system,
};

pub use self::boxed::PoolBox;

/// What every block of less than a page is aligned to, in bytes, on x64.
const BLOCK_ALIGNMENT: usize = 16;

/// `NonPagedPoolNx`, which headers have under that name from Windows 8 on.
const NON_PAGED_POOL_NX: POOL_TYPE = 512;

unsafe extern "system" {
    /// Deprecated, so the bindings leave it out; every kernel has it.
    fn ExAllocatePoolWithTag(pool_type: POOL_TYPE, bytes: SIZE_T, tag: ULONG) -> PVOID;
}

/// Four characters that tell, in a debugger or in `poolmon`, who took a block.
///
/// Made by [`pool_tag!`](crate::pool_tag!), which checks it while compiling.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct PoolTag(u32);

impl PoolTag {
    /// The tag with these characters, in the order in which a debugger shows
    /// them; `None` unless each is printable ASCII, 0x20 to 0x7E.
    #[must_use]
    pub const fn new(characters: [u8; 4]) -> Option<Self> {
        let [a, b, c, d] = characters;
        if is_printable(a) && is_printable(b) && is_printable(c) && is_printable(d) {
            // The lowest byte comes first in memory, and tools show memory.
            Some(Self(u32::from_le_bytes(characters)))
        } else {
            None
        }
    }
}

const fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7E)
}

impl fmt::Display for PoolTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        self.0
            .to_le_bytes()
            .into_iter()
            .try_for_each(|byte| formatter.write_char(char::from(byte)))
    }
}

impl fmt::Debug for PoolTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PoolTag({self})")
    }
}

/// A [`PoolTag`] from four characters in a byte string. It
/// does not compile if one of them is not printable ASCII.
///
/// ```ignore
/// const TAG: PoolTag = wdm::pool_tag!(b"Smpl");
/// ```
#[macro_export]
macro_rules! pool_tag {
    ($characters:literal) => {
        const {
            match $crate::pool::PoolTag::new(*$characters) {
                ::core::option::Option::Some(tag) => tag,
                ::core::option::Option::None => {
                    ::core::panic!("a pool tag is four characters of printable ASCII")
                }
            }
        }
    };
}

/// A block of nonpaged, initialised pool. Freed when dropped:
/// `ExFreePoolWithTag`.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
pub struct NonpagedBlock {
    block: RawBlock,
}

impl NonpagedBlock {
    /// Takes a block of `layout.size()` bytes, all 0: `ExAllocatePool2`, or
    /// `ExAllocatePoolWithTag` where the kernel lacks it.
    ///
    /// The kernel aligns a block to 16 bytes, and to a page if it is a page or
    /// larger. A layout that asks for more than 16 is given at least a page.
    ///
    /// IRQL: `<= DISPATCH_LEVEL`.
    ///
    /// # Errors
    ///
    /// * `STATUS_INSUFFICIENT_RESOURCES`: no memory is left.
    /// * `STATUS_INVALID_PARAMETER`: the size is 0.
    /// * `STATUS_NOT_SUPPORTED`: the alignment is above a page.
    pub fn zeroed(layout: Layout, tag: PoolTag) -> Result<Self> {
        match RawBlock::take(layout, tag, Contents::Zeroed)? {
            (block, Contents::Zeroed) => Ok(Self { block }),
            (block, Contents::Uninitialised) => Ok(UninitialisedBlock { block }.fill(0)),
        }
    }

    /// Takes a block of `layout.size()` bytes whose contents are whatever the
    /// memory held before: nothing to read until it has been filled.
    ///
    /// IRQL, alignment and errors as for [`Self::zeroed`].
    ///
    /// # Errors
    ///
    /// As for [`Self::zeroed`].
    pub fn uninitialised(layout: Layout, tag: PoolTag) -> Result<UninitialisedBlock> {
        let (block, _) = RawBlock::take(layout, tag, Contents::Uninitialised)?;
        Ok(UninitialisedBlock { block })
    }

    /// Address of the first byte. IRQL: any.
    #[must_use]
    pub fn address(&self) -> usize {
        self.block.start.as_ptr().expose_provenance()
    }

    /// Size in bytes, as asked for; never 0. IRQL: any.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.block.size
    }

    /// The tag that the block carries. IRQL: any.
    #[must_use]
    pub const fn tag(&self) -> PoolTag {
        self.block.tag
    }

    /// The bytes of the block. IRQL: any.
    #[must_use]
    pub fn memory(&self) -> SharedBytes<'_> {
        // SAFETY: nonpaged pool is mapped, resident and writable until freed, which
        // the borrow prevents; it is initialised, and references into it are never
        // made. The block is not `Sync`, nor is anything that lends it out.
        unsafe { SharedBytes::new(self.block.start, self.block.size) }
    }

    pub(crate) const fn start(&self) -> NonNull<u8> {
        self.block.start
    }
}

impl fmt::Debug for NonpagedBlock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} tagged {}", self.memory(), self.tag())
    }
}

/// A block of nonpaged pool that nothing has been written to yet. Freed when
/// dropped.
///
/// IRQL: `<= DISPATCH_LEVEL`, dropping included.
pub struct UninitialisedBlock {
    block: RawBlock,
}

impl UninitialisedBlock {
    /// Sets every byte, after which the block can be read.
    /// IRQL: `<= DISPATCH_LEVEL`.
    #[must_use]
    pub fn fill(self, byte: u8) -> NonpagedBlock {
        let Self { block } = self;
        // SAFETY: the block is ours, `size` bytes long, and nobody else knows it.
        unsafe { block.start.write_bytes(byte, block.size) };
        NonpagedBlock { block }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Contents {
    Zeroed,
    Uninitialised,
}

/// Pool as the kernel hands it out: an address that is freed with its tag.
struct RawBlock {
    start: NonNull<u8>,
    size: usize,
    tag: PoolTag,
}

// SAFETY: pool belongs to no thread or process: any may use and free it.
unsafe impl Send for RawBlock {}

impl RawBlock {
    /// Takes pool, and tells what is in it: perhaps nothing useful, although
    /// zeroes were asked for.
    fn take(layout: Layout, tag: PoolTag, contents: Contents) -> Result<(Self, Contents)> {
        let allocate2 = system::allocate_pool2();
        let call = if allocate2.is_some() {
            "ExAllocatePool2"
        } else {
            "ExAllocatePoolWithTag"
        };
        let bytes = bytes_for(layout).map_err(|status| Error::new(call, status))?;
        let (start, contents) = if let Some(allocate2) = allocate2 {
            let flags = match contents {
                Contents::Zeroed => POOL_FLAG_NON_PAGED,
                Contents::Uninitialised => POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED,
            };
            // SAFETY: size and tag are not 0, and the flags are defined ones.
            (unsafe { allocate2(flags, bytes, tag.0) }, contents)
        } else {
            let pool_type = if system::has_no_execute_memory() {
                NON_PAGED_POOL_NX
            } else {
                NonPagedPool
            };
            // SAFETY: size and tag are not 0, and the kernel knows the pool type.
            (
                unsafe { ExAllocatePoolWithTag(pool_type, bytes, tag.0) },
                Contents::Uninitialised,
            )
        };
        let start = NonNull::new(start.cast()).ok_or(Error::out_of_resources(call))?;
        Ok((
            Self {
                start,
                size: layout.size(),
                tag,
            },
            contents,
        ))
    }
}

impl Drop for RawBlock {
    fn drop(&mut self) {
        let start: *mut c_void = self.start.as_ptr().cast();
        // SAFETY: the block came from the kernel with this tag, and this is the one
        // place that frees it.
        unsafe { ExFreePoolWithTag(start, self.tag.0) };
    }
}

/// How many bytes to ask for, so that the kernel's alignment is the layout's.
fn bytes_for(layout: Layout) -> Result<SIZE_T, Status> {
    let size = match (layout.size(), layout.align()) {
        (0, _) => return Err(Status::INVALID_PARAMETER),
        (size, ..=BLOCK_ALIGNMENT) => size,
        (size, ..=PAGE_SIZE) => size.max(PAGE_SIZE),
        _ => return Err(Status::NOT_SUPPORTED),
    };
    SIZE_T::try_from(size).map_err(|_| Status::INVALID_PARAMETER)
}
