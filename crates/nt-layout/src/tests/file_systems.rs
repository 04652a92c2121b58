//! Structures of file systems.

use core::mem::offset_of;

use windows_sys::Wdk::Foundation as wdk;
use windows_sys::Wdk::Storage::FileSystem as fs;
use windows_sys::Wdk::System::SystemServices as services;

layout_tests! {
    common_fcb_header_matches_wdk: FsrtlCommonFcbHeader = fs::FSRTL_COMMON_FCB_HEADER [size_of::<fs::FSRTL_COMMON_FCB_HEADER>()] {
        node_type_code = NodeTypeCode, node_byte_size = NodeByteSize, flags = Flags,
        is_fast_io_possible = IsFastIoPossible, flags2 = Flags2, version = _bitfield,
        resource = Resource, paging_io_resource = PagingIoResource,
        allocation_size = AllocationSize, file_size = FileSize,
        valid_data_length = ValidDataLength,
    }
    advanced_fcb_header_matches_wdk: FsrtlAdvancedFcbHeader = fs::FSRTL_ADVANCED_FCB_HEADER [size_of::<fs::FSRTL_ADVANCED_FCB_HEADER>()] {
        fast_mutex = FastMutex, filter_contexts = FilterContexts, push_lock = PushLock,
        file_context_support_pointer = FileContextSupportPointer, oplock = Anonymous,
        ae_push_lock = AePushLock, bypass_io_open_count = BypassIoOpenCount,
    }
    per_stream_context_matches_wdk: FsrtlPerStreamContext = fs::FSRTL_PER_STREAM_CONTEXT [size_of::<fs::FSRTL_PER_STREAM_CONTEXT>()] {
        links = Links, owner_id = OwnerId, instance_id = InstanceId, free_callback = FreeCallback,
    }
    per_file_context_matches_wdk: FsrtlPerStreamContext = fs::FSRTL_PER_FILE_CONTEXT [size_of::<fs::FSRTL_PER_FILE_CONTEXT>()] {
        links = Links, owner_id = OwnerId, instance_id = InstanceId, free_callback = FreeCallback,
    }
    section_object_pointers_match_wdk: SectionObjectPointers = wdk::SECTION_OBJECT_POINTERS [size_of::<wdk::SECTION_OBJECT_POINTERS>()] {
        data_section_object = DataSectionObject, shared_cache_map = SharedCacheMap,
        image_section_object = ImageSectionObject,
    }
    share_access_matches_wdk: ShareAccess = services::SHARE_ACCESS [size_of::<services::SHARE_ACCESS>()] {
        open_count = OpenCount, readers = Readers, writers = Writers, deleters = Deleters,
        shared_read = SharedRead, shared_write = SharedWrite, shared_delete = SharedDelete,
    }
    file_lock_info_matches_wdk: FileLockInfo = fs::FILE_LOCK_INFO [size_of::<fs::FILE_LOCK_INFO>()] {
        starting_byte = StartingByte, length = Length, exclusive_lock = ExclusiveLock, key = Key,
        file_object = FileObject, process_id = ProcessId, ending_byte = EndingByte,
    }
    file_lock_matches_wdk: FileLock = fs::FILE_LOCK [size_of::<fs::FILE_LOCK>()] {
        complete_lock_irp_routine = CompleteLockIrpRoutine, unlock_routine = UnlockRoutine,
        fast_io_is_questionable = FastIoIsQuestionable, lock_information = LockInformation,
        last_returned_lock_info = LastReturnedLockInfo, last_returned_lock = LastReturnedLock,
        lock_requests_in_progress = LockRequestsInProgress,
    }
    tunnel_matches_wdk: Tunnel = fs::TUNNEL [size_of::<fs::TUNNEL>()] {
        mutex = Mutex, cache = Cache, timer_queue = TimerQueue, num_entries = NumEntries,
    }
    base_mcb_matches_wdk: BaseMcb = fs::BASE_MCB [size_of::<fs::BASE_MCB>()] {
        maximum_pair_count = MaximumPairCount, pair_count = PairCount, pool_type = PoolType,
        flags = Flags, mapping = Mapping,
    }
    large_mcb_matches_wdk: LargeMcb = fs::LARGE_MCB [size_of::<fs::LARGE_MCB>()] {
        guarded_mutex = GuardedMutex, base_mcb = BaseMcb,
    }
}

header_tests! {
    ramfs_fcb_has_its_size: RamfsFcb [0x70] {
        header = 0, share_access = 0x30, section_object_pointers = 0x50,
    }
    tunnel_entry_has_its_size: TunnelEntry [0x48] {
        create_time = 0x10, directory_key = 0x18, is_by_short_name = 0x20, data_length = 0x24,
        short_name = 0x28, long_name = 0x38,
    }
    mcb_pair_has_its_size: McbPair [0x10] { next_vbn = 0, lbn = 8, }
    reparse_guid_data_buffer_matches_ntifs: ReparseGuidDataBuffer [0x18] {
        reparse_tag = 0, reparse_data_length = 4, reparse_guid = 8,
    }
}
