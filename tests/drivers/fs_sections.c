/*
 * Sections of files and images, and their views.
 */
#include <ntifs.h>
#include "check.h"

#define FILE_PATH L"\\SystemRoot\\Temp\\section.bin"
#define MAPPED_FILE_SIZE_ZERO ((NTSTATUS)0xC000011E)
#ifndef SEC_FILE
#define SEC_FILE 0x800000
#endif
#ifndef SEC_IMAGE
#define SEC_IMAGE 0x1000000
#endif

typedef struct {
    PVOID BaseAddress, AllocationBase;
    ULONG AllocationProtect, Alignment;
    SIZE_T RegionSize;
    ULONG State, Protect, Type;
} MEMORY_BASIC;

typedef struct {
    PVOID BaseAddress;
    ULONG Attributes;
    LARGE_INTEGER Size;
} SECTION_BASIC;

typedef struct {
    PVOID TransferAddress;
    ULONG ZeroBits;
    SIZE_T MaximumStackSize, CommittedStackSize;
    ULONG SubSystemType;
    USHORT SubSystemMinorVersion, SubSystemMajorVersion;
    ULONG OperatingSystemVersion;
    USHORT ImageCharacteristics, DllCharacteristics, Machine;
    BOOLEAN ImageContainsCode;
    UCHAR ImageFlags;
    ULONG LoaderFlags, ImageFileSize, CheckSum;
} SECTION_IMAGE;

NTSYSAPI NTSTATUS NTAPI ZwQuerySection(HANDLE, ULONG, PVOID, SIZE_T, PSIZE_T);
NTSYSAPI NTSTATUS NTAPI ZwQueryVirtualMemory(HANDLE, PVOID, ULONG, PVOID, SIZE_T, PSIZE_T);
NTKERNELAPI NTSTATUS NTAPI MmMapViewInSystemSpace(PVOID, PVOID *, PSIZE_T);
NTKERNELAPI NTSTATUS NTAPI MmUnmapViewInSystemSpace(PVOID);
NTSYSAPI NTSTATUS NTAPI ZwDeleteFile(POBJECT_ATTRIBUTES);

static IO_STATUS_BLOCK Block;
static const char Text[] = "what the file holds";

static POBJECT_ATTRIBUTES At(PCWSTR text)
{
    static UNICODE_STRING name;
    static OBJECT_ATTRIBUTES attributes;

    RtlInitUnicodeString(&name, text);
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    return &attributes;
}

static HANDLE Open(PCWSTR path, ULONG disposition)
{
    HANDLE file = NULL;

    CHECK(ZwCreateFile(&file, GENERIC_READ | GENERIC_WRITE | SYNCHRONIZE, At(path), &Block, NULL, FILE_ATTRIBUTE_NORMAL, 7,
                       disposition, FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0) == 0);
    return file;
}

static NTSTATUS Make(PHANDLE section, LONGLONG size, ULONG protect, ULONG kind, HANDLE file)
{
    LARGE_INTEGER maximum;
    OBJECT_ATTRIBUTES attributes;

    maximum.QuadPart = size;
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    return ZwCreateSection(section, SECTION_ALL_ACCESS, &attributes, size == 0 ? NULL : &maximum, protect, kind, file);
}

static PVOID Map(HANDLE section, ULONG protect, NTSTATUS expected)
{
    PVOID base = NULL;
    SIZE_T size = 0;

    CHECK(ZwMapViewOfSection(section, NtCurrentProcess(), &base, 0, 0, NULL, &size, ViewUnmap, 0, protect) == expected);
    return base;
}

static NTSTATUS Unmap(PVOID base)
{
    return ZwUnmapViewOfSection(NtCurrentProcess(), base);
}

