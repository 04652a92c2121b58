//! Structures of the executive: locks, lookaside lists, work items, rundown protection.

use super::common::{Kevent, ListEntry, UnicodeString};
use super::structures;

structures! {
    /// `FAST_MUTEX`.
    FastMutex {
        count: u32,
        reserved1: u32,
        owner: u64,
        contention: u32,
        reserved2: u32,
        event: Kevent,
        old_irql: u32,
        reserved3: u32,
    }
    /// `OWNER_ENTRY`.
    OwnerEntry {
        owner_thread: u64,
        /// The count of the owner above three flags; in entry 0, the size of the table.
        owner_count: u32,
        padding: u32,
    }
    /// `ERESOURCE`.
    Eresource {
        system_resources_list: ListEntry,
        owner_table: u64,
        active_count: u16,
        flag: u16,
        reserved: u32,
        shared_waiters: u64,
        exclusive_waiters: u64,
        owner_entry: OwnerEntry,
        active_entries: u32,
        contention_count: u32,
        number_of_shared_waiters: u32,
        number_of_exclusive_waiters: u32,
        reserved2: u64,
        address: u64,
        spin_lock: u64,
    }
    /// `WORK_QUEUE_ITEM`.
    WorkQueueItem {
        list: ListEntry,
        worker_routine: u64,
        parameter: u64,
    }
    /// `GENERAL_LOOKASIDE`, without the alignment to a cache line.
    GeneralLookaside {
        list_head: [u64; 2],
        depth: u16,
        maximum_depth: u16,
        total_allocates: u32,
        allocate_misses: u32,
        total_frees: u32,
        free_misses: u32,
        kind: u32,
        tag: u32,
        size: u32,
        allocate: u64,
        free: u64,
        list_entry: ListEntry,
        last_total_allocates: u32,
        last_allocate_misses: u32,
        future: [u32; 2],
    }
    /// `EX_RUNDOWN_REF_CACHE_AWARE`, which is opaque, followed by the reference of the
    /// only processor.
    ExRundownRefCacheAware {
        /// Address of the references, one for each processor.
        run_refs: u64,
        /// The pool block that holds the structure, if the system allocated it.
        pool_to_free: u64,
        /// Bytes from one reference to the next.
        run_ref_size: u32,
        /// Number of references.
        number: u32,
        first: u64,
    }
    /// `EXT_DELETE_PARAMETERS`.
    ExtDeleteParameters {
        version: u32,
        reserved: u32,
        delete_callback: u64,
        delete_context: u64,
    }
    /// `KLDR_DATA_TABLE_ENTRY`: an entry of the list of loaded modules. Undocumented;
    /// its beginning has been the same since the first x64 Windows.
    KldrDataTableEntry {
        in_load_order_links: ListEntry,
        exception_table: u64,
        exception_table_size: u32,
        reserved1: u32,
        gp_value: u64,
        non_paged_debug_info: u64,
        dll_base: u64,
        entry_point: u64,
        size_of_image: u32,
        reserved2: u32,
        full_dll_name: UnicodeString,
        base_dll_name: UnicodeString,
        flags: u32,
        load_count: u16,
        reserved3: [u16; 25],
    }
}
