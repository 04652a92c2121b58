/*
 * Reads pool before anything was written to it. Kernels that hand out zeroed
 * memory here hide the mistake; Windows does not zero it.
 */
#include <ntddk.h>

#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "uninitialised: " __VA_ARGS__)

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    ULONG *pool = ExAllocatePoolWithTag(NonPagedPool, 64, 0x74696e75);
    if (pool == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    ULONG zeroes = 0;
    for (ULONG index = 0; index < 16; index++)
        zeroes += pool[index] == 0;
    SAY("first %08x last %08x, %u of 16 are zero\n", pool[0], pool[15], zeroes);
    ExFreePoolWithTag(pool, 0x74696e75);
    return STATUS_SUCCESS;
}
