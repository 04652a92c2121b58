/*
 * Mistakes with what drivers and kernel promise each other: how IRPs are returned and
 * completed, references, registrations, handles, and what is left behind. The DWORD
 * `How` in the Parameters says which; `Right` is 1 for the same without the mistake.
 * Those of requests wait for a program's control code 0x222000.
 */
#include "parameter.h"

#define VISIBLE __attribute__((noinline, noclone, used))
#define TAG 0x6b6e6f43 /* "Conk" */

NTSYSAPI NTSTATUS NTAPI PsLookupProcessByProcessId(HANDLE id, PEPROCESS *process);
NTSYSAPI NTSTATUS NTAPI PsLookupThreadByThreadId(HANDLE id, PETHREAD *thread);

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Contract");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\Contract");
static PDRIVER_OBJECT Driver;
static PDEVICE_OBJECT Device;
static ULONG How, Right;
static PIRP Kept;
static KDPC Dpc;
static KTIMER Timer;
static KMUTEX Mutex;
static HANDLE UserHandle;
static KEVENT Done;
static PIO_WORKITEM Item;
static KBUGCHECK_CALLBACK_RECORD Record;
static PVOID View;

VISIBLE NTSTATUS Complete(PIRP irp, NTSTATUS status)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static VOID NTAPI CompleteLater(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(one);
    UNREFERENCED_PARAMETER(two);
    Complete(Kept, STATUS_SUCCESS);
}

static VOID SetTimer(LONGLONG milliseconds)
{
    LARGE_INTEGER due;

    due.QuadPart = -10000 * milliseconds;
    KeSetTimer(&Timer, due, &Dpc);
}

/* Requests. */

VISIBLE NTSTATUS PendUnmarked(PIRP irp)
{
    Kept = irp;
    if (Right)
        IoMarkIrpPending(irp);
    SetTimer(10);
    return STATUS_PENDING;
}

VISIBLE NTSTATUS PendUnsaid(PIRP irp)
{
    Kept = irp;
    IoMarkIrpPending(irp);
    SetTimer(10);
    return Right ? STATUS_PENDING : STATUS_SUCCESS;
}

VISIBLE NTSTATUS FailAndSucceed(PIRP irp)
{
    Complete(irp, STATUS_UNSUCCESSFUL);
    return Right ? STATUS_UNSUCCESSFUL : STATUS_SUCCESS;
}

VISIBLE NTSTATUS SucceedAndFail(PIRP irp)
{
    Complete(irp, STATUS_SUCCESS);
    return Right ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
}

VISIBLE NTSTATUS CompleteMinusOne(PIRP irp)
{
    return Complete(irp, Right ? STATUS_UNSUCCESSFUL : (NTSTATUS)-1);
}

VISIBLE NTSTATUS KeepForever(PIRP irp)
{
    if (Right)
        return Complete(irp, STATUS_SUCCESS);
    IoMarkIrpPending(irp);
    return STATUS_PENDING;
}

VISIBLE NTSTATUS CompleteAgain(PIRP irp)
{
    Kept = irp;
    IoMarkIrpPending(irp);
    SetTimer(10);
    if (!Right)
        Complete(irp, STATUS_CANCELLED);
    return STATUS_PENDING;
}

VISIBLE NTSTATUS HoldMutex(PIRP irp)
{
    KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, NULL);
    if (Right)
        KeReleaseMutex(&Mutex, FALSE);
    return Complete(irp, STATUS_SUCCESS);
}

VISIBLE NTSTATUS OpenInProgram(PIRP irp)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\Software");
    OBJECT_ATTRIBUTES attributes;
    HANDLE key;

    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE | (Right ? OBJ_KERNEL_HANDLE : 0), NULL, NULL);
    if (NT_SUCCESS(ZwOpenKey(&key, KEY_READ, &attributes)))
        ZwClose(key);
    return Complete(irp, STATUS_SUCCESS);
}

VISIBLE VOID UseHandle(VOID)
{
    PVOID object;

    if (NT_SUCCESS(ObReferenceObjectByHandle(UserHandle, 0, NULL, KernelMode, &object, NULL)))
        ObDereferenceObject(object);
}

static VOID NTAPI Work(PDEVICE_OBJECT device, PVOID context)
{
    UNREFERENCED_PARAMETER(device);
    UNREFERENCED_PARAMETER(context);
    if (!Right)
        UseHandle();
    KeSetEvent(&Done, 0, FALSE);
}

