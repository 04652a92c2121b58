//! Rules on memory of programs.

use super::rules;

rules! {
    USER:
    DOUBLE_FETCH = "double-fetch" (formerly "user-memory-read-twice"), standard,
        "A request reads the same user memory twice";
    INVALID_ADDRESS_HANDLED = "invalid-address-handled", standard,
        "A handler takes the exception of an address that cannot exist";
    LOCK_PAGES_WITHOUT_SEH = "lock-pages-without-seh" (formerly "lock-pages-unguarded"), standard,
        "MmProbeAndLockPages is called for user memory outside of an exception handler";
    NULL_DEREFERENCE_HANDLED = "null-dereference-handled", standard,
        "A handler takes the exception of a null pointer";
    USER_ACCESS_IRQL = "user-access-irql" (formerly "user-memory-irql"), standard,
        "User memory is accessed at DISPATCH_LEVEL";
    USER_ACCESS_NOT_PROBED = "user-access-not-probed" (formerly "user-memory-not-probed"), standard,
        "A pointer of a request is used without a probe";
    USER_ACCESS_WITHOUT_SEH = "user-access-without-seh" (formerly "user-memory-unguarded"), standard,
        "User memory is accessed outside of an exception handler";
    USER_MEMORY_LOCKED_AS_KERNEL = "user-memory-locked-as-kernel", standard,
        "User memory is locked with access mode KernelMode";
}
