/*
 * Run-time routines that need what a unit test has not: a process with a token, a
 * stack of callers, and addresses at which there is nothing.
 */
#include <ntifs.h>
#include "check.h"

#ifndef HEAP_GROWABLE
#define HEAP_GROWABLE 2
#endif

/* What the open headers leave out, or have as a macro. */
NTSYSAPI NTSTATUS NTAPI RtlFormatCurrentUserKeyPath(PUNICODE_STRING path);
NTSYSAPI SIZE_T NTAPI RtlSizeHeap(PVOID heap, ULONG flags, PVOID address);
NTSYSAPI NTSTATUS NTAPI RtlIntegerToChar(ULONG value, ULONG base, LONG size, PSZ to);
#undef RtlGetCallersAddress
NTSYSAPI VOID NTAPI RtlGetCallersAddress(PVOID *callers, PVOID *their_callers);

static VOID UserKey(VOID)
{
    UNICODE_STRING path, expected = RTL_CONSTANT_STRING(L"\\REGISTRY\\USER\\S-1-5-18");

    CHECK(RtlFormatCurrentUserKeyPath(&path) == STATUS_SUCCESS);
    CHECK(RtlEqualUnicodeString(&path, &expected, FALSE) && path.Buffer[path.Length / 2] == 0);
    RtlFreeUnicodeString(&path);
}

static __attribute__((noinline)) VOID Inner(PVOID *callers, PVOID *their_callers)
{
    RtlGetCallersAddress(callers, their_callers);
    __asm__ volatile("" ::: "memory");
}

static __attribute__((noinline)) VOID Outer(PVOID *callers, PVOID *their_callers)
{
    Inner(callers, their_callers);
    __asm__ volatile("" ::: "memory");
}

static VOID Callers(VOID)
{
    PVOID callers = NULL, their_callers = NULL;

    Outer(&callers, &their_callers);
    CHECK((ULONG_PTR)callers - (ULONG_PTR)Outer < 0x100);
    CHECK((ULONG_PTR)their_callers - (ULONG_PTR)Callers < 0x200);
}

static VOID Heaps(VOID)
{
    PVOID heap = RtlCreateHeap(HEAP_GROWABLE, NULL, 0, 0, NULL, NULL);
    PUCHAR block;

    CHECK(heap != NULL);
    block = RtlAllocateHeap(heap, 0, 100);
    CHECK(block != NULL && RtlSizeHeap(heap, 0, block) == 100);
    RtlFillMemory(block, 100, 0x55);
    CHECK(RtlAllocateHeap(heap, 0, 0x100000) != NULL);
    CHECK(RtlFreeHeap(heap, 0, block));
    CHECK(RtlDestroyHeap(heap) == NULL);
}

static VOID Nowhere(VOID)
{
    UNICODE_STRING number = RTL_CONSTANT_STRING(L"12");
    PULONG nowhere = NULL;

    CHECK(RtlUnicodeStringToInteger(&number, 10, nowhere) == STATUS_ACCESS_VIOLATION);
    CHECK(RtlUnicodeStringToInteger(&number, 10, (PULONG)0x10000000) == STATUS_ACCESS_VIOLATION);
    CHECK(RtlCharToInteger("12", 10, nowhere) == STATUS_ACCESS_VIOLATION);
    CHECK(RtlIntegerToChar(12, 10, 11, NULL) == STATUS_ACCESS_VIOLATION);
    CHECK(RtlNtStatusToDosError(STATUS_ACCESS_VIOLATION) == 998);
}

static VOID NTAPI Unload(UNUSED PDRIVER_OBJECT driver)
{
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path);

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, UNUSED PUNICODE_STRING path)
{
    driver->DriverUnload = Unload;
    CASE(UserKey);
    CASE(Callers);
    CASE(Heaps);
    CASE(Nowhere);
    return CHECK_STATUS;
}
