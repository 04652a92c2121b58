/*
 * Reads the DWORD of a test driver's Parameters key.
 */
#pragma once
#include <ntddk.h>

/* The value `name`, or `otherwise` if there is none. */
static inline ULONG Parameter(PUNICODE_STRING path, PCWSTR name, ULONG otherwise)
{
    UNICODE_STRING text;
    OBJECT_ATTRIBUTES attributes;
    HANDLE service, key;
    union {
        KEY_VALUE_PARTIAL_INFORMATION information;
        UCHAR room[sizeof(KEY_VALUE_PARTIAL_INFORMATION) + sizeof(ULONG)];
    } value;
    ULONG length, result = otherwise;

    InitializeObjectAttributes(&attributes, path, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    if (!NT_SUCCESS(ZwOpenKey(&service, KEY_READ, &attributes)))
        return otherwise;
    RtlInitUnicodeString(&text, L"Parameters");
    InitializeObjectAttributes(&attributes, &text, OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, service, NULL);
    if (NT_SUCCESS(ZwOpenKey(&key, KEY_READ, &attributes))) {
        RtlInitUnicodeString(&text, name);
        if (NT_SUCCESS(ZwQueryValueKey(key, &text, KeyValuePartialInformation, &value, sizeof value, &length)) &&
            value.information.Type == REG_DWORD && value.information.DataLength == sizeof(ULONG))
            result = *(ULONG *)value.information.Data;
        ZwClose(key);
    }
    ZwClose(service);
    return result;
}
