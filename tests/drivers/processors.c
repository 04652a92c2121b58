/*
 * Several processors, checked from inside: which one a thread is on, what two do
 * at DISPATCH_LEVEL at the same time, locks between them, DPCs and routines for
 * another one. `Count` in the Parameters says how many there are; `How` asks for
 * a mistake.
 */
#include "check.h"
#include "parameter.h"
#include "thread.h"

#define MOST 8
#define ROUNDS 2000
#define VISIBLE __attribute__((noinline, noclone, used))

/* The headers do not know of these. */
typedef struct _SYSTEM_BASIC {
    ULONG Reserved, TimerResolution, PageSize, Pages, LowestPage, HighestPage, Granularity;
    ULONG_PTR MinimumAddress, MaximumAddress;
    KAFFINITY Processors;
    CCHAR Count;
} SYSTEM_BASIC;
NTSTATUS NTAPI ZwQuerySystemInformation(ULONG class, PVOID information, ULONG length, PULONG returned);
KIRQL NTAPI ExAcquireSpinLockShared(volatile LONG *lock);
VOID NTAPI ExReleaseSpinLockShared(volatile LONG *lock, KIRQL irql);
KIRQL NTAPI ExAcquireSpinLockExclusive(volatile LONG *lock);
VOID NTAPI ExReleaseSpinLockExclusive(volatile LONG *lock, KIRQL irql);

VOID NTAPI KeGenericCallDpc(PKDEFERRED_ROUTINE routine, PVOID context);
VOID NTAPI KeSignalCallDpcDone(PVOID count);
LOGICAL NTAPI KeSignalCallDpcSynchronize(PVOID barrier);

static ULONG Count;
static KSPIN_LOCK Lock, Other;
static volatile LONG Shared;
static volatile ULONG Total, Torn;
static volatile LONG Step, Arrived, Called;
static volatile ULONG Where[MOST];
static KDPC Dpc;

static ULONG Number(VOID)
{
    PROCESSOR_NUMBER number = {9, 9, 9};
    ULONG index = KeGetCurrentProcessorNumberEx(&number);

    CHECK(number.Group == 0 && number.Number == index && number.Reserved == 0);
    CHECK(__readgsbyte(0x184) == index);
    CHECK(__readgsdword(0x1a4) == index);
    CHECK(__readgsqword(0x18) + 0x180 == __readgsqword(0x20));
    CHECK(__readgsqword(0x188) == (ULONG_PTR)PsGetCurrentThread());
    return index;
}

/* Runs a routine on every processor, in threads of their own. */
static VOID OnEach(PKSTART_ROUTINE routine)
{
    PVOID threads[MOST];
    ULONG n;

    for (n = 0; n < Count; n++)
        threads[n] = Start(routine, (PVOID)(ULONG_PTR)n);
    for (n = 0; n < Count; n++)
        Finish(threads[n]);
}

static VOID Counts(VOID)
{
    KAFFINITY affinity = 0, all = ((KAFFINITY)1 << Count) - 1;
    PROCESSOR_NUMBER number;
    SYSTEM_BASIC basic;
    ULONG n;

    CHECK(KeQueryActiveProcessorCount(&affinity) == Count && affinity == all);
    CHECK(KeQueryActiveProcessorCountEx(0) == Count);
    CHECK(KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS) == Count);
    CHECK(KeQueryActiveProcessorCountEx(1) == 0);
    CHECK(KeQueryMaximumProcessorCount() >= Count);
    CHECK(KeQueryActiveProcessors() == all);
    CHECK(KeQueryGroupAffinity(0) == all);
    CHECK(KeQueryActiveGroupCount() == 1);
    CHECK((ULONG)KeNumberProcessors == Count);
    for (n = 0; n < Count; n++) {
        CHECK(NT_SUCCESS(KeGetProcessorNumberFromIndex(n, &number)));
        CHECK(number.Group == 0 && number.Number == n);
        CHECK(KeGetProcessorIndexFromNumber(&number) == n);
    }
    CHECK(KeGetProcessorNumberFromIndex(Count, &number) == STATUS_INVALID_PARAMETER);
    number.Group = 0;
    number.Number = (UCHAR)Count;
    CHECK(KeGetProcessorIndexFromNumber(&number) == INVALID_PROCESSOR_INDEX);
    CHECK(KeSetTargetProcessorDpcEx(&Dpc, &number) == STATUS_INVALID_PARAMETER);
    CHECK(NT_SUCCESS(ZwQuerySystemInformation(0, &basic, sizeof(basic), NULL)));
    CHECK((ULONG)basic.Count == Count && basic.Processors == all);
}

