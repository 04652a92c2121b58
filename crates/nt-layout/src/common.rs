//! Structures that are parts of others: lists, strings, dispatcher objects, MDLs.

use super::structures;

structures! {
    /// `LIST_ENTRY`.
    ListEntry {
        flink: u64,
        blink: u64,
    }
    /// `UNICODE_STRING`.
    UnicodeString {
        length: u16,
        maximum_length: u16,
        reserved: u32,
        buffer: u64,
    }
    /// `DISPATCHER_HEADER`.
    DispatcherHeader {
        kind: u8,
        signalling: u8,
        size: u8,
        reserved1: u8,
        signal_state: i32,
        wait_list_head: ListEntry,
    }
    /// `KEVENT`.
    Kevent {
        header: DispatcherHeader,
    }
    /// `KDPC`.
    Kdpc {
        kind: u8,
        importance: u8,
        number: u16,
        reserved: u32,
        dpc_list_entry: u64,
        processor_history: u64,
        deferred_routine: u64,
        deferred_context: u64,
        system_argument1: u64,
        system_argument2: u64,
        dpc_data: u64,
    }
    /// `KDEVICE_QUEUE`.
    KdeviceQueue {
        kind: i16,
        size: i16,
        reserved: u32,
        device_list_head: ListEntry,
        lock: u64,
        busy: u8,
        padding: [u8; 7],
    }
    /// `MDL`, without the page frame numbers that follow it.
    Mdl {
        next: u64,
        size: u16,
        mdl_flags: u16,
        reserved: u32,
        process: u64,
        mapped_system_va: u64,
        start_va: u64,
        byte_count: u32,
        byte_offset: u32,
    }
}
