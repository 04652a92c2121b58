//! Structures of file systems: control blocks, locks of byte ranges, tunnel caches,
//! maps of blocks, reparse points.

use super::common::{ListEntry, UnicodeString};
use super::ex::FastMutex;
use super::structures;

structures! {
    /// `FSRTL_COMMON_FCB_HEADER`.
    FsrtlCommonFcbHeader {
        node_type_code: u16,
        node_byte_size: u16,
        flags: u8,
        is_fast_io_possible: u8,
        flags2: u8,
        version: u8,
        resource: u64,
        paging_io_resource: u64,
        allocation_size: u64,
        file_size: u64,
        valid_data_length: u64,
    }
    /// `FSRTL_ADVANCED_FCB_HEADER`.
    FsrtlAdvancedFcbHeader {
        base: FsrtlCommonFcbHeader,
        fast_mutex: u64,
        filter_contexts: ListEntry,
        push_lock: u64,
        file_context_support_pointer: u64,
        oplock: u64,
        ae_push_lock: u64,
        bypass_io_open_count: u32,
        reserved: u32,
    }
    /// `FSRTL_PER_STREAM_CONTEXT`, `FSRTL_PER_FILE_CONTEXT` and
    /// `FSRTL_PER_FILEOBJECT_CONTEXT`, of which the last has no callback.
    FsrtlPerStreamContext {
        links: ListEntry,
        owner_id: u64,
        instance_id: u64,
        free_callback: u64,
    }
    /// `SECTION_OBJECT_POINTERS`.
    SectionObjectPointers {
        data_section_object: u64,
        shared_cache_map: u64,
        image_section_object: u64,
    }
    /// `SHARE_ACCESS`.
    ShareAccess {
        open_count: u32,
        readers: u32,
        writers: u32,
        deleters: u32,
        shared_read: u32,
        shared_write: u32,
        shared_delete: u32,
    }
    /// The file control block of this kernel's own file system.
    RamfsFcb {
        header: FsrtlCommonFcbHeader,
        share_access: ShareAccess,
        reserved1: u32,
        section_object_pointers: SectionObjectPointers,
        reserved2: u64,
    }
    /// `FILE_LOCK_INFO`.
    FileLockInfo {
        starting_byte: u64,
        length: u64,
        exclusive_lock: u8,
        reserved: [u8; 3],
        key: u32,
        file_object: u64,
        process_id: u64,
        ending_byte: u64,
    }
    /// `FILE_LOCK`.
    FileLock {
        complete_lock_irp_routine: u64,
        unlock_routine: u64,
        fast_io_is_questionable: u8,
        spare_c: [u8; 3],
        reserved1: u32,
        lock_information: u64,
        last_returned_lock_info: FileLockInfo,
        last_returned_lock: u64,
        lock_requests_in_progress: u32,
        reserved2: u32,
    }
    /// `TUNNEL`.
    Tunnel {
        mutex: FastMutex,
        cache: u64,
        timer_queue: ListEntry,
        num_entries: u16,
        reserved: [u16; 3],
    }
    /// An entry of a `TUNNEL`, without the texts and the data that follow it. Opaque to
    /// drivers; the fields are this kernel's.
    TunnelEntry {
        list_entry: ListEntry,
        create_time: u64,
        directory_key: u64,
        is_by_short_name: u32,
        data_length: u32,
        short_name: UnicodeString,
        long_name: UnicodeString,
    }
    /// `BASE_MCB`.
    BaseMcb {
        maximum_pair_count: u32,
        pair_count: u32,
        pool_type: u16,
        flags: u16,
        reserved: u32,
        /// An array of [`McbPair`].
        mapping: u64,
    }
    /// `LARGE_MCB`.
    LargeMcb {
        guarded_mutex: u64,
        base_mcb: BaseMcb,
    }
    /// A pair of an MCB: the first virtual block behind a run, and the run's first
    /// logical block.
    McbPair {
        next_vbn: i64,
        lbn: i64,
    }
    /// `REPARSE_GUID_DATA_BUFFER`, of which a `REPARSE_DATA_BUFFER` lacks the GUID,
    /// without the data.
    ReparseGuidDataBuffer {
        reparse_tag: u32,
        reparse_data_length: u16,
        reserved: u16,
        reparse_guid: [u64; 2],
    }
}
