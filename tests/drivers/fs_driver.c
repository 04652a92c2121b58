/*
 * What drivers do that are file systems themselves, or filter them.
 */
#include <ntifs.h>
#include "check.h"

#define TAG 0x72447346 /* "FsDr" */

NTSYSAPI NTSTATUS NTAPI IoRegisterFsRegistrationChangeMountAware(PDRIVER_OBJECT, PDRIVER_FS_NOTIFICATION, BOOLEAN);
NTSYSAPI PFILE_OBJECT NTAPI IoCreateStreamFileObjectEx(PFILE_OBJECT, PDEVICE_OBJECT, PHANDLE);
NTSYSAPI BOOLEAN NTAPI FsRtlAreThereWaitingFileLocks(PFILE_LOCK);
NTSYSAPI SIZE_T NTAPI ExQueryPoolBlockSize(PVOID, PBOOLEAN);
NTSYSAPI BOOLEAN NTAPI KeSetKernelStackSwapEnable(BOOLEAN);
NTSYSAPI UCHAR NTAPI KeSetIdealProcessorThread(PKTHREAD, UCHAR);
NTSYSAPI KIRQL FASTCALL KeAcquireQueuedSpinLock(KSPIN_LOCK_QUEUE_NUMBER);
NTSYSAPI VOID FASTCALL KeReleaseQueuedSpinLock(KSPIN_LOCK_QUEUE_NUMBER, KIRQL);
NTSYSAPI LOGICAL FASTCALL KeTryToAcquireQueuedSpinLock(KSPIN_LOCK_QUEUE_NUMBER, PKIRQL);

static PDRIVER_OBJECT Self;
static PDEVICE_OBJECT Told;

static VOID NTAPI Changed(PDEVICE_OBJECT device, BOOLEAN active)
{
    Told = device;
    Note(active ? '+' : '-');
}

static VOID NTAPI Other(UNUSED PDEVICE_OBJECT device, UNUSED BOOLEAN active)
{
    Note('o');
}

static PDEVICE_OBJECT NewDevice(DEVICE_TYPE type)
{
    PDEVICE_OBJECT device = NULL;

    CHECK(IoCreateDevice(Self, 0, NULL, type, 0, FALSE, &device) == 0 && device);
    return device;
}

static VOID Registration(VOID)
{
    PDEVICE_OBJECT disk = NewDevice(FILE_DEVICE_DISK_FILE_SYSTEM), other = NewDevice(FILE_DEVICE_UNKNOWN);

    if (!disk || !other)
        return;
    TraceReset();
    IoRegisterFileSystem(disk);
    IoRegisterFileSystem(other);
    CHECK(disk->ReferenceCount == 1 && other->ReferenceCount == 0);
    CHECK(IoRegisterFsRegistrationChange(Self, Changed) == 0 && Told == disk);
    CHECK(IoRegisterFsRegistrationChange(Self, Changed) == STATUS_DEVICE_ALREADY_ATTACHED);
    CHECK_TRACE("+");
    CHECK(IoRegisterFsRegistrationChangeMountAware(Self, Other, TRUE) == 0);
    CHECK_TRACE("+o");
    IoUnregisterFileSystem(other);
    IoUnregisterFileSystem(disk);
    IoUnregisterFileSystem(disk);
    CHECK_TRACE("+o-o");
    CHECK(disk->ReferenceCount == 0);
    IoUnregisterFsRegistrationChange(Self, Changed);
    IoRegisterFileSystem(disk);
    IoUnregisterFsRegistrationChange(Self, Other);
    IoUnregisterFileSystem(disk);
    CHECK_TRACE("+o-oo");
    IoDeleteDevice(disk);
    IoDeleteDevice(other);
}

static PFILE_OBJECT Expected;

