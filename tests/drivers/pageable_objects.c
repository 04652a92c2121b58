/*
 * Objects of the kernel in paged pool, one for each value of the DWORD `How` in the
 * driver's Parameters, each in a function of its own. Whoever sets `Right` to 1 gets
 * the same in nonpaged pool, and whoever sets it to 2 in paged pool that is locked.
 */
#include "parameter.h"

#define VISIBLE __attribute__((noinline, noclone, used))
#define TAG 0x6a624f50 /* "PObj" */

static volatile ULONG Right;
static LARGE_INTEGER Now;

VISIBLE VOID PutEvent(PVOID room)
{
    KeInitializeEvent(room, NotificationEvent, TRUE);
    KeWaitForSingleObject(room, Executive, KernelMode, FALSE, &Now);
    KeSetEvent(room, IO_NO_INCREMENT, FALSE);
}

VISIBLE VOID PutMutex(PVOID room)
{
    KeInitializeMutex(room, 0);
    KeWaitForSingleObject(room, Executive, KernelMode, FALSE, NULL);
    KeReleaseMutex(room, FALSE);
}

VISIBLE VOID PutSemaphore(PVOID room)
{
    KeInitializeSemaphore(room, 1, 1);
    KeWaitForSingleObject(room, Executive, KernelMode, FALSE, &Now);
}

VISIBLE VOID PutTimer(PVOID room)
{
    KeInitializeTimer(room);
    KeCancelTimer(room);
}

/* An event, made while its page is locked in memory. */
static VOID MakeLocked(PVOID room)
{
    PMDL mdl = IoAllocateMdl(room, sizeof(KEVENT), FALSE, FALSE, NULL);

    MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    KeInitializeEvent(room, NotificationEvent, TRUE);
    MmUnlockPages(mdl);
    IoFreeMdl(mdl);
}

VISIBLE VOID WaitUnlocked(PVOID room)
{
    MakeLocked(room);
    KeWaitForSingleObject(room, Executive, KernelMode, FALSE, &Now);
}

VISIBLE VOID WaitForMany(PVOID room)
{
    KEVENT event;
    PVOID objects[2] = { &event, room };

    KeInitializeEvent(&event, NotificationEvent, TRUE);
    MakeLocked(room);
    KeWaitForMultipleObjects(2, objects, WaitAll, Executive, KernelMode, FALSE, &Now, NULL);
}

static VOID (*const Ways[])(PVOID room) = {
    PutEvent, PutMutex, PutSemaphore, PutTimer, WaitUnlocked, WaitForMany,
};

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    ULONG how = Parameter(path, L"How", 0);
    PMDL mdl = NULL;
    PVOID room;

    driver->DriverUnload = Unload;
    Right = Parameter(path, L"Right", 0);
    if (how >= sizeof Ways / sizeof *Ways)
        return STATUS_INVALID_PARAMETER;
    room = ExAllocatePoolWithTag(Right == 1 ? NonPagedPoolNx : PagedPool, PAGE_SIZE, TAG);
    if (!room)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (Right == 2) {
        mdl = IoAllocateMdl(room, PAGE_SIZE, FALSE, FALSE, NULL);
        MmProbeAndLockPages(mdl, KernelMode, IoWriteAccess);
    }
    Ways[how](room);
    if (mdl) {
        MmUnlockPages(mdl);
        IoFreeMdl(mdl);
    }
    ExFreePoolWithTag(room, TAG);
    return STATUS_SUCCESS;
}
