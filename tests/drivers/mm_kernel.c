/*
 * The memory manager for drivers: contiguous memory, mapping addresses, pageable
 * sections, device memory that is not there, copies, and MDLs in unusual use.
 */
#include <ntifs.h>
#include "check.h"

#define TAG 0x6B6D4D6D /* "mMmk" */
#define K 0x1000

NTSYSAPI PVOID NTAPI MmAllocateMappingAddress(SIZE_T bytes, ULONG tag);
NTSYSAPI VOID NTAPI MmFreeMappingAddress(PVOID base, ULONG tag);
NTSYSAPI PVOID NTAPI MmMapLockedPagesWithReservedMapping(PVOID base, ULONG tag, PMDL mdl, MEMORY_CACHING_TYPE cache);
NTSYSAPI VOID NTAPI MmUnmapReservedMapping(PVOID base, ULONG tag, PMDL mdl);
NTSYSAPI PMDL NTAPI MmAllocatePagesForMdlEx(PHYSICAL_ADDRESS low, PHYSICAL_ADDRESS high, PHYSICAL_ADDRESS skip, SIZE_T bytes,
                                            MEMORY_CACHING_TYPE cache, ULONG flags);
NTSYSAPI VOID NTAPI MmProbeAndLockSelectedPages(PMDL mdl, PVOID segments, KPROCESSOR_MODE mode, LOCK_OPERATION operation);

typedef NTSTATUS (NTAPI *COPY)(PVOID, PHYSICAL_ADDRESS, SIZE_T, ULONG, PSIZE_T);

static PHYSICAL_ADDRESS Physical(LONGLONG value)
{
    PHYSICAL_ADDRESS address;
    address.QuadPart = value;
    return address;
}

static VOID Contiguous(VOID)
{
    UCHAR *memory = MmAllocateContiguousMemory(3 * K - 1, Physical(-1));
    LONGLONG first;

    CHECK(memory != NULL && ((ULONG_PTR)memory & (K - 1)) == 0 && MmIsAddressValid(memory));
    first = MmGetPhysicalAddress(memory).QuadPart;
    CHECK(MmGetPhysicalAddress(memory + K).QuadPart == first + K && MmGetPhysicalAddress(memory + 2 * K + 5).QuadPart == first + 2 * K + 5);
    CHECK(MmGetVirtualForPhysical(Physical(first + 7)) == memory + 7);
    MmFreeContiguousMemory(memory);
    CHECK(!MmIsAddressValid(memory));
    CHECK(MmAllocateContiguousMemory(K, Physical(0xFFF)) == NULL && MmAllocateContiguousMemory(0, Physical(-1)) == NULL);
    memory = MmAllocateContiguousMemorySpecifyCache(16 * K, Physical(0x1000000), Physical(-1), Physical(16 * K), MmNonCached);
    CHECK(memory != NULL && (MmGetPhysicalAddress(memory).QuadPart & (16 * K - 1)) == 0);
    MmFreeContiguousMemorySpecifyCache(memory, 16 * K, MmNonCached);
    memory = MmAllocateNonCachedMemory(2 * K);
    CHECK(memory != NULL);
    RtlZeroMemory(memory, 2 * K);
    MmFreeNonCachedMemory(memory, 2 * K);
}

static VOID Reserved(VOID)
{
    PVOID base = MmAllocateMappingAddress(2 * K, TAG), mapped;
    PMDL mdl = MmAllocatePagesForMdlEx(Physical(0), Physical(-1), Physical(0), 2 * K, MmCached, 0);
    PMDL large = MmAllocatePagesForMdlEx(Physical(0), Physical(-1), Physical(0), 3 * K, MmCached, 0);

    CHECK(MmAllocateMappingAddress(1, 0) == NULL && base != NULL && !MmIsAddressValid(base));
    mapped = MmMapLockedPagesWithReservedMapping(base, TAG, mdl, MmCached);
    CHECK(mapped == base && (mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA) && MmIsAddressValid((UCHAR *)base + K));
    *(ULONG *)base = 5;
    CHECK(MmGetPhysicalAddress(base).QuadPart == (LONGLONG)MmGetMdlPfnArray(mdl)[0] << 12);
    MmUnmapReservedMapping(base, TAG, mdl);
    CHECK(!(mdl->MdlFlags & MDL_MAPPED_TO_SYSTEM_VA) && !MmIsAddressValid(base));
    mapped = MmMapLockedPagesWithReservedMapping((UCHAR *)base + 4, TAG, mdl, MmCached);
    CHECK(mapped == base && *(ULONG *)mapped == 5);
    MmUnmapReservedMapping(mapped, TAG, mdl);
    CHECK(MmMapLockedPagesWithReservedMapping(base, TAG, large, MmCached) == NULL);
    MmFreePagesFromMdl(mdl);
    MmFreePagesFromMdl(large);
    ExFreePool(mdl);
    ExFreePool(large);
    MmFreeMappingAddress((UCHAR *)base + 4, TAG);
}

