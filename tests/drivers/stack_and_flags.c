/*
 * The edges of what a driver can do without harm to itself or with it: flags of the
 * processor that mean nothing in a kernel, routines inside routines until no stack
 * is left, more leaks than anybody reads. The DWORD `How` in its Parameters says
 * which.
 */
#include "parameter.h"

#define VISIBLE __attribute__((noinline, noclone, used))
#define TAG 0x65676445 /* "Edge" */

NTSYSAPI NTSTATUS NTAPI ZwWaitForSingleObject(HANDLE handle, BOOLEAN alertable, PLARGE_INTEGER timeout);

static PDEVICE_OBJECT Device;
static PDRIVER_OBJECT Driver;
static PIRP Irp;
static ULONG Depth;

static VOID Run(PKSTART_ROUTINE routine)
{
    OBJECT_ATTRIBUTES attributes;
    HANDLE thread;

    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, &attributes, NULL, NULL, routine, NULL);
    ZwWaitForSingleObject(thread, FALSE, NULL);
    ZwClose(thread);
}

/* The flag AC, with which programs have unaligned accesses trap and a kernel
 * permits accesses to memory of programs. */
VISIBLE VOID NTAPI SetAc(PVOID context)
{
    volatile UCHAR bytes[16] = {0};

    UNREFERENCED_PARAMETER(context);
    __asm__ volatile("pushfq; orq $0x40000, (%%rsp); popfq" : : : "memory", "cc");
    *(volatile ULONG *)(bytes + 1) = 3;
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "stack_and_flags: %u %s\n", *(volatile ULONG *)(bytes + 1), "with AC");
    __asm__ volatile("pushfq; orq $0x40000, (%%rsp); popfq" : : : "memory", "cc");
}

VISIBLE VOID NTAPI SetAcAndEnd(PVOID context)
{
    SetAc(context);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

VISIBLE VOID AlignmentCheck(VOID)
{
    SetAc(NULL);
    Run(SetAcAndEnd);
}

/* Sends the request to the device that it came to, with no more stack than that. */
VISIBLE NTSTATUS NTAPI SendAgain(PDEVICE_OBJECT device, PIRP irp)
{
    Depth++;
    IoSkipCurrentIrpStackLocation(irp);
    return IoCallDriver(device, irp);
}

VISIBLE VOID NTAPI SendForEver(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    Driver->MajorFunction[IRP_MJ_FLUSH_BUFFERS] = SendAgain;
    Irp = IoAllocateIrp(Device->StackSize, FALSE);
    IoGetNextIrpStackLocation(Irp)->MajorFunction = IRP_MJ_FLUSH_BUFFERS;
    IoCallDriver(Device, Irp);
}

VISIBLE VOID SendHere(VOID)
{
    SendForEver(NULL);
}

VISIBLE VOID SendInThread(VOID)
{
    Run(SendForEver);
}

/* Asks for more stack, on which it asks for more stack, until there is none. */
VISIBLE VOID NTAPI Expand(PVOID context)
{
    Depth++;
    KeExpandKernelStackAndCallout(Expand, context, 0x2000);
}

VISIBLE VOID NTAPI ExpandOften(PVOID context)
{
    Depth = 0;
    Expand(context);
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "stack_and_flags: expanded %s\n", Depth > 16 ? "often" : "seldom");
}

VISIBLE VOID NTAPI ExpandAndEnd(PVOID context)
{
    ExpandOften(context);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

VISIBLE VOID ExpandForEver(VOID)
{
    ExpandOften(NULL);
    Run(ExpandAndEnd);
}

VISIBLE VOID LeakMany(VOID)
{
    ULONG n;

    for (n = 0; n < 20000; n++)
        ExAllocatePoolWithTag(NonPagedPoolNx, 16, TAG);
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    UNREFERENCED_PARAMETER(device);
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    IoDeleteDevice(Device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    static VOID (*const ways[])(VOID) = {AlignmentCheck, SendHere, SendInThread, ExpandForEver, LeakMany};
    ULONG how = Parameter(path, L"How", ~0u), n;
    NTSTATUS status;

    if (how >= sizeof ways / sizeof *ways)
        return STATUS_INVALID_PARAMETER;
    Driver = driver;
    driver->DriverUnload = Unload;
    for (n = 0; n <= IRP_MJ_MAXIMUM_FUNCTION; n++)
        driver->MajorFunction[n] = Dispatch;
    status = IoCreateDevice(driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    ways[how]();
    return STATUS_SUCCESS;
}
