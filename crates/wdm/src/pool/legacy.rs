//! The pool functions that Microsoft has deprecated in favour of `ExAllocatePool2`.
//!
//! Kernels before Windows 10 2004 have no others, so the rest of this crate falls back to
//! them. A [`Block`] adds what the functions lack: it is zeroed, an exception of a quota
//! function is an error, and the block is freed by the matching function.

use core::{ffi::c_void, fmt, ptr::NonNull};

use wdk_sys::{
    _POOL_TYPE::{NonPagedPool, PagedPool},
    POOL_TYPE, PVOID, SIZE_T, ULONG,
};

use crate::{
    Error, Result, Status,
    irql::{Apc, Irql},
    memory::SharedBytes,
    pool::{PoolTag, usage},
    scope::{DeferredDrop, DropAtIrql, TAG},
    seh, system,
};

unsafe extern "system" {
    // The bindings leave deprecated functions out; every kernel has these.
    fn ExAllocatePool(pool_type: POOL_TYPE, bytes: SIZE_T) -> PVOID;
    pub(super) fn ExAllocatePoolWithTag(pool_type: POOL_TYPE, bytes: SIZE_T, tag: ULONG) -> PVOID;
    fn ExAllocatePoolWithQuota(pool_type: POOL_TYPE, bytes: SIZE_T) -> PVOID;
    pub(super) fn ExAllocatePoolWithQuotaTag(
        pool_type: POOL_TYPE,
        bytes: SIZE_T,
        tag: ULONG,
    ) -> PVOID;
    fn ExFreePool(block: PVOID);
    pub(super) fn ExFreePoolWithTag(block: PVOID, tag: ULONG);
}

/// `NonPagedPoolNx`, which headers have under that name from Windows 8 on.
const NON_PAGED_POOL_NX: POOL_TYPE = 512;

/// What is added to a pool type for blocks that begin with a cache line:
/// `NonPagedPoolCacheAligned` and its kind.
pub(super) const CACHE_ALIGNED: POOL_TYPE = 4;

/// Which pool a block is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pool {
    /// Resident at any time; not executable where the kernel knows of it
    /// (`NonPagedPoolNx`, otherwise `NonPagedPool`).
    Nonpaged,
    /// Not there while its page is on disk (`PagedPool`).
    Paged,
}

impl Pool {
    /// The `POOL_TYPE` that stands for this pool on the running kernel.
    pub(crate) fn pool_type(self) -> POOL_TYPE {
        match self {
            Self::Paged => PagedPool,
            Self::Nonpaged if system::has_no_execute_memory() => NON_PAGED_POOL_NX,
            Self::Nonpaged => NonPagedPool,
        }
    }
}

/// How a block goes back.
#[derive(Clone, Copy)]
enum Release {
    /// `ExFreePool`.
    Untagged,
    /// `ExFreePoolWithTag`.
    Tagged(PoolTag),
}

/// A block from a deprecated function, zeroed. Freed when dropped: `ExFreePool`, or
/// `ExFreePoolWithTag` if it has a tag.
///
/// IRQL: `<= APC_LEVEL`; dropping it: `<= DISPATCH_LEVEL`.
///
/// ```no_run
/// # use wdm::pool::legacy::{self, Pool};
/// # const TAG: wdm::pool::PoolTag = wdm::pool_tag!(b"Smpl");
/// # fn example(passive: &mut wdm::irql::Passive) -> wdm::Result<()> {
/// let block = legacy::allocate_with_tag(Pool::Paged, 512, TAG, passive)?;
/// block.memory(passive).fill(0xA5);
/// # Ok(())
/// # }
/// ```
pub struct Block(DeferredDrop<RawBlock>);

/// An address that is freed with the function that belongs to where it came from.
struct RawBlock {
    start: NonNull<u8>,
    size: usize,
    pool: Pool,
    release: Release,
}

// SAFETY: pool belongs to no thread or process: any may use and free it.
unsafe impl Send for RawBlock {}

impl DropAtIrql for RawBlock {
    fn max_irql(&self) -> Irql {
        match self.pool {
            Pool::Paged => Irql::APC,
            Pool::Nonpaged => Irql::DISPATCH,
        }
    }
}

/// `ExAllocatePool`: a block without a tag.
///
/// IRQL: `<= APC_LEVEL`.
///
/// # Errors
///
/// * `STATUS_INSUFFICIENT_RESOURCES`: pool allocation failed.
/// * `STATUS_INVALID_PARAMETER`: `bytes` is 0.
pub fn allocate(pool: Pool, bytes: usize, irql: &Apc) -> Result<Block> {
    const CALL: &str = "ExAllocatePool";
    let size = size(CALL, bytes)?;
    // SAFETY: the size is not 0, the kernel knows the type, and the token is for
    // either pool.
    let start = unsafe { ExAllocatePool(pool.pool_type(), size) };
    Block::new(CALL, start, bytes, pool, Release::Untagged, irql)
}

/// `ExAllocatePoolWithTag`: a block with a tag.
///
/// IRQL: `<= APC_LEVEL`.
///
/// # Errors
///
/// As for [`allocate`].
pub fn allocate_with_tag(pool: Pool, bytes: usize, tag: PoolTag, irql: &Apc) -> Result<Block> {
    const CALL: &str = "ExAllocatePoolWithTag";
    let size = size(CALL, bytes)?;
    // SAFETY: as in `allocate`; a tag is never 0.
    let start = unsafe { ExAllocatePoolWithTag(pool.pool_type(), size, tag.raw()) };
    Block::new(CALL, start, bytes, pool, Release::Tagged(tag), irql)
}

