/*
 * Pointers that the kernel calls for a driver, and that are garbage: the DWORD
 * `How` in its Parameters says which, `Value` what it is. Whoever sets `Right` to 1
 * gets the same with a routine.
 */
#include "parameter.h"

#define VISIBLE __attribute__((noinline, noclone, used))
#define TAG 0x62726147 /* "Garb" */

NTSYSAPI NTSTATUS NTAPI ZwWaitForSingleObject(HANDLE handle, BOOLEAN alertable, PLARGE_INTEGER timeout);

static PDRIVER_OBJECT Driver;
static PDEVICE_OBJECT Device;
static ULONG Right;
static PVOID Garbage;
static KEVENT Done;

static VOID NTAPI Nothing(PVOID a, PVOID b, PVOID c, PVOID d)
{
    UNREFERENCED_PARAMETER(a);
    UNREFERENCED_PARAMETER(b);
    UNREFERENCED_PARAMETER(c);
    UNREFERENCED_PARAMETER(d);
    KeSetEvent(&Done, 0, FALSE);
}

/* A routine, or what is none. */
static PVOID Pick(PVOID routine)
{
    return Right ? routine : Garbage;
}

static VOID Wait(VOID)
{
    KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL);
}

VISIBLE VOID QueueDpc(VOID)
{
    static KDPC dpc;

    KeInitializeDpc(&dpc, Pick(Nothing), NULL);
    KeInsertQueueDpc(&dpc, NULL, NULL);
    Wait();
}

VISIBLE VOID SetTimer(VOID)
{
    static KDPC dpc;
    static KTIMER timer;
    LARGE_INTEGER due;

    due.QuadPart = -10000;
    KeInitializeTimer(&timer);
    KeInitializeDpc(&dpc, Pick(Nothing), NULL);
    KeSetTimer(&timer, due, &dpc);
    Wait();
}

VISIBLE VOID QueueWork(VOID)
{
    static WORK_QUEUE_ITEM item;

    ExInitializeWorkItem(&item, Pick(Nothing), NULL);
    ExQueueWorkItem(&item, DelayedWorkQueue);
    Wait();
}

VISIBLE VOID QueueIoWork(VOID)
{
    PIO_WORKITEM item = IoAllocateWorkItem(Device);

    IoQueueWorkItem(item, Pick(Nothing), DelayedWorkQueue, NULL);
    Wait();
    IoFreeWorkItem(item);
}

static VOID NTAPI End(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

VISIBLE VOID StartThread(VOID)
{
    HANDLE handle;
    OBJECT_ATTRIBUTES attributes;

    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, &attributes, NULL, NULL, Pick(End), NULL);
    ZwWaitForSingleObject(handle, FALSE, NULL);
    ZwClose(handle);
}

static NTSTATUS NTAPI Completed(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    UNREFERENCED_PARAMETER(device);
    UNREFERENCED_PARAMETER(irp);
    UNREFERENCED_PARAMETER(context);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

VISIBLE VOID SendIrp(VOID)
{
    PIRP irp = IoAllocateIrp(Device->StackSize, FALSE);
    PIO_STACK_LOCATION next = IoGetNextIrpStackLocation(irp);

    next->MajorFunction = IRP_MJ_FLUSH_BUFFERS;
    IoSetCompletionRoutine(irp, Pick(Completed), NULL, TRUE, TRUE, TRUE);
    IoCallDriver(Device, irp);
    IoFreeIrp(irp);
}

VISIBLE VOID InsertApc(VOID)
{
    typedef VOID (NTAPI *INITIALIZE)(PVOID, PVOID, int, PVOID, PVOID, PVOID, KPROCESSOR_MODE, PVOID);
    typedef BOOLEAN (NTAPI *INSERT)(PVOID, PVOID, PVOID, KPRIORITY);
    static UCHAR apc[0x58] __attribute__((aligned(16)));
    UNICODE_STRING name;
    INITIALIZE initialize;
    INSERT insert;

    RtlInitUnicodeString(&name, L"KeInitializeApc");
    initialize = (INITIALIZE)MmGetSystemRoutineAddress(&name);
    RtlInitUnicodeString(&name, L"KeInsertQueueApc");
    insert = (INSERT)MmGetSystemRoutineAddress(&name);
    initialize(apc, KeGetCurrentThread(), 0, Pick(Nothing), NULL, NULL, KernelMode, NULL);
    insert(apc, NULL, NULL, 0);
    Wait();
}

static NTSTATUS NTAPI Filter(PVOID context, PVOID class, PVOID information)
{
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(class);
    UNREFERENCED_PARAMETER(information);
    return STATUS_SUCCESS;
}

VISIBLE VOID FilterRegistry(VOID)
{
    LARGE_INTEGER cookie;
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\Software");
    OBJECT_ATTRIBUTES attributes;
    HANDLE key;

    CmRegisterCallback(Pick(Filter), NULL, &cookie);
    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    if (NT_SUCCESS(ZwOpenKey(&key, KEY_READ, &attributes)))
        ZwClose(key);
    CmUnRegisterCallback(cookie);
}

static PVOID NTAPI Take(POOL_TYPE type, SIZE_T size, ULONG tag)
{
    return ExAllocatePoolWithTag(type, size, tag);
}

static VOID NTAPI Give(PVOID block)
{
    ExFreePoolWithTag(block, TAG);
}

/* The list gives its entries back when it ends. */
VISIBLE VOID GiveToList(VOID)
{
    static NPAGED_LOOKASIDE_LIST list;
    PVOID entry;

    ExInitializeNPagedLookasideList(&list, Take, Pick(Give), 512 /* POOL_NX_ALLOCATION */, 64, TAG, 0);
    entry = ExAllocateFromNPagedLookasideList(&list);
    ExFreeToNPagedLookasideList(&list, entry);
    ExDeleteNPagedLookasideList(&list);
}

static VOID NTAPI Cancelled(PDEVICE_OBJECT device, PIRP irp)
{
    UNREFERENCED_PARAMETER(device);
    IoReleaseCancelSpinLock(irp->CancelIrql);
}

VISIBLE VOID CancelIrp(VOID)
{
    PIRP irp = IoAllocateIrp(Device->StackSize, FALSE);

    IoSetNextIrpStackLocation(irp);
    IoSetCancelRoutine(irp, Pick(Cancelled));
    IoCancelIrp(irp);
    IoFreeIrp(irp);
}

static RTL_GENERIC_COMPARE_RESULTS NTAPI Compare(PRTL_AVL_TABLE table, PVOID one, PVOID two)
{
    UNREFERENCED_PARAMETER(table);
    UNREFERENCED_PARAMETER(one);
    UNREFERENCED_PARAMETER(two);
    return GenericEqual;
}

static PVOID NTAPI TakeNode(PRTL_AVL_TABLE table, CLONG bytes)
{
    UNREFERENCED_PARAMETER(table);
    return ExAllocatePoolWithTag(NonPagedPoolNx, bytes, TAG);
}

static VOID NTAPI GiveNode(PRTL_AVL_TABLE table, PVOID node)
{
    UNREFERENCED_PARAMETER(table);
    Give(node);
}

VISIBLE VOID SearchTable(VOID)
{
    static RTL_AVL_TABLE table;
    ULONG number = 1;

    RtlInitializeGenericTableAvl(&table, Pick(Compare), TakeNode, GiveNode, NULL);
    RtlInsertElementGenericTableAvl(&table, &number, sizeof number, NULL);
    RtlInsertElementGenericTableAvl(&table, &number, sizeof number, NULL);
    RtlDeleteElementGenericTableAvl(&table, &number);
}

VISIBLE VOID NotifyCallback(VOID)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Callback\\Garbage");
    OBJECT_ATTRIBUTES attributes;
    PCALLBACK_OBJECT object;
    PVOID handle;

    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE, NULL, NULL);
    ExCreateCallback(&object, &attributes, TRUE, TRUE);
    handle = ExRegisterCallback(object, Pick(Nothing), NULL);
    ExNotifyCallback(object, NULL, NULL);
    ExUnregisterCallback(handle);
    ObDereferenceObject(object);
}

