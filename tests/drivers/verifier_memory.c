/*
 * Mistakes with memory that the kernel allocates for a driver, and with what a
 * request brings back: the function of the control code says which. The DWORD
 * `Right` in the Parameters key is 1 for the same without the mistake.
 */
#include "parameter.h"

#define VISIBLE __attribute__((noinline, used))
#define TAG 0x6d6c6556 /* "Velm" */
#define EXTENSION 48

typedef struct {
    PIRP Irp;
    volatile UCHAR *Buffer;
    ULONG InputLength;
    ULONG OutputLength;
} REQUEST;

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\VerifierMemory");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\VerifierMemory");
static UNICODE_STRING Key = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\Software\\VerifierMemory");
static PDRIVER_OBJECT Driver;
static PDEVICE_OBJECT Device;
static volatile ULONG Right;
static volatile UCHAR Sink;
static NPAGED_LOOKASIDE_LIST List;
static KDPC Dpc;
static KEVENT Done;

static VOID Fill(volatile UCHAR *to, ULONG bytes)
{
    ULONG n;

    for (n = 0; n < bytes; n++)
        to[n] = (UCHAR)n;
}

static NTSTATUS Complete(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

VISIBLE NTSTATUS WritePastSystemBuffer(REQUEST *request)
{
    Fill(request->Buffer, Right ? 16 : 64);
    return Complete(request->Irp, STATUS_SUCCESS, 16);
}

VISIBLE NTSTATUS ReadPastSystemBuffer(REQUEST *request)
{
    Sink = request->Buffer[Right ? 15 : 63];
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE NTSTATUS FreeSystemBuffer(REQUEST *request)
{
    if (!Right)
        ExFreePool((PVOID)request->Buffer);
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE NTSTATUS TouchCompleted(REQUEST *request)
{
    NTSTATUS status = Complete(request->Irp, STATUS_SUCCESS, 0);

    return Right ? status : ((volatile IRP *)request->Irp)->IoStatus.Status;
}

VISIBLE NTSTATUS TouchCompletedBuffer(REQUEST *request)
{
    NTSTATUS status = Complete(request->Irp, STATUS_SUCCESS, 0);

    if (!Right)
        Sink = request->Buffer[0];
    return status;
}

/* 64 bytes of output, of which 16 are written. */
VISIBLE NTSTATUS LeaveTail(REQUEST *request)
{
    Fill(request->Buffer, 16);
    return Complete(request->Irp, STATUS_SUCCESS, Right ? 16 : 64);
}

/* A structure with a hole, from pool. */
VISIBLE NTSTATUS ReturnHole(REQUEST *request)
{
    volatile UCHAR *block = ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG);
    ULONG n;

    Fill(block, Right ? 64 : 16);
    Fill(block + 32, 32);
    for (n = 0; n < 64; n++)
        request->Buffer[n] = block[n];
    n = (ULONG)Complete(request->Irp, STATUS_SUCCESS, 64);
    ExFreePoolWithTag((PVOID)block, TAG);
    return (NTSTATUS)n;
}

VISIBLE NTSTATUS ReturnHoleDirect(REQUEST *request)
{
    request->Buffer = MmGetSystemAddressForMdlSafe(request->Irp->MdlAddress, NormalPagePriority | MdlMappingNoExecute);
    return ReturnHole(request);
}

/* The caller's own bytes, which happen to look so. */
VISIBLE NTSTATUS Echo(REQUEST *request)
{
    return Complete(request->Irp, STATUS_SUCCESS, request->InputLength);
}

VISIBLE NTSTATUS UnlockIrpMdl(REQUEST *request)
{
    if (!Right)
        MmUnlockPages(request->Irp->MdlAddress);
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE NTSTATUS FreeLockedPool(REQUEST *request)
{
    PVOID block = ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG);
    PMDL mdl = IoAllocateMdl(block, 64, FALSE, FALSE, NULL);

    MmProbeAndLockPages(mdl, KernelMode, IoModifyAccess);
    if (!Right)
        ExFreePoolWithTag(block, TAG);
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    if (Right)
        ExFreePoolWithTag(block, TAG);
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE NTSTATUS TouchFreedMdl(REQUEST *request)
{
    static UCHAR bytes[64];
    PMDL mdl = IoAllocateMdl(bytes, 64, FALSE, FALSE, NULL);

    if (Right)
        Sink = (UCHAR)((volatile MDL *)mdl)->MdlFlags;
    IoFreeMdl(mdl);
    if (!Right)
        Sink = (UCHAR)((volatile MDL *)mdl)->MdlFlags;
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE NTSTATUS TouchFreedEntry(REQUEST *request)
{
    volatile UCHAR *entry = ExAllocateFromNPagedLookasideList(&List);

    if (Right)
        entry[0] = 1;
    ExFreeToNPagedLookasideList(&List, (PVOID)entry);
    if (!Right)
        entry[0] = 1;
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE NTSTATUS TouchFreedIrp(REQUEST *request)
{
    PIRP irp = IoAllocateIrp(1, FALSE);

    if (Right)
        ((volatile IRP *)irp)->Flags = 1;
    IoFreeIrp(irp);
    if (!Right)
        ((volatile IRP *)irp)->Flags = 1;
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE NTSTATUS TouchFreedWorkItem(REQUEST *request)
{
    volatile UCHAR *item = (volatile UCHAR *)IoAllocateWorkItem(Device);

    if (Right)
        Sink = item[0];
    IoFreeWorkItem((PIO_WORKITEM)item);
    if (!Right)
        Sink = item[0];
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE NTSTATUS WritePastExtension(REQUEST *request)
{
    Fill(Device->DeviceExtension, Right ? EXTENSION : 200);
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE VOID NTAPI TouchExtension(PKDPC dpc, PVOID context, PVOID first, PVOID second)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(first);
    UNREFERENCED_PARAMETER(second);
    *(volatile UCHAR *)context = 1;
    KeSetEvent(&Done, IO_NO_INCREMENT, FALSE);
}

VISIBLE NTSTATUS TouchDeletedDevice(REQUEST *request)
{
    PDEVICE_OBJECT device;
    NTSTATUS status = IoCreateDevice(Driver, EXTENSION, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);

    if (!NT_SUCCESS(status))
        return Complete(request->Irp, status, 0);
    if (Right)
        Sink = (UCHAR)((volatile DEVICE_OBJECT *)device)->Flags;
    IoDeleteDevice(device);
    if (!Right)
        Sink = (UCHAR)((volatile DEVICE_OBJECT *)device)->Flags;
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE NTSTATUS LetDpcTouchDeletedDevice(REQUEST *request)
{
    PDEVICE_OBJECT device;
    NTSTATUS status = IoCreateDevice(Driver, EXTENSION, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
    KIRQL old;

    if (!NT_SUCCESS(status))
        return Complete(request->Irp, status, 0);
    KeInitializeEvent(&Done, NotificationEvent, FALSE);
    KeInitializeDpc(&Dpc, TouchExtension, device->DeviceExtension);
    if (!Right)
        IoDeleteDevice(device);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    KeInsertQueueDpc(&Dpc, NULL, NULL);
    KeLowerIrql(old);
    KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL);
    if (Right)
        IoDeleteDevice(device);
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE NTSTATUS StoreUninitialized(REQUEST *request)
{
    PUCHAR block = ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG);
    OBJECT_ATTRIBUTES attributes;
    HANDLE key;

    Fill(block, Right ? 64 : 16);
    InitializeObjectAttributes(&attributes, &Key, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    if (NT_SUCCESS(ZwCreateKey(&key, KEY_WRITE, &attributes, 0, NULL, REG_OPTION_VOLATILE, NULL))) {
        ZwSetValueKey(key, &Name, 0, REG_BINARY, block, 64);
        ZwClose(key);
    }
    ExFreePoolWithTag(block, TAG);
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS (*const Ways[])(REQUEST *) = {
    WritePastSystemBuffer, ReadPastSystemBuffer, FreeSystemBuffer, TouchCompleted, TouchCompletedBuffer,
    LeaveTail, ReturnHole, ReturnHoleDirect, Echo, UnlockIrpMdl, FreeLockedPool, TouchFreedMdl, TouchFreedEntry,
    TouchFreedIrp, TouchFreedWorkItem, WritePastExtension, TouchDeletedDevice, LetDpcTouchDeletedDevice,
    StoreUninitialized,
};

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    REQUEST request;
    ULONG how;

    UNREFERENCED_PARAMETER(device);
    if (stack->MajorFunction != IRP_MJ_DEVICE_CONTROL)
        return Complete(irp, STATUS_SUCCESS, 0);
    how = (stack->Parameters.DeviceIoControl.IoControlCode >> 2 & 0xfff) - 0x800;
    if (how >= sizeof Ways / sizeof *Ways)
        return Complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    request.Irp = irp;
    request.Buffer = irp->AssociatedIrp.SystemBuffer;
    request.InputLength = stack->Parameters.DeviceIoControl.InputBufferLength;
    request.OutputLength = stack->Parameters.DeviceIoControl.OutputBufferLength;
    return Ways[how](&request);
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    ExDeleteNPagedLookasideList(&List);
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    NTSTATUS status;

    Driver = driver;
    Right = Parameter(path, L"Right", 0);
    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    status = IoCreateDevice(driver, EXTENSION, &Name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    ExInitializeNPagedLookasideList(&List, NULL, NULL, 0, 64, TAG, 0);
    status = IoCreateSymbolicLink(&Link, &Name);
    if (!NT_SUCCESS(status)) {
        ExDeleteNPagedLookasideList(&List);
        IoDeleteDevice(Device);
    }
    return status;
}
