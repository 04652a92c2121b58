//! Requests and replies, as they lie in memory: little-endian, without padding.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The versions of the driver and the system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct VersionReply {
    /// [`VERSION`](crate::VERSION) of the driver.
    pub protocol: u32,
    /// The driver's own version: major, minor, patch.
    pub driver: [u16; 3],
    /// 1 for a build with debug assertions.
    pub is_debug: u16,
    /// The running system's version: major, minor, build.
    pub system: [u32; 3],
}

/// The execution context of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ContextReply {
    /// Identifier of the process.
    pub process: u64,
    /// Identifier of the thread.
    pub thread: u64,
    /// `MmHighestUserAddress`.
    pub highest_user: u64,
    /// `MmUserProbeAddress`.
    pub user_probe: u64,
    /// `MmSystemRangeStart`.
    pub system_range_start: u64,
    /// The IRQL, 0 to 15.
    pub irql: u32,
    /// 1 if a program asked, 0 if a driver did.
    pub from_user: u32,
}

/// The driver's counters since its start, and its current resources.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StatisticsReply {
    /// Files opened so far.
    pub opened: u64,
    /// Of these, how many are not closed.
    pub open: u64,
    /// Control requests so far, this one included.
    pub requests: u64,
    /// Of these, how many were refused because of their code or their lengths.
    pub refused: u64,
    /// Requests that wait now.
    pub waiting: u64,
    /// Mappings of the driver's pages in programs.
    pub views: u64,
    /// Bytes of these.
    pub view_bytes: u64,
    /// Bytes that files keep.
    pub stored: u64,
}

/// The IRQL at five moments, 0 to 15 each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IrqlReply {
    /// On arrival.
    pub before: u32,
    /// Raised to `APC_LEVEL`.
    pub apc: u32,
    /// Raised to `DISPATCH_LEVEL`.
    pub dispatch: u32,
    /// Under a spin lock.
    pub locked: u32,
    /// Lowered again.
    pub after: u32,
}

/// The number that is passed to a waiting request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SignalRequest {
    /// Any number.
    pub number: u64,
}

/// The result of a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SignalReply {
    /// How many requests it woke: 0 or 1.
    pub woken: u32,
}