/* The thread goes where its affinity says, as soon as its IRQL lets it. */
static VOID Moves(VOID)
{
    GROUP_AFFINITY group = {0}, before;
    KAFFINITY old;
    KIRQL irql;
    ULONG n, from;

    for (n = Count; n-- > 0;) {
        KeSetSystemAffinityThread((KAFFINITY)1 << n);
        CHECK(Number() == n);
    }
    KeRevertToUserAffinityThread();
    old = KeSetSystemAffinityThreadEx((KAFFINITY)1 << (Count - 1));
    CHECK(old == 0 && Number() == Count - 1);
    CHECK(KeSetSystemAffinityThreadEx(1) == (KAFFINITY)1 << (Count - 1));
    CHECK(Number() == 0);
    KeRevertToUserAffinityThreadEx((KAFFINITY)1 << (Count - 1));
    CHECK(Number() == Count - 1);
    KeRevertToUserAffinityThreadEx(0);
    group.Mask = 1;
    KeSetSystemGroupAffinityThread(&group, &before);
    CHECK(before.Mask == 0 && Number() == 0);
    KeRevertToUserGroupAffinityThread(&before);

    KeSetSystemAffinityThread(1);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    from = Number();
    KeSetSystemAffinityThread((KAFFINITY)1 << (Count - 1));
    CHECK(Number() == from);
    KeLowerIrql(irql);
    CHECK(Number() == Count - 1);
    KeRevertToUserAffinityThread();
}

static VOID NTAPI Pinned(PVOID context)
{
    ULONG n = (ULONG)(ULONG_PTR)context;

    KeSetSystemAffinityThread((KAFFINITY)1 << n);
    Where[n] = Number();
    Pause();
    CHECK(Number() == n);
}

static VOID Numbers(VOID)
{
    ULONG n;

    for (n = 0; n < Count; n++)
        Where[n] = MOST;
    OnEach(Pinned);
    for (n = 0; n < Count; n++)
        CHECK(Where[n] == n);
}

/* An increment that loses others which come in between. */
static VOID Increment(VOID)
{
    volatile ULONG n;
    ULONG value = Total;

    for (n = 0; n < 40; n++)
        YieldProcessor();
    Total = value + 1;
}

static VOID NTAPI UnderLock(PVOID context)
{
    KIRQL irql;
    ULONG n;

    KeSetSystemAffinityThread((KAFFINITY)1 << (ULONG_PTR)context);
    for (n = 0; n < ROUNDS; n++) {
        KeAcquireSpinLock(&Lock, &irql);
        Increment();
        KeReleaseSpinLock(&Lock, irql);
    }
}

static VOID NTAPI UnderQueuedLock(PVOID context)
{
    KLOCK_QUEUE_HANDLE handle;
    ULONG n;

    KeSetSystemAffinityThread((KAFFINITY)1 << (ULONG_PTR)context);
    for (n = 0; n < ROUNDS; n++) {
        KeAcquireInStackQueuedSpinLock(&Lock, &handle);
        Increment();
        KeReleaseInStackQueuedSpinLock(&handle);
    }
}

static VOID NTAPI UnderSharedLock(PVOID context)
{
    KIRQL irql;
    ULONG n, before;

    KeSetSystemAffinityThread((KAFFINITY)1 << (ULONG_PTR)context);
    for (n = 0; n < ROUNDS; n++) {
        irql = ExAcquireSpinLockShared(&Shared);
        before = Total;
        YieldProcessor();
        if (Total != before)
            Torn++;
        ExReleaseSpinLockShared(&Shared, irql);
        irql = ExAcquireSpinLockExclusive(&Shared);
        Increment();
        ExReleaseSpinLockExclusive(&Shared, irql);
    }
}

