//! Constants, with the values and types of the bindings.

use crate::types::{NTSTATUS, POOL_FLAGS};

pub const POOL_FLAG_USE_QUOTA: POOL_FLAGS = 0x1;
pub const POOL_FLAG_UNINITIALIZED: POOL_FLAGS = 0x2;
pub const POOL_FLAG_CACHE_ALIGNED: POOL_FLAGS = 0x8;
pub const POOL_FLAG_NON_PAGED: POOL_FLAGS = 0x40;
pub const POOL_FLAG_PAGED: POOL_FLAGS = 0x100;
pub const POOL_QUOTA_FAIL_INSTEAD_OF_RAISE: u32 = 8;

pub const IO_NO_INCREMENT: u32 = 0;
pub const SL_PENDING_RETURNED: u32 = 1;
pub const DO_DIRECT_IO: u32 = 0x10;
pub const DO_DEVICE_INITIALIZING: u32 = 0x80;
pub const FILE_DEVICE_SECURE_OPEN: u32 = 0x100;
pub const FILE_DEVICE_UNKNOWN: u32 = 0x22;
pub const IRP_MJ_CREATE: u32 = 0;
pub const IRP_MJ_CLOSE: u32 = 2;
pub const IRP_MJ_READ: u32 = 3;
pub const IRP_MJ_WRITE: u32 = 4;
pub const IRP_MJ_DEVICE_CONTROL: u32 = 14;
pub const IRP_MJ_CLEANUP: u32 = 18;
pub const IRP_MJ_MAXIMUM_FUNCTION: u32 = 27;

pub const OBJ_CASE_INSENSITIVE: u32 = 0x40;
pub const OBJ_KERNEL_HANDLE: u32 = 0x200;
pub const DACL_SECURITY_INFORMATION: u32 = 4;
pub const WRITE_DAC: u32 = 0x4_0000;
pub const KEY_READ: u32 = 0x2_0019;

pub mod _EVENT_TYPE {
    pub type Type = u32;
    pub const NotificationEvent: Type = 0;
    pub const SynchronizationEvent: Type = 1;
}

pub mod _KWAIT_REASON {
    pub type Type = u32;
    pub const Executive: Type = 0;
}

pub mod _MODE {
    pub type Type = u32;
    pub const KernelMode: Type = 0;
    pub const UserMode: Type = 1;
}

pub mod _POOL_TYPE {
    pub type Type = u32;
    pub const NonPagedPool: Type = 0;
    pub const PagedPool: Type = 1;
}

pub mod _MEMORY_CACHING_TYPE {
    pub type Type = i32;
    pub const MmNonCached: Type = 0;
    pub const MmCached: Type = 1;
    pub const MmWriteCombined: Type = 2;
}

pub mod _KEY_VALUE_INFORMATION_CLASS {
    pub type Type = u32;
    pub const KeyValuePartialInformation: Type = 2;
}

/// A status from its number as the reference prints it.
const fn status(code: u32) -> NTSTATUS {
    code.cast_signed()
}

pub const STATUS_SUCCESS: NTSTATUS = 0;
pub const STATUS_TIMEOUT: NTSTATUS = 0x102;
pub const STATUS_PENDING: NTSTATUS = 0x103;
pub const STATUS_ACCESS_VIOLATION: NTSTATUS = status(0xC000_0005);
pub const STATUS_INVALID_CID: NTSTATUS = status(0xC000_000B);
pub const STATUS_INVALID_PARAMETER: NTSTATUS = status(0xC000_000D);
pub const STATUS_DATATYPE_MISALIGNMENT: NTSTATUS = status(0x8000_0002);
pub const STATUS_OBJECT_NAME_NOT_FOUND: NTSTATUS = status(0xC000_0034);
pub const STATUS_OBJECT_NAME_COLLISION: NTSTATUS = status(0xC000_0035);
pub const STATUS_DELETE_PENDING: NTSTATUS = status(0xC000_0056);
pub const STATUS_INSUFFICIENT_RESOURCES: NTSTATUS = status(0xC000_009A);
pub const STATUS_QUOTA_EXCEEDED: NTSTATUS = status(0xC000_0044);
pub const STATUS_CANCELLED: NTSTATUS = status(0xC000_0120);
