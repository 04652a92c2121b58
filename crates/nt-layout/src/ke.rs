//! Structures of the kernel's core: dispatcher objects, APCs, queues, locks, bug check
//! callbacks and the shared page.

use super::common::{DispatcherHeader, ListEntry};
use super::structures;

structures! {
    /// `KMUTANT`.
    Kmutant {
        header: DispatcherHeader,
        mutant_list_entry: ListEntry,
        owner_thread: u64,
        abandoned: u8,
        apc_disable: u8,
        padding: [u8; 6],
    }
    /// `KSEMAPHORE`.
    Ksemaphore {
        header: DispatcherHeader,
        limit: i32,
        padding: u32,
    }
    /// `KTIMER`.
    Ktimer {
        header: DispatcherHeader,
        due_time: u64,
        timer_list_entry: ListEntry,
        dpc: u64,
        processor: u16,
        timer_type: u16,
        period: u32,
    }
    /// `KQUEUE`.
    Kqueue {
        header: DispatcherHeader,
        entry_list_head: ListEntry,
        current_count: u32,
        maximum_count: u32,
        thread_list_head: ListEntry,
    }
    /// `KAPC`.
    Kapc {
        kind: u8,
        all_flags: u8,
        size: u8,
        spare_byte1: u8,
        spare_long0: u32,
        thread: u64,
        apc_list_entry: ListEntry,
        /// The metadata calls the three routines `Reserved`.
        kernel_routine: u64,
        rundown_routine: u64,
        normal_routine: u64,
        normal_context: u64,
        system_argument1: u64,
        system_argument2: u64,
        apc_state_index: u8,
        apc_mode: u8,
        inserted: u8,
        padding: [u8; 5],
    }
    /// `KAPC_STATE`.
    KapcState {
        apc_list_head: [ListEntry; 2],
        process: u64,
        in_progress_flags: u8,
        kernel_apc_pending: u8,
        user_apc_pending: u8,
        padding: [u8; 5],
    }
    /// `KDEVICE_QUEUE_ENTRY`.
    KdeviceQueueEntry {
        device_list_entry: ListEntry,
        sort_key: u32,
        inserted: u8,
        padding: [u8; 3],
    }
    /// `KSPIN_LOCK_QUEUE`.
    KspinLockQueue {
        next: u64,
        lock: u64,
    }
    /// `KLOCK_QUEUE_HANDLE`.
    KlockQueueHandle {
        lock_queue: KspinLockQueue,
        old_irql: u8,
        padding: [u8; 7],
    }
    /// `KBUGCHECK_CALLBACK_RECORD`.
    KbugcheckCallbackRecord {
        entry: ListEntry,
        callback_routine: u64,
        buffer: u64,
        length: u32,
        reserved: u32,
        component: u64,
        checksum: u64,
        state: u8,
        padding: [u8; 7],
    }
    /// `KBUGCHECK_REASON_CALLBACK_RECORD`.
    KbugcheckReasonCallbackRecord {
        entry: ListEntry,
        callback_routine: u64,
        component: u64,
        checksum: u64,
        reason: u32,
        state: u8,
        padding: [u8; 3],
    }
    /// `GROUP_AFFINITY`.
    GroupAffinity {
        mask: u64,
        group: u16,
        reserved: [u16; 3],
    }
    /// `PROCESSOR_NUMBER`.
    ProcessorNumber {
        group: u16,
        number: u8,
        reserved: u8,
    }
    /// `KE_PROCESSOR_CHANGE_NOTIFY_CONTEXT`.
    KeProcessorChangeNotifyContext {
        state: u32,
        nt_number: u32,
        status: i32,
        proc_number: ProcessorNumber,
    }
    /// `KSYSTEM_TIME`.
    KsystemTime {
        low_part: u32,
        high1_time: u32,
        high2_time: u32,
    }
    /// `KUSER_SHARED_DATA`, up to the number of processor groups.
    KuserSharedData {
        tick_count_low_deprecated: u32,
        tick_count_multiplier: u32,
        interrupt_time: KsystemTime,
        system_time: KsystemTime,
        time_zone_bias: KsystemTime,
        image_number_low: u16,
        image_number_high: u16,
        nt_system_root: [u16; 260],
        reserved1: [u32; 10],
        nt_build_number: u32,
        nt_product_type: u32,
        product_type_is_valid: u8,
        reserved2: u8,
        native_processor_architecture: u16,
        nt_major_version: u32,
        nt_minor_version: u32,
        reserved3: [u32; 43],
        tick_count: KsystemTime,
        reserved4: [u32; 37],
        active_processor_count: u32,
        active_group_count: u8,
        reserved5: [u8; 3],
    }
}
