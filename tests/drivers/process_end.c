/*
 * Ends of processes: what those who are notified find out, who waits for a process
 * goes on, and a driver ends another's process. The first process that opens the
 * device is the one that is ended, at the request of another.
 */
#include <ntifs.h>

#include "check.h"

#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "end: " __VA_ARGS__)
#define EXIT_STATUS ((NTSTATUS)0xC0000999)

NTKERNELAPI NTSTATUS NTAPI PsGetProcessExitStatus(PEPROCESS Process);
NTKERNELAPI NTSTATUS NTAPI PsGetThreadExitStatus(PETHREAD Thread);
NTSYSAPI NTSTATUS NTAPI ZwTerminateProcess(HANDLE Process, NTSTATUS ExitStatus);
NTSYSAPI NTSTATUS NTAPI ZwQueryInformationProcess(HANDLE Process, PROCESSINFOCLASS Class, PVOID Buffer, ULONG Length, PULONG Returned);

static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\ProcessEnd");
static HANDLE First;

static VOID NTAPI OfProcess(HANDLE parent, HANDLE id, BOOLEAN create)
{
    PEPROCESS process;

    UNREFERENCED_PARAMETER(parent);
    if (create || id != First)
        return;
    if (!NT_SUCCESS(PsLookupProcessByProcessId(id, &process)))
        return;
    SAY("process %lx\n", PsGetProcessExitStatus(process));
    ObDereferenceObject(process);
}

static VOID NTAPI OfThread(HANDLE process, HANDLE id, BOOLEAN create)
{
    PETHREAD thread;

    if (create || process != First)
        return;
    if (!NT_SUCCESS(PsLookupThreadByThreadId(id, &thread)))
        return;
    SAY("thread %lx\n", PsGetThreadExitStatus(thread));
    ObDereferenceObject(thread);
}

static VOID Terminate(VOID)
{
    OBJECT_ATTRIBUTES attributes;
    CLIENT_ID client = { First, NULL };
    PROCESS_BASIC_INFORMATION basic;
    LARGE_INTEGER now = { .QuadPart = 0 };
    HANDLE process, event;

    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwCreateEvent(&event, EVENT_ALL_ACCESS, &attributes, NotificationEvent, FALSE) == STATUS_SUCCESS);
    CHECK(ZwTerminateProcess(event, 0) == STATUS_OBJECT_TYPE_MISMATCH);
    ZwClose(event);
    CHECK(ZwTerminateProcess((HANDLE)(ULONG_PTR)0xffffffff80007770, 0) == STATUS_INVALID_HANDLE);
    CHECK(ZwOpenProcess(&process, PROCESS_ALL_ACCESS, &attributes, &client) == STATUS_SUCCESS);
    CHECK(ZwWaitForSingleObject(process, FALSE, &now) == STATUS_TIMEOUT);
    CHECK(ZwQueryInformationProcess(process, ProcessBasicInformation, &basic, sizeof basic, NULL) == STATUS_SUCCESS);
    CHECK(basic.ExitStatus == STATUS_PENDING);
    CHECK(ZwTerminateProcess(process, EXIT_STATUS) == STATUS_SUCCESS);
    CHECK(ZwWaitForSingleObject(process, FALSE, NULL) == STATUS_SUCCESS);
    CHECK(ZwQueryInformationProcess(process, ProcessBasicInformation, &basic, sizeof basic, NULL) == STATUS_SUCCESS);
    CHECK(basic.ExitStatus == EXIT_STATUS);
    CHECK(ZwTerminateProcess(process, 0) == STATUS_PROCESS_IS_TERMINATING);
    ZwClose(process);
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);

    UNREFERENCED_PARAMETER(device);
    if (stack->MajorFunction == IRP_MJ_CREATE && First == NULL)
        First = PsGetCurrentProcessId();
    if (stack->MajorFunction == IRP_MJ_CLEANUP && First == PsGetCurrentProcessId())
        SAY("closed\n");
    if (stack->MajorFunction == IRP_MJ_DEVICE_CONTROL)
        CASE(Terminate);
    irp->IoStatus.Status = CHECK_STATUS;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return CHECK_STATUS;
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    PsRemoveCreateThreadNotifyRoutine(OfThread);
    PsSetCreateProcessNotifyRoutine(OfProcess, TRUE);
    IoDeleteDevice(driver->DeviceObject);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    PDEVICE_OBJECT device;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(path);
    status = IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &device);
    if (!NT_SUCCESS(status))
        return status;
    driver->MajorFunction[IRP_MJ_CREATE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Dispatch;
    driver->DriverUnload = Unload;
    PsSetCreateProcessNotifyRoutine(OfProcess, FALSE);
    PsSetCreateThreadNotifyRoutine(OfThread);
    return STATUS_SUCCESS;
}
