/*
 * Structures that the kernel walks, full of garbage: the DWORD `How` in the
 * Parameters says which call gets them, `Fill` what they are full of. It need not
 * end well, but it must end.
 */
#include "parameter.h"

#define VISIBLE __attribute__((noinline, noclone, used))
#define TAG 0x62726147 /* "Garb" */
#define ROOM 0x1000

static PDRIVER_OBJECT Driver;
static PDEVICE_OBJECT Device;
static PUCHAR Room;
static ULONG Fill;

typedef ULONG_PTR (NTAPI *CALL)(ULONG_PTR, ULONG_PTR, ULONG_PTR, ULONG_PTR, ULONG_PTR, ULONG_PTR);

/* Fills memory: with all ones, the pattern of fresh pool, itself as a list, small
 * numbers, a pointer to a neighbour, the highest positive numbers, random bits. */
static VOID Spoil(PVOID memory, SIZE_T bytes)
{
    ULONG_PTR *word = memory;
    ULONG_PTR random = Fill * 0x9e3779b97f4a7c15;
    SIZE_T n;

    for (n = 0; n < bytes / sizeof *word; n++) {
        switch (Fill) {
        case 0: word[n] = ~(ULONG_PTR)0; break;
        case 1: word[n] = 0xbdbdbdbdbdbdbdbd; break;
        case 2: word[n] = (ULONG_PTR)&word[n]; break;
        case 3: word[n] = 1; break;
        case 4: word[n] = (ULONG_PTR)memory; break;
        case 5: word[n] = 0x7fffffff7fffffff; break;
        default:
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            word[n] = random;
        }
    }
}

/* Calls an export with addresses in the garbage. */
static VOID Call(PCWSTR name, ULONG_PTR a, ULONG_PTR b, ULONG_PTR c, ULONG_PTR d, ULONG_PTR e, ULONG_PTR f)
{
    UNICODE_STRING text;
    CALL call;

    RtlInitUnicodeString(&text, name);
    call = (CALL)MmGetSystemRoutineAddress(&text);
    if (call != NULL)
        call(a, b, c, d, e, f);
}

/* The fields of the driver's own objects. */
VISIBLE VOID SpoilDevice(ULONG skip)
{
    Spoil((PUCHAR)Device + skip, sizeof *Device - skip);
}

VISIBLE VOID SendGarbage(VOID)
{
    PIRP irp = IoAllocateIrp(Device->StackSize, FALSE);

    Spoil((PUCHAR)irp + 8, IoSizeOfIrp(Device->StackSize) - 8);
    IoCallDriver(Device, irp);
    IoFreeIrp(irp);
}

VISIBLE VOID CompleteGarbage(VOID)
{
    PIRP irp = IoAllocateIrp(Device->StackSize, FALSE);

    Spoil((PUCHAR)irp + 8, IoSizeOfIrp(Device->StackSize) - 8);
    IoCompleteRequest(irp, IO_NO_INCREMENT);
}

typedef struct {
    PCWSTR Name;
    /* Offsets into the garbage, or what is above it: plain numbers. */
    ULONG_PTR Arguments[6];
} WAY;

#define AT(n) (0x80000000 + (n))

