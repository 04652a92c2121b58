/*
 * Gives nothing back: pool, an MDL, locked pages and a mapping are all still
 * there when it unloads.
 */
#include <ntddk.h>

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    PVOID pool = ExAllocatePoolWithTag(NonPagedPool, 2 * PAGE_SIZE, 0x6b61654c); /* "Leak" */
    if (pool == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    PMDL mdl = IoAllocateMdl(pool, 2 * PAGE_SIZE, FALSE, FALSE, NULL);
    if (mdl == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    MmProbeAndLockPages(mdl, KernelMode, IoModifyAccess);
    PVOID map = MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, NULL, FALSE, NormalPagePriority);
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "leak: pool %p mdl %p map %p\n", pool, mdl, map);
    return STATUS_SUCCESS;
}
