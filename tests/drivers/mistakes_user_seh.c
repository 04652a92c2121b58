/*
 * Mistakes with memory of a program that a METHOD_NEITHER request points to. The DWORD
 * `How` in the Parameters says which; `Right` is 1 for the same without the mistake.
 * The first four are safe either way.
 */
#include "parameter.h"
#include "try.h"

#define VISIBLE __attribute__((noinline, used))

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\User");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\User");
static PDEVICE_OBJECT Device;
static ULONG How, Right;
static volatile ULONG Sink;
static volatile UCHAR Bytes[4096];

/* A scan, then a copy of as much as was scanned. */
VISIBLE VOID ScanAndCopy(volatile UCHAR *input)
{
    ULONG n;

    for (n = 0; n < 16 && input[n] != 0; n++)
        ;
    RtlCopyMemory((PVOID)Bytes, (PVOID)input, n);
}

VISIBLE VOID AddAndCopy(volatile UCHAR *input)
{
    ULONG n, sum = 0;

    for (n = 0; n < 16; n++)
        sum += input[n];
    RtlCopyMemory((PVOID)Bytes, (PVOID)input, 16);
    Sink = sum;
}

VISIBLE VOID TouchAndCopy(volatile UCHAR *input)
{
    Sink = input[0];
    RtlCopyMemory((PVOID)Bytes, (PVOID)input, 16);
}

VISIBLE VOID ReadApart(volatile UCHAR *input)
{
    if (*(volatile ULONG *)input < 64)
        Bytes[*(volatile ULONG *)(input + 4)] = 1;
}

/* The first read decides how much, the second is used. */
VISIBLE VOID FetchTwice(volatile UCHAR *input)
{
    ULONG length = *(volatile ULONG *)input;

    if (length >= sizeof Bytes)
        return;
    if (!Right)
        length = *(volatile ULONG *)input;
    Bytes[length] = 1;
}

/* The second read is longer and begins before the first. */
VISIBLE VOID FetchAround(volatile UCHAR *input)
{
    ULONG64 both = *(volatile ULONG *)(input + 4);

    if (both >= sizeof Bytes)
        return;
    if (!Right)
        both = *(volatile ULONG64 *)input >> 32;
    Bytes[both] = 1;
}

/* The second read is a part of the first. */
VISIBLE VOID FetchPart(volatile UCHAR *input)
{
    ULONG64 both = *(volatile ULONG64 *)input;
    ULONG index = both & 0xff;

    if (both == 0)
        return;
    if (!Right)
        index = input[5];
    Bytes[index] = 1;
}

VISIBLE VOID FetchThenCopy(volatile UCHAR *input)
{
    ULONG length = *(volatile ULONG *)input;

    if (length >= sizeof Bytes)
        return;
    if (!Right)
        RtlCopyMemory((PVOID)Bytes, (PVOID)input, 16);
    else
        RtlCopyMemory((PVOID)Bytes, (PVOID)(input + 4), 12);
}

VISIBLE VOID ReadGarbage(volatile UCHAR *input)
{
    volatile ULONG *pointer = Right ? (volatile ULONG *)Bytes : (volatile ULONG *)0xbdbdbdbdbdbdbdbd;

    UNREFERENCED_PARAMETER(input);
    Sink = *pointer;
}

static VOID (*const Bodies[])(volatile UCHAR *) = {
    ScanAndCopy, AddAndCopy, TouchAndCopy, ReadApart, FetchTwice, FetchAround, FetchPart, FetchThenCopy, ReadGarbage,
};

static NTSTATUS Call(PIO_STACK_LOCATION stack)
{
    volatile UCHAR *input = stack->Parameters.DeviceIoControl.Type3InputBuffer;

    __try {
        ProbeForRead((PVOID)input, stack->Parameters.DeviceIoControl.InputBufferLength, 1);
        Bodies[How](input);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return STATUS_INVALID_USER_BUFFER;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    NTSTATUS status = STATUS_SUCCESS;

    UNREFERENCED_PARAMETER(device);
    if (stack->MajorFunction == IRP_MJ_DEVICE_CONTROL && How < sizeof Bodies / sizeof *Bodies)
        status = Call(stack);
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    NTSTATUS status;
    ULONG n;

    How = Parameter(path, L"How", ~0u);
    Right = Parameter(path, L"Right", 0);
    driver->DriverUnload = Unload;
    for (n = 0; n <= IRP_MJ_MAXIMUM_FUNCTION; n++)
        driver->MajorFunction[n] = Dispatch;
    status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    IoCreateSymbolicLink(&Link, &Name);
    return STATUS_SUCCESS;
}
