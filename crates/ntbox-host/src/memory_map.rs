//! Where things lie in the one address space that the driver sees.
//!
//! Windows puts the system range in the upper half of the 64-bit space, which a
//! Linux process does not have. So the lower half is cut in two: user addresses
//! below [`SYSTEM_RANGE_START`], system addresses from there on. The values that
//! a driver reads from `MmHighestUserAddress` and its kin are these.

use std::ops::Range;

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 0x1000;
/// Shift from bytes to pages.
pub const PAGE_SHIFT: u32 = 12;

/// `MmHighestUserAddress`: the last byte that a process may have.
pub const HIGHEST_USER_ADDRESS: u64 = 0x0000_3fff_fffe_ffff;
/// `MmUserProbeAddress`: the first address that probing refuses.
pub const USER_PROBE_ADDRESS: u64 = 0x0000_3fff_ffff_0000;
/// `MmSystemRangeStart`: the first system address.
pub const SYSTEM_RANGE_START: u64 = 0x0000_4000_0000_0000;

/// A range of the system space with one use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    /// First address.
    pub base: u64,
    /// Size in bytes.
    pub size: u64,
}

impl Zone {
    /// First address past the zone.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.base + self.size
    }

    /// Whether `va` lies inside.
    #[must_use]
    pub const fn contains(self, va: u64) -> bool {
        va >= self.base && va - self.base < self.size
    }
}

/// Nonpaged pool.
pub const NONPAGED_POOL: Zone = Zone {
    base: 0x0000_4100_0000_0000,
    size: 256 << 20,
};
/// Paged pool.
pub const PAGED_POOL: Zone = Zone {
    base: 0x0000_4200_0000_0000,
    size: 256 << 20,
};
/// System page table entries: where MDLs are mapped.
pub const SYSTEM_PTES: Zone = Zone {
    base: 0x0000_4300_0000_0000,
    size: 16 << 30,
};
/// Addresses that drivers reserve for mappings of their own.
pub const MAPPING_ADDRESSES: Zone = Zone {
    base: 0x0000_4380_0000_0000,
    size: 16 << 30,
};
/// Driver images.
pub const IMAGES: Zone = Zone {
    base: 0x0000_4400_0000_0000,
    size: 1 << 30,
};
/// Translated code of drivers, in reach of their images.
pub const CODE_CACHE: Zone = Zone {
    base: IMAGES.base + IMAGES.size,
    size: 128 << 20,
};
/// Nonpaged pool that may be executed, in reach of the cache.
pub const EXECUTABLE_POOL: Zone = Zone {
    base: CODE_CACHE.base + CODE_CACHE.size,
    size: 64 << 20,
};
/// Kernel stacks.
pub const STACKS: Zone = Zone {
    base: 0x0000_4500_0000_0000,
    size: 4 << 30,
};
/// The kernel's own image as a driver sees it: one entry an export, and data.
pub const NT: Zone = Zone {
    base: 0x0000_4600_0000_0000,
    size: 16 << 20,
};
/// Inaccessible addresses that stand for imports which are not there.
pub const MISSING: Zone = Zone {
    base: 0x0000_4700_0000_0000,
    size: 1 << 30,
};
/// Processor control regions.
pub const PCRS: Zone = Zone {
    base: 0x0000_4800_0000_0000,
    size: 16 << 20,
};

/// Whether an address belongs to the system range.
#[must_use]
pub const fn is_system(va: u64) -> bool {
    va >= SYSTEM_RANGE_START
}

/// Number of pages that `length` bytes at `va` touch
/// (`ADDRESS_AND_SIZE_TO_SPAN_PAGES`).
#[must_use]
pub const fn pages_spanned(va: u64, length: u64) -> u64 {
    ((va & (PAGE_SIZE - 1)) + length).div_ceil(PAGE_SIZE)
}

/// The page shared with everyone; Windows has it at 0xFFFFF780'00000000.
pub const SHARED_DATA: Zone = Zone {
    base: 0x0000_4880_0000_0000,
    size: PAGE_SIZE,
};

/// Bytes from address 0 on that no process ever has.
pub const NULL_REGION: u64 = 0x1_0000;

/// First address past everything that a driver can hold. What lies above is this
/// program itself, which to the driver is not there.
pub const GUEST_END: u64 = 0x0000_4900_0000_0000;

/// The addresses that a driver can hold.
#[cfg(not(any(test, feature = "test-support")))]
#[must_use]
pub const fn driver_range() -> Range<u64> {
    0..GUEST_END
}

/// The addresses that a driver can hold. Unit tests of exports, which run where no
/// signal is handled, have the driver's data on their own stack and heap; there nothing
/// is mapped at [`NULL_REGION`], and a fault would end the process.
#[cfg(any(test, feature = "test-support"))]
#[must_use]
pub fn driver_range() -> Range<u64> {
    if super::signals::are_handled() {
        0..GUEST_END
    } else {
        NULL_REGION..0x0000_8000_0000_0000
    }
}
