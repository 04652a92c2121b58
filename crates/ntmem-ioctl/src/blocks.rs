//! The regions of a process's address space, from `ZwQueryVirtualMemory`. They contain
//! addresses and protections, no memory contents and no kernel addresses.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The process and the start address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct BlocksRequest {
    /// Identifier of the process.
    pub process: u64,
    /// The first address: 0, or the end of the last block of the previous reply.
    pub address: u64,
}

/// A block. The reply has as many as exist and fit into the output buffer; an empty
/// reply means the end. The numbers are those of
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
