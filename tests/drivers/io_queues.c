/*
 * What a driver puts requests and work into: work items, cancel-safe queues,
 * remove locks, device queues and StartIo.
 */
#include "check.h"
#include "thread.h"

NTKERNELAPI BOOLEAN NTAPI PsIsSystemThread(PETHREAD thread);

static PDRIVER_OBJECT Driver;
static PDEVICE_OBJECT Device;

/* ---- work items ---- */

static KEVENT Ran;
static ULONG RanCount;
static PVOID RanObject, RanContext, RanItem;
static KIRQL RanIrql;
static PEPROCESS RanProcess;
static PKTHREAD RanThread;

static VOID Remember(PVOID object, PVOID context, PVOID item)
{
    RanCount++;
    RanObject = object;
    RanContext = context;
    RanItem = item;
    RanIrql = KeGetCurrentIrql();
    RanProcess = PsGetCurrentProcess();
    RanThread = KeGetCurrentThread();
    KeSetEvent(&Ran, IO_NO_INCREMENT, FALSE);
}

static VOID NTAPI Routine(PDEVICE_OBJECT device, PVOID context)
{
    Remember(device, context, NULL);
}

static VOID NTAPI RoutineEx(PVOID object, PVOID context, PIO_WORKITEM item)
{
    Remember(object, context, item);
    if (context == &Ran)
        IoFreeWorkItem(item);
}

static VOID NTAPI Parameter(PVOID parameter)
{
    Remember(NULL, parameter, NULL);
}

static VOID NTAPI WaitsForAnother(PDEVICE_OBJECT device, PVOID context)
{
    PIO_WORKITEM item = IoAllocateWorkItem(device);
    UNREFERENCED_PARAMETER(context);
    CHECK(item != NULL);
    IoQueueWorkItem(item, Routine, DelayedWorkQueue, &item);
    CHECK(KeWaitForSingleObject(&Ran, Executive, KernelMode, FALSE, NULL) == STATUS_SUCCESS);
    IoFreeWorkItem(item);
    Remember(device, context, NULL);
}

static VOID Wait(VOID)
{
    KeWaitForSingleObject(&Ran, Executive, KernelMode, FALSE, NULL);
}

static VOID IoWorkItems(VOID)
{
    PIO_WORKITEM item = IoAllocateWorkItem(Device);
    ULONG n;
    CHECK(item != NULL);
    for (n = 1; n <= 3; n++) {
        IoQueueWorkItem(item, Routine, DelayedWorkQueue, &n);
        Wait();
        CHECK(RanCount == n && RanObject == Device && RanContext == &n);
        CHECK(RanIrql == PASSIVE_LEVEL && RanProcess == PsInitialSystemProcess);
        CHECK(RanThread != KeGetCurrentThread() && PsIsSystemThread((PETHREAD)RanThread));
    }
    IoQueueWorkItemEx(item, RoutineEx, CriticalWorkQueue, NULL);
    Wait();
    CHECK(RanObject == Device && RanItem == item && RanContext == NULL);
    IoQueueWorkItemEx(item, RoutineEx, DelayedWorkQueue, &Ran); /* frees it */
    Wait();
    RanCount = 0;
    item = IoAllocateWorkItem((PDEVICE_OBJECT)Driver);
    IoQueueWorkItemEx(item, RoutineEx, DelayedWorkQueue, &Ran);
    Wait();
    CHECK(RanObject == Driver && RanCount == 1);
    item = IoAllocateWorkItem(Device);
    IoQueueWorkItem(item, WaitsForAnother, DelayedWorkQueue, NULL);
    while (RanCount != 3)
        Pause();
    CHECK(RanContext == NULL);
    KeClearEvent(&Ran);
    IoFreeWorkItem(item);
}

static VOID OwnMemory(VOID)
{
    PIO_WORKITEM item;
    CHECK(IoSizeofWorkItem() >= sizeof(WORK_QUEUE_ITEM) + 3 * sizeof(PVOID));
    item = ExAllocatePoolWithTag(NonPagedPool, IoSizeofWorkItem(), 0x6d657449);
    IoInitializeWorkItem(Device, item);
    IoQueueWorkItem(item, Routine, DelayedWorkQueue, item);
    Wait();
    CHECK(RanContext == item);
    IoUninitializeWorkItem(item);
    ExFreePoolWithTag(item, 0x6d657449);
}

