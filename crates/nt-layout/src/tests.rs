//! Sizes and offsets compared with the bindings that are made from the WDK's metadata.

use core::mem::offset_of;

use windows_sys::Wdk::Foundation as wdk;
use windows_sys::Wdk::Storage::FileSystem as fs;
use windows_sys::Win32::Foundation::UNICODE_STRING;
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
use windows_sys::Win32::System::Kernel::LIST_ENTRY;

macro_rules! layout_tests {
    ($($test:ident: $ours:ident = $theirs:path [$size:expr] { $($field:ident = $their_field:ident$(.$part:ident)*,)* })*) => {$(
        #[test]
        fn $test() {
            assert_eq!(size_of::<crate::$ours>(), $size, stringify!($ours));
            $(assert_eq!(
                offset_of!(crate::$ours, $field),
                offset_of!($theirs, $their_field$(.$part)*),
                stringify!($field)
            );)*
        }
    )*};
}

mod components;

layout_tests! {
    list_entry_matches_wdk: ListEntry = LIST_ENTRY [size_of::<LIST_ENTRY>()] { flink = Flink, blink = Blink, }
    unicode_string_matches_wdk: UnicodeString = UNICODE_STRING [size_of::<UNICODE_STRING>()] {
        length = Length, maximum_length = MaximumLength, buffer = Buffer,
    }
    event_matches_wdk: Kevent = wdk::KEVENT [size_of::<wdk::KEVENT>()] { header = Header, }
    dispatcher_header_matches_wdk: DispatcherHeader = wdk::DISPATCHER_HEADER [size_of::<wdk::DISPATCHER_HEADER>()] {
        signal_state = SignalState, wait_list_head = WaitListHead,
    }
    dpc_matches_wdk: Kdpc = wdk::KDPC [size_of::<wdk::KDPC>()] {
        dpc_list_entry = DpcListEntry, processor_history = ProcessorHistory,
        deferred_routine = DeferredRoutine, deferred_context = DeferredContext,
        system_argument1 = SystemArgument1, system_argument2 = SystemArgument2, dpc_data = DpcData,
    }
    device_queue_matches_wdk: KdeviceQueue = wdk::KDEVICE_QUEUE [size_of::<wdk::KDEVICE_QUEUE>()] {
        kind = Type, size = Size, device_list_head = DeviceListHead, lock = Lock, busy = Busy,
    }
    mdl_matches_wdk: Mdl = wdk::MDL [size_of::<wdk::MDL>()] {
        next = Next, size = Size, mdl_flags = MdlFlags, process = Process,
        mapped_system_va = MappedSystemVa, start_va = StartVa, byte_count = ByteCount,
        byte_offset = ByteOffset,
    }
    // wdm.h aligns the structure to 16 bytes, which the metadata does not have.
    device_object_matches_wdk: DeviceObject = wdk::DEVICE_OBJECT [size_of::<wdk::DEVICE_OBJECT>().next_multiple_of(16)] {
        kind = Type, size = Size, reference_count = ReferenceCount, driver_object = DriverObject,
        next_device = NextDevice, attached_device = AttachedDevice, current_irp = CurrentIrp,
        timer = Timer, flags = Flags, characteristics = Characteristics, vpb = Vpb,
        device_extension = DeviceExtension, device_type = DeviceType, stack_size = StackSize,
        queue = Queue, alignment_requirement = AlignmentRequirement, device_queue = DeviceQueue,
        dpc = Dpc, active_thread_count = ActiveThreadCount,
        security_descriptor = SecurityDescriptor, device_lock = DeviceLock,
        sector_size = SectorSize, device_object_extension = DeviceObjectExtension,
    }
    device_extension_matches_wdk: DevobjExtension = wdk::DEVOBJ_EXTENSION [size_of::<wdk::DEVOBJ_EXTENSION>()] {
        kind = Type, size = Size, device_object = DeviceObject, power_flags = PowerFlags,
        dope = Dope, extension_flags = ExtensionFlags, device_node = DeviceNode,
        attached_to = AttachedTo, start_io_count = StartIoCount, vpb = Vpb,
        verifier_context = VerifierContext,
    }
    vpb_matches_wdk: Vpb = wdk::VPB [size_of::<wdk::VPB>()] {
        kind = Type, size = Size, flags = Flags, volume_label_length = VolumeLabelLength,
        device_object = DeviceObject, real_device = RealDevice, serial_number = SerialNumber,
        reference_count = ReferenceCount, volume_label = VolumeLabel,
    }
    driver_object_matches_wdk: DriverObject = wdk::DRIVER_OBJECT [size_of::<wdk::DRIVER_OBJECT>()] {
        kind = Type, size = Size, device_object = DeviceObject, flags = Flags,
        driver_start = DriverStart, driver_size = DriverSize, driver_section = DriverSection,
        driver_extension = DriverExtension, driver_name = DriverName,
        hardware_database = HardwareDatabase, fast_io_dispatch = FastIoDispatch,
        driver_init = DriverInit, driver_start_io = DriverStartIo, driver_unload = DriverUnload,
        major_function = MajorFunction,
    }
    driver_extension_matches_wdk: DriverExtension = wdk::DRIVER_EXTENSION [size_of::<wdk::DRIVER_EXTENSION>()] {
        driver_object = DriverObject, add_device = AddDevice, count = Count,
        service_key_name = ServiceKeyName,
    }
    file_object_matches_wdk: FileObject = wdk::FILE_OBJECT [size_of::<wdk::FILE_OBJECT>()] {
        kind = Type, size = Size, device_object = DeviceObject, vpb = Vpb, fs_context = FsContext,
        fs_context2 = FsContext2, section_object_pointer = SectionObjectPointer,
        final_status = FinalStatus, related_file_object = RelatedFileObject,
        delete_pending = DeletePending, read_access = ReadAccess, write_access = WriteAccess,
        shared_read = SharedRead, flags = Flags, file_name = FileName,
        current_byte_offset = CurrentByteOffset, busy = Busy, lock = Lock, event = Event,
        irp_list = IrpList, file_object_extension = FileObjectExtension,
    }
    io_status_block_matches_wdk: IoStatusBlock = IO_STATUS_BLOCK [size_of::<IO_STATUS_BLOCK>()] {
        information = Information,
    }
    irp_matches_wdk: Irp = wdk::IRP [size_of::<wdk::IRP>()] {
        kind = Type, size = Size, mdl_address = MdlAddress, flags = Flags,
        system_buffer = AssociatedIrp, thread_list_entry = ThreadListEntry, io_status = IoStatus,
        requestor_mode = RequestorMode, pending_returned = PendingReturned,
        stack_count = StackCount, current_location = CurrentLocation, cancel = Cancel,
        cancel_irql = CancelIrql, allocation_flags = AllocationFlags, user_iosb = Anonymous,
        user_event = UserEvent, allocation_size = Overlay, cancel_routine = CancelRoutine,
        user_buffer = UserBuffer, driver_context = Tail.Overlay.Anonymous1,
        thread = Tail.Overlay.Thread, auxiliary_buffer = Tail.Overlay.AuxiliaryBuffer,
        list_entry = Tail.Overlay.Anonymous2.ListEntry,
        current_stack_location = Tail.Overlay.Anonymous2.Anonymous,
        original_file_object = Tail.Overlay.OriginalFileObject,
    }
    stack_location_matches_wdk: IoStackLocation = wdk::IO_STACK_LOCATION [size_of::<wdk::IO_STACK_LOCATION>()] {
        major_function = MajorFunction, minor_function = MinorFunction, flags = Flags,
        control = Control, parameters = Parameters, device_object = DeviceObject,
        file_object = FileObject, completion_routine = CompletionRoutine, context = Context,
    }
    security_context_matches_wdk: IoSecurityContext = wdk::IO_SECURITY_CONTEXT [size_of::<wdk::IO_SECURITY_CONTEXT>()] {
        security_qos = SecurityQos, access_state = AccessState, desired_access = DesiredAccess,
        full_create_options = FullCreateOptions,
    }
    all_information_matches_wdk: FileAllInformation = fs::FILE_ALL_INFORMATION [size_of::<fs::FILE_ALL_INFORMATION>()] {
        basic = BasicInformation, standard = StandardInformation,
        index_number = InternalInformation, ea_size = EaInformation,
        access_flags = AccessInformation, current_byte_offset = PositionInformation,
        mode = ModeInformation, alignment_requirement = AlignmentInformation,
        file_name_length = NameInformation,
    }
    rename_information_matches_wdk: FileRenameInformation = fs::FILE_RENAME_INFORMATION [size_of::<fs::FILE_RENAME_INFORMATION>()] {
        replace_if_exists = Anonymous, root_directory = RootDirectory,
        file_name_length = FileNameLength, file_name = FileName,
    }
}

