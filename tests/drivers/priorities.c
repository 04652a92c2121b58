/*
 * Who runs: on one processor, the ready thread of the highest priority, from the
 * moment when it is ready and the IRQL is below DISPATCH_LEVEL.
 */
#include <ntifs.h>
#include "check.h"
#include "thread.h"

enum { LOW = 7, OWN = 8, HIGH = 12 };

static KEVENT Go;
static KSEMAPHORE Count;
static KQUEUE Queue;
static LIST_ENTRY Entry;
static KEVENT Ready;
static volatile LONG Flag;
static KPRIORITY Priority;

static VOID Begins(VOID)
{
    /* The end of a wait lifts a thread to its base priority, at least. */
    if (Priority < OWN)
        KeSetBasePriorityThread(KeGetCurrentThread(), Priority - OWN);
    else
        KeSetPriorityThread(KeGetCurrentThread(), Priority);
    KeSetEvent(&Ready, IO_NO_INCREMENT, FALSE);
}

static VOID NTAPI ForEvent(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    Begins();
    KeWaitForSingleObject(&Go, Executive, KernelMode, FALSE, NULL);
    Note('t');
}

static VOID NTAPI ForSemaphore(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    Begins();
    KeWaitForSingleObject(&Count, Executive, KernelMode, FALSE, NULL);
    Note('t');
}

static VOID NTAPI ForQueue(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    Begins();
    CHECK(KeRemoveQueue(&Queue, KernelMode, NULL) == &Entry);
    Note('t');
}

static VOID NTAPI ForTime(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    Begins();
    Pause();
    Flag = 1;
}

/* A thread of a priority that waits for something. */
static PVOID Waiting(PKSTART_ROUTINE routine, KPRIORITY priority)
{
    PVOID thread;
    KeInitializeEvent(&Ready, SynchronizationEvent, FALSE);
    KeInitializeEvent(&Go, SynchronizationEvent, FALSE);
    KeInitializeSemaphore(&Count, 0, 1);
    Priority = priority;
    TraceReset();
    thread = Start(routine, NULL);
    KeWaitForSingleObject(&Ready, Executive, KernelMode, FALSE, NULL);
    /* One of lower priority gets to its wait while this thread waits. */
    Pause();
    Note('a');
    return thread;
}

static VOID Ends(PVOID thread)
{
    Note('z');
    Finish(thread);
}

static VOID HigherRunsAtOnce(VOID)
{
    PVOID thread = Waiting(ForEvent, HIGH);
    KeSetEvent(&Go, IO_NO_INCREMENT, FALSE);
    Ends(thread);
    CHECK_TRACE("atz");
    thread = Waiting(ForSemaphore, HIGH);
    KeReleaseSemaphore(&Count, IO_NO_INCREMENT, 1, FALSE);
    Ends(thread);
    CHECK_TRACE("atz");
    KeInitializeQueue(&Queue, 0);
    thread = Waiting(ForQueue, HIGH);
    KeInsertQueue(&Queue, &Entry);
    Ends(thread);
    CHECK_TRACE("atz");
    KeRundownQueue(&Queue);
}

static VOID LowerRunsWhenThisOneWaits(VOID)
{
    PVOID thread = Waiting(ForEvent, LOW);
    KeSetEvent(&Go, IO_NO_INCREMENT, FALSE);
    Ends(thread);
    CHECK_TRACE("azt");
}

static VOID BoostsDecide(VOID)
{
    PVOID thread = Waiting(ForEvent, OWN);
    KeSetEvent(&Go, EVENT_INCREMENT, FALSE);
    Ends(thread);
    CHECK_TRACE("atz");
    /* From 5 by 1 to 6 is not enough. */
    thread = Waiting(ForEvent, LOW);
    CHECK(KeSetBasePriorityThread(thread, -3) == LOW - OWN);
    KeSetEvent(&Go, EVENT_INCREMENT, FALSE);
    Ends(thread);
    CHECK_TRACE("azt");
}

static VOID NotAtDispatchLevel(VOID)
{
    PVOID thread = Waiting(ForEvent, HIGH);
    KIRQL irql;
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    KeSetEvent(&Go, IO_NO_INCREMENT, FALSE);
    Note('b');
    KeLowerIrql(irql);
    Ends(thread);
    CHECK_TRACE("abtz");
    thread = Waiting(ForEvent, HIGH);
    KeRaiseIrql(APC_LEVEL, &irql);
    KeSetEvent(&Go, IO_NO_INCREMENT, FALSE);
    Note('b');
    KeLowerIrql(irql);
    Ends(thread);
    CHECK_TRACE("atbz");
}

static VOID NTAPI Sets(PKDPC dpc, PVOID context, PVOID first, PVOID second)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(first);
    UNREFERENCED_PARAMETER(second);
    KeSetEvent(&Go, IO_NO_INCREMENT, FALSE);
    Note('d');
}

static VOID AfterDpcs(VOID)
{
    KDPC dpc;
    PVOID thread = Waiting(ForEvent, HIGH);
    KeInitializeDpc(&dpc, Sets, NULL);
    KeInsertQueueDpc(&dpc, NULL, NULL);
    Ends(thread);
    CHECK_TRACE("adtz");
}

static VOID ChangesHoldAtOnce(VOID)
{
    KPRIORITY wanted = HIGH;
    HANDLE handle;
    PVOID thread = Waiting(ForEvent, LOW);
    KeSetEvent(&Go, IO_NO_INCREMENT, FALSE);
    Note('b');
    CHECK(KeSetPriorityThread(thread, HIGH) == LOW);
    Ends(thread);
    CHECK_TRACE("abtz");

    thread = Waiting(ForEvent, LOW);
    KeSetEvent(&Go, IO_NO_INCREMENT, FALSE);
    Note('b');
    CHECK(NT_SUCCESS(ObOpenObjectByPointer(thread, OBJ_KERNEL_HANDLE, NULL, THREAD_ALL_ACCESS, NULL, KernelMode,
                                           &handle)));
    CHECK(NT_SUCCESS(ZwSetInformationThread(handle, ThreadPriority, &wanted, sizeof wanted)));
    ZwClose(handle);
    Ends(thread);
    CHECK_TRACE("abtz");

    thread = Waiting(ForEvent, LOW);
    KeSetEvent(&Go, IO_NO_INCREMENT, FALSE);
    Note('b');
    CHECK(KeSetPriorityThread(KeGetCurrentThread(), LOW - 1) == OWN);
    Ends(thread);
    CHECK_TRACE("abtz");
    KeSetPriorityThread(KeGetCurrentThread(), OWN);
}

static VOID TheClockBringsTheHigher(VOID)
{
    PVOID thread;
    Flag = 0;
    thread = Waiting(ForTime, HIGH);
    while (!Flag)
        ;
    Finish(thread);
    CHECK(Flag == 1);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    CASE(HigherRunsAtOnce);
    CASE(LowerRunsWhenThisOneWaits);
    CASE(BoostsDecide);
    CASE(NotAtDispatchLevel);
    CASE(AfterDpcs);
    CASE(ChangesHoldAtOnce);
    CASE(TheClockBringsTheHigher);
    return CHECK_STATUS;
}
