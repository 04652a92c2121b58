/*
 * Dispatcher objects, APCs and queues: what each call returns, who goes on and
 * when, and what is raised for misuse.
 */
#include "check.h"
#include "thread.h"
#include "try.h"

#ifndef STATUS_MUTANT_NOT_OWNED
#define STATUS_MUTANT_NOT_OWNED ((NTSTATUS)0xC0000046)
#endif
#ifndef STATUS_SEMAPHORE_LIMIT_EXCEEDED
#define STATUS_SEMAPHORE_LIMIT_EXCEEDED ((NTSTATUS)0xC0000047)
#endif

/* In ntifs.h, or in no public header. */
typedef struct {
    DISPATCHER_HEADER Header;
    LIST_ENTRY EntryListHead;
    ULONG CurrentCount;
    ULONG MaximumCount;
    LIST_ENTRY ThreadListHead;
} QUEUE;
NTKERNELAPI VOID NTAPI KeInitializeQueue(QUEUE *queue, ULONG count);
NTKERNELAPI LONG NTAPI KeInsertQueue(QUEUE *queue, PLIST_ENTRY entry);
NTKERNELAPI LONG NTAPI KeInsertHeadQueue(QUEUE *queue, PLIST_ENTRY entry);
NTKERNELAPI PLIST_ENTRY NTAPI KeRemoveQueue(QUEUE *queue, KPROCESSOR_MODE mode, PLARGE_INTEGER timeout);
NTKERNELAPI PLIST_ENTRY NTAPI KeRundownQueue(QUEUE *queue);
NTKERNELAPI LONG NTAPI KeReadStateQueue(QUEUE *queue);
NTKERNELAPI VOID NTAPI KeInitializeMutant(PKMUTEX mutant, BOOLEAN owned);
NTKERNELAPI LONG NTAPI KeReleaseMutant(PKMUTEX mutant, KPRIORITY increment, BOOLEAN abandoned, BOOLEAN wait);

typedef VOID(NTAPI *KERNEL_ROUTINE)(PKAPC apc, PKNORMAL_ROUTINE *normal, PVOID *context, PVOID *first, PVOID *second);
NTKERNELAPI VOID NTAPI KeInitializeApc(PKAPC apc, PVOID thread, ULONG environment, KERNEL_ROUTINE kernel, PVOID rundown,
                                       PKNORMAL_ROUTINE normal, KPROCESSOR_MODE mode, PVOID context);
NTKERNELAPI BOOLEAN NTAPI KeInsertQueueApc(PKAPC apc, PVOID first, PVOID second, KPRIORITY increment);
NTKERNELAPI BOOLEAN NTAPI KeAlertThread(PVOID thread, KPROCESSOR_MODE mode);
NTKERNELAPI BOOLEAN NTAPI KeTestAlertThread(KPROCESSOR_MODE mode);

static LARGE_INTEGER None, Short;
static KEVENT Go, Ready;
static KMUTEX Mutex;
static KSEMAPHORE Semaphore;

#define WAIT(object, timeout) KeWaitForSingleObject((object), Executive, KernelMode, FALSE, (timeout))

static VOID Events(VOID)
{
    KEVENT event;

    KeInitializeEvent(&event, NotificationEvent, FALSE);
    CHECK(event.Header.Type == 0 && event.Header.Size == sizeof event / 4 && event.Header.SignalState == 0);
    CHECK(IsListEmpty(&event.Header.WaitListHead));
    CHECK(KeReadStateEvent(&event) == 0 && WAIT(&event, &None) == STATUS_TIMEOUT);
    CHECK(KeSetEvent(&event, 0, FALSE) == 0 && KeSetEvent(&event, 0, FALSE) == 1);
    CHECK(WAIT(&event, NULL) == STATUS_SUCCESS && KeReadStateEvent(&event) == 1);
    CHECK(KeResetEvent(&event) == 1 && KeResetEvent(&event) == 0);
    CHECK(KePulseEvent(&event, 0, FALSE) == 0 && KeReadStateEvent(&event) == 0);
    KeInitializeEvent(&event, SynchronizationEvent, TRUE);
    CHECK(event.Header.Type == 1 && KeReadStateEvent(&event) == 1);
    CHECK(WAIT(&event, &None) == STATUS_SUCCESS && WAIT(&event, &Short) == STATUS_TIMEOUT);
    KeSetEvent(&event, 0, FALSE);
    KeClearEvent(&event);
    CHECK(KeReadStateEvent(&event) == 0);
}

