//! The version of Windows that this kernel claims to be.

use ntbox_api::OsVersion;

/// `VER_SUITE_SINGLEUSERTS`.
pub const SUITE: u16 = 0x100;

use ntbox_host::kernel_cell::KernelCell;

static VERSION: KernelCell<OsVersion> = KernelCell::new(OsVersion {
    major: 10,
    minor: 0,
    build: 19045,
});

/// Sets it, before the driver runs.
pub fn set(version: OsVersion) {
    *VERSION.lock() = version;
}

/// What it is.
pub fn get() -> OsVersion {
    *VERSION.lock()
}

/// Whether handles have references ready, which the count of an object's pointers
/// shows: Windows 8 and later.
pub fn has_ready_references() -> bool {
    has_no_execute()
}

/// Whether it has pool and mappings that cannot be executed: Windows 8 and later.
pub fn has_no_execute() -> bool {
    let version = get();
    (version.major, version.minor) >= (6, 2)
}
