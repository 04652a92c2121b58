/*
 * Lists and counters of the executive: interlocked ones under a spin lock,
 * sequenced ones, and lookaside lists, as inline code of older headers uses them
 * and through the exports of newer ones.
 */
#include "check.h"

#define TAG 0x7473694c /* "List" */
#define NX 512 /* POOL_NX_ALLOCATION */

/* Taking and freeing, as the kernel exports them since Windows 11 22H2: looked
   up by name, because in this header they are inline functions. */
typedef PVOID (NTAPI *TAKE)(PVOID list);
typedef VOID (NTAPI *GIVE)(PVOID list, PVOID entry);

static PVOID Export(PCWSTR name)
{
    UNICODE_STRING text;
    PVOID export;

    RtlInitUnicodeString(&text, name);
    export = MmGetSystemRoutineAddress(&text);
    CHECK(export != NULL);
    return export;
}

static VOID Doubly(VOID)
{
    LIST_ENTRY head, first, second;
    KSPIN_LOCK lock;

    KeInitializeSpinLock(&lock);
    InitializeListHead(&head);
    CHECK(ExInterlockedRemoveHeadList(&head, &lock) == NULL);
    CHECK(ExInterlockedInsertTailList(&head, &second, &lock) == NULL);
    CHECK(ExInterlockedInsertHeadList(&head, &first, &lock) == &second);
    CHECK(head.Flink == &first && first.Flink == &second && second.Flink == &head);
    CHECK(head.Blink == &second && second.Blink == &first && first.Blink == &head);
    CHECK(ExInterlockedRemoveHeadList(&head, &lock) == &first);
    CHECK(ExInterlockedRemoveHeadList(&head, &lock) == &second);
    CHECK(IsListEmpty(&head));
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL && KeTestSpinLock(&lock));
}

static VOID Singly(VOID)
{
    SINGLE_LIST_ENTRY head = { NULL }, first, second;
    KSPIN_LOCK lock;

    KeInitializeSpinLock(&lock);
    CHECK(ExInterlockedPopEntryList(&head, &lock) == NULL);
    CHECK(ExInterlockedPushEntryList(&head, &first, &lock) == NULL);
    CHECK(ExInterlockedPushEntryList(&head, &second, &lock) == &first);
    CHECK(ExInterlockedPopEntryList(&head, &lock) == &second);
    CHECK(ExInterlockedPopEntryList(&head, &lock) == &first);
    CHECK(head.Next == NULL);
}

static VOID Counters(VOID)
{
    LARGE_INTEGER large, more;
    ULONG small = 0xFFFFFFFF;
    KSPIN_LOCK lock;
    KIRQL old;

    KeInitializeSpinLock(&lock);
    large.QuadPart = 0x100000000;
    more.QuadPart = -1;
    CHECK(ExInterlockedAddLargeInteger(&large, more, &lock).QuadPart == 0x100000000);
    CHECK(large.QuadPart == 0xFFFFFFFF);
    KeRaiseIrql(HIGH_LEVEL, &old);
    CHECK(ExInterlockedAddUlong(&small, 3, &lock) == 0xFFFFFFFF);
    CHECK(KeGetCurrentIrql() == HIGH_LEVEL);
    KeLowerIrql(old);
    CHECK(small == 2);
}

static VOID Sequenced(VOID)
{
    SLIST_HEADER head;
    SLIST_ENTRY first, second;

    RtlFillMemory(&head, sizeof head, 0xBD);
    InitializeSListHead(&head);
    CHECK(ExQueryDepthSList(&head) == 0);
    CHECK(InterlockedPopEntrySList(&head) == NULL);
    CHECK(InterlockedPushEntrySList(&head, &first) == NULL);
    CHECK(InterlockedPushEntrySList(&head, &second) == &first);
    CHECK(ExQueryDepthSList(&head) == 2 && head.HeaderX64.Depth == 2);
    CHECK(head.HeaderX64.NextEntry == (ULONG_PTR)&second >> 4);
    CHECK(InterlockedPopEntrySList(&head) == &second);
    CHECK(InterlockedPushEntrySList(&head, &second) == &first);
    CHECK(InterlockedFlushSList(&head) == &second && second.Next == &first && first.Next == NULL);
    CHECK(ExQueryDepthSList(&head) == 0 && InterlockedFlushSList(&head) == NULL);
}

