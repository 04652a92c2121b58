/*
 * A device whose file keeps a block of pool, and a request that waits in the
 * driver's list after it was marked pending while the routine that took it in goes
 * on to use the file. The request may be completed by another one by then, its file
 * closed and the block freed: a pending request is out of hand, and so is its file.
 */
#include <ntddk.h>

#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "file: " __VA_ARGS__)
#define CODE(function) CTL_CODE(0x8000, 0x800 + (function), METHOD_BUFFERED, FILE_ANY_ACCESS)
#define TAG 0x656c6946 /* "File" */
#define MARK 0x600d

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\FileGone");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\FileGone");
static PIRP Waiting;
static KEVENT Go;

static NTSTATUS Complete(PIRP irp, NTSTATUS status)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

/* The mistake: what the file has is read when the request may be gone. */
static NTSTATUS PendAndLook(PIRP irp, ULONG *kept)
{
    IoMarkIrpPending(irp);
    InterlockedExchangePointer((PVOID *)&Waiting, irp);
    KeWaitForSingleObject(&Go, Executive, KernelMode, FALSE, NULL);
    SAY("the file has its mark: %d\n", *kept == MARK);
    return STATUS_PENDING;
}

/* The same without it: all that is needed of the file is read before. */
static NTSTATUS LookAndPend(PIRP irp, ULONG *kept)
{
    ULONG mark = *kept;

    IoMarkIrpPending(irp);
    InterlockedExchangePointer((PVOID *)&Waiting, irp);
    KeWaitForSingleObject(&Go, Executive, KernelMode, FALSE, NULL);
    SAY("the file had its mark: %d\n", mark == MARK);
    return STATUS_PENDING;
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    PFILE_OBJECT file = stack->FileObject;
    PIRP waiting;

    UNREFERENCED_PARAMETER(device);
    switch (stack->MajorFunction) {
    case IRP_MJ_CREATE:
        file->FsContext = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(ULONG), TAG);
        if (file->FsContext == NULL)
            return Complete(irp, STATUS_INSUFFICIENT_RESOURCES);
        *(ULONG *)file->FsContext = MARK;
        return Complete(irp, STATUS_SUCCESS);
    case IRP_MJ_CLOSE:
        SAY("closed\n");
        ExFreePoolWithTag(file->FsContext, TAG);
        return Complete(irp, STATUS_SUCCESS);
    case IRP_MJ_DEVICE_CONTROL:
        switch (stack->Parameters.DeviceIoControl.IoControlCode) {
        case CODE(0):
            return PendAndLook(irp, file->FsContext);
        case CODE(1):
            return LookAndPend(irp, file->FsContext);
        case CODE(2):
            waiting = InterlockedExchangePointer((PVOID *)&Waiting, NULL);
            if (waiting != NULL)
                Complete(waiting, STATUS_SUCCESS);
            return Complete(irp, STATUS_SUCCESS);
        case CODE(3):
            KeSetEvent(&Go, IO_NO_INCREMENT, FALSE);
            return Complete(irp, STATUS_SUCCESS);
        }
        return Complete(irp, STATUS_INVALID_DEVICE_REQUEST);
    }
    return Complete(irp, STATUS_SUCCESS);
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(driver->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(path);
    KeInitializeEvent(&Go, NotificationEvent, FALSE);
    status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateSymbolicLink(&Link, &Name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    driver->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    driver->DriverUnload = Unload;
    return STATUS_SUCCESS;
}
