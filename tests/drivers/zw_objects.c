/*
 * Events, timers and waits by handle, and what the system tells of itself.
 */
#include <ntifs.h>
#include "check.h"
#include "thread.h"

#define TAG 0x74736554 /* "Test" */
#ifndef TIMER_ALL_ACCESS
#define TIMER_ALL_ACCESS 0x1F0003
#endif

NTSYSAPI NTSTATUS NTAPI ZwCreateEvent(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES, EVENT_TYPE, BOOLEAN);
NTSYSAPI NTSTATUS NTAPI ZwOpenEvent(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES);
NTSYSAPI NTSTATUS NTAPI ZwSetEvent(HANDLE, PLONG);
NTSYSAPI NTSTATUS NTAPI ZwResetEvent(HANDLE, PLONG);
NTSYSAPI NTSTATUS NTAPI ZwClearEvent(HANDLE);
NTSYSAPI NTSTATUS NTAPI ZwPulseEvent(HANDLE, PLONG);
NTSYSAPI NTSTATUS NTAPI ZwWaitForSingleObject(HANDLE, BOOLEAN, PLARGE_INTEGER);
NTSYSAPI NTSTATUS NTAPI ZwWaitForMultipleObjects(ULONG, HANDLE *, WAIT_TYPE, BOOLEAN, PLARGE_INTEGER);
NTSYSAPI NTSTATUS NTAPI ZwCreateTimer(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES, TIMER_TYPE);
NTSYSAPI NTSTATUS NTAPI ZwOpenTimer(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES);
NTSYSAPI NTSTATUS NTAPI ZwQuerySystemInformation(ULONG, PVOID, ULONG, PULONG);

static LARGE_INTEGER NoTime;

static POBJECT_ATTRIBUTES Named(PCWSTR text, ULONG flags)
{
    static UNICODE_STRING name;
    static OBJECT_ATTRIBUTES attributes;

    RtlInitUnicodeString(&name, text);
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | flags, NULL, NULL);
    return &attributes;
}

NTSYSAPI NTSTATUS NTAPI ZwCreateSymbolicLinkObject(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES, PUNICODE_STRING);

static VOID Links(VOID)
{
    UNICODE_STRING nothing = {4, 4, NULL};
    HANDLE link;

    CHECK(ZwCreateSymbolicLinkObject(&link, 0xF0001, Named(L"\\??\\ZwNothing", 0), &nothing) == STATUS_ACCESS_VIOLATION);
}