static VOID Locks(VOID)
{
    PKSTART_ROUTINE routines[] = {UnderLock, UnderQueuedLock, UnderSharedLock};
    ULONG n;

    for (n = 0; n < RTL_NUMBER_OF(routines); n++) {
        Total = 0;
        OnEach(routines[n]);
        CHECK(Total == Count * ROUNDS);
    }
    CHECK(Torn == 0 && Lock == 0 && Shared == 0);
}

/* Two at DISPATCH_LEVEL, each of which needs the other one's next step. */
static VOID Await(LONG step)
{
    while (Step < step)
        YieldProcessor();
}

static VOID NTAPI Answers(PVOID context)
{
    KIRQL irql;
    LONG n;

    UNREFERENCED_PARAMETER(context);
    KeSetSystemAffinityThread(2);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    for (n = 0; n < 10; n++) {
        Await(2 * n + 1);
        Step = 2 * n + 2;
    }
    KeLowerIrql(irql);
}

static VOID AtTheSameTime(VOID)
{
    PVOID thread;
    KIRQL irql;
    LONG n;

    Step = 0;
    KeSetSystemAffinityThread(1);
    thread = Start(Answers, NULL);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    for (n = 0; n < 10; n++) {
        Step = 2 * n + 1;
        Await(2 * n + 2);
    }
    KeLowerIrql(irql);
    CHECK(Step == 20);
    Finish(thread);
    KeRevertToUserAffinityThread();
}

static VOID NTAPI OnProcessor(PKDPC dpc, PVOID context, PVOID first, PVOID second)
{
    UNREFERENCED_PARAMETER(dpc);
    CHECK(context == (PVOID)1 && first == (PVOID)2 && second == (PVOID)3);
    CHECK(KeGetCurrentIrql() == DISPATCH_LEVEL);
    Where[0] = Number();
    Step = 1;
}

static VOID Dpcs(VOID)
{
    PROCESSOR_NUMBER number;
    ULONG n;
    KIRQL irql;

    KeSetSystemAffinityThread(1);
    for (n = 0; n < Count; n++) {
        Where[0] = MOST;
        KeInitializeDpc(&Dpc, OnProcessor, (PVOID)1);
        KeSetTargetProcessorDpc(&Dpc, (CCHAR)n);
        CHECK(KeInsertQueueDpc(&Dpc, (PVOID)2, (PVOID)3));
        KeFlushQueuedDpcs();
        CHECK(Where[0] == n);

        /* Another processor runs it while this one does not let go. */
        Where[0] = MOST;
        Step = 0;
        KeInitializeDpc(&Dpc, OnProcessor, (PVOID)1);
        CHECK(NT_SUCCESS(KeGetProcessorNumberFromIndex(n, &number)));
        CHECK(NT_SUCCESS(KeSetTargetProcessorDpcEx(&Dpc, &number)));
        KeSetImportanceDpc(&Dpc, n % 2 ? HighImportance : MediumImportance);
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
        CHECK(KeInsertQueueDpc(&Dpc, (PVOID)2, (PVOID)3));
        if (n == 0) {
            CHECK(!KeInsertQueueDpc(&Dpc, (PVOID)2, (PVOID)3));
            CHECK(Where[0] == MOST);
        } else {
            Await(1);
        }
        KeLowerIrql(irql);
        CHECK(Where[0] == n);
    }
    KeRevertToUserAffinityThread();
}

/* Each waits for all others before it returns. */
static ULONG_PTR NTAPI Everywhere(ULONG_PTR context)
{
    CHECK(context == 0x1234 && KeGetCurrentIrql() == IPI_LEVEL);
    InterlockedOr(&Called, 1 << Number());
    InterlockedIncrement(&Arrived);
    while (Arrived < (LONG)Count)
        YieldProcessor();
    return 0x100 + Number();
}