static VOID Release(PKMUTEX mutex, NTSTATUS expected)
{
    NTSTATUS status = STATUS_SUCCESS;
    __try {
        KeReleaseMutex(mutex, FALSE);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    CHECK(status == expected);
}

static VOID NTAPI HoldMutant(PVOID context)
{
    CHECK(WAIT(context, NULL) == STATUS_SUCCESS);
    CHECK(!KeAreApcsDisabled());
    KeSetEvent(&Ready, 0, FALSE);
    WAIT(&Go, NULL);
}

static VOID NTAPI ReleaseForeign(PVOID context)
{
    Release(context, STATUS_MUTANT_NOT_OWNED);
    CHECK(WAIT(context, &None) == STATUS_TIMEOUT);
}

static VOID Mutexes(VOID)
{
    KMUTEX mutant;
    PVOID thread, both[2] = {&mutant, &Mutex};

    KeInitializeMutex(&Mutex, 0);
    CHECK(Mutex.Header.Type == 2 && Mutex.Header.Size == 0 && Mutex.ApcDisable == 1);
    CHECK(KeReadStateMutex(&Mutex) == 1 && Mutex.OwnerThread == NULL);
    Release(&Mutex, STATUS_MUTANT_NOT_OWNED);
    CHECK(WAIT(&Mutex, NULL) == STATUS_SUCCESS && KeAreApcsDisabled() && !KeAreAllApcsDisabled());
    CHECK(Mutex.OwnerThread == (PVOID)KeGetCurrentThread() && KeReadStateMutex(&Mutex) == 0);
    CHECK(WAIT(&Mutex, &None) == STATUS_SUCCESS && KeReadStateMutex(&Mutex) == -1);
    Finish(Start(ReleaseForeign, &Mutex));
    CHECK(KeReleaseMutex(&Mutex, FALSE) == -1 && KeAreApcsDisabled());
    CHECK(KeReleaseMutex(&Mutex, FALSE) == 0 && !KeAreApcsDisabled());
    Release(&Mutex, STATUS_MUTANT_NOT_OWNED);

    /* A mutant may be left by the thread that owns it; the next one is told. */
    KeInitializeMutant(&mutant, FALSE);
    CHECK(mutant.ApcDisable == 0);
    KeInitializeEvent(&Go, NotificationEvent, FALSE);
    KeInitializeEvent(&Ready, SynchronizationEvent, FALSE);
    thread = Start(HoldMutant, &mutant);
    WAIT(&Ready, NULL);
    CHECK(WAIT(&mutant, &None) == STATUS_TIMEOUT);
    KeSetEvent(&Go, 0, FALSE);
    Finish(thread);
    CHECK(mutant.Abandoned == TRUE && KeReadStateMutex(&mutant) == 1);
    CHECK(WAIT(&mutant, NULL) == STATUS_ABANDONED && mutant.Abandoned == FALSE);
    CHECK(KeReleaseMutant(&mutant, 0, TRUE, FALSE) == 0 && KeReadStateMutex(&mutant) == 1);
    CHECK(KeWaitForMultipleObjects(2, both, WaitAll, Executive, KernelMode, FALSE, &None, NULL) == STATUS_ABANDONED);
    CHECK(KeReleaseMutex(&mutant, FALSE) == 0 && KeReleaseMutex(&Mutex, FALSE) == 0);
}

/* Wait TRUE keeps the processor until the wait, which goes back to the IRQL from
 * before; the increment lifts those who go on. */
static KPRIORITY PrioritySeen;

static VOID NTAPI LookAtPriority(PVOID context)
{
    KeSetEvent(&Ready, 0, FALSE);
    CHECK(WAIT(context, NULL) == STATUS_SUCCESS);
    PrioritySeen = KeQueryPriorityThread(KeGetCurrentThread());
}

static VOID WaitNext(VOID)
{
    KIRQL irql;
    PVOID thread;

    KeInitializeEvent(&Go, SynchronizationEvent, FALSE);
    KeInitializeEvent(&Ready, SynchronizationEvent, FALSE);
    KeInitializeMutex(&Mutex, 0);
    KeInitializeSemaphore(&Semaphore, 0, 2);
    CHECK(KeSetEvent(&Go, 0, TRUE) == 0 && KeGetCurrentIrql() == DISPATCH_LEVEL);
    CHECK(WAIT(&Go, NULL) == STATUS_SUCCESS && KeGetCurrentIrql() == PASSIVE_LEVEL);
    KeRaiseIrql(APC_LEVEL, &irql);
    CHECK(KePulseEvent(&Go, 0, TRUE) == 0 && KeGetCurrentIrql() == DISPATCH_LEVEL);
    CHECK(WAIT(&Go, &Short) == STATUS_TIMEOUT && KeGetCurrentIrql() == APC_LEVEL);
    KeLowerIrql(irql);
    CHECK(WAIT(&Mutex, NULL) == STATUS_SUCCESS);
    CHECK(KeReleaseMutex(&Mutex, TRUE) == 0 && KeGetCurrentIrql() == DISPATCH_LEVEL);
    CHECK(WAIT(&Go, &None) == STATUS_TIMEOUT && KeGetCurrentIrql() == PASSIVE_LEVEL);
    CHECK(KeReleaseSemaphore(&Semaphore, 0, 1, TRUE) == 0 && KeGetCurrentIrql() == DISPATCH_LEVEL);
    CHECK(WAIT(&Semaphore, NULL) == STATUS_SUCCESS && KeGetCurrentIrql() == PASSIVE_LEVEL);

    thread = Start(LookAtPriority, &Go);
    WAIT(&Ready, NULL);
    KeSetEvent(&Go, 3, FALSE);
    Finish(thread);
    CHECK(PrioritySeen == 8 + 3);
    thread = Start(LookAtPriority, &Semaphore);
    WAIT(&Ready, NULL);
    KeReleaseSemaphore(&Semaphore, 20, 1, FALSE);
    Finish(thread);
    CHECK(PrioritySeen == 15);
}

static VOID ReleaseSemaphore(LONG adjustment)
{
    NTSTATUS status = STATUS_SUCCESS;
    __try {
        KeReleaseSemaphore(&Semaphore, 0, adjustment, FALSE);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    CHECK(status == STATUS_SEMAPHORE_LIMIT_EXCEEDED);
}

static VOID Semaphores(VOID)
{
    KeInitializeSemaphore(&Semaphore, 1, 3);
    CHECK(Semaphore.Header.Type == 5 && Semaphore.Limit == 3 && KeReadStateSemaphore(&Semaphore) == 1);
    CHECK(KeReleaseSemaphore(&Semaphore, 0, 2, FALSE) == 1 && KeReadStateSemaphore(&Semaphore) == 3);
    ReleaseSemaphore(1);
    ReleaseSemaphore(-1);
    CHECK(KeReadStateSemaphore(&Semaphore) == 3);
    CHECK(WAIT(&Semaphore, NULL) == STATUS_SUCCESS && WAIT(&Semaphore, NULL) == STATUS_SUCCESS);
    CHECK(WAIT(&Semaphore, NULL) == STATUS_SUCCESS && WAIT(&Semaphore, &None) == STATUS_TIMEOUT);
}

static KAPC Apc, Another;
static PVOID Seen[4];

static VOID NTAPI Kernel(PKAPC apc, PKNORMAL_ROUTINE *normal, PVOID *context, PVOID *first, PVOID *second)
{
    CHECK(KeGetCurrentIrql() == APC_LEVEL && !apc->Inserted);
    Seen[0] = (PVOID)(ULONG_PTR)*normal;
    Seen[1] = *context;
    Seen[2] = *first;
    Seen[3] = *second;
    Note('k');
}

static VOID NTAPI Cancelling(PKAPC apc, PKNORMAL_ROUTINE *normal, PVOID *context, PVOID *first, PVOID *second)
{
    UNREFERENCED_PARAMETER(apc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(first);
    UNREFERENCED_PARAMETER(second);
    *normal = NULL;
    Note('c');
}

static VOID NTAPI Changing(PKAPC apc, PKNORMAL_ROUTINE *normal, PVOID *context, PVOID *first, PVOID *second)
{
    UNREFERENCED_PARAMETER(apc);
    UNREFERENCED_PARAMETER(normal);
    *context = (PVOID)11;
    *first = (PVOID)12;
    *second = (PVOID)13;
    Note('x');
}

static VOID NTAPI Normal(PVOID context, PVOID first, PVOID second)
{
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL);
    CHECK(context == (PVOID)11 && first == (PVOID)12 && second == (PVOID)13);
    Note('n');
    /* Another normal one waits for the end of this, a special one does not. */
    if (Another.KernelRoutine != NULL) {
        KeInsertQueueApc(&Another, NULL, NULL, 0);
        Note('.');
    }
}

static VOID OwnApcs(VOID)
{
    KIRQL old;

    TraceReset();
    KeInitializeApc(&Apc, KeGetCurrentThread(), 0, Kernel, NULL, NULL, UserMode, (PVOID)5);
    CHECK(Apc.Type == 18 && Apc.Size == sizeof Apc && Apc.ApcMode == KernelMode && Apc.NormalContext == NULL);
    KeEnterCriticalRegion();
    CHECK(KeInsertQueueApc(&Apc, (PVOID)1, (PVOID)2, 0));
    CHECK_TRACE("k"); /* a special one, in spite of the region */
    KeLeaveCriticalRegion();
    CHECK(Seen[0] == NULL && Seen[1] == NULL && Seen[2] == (PVOID)1 && Seen[3] == (PVOID)2);
    KeEnterGuardedRegion();
    CHECK(KeAreApcsDisabled() && KeAreAllApcsDisabled());
    CHECK(KeInsertQueueApc(&Apc, NULL, NULL, 0) && !KeInsertQueueApc(&Apc, NULL, NULL, 0) && Apc.Inserted);
    CHECK_TRACE("k");
    KeLeaveGuardedRegion();
    CHECK_TRACE("kk");
    KeRaiseIrql(APC_LEVEL, &old);
    CHECK(!KeAreApcsDisabled() && KeAreAllApcsDisabled());
    KeInsertQueueApc(&Apc, NULL, NULL, 0);
    CHECK_TRACE("kk");
    KeLowerIrql(old);
    CHECK_TRACE("kkk");
    /* What is left more often than entered keeps them away as well, until it is entered. */
    KeLeaveCriticalRegion();
    CHECK(KeAreApcsDisabled() && !KeAreAllApcsDisabled());
    KeEnterCriticalRegion();
    KeLeaveGuardedRegion();
    CHECK(KeAreApcsDisabled() && KeAreAllApcsDisabled());
    KeEnterGuardedRegion();
    CHECK(!KeAreApcsDisabled() && !KeAreAllApcsDisabled());

    TraceReset();
    KeInitializeApc(&Apc, KeGetCurrentThread(), 0, Changing, NULL, Normal, KernelMode, (PVOID)5);
    KeEnterCriticalRegion();
    CHECK(KeInsertQueueApc(&Apc, NULL, NULL, 0));
    CHECK_TRACE("");
    KeLeaveCriticalRegion();
    CHECK_TRACE("xn");
    KeInitializeApc(&Another, KeGetCurrentThread(), 0, Cancelling, NULL, Normal, KernelMode, NULL);
    KeInsertQueueApc(&Apc, NULL, NULL, 0);
    CHECK_TRACE("xnxn.c");
    KeInitializeApc(&Another, KeGetCurrentThread(), 0, Kernel, NULL, NULL, KernelMode, NULL);
    KeInsertQueueApc(&Apc, NULL, NULL, 0);
    CHECK_TRACE("xnxn.cxnk.");
    Another.KernelRoutine = NULL;
}

static NTSTATUS Result;

static VOID NTAPI WaitAlertable(PVOID context)
{
    KeSetEvent(&Ready, 0, FALSE);
    Result = KeWaitForSingleObject(&Go, Executive, (KPROCESSOR_MODE)(ULONG_PTR)context, TRUE, NULL);
    Note('e');
}

static VOID NTAPI WaitPlainly(PVOID context)
{
    KeSetEvent(&Ready, 0, FALSE);
    Result = KeWaitForSingleObject(context, Executive, KernelMode, FALSE, NULL);
    Note('e');
}

static VOID NTAPI Rundown(PKAPC apc)
{
    CHECK(apc == &Apc);
    Note('r');
}

static VOID OthersApcs(VOID)
{
    PVOID thread;

    KeInitializeEvent(&Go, NotificationEvent, FALSE);
    TraceReset();
    thread = Start(WaitPlainly, &Go);
    WAIT(&Ready, NULL);
    Pause();
    KeInitializeApc(&Apc, thread, 0, Changing, NULL, Normal, KernelMode, NULL);
    CHECK(KeInsertQueueApc(&Apc, NULL, NULL, 0));
    Pause();
    CHECK_TRACE("xn"); /* and the wait goes on */
    KeSetEvent(&Go, 0, FALSE);
    KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, NULL);
    CHECK_TRACE("xne");
    CHECK(!KeInsertQueueApc(&Apc, NULL, NULL, 0)); /* it has ended */
    ObDereferenceObject(thread);

    KeClearEvent(&Go);
    TraceReset();
    thread = Start(WaitAlertable, (PVOID)KernelMode);
    WAIT(&Ready, NULL);
    Pause();
    CHECK(!KeAlertThread(thread, KernelMode));
    Finish(thread);
    CHECK(Result == STATUS_ALERTED);
    thread = Start(WaitAlertable, (PVOID)UserMode);
    WAIT(&Ready, NULL);
    Pause();
    KeInitializeApc(&Apc, thread, 0, Kernel, Rundown, Normal, UserMode, NULL);
    TraceReset();
    CHECK(KeInsertQueueApc(&Apc, NULL, NULL, 0));
    Finish(thread);
    CHECK(Result == STATUS_USER_APC);
    CHECK_TRACE("er");
    CHECK(!KeTestAlertThread(KernelMode) && !KeAlertThread(KeGetCurrentThread(), KernelMode));
    CHECK(KeAlertThread(KeGetCurrentThread(), KernelMode));
    CHECK(WAIT(&Go, &None) == STATUS_TIMEOUT);
    CHECK(KeWaitForSingleObject(&Go, Executive, KernelMode, TRUE, NULL) == STATUS_ALERTED);
    KeAlertThread(KeGetCurrentThread(), KernelMode);
    CHECK(KeDelayExecutionThread(KernelMode, TRUE, &Short) == STATUS_ALERTED);
    CHECK(KeDelayExecutionThread(KernelMode, TRUE, &Short) == STATUS_SUCCESS && !KeTestAlertThread(KernelMode));
}

static QUEUE Queue;
static LIST_ENTRY Entries[4];
static PLIST_ENTRY Taken[4];
static volatile LONG TakenCount;

static VOID NTAPI TakeOne(PVOID context)
{
    LONG number = (LONG)(LONG_PTR)context;
    PLIST_ENTRY entry = KeRemoveQueue(&Queue, KernelMode, NULL);
    Taken[number] = entry;
    InterlockedIncrement(&TakenCount);
    if (entry != (PLIST_ENTRY)(ULONG_PTR)STATUS_ABANDONED)
        WAIT(&Go, NULL);
}

static VOID Queues(VOID)
{
    PVOID threads[3];
    LONG n;

    KeInitializeQueue(&Queue, 0);
    CHECK(Queue.Header.Type == 4 && Queue.Header.Size == sizeof Queue / 4 && Queue.CurrentCount == 0);
    CHECK(Queue.MaximumCount == KeQueryActiveProcessorCount(NULL) && IsListEmpty(&Queue.EntryListHead));
    CHECK(KeRundownQueue(&Queue) == NULL);
    CHECK(KeRemoveQueue(&Queue, KernelMode, &None) == (PLIST_ENTRY)(ULONG_PTR)STATUS_ABANDONED);
    KeInitializeQueue(&Queue, 1);
    CHECK(KeRemoveQueue(&Queue, KernelMode, &None) == (PLIST_ENTRY)(ULONG_PTR)STATUS_TIMEOUT);
    CHECK(KeRemoveQueue(&Queue, KernelMode, &Short) == (PLIST_ENTRY)(ULONG_PTR)STATUS_TIMEOUT);
    CHECK(KeInsertQueue(&Queue, &Entries[0]) == 0 && KeInsertQueue(&Queue, &Entries[1]) == 1);
    CHECK(KeInsertHeadQueue(&Queue, &Entries[2]) == 2 && KeReadStateQueue(&Queue) == 3);
    CHECK(KeRemoveQueue(&Queue, KernelMode, NULL) == &Entries[2] && Entries[2].Flink == NULL);
    CHECK(Queue.CurrentCount == 1 && KeReadStateQueue(&Queue) == 2);
    CHECK(KeRemoveQueue(&Queue, KernelMode, NULL) == &Entries[0] && Queue.CurrentCount == 1);
    CHECK(KeInsertQueue(&Queue, &Entries[3]) == 1);
    CHECK(KeRundownQueue(&Queue) == &Entries[1] && Entries[1].Flink == &Entries[3] && Entries[3].Flink == &Entries[1]);

    /* One runs at a time; the one that waited last comes first. */
    KeInitializeQueue(&Queue, 1);
    KeInitializeEvent(&Go, NotificationEvent, FALSE);
    for (n = 0; n < 3; n++) {
        threads[n] = Start(TakeOne, (PVOID)(LONG_PTR)n);
        Pause();
    }
    KeRaiseIrqlToDpcLevel();
    CHECK(KeInsertQueue(&Queue, &Entries[0]) == 0 && KeInsertQueue(&Queue, &Entries[1]) == 0);
    CHECK(Queue.CurrentCount == 1 && KeReadStateQueue(&Queue) == 1);
    KeLowerIrql(PASSIVE_LEVEL);
    Pause();
    /* The first blocks, so the second takes its turn. */
    CHECK(TakenCount == 2 && Taken[2] == &Entries[0] && Taken[1] == &Entries[1]);
    CHECK(KeReadStateQueue(&Queue) == 0 && Queue.CurrentCount == 0);
    CHECK(KeRundownQueue(&Queue) == NULL);
    Finish(threads[0]);
    CHECK(Taken[0] == (PLIST_ENTRY)(ULONG_PTR)STATUS_ABANDONED);
    KeSetEvent(&Go, 0, FALSE);
    Finish(threads[1]);
    Finish(threads[2]);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    Short.QuadPart = -10 * 10000;
    CASE(Events);
    CASE(Mutexes);
    CASE(Semaphores);
    CASE(WaitNext);
    CASE(OwnApcs);
    CASE(OthersApcs);
    CASE(Queues);
    return CHECK_STATUS;
}
