/* A filter of the registry, and what its cases have in common. */
#include <ntifs.h>
#include "check.h"

/* MinGW's headers import these variables themselves, Windows' their addresses. */
#define TYPE_OF(variable) ((POBJECT_TYPE)(variable))

NTKERNELAPI NTSTATUS NTAPI CmCallbackGetKeyObjectIDEx(PLARGE_INTEGER, PVOID, PULONG_PTR, PCUNICODE_STRING *, ULONG);
NTKERNELAPI VOID NTAPI CmCallbackReleaseKeyObjectIDEx(PCUNICODE_STRING);
NTSYSAPI NTSTATUS NTAPI ZwRenameKey(HANDLE, PUNICODE_STRING);

#ifndef STATUS_FLT_INSTANCE_ALTITUDE_COLLISION
#define STATUS_FLT_INSTANCE_ALTITUDE_COLLISION ((NTSTATUS)0xC01C0011)
#endif

static PDRIVER_OBJECT Driver;
static HANDLE Top;

/* A filter: it counts, and does what a case wants of it. */
struct FILTER;
typedef NTSTATUS (*HANDLER)(struct FILTER *, REG_NOTIFY_CLASS, PVOID);
struct FILTER {
    LARGE_INTEGER Cookie;
    HANDLER Handler;
    char Letter;
    ULONG Before, After, Cleaned;
    PVOID Context;
};

static BOOLEAN IsAfter(REG_NOTIFY_CLASS class)
{
    switch (class) {
    case RegNtPostDeleteKey: case RegNtPostSetValueKey: case RegNtPostDeleteValueKey: case RegNtPostRenameKey:
    case RegNtPostEnumerateKey: case RegNtPostEnumerateValueKey: case RegNtPostQueryKey: case RegNtPostQueryValueKey:
    case RegNtPostKeyHandleClose: case RegNtPostCreateKeyEx: case RegNtPostOpenKeyEx: case RegNtPostFlushKey:
    case RegNtPostQueryKeyName: case RegNtPostQueryKeySecurity:
        return TRUE;
    default:
        return FALSE;
    }
}

static NTSTATUS NTAPI Callback(PVOID context, PVOID class, PVOID information)
{
    struct FILTER *filter = context;
    REG_NOTIFY_CLASS number = (REG_NOTIFY_CLASS)(ULONG_PTR)class;

    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL && information != NULL);
    if (number == RegNtCallbackObjectContextCleanup)
        filter->Cleaned++;
    else if (IsAfter(number))
        filter->After++;
    else
        filter->Before++;
    return filter->Handler == NULL ? STATUS_SUCCESS : filter->Handler(filter, number, information);
}

static NTSTATUS Register(struct FILTER *filter, PCWSTR altitude)
{
    UNICODE_STRING text;

    RtlInitUnicodeString(&text, altitude);
    return CmRegisterCallbackEx(Callback, &text, Driver, filter, &filter->Cookie, NULL);
}

static POBJECT_ATTRIBUTES Below(HANDLE root, PCWSTR text)
{
    static UNICODE_STRING name;
    static OBJECT_ATTRIBUTES attributes;

    RtlInitUnicodeString(&name, text);
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, root, NULL);
    return &attributes;
}

static NTSTATUS CreateKey(PCWSTR name, PHANDLE key, PULONG disposition)
{
    return ZwCreateKey(key, KEY_ALL_ACCESS, Below(Top, name), 0, NULL, REG_OPTION_VOLATILE, disposition);
}

static NTSTATUS SetNumber(HANDLE key, PCWSTR name, ULONG number)
{
    UNICODE_STRING text;

    RtlInitUnicodeString(&text, name);
    return ZwSetValueKey(key, &text, 7, REG_DWORD, &number, sizeof(number));
}

static BOOLEAN Is(PCUNICODE_STRING text, PCWSTR expected)
{
    UNICODE_STRING other;

    RtlInitUnicodeString(&other, expected);
    return text != NULL && RtlEqualUnicodeString(text, &other, FALSE);
}
