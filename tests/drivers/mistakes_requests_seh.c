/*
 * Mistakes that a driver makes with requests: the function of the control code
 * says which. The DWORD `Right` in the Parameters key is 1 for the same without
 * the mistake.
 */
#include "neither_request.h"

#define TAG 0x7173694d /* "Misq" */

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Mistakes");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\Mistakes");
/* What is given back when the handle is closed. */
static PMDL Mdl;
static PVOID Pool;
static PVOID Mapped;

VISIBLE NTSTATUS Forget(REQUEST *request)
{
    return Right ? Complete(request->Irp, STATUS_SUCCESS, 0) : STATUS_SUCCESS;
}

VISIBLE NTSTATUS CompleteTwice(REQUEST *request)
{
    NTSTATUS status = Complete(request->Irp, STATUS_SUCCESS, 0);
    return Right ? status : Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE NTSTATUS PendUnmarked(REQUEST *request)
{
    if (Right)
        IoMarkIrpPending(request->Irp);
    Complete(request->Irp, STATUS_SUCCESS, 0);
    return STATUS_PENDING;
}

VISIBLE NTSTATUS PendUnsaid(REQUEST *request)
{
    IoMarkIrpPending(request->Irp);
    Complete(request->Irp, STATUS_SUCCESS, 0);
    return Right ? STATUS_PENDING : STATUS_SUCCESS;
}

VISIBLE NTSTATUS CompletePending(REQUEST *request)
{
    return Complete(request->Irp, Right ? STATUS_SUCCESS : STATUS_PENDING, 0);
}

static VOID NTAPI Cancel(PDEVICE_OBJECT device, PIRP irp)
{
    UNREFERENCED_PARAMETER(device);
    IoReleaseCancelSpinLock(irp->CancelIrql);
    Complete(irp, STATUS_CANCELLED, 0);
}

VISIBLE NTSTATUS CompleteCancellable(REQUEST *request)
{
    IoSetCancelRoutine(request->Irp, Cancel);
    if (Right)
        IoSetCancelRoutine(request->Irp, NULL);
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE NTSTATUS SayTooMuch(REQUEST *request)
{
    return Complete(request->Irp, STATUS_SUCCESS, Right ? 0 : 1000);
}

VISIBLE NTSTATUS ReturnRaised(REQUEST *request)
{
    KIRQL old;
    NTSTATUS status = Complete(request->Irp, STATUS_SUCCESS, 0);

    KeRaiseIrql(DISPATCH_LEVEL, &old);
    if (Right)
        KeLowerIrql(old);
    return status;
}

VISIBLE NTSTATUS ReturnWithLock(REQUEST *request)
{
    KIRQL old;
    NTSTATUS status = Complete(request->Irp, STATUS_SUCCESS, 0);

    KeAcquireSpinLock(&Lock, &old);
    if (Right)
        KeReleaseSpinLock(&Lock, old);
    return status;
}

VISIBLE NTSTATUS ReturnInRegion(REQUEST *request)
{
    NTSTATUS status = Complete(request->Irp, STATUS_SUCCESS, 0);

    KeEnterCriticalRegion();
    if (Right)
        KeLeaveCriticalRegion();
    return status;
}

/* A page of the driver in the caller, which its handle should end. */
VISIBLE NTSTATUS LeaveMapped(REQUEST *request)
{
    Pool = ExAllocatePoolWithTag(NonPagedPoolNx, PAGE_SIZE, TAG);
    RtlZeroMemory(Pool, PAGE_SIZE);
    Mdl = IoAllocateMdl(Pool, PAGE_SIZE, FALSE, FALSE, NULL);
    MmBuildMdlForNonPagedPool(Mdl);
    Mapped = MmMapLockedPagesSpecifyCache(Mdl, UserMode, MmCached, NULL, FALSE, NormalPagePriority | MdlMappingNoExecute);
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

/* The caller's pages, which its handle should end. */
VISIBLE NTSTATUS LeaveLocked(REQUEST *request)
{
    Mdl = IoAllocateMdl((PVOID)request->Input, 64, FALSE, FALSE, NULL);
    __try {
        MmProbeAndLockPages(Mdl, UserMode, IoReadAccess);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        IoFreeMdl(Mdl);
        Mdl = NULL;
    }
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

static VOID GiveBack(VOID)
{
    if (Mapped != NULL)
        MmUnmapLockedPages(Mapped, Mdl);
    else if (Mdl != NULL)
        MmUnlockPages(Mdl);
    if (Mdl != NULL)
        IoFreeMdl(Mdl);
    if (Pool != NULL)
        ExFreePoolWithTag(Pool, TAG);
    Mapped = NULL;
    Mdl = NULL;
    Pool = NULL;
}

static KEVENT Done;
static REQUEST *Shared;

VISIBLE VOID ReadElsewhere(VOID)
{
    Sink = *Shared->Input;
}

/* Of what is in a `__try`, old compilers cover only the calls. */
VISIBLE VOID ReadForCaller(VOID)
{
    __try {
        ProbeForRead((PVOID)Shared->Input, 64, 1);
        ReadElsewhere();
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Sink = 0;
    }
}

static VOID NTAPI Work(PDEVICE_OBJECT device, PVOID context)
{
    UNREFERENCED_PARAMETER(device);
    if (context == NULL)
        ReadElsewhere();
    KeSetEvent(&Done, IO_NO_INCREMENT, FALSE);
}

/* The caller's address in a thread of the system. */
VISIBLE NTSTATUS ReadInAnotherProcess(REQUEST *request)
{
    PIO_WORKITEM item = IoAllocateWorkItem(Device);

    Shared = request;
    KeInitializeEvent(&Done, NotificationEvent, FALSE);
    if (Right)
        ReadForCaller();
    IoQueueWorkItem(item, Work, DelayedWorkQueue, Right ? request : NULL);
    KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL);
    IoFreeWorkItem(item);
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE VOID ReadUnguarded(REQUEST *request)
{
    Sink = *request->Input;
}

VISIBLE NTSTATUS TouchUnguarded(REQUEST *request)
{
    NTSTATUS status = STATUS_SUCCESS;

    if (!Right) {
        ReadUnguarded(request);
        return Complete(request->Irp, status, 0);
    }
    /* The handler of a caller counts. */
    __try {
        ProbeForRead((PVOID)request->Input, 64, 1);
        ReadUnguarded(request);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    return Complete(request->Irp, status, 0);
}

VISIBLE NTSTATUS CopyUnguarded(REQUEST *request)
{
    UCHAR data[64];
    NTSTATUS status = STATUS_SUCCESS;
    PVOID (NTAPI *move)(PVOID, const VOID *, SIZE_T);
    UNICODE_STRING name;

    RtlInitUnicodeString(&name, L"memmove");
    move = MmGetSystemRoutineAddress(&name);
    if (!Right) {
        move(data, (const VOID *)request->Input, sizeof data);
        Sink = data[0];
        return Complete(request->Irp, status, 0);
    }
    __try {
        ProbeForRead((PVOID)request->Input, sizeof data, 1);
        move(data, (const VOID *)request->Input, sizeof data);
        Sink = data[0];
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    return Complete(request->Irp, status, 0);
}

/* A length that the caller can change after it was looked at. */
VISIBLE VOID ReadTwice(REQUEST *request)
{
    UCHAR length = request->Input[0];
    UCHAR n;

    if (length > 32)
        length = 32;
    for (n = 1; n < (Right ? length : request->Input[0]); n++)
        request->Output[n] = request->Input[n];
}

VISIBLE NTSTATUS CopyGuarded(REQUEST *request)
{
    NTSTATUS status = STATUS_SUCCESS;

    __try {
        ProbeForRead((PVOID)request->Input, 64, 1);
        ProbeForWrite((PVOID)request->Output, 64, 1);
        ReadTwice(request);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    return Complete(request->Irp, status, 0);
}

VISIBLE NTSTATUS ReadNull(REQUEST *request)
{
    volatile UCHAR byte = 0;
    volatile UCHAR *volatile from = Right ? &byte : NULL;

    Sink = *from;
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE VOID Fill(ULONG bytes)
{
    volatile UCHAR array[32];
    ULONG n;

    for (n = 0; n < bytes; n++)
        array[n] = 0xa5;
    Sink = array[bytes % sizeof array];
}

VISIBLE NTSTATUS OverrunFrame(REQUEST *request)
{
    Fill(Right ? 32 : 96);
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

VISIBLE NTSTATUS OverrunStack(REQUEST *request)
{
    Fill(Right ? 32 : 0x10000);
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS (*const Ways[])(REQUEST *) = {
    Forget, CompleteTwice, PendUnmarked, PendUnsaid, CompletePending, CompleteCancellable, SayTooMuch,
    ReturnRaised, ReturnWithLock, ReturnInRegion, LeaveMapped, LeaveLocked, ReadInAnotherProcess,
    TouchUnguarded, CopyUnguarded, CopyGuarded, ReadNull, OverrunFrame, OverrunStack,
};

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    REQUEST request;
    ULONG how;

    UNREFERENCED_PARAMETER(device);
    if (stack->MajorFunction == IRP_MJ_CLEANUP && Right)
        GiveBack();
    if (stack->MajorFunction != IRP_MJ_DEVICE_CONTROL)
        return Complete(irp, STATUS_SUCCESS, 0);
    how = (stack->Parameters.DeviceIoControl.IoControlCode >> 2 & 0xfff) - 0x800;
    if (how >= sizeof Ways / sizeof *Ways)
        return Complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    request.Irp = irp;
    request.Input = stack->Parameters.DeviceIoControl.Type3InputBuffer;
    request.Output = irp->UserBuffer;
    return Ways[how](&request);
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

    Right = Parameter(path, L"Right", 0);
    KeInitializeSpinLock(&Lock);
    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateSymbolicLink(&Link, &Name);
    if (!NT_SUCCESS(status))
        IoDeleteDevice(Device);
    return status;
}
