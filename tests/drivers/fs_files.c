/*
 * Files on the volume C:, from opening to deleting.
 */
#include <ntifs.h>
#include "check.h"

#define TEMP L"\\SystemRoot\\Temp\\"
#define FILE_PATH TEMP L"a.txt"
#define SYNCHRONOUS (FILE_SYNCHRONOUS_IO_NONALERT | FILE_NON_DIRECTORY_FILE)

NTSYSAPI NTSTATUS NTAPI ZwQueryFullAttributesFile(POBJECT_ATTRIBUTES, PFILE_NETWORK_OPEN_INFORMATION);
NTSYSAPI NTSTATUS NTAPI ZwDeleteFile(POBJECT_ATTRIBUTES);
NTSYSAPI NTSTATUS NTAPI ZwLockFile(HANDLE, HANDLE, PIO_APC_ROUTINE, PVOID, PIO_STATUS_BLOCK, PLARGE_INTEGER,
                                   PLARGE_INTEGER, ULONG, BOOLEAN, BOOLEAN);
NTSYSAPI NTSTATUS NTAPI ZwCancelIoFile(HANDLE, PIO_STATUS_BLOCK);
NTSYSAPI NTSTATUS NTAPI ZwUnlockFile(HANDLE, PIO_STATUS_BLOCK, PLARGE_INTEGER, PLARGE_INTEGER, ULONG);
NTSYSAPI NTSTATUS NTAPI ZwFlushBuffersFile(HANDLE, PIO_STATUS_BLOCK);
NTSYSAPI NTSTATUS NTAPI ZwQueryVolumeInformationFile(HANDLE, PIO_STATUS_BLOCK, PVOID, ULONG, FS_INFORMATION_CLASS);

static IO_STATUS_BLOCK Block;

static POBJECT_ATTRIBUTES At(HANDLE root, PCWSTR text)
{
    static UNICODE_STRING name;
    static OBJECT_ATTRIBUTES attributes;

    RtlInitUnicodeString(&name, text);
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, root, NULL);
    return &attributes;
}

static NTSTATUS Create(PHANDLE file, PCWSTR path, ACCESS_MASK access, ULONG share, ULONG disposition, ULONG options)
{
    Block.Status = 0x55555555;
    Block.Information = 0x77;
    return ZwCreateFile(file, access | SYNCHRONIZE, At(NULL, path), &Block, NULL, FILE_ATTRIBUTE_NORMAL, share,
                        disposition, options, NULL, 0);
}