static VOID Events(VOID)
{
    HANDLE event, again;
    LONG before = 7;
    PKEVENT object;

    CHECK(ZwCreateEvent(&event, EVENT_ALL_ACCESS, NULL, 2, FALSE) == STATUS_INVALID_PARAMETER);
    CHECK(ZwCreateEvent(&event, EVENT_ALL_ACCESS, Named(L"\\BaseNamedObjects\\ZwEvent", 0), SynchronizationEvent, TRUE) == 0);
    CHECK(ZwCreateEvent(&again, EVENT_ALL_ACCESS, Named(L"\\BaseNamedObjects\\ZwEvent", 0), NotificationEvent, FALSE) ==
          STATUS_OBJECT_NAME_COLLISION);
    CHECK(ZwCreateEvent(&again, EVENT_ALL_ACCESS, Named(L"\\BaseNamedObjects\\ZwEvent", OBJ_OPENIF), NotificationEvent, FALSE) ==
          STATUS_OBJECT_NAME_EXISTS);
    CHECK(ZwClose(again) == 0);
    CHECK(ZwOpenEvent(&again, EVENT_ALL_ACCESS, Named(L"\\BaseNamedObjects\\ZwNone", 0)) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(ZwOpenEvent(&again, EVENT_ALL_ACCESS, Named(L"\\BaseNamedObjects", 0)) == STATUS_OBJECT_TYPE_MISMATCH);
    CHECK(ZwOpenEvent(&again, EVENT_ALL_ACCESS, Named(L"\\BaseNamedObjects\\zwevent", OBJ_CASE_INSENSITIVE)) == 0);
    CHECK(ObReferenceObjectByHandle(again, EVENT_ALL_ACCESS, *ExEventObjectType, KernelMode, (PVOID *)&object, NULL) == 0);
    CHECK(object->Header.Type == 1 && object->Header.Size == 6 && KeReadStateEvent(object) == 1);
    CHECK(ZwWaitForSingleObject(event, FALSE, &NoTime) == 0);
    CHECK(KeReadStateEvent(object) == 0);
    CHECK(ZwWaitForSingleObject(event, FALSE, &NoTime) == STATUS_TIMEOUT);
    CHECK(ZwSetEvent(again, &before) == 0 && before == 0);
    CHECK(ZwSetEvent(again, &before) == 0 && before == 1);
    CHECK(ZwResetEvent(again, &before) == 0 && before == 1 && KeReadStateEvent(object) == 0);
    CHECK(ZwSetEvent(again, NULL) == 0 && ZwClearEvent(event) == 0 && KeReadStateEvent(object) == 0);
    CHECK(ZwPulseEvent(event, &before) == 0 && before == 0 && KeReadStateEvent(object) == 0);
    ObDereferenceObject(object);
    CHECK(ZwClose(event) == 0 && ZwClose(again) == 0);
    CHECK(ZwSetEvent((HANDLE)(LONG_PTR)-0x7FFF0004, NULL) == STATUS_INVALID_HANDLE);
    CHECK(ZwOpenEvent(&again, EVENT_ALL_ACCESS, Named(L"\\BaseNamedObjects\\ZwEvent", 0)) == STATUS_OBJECT_NAME_NOT_FOUND);
}

static HANDLE Handles[3];

static VOID SetLater(PVOID context)
{
    Pause();
    ZwSetEvent(context, NULL);
}

static VOID Waits(VOID)
{
    HANDLE key, many[65];
    LARGE_INTEGER soon, timeout;
    PVOID thread;
    ULONG n;

    for (n = 0; n < 3; n++)
        CHECK(ZwCreateEvent(&Handles[n], EVENT_ALL_ACCESS, Named(NULL, 0), n == 0 ? NotificationEvent : SynchronizationEvent, FALSE) == 0);
    for (n = 0; n < 65; n++)
        many[n] = Handles[0];
    CHECK(ZwWaitForMultipleObjects(0, Handles, WaitAny, FALSE, &NoTime) == STATUS_INVALID_PARAMETER_1);
    CHECK(ZwWaitForMultipleObjects(65, many, WaitAny, FALSE, &NoTime) == STATUS_INVALID_PARAMETER_1);
    CHECK(ZwWaitForMultipleObjects(64, many, WaitAny, FALSE, &NoTime) == STATUS_TIMEOUT);
    CHECK(ZwWaitForMultipleObjects(2, many, WaitAll, FALSE, &NoTime) == STATUS_INVALID_PARAMETER_MIX);
    CHECK(ZwWaitForMultipleObjects(2, Handles, 2, FALSE, &NoTime) == STATUS_INVALID_PARAMETER_3);
    CHECK(ZwWaitForMultipleObjects(2, (HANDLE *)0x42424242, WaitAll, FALSE, NULL) == STATUS_ACCESS_VIOLATION);
    many[1] = (HANDLE)(LONG_PTR)-0x7FFF0004;
    CHECK(ZwWaitForMultipleObjects(2, many, WaitAny, FALSE, &NoTime) == STATUS_INVALID_HANDLE);
    CHECK(ZwSetEvent(Handles[2], NULL) == 0);
    CHECK(ZwWaitForMultipleObjects(3, Handles, WaitAny, FALSE, NULL) == 2);
    CHECK(ZwSetEvent(Handles[0], NULL) == 0 && ZwSetEvent(Handles[1], NULL) == 0);
    CHECK(ZwWaitForMultipleObjects(3, Handles, WaitAll, FALSE, &NoTime) == STATUS_TIMEOUT);
    CHECK(ZwWaitForMultipleObjects(2, Handles, WaitAll, FALSE, NULL) == 0);
    CHECK(ZwWaitForSingleObject(Handles[1], FALSE, &NoTime) == STATUS_TIMEOUT);
    CHECK(ZwWaitForSingleObject(Handles[0], FALSE, &NoTime) == 0);

    soon.QuadPart = -10000;
    CHECK(ZwWaitForSingleObject(Handles[1], FALSE, &soon) == STATUS_TIMEOUT);
    thread = Start(SetLater, Handles[1]);
    timeout.QuadPart = -100000000;
    CHECK(thread != NULL && ZwWaitForSingleObject(Handles[1], FALSE, &timeout) == 0);
    Finish(thread);

    /* Types without a state of their own are always signaled. */
    CHECK(ZwOpenKey(&key, KEY_READ, Named(L"\\Registry\\Machine", OBJ_CASE_INSENSITIVE)) == 0);
    CHECK(ZwWaitForSingleObject(key, FALSE, NULL) == 0);
    many[0] = Handles[1];
    many[1] = key;
    CHECK(ZwWaitForMultipleObjects(2, many, WaitAny, FALSE, NULL) == 1);
    ZwClose(key);
    for (n = 0; n < 3; n++)
        ZwClose(Handles[n]);
    CHECK(ZwWaitForSingleObject(Handles[0], FALSE, &NoTime) == STATUS_INVALID_HANDLE);
}

static VOID Timers(VOID)
{
    HANDLE timer, again;
    BOOLEAN state = 7;
    LARGE_INTEGER due, past;

    CHECK(ZwCreateTimer(&timer, TIMER_ALL_ACCESS, Named(L"\\BaseNamedObjects\\ZwTimer", 0), 2) == STATUS_INVALID_PARAMETER_4);
    CHECK(ZwCreateTimer(&timer, TIMER_ALL_ACCESS, Named(L"\\BaseNamedObjects\\ZwTimer", 0), SynchronizationTimer) == 0);
    CHECK(ZwOpenTimer(&again, TIMER_ALL_ACCESS, Named(L"\\BaseNamedObjects\\ZwTimer", 0)) == 0);
    due.QuadPart = -50000;
    CHECK(ZwSetTimer(timer, &due, NULL, NULL, FALSE, -1, &state) == STATUS_INVALID_PARAMETER_6);
    CHECK(ZwSetTimer(timer, &due, NULL, NULL, FALSE, 0, &state) == 0 && state == FALSE);
    CHECK(ZwWaitForSingleObject(again, FALSE, &NoTime) == STATUS_TIMEOUT);
    CHECK(ZwWaitForSingleObject(again, FALSE, NULL) == 0);
    CHECK(ZwWaitForSingleObject(again, FALSE, &NoTime) == STATUS_TIMEOUT);
    past.QuadPart = 1;
    CHECK(ZwSetTimer(timer, &past, NULL, NULL, FALSE, 0, NULL) == 0);
    CHECK(ZwCancelTimer(timer, &state) == 0 && state == TRUE);
    CHECK(ZwSetTimer(timer, &due, NULL, NULL, TRUE, 0, &state) == STATUS_TIMER_RESUME_IGNORED && state == TRUE);
    CHECK(ZwCancelTimer(again, &state) == 0 && state == FALSE);
    CHECK(ZwClose(timer) == 0);
    CHECK(ZwSetTimer(again, &due, NULL, NULL, FALSE, 0, NULL) == 0);
    CHECK(ZwClose(again) == 0);
    CHECK(ZwOpenTimer(&again, TIMER_ALL_ACCESS, Named(L"\\BaseNamedObjects\\ZwTimer", 0)) == STATUS_OBJECT_NAME_NOT_FOUND);
}

/* What an APC of a timer was told. */
static struct {
    ULONG Calls;
    LONG Low, High;
    KIRQL Irql;
    PKTHREAD Thread;
} Told;

static VOID NTAPI TimerApc(PVOID context, ULONG low, LONG high)
{
    CHECK(context == &Told);
    Told.Calls++;
    Told.Low = low;
    Told.High = high;
    Told.Irql = KeGetCurrentIrql();
    Told.Thread = KeGetCurrentThread();
}

static VOID TimerApcs(VOID)
{
    HANDLE timer;
    LARGE_INTEGER due, now;

    CHECK(ZwCreateTimer(&timer, TIMER_ALL_ACCESS, Named(L"\\BaseNamedObjects\\ZwTimerApc", 0), NotificationTimer) == 0);
    due.QuadPart = -50000;
    CHECK(ZwSetTimer(timer, &due, (PTIMER_APC_ROUTINE)TimerApc, &Told, FALSE, 0, NULL) == 0);
    CHECK(ZwCancelTimer(timer, NULL) == 0);
    KeDelayExecutionThread(KernelMode, FALSE, &due);
    CHECK(Told.Calls == 0);
    CHECK(ZwSetTimer(timer, &due, (PTIMER_APC_ROUTINE)TimerApc, &Told, FALSE, 0, NULL) == 0);
    CHECK(ZwWaitForSingleObject(timer, FALSE, NULL) == 0);
    KeQuerySystemTime(&now);
    CHECK(Told.Calls == 1 && Told.Irql == PASSIVE_LEVEL && Told.Thread == KeGetCurrentThread());
    CHECK(((LONGLONG)Told.High << 32 | (ULONG)Told.Low) <= now.QuadPart && Told.High != 0);
    /* In a critical region it waits for the end of it. */
    KeEnterCriticalRegion();
    CHECK(ZwSetTimer(timer, &due, (PTIMER_APC_ROUTINE)TimerApc, &Told, FALSE, 0, NULL) == 0);
    CHECK(ZwWaitForSingleObject(timer, FALSE, NULL) == 0);
    CHECK(Told.Calls == 1);
    KeLeaveCriticalRegion();
    CHECK(Told.Calls == 2);
    CHECK(ZwClose(timer) == 0);
}

typedef struct {
    HANDLE Section;
    PVOID MappedBase, ImageBase;
    ULONG ImageSize, Flags;
    USHORT LoadOrderIndex, InitOrderIndex, LoadCount, OffsetToFileName;
    UCHAR FullPathName[256];
} MODULE;

static VOID System(VOID)
{
    ULONG basic[16], length = 0, size, n;
    UCHAR *list;
    MODULE *module;
    BOOLEAN found = FALSE;

    CHECK(ZwQuerySystemInformation(0, basic, sizeof basic, &length) == 0 && length == 0x40);
    CHECK(basic[2] == PAGE_SIZE && basic[6] == 0x10000);
    CHECK(((PVOID *)basic)[5] == MmHighestUserAddress);
    CHECK(ZwQuerySystemInformation(0, basic, 0x3c, &length) == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(ZwQuerySystemInformation(0x1000, basic, sizeof basic, &length) == STATUS_INVALID_INFO_CLASS);
    CHECK(ZwQuerySystemInformation(11, NULL, 0, &size) == STATUS_INFO_LENGTH_MISMATCH);
    list = ExAllocatePoolWithTag(PagedPool, size, TAG);
    CHECK(ZwQuerySystemInformation(11, list, size, &length) == 0 && length == size);
    module = (MODULE *)(list + 8);
    for (n = 0; n < *(ULONG *)list; n++) {
        ULONG_PTR own = (ULONG_PTR)System;
        if (own >= (ULONG_PTR)module[n].ImageBase && own < (ULONG_PTR)module[n].ImageBase + module[n].ImageSize)
            found = TRUE;
    }
    CHECK(found && module[0].OffsetToFileName == 21 && module[0].FullPathName[21] == 'n');
    ExFreePool(list);
    CHECK(ZwQuerySystemInformation(5, NULL, 0, &size) == STATUS_INFO_LENGTH_MISMATCH);
    list = ExAllocatePoolWithTag(PagedPool, size, TAG);
    CHECK(ZwQuerySystemInformation(5, list, size, &length) == 0);
    CHECK(*(HANDLE *)(list + 0x50) == PsGetCurrentProcessId() && *(ULONG *)(list + 4) >= 1);
    CHECK(((UNICODE_STRING *)(list + 0x38))->Buffer[0] == 'S');
    ExFreePool(list);
}

static HANDLE Watched;
static BOOLEAN Changed;

static VOID NTAPI ChangesKey(UNUSED PVOID context)
{
    LARGE_INTEGER soon = { .QuadPart = -10000 };
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"new");
    ULONG value = 1;

    KeDelayExecutionThread(KernelMode, FALSE, &soon);
    Changed = TRUE;
    CHECK(ZwSetValueKey(Watched, &name, 0, REG_DWORD, &value, sizeof value) == 0);
    PsTerminateSystemThread(STATUS_SUCCESS);
}

/* Waiting for a change of a key, in the call itself. */
static VOID KeyChanges(VOID)
{
    UNICODE_STRING path = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\Software\\NtboxWatched");
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK block = { { .Status = 0x55555555 }, 7 };
    HANDLE thread = NULL;

    InitializeObjectAttributes(&attributes, &path, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    CHECK(ZwCreateKey(&Watched, KEY_ALL_ACCESS, &attributes, 0, NULL, REG_OPTION_VOLATILE, NULL) == 0);
    CHECK(PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, ChangesKey, NULL) == 0);
    CHECK(!Changed);
    CHECK(ZwNotifyChangeKey(Watched, NULL, NULL, NULL, &block, REG_NOTIFY_CHANGE_LAST_SET, FALSE, NULL, 0, FALSE) == STATUS_NOTIFY_ENUM_DIR);
    CHECK(Changed && block.Status == STATUS_NOTIFY_ENUM_DIR);
    CHECK(ZwWaitForSingleObject(thread, FALSE, NULL) == 0 && ZwClose(thread) == 0);
    CHECK(ZwDeleteKey(Watched) == 0 && ZwClose(Watched) == 0);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path);
static VOID NTAPI Unload(UNUSED PDRIVER_OBJECT driver)
{
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, UNUSED PUNICODE_STRING path)
{
    driver->DriverUnload = Unload;
    CASE(Links);
    CASE(Events);
    CASE(Waits);
    CASE(Timers);
    CASE(TimerApcs);
    CASE(System);
    CASE(KeyChanges);
    return CHECK_STATUS;
}
