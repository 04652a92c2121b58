/*
 * Access states and the privileges that were used, tokens by handles, and the
 * descriptors that objects have by default.
 */
#include <ntifs.h>
#include "check.h"

/* The beginning of the structure that every version has; more may follow. */
typedef struct {
    PPRIVILEGE_SET PrivilegesUsed;
    GENERIC_MAPPING GenericMapping;
    UCHAR rest[0xe0];
} AUX_DATA;

NTSYSAPI NTSTATUS NTAPI SeCreateAccessState(PACCESS_STATE, PVOID, ACCESS_MASK, PGENERIC_MAPPING);
NTSYSAPI VOID NTAPI SeDeleteAccessState(PACCESS_STATE);
NTSYSAPI NTSTATUS NTAPI ZwOpenProcessTokenEx(HANDLE, ACCESS_MASK, ULONG, PHANDLE);
NTSYSAPI NTSTATUS NTAPI ZwOpenThreadTokenEx(HANDLE, ACCESS_MASK, BOOLEAN, ULONG, PHANDLE);
NTSYSAPI NTSTATUS NTAPI ZwQueryInformationToken(HANDLE, TOKEN_INFORMATION_CLASS, PVOID, ULONG, PULONG);
NTSYSAPI NTSTATUS NTAPI ZwDuplicateToken(HANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES, BOOLEAN, TOKEN_TYPE, PHANDLE);
NTSYSAPI BOOLEAN NTAPI MmIsRecursiveIoFault(VOID);
NTSYSAPI ULONG64 NTAPI RtlGetEnabledExtendedFeatures(ULONG64);
NTSYSAPI NTSTATUS NTAPI NtQuerySecurityObject(HANDLE, SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, ULONG, PULONG);
NTSYSAPI NTSTATUS NTAPI NtSetSecurityObject(HANDLE, SECURITY_INFORMATION, PSECURITY_DESCRIPTOR);
NTSYSAPI NTSTATUS NTAPI NtSetInformationThread(HANDLE, THREADINFOCLASS, PVOID, ULONG);
NTSYSAPI NTSTATUS NTAPI ObQueryObjectAuditingByHandle(HANDLE, PBOOLEAN);
NTSYSAPI NTSTATUS NTAPI ZwQuerySecurityObject(HANDLE, SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, ULONG, PULONG);

static VOID AccessStates(VOID)
{
    static AUX_DATA data;
    GENERIC_MAPPING mapping = { 1, 2, 4, 8 };
    struct { ULONG count, control; LUID_AND_ATTRIBUTES privileges[4]; } four;
    ACCESS_STATE state;
    ULONG n;

    RtlZeroMemory(&four, sizeof four);
    four.count = 2;
    for (n = 0; n < 4; n++)
        four.privileges[n].Luid.LowPart = 20 + n;
    CHECK(SeCreateAccessState(&state, &data, GENERIC_READ | DELETE, &mapping) == 0);
    CHECK(state.OriginalDesiredAccess == (DELETE | 1) && state.RemainingDesiredAccess == (DELETE | 1));
    CHECK(state.PreviouslyGrantedAccess == 0 && state.AuxData == &data && !state.PrivilegesAllocated);
    CHECK(state.SubjectSecurityContext.PrimaryToken && state.OperationID.LowPart);
    CHECK(data.PrivilegesUsed == (PPRIVILEGE_SET)&state.Privileges && data.PrivilegesUsed->PrivilegeCount == 0);
    CHECK(data.GenericMapping.GenericAll == 8);
    SeSetAccessStateGenericMapping(&state, IoGetFileObjectGenericMapping());
    CHECK(data.GenericMapping.GenericAll == FILE_ALL_ACCESS);
    CHECK(SeAppendPrivileges(&state, (PPRIVILEGE_SET)&four) == 0 && data.PrivilegesUsed->PrivilegeCount == 2 && !state.PrivilegesAllocated);
    four.count = 4;
    CHECK(SeAppendPrivileges(&state, (PPRIVILEGE_SET)&four) == 0 && data.PrivilegesUsed->PrivilegeCount == 6 && state.PrivilegesAllocated);
    CHECK(data.PrivilegesUsed->Privilege[1].Luid.LowPart == 21 && data.PrivilegesUsed->Privilege[5].Luid.LowPart == 23);
    CHECK(SeAppendPrivileges(&state, (PPRIVILEGE_SET)&four) == 0 && data.PrivilegesUsed->PrivilegeCount == 10);
    SeDeleteAccessState(&state);
}

