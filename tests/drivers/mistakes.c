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

VISIBLE VOID ReadPastEnd(VOID)
{
    PUCHAR block = Take(NonPagedPoolNx, 64);
    Sink = *(volatile UCHAR *)(block + (Right ? 63 : 64));
    Give(block);
}

VISIBLE VOID WritePastEnd(VOID)
{
    PUCHAR block = Take(PagedPool, 32);
    *(volatile UCHAR *)(block + (Right ? 31 : 32)) = 1;
    Give(block);
}

/* So little that it stays on the block's page. */
VISIBLE VOID WriteJustPastEnd(VOID)
{
    PUCHAR block = Take(NonPagedPoolNx, 60);
    *(volatile UCHAR *)(block + (Right ? 59 : 60)) = 1;
    Give(block);
}

VISIBLE VOID WriteBeforeStart(VOID)
{
    PUCHAR block = Take(NonPagedPoolNx, 64);
    *(volatile UCHAR *)(block - (Right ? 0 : 1)) = 1;
    Give(block);
}

VISIBLE VOID ReadFreed(VOID)
{
    PUCHAR block = Take(NonPagedPoolNx, 64);
    if (Right)
        Sink = *(volatile UCHAR *)block;
    Give(block);
    if (!Right)
        Sink = *(volatile UCHAR *)block;
}

VISIBLE VOID LetKernelReadFreed(VOID)
{
    PUCHAR block = Take(NonPagedPoolNx, 64);
    UCHAR copy[16];
    SIZE_T (NTAPI *compare)(const VOID *, const VOID *, SIZE_T);
    UNICODE_STRING name;

    RtlInitUnicodeString(&name, L"RtlCompareMemory");
    compare = MmGetSystemRoutineAddress(&name);
    RtlZeroMemory(copy, sizeof copy);
    if (Right)
        compare(block, copy, sizeof copy);
    Give(block);
    if (!Right)
        compare(block, copy, sizeof copy);
}

VISIBLE VOID FreeTwice(VOID)
{
    PUCHAR block = Take(NonPagedPoolNx, 64);
    Give(block);
    if (!Right)
        Give(block);
}

VISIBLE VOID FreeInside(VOID)
{
    PUCHAR block = Take(NonPagedPoolNx, 64);
    Give(Right ? block : block + 16);
}

VISIBLE VOID FreeWithWrongTag(VOID)
{
    PUCHAR block = Take(NonPagedPoolNx, 64);
    ExFreePoolWithTag(block, Right ? TAG : TAG + 1);
}

VISIBLE VOID TakePagedAtDispatch(VOID)
{
    PUCHAR block;
    KIRQL old;

    KeRaiseIrql(DISPATCH_LEVEL, &old);
    block = Take(Right ? NonPagedPoolNx : PagedPool, 64);
    Give(block);
    KeLowerIrql(old);
}

VISIBLE VOID TakeAboveDispatch(VOID)
{
    PUCHAR block;
    KIRQL old;

    KeRaiseIrql(Right ? DISPATCH_LEVEL : DISPATCH_LEVEL + 1, &old);
    block = Take(NonPagedPoolNx, 64);
    Give(block);
    KeLowerIrql(old);
}

VISIBLE VOID FreePagedAtDispatch(VOID)
{
    PUCHAR block = Take(PagedPool, 64);
    KIRQL old;

    if (Right) {
        Give(block);
        return;
    }
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    Give(block);
    KeLowerIrql(old);
}

VISIBLE VOID TouchPagedAtDispatch(VOID)
{
    PUCHAR block = Take(Right ? NonPagedPoolNx : PagedPool, 64);
    KIRQL old;

    *(volatile UCHAR *)block = 1;
    KeAcquireSpinLock(&Lock, &old);
    *(volatile UCHAR *)block = 2;
    KeReleaseSpinLock(&Lock, old);
    /* Below it is there again, with what was in it. */
    Sink = *(volatile UCHAR *)block;
    if (Sink != 2)
        DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "mistakes: the content is lost\n");
    Give(block);
}