static NTSTATUS NTAPI Ending(UNUSED PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION place = IoGetCurrentIrpStackLocation(irp);

    CHECK(!Expected || place->FileObject == Expected);
    CHECK(place->FileObject->Flags & FO_STREAM_FILE);
    Note(place->MajorFunction == IRP_MJ_CLEANUP ? 'u' : 'c');
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static VOID Streams(VOID)
{
    PDEVICE_OBJECT device = NewDevice(FILE_DEVICE_DISK_FILE_SYSTEM);
    PFILE_OBJECT one, two;
    HANDLE handle = NULL;

    if (!device)
        return;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    Self->MajorFunction[IRP_MJ_CLEANUP] = Self->MajorFunction[IRP_MJ_CLOSE] = Ending;
    TraceReset();
    Expected = NULL;
    one = IoCreateStreamFileObject(NULL, device);
    CHECK_TRACE("u");
    CHECK(one && one->DeviceObject == device && one->FileName.Length == 0 && (one->Flags & FO_HANDLE_CREATED));
    CHECK(one->Flags & FO_CLEANUP_COMPLETE);
    CHECK(one->Type == 5 && one->FsContext == NULL && device->ReferenceCount == 1);
    two = IoCreateStreamFileObjectLite(one, NULL);
    CHECK(two && two != one && two->DeviceObject == device && device->ReferenceCount == 2);
    CHECK_TRACE("u");
    Expected = two;
    ObDereferenceObject(two);
    CHECK_TRACE("uc");
    Expected = NULL;
    two = IoCreateStreamFileObjectEx(NULL, device, &handle);
    CHECK_TRACE("uc");
    CHECK(two && handle && ZwClose(handle) == 0);
    CHECK_TRACE("ucu");
    ObDereferenceObject(two);
    ObDereferenceObject(one);
    CHECK_TRACE("ucucc");
    CHECK(device->ReferenceCount == 0);
    IoDeleteDevice(device);
}

static VOID Leftovers(VOID)
{
    PVOID block = ExAllocatePoolWithTag(PagedPool, 40, TAG);
    BOOLEAN charged = 7, before;
    SECTION_OBJECT_POINTERS pointers;
    LARGE_INTEGER size = { .QuadPart = 0 };
    KIRQL old = 9, irql = KeAcquireQueuedSpinLock(LockQueueNtfsStructLock);

    CHECK(irql == PASSIVE_LEVEL && KeGetCurrentIrql() == DISPATCH_LEVEL);
    CHECK(!KeTryToAcquireQueuedSpinLock(LockQueueNtfsStructLock, &old));
    CHECK(KeTryToAcquireQueuedSpinLock(LockQueueVacbLock, &old) && old == DISPATCH_LEVEL);
    KeReleaseQueuedSpinLock(LockQueueVacbLock, old);
    KeReleaseQueuedSpinLock(LockQueueNtfsStructLock, irql);
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL);
    CHECK(KeSetIdealProcessorThread(KeGetCurrentThread(), 0) == 0);
    CHECK(KeSetIdealProcessorThread(KeGetCurrentThread(), 99) == 0);
    CHECK(KeSetIdealProcessorThread(KeGetCurrentThread(), 0) == 0);
    RtlZeroMemory(&pointers, sizeof pointers);
    CHECK(MmFlushImageSection(&pointers, MmFlushForDelete) && MmCanFileBeTruncated(&pointers, &size));
    CHECK(MmForceSectionClosed(&pointers, FALSE));
    before = KeSetKernelStackSwapEnable(FALSE);
    CHECK(before && !KeSetKernelStackSwapEnable(TRUE));
    CHECK(block && ExQueryPoolBlockSize(block, &charged) >= 40 && !charged);
    if (block)
        ExFreePoolWithTag(block, TAG);
}