/// `ExAllocatePoolWithQuota`: a block without a tag, charged to the current
/// process. The kernel raises if it has none; that is caught.
///
/// IRQL: `<= APC_LEVEL`.
///
/// # Errors
///
/// * `STATUS_INVALID_PARAMETER`: `bytes` is 0.
/// * What the kernel raised: `STATUS_INSUFFICIENT_RESOURCES`, or
///   `STATUS_QUOTA_EXCEEDED`.
pub fn allocate_with_quota(pool: Pool, bytes: usize, irql: &Apc) -> Result<Block> {
    const CALL: &str = "ExAllocatePoolWithQuota";
    let size = size(CALL, bytes)?;
    let function = ExAllocatePoolWithQuota as *const c_void;
    let arguments = [pool_type_word(pool), size_word(size), 0, 0, 0, 0];
    // SAFETY: function and arguments are those of the reference, and as in
    // `allocate`. A call that raises has allocated nothing.
    let start = unsafe { raising(CALL, function, arguments) }?;
    Block::new(CALL, start, bytes, pool, Release::Untagged, irql)
}

/// `ExAllocatePoolWithQuotaTag`: a block with a tag, charged to the current
/// process. The kernel raises if it has none; that is caught.
///
/// IRQL: `<= APC_LEVEL`.
///
/// # Errors
///
/// As for [`allocate_with_quota`].
pub fn allocate_with_quota_tag(
    pool: Pool,
    bytes: usize,
    tag: PoolTag,
    irql: &Apc,
) -> Result<Block> {
    const CALL: &str = "ExAllocatePoolWithQuotaTag";
    let size = size(CALL, bytes)?;
    let function = ExAllocatePoolWithQuotaTag as *const c_void;
    let tag_word = usize::try_from(tag.raw()).unwrap_or(0);
    let arguments = [pool_type_word(pool), size_word(size), tag_word, 0, 0, 0];
    // SAFETY: as in `allocate_with_quota`.
    let start = unsafe { raising(CALL, function, arguments) }?;
    Block::new(CALL, start, bytes, pool, Release::Tagged(tag), irql)
}

/// Calls a function that returns an address or raises.
///
/// # Safety
///
/// As for [`seh::call`].
unsafe fn raising(
    call: &'static str,
    function: *const c_void,
    arguments: [usize; 6],
) -> Result<PVOID> {
    // SAFETY: the caller vouches for function and arguments.
    let address = unsafe { seh::call(function, arguments) };
    let address = address.map_err(|status| Error::new(call, status))?;
    let address = usize::try_from(address).unwrap_or(0);
    Ok(core::ptr::with_exposed_provenance_mut(address))
}

fn size(call: &'static str, bytes: usize) -> Result<SIZE_T> {
    match SIZE_T::try_from(bytes) {
        Ok(size) if size != 0 => Ok(size),
        _ => Err(Error::new(call, Status::INVALID_PARAMETER)),
    }
}

/// A pool type in the eight bytes of an argument.
fn pool_type_word(pool: Pool) -> usize {
    usize::try_from(pool.pool_type()).unwrap_or(0)
}

/// A size in the eight bytes of an argument.
fn size_word(size: SIZE_T) -> usize {
    usize::try_from(size).unwrap_or(0)
}

impl Block {
    fn new(
        call: &'static str,
        start: PVOID,
        size: usize,
        pool: Pool,
        release: Release,
        _: &Apc,
    ) -> Result<Self> {
        let start: NonNull<u8> = NonNull::new(start.cast()).ok_or(Error::out_of_resources(call))?;
        usage::record_allocation();
        // SAFETY: the block is ours, `size` bytes long; the token says that it may
        // be touched.
        unsafe { start.write_bytes(0, size) };
        let block = RawBlock {
            start,
            size,
            pool,
            release,
        };
        let tag = match release {
            Release::Untagged => TAG,
            Release::Tagged(tag) => tag,
        };
        match DeferredDrop::new(block, tag) {
            Ok(block) => Ok(Self(block)),
            Err(rejected) => Err(rejected.error),
        }
    }

    /// Which pool the block is in. IRQL: any.
    #[must_use]
    pub fn pool(&self) -> Pool {
        self.0.pool
    }

    /// The tag that the block was taken with, if it was. IRQL: any.
    #[must_use]
    pub fn tag(&self) -> Option<PoolTag> {
        match self.0.release {
            Release::Untagged => None,
            Release::Tagged(tag) => Some(tag),
        }
    }

    /// The bytes of the block. IRQL: `<= APC_LEVEL`.
    #[must_use]
    pub fn memory<'a>(&'a self, _: &'a Apc) -> SharedBytes<'a> {
        // SAFETY: the block is mapped and writable until freed, which the borrow
        // prevents, and a page that is absent can be fetched while the token is
        // borrowed; it is initialised, and references into it are never made. The
        // block is not `Sync`.
        unsafe { SharedBytes::new(self.0.start, self.0.size) }
    }
}

impl Drop for RawBlock {
    fn drop(&mut self) {
        let start: PVOID = self.start.as_ptr().cast();
        match self.release {
            // SAFETY: the block came from a function without a tag, and this is
            // the one place that frees it.
            Release::Untagged => unsafe { ExFreePool(start) },
            // SAFETY: the block came from a function with this tag, and this is the
            // one place that frees it.
            Release::Tagged(tag) => unsafe { ExFreePoolWithTag(start, tag.raw()) },
        }
        usage::record_free();
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} bytes of {:?} pool at {:p}",
            self.0.size, self.0.pool, self.0.start
        )
    }
}
