/*
 * Accesses past the ends of blocks that stay on the blocks' pages: the function of the
 * control code says which. The DWORD `Right` in the Parameters key is 1 for the same
 * within the block.
 */
#include "parameter.h"

#define VISIBLE __attribute__((noinline, used))
#define TAG 0x646e4256 /* "VBnd" */
#define EXTENSION 44

typedef struct {
    PIRP Irp;
    volatile UCHAR *Buffer;
    ULONG InputLength;
    ULONG OutputLength;
} REQUEST;

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\VerifierBounds");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\VerifierBounds");
static PDEVICE_OBJECT Device;
static volatile ULONG Right;
static volatile UCHAR Sink;
static volatile ULONG64 WideSink;
static NPAGED_LOOKASIDE_LIST List;

static NTSTATUS Complete(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static NTSTATUS Done(REQUEST *request)
{
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

static volatile UCHAR *Take(ULONG bytes)
{
    return ExAllocatePoolWithTag(NonPagedPoolNx, bytes, TAG);
}

static VOID Give(volatile UCHAR *block)
{
    ExFreePoolWithTag((PVOID)block, TAG);
}

VISIBLE NTSTATUS ReadBefore(REQUEST *request)
{
    volatile UCHAR *block = Take(64);

    Sink = *(block - (Right ? 0 : 1));
    Give(block);
    return Done(request);
}

VISIBLE NTSTATUS ReadPast(REQUEST *request)
{
    volatile UCHAR *block = Take(61);

    Sink = block[Right ? 60 : 61];
    Give(block);
    return Done(request);
}

VISIBLE NTSTATUS ReadAcross(REQUEST *request)
{
    volatile UCHAR *block = Take(61);

    WideSink = *(volatile ULONG64 *)(block + (Right ? 48 : 56));
    Give(block);
    return Done(request);
}

/* What special pool has there, so that only the access itself is wrong. */
VISIBLE NTSTATUS WritePast(REQUEST *request)
{
    volatile UCHAR *block = Take(61);

    block[Right ? 60 : 63] = 0x6b;
    Give(block);
    return Done(request);
}

VISIBLE NTSTATUS CopyPast(REQUEST *request)
{
    volatile UCHAR *block = Take(61);
    UCHAR copy[64];
    PVOID to = copy;
    volatile UCHAR *from = block;
    SIZE_T count = Right ? 61 : 64;

    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    Give(block);
    return Done(request);
}

VISIBLE NTSTATUS MeasurePast(REQUEST *request)
{
    ULONG n = 0;

    while ((!Right || n < request->InputLength) && request->Buffer[n] == 0xbd)
        n++;
    Sink = (UCHAR)n;
    return Done(request);
}

VISIBLE NTSTATUS ReadPastExtension(REQUEST *request)
{
    Sink = ((volatile UCHAR *)Device->DeviceExtension)[Right ? EXTENSION - 1 : EXTENSION];
    return Done(request);
}

VISIBLE NTSTATUS ReadPastEntry(REQUEST *request)
{
    volatile UCHAR *entry = ExAllocateFromNPagedLookasideList(&List);

    entry[0] = 1;
    Sink = entry[Right ? 0 : 60];
    ExFreeToNPagedLookasideList(&List, (PVOID)entry);
    return Done(request);
}

static NTSTATUS (*const Ways[])(REQUEST *) = {
    ReadBefore, ReadPast, ReadAcross, WritePast, CopyPast, MeasurePast, ReadPastExtension, ReadPastEntry,
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

    Right = Parameter(path, L"Right", 0);
    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    status = IoCreateDevice(driver, EXTENSION, &Name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    ExInitializeNPagedLookasideList(&List, NULL, NULL, 0, 60, TAG, 0);
    status = IoCreateSymbolicLink(&Link, &Name);
    if (!NT_SUCCESS(status)) {
        ExDeleteNPagedLookasideList(&List);
        IoDeleteDevice(Device);
    }
    return status;
}
