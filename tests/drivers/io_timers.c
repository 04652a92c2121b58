/*
 * The rest of what the I/O manager offers to a driver without hardware: timers,
 * extensions, events by name, stacks, IRPs around IRPs, and being told of the
 * end of initialisation and of the system.
 */
#include "check.h"
#include "thread.h"

NTKERNELAPI PVOID NTAPI IoGetInitialStack(VOID);
NTKERNELAPI BOOLEAN NTAPI IoIs32bitProcess(PIRP irp);
NTKERNELAPI PIRP NTAPI IoGetTopLevelIrp(VOID);
NTKERNELAPI VOID NTAPI IoSetTopLevelIrp(PIRP irp);
NTKERNELAPI BOOLEAN NTAPI IoIsOperationSynchronous(PIRP irp);
NTKERNELAPI PEPROCESS NTAPI IoGetRequestorProcess(PIRP irp);
NTKERNELAPI ULONG NTAPI IoGetRequestorProcessId(PIRP irp);
NTKERNELAPI PIRP NTAPI IoMakeAssociatedIrp(PIRP irp, CCHAR locations);
NTKERNELAPI VOID NTAPI IoGetStackLimits(PULONG_PTR low, PULONG_PTR high);

static PDRIVER_OBJECT Driver;
static PDEVICE_OBJECT Device, Upper;
static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\NtboxRest");
static ULONG Reinitialized;

static VOID DriverExtension(VOID)
{
    static ULONG id;
    ULONG *area = NULL, *again = (ULONG *)&id;
    CHECK(IoGetDriverObjectExtension(Driver, &id) == NULL);
    CHECK(IoAllocateDriverObjectExtension(Driver, &id, 64, (PVOID *)&area) == STATUS_SUCCESS);
    CHECK(area != NULL && area[0] == 0 && area[15] == 0);
    CHECK(IoAllocateDriverObjectExtension(Driver, &id, 64, (PVOID *)&again) == STATUS_OBJECT_NAME_COLLISION);
    CHECK(again == NULL);
    CHECK(IoGetDriverObjectExtension(Driver, &id) == area && IoGetDriverObjectExtension(Driver, &area) == NULL);
}

static VOID ErrorLog(VOID)
{
    PVOID entry;
    CHECK(IoAllocateErrorLogEntry(Device, sizeof(IO_ERROR_LOG_PACKET) - 1) == NULL);
    CHECK(IoAllocateErrorLogEntry(Device, ERROR_LOG_MAXIMUM_SIZE + 1) == NULL);
    entry = IoAllocateErrorLogEntry(Device, sizeof(IO_ERROR_LOG_PACKET));
    CHECK(entry != NULL);
    IoWriteErrorLogEntry(entry);
    entry = IoAllocateErrorLogEntry(Driver, ERROR_LOG_MAXIMUM_SIZE);
    CHECK(entry != NULL);
    IoFreeErrorLogEntry(entry);
}

static VOID Stacks(VOID)
{
    ULONG_PTR low, high, here = (ULONG_PTR)&low;
    IoGetStackLimits(&low, &high);
    CHECK(low < here && here < high && (low & (PAGE_SIZE - 1)) == 0 && (ULONG_PTR)IoGetInitialStack() == high);
    CHECK(IoGetRemainingStackSize() < high - low && IoGetRemainingStackSize() > here - low - 2048);
}

static VOID NamedEvents(VOID)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\BaseNamedObjects\\NtboxRest");
    LARGE_INTEGER none = {{0}};
    HANDLE handle, second;
    PKEVENT event = IoCreateSynchronizationEvent(&name, &handle);
    CHECK(event != NULL && KeReadStateEvent(event) != 0);
    CHECK(KeWaitForSingleObject(event, Executive, KernelMode, FALSE, &none) == STATUS_SUCCESS);
    CHECK(KeWaitForSingleObject(event, Executive, KernelMode, FALSE, &none) == STATUS_TIMEOUT);
    CHECK(IoCreateSynchronizationEvent(&name, &second) == event && second != handle && KeReadStateEvent(event) == 0);
    CHECK(ZwClose(second) == STATUS_SUCCESS && ZwClose(handle) == STATUS_SUCCESS);
    event = IoCreateNotificationEvent(&name, &handle);
    CHECK(event != NULL && KeWaitForSingleObject(event, Executive, KernelMode, FALSE, &none) == STATUS_SUCCESS);
    CHECK(KeReadStateEvent(event) != 0);
    CHECK(ZwClose(handle) == STATUS_SUCCESS);
}

static ULONG Ticks;
static KIRQL TickIrql;