/* A DPC on every processor: they meet twice, and one of them is told so. */
static VOID NTAPI OnAll(PKDPC dpc, PVOID context, PVOID done, PVOID barrier)
{
    UNREFERENCED_PARAMETER(dpc);
    CHECK(context == (PVOID)7 && KeGetCurrentIrql() == DISPATCH_LEVEL);
    InterlockedOr(&Called, 1 << Number());
    InterlockedIncrement(&Arrived);
    if (KeSignalCallDpcSynchronize(barrier))
        InterlockedIncrement(&Step);
    CHECK(Arrived == (LONG)Count);
    if (KeSignalCallDpcSynchronize(barrier))
        InterlockedIncrement(&Step);
    KeSignalCallDpcDone(done);
}

static VOID GenericDpcs(VOID)
{
    ULONG n;

    for (n = 0; n < 3; n++) {
        Called = Arrived = Step = 0;
        KeGenericCallDpc(OnAll, (PVOID)7);
        CHECK(Called == (1 << Count) - 1 && Arrived == (LONG)Count && Step == 2);
        CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL);
    }
}

static VOID NTAPI Turns(PVOID context)
{
    KIRQL irql;

    KeSetSystemAffinityThread((KAFFINITY)1 << (ULONG_PTR)context);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    Where[(ULONG_PTR)context] = 1;
    Await(1);
    KeLowerIrql(irql);
}

static VOID Calls(VOID)
{
    PVOID threads[MOST];
    ULONG n;

    KeSetSystemAffinityThread(1);
    Arrived = Called = 0;
    CHECK(KeIpiGenericCall(Everywhere, 0x1234) == 0x100);
    CHECK(Called == (1 << Count) - 1 && Arrived == (LONG)Count);
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL);

    /* The same when the others are busy at DISPATCH_LEVEL. */
    Step = 0;
    for (n = 1; n < Count; n++) {
        Where[n] = 0;
        threads[n] = Start(Turns, (PVOID)(ULONG_PTR)n);
        while (!Where[n])
            YieldProcessor();
    }
    Arrived = Called = 0;
    CHECK(KeIpiGenericCall(Everywhere, 0x1234) == 0x100);
    CHECK(Called == (1 << Count) - 1);
    Step = 1;
    for (n = 1; n < Count; n++)
        Finish(threads[n]);
    KeRevertToUserAffinityThread();
}

VISIBLE VOID NTAPI TakesOtherFirst(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    KeSetSystemAffinityThread(2);
    KfRaiseIrql(DISPATCH_LEVEL);
    KeAcquireSpinLockAtDpcLevel(&Other);
    Step = 1;
    Await(2);
    KeAcquireSpinLockAtDpcLevel(&Lock);
}

VISIBLE VOID LockOut(VOID)
{
    KeSetSystemAffinityThread(1);
    Start(TakesOtherFirst, NULL);
    KfRaiseIrql(DISPATCH_LEVEL);
    Await(1);
    KeAcquireSpinLockAtDpcLevel(&Lock);
    Step = 2;
    KeAcquireSpinLockAtDpcLevel(&Other);
}

/* Does not say that it is done. */
static VOID NTAPI SaysNothing(PKDPC dpc, PVOID context, PVOID done, PVOID barrier)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(done);
    UNREFERENCED_PARAMETER(barrier);
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    driver->DriverUnload = Unload;
    Count = Parameter(path, L"Count", 1);
    KeInitializeSpinLock(&Lock);
    KeInitializeSpinLock(&Other);
    switch (Parameter(path, L"How", 0)) {
    case 1:
        LockOut();
        break;
    case 2:
        KfRaiseIrql(DISPATCH_LEVEL);
        KeAcquireSpinLockAtDpcLevel(&Lock);
        KeAcquireSpinLockAtDpcLevel(&Lock);
        break;
    case 3:
        KeInitializeDpc(&Dpc, OnProcessor, (PVOID)1);
        KeSetTargetProcessorDpc(&Dpc, 60);
        return STATUS_SUCCESS;
    case 4:
        KeGenericCallDpc(SaysNothing, NULL);
        break;
    }
    CASE(Counts);
    CASE(Moves);
    CASE(Numbers);
    CASE(Locks);
    if (Count > 1)
        CASE(AtTheSameTime);
    CASE(Dpcs);
    CASE(Calls);
    CASE(GenericDpcs);
    return CHECK_STATUS;
}
