/*
 * Mistakes with locks, the IRQL, references, handles and the driver object. The DWORD
 * `How` in the Parameters says which; `Right` is 1 for the same without the mistake.
 * Those of requests, from 100 on, wait for a program's control code 0x222000.
 */
#include "parameter.h"

#define VISIBLE __attribute__((noinline, noclone, used))

NTSYSAPI VOID NTAPI ExAcquirePushLockExclusiveEx(PVOID lock, ULONG flags);
NTSYSAPI VOID NTAPI ExReleasePushLockExclusiveEx(PVOID lock, ULONG flags);
NTSYSAPI KIRQL NTAPI ExAcquireSpinLockExclusive(PVOID lock);
NTSYSAPI VOID NTAPI ExReleaseSpinLockExclusive(PVOID lock, KIRQL irql);
NTSYSAPI NTSTATUS NTAPI ZwAllocateVirtualMemory(HANDLE process, PVOID *base, ULONG_PTR zero, PSIZE_T size, ULONG kind, ULONG protect);
NTSYSAPI NTSTATUS NTAPI ZwFreeVirtualMemory(HANDLE process, PVOID *base, PSIZE_T size, ULONG kind);

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\Locks");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\Locks");
static PDRIVER_OBJECT Driver;
static PDEVICE_OBJECT Device;
static ULONG How, Right;
static ULONG_PTR PushOne, PushTwo;
static LONG ReadersOne, ReadersTwo;
static FAST_MUTEX Fast;
static ERESOURCE Resource;
static KMUTEX Mutex;
static KEVENT ZeroEvent;
static KTIMER ZeroTimer;
static ERESOURCE ZeroResource;

static NTSTATUS Complete(PIRP irp, NTSTATUS status)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

/* Orders. */

static VOID Push(PVOID first, PVOID second)
{
    KeEnterCriticalRegion();
    ExAcquirePushLockExclusiveEx(first, 0);
    ExAcquirePushLockExclusiveEx(second, 0);
    ExReleasePushLockExclusiveEx(second, 0);
    ExReleasePushLockExclusiveEx(first, 0);
    KeLeaveCriticalRegion();
}

VISIBLE VOID InvertPushLocks(VOID)
{
    Push(&PushOne, &PushTwo);
    Push(Right ? &PushOne : &PushTwo, Right ? &PushTwo : &PushOne);
}

static VOID Readers(PVOID first, PVOID second)
{
    KIRQL outer = ExAcquireSpinLockExclusive(first);
    KIRQL inner = ExAcquireSpinLockExclusive(second);

    ExReleaseSpinLockExclusive(second, inner);
    ExReleaseSpinLockExclusive(first, outer);
}

VISIBLE VOID InvertReaders(VOID)
{
    Readers(&ReadersOne, &ReadersTwo);
    Readers(Right ? &ReadersOne : &ReadersTwo, Right ? &ReadersTwo : &ReadersOne);
}

/* Objects of zeroed memory. */

VISIBLE VOID ResetZeroEvent(VOID)
{
    if (Right)
        KeInitializeEvent(&ZeroEvent, NotificationEvent, FALSE);
    KeResetEvent(&ZeroEvent);
}

VISIBLE VOID ClearZeroEvent(VOID)
{
    if (Right)
        KeInitializeEvent(&ZeroEvent, NotificationEvent, FALSE);
    KeClearEvent(&ZeroEvent);
}

VISIBLE VOID SetZeroTimer(VOID)
{
    LARGE_INTEGER due;

    due.QuadPart = -10000000;
    if (Right)
        KeInitializeTimer(&ZeroTimer);
    KeSetTimer(&ZeroTimer, due, NULL);
    KeCancelTimer(&ZeroTimer);
}

VISIBLE VOID UseZeroResource(VOID)
{
    if (Right)
        ExInitializeResourceLite(&ZeroResource);
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(&ZeroResource, TRUE);
    ExReleaseResourceLite(&ZeroResource);
    KeLeaveCriticalRegion();
    if (Right)
        ExDeleteResourceLite(&ZeroResource);
}

