/*
 * Mistakes with locks, dispatcher objects and strings: the function of the control
 * code says which. The DWORD `Right` in the Parameters key is 1 for the same without
 * the mistake.
 */
#include "parameter.h"

#define VISIBLE __attribute__((noinline, used))

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\VerifierLocks");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\VerifierLocks");
static PDEVICE_OBJECT Device;
static volatile ULONG Right;
static ERESOURCE First, Second;
static FAST_MUTEX Fast;
static KMUTEX Mutex;
static KEVENT Event;
static KSEMAPHORE Semaphore;
/* What is a lock of another kind later. */
static union {
    KSPIN_LOCK Spin;
    FAST_MUTEX Fast;
} Reused;
static KSPIN_LOCK Spin;

static NTSTATUS Complete(PIRP irp, NTSTATUS status)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

VISIBLE VOID AcquireBoth(PERESOURCE outer, PERESOURCE inner, BOOLEAN shared)
{
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(outer, TRUE);
    if (shared)
        ExAcquireResourceSharedLite(inner, TRUE);
    else
        ExAcquireResourceExclusiveLite(inner, TRUE);
    ExReleaseResourceLite(inner);
    ExReleaseResourceLite(outer);
    KeLeaveCriticalRegion();
}

VISIBLE NTSTATUS TwoResources(PIRP irp)
{
    AcquireBoth(&First, &Second, FALSE);
    if (Right)
        AcquireBoth(&First, &Second, FALSE);
    else
        AcquireBoth(&Second, &First, TRUE);
    return Complete(irp, STATUS_SUCCESS);
}

VISIBLE VOID ShareBoth(PERESOURCE outer, PERESOURCE inner)
{
    KeEnterCriticalRegion();
    ExAcquireResourceSharedLite(outer, TRUE);
    ExAcquireResourceSharedLite(inner, TRUE);
    ExReleaseResourceLite(inner);
    ExReleaseResourceLite(outer);
    KeLeaveCriticalRegion();
}

/* Who shares keeps nobody out who shares. */
VISIBLE NTSTATUS SharedResources(PIRP irp)
{
    ShareBoth(&First, &Second);
    ShareBoth(&Second, &First);
    return Complete(irp, STATUS_SUCCESS);
}

VISIBLE VOID ResourceThenMutex(VOID)
{
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(&First, TRUE);
    ExAcquireFastMutexUnsafe(&Fast);
    ExReleaseFastMutexUnsafe(&Fast);
    ExReleaseResourceLite(&First);
    KeLeaveCriticalRegion();
}

VISIBLE VOID MutexThenResource(VOID)
{
    KeEnterCriticalRegion();
    ExAcquireFastMutexUnsafe(&Fast);
    ExAcquireResourceExclusiveLite(&First, TRUE);
    ExReleaseResourceLite(&First);
    ExReleaseFastMutexUnsafe(&Fast);
    KeLeaveCriticalRegion();
}

VISIBLE NTSTATUS ResourceAndFastMutex(PIRP irp)
{
    ResourceThenMutex();
    if (Right)
        ResourceThenMutex();
    else
        MutexThenResource();
    return Complete(irp, STATUS_SUCCESS);
}

VISIBLE VOID KernelMutexThenResource(VOID)
{
    KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, NULL);
    ExAcquireResourceExclusiveLite(&Second, TRUE);
    ExReleaseResourceLite(&Second);
    KeReleaseMutex(&Mutex, FALSE);
}

VISIBLE VOID ResourceThenKernelMutex(VOID)
{
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(&Second, TRUE);
    KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, NULL);
    KeReleaseMutex(&Mutex, FALSE);
    ExReleaseResourceLite(&Second);
    KeLeaveCriticalRegion();
}

VISIBLE NTSTATUS ResourceAndMutex(PIRP irp)
{
    KernelMutexThenResource();
    if (Right)
        KernelMutexThenResource();
    else
        ResourceThenKernelMutex();
    return Complete(irp, STATUS_SUCCESS);
}

