//! Rules on what a driver still holds or has registered when it is unloaded.

use super::rules;

rules! {
    LEAKS:
    BUG_CHECK_CALLBACK_NOT_UNREGISTERED = "bug-check-callback-not-unregistered" (formerly "bug-check-callback-left"), always,
        "A bug check callback is registered at unload";
    CALLBACK_NOT_UNREGISTERED = "callback-not-unregistered" (formerly "callback-left"), always, stops 0xce/0x0,
        "A routine of a callback object is registered at unload";
    CONTIGUOUS_LEAK = "contiguous-leak", always,
        "Contiguous memory is not freed at unload";
    DEVICE_LEAK = "device-leak" (formerly "device-left"), always,
        "A device object is not deleted at unload";
    ERROR_LOG_ENTRY_LEAK = "error-log-entry-leak", always,
        "An error log entry is neither written nor freed at unload";
    EVENT_PROVIDER_NOT_UNREGISTERED = "event-provider-not-unregistered" (formerly "event-provider-left"), always, stops 0xc4/0xdd,
        "An event provider is registered at unload";
    HANDLE_LEAK = "handle-leak", always,
        "A handle is not closed at unload";
    IRP_LEAK = "irp-leak", always,
        "An IRP of the driver is not freed at unload";
    IRP_PENDING_AT_UNLOAD = "irp-pending-at-unload", always, stops 0xce/0x0,
        "A request is pending at unload";
    LOOKASIDE_LEAK = "lookaside-leak" (formerly "lookaside-left"), always, stops 0xce/0x0,
        "A lookaside list is not deleted at unload";
    MAPPING_ADDRESS_LEAK = "mapping-address-leak", always,
        "A reserved mapping address is not freed at unload";
    MDL_LEAK = "mdl-leak", always, stops 0xc4/0x62,
        "An MDL is not freed at unload";
    MDL_LOCK_LEAK = "mdl-lock-leak" (formerly "lock-leak"), always,
        "The pages of an MDL are not unlocked at unload";
    MDL_MAPPING_LEAK = "mdl-mapping-leak" (formerly "mapping-leak"), always,
        "A mapping of an MDL is not unmapped at unload";
    MDL_PAGE_LEAK = "mdl-page-leak" (formerly "page-leak"), always,
        "Pages that were allocated for an MDL are not freed at unload";
    NOTIFY_ROUTINE_NOT_UNREGISTERED = "notify-routine-not-unregistered" (formerly "notify-routine-left"), always, stops 0xce/0x0,
        "A notify routine is registered at unload";
    OBJECT_CALLBACKS_NOT_UNREGISTERED = "object-callbacks-not-unregistered" (formerly "object-callbacks-left"), always, stops 0xce/0x0,
        "Object callbacks are registered at unload";
    PNP_NOTIFICATION_NOT_UNREGISTERED = "pnp-notification-not-unregistered" (formerly "pnp-notification-left"), always, stops 0xce/0x0,
        "A Plug and Play notification is registered at unload";
    POOL_LEAK = "pool-leak", always, stops 0xc4/0x62,
        "Pool is not freed at unload";
    POWER_CALLBACK_NOT_UNREGISTERED = "power-callback-not-unregistered" (formerly "power-callback-left"), always, stops 0xce/0x0,
        "A power setting callback is registered at unload";
    POWER_REQUEST_LEAK = "power-request-leak" (formerly "power-request-left"), always,
        "A power request is not deleted at unload";
    PROCESSOR_CALLBACK_NOT_UNREGISTERED = "processor-callback-not-unregistered" (formerly "processor-callback-left"), always,
        "A processor or NMI callback is registered at unload";
    REFERENCE_LEAK = "reference-leak", always,
        "A reference to an object is not released at unload";
    REGISTRY_CALLBACK_NOT_UNREGISTERED = "registry-callback-not-unregistered" (formerly "registry-callback-left"), always, stops 0xce/0x0,
        "A registry callback is registered at unload";
    REMOVE_LOCK_HELD = "remove-lock-held", always,
        "A remove lock is held at unload";
    RESOURCE_LEAK = "resource-leak" (formerly "resource-left"), always, stops 0xce/0x0,
        "An ERESOURCE is not deleted at unload";
    SECTION_LOCK_LEAK = "section-lock-leak", always,
        "A pageable section is not unlocked at unload";
    SECURE_MEMORY_LEAK = "secure-memory-leak" (formerly "secured-left"), always,
        "User memory is still secured at unload";
    SHUTDOWN_NOTIFICATION_NOT_UNREGISTERED = "shutdown-notification-not-unregistered" (formerly "shutdown-notification-left"), always,
        "A shutdown notification is registered at unload or when its device is deleted";
    SYMLINK_LEAK = "symlink-leak" (formerly "link-left"), always,
        "A symbolic link is not deleted at unload";
    SYSTEM_STATE_NOT_UNREGISTERED = "system-state-not-unregistered" (formerly "system-state-left"), always,
        "A system power state is registered at unload";
    THREAD_RUNNING_AT_UNLOAD = "thread-running-at-unload" (formerly "thread-left"), always,
        "A system thread runs at unload";
    TIMER_ACTIVE_AT_UNLOAD = "timer-active-at-unload" (formerly "timer-left"), always, stops 0xc7/0x0,
        "A timer is set at unload";
    VIEW_LEAK = "view-leak", always,
        "A view of a section is not unmapped at unload";
    VIRTUAL_MEMORY_LEAK = "virtual-memory-leak", always,
        "Memory that was allocated in the process System is not freed at unload";
    WMI_PROVIDER_NOT_UNREGISTERED = "wmi-provider-not-unregistered" (formerly "wmi-provider-left"), always, stops 0xc4/0xda,
        "A WMI provider is registered at unload";
    WORK_ITEM_LEAK = "work-item-leak", always,
        "A work item is not freed at unload";
    WORK_ITEM_QUEUED_AT_UNLOAD = "work-item-queued-at-unload" (formerly "work-item-queued"), always, stops 0xce/0x0,
        "A work item of ExQueueWorkItem is queued or runs at unload";
}
