/*
 * Memory of a process: what is reserved, committed, protected, guarded, secured,
 * and how regions split and merge.
 */
#include <ntifs.h>
#include "check.h"
#include "try.h"

#ifndef MEM_PHYSICAL
#define MEM_PHYSICAL 0x400000
#endif
#ifndef SEC_IMAGE
#define SEC_IMAGE 0x1000000
#endif
#ifndef SEC_NOCACHE
#define SEC_NOCACHE 0x10000000
#endif
#ifndef SEC_RESERVE
#define SEC_RESERVE 0x4000000
#endif
#ifndef SEC_LARGE_PAGES
#define SEC_LARGE_PAGES 0x80000000
#endif

/* What these headers lack. */
typedef struct {
    PVOID BaseAddress, AllocationBase;
    ULONG AllocationProtect;
    USHORT PartitionId;
    SIZE_T RegionSize;
    ULONG State, Protect, Type;
} INFORMATION;

NTSYSAPI NTSTATUS NTAPI ZwProtectVirtualMemory(HANDLE, PVOID *, PSIZE_T, ULONG, PULONG);
NTSYSAPI NTSTATUS NTAPI ZwQueryVirtualMemory(HANDLE, PVOID, ULONG, PVOID, SIZE_T, PSIZE_T);
NTSYSAPI NTSTATUS NTAPI ZwQuerySection(HANDLE, ULONG, PVOID, SIZE_T, PSIZE_T);

#define PROCESS ((HANDLE)(LONG_PTR)-1)
#define K 0x1000

/* Reads, or writes, a byte where that may fault; returns the exception's code. */
static volatile UCHAR Sink;

INLINED_NOT static VOID Access(volatile UCHAR *at, BOOLEAN write)
{
    if (write)
        *at = 0x5A;
    else
        Sink = *at;
}

