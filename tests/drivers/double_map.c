/*
 * The scenario `lock` without `wdm`: pool, an MDL over it, a second
 * mapping, proof that both are the same memory, and everything given back. C,
 * compiled by mingw-w64: what runs ntmem.sys must run this.
 */
#include <ntddk.h>

#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "double_map: " __VA_ARGS__)

static const ULONG Tag = 0x70616d64; /* "dmap" */

static VOID Unload(PDRIVER_OBJECT driver)
{
    SAY("unloaded, driver object %p\n", driver);
}

static NTSTATUS Compare(volatile ULONG *first, volatile ULONG *second)
{
    first[1] = 0x600dcafe;
    if (second[1] != 0x600dcafe)
        return STATUS_DATA_ERROR;
    second[1023] = 0x12345678;
    if (first[1023] != 0x12345678)
        return STATUS_DATA_ERROR;
    SAY("physical %I64x and %I64x\n", MmGetPhysicalAddress((PVOID)first).QuadPart,
        MmGetPhysicalAddress((PVOID)second).QuadPart);
    return STATUS_SUCCESS;
}

static NTSTATUS Walk(PVOID pool)
{
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    PMDL mdl = IoAllocateMdl(pool, PAGE_SIZE, FALSE, FALSE, NULL);
    if (mdl == NULL)
        return status;
    SAY("mdl %p size %d flags %x count %u offset %u\n", mdl, mdl->Size, mdl->MdlFlags & 0xffff,
        MmGetMdlByteCount(mdl), MmGetMdlByteOffset(mdl));
    /* Pool that is resident cannot fail to be locked. */
    MmProbeAndLockPages(mdl, KernelMode, IoModifyAccess);
    SAY("locked, flags %x pfn %Ix\n", mdl->MdlFlags & 0xffff, MmGetMdlPfnArray(mdl)[0]);
    PVOID map = MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
    if (map != NULL) {
        SAY("mapped at %p\n", map);
        status = Compare(pool, map);
        MmUnmapLockedPages(map, mdl);
    }
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    return status;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    SAY("started as %wZ\n", path);
    driver->DriverUnload = Unload;
    PVOID pool = ExAllocatePoolWithTag(NonPagedPool, PAGE_SIZE, Tag);
    if (pool == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    SAY("pool at %p\n", pool);
    NTSTATUS status = Walk(pool);
    ExFreePoolWithTag(pool, Tag);
    SAY("done, status %08x\n", status);
    return status;
}
