/*
 * A device of one slow register behind a cancel-safe queue: reads wait in the
 * queue until a system thread, which polls, takes them one after the other. A
 * read that is cancelled, or whose handle is closed, leaves the queue early.
 */
#include <ntddk.h>
#include "thread.h"

#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "cancel: " __VA_ARGS__)
#define IRP_OF(entry) CONTAINING_RECORD(entry, IRP, Tail.Overlay.ListEntry)
/* The device is ready every 100 ms. */
#define PERIOD (-100 * 10000LL)

typedef struct {
    IO_CSQ Queue;
    LIST_ENTRY Irps;
    KSPIN_LOCK Lock;
    KSEMAPHORE Waiting;
    PVOID Thread;
    BOOLEAN Stop;
    ULONG Register;
} EXTENSION;

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\SampleCancel");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\SampleCancel");

static NTSTATUS Complete(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static EXTENSION *Of(PIO_CSQ queue)
{
    return CONTAINING_RECORD(queue, EXTENSION, Queue);
}

static VOID NTAPI Insert(PIO_CSQ queue, PIRP irp)
{
    InsertTailList(&Of(queue)->Irps, &irp->Tail.Overlay.ListEntry);
}

static VOID NTAPI Remove(PIO_CSQ queue, PIRP irp)
{
    UNREFERENCED_PARAMETER(queue);
    RemoveEntryList(&irp->Tail.Overlay.ListEntry);
}

/* The next one, of one file if `context` names it. */
static PIRP NTAPI Peek(PIO_CSQ queue, PIRP irp, PVOID context)
{
    PLIST_ENTRY head = &Of(queue)->Irps;
    PLIST_ENTRY entry = irp == NULL ? head->Flink : irp->Tail.Overlay.ListEntry.Flink;

    for (; entry != head; entry = entry->Flink) {
        PIRP next = IRP_OF(entry);
        if (context == NULL || IoGetCurrentIrpStackLocation(next)->FileObject == context)
            return next;
    }
    return NULL;
}

static VOID NTAPI Acquire(PIO_CSQ queue, PKIRQL irql)
{
    KeAcquireSpinLock(&Of(queue)->Lock, irql);
}

static VOID NTAPI Release(PIO_CSQ queue, KIRQL irql)
{
    KeReleaseSpinLock(&Of(queue)->Lock, irql);
}

static VOID NTAPI CompleteCanceled(PIO_CSQ queue, PIRP irp)
{
    UNREFERENCED_PARAMETER(queue);
    Complete(irp, STATUS_CANCELLED, 0);
}

/* A request that was cancelled meanwhile leaves a count without an IRP. */
static VOID NTAPI Poll(PVOID context)
{
    EXTENSION *extension = context;
    LARGE_INTEGER period;

    period.QuadPart = PERIOD;
    for (;;) {
        PIRP irp;
        KeWaitForSingleObject(&extension->Waiting, Executive, KernelMode, FALSE, NULL);
        if (extension->Stop)
            break;
        KeDelayExecutionThread(KernelMode, FALSE, &period);
        irp = IoCsqRemoveNextIrp(&extension->Queue, NULL);
        if (irp == NULL)
            continue;
        *(ULONG *)irp->AssociatedIrp.SystemBuffer = ++extension->Register;
        Complete(irp, STATUS_SUCCESS, sizeof(ULONG));
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static NTSTATUS Read(EXTENSION *extension, PIRP irp, ULONG length)
{
    if (length != sizeof(ULONG))
        return Complete(irp, length == 0 ? STATUS_SUCCESS : STATUS_INVALID_BUFFER_SIZE, 0);
    IoCsqInsertIrp(&extension->Queue, irp, NULL);
    KeReleaseSemaphore(&extension->Waiting, IO_NO_INCREMENT, 1, FALSE);
    return STATUS_PENDING;
}

static NTSTATUS Cleanup(EXTENSION *extension, PIRP irp, PFILE_OBJECT file)
{
    PIRP left;
    ULONG count = 0;

    while ((left = IoCsqRemoveNextIrp(&extension->Queue, file)) != NULL) {
        Complete(left, STATUS_CANCELLED, 0);
        count++;
    }
    SAY("cleanup of %lu\n", count);
    return Complete(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    EXTENSION *extension = device->DeviceExtension;

    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
        return Read(extension, irp, stack->Parameters.Read.Length);
    case IRP_MJ_CLEANUP:
        return Cleanup(extension, irp, stack->FileObject);
    default: /* create and close */
        return Complete(irp, STATUS_SUCCESS, 0);
    }
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    PDEVICE_OBJECT device = driver->DeviceObject;
    EXTENSION *extension = device->DeviceExtension;

    IoDeleteSymbolicLink(&Link);
    extension->Stop = TRUE;
    KeReleaseSemaphore(&extension->Waiting, IO_NO_INCREMENT, 1, FALSE);
    Finish(extension->Thread);
    SAY("%lu values read\n", extension->Register);
    IoDeleteDevice(device);
}

static NTSTATUS Prepare(PDEVICE_OBJECT device)
{
    EXTENSION *extension = device->DeviceExtension;
    NTSTATUS status;

    device->Flags |= DO_BUFFERED_IO;
    InitializeListHead(&extension->Irps);
    KeInitializeSpinLock(&extension->Lock);
    KeInitializeSemaphore(&extension->Waiting, 0, MAXLONG);
    status = IoCsqInitialize(&extension->Queue, Insert, Remove, Peek, Acquire, Release, CompleteCanceled);
    if (!NT_SUCCESS(status))
        return status;
    extension->Thread = Start(Poll, extension);
    return extension->Thread == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->MajorFunction[IRP_MJ_READ] = Dispatch;
    status = IoCreateDevice(driver, sizeof(EXTENSION), &Name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE,
                            &device);
    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateSymbolicLink(&Link, &Name);
    if (NT_SUCCESS(status)) {
        status = Prepare(device);
        if (NT_SUCCESS(status))
            return status;
        IoDeleteSymbolicLink(&Link);
    }
    IoDeleteDevice(device);
    return status;
}