static VOID Sizes(VOID)
{
    HANDLE file, section, directory;
    SECTION_BASIC basic;
    SECTION_IMAGE image;
    FILE_STANDARD_INFORMATION standard;

    file = Open(FILE_PATH, FILE_CREATE);
    CHECK(Make(&section, 0, PAGE_READONLY, SEC_COMMIT, file) == MAPPED_FILE_SIZE_ZERO);
    CHECK(ZwWriteFile(file, NULL, NULL, NULL, &Block, (PVOID)Text, sizeof(Text), NULL, NULL) == 0);
    CHECK(Make(&section, sizeof(Text) + 1, PAGE_READONLY, SEC_COMMIT, file) == STATUS_SECTION_TOO_BIG);
    CHECK(Make(&section, -1, PAGE_READWRITE, SEC_COMMIT, file) == STATUS_SECTION_TOO_BIG);
    CHECK(Make(&section, 0, PAGE_READONLY, SEC_COMMIT | SEC_LARGE_PAGES, file) == STATUS_INVALID_PARAMETER_6);
    CHECK(Make(&section, 0, PAGE_READONLY, SEC_IMAGE, file) == STATUS_INVALID_IMAGE_NOT_MZ);
    CHECK(Make(&section, 0, PAGE_READONLY, SEC_COMMIT, file) == 0);
    CHECK(ZwQuerySection(section, 0, &basic, sizeof(basic), NULL) == 0);
    CHECK(basic.BaseAddress == NULL && basic.Attributes == SEC_FILE && basic.Size.QuadPart == sizeof(Text));
    CHECK(ZwQuerySection(section, 1, &image, sizeof(image), NULL) == STATUS_SECTION_NOT_IMAGE);
    CHECK(ZwClose(section) == 0);
    CHECK(Make(&section, 0x1800, PAGE_READWRITE, SEC_COMMIT, file) == 0 && ZwClose(section) == 0);
    CHECK(ZwQueryInformationFile(file, &Block, &standard, sizeof(standard), FileStandardInformation) == 0);
    CHECK(standard.EndOfFile.QuadPart == 0x1800 && ZwClose(file) == 0);
    CHECK(ZwOpenFile(&directory, FILE_LIST_DIRECTORY, At(L"\\SystemRoot"), &Block, 7, FILE_DIRECTORY_FILE) == 0);
    CHECK(Make(&section, 0, PAGE_READONLY, SEC_COMMIT, directory) == STATUS_INVALID_FILE_FOR_SECTION);
    CHECK(ZwClose(directory) == 0);
}

static VOID Views(VOID)
{
    HANDLE file, section, again;
    char *view, *other, buffer[8];
    LARGE_INTEGER offset = {{0, 0}};
    FILE_END_OF_FILE_INFORMATION end;
    PVOID object, system = NULL;
    SIZE_T size = 0;

    file = Open(FILE_PATH, FILE_OPEN);
    CHECK(Make(&section, 0, PAGE_READWRITE, SEC_COMMIT, file) == 0);
    CHECK(Make(&again, 0, PAGE_READONLY, SEC_COMMIT, file) == 0);
    Map(again, PAGE_READWRITE, STATUS_SECTION_PROTECTION);
    view = Map(section, PAGE_READWRITE, 0);
    other = Map(again, PAGE_WRITECOPY, 0);
    CHECK(RtlCompareMemory(view, Text, sizeof(Text)) == sizeof(Text) && view[0x17ff] == 0 && view[0x1fff] == 0);

    /* A view, another section's view, and the file itself are the same data. */
    RtlCopyMemory(view, "WHAT", 4);
    CHECK(RtlCompareMemory(other, "WHAT", 4) == 4);
    CHECK(ZwReadFile(file, NULL, NULL, NULL, &Block, buffer, 4, &offset, NULL) == 0 && RtlCompareMemory(buffer, "WHAT", 4) == 4);
    offset.QuadPart = 5;
    CHECK(ZwWriteFile(file, NULL, NULL, NULL, &Block, (PVOID)"THE", 3, &offset, NULL) == 0);
    CHECK(RtlCompareMemory(view, "WHAT THE", 8) == 8);
    /* But for a copy on write. */
    other[0] = 'w';
    CHECK(view[0] == 'W' && other[1] == 'H');
    view[1] = 'h';
    CHECK(other[1] == 'H');

    /* A file with a section is not cut off. */
    end.EndOfFile.QuadPart = 1;
    CHECK(ZwSetInformationFile(file, &Block, &end, sizeof(end), FileEndOfFileInformation) == STATUS_USER_MAPPED_FILE);
    CHECK(ObReferenceObjectByHandle(section, SECTION_MAP_READ, NULL, KernelMode, &object, NULL) == 0);
    CHECK(MmMapViewInSystemSpace(object, &system, &size) == 0 && size == 0x2000);
    CHECK(((char *)system)[2] == 'A' && MmUnmapViewInSystemSpace(system) == 0);
    ObDereferenceObject(object);
    CHECK(ZwClose(section) == 0 && ZwClose(again) == 0 && Unmap(other) == 0);

    /* What lies behind the end is not part of the file. */
    view[0x1801] = 'x';
    CHECK(view[4] == ' ' && Unmap(view) == 0);
    end.EndOfFile.QuadPart = 0x1900;
    CHECK(ZwSetInformationFile(file, &Block, &end, sizeof(end), FileEndOfFileInformation) == 0);
    offset.QuadPart = 0x1801;
    CHECK(ZwReadFile(file, NULL, NULL, NULL, &Block, buffer, 1, &offset, NULL) == 0 && buffer[0] == 0);
    end.EndOfFile.QuadPart = 1;
    CHECK(ZwSetInformationFile(file, &Block, &end, sizeof(end), FileEndOfFileInformation) == 0);
    CHECK(ZwClose(file) == 0);
}

