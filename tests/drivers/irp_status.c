/*
 * What the sender of a request sees: of IRPs that a driver built and that nobody
 * takes back, of a dispatch routine that returns another status than it completes
 * with, of one that is NULL, and of memory that is freed when a file is closed.
 */
#include <ntddk.h>
#include "check.h"

#define TAG 0x646e6553 /* "Send" */
#define CODE(function) CTL_CODE(0x8000, 0x800 + (function), METHOD_BUFFERED, FILE_ANY_ACCESS)

/* Codes: what the request is completed with, what is returned, and whether it waits. */
#define SUCCEEDS CODE(0)
#define FAILS CODE(1)
#define FAILS_LATER CODE(2)
#define SUCCEEDS_LATER CODE(3)
#define FAILS_RETURNS_SUCCESS CODE(4)
#define SUCCEEDS_RETURNS_FAILURE CODE(5)
#define WARNS CODE(6)

#define PATTERN 0x77777777

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\NtboxSenders");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\NtboxSenders");
static PDEVICE_OBJECT Device;

static NTSTATUS Complete(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS NTAPI Control(UNUSED PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION place = IoGetCurrentIrpStackLocation(irp);
    ULONG length = place->Parameters.DeviceIoControl.OutputBufferLength;

    if (length != 0)
        RtlFillMemory(irp->AssociatedIrp.SystemBuffer, length, 'o');
    switch (place->Parameters.DeviceIoControl.IoControlCode) {
    case SUCCEEDS:
        return Complete(irp, STATUS_SUCCESS, length);
    case FAILS:
        return Complete(irp, STATUS_DEVICE_NOT_READY, length);
    case FAILS_LATER:
        IoMarkIrpPending(irp);
        Complete(irp, STATUS_DEVICE_NOT_READY, length);
        return STATUS_PENDING;
    case SUCCEEDS_LATER:
        IoMarkIrpPending(irp);
        Complete(irp, STATUS_SUCCESS, length);
        return STATUS_PENDING;
    case FAILS_RETURNS_SUCCESS:
        Complete(irp, STATUS_DEVICE_NOT_READY, length);
        return STATUS_SUCCESS;
    case SUCCEEDS_RETURNS_FAILURE:
        Complete(irp, STATUS_SUCCESS, length);
        return STATUS_DEVICE_NOT_READY;
    case WARNS:
        return Complete(irp, STATUS_BUFFER_OVERFLOW, length);
    default:
        return Complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

/* Everything else that is sent in a case: five bytes of a read, and of anything. */
static NTSTATUS NTAPI Transfer(UNUSED PDEVICE_OBJECT device, PIRP irp)
{
    if (irp->AssociatedIrp.SystemBuffer)
        RtlFillMemory(irp->AssociatedIrp.SystemBuffer, 5, 'r');
    return Complete(irp, STATUS_SUCCESS, 5);
}

static NTSTATUS NTAPI Create(UNUSED PDEVICE_OBJECT device, PIRP irp)
{
    PVOID block = ExAllocatePoolWithTag(NonPagedPool, 16, TAG);

    IoGetCurrentIrpStackLocation(irp)->FileObject->FsContext = block;
    return Complete(irp, block ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES, 0);
}

static NTSTATUS NTAPI Cleanup(UNUSED PDEVICE_OBJECT device, PIRP irp)
{
    return Complete(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI Close(UNUSED PDEVICE_OBJECT device, PIRP irp)
{
    ExFreePoolWithTag(IoGetCurrentIrpStackLocation(irp)->FileObject->FsContext, TAG);
    return Complete(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI TakesNothing(UNUSED PDEVICE_OBJECT device, UNUSED PIRP irp, UNUSED PVOID context)
{
    Note('c');
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI Frees(UNUSED PDEVICE_OBJECT device, PIRP irp, UNUSED PVOID context)
{
    Note('f');
    IoFreeIrp(irp);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

/* Nobody takes it back: the status block is written, the IRP is freed. */
static VOID AsynchronousAlone(VOID)
{
    IO_STATUS_BLOCK block = { .Status = PATTERN, .Information = PATTERN };
    LARGE_INTEGER start = { .QuadPart = 0 };
    UCHAR data[8] = { 0 };
    PIRP irp = IoBuildAsynchronousFsdRequest(IRP_MJ_READ, Device, data, sizeof data, &start, &block);

    CHECK(irp && IoCallDriver(Device, irp) == STATUS_SUCCESS);
    CHECK(block.Status == STATUS_SUCCESS && block.Information == 5);
    CHECK(data[4] == 'r' && data[5] == 0);
    irp = IoBuildAsynchronousFsdRequest(IRP_MJ_FLUSH_BUFFERS, Device, NULL, 0, NULL, NULL);
    CHECK(irp && IoCallDriver(Device, irp) == STATUS_SUCCESS);
}

static VOID AsynchronousObserved(VOID)
{
    IO_STATUS_BLOCK block = { .Status = PATTERN, .Information = PATTERN };
    PIRP irp = IoBuildAsynchronousFsdRequest(IRP_MJ_FLUSH_BUFFERS, Device, NULL, 0, NULL, &block);

    CHECK(irp != NULL);
    if (!irp)
        return;
    IoSetCompletionRoutine(irp, TakesNothing, NULL, TRUE, TRUE, TRUE);
    CHECK(IoCallDriver(Device, irp) == STATUS_SUCCESS);
    CHECK(block.Status == STATUS_SUCCESS && block.Information == 5);
    CHECK_TRACE("c");
}

/* A routine that takes it back frees it, and nothing else happens. */
static VOID AsynchronousTaken(VOID)
{
    IO_STATUS_BLOCK block = { .Status = PATTERN, .Information = PATTERN };
    PIRP irp = IoBuildAsynchronousFsdRequest(IRP_MJ_FLUSH_BUFFERS, Device, NULL, 0, NULL, &block);

    CHECK(irp != NULL);
    if (!irp)
        return;
    IoSetCompletionRoutine(irp, Frees, NULL, TRUE, TRUE, TRUE);
    CHECK(IoCallDriver(Device, irp) == STATUS_SUCCESS);
    CHECK(block.Status == PATTERN && block.Information == PATTERN);
    CHECK_TRACE("f");
}

/* Sends a control request; whether its event was set. */
static BOOLEAN Send(ULONG code, IO_STATUS_BLOCK *block, NTSTATUS *status, UCHAR *data)
{
    LARGE_INTEGER now = { .QuadPart = 0 };
    KEVENT event;
    PIRP irp;

    block->Status = PATTERN;
    block->Information = PATTERN;
    data[0] = 0;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    irp = IoBuildDeviceIoControlRequest(code, Device, NULL, 0, data, 1, FALSE, &event, block);
    CHECK(irp != NULL);
    *status = irp ? IoCallDriver(Device, irp) : STATUS_INSUFFICIENT_RESOURCES;
    return KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &now) == STATUS_SUCCESS;
}

/*
 * An error that came back at once is told by the status alone; one that the sender
 * has to wait for is told by the block and the event.
 */
static VOID Synchronous(VOID)
{
    IO_STATUS_BLOCK block;
    NTSTATUS status;
    UCHAR data;

    CHECK(Send(SUCCEEDS, &block, &status, &data) && status == STATUS_SUCCESS);
    CHECK(block.Status == STATUS_SUCCESS && block.Information == 1 && data == 'o');
    CHECK(!Send(FAILS, &block, &status, &data) && status == STATUS_DEVICE_NOT_READY);
    CHECK(block.Status == PATTERN && block.Information == PATTERN && data == 0);
    CHECK(Send(FAILS_LATER, &block, &status, &data) && status == STATUS_PENDING);
    CHECK(block.Status == STATUS_DEVICE_NOT_READY && block.Information == 1 && data == 0);
    CHECK(Send(WARNS, &block, &status, &data) && status == STATUS_BUFFER_OVERFLOW);
    CHECK(block.Status == STATUS_BUFFER_OVERFLOW && block.Information == 1 && data == 'o');
}

/* `DEVOBJ_EXTENSION` as far as it is declared, and the flags of a driver's life. */
static VOID Objects(VOID)
{
    CHECK(((PDEVOBJ_EXTENSION)Device->DeviceObjectExtension)->Type == 13 && ((PDEVOBJ_EXTENSION)Device->DeviceObjectExtension)->DeviceObject == Device);
    CHECK(Device->DriverObject->Flags == 2);
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    CaseName = "Unload";
    CHECK(driver->Flags == 0x13);
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, UNUSED PUNICODE_STRING path)
{
    NTSTATUS status;

    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = Create;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Cleanup;
    driver->MajorFunction[IRP_MJ_CLOSE] = Close;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    driver->MajorFunction[IRP_MJ_READ] = Transfer;
    driver->MajorFunction[IRP_MJ_FLUSH_BUFFERS] = Transfer;
    status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    Device->Flags |= DO_BUFFERED_IO;
    status = IoCreateSymbolicLink(&Link, &Name);
    if (NT_SUCCESS(status)) {
        RUN(AsynchronousAlone);
        RUN(AsynchronousObserved);
        RUN(AsynchronousTaken);
        RUN(Synchronous);
        RUN(Objects);
        status = CHECK_STATUS;
    }
    if (!NT_SUCCESS(status)) {
        IoDeleteSymbolicLink(&Link);
        IoDeleteDevice(Device);
    }
    /* As drivers do that clear the whole table first. */
    driver->MajorFunction[IRP_MJ_WRITE] = NULL;
    driver->MajorFunction[IRP_MJ_SHUTDOWN] = NULL;
    return status;
}