/* The handle is the file's own, which no thread of the system has. */
VISIBLE NTSTATUS KeepHandle(PIRP irp)
{
    UserHandle = *(HANDLE *)irp->AssociatedIrp.SystemBuffer;
    Item = IoAllocateWorkItem(Device);
    IoQueueWorkItem(Item, Work, DelayedWorkQueue, NULL);
    KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL);
    IoFreeWorkItem(Item);
    return Complete(irp, STATUS_SUCCESS);
}

/* What DriverEntry does. */

VISIBLE VOID LookUpProcess(VOID)
{
    PEPROCESS process;

    if (NT_SUCCESS(PsLookupProcessByProcessId(PsGetCurrentProcessId(), &process)) && Right)
        ObDereferenceObject(process);
}

VISIBLE VOID LookUpThread(VOID)
{
    PETHREAD thread;

    if (NT_SUCCESS(PsLookupThreadByThreadId(PsGetCurrentThreadId(), &thread)) && Right)
        ObDereferenceObject(thread);
}

VISIBLE VOID GetPointer(VOID)
{
    PFILE_OBJECT file;
    PDEVICE_OBJECT device;

    Device->Flags &= ~DO_DEVICE_INITIALIZING;
    if (NT_SUCCESS(IoGetDeviceObjectPointer(&Name, FILE_ALL_ACCESS, &file, &device)) && Right)
        ObDereferenceObject(file);
}

VISIBLE VOID DereferenceProcess(VOID)
{
    PEPROCESS process = PsGetCurrentProcess();

    ObReferenceObject(process);
    ObDereferenceObject(process);
    if (!Right)
        ObDereferenceObject(process);
}

VISIBLE VOID MapView(VOID)
{
    OBJECT_ATTRIBUTES attributes;
    LARGE_INTEGER size;
    SIZE_T length = 0;
    HANDLE section;

    size.QuadPart = PAGE_SIZE;
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    if (!NT_SUCCESS(ZwCreateSection(&section, SECTION_ALL_ACCESS, &attributes, &size, PAGE_READWRITE, SEC_COMMIT, NULL)))
        return;
    ZwMapViewOfSection(section, ZwCurrentProcess(), &View, 0, 0, NULL, &length, ViewUnmap, 0, PAGE_READWRITE);
    if (Right)
        ZwUnmapViewOfSection(ZwCurrentProcess(), View);
    ZwClose(section);
}

VISIBLE VOID HearShutdown(VOID)
{
    IoRegisterShutdownNotification(Device);
    if (Right)
        IoUnregisterShutdownNotification(Device);
}

static VOID NTAPI BugChecked(PVOID buffer, ULONG length)
{
    UNREFERENCED_PARAMETER(buffer);
    UNREFERENCED_PARAMETER(length);
}

VISIBLE VOID HearBugCheck(VOID)
{
    Record.State = 0; /* KeInitializeCallbackRecord */
    KeRegisterBugCheckCallback(&Record, BugChecked, NULL, 0, (PUCHAR)"test");
    if (Right)
        KeDeregisterBugCheckCallback(&Record);
}

VISIBLE VOID Ticked(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(one);
    UNREFERENCED_PARAMETER(two);
}

VISIBLE VOID LeaveTimer(VOID)
{
    KeInitializeDpc(&Dpc, Ticked, NULL);
    SetTimer(100000);
    if (Right)
        KeCancelTimer(&Timer);
}

VISIBLE VOID FreeDpc(VOID)
{
    PKDPC dpc = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof *dpc, TAG);
    LARGE_INTEGER due;

    due.QuadPart = -10000 * 1000;
    KeInitializeDpc(dpc, Ticked, NULL);
    KeSetTimer(&Timer, due, dpc);
    if (Right)
        KeCancelTimer(&Timer);
    ExFreePoolWithTag(dpc, TAG);
}

VISIBLE VOID RaisedDpc(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    KIRQL old;

    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(one);
    UNREFERENCED_PARAMETER(two);
    if (!Right)
        KeRaiseIrql(DISPATCH_LEVEL + 1, &old);
}

VISIBLE VOID ReturnRaised(VOID)
{
    KeInitializeDpc(&Dpc, RaisedDpc, NULL);
    KeInsertQueueDpc(&Dpc, NULL, NULL);
}

