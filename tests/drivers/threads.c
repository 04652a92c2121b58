/*
 * Threads and time: a worker thread that is handed work through a semaphore and
 * answers through an event, a mutex taken twice, a timer of thirty seconds, a
 * thread that spins until another one stops it, and waits that time out. Each
 * step that fails returns its number in the status.
 */
#include <ntddk.h>

#define SAY(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "threads: " __VA_ARGS__)
#define CHECK(step, condition)                         \
    do {                                               \
        if (!(condition)) {                            \
            SAY("step %d failed: %s\n", step, #condition); \
            return (NTSTATUS)(0xE0000000 | (step));    \
        }                                              \
    } while (0)

static KSEMAPHORE Work;
static KEVENT Done;
static KMUTEX Mutex;
static volatile LONG Value;
static volatile LONG Stop;
static PKTHREAD Seen;

static VOID NTAPI Worker(PVOID context)
{
    LONG n;
    Seen = KeGetCurrentThread();
    for (n = 0; n < 3; n++) {
        KeWaitForSingleObject(&Work, Executive, KernelMode, FALSE, NULL);
        Value += (LONG)(LONG_PTR)context;
        KeSetEvent(&Done, IO_NO_INCREMENT, FALSE);
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

static VOID NTAPI Stopper(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    Stop = 1;
}

static NTSTATUS Start(PKSTART_ROUTINE routine, PVOID context, PVOID *thread)
{
    HANDLE handle;
    NTSTATUS status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, NULL, NULL, NULL, routine, context);
    if (!NT_SUCCESS(status))
        return status;
    status = ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode, thread, NULL);
    ZwClose(handle);
    return status;
}

static NTSTATUS Threads(void)
{
    PVOID thread;
    LONG n;
    KeInitializeSemaphore(&Work, 0, 3);
    KeInitializeEvent(&Done, SynchronizationEvent, FALSE);
    CHECK(1, NT_SUCCESS(Start(Worker, (PVOID)5, &thread)));
    for (n = 1; n <= 3; n++) {
        KeReleaseSemaphore(&Work, IO_NO_INCREMENT, 1, FALSE);
        KeWaitForSingleObject(&Done, Executive, KernelMode, FALSE, NULL);
        CHECK(2, Value == 5 * n);
    }
    CHECK(3, KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, NULL) == STATUS_SUCCESS);
    CHECK(4, Seen == thread && Seen != KeGetCurrentThread());
    ObDereferenceObject(thread);
    CHECK(5, NT_SUCCESS(Start(Stopper, NULL, &thread)));
    while (!Stop) /* the other thread gets its turn all the same */
        YieldProcessor();
    KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(thread);
    return STATUS_SUCCESS;
}

static NTSTATUS Waits(void)
{
    KEVENT events[2];
    PVOID both[2] = {&events[0], &events[1]};
    LARGE_INTEGER short_time;
    KeInitializeEvent(&events[0], NotificationEvent, FALSE);
    KeInitializeEvent(&events[1], SynchronizationEvent, TRUE);
    short_time.QuadPart = -100000;
    CHECK(10, KeWaitForSingleObject(&events[0], Executive, KernelMode, FALSE, &short_time) == STATUS_TIMEOUT);
    CHECK(11, KeWaitForMultipleObjects(2, both, WaitAll, Executive, KernelMode, FALSE, &short_time, NULL) == STATUS_TIMEOUT);
    CHECK(12, KeReadStateEvent(&events[1]) != 0);
    CHECK(13, KeWaitForMultipleObjects(2, both, WaitAny, Executive, KernelMode, FALSE, NULL, NULL) == STATUS_WAIT_1);
    CHECK(14, KeReadStateEvent(&events[1]) == 0);
    CHECK(15, KeSetEvent(&events[0], IO_NO_INCREMENT, FALSE) == 0 && KeSetEvent(&events[1], IO_NO_INCREMENT, FALSE) == 0);
    CHECK(16, KeWaitForMultipleObjects(2, both, WaitAll, Executive, KernelMode, FALSE, NULL, NULL) == STATUS_SUCCESS);
    CHECK(17, KeReadStateEvent(&events[0]) != 0 && KeReadStateEvent(&events[1]) == 0);
    KeInitializeMutex(&Mutex, 0);
    KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, NULL);
    KeWaitForSingleObject(&Mutex, Executive, KernelMode, FALSE, NULL);
    CHECK(18, KeReleaseMutex(&Mutex, FALSE) < 0);
    CHECK(19, KeReleaseMutex(&Mutex, FALSE) == 0 && KeReadStateMutex(&Mutex) == 1);
    return STATUS_SUCCESS;
}

static NTSTATUS Time(void)
{
    KTIMER timer;
    LARGE_INTEGER due, before, after, tick;
    KeInitializeTimerEx(&timer, SynchronizationTimer);
    KeQuerySystemTime(&before);
    due.QuadPart = -30 * 10000000LL;
    CHECK(30, !KeSetTimer(&timer, due, NULL) && KeSetTimer(&timer, due, NULL));
    CHECK(37, *(PULONG)&timer == 0x40000009); /* the flag that it is set, above its index */
    CHECK(31, KeWaitForSingleObject(&timer, Executive, KernelMode, FALSE, NULL) == STATUS_SUCCESS);
    KeQuerySystemTime(&after);
    CHECK(32, after.QuadPart - before.QuadPart >= 30 * 10000000LL);
    CHECK(33, !KeReadStateTimer(&timer) && !KeCancelTimer(&timer));
    CHECK(38, *(PULONG)&timer == 9);
    KeQueryTickCount(&tick);
    CHECK(34, tick.QuadPart * KeQueryTimeIncrement() >= 30 * 10000000LL);
    due.QuadPart = -3600 * 10000000LL; /* an hour */
    CHECK(35, KeDelayExecutionThread(KernelMode, FALSE, &due) == STATUS_SUCCESS);
    KeQuerySystemTime(&before);
    CHECK(36, before.QuadPart - after.QuadPart >= 3600 * 10000000LL);
    return STATUS_SUCCESS;
}

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    NTSTATUS status;
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    status = Threads();
    if (NT_SUCCESS(status))
        status = Waits();
    if (NT_SUCCESS(status))
        status = Time();
    SAY("status %08x\n", status);
    return status;
}