/* Inline initialisation makes another lock of the same memory. */
VISIBLE NTSTATUS ReuseStatic(PIRP irp)
{
    KIRQL old;

    KeInitializeSpinLock(&Reused.Spin);
    KeAcquireSpinLock(&Reused.Spin, &old);
    KeAcquireSpinLockAtDpcLevel(&Spin);
    KeReleaseSpinLockFromDpcLevel(&Spin);
    KeReleaseSpinLock(&Reused.Spin, old);
    ExInitializeFastMutex(&Reused.Fast);
    ExAcquireFastMutex(&Reused.Fast);
    ExAcquireFastMutex(&Fast);
    ExReleaseFastMutex(&Fast);
    ExReleaseFastMutex(&Reused.Fast);
    ExInitializeFastMutex(&Reused.Fast);
    ExAcquireFastMutex(&Fast);
    ExAcquireFastMutex(&Reused.Fast);
    ExReleaseFastMutex(&Reused.Fast);
    ExReleaseFastMutex(&Fast);
    Reused.Spin = 0;
    KeAcquireSpinLock(&Spin, &old);
    KeAcquireSpinLockAtDpcLevel(&Reused.Spin);
    KeReleaseSpinLockFromDpcLevel(&Reused.Spin);
    KeReleaseSpinLock(&Spin, old);
    return Complete(irp, STATUS_SUCCESS);
}

VISIBLE NTSTATUS WaitForZeroedEvent(PIRP irp)
{
    LARGE_INTEGER soon;

    soon.QuadPart = -1;
    if (Right)
        KeInitializeEvent(&Event, NotificationEvent, FALSE);
    KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, &soon);
    KeSetEvent(&Event, IO_NO_INCREMENT, FALSE);
    KeWaitForSingleObject(&Event, Executive, KernelMode, FALSE, NULL);
    return Complete(irp, STATUS_SUCCESS);
}

VISIBLE NTSTATUS ReleaseZeroedSemaphore(PIRP irp)
{
    if (Right)
        KeInitializeSemaphore(&Semaphore, 0, 1);
    else
        Semaphore.Limit = 1;
    KeReleaseSemaphore(&Semaphore, IO_NO_INCREMENT, 1, FALSE);
    return Complete(irp, STATUS_SUCCESS);
}

VISIBLE NTSTATUS CopyOddString(PIRP irp)
{
    WCHAR buffer[8];
    UNICODE_STRING from = RTL_CONSTANT_STRING(L"four"), to = {0, sizeof buffer, buffer};

    if (!Right)
        from.Length = 7;
    RtlCopyUnicodeString(&to, &from);
    return Complete(irp, STATUS_SUCCESS);
}

VISIBLE NTSTATUS CompareOddString(PIRP irp)
{
    UNICODE_STRING one = RTL_CONSTANT_STRING(L"four"), other = RTL_CONSTANT_STRING(L"FOUR");

    if (!Right)
        one.Length = 7;
    RtlCompareUnicodeString(&one, &other, TRUE);
    return Complete(irp, STATUS_SUCCESS);
}

static NTSTATUS (*const Ways[])(PIRP) = {
    TwoResources, SharedResources, ResourceAndFastMutex, ResourceAndMutex, ReuseStatic, WaitForZeroedEvent,
    ReleaseZeroedSemaphore, CopyOddString, CompareOddString,
};

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    ULONG how;

    UNREFERENCED_PARAMETER(device);
    if (stack->MajorFunction != IRP_MJ_DEVICE_CONTROL)
        return Complete(irp, STATUS_SUCCESS);
    how = (stack->Parameters.DeviceIoControl.IoControlCode >> 2 & 0xfff) - 0x800;
    if (how >= sizeof Ways / sizeof *Ways)
        return Complete(irp, STATUS_INVALID_DEVICE_REQUEST);
    return Ways[how](irp);
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    ExDeleteResourceLite(&First);
    ExDeleteResourceLite(&Second);
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
    status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    ExInitializeResourceLite(&First);
    ExInitializeResourceLite(&Second);
    ExInitializeFastMutex(&Fast);
    KeInitializeMutex(&Mutex, 0);
    KeInitializeSpinLock(&Spin);
    status = IoCreateSymbolicLink(&Link, &Name);
    if (!NT_SUCCESS(status)) {
        ExDeleteResourceLite(&First);
        ExDeleteResourceLite(&Second);
        IoDeleteDevice(Device);
    }
    return status;
}