/* A request for a lock of bytes in a file, which is not sent anywhere. */
static PIRP LockIrp(PFILE_OBJECT file, UCHAR minor, LONGLONG start, LONGLONG *length, BOOLEAN wait)
{
    PIRP irp = IoAllocateIrp(1, FALSE);
    PIO_STACK_LOCATION place;

    CHECK(irp != NULL);
    if (!irp)
        return NULL;
    IoSetNextIrpStackLocation(irp);
    place = IoGetCurrentIrpStackLocation(irp);
    place->MajorFunction = IRP_MJ_LOCK_CONTROL;
    place->MinorFunction = minor;
    place->FileObject = file;
    place->Flags = SL_EXCLUSIVE_LOCK | (wait ? 0 : SL_FAIL_IMMEDIATELY);
    place->Parameters.LockControl.ByteOffset.QuadPart = start;
    place->Parameters.LockControl.Length = (PLARGE_INTEGER)length;
    place->Parameters.LockControl.Key = 5;
    irp->Tail.Overlay.Thread = PsGetCurrentThread();
    return irp;
}

static NTSTATUS LockEnds;

static NTSTATUS NTAPI LockDone(PVOID context, PIRP irp)
{
    CHECK(context == &LockEnds && irp->CancelRoutine == NULL);
    Note(NT_SUCCESS(irp->IoStatus.Status) ? 'd' : 'f');
    return LockEnds ? LockEnds : irp->IoStatus.Status;
}

static VOID NTAPI Unlocked(PVOID context, PFILE_LOCK_INFO info)
{
    CHECK(context == &LockEnds && info->Key == 5 && info->Length.QuadPart == 10);
    Note('u');
}

static VOID Locks(VOID)
{
    static LONGLONG ten = 10;
    PFILE_OBJECT one = (PFILE_OBJECT)0x1000, two = (PFILE_OBJECT)0x2000;
    FILE_LOCK lock;
    IO_STATUS_BLOCK block;
    LARGE_INTEGER start = { .QuadPart = 5 }, length = { .QuadPart = 1 };
    PFILE_LOCK_INFO info;
    PIRP irp, waits;

    TraceReset();
    LockEnds = STATUS_SUCCESS;
    FsRtlInitializeFileLock(&lock, LockDone, Unlocked);
    CHECK(!FsRtlAreThereCurrentFileLocks(&lock));
    irp = LockIrp(one, IRP_MN_LOCK, 0, &ten, FALSE);
    CHECK(irp && FsRtlProcessFileLock(&lock, irp, &LockEnds) == STATUS_SUCCESS);
    CHECK(FsRtlAreThereCurrentFileLocks(&lock));
    IoFreeIrp(irp);
    irp = LockIrp(two, IRP_MN_LOCK, 5, &ten, FALSE);
    CHECK(irp && FsRtlProcessFileLock(&lock, irp, &LockEnds) == STATUS_LOCK_NOT_GRANTED);
    IoFreeIrp(irp);
    CHECK_TRACE("df");
    info = FsRtlGetNextFileLock(&lock, TRUE);
    CHECK(info && info->FileObject == one && info->ProcessId == PsGetCurrentProcess() && info->ExclusiveLock && info->EndingByte.QuadPart == 9);
    CHECK(!FsRtlGetNextFileLock(&lock, FALSE));
    CHECK(!FsRtlFastCheckLockForRead(&lock, &start, &length, 5, two, PsGetCurrentProcess()));
    CHECK(FsRtlFastCheckLockForWrite(&lock, &start, &length, 5, one, PsGetCurrentProcess()));
    CHECK(!FsRtlFastLock(&lock, two, &start, &length, PsGetCurrentProcess(), 5, FALSE, FALSE, &block, NULL, TRUE));
    CHECK(FsRtlFastLock(&lock, two, &start, &length, PsGetCurrentProcess(), 5, TRUE, FALSE, &block, NULL, TRUE));
    CHECK(block.Status == STATUS_LOCK_NOT_GRANTED);

    /* One waits, is granted when the other goes, and can be cancelled. */
    waits = LockIrp(two, IRP_MN_LOCK, 5, &ten, TRUE);
    CHECK(waits && FsRtlProcessFileLock(&lock, waits, &LockEnds) == STATUS_PENDING);
    CHECK(IoGetCurrentIrpStackLocation(waits)->Control & SL_PENDING_RETURNED);
    CHECK(FsRtlAreThereWaitingFileLocks(&lock));
    irp = LockIrp(one, IRP_MN_UNLOCK_SINGLE, 0, &ten, FALSE);
    TraceReset();
    CHECK(irp && FsRtlProcessFileLock(&lock, irp, &LockEnds) == STATUS_SUCCESS);
    CHECK_TRACE("udd");
    CHECK(waits->IoStatus.Status == STATUS_SUCCESS && !FsRtlAreThereWaitingFileLocks(&lock));
    IoFreeIrp(irp);
    irp = LockIrp(one, IRP_MN_LOCK, 0, &ten, TRUE);
    CHECK(irp && FsRtlProcessFileLock(&lock, irp, &LockEnds) == STATUS_PENDING);
    CHECK(IoCancelIrp(irp) && irp->IoStatus.Status == STATUS_CANCELLED);
    CHECK_TRACE("uddf");
    IoFreeIrp(irp);
    CHECK(FsRtlFastUnlockAllByKey(&lock, two, PsGetCurrentProcess(), 5, &LockEnds) == STATUS_SUCCESS);
    CHECK(FsRtlFastUnlockAll(&lock, two, PsGetCurrentProcess(), &LockEnds) == STATUS_RANGE_NOT_LOCKED);
    CHECK_TRACE("uddfu");
    IoFreeIrp(waits);

    /* A lock whose request does not end well is none. */
    LockEnds = STATUS_INSUFFICIENT_RESOURCES;
    irp = LockIrp(one, IRP_MN_LOCK, 0, &ten, FALSE);
    CHECK(irp && FsRtlProcessFileLock(&lock, irp, &LockEnds) == STATUS_INSUFFICIENT_RESOURCES);
    CHECK(!FsRtlGetNextFileLock(&lock, TRUE));
    IoFreeIrp(irp);
    FsRtlUninitializeFileLock(&lock);
}

