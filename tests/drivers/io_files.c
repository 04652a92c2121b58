/*
 * A driver that is its own client: it opens its device by name, as another
 * driver would, and sends it requests that end at once, later, or in an error.
 */
#include "check.h"
#include "thread.h"

#define CODE(function, method, access) CTL_CODE(0x8000, 0x800 + (function), method, access)
#define REVERSE CODE(0, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define LATER CODE(1, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FAIL CODE(2, METHOD_BUFFERED, FILE_ANY_ACCESS)
#define FAIL_LATER CODE(3, METHOD_BUFFERED, FILE_ANY_ACCESS)

NTSYSAPI NTSTATUS NTAPI ZwDeviceIoControlFile(HANDLE, HANDLE, PIO_APC_ROUTINE, PVOID, PIO_STATUS_BLOCK, ULONG, PVOID,
                                              ULONG, PVOID, ULONG);
NTSYSAPI NTSTATUS NTAPI ZwFsControlFile(HANDLE, HANDLE, PIO_APC_ROUTINE, PVOID, PIO_STATUS_BLOCK, ULONG, PVOID, ULONG,
                                        PVOID, ULONG);
NTSYSAPI NTSTATUS NTAPI ZwCreateEvent(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES, EVENT_TYPE, BOOLEAN);

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\NtboxFiles");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\??\\NtboxFiles");
static UNICODE_STRING Below = RTL_CONSTANT_STRING(L"\\Device\\NtboxFiles\\a\\b");
static UNICODE_STRING Refused = RTL_CONSTANT_STRING(L"\\Device\\NtboxFiles\\refused");
static UNICODE_STRING Unknown = RTL_CONSTANT_STRING(L"\\Device\\NtboxFilez");
static UNICODE_STRING Directory = RTL_CONSTANT_STRING(L"\\Device");
static PDEVICE_OBJECT Device;
static KTIMER Timer;
static KDPC Dpc;

static struct {
    ULONG creates, cleanups, closes, options, attributes, share, access;
    KPROCESSOR_MODE mode;
    WCHAR name[16];
    LONGLONG offset, allocation;
    ULONG key, length, flags, minor;
    PVOID iosb, event;
} Seen;

static NTSTATUS Complete(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static VOID NTAPI Due(PKDPC dpc, PVOID context, PVOID low, PVOID high)
{
    PIRP irp = context;
    BOOLEAN fail = IoGetCurrentIrpStackLocation(irp)->Parameters.DeviceIoControl.IoControlCode == (ULONG)FAIL_LATER;
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(low);
    UNREFERENCED_PARAMETER(high);
    if (!fail)
        *(ULONG *)irp->AssociatedIrp.SystemBuffer = 0x600dcafe;
    Complete(irp, fail ? STATUS_DEVICE_BUSY : STATUS_SUCCESS, fail ? 0 : 4);
}

static NTSTATUS Later(PIRP irp)
{
    LARGE_INTEGER due;
    due.QuadPart = -50 * 10000;
    IoMarkIrpPending(irp);
    KeInitializeDpc(&Dpc, Due, irp);
    KeSetTimer(&Timer, due, &Dpc);
    return STATUS_PENDING;
}

static NTSTATUS Control(PIRP irp, PIO_STACK_LOCATION stack)
{
    UCHAR *data = irp->AssociatedIrp.SystemBuffer, byte;
    ULONG n, input = stack->Parameters.DeviceIoControl.InputBufferLength;
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case REVERSE:
        for (n = 0; n < input / 2; n++) {
            byte = data[n];
            data[n] = data[input - 1 - n];
            data[input - 1 - n] = byte;
        }
        return Complete(irp, STATUS_SUCCESS, input);
    case LATER:
    case FAIL_LATER:
        return Later(irp);
    default:
        return Complete(irp, STATUS_DEVICE_NOT_READY, 7);
    }
}

