/*
 * An import that came with Windows 10, version 2004: it is there from then on, for the
 * loader and for MmGetSystemRoutineAddress, which is asked before it is called.
 */
#include <ntddk.h>

#define TAG 0x6574614c /* "Late" */

NTSYSAPI PVOID NTAPI ExAllocatePool2(ULONG64 flags, SIZE_T bytes, ULONG tag);

static BOOLEAN IsThere(PCWSTR name)
{
    UNICODE_STRING text;

    RtlInitUnicodeString(&text, name);
    return MmGetSystemRoutineAddress(&text) != NULL;
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    PVOID block;

    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "ExAllocatePool2 %d, MmCopyMemory %d, ExAllocatePoolWithTag %d\n",
               IsThere(L"ExAllocatePool2"), IsThere(L"MmCopyMemory"), IsThere(L"ExAllocatePoolWithTag"));
    block = ExAllocatePool2(0x40, 16, TAG);
    if (block == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    ExFreePoolWithTag(block, TAG);
    return STATUS_SUCCESS;
}