static ULONG Freed;

static VOID NTAPI FreeContext(PVOID context)
{
    Freed++;
    ExFreePoolWithTag(context, TAG);
}

static VOID Contexts(VOID)
{
    FSRTL_ADVANCED_FCB_HEADER header;
    FAST_MUTEX mutex;
    PFSRTL_PER_STREAM_CONTEXT one = ExAllocatePoolWithTag(PagedPool, sizeof *one, TAG);

    RtlZeroMemory(&header, sizeof header);
    ExInitializeFastMutex(&mutex);
    FsRtlSetupAdvancedHeader(&header, &mutex);
    CHECK(one != NULL);
    if (!one)
        return;
    FsRtlInitPerStreamContext(one, &mutex, &header, FreeContext);
    CHECK(FsRtlInsertPerStreamContext(&header, one) == STATUS_SUCCESS);
    CHECK(FsRtlLookupPerStreamContext(&header, &mutex, NULL) == one);
    CHECK(FsRtlLookupPerStreamContext(&header, &header, NULL) == NULL);
    FsRtlTeardownPerStreamContexts(&header);
    CHECK(Freed == 1 && IsListEmpty(&header.FilterContexts));
}

static const GUID TypeOne = { 1, 2, 3, { 4, 5, 6, 7, 8, 9, 10, 11 } };
static const GUID TypeTwo = { 2, 2, 3, { 4, 5, 6, 7, 8, 9, 10, 11 } };
static PVOID FromRequest;

static VOID NTAPI Cleaned(UNUSED PVOID context, LPCGUID type)
{
    Note(type->Data1 == 1 ? '1' : '2');
}

