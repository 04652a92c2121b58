/*
 * What can be asked of the I/O manager, the kernel and the security monitor without
 * a device of any kind.
 */
#include <ntifs.h>
#include "check.h"

#define TAG 0x646b7341 /* "Askd" */

NTSYSAPI IO_PRIORITY_HINT NTAPI IoGetIoPriorityHint(PIRP);
NTSYSAPI NTSTATUS NTAPI IoSetIoPriorityHint(PIRP, IO_PRIORITY_HINT);
NTSYSAPI NTSTATUS NTAPI SeLocateProcessImageName(PEPROCESS, PUNICODE_STRING *);
NTSYSAPI NTSTATUS NTAPI SeMarkLogonSessionForTerminationNotification(PLUID);
NTSYSAPI NTSTATUS NTAPI IoCheckDesiredAccess(PACCESS_MASK, ACCESS_MASK);
NTSYSAPI NTSTATUS NTAPI NtOpenProcess(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES, PCLIENT_ID);

static VOID Hints(VOID)
{
    PIRP irp = IoAllocateIrp(1, FALSE);
    ULONG hint;

    CHECK(irp != NULL);
    if (!irp)
        return;
    CHECK(IoGetIoPriorityHint(irp) == IoPriorityNormal);
    for (hint = IoPriorityVeryLow; hint <= IoPriorityCritical; hint++)
        CHECK(IoSetIoPriorityHint(irp, hint) == 0 && IoGetIoPriorityHint(irp) == (IO_PRIORITY_HINT)hint);
    CHECK(!NT_SUCCESS(IoSetIoPriorityHint(irp, MaxIoPriorityTypes)) && IoGetIoPriorityHint(irp) == IoPriorityCritical);
    CHECK(IoGetPagingIoPriority(irp) == IoPagingPriorityInvalid);
    IoReuseIrp(irp, STATUS_SUCCESS);
    CHECK(IoGetIoPriorityHint(irp) == IoPriorityNormal);
    IoFreeIrp(irp);
}

