//! `Parameters` of an `IO_STACK_LOCATION`, one structure for each group of functions.
//! wdm.h aligns members that follow a `ULONG` to eight bytes (`POINTER_ALIGNMENT`).

use super::structures;

structures! {
    /// `Parameters.Create`.
    CreateParameters {
        security_context: u64,
        options: u32,
        reserved1: u32,
        file_attributes: u16,
        share_access: u16,
        reserved2: u32,
        ea_length: u32,
        reserved3: u32,
    }
    /// `Parameters.Read` and `Parameters.Write`.
    ReadWriteParameters {
        length: u32,
        reserved: u32,
        key: u32,
        flags: u32,
        byte_offset: u64,
    }
    /// `Parameters.DeviceIoControl` and `Parameters.FileSystemControl`.
    DeviceIoControlParameters {
        output_buffer_length: u32,
        reserved1: u32,
        input_buffer_length: u32,
        reserved2: u32,
        io_control_code: u32,
        reserved3: u32,
        type3_input_buffer: u64,
    }
    /// `Parameters.QueryFile`, `SetFile`, `QueryVolume` and `SetVolume`.
    FileInformationParameters {
        length: u32,
        reserved1: u32,
        file_information_class: u32,
        reserved2: u32,
        /// Of `SetFile`: the directory that a file is renamed into.
        file_object: u64,
        /// Of `SetFile`: `ReplaceIfExists` in the first byte.
        replace_if_exists: u8,
        advance_only: u8,
        reserved3: [u8; 6],
    }
    /// `Parameters.QueryDirectory`.
    QueryDirectoryParameters {
        length: u32,
        reserved1: u32,
        /// A `UNICODE_STRING`.
        file_name: u64,
        file_information_class: u32,
        reserved2: u32,
        file_index: u32,
        reserved3: u32,
    }
    /// `Parameters.LockControl`.
    LockControlParameters {
        /// A `LARGE_INTEGER`.
        length: u64,
        key: u32,
        reserved: u32,
        byte_offset: u64,
    }
    /// `Parameters.WaitWake`.
    WaitWakeParameters {
        power_state: u32,
    }
    /// `Parameters.Power`.
    PowerParameters {
        system_context: u32,
        reserved1: u32,
        kind: u32,
        reserved2: u32,
        state: u32,
        reserved3: u32,
        shutdown_type: u32,
        reserved4: u32,
    }
}
