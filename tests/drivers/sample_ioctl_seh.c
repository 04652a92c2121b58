/*
 * A control device that takes data in each of the four ways. Every open handle
 * has a store of its own, up to a page: METHOD_IN_DIRECT fills it,
 * METHOD_OUT_DIRECT reads it, METHOD_BUFFERED reverses what it is given, and
 * METHOD_NEITHER does so with the caller's own memory, probed, locked and
 * mapped, as slowly as a device would.
 */
#include <ntddk.h>

#ifndef EXCEPTION_EXECUTE_HANDLER
#define EXCEPTION_EXECUTE_HANDLER 1
#endif
#define CODE(function, method) CTL_CODE(0x8000, 0x800 + (function), method, FILE_ANY_ACCESS)
#define TAG 0x6c706d53 /* Smpl */
/* Bytes that METHOD_NEITHER moves at a time. */
#define PIECE 512

typedef struct {
    FAST_MUTEX Lock;
    ULONG Length;
    UCHAR Data[PAGE_SIZE];
} STORE;

/* User memory that is locked and mapped. */
typedef struct {
    PMDL Mdl;
    UCHAR *At;
} WINDOW;

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\SampleIoctl");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\SampleIoctl");

static NTSTATUS Complete(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS Buffered(PIRP irp, ULONG input, ULONG output)
{
    UCHAR *data = irp->AssociatedIrp.SystemBuffer;
    ULONG n;

    if (input == 0 || input % sizeof(ULONG) != 0)
        return Complete(irp, STATUS_INVALID_BUFFER_SIZE, 0);
    if (output < input)
        return Complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
    for (n = 0; n < input / 2; n++) {
        UCHAR last = data[input - 1 - n];
        data[input - 1 - n] = data[n];
        data[n] = last;
    }
    return Complete(irp, STATUS_SUCCESS, input);
}

/* The second buffer of either direct method, in system space. */
static NTSTATUS Map(PIRP irp, ULONG length, UCHAR **data)
{
    if (length == 0)
        return irp->MdlAddress == NULL ? STATUS_INVALID_BUFFER_SIZE : STATUS_INTERNAL_ERROR;
    if (irp->MdlAddress == NULL || MmGetMdlByteCount(irp->MdlAddress) != length)
        return STATUS_INTERNAL_ERROR;
    *data = MmGetSystemAddressForMdlSafe(irp->MdlAddress, NormalPagePriority | MdlMappingNoExecute);
    return *data == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static NTSTATUS Fill(PIRP irp, STORE *store, ULONG length)
{
    UCHAR *data;
    NTSTATUS status = length > sizeof store->Data ? STATUS_INVALID_BUFFER_SIZE : Map(irp, length, &data);

    if (!NT_SUCCESS(status))
        return Complete(irp, status, 0);
    ExAcquireFastMutex(&store->Lock);
    RtlCopyMemory(store->Data, data, length);
    store->Length = length;
    ExReleaseFastMutex(&store->Lock);
    return Complete(irp, STATUS_SUCCESS, length);
}

static NTSTATUS Fetch(PIRP irp, STORE *store, ULONG length)
{
    UCHAR *data;
    NTSTATUS status = Map(irp, length, &data);

    if (!NT_SUCCESS(status))
        return Complete(irp, status, 0);
    ExAcquireFastMutex(&store->Lock);
    if (length < store->Length) {
        status = STATUS_BUFFER_TOO_SMALL;
        length = 0;
    } else {
        length = store->Length;
        RtlCopyMemory(data, store->Data, length);
    }
    ExReleaseFastMutex(&store->Lock);
    return Complete(irp, status, length);
}

static VOID Close(WINDOW *window)
{
    if (window->Mdl == NULL)
        return;
    if (window->Mdl->MdlFlags & MDL_PAGES_LOCKED)
        MmUnlockPages(window->Mdl);
    IoFreeMdl(window->Mdl);
    window->Mdl = NULL;
}

static NTSTATUS Open(WINDOW *window, PVOID at, ULONG length, LOCK_OPERATION operation)
{
    NTSTATUS status = STATUS_SUCCESS;

    window->Mdl = IoAllocateMdl(at, length, FALSE, FALSE, NULL);
    if (window->Mdl == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    __try {
        if (operation == IoReadAccess)
            ProbeForRead(at, length, sizeof(ULONG));
        else
            ProbeForWrite(at, length, sizeof(ULONG));
        MmProbeAndLockPages(window->Mdl, UserMode, operation);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    if (NT_SUCCESS(status)) {
        window->At = MmGetSystemAddressForMdlSafe(window->Mdl, NormalPagePriority | MdlMappingNoExecute);
        if (window->At == NULL)
            status = STATUS_INSUFFICIENT_RESOURCES;
    }
    if (!NT_SUCCESS(status))
        Close(window);
    return status;
}

static NTSTATUS Neither(PIRP irp, PVOID input, ULONG length, ULONG output)
{
    WINDOW from = {NULL, NULL}, to = {NULL, NULL};
    LARGE_INTEGER pause;
    ULONG n;
    NTSTATUS status;

    if (length == 0)
        return Complete(irp, STATUS_INVALID_BUFFER_SIZE, 0);
    if (output < length)
        return Complete(irp, STATUS_BUFFER_TOO_SMALL, 0);
    pause.QuadPart = -10000;
    status = Open(&from, input, length, IoReadAccess);
    if (NT_SUCCESS(status))
        status = Open(&to, irp->UserBuffer, length, IoWriteAccess);
    for (n = 0; NT_SUCCESS(status) && n < length; n++) {
        to.At[length - 1 - n] = from.At[n];
        if (n % PIECE == PIECE - 1)
            KeDelayExecutionThread(KernelMode, FALSE, &pause);
    }
    Close(&to);
    Close(&from);
    return Complete(irp, status, NT_SUCCESS(status) ? length : 0);
}

static VOID Copy(PVOID to, const VOID *from, SIZE_T length)
{
    RtlCopyMemory(to, from, length);
}

/* Called by a pointer, for clang takes it that copying raises nothing. */
static VOID (*volatile CopyUser)(PVOID to, const VOID *from, SIZE_T length) = Copy;

/* The same memory without a lock: every access is in the handler. */
static NTSTATUS Guarded(PIRP irp, PVOID input, ULONG length, ULONG output)
{
    NTSTATUS status = STATUS_SUCCESS;
    PVOID copy;

    if (length == 0 || output < length)
        return Complete(irp, STATUS_INVALID_BUFFER_SIZE, 0);
    copy = ExAllocatePoolWithTag(PagedPool, length, TAG);
    if (copy == NULL)
        return Complete(irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    __try {
        ProbeForRead(input, length, 1);
        CopyUser(copy, input, length);
        ProbeForWrite(irp->UserBuffer, length, 1);
        CopyUser(irp->UserBuffer, copy, length);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    ExFreePoolWithTag(copy, TAG);
    return Complete(irp, status, NT_SUCCESS(status) ? length : 0);
}

static NTSTATUS Control(PIRP irp, PIO_STACK_LOCATION stack)
{
    ULONG input = stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG output = stack->Parameters.DeviceIoControl.OutputBufferLength;
    STORE *store = stack->FileObject->FsContext;

    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case CODE(0, METHOD_BUFFERED):
        return Buffered(irp, input, output);
    case CODE(1, METHOD_IN_DIRECT):
        return Fill(irp, store, output);
    case CODE(2, METHOD_OUT_DIRECT):
        return Fetch(irp, store, output);
    case CODE(3, METHOD_NEITHER):
        return Neither(irp, stack->Parameters.DeviceIoControl.Type3InputBuffer, input, output);
    case CODE(4, METHOD_NEITHER):
        return Guarded(irp, stack->Parameters.DeviceIoControl.Type3InputBuffer, input, output);
    default:
        return Complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS Create(PIRP irp, PFILE_OBJECT file)
{
    STORE *store = ExAllocatePoolWithTag(NonPagedPool, sizeof *store, TAG);

    if (store == NULL)
        return Complete(irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    ExInitializeFastMutex(&store->Lock);
    store->Length = 0;
    file->FsContext = store;
    return Complete(irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);

    UNREFERENCED_PARAMETER(device);
    switch (stack->MajorFunction) {
    case IRP_MJ_CREATE:
        return Create(irp, stack->FileObject);
    case IRP_MJ_CLOSE:
        ExFreePoolWithTag(stack->FileObject->FsContext, TAG);
        return Complete(irp, STATUS_SUCCESS, 0);
    case IRP_MJ_CLEANUP:
        return Complete(irp, STATUS_SUCCESS, 0);
    default:
        return Control(irp, stack);
    }
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
    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateSymbolicLink(&Link, &Name);
    if (!NT_SUCCESS(status))
        IoDeleteDevice(device);
    return status;
}
