//! Structures of the I/O manager: devices, drivers, files, IRPs and their stack
//! locations.

use super::common::{KdeviceQueue, Kdpc, Kevent, ListEntry, UnicodeString};
use super::structures;

structures! {
    /// `DEVICE_OBJECT`.
    DeviceObject {
        kind: u16,
        size: u16,
        reference_count: u32,
        driver_object: u64,
        next_device: u64,
        attached_device: u64,
        current_irp: u64,
        timer: u64,
        flags: u32,
        characteristics: u32,
        vpb: u64,
        device_extension: u64,
        device_type: u32,
        stack_size: u8,
        reserved1: [u8; 3],
        /// A list entry or a `WAIT_CONTEXT_BLOCK`.
        queue: [u64; 9],
        alignment_requirement: u32,
        reserved2: u32,
        device_queue: KdeviceQueue,
        dpc: Kdpc,
        active_thread_count: u32,
        reserved3: u32,
        security_descriptor: u64,
        device_lock: Kevent,
        sector_size: u16,
        spare1: u16,
        reserved4: u32,
        device_object_extension: u64,
        reserved: u64,
        /// The structure is aligned to 16 bytes.
        padding: u64,
    }
    /// `DEVOBJ_EXTENSION`.
    DevobjExtension {
        kind: u16,
        size: u16,
        reserved1: u32,
        device_object: u64,
        power_flags: u32,
        reserved2: u32,
        dope: u64,
        extension_flags: u32,
        reserved3: u32,
        device_node: u64,
        attached_to: u64,
        start_io_count: i32,
        start_io_key: i32,
        start_io_flags: u32,
        reserved4: u32,
        vpb: u64,
        dependency_node: u64,
        interrupt_context: u64,
        interrupt_count: i32,
        reserved5: u32,
        verifier_context: u64,
    }
    /// `VPB`.
    Vpb {
        kind: u16,
        size: u16,
        flags: u16,
        volume_label_length: u16,
        device_object: u64,
        real_device: u64,
        serial_number: u32,
        reference_count: u32,
        volume_label: [u16; 32],
    }
    /// `DRIVER_OBJECT`.
    DriverObject {
        kind: u16,
        size: u16,
        reserved1: u32,
        device_object: u64,
        flags: u32,
        reserved2: u32,
        driver_start: u64,
        driver_size: u32,
        reserved3: u32,
        driver_section: u64,
        driver_extension: u64,
        driver_name: UnicodeString,
        hardware_database: u64,
        fast_io_dispatch: u64,
        driver_init: u64,
        driver_start_io: u64,
        driver_unload: u64,
        major_function: [u64; 28],
    }
    /// `DRIVER_EXTENSION`.
    DriverExtension {
        driver_object: u64,
        add_device: u64,
        count: u32,
        reserved: u32,
        service_key_name: UnicodeString,
    }
    /// `FILE_OBJECT`.
    FileObject {
        kind: u16,
        size: u16,
        reserved1: u32,
        device_object: u64,
        vpb: u64,
        fs_context: u64,
        fs_context2: u64,
        section_object_pointer: u64,
        private_cache_map: u64,
        final_status: u32,
        reserved2: u32,
        related_file_object: u64,
        lock_operation: u8,
        delete_pending: u8,
        read_access: u8,
        write_access: u8,
        delete_access: u8,
        shared_read: u8,
        shared_write: u8,
        shared_delete: u8,
        flags: u32,
        reserved3: u32,
        file_name: UnicodeString,
        current_byte_offset: i64,
        waiters: u32,
        busy: u32,
        last_lock: u64,
        lock: Kevent,
        event: Kevent,
        completion_context: u64,
        irp_list_lock: u64,
        irp_list: ListEntry,
        file_object_extension: u64,
    }
    /// `IO_STATUS_BLOCK`.
    IoStatusBlock {
        status: u32,
        reserved: u32,
        information: u64,
    }
    /// `IRP`, without the stack locations that follow it. Of `Tail` it has `Overlay`.
    Irp {
        kind: u16,
        size: u16,
        reserved1: u32,
        mdl_address: u64,
        flags: u32,
        reserved2: u32,
        /// `AssociatedIrp.SystemBuffer`.
        system_buffer: u64,
        thread_list_entry: ListEntry,
        io_status: IoStatusBlock,
        requestor_mode: u8,
        pending_returned: u8,
        stack_count: u8,
        current_location: u8,
        cancel: u8,
        cancel_irql: u8,
        apc_environment: u8,
        allocation_flags: u8,
        user_iosb: u64,
        user_event: u64,
        /// `Overlay.AllocationSize`, or an APC's routine and context.
        allocation_size: u64,
        user_apc_context: u64,
        cancel_routine: u64,
        user_buffer: u64,
        /// The device queue's entry, or `DriverContext`.
        driver_context: [u64; 4],
        thread: u64,
        auxiliary_buffer: u64,
        list_entry: ListEntry,
        current_stack_location: u64,
        original_file_object: u64,
        /// `Tail` is as large as a KAPC.
        reserved3: u64,
    }
    /// `IO_STACK_LOCATION`.
    IoStackLocation {
        major_function: u8,
        minor_function: u8,
        flags: u8,
        control: u8,
        reserved: u32,
        parameters: [u64; 4],
        device_object: u64,
        file_object: u64,
        completion_routine: u64,
        context: u64,
    }
}
