/*
 * Lists whose links lead back into them and never to their head: `How` says which. On
 * Windows the walk over one never returns.
 */
#include <ntifs.h>
#include "parameter.h"

#define VISIBLE __attribute__((noinline, noclone, used)) static

NTSTATUS NTAPI RtlAddRange(PVOID, ULONGLONG, ULONGLONG, UCHAR, ULONG, PVOID, PVOID);
NTSTATUS NTAPI RtlIsRangeAvailable(PVOID, ULONGLONG, ULONGLONG, ULONG, UCHAR, PVOID, PVOID, PBOOLEAN);
VOID NTAPI RtlInitializeRangeList(PVOID);

/* Has an entry lead to itself. */
static VOID Close(PLIST_ENTRY entry)
{
    entry->Flink = entry;
}

VISIBLE VOID DeviceQueue(VOID)
{
    static KDEVICE_QUEUE queue;
    static KDEVICE_QUEUE_ENTRY entries[2];

    KeInitializeDeviceQueue(&queue);
    KeInsertByKeyDeviceQueue(&queue, &entries[0], 1);
    KeInsertByKeyDeviceQueue(&queue, &entries[0], 1);
    KeInsertByKeyDeviceQueue(&queue, &entries[1], 2);
    Close(&entries[1].DeviceListEntry);
    KeRemoveByKeyDeviceQueue(&queue, 9);
}

VISIBLE VOID Contexts(VOID)
{
    static FSRTL_ADVANCED_FCB_HEADER header;
    static FSRTL_PER_STREAM_CONTEXT context;

    header.Flags2 = FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS;
    InitializeListHead(&header.FilterContexts);
    FsRtlInitPerStreamContext(&context, &header, NULL, NULL);
    FsRtlInsertPerStreamContext((PVOID)&header, &context);
    Close(&context.Links);
    FsRtlLookupPerStreamContextInternal((PVOID)&header, &context, NULL);
}

VISIBLE VOID Prefixes(VOID)
{
    static UNICODE_STRING prefix = RTL_CONSTANT_STRING(L"\\a"), other = RTL_CONSTANT_STRING(L"\\b");
    static UNICODE_PREFIX_TABLE unicode;
    static UNICODE_PREFIX_TABLE_ENTRY one;

    RtlInitializeUnicodePrefix(&unicode);
    RtlInsertUnicodePrefix(&unicode, &prefix, &one);
    one.NextPrefixTree = &one;
    RtlFindUnicodePrefix(&unicode, &other, 0);
}

VISIBLE VOID Ranges(VOID)
{
    static struct { LIST_ENTRY head; ULONG flags, count, stamp; } list;

    RtlInitializeRangeList((PVOID)&list);
    RtlAddRange((PVOID)&list, 1, 2, 0, 0, NULL, NULL);
    Close(list.head.Flink);
    RtlIsRangeAvailable((PVOID)&list, 5, 6, 0, 0, NULL, NULL, (PBOOLEAN)&list.stamp);
}

VISIBLE VOID Devices(PDRIVER_OBJECT driver)
{
    PDEVICE_OBJECT device;
    ULONG count;

    if (IoCreateDevice(driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device) == 0) {
        device->NextDevice = device;
        IoEnumerateDeviceObjectList(driver, NULL, 0, &count);
    }
}

VISIBLE VOID Attached(PDRIVER_OBJECT driver)
{
    PDEVICE_OBJECT device;

    if (IoCreateDevice(driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &device) == 0) {
        device->AttachedDevice = device;
        IoGetAttachedDevice(device);
    }
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    switch (Parameter(path, L"How", 0)) {
    case 0: DeviceQueue(); break;
    case 1: Contexts(); break;
    case 2: Prefixes(); break;
    case 3: Ranges(); break;
    case 4: Devices(driver); break;
    case 5: Attached(driver); break;
    }
    return STATUS_UNSUCCESSFUL;
}
