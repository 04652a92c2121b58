//! Rules on handles, objects, the registry, strings, debug messages and assertions.

use super::rules;

rules! {
    OBJECTS:
    ASSERTION_FAILED = "assertion-failed", always,
        "An assertion of the driver failed";
    BAD_HANDLE_CLOSED = "bad-handle-closed", always, stops 0x93/_,
        "A handle is closed that cannot be closed";
    FLOATING_POINT_FORMAT = "floating-point-format", always,
        "A debug message has a conversion for floating point";
    FORMAT_WRITES_MEMORY = "format-writes-memory", always,
        "A debug message has the conversion %n";
    FREED_POOL_LOGGED = "freed-pool-logged", always,
        "A debug message prints memory that was freed";
    HANDLE_OF_ANOTHER_PROCESS = "handle-of-another-process", always,
        "A handle of a program is used in the process System";
    NULL_HANDLE = "null-handle", always, stops 0xc4/0xf5,
        "ObReferenceObjectByHandle is given a NULL handle";
    OBJECT_OVER_DEREFERENCED = "object-over-dereferenced", always,
        "An object is dereferenced once more than referenced";
    QUERY_REGISTRY_EXPAND = "query-registry-expand" (formerly "registry-expand"), always,
        "RtlQueryRegistryValues expands variables without an environment";
    UNICODE_FORMAT_IRQL = "unicode-format-irql", always,
        "A debug message converts Unicode above PASSIVE_LEVEL";
    UNICODE_STRING_ODD_LENGTH = "unicode-string-odd-length", standard,
        "A UNICODE_STRING has an odd length";
    UNINITIALIZED_POOL_LOGGED = "uninitialized-pool-logged" (formerly "uninitialised-pool-logged"), always,
        "A debug message prints uninitialized pool";
    USER_HANDLE_AS_KERNEL = "user-handle-as-kernel", always, stops 0xc4/0xf6,
        "A handle of a program is referenced with access mode KernelMode";
    USER_HANDLE_CREATED = "user-handle-created", standard,
        "A driver makes a handle in the process of a program";
    WRONG_OBJECT_TYPE = "wrong-object-type", always,
        "A function is given an object of another type";
}