static VOID NTAPI Tick(PDEVICE_OBJECT device, PVOID context)
{
    CHECK(device == Device);
    TickIrql = KeGetCurrentIrql();
    ++*(ULONG *)context;
}

static VOID Sleep(ULONG milliseconds)
{
    LARGE_INTEGER time;
    time.QuadPart = -10000LL * milliseconds;
    KeDelayExecutionThread(KernelMode, FALSE, &time);
}

static VOID Timers(VOID)
{
    ULONG before;
    CHECK(Device->Timer == NULL);
    CHECK(IoInitializeTimer(Device, Tick, &Ticks) == STATUS_SUCCESS && Device->Timer != NULL);
    Sleep(2500);
    CHECK(Ticks == 0);
    IoStartTimer(Device);
    Sleep(2500);
    /* About once a second, and the first time may be anywhere in it. */
    CHECK((Ticks == 2 || Ticks == 3) && TickIrql == DISPATCH_LEVEL);
    IoStopTimer(Device); /* not for the routine itself to call */
    before = Ticks;
    Sleep(2500);
    CHECK(Ticks == before);
    IoStartTimer(Device); /* goes on; the device's end stops it */
    Sleep(1500);
    CHECK(Ticks == before + 1 || Ticks == before + 2);
}

static PIRP Held;
static NTSTATUS Answer;

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    CHECK(stack->DeviceObject == device);
    Note(stack->MajorFunction == IRP_MJ_SHUTDOWN ? 's' : 'd');
    if (stack->MajorFunction == IRP_MJ_SHUTDOWN)
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "shutdown %s\n", device == Device ? "lower" : "upper");
    if (stack->MajorFunction == IRP_MJ_WRITE) {
        IoMarkIrpPending(irp);
        Held = irp;
        return STATUS_PENDING;
    }
    irp->IoStatus.Status = Answer;
    irp->IoStatus.Information = 5;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return Answer;
}