static VOID Dispositions(VOID)
{
    HANDLE file;

    CHECK(Create(&file, FILE_PATH, GENERIC_READ, 0, FILE_OPEN, SYNCHRONOUS) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(Block.Status == 0x55555555 && Block.Information == 0x77);
    CHECK(Create(&file, FILE_PATH, GENERIC_READ, 0, FILE_OVERWRITE, SYNCHRONOUS) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(Create(&file, FILE_PATH, GENERIC_READ, 0, FILE_CREATE, SYNCHRONOUS) == 0);
    CHECK(Block.Status == 0 && Block.Information == FILE_CREATED && ZwClose(file) == 0);
    CHECK(Create(&file, FILE_PATH, GENERIC_READ, 0, FILE_CREATE, SYNCHRONOUS) == STATUS_OBJECT_NAME_COLLISION);
    CHECK(Create(&file, FILE_PATH, GENERIC_READ, 0, FILE_OPEN_IF, SYNCHRONOUS) == 0);
    CHECK(Block.Information == FILE_OPENED && ZwClose(file) == 0);
    CHECK(Create(&file, FILE_PATH, GENERIC_READ, 0, FILE_OVERWRITE_IF, SYNCHRONOUS) == 0);
    CHECK(Block.Information == FILE_OVERWRITTEN && ZwClose(file) == 0);
    CHECK(Create(&file, FILE_PATH, GENERIC_READ, 0, FILE_SUPERSEDE, SYNCHRONOUS) == 0);
    CHECK(Block.Information == FILE_SUPERSEDED && ZwClose(file) == 0);
    CHECK(Create(&file, FILE_PATH, GENERIC_READ, 0, FILE_OPEN, FILE_DIRECTORY_FILE) == STATUS_NOT_A_DIRECTORY);
    CHECK(Create(&file, TEMP, GENERIC_READ, 0, FILE_OPEN, FILE_NON_DIRECTORY_FILE) == STATUS_FILE_IS_A_DIRECTORY);
    CHECK(Create(&file, TEMP L"sub", GENERIC_READ, 0, FILE_CREATE, FILE_DIRECTORY_FILE) == 0);
    CHECK(Block.Information == FILE_CREATED && ZwClose(file) == 0);
    CHECK(Create(&file, TEMP L"no\\file", GENERIC_READ, 0, FILE_CREATE, 0) == STATUS_OBJECT_PATH_NOT_FOUND);
    CHECK(Create(&file, TEMP L"a?", GENERIC_READ, 0, FILE_CREATE, 0) == STATUS_OBJECT_NAME_INVALID);
    CHECK(ZwDeleteFile(At(NULL, TEMP L"SUB")) == 0);
    CHECK(ZwDeleteFile(At(NULL, TEMP L"sub")) == STATUS_OBJECT_NAME_NOT_FOUND);
}

static VOID Names(VOID)
{
    HANDLE root, file;
    PFILE_OBJECT object, again;
    UCHAR buffer[128];
    POBJECT_NAME_INFORMATION name = (POBJECT_NAME_INFORMATION)buffer;
    POBJECT_NAME_INFORMATION dos;
    UNICODE_STRING expected;
    LARGE_INTEGER size;
    ULONG length;

    CHECK(ZwOpenFile(&root, FILE_LIST_DIRECTORY | SYNCHRONIZE, At(NULL, L"\\??\\C:\\windows"), &Block, 7,
                     FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT) == 0);
    CHECK(ZwOpenFile(&file, GENERIC_READ | SYNCHRONIZE, At(root, L"temp\\A.TXT"), &Block, 7, SYNCHRONOUS) == 0);
    CHECK(ObReferenceObjectByHandle(file, 0, *IoFileObjectType, KernelMode, (PVOID *)&object, NULL) == 0);
    CHECK(object->Type == IO_TYPE_FILE && object->Size == sizeof(FILE_OBJECT) && object->FsContext != NULL);
    CHECK(object->Vpb != NULL && object->Vpb->RealDevice == object->DeviceObject && object->Vpb->ReferenceCount == 2);
    CHECK(object->ReadAccess && !object->WriteAccess && object->SharedDelete);
    CHECK(IoGetRelatedDeviceObject(object) == object->Vpb->DeviceObject);
    RtlInitUnicodeString(&expected, L"temp\\A.TXT");
    CHECK(RtlEqualUnicodeString(&object->FileName, &expected, FALSE) && object->RelatedFileObject != NULL);
    CHECK(ObQueryNameString(object, name, sizeof(buffer), &length) == 0);
    RtlInitUnicodeString(&expected, L"\\Device\\HarddiskVolume1\\Windows\\Temp\\a.txt");
    CHECK(RtlEqualUnicodeString(&name->Name, &expected, FALSE));
    CHECK(IoQueryFileDosDeviceName(object, &dos) == 0);
    RtlInitUnicodeString(&expected, L"C:\\Windows\\Temp\\a.txt");
    CHECK(RtlEqualUnicodeString(&dos->Name, &expected, FALSE));
    ExFreePool(dos);
    CHECK(IoVolumeDeviceToDosName(object->DeviceObject, &expected) == 0 && expected.Length == 4 && expected.Buffer[0] == L'C');
    ExFreePool(expected.Buffer);
    CHECK(FsRtlGetFileSize(object, &size) == 0 && size.QuadPart == 0);
    CHECK(ZwClose(root) == 0);
    CHECK(ZwOpenFile(&root, GENERIC_READ | SYNCHRONIZE, At(NULL, FILE_PATH), &Block, 7, SYNCHRONOUS) == 0);
    CHECK(ObReferenceObjectByHandle(root, 0, *IoFileObjectType, KernelMode, (PVOID *)&again, NULL) == 0);
    CHECK(again != object && again->FsContext == object->FsContext && again->FsContext2 != object->FsContext2);
    CHECK(again->SectionObjectPointer == object->SectionObjectPointer && object->SectionObjectPointer != NULL);
    ObDereferenceObject(again);
    ObDereferenceObject(object);
    CHECK(ZwClose(root) == 0 && ZwClose(file) == 0);
    CHECK(ZwOpenFile(&root, GENERIC_READ | SYNCHRONIZE, At(NULL, L"\\??\\C:"), &Block, 7, 0) == 0 && ZwClose(root) == 0);
}

static VOID Sharing(VOID)
{
    HANDLE one, two;

    CHECK(Create(&one, FILE_PATH, GENERIC_READ, FILE_SHARE_READ, FILE_OPEN, SYNCHRONOUS) == 0);
    CHECK(Create(&two, FILE_PATH, GENERIC_WRITE, 7, FILE_OPEN, SYNCHRONOUS) == STATUS_SHARING_VIOLATION);
    CHECK(Create(&two, FILE_PATH, GENERIC_READ, 0, FILE_OPEN, SYNCHRONOUS) == STATUS_SHARING_VIOLATION);
    CHECK(Create(&two, FILE_PATH, GENERIC_READ, 1, FILE_OVERWRITE, SYNCHRONOUS) == STATUS_SHARING_VIOLATION);
    CHECK(Create(&two, FILE_PATH, FILE_READ_ATTRIBUTES, 0, FILE_OPEN, SYNCHRONOUS) == 0 && ZwClose(two) == 0);
    CHECK(Create(&two, FILE_PATH, GENERIC_READ, FILE_SHARE_READ, FILE_OPEN, SYNCHRONOUS) == 0 && ZwClose(two) == 0);
    CHECK(ZwClose(one) == 0);
    CHECK(Create(&two, FILE_PATH, GENERIC_WRITE, 0, FILE_OPEN, SYNCHRONOUS) == 0 && ZwClose(two) == 0);
}

static NTSTATUS Write(HANDLE file, PCSTR text, PLARGE_INTEGER offset)
{
    return ZwWriteFile(file, NULL, NULL, NULL, &Block, (PVOID)text, (ULONG)strlen(text), offset, NULL);
}

static VOID Transfers(VOID)
{
    HANDLE file, event;
    LARGE_INTEGER offset;
    FILE_POSITION_INFORMATION position;
    FILE_STANDARD_INFORMATION standard;
    FILE_END_OF_FILE_INFORMATION end;
    CHAR buffer[16];

    CHECK(Create(&file, FILE_PATH, GENERIC_READ | GENERIC_WRITE, 0, FILE_OPEN, SYNCHRONOUS) == 0);
    CHECK(Write(file, "hello", NULL) == 0 && Block.Information == 5 && Block.Status == 0);
    offset.QuadPart = 0;
    offset.HighPart = -1;
    offset.LowPart = FILE_USE_FILE_POINTER_POSITION;
    CHECK(Write(file, " world", &offset) == 0 && Block.Information == 6);
    CHECK(ZwQueryInformationFile(file, &Block, &position, sizeof(position), FilePositionInformation) == 0);
    CHECK(position.CurrentByteOffset.QuadPart == 11 && Block.Information == sizeof(position));
    CHECK(ZwReadFile(file, NULL, NULL, NULL, &Block, buffer, 4, NULL, NULL) == STATUS_END_OF_FILE);
    CHECK(Block.Status == STATUS_END_OF_FILE && Block.Information == 0);
    position.CurrentByteOffset.QuadPart = 6;
    CHECK(ZwSetInformationFile(file, &Block, &position, sizeof(position), FilePositionInformation) == 0);
    CHECK(ZwReadFile(file, NULL, NULL, NULL, &Block, buffer, sizeof(buffer), NULL, NULL) == 0);
    CHECK(Block.Information == 5 && RtlCompareMemory(buffer, "world", 5) == 5);
    offset.HighPart = -1;
    offset.LowPart = FILE_WRITE_TO_END_OF_FILE;
    CHECK(Write(file, "!", &offset) == 0);
    CHECK(ZwQueryInformationFile(file, &Block, &standard, sizeof(standard), FileStandardInformation) == 0);
    CHECK(standard.EndOfFile.QuadPart == 12 && standard.AllocationSize.QuadPart == 0x1000);
    CHECK(standard.NumberOfLinks == 1 && !standard.Directory && !standard.DeletePending);
    end.EndOfFile.QuadPart = 3;
    CHECK(ZwSetInformationFile(file, &Block, &end, sizeof(end), FileEndOfFileInformation) == 0);
    end.EndOfFile.QuadPart = 6;
    CHECK(ZwSetInformationFile(file, &Block, &end, sizeof(end), FileEndOfFileInformation) == 0);
    offset.QuadPart = 1;
    CHECK(ZwReadFile(file, NULL, NULL, NULL, &Block, buffer, sizeof(buffer), &offset, NULL) == 0);
    CHECK(Block.Information == 5 && RtlCompareMemory(buffer, "el\0\0\0", 5) == 5);
    offset.QuadPart = -3;
    CHECK(ZwReadFile(file, NULL, NULL, NULL, &Block, buffer, 1, &offset, NULL) == STATUS_INVALID_PARAMETER);
    CHECK(ZwFlushBuffersFile(file, &Block) == 0);
    CHECK(ZwClose(file) == 0);

    /* Whoever may only append writes at the end, wherever it asks to. */
    CHECK(Create(&file, FILE_PATH, FILE_APPEND_DATA, 0, FILE_OPEN, SYNCHRONOUS) == 0);
    offset.QuadPart = 0;
    CHECK(Write(file, "end", &offset) == 0 && ZwClose(file) == 0);
    CHECK(Create(&file, FILE_PATH, GENERIC_READ, 0, FILE_OPEN, FILE_NON_DIRECTORY_FILE) == 0);
    CHECK(ZwReadFile(file, NULL, NULL, NULL, &Block, buffer, 4, NULL, NULL) == STATUS_INVALID_PARAMETER);
    CHECK(ZwCreateEvent(&event, EVENT_ALL_ACCESS, At(NULL, NULL), NotificationEvent, FALSE) == 0);
    offset.QuadPart = 6;
    Block.Status = 7;
    CHECK(ZwReadFile(file, event, NULL, NULL, &Block, buffer, sizeof(buffer), &offset, NULL) == 0);
    CHECK(ZwWaitForSingleObject(event, FALSE, NULL) == 0 && Block.Status == 0 && Block.Information == 3);
    CHECK(RtlCompareMemory(buffer, "end", 3) == 3);
    CHECK(ZwClose(event) == 0 && ZwClose(file) == 0);
}

static ULONG Called;

static VOID NTAPI Ended(PVOID context, PIO_STATUS_BLOCK block, ULONG reserved)
{
    CHECK(context == &Called && block == &Block && reserved == 0 && KeGetCurrentIrql() == PASSIVE_LEVEL);
    CHECK(block->Status == 0 && block->Information == 2);
    Called++;
}

static VOID Apcs(VOID)
{
    HANDLE file;
    LARGE_INTEGER offset = {0};
    CHAR buffer[2];

    CHECK(Create(&file, FILE_PATH, GENERIC_READ, 0, FILE_OPEN, FILE_NON_DIRECTORY_FILE) == 0);
    CHECK(ZwReadFile(file, NULL, Ended, &Called, &Block, buffer, 2, &offset, NULL) == 0 && Called == 1);
    KeEnterCriticalRegion();
    CHECK(ZwReadFile(file, NULL, Ended, &Called, &Block, buffer, 2, &offset, NULL) == 0 && Called == 1);
    KeLeaveCriticalRegion();
    CHECK(Called == 2);
    offset.QuadPart = 100;
    CHECK(ZwReadFile(file, NULL, Ended, &Called, &Block, buffer, 2, &offset, NULL) == STATUS_END_OF_FILE && Called == 2);
    CHECK(ZwClose(file) == 0);
}

static VOID Information(VOID)
{
    HANDLE file;
    struct {
        FILE_ALL_INFORMATION all;
        WCHAR more[64];
    } buffer;
    PFILE_ALL_INFORMATION all = &buffer.all;
    FILE_NETWORK_OPEN_INFORMATION open;
    FILE_ATTRIBUTE_TAG_INFORMATION tag;
    FILE_BASIC_INFORMATION basic;
    FILE_NAME_INFORMATION name;
    UNICODE_STRING path, expected;

    CHECK(Create(&file, FILE_PATH, GENERIC_READ | FILE_WRITE_ATTRIBUTES, 0, FILE_OPEN, SYNCHRONOUS) == 0);
    CHECK(ZwQueryInformationFile(file, &Block, all, sizeof(buffer), FileAllInformation) == 0);
    CHECK(Block.Information == FIELD_OFFSET(FILE_ALL_INFORMATION, NameInformation.FileName) + all->NameInformation.FileNameLength);
    path.Buffer = all->NameInformation.FileName;
    path.Length = path.MaximumLength = (USHORT)all->NameInformation.FileNameLength;
    RtlInitUnicodeString(&expected, L"\\Windows\\Temp\\a.txt");
    CHECK(RtlEqualUnicodeString(&path, &expected, FALSE));
    CHECK(all->BasicInformation.FileAttributes == FILE_ATTRIBUTE_ARCHIVE);
    CHECK(all->StandardInformation.EndOfFile.QuadPart == 9);
    CHECK(all->AccessInformation.AccessFlags == (FILE_GENERIC_READ | FILE_WRITE_ATTRIBUTES));
    CHECK(all->ModeInformation.Mode == FILE_SYNCHRONOUS_IO_NONALERT);
    CHECK(all->InternalInformation.IndexNumber.QuadPart != 0);
    CHECK(ZwQueryInformationFile(file, &Block, all, sizeof(*all), FileAllInformation) == STATUS_BUFFER_OVERFLOW);
    CHECK(Block.Information == sizeof(*all) && Block.Status == STATUS_BUFFER_OVERFLOW);
    CHECK(ZwQueryInformationFile(file, &Block, &name, sizeof(name), FileNameInformation) == STATUS_BUFFER_OVERFLOW);
    CHECK(name.FileNameLength == expected.Length && name.FileName[0] == L'\\');
    CHECK(ZwQueryInformationFile(file, &Block, all, 4, FileBasicInformation) == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(ZwQueryInformationFile(file, &Block, all, sizeof(buffer), 0) == STATUS_INVALID_INFO_CLASS);
    RtlZeroMemory(&basic, sizeof(basic));
    basic.FileAttributes = FILE_ATTRIBUTE_READONLY | FILE_ATTRIBUTE_HIDDEN;
    basic.CreationTime.QuadPart = 12345;
    CHECK(ZwSetInformationFile(file, &Block, &basic, sizeof(basic), FileBasicInformation) == 0);
    CHECK(ZwQueryInformationFile(file, &Block, &tag, sizeof(tag), FileAttributeTagInformation) == 0);
    CHECK(tag.FileAttributes == (FILE_ATTRIBUTE_READONLY | FILE_ATTRIBUTE_HIDDEN) && tag.ReparseTag == 0);
    CHECK(ZwClose(file) == 0);
    CHECK(ZwQueryFullAttributesFile(At(NULL, FILE_PATH), &open) == 0);
    CHECK(open.CreationTime.QuadPart == 12345 && open.EndOfFile.QuadPart == 9 && open.FileAttributes == tag.FileAttributes);
    CHECK(Create(&file, FILE_PATH, GENERIC_WRITE, 0, FILE_OPEN, SYNCHRONOUS) == STATUS_ACCESS_DENIED);
    CHECK(ZwDeleteFile(At(NULL, FILE_PATH)) == STATUS_CANNOT_DELETE);
    CHECK(Create(&file, FILE_PATH, FILE_WRITE_ATTRIBUTES, 0, FILE_OPEN, SYNCHRONOUS) == 0);
    basic.FileAttributes = FILE_ATTRIBUTE_NORMAL;
    CHECK(ZwSetInformationFile(file, &Block, &basic, sizeof(basic), FileBasicInformation) == 0);
    CHECK(ZwQueryInformationFile(file, &Block, &basic, sizeof(basic), FileBasicInformation) == 0);
    CHECK(basic.FileAttributes == FILE_ATTRIBUTE_NORMAL && ZwClose(file) == 0);
}

static NTSTATUS Rename(HANDLE file, HANDLE root, PCWSTR to, BOOLEAN replace)
{
    UCHAR buffer[sizeof(FILE_RENAME_INFORMATION) + 128];
    PFILE_RENAME_INFORMATION rename = (PFILE_RENAME_INFORMATION)buffer;

    rename->ReplaceIfExists = replace;
    rename->RootDirectory = root;
    rename->FileNameLength = (ULONG)(wcslen(to) * sizeof(WCHAR));
    RtlCopyMemory(rename->FileName, to, rename->FileNameLength);
    return ZwSetInformationFile(file, &Block, rename, sizeof(*rename) + rename->FileNameLength, FileRenameInformation);
}

static VOID Renames(VOID)
{
    HANDLE file, other, root;

    CHECK(Create(&other, TEMP L"b.txt", DELETE, 0, FILE_CREATE, SYNCHRONOUS) == 0);
    CHECK(Create(&file, FILE_PATH, DELETE, 0, FILE_OPEN, SYNCHRONOUS) == 0);
    CHECK(Rename(file, NULL, L"b.txt", FALSE) == STATUS_OBJECT_NAME_COLLISION);
    CHECK(Rename(file, NULL, L"b.txt", TRUE) == STATUS_ACCESS_DENIED);
    CHECK(ZwClose(other) == 0);
    CHECK(Rename(file, NULL, L"b.txt", TRUE) == 0);
    CHECK(Rename(file, NULL, L"\\??\\C:\\Windows\\c.txt", FALSE) == 0);
    CHECK(Create(&other, L"\\SystemRoot\\c.txt", GENERIC_READ, 7, FILE_OPEN, 0) == STATUS_SHARING_VIOLATION);
    CHECK(Rename(file, NULL, L"\\Device\\None\\c.txt", FALSE) == STATUS_OBJECT_PATH_NOT_FOUND);
    CHECK(ZwOpenFile(&root, FILE_LIST_DIRECTORY, At(NULL, TEMP), &Block, 7, FILE_DIRECTORY_FILE) == 0);
    CHECK(Rename(file, root, L"A.txt", FALSE) == 0);
    CHECK(ZwClose(root) == 0 && ZwClose(file) == 0);
    CHECK(Create(&file, FILE_PATH, GENERIC_READ, 7, FILE_OPEN, 0) == 0 && ZwClose(file) == 0);
    CHECK(Create(&file, TEMP L"b.txt", GENERIC_READ, 7, FILE_OPEN, 0) == STATUS_OBJECT_NAME_NOT_FOUND);
}

static VOID Deletion(VOID)
{
    HANDLE file, other;
    FILE_DISPOSITION_INFORMATION disposition = {TRUE};
    FILE_STANDARD_INFORMATION standard;

    CHECK(Create(&file, FILE_PATH, DELETE, 7, FILE_OPEN, SYNCHRONOUS) == 0);
    CHECK(Create(&other, FILE_PATH, GENERIC_READ, 7, FILE_OPEN, SYNCHRONOUS) == 0);
    CHECK(ZwSetInformationFile(file, &Block, &disposition, sizeof(disposition), FileDispositionInformation) == 0);
    CHECK(ZwQueryInformationFile(other, &Block, &standard, sizeof(standard), FileStandardInformation) == 0);
    CHECK(standard.DeletePending && standard.NumberOfLinks == 0);
    CHECK(ZwClose(file) == 0);
    CHECK(Create(&file, FILE_PATH, GENERIC_READ, 7, FILE_OPEN, 0) == STATUS_DELETE_PENDING);
    CHECK(ZwClose(other) == 0);
    CHECK(Create(&file, FILE_PATH, GENERIC_READ, 7, FILE_OPEN, 0) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(Create(&file, FILE_PATH, DELETE, 7, FILE_CREATE, FILE_DELETE_ON_CLOSE) == 0 && ZwClose(file) == 0);
    CHECK(Create(&file, FILE_PATH, GENERIC_READ, 7, FILE_OPEN, 0) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(Create(&file, L"\\SystemRoot\\System32", DELETE, 7, FILE_OPEN, FILE_DIRECTORY_FILE) == 0);
    CHECK(ZwSetInformationFile(file, &Block, &disposition, sizeof(disposition), FileDispositionInformation) ==
          STATUS_DIRECTORY_NOT_EMPTY);
    CHECK(ZwClose(file) == 0);
}

static PCWSTR const Listed[] = {L"alpha.c", L"Beta.c", L"gamma.h"};

/* The names that a listing gives, in one query or many. */
static ULONG List(HANDLE directory, PCWSTR pattern, ULONG length, PWSTR names)
{
    static UCHAR buffer[1024];
    PFILE_BOTH_DIR_INFORMATION entry;
    UNICODE_STRING string;
    BOOLEAN restart = TRUE;
    ULONG count = 0;
    NTSTATUS status;

    RtlInitUnicodeString(&string, pattern);
    *names = 0;
    while ((status = ZwQueryDirectoryFile(directory, NULL, NULL, NULL, &Block, buffer, length, FileBothDirectoryInformation,
                                          FALSE, pattern == NULL ? NULL : &string, restart)) == 0) {
        restart = FALSE;
        for (entry = (PVOID)buffer;; entry = (PVOID)((PUCHAR)entry + entry->NextEntryOffset)) {
            RtlCopyMemory(names + wcslen(names), entry->FileName, entry->FileNameLength);
            names[wcslen(names)] = 0;
            wcscat(names, L" ");
            CHECK(entry->ShortNameLength == 0 && entry->EaSize == 0);
            count++;
            if (entry->NextEntryOffset == 0)
                break;
        }
    }
    CHECK(status == (count == 0 ? STATUS_NO_SUCH_FILE : STATUS_NO_MORE_FILES));
    return count;
}

static VOID Listing(VOID)
{
    static WCHAR names[256];
    HANDLE directory, file;
    UNICODE_STRING pattern;
    struct {
        FILE_NAMES_INFORMATION names;
        WCHAR more[8];
    } one;
    ULONG n;

    CHECK(Create(&directory, TEMP L"list", FILE_LIST_DIRECTORY, 7, FILE_CREATE, FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT) == 0);
    for (n = 0; n < 3; n++) {
        CHECK(ZwCreateFile(&file, GENERIC_READ, At(directory, Listed[n]), &Block, NULL, FILE_ATTRIBUTE_HIDDEN, 7, FILE_CREATE, 0, NULL, 0) == 0);
        CHECK(ZwClose(file) == 0);
    }
    RtlZeroMemory(names, sizeof(names));
    CHECK(List(directory, NULL, 1024, names) == 5 && wcscmp(names, L". .. alpha.c Beta.c gamma.h ") == 0);
    RtlZeroMemory(names, sizeof(names));
    CHECK(List(directory, L"*.C", 0x74, names) == 2 && wcscmp(names, L"alpha.c Beta.c ") == 0);
    CHECK(ZwClose(directory) == 0);
    CHECK(Create(&directory, TEMP L"list", FILE_LIST_DIRECTORY, 7, FILE_OPEN, FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT) == 0);
    RtlZeroMemory(names, sizeof(names));
    CHECK(List(directory, L"*.none", 1024, names) == 0);
    RtlInitUnicodeString(&pattern, L"gamma.?");
    CHECK(ZwQueryDirectoryFile(directory, NULL, NULL, NULL, &Block, &one, sizeof(one), FileNamesInformation, TRUE, &pattern, TRUE) == 0);
    CHECK(one.names.NextEntryOffset == 0 && one.names.FileNameLength == 14 && one.names.FileName[6] == L'h');
    CHECK(Block.Information == FIELD_OFFSET(FILE_NAMES_INFORMATION, FileName) + 14);
    CHECK(ZwQueryDirectoryFile(directory, NULL, NULL, NULL, &Block, &one, 16, FileNamesInformation, TRUE, NULL, TRUE) == STATUS_BUFFER_OVERFLOW);
    CHECK(ZwQueryDirectoryFile(directory, NULL, NULL, NULL, &Block, &one, 8, FileNamesInformation, TRUE, NULL, TRUE) == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(ZwClose(directory) == 0);
    CHECK(ZwDeleteFile(At(NULL, TEMP L"list\\ALPHA.c")) == 0 && ZwDeleteFile(At(NULL, TEMP L"list\\beta.c")) == 0);
    CHECK(ZwDeleteFile(At(NULL, TEMP L"list\\gamma.h")) == 0 && ZwDeleteFile(At(NULL, TEMP L"list")) == 0);
}

static VOID Locks(VOID)
{
    HANDLE one, two;
    LARGE_INTEGER start = {{2, 0}}, length = {{2, 0}}, offset = {{0, 0}};
    IO_STATUS_BLOCK later = {{7}, 7};
    CHAR buffer[4];

    CHECK(Create(&one, FILE_PATH, GENERIC_READ | GENERIC_WRITE, 7, FILE_CREATE, SYNCHRONOUS) == 0 && Write(one, "abcd", NULL) == 0);
    CHECK(Create(&two, FILE_PATH, GENERIC_READ | GENERIC_WRITE, 7, FILE_OPEN, FILE_NON_DIRECTORY_FILE) == 0);
    CHECK(ZwLockFile(one, NULL, NULL, NULL, &Block, &start, &length, 0, TRUE, TRUE) == 0);
    CHECK(ZwReadFile(two, NULL, NULL, NULL, &Block, buffer, 4, &offset, NULL) == STATUS_FILE_LOCK_CONFLICT);
    CHECK(ZwReadFile(one, NULL, NULL, NULL, &Block, buffer, 4, &offset, NULL) == 0);
    CHECK(ZwLockFile(two, NULL, NULL, NULL, &Block, &start, &length, 0, TRUE, FALSE) == STATUS_LOCK_NOT_GRANTED);
    CHECK(ZwLockFile(two, NULL, NULL, NULL, &later, &start, &length, 0, FALSE, FALSE) == STATUS_PENDING && later.Information == 7);
    CHECK(ZwCancelIoFile(two, &Block) == 0 && later.Status == STATUS_CANCELLED && later.Information == 0);
    later.Information = 7;
    CHECK(ZwLockFile(two, NULL, NULL, NULL, &later, &start, &length, 0, FALSE, FALSE) == STATUS_PENDING && later.Information == 7);
    CHECK(ZwUnlockFile(one, &Block, &offset, &length, 0) == STATUS_RANGE_NOT_LOCKED);
    CHECK(ZwUnlockFile(one, &Block, &start, &length, 0) == 0);
    CHECK(ZwWaitForSingleObject(two, FALSE, NULL) == 0 && later.Status == 0 && later.Information == 0);
    CHECK(Write(one, "wxyz", &offset) == STATUS_FILE_LOCK_CONFLICT && ZwClose(two) == 0);
    CHECK(Write(one, "wxyz", &offset) == 0 && ZwClose(one) == 0);
}

static VOID Volume(VOID)
{
    HANDLE root;
    struct {
        FILE_FS_VOLUME_INFORMATION volume;
        WCHAR more[16];
    } label;
    FILE_FS_SIZE_INFORMATION size;
    FILE_FS_DEVICE_INFORMATION device;
    struct {
        FILE_FS_ATTRIBUTE_INFORMATION attribute;
        WCHAR more[16];
    } attributes;

    CHECK(ZwOpenFile(&root, FILE_READ_ATTRIBUTES | SYNCHRONIZE, At(NULL, L"\\??\\C:\\"), &Block, 7, FILE_SYNCHRONOUS_IO_NONALERT) == 0);
    CHECK(ZwQueryVolumeInformationFile(root, &Block, &label, sizeof(label), FileFsVolumeInformation) == 0);
    CHECK(label.volume.VolumeSerialNumber != 0 && Block.Information == FIELD_OFFSET(FILE_FS_VOLUME_INFORMATION, VolumeLabel) + label.volume.VolumeLabelLength);
    CHECK(ZwQueryVolumeInformationFile(root, &Block, &size, sizeof(size), FileFsSizeInformation) == 0);
    CHECK(size.BytesPerSector == 512 && size.SectorsPerAllocationUnit == 8);
    CHECK(size.AvailableAllocationUnits.QuadPart < size.TotalAllocationUnits.QuadPart);
    CHECK(ZwQueryVolumeInformationFile(root, &Block, &device, sizeof(device), FileFsDeviceInformation) == 0);
    CHECK(device.DeviceType == FILE_DEVICE_DISK && (device.Characteristics & FILE_DEVICE_IS_MOUNTED));
    CHECK(ZwQueryVolumeInformationFile(root, &Block, &attributes, sizeof(attributes), FileFsAttributeInformation) == 0);
    CHECK(attributes.attribute.MaximumComponentNameLength == 255);
    CHECK((attributes.attribute.FileSystemAttributes & (FILE_CASE_PRESERVED_NAMES | FILE_NAMED_STREAMS)) == FILE_CASE_PRESERVED_NAMES);
    CHECK(ZwClose(root) == 0);
}

static VOID Image(VOID)
{
    HANDLE file;
    CHAR mark[2];
    LARGE_INTEGER offset = {{0, 0}};

    CHECK(Create(&file, L"\\SystemRoot\\System32\\drivers\\fs_files.sys", GENERIC_READ, 1, FILE_OPEN, SYNCHRONOUS) == 0);
    CHECK(ZwReadFile(file, NULL, NULL, NULL, &Block, mark, 2, &offset, NULL) == 0 && mark[0] == 'M' && mark[1] == 'Z');
    CHECK(ZwClose(file) == 0);
}

static VOID Unload(PDRIVER_OBJECT driver UNUSED)
{
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path UNUSED)
{
    driver->DriverUnload = Unload;
    CASE(Dispositions);
    CASE(Names);
    CASE(Sharing);
    CASE(Transfers);
    CASE(Apcs);
    CASE(Information);
    CASE(Renames);
    CASE(Deletion);
    CASE(Listing);
    CASE(Locks);
    CASE(Volume);
    CASE(Image);
    return CHECK_STATUS;
}
