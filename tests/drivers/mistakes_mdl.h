/* Those of mistakes.c that are made with MDLs and mappings. */

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
