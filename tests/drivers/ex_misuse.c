/*
 * Mistakes with what the executive offers, one for each value of the DWORD
 * `How` in its Parameters. Each has a function of its own, so that a report can
 * name it.
 */
#include "parameter.h"

#define VISIBLE __attribute__((noinline, noclone, used))
#define TAG 0x7573694d /* "Misu" */

typedef ULONG_PTR PUSH_LOCK;
NTKERNELAPI VOID NTAPI ExAcquirePushLockExclusiveEx(PUSH_LOCK *lock, ULONG flags);
NTKERNELAPI VOID NTAPI ExReleasePushLockExclusiveEx(PUSH_LOCK *lock, ULONG flags);

static NPAGED_LOOKASIDE_LIST List;
static ERESOURCE Resource;
static FAST_MUTEX Mutex;
static KSPIN_LOCK Lock;

static VOID Initialise(PNPAGED_LOOKASIDE_LIST list, SIZE_T size)
{
    ExInitializeNPagedLookasideList(list, NULL, NULL, 0, size, TAG, 0);
}

VISIBLE VOID InitialiseListTwice(VOID)
{
    Initialise(&List, 64);
    Initialise(&List, 64);
    ExDeleteNPagedLookasideList(&List);
}

VISIBLE VOID DeleteUninitialisedList(VOID)
{
    ExDeleteNPagedLookasideList(&List);
}

VISIBLE VOID FreeListInUse(VOID)
{
    PNPAGED_LOOKASIDE_LIST list = ExAllocatePoolWithTag(NonPagedPool, sizeof *list, TAG);
    Initialise(list, 64);
    ExFreePoolWithTag(list, TAG);
}

VISIBLE VOID SmallEntries(VOID)
{
    Initialise(&List, 4);
    ExDeleteNPagedLookasideList(&List);
}

VISIBLE VOID LeaveList(VOID)
{
    Initialise(&List, 64);
}

VISIBLE VOID FreeEntryTwice(VOID)
{
    /* The export: in this header there is an inline function of this name. */
    VOID (NTAPI *give)(PNPAGED_LOOKASIDE_LIST list, PVOID entry);
    UNICODE_STRING name;
    PVOID entry;

    RtlInitUnicodeString(&name, L"ExFreeToNPagedLookasideList");
    give = MmGetSystemRoutineAddress(&name);
    Initialise(&List, 64);
    entry = ExAllocateFromNPagedLookasideList(&List);
    give(&List, entry);
    give(&List, entry);
}

VISIBLE VOID RemoveTwice(VOID)
{
    LIST_ENTRY head, first, second;
    InitializeListHead(&head);
    ExInterlockedInsertTailList(&head, &first, &Lock);
    ExInterlockedInsertTailList(&head, &second, &Lock);
    RemoveEntryList(&first);
    /* The head is made to point at the removed entry again. */
    head.Flink = &first;
    ExInterlockedRemoveHeadList(&head, &Lock);
}

VISIBLE VOID FaultInterlocked(VOID)
{
    ExInterlockedAddUlong((PULONG)8, 1, &Lock);
}

VISIBLE VOID SpinForever(VOID)
{
    KIRQL old, inner;
    KeAcquireSpinLock(&Lock, &old);
    KeAcquireSpinLock(&Lock, &inner);
}

VISIBLE VOID ReleaseFreeSpinLock(VOID)
{
    KIRQL old;
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    KeReleaseSpinLock(&Lock, old);
}

VISIBLE VOID ReleaseSpinLockTooLow(VOID)
{
    KIRQL old;
    KeAcquireSpinLock(&Lock, &old);
    KeLowerIrql(old);
    KeReleaseSpinLock(&Lock, old);
}

VISIBLE VOID KeepSpinLock(VOID)
{
    KIRQL old;
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    KeAcquireSpinLockAtDpcLevel(&Lock);
    KeLowerIrql(old);
}

VISIBLE VOID ReleaseHandleTwice(VOID)
{
    KLOCK_QUEUE_HANDLE handle;
    KeAcquireInStackQueuedSpinLock(&Lock, &handle);
    KeReleaseInStackQueuedSpinLock(&handle);
    KeReleaseInStackQueuedSpinLock(&handle);
}

