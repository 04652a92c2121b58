/*
 * Imports a function that the embedded kernel does not have. That must bind;
 * only a start with the DWORD `Call` in its Parameters calls it. With `Add` it has a
 * routine for devices of Plug and Play, too. With `Table` it calls a routine of the
 * HAL's table, with `Find` it looks for names of exports.
 */
#include "parameter.h"

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

static NTSTATUS NTAPI Add(PDRIVER_OBJECT driver, PDEVICE_OBJECT device)
{
    UNREFERENCED_PARAMETER(driver);
    UNREFERENCED_PARAMETER(device);
    return STATUS_NOT_SUPPORTED;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    driver->DriverUnload = Unload;
    if (Parameter(path, L"Add", 0) != 0)
        driver->DriverExtension->AddDevice = Add;
    if (Parameter(path, L"Table", 0) != 0) {
        ULONG length = 0;

        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "unresolved_import: table %lu\n", HALDISPATCH->Version);
        HalQuerySystemInformation(HalInstalledBusInformation, 0, NULL, &length);
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "unresolved_import: called\n");
    }
    if (Parameter(path, L"Find", 0) != 0) {
        static const PCWSTR names[] = { L"KeQueryNodeActiveAffinity", L"HalDispatchTable", L"CcCopyRead" };
        ULONG n;

        for (n = 0; n < RTL_NUMBER_OF(names); n++) {
            UNICODE_STRING name;

            RtlInitUnicodeString(&name, names[n]);
            DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "unresolved_import: %ls %d\n", names[n],
                       MmGetSystemRoutineAddress(&name) != NULL);
        }
    }
    if (Parameter(path, L"Call", 0) != 0) {
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "unresolved_import: calling\n");
        KeSetHardwareCounterConfiguration(NULL, 0);
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "unresolved_import: called\n");
    }
    return STATUS_SUCCESS;
}