/* Inline, as on x64 with the headers of the WDK. */

static inline ULONG64 ReadIrql(VOID)
{
    ULONG64 value;

    __asm__ volatile("mov %%cr8, %0" : "=r"(value));
    return value;
}

static inline VOID WriteIrql(ULONG64 value)
{
    __asm__ volatile("mov %0, %%cr8" : : "r"(value) : "memory");
}

VISIBLE VOID RaiseByLower(VOID)
{
    if (!Right)
        WriteIrql(DISPATCH_LEVEL);
    WriteIrql(PASSIVE_LEVEL);
}

VISIBLE VOID LowerByRaise(VOID)
{
    ULONG64 outer = ReadIrql(), inner;

    WriteIrql(DISPATCH_LEVEL);
    if (Right) {
        inner = ReadIrql();
        WriteIrql(DISPATCH_LEVEL);
    } else {
        inner = ReadIrql();
        WriteIrql(APC_LEVEL);
    }
    WriteIrql(inner);
    WriteIrql(outer);
}

/* Lowering after a look at the IRQL, which is no KeRaiseIrql. */
VISIBLE VOID LowerIfRaised(VOID)
{
    ULONG64 outer = ReadIrql();

    WriteIrql(DISPATCH_LEVEL);
    if (ReadIrql() != PASSIVE_LEVEL)
        WriteIrql(outer);
}

/* Held on return. */

VISIBLE VOID KeepMutex(VOID)
{
    KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, NULL);
    if (Right)
        KeReleaseMutex(&Mutex, FALSE);
}

VISIBLE VOID KeepFastMutex(VOID)
{
    ExAcquireFastMutex(&Fast);
    if (Right)
        ExReleaseFastMutex(&Fast);
}

VISIBLE VOID AcquireWithApcs(VOID)
{
    if (Right)
        KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
    ExReleaseResourceLite(&Resource);
    if (Right)
        KeLeaveCriticalRegion();
}

/* References and memory. */

VISIBLE VOID DereferenceDriver(VOID)
{
    if (!Right)
        ObDereferenceObject(Driver);
}

VISIBLE VOID DereferenceDevice(VOID)
{
    if (!Right)
        ObDereferenceObject(Device);
}

VISIBLE VOID CreateCallback(VOID)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Callback\\Locks");
    OBJECT_ATTRIBUTES attributes;
    PCALLBACK_OBJECT callback;

    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE, NULL, NULL);
    if (NT_SUCCESS(ExCreateCallback(&callback, &attributes, TRUE, TRUE)) && Right)
        ObDereferenceObject(callback);
}

VISIBLE VOID AllocateVirtual(VOID)
{
    PVOID base = NULL;
    SIZE_T size = PAGE_SIZE;

    if (!NT_SUCCESS(ZwAllocateVirtualMemory(ZwCurrentProcess(), &base, 0, &size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE)))
        return;
    size = 0;
    if (Right)
        ZwFreeVirtualMemory(ZwCurrentProcess(), &base, &size, MEM_RELEASE);
}

VISIBLE VOID DamageDriver(VOID)
{
    if (!Right)
        RtlFillMemory(&Driver->DriverName, sizeof Driver->DriverName, 0x41);
}

VISIBLE VOID DamageSection(VOID)
{
    if (!Right)
        Driver->DriverSection = NULL;
}

/* Names. */

VISIBLE VOID OpenOddName(VOID)
{
    static WCHAR text[] = L"\\Registry\\Machine\\Software";
    UNICODE_STRING name = {sizeof text - sizeof(WCHAR), sizeof text, text};
    OBJECT_ATTRIBUTES attributes;
    HANDLE key;

    if (!Right)
        name.Length--;
    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    if (NT_SUCCESS(ZwOpenKey(&key, KEY_READ, &attributes)))
        ZwClose(key);
}