static const WAY Ways[] = {
    {L"KeInsertQueueDpc", {AT(0)}},
    {L"KeRemoveQueueDpc", {AT(0)}},
    {L"KeSetTimer", {AT(0), 0, AT(0x100)}},
    {L"KeSetTimerEx", {AT(0), (ULONG_PTR)-10000, 10, AT(0x100)}},
    {L"KeCancelTimer", {AT(0)}},
    {L"KeSetEvent", {AT(0), 0, 0}},
    {L"KeResetEvent", {AT(0)}},
    {L"KeWaitForSingleObject", {AT(0), 0, 0, 0, AT(0x800)}},
    {L"KeWaitForMultipleObjects", {2, AT(0), 0, 0, 0, 0}},
    {L"KeReleaseMutex", {AT(0), 0}},
    {L"KeReleaseSemaphore", {AT(0), 0, 1, 0}},
    {L"KeInsertQueue", {AT(0), AT(0x100)}},
    {L"KeRemoveQueue", {AT(0), 0, AT(0x800)}},
    {L"KeRundownQueue", {AT(0)}},
    {L"KeInsertDeviceQueue", {AT(0), AT(0x100)}},
    {L"KeRemoveDeviceQueue", {AT(0)}},
    {L"KeRemoveEntryDeviceQueue", {AT(0), AT(0x100)}},
    {L"KeInsertQueueApc", {AT(0), 0, 0, 0}},
    {L"KeRemoveQueueApc", {AT(0)}},
    {L"KeRegisterBugCheckCallback", {AT(0), 0, 0, 0, AT(0x100)}},
    {L"KeDeregisterBugCheckCallback", {AT(0)}},
    {L"KeAcquireInStackQueuedSpinLock", {AT(0), AT(0x100)}},
    {L"KeReleaseInStackQueuedSpinLock", {AT(0)}},
    {L"ExQueueWorkItem", {AT(0), 1}},
    {L"ExAcquireResourceExclusiveLite", {AT(0), 1}},
    {L"ExReleaseResourceLite", {AT(0)}},
    {L"ExDeleteResourceLite", {AT(0)}},
    {L"ExAcquireFastMutex", {AT(0)}},
    {L"ExReleaseFastMutex", {AT(0)}},
    {L"ExpInterlockedPopEntrySList", {AT(0)}},
    {L"ExpInterlockedPushEntrySList", {AT(0), AT(0x100)}},
    {L"ExpInterlockedFlushSList", {AT(0)}},
    {L"ExInterlockedInsertHeadList", {AT(0), AT(0x100), AT(0x200)}},
    {L"ExInterlockedRemoveHeadList", {AT(0), AT(0x200)}},
    {L"ExDeleteNPagedLookasideList", {AT(0)}},
    {L"ExAcquireRundownProtection", {AT(0)}},
    {L"ExWaitForRundownProtectionRelease", {AT(0)}},
    {L"ExNotifyCallback", {AT(0), 0, 0}},
    {L"ExRegisterCallback", {AT(0), 0, 0}},
    {L"IoQueueWorkItem", {AT(0), 0, 1, 0}},
    {L"IoFreeWorkItem", {AT(0)}},
    {L"IoFreeMdl", {AT(0)}},
    {L"IoBuildPartialMdl", {AT(0), AT(0x200), AT(0), 0x10}},
    {L"MmProbeAndLockPages", {AT(0), 0, 0}},
    {L"MmUnlockPages", {AT(0)}},
    {L"MmBuildMdlForNonPagedPool", {AT(0)}},
    {L"MmMapLockedPagesSpecifyCache", {AT(0), 0, 1, 0, 0, 16}},
    {L"MmUnmapLockedPages", {AT(0), AT(0)}},
    {L"MmFreePagesFromMdl", {AT(0)}},
    {L"MmAdvanceMdl", {AT(0), 0x10}},
    {L"IofCallDriver", {AT(0), AT(0x200)}},
    {L"IofCompleteRequest", {AT(0), 0}},
    {L"IoCancelIrp", {AT(0)}},
    {L"IoFreeIrp", {AT(0)}},
    {L"IoReuseIrp", {AT(0), 0}},
    {L"IoInitializeIrp", {AT(0), 0xffff, 0xff}},
    {L"IoAttachDeviceToDeviceStack", {AT(0), AT(0x200)}},
    {L"IoDetachDevice", {AT(0)}},
    {L"IoDeleteDevice", {AT(0)}},
    {L"IoGetAttachedDevice", {AT(0)}},
    {L"IoGetRelatedDeviceObject", {AT(0)}},
    {L"IoStartPacket", {AT(0), AT(0x200), 0, 0}},
    {L"IoStartNextPacket", {AT(0), 1}},
    {L"IoCsqInsertIrp", {AT(0), AT(0x200), AT(0x400)}},
    {L"IoCsqRemoveNextIrp", {AT(0), 0}},
    {L"IoInitializeTimer", {AT(0), 0, 0}},
    {L"IoStartTimer", {AT(0)}},
    {L"IoCreateSymbolicLink", {AT(0), AT(0x10)}},
    {L"IoGetDeviceObjectPointer", {AT(0), 0, AT(0x100), AT(0x108)}},
    {L"IoWriteErrorLogEntry", {AT(0x28)}},
    {L"IoAcquireRemoveLockEx", {AT(0), 0, 0, 0, 0x20}},
    {L"IoReleaseRemoveLockAndWaitEx", {AT(0), 0, 0x20}},
    {L"ObfReferenceObject", {AT(0)}},
    {L"ObfDereferenceObject", {AT(0)}},
    {L"ObQueryNameString", {AT(0), AT(0x100), 0x100, AT(0x200)}},
    {L"ZwOpenKey", {AT(0x800), 1, AT(0)}},
    {L"ZwCreateFile", {AT(0x800), 1, AT(0), AT(0x100), 0, 0}},
    {L"RtlCompareUnicodeString", {AT(0), AT(0x10), 1}},
    {L"RtlCopyUnicodeString", {AT(0), AT(0x10)}},
    {L"RtlAppendUnicodeStringToString", {AT(0), AT(0x10)}},
    {L"RtlUnicodeStringToAnsiString", {AT(0), AT(0x10), 0}},
    {L"RtlUpcaseUnicodeString", {AT(0), AT(0x10), 1}},
    {L"RtlFreeUnicodeString", {AT(0)}},
    {L"RtlFindClearBits", {AT(0), 3, 0}},
    {L"RtlSetBits", {AT(0), 3, 0xfffffff}},
    {L"RtlNumberOfSetBits", {AT(0)}},
    {L"RtlInsertElementGenericTable", {AT(0), AT(0x100), 8, 0}},
    {L"RtlInsertElementGenericTableAvl", {AT(0), AT(0x100), 8, 0}},
    {L"RtlEnumerateGenericTableAvl", {AT(0), 1}},
    {L"RtlDeleteElementGenericTableAvl", {AT(0), AT(0x100)}},
    {L"RtlDelete", {AT(0)}},
    {L"RtlSplay", {AT(0)}},
    {L"RtlValidSecurityDescriptor", {AT(0)}},
    {L"RtlLengthSecurityDescriptor", {AT(0)}},
    {L"RtlGetAce", {AT(0), 3, AT(0x800)}},
    {L"RtlAddAccessAllowedAce", {AT(0), 2, 1, AT(0x100)}},
    {L"RtlLengthSid", {AT(0)}},
    {L"RtlCopySid", {0xffffffff, AT(0x100), AT(0)}},
    {L"SeAccessCheck", {AT(0), AT(0x100), 0, 1, 0, 0}},
    {L"FsRtlAddLargeMcbEntry", {AT(0), 1, 2, 3}},
    {L"FsRtlLookupLargeMcbEntry", {AT(0), 1, AT(0x800), AT(0x808), 0, 0}},
    {L"FsRtlIsNameInExpression", {AT(0), AT(0x10), 0, 0}},
    {L"FsRtlNotifyCleanup", {AT(0), AT(0x100), AT(0x200)}},
    {L"FsRtlAddToTunnelCache", {AT(0), 1, AT(0x10), AT(0x20), 1, 8}},
    {L"FsRtlCheckLockForReadAccess", {AT(0), AT(0x200)}},
    {L"CmUnRegisterCallback", {AT(0)}},
    {L"PsSetCreateProcessNotifyRoutine", {AT(0), 0}},
    {L"EtwWrite", {AT(0), AT(0x100), 0, 3, AT(0x200)}},
    {L"DbgPrint", {AT(0), AT(0), AT(0), AT(0)}},
    {L"memmove", {AT(0), AT(8), ~(ULONG_PTR)0}},
};

