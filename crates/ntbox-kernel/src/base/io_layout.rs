//! Offsets of the fields of the I/O manager's structures, taken from `nt_layout`, and
//! the constants of these fields.

/// `DEVICE_OBJECT`.
pub mod device {
    use core::mem::offset_of;

    /// Number of the type.
    pub const TYPE_NUMBER: u16 = 3;
    pub const FLAGS: u64 = offset_of!(nt_layout::DeviceObject, flags) as u64;
    pub const VPB: u64 = offset_of!(nt_layout::DeviceObject, vpb) as u64;
    pub const ALIGNMENT_REQUIREMENT: u64 =
        offset_of!(nt_layout::DeviceObject, alignment_requirement) as u64;
    pub const SECTOR_SIZE: u64 = offset_of!(nt_layout::DeviceObject, sector_size) as u64;

    /// Flags of a device object.
    pub mod flag {
        pub const BUFFERED_IO: u32 = 0x0000_0004;
        pub const EXCLUSIVE: u32 = 0x0000_0008;
        pub const DIRECT_IO: u32 = 0x0000_0010;
        pub const HAS_NAME: u32 = 0x0000_0040;
        pub const INITIALIZING: u32 = 0x0000_0080;
        pub const SHUTDOWN_REGISTERED: u32 = 0x0000_0800;
    }
}

/// `DEVOBJ_EXTENSION`, as far as anyone looks.
pub mod object_extension {
    /// `IO_TYPE_DEVICE_OBJECT_EXTENSION`.
    pub const TYPE_NUMBER: u16 = 13;
}

/// `VPB`: which file system a storage device has.
pub mod vpb {
    pub const TYPE_NUMBER: u16 = 10;
    /// `VPB_MOUNTED`.
    pub const MOUNTED: u16 = 1;
}

/// `DRIVER_OBJECT`.
pub mod driver {
    pub const TYPE_NUMBER: u16 = 4;
}

/// `FILE_OBJECT`.
pub mod file {
    use core::mem::offset_of;

    pub const TYPE_NUMBER: u16 = 5;
    pub const DEVICE_OBJECT: u64 = offset_of!(nt_layout::FileObject, device_object) as u64;
    pub const VPB: u64 = offset_of!(nt_layout::FileObject, vpb) as u64;
    pub const FS_CONTEXT: u64 = offset_of!(nt_layout::FileObject, fs_context) as u64;
    pub const FS_CONTEXT2: u64 = offset_of!(nt_layout::FileObject, fs_context2) as u64;
    pub const SECTION_OBJECT_POINTER: u64 =
        offset_of!(nt_layout::FileObject, section_object_pointer) as u64;
    pub const RELATED_FILE: u64 = offset_of!(nt_layout::FileObject, related_file_object) as u64;
    pub const DELETE_PENDING: u64 = offset_of!(nt_layout::FileObject, delete_pending) as u64;
    pub const FLAGS: u64 = offset_of!(nt_layout::FileObject, flags) as u64;
    pub const FILE_NAME: u64 = offset_of!(nt_layout::FileObject, file_name) as u64;
    pub const CURRENT_BYTE_OFFSET: u64 =
        offset_of!(nt_layout::FileObject, current_byte_offset) as u64;
    pub const EVENT: u64 = offset_of!(nt_layout::FileObject, event) as u64;

    /// Flags of a file object.
    pub mod flag {
        pub const SYNCHRONOUS_IO: u32 = 0x0000_0002;
        pub const ALERTABLE_IO: u32 = 0x0000_0004;
        pub const NO_INTERMEDIATE_BUFFERING: u32 = 0x0000_0008;
        pub const WRITE_THROUGH: u32 = 0x0000_0010;
        pub const STREAM_FILE: u32 = 0x0000_0100;
        pub const SEQUENTIAL_ONLY: u32 = 0x0000_0020;
        pub const FILE_MODIFIED: u32 = 0x0000_1000;
        pub const VOLUME_OPEN: u32 = 0x0040_0000;
        pub const HANDLE_CREATED: u32 = 0x0004_0000;
        pub const DELETE_ON_CLOSE: u32 = 0x0001_0000;
        pub const RANDOM_ACCESS: u32 = 0x0010_0000;
        pub const CLEANUP_COMPLETE: u32 = 0x0000_4000;
    }
}

/// `IRP`.
pub mod irp {
    use core::mem::offset_of;

    pub const TYPE_NUMBER: u16 = 6;
    pub const MDL_ADDRESS: u64 = offset_of!(nt_layout::Irp, mdl_address) as u64;
    pub const FLAGS: u64 = offset_of!(nt_layout::Irp, flags) as u64;
    pub const SYSTEM_BUFFER: u64 = offset_of!(nt_layout::Irp, system_buffer) as u64;
    pub const STATUS: u64 = offset_of!(nt_layout::Irp, io_status.status) as u64;
    pub const INFORMATION: u64 = offset_of!(nt_layout::Irp, io_status.information) as u64;
    pub const CANCEL: u64 = offset_of!(nt_layout::Irp, cancel) as u64;
    pub const CANCEL_IRQL: u64 = offset_of!(nt_layout::Irp, cancel_irql) as u64;
    pub const ALLOCATION_SIZE: u64 = offset_of!(nt_layout::Irp, allocation_size) as u64;
    pub const CANCEL_ROUTINE: u64 = offset_of!(nt_layout::Irp, cancel_routine) as u64;
    pub const USER_BUFFER: u64 = offset_of!(nt_layout::Irp, user_buffer) as u64;
    pub const ORIGINAL_FILE_OBJECT: u64 = offset_of!(nt_layout::Irp, original_file_object) as u64;