/* A file that is deleted stays as long as it is mapped. */
static VOID Outliving(VOID)
{
    HANDLE file, section;
    char *view;

    file = Open(FILE_PATH, FILE_OPEN);
    CHECK(Make(&section, 0, PAGE_READONLY, SEC_COMMIT, file) == 0 && ZwClose(file) == 0);
    CHECK(ZwDeleteFile(At(FILE_PATH)) == 0);
    view = Map(section, PAGE_READONLY, 0);
    CHECK(ZwClose(section) == 0);
    CHECK(view[0] == 'W' && view[1] == 0 && Unmap(view) == 0);
    CHECK(Unmap(view) == STATUS_NOT_MAPPED_VIEW);
}

static ULONG Written = 1;

static VOID Images(VOID)
{
    HANDLE file, section;
    SECTION_BASIC basic;
    SECTION_IMAGE image;
    MEMORY_BASIC memory;
    PUCHAR view, other;
    ULONG header, *own;
    extern UCHAR __ImageBase[];

    CHECK(ZwOpenFile(&file, GENERIC_READ | GENERIC_EXECUTE, At(L"\\SystemRoot\\System32\\drivers\\fs_sections.sys"), &Block, 7,
                     FILE_NON_DIRECTORY_FILE) == 0);
    CHECK(Make(&section, 0, PAGE_EXECUTE, SEC_IMAGE | SEC_COMMIT, file) == STATUS_INVALID_PARAMETER_6);
    CHECK(Make(&section, 0, PAGE_EXECUTE, SEC_IMAGE, file) == 0 && ZwClose(file) == 0);
    CHECK(ZwQuerySection(section, 0, &basic, sizeof(basic), NULL) == 0 && basic.Attributes == (SEC_FILE | SEC_IMAGE));
    CHECK(ZwQuerySection(section, 1, &image, sizeof(image), NULL) == 0);
    CHECK(image.Machine == 0x8664 && image.SubSystemType == 1 && image.ImageContainsCode);
    view = Map(section, PAGE_EXECUTE, 0);
    header = *(PULONG)(view + 0x3c);
    CHECK(view[0] == 'M' && view[1] == 'Z' && *(PULONG)(view + header) == 0x4550);
    CHECK((ULONG_PTR)view == *(PULONGLONG)(view + header + 0x30));
    CHECK(image.TransferAddress == view + *(PULONG)(view + header + 0x28));
    CHECK(ZwQueryVirtualMemory(NtCurrentProcess(), view, 0, &memory, sizeof(memory), NULL) == 0);
    CHECK(memory.Type == 0x1000000 && memory.Protect == PAGE_READONLY && memory.AllocationProtect == PAGE_EXECUTE_WRITECOPY);
    other = Map(section, PAGE_EXECUTE, STATUS_IMAGE_NOT_AT_BASE);

    /* Each view has data of its own once it is written. */
    Written = 2;
    own = (PULONG)(view + ((PUCHAR)&Written - __ImageBase));
    CHECK(*own == 1);
    *own = 3;
    CHECK(*(PULONG)(other + ((PUCHAR)&Written - __ImageBase)) == 1 && Written == 2);
    CHECK(Unmap(view) == 0 && Unmap(other) == 0 && ZwClose(section) == 0);
}

static VOID Unload(PDRIVER_OBJECT driver UNUSED)
{
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path UNUSED)
{
    driver->DriverUnload = Unload;
    CASE(Sizes);
    CASE(Views);
    CASE(Outliving);
    CASE(Images);
    return CHECK_STATUS;
}
