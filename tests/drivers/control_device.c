/*
 * A control device with one request of each kind: the four ways in which data
 * moves, one that waits until it is cancelled, one that a timer completes, and
 * the mistakes that a dispatch routine makes. What each does is in its case.
 */
#include <ntddk.h>

#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "device: " __VA_ARGS__)
#define CODE(function, method) CTL_CODE(0x8000, 0x800 + (function), method, FILE_ANY_ACCESS)

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\NtboxTest");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\NtboxTest");
static PDEVICE_OBJECT Device;
static KTIMER Timer;
static KDPC Dpc;
static PMDL Mapped;
static PVOID MappedAt;
static PVOID MappedPool;

static NTSTATUS Complete(PIRP irp, NTSTATUS status, ULONG_PTR information)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = information;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static VOID NTAPI Cancel(PDEVICE_OBJECT device, PIRP irp)
{
    UNREFERENCED_PARAMETER(device);
    IoReleaseCancelSpinLock(irp->CancelIrql);
    SAY("cancelled at IRQL %d\n", KeGetCurrentIrql());
    Complete(irp, STATUS_CANCELLED, 0);
}

static VOID NTAPI Due(PKDPC dpc, PVOID context, PVOID low, PVOID high)
{
    PIRP irp = context;
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(low);
    UNREFERENCED_PARAMETER(high);
    *(ULONG *)irp->AssociatedIrp.SystemBuffer = KeGetCurrentIrql();
    Complete(irp, STATUS_SUCCESS, sizeof(ULONG));
}

static NTSTATUS Pend(PIRP irp)
{
    KIRQL irql;
    IoMarkIrpPending(irp);
    IoAcquireCancelSpinLock(&irql);
    IoSetCancelRoutine(irp, Cancel);
    IoReleaseCancelSpinLock(irql);
    return STATUS_PENDING;
}

static NTSTATUS PendForFiveSeconds(PIRP irp)
{
    LARGE_INTEGER due;
    due.QuadPart = -5 * 10000000LL;
    IoMarkIrpPending(irp);
    KeInitializeTimer(&Timer);
    KeInitializeDpc(&Dpc, Due, irp);
    KeSetTimer(&Timer, due, &Dpc);
    return STATUS_PENDING;
}

static NTSTATUS Buffered(PIRP irp, ULONG input, ULONG output)
{
    UCHAR *data = irp->AssociatedIrp.SystemBuffer;
    ULONG n, count = input < output ? input : output;
    for (n = 0; n < count; n++)
        data[n] ^= 0x55;
    return Complete(irp, STATUS_SUCCESS, count);
}

static NTSTATUS Direct(PIRP irp)
{
    UCHAR *data;
    ULONG n, count;
    if (irp->MdlAddress == NULL)
        return Complete(irp, STATUS_INVALID_PARAMETER, 0);
    data = MmGetSystemAddressForMdlSafe(irp->MdlAddress, NormalPagePriority);
    if (data == NULL)
        return Complete(irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    count = MmGetMdlByteCount(irp->MdlAddress);
    for (n = 0; n < count; n++)
        data[n] = (UCHAR)n;
    return Complete(irp, STATUS_SUCCESS, count);
}

/* Nonpaged pool of its own, mapped into the process that asks, for its handle. */
static NTSTATUS MapIntoCaller(PIRP irp)
{
    MappedPool = ExAllocatePoolWithTag(NonPagedPool, PAGE_SIZE, 0x74657354);
    if (MappedPool == NULL)
        return Complete(irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    RtlZeroMemory(MappedPool, PAGE_SIZE);
    *(ULONG *)MappedPool = 0x600dcafe;
    Mapped = IoAllocateMdl(MappedPool, PAGE_SIZE, FALSE, FALSE, NULL);
    if (Mapped == NULL) {
        ExFreePoolWithTag(MappedPool, 0x74657354);
        MappedPool = NULL;
        return Complete(irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    MmBuildMdlForNonPagedPool(Mapped);
    MappedAt = MmMapLockedPagesSpecifyCache(Mapped, UserMode, MmCached, NULL, FALSE, NormalPagePriority);
    *(PVOID *)irp->AssociatedIrp.SystemBuffer = MappedAt;
    return Complete(irp, STATUS_SUCCESS, sizeof(PVOID));
}

static VOID Unmap(void)
{
    if (Mapped == NULL)
        return;
    SAY("unmapping in process %Iu\n", (ULONG_PTR)PsGetCurrentProcessId());
    MmUnmapLockedPages(MappedAt, Mapped);
    IoFreeMdl(Mapped);
    ExFreePoolWithTag(MappedPool, 0x74657354);
    Mapped = NULL;
}

static NTSTATUS Control(PIRP irp, PIO_STACK_LOCATION stack)
{
    ULONG input = stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG output = stack->Parameters.DeviceIoControl.OutputBufferLength;
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case CODE(0, METHOD_BUFFERED):
        return Buffered(irp, input, output);
    case CODE(1, METHOD_OUT_DIRECT):
        return Direct(irp);
    case CODE(2, METHOD_NEITHER):
        *(ULONG *)irp->UserBuffer = *(ULONG *)stack->Parameters.DeviceIoControl.Type3InputBuffer + 1;
        return Complete(irp, STATUS_SUCCESS, sizeof(ULONG));
    case CODE(3, METHOD_BUFFERED):
        return Pend(irp);
    case CODE(4, METHOD_BUFFERED):
        return PendForFiveSeconds(irp);
    case CODE(5, METHOD_BUFFERED): /* says more than the caller has room for */
        return Complete(irp, STATUS_SUCCESS, (ULONG_PTR)output + 16);
    case CODE(6, METHOD_BUFFERED): /* forgets the request */
        return STATUS_SUCCESS;
    case CODE(7, METHOD_BUFFERED): /* completes it twice */
        Complete(irp, STATUS_SUCCESS, 0);
        return Complete(irp, STATUS_SUCCESS, 0);
    case CODE(8, METHOD_BUFFERED): /* completes it, and says that it goes on */
        Complete(irp, STATUS_SUCCESS, 0);
        return STATUS_PENDING;
    case CODE(9, METHOD_BUFFERED):
        return MapIntoCaller(irp);
    default:
        return Complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    UNREFERENCED_PARAMETER(device);
    switch (stack->MajorFunction) {
    case IRP_MJ_CREATE:
        SAY("create '%wZ' mode %d\n", &stack->FileObject->FileName, irp->RequestorMode);
        return Complete(irp, STATUS_SUCCESS, 0);
    case IRP_MJ_CLEANUP:
        SAY("cleanup\n");
        Unmap();
        return Complete(irp, STATUS_SUCCESS, 0);
    case IRP_MJ_CLOSE:
        SAY("close\n");
        return Complete(irp, STATUS_SUCCESS, 0);
    case IRP_MJ_DEVICE_CONTROL:
        return Control(irp, stack);
    default:
        return Complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
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
    UNREFERENCED_PARAMETER(path);
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