static NTSTATUS NTAPI Done(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    UNREFERENCED_PARAMETER(device);
    UNREFERENCED_PARAMETER(irp);
    Note(*(char *)context);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static VOID NTAPI CompleteHeld(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    Pause();
    Held->IoStatus.Status = STATUS_DEVICE_BUSY;
    IoCompleteRequest(Held, IO_NO_INCREMENT);
}

static VOID Forwarding(VOID)
{
    PIRP irp = IoAllocateIrp(2, FALSE), small = IoAllocateIrp(1, FALSE);
    PVOID thread;
    IoSetNextIrpStackLocation(irp);
    IoSetNextIrpStackLocation(small);
    IoGetCurrentIrpStackLocation(irp)->MajorFunction = IRP_MJ_READ;
    IoGetCurrentIrpStackLocation(irp)->Parameters.Read.Length = 99;
    CHECK(!IoForwardIrpSynchronously(Device, small));
    Answer = STATUS_DEVICE_NOT_READY;
    CHECK(IoForwardIrpSynchronously(Device, irp));
    CHECK(irp->IoStatus.Status == STATUS_DEVICE_NOT_READY && irp->IoStatus.Information == 5);
    IoReuseIrp(irp, STATUS_SUCCESS);
    IoSetNextIrpStackLocation(irp);
    IoGetCurrentIrpStackLocation(irp)->MajorFunction = IRP_MJ_WRITE;
    thread = Start(CompleteHeld, NULL);
    CHECK(IoForwardIrpSynchronously(Device, irp));
    CHECK(irp->IoStatus.Status == STATUS_DEVICE_BUSY);
    Finish(thread);
    IoFreeIrp(irp);
    IoFreeIrp(small);
}

static VOID Completion(VOID)
{
    char success = 'S', error = 'E';
    PIRP irp = IoAllocateIrp(1, FALSE);
    Answer = STATUS_SUCCESS;
    TraceReset();
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_READ;
    CHECK(IoSetCompletionRoutineEx(Device, irp, Done, &success, TRUE, FALSE, FALSE) == STATUS_SUCCESS);
    CHECK(IoCallDriver(Device, irp) == STATUS_SUCCESS);
    CHECK_TRACE("dS");
    Answer = STATUS_UNSUCCESSFUL;
    IoReuseIrp(irp, STATUS_SUCCESS);
    TraceReset();
    IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_READ;
    CHECK(IoSetCompletionRoutineEx(Device, irp, Done, &error, FALSE, TRUE, FALSE) == STATUS_SUCCESS);
    CHECK(IoCallDriver(Device, irp) == STATUS_UNSUCCESSFUL);
    CHECK_TRACE("dE");
    IoFreeIrp(irp);
}

static VOID Associated(VOID)
{
    char mark = 'M';
    PIRP master = IoAllocateIrp(2, FALSE), parts[2];
    ULONG n;
    IoSetCompletionRoutine(master, Done, &mark, TRUE, TRUE, TRUE);
    IoSetNextIrpStackLocation(master);
    master->AssociatedIrp.IrpCount = 2;
    Answer = STATUS_SUCCESS;
    TraceReset();
    for (n = 0; n < 2; n++) {
        parts[n] = IoMakeAssociatedIrp(master, 1);
        CHECK(parts[n]->AssociatedIrp.MasterIrp == master && (parts[n]->Flags & IRP_ASSOCIATED_IRP));
        IoGetNextIrpStackLocation(parts[n])->MajorFunction = IRP_MJ_READ;
    }
    IoCallDriver(Device, parts[0]);
    CHECK(master->AssociatedIrp.IrpCount == 1);
    CHECK_TRACE("d");
    IoCallDriver(Device, parts[1]);
    CHECK_TRACE("ddM");
    IoFreeIrp(master);
}

static VOID Requestors(VOID)
{
    PIRP irp = IoAllocateIrp(1, FALSE);
    IoSetNextIrpStackLocation(irp);
    CHECK((irp->AllocationFlags & (IRP_ALLOCATED_FIXED_SIZE | IRP_LOOKASIDE_ALLOCATION)) == IRP_ALLOCATED_FIXED_SIZE);
    IoReuseIrp(irp, STATUS_SUCCESS);
    CHECK(irp->AllocationFlags & IRP_ALLOCATED_FIXED_SIZE);
    IoSetNextIrpStackLocation(irp);
    CHECK(!IoIs32bitProcess(NULL) && !IoIs32bitProcess(irp));
    CHECK(IoGetRequestorProcess(irp) == NULL && IoGetRequestorProcessId(irp) == 0);
    irp->Tail.Overlay.Thread = PsGetCurrentThread();
    CHECK(IoGetRequestorProcess(irp) == PsGetCurrentProcess() && IoGetRequestorProcessId(irp) == 4);
    CHECK(!IoIsOperationSynchronous(irp));
    irp->Flags = IRP_SYNCHRONOUS_API;
    CHECK(IoIsOperationSynchronous(irp));
    irp->Flags = IRP_SYNCHRONOUS_API | IRP_PAGING_IO;
    CHECK(!IoIsOperationSynchronous(irp));
    irp->Flags = IRP_PAGING_IO | IRP_SYNCHRONOUS_PAGING_IO;
    CHECK(IoIsOperationSynchronous(irp));
    CHECK(IoGetTopLevelIrp() == NULL);
    IoSetTopLevelIrp(irp);
    CHECK(IoGetTopLevelIrp() == irp);
    IoSetTopLevelIrp(NULL);
    CHECK(IoGetTopLevelIrp() == NULL);
    IoFreeIrp(irp);
}

static VOID NTAPI Reinitialize(PDRIVER_OBJECT driver, PVOID context, ULONG count)
{
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "reinitialize %lu %d\n", count, context == &Reinitialized);
    if (count == 1)
        IoRegisterDriverReinitialization(driver, Reinitialize, context);
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    IoUnregisterShutdownNotification(Upper);
    IoDeleteDevice(Upper);
    IoDeleteDevice(Device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    NTSTATUS status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    UNREFERENCED_PARAMETER(path);
    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateDevice(driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Upper);
    if (!NT_SUCCESS(status))
        return status;
    Driver = driver;
    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_READ] = Dispatch;
    driver->MajorFunction[IRP_MJ_WRITE] = Dispatch;
    driver->MajorFunction[IRP_MJ_SHUTDOWN] = Dispatch;
    CASE(DriverExtension);
    CASE(ErrorLog);
    CASE(Stacks);
    CASE(NamedEvents);
    CASE(Timers);
    CASE(Forwarding);
    CASE(Completion);
    CASE(Associated);
    CASE(Requestors);
    CHECK(IoRegisterLastChanceShutdownNotification(Device) == STATUS_SUCCESS);
    CHECK(IoRegisterShutdownNotification(Device) == STATUS_SUCCESS);
    CHECK(IoRegisterShutdownNotification(Upper) == STATUS_SUCCESS);
    CHECK((Device->Flags & DO_SHUTDOWN_REGISTERED) != 0);
    IoRegisterDriverReinitialization(driver, Reinitialize, &Reinitialized);
    if (!NT_SUCCESS(CHECK_STATUS))
        Unload(driver);
    return CHECK_STATUS;
}