static VOID Classic(VOID)
{
    static NPAGED_LOOKASIDE_LIST list;
    TAKE take = Export(L"ExAllocateFromNPagedLookasideList");
    GIVE give = Export(L"ExFreeToNPagedLookasideList");
    PVOID entries[8];
    ULONG n;

    ExInitializeNPagedLookasideList(&list, NULL, NULL, NX, 100, TAG, 0);
    CHECK(list.L.Size == 100 && list.L.Tag == TAG && list.L.Type == (POOL_TYPE)(NonPagedPool | NX));
    CHECK(list.L.Allocate != NULL && list.L.Free != NULL && list.L.Depth > 0);
    /* Half of them the new way, half by the inline functions. */
    for (n = 0; n < 8; n++) {
        entries[n] = n % 2 ? take(&list) : ExAllocateFromNPagedLookasideList(&list);
        CHECK(entries[n] != NULL);
        RtlFillMemory(entries[n], 100, (UCHAR)n);
    }
    CHECK(list.L.TotalAllocates == 8 && list.L.AllocateMisses == 8);
    for (n = 0; n < 8; n++) {
        if (n % 2)
            give(&list, entries[n]);
        else
            ExFreeToNPagedLookasideList(&list, entries[n]);
    }
    CHECK(ExQueryDepthSList(&list.L.ListHead) == list.L.Depth);
    CHECK(list.L.TotalFrees == 8 && list.L.FreeMisses == 8u - list.L.Depth);
    /* Last in, first out: the last that found room. */
    CHECK(take(&list) == entries[list.L.Depth - 1]);
    give(&list, entries[list.L.Depth - 1]);
    ExDeleteNPagedLookasideList(&list);
}

static VOID Paged(VOID)
{
    static PAGED_LOOKASIDE_LIST list;
    TAKE take = Export(L"ExAllocateFromPagedLookasideList");
    GIVE give = Export(L"ExFreeToPagedLookasideList");
    PVOID entry;

    ExInitializePagedLookasideList(&list, NULL, NULL, NX, 3000, TAG, 0);
    CHECK(list.L.Type == (POOL_TYPE)(PagedPool | NX));
    entry = ExAllocateFromPagedLookasideList(&list);
    CHECK(entry != NULL);
    RtlFillMemory(entry, 3000, 1);
    give(&list, entry);
    CHECK(take(&list) == entry);
    ExFreeToPagedLookasideList(&list, entry);
    ExDeletePagedLookasideList(&list);
}

typedef struct {
    LOOKASIDE_LIST_EX list;
    ULONG allocated, freed;
    BOOLEAN fail;
} COUNTED;

static PVOID NTAPI CountedAllocate(POOL_TYPE type, SIZE_T size, ULONG tag, PLOOKASIDE_LIST_EX list)
{
    COUNTED *counted = CONTAINING_RECORD(list, COUNTED, list);
    PVOID entry = counted->fail ? NULL : ExAllocatePoolWithTag(type, size, tag);
    if (entry != NULL)
        counted->allocated++;
    return entry;
}

static VOID NTAPI CountedFree(PVOID entry, PLOOKASIDE_LIST_EX list)
{
    CONTAINING_RECORD(list, COUNTED, list)->freed++;
    ExFreePoolWithTag(entry, TAG);
}

static VOID Extended(VOID)
{
    static COUNTED counted;
    TAKE take = Export(L"ExAllocateFromLookasideListEx");
    GIVE give = Export(L"ExFreeToLookasideListEx");
    PVOID entry, other;

    CHECK(ExInitializeLookasideListEx(&counted.list, NULL, NULL, NonPagedPoolMustSucceed, 0, 64, TAG, 0) ==
          STATUS_INVALID_PARAMETER_4);
    CHECK(ExInitializeLookasideListEx(&counted.list, NULL, NULL, NonPagedPool, 3, 64, TAG, 0) ==
          STATUS_INVALID_PARAMETER_5);
    CHECK(ExInitializeLookasideListEx(&counted.list, CountedAllocate, CountedFree, NonPagedPool, 0, 64, TAG, 0) ==
          STATUS_SUCCESS);
    entry = take(&counted.list);
    other = ExAllocateFromLookasideListEx(&counted.list);
    CHECK(entry != NULL && other != NULL && counted.allocated == 2);
    give(&counted.list, entry);
    ExFreeToLookasideListEx(&counted.list, other);
    CHECK(counted.freed == 0 && take(&counted.list) == other);
    give(&counted.list, other);
    ExFlushLookasideListEx(&counted.list);
    CHECK(counted.freed == 2 && ExQueryDepthSList(&counted.list.L.ListHead) == 0);
    counted.fail = TRUE;
    CHECK(take(&counted.list) == NULL);
    counted.fail = FALSE;
    entry = take(&counted.list);
    give(&counted.list, entry);
    ExDeleteLookasideListEx(&counted.list);
    CHECK(counted.freed == counted.allocated);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    CASE(Doubly);
    CASE(Singly);
    CASE(Counters);
    CASE(Sequenced);
    CASE(Classic);
    CASE(Paged);
    CASE(Extended);
    return CHECK_STATUS;
}
