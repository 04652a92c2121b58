//! Structures of routines that support drivers: cancel-safe queues, remove locks, work
//! items, timers, extra create parameters. And the input and output of file services.

use super::common::{Kevent, ListEntry};
use super::ex::WorkQueueItem;
use super::structures;

structures! {
    /// `IO_CSQ`.
    IoCsq {
        kind: u32,
        reserved: u32,
        csq_insert_irp: u64,
        csq_remove_irp: u64,
        csq_peek_next_irp: u64,
        csq_acquire_lock: u64,
        csq_release_lock: u64,
        csq_complete_canceled_irp: u64,
        reserve_pointer: u64,
    }
    /// `IO_CSQ_IRP_CONTEXT`.
    IoCsqIrpContext {
        kind: u32,
        reserved: u32,
        irp: u64,
        csq: u64,
    }
    /// `IO_REMOVE_LOCK_COMMON_BLOCK`: an `IO_REMOVE_LOCK` without debugging.
    IoRemoveLockCommonBlock {
        removed: u8,
        reserved: [u8; 3],
        io_count: i32,
        remove_event: Kevent,
    }
    /// `IO_REMOVE_LOCK` of a checked build.
    IoRemoveLockDbg {
        common: IoRemoveLockCommonBlock,
        signature: u32,
        high_watermark: u32,
        max_locked_ticks: u64,
        allocate_tag: u32,
        reserved1: u32,
        lock_list: ListEntry,
        spin: u64,
        low_memory_count: i32,
        reserved2: [u32; 5],
        reserved3: u64,
        blocks: u64,
    }
    /// `IO_UNLOAD_SAFE_COMPLETION_CONTEXT`. Opaque to drivers.
    IoUnloadSafeCompletionContext {
        device_object: u64,
        context: u64,
        completion_routine: u64,
    }
    /// `IO_WORKITEM`. Drivers know its size only; the fields are this kernel's.
    IoWorkitem {
        item: WorkQueueItem,
        routine: u64,
        io_object: u64,
        context: u64,
        reserved: [u64; 4],
    }
    /// `IO_TIMER`. Opaque to drivers; the fields are this kernel's.
    IoTimer {
        kind: u16,
        timer_flag: u16,
        reserved: u32,
        timer_list: ListEntry,
        timer_routine: u64,
        context: u64,
        device_object: u64,
    }
    /// `ECP_LIST`. Opaque to drivers; the fields are this kernel's.
    EcpList {
        signature: u32,
        flags: u32,
        ecp_list: ListEntry,
    }
    /// `ECP_HEADER`, before the context of an extra create parameter. Opaque to
    /// drivers; the fields are this kernel's.
    EcpHeader {
        signature: u32,
        reserved1: u32,
        list_entry: ListEntry,
        /// A GUID.
        ecp_type: [u64; 2],
        cleanup_callback: u64,
        flags: u32,
        /// Bytes of header and context.
        size: u32,
        /// The lookaside list that it is from; NULL for pool.
        lookaside_list: u64,
        /// Whether the entries of the lookaside list are paged.
        is_paged: u8,
        reserved2: [u8; 7],
    }
    /// `IO_DRIVER_CREATE_CONTEXT`.
    IoDriverCreateContext {
        size: u16,
        reserved1: [u8; 6],
        extra_create_parameter: u64,
        device_object_hint: u64,
        txn_parameters: u64,
    }
    /// `IO_SECURITY_CONTEXT`.
    IoSecurityContext {
        security_qos: u64,
        access_state: u64,
        desired_access: u32,
        full_create_options: u32,
    }
    /// `CONFIGURATION_INFORMATION`.
    ConfigurationInformation {
        disk_count: u32,
        floppy_count: u32,
        cd_rom_count: u32,
        tape_count: u32,
        scsi_port_count: u32,
        serial_count: u32,
        parallel_count: u32,
        at_disk_primary_address_claimed: u8,
        at_disk_secondary_address_claimed: u8,
        reserved: [u8; 2],
        version: u32,
        medium_changer_count: u32,
    }
    /// `IO_DISCONNECT_INTERRUPT_PARAMETERS`.
    IoDisconnectInterruptParameters {
        version: u32,
        reserved: u32,
        connection_context: u64,
    }
    /// `FILE_ALL_INFORMATION`.
    FileAllInformation {
        /// A `FILE_BASIC_INFORMATION`.
        basic: [u64; 5],
        /// A `FILE_STANDARD_INFORMATION`.
        standard: [u64; 3],
        index_number: u64,
        ea_size: u32,
        access_flags: u32,
        current_byte_offset: u64,
        mode: u32,
        alignment_requirement: u32,
        file_name_length: u32,
        file_name: [u16; 2],
    }
    /// `FILE_RENAME_INFORMATION`, with the first units of the name.
    FileRenameInformation {
        replace_if_exists: u8,
        reserved: [u8; 7],
        root_directory: u64,
        file_name_length: u32,
        file_name: [u16; 2],
    }
    /// `FILE_FS_DEVICE_INFORMATION`.
    FileFsDeviceInformation {
        device_type: u32,
        characteristics: u32,
    }
    /// `FILE_FULL_EA_INFORMATION`, without the name that follows it.
    FileFullEaInformation {
        next_entry_offset: u32,
        flags: u8,
        ea_name_length: u8,
        ea_value_length: u16,
    }
    /// `FILE_QUOTA_INFORMATION`, without the SID that follows it.
    FileQuotaInformation {
        next_entry_offset: u32,
        sid_length: u32,
        change_time: i64,
        quota_used: i64,
        quota_threshold: i64,
        quota_limit: i64,
    }
}
