//! Structures of the run-time library.

use core::mem::offset_of;

use windows_sys::Wdk::Foundation as wdk;
use windows_sys::Wdk::Storage::FileSystem as fs;
use windows_sys::Wdk::System::SystemServices as services;

layout_tests! {
    splay_links_match_wdk: RtlSplayLinks = wdk::RTL_SPLAY_LINKS [size_of::<wdk::RTL_SPLAY_LINKS>()] {
        parent = Parent, left_child = LeftChild, right_child = RightChild,
    }
    generic_table_matches_wdk: RtlGenericTable = services::RTL_GENERIC_TABLE [size_of::<services::RTL_GENERIC_TABLE>()] {
        table_root = TableRoot, insert_order_list = InsertOrderList,
        ordered_pointer = OrderedPointer, which_ordered_element = WhichOrderedElement,
        number_generic_table_elements = NumberGenericTableElements,
        compare_routine = CompareRoutine, allocate_routine = AllocateRoutine,
        free_routine = FreeRoutine, table_context = TableContext,
    }
    balanced_links_match_wdk: RtlBalancedLinks = services::RTL_BALANCED_LINKS [size_of::<services::RTL_BALANCED_LINKS>()] {
        parent = Parent, left_child = LeftChild, right_child = RightChild, balance = Balance,
    }
    avl_table_matches_wdk: RtlAvlTable = services::RTL_AVL_TABLE [size_of::<services::RTL_AVL_TABLE>()] {
        balanced_root = BalancedRoot, ordered_pointer = OrderedPointer,
        which_ordered_element = WhichOrderedElement,
        number_generic_table_elements = NumberGenericTableElements, depth_of_tree = DepthOfTree,
        restart_key = RestartKey, delete_count = DeleteCount, compare_routine = CompareRoutine,
        allocate_routine = AllocateRoutine, free_routine = FreeRoutine,
        table_context = TableContext,
    }
    hash_table_matches_wdk: RtlDynamicHashTable = services::RTL_DYNAMIC_HASH_TABLE [size_of::<services::RTL_DYNAMIC_HASH_TABLE>()] {
        flags = Flags, shift = Shift, table_size = TableSize, pivot = Pivot,
        divisor_mask = DivisorMask, num_entries = NumEntries,
        non_empty_buckets = NonEmptyBuckets, num_enumerators = NumEnumerators,
        directory = Directory,
    }
    hash_table_entry_matches_wdk: RtlDynamicHashTableEntry = services::RTL_DYNAMIC_HASH_TABLE_ENTRY [size_of::<services::RTL_DYNAMIC_HASH_TABLE_ENTRY>()] {
        linkage = Linkage, signature = Signature,
    }
    hash_table_context_matches_wdk: RtlDynamicHashTableContext = services::RTL_DYNAMIC_HASH_TABLE_CONTEXT [size_of::<services::RTL_DYNAMIC_HASH_TABLE_CONTEXT>()] {
        chain_head = ChainHead, prev_linkage = PrevLinkage, signature = Signature,
    }
    hash_table_enumerator_matches_wdk: RtlDynamicHashTableEnumerator = services::RTL_DYNAMIC_HASH_TABLE_ENUMERATOR [size_of::<services::RTL_DYNAMIC_HASH_TABLE_ENUMERATOR>()] {
        hash_entry = Anonymous, chain_head = ChainHead, bucket_index = BucketIndex,
    }
    bitmap_matches_wdk: RtlBitmap = services::RTL_BITMAP [size_of::<services::RTL_BITMAP>()] {
        size_of_bit_map = SizeOfBitMap, buffer = Buffer,
    }
    bitmap_run_matches_wdk: RtlBitmapRun = services::RTL_BITMAP_RUN [size_of::<services::RTL_BITMAP_RUN>()] {
        starting_index = StartingIndex, number_of_bits = NumberOfBits,
    }
    generate_name_context_matches_wdk: GenerateNameContext = fs::GENERATE_NAME_CONTEXT [size_of::<fs::GENERATE_NAME_CONTEXT>()] {
        checksum = Checksum, checksum_inserted = ChecksumInserted, name_length = NameLength,
        name_buffer = NameBuffer, extension_length = ExtensionLength,
        extension_buffer = ExtensionBuffer, last_index_value = LastIndexValue,
    }
    prefix_table_matches_wdk: UnicodePrefixTable = fs::UNICODE_PREFIX_TABLE [size_of::<fs::UNICODE_PREFIX_TABLE>()] {
        node_type_code = NodeTypeCode, name_length = NameLength,
        next_prefix_tree = NextPrefixTree, last_next_entry = LastNextEntry,
    }
    prefix_table_entry_matches_wdk: UnicodePrefixTableEntry = fs::UNICODE_PREFIX_TABLE_ENTRY [size_of::<fs::UNICODE_PREFIX_TABLE_ENTRY>()] {
        node_type_code = NodeTypeCode, name_length = NameLength,
        next_prefix_tree = NextPrefixTree, case_match = CaseMatch, links = Links,
        prefix = Prefix,
    }
}

header_tests! {
    generic_table_node_matches_its_readers: RtlGenericTableNode [0x28] { list_entry = 0x18, }
    range_matches_ntddk: RtlRange [0x28] {
        start = 0, end = 8, user_data = 0x10, owner = 0x18, attributes = 0x20, flags = 0x21,
    }
    range_list_entry_has_its_size: RtlRangeListEntry [0x38] { list_entry = 0x28, }
    range_list_matches_ntddk: RtlRangeList [0x20] { flags = 0x10, count = 0x14, stamp = 0x18, }
    range_list_iterator_matches_ntddk: RtlRangeListIterator [0x20] {
        range_list_head = 0, merged_head = 8, current = 0x10, stamp = 0x18,
    }
    heap_has_its_size: RtlHeap [0x30] { signature = 0x10, flags = 0x18, limit = 0x20, used = 0x28, }
    heap_block_has_its_size: RtlHeapBlock [0x20] { heap = 0x10, size = 0x18, }
    partial_resource_descriptor_matches_wdm: CmPartialResourceDescriptor [0x14] {
        kind = 0, share_disposition = 1, flags = 2, start = 4, length = 0xc,
    }
    resource_descriptor_matches_wdm: IoResourceDescriptor [0x20] {
        option = 0, kind = 1, share_disposition = 2, flags = 4, length = 8, alignment = 0xc,
        minimum_address = 0x10, maximum_address = 0x18,
    }
    os_version_info_matches_wdm: RtlOsversioninfoexw [0x11c] {
        major_version = 4, minor_version = 8, build_number = 0xc, platform_id = 0x10,
        csd_version = 0x14, service_pack_major = 0x114, service_pack_minor = 0x116,
        suite_mask = 0x118, product_type = 0x11a, reserved = 0x11b,
    }
}