static VOID ExWorkItems(VOID)
{
    static WORK_QUEUE_ITEM item;
    KIRQL irql;
    ExInitializeWorkItem(&item, Parameter, &irql);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    ExQueueWorkItem(&item, DelayedWorkQueue);
    KeLowerIrql(irql);
    Wait();
    CHECK(RanContext == &irql && RanIrql == PASSIVE_LEVEL);
    CHECK(item.List.Flink == NULL);
    CHECK(RanProcess == PsInitialSystemProcess);
}

/* ---- cancel-safe queues ---- */

static IO_CSQ Csq;
static LIST_ENTRY Packets;
static KSPIN_LOCK Lock;
static PIRP Canceled;
static NTSTATUS Refusal;
static PVOID InsertedWith;

#define ENTRY_OF(irp) (&(irp)->Tail.Overlay.ListEntry)
#define IRP_OF(entry) CONTAINING_RECORD(entry, IRP, Tail.Overlay.ListEntry)

static VOID NTAPI CsqInsert(PIO_CSQ csq, PIRP irp)
{
    CHECK(csq == &Csq && KeGetCurrentIrql() == DISPATCH_LEVEL);
    Note('i');
    InsertTailList(&Packets, ENTRY_OF(irp));
}

static NTSTATUS NTAPI CsqInsertEx(PIO_CSQ csq, PIRP irp, PVOID context)
{
    InsertedWith = context;
    if (NT_SUCCESS(Refusal))
        CsqInsert(csq, irp);
    return Refusal;
}

static VOID NTAPI CsqRemove(PIO_CSQ csq, PIRP irp)
{
    CHECK(csq == &Csq && KeGetCurrentIrql() == DISPATCH_LEVEL);
    Note('r');
    RemoveEntryList(ENTRY_OF(irp));
}

static PIRP NTAPI CsqPeek(PIO_CSQ csq, PIRP irp, PVOID context)
{
    PLIST_ENTRY entry = irp == NULL ? Packets.Flink : ENTRY_OF(irp)->Flink;
    CHECK(csq == &Csq && KeGetCurrentIrql() == DISPATCH_LEVEL);
    Note('p');
    for (; entry != &Packets; entry = entry->Flink)
        if (context == NULL || IRP_OF(entry)->Tail.Overlay.DriverContext[0] == context)
            return IRP_OF(entry);
    return NULL;
}

static VOID NTAPI CsqAcquire(PIO_CSQ csq, PKIRQL irql)
{
    CHECK(csq == &Csq);
    Note('a');
    KeAcquireSpinLock(&Lock, irql);
}

static VOID NTAPI CsqRelease(PIO_CSQ csq, KIRQL irql)
{
    CHECK(csq == &Csq && irql == PASSIVE_LEVEL);
    Note('l');
    KeReleaseSpinLock(&Lock, irql);
}

static VOID NTAPI CsqCanceled(PIO_CSQ csq, PIRP irp)
{
    CHECK(csq == &Csq && KeGetCurrentIrql() == PASSIVE_LEVEL);
    Note('c');
    Canceled = irp;
}

static PIRP NewIrp(VOID)
{
    PIRP irp = IoAllocateIrp(1, FALSE);
    IoSetNextIrpStackLocation(irp);
    IoGetCurrentIrpStackLocation(irp)->DeviceObject = Device;
    Canceled = NULL;
    return irp;
}

static BOOLEAN Pending(PIRP irp)
{
    return (IoGetCurrentIrpStackLocation(irp)->Control & SL_PENDING_RETURNED) != 0;
}

