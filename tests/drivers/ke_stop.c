/*
 * Stops the system after it has registered routines for that, or breaks a rule
 * of threads, as the DWORD `How` in its Parameters says.
 */
#include "parameter.h"
#include "thread.h"

#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "stop: " __VA_ARGS__)
#define VISIBLE __attribute__((noinline, noclone, used))

static KBUGCHECK_CALLBACK_RECORD First, Second;
static ULONG Buffer = 7;
static KMUTEX Mutex;

static VOID NTAPI OnStop(PVOID buffer, ULONG length)
{
    SAY("irql %d state %d buffer %lu length %lu\n", (int)KeGetCurrentIrql(), (int)First.State, *(PULONG)buffer, length);
}

static VOID NTAPI OnStopAgain(PVOID buffer, ULONG length)
{
    SAY("first %lu\n", length);
    if (buffer != NULL)
        KeBugCheck(0xE3);
}

static VOID NTAPI InRegion(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    KeEnterCriticalRegion();
}

static VOID NTAPI WithMutex(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, NULL);
}

VISIBLE VOID StopTheSystem(BOOLEAN twice)
{
    First.State = Second.State = BufferEmpty; /* KeInitializeCallbackRecord */
    KeRegisterBugCheckCallback(&First, OnStop, &Buffer, sizeof Buffer, (PUCHAR) "first");
    KeRegisterBugCheckCallback(&Second, OnStopAgain, twice ? &Buffer : NULL, 9, (PUCHAR) "second");
    KeBugCheckEx(0xDEAD, 1, 2, 3, 4);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

static VOID NTAPI OnThread(HANDLE process, HANDLE thread, BOOLEAN created)
{
    UNREFERENCED_PARAMETER(process);
    UNREFERENCED_PARAMETER(thread);
    UNREFERENCED_PARAMETER(created);
}

VISIBLE VOID LeaveNotifyRoutine(VOID)
{
    PsSetCreateThreadNotifyRoutine(OnThread);
}

static VOID NTAPI EntersRegion(PKDPC dpc, PVOID context, PVOID first, PVOID second)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(first);
    UNREFERENCED_PARAMETER(second);
    KeEnterCriticalRegion();
}

VISIBLE VOID QueueDpc(VOID)
{
    static KDPC dpc;
    KeInitializeDpc(&dpc, EntersRegion, NULL);
    KeInsertQueueDpc(&dpc, NULL, NULL);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    driver->DriverUnload = Unload;
    KeInitializeMutex(&Mutex, 0);
    switch (Parameter(path, L"How", ~0u)) {
    case 0:
        StopTheSystem(FALSE);
        break;
    case 1:
        StopTheSystem(TRUE);
        break;
    case 2:
        Finish(Start(InRegion, NULL));
        break;
    case 3:
        Finish(Start(WithMutex, NULL));
        break;
    case 4:
        LeaveNotifyRoutine();
        break;
    case 5:
        QueueDpc();
        break;
    case 6:
        KeLeaveCriticalRegion();
        break;
    }
    return STATUS_SUCCESS;
}
