/*
 * Locks of the executive: what each does to the IRQL, who gets it, and how
 * threads wait for it. Every case that waits has a second thread that it waits
 * for.
 */
#include "check.h"
#include "thread.h"

/* Younger than the header, or in no public header. */
typedef LONG EX_SPIN_LOCK;
typedef ULONG_PTR PUSH_LOCK;
NTKERNELAPI KIRQL NTAPI ExAcquireSpinLockExclusive(EX_SPIN_LOCK *lock);
NTKERNELAPI VOID NTAPI ExReleaseSpinLockExclusive(EX_SPIN_LOCK *lock, KIRQL irql);
NTKERNELAPI KIRQL NTAPI ExAcquireSpinLockShared(EX_SPIN_LOCK *lock);
NTKERNELAPI VOID NTAPI ExReleaseSpinLockShared(EX_SPIN_LOCK *lock, KIRQL irql);
NTKERNELAPI VOID NTAPI ExReleaseSpinLockSharedFromDpcLevel(EX_SPIN_LOCK *lock);
NTKERNELAPI LOGICAL NTAPI ExTryConvertSharedSpinLockExclusive(EX_SPIN_LOCK *lock);
NTKERNELAPI VOID NTAPI ExAcquirePushLockExclusiveEx(PUSH_LOCK *lock, ULONG flags);
NTKERNELAPI VOID NTAPI ExReleasePushLockExclusiveEx(PUSH_LOCK *lock, ULONG flags);
NTKERNELAPI VOID NTAPI ExAcquirePushLockSharedEx(PUSH_LOCK *lock, ULONG flags);
NTKERNELAPI VOID NTAPI ExReleasePushLockSharedEx(PUSH_LOCK *lock, ULONG flags);

static VOID SpinLocks(VOID)
{
    KSPIN_LOCK lock;
    KIRQL old, outer;

    KeInitializeSpinLock(&lock);
    CHECK(KeTestSpinLock(&lock));
    KeAcquireSpinLock(&lock, &old);
    CHECK(old == PASSIVE_LEVEL && KeGetCurrentIrql() == DISPATCH_LEVEL && !KeTestSpinLock(&lock));
    CHECK(!KeTryToAcquireSpinLockAtDpcLevel(&lock));
    KeReleaseSpinLock(&lock, old);
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL && KeTestSpinLock(&lock));
    KeRaiseIrql(DISPATCH_LEVEL, &outer);
    KeAcquireSpinLockAtDpcLevel(&lock);
    KeReleaseSpinLockFromDpcLevel(&lock);
    CHECK(KeTryToAcquireSpinLockAtDpcLevel(&lock));
    KeReleaseSpinLockFromDpcLevel(&lock);
    KeAcquireSpinLock(&lock, &old);
    CHECK(old == DISPATCH_LEVEL);
    KeReleaseSpinLock(&lock, old);
    CHECK(KeGetCurrentIrql() == DISPATCH_LEVEL);
    KeLowerIrql(outer);
}

static VOID QueuedSpinLocks(VOID)
{
    KSPIN_LOCK lock, other;
    KLOCK_QUEUE_HANDLE handle, inner;

    KeInitializeSpinLock(&lock);
    KeInitializeSpinLock(&other);
    KeAcquireInStackQueuedSpinLock(&lock, &handle);
    CHECK(KeGetCurrentIrql() == DISPATCH_LEVEL && handle.OldIrql == PASSIVE_LEVEL && !KeTestSpinLock(&lock));
    KeAcquireInStackQueuedSpinLockAtDpcLevel(&other, &inner);
    KeReleaseInStackQueuedSpinLockFromDpcLevel(&inner);
    KeReleaseInStackQueuedSpinLock(&handle);
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL && KeTestSpinLock(&lock) && KeTestSpinLock(&other));
}

static VOID ReaderWriterSpinLocks(VOID)
{
    EX_SPIN_LOCK lock = 0;
    KIRQL old = ExAcquireSpinLockExclusive(&lock);

    CHECK(old == PASSIVE_LEVEL && KeGetCurrentIrql() == DISPATCH_LEVEL && lock != 0);
    ExReleaseSpinLockExclusive(&lock, old);
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL && lock == 0);
    old = ExAcquireSpinLockShared(&lock);
    CHECK(ExTryConvertSharedSpinLockExclusive(&lock));
    ExReleaseSpinLockExclusive(&lock, old);
    CHECK(lock == 0);
    old = ExAcquireSpinLockShared(&lock);
    ExReleaseSpinLockSharedFromDpcLevel(&lock);
    KeLowerIrql(old);
}

static FAST_MUTEX Mutex;

static VOID NTAPI MutexThread(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    CHECK(!ExTryToAcquireFastMutex(&Mutex) && KeGetCurrentIrql() == PASSIVE_LEVEL);
    Note('w');
    ExAcquireFastMutex(&Mutex);
    CHECK(KeGetCurrentIrql() == APC_LEVEL && Mutex.Owner == (PVOID)KeGetCurrentThread());
    Note('g');
    ExReleaseFastMutex(&Mutex);
}

