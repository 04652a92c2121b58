/*
 * A device that looks into the memory of one process while it serves another:
 * attached, attached twice over, and with what was attached forgotten.
 */
#include <ntifs.h>

#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "attach: " __VA_ARGS__)
#define CODE(function) CTL_CODE(0x8000, 0x800 + (function), METHOD_NEITHER, FILE_ANY_ACCESS)

/* Missing from some headers. */
NTKERNELAPI BOOLEAN NTAPI KeIsAttachedProcess(VOID);

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\NtboxAttach");
static UNICODE_STRING Link = RTL_CONSTANT_STRING(L"\\DosDevices\\NtboxAttach");
static PDEVICE_OBJECT Device;
static PEPROCESS Owner;
static ULONG *Address;

/* Remembers the process that asks, and where its number is. */
static NTSTATUS Remember(ULONG *input)
{
    if (Owner != NULL)
        ObDereferenceObject(Owner);
    Owner = PsGetCurrentProcess();
    ObReferenceObject(Owner);
    Address = input;
    return STATUS_SUCCESS;
}

/* The number in the remembered process, or in whichever is seen now. */
static NTSTATUS Number(ULONG *number)
{
    if (!MmIsAddressValid(Address))
        return STATUS_INVALID_ADDRESS;
    *number = *Address;
    return STATUS_SUCCESS;
}

static NTSTATUS Look(ULONG *output)
{
    KAPC_STATE first, second, third;
    PEPROCESS own = PsGetCurrentProcess();
    ULONG mine = 0, number = 0, again = 0;
    NTSTATUS before, during, after;
    before = Number(&mine);
    KeStackAttachProcess((PKPROCESS)Owner, &first);
    if (PsGetCurrentProcess() != Owner || PsGetCurrentProcessId() != PsGetProcessId(own))
        return STATUS_UNSUCCESSFUL;
    during = Number(&number);
    /* To the same once more, which changes nothing; then back to its own, on top. */
    KeStackAttachProcess((PKPROCESS)Owner, &second);
    KeStackAttachProcess((PKPROCESS)own, &third);
    after = Number(&again);
    KeUnstackDetachProcess(&third);
    if (PsGetCurrentProcess() != Owner || !KeIsAttachedProcess())
        return STATUS_UNSUCCESSFUL;
    KeUnstackDetachProcess(&second);
    if (PsGetCurrentProcess() != Owner)
        return STATUS_UNSUCCESSFUL;
    KeUnstackDetachProcess(&first);
    if (PsGetCurrentProcess() != own || KeIsAttachedProcess())
        return STATUS_UNSUCCESSFUL;
    SAY("before %x %x attached %x %x back %x %x\n", before, mine, during, number, after, again);
    *output = number;
    return during;
}

static NTSTATUS Legacy(ULONG *output)
{
    NTSTATUS status;
    ULONG number = 0;
    KeAttachProcess((PKPROCESS)Owner);
    KeAttachProcess((PKPROCESS)Owner);
    status = Number(&number);
    KeDetachProcess();
    KeDetachProcess();
    *output = number;
    return status;
}

static NTSTATUS Control(PIRP irp, PIO_STACK_LOCATION stack)
{
    KAPC_STATE state;
    ULONG *input = stack->Parameters.DeviceIoControl.Type3InputBuffer;
    switch (stack->Parameters.DeviceIoControl.IoControlCode) {
    case CODE(0):
        return Remember(input);
    case CODE(1):
        return Look(irp->UserBuffer);
    case CODE(2):
        return Legacy(irp->UserBuffer);
    case CODE(3): /* forgets to detach */
        KeStackAttachProcess((PKPROCESS)Owner, &state);
        return STATUS_SUCCESS;
    case CODE(4): /* forgets that it keeps APCs away */
        KeEnterCriticalRegion();
        return STATUS_SUCCESS;
    case CODE(5): /* detaches twice */
        KeStackAttachProcess((PKPROCESS)Owner, &state);
        KeUnstackDetachProcess(&state);
        KeUnstackDetachProcess(&state);
        return STATUS_SUCCESS;
    case CODE(6): /* what does not nest is nested */
        KeAttachProcess((PKPROCESS)Owner);
        KeAttachProcess((PKPROCESS)PsInitialSystemProcess);
        return STATUS_SUCCESS;
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    NTSTATUS status = STATUS_SUCCESS;
    UNREFERENCED_PARAMETER(device);
    if (stack->MajorFunction == IRP_MJ_DEVICE_CONTROL)
        status = Control(irp, stack);
    irp->IoStatus.Status = status;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return status;
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    if (Owner != NULL)
        ObDereferenceObject(Owner);
    IoDeleteSymbolicLink(&Link);
    IoDeleteDevice(Device);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    NTSTATUS status;
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &Device);
    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateSymbolicLink(&Link, &Name);
    if (!NT_SUCCESS(status))
        IoDeleteDevice(Device);
    return status;
}
