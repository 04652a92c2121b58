/* Those of mistakes.c that are made with pool. */

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

VISIBLE VOID TakeWithoutTag(VOID)
{
    ExFreePool(ExAllocatePoolWithTag(NonPagedPoolNx, 64, Right ? TAG : 0));
}

VISIBLE VOID TakeExecutable(VOID)
{
    Give(Take(Right ? NonPagedPoolNx : NonPagedPoolExecute, 64));
}

VISIBLE VOID LogUninitialized(VOID)
{
    PUCHAR block = Take(NonPagedPoolNx, 64);

    if (Right)
        *(ULONG *)block = 7;
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_INFO_LEVEL, "%lu\n", *(ULONG *)block);
    Give(block);
}
