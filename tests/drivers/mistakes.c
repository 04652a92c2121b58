/*
 * Mistakes that Driver Verifier has a name for, one for each value of the DWORD
 * `How` in its Parameters, each in a function of its own. Whoever sets `Right` to
 * 1 gets the same without the mistake.
 */
#include "parameter.h"

#define VISIBLE __attribute__((noinline, noclone, used))
#define TAG 0x6b73694d /* "Misk" */

static volatile UCHAR Sink;
static volatile ULONG Right;
static KSPIN_LOCK Lock;
static PDRIVER_OBJECT Driver;

static PUCHAR Take(POOL_TYPE type, SIZE_T size)
{
    return ExAllocatePoolWithTag(type, size, TAG);
}

static VOID Give(PVOID block)
{
    ExFreePoolWithTag(block, TAG);
}

static PVOID Map(PMDL mdl, KPROCESSOR_MODE mode)
{
    return MmMapLockedPagesSpecifyCache(mdl, mode, MmCached, NULL, FALSE, NormalPagePriority | MdlMappingNoExecute);
}

/* A block of paged pool whose pages are locked. */
static PMDL TakeLocked(PUCHAR *block)
{
    PMDL mdl;

    *block = Take(PagedPool, PAGE_SIZE);
    mdl = IoAllocateMdl(*block, PAGE_SIZE, FALSE, FALSE, NULL);
    MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    return mdl;
}

static VOID GiveLocked(PMDL mdl, PUCHAR block)
{
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    Give(block);
}

#include "mistakes_pool.h"
#include "mistakes_mdl.h"

VISIBLE VOID CloseAtApc(VOID)
{
    KIRQL old;
    HANDLE key = NULL;
    UNICODE_STRING name;
    OBJECT_ATTRIBUTES attributes;

    RtlInitUnicodeString(&name, L"\\Registry\\Machine");
    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    if (!NT_SUCCESS(ZwOpenKey(&key, KEY_READ, &attributes)))
        return;
    KeRaiseIrql(Right ? PASSIVE_LEVEL : APC_LEVEL, &old);
    ZwClose(key);
    KeLowerIrql(old);
}

VISIBLE VOID WriteConstant(VOID)
{
    static const ULONG constant __attribute__((used)) = 7;
    static volatile ULONG variable;
    *(Right ? &variable : (volatile ULONG *)&constant) = 8;
}

VISIBLE VOID FreeForeign(VOID)
{
    static DECLSPEC_ALIGN(16) UCHAR foreign[64];
    PUCHAR block = Take(NonPagedPoolNx, 64);

    Give(block);
    if (!Right)
        Give(foreign);
}

static NPAGED_LOOKASIDE_LIST List;

static VOID InitializeList(PNPAGED_LOOKASIDE_LIST list)
{
    ExInitializeNPagedLookasideList(list, NULL, NULL, 0, 64, TAG, 0);
}

VISIBLE VOID InitializeListTwice(VOID)
{
    InitializeList(&List);
    if (!Right)
        InitializeList(&List);
    ExDeleteNPagedLookasideList(&List);
}

VISIBLE VOID DeleteUnknownList(VOID)
{
    if (Right)
        InitializeList(&List);
    ExDeleteNPagedLookasideList(&List);
}

VISIBLE VOID FreeActiveList(VOID)
{
    PNPAGED_LOOKASIDE_LIST list = ExAllocatePoolWithTag(NonPagedPoolNxCacheAligned, sizeof *list, TAG);

    InitializeList(list);
    if (Right)
        ExDeleteNPagedLookasideList(list);
    Give(list);
}

/* As the headers of Windows 8 and later have it inline. */
static VOID Remove(PLIST_ENTRY entry)
{
    PLIST_ENTRY next = entry->Flink, previous = entry->Blink;

    if (next->Blink != entry || previous->Flink != entry)
        __asm__ volatile("int $0x29" : : "c"(3));
    previous->Flink = next;
    next->Blink = previous;
}

VISIBLE VOID RemoveTwice(VOID)
{
    LIST_ENTRY head;
    LIST_ENTRY entries[2];

    InitializeListHead(&head);
    InsertTailList(&head, &entries[0]);
    InsertTailList(&head, &entries[1]);
    Remove(&entries[0]);
    Remove(&entries[Right ? 1 : 0]);
}

VISIBLE VOID ReleaseTooLow(VOID)
{
    KIRQL old;

    KeAcquireSpinLock(&Lock, &old);
    if (!Right)
        KeLowerIrql(old);
    KeReleaseSpinLock(&Lock, old);
}

VISIBLE VOID ReturnRaised(VOID)
{
    KIRQL old;

    KeRaiseIrql(APC_LEVEL, &old);
    if (Right)
        KeLowerIrql(old);
}