/* Locked pages stay where they are. */
VISIBLE VOID TouchUnlockedAtDispatch(VOID)
{
    PUCHAR block = Take(PagedPool, 64);
    PMDL mdl = IoAllocateMdl(block, 64, FALSE, FALSE, NULL);
    KIRQL old;

    *(volatile UCHAR *)block = 1;
    MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    if (!Right)
        MmUnlockPages(mdl);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    *(volatile UCHAR *)block = 2;
    KeLowerIrql(old);
    if (Right)
        MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    Give(block);
}

VISIBLE VOID Leak(VOID)
{
    PUCHAR block = Take(NonPagedPoolNx, 64);
    if (Right)
        Give(block);
}

VISIBLE VOID TakeNothing(VOID)
{
    PUCHAR block = Take(NonPagedPoolNx, Right ? 1 : 0);
    Give(block);
}

VISIBLE VOID LockNonPaged(VOID)
{
    PUCHAR block = Take(Right ? PagedPool : NonPagedPoolNx, 64);
    PMDL mdl = IoAllocateMdl(block, 64, FALSE, FALSE, NULL);

    if (!Right)
        MmBuildMdlForNonPagedPool(mdl);
    MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    Give(block);
}

VISIBLE VOID UnlockUnlocked(VOID)
{
    PUCHAR block = Take(PagedPool, 64);
    PMDL mdl = IoAllocateMdl(block, 64, FALSE, FALSE, NULL);

    if (Right)
        MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    Give(block);
}

VISIBLE VOID MapUnlocked(VOID)
{
    PUCHAR block = Take(PagedPool, 64);
    PMDL mdl = IoAllocateMdl(block, 64, FALSE, FALSE, NULL);
    PVOID mapped;

    MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    if (!Right)
        MmUnlockPages(mdl);
    mapped = Map(mdl, KernelMode);
    if (mapped != NULL)
        MmUnmapLockedPages(mapped, mdl);
    if (Right)
        MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    Give(block);
}

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

VISIBLE VOID TakeWithoutTag(VOID)
{
    ExFreePool(ExAllocatePoolWithTag(NonPagedPoolNx, 64, Right ? TAG : 0));
}

VISIBLE VOID TakeExecutable(VOID)
{
    Give(Take(Right ? NonPagedPoolNx : NonPagedPoolExecute, 64));
}

VISIBLE VOID BuildForPaged(VOID)
{
    PUCHAR block = Take(Right ? NonPagedPoolNx : PagedPool, 64);
    PMDL mdl = IoAllocateMdl(block, 64, FALSE, FALSE, NULL);

    MmBuildMdlForNonPagedPool(mdl);
    IoFreeMdl(mdl);
    Give(block);
}

VISIBLE VOID UnlockNonPaged(VOID)
{
    PUCHAR block = Take(NonPagedPoolNx, 64);
    PMDL mdl = IoAllocateMdl(block, 64, FALSE, FALSE, NULL);

    MmBuildMdlForNonPagedPool(mdl);
    if (!Right)
        MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    Give(block);
}

VISIBLE VOID MapNonPaged(VOID)
{
    PUCHAR block = Take(NonPagedPoolNx, 64);
    PMDL mdl = IoAllocateMdl(block, 64, FALSE, FALSE, NULL);

    MmBuildMdlForNonPagedPool(mdl);
    if (Right)
        Sink = *(volatile UCHAR *)MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority | MdlMappingNoExecute);
    else
        MmUnmapLockedPages(Map(mdl, KernelMode), mdl);
    IoFreeMdl(mdl);
    Give(block);
}

VISIBLE VOID MapAboveDispatch(VOID)
{
    PUCHAR block;
    PMDL mdl = TakeLocked(&block);
    PVOID mapped;
    KIRQL old;

    KeRaiseIrql(Right ? DISPATCH_LEVEL : DISPATCH_LEVEL + 1, &old);
    mapped = Map(mdl, KernelMode);
    KeLowerIrql(old);
    MmUnmapLockedPages(mapped, mdl);
    GiveLocked(mdl, block);
}

