/*
 * Mistakes with memory of a program, all of them where an exception is handled or
 * ought to be: the function of the control code (METHOD_NEITHER) says which. The
 * DWORD `Right` in the Parameters key is 1 for the same without the mistake.
 */
#include "neither_request.h"

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\VerifierUser");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\VerifierUser");
static volatile UCHAR Own;
static volatile UCHAR *volatile Pointer;

VISIBLE VOID Read(REQUEST *request)
{
    Sink = request->Input[0];
    Sink = request->Input[1];
}

VISIBLE NTSTATUS ReadUnprobed(REQUEST *request)
{
    NTSTATUS status = STATUS_SUCCESS;

    __try {
        if (Right)
            ProbeForRead((PVOID)request->Input, 64, 1);
        Read(request);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    return Complete(request->Irp, status, 0);
}

VISIBLE VOID Write(REQUEST *request)
{
    request->Output[0] = 1;
}

VISIBLE NTSTATUS WriteUnprobed(REQUEST *request)
{
    NTSTATUS status = STATUS_SUCCESS;

    __try {
        /* The other pointer of the two. */
        ProbeForRead((PVOID)request->Input, 64, 1);
        if (Right)
            ProbeForWrite((PVOID)request->Output, 64, 1);
        Write(request);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    return Complete(request->Irp, status, 0);
}

VISIBLE VOID ReadHeld(REQUEST *request)
{
    KIRQL old;

    if (Right)
        Sink = request->Input[0];
    KeAcquireSpinLock(&Lock, &old);
    if (!Right)
        Sink = request->Input[0];
    KeReleaseSpinLock(&Lock, old);
}

VISIBLE NTSTATUS ReadUnderSpinLock(REQUEST *request)
{
    NTSTATUS status = STATUS_SUCCESS;

    __try {
        ProbeForRead((PVOID)request->Input, 64, 1);
        ReadHeld(request);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    return Complete(request->Irp, status, 0);
}

VISIBLE NTSTATUS LockAsKernel(REQUEST *request)
{
    PMDL mdl = IoAllocateMdl((PVOID)request->Input, 64, FALSE, FALSE, NULL);
    NTSTATUS status = STATUS_SUCCESS;

    __try {
        MmProbeAndLockPages(mdl, Right ? UserMode : KernelMode, IoReadAccess);
        MmUnlockPages(mdl);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    IoFreeMdl(mdl);
    return Complete(request->Irp, status, 0);
}

VISIBLE VOID LockPages(PMDL mdl)
{
    MmProbeAndLockPages(mdl, UserMode, IoReadAccess);
    MmUnlockPages(mdl);
}

VISIBLE NTSTATUS LockUnguarded(REQUEST *request)
{
    PMDL mdl = IoAllocateMdl((PVOID)request->Input, 64, FALSE, FALSE, NULL);
    NTSTATUS status = STATUS_SUCCESS;

    if (!Right) {
        LockPages(mdl);
    } else {
        __try {
            LockPages(mdl);
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            status = GetExceptionCode();
        }
    }
    IoFreeMdl(mdl);
    return Complete(request->Irp, status, 0);
}

VISIBLE VOID Follow(VOID)
{
    Sink = Pointer[8];
}

VISIBLE NTSTATUS HideNull(REQUEST *request)
{
    Pointer = Right ? &Own - 8 : NULL;
    __try {
        Follow();
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Sink = 0;
    }
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

/* A program may pass NULL, which the handler is there for. */
VISIBLE NTSTATUS TakeNull(REQUEST *request)
{
    __try {
        ProbeForRead((PVOID)request->Input, 64, 1);
        Read(request);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Sink = 0;
    }
    return Complete(request->Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS (*const Ways[])(REQUEST *) = {
    ReadUnprobed, WriteUnprobed, ReadUnderSpinLock, LockAsKernel, LockUnguarded, HideNull, TakeNull,
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