static VOID CancelSafeQueue(VOID)
{
    IO_CSQ_IRP_CONTEXT context;
    PIRP first = NewIrp(), second = NewIrp();
    InitializeListHead(&Packets);
    KeInitializeSpinLock(&Lock);
    CHECK(IoCsqInitialize(&Csq, CsqInsert, CsqRemove, CsqPeek, CsqAcquire, CsqRelease, CsqCanceled) == STATUS_SUCCESS);
    CHECK(Csq.Type == IO_TYPE_CSQ && Csq.CsqInsertIrp == CsqInsert && Csq.CsqRemoveIrp == CsqRemove);
    CHECK(Csq.CsqPeekNextIrp == CsqPeek && Csq.CsqAcquireLock == CsqAcquire && Csq.CsqReleaseLock == CsqRelease);
    CHECK(Csq.CsqCompleteCanceledIrp == CsqCanceled);
    TraceReset();
    CHECK(IoCsqRemoveNextIrp(&Csq, NULL) == NULL);
    CHECK_TRACE("apl");

    TraceReset();
    IoCsqInsertIrp(&Csq, first, NULL);
    CHECK_TRACE("ail");
    CHECK(Pending(first) && first->CancelRoutine != NULL && first->Tail.Overlay.DriverContext[3] == &Csq);
    IoCsqInsertIrp(&Csq, second, &context);
    CHECK(context.Type == IO_TYPE_CSQ_IRP_CONTEXT && context.Irp == second && context.Csq == &Csq);
    CHECK(second->Tail.Overlay.DriverContext[3] == &context);
    second->Tail.Overlay.DriverContext[0] = &second;
    TraceReset();
    CHECK(IoCsqRemoveNextIrp(&Csq, &second) == second);
    CHECK_TRACE("aprl");
    CHECK(context.Irp == NULL && second->Tail.Overlay.DriverContext[3] == NULL && second->CancelRoutine == NULL);
    CHECK(IoCsqRemoveIrp(&Csq, &context) == NULL);

    IoCsqInsertIrp(&Csq, second, &context);
    CHECK(IoCsqRemoveIrp(&Csq, &context) == second && context.Irp == NULL);
    IoCsqInsertIrp(&Csq, second, &context);
    TraceReset();
    CHECK(IoCancelIrp(second));
    CHECK_TRACE("arlc");
    CHECK(Canceled == second && second->Cancel && context.Irp == NULL);
    CHECK(IoCsqRemoveIrp(&Csq, &context) == NULL);
    CHECK(!IoCancelIrp(second));

    /* what was cancelled before is not queued */
    Canceled = NULL;
    TraceReset();
    IoCsqInsertIrp(&Csq, second, NULL);
    CHECK_TRACE("alc");
    CHECK(Canceled == second && second->CancelRoutine == NULL);

    /* one that is being cancelled is passed over */
    IoReuseIrp(second, STATUS_SUCCESS);
    IoSetNextIrpStackLocation(second);
    IoCsqInsertIrp(&Csq, second, NULL);
    IoSetCancelRoutine(first, NULL);
    TraceReset();
    CHECK(IoCsqRemoveNextIrp(&Csq, NULL) == second);
    CHECK_TRACE("apprl");
    CHECK(Packets.Flink == ENTRY_OF(first) && Packets.Blink == ENTRY_OF(first));
    IoFreeIrp(first);
    IoFreeIrp(second);
}

static VOID RefusingQueue(VOID)
{
    PIRP irp = NewIrp();
    InitializeListHead(&Packets);
    CHECK(IoCsqInitializeEx(&Csq, CsqInsertEx, CsqRemove, CsqPeek, CsqAcquire, CsqRelease, CsqCanceled) ==
          STATUS_SUCCESS);
    CHECK(Csq.Type == IO_TYPE_CSQ_EX);
    Refusal = STATUS_DEVICE_BUSY;
    TraceReset();
    CHECK(IoCsqInsertIrpEx(&Csq, irp, NULL, &Refusal) == STATUS_DEVICE_BUSY);
    CHECK_TRACE("al");
    CHECK(InsertedWith == &Refusal && irp->CancelRoutine == NULL && !Pending(irp) && IsListEmpty(&Packets));
    Refusal = STATUS_SUCCESS;
    CHECK(IoCsqInsertIrpEx(&Csq, irp, NULL, NULL) == STATUS_SUCCESS);
    CHECK(InsertedWith == NULL && IoCsqRemoveNextIrp(&Csq, NULL) == irp);
    IoFreeIrp(irp);
}