static NTSTATUS NTAPI Create(UNUSED PDEVICE_OBJECT device, PIRP irp)
{
    PECP_LIST list = NULL;
    PVOID added = NULL;

    CHECK(FsRtlGetEcpListFromIrp(irp, &list) == STATUS_SUCCESS && list);
    if (list) {
        CHECK(FsRtlFindExtraCreateParameter(list, &TypeOne, &FromRequest, NULL) == STATUS_SUCCESS);
        FsRtlAcknowledgeEcp(FromRequest);
        CHECK(FsRtlAllocateExtraCreateParameter(&TypeTwo, 4, 0, Cleaned, TAG, &added) == STATUS_SUCCESS);
        CHECK(FsRtlInsertExtraCreateParameter(list, added) == STATUS_SUCCESS);
    }
    irp->IoStatus.Status = STATUS_ACCESS_DENIED;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_ACCESS_DENIED;
}

static VOID CreateParameters(VOID)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\FsDriverTest");
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK block;
    IO_DRIVER_CREATE_CONTEXT with;
    PDEVICE_OBJECT device = NULL;
    PECP_LIST list = NULL;
    PVOID one = NULL, found = NULL, next = NULL;
    GUID type;
    HANDLE handle;
    ULONG size = 0;

    CHECK(FsRtlAllocateExtraCreateParameterList(0, &list) == STATUS_SUCCESS && list);
    CHECK(FsRtlAllocateExtraCreateParameter(&TypeOne, 24, 0, Cleaned, TAG, &one) == STATUS_SUCCESS && one);
    if (!list || !one)
        return;
    CHECK(FsRtlFindExtraCreateParameter(list, &TypeOne, &found, &size) == STATUS_NOT_FOUND && !found && size == 0);
    CHECK(FsRtlInsertExtraCreateParameter(list, one) == STATUS_SUCCESS);
    CHECK(FsRtlInsertExtraCreateParameter(list, one) == STATUS_INVALID_PARAMETER);
    CHECK(FsRtlFindExtraCreateParameter(list, &TypeOne, &found, &size) == STATUS_SUCCESS && found == one && size == 24);
    CHECK(FsRtlGetNextExtraCreateParameter(list, NULL, &type, &next, &size) == STATUS_SUCCESS && next == one && type.Data1 == 1);
    CHECK(FsRtlGetNextExtraCreateParameter(list, one, &type, &next, &size) == STATUS_NOT_FOUND && !next && size == 0);
    CHECK(!FsRtlIsEcpAcknowledged(one) && !FsRtlIsEcpFromUserMode(one));

    Self->MajorFunction[IRP_MJ_CREATE] = Create;
    CHECK(IoCreateDevice(Self, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, &device) == 0);
    if (!device)
        return;
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    IoInitializeDriverCreateContext(&with);
    with.ExtraCreateParameter = list;
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE, NULL, NULL);
    TraceReset();
    CHECK(IoCreateFileEx(&handle, FILE_READ_DATA, &attributes, &block, NULL, 0, 0, FILE_OPEN, 0, NULL, 0, CreateFileTypeNone, NULL, 0, &with) == STATUS_ACCESS_DENIED);
    CHECK(FromRequest == one && FsRtlIsEcpAcknowledged(one));
    CHECK_TRACE("2");
    CHECK(FsRtlGetNextExtraCreateParameter(list, one, NULL, &next, NULL) == STATUS_NOT_FOUND);
    IoDeleteDevice(device);
    CHECK(FsRtlRemoveExtraCreateParameter(list, &TypeOne, &found, NULL) == STATUS_SUCCESS && found == one);
    FsRtlFreeExtraCreateParameter(one);
    CHECK_TRACE("21");
    FsRtlFreeExtraCreateParameterList(list);
}

/* Keeps the request when it ends, so that it can be looked at. */
static NTSTATUS NTAPI Kept(UNUSED PDEVICE_OBJECT device, UNUSED PIRP irp, UNUSED PVOID context)
{
    Note('k');
    return STATUS_MORE_PROCESSING_REQUIRED;
}

