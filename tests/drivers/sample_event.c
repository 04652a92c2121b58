/*
 * Notifies programs when a time has passed that they gave: by an event whose
 * handle they gave, too, or by completing the request that asked. A timer's DPC
 * does either. Who takes a record off the list answers for it; the memory goes
 * with the last who can have it in hand, the DPC or who cancelled the timer.
 */
/* MinGW's headers import this pointer as if it pointed once more. */
#define ExEventObjectType UnusableEventType
#include <ntddk.h>
#undef ExEventObjectType

extern __declspec(dllimport) POBJECT_TYPE ExEventObjectType;

#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "event: " __VA_ARGS__)
#define REGISTER ((ULONG)CTL_CODE(0x8000, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS))
#define TAG 0x746e7645 /* Evnt */

typedef struct {
    ULONG ByEvent;
    ULONG Reserved;
    HANDLE Event;
    LARGE_INTEGER Due;
} WANTED;

typedef struct {
    LIST_ENTRY Entry;
    BOOLEAN Listed;
    BOOLEAN Fired; /* the DPC ran and left the record to the cancel routine */
    PFILE_OBJECT File;
    PIRP Irp;
    PKEVENT Event;
    KTIMER Timer;
    KDPC Dpc;
} RECORD;

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\SampleEvent");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\SampleEvent");
static LIST_ENTRY Records;
static KSPIN_LOCK Lock;