/* ---- remove locks ---- */

static IO_REMOVE_LOCK RemoveLock;
static BOOLEAN Removed;

static VOID NTAPI Remover(PVOID context)
{
    CHECK(IoAcquireRemoveLock(&RemoveLock, context) == STATUS_SUCCESS);
    IoReleaseRemoveLockAndWait(&RemoveLock, context);
    Removed = TRUE;
}

static VOID RemoveLocks(VOID)
{
    PVOID thread;
    IoInitializeRemoveLock(&RemoveLock, 0x6b636f4c, 1, 10);
    CHECK(!RemoveLock.Common.Removed && RemoveLock.Common.IoCount == 1);
    CHECK(KeReadStateEvent(&RemoveLock.Common.RemoveEvent) == 0);
    CHECK(IoAcquireRemoveLock(&RemoveLock, Device) == STATUS_SUCCESS);
    CHECK(RemoveLock.Common.IoCount == 2);
    thread = Start(Remover, &Removed);
    Pause();
    CHECK(!Removed && RemoveLock.Common.Removed);
    CHECK(IoAcquireRemoveLock(&RemoveLock, Driver) == STATUS_DELETE_PENDING);
    Pause();
    CHECK(!Removed);
    IoReleaseRemoveLock(&RemoveLock, Device);
    Finish(thread);
    CHECK(Removed && RemoveLock.Common.IoCount == 0);
    CHECK(IoAcquireRemoveLock(&RemoveLock, Driver) == STATUS_DELETE_PENDING);
}

/* ---- StartIo ---- */

static PIRP Current[4];
static ULONG Started;
static BOOLEAN Chain;
static ULONG Depth, Deepest;

static VOID NTAPI StartIo(PDEVICE_OBJECT device, PIRP irp)
{
    CHECK(device == Device && device->CurrentIrp == irp && KeGetCurrentIrql() == DISPATCH_LEVEL);
    Current[Started++ % 4] = irp;
    if (++Depth > Deepest)
        Deepest = Depth;
    if (Chain)
        IoStartNextPacket(device, FALSE);
    Depth--;
}

static VOID Next(BOOLEAN cancelable)
{
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    IoStartNextPacket(Device, cancelable);
    KeLowerIrql(irql);
}

static VOID NTAPI CancelInQueue(PDEVICE_OBJECT device, PIRP irp)
{
    BOOLEAN queued = device->CurrentIrp != irp &&
                     KeRemoveEntryDeviceQueue(&device->DeviceQueue, &irp->Tail.Overlay.DeviceQueueEntry);
    IoReleaseCancelSpinLock(irp->CancelIrql);
    Note(queued ? 'q' : 'n');
    Canceled = irp;
}