VISIBLE VOID AcquireMutexTwice(VOID)
{
    ExAcquireFastMutex(&Mutex);
    ExAcquireFastMutex(&Mutex);
}

VISIBLE VOID AcquireMutexAtDispatch(VOID)
{
    KIRQL old;
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    ExAcquireFastMutex(&Mutex);
}

VISIBLE VOID ReleaseFreeMutex(VOID)
{
    KIRQL old;
    KeRaiseIrql(APC_LEVEL, &old);
    ExReleaseFastMutex(&Mutex);
}

VISIBLE VOID ZeroedMutex(VOID)
{
    RtlZeroMemory(&Mutex, sizeof Mutex);
    ExAcquireFastMutex(&Mutex);
}

VISIBLE VOID ReleaseFreePushLock(VOID)
{
    PUSH_LOCK lock = 0;
    KeEnterCriticalRegion();
    ExReleasePushLockExclusiveEx(&lock, 0);
}

VISIBLE VOID PushLockWithApcs(VOID)
{
    PUSH_LOCK lock = 0;
    ExAcquirePushLockExclusiveEx(&lock, 0);
    ExReleasePushLockExclusiveEx(&lock, 0);
}

VISIBLE VOID ReleaseFreeResource(VOID)
{
    KeEnterCriticalRegion();
    ExReleaseResourceLite(&Resource);
}

VISIBLE VOID ResourceWithApcs(VOID)
{
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
    ExReleaseResourceLite(&Resource);
}

VISIBLE VOID ShareThenOwn(VOID)
{
    KeEnterCriticalRegion();
    ExAcquireResourceSharedLite(&Resource, TRUE);
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
}

VISIBLE VOID InitialiseResourceTwice(VOID)
{
    ExInitializeResourceLite(&Resource);
}

VISIBLE VOID FreeResourceInUse(VOID)
{
    PERESOURCE resource = ExAllocatePoolWithTag(NonPagedPool, sizeof *resource, TAG);
    ExInitializeResourceLite(resource);
    ExFreePoolWithTag(resource, TAG);
}

VISIBLE VOID DeleteOwnedResource(VOID)
{
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(&Resource, TRUE);
    ExDeleteResourceLite(&Resource);
    KeLeaveCriticalRegion();
    ExInitializeResourceLite(&Resource);
}

VISIBLE VOID ReleaseForStranger(VOID)
{
    KeEnterCriticalRegion();
    ExReleaseResourceForThreadLite(&Resource, ExGetCurrentResourceThread() + 0x100);
}

VISIBLE VOID ReleaseTooMuchRundown(VOID)
{
    EX_RUNDOWN_REF reference;
    ExInitializeRundownProtection(&reference);
    ExReleaseRundownProtection(&reference);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    ExDeleteResourceLite(&Resource);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    static VOID (*const ways[])(VOID) = {
        InitialiseListTwice, DeleteUninitialisedList, FreeListInUse, SmallEntries, LeaveList,
        FreeEntryTwice, RemoveTwice, FaultInterlocked, SpinForever, ReleaseFreeSpinLock,
        ReleaseSpinLockTooLow, KeepSpinLock, ReleaseHandleTwice, AcquireMutexTwice, AcquireMutexAtDispatch,
        ReleaseFreeMutex, ZeroedMutex, ReleaseFreePushLock, PushLockWithApcs, ReleaseFreeResource,
        ResourceWithApcs, ShareThenOwn, InitialiseResourceTwice, FreeResourceInUse, DeleteOwnedResource,
        ReleaseForStranger, ReleaseTooMuchRundown,
    };
    ULONG how = Parameter(path, L"How", ~0u);
    driver->DriverUnload = Unload;
    KeInitializeSpinLock(&Lock);
    ExInitializeFastMutex(&Mutex);
    ExInitializeResourceLite(&Resource);
    if (how < sizeof ways / sizeof *ways)
        ways[how]();
    return STATUS_SUCCESS;
}