static NTSTATUS Complete(PIRP irp, NTSTATUS status)
{
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static VOID Unlist(RECORD *record)
{
    RemoveEntryList(&record->Entry);
    record->Listed = FALSE;
}

/* Ends a notification; neither the record nor the lock is held any more. */
static VOID Answer(PIRP irp, PKEVENT event, NTSTATUS status)
{
    if (event != NULL) {
        if (NT_SUCCESS(status))
            KeSetEvent(event, EVENT_INCREMENT, FALSE);
        ObDereferenceObject(event);
    }
    if (irp != NULL)
        Complete(irp, status);
}

static VOID NTAPI Due(PKDPC dpc, PVOID context, PVOID low, PVOID high)
{
    RECORD *record = context;
    PIRP irp = NULL;
    PKEVENT event = NULL;
    BOOLEAN mine = TRUE;

    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(low);
    UNREFERENCED_PARAMETER(high);
    KeAcquireSpinLockAtDpcLevel(&Lock);
    if (record->Listed) {
        if (record->Irp != NULL && IoSetCancelRoutine(record->Irp, NULL) == NULL) {
            record->Fired = TRUE;
            mine = FALSE;
        } else {
            Unlist(record);
            irp = record->Irp;
            event = record->Event;
        }
    }
    KeReleaseSpinLockFromDpcLevel(&Lock);
    if (!mine)
        return;
    ExFreePoolWithTag(record, TAG);
    Answer(irp, event, STATUS_SUCCESS);
}

static VOID NTAPI Cancel(PDEVICE_OBJECT device, PIRP irp)
{
    RECORD *record = irp->Tail.Overlay.DriverContext[0];
    BOOLEAN mine;
    KIRQL irql;

    UNREFERENCED_PARAMETER(device);
    IoReleaseCancelSpinLock(irp->CancelIrql);
    KeAcquireSpinLock(&Lock, &irql);
    Unlist(record);
    mine = record->Fired || KeCancelTimer(&record->Timer);
    KeReleaseSpinLock(&Lock, irql);
    if (mine)
        ExFreePoolWithTag(record, TAG);
    Complete(irp, STATUS_CANCELLED);
}

/* Takes one record of a file off the list; FALSE if there is none. */
static BOOLEAN TakeOne(PFILE_OBJECT file)
{
    PLIST_ENTRY entry;
    RECORD *record = NULL;
    PIRP irp = NULL;
    PKEVENT event = NULL;
    BOOLEAN mine = FALSE;
    KIRQL irql;

    KeAcquireSpinLock(&Lock, &irql);
    for (entry = Records.Flink; entry != &Records; entry = entry->Flink) {
        RECORD *next = CONTAINING_RECORD(entry, RECORD, Entry);
        /* One that is being cancelled is the cancel routine's. */
        if (next->File != file || (next->Irp != NULL && IoSetCancelRoutine(next->Irp, NULL) == NULL))
            continue;
        record = next;
        Unlist(record);
        irp = record->Irp;
        event = record->Event;
        mine = KeCancelTimer(&record->Timer);
        break;
    }
    KeReleaseSpinLock(&Lock, irql);
    if (record == NULL)
        return FALSE;
    if (mine)
        ExFreePoolWithTag(record, TAG);
    Answer(irp, event, STATUS_CANCELLED);
    return TRUE;
}

static NTSTATUS Cleanup(PIRP irp, PFILE_OBJECT file)
{
    ULONG count = 0;

    while (TakeOne(file))
        count++;
    SAY("cleanup of %lu\n", count);
    return Complete(irp, STATUS_SUCCESS);
}

static RECORD *NewRecord(PFILE_OBJECT file)
{
    RECORD *record = ExAllocatePoolWithTag(NonPagedPool, sizeof *record, TAG);

    if (record == NULL)
        return NULL;
    RtlZeroMemory(record, sizeof *record);
    record->File = file;
    KeInitializeTimer(&record->Timer);
    KeInitializeDpc(&record->Dpc, Due, record);
    return record;
}

/* Lists a record and starts its timer, unless its IRP is cancelled already. */
static BOOLEAN Begin(RECORD *record, LARGE_INTEGER due)
{
    PIRP irp = record->Irp;
    BOOLEAN begun = TRUE;
    KIRQL irql;

    KeAcquireSpinLock(&Lock, &irql);
    InsertTailList(&Records, &record->Entry);
    record->Listed = TRUE;
    if (irp != NULL) {
        irp->Tail.Overlay.DriverContext[0] = record;
        IoSetCancelRoutine(irp, Cancel);
        if (irp->Cancel && IoSetCancelRoutine(irp, NULL) != NULL) {
            Unlist(record);
            begun = FALSE;
        }
    }
    if (begun)
        KeSetTimer(&record->Timer, due, &record->Dpc);
    KeReleaseSpinLock(&Lock, irql);
    return begun;
}

static NTSTATUS ByEvent(PIRP irp, RECORD *record, const WANTED *wanted)
{
    NTSTATUS status = ObReferenceObjectByHandle(wanted->Event, SYNCHRONIZE | EVENT_MODIFY_STATE, ExEventObjectType,
                                                irp->RequestorMode, (PVOID *)&record->Event, NULL);

    if (NT_SUCCESS(status))
        Begin(record, wanted->Due);
    else
        ExFreePoolWithTag(record, TAG);
    return Complete(irp, status);
}

static NTSTATUS ByIrp(PIRP irp, RECORD *record, const WANTED *wanted)
{
    record->Irp = irp;
    IoMarkIrpPending(irp);
    if (!Begin(record, wanted->Due)) {
        ExFreePoolWithTag(record, TAG);
        Complete(irp, STATUS_CANCELLED);
    }
    return STATUS_PENDING;
}

static NTSTATUS Control(PIRP irp, PIO_STACK_LOCATION stack)
{
    WANTED wanted;
    RECORD *record;

    if (stack->Parameters.DeviceIoControl.IoControlCode != REGISTER)
        return Complete(irp, STATUS_INVALID_DEVICE_REQUEST);
    if (stack->Parameters.DeviceIoControl.InputBufferLength != sizeof wanted)
        return Complete(irp, STATUS_INVALID_PARAMETER);
    wanted = *(WANTED *)irp->AssociatedIrp.SystemBuffer;
    if (wanted.Due.QuadPart > 0)
        return Complete(irp, STATUS_INVALID_PARAMETER);
    record = NewRecord(stack->FileObject);
    if (record == NULL)
        return Complete(irp, STATUS_INSUFFICIENT_RESOURCES);
    return wanted.ByEvent ? ByEvent(irp, record, &wanted) : ByIrp(irp, record, &wanted);
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);

    UNREFERENCED_PARAMETER(device);
    switch (stack->MajorFunction) {
    case IRP_MJ_DEVICE_CONTROL:
        return Control(irp, stack);
    case IRP_MJ_CLEANUP:
        return Cleanup(irp, stack->FileObject);
    default: /* create and close */
        return Complete(irp, STATUS_SUCCESS);
    }
}

/* No record is left, but a DPC may still be on its way to find that out. */
static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    KeFlushQueuedDpcs();
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(driver->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(path);
    InitializeListHead(&Records);
    KeInitializeSpinLock(&Lock);
    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateSymbolicLink(&Link, &Name);
    if (!NT_SUCCESS(status))
        IoDeleteDevice(device);
    return status;
}
