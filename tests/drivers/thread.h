/*
 * A second thread, for drivers that check what happens between two.
 */
#pragma once
#include <ntddk.h>

/* A system thread that runs `routine` once; Finish waits for its end. */
static inline PVOID Start(PKSTART_ROUTINE routine, PVOID context)
{
    OBJECT_ATTRIBUTES attributes;
    HANDLE handle;
    PVOID thread;

    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    if (!NT_SUCCESS(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, &attributes, NULL, NULL, routine, context)))
        return NULL;
    if (!NT_SUCCESS(ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, NULL, KernelMode, &thread, NULL)))
        thread = NULL;
    ZwClose(handle);
    return thread;
}

static inline VOID Finish(PVOID thread)
{
    KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(thread);
}

/* Lets the other threads run until they wait. */
static inline VOID Pause(VOID)
{
    LARGE_INTEGER time;
    time.QuadPart = -20 * 10000;
    KeDelayExecutionThread(KernelMode, FALSE, &time);
}