static VOID StartedPackets(VOID)
{
    PIRP irps[4];
    ULONG n, key = 1;
    KIRQL irql;
    for (n = 0; n < 4; n++)
        irps[n] = NewIrp();
    CHECK(!Device->DeviceQueue.Busy);
    IoStartPacket(Device, irps[0], NULL, NULL);
    CHECK(Started == 1 && Current[0] == irps[0] && Device->DeviceQueue.Busy);
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL);
    IoStartPacket(Device, irps[1], NULL, CancelInQueue);
    IoStartPacket(Device, irps[2], NULL, CancelInQueue);
    IoStartPacket(Device, irps[3], &key, NULL);
    CHECK(Started == 1 && irps[1]->CancelRoutine == CancelInQueue);
    TraceReset();
    CHECK(IoCancelIrp(irps[1]));
    CHECK_TRACE("q");
    Next(TRUE);
    CHECK(Started == 2 && Current[1] == irps[2] && irps[2]->CancelRoutine == CancelInQueue);
    TraceReset();
    CHECK(IoCancelIrp(irps[2]));
    CHECK_TRACE("n");
    IoReuseIrp(irps[1], STATUS_SUCCESS);
    irps[1]->Cancel = TRUE;
    TraceReset();
    IoStartPacket(Device, irps[1], NULL, CancelInQueue); /* cancelled before */
    CHECK_TRACE("q");
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    IoStartNextPacketByKey(Device, FALSE, 1);
    KeLowerIrql(irql);
    CHECK(Started == 3 && Current[2] == irps[3]);
    Next(FALSE);
    CHECK(Started == 3 && Device->CurrentIrp == NULL && !Device->DeviceQueue.Busy);
    IoSetStartIoAttributes(Device, FALSE, TRUE);
    IoStartPacket(Device, irps[0], NULL, CancelInQueue);
    CHECK(Started == 4 && irps[0]->CancelRoutine == NULL);
    for (n = 1; n < 4; n++)
        IoStartPacket(Device, irps[n], NULL, NULL);
    Chain = TRUE;
    Next(FALSE);
    CHECK(Started == 7 && Deepest == 3);
    Deepest = 0;
    Chain = FALSE;
    IoSetStartIoAttributes(Device, TRUE, FALSE);
    for (n = 0; n < 4; n++)
        IoStartPacket(Device, irps[n], NULL, NULL);
    Chain = TRUE;
    Next(FALSE);
    CHECK(Started == 11 && Deepest == 1 && !Device->DeviceQueue.Busy);
    for (n = 0; n < 4; n++)
        IoFreeIrp(irps[n]);
}

static VOID DeviceQueues(VOID)
{
    static KDEVICE_QUEUE queue;
    static KDEVICE_QUEUE_ENTRY entries[4];
    KIRQL irql;
    KeInitializeDeviceQueue(&queue);
    CHECK(queue.Type == 20 && queue.Size == sizeof(KDEVICE_QUEUE) && !queue.Busy && IsListEmpty(&queue.DeviceListHead));
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    CHECK(KeRemoveByKeyDeviceQueueIfBusy(&queue, 0) == NULL && !queue.Busy);
    CHECK(!KeInsertDeviceQueue(&queue, &entries[0]) && queue.Busy && !entries[0].Inserted);
    CHECK(KeInsertByKeyDeviceQueue(&queue, &entries[1], 7) && entries[1].Inserted && entries[1].SortKey == 7);
    CHECK(KeInsertByKeyDeviceQueue(&queue, &entries[2], 3));
    CHECK(KeInsertByKeyDeviceQueue(&queue, &entries[3], 7));
    CHECK(queue.DeviceListHead.Flink == &entries[2].DeviceListEntry);
    CHECK(queue.DeviceListHead.Blink == &entries[3].DeviceListEntry);
    CHECK(!KeRemoveEntryDeviceQueue(&queue, &entries[0]));
    CHECK(KeRemoveByKeyDeviceQueue(&queue, 4) == &entries[1] && !entries[1].Inserted);
    CHECK(KeRemoveByKeyDeviceQueue(&queue, 8) == &entries[2]);
    CHECK(KeRemoveEntryDeviceQueue(&queue, &entries[3]) && IsListEmpty(&queue.DeviceListHead) && queue.Busy);
    CHECK(KeRemoveDeviceQueue(&queue) == NULL && !queue.Busy);
    KeLowerIrql(irql);
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    IoDeleteDevice(Device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    NTSTATUS status;
    UNREFERENCED_PARAMETER(path);
    Driver = driver;
    driver->DriverUnload = Unload;
    driver->DriverStartIo = StartIo;
    status = IoCreateDevice(driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    KeInitializeEvent(&Ran, SynchronizationEvent, FALSE);
    CASE(IoWorkItems);
    CASE(OwnMemory);
    CASE(ExWorkItems);
    CASE(CancelSafeQueue);
    CASE(RefusingQueue);
    CASE(RemoveLocks);
    CASE(DeviceQueues);
    CASE(StartedPackets);
    if (!NT_SUCCESS(CHECK_STATUS))
        IoDeleteDevice(Device);
    return CHECK_STATUS;
}
