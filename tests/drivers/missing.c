/*
 * Imports a function that the embedded kernel does not have. That must bind;
 * only a start with the DWORD `Call` in its Parameters calls it.
 */
#include "parameter.h"

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    driver->DriverUnload = Unload;
    if (Parameter(path, L"Call", 0) != 0) {
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "missing: calling\n");
        KeSetHardwareCounterConfiguration(NULL, 0);
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "missing: called\n");
    }
    return STATUS_SUCCESS;
}