static VOID TokenHandles(VOID)
{
    SECURITY_QUALITY_OF_SERVICE quality = { sizeof quality, SecurityIdentification, SECURITY_STATIC_TRACKING, FALSE };
    OBJECT_ATTRIBUTES attributes;
    HANDLE token = NULL, copy = NULL;
    TOKEN_STATISTICS statistics;
    union { TOKEN_USER user; UCHAR room[64]; } user;
    ULONG length = 99;

    CHECK(ZwOpenThreadTokenEx(ZwCurrentThread(), TOKEN_QUERY, FALSE, OBJ_KERNEL_HANDLE, &token) == STATUS_NO_TOKEN);
    CHECK(ZwOpenProcessTokenEx(ZwCurrentProcess(), TOKEN_QUERY | TOKEN_DUPLICATE, OBJ_KERNEL_HANDLE, &token) == 0 && token);
    CHECK(ZwQueryInformationToken(token, TokenUser, NULL, 0, &length) == STATUS_BUFFER_TOO_SMALL && length == 16 + 12);
    CHECK(ZwQueryInformationToken(token, TokenUser, &user, sizeof user, &length) == 0 && length == 16 + 12);
    CHECK(RtlEqualSid(user.user.User.Sid, SeExports->SeLocalSystemSid));
    CHECK(ZwQueryInformationToken(token, TokenStatistics, &statistics, sizeof statistics, &length) == 0);
    CHECK(statistics.TokenType == TokenPrimary);
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    attributes.SecurityQualityOfService = &quality;
    CHECK(ZwDuplicateToken(token, 0, &attributes, FALSE, TokenImpersonation, &copy) == 0 && copy);
    CHECK(ZwQueryInformationToken(copy, TokenStatistics, &statistics, sizeof statistics, &length) == 0);
    CHECK(statistics.TokenType == TokenImpersonation && statistics.ImpersonationLevel == SecurityIdentification);
    CHECK(ZwClose(copy) == 0);
    CHECK(ZwDuplicateToken(token, 0, &attributes, FALSE, 7, &copy) == STATUS_INVALID_PARAMETER);
    CHECK(ZwClose(token) == 0);
}

/* The number of entries of an object's list, and the rights of the first. */
static ULONG Entries(HANDLE handle, ACCESS_MASK *first)
{
    static ULONG room[128];
    PACL list = NULL;
    PVOID entry = NULL;
    BOOLEAN present, defaulted;
    ULONG length;

    CHECK(ZwQuerySecurityObject(handle, DACL_SECURITY_INFORMATION, room, sizeof room, &length) == 0);
    CHECK(RtlGetDaclSecurityDescriptor(room, &present, &list, &defaulted) == 0 && present && list);
    CHECK(RtlGetAce(list, 0, &entry) == 0);
    *first = ((PACCESS_ALLOWED_ACE)entry)->Mask;
    return list->AceCount;
}

static VOID Defaults(VOID)
{
    UNICODE_STRING root = RTL_CONSTANT_STRING(L"\\"), types = RTL_CONSTANT_STRING(L"\\ObjectTypes");
    UNICODE_STRING registry = RTL_CONSTANT_STRING(L"\\REGISTRY");
    OBJECT_ATTRIBUTES attributes;
    static ULONG room[32];
    KPRIORITY priority = KeQueryPriorityThread(KeGetCurrentThread());
    ACCESS_MASK first = 0;
    BOOLEAN audited = 7;
    ULONG length = 0;
    HANDLE handle;

    InitializeObjectAttributes(&attributes, &root, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwOpenDirectoryObject(&handle, READ_CONTROL, &attributes) == 0);
    CHECK(Entries(handle, &first) == 4 && first == (STANDARD_RIGHTS_READ | DIRECTORY_QUERY | DIRECTORY_TRAVERSE));
    CHECK(ZwClose(handle) == 0);
    CHECK(ZwOpenDirectoryObject(&handle, READ_CONTROL | WRITE_OWNER, &attributes) == 0);
    CHECK(NtQuerySecurityObject(handle, OWNER_SECURITY_INFORMATION, room, sizeof room, &length) == 0 && length == 20 + 16);
    CHECK(NtSetSecurityObject(handle, OWNER_SECURITY_INFORMATION, room) == 0);
    CHECK(NtSetSecurityObject(handle, OWNER_SECURITY_INFORMATION, NULL) == STATUS_ACCESS_VIOLATION);
    CHECK(ObQueryObjectAuditingByHandle(handle, &audited) == 0 && !audited && ZwClose(handle) == 0);
    CHECK(ObQueryObjectAuditingByHandle((HANDLE)0x7ff0, &audited) == STATUS_INVALID_HANDLE);
    CHECK(NtSetInformationThread(ZwCurrentThread(), ThreadPriority, &priority, sizeof priority) == 0);
    CHECK(NtSetInformationThread(ZwCurrentThread(), ThreadPriority, &priority, 1) == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(!MmIsRecursiveIoFault() && (RtlGetEnabledExtendedFeatures(1) & ~1ULL) == 0);
    attributes.ObjectName = &types;
    CHECK(ZwOpenDirectoryObject(&handle, READ_CONTROL, &attributes) == 0);
    CHECK(Entries(handle, &first) == 2 && first == DIRECTORY_ALL_ACCESS);
    CHECK(ZwClose(handle) == 0);
    attributes.ObjectName = &registry;
    CHECK(ZwOpenKey(&handle, READ_CONTROL, &attributes) == 0);
    CHECK(Entries(handle, &first) == 4 && first == KEY_ALL_ACCESS);
    CHECK(ZwClose(handle) == 0);
}

static VOID NTAPI Unload(UNUSED PDRIVER_OBJECT driver)
{
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path);

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, UNUSED PUNICODE_STRING path)
{
    driver->DriverUnload = Unload;
    CASE(AccessStates);
    CASE(TokenHandles);
    CASE(Defaults);
    return CHECK_STATUS;
}