static VOID Sections(VOID)
{
    PVOID handle = MmLockPagableDataSection(Sections);

    CHECK(handle != NULL && handle <= (PVOID)Sections);
    MmLockPagableSectionByHandle(handle);
    MmUnlockPagableImageSection(handle);
    MmUnlockPagableImageSection(handle);
    CHECK(MmPageEntireDriver(Sections) != NULL);
    MmResetDriverPaging(Sections);
    CHECK(MmQuerySystemSize() == MmLargeSystem && !MmIsThisAnNtAsSystem());
}

static VOID Devices(VOID)
{
    CHECK(MmMapIoSpace(Physical(0xFEE00000), K, MmNonCached) == NULL);
    CHECK(MmMapIoSpace(Physical(0xFEE00000), K, MmNonCached) == NULL);
}

static VOID Copies(VOID)
{
    static const UCHAR Source[12] = "hello there";
    UNICODE_STRING name;
    COPY copy;
    UCHAR *target = ExAllocatePoolWithTag(NonPagedPool, 2 * K, TAG);
    UCHAR *pool = ExAllocatePoolWithTag(NonPagedPool, 2 * K, TAG);
    SIZE_T done = 7;

    RtlInitUnicodeString(&name, L"MmCopyMemory");
    copy = (COPY)MmGetSystemRoutineAddress(&name);
    CHECK(copy != NULL && copy(target, Physical((LONGLONG)Source), 12, 2, &done) == STATUS_SUCCESS && done == 12);
    CHECK(RtlCompareMemory(target, Source, 12) == 12);
    RtlFillMemory(pool, 2 * K, 0x77);
    CHECK(copy(target, MmGetPhysicalAddress(pool + 10), 20, 1, &done) == STATUS_SUCCESS && done == 20 && target[19] == 0x77);
    CHECK(copy(target, Physical(0x12345000), 12, 2, &done) == STATUS_ACCESS_VIOLATION && done == 0);
    CHECK(!NT_SUCCESS(copy(target, Physical(0x10), 12, 1, &done)) && done == 0);
    CHECK(!NT_SUCCESS(copy(target, Physical((LONGLONG)Source), 12, 3, &done)));
    ExFreePool(pool);
    ExFreePool(target);
}

static VOID Advancing(VOID)
{
    UCHAR *pool = ExAllocatePoolWithTag(NonPagedPool, 3 * K, TAG);
    PMDL mdl = IoAllocateMdl(pool + 0x100, 2 * K, FALSE, FALSE, NULL);
    PFN_NUMBER second;

    MmBuildMdlForNonPagedPool(mdl);
    second = MmGetMdlPfnArray(mdl)[1];
    CHECK(MmAdvanceMdl(mdl, 2 * K + 1) == STATUS_INVALID_PARAMETER_2);
    CHECK(MmAdvanceMdl(mdl, 0x80) == 0 && mdl->ByteOffset == 0x180 && mdl->ByteCount == 2 * K - 0x80);
    CHECK(MmAdvanceMdl(mdl, K) == 0 && mdl->StartVa == pool + K && mdl->ByteOffset == 0x180 && mdl->ByteCount == K - 0x80);
    CHECK(MmGetMdlPfnArray(mdl)[0] == second && mdl->MappedSystemVa == pool + K + 0x180);
    IoFreeMdl(mdl);
    ExFreePool(pool);
}

static VOID Selected(VOID)
{
    UCHAR *pool = ExAllocatePoolWithTag(NonPagedPool, 4 * K, TAG), *mapped;
    ULONGLONG segments[2];
    PMDL mdl = IoAllocateMdl(NULL, 2 * K, FALSE, FALSE, NULL);

    segments[0] = (ULONG_PTR)pool + 3 * K;
    segments[1] = (ULONG_PTR)pool + K;
    pool[3 * K] = 1;
    pool[K] = 2;
    MmProbeAndLockSelectedPages(mdl, segments, KernelMode, IoWriteAccess);
    mapped = MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
    CHECK(mapped != NULL && mapped[0] == 1 && mapped[K] == 2);
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    ExFreePool(pool);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path);
static VOID NTAPI Unload(UNUSED PDRIVER_OBJECT driver)
{
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, UNUSED PUNICODE_STRING path)
{
    driver->DriverUnload = Unload;
    CASE(Contiguous);
    CASE(Reserved);
    CASE(Sections);
    CASE(Devices);
    CASE(Copies);
    CASE(Advancing);
    CASE(Selected);
    return CHECK_STATUS;
}