/* Loops until the driver is told to go. */
static volatile ULONG Stop;
static PETHREAD Thread;

VISIBLE VOID NTAPI Loop(PVOID context)
{
    LARGE_INTEGER time;

    UNREFERENCED_PARAMETER(context);
    time.QuadPart = -10000;
    while (!Stop)
        KeDelayExecutionThread(KernelMode, FALSE, &time);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

VISIBLE VOID LeaveThread(VOID)
{
    OBJECT_ATTRIBUTES attributes;
    HANDLE handle;

    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    if (!NT_SUCCESS(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, &attributes, NULL, NULL, Loop, NULL)))
        return;
    if (Right) {
        ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode, (PVOID *)&Thread, NULL);
        Stop = 1;
        KeWaitForSingleObject(Thread, Executive, KernelMode, FALSE, NULL);
        ObDereferenceObject(Thread);
    }
    ZwClose(handle);
}

VISIBLE VOID LeaveDevice(VOID)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\ContractLeft");
    PDEVICE_OBJECT device;

    if (NT_SUCCESS(IoCreateDevice(Driver, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &device)) && Right)
        IoDeleteDevice(device);
}

/* A target that has room for one page only. */
VISIBLE VOID BuildSmall(VOID)
{
    PUCHAR block = ExAllocatePoolWithTag(NonPagedPoolNx, 40 * PAGE_SIZE, TAG);
    PMDL source = IoAllocateMdl(block, 40 * PAGE_SIZE, FALSE, FALSE, NULL);
    PMDL target = IoAllocateMdl(block, Right ? 40 * PAGE_SIZE : PAGE_SIZE, FALSE, FALSE, NULL);

    MmBuildMdlForNonPagedPool(source);
    IoBuildPartialMdl(source, target, block, 40 * PAGE_SIZE);
    IoFreeMdl(target);
    IoFreeMdl(source);
    ExFreePoolWithTag(block, TAG);
}

VISIBLE VOID WaitForever(VOID)
{
    if (!Right)
        KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL);
}

VISIBLE VOID CallData(VOID)
{
    static UCHAR data[16] = {0xc3};
    VOID (*volatile call)(VOID) = Right ? NULL : (VOID (*)(VOID))(PVOID)data;

    if (call != NULL)
        call();
}

__attribute__((noinline, noclone, used, section("INIT"))) VOID Gone(VOID)
{
    Stop = 0;
}

/* A program's request comes when the section is gone. */
VISIBLE NTSTATUS CallGone(PIRP irp)
{
    if (!Right)
        Gone();
    return Complete(irp, STATUS_SUCCESS);
}

static VOID (*const Entries[])(VOID) = {
    LookUpProcess, LookUpThread, GetPointer, DereferenceProcess, MapView, HearShutdown, HearBugCheck, LeaveTimer,
    FreeDpc, ReturnRaised, LeaveThread, LeaveDevice, BuildSmall, WaitForever, CallData,
};
static NTSTATUS (*const Requests[])(PIRP) = {
    PendUnmarked, PendUnsaid, FailAndSucceed, SucceedAndFail, CompleteMinusOne, KeepForever, CompleteAgain,
    HoldMutex, OpenInProgram, KeepHandle, CallGone,
};

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);

    UNREFERENCED_PARAMETER(device);
    if (stack->MajorFunction == IRP_MJ_DEVICE_CONTROL && How >= 100 && How - 100 < sizeof Requests / sizeof *Requests)
        return Requests[How - 100](irp);
    return Complete(irp, STATUS_SUCCESS);
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
    ULONG n;

    How = Parameter(path, L"How", ~0u);
    Right = Parameter(path, L"Right", 0);
    Driver = driver;
    driver->DriverUnload = Unload;
    for (n = 0; n <= IRP_MJ_MAXIMUM_FUNCTION; n++)
        driver->MajorFunction[n] = Dispatch;
    KeInitializeDpc(&Dpc, CompleteLater, NULL);
    KeInitializeTimer(&Timer);
    KeInitializeMutex(&Mutex, 0);
    KeInitializeEvent(&Done, SynchronizationEvent, FALSE);
    status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    IoCreateSymbolicLink(&Link, &Name);
    if (How < sizeof Entries / sizeof *Entries)
        Entries[How]();
    return STATUS_SUCCESS;
}
