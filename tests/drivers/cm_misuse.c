/*
 * Filters of the registry that are wrong: `How` says in which way.
 */
#include <ntifs.h>
#include "parameter.h"

static LARGE_INTEGER Cookie;

static NTSTATUS NTAPI Fault(PVOID context, PVOID class, PVOID information)
{
    (void)context;
    (void)class;
    (void)information;
    *(volatile ULONG *)16 = 1;
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI Nothing(PVOID context, PVOID class, PVOID information)
{
    (void)context;
    (void)class;
    (void)information;
    return STATUS_SUCCESS;
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    (void)driver;
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNICODE_STRING altitude = RTL_CONSTANT_STRING(L"380010");
    ULONG how = Parameter(path, L"How", 0);
    NTSTATUS status;

    driver->DriverUnload = Unload;
    status = CmRegisterCallbackEx(how == 1 ? Fault : Nothing, &altitude, driver, NULL, &Cookie, NULL);
    if (how == 1)
        Parameter(path, L"How", 0);
    return status;
}