static VOID NTAPI Notify(HANDLE parent, HANDLE process, BOOLEAN create)
{
    UNREFERENCED_PARAMETER(parent);
    UNREFERENCED_PARAMETER(process);
    UNREFERENCED_PARAMETER(create);
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
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\Garbage");

    UNREFERENCED_PARAMETER(driver);
    if (Right)
        PsSetCreateProcessNotifyRoutine(Notify, TRUE);
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(Device);
}

/* A program makes the process. */
VISIBLE VOID RegisterNotify(VOID)
{
    PsSetCreateProcessNotifyRoutine(Pick(Notify), FALSE);
}

/* A program opens the device. */
VISIBLE VOID SetMajorFunction(VOID)
{
    Driver->MajorFunction[IRP_MJ_CREATE] = Pick(Dispatch);
}

VISIBLE VOID OverwriteDriver(VOID)
{
    if (!Right)
        memset((PUCHAR)Driver + 0x10, 0xbd, sizeof *Driver - 0x10);
}

VISIBLE VOID OverwriteDevice(VOID)
{
    if (!Right)
        memset((PUCHAR)Device + 0x8, 0xbd, sizeof *Device - 0x8);
}

VISIBLE VOID SetUnload(VOID)
{
    Driver->DriverUnload = Pick(Unload);
}

/* What a host's system call with this number would do: it ends the process. */
VISIBLE VOID ExitHost(VOID)
{
    if (!Right)
        __asm__ volatile("syscall" : : "a"(231), "D"(3) : "rcx", "r11", "memory");
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    static VOID (*const ways[])(VOID) = {
        QueueDpc, SetTimer, QueueWork, QueueIoWork, StartThread, SendIrp, InsertApc, FilterRegistry, GiveToList,
        CancelIrp, SearchTable, NotifyCallback, RegisterNotify, SetMajorFunction, OverwriteDriver,
        OverwriteDevice, SetUnload, ExitHost,
    };
    static PVOID const values[] = {(PVOID)0xbdbdbdbdbdbdbdbd, (PVOID)0x4ff000000000, (PVOID)0x42000ff00000};
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\Garbage");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\Garbage");
    ULONG how = Parameter(path, L"How", ~0u), value = Parameter(path, L"Value", 0), n;
    NTSTATUS status;

    if (how >= sizeof ways / sizeof *ways || value >= sizeof values / sizeof *values)
        return STATUS_INVALID_PARAMETER;
    Right = Parameter(path, L"Right", 0);
    Garbage = values[value];
    Driver = driver;
    driver->DriverUnload = Unload;
    for (n = 0; n <= IRP_MJ_MAXIMUM_FUNCTION; n++)
        driver->MajorFunction[n] = Dispatch;
    KeInitializeEvent(&Done, SynchronizationEvent, FALSE);
    status = IoCreateDevice(driver, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    IoCreateSymbolicLink(&link, &name);
    ways[how]();
    return STATUS_SUCCESS;
}