VISIBLE VOID AppendToOdd(VOID)
{
    static WCHAR text[16] = L"Name";
    UNICODE_STRING name = {Right ? 8 : 7, sizeof text, text};

    RtlAppendUnicodeToString(&name, L"s");
}

VISIBLE VOID BroadcastGarbage(VOID)
{
    if (!Right)
        KeIpiGenericCall((PKIPI_BROADCAST_WORKER)0xcdcdcdcdcdcdcdcd, 0);
}

/* Requests. */

VISIBLE NTSTATUS DereferenceFile(PIRP irp)
{
    if (!Right)
        ObDereferenceObject(IoGetCurrentIrpStackLocation(irp)->FileObject);
    return Complete(irp, STATUS_SUCCESS);
}

static VOID NTAPI Run(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

VISIBLE NTSTATUS CreateThread(PIRP irp)
{
    OBJECT_ATTRIBUTES attributes;
    HANDLE thread;

    InitializeObjectAttributes(&attributes, NULL, Right ? OBJ_KERNEL_HANDLE : 0, NULL, NULL);
    if (NT_SUCCESS(PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, &attributes, NULL, NULL, Run, NULL)))
        ZwClose(thread);
    return Complete(irp, STATUS_SUCCESS);
}

VISIBLE NTSTATUS KeepRegion(PIRP irp)
{
    KeEnterCriticalRegion();
    if (Right)
        KeLeaveCriticalRegion();
    return Complete(irp, STATUS_SUCCESS);
}

static NTSTATUS CompleteMinusOne(PIRP irp)
{
    irp->IoStatus.Status = Right ? STATUS_UNSUCCESSFUL : -1;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_UNSUCCESSFUL;
}

/* A request that a DPC completes although its cancel routine has. */

static PIRP Kept;
static KDPC Dpc;
static KTIMER Timer;

static VOID NTAPI Cancel(PDEVICE_OBJECT device, PIRP irp)
{
    UNREFERENCED_PARAMETER(device);
    IoReleaseCancelSpinLock(irp->CancelIrql);
    Complete(irp, STATUS_CANCELLED);
}

VISIBLE VOID NTAPI Late(PKDPC dpc, PVOID context, PVOID one, PVOID two)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(one);
    UNREFERENCED_PARAMETER(two);
    if (Right)
        return;
    Complete(Kept, STATUS_SUCCESS);
}

VISIBLE NTSTATUS RaceWithCancel(PIRP irp)
{
    LARGE_INTEGER due;

    due.QuadPart = -10000 * 20;
    Kept = irp;
    IoMarkIrpPending(irp);
    IoSetCancelRoutine(irp, Cancel);
    KeInitializeDpc(&Dpc, Late, NULL);
    KeInitializeTimer(&Timer);
    KeSetTimer(&Timer, due, &Dpc);
    IoCancelIrp(irp);
    return STATUS_PENDING;
}

static VOID (*const Entries[])(VOID) = {
    InvertPushLocks, InvertReaders, ResetZeroEvent, ClearZeroEvent, SetZeroTimer, UseZeroResource, RaiseByLower,
    LowerByRaise, KeepMutex, KeepFastMutex, AcquireWithApcs, DereferenceDriver, DereferenceDevice, CreateCallback,
    AllocateVirtual, DamageDriver, DamageSection, LowerIfRaised, OpenOddName, AppendToOdd,
    BroadcastGarbage,
};
static NTSTATUS (*const Requests[])(PIRP) = {
    DereferenceFile, CreateThread, KeepRegion, CompleteMinusOne, RaceWithCancel,
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
    ExDeleteResourceLite(&Resource);
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
    ExInitializeFastMutex(&Fast);
    KeInitializeMutex(&Mutex, 0);
    status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    IoCreateSymbolicLink(&Link, &Name);
    ExInitializeResourceLite(&Resource);
    if (How < sizeof Entries / sizeof *Entries)
        Entries[How]();
    return STATUS_SUCCESS;
}
