/*
 * Executive resources: recursion, sharing, the four ways to ask for one, taking
 * turns between readers and writers, conversion, and owners that are not
 * threads.
 */
#include "check.h"
#include "thread.h"

static ERESOURCE Resource;

/* Enters, notes, leaves. */
static VOID NTAPI Writer(PVOID letter)
{
    ExEnterCriticalRegionAndAcquireResourceExclusive(&Resource);
    CHECK(ExIsResourceAcquiredExclusiveLite(&Resource));
    Note((char)(ULONG_PTR)letter);
    Pause();
    ExReleaseResourceAndLeaveCriticalRegion(&Resource);
}

static VOID NTAPI Reader(PVOID letter)
{
    ExEnterCriticalRegionAndAcquireResourceShared(&Resource);
    CHECK(!ExIsResourceAcquiredExclusiveLite(&Resource) && ExIsResourceAcquiredSharedLite(&Resource) == 1);
    Note((char)(ULONG_PTR)letter);
    Pause();
    ExReleaseResourceAndLeaveCriticalRegion(&Resource);
}

/* Tries everything without waiting: which of the four were granted. */
typedef struct {
    BOOLEAN exclusive, shared, starve, polite;
} TRIED;

static VOID NTAPI Tries(PVOID context)
{
    TRIED *tried = context;

    KeEnterCriticalRegion();
    if ((tried->exclusive = ExAcquireResourceExclusiveLite(&Resource, FALSE)))
        ExReleaseResourceLite(&Resource);
    if ((tried->shared = ExAcquireResourceSharedLite(&Resource, FALSE)))
        ExReleaseResourceLite(&Resource);
    if ((tried->starve = ExAcquireSharedStarveExclusive(&Resource, FALSE)))
        ExReleaseResourceLite(&Resource);
    if ((tried->polite = ExAcquireSharedWaitForExclusive(&Resource, FALSE)))
        ExReleaseResourceLite(&Resource);
    KeLeaveCriticalRegion();
}

/* The same from another thread, as four digits. */
static ULONG Others(VOID)
{
    TRIED tried;
    Finish(Start(Tries, &tried));
    return tried.exclusive * 1000 + tried.shared * 100 + tried.starve * 10 + tried.polite;
}

static VOID Alone(VOID)
{
    CHECK(ExAcquireResourceExclusiveLite(&Resource, FALSE));
    CHECK(ExAcquireResourceExclusiveLite(&Resource, TRUE));
    CHECK(ExAcquireResourceSharedLite(&Resource, TRUE));
    CHECK(ExIsResourceAcquiredExclusiveLite(&Resource) && ExIsResourceAcquiredSharedLite(&Resource) == 3);
    CHECK(Others() == 0);
    ExReleaseResourceLite(&Resource);
    ExReleaseResourceLite(&Resource);
    CHECK(Others() == 0);
    ExReleaseResourceForThreadLite(&Resource, ExGetCurrentResourceThread());
    CHECK(!ExIsResourceAcquiredExclusiveLite(&Resource) && ExIsResourceAcquiredSharedLite(&Resource) == 0);
    CHECK(Others() == 1111);
}

static VOID Sharing(VOID)
{
    PVOID writer;

    CHECK(ExAcquireResourceSharedLite(&Resource, TRUE));
    CHECK(!ExAcquireResourceExclusiveLite(&Resource, FALSE));
    CHECK(Others() == 111);
    writer = Start(Writer, (PVOID)'w');
    Pause();
    CHECK(ExGetExclusiveWaiterCount(&Resource) == 1 && ExGetSharedWaiterCount(&Resource) == 0);
    CHECK(Others() == 10);
    /* Who owns it already is let in again, unless it asks not to be. */
    CHECK(ExAcquireResourceSharedLite(&Resource, TRUE));
    CHECK(!ExAcquireSharedWaitForExclusive(&Resource, FALSE));
    ExReleaseResourceLite(&Resource);
    ExReleaseResourceLite(&Resource);
    Finish(writer);
    CHECK(ExGetExclusiveWaiterCount(&Resource) == 0);
}

static VOID Turns(VOID)
{
    PVOID threads[4];

    TraceReset();
    CHECK(ExAcquireResourceExclusiveLite(&Resource, TRUE));
    threads[0] = Start(Writer, (PVOID)'w');
    threads[1] = Start(Reader, (PVOID)'r');
    threads[2] = Start(Reader, (PVOID)'r');
    threads[3] = Start(Writer, (PVOID)'x');
    Pause();
    CHECK(ExGetExclusiveWaiterCount(&Resource) == 2 && ExGetSharedWaiterCount(&Resource) == 2);
    ExReleaseResourceLite(&Resource);
    /* All readers, then one writer after the other. */
    for (ULONG n = 0; n < 4; n++)
        Finish(threads[n]);
    CHECK_TRACE("rrwx");
}

static VOID Conversion(VOID)
{
    PVOID reader;

    TraceReset();
    CHECK(ExAcquireResourceExclusiveLite(&Resource, TRUE));
    reader = Start(Reader, (PVOID)'r');
    Pause();
    CHECK_TRACE("");
    ExConvertExclusiveToSharedLite(&Resource);
    CHECK(!ExIsResourceAcquiredExclusiveLite(&Resource) && ExIsResourceAcquiredSharedLite(&Resource) == 1);
    Finish(reader);
    CHECK_TRACE("r");
    CHECK(Others() == 111);
    ExReleaseResourceLite(&Resource);
}

static ERESOURCE_THREAD Owner;

static VOID NTAPI Releaser(PVOID context)
{
    ExReleaseResourceForThreadLite(&Resource, (ERESOURCE_THREAD)context);
}

static VOID OwnerPointers(VOID)
{
    ERESOURCE_THREAD pointer = (ERESOURCE_THREAD)&Owner | 3;

    CHECK(ExAcquireResourceExclusiveLite(&Resource, TRUE));
    ExSetResourceOwnerPointer(&Resource, (PVOID)pointer);
    CHECK(!ExIsResourceAcquiredExclusiveLite(&Resource));
    CHECK(!ExAcquireResourceSharedLite(&Resource, FALSE));
    Finish(Start(Releaser, (PVOID)pointer));
    CHECK(Others() == 1111);
}

static VOID Reinitialised(VOID)
{
    CHECK(ExAcquireResourceExclusiveLite(&Resource, TRUE));
    ExReleaseResourceLite(&Resource);
    CHECK(ExReinitializeResourceLite(&Resource) == STATUS_SUCCESS);
    CHECK(ExAcquireResourceSharedLite(&Resource, TRUE));
    ExReleaseResourceLite(&Resource);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    CaseName = "start";
    CHECK(sizeof(ERESOURCE) == 0x68);
    CHECK(ExInitializeResourceLite(&Resource) == STATUS_SUCCESS);
    KeEnterCriticalRegion();
    CASE(Alone);
    CASE(Sharing);
    CASE(Turns);
    CASE(Conversion);
    CASE(OwnerPointers);
    CASE(Reinitialised);
    KeLeaveCriticalRegion();
    CHECK(ExDeleteResourceLite(&Resource) == STATUS_SUCCESS);
    return CHECK_STATUS;
}