static NTSTATUS NTAPI Ended(UNUSED PDEVICE_OBJECT device, UNUSED PIRP irp, UNUSED PVOID context)
{
    Note('e');
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static VOID HardErrors(VOID)
{
    PIRP irp = IoAllocateIrp(2, FALSE);

    CHECK(IoSetThreadHardErrorMode(FALSE) && !IoSetThreadHardErrorMode(FALSE));
    CHECK(!IoRaiseInformationalHardError(STATUS_DISK_FULL, NULL, NULL));
    CHECK(!IoSetThreadHardErrorMode(TRUE) && IoSetThreadHardErrorMode(TRUE));
    CHECK(IoRaiseInformationalHardError(STATUS_DISK_FULL, NULL, NULL));
    CHECK(irp != NULL);
    if (!irp)
        return;
    /* Nobody answers, so the request ends as it failed. */
    IoSetCompletionRoutine(irp, Ended, NULL, TRUE, TRUE, TRUE);
    IoSetNextIrpStackLocation(irp);
    irp->IoStatus.Status = STATUS_DEVICE_DATA_ERROR;
    irp->IoStatus.Information = 9;
    TraceReset();
    IoRaiseHardError(irp, NULL, NULL);
    CHECK_TRACE("e");
    CHECK(irp->IoStatus.Status == STATUS_DEVICE_DATA_ERROR && irp->IoStatus.Information == 0);
    IoFreeIrp(irp);
}

static VOID Rights(VOID)
{
    PGENERIC_MAPPING mapping = IoGetFileObjectGenericMapping();
    ACCESS_MASK access = GENERIC_READ;
    HANDLE handle = NULL;
    OBJECT_ATTRIBUTES attributes;
    CLIENT_ID id = { PsGetCurrentProcessId(), NULL };
    LUID system = { 0x3e7, 0 }, nobody = { 1, 0 };

    CHECK(mapping->GenericRead == FILE_GENERIC_READ && mapping->GenericWrite == FILE_GENERIC_WRITE);
    CHECK(mapping->GenericExecute == FILE_GENERIC_EXECUTE && mapping->GenericAll == FILE_ALL_ACCESS);
    CHECK(IoCheckDesiredAccess(&access, FILE_GENERIC_READ) == 0 && access == FILE_GENERIC_READ);
    access = FILE_WRITE_DATA;
    CHECK(IoCheckDesiredAccess(&access, FILE_GENERIC_READ) == STATUS_ACCESS_DENIED);
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(NtOpenProcess(&handle, PROCESS_ALL_ACCESS, &attributes, &id) == 0 && handle && ZwClose(handle) == 0);
    CHECK(NtOpenProcess(&handle, PROCESS_ALL_ACCESS, &attributes, NULL) == STATUS_INVALID_PARAMETER_MIX);
    CHECK(SeMarkLogonSessionForTerminationNotification(&system) == 0);
    CHECK(SeMarkLogonSessionForTerminationNotification(&nobody) == STATUS_NOT_FOUND);
    CHECK(IoIsSystemThread(PsGetCurrentThread()) && PsGetProcessExitTime().QuadPart == 0);
}

static VOID Attributes(VOID)
{
    union { ULONG align; UCHAR bytes[32]; } list;
    FILE_FULL_EA_INFORMATION *first = (PVOID)list.bytes, *second = (PVOID)(list.bytes + 16);
    ULONG offset = 99;

    RtlZeroMemory(&list, sizeof list);
    first->NextEntryOffset = 16;
    first->EaNameLength = 3;
    first->EaValueLength = 2;
    RtlCopyMemory(first->EaName, "ABC", 4);
    second->EaNameLength = 1;
    second->EaName[0] = 'D';
    CHECK(IoCheckEaBufferValidity(first, 16 + 10, &offset) == 0);
    CHECK(IoCheckEaBufferValidity(first, 16 + 9, &offset) == STATUS_EA_LIST_INCONSISTENT && offset == 16);
    first->EaName[3] = 'X';
    CHECK(IoCheckEaBufferValidity(first, 16 + 10, &offset) == STATUS_EA_LIST_INCONSISTENT && offset == 0);
    first->EaName[3] = 0;
    first->NextEntryOffset = 20;
    CHECK(IoCheckEaBufferValidity(first, 32, &offset) == STATUS_EA_LIST_INCONSISTENT && offset == 0);
}

static PDRIVER_OBJECT Self;

static VOID Devices(VOID)
{
    PDEVICE_OBJECT one = NULL, two = NULL, list[2] = { NULL, NULL };
    PCONFIGURATION_INFORMATION counts = IoGetConfigurationInformation();
    ULONG actual = 9;

    CHECK(counts == IoGetConfigurationInformation() && counts->Version == sizeof *counts && counts->FloppyCount == 0);
    CHECK(IoEnumerateDeviceObjectList(Self, NULL, 0, &actual) == 0 && actual == 0);
    CHECK(IoCreateDevice(Self, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &one) == 0);
    CHECK(IoCreateDevice(Self, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &two) == 0);
    CHECK(IoEnumerateDeviceObjectList(Self, NULL, 0, &actual) == STATUS_BUFFER_TOO_SMALL && actual == 2);
    CHECK(IoEnumerateDeviceObjectList(Self, list, sizeof list[0], &actual) == STATUS_BUFFER_TOO_SMALL && actual == 2 && list[0] && !list[1]);
    ObDereferenceObject(list[0]);
    CHECK(IoEnumerateDeviceObjectList(Self, list, sizeof list, &actual) == 0 && actual == 2);
    CHECK((list[0] == one && list[1] == two) || (list[0] == two && list[1] == one));
    ObDereferenceObject(list[0]);
    ObDereferenceObject(list[1]);
    IoDeleteDevice(one);
    IoDeleteDevice(two);
}

static VOID Processors(VOID)
{
    ULONG length = 0, count = KeQueryActiveProcessorCount(NULL), *found;
    PROCESSOR_NUMBER nobody = { 0, 63, 0 };

    CHECK(KeQueryLogicalProcessorRelationship(NULL, RelationProcessorCore, NULL, &length) == STATUS_INFO_LENGTH_MISMATCH && length == count * 0x30);
    CHECK(KeQueryLogicalProcessorRelationship(&nobody, RelationProcessorCore, NULL, &length) == STATUS_INVALID_PARAMETER);
    length = 0;
    CHECK(KeQueryLogicalProcessorRelationship(NULL, RelationAll, NULL, &length) == STATUS_INFO_LENGTH_MISMATCH && length >= count * 0x30);
    found = ExAllocatePoolWithTag(NonPagedPool, length, TAG);
    CHECK(found && KeQueryLogicalProcessorRelationship(NULL, RelationAll, (PVOID)found, &length) == 0);
    if (found) {
        CHECK(found[0] == 0 && found[1] == 0x30);
        ExFreePoolWithTag(found, TAG);
    }
}

static VOID Names(VOID)
{
    UNICODE_STRING wide = RTL_CONSTANT_STRING(L"ab"), unknown = RTL_CONSTANT_STRING(L"\x3d5f"), *image = NULL, counted;
    char room[3] = { 7, 7, 7 };
    OEM_STRING narrow = { 0, 2, room };

    CHECK(RtlUpcaseUnicodeStringToCountedOemString(&narrow, &wide, FALSE) == 0 && narrow.Length == 2 && room[0] == 'A' && room[2] == 7);
    CHECK(RtlUnicodeStringToCountedOemString(&narrow, &unknown, FALSE) == STATUS_UNMAPPABLE_CHARACTER);
    CHECK(RtlOemStringToCountedUnicodeString(&counted, &narrow, TRUE) == 0 && counted.Length == 4 && counted.MaximumLength == 4);
    RtlFreeUnicodeString(&counted);
    CHECK(SeLocateProcessImageName(PsGetCurrentProcess(), &image) == 0 && image);
    if (image) {
        CHECK(image->Length == 0 || image->Buffer == (PWCH)(image + 1));
        ExFreePool(image);
    }
}

static VOID Power(VOID)
{
    PDEVICE_OBJECT device = NULL;
    PVOID request = &device;

    CHECK(PoCreatePowerRequest(&request, NULL, NULL) == STATUS_INVALID_PARAMETER && !request);
    CHECK(IoCreateDevice(Self, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device) == 0);
    CHECK(PoCreatePowerRequest(&request, device, NULL) == 0 && request);
    CHECK(PoSetPowerRequest(request, PowerRequestSystemRequired) == 0);
    CHECK(PoSetPowerRequest(request, PowerRequestDisplayRequired) == STATUS_NOT_SUPPORTED);
    CHECK(PoClearPowerRequest(request, PowerRequestSystemRequired) == 0);
    PoDeletePowerRequest(request);
    IoDeleteDevice(device);
}

static VOID NTAPI Unload(UNUSED PDRIVER_OBJECT driver)
{
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path);

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, UNUSED PUNICODE_STRING path)
{
    Self = driver;
    driver->DriverUnload = Unload;
    CASE(Hints);
    CASE(HardErrors);
    CASE(Rights);
    CASE(Attributes);
    CASE(Devices);
    CASE(Processors);
    CASE(Names);
    CASE(Power);
    return CHECK_STATUS;
}
