/*
 * Mistakes with what the I/O manager offers, one for each value of the DWORD
 * `How` in its Parameters. Each has a function of its own, so that a report can
 * name it.
 */
#include "parameter.h"

#define VISIBLE __attribute__((noinline, noclone, used))
#define TAG 0x6f49754d /* "MuIo" */

static PDEVICE_OBJECT Device;
static WORK_QUEUE_ITEM Item;
static IO_REMOVE_LOCK Lock;
static KDEVICE_QUEUE_ENTRY Entry;

static VOID NTAPI Nothing(PDEVICE_OBJECT device, PVOID context)
{
    UNREFERENCED_PARAMETER(device);
    UNREFERENCED_PARAMETER(context);
}

static VOID NTAPI NothingEither(PVOID parameter)
{
    UNREFERENCED_PARAMETER(parameter);
}

static VOID Delay(VOID)
{
    LARGE_INTEGER time;
    time.QuadPart = -100 * 10000;
    KeDelayExecutionThread(KernelMode, FALSE, &time);
}

/* Background work has a lower priority than this thread, so it stays queued. */
VISIBLE VOID FreeQueuedItem(VOID)
{
    PIO_WORKITEM item = IoAllocateWorkItem(Device);
    IoQueueWorkItem(item, Nothing, BackgroundWorkQueue, NULL);
    IoFreeWorkItem(item);
}

VISIBLE VOID QueueItemTwice(VOID)
{
    PIO_WORKITEM item = IoAllocateWorkItem(Device);
    IoQueueWorkItem(item, Nothing, BackgroundWorkQueue, NULL);
    IoQueueWorkItem(item, Nothing, BackgroundWorkQueue, NULL);
}

VISIBLE VOID FreeMemoryOfItem(VOID)
{
    PWORK_QUEUE_ITEM item = ExAllocatePoolWithTag(NonPagedPool, sizeof *item, TAG);
    ExInitializeWorkItem(item, NothingEither, NULL);
    ExQueueWorkItem(item, BackgroundWorkQueue);
    ExFreePoolWithTag(item, TAG);
}

VISIBLE VOID FreeForeignItem(VOID)
{
    IoFreeWorkItem((PIO_WORKITEM)&Item);
}

static VOID NTAPI StaysHigh(PVOID parameter)
{
    KIRQL irql;
    UNREFERENCED_PARAMETER(parameter);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
}

VISIBLE VOID ReturnHigh(VOID)
{
    ExInitializeWorkItem(&Item, StaysHigh, NULL);
    ExQueueWorkItem(&Item, DelayedWorkQueue);
    Delay();
}

VISIBLE VOID LeaveItem(VOID)
{
    (VOID)IoAllocateWorkItem(Device);
}

VISIBLE VOID LeaveLockHeld(VOID)
{
    IoInitializeRemoveLock(&Lock, TAG, 0, 0);
    (VOID)IoAcquireRemoveLock(&Lock, Device);
}

VISIBLE VOID ReleaseOther(VOID)
{
    IoInitializeRemoveLock(&Lock, TAG, 0, 0);
    (VOID)IoAcquireRemoveLock(&Lock, Device);
    IoReleaseRemoveLock(&Lock, &Lock);
    IoReleaseRemoveLock(&Lock, Device);
}

VISIBLE VOID RemoveFromIdle(VOID)
{
    (VOID)KeRemoveDeviceQueue(&Device->DeviceQueue);
}

VISIBLE VOID StartNextLow(VOID)
{
    (VOID)KeInsertDeviceQueue(&Device->DeviceQueue, &Entry);
    IoStartNextPacket(Device, FALSE);
}

static VOID NTAPI StopsItself(PDEVICE_OBJECT device, PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    IoStopTimer(device);
}

VISIBLE VOID StopInRoutine(VOID)
{
    LARGE_INTEGER time;
    time.QuadPart = -1500 * 10000;
    (VOID)IoInitializeTimer(Device, StopsItself, NULL);
    IoStartTimer(Device);
    KeDelayExecutionThread(KernelMode, FALSE, &time);
}

VISIBLE VOID QueueAtUnload(VOID)
{
    ExInitializeWorkItem(&Item, NothingEither, NULL);
    ExQueueWorkItem(&Item, BackgroundWorkQueue);
}

static ULONG How;

static VOID (*const Mistakes[])(VOID) = {
    FreeQueuedItem, QueueItemTwice, FreeMemoryOfItem, FreeForeignItem, ReturnHigh,  LeaveItem,
    LeaveLockHeld,  ReleaseOther,   RemoveFromIdle,   StartNextLow,   StopInRoutine,
};

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    IoDeleteDevice(Device);
    if (How == RTL_NUMBER_OF(Mistakes))
        QueueAtUnload();
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    NTSTATUS status = IoCreateDevice(driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    driver->DriverUnload = Unload;
    How = Parameter(path, L"How", 0);
    if (How < RTL_NUMBER_OF(Mistakes))
        Mistakes[How]();
    return STATUS_SUCCESS;
}
