//! Rules on IRQL, locks, dispatcher objects, lookaside lists and other lists.

use super::rules;

rules! {
    LOCKS:
    APC_DISABLE_IMBALANCE = "apc-disable-imbalance" (formerly "apcs-not-restored"), always,
        "A routine returns in a critical or guarded region that it entered";
    CANCEL_LOCK_HELD = "cancel-lock-held", always,
        "A cancel routine returns without releasing the cancel spin lock";
    DEVICE_QUEUE_NOT_BUSY = "device-queue-not-busy", always,
        "An entry is removed from a device queue that is not busy";
    DISPATCHER_OBJECT_NOT_INITIALIZED = "dispatcher-object-not-initialized" (formerly "dispatcher-object-not-initialised"), always,
        "A dispatcher object is used that was never initialized";
    DPC_PROCESSOR = "dpc-processor", always,
        "A DPC is targeted at a processor that does not exist";
    IRQL_CHANGED_ON_RETURN = "irql-changed-on-return" (formerly "irql-not-restored"), always, stops 0xc9/0x5,
        "A routine returns at another IRQL than it was called at";
    IRQL_TOO_HIGH = "irql-too-high", always, stops 0xc4/0x1 | 0xc4/0x70 | 0xc4/0x74 | 0xc4/0x76 | 0xc4/0x77 | 0xc4/0x78 | 0xc4/0x79 | 0xc4/0x7a | 0xc4/0x80 | 0xc4/0xe6,
        "A function is called above its highest IRQL";
    IRQL_TOO_LOW = "irql-too-low", always,
        "A function is called below its lowest IRQL";
    IRQL_WRONG_DIRECTION = "irql-wrong-direction", always, stops 0xc4/0x31,
        "KeRaiseIrql lowers the IRQL, or KeLowerIrql raises it";
    LOCK_ORDER_INVERSION = "lock-order-inversion" (formerly "lock-order"), standard, stops 0xc4/0x1001,
        "Locks are acquired in more than one order";
    LOCK_WITH_APCS_ENABLED = "lock-with-apcs-enabled", always, stops 0xc4/0x37 | 0xc4/0x38 | 0xc4/0x39 | 0xc4/0x3a | 0xc4/0xea | 0xc4/0xeb,
        "A lock is acquired or released with APCs enabled";
    LOOKASIDE_ENTRY_TOO_SMALL = "lookaside-entry-too-small", always, stops 0xc4/0xcd,
        "A lookaside list is initialized for entries that are too small";
    LOOKASIDE_FREED = "lookaside-freed", always, stops 0xc4/0xcc,
        "The memory of a lookaside list in use is freed";
    LOOKASIDE_HEAD_PAGED = "lookaside-head-paged", always,
        "The head of a lookaside list is in paged pool";
    LOOKASIDE_INITIALIZED_TWICE = "lookaside-initialized-twice" (formerly "lookaside-initialised-twice"), always, stops 0xc4/0xca,
        "A lookaside list is initialized twice";
    LOOKASIDE_NOT_INITIALIZED = "lookaside-not-initialized" (formerly "lookaside-not-initialised"), always, stops 0xc4/0xcb,
        "A lookaside list is used or deleted that is not initialized";
    MUTEX_IRQL = "mutex-irql", always, stops 0xc4/0x34,
        "A fast mutex is released at another IRQL than APC_LEVEL";
    MUTEX_NOT_INITIALIZED = "mutex-not-initialized" (formerly "mutex-not-initialised"), always, stops 0xc4/0x1002,
        "A fast mutex is acquired that was never initialized";
    OBJECT_PAGEABLE = "object-pageable", standard, stops 0xc4/0xe1,
        "A dispatcher object or lock is in pageable memory";
    REMOVE_LOCK_NOT_HELD = "remove-lock-not-held", always,
        "A remove lock is released with a tag with which it is not held";
    REMOVE_LOCK_NOT_INITIALIZED = "remove-lock-not-initialized" (formerly "remove-lock-not-initialised"), always,
        "A remove lock is acquired that was never initialized";
    REMOVE_LOCK_SIZE = "remove-lock-size", always,
        "A remove lock function is given another size than that of a remove lock";
    RESOURCE_DELETED_WHILE_OWNED = "resource-deleted-while-owned", always, stops 0xc4/0x100b,
        "A resource is deleted while it is owned";
    RESOURCE_FREED = "resource-freed", always, stops 0xc4/0xd2,
        "The memory of a resource in use is freed";
    RESOURCE_INITIALIZED_TWICE = "resource-initialized-twice" (formerly "resource-initialised-twice"), always, stops 0xc4/0xd0,
        "A resource is initialized twice";
    RESOURCE_MISALIGNED = "resource-misaligned", always, stops 0xc4/0x3d,
        "A resource is not aligned";
    RESOURCE_NOT_INITIALIZED = "resource-not-initialized" (formerly "resource-not-initialised"), always, stops 0xc4/0x1002 | 0xc4/0xd1,
        "A resource is used or deleted that is not initialized";
    RESOURCE_OWNER_POINTER = "resource-owner-pointer", always,
        "An owner pointer of a resource does not have its two lowest bits set";
    RUNDOWN_NOT_ACQUIRED = "rundown-not-acquired", always,
        "Rundown protection is released that was not acquired";
    RUNDOWN_NOT_COMPLETED = "rundown-not-completed", always,
        "Rundown protection is reinitialized before it was run down";
    RUNDOWN_TOO_SMALL = "rundown-too-small", always,
        "Cache-aware rundown protection is initialized in too little memory";
    SLIST_ENTRY_MISALIGNED = "slist-entry-misaligned", always,
        "An entry of a sequenced list is not 16-byte aligned";
    SPIN_LOCK_HELD = "spin-lock-held", always, stops 0xc4/0x40009,
        "A spin lock is held where it must not be";
    SPIN_LOCK_IRQL = "spin-lock-irql", always, stops 0xc4/0x32 | 0xc4/0x40 | 0xc4/0x41 | 0xc4/0x42,
        "A spin lock is acquired or released at the wrong IRQL";
    SPIN_LOCK_RECURSIVE = "spin-lock-recursive", always, stops 0xc4/0x1000,
        "A reader-writer spin lock is acquired shared twice";
}