    /// How its memory was allocated.
    pub mod allocation {
        pub const FIXED_SIZE: u8 = 0x04;
        pub const LOOKASIDE: u8 = 0x08;
        /// Most stack locations of an IRP of a fixed size.
        pub const MOST_LOCATIONS: u8 = 8;
    }

    /// Flags of an IRP.
    pub mod flag {
        pub const SYNCHRONOUS_API: u32 = 0x0000_0004;
        pub const ASSOCIATED: u32 = 0x0000_0008;
        pub const BUFFERED_IO: u32 = 0x0000_0010;
        pub const DEALLOCATE_BUFFER: u32 = 0x0000_0020;
        pub const INPUT_OPERATION: u32 = 0x0000_0040;
        pub const CREATE_OPERATION: u32 = 0x0000_0080;
        pub const READ_OPERATION: u32 = 0x0000_0100;
        pub const WRITE_OPERATION: u32 = 0x0000_0200;
        pub const CLOSE_OPERATION: u32 = 0x0000_0400;
    }
}

/// `IO_STACK_LOCATION`.
pub mod stack {
    use core::mem::offset_of;

    pub const MAJOR: u64 = offset_of!(nt_layout::IoStackLocation, major_function) as u64;
    pub const MINOR: u64 = offset_of!(nt_layout::IoStackLocation, minor_function) as u64;
    pub const FLAGS: u64 = offset_of!(nt_layout::IoStackLocation, flags) as u64;
    pub const CONTROL: u64 = offset_of!(nt_layout::IoStackLocation, control) as u64;
    pub const FILE_OBJECT: u64 = offset_of!(nt_layout::IoStackLocation, file_object) as u64;

    /// Parameters of a device control.
    pub mod control {
        pub const OUTPUT_LENGTH: u64 = 0x08;
        pub const INPUT_LENGTH: u64 = 0x10;
        pub const CODE: u64 = 0x18;
        pub const TYPE3_INPUT: u64 = 0x20;
    }

    /// Parameters of a read or a write.
    pub mod transfer {
        pub const LENGTH: u64 = 0x08;
        pub const KEY: u64 = 0x10;
        pub const BYTE_OFFSET: u64 = 0x18;
    }

    /// Parameters of queries and changes: of information on a file or its volume.
    pub mod information {
        pub const LENGTH: u64 = 0x08;
        pub const CLASS: u64 = 0x10;
        /// The directory that a file is renamed into.
        pub const TARGET: u64 = 0x18;
    }

    /// Parameters of a query of a directory.
    pub mod directory {
        pub const LENGTH: u64 = 0x08;
        /// A `UNICODE_STRING`.
        pub const PATTERN: u64 = 0x10;
        pub const CLASS: u64 = 0x18;
    }

    /// Parameters of locks of byte ranges.
    pub mod lock {
        /// A `LARGE_INTEGER`.
        pub const LENGTH: u64 = 0x08;
        pub const KEY: u64 = 0x10;
        pub const BYTE_OFFSET: u64 = 0x18;
    }

    /// Flags of a stack location, which mean something else for each function.
    pub mod special {
        pub const RESTART_SCAN: u8 = 0x01;
        pub const RETURN_SINGLE_ENTRY: u8 = 0x02;
        pub const FAIL_IMMEDIATELY: u8 = 0x01;
        pub const EXCLUSIVE_LOCK: u8 = 0x02;
        pub const OPEN_TARGET_DIRECTORY: u8 = 0x04;
        /// Of control requests.
        pub const READ_GRANTED: u8 = 0x01;
        pub const WRITE_GRANTED: u8 = 0x04;
    }

    /// Parameters of a create.
    pub mod create {
        pub const SECURITY_CONTEXT: u64 = 0x08;
        pub const OPTIONS: u64 = 0x10;
        pub const FILE_ATTRIBUTES: u64 = 0x18;
        pub const SHARE_ACCESS: u64 = 0x1a;
        pub const EA_LENGTH: u64 = 0x20;
    }

    /// Bits of the control byte.
    pub mod flag {
        pub const PENDING_RETURNED: u8 = 0x01;
        pub const INVOKE_ON_CANCEL: u8 = 0x20;
        pub const INVOKE_ON_SUCCESS: u8 = 0x40;
        pub const INVOKE_ON_ERROR: u8 = 0x80;
    }
}

/// `IRP_MJ_…`.
pub mod major {
    pub const CREATE: u8 = 0x00;
    pub const CLOSE: u8 = 0x02;
    pub const READ: u8 = 0x03;
    pub const WRITE: u8 = 0x04;
    pub const QUERY_INFORMATION: u8 = 0x05;
    pub const SET_INFORMATION: u8 = 0x06;
    pub const QUERY_EA: u8 = 0x07;
    pub const SET_EA: u8 = 0x08;
    pub const FLUSH_BUFFERS: u8 = 0x09;
    pub const QUERY_VOLUME_INFORMATION: u8 = 0x0a;
    pub const SET_VOLUME_INFORMATION: u8 = 0x0b;
    pub const DIRECTORY_CONTROL: u8 = 0x0c;
    pub const FILE_SYSTEM_CONTROL: u8 = 0x0d;
    pub const DEVICE_CONTROL: u8 = 0x0e;
    pub const INTERNAL_DEVICE_CONTROL: u8 = 0x0f;
    pub const SHUTDOWN: u8 = 0x10;
    pub const LOCK_CONTROL: u8 = 0x11;
    pub const CLEANUP: u8 = 0x12;
    pub const MAXIMUM: u8 = 0x1b;
    pub const POWER: u8 = 0x16;
}
