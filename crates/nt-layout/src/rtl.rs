//! Structures of the run-time library: tables, hash tables, lists of ranges, bitmaps,
//! resource descriptors, versions.

use zerocopy::little_endian::U64;

use super::common::ListEntry;
use super::structures;

structures! {
    /// `RTL_SPLAY_LINKS`.
    RtlSplayLinks {
        parent: u64,
        left_child: u64,
        right_child: u64,
    }
    /// `RTL_GENERIC_TABLE`.
    RtlGenericTable {
        table_root: u64,
        insert_order_list: ListEntry,
        ordered_pointer: u64,
        which_ordered_element: u32,
        number_generic_table_elements: u32,
        compare_routine: u64,
        allocate_routine: u64,
        free_routine: u64,
        table_context: u64,
    }
    /// What a node of an `RTL_GENERIC_TABLE` has in front of its element.
    RtlGenericTableNode {
        links: RtlSplayLinks,
        list_entry: ListEntry,
    }
    /// `RTL_BALANCED_LINKS`: what a node of an `RTL_AVL_TABLE` has in front of its
    /// element.
    RtlBalancedLinks {
        parent: u64,
        left_child: u64,
        right_child: u64,
        balance: i8,
        reserved: [u8; 7],
    }
    /// `RTL_AVL_TABLE`.
    RtlAvlTable {
        balanced_root: RtlBalancedLinks,
        ordered_pointer: u64,
        which_ordered_element: u32,
        number_generic_table_elements: u32,
        depth_of_tree: u32,
        reserved1: u32,
        restart_key: u64,
        delete_count: u32,
        reserved2: u32,
        compare_routine: u64,
        allocate_routine: u64,
        free_routine: u64,
        table_context: u64,
    }
    /// `RTL_DYNAMIC_HASH_TABLE`.
    RtlDynamicHashTable {
        flags: u32,
        shift: u32,
        table_size: u32,
        pivot: u32,
        divisor_mask: u32,
        num_entries: u32,
        non_empty_buckets: u32,
        num_enumerators: u32,
        directory: u64,
    }
    /// `RTL_DYNAMIC_HASH_TABLE_ENTRY`.
    RtlDynamicHashTableEntry {
        linkage: ListEntry,
        signature: u64,
    }
    /// `RTL_DYNAMIC_HASH_TABLE_CONTEXT`.
    RtlDynamicHashTableContext {
        chain_head: u64,
        prev_linkage: u64,
        signature: u64,
    }
    /// `RTL_DYNAMIC_HASH_TABLE_ENUMERATOR`.
    RtlDynamicHashTableEnumerator {
        hash_entry: RtlDynamicHashTableEntry,
        chain_head: u64,
        bucket_index: u32,
        reserved: u32,
    }
    /// `RTL_RANGE`.
    RtlRange {
        start: u64,
        end: u64,
        user_data: u64,
        owner: u64,
        attributes: u8,
        flags: u8,
        reserved: [u8; 6],
    }
    /// An entry of an `RTL_RANGE_LIST`. Drivers see the range only; the rest is this
    /// kernel's.
    RtlRangeListEntry {
        range: RtlRange,
        list_entry: ListEntry,
    }
    /// `RTL_RANGE_LIST`.
    RtlRangeList {
        list_head: ListEntry,
        flags: u32,
        count: u32,
        stamp: u32,
        reserved: u32,
    }
    /// `RTL_RANGE_LIST_ITERATOR`.
    RtlRangeListIterator {
        range_list_head: u64,
        merged_head: u64,
        current: u64,
        stamp: u32,
        reserved: u32,
    }
    /// The header of a heap (`RtlCreateHeap`). Opaque to drivers; the fields are this
    /// kernel's.
    RtlHeap {
        blocks: ListEntry,
        signature: u64,
        flags: u32,
        reserved: u32,
        /// Most bytes of all blocks; 0 if the heap grows.
        limit: u64,
        used: u64,
    }
    /// The header of a block of a heap. Opaque to drivers; the fields are this
    /// kernel's.
    RtlHeapBlock {
        list_entry: ListEntry,
        heap: u64,
        size: u64,
    }
    /// `RTL_BITMAP`.
    RtlBitmap {
        size_of_bit_map: u32,
        reserved: u32,
        buffer: u64,
    }
    /// `RTL_BITMAP_RUN`.
    RtlBitmapRun {
        starting_index: u32,
        number_of_bits: u32,
    }
    /// `GENERATE_NAME_CONTEXT`.
    GenerateNameContext {
        checksum: u16,
        checksum_inserted: u8,
        name_length: u8,
        name_buffer: [u16; 8],
        extension_length: u32,
        extension_buffer: [u16; 4],
        last_index_value: u32,
    }
    /// `UNICODE_PREFIX_TABLE`.
    UnicodePrefixTable {
        node_type_code: u16,
        name_length: u16,
        reserved: u32,
        next_prefix_tree: u64,
        last_next_entry: u64,
    }
    /// `UNICODE_PREFIX_TABLE_ENTRY`.
    UnicodePrefixTableEntry {
        node_type_code: u16,
        name_length: u16,
        reserved: u32,
        next_prefix_tree: u64,
        case_match: u64,
        links: RtlSplayLinks,
        /// A `UNICODE_STRING` of the driver.
        prefix: u64,
    }
    /// `CM_PARTIAL_RESOURCE_DESCRIPTOR` with `u.Memory`, packed to four bytes.
    CmPartialResourceDescriptor {
        kind: u8,
        share_disposition: u8,
        flags: u16,
        start: U64,
        length: u32,
        reserved: u32,
    }
    /// `IO_RESOURCE_DESCRIPTOR` with `u.Memory`.
    IoResourceDescriptor {
        option: u8,
        kind: u8,
        share_disposition: u8,
        spare1: u8,
        flags: u16,
        spare2: u16,
        length: u32,
        alignment: u32,
        minimum_address: u64,
        maximum_address: u64,
    }
    /// `RTL_OSVERSIONINFOEXW`.
    RtlOsversioninfoexw {
        os_version_info_size: u32,
        major_version: u32,
        minor_version: u32,
        build_number: u32,
        platform_id: u32,
        csd_version: [u16; 128],
        service_pack_major: u16,
        service_pack_minor: u16,
        suite_mask: u16,
        product_type: u8,
        reserved: u8,
    }
}