static VOID Do(ULONG how)
{
    ULONG_PTR a[6];
    ULONG n;

    switch (how) {
    case 0: SendGarbage(); return;
    case 1: CompleteGarbage(); return;
    case 2: SpoilDevice(0x8); return;
    case 3: SpoilDevice(0x18); return;
    case 4: Spoil((PUCHAR)Driver + 0x8, 0x60); return;
    case 5: Spoil(Driver->DriverExtension, sizeof *Driver->DriverExtension); return;
    case 6: Spoil(Driver->DriverSection, 0x80); return;
    }
    for (n = 0; n < 6; n++) {
        a[n] = Ways[how - 7].Arguments[n];
        if (a[n] >= 0x80000000 && a[n] < 0x80001000)
            a[n] = (ULONG_PTR)Room + (a[n] - 0x80000000);
    }
    Call(Ways[how - 7].Name, a[0], a[1], a[2], a[3], a[4], a[5]);
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
    IoDeleteSymbolicLink(&link);
    IoDeleteDevice(Device);
    ExFreePoolWithTag(Room, TAG);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\Garbage");
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\Garbage");
    ULONG how = Parameter(path, L"How", ~0u), n;
    NTSTATUS status;

    if (how >= 7 + sizeof Ways / sizeof *Ways)
        return STATUS_INVALID_PARAMETER;
    Fill = Parameter(path, L"Value", 0);
    Driver = driver;
    driver->DriverUnload = Unload;
    for (n = 0; n <= IRP_MJ_MAXIMUM_FUNCTION; n++)
        driver->MajorFunction[n] = Dispatch;
    status = IoCreateDevice(driver, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    IoCreateSymbolicLink(&link, &name);
    Room = ExAllocatePoolWithTag(NonPagedPoolNx, ROOM, TAG);
    Spoil(Room, ROOM);
    Do(how);
    return STATUS_SUCCESS;
}