VISIBLE VOID MapForUserAtDispatch(VOID)
{
    PUCHAR block;
    PMDL mdl = TakeLocked(&block);
    PVOID mapped;
    KIRQL old;

    KeRaiseIrql(Right ? APC_LEVEL : DISPATCH_LEVEL, &old);
    mapped = Map(mdl, UserMode);
    KeLowerIrql(old);
    MmUnmapLockedPages(mapped, mdl);
    GiveLocked(mdl, block);
}

VISIBLE VOID UnmapForUserAtDispatch(VOID)
{
    PUCHAR block;
    PMDL mdl = TakeLocked(&block);
    PVOID mapped = Map(mdl, UserMode);
    KIRQL old;

    KeRaiseIrql(Right ? APC_LEVEL : DISPATCH_LEVEL, &old);
    MmUnmapLockedPages(mapped, mdl);
    KeLowerIrql(old);
    GiveLocked(mdl, block);
}

VISIBLE VOID MapOrStop(VOID)
{
    PUCHAR block;
    PMDL mdl = TakeLocked(&block);
    ULONG priority = NormalPagePriority | MdlMappingNoExecute;

    MmUnmapLockedPages(MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, NULL, !Right, priority), mdl);
    GiveLocked(mdl, block);
}

VISIBLE VOID MapExecutable(VOID)
{
    PUCHAR block;
    PMDL mdl = TakeLocked(&block);
    ULONG priority = NormalPagePriority | (Right ? MdlMappingNoExecute : 0);

    MmUnmapLockedPages(MmMapLockedPagesSpecifyCache(mdl, KernelMode, MmCached, NULL, FALSE, priority), mdl);
    GiveLocked(mdl, block);
}

VISIBLE VOID MapTwice(VOID)
{
    PUCHAR block;
    PMDL mdl = TakeLocked(&block);
    PVOID mapped = Map(mdl, KernelMode);

    if (Right)
        MmUnmapLockedPages(mapped, mdl);
    MmUnmapLockedPages(Map(mdl, KernelMode), mdl);
    GiveLocked(mdl, block);
}

VISIBLE VOID UnmapTwice(VOID)
{
    PUCHAR block;
    PMDL mdl = TakeLocked(&block);
    PVOID mapped = Map(mdl, KernelMode);

    MmUnmapLockedPages(mapped, mdl);
    if (!Right)
        MmUnmapLockedPages(mapped, mdl);
    GiveLocked(mdl, block);
}

VISIBLE VOID UnmapElsewhere(VOID)
{
    PUCHAR block;
    PMDL mdl = TakeLocked(&block);
    PUCHAR mapped = Map(mdl, UserMode);

    if (!Right)
        MmUnmapLockedPages(mapped + PAGE_SIZE, mdl);
    MmUnmapLockedPages(mapped, mdl);
    GiveLocked(mdl, block);
}

VISIBLE VOID FreeMapped(VOID)
{
    PUCHAR block = Take(PagedPool, 64);
    PMDL mdl = IoAllocateMdl(block, 64, FALSE, FALSE, NULL);
    PVOID mapped;

    MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    mapped = Map(mdl, KernelMode);
    if (Right) {
        MmUnmapLockedPages(mapped, mdl);
        MmUnlockPages(mdl);
    }
    IoFreeMdl(mdl);
    Give(block);
}

VISIBLE VOID LeaveMdlOnIrp(VOID)
{
    PUCHAR block = Take(NonPagedPoolNx, 64);
    PIRP irp = IoAllocateIrp(1, FALSE);

    IoAllocateMdl(block, 64, FALSE, FALSE, irp);
    IoAllocateMdl(block, 32, TRUE, FALSE, irp);
    if (Right) {
        IoFreeMdl(irp->MdlAddress->Next);
        IoFreeMdl(irp->MdlAddress);
    }
    IoFreeIrp(irp);
    Give(block);
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

VISIBLE VOID LogUninitialized(VOID)
{
    PUCHAR block = Take(NonPagedPoolNx, 64);

    if (Right)
        *(ULONG *)block = 7;
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, "%lu\n", *(ULONG *)block);
    Give(block);
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
        LeaveLink, LogUninitialized, CallPageableAtDispatch, ReadPageableAtDispatch,
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