/* Asks to be told of changes, with a buffer of so many bytes. */
static PIRP Ask(PNOTIFY_SYNC sync, PLIST_ENTRY list, PFILE_OBJECT file, PUNICODE_STRING directory, BOOLEAN tree, ULONG length)
{
    PIRP irp = IoAllocateIrp(2, FALSE);

    CHECK(irp != NULL);
    if (!irp)
        return NULL;
    IoSetNextIrpStackLocation(irp);
    IoSetCompletionRoutine(irp, Kept, NULL, TRUE, TRUE, TRUE);
    IoSetNextIrpStackLocation(irp);
    IoGetCurrentIrpStackLocation(irp)->MajorFunction = IRP_MJ_DIRECTORY_CONTROL;
    IoGetCurrentIrpStackLocation(irp)->MinorFunction = IRP_MN_NOTIFY_CHANGE_DIRECTORY;
    IoGetCurrentIrpStackLocation(irp)->FileObject = file;
    IoGetCurrentIrpStackLocation(irp)->Parameters.NotifyDirectory.Length = length;
    FsRtlNotifyFullChangeDirectory(sync, list, file, (PSTRING)directory, tree, FALSE, FILE_NOTIFY_CHANGE_FILE_NAME, irp, NULL, NULL);
    return irp;
}

static VOID Forget(PIRP irp)
{
    if (irp->AssociatedIrp.SystemBuffer)
        ExFreePool(irp->AssociatedIrp.SystemBuffer);
    IoFreeIrp(irp);
}

static VOID Report(PNOTIFY_SYNC sync, PLIST_ENTRY list, PCWSTR path, ULONG last, ULONG filter, ULONG action)
{
    UNICODE_STRING name;

    RtlInitUnicodeString(&name, path);
    FsRtlNotifyFullReportChange(sync, list, (PSTRING)&name, (USHORT)(last * sizeof(WCHAR)), NULL, NULL, filter, action, NULL);
}

static VOID Watches(VOID)
{
    UNICODE_STRING directory = RTL_CONSTANT_STRING(L"\\dir");
    PDEVICE_OBJECT device = NewDevice(FILE_DEVICE_DISK_FILE_SYSTEM);
    PNOTIFY_SYNC sync = NULL;
    PFILE_OBJECT file;
    PFILE_NOTIFY_INFORMATION told;
    LIST_ENTRY list;
    PIRP irp;

    if (!device)
        return;
    InitializeListHead(&list);
    FsRtlNotifyInitializeSync(&sync);
    CHECK(sync != NULL);
    Self->MajorFunction[IRP_MJ_CLOSE] = Ending;
    Expected = NULL;
    file = IoCreateStreamFileObjectLite(NULL, device);
    TraceReset();

    irp = Ask(sync, &list, file, &directory, FALSE, 64);
    CHECK(irp && !IsListEmpty(&list) && (IoGetCurrentIrpStackLocation(irp)->Control & SL_PENDING_RETURNED));
    Report(sync, &list, L"\\dir\\sub\\file", 9, FILE_NOTIFY_CHANGE_FILE_NAME, FILE_ACTION_ADDED);
    Report(sync, &list, L"\\directory", 1, FILE_NOTIFY_CHANGE_FILE_NAME, FILE_ACTION_ADDED);
    Report(sync, &list, L"\\dir\\file", 5, FILE_NOTIFY_CHANGE_SIZE, FILE_ACTION_MODIFIED);
    CHECK_TRACE("");
    Report(sync, &list, L"\\dir\\file", 5, FILE_NOTIFY_CHANGE_FILE_NAME, FILE_ACTION_ADDED);
    CHECK_TRACE("k");
    told = irp->AssociatedIrp.SystemBuffer;
    CHECK(irp->IoStatus.Status == STATUS_SUCCESS && irp->IoStatus.Information == 20 && told);
    if (told)
        CHECK(told->NextEntryOffset == 0 && told->Action == FILE_ACTION_ADDED && told->FileNameLength == 8 && told->FileName[0] == 'f');
    Forget(irp);

    /* What happens while nobody waits is told to the next. */
    Report(sync, &list, L"\\dir\\a", 5, FILE_NOTIFY_CHANGE_FILE_NAME, FILE_ACTION_RENAMED_OLD_NAME);
    Report(sync, &list, L"\\dir\\b", 5, FILE_NOTIFY_CHANGE_FILE_NAME, FILE_ACTION_RENAMED_NEW_NAME);
    irp = Ask(sync, &list, file, &directory, FALSE, 64);
    told = irp->AssociatedIrp.SystemBuffer;
    CHECK(irp->IoStatus.Status == STATUS_SUCCESS && irp->IoStatus.Information == 30 && told && told->NextEntryOffset == 16);
    Forget(irp);
    Report(sync, &list, L"\\dir\\a_name_that_is_much_too_long_for_it", 5, FILE_NOTIFY_CHANGE_FILE_NAME, FILE_ACTION_ADDED);
    irp = Ask(sync, &list, file, &directory, FALSE, 64);
    CHECK(irp->IoStatus.Status == STATUS_NOTIFY_ENUM_DIR && irp->IoStatus.Information == 0);
    Forget(irp);

    irp = Ask(sync, &list, file, &directory, FALSE, 64);
    CHECK(IoCancelIrp(irp) && irp->IoStatus.Status == STATUS_CANCELLED);
    Forget(irp);
    irp = Ask(sync, &list, file, &directory, FALSE, 64);
    FsRtlNotifyCleanup(sync, &list, file);
    CHECK(irp->IoStatus.Status == STATUS_NOTIFY_CLEANUP && IsListEmpty(&list));
    Forget(irp);

    irp = Ask(sync, &list, file, &directory, TRUE, 64);
    Report(sync, &list, L"\\dir\\sub\\file", 9, FILE_NOTIFY_CHANGE_FILE_NAME, FILE_ACTION_REMOVED);
    told = irp->AssociatedIrp.SystemBuffer;
    CHECK(irp->IoStatus.Status == STATUS_SUCCESS && told && told->FileNameLength == 16 && told->FileName[3] == '\\');
    Forget(irp);
    FsRtlNotifyCleanupAll(sync, &list);
    CHECK(IsListEmpty(&list));
    FsRtlNotifyUninitializeSync(&sync);
    CHECK(!sync);
    ObDereferenceObject(file);
    IoDeleteDevice(device);
}

