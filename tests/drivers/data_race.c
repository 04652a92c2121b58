/*
 * Two threads add one to a counter. With `Correct` 0 each reads and writes it under
 * the lock, but gives the lock back in between; otherwise it keeps the lock.
 */
#include <ntddk.h>
#include "parameter.h"
#include "thread.h"

static KSPIN_LOCK Lock;
static LONG Count;
static ULONG Correct;

static LONG Read(VOID)
{
    KIRQL irql;
    LONG value;
    KeAcquireSpinLock(&Lock, &irql);
    value = Count;
    KeReleaseSpinLock(&Lock, irql);
    return value;
}

static VOID Write(LONG value)
{
    KIRQL irql;
    KeAcquireSpinLock(&Lock, &irql);
    Count = value;
    KeReleaseSpinLock(&Lock, irql);
}

static VOID NTAPI Adds(PVOID context)
{
    KIRQL irql;
    UNREFERENCED_PARAMETER(context);
    if (!Correct) {
        Write(Read() + 1);
        return;
    }
    KeAcquireSpinLock(&Lock, &irql);
    Count++;
    KeReleaseSpinLock(&Lock, irql);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    PVOID first, second;
    driver->DriverUnload = Unload;
    Correct = Parameter(path, L"Correct", 0);
    KeInitializeSpinLock(&Lock);
    first = Start(Adds, NULL);
    second = Start(Adds, NULL);
    Finish(first);
    Finish(second);
    DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "data_race: %ld of 2\n", Count);
    return STATUS_SUCCESS;
}
