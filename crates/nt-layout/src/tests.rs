//! Sizes and offsets compared with the bindings that are made from the WDK's metadata.

use core::mem::offset_of;

use windows_sys::Wdk::Foundation as wdk;
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
        length = 0, key = 8, byte_offset = 0x10,
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
}

mod file_systems;
mod run_time_library;
