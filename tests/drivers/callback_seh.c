/*
 * Exceptions that cross the kernel: a dispatch routine fails that the kernel
 * called for the driver, and the one who sent the request takes the exception;
 * also DPCs, whose exceptions must end in themselves.
 */
#include "check.h"
#include "try.h"

static volatile ULONG_PTR Nowhere = 0x12340;
static volatile ULONG Sink;
static PDEVICE_OBJECT Device;
static PDEVICE_OBJECT Lower;

INLINED_NOT static VOID Finally(char letter, BOOLEAN abnormal)
{
    Note(abnormal ? (char)(letter - 32) : letter);
}

/* Sends a request to a device. What becomes of it does not matter here. */
INLINED_NOT static NTSTATUS Send(PDEVICE_OBJECT device, UCHAR major)
{
    PIRP irp = IoAllocateIrp(device->StackSize, FALSE);
    NTSTATUS status;
    if (irp == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    IoGetNextIrpStackLocation(irp)->MajorFunction = major;
    __try {
        status = IofCallDriver(device, irp);
        Sink = 0;
    } __finally {
        Finally('s', AbnormalTermination());
        IoFreeIrp(irp);
    }
    return status;
}

/* Fails in the way that the request's kind says. A function of its own, since
   clang lets a `__try` block begin right behind a call that does not return, and
   the return address would be in that block. */
INLINED_NOT static NTSTATUS NTAPI Fail(PDEVICE_OBJECT device, PIRP irp)
{
    UCHAR major = IoGetCurrentIrpStackLocation(irp)->MajorFunction;
    UNREFERENCED_PARAMETER(device);
    if (major == IRP_MJ_READ)
        Sink = *(volatile ULONG *)Nowhere;
    else if (major == IRP_MJ_WRITE)
        ExRaiseStatus(STATUS_DEVICE_NOT_READY);
    return STATUS_SUCCESS;
}

/* Passes a request on, in the middle of two calls by the kernel. */
static NTSTATUS NTAPI PassOn(PDEVICE_OBJECT device, PIRP irp)
{
    NTSTATUS status;
    UNREFERENCED_PARAMETER(device);
    UNREFERENCED_PARAMETER(irp);
    __try {
        __try {
            status = Send(Lower, IRP_MJ_WRITE);
            Sink = 0;
        } __except (Say('d', EXCEPTION_CONTINUE_SEARCH)) {
            Note('?');
            status = STATUS_UNSUCCESSFUL;
        }
    } __finally {
        Finally('p', AbnormalTermination());
    }
    return status;
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    if (IoGetCurrentIrpStackLocation(irp)->MajorFunction == IRP_MJ_DEVICE_CONTROL)
        return PassOn(device, irp);
    return Fail(device, irp);
}

INLINED_NOT static VOID ThroughOneCall(VOID)
{
    volatile ULONG local = 17;
    ULONG code = 0;
    __try {
        Send(Device, IRP_MJ_READ);
        CHECK(!"the request came back");
    } __except (Say('f', EXCEPTION_EXECUTE_HANDLER)) {
        code = GetExceptionCode();
    }
    CHECK_TRACE("fS");
    CHECK(code == (ULONG)STATUS_ACCESS_VIOLATION);
    CHECK(local == 17);
    /* The same way works again. */
    CHECK(Send(Device, IRP_MJ_FLUSH_BUFFERS) == STATUS_SUCCESS);
    CHECK_TRACE("fSs");
}

INLINED_NOT static VOID ThroughTwoCalls(VOID)
{
    ULONG code = 0;
    __try {
        Send(Device, IRP_MJ_DEVICE_CONTROL);
        CHECK(!"the request came back");
    } __except (Say('f', EXCEPTION_EXECUTE_HANDLER)) {
        code = GetExceptionCode();
    }
    CHECK_TRACE("dfSPS");
    CHECK(code == (ULONG)STATUS_DEVICE_NOT_READY);
}

static ULONG Readable = 5;

static LONG Repair(PEXCEPTION_POINTERS pointers)
{
    /* Whichever register holds the address. */
    PULONG64 registers = &pointers->ContextRecord->Rax;
    for (ULONG n = 0; n < 16; n++)
        if (registers[n] == Nowhere)
            registers[n] = (ULONG_PTR)&Readable;
    return EXCEPTION_CONTINUE_EXECUTION;
}

/* The sender's filter puts right what the dispatch routine did wrong: that goes
   on, and the kernel's call returns. */
INLINED_NOT static VOID ContinueInside(VOID)
{
    NTSTATUS status = STATUS_UNSUCCESSFUL;
    Sink = 0;
    __try {
        status = Send(Device, IRP_MJ_READ);
    } __except (Repair(GetExceptionInformation())) {
        CHECK(!"continued execution ended in the handler");
    }
    CHECK(status == STATUS_SUCCESS);
    CHECK(Sink == 0);
    CHECK_TRACE("s");
}

INLINED_NOT static VOID ManyTimes(VOID)
{
    volatile ULONG caught = 0;
    for (ULONG n = 0; n < 3000; n++) {
        __try {
            Send(Device, IRP_MJ_DEVICE_CONTROL);
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            caught++;
        }
    }
    CHECK(caught == 3000);
}

INLINED_NOT static VOID ReadNowhere(VOID)
{
    Sink = *(volatile ULONG *)Nowhere;
}

static volatile ULONG DpcCaught;

/* At DISPATCH_LEVEL a fault is a bug check; what is raised by a call is not. */
static VOID NTAPI DpcRoutine(PKDPC dpc, PVOID context, PVOID first, PVOID second)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(first);
    UNREFERENCED_PARAMETER(second);
    __try {
        ExRaiseStatus(STATUS_INVALID_PARAMETER);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        DpcCaught = GetExceptionCode();
    }
}

INLINED_NOT static VOID InsideADpc(VOID)
{
    static KDPC dpc;
    KIRQL irql = KeGetCurrentIrql();
    DpcCaught = 0;
    KeInitializeDpc(&dpc, DpcRoutine, NULL);
    __try {
        CHECK(KeInsertQueueDpc(&dpc, NULL, NULL));
        for (ULONG n = 0; n < 100000000 && DpcCaught == 0; n++)
            Sink = n;
        ReadNowhere();
    } __except (Say('f', EXCEPTION_EXECUTE_HANDLER)) {
        CHECK(GetExceptionCode() == STATUS_ACCESS_VIOLATION);
    }
    CHECK(DpcCaught == (ULONG)STATUS_INVALID_PARAMETER);
    CHECK_TRACE("f");
    CHECK(KeGetCurrentIrql() == irql);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    IoDeleteDevice(Device);
    IoDeleteDevice(Lower);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    NTSTATUS status;
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    for (ULONG n = 0; n <= IRP_MJ_MAXIMUM_FUNCTION; n++)
        driver->MajorFunction[n] = Dispatch;
    status = IoCreateDevice(driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateDevice(driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Lower);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(Device);
        return status;
    }
    RUN(ThroughOneCall);
    RUN(ThroughTwoCalls);
    RUN(ContinueInside);
    RUN(ManyTimes);
    RUN(InsideADpc);
    return CHECK_STATUS;
}