static VOID FastMutexes(VOID)
{
    PVOID thread;

    TraceReset();
    ExInitializeFastMutex(&Mutex);
    ExAcquireFastMutex(&Mutex);
    CHECK(KeGetCurrentIrql() == APC_LEVEL && Mutex.Owner == (PVOID)KeGetCurrentThread());
    ExReleaseFastMutex(&Mutex);
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL && Mutex.Owner == NULL);
    CHECK(ExTryToAcquireFastMutex(&Mutex) && KeGetCurrentIrql() == APC_LEVEL);
    ExReleaseFastMutex(&Mutex);

    KeEnterCriticalRegion();
    ExAcquireFastMutexUnsafe(&Mutex);
    thread = Start(MutexThread, NULL);
    Pause();
    Note('r');
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL && Mutex.Contention == 1);
    ExReleaseFastMutexUnsafe(&Mutex);
    KeLeaveCriticalRegion();
    Finish(thread);
    CHECK_TRACE("wrg");
    CHECK(Mutex.Count == 1);
}

static VOID GuardedMutexes(VOID)
{
    KGUARDED_MUTEX mutex;

    KeInitializeGuardedMutex(&mutex);
    CHECK(KeTryToAcquireGuardedMutex(&mutex) && KeAreAllApcsDisabled());
    CHECK(!KeTryToAcquireGuardedMutex(&mutex));
    KeReleaseGuardedMutex(&mutex);
    CHECK(!KeAreAllApcsDisabled());
    KeAcquireGuardedMutex(&mutex);
    KeReleaseGuardedMutex(&mutex);
    KeEnterGuardedRegion();
    KeAcquireGuardedMutexUnsafe(&mutex);
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL);
    KeReleaseGuardedMutexUnsafe(&mutex);
    KeLeaveGuardedRegion();
}

static PUSH_LOCK PushLock;

static VOID NTAPI WriterThread(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    KeEnterCriticalRegion();
    ExAcquirePushLockExclusiveEx(&PushLock, 0);
    Note('W');
    Pause();
    Note('w');
    ExReleasePushLockExclusiveEx(&PushLock, 0);
    KeLeaveCriticalRegion();
}

static VOID NTAPI ReaderThread(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    KeEnterCriticalRegion();
    ExAcquirePushLockSharedEx(&PushLock, 0);
    Note('R');
    Pause();
    Note('r');
    ExReleasePushLockSharedEx(&PushLock, 0);
    KeLeaveCriticalRegion();
}

static VOID PushLocks(VOID)
{
    PVOID threads[2];

    TraceReset();
    PushLock = 0;
    KeEnterCriticalRegion();
    /* Readers share. */
    ExAcquirePushLockSharedEx(&PushLock, 0);
    threads[0] = Start(ReaderThread, NULL);
    Finish(threads[0]);
    CHECK_TRACE("Rr");
    /* A writer waits for the last of them. */
    threads[0] = Start(WriterThread, NULL);
    Pause();
    CHECK_TRACE("Rr");
    ExReleasePushLockSharedEx(&PushLock, 0);
    Finish(threads[0]);
    CHECK_TRACE("RrWw");
    /* And readers for the writer. */
    ExAcquirePushLockExclusiveEx(&PushLock, 0);
    threads[0] = Start(ReaderThread, NULL);
    threads[1] = Start(ReaderThread, NULL);
    Pause();
    CHECK_TRACE("RrWw");
    ExReleasePushLockExclusiveEx(&PushLock, 0);
    Finish(threads[0]);
    Finish(threads[1]);
    CHECK_TRACE("RrWwRRrr");
    KeLeaveCriticalRegion();
    CHECK(PushLock == 0);
}

static EX_RUNDOWN_REF Rundown;

static VOID NTAPI RundownThread(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    Note('w');
    ExWaitForRundownProtectionRelease(&Rundown);
    Note('d');
}

static VOID RundownProtection(VOID)
{
    PEX_RUNDOWN_REF_CACHE_AWARE aware;
    PVOID thread;

    TraceReset();
    ExInitializeRundownProtection(&Rundown);
    CHECK(ExAcquireRundownProtection(&Rundown) && ExAcquireRundownProtectionEx(&Rundown, 2));
    thread = Start(RundownThread, NULL);
    Pause();
    CHECK(!ExAcquireRundownProtection(&Rundown));
    ExReleaseRundownProtectionEx(&Rundown, 2);
    Pause();
    CHECK_TRACE("w");
    ExReleaseRundownProtection(&Rundown);
    Finish(thread);
    CHECK_TRACE("wd");
    ExRundownCompleted(&Rundown);
    CHECK(!ExAcquireRundownProtection(&Rundown));
    ExReInitializeRundownProtection(&Rundown);
    CHECK(ExAcquireRundownProtection(&Rundown));
    ExReleaseRundownProtection(&Rundown);

    aware = ExAllocateCacheAwareRundownProtection(NonPagedPool, 0x6e777552);
    CHECK(aware != NULL && ExAcquireRundownProtectionCacheAware(aware));
    ExReleaseRundownProtectionCacheAware(aware);
    ExWaitForRundownProtectionReleaseCacheAware(aware);
    CHECK(!ExAcquireRundownProtectionCacheAware(aware));
    ExFreeCacheAwareRundownProtection(aware);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    CASE(SpinLocks);
    CASE(QueuedSpinLocks);
    CASE(ReaderWriterSpinLocks);
    CASE(FastMutexes);
    CASE(GuardedMutexes);
    CASE(PushLocks);
    CASE(RundownProtection);
    return CHECK_STATUS;
}