/// Structures that the metadata does not have, or has without the alignment of their
/// members (`POINTER_ALIGNMENT` in wdm.h), by the public headers.
macro_rules! header_tests {
    ($($test:ident: $ours:ident [$size:expr] { $($field:ident = $offset:expr,)* })*) => {$(
        #[test]
        fn $test() {
            assert_eq!(size_of::<crate::$ours>(), $size, stringify!($ours));
            $(assert_eq!(offset_of!(crate::$ours, $field), $offset, stringify!($field));)*
        }
    )*};
}

header_tests! {
    create_parameters_match_wdm: CreateParameters [0x20] {
        security_context = 0, options = 8, file_attributes = 0x10, share_access = 0x12, ea_length = 0x18,
    }
    read_write_parameters_match_wdm: ReadWriteParameters [0x18] {
        length = 0, key = 8, flags = 0xc, byte_offset = 0x10,
    }
    device_io_control_parameters_match_wdm: DeviceIoControlParameters [0x20] {
        output_buffer_length = 0, input_buffer_length = 8, io_control_code = 0x10,
        type3_input_buffer = 0x18,
    }
    file_information_parameters_match_wdm: FileInformationParameters [0x20] {
        length = 0, file_information_class = 8, file_object = 0x10, replace_if_exists = 0x18,
    }
    query_directory_parameters_match_ntifs: QueryDirectoryParameters [0x20] {
        length = 0, file_name = 8, file_information_class = 0x10, file_index = 0x18,
    }
    lock_control_parameters_match_ntifs: LockControlParameters [0x18] {
        length = 0, key = 8, byte_offset = 0x10,
    }
    wait_wake_parameters_match_wdm: WaitWakeParameters [4] { power_state = 0, }
    power_parameters_match_wdm: PowerParameters [0x20] {
        system_context = 0, kind = 8, state = 0x10, shutdown_type = 0x18,
    }
    csq_matches_wdm: IoCsq [0x40] {
        kind = 0, csq_insert_irp = 8, csq_remove_irp = 0x10, csq_peek_next_irp = 0x18,
        csq_acquire_lock = 0x20, csq_release_lock = 0x28, csq_complete_canceled_irp = 0x30,
        reserve_pointer = 0x38,
    }
    csq_irp_context_matches_wdm: IoCsqIrpContext [0x18] { kind = 0, irp = 8, csq = 0x10, }
    remove_lock_matches_wdm: IoRemoveLockCommonBlock [0x20] {
        removed = 0, io_count = 4, remove_event = 8,
    }
    remove_lock_of_checked_build_matches_wdm: IoRemoveLockDbg [0x78] {
        signature = 0x20, high_watermark = 0x24, max_locked_ticks = 0x28, allocate_tag = 0x30,
        lock_list = 0x38, spin = 0x48, low_memory_count = 0x50, reserved3 = 0x68, blocks = 0x70,
    }
    unload_safe_completion_context_has_its_size: IoUnloadSafeCompletionContext [0x18] {
        context = 8, completion_routine = 0x10,
    }
    io_workitem_has_its_size: IoWorkitem [0x58] { routine = 0x20, io_object = 0x28, context = 0x30, }
    io_timer_has_its_size: IoTimer [0x30] {
        timer_flag = 2, timer_list = 8, timer_routine = 0x18, context = 0x20, device_object = 0x28,
    }
    ecp_list_has_its_size: EcpList [0x18] { ecp_list = 8, }
    ecp_header_has_its_size: EcpHeader [0x48] {
        list_entry = 8, ecp_type = 0x18, cleanup_callback = 0x28, flags = 0x30, size = 0x34,
        lookaside_list = 0x38, is_paged = 0x40,
    }
    driver_create_context_matches_ntddk: IoDriverCreateContext [0x20] {
        extra_create_parameter = 8, device_object_hint = 0x10, txn_parameters = 0x18,
    }
    configuration_information_matches_ntddk: ConfigurationInformation [0x28] {
        at_disk_primary_address_claimed = 0x1c, version = 0x20, medium_changer_count = 0x24,
    }
    disconnect_interrupt_parameters_match_wdm: IoDisconnectInterruptParameters [0x10] {
        version = 0, connection_context = 8,
    }
    fs_device_information_matches_wdm: FileFsDeviceInformation [8] {
        device_type = 0, characteristics = 4,
    }
    full_ea_information_matches_wdm: FileFullEaInformation [8] {
        flags = 4, ea_name_length = 5, ea_value_length = 6,
    }
    quota_information_matches_ntifs: FileQuotaInformation [0x28] {
        sid_length = 4, change_time = 8, quota_used = 0x10, quota_threshold = 0x18,
        quota_limit = 0x20,
    }
}

mod file_systems;
mod run_time_library;