VISIBLE VOID ReturnWithLock(VOID)
{
    KIRQL old;

    KeAcquireSpinLock(&Lock, &old);
    if (Right)
        KeReleaseSpinLock(&Lock, old);
}

VISIBLE VOID TakeInBothOrders(VOID)
{
    static KSPIN_LOCK other;
    KIRQL old;

    KeAcquireSpinLock(&Lock, &old);
    KeAcquireSpinLockAtDpcLevel(&other);
    KeReleaseSpinLockFromDpcLevel(&other);
    KeReleaseSpinLock(&Lock, old);
    KeAcquireSpinLock(Right ? &Lock : &other, &old);
    KeAcquireSpinLockAtDpcLevel(Right ? &other : &Lock);
    KeReleaseSpinLockFromDpcLevel(Right ? &other : &Lock);
    KeReleaseSpinLock(Right ? &Lock : &other, old);
}

/* The twin only tries, which cannot stop anybody. */
VISIBLE VOID TakeInACircle(VOID)
{
    static KMUTEX mutex;
    static FAST_MUTEX fast;
    KIRQL old;
    LARGE_INTEGER now = { .QuadPart = 0 };

    KeInitializeMutex(&mutex, 0);
    ExInitializeFastMutex(&fast);
    KeWaitForSingleObject(&mutex, Executive, KernelMode, FALSE, NULL);
    ExAcquireFastMutex(&fast);
    ExReleaseFastMutex(&fast);
    KeReleaseMutex(&mutex, FALSE);
    ExAcquireFastMutex(&fast);
    KeAcquireSpinLock(&Lock, &old);
    KeReleaseSpinLock(&Lock, old);
    KeWaitForSingleObject(&mutex, Executive, KernelMode, FALSE, Right ? &now : NULL);
    KeReleaseMutex(&mutex, FALSE);
    ExReleaseFastMutex(&fast);
}

VISIBLE VOID LeaveDevice(VOID)
{
    PDEVICE_OBJECT device;

    if (NT_SUCCESS(IoCreateDevice(Driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device)) && Right)
        IoDeleteDevice(device);
}

VISIBLE VOID LeaveLink(VOID)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\Mistake");
    UNICODE_STRING target = RTL_CONSTANT_STRING(L"\\Device\\Mistake");

    if (NT_SUCCESS(IoCreateSymbolicLink(&link, &target)) && Right)
        IoDeleteSymbolicLink(&link);
}

__attribute__((noinline, noclone, used, section("PAGE"))) VOID RunPageable(VOID)
{
    Sink = 1;
}

__attribute__((section("PAGEDATA"))) static volatile UCHAR Pageable = 1;

VISIBLE VOID CallPageableAtDispatch(VOID)
{
    KIRQL old;

    KeRaiseIrql(Right ? APC_LEVEL : DISPATCH_LEVEL, &old);
    RunPageable();
    KeLowerIrql(old);
}

VISIBLE VOID ReadPageableAtDispatch(VOID)
{
    PVOID section = MmLockPagableDataSection((PVOID)&Pageable);
    KIRQL old;

    if (!Right)
        MmUnlockPagableImageSection(section);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    Sink = Pageable;
    KeLowerIrql(old);
    if (Right)
        MmUnlockPagableImageSection(section);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    static VOID (*const ways[])(VOID) = {
        ReadPastEnd, WritePastEnd, WriteJustPastEnd, WriteBeforeStart, ReadFreed, LetKernelReadFreed,
        FreeTwice, FreeInside, FreeWithWrongTag, TakePagedAtDispatch, TakeAboveDispatch,
        FreePagedAtDispatch, TouchPagedAtDispatch, TouchUnlockedAtDispatch, Leak, TakeNothing,
        LockNonPaged, UnlockUnlocked, MapUnlocked, CloseAtApc, WriteConstant, FreeForeign,
        TakeWithoutTag, TakeExecutable, BuildForPaged, UnlockNonPaged, MapNonPaged, MapAboveDispatch,
        MapForUserAtDispatch, UnmapForUserAtDispatch, MapOrStop, MapExecutable, MapTwice, UnmapTwice,
        UnmapElsewhere, FreeMapped, LeaveMdlOnIrp, InitializeListTwice, DeleteUnknownList,
        FreeActiveList, RemoveTwice, ReleaseTooLow, ReturnRaised, ReturnWithLock, LeaveDevice,
        LeaveLink, LogUninitialized, CallPageableAtDispatch, ReadPageableAtDispatch, TakeInBothOrders,
        TakeInACircle,
    };
    ULONG how = Parameter(path, L"How", ~0u);
    Right = Parameter(path, L"Right", 0);
    driver->DriverUnload = Unload;
    Driver = driver;
    KeInitializeSpinLock(&Lock);
    if (how >= sizeof ways / sizeof *ways)
        return STATUS_INVALID_PARAMETER;
    ways[how]();
    return STATUS_SUCCESS;
}