INLINED_NOT static NTSTATUS Touch(volatile UCHAR *at, BOOLEAN write)
{
    __try {
        Access(at, write);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
    return STATUS_SUCCESS;
}

static NTSTATUS Allocate(PVOID *base, SIZE_T *size, ULONG kind, ULONG protect)
{
    return ZwAllocateVirtualMemory(PROCESS, base, 0, size, kind, protect);
}

static NTSTATUS Free(PVOID base, SIZE_T size, ULONG kind)
{
    return ZwFreeVirtualMemory(PROCESS, &base, &size, kind);
}

static NTSTATUS Protect(PVOID base, SIZE_T size, ULONG protect, ULONG *old)
{
    return ZwProtectVirtualMemory(PROCESS, &base, &size, protect, old);
}

/* Whether a region is what is expected, in all fields. */
static BOOLEAN Is(PVOID at, PVOID allocation, SIZE_T size, ULONG state, ULONG protect)
{
    INFORMATION information;
    SIZE_T length;

    if (!NT_SUCCESS(ZwQueryVirtualMemory(PROCESS, at, 0, &information, sizeof information, &length)))
        return FALSE;
    return length == sizeof information && information.BaseAddress == at && information.AllocationBase == allocation &&
           (size == 0 || information.RegionSize == size) && information.State == state && information.Protect == protect &&
           information.Type == (state == MEM_FREE ? 0 : MEM_PRIVATE);
}

static VOID Parameters(VOID)
{
    PVOID base = NULL;
    SIZE_T size = 200;
    INFORMATION information;

    CHECK(ZwAllocateVirtualMemory(NULL, &base, 0, &size, MEM_COMMIT, PAGE_READWRITE) == STATUS_INVALID_HANDLE);
    CHECK(ZwAllocateVirtualMemory(PROCESS, &base, 21, &size, MEM_COMMIT, PAGE_READWRITE) == STATUS_NO_MEMORY);
    CHECK(ZwAllocateVirtualMemory(PROCESS, &base, 22, &size, MEM_COMMIT, PAGE_READWRITE) == STATUS_INVALID_PARAMETER_3);
    CHECK(base == NULL && size == 200);
    CHECK(Allocate(&base, &size, 0, PAGE_READWRITE) == STATUS_INVALID_PARAMETER_5);
    CHECK(Allocate(&base, &size, MEM_TOP_DOWN, PAGE_READWRITE) == STATUS_INVALID_PARAMETER_5);
    CHECK(Allocate(&base, &size, MEM_PHYSICAL, PAGE_READWRITE) == STATUS_INVALID_PARAMETER_5);
    CHECK(Allocate(&base, &size, MEM_COMMIT | MEM_RESET, PAGE_READWRITE) == STATUS_INVALID_PARAMETER_5);
    CHECK(Allocate(&base, &size, ~0u, PAGE_READWRITE) == STATUS_INVALID_PARAMETER_5);
    CHECK(Allocate(&base, &size, MEM_COMMIT, 0) == STATUS_INVALID_PAGE_PROTECTION);
    CHECK(Allocate(&base, &size, MEM_COMMIT, PAGE_NOACCESS | PAGE_GUARD) == STATUS_INVALID_PAGE_PROTECTION);
    CHECK(Allocate(&base, &size, MEM_RESERVE, PAGE_WRITECOPY) == STATUS_INVALID_PAGE_PROTECTION);
    size = 0;
    CHECK(Allocate(&base, &size, MEM_COMMIT, PAGE_READWRITE) == STATUS_INVALID_PARAMETER_4);
    size = (SIZE_T)-1;
    CHECK(Allocate(&base, &size, MEM_COMMIT, PAGE_READWRITE) == STATUS_INVALID_PARAMETER_4);
    size = 200;
    base = (PVOID)((char *)MmSystemRangeStart + 200);
    CHECK(Allocate(&base, &size, MEM_COMMIT, PAGE_READWRITE) == STATUS_INVALID_PARAMETER_2);
    CHECK(Free(base, 0, MEM_RELEASE) == STATUS_INVALID_PARAMETER_2);
    base = (PVOID)0x60025000;
    CHECK(Allocate(&base, &size, MEM_COMMIT, PAGE_READWRITE) == STATUS_CONFLICTING_ADDRESSES);
    CHECK(Free((PVOID)0x60000000, 0, MEM_RELEASE) == STATUS_MEMORY_NOT_ALLOCATED);
    CHECK(Free((PVOID)0x60000000, 0, MEM_RELEASE | MEM_DECOMMIT) == STATUS_INVALID_PARAMETER_4);
    CHECK(ZwQueryVirtualMemory(PROCESS, MmSystemRangeStart, 0, &information, sizeof information, NULL) ==
          STATUS_INVALID_PARAMETER);
    CHECK(ZwQueryVirtualMemory(PROCESS, NULL, 0, &information, 0x2F, NULL) == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(ZwQueryVirtualMemory(PROCESS, NULL, 0x1000, &information, sizeof information, NULL) == STATUS_INVALID_INFO_CLASS);
}

static VOID Blocks(VOID)
{
    PVOID base = (PVOID)0x60025000, block = (PVOID)0x60020000, part;
    UCHAR *at = block;
    SIZE_T size = 200;
    ULONG old = 0;

    CHECK(Is((PVOID)0x60020000, NULL, 0, MEM_FREE, PAGE_NOACCESS));
    CHECK(Allocate(&base, &size, MEM_RESERVE, PAGE_READWRITE) == 0 && base == block && size == 6 * K);
    CHECK(Is(at, block, 6 * K, MEM_RESERVE, 0));
    CHECK(Is((PVOID)0x60010000, NULL, 0x10000, MEM_FREE, PAGE_NOACCESS));
    CHECK(Touch(at, FALSE) == STATUS_ACCESS_VIOLATION);
    part = at + K + 12;
    size = 3 * K - 12;
    CHECK(Allocate(&part, &size, MEM_COMMIT, PAGE_READWRITE) == 0 && part == at + K && size == 3 * K);
    CHECK(Is(at, block, K, MEM_RESERVE, 0) && Is(at + K, block, 3 * K, MEM_COMMIT, PAGE_READWRITE) &&
          Is(at + 4 * K, block, 2 * K, MEM_RESERVE, 0));
    CHECK(at[K] == 0 && at[4 * K - 1] == 0 && Touch(at + K, TRUE) == 0 && Touch(at + 4 * K, TRUE) == STATUS_ACCESS_VIOLATION);
    CHECK(Protect(at + 2 * K, K, PAGE_READONLY, &old) == 0 && old == PAGE_READWRITE);
    CHECK(Is(at + K, block, K, MEM_COMMIT, PAGE_READWRITE) && Is(at + 2 * K, block, K, MEM_COMMIT, PAGE_READONLY));
    CHECK(Touch(at + 2 * K, FALSE) == 0 && Touch(at + 2 * K, TRUE) == STATUS_ACCESS_VIOLATION);
    CHECK(Protect(at + 2 * K, 3 * K, PAGE_READONLY, &old) == STATUS_NOT_COMMITTED);
    CHECK(Protect(at + 2 * K, 5 * K, PAGE_READONLY, &old) == STATUS_CONFLICTING_ADDRESSES);
    CHECK(Protect(at + 2 * K, K, PAGE_WRITECOPY, &old) == STATUS_INVALID_PAGE_PROTECTION);
    CHECK(Protect(at + 2 * K, K, PAGE_READWRITE, &old) == 0 && old == PAGE_READONLY);
    CHECK(Is(at + K, block, 3 * K, MEM_COMMIT, PAGE_READWRITE));
    CHECK(at[K] == 0x5A && Free(at + K, K, MEM_DECOMMIT) == 0 && Is(at, block, 2 * K, MEM_RESERVE, 0));
    part = at + K;
    size = K;
    CHECK(Allocate(&part, &size, MEM_COMMIT, PAGE_READWRITE) == 0 && at[K] == 0);
    size = K;
    CHECK(Allocate(&part, &size, MEM_RESERVE, PAGE_READWRITE) == STATUS_CONFLICTING_ADDRESSES);
    CHECK(Free(at + K, 0, MEM_RELEASE) == STATUS_FREE_VM_NOT_AT_BASE);
    CHECK(Free(at + K, 8 * K, MEM_RELEASE) == STATUS_UNABLE_TO_FREE_VM);
    CHECK(Free(at + 2 * K, K, MEM_RELEASE) == 0);
    CHECK(Is(at + 2 * K, NULL, K, MEM_FREE, PAGE_NOACCESS) && Is(at + 3 * K, at + 3 * K, K, MEM_COMMIT, PAGE_READWRITE));
    CHECK(Free(at, 0, MEM_RELEASE) == 0 && Free(at + 3 * K, 0, MEM_RELEASE) == 0);
    CHECK(Free(at, 0, MEM_RELEASE) == STATUS_MEMORY_NOT_ALLOCATED && !MmIsAddressValid(at + K));

    base = NULL;
    size = K;
    CHECK(Allocate(&base, &size, MEM_COMMIT | MEM_TOP_DOWN, PAGE_READWRITE) == 0);
    CHECK((ULONG_PTR)base > (ULONG_PTR)MmHighestUserAddress - 0x100000 && Free(base, 0, MEM_RELEASE) == 0);
    base = NULL;
    size = K;
    CHECK(ZwAllocateVirtualMemory(PROCESS, &base, 3, &size, MEM_COMMIT, PAGE_READWRITE) == 0);
    CHECK((ULONG_PTR)base < 0x20000000 && Free(base, 0, MEM_RELEASE) == 0);
}

static VOID Guards(VOID)
{
    PVOID base = NULL;
    SIZE_T size = 2 * K;
    UCHAR *at, copy[4];

    CHECK(Allocate(&base, &size, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD) == 0);
    at = base;
    CHECK(Is(at, at, 2 * K, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD));
    CHECK(Touch(at, TRUE) == STATUS_GUARD_PAGE_VIOLATION && Touch(at, TRUE) == 0);
    CHECK(Is(at, at, K, MEM_COMMIT, PAGE_READWRITE) && Is(at + K, at, K, MEM_COMMIT, PAGE_READWRITE | PAGE_GUARD));
    CHECK(RtlCompareMemory(at, "\x5A", 1) == 1);
    RtlCopyMemory(copy, at, 4);
    CHECK(copy[0] == 0x5A && Free(base, 0, MEM_RELEASE) == 0);
    base = NULL;
    size = K;
    CHECK(Allocate(&base, &size, MEM_COMMIT, PAGE_NOACCESS) == 0 && Touch(base, FALSE) == STATUS_ACCESS_VIOLATION);
    CHECK(!MmIsAddressValid(base) && Is(base, base, K, MEM_COMMIT, PAGE_NOACCESS) && Free(base, 0, MEM_RELEASE) == 0);
}

static VOID Secured(VOID)
{
    PVOID base = NULL;
    HANDLE reading, writing;
    SIZE_T size = 2 * K;
    ULONG old;

    CHECK(Allocate(&base, &size, MEM_COMMIT, PAGE_READWRITE) == 0);
    writing = MmSecureVirtualMemory(base, K, PAGE_READWRITE);
    CHECK(writing != NULL && Free(base, 0, MEM_RELEASE) == STATUS_INVALID_PAGE_PROTECTION);
    CHECK(Protect(base, K, PAGE_READONLY, &old) == STATUS_INVALID_PAGE_PROTECTION);
    CHECK(Protect((UCHAR *)base + K, K, PAGE_READONLY, &old) == 0);
    CHECK(MmSecureVirtualMemory(base, size, PAGE_READWRITE) == NULL);
    reading = MmSecureVirtualMemory(base, size, PAGE_READONLY);
    MmUnsecureVirtualMemory(writing);
    CHECK(reading != NULL && Protect(base, K, PAGE_READONLY, &old) == 0);
    CHECK(Protect(base, K, PAGE_NOACCESS, &old) == STATUS_INVALID_PAGE_PROTECTION);
    MmUnsecureVirtualMemory(reading);
    CHECK(Free(base, 0, MEM_RELEASE) == 0 && MmSecureVirtualMemory(base, K, PAGE_READONLY) == NULL);
}

/* Locks pages for an access; returns the exception's code. */
INLINED_NOT static NTSTATUS Lock(PVOID at, ULONG length, LOCK_OPERATION operation)
{
    PMDL mdl = IoAllocateMdl(at, length, FALSE, FALSE, NULL);
    NTSTATUS status = STATUS_SUCCESS;

    __try {
        MmProbeAndLockPages(mdl, UserMode, operation);
        MmUnlockPages(mdl);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    IoFreeMdl(mdl);
    return status;
}

static VOID Locking(VOID)
{
    PVOID base = NULL;
    SIZE_T size = 2 * K;
    ULONG old;

    CHECK(Allocate(&base, &size, MEM_COMMIT, PAGE_READONLY) == 0);
    CHECK(Lock(base, 2 * K, IoReadAccess) == 0 && Lock(base, 2 * K, IoWriteAccess) == STATUS_ACCESS_VIOLATION);
    CHECK(Protect(base, 2 * K, PAGE_READWRITE, &old) == 0 && Lock(base, 2 * K, IoModifyAccess) == 0);
    CHECK(Free((UCHAR *)base + K, K, MEM_DECOMMIT) == 0 && Lock(base, 2 * K, IoReadAccess) == STATUS_ACCESS_VIOLATION);
    CHECK(Lock(base, K, IoReadAccess) == 0 && Free(base, 0, MEM_RELEASE) == 0);
}

/* A section's view, its size and offset; the status. */
static NTSTATUS View(HANDLE section, PVOID *base, LONGLONG offset, SIZE_T *size, ULONG kind, ULONG protect)
{
    LARGE_INTEGER from;

    from.QuadPart = offset;
    return ZwMapViewOfSection(section, PROCESS, base, 0, 0, &from, size, ViewUnmap, kind, protect);
}

static NTSTATUS Section(HANDLE *section, LONGLONG bytes, ULONG protect, ULONG kind)
{
    LARGE_INTEGER size;

    size.QuadPart = bytes;
    return ZwCreateSection(section, SECTION_ALL_ACCESS, NULL, &size, protect, kind, NULL);
}

static VOID Sections(VOID)
{
    HANDLE section;
    struct {
        PVOID base;
        ULONG attributes;
        LARGE_INTEGER size;
    } basic;

    CHECK(Section(&section, 0, PAGE_READWRITE, SEC_COMMIT) == STATUS_INVALID_PARAMETER_4);
    CHECK(Section(&section, -1, PAGE_READWRITE, SEC_COMMIT) == STATUS_SECTION_TOO_BIG);
    CHECK(Section(&section, 200, 0, SEC_COMMIT) == STATUS_INVALID_PAGE_PROTECTION);
    CHECK(Section(&section, 200, PAGE_READONLY | PAGE_READWRITE, SEC_COMMIT) == STATUS_INVALID_PAGE_PROTECTION);
    CHECK(Section(&section, 200, PAGE_READWRITE, 0) == STATUS_INVALID_PARAMETER_6);
    CHECK(Section(&section, 200, PAGE_READWRITE, SEC_COMMIT | SEC_RESERVE) == STATUS_INVALID_PARAMETER_6);
    CHECK(Section(&section, 200, PAGE_READWRITE, SEC_IMAGE | SEC_COMMIT) == STATUS_INVALID_PARAMETER_6);
    CHECK(Section(&section, 200, PAGE_READWRITE, ~0u) == STATUS_INVALID_PARAMETER_6);
    CHECK(Section(&section, 200, PAGE_READWRITE, SEC_IMAGE) == STATUS_INVALID_FILE_FOR_SECTION);
    CHECK(Section(&section, 200, PAGE_READWRITE, SEC_COMMIT | SEC_LARGE_PAGES) == STATUS_INVALID_PARAMETER_4);
    CHECK(Section(&section, 200, PAGE_EXECUTE_WRITECOPY, SEC_NOCACHE | SEC_COMMIT) == 0 && ZwClose(section) == 0);
    CHECK(Section(&section, 200, PAGE_READWRITE, SEC_RESERVE) == 0);
    CHECK(ZwQuerySection(section, 0, &basic, 0x17, NULL) == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(ZwQuerySection(section, 0, &basic, sizeof basic, NULL) == 0);
    CHECK(basic.base == NULL && basic.attributes == SEC_RESERVE && basic.size.QuadPart == K && ZwClose(section) == 0);
}

static VOID Views(VOID)
{
    HANDLE section;
    PVOID first = NULL, second = NULL, odd = (PVOID)0x567A20, copy = NULL;
    SIZE_T size = 0, part = K, large = (SIZE_T)-1;
    ULONG old;

    CHECK(Section(&section, 0x28000, PAGE_READWRITE, SEC_COMMIT) == 0);
    CHECK(View(section, &odd, 0, &size, 0, PAGE_READWRITE) == STATUS_MAPPED_ALIGNMENT);
    CHECK(View(section, &first, 0x211, &size, 0, PAGE_READWRITE) == STATUS_MAPPED_ALIGNMENT);
    CHECK(View(section, &first, 0, &large, 0, PAGE_READWRITE) == STATUS_INVALID_PARAMETER_3);
    large = 0x28001;
    CHECK(View(section, &first, 0, &large, 0, PAGE_READWRITE) == STATUS_INVALID_VIEW_SIZE);
    CHECK(View(section, &first, 0x30000, &size, 0, PAGE_READWRITE) == STATUS_INVALID_VIEW_SIZE);
    CHECK(View(section, &first, 0, &size, MEM_RESERVE, PAGE_READWRITE) == STATUS_INVALID_PARAMETER_9);
    CHECK(View(section, &first, 0, &size, MEM_COMMIT, PAGE_READWRITE) == STATUS_INVALID_PARAMETER_9);
    CHECK(View(section, &first, 0, &size, 0, PAGE_EXECUTE_READ) == STATUS_SECTION_PROTECTION);
    CHECK(View(section, &first, 0, &size, 0, PAGE_READWRITE | PAGE_READONLY) == STATUS_INVALID_PAGE_PROTECTION);
    CHECK(View(PROCESS, &first, 0, &size, 0, PAGE_READWRITE) == STATUS_OBJECT_TYPE_MISMATCH);
    CHECK(View(NULL, &first, 0, &size, 0, PAGE_READWRITE) == STATUS_INVALID_HANDLE);
    CHECK(View(section, &first, 0, &size, 0, PAGE_READWRITE) == 0 && size == 0x28000 && first != NULL);
    CHECK(View(section, &second, 0x10000, &part, 0, PAGE_READONLY) == 0 && part == K && second != first);
    *(ULONG *)((UCHAR *)first + 0x10004) = 0x12345678;
    CHECK(*(ULONG *)((UCHAR *)second + 4) == 0x12345678 && Touch(second, TRUE) == STATUS_ACCESS_VIOLATION);
    CHECK(MmGetPhysicalAddress(second).QuadPart == MmGetPhysicalAddress((UCHAR *)first + 0x10000).QuadPart);

    /* A view that is copied on write has its own page from the first write on. */
    part = 2 * K;
    CHECK(View(section, &copy, 0x10000, &part, 0, PAGE_WRITECOPY) == 0 && *(ULONG *)((UCHAR *)copy + 4) == 0x12345678);
    *(ULONG *)((UCHAR *)first + 0x10008) = 7;
    CHECK(*(ULONG *)((UCHAR *)copy + 8) == 7 && Touch(copy, TRUE) == 0 && *(UCHAR *)copy == 0x5A);
    CHECK(*(UCHAR *)second == 0 && *(ULONG *)((UCHAR *)copy + 8) == 7);
    *(ULONG *)((UCHAR *)first + 0x10008) = 8;
    CHECK(*(ULONG *)((UCHAR *)copy + 8) == 7);
    CHECK(ZwUnmapViewOfSection(PROCESS, copy) == 0);

    CHECK(Protect(second, K, PAGE_READWRITE, &old) == 0 && old == PAGE_READONLY && Touch(second, TRUE) == 0);
    CHECK(Protect(second, K, PAGE_EXECUTE_READ, &old) == STATUS_SECTION_PROTECTION);
    CHECK(Free(first, 0, MEM_RELEASE) == STATUS_UNABLE_TO_DELETE_SECTION);
    CHECK(ZwClose(section) == 0 && *(UCHAR *)second == 0x5A);
    CHECK(ZwUnmapViewOfSection(PROCESS, (UCHAR *)first + 0x12345) == 0);
    CHECK(ZwUnmapViewOfSection(PROCESS, first) == STATUS_NOT_MAPPED_VIEW);
    CHECK(ZwUnmapViewOfSection(PROCESS, second) == 0 && !MmIsAddressValid(second));
}

static VOID Reserved(VOID)
{
    HANDLE section;
    PVOID first = NULL, second = NULL, part;
    SIZE_T size = 0;

    CHECK(Section(&section, 4 * K, PAGE_READWRITE, SEC_RESERVE) == 0);
    CHECK(View(section, &first, 0, &size, 0, PAGE_READWRITE) == 0 && View(section, &second, 0, &size, 0, PAGE_READWRITE) == 0);
    CHECK(Touch(first, FALSE) == STATUS_ACCESS_VIOLATION);
    part = (UCHAR *)first + K;
    size = K;
    CHECK(Allocate(&part, &size, MEM_COMMIT, PAGE_READWRITE) == 0);
    *((UCHAR *)first + K) = 9;
    CHECK(*((UCHAR *)second + K) == 9 && Touch((UCHAR *)second + 2 * K, FALSE) == STATUS_ACCESS_VIOLATION);
    CHECK(ZwUnmapViewOfSection(PROCESS, first) == 0 && ZwUnmapViewOfSection(PROCESS, second) == 0 && ZwClose(section) == 0);
}

static VOID InSystemSpace(VOID)
{
    HANDLE section;
    PVOID object, system = NULL, process = NULL;
    SIZE_T size = 0;

    CHECK(Section(&section, 3 * K, PAGE_READWRITE, SEC_COMMIT) == 0);
    CHECK(ObReferenceObjectByHandle(section, SECTION_MAP_WRITE, NULL, KernelMode, &object, NULL) == 0);
    CHECK(MmMapViewInSystemSpace(object, &system, &size) == 0 && size == 3 * K && system >= MmSystemRangeStart);
    size = 0;
    CHECK(View(section, &process, 0, &size, 0, PAGE_READWRITE) == 0);
    *((ULONG *)system + 0x401) = 0xABCD;
    CHECK(*((ULONG *)process + 0x401) == 0xABCD);
    CHECK(ZwUnmapViewOfSection(PROCESS, process) == 0 && MmUnmapViewInSystemSpace(system) == 0);
    size = 4 * K;
    CHECK(MmMapViewInSystemSpace(object, &system, &size) == STATUS_INVALID_VIEW_SIZE);
    ObDereferenceObject(object);
    CHECK(ZwClose(section) == 0);
}

INLINED_NOT static NTSTATUS MapForUser(PMDL mdl, PVOID at, PVOID *mapped)
{
    NTSTATUS status = STATUS_SUCCESS;

    *mapped = NULL;
    __try {
        *mapped = MmMapLockedPagesSpecifyCache(mdl, UserMode, MmCached, at, FALSE, NormalPagePriority);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    return status;
}

/* Only MmUnmapLockedPages undoes what MmMapLockedPages made. */
static VOID UserMappings(VOID)
{
    PUCHAR pool = ExAllocatePoolWithTag(NonPagedPool, 2 * K, 0x74736554 /* "Test" */), first, second;
    PMDL mdl = IoAllocateMdl(pool, 2 * K, FALSE, FALSE, NULL);
    PVOID base;
    SIZE_T size = 2 * K;

    MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    CHECK(MapForUser(mdl, NULL, (PVOID *)&first) == STATUS_SUCCESS);
    first[K + 1] = 7;
    CHECK(pool[K + 1] == 7);
    base = first;
    CHECK(ZwAllocateVirtualMemory(PROCESS, &base, 0, &size, MEM_RESERVE, PAGE_READWRITE) == STATUS_CONFLICTING_ADDRESSES);
    size = 0;
    CHECK(ZwFreeVirtualMemory(PROCESS, &base, &size, MEM_DECOMMIT) == STATUS_UNABLE_TO_DELETE_SECTION);
    CHECK(ZwFreeVirtualMemory(PROCESS, &base, &size, MEM_RELEASE) == STATUS_UNABLE_TO_DELETE_SECTION);
    CHECK(ZwUnmapViewOfSection(PROCESS, base) == STATUS_NOT_MAPPED_VIEW);
    CHECK(MapForUser(mdl, first, (PVOID *)&second) == STATUS_CONFLICTING_ADDRESSES);
    MmUnmapLockedPages(first, mdl);
    CHECK(MapForUser(mdl, first, (PVOID *)&second) == STATUS_SUCCESS && second == first);
    MmUnmapLockedPages(second, mdl);
    CHECK(MapForUser(mdl, first + 0x800, (PVOID *)&second) == STATUS_INVALID_ADDRESS);
    base = (PVOID)(((ULONG_PTR)MmHighestUserAddress & ~(ULONG_PTR)(K - 1)) - 15 * K);
    CHECK(MapForUser(mdl, base, (PVOID *)&second) == STATUS_INVALID_ADDRESS);
    CHECK(MapForUser(mdl, MmSystemRangeStart, (PVOID *)&second) == STATUS_INVALID_ADDRESS);
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    ExFreePoolWithTag(pool, 0x74736554 /* "Test" */);
}

static VOID NTAPI Unload(UNUSED PDRIVER_OBJECT driver)
{
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path);
NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, UNUSED PUNICODE_STRING path)
{
    driver->DriverUnload = Unload;
    CASE(Parameters);
    CASE(Blocks);
    CASE(Guards);
    CASE(Secured);
    CASE(Locking);
    CASE(Sections);
    CASE(Views);
    CASE(Reserved);
    CASE(InSystemSpace);
    CASE(UserMappings);
    return CHECK_STATUS;
}
