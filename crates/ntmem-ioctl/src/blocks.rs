//! The blocks of a process's address space, as `ZwQueryVirtualMemory` tells them.
//! They say where memory lies and what may be done with it; what is in it, nobody
//! is told, and nothing of the kernel's own addresses.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Which process, and from where on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct BlocksRequest {
    /// Identifier of the process.
    pub process: u64,
    /// The first address: 0, or the end of the last block of the answer before.
    pub address: u64,
}

/// A block. The answer is as many of them as there is room for and the process
/// has; none at all says that there are no more. The numbers are those of
/// `MEMORY_BASIC_INFORMATION`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct BlockRecord {
    /// `AllocationBase`: where the allocation begins that it is of.
    pub allocation_base: u64,
    /// `BaseAddress`: its first address.
    pub base: u64,
    /// `RegionSize`: its bytes.
    pub size: u64,
    /// `State`: `MEM_COMMIT`, `MEM_RESERVE` or `MEM_FREE`.
    pub state: u32,
    /// `Type`: `MEM_PRIVATE`, `MEM_MAPPED` or `MEM_IMAGE`.
    pub kind: u32,
    /// `Protect`: a `PAGE_…` of today.
    pub protection: u32,
    /// `AllocationProtect`: that of the allocation.
    pub allocation_protection: u32,
}
