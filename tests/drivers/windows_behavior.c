/*
 * Values that Windows was seen to give, one case for each family: timers, links of
 * device interfaces, sections by file objects, keys that are deleted; and the devices
 * and services that every system has.
 */
#include <ntifs.h>
#include "check.h"

#ifndef SEC_IMAGE
#define SEC_IMAGE 0x1000000
#endif
#ifndef FSCTL_SET_REPARSE_POINT
#define FSCTL_SET_REPARSE_POINT 0x900a4
#endif

NTSTATUS NTAPI MmCreateSection(PVOID *, ACCESS_MASK, POBJECT_ATTRIBUTES, PLARGE_INTEGER, ULONG, ULONG, HANDLE, PFILE_OBJECT);
NTSTATUS NTAPI ZwQuerySection(HANDLE, ULONG, PVOID, SIZE_T, PSIZE_T);

#define INVALID_PAGE_PROTECTION ((NTSTATUS)0xc0000045)
#define KEY_DELETED ((NTSTATUS)0xc000017c)
#define IMAGE_ALREADY_LOADED ((NTSTATUS)0xc000010e)

static IO_STATUS_BLOCK Block;

static POBJECT_ATTRIBUTES At(PCWSTR path)
{
    static UNICODE_STRING name;
    static OBJECT_ATTRIBUTES attributes;

    RtlInitUnicodeString(&name, path);
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    return &attributes;
}

static VOID NTAPI Due(UNUSED PKDPC dpc, UNUSED PVOID context, UNUSED PVOID low, UNUSED PVOID high)
{
    Note('d');
}

/* One that is set and initialised again still comes to its end, and runs its DPC. */
static VOID Timers(VOID)
{
    LARGE_INTEGER due = { .QuadPart = -10000 }, more = { .QuadPart = -50000 };
    KTIMER timer;
    KDPC dpc;

    KeInitializeTimer(&timer);
    KeInitializeDpc(&dpc, Due, NULL);
    CHECK(!KeSetTimer(&timer, due, &dpc));
    KeInitializeTimer(&timer);
    CHECK(!KeReadStateTimer(&timer));
    KeDelayExecutionThread(KernelMode, FALSE, &more);
    CHECK_TRACE("d");
}

static NTSTATUS Disable(PCWSTR link)
{
    UNICODE_STRING name;

    RtlInitUnicodeString(&name, link);
    return IoSetDeviceInterfaceState(&name, FALSE);
}

