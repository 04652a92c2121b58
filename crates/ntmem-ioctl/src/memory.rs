//! Views of the driver's pages in a program, and data that goes through a file by
//! each of the I/O manager's methods.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The most views that there are at a time, of all programs.
pub const VIEW_LIMIT: usize = 16;

/// The most bytes of a view.
pub const VIEW_SIZE_LIMIT: u32 = 1024 * 1024;

/// The most bytes that a file keeps.
pub const STORE_LIMIT: usize = 0x1_0000;

/// A view that is asked for: pages of the driver, all zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct MapRequest {
    /// Bytes: whole pages, up to [`VIEW_SIZE_LIMIT`].
    pub size: u32,
    /// 1 for a view that the program cannot write to, otherwise 0.
    pub read_only: u32,
}

/// A view that there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct MapReply {
    /// Its address in the program that asked.
    pub address: u64,
}

/// A view that is to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct UnmapRequest {
    /// Its address.
    pub address: u64,
}

/// A word of a view that the driver is to exchange, at its own address of the same
/// page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ExchangeRequest {
    /// Address of the view.
    pub address: u64,
    /// Where the word begins in the view, in bytes.
    pub offset: u64,
    /// What it is to become.
    pub value: u64,
}

/// What the word was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ExchangeReply {
    /// The word.
    pub value: u64,
}

/// What comes before data that is sent: its checksum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SendRequest {
    /// [`Checksum`] of the data.
    pub sum: u64,
}

/// A checksum of what was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SumReply {
    /// Bytes.
    pub bytes: u64,
    /// Their [`Checksum`].
    pub sum: u64,
}

/// FNV-1a of 64 bits, byte by byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checksum(u64);

impl Checksum {
    /// That of no bytes.
    pub const EMPTY: Self = Self(0xCBF2_9CE4_8422_2325);

    /// That of the bytes so far and these.
    #[must_use]
    pub fn then(self, bytes: &[u8]) -> Self {
        const PRIME: u64 = 0x0000_0100_0000_01B3;
        let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(PRIME);
        Self(bytes.iter().fold(self.0, step))
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// Where the driver was when one of its entry points was last called.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct EntryContext {
    /// How often it has been called.
    pub count: u64,
    /// Identifier of the process.
    pub process: u64,
    /// Identifier of the thread.
    pub thread: u64,
    /// The IRQL, 0 to 15.
    pub irql: u32,
    /// 1 if a program made the request: its `RequestorMode`, which the I/O manager
    /// takes from the caller's previous mode. 0 if a driver did, and where nobody
    /// makes one: DriverEntry, and the two ends of a file, which the I/O manager
    /// tells of by itself.
    pub from_user: u32,
}

/// The entry points, in the order of [`ContextsReply`].
pub const ENTRY_POINTS: [&str; 7] = [
    "driver-entry",
    "create",
    "read",
    "write",
    "device-control",
    "cleanup",
    "close",
];

/// Where the driver was, for each entry point.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ContextsReply {
    /// In the order of [`ENTRY_POINTS`].
    pub entries: [EntryContext; ENTRY_POINTS.len()],
}

#[cfg(test)]
mod tests {
    use super::Checksum;

    #[test]
    fn checksum_matches_fnv_1a_vectors() {
        // Test vectors that the algorithm's authors give.
        assert_eq!(Checksum::EMPTY.then(b"").number(), 0xCBF2_9CE4_8422_2325);
        assert_eq!(Checksum::EMPTY.then(b"a").number(), 0xAF63_DC4C_8601_EC8C);
        assert_eq!(
            Checksum::EMPTY.then(b"foo").then(b"bar").number(),
            0x8594_4171_F739_67E8
        );
    }
}