static VOID NTAPI Cancels(PVOID context)
{
    LARGE_INTEGER soon = { .QuadPart = -10000 };

    KeDelayExecutionThread(KernelMode, FALSE, &soon);
    CHECK(!IoCancelIrp(context));
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static VOID Cancellable(VOID)
{
    PIRP irp = IoAllocateIrp(1, FALSE);
    LARGE_INTEGER none = { .QuadPart = 0 };
    HANDLE thread = NULL;
    KEVENT event;
    PVOID objects[1] = { &event };

    KeInitializeEvent(&event, SynchronizationEvent, TRUE);
    CHECK(irp != NULL);
    if (!irp)
        return;
    CHECK(FsRtlCancellableWaitForSingleObject(&event, NULL, irp) == STATUS_SUCCESS);
    CHECK(FsRtlCancellableWaitForSingleObject(&event, &none, NULL) == STATUS_TIMEOUT);
    CHECK(PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, Cancels, irp) == 0);
    CHECK(FsRtlCancellableWaitForMultipleObjects(1, objects, WaitAny, NULL, NULL, irp) == STATUS_CANCELLED);
    CHECK(irp->Cancel);
    CHECK(ZwWaitForSingleObject(thread, FALSE, NULL) == 0 && ZwClose(thread) == 0);
    IoFreeIrp(irp);
}

static VOID NTAPI Unload(UNUSED PDRIVER_OBJECT driver)
{
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, UNUSED PUNICODE_STRING path)
{
    Self = driver;
    driver->DriverUnload = Unload;
    CASE(Registration);
    CASE(Streams);
    CASE(Leftovers);
    CASE(Locks);
    CASE(Contexts);
    CASE(CreateParameters);
    CASE(Watches);
    CASE(Cancellable);
    return CHECK_STATUS;
}