static VOID Interfaces(VOID)
{
    CHECK(IoSetDeviceInterfaceState(NULL, FALSE) == STATUS_INVALID_PARAMETER);
    CHECK(Disable(L"") == STATUS_INVALID_PARAMETER);
    CHECK(Disable(L"\\??\\") == STATUS_INVALID_PARAMETER);
    CHECK(Disable(L"\\??\\X{12345678-1234-1234-1234-123456789ABG}") == STATUS_INVALID_PARAMETER);
    CHECK(Disable(L"\\?X\\X{12345678-1234-1234-1234-123456789ABC}") == STATUS_INVALID_PARAMETER);
    CHECK(Disable(L"\\??\\X{12345678-1234-1234-1234-123456789ABC}") == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(Disable(L"\\??\\X{12345678-1234-1234-1234-123456789ABC}\\Reference") == STATUS_OBJECT_NAME_NOT_FOUND);
}

static VOID Sections(VOID)
{
    PVOID section = NULL;
    LARGE_INTEGER size = { .QuadPart = 1 };
    PFILE_OBJECT object;
    HANDLE file, opened;
    struct { PVOID BaseAddress; ULONG Attributes; LARGE_INTEGER Size; } basic;
    ULONG n;

    /* Images are made of images, and of anything else a section of data. */
    static const PCWSTR paths[] = { L"\\SystemRoot\\System32\\drivers\\windows_behavior.sys", L"\\??\\C:\\values.txt" };
    static const ULONG attributes[] = { 0x1800000, 0x800000 };

    CHECK(MmCreateSection(NULL, 0, NULL, NULL, 0, SEC_RESERVE, NULL, NULL) == INVALID_PAGE_PROTECTION);
    for (n = 0; n < 2; n++) {
        CHECK(ZwCreateFile(&file, GENERIC_READ | GENERIC_WRITE, At(paths[n]), &Block, NULL, 0, 7, FILE_OPEN_IF, FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0) == 0);
        if (n == 1)
            CHECK(ZwWriteFile(file, NULL, NULL, NULL, &Block, (PVOID)"text", 4, NULL, NULL) == 0);
        CHECK(ObReferenceObjectByHandle(file, 0, *IoFileObjectType, KernelMode, (PVOID *)&object, NULL) == 0);
        CHECK(MmCreateSection(&section, 0, NULL, &size, PAGE_READONLY, SEC_IMAGE, NULL, object) == 0);
        CHECK(ObOpenObjectByPointer(section, OBJ_KERNEL_HANDLE, NULL, SECTION_ALL_ACCESS, NULL, KernelMode, &opened) == 0);
        CHECK(ZwQuerySection(opened, 0, &basic, sizeof basic, NULL) == 0 && basic.Attributes == attributes[n]);
        CHECK(ZwClose(opened) == 0);
        ObDereferenceObject(section);
        ObDereferenceObject(object);
        CHECK(ZwClose(file) == 0);
    }
}

static VOID Keys(VOID)
{
    static WCHAR text[0x7ffe];
    UNICODE_STRING name = { sizeof text, sizeof text, text };
    UCHAR room[0x200];
    HANDLE key, other;
    PVOID object;
    ULONG length, n;

    for (n = 0; n < sizeof text / sizeof text[0]; n++)
        text[n] = L'v';
    CHECK(ZwCreateKey(&key, KEY_ALL_ACCESS, At(L"\\Registry\\Machine\\Software\\Values"), 0, NULL, 0, NULL) == 0);
    CHECK(ZwOpenKey(&other, KEY_ALL_ACCESS, At(L"\\Registry\\Machine\\Software\\Values")) == 0);
    CHECK(ZwQueryValueKey(key, &name, KeyValuePartialInformation, room, sizeof room, &length) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(ZwDeleteValueKey(key, &name) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(ZwSetValueKey(key, &name, 0, REG_SZ, text, 4) == STATUS_INVALID_PARAMETER);
    CHECK(ZwDeleteKey(key) == 0 && ZwDeleteKey(key) == 0 && ZwDeleteKey(other) == 0);
    CHECK(ObReferenceObjectByHandle(other, 0, NULL, KernelMode, &object, NULL) == 0);
    CHECK(ObQueryNameString(object, (PVOID)room, sizeof room, &length) == KEY_DELETED);
    ObDereferenceObject(object);
    CHECK(ZwClose(key) == 0 && ZwClose(other) == 0);
}

/* Takes all, gives nothing. */
static VOID Null(VOID)
{
    UCHAR data[16] = { 1 };
    LARGE_INTEGER start = { .QuadPart = 0 };
    HANDLE file;

    CHECK(ZwOpenFile(&file, GENERIC_READ | GENERIC_WRITE, At(L"\\Device\\Null"), &Block, 7, FILE_SYNCHRONOUS_IO_NONALERT) == 0);
    CHECK(ZwWriteFile(file, NULL, NULL, NULL, &Block, data, sizeof data, &start, NULL) == 0 && Block.Information == sizeof data);
    CHECK(ZwReadFile(file, NULL, NULL, NULL, &Block, data, sizeof data, &start, NULL) == STATUS_END_OF_FILE && data[0] == 1);
    CHECK(ZwClose(file) == 0);
    CHECK(ZwOpenFile(&file, GENERIC_READ, At(L"\\??\\NUL"), &Block, 7, FILE_SYNCHRONOUS_IO_NONALERT) == 0 && ZwClose(file) == 0);
}

/* What is not there is refused as Windows refuses it, and the log says so. */
static VOID Refusals(VOID)
{
    HANDLE file;
    UCHAR data[16] = { 0 };

    CHECK(ZwOpenFile(&file, GENERIC_READ, At(L"\\Device\\NamedPipe\\nobody"), &Block, 7, FILE_SYNCHRONOUS_IO_NONALERT) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(ZwOpenFile(&file, GENERIC_READ, At(L"\\??\\C:\\Windows"), &Block, 7, FILE_SYNCHRONOUS_IO_NONALERT) == 0);
    CHECK(ZwFsControlFile(file, NULL, NULL, NULL, &Block, FSCTL_SET_REPARSE_POINT, data, sizeof data, NULL, 0) == STATUS_INVALID_DEVICE_REQUEST);
    CHECK(ZwClose(file) == 0);
}

static NTSTATUS OfService(NTSTATUS NTAPI (*call)(PUNICODE_STRING), PCWSTR name)
{
    UNICODE_STRING path;

    RtlInitUnicodeString(&path, name);
    return call(&path);
}

#define SERVICES L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\"

static VOID Services(VOID)
{
    HANDLE key;

    CHECK(OfService(ZwLoadDriver, SERVICES L"nobody") == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(OfService(ZwUnloadDriver, SERVICES L"nobody") == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(OfService(ZwLoadDriver, SERVICES L"windows_behavior") == IMAGE_ALREADY_LOADED);
    /* DriverUnload is not set yet. */
    CHECK(OfService(ZwUnloadDriver, SERVICES L"windows_behavior") == STATUS_INVALID_DEVICE_REQUEST);
    CHECK(ZwCreateKey(&key, KEY_ALL_ACCESS, At(SERVICES L"another"), 0, NULL, REG_OPTION_VOLATILE, NULL) == 0);
    CHECK(OfService(ZwUnloadDriver, SERVICES L"another") == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(OfService(ZwLoadDriver, SERVICES L"another") == STATUS_NOT_SUPPORTED);
    CHECK(ZwDeleteKey(key) == 0 && ZwClose(key) == 0);
}

static VOID NTAPI Unload(UNUSED PDRIVER_OBJECT driver)
{
}

/* What is reported while the system goes on. */
static VOID NTAPI Misuse(UNUSED PDRIVER_OBJECT driver)
{
    IoDisconnectInterrupt(NULL);
    OfService(ZwUnloadDriver, SERVICES L"windows_behavior");
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, UNUSED PUNICODE_STRING path)
{
    RUN(Timers);
    CASE(Interfaces);
    CASE(Sections);
    CASE(Keys);
    CASE(Null);
    CASE(Refusals);
    CASE(Services);
    driver->DriverUnload = Unload;
    if (CHECK_STATUS == STATUS_SUCCESS)
        driver->DriverUnload = Misuse;
    return CHECK_STATUS;
}