static NTSTATUS Create(PIRP irp, PIO_STACK_LOCATION stack)
{
    UNICODE_STRING name = stack->FileObject->FileName;
    Seen.creates++;
    Seen.options = stack->Parameters.Create.Options;
    Seen.attributes = stack->Parameters.Create.FileAttributes;
    Seen.share = stack->Parameters.Create.ShareAccess;
    Seen.access = stack->Parameters.Create.SecurityContext->DesiredAccess;
    Seen.mode = irp->RequestorMode;
    Seen.allocation = irp->Overlay.AllocationSize.QuadPart;
    RtlZeroMemory(Seen.name, sizeof Seen.name);
    RtlCopyMemory(Seen.name, name.Buffer, min(name.Length, sizeof Seen.name - sizeof(WCHAR)));
    if (name.Length > 0 && Seen.name[1] == 'r')
        return Complete(irp, STATUS_OBJECT_NAME_INVALID, 0);
    return Complete(irp, STATUS_SUCCESS, FILE_OPENED);
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    CHECK(device == Device && stack->DeviceObject == Device);
    Seen.iosb = irp->UserIosb;
    Seen.event = irp->UserEvent;
    Seen.flags = stack->FileObject == NULL ? 0 : stack->FileObject->Flags;
    switch (stack->MajorFunction) {
    case IRP_MJ_CREATE:
        return Create(irp, stack);
    case IRP_MJ_CLEANUP:
        Seen.cleanups++;
        return Complete(irp, STATUS_SUCCESS, 0);
    case IRP_MJ_CLOSE:
        Seen.closes++;
        return Complete(irp, STATUS_SUCCESS, 0);
    case IRP_MJ_READ:
        Seen.offset = stack->Parameters.Read.ByteOffset.QuadPart;
        Seen.key = stack->Parameters.Read.Key;
        RtlFillMemory(irp->AssociatedIrp.SystemBuffer, stack->Parameters.Read.Length, 0x5a);
        return Complete(irp, STATUS_SUCCESS, stack->Parameters.Read.Length);
    case IRP_MJ_WRITE:
        Seen.offset = stack->Parameters.Write.ByteOffset.QuadPart;
        Seen.length = stack->Parameters.Write.Length;
        return Complete(irp, *(UCHAR *)irp->AssociatedIrp.SystemBuffer == 0x77 ? STATUS_SUCCESS : STATUS_DATA_ERROR,
                        stack->Parameters.Write.Length);
    case IRP_MJ_FILE_SYSTEM_CONTROL:
        Seen.minor = stack->MinorFunction;
        return Complete(irp, STATUS_SUCCESS, 3);
    case IRP_MJ_DEVICE_CONTROL:
        return Control(irp, stack);
    default:
        return Complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS OpenFile(PUNICODE_STRING name, ULONG access, ULONG options, PHANDLE handle)
{
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK block = {{0}, 99};
    NTSTATUS status;
    InitializeObjectAttributes(&attributes, name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    status = ZwOpenFile(handle, access, &attributes, &block, FILE_SHARE_READ, options);
    if (NT_SUCCESS(status))
        CHECK(block.Status == status && block.Information == FILE_OPENED);
    return status;
}

static VOID Opening(VOID)
{
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK block;
    LARGE_INTEGER size;
    HANDLE handle;
    CHECK(OpenFile(&Unknown, GENERIC_READ, 0, &handle) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(OpenFile(&Directory, GENERIC_READ, 0, &handle) == STATUS_OBJECT_TYPE_MISMATCH);
    CHECK(Seen.creates == 0);
    CHECK(OpenFile(&Refused, GENERIC_READ, 0, &handle) == STATUS_OBJECT_NAME_INVALID);
    CHECK(Seen.creates == 1 && Seen.cleanups == 0 && Seen.closes == 0);
    CHECK(OpenFile(&Below, GENERIC_READ, FILE_NON_DIRECTORY_FILE, &handle) == STATUS_SUCCESS);
    CHECK(Seen.options == (FILE_OPEN << 24 | FILE_NON_DIRECTORY_FILE) && Seen.share == FILE_SHARE_READ);
    CHECK(Seen.mode == KernelMode && wcscmp(Seen.name, L"\\a\\b") == 0);
    CHECK(Seen.access == FILE_GENERIC_READ);
    CHECK(ZwClose(handle) == STATUS_SUCCESS);
    CHECK(Seen.cleanups == 1 && Seen.closes == 1);
    CHECK(!(Seen.flags & FO_SYNCHRONOUS_IO) && (Seen.flags & FO_HANDLE_CREATED) && (Seen.flags & FO_CLEANUP_COMPLETE));

    size.QuadPart = 0x123456789aLL;
    InitializeObjectAttributes(&attributes, &Link, OBJ_CASE_INSENSITIVE, NULL, NULL);
    CHECK(ZwCreateFile(&handle, FILE_WRITE_DATA | SYNCHRONIZE, &attributes, &block, &size, FILE_ATTRIBUTE_HIDDEN,
                       FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_OPEN_IF, FILE_SYNCHRONOUS_IO_NONALERT, NULL,
                       0) == STATUS_SUCCESS);
    CHECK(Seen.options == (FILE_OPEN_IF << 24 | FILE_SYNCHRONOUS_IO_NONALERT) && Seen.attributes == FILE_ATTRIBUTE_HIDDEN);
    CHECK(Seen.share == (FILE_SHARE_WRITE | FILE_SHARE_DELETE) && Seen.allocation == size.QuadPart && Seen.name[0] == 0);
    CHECK(ZwClose(handle) == STATUS_SUCCESS);
    CHECK((Seen.flags & FO_SYNCHRONOUS_IO) != 0);
}

static VOID Synchronous(VOID)
{
    UCHAR data[8] = {1, 2, 3, 4, 5}, byte = 0x77;
    IO_STATUS_BLOCK block = {{0}, 0};
    LARGE_INTEGER offset;
    ULONG answer = 0, key = 42;
    HANDLE handle;
    CHECK(OpenFile(&Link, GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE, FILE_SYNCHRONOUS_IO_NONALERT, &handle) ==
          STATUS_SUCCESS);
    CHECK(ZwDeviceIoControlFile(handle, NULL, NULL, NULL, &block, REVERSE, data, 5, data, 8) == STATUS_SUCCESS);
    CHECK(block.Status == STATUS_SUCCESS && block.Information == 5 && data[0] == 5 && data[4] == 1);
    CHECK(Seen.iosb == &block);
    CHECK(ZwDeviceIoControlFile(handle, NULL, NULL, NULL, &block, LATER, NULL, 0, &answer, 4) == STATUS_SUCCESS);
    CHECK(block.Information == 4 && answer == 0x600dcafe);
    block.Information = 77;
    block.Status = STATUS_SUCCESS;
    CHECK(ZwDeviceIoControlFile(handle, NULL, NULL, NULL, &block, FAIL, NULL, 0, NULL, 0) == STATUS_DEVICE_NOT_READY);
    CHECK(block.Information == 77 && block.Status == STATUS_SUCCESS);
    CHECK(ZwDeviceIoControlFile(handle, NULL, NULL, NULL, &block, FAIL_LATER, NULL, 0, NULL, 0) == STATUS_DEVICE_BUSY);
    CHECK(block.Status == STATUS_DEVICE_BUSY && block.Information == 0);
    CHECK(ZwFsControlFile(handle, NULL, NULL, NULL, &block, REVERSE, NULL, 0, NULL, 0) == STATUS_SUCCESS);
    CHECK(block.Information == 3 && Seen.minor == IRP_MN_USER_FS_REQUEST);
    offset.QuadPart = 0x123456789LL;
    CHECK(ZwReadFile(handle, NULL, NULL, NULL, &block, data, 8, &offset, &key) == STATUS_SUCCESS);
    CHECK(block.Information == 8 && data[7] == 0x5a && Seen.offset == offset.QuadPart && Seen.key == 42);
    CHECK(ZwReadFile(handle, NULL, NULL, NULL, &block, data, 8, NULL, NULL) == STATUS_SUCCESS);
    CHECK(Seen.offset == 0 && Seen.key == 0);
    CHECK(ZwWriteFile(handle, NULL, NULL, NULL, &block, &byte, 1, &offset, NULL) == STATUS_SUCCESS);
    CHECK(block.Information == 1 && Seen.length == 1);
    CHECK(ZwClose(handle) == STATUS_SUCCESS);
    CHECK(ZwDeviceIoControlFile((HANDLE)(ULONG_PTR)0x7ff0, NULL, NULL, NULL, &block, REVERSE, NULL, 0, NULL, 0) ==
          STATUS_INVALID_HANDLE);
}

static VOID Asynchronous(VOID)
{
    IO_STATUS_BLOCK block = {{0}, 0};
    OBJECT_ATTRIBUTES attributes;
    LARGE_INTEGER none = {{0}};
    PFILE_OBJECT file;
    ULONG answer = 0;
    HANDLE handle, event;
    PKEVENT object;
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwCreateEvent(&event, EVENT_ALL_ACCESS, &attributes, NotificationEvent, TRUE) == STATUS_SUCCESS);
    CHECK(ObReferenceObjectByHandle(event, EVENT_ALL_ACCESS, *ExEventObjectType, KernelMode, (PVOID *)&object, NULL) ==
          STATUS_SUCCESS);
    CHECK(OpenFile(&Name, GENERIC_READ, 0, &handle) == STATUS_SUCCESS);
    CHECK(ZwReadFile(handle, NULL, NULL, NULL, &block, &answer, 4, NULL, NULL) == STATUS_INVALID_PARAMETER);
    CHECK(ZwDeviceIoControlFile(handle, event, NULL, NULL, &block, LATER, NULL, 0, &answer, 4) == STATUS_PENDING);
    CHECK(Seen.event == object && KeReadStateEvent(object) == 0 && answer == 0);
    CHECK(KeWaitForSingleObject(object, Executive, KernelMode, FALSE, NULL) == STATUS_SUCCESS);
    CHECK(answer == 0x600dcafe && block.Status == STATUS_SUCCESS && block.Information == 4);
    CHECK(ZwDeviceIoControlFile(handle, event, NULL, NULL, &block, FAIL, NULL, 0, NULL, 0) == STATUS_DEVICE_NOT_READY);
    CHECK(KeReadStateEvent(object) == 0 && block.Status == STATUS_SUCCESS);
    CHECK(ZwDeviceIoControlFile(handle, event, NULL, NULL, &block, FAIL_LATER, NULL, 0, NULL, 0) == STATUS_PENDING);
    CHECK(KeWaitForSingleObject(object, Executive, KernelMode, FALSE, NULL) == STATUS_SUCCESS);
    CHECK(block.Status == STATUS_DEVICE_BUSY);
    CHECK(ZwDeviceIoControlFile(handle, handle, NULL, NULL, &block, FAIL, NULL, 0, NULL, 0) ==
          STATUS_OBJECT_TYPE_MISMATCH);
    /* without an event that of the file tells */
    CHECK(ObReferenceObjectByHandle(handle, 0, *IoFileObjectType, KernelMode, (PVOID *)&file, NULL) == STATUS_SUCCESS);
    CHECK(ZwDeviceIoControlFile(handle, NULL, NULL, NULL, &block, LATER, NULL, 0, &answer, 4) == STATUS_PENDING);
    CHECK(KeReadStateEvent(&file->Event) == 0);
    CHECK(ZwClose(handle) == STATUS_SUCCESS); /* the request keeps the file */
    CHECK(KeWaitForSingleObject(&file->Event, Executive, KernelMode, FALSE, NULL) == STATUS_SUCCESS);
    CHECK(KeWaitForSingleObject(&file->Event, Executive, KernelMode, FALSE, &none) == STATUS_SUCCESS);
    ObDereferenceObject(file);
    ObDereferenceObject(object);
    CHECK(ZwClose(event) == STATUS_SUCCESS);
    CHECK(Seen.creates == Seen.closes + 1 && Seen.cleanups == Seen.closes);
}

static VOID Built(VOID)
{
    IO_STATUS_BLOCK block = {{0}, 0};
    UCHAR data[4] = {1, 2, 3, 4};
    PDEVICE_OBJECT device;
    PFILE_OBJECT file;
    KEVENT event;
    NTSTATUS status;
    PIRP irp;
    CHECK(IoGetDeviceObjectPointer(&Name, FILE_READ_DATA, &file, &device) == STATUS_SUCCESS);
    CHECK(device == Device && IoGetRelatedDeviceObject(file) == Device && file->DeviceObject == Device);
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    irp = IoBuildDeviceIoControlRequest(REVERSE, device, data, 4, data, 4, FALSE, &event, &block);
    CHECK(irp != NULL && irp->UserIosb == &block && irp->UserEvent == &event && irp->RequestorMode == KernelMode);
    CHECK(IoGetNextIrpStackLocation(irp)->MajorFunction == IRP_MJ_DEVICE_CONTROL);
    CHECK(irp->AssociatedIrp.SystemBuffer != NULL && irp->AssociatedIrp.SystemBuffer != (PVOID)data);
    CHECK(IoCallDriver(device, irp) == STATUS_SUCCESS);
    CHECK(KeReadStateEvent(&event) != 0 && block.Information == 4 && data[0] == 4);
    KeClearEvent(&event);
    irp = IoBuildDeviceIoControlRequest(LATER, device, NULL, 0, data, 4, FALSE, &event, &block);
    status = IoCallDriver(device, irp);
    CHECK(status == STATUS_PENDING && KeReadStateEvent(&event) == 0);
    CHECK(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL) == STATUS_SUCCESS);
    CHECK(*(ULONG *)data == 0x600dcafe && block.Status == STATUS_SUCCESS);
    ObDereferenceObject(file);
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    ULONG n;
    NTSTATUS status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    HANDLE handle;
    UNREFERENCED_PARAMETER(path);
    if (!NT_SUCCESS(status))
        return status;
    IoCreateSymbolicLink(&Link, &Name);
    driver->DriverUnload = Unload;
    for (n = 0; n <= IRP_MJ_MAXIMUM_FUNCTION; n++)
        driver->MajorFunction[n] = Dispatch;
    Device->Flags |= DO_BUFFERED_IO;
    KeInitializeTimer(&Timer);
    CaseName = "before";
    CHECK(OpenFile(&Name, GENERIC_READ, 0, &handle) == STATUS_NO_SUCH_DEVICE);
    Device->Flags &= ~DO_DEVICE_INITIALIZING;
    CASE(Opening);
    CASE(Synchronous);
    CASE(Asynchronous);
    CASE(Built);
    if (!NT_SUCCESS(CHECK_STATUS))
        Unload(driver);
    return CHECK_STATUS;
}
