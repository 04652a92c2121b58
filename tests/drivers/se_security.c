/*
 * SIDs, lists and descriptors, tokens, and the check of what a caller may do. The
 * device \Device\SeGuarded is for the system and administrators, \Device\SeOpen
 * for everyone.
 */
#include <ntifs.h>
#include "check.h"

NTSYSAPI NTSTATUS NTAPI ZwSetSecurityObject(HANDLE, SECURITY_INFORMATION, PSECURITY_DESCRIPTOR);
NTSYSAPI NTSTATUS NTAPI ZwQuerySecurityObject(HANDLE, SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, ULONG, PULONG);
NTSYSAPI NTSTATUS NTAPI RtlInitializeSid(PSID, PSID_IDENTIFIER_AUTHORITY, UCHAR);
NTSYSAPI NTSTATUS NTAPI RtlDeleteAce(PACL, ULONG);
NTSYSAPI NTSTATUS NTAPI SeCaptureSecurityDescriptor(PSECURITY_DESCRIPTOR, KPROCESSOR_MODE, POOL_TYPE, BOOLEAN, PSECURITY_DESCRIPTOR *);
NTSYSAPI VOID NTAPI SeReleaseSecurityDescriptor(PSECURITY_DESCRIPTOR, KPROCESSOR_MODE, BOOLEAN);

#define BUFFER(name, size) union { ULONGLONG align; UCHAR bytes[size]; } name

static PDEVICE_OBJECT Guarded, Open;

static VOID Sids(VOID)
{
    SID_IDENTIFIER_AUTHORITY authority = { { 0, 0, 0, 0, 0, 5 } };
    BUFFER(own, 68);
    BUFFER(copy, 68);
    PSID sid = own.bytes, other = copy.bytes;
    UNICODE_STRING text;
    WCHAR room[4];

    CHECK(RtlLengthRequiredSid(2) == 16 && RtlInitializeSid(sid, &authority, 16) == STATUS_INVALID_PARAMETER);
    CHECK(RtlInitializeSid(sid, &authority, 2) == 0);
    *RtlSubAuthoritySid(sid, 0) = 32;
    *RtlSubAuthoritySid(sid, 1) = 544;
    CHECK(RtlValidSid(sid) && RtlLengthSid(sid) == 16 && *RtlSubAuthorityCountSid(sid) == 2);
    CHECK(RtlCopySid(15, other, sid) == STATUS_BUFFER_TOO_SMALL && RtlCopySid(16, other, sid) == 0 && RtlEqualSid(sid, other));
    *RtlSubAuthoritySid(other, 1) = 545;
    CHECK(!RtlEqualSid(sid, other) && RtlEqualSid(sid, SeExports->SeAliasAdminsSid) && RtlEqualSid(other, SeExports->SeAliasUsersSid));
    CHECK(RtlConvertSidToUnicodeString(&text, sid, TRUE) == 0 && text.Length == 24 && text.MaximumLength == 26);
    CHECK(RtlCompareMemory(text.Buffer, L"S-1-5-32-544", 26) == 26);
    RtlFreeUnicodeString(&text);
    text.Buffer = room;
    text.MaximumLength = sizeof room;
    CHECK(RtlConvertSidToUnicodeString(&text, sid, FALSE) == STATUS_BUFFER_OVERFLOW);
    ((UCHAR *)sid)[0] = 2;
    CHECK(!RtlValidSid(sid) && RtlConvertSidToUnicodeString(&text, sid, FALSE) == STATUS_INVALID_SID);
    CHECK(SeExports->SeDebugPrivilege.LowPart == 20 && SeExports->SeCreateSymbolicLinkPrivilege.LowPart == 35);
}

static VOID Lists(VOID)
{
    BUFFER(room, 64);
    PACL acl = (PACL)room.bytes;
    PVOID entry = NULL;
    UCHAR copy[20];

    CHECK(RtlCreateAcl(acl, 7, ACL_REVISION) == STATUS_BUFFER_TOO_SMALL && RtlCreateAcl(acl, 64, 1) == STATUS_INVALID_PARAMETER);
    CHECK(RtlCreateAcl(acl, 51, ACL_REVISION) == 0 && acl->AclSize == 48 && acl->AceCount == 0 && acl->AclRevision == 2);
    CHECK(RtlAddAccessAllowedAce(acl, 9, 1, SeExports->SeWorldSid) == STATUS_REVISION_MISMATCH);
    CHECK(RtlAddAccessAllowedAce(acl, ACL_REVISION, 3, SeExports->SeWorldSid) == 0 && acl->AceCount == 1);
    CHECK(RtlAddAccessAllowedAceEx(acl, ACL_REVISION, 0x20, 3, SeExports->SeWorldSid) == STATUS_INVALID_PARAMETER);
    CHECK(RtlAddAccessAllowedAceEx(acl, ACL_REVISION, 2, 5, SeExports->SeLocalSystemSid) == 0 && acl->AceCount == 2);
    CHECK(RtlAddAccessAllowedAce(acl, ACL_REVISION, 3, SeExports->SeWorldSid) == STATUS_ALLOTTED_SPACE_EXCEEDED);
    CHECK(RtlGetAce(acl, 2, &entry) == STATUS_INVALID_PARAMETER && RtlGetAce(acl, 1, &entry) == 0);
    CHECK(entry == room.bytes + 28 && ((ACCESS_ALLOWED_ACE *)entry)->Mask == 5 && ((ACE_HEADER *)entry)->AceFlags == 2);
    RtlCopyMemory(copy, entry, 20);
    CHECK(RtlDeleteAce(acl, 2) == STATUS_INVALID_PARAMETER && RtlDeleteAce(acl, 0) == 0 && acl->AceCount == 1);
    CHECK(RtlGetAce(acl, 0, &entry) == 0 && RtlCompareMemory(entry, copy, 20) == 20);
    ((ACCESS_ALLOWED_ACE *)copy)->Mask = 7;
    CHECK(RtlAddAce(acl, ACL_REVISION, 0, copy, 20) == 0 && acl->AceCount == 2 && RtlGetAce(acl, 0, &entry) == 0);
    CHECK(((ACCESS_ALLOWED_ACE *)entry)->Mask == 7 && RtlAddAce(acl, ACL_REVISION, 0, copy, 20) == STATUS_BUFFER_TOO_SMALL);
}

static VOID Descriptors(VOID)
{
    SECURITY_DESCRIPTOR absolute;
    BUFFER(list, 64);
    BUFFER(flat, 128);
    PACL acl = (PACL)list.bytes, got = NULL;
    PSID owner = NULL;
    BOOLEAN present = 7, defaulted = 7;
    ULONG size = 0;
    PSECURITY_DESCRIPTOR captured;

    CHECK(RtlCreateSecurityDescriptor(&absolute, 2) == STATUS_UNKNOWN_REVISION);
    CHECK(RtlCreateSecurityDescriptor(&absolute, 1) == 0 && RtlLengthSecurityDescriptor(&absolute) == 0x28);
    CHECK(RtlValidSecurityDescriptor(&absolute) && absolute.Control == 0);
    CHECK(RtlGetDaclSecurityDescriptor(&absolute, &present, &got, &defaulted) == 0 && present == FALSE && defaulted == 7);
    RtlCreateAcl(acl, 64, ACL_REVISION);
    RtlAddAccessAllowedAce(acl, ACL_REVISION, GENERIC_ALL, SeExports->SeAliasAdminsSid);
    CHECK(RtlSetDaclSecurityDescriptor(&absolute, TRUE, acl, FALSE) == 0 && absolute.Control == SE_DACL_PRESENT);
    CHECK(RtlSetOwnerSecurityDescriptor(&absolute, SeExports->SeLocalSystemSid, TRUE) == 0);
    CHECK(absolute.Control == (SE_DACL_PRESENT | SE_OWNER_DEFAULTED));
    CHECK(RtlGetDaclSecurityDescriptor(&absolute, &present, &got, &defaulted) == 0 && present == TRUE && got == acl && !defaulted);
    CHECK(RtlLengthSecurityDescriptor(&absolute) == 0x28 + 64 + 12);
    CHECK(RtlAbsoluteToSelfRelativeSD(&absolute, flat.bytes, &size) == STATUS_BUFFER_TOO_SMALL && size == 0x14 + 64 + 12);
    CHECK(RtlAbsoluteToSelfRelativeSD(&absolute, flat.bytes, &size) == 0 && RtlValidSecurityDescriptor(flat.bytes));
    CHECK(((SECURITY_DESCRIPTOR *)flat.bytes)->Control == (SE_SELF_RELATIVE | SE_DACL_PRESENT | SE_OWNER_DEFAULTED));
    CHECK(RtlGetOwnerSecurityDescriptor(flat.bytes, &owner, &defaulted) == 0 && defaulted == TRUE);
    CHECK(owner > (PSID)flat.bytes && RtlEqualSid(owner, SeExports->SeLocalSystemSid));
    CHECK(RtlSetDaclSecurityDescriptor(flat.bytes, TRUE, acl, FALSE) == STATUS_INVALID_SECURITY_DESCR);
    CHECK(RtlAbsoluteToSelfRelativeSD(flat.bytes, flat.bytes, &size) == STATUS_BAD_DESCRIPTOR_FORMAT);
    CHECK(SeValidSecurityDescriptor(size, flat.bytes) && !SeValidSecurityDescriptor(size - 13, flat.bytes));
    CHECK(SeCaptureSecurityDescriptor(&absolute, KernelMode, PagedPool, TRUE, &captured) == 0 && captured != &absolute);
    CHECK(RtlLengthSecurityDescriptor(captured) == size);
    SeReleaseSecurityDescriptor(captured, KernelMode, TRUE);
}

static VOID Tokens(VOID)
{
    SECURITY_SUBJECT_CONTEXT context;
    GENERIC_MAPPING mapping = { 0x120089, 0x120116, 0x1200a0, 0x1f01ff };
    TOKEN_USER *user;
    TOKEN_GROUPS *groups;
    TOKEN_TYPE *type;
    PVOID buffer = NULL;
    ACCESS_MASK granted;
    NTSTATUS status;
    SECURITY_DESCRIPTOR descriptor;
    BUFFER(list, 64);
    ULONG n;
    PACCESS_TOKEN token;

    SeCaptureSubjectContext(&context);
    SeLockSubjectContext(&context);
    token = SeQuerySubjectContextToken(&context);
    CHECK(token != NULL && SeTokenIsAdmin(token) && SeTokenType(token) == TokenPrimary);
    CHECK(SeQueryInformationToken(token, TokenUser, (PVOID *)&user) == 0 && RtlEqualSid(user->User.Sid, SeExports->SeLocalSystemSid));
    ExFreePool(user);
    CHECK(SeQueryInformationToken(token, TokenGroups, (PVOID *)&groups) == 0 && groups->GroupCount >= 2);
    for (n = 0; n < groups->GroupCount; n++)
        CHECK(RtlValidSid(groups->Groups[n].Sid));
    ExFreePool(groups);
    CHECK(SeQueryInformationToken(token, TokenType, (PVOID *)&type) == 0 && *type == TokenPrimary);
    ExFreePool(type);
    CHECK(SeQueryInformationToken(token, TokenImpersonationLevel, &buffer) == STATUS_INVALID_INFO_CLASS && buffer == NULL);

    RtlCreateSecurityDescriptor(&descriptor, 1);
    RtlCreateAcl((PACL)list.bytes, 64, ACL_REVISION);
    RtlAddAccessAllowedAce((PACL)list.bytes, ACL_REVISION, GENERIC_READ, SeExports->SeAliasAdminsSid);
    RtlSetDaclSecurityDescriptor(&descriptor, TRUE, (PACL)list.bytes, FALSE);
    CHECK(SeAccessCheck(&descriptor, &context, TRUE, 1, 0, NULL, &mapping, UserMode, &granted, &status) && granted == 1 && status == 0);
    CHECK(!SeAccessCheck(&descriptor, &context, TRUE, 3, 0, NULL, &mapping, UserMode, &granted, &status));
    CHECK(granted == 0 && status == STATUS_ACCESS_DENIED);
    CHECK(SeAccessCheck(&descriptor, &context, TRUE, MAXIMUM_ALLOWED, 0, NULL, &mapping, UserMode, &granted, &status) && granted == 0x120089);
    CHECK(SeAccessCheck(&descriptor, &context, TRUE, 3, 0, NULL, &mapping, KernelMode, &granted, &status) && granted == 3);
    CHECK(!SeAccessCheck(NULL, &context, TRUE, 1, 0, NULL, &mapping, UserMode, &granted, &status) && status == STATUS_ACCESS_DENIED);
    CHECK(SeSinglePrivilegeCheck(SeExports->SeDebugPrivilege, UserMode));
    SeUnlockSubjectContext(&context);
    SeReleaseSubjectContext(&context);
}

static VOID Devices(VOID)
{
    SECURITY_DESCRIPTOR descriptor;
    BUFFER(list, 64);
    BUFFER(got, 128);
    HANDLE handle;
    ULONG size = 0;

    RtlCreateSecurityDescriptor(&descriptor, 1);
    RtlCreateAcl((PACL)list.bytes, 64, ACL_REVISION);
    RtlAddAccessAllowedAce((PACL)list.bytes, ACL_REVISION, GENERIC_ALL, SeExports->SeLocalSystemSid);
    RtlAddAccessAllowedAce((PACL)list.bytes, ACL_REVISION, GENERIC_ALL, SeExports->SeAliasAdminsSid);
    RtlSetDaclSecurityDescriptor(&descriptor, TRUE, (PACL)list.bytes, FALSE);
    CHECK(ObOpenObjectByPointer(Guarded, OBJ_KERNEL_HANDLE, NULL, WRITE_DAC, NULL, KernelMode, &handle) == 0);
    CHECK(ZwSetSecurityObject(handle, DACL_SECURITY_INFORMATION, &descriptor) == 0);
    CHECK(ZwQuerySecurityObject(handle, DACL_SECURITY_INFORMATION, got.bytes, 0, &size) == STATUS_BUFFER_TOO_SMALL && size == 0x14 + 64);
    CHECK(ZwQuerySecurityObject(handle, DACL_SECURITY_INFORMATION, got.bytes, sizeof got, &size) == 0);
    CHECK(RtlCompareMemory(got.bytes + 0x14, list.bytes, 64) == 64);
    ZwClose(handle);
}

static NTSTATUS NTAPI Complete(UNUSED PDEVICE_OBJECT device, PIRP irp)
{
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static VOID NTAPI Unload(UNUSED PDRIVER_OBJECT driver)
{
    IoDeleteDevice(Guarded);
    IoDeleteDevice(Open);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path);
NTSYSAPI NTSTATUS NTAPI ZwCreateEvent(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES, EVENT_TYPE, BOOLEAN);
NTSYSAPI NTSTATUS NTAPI ZwOpenEvent(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES);

/* A new object has the descriptor that its maker gives it. */
static VOID Given(VOID)
{
    SECURITY_DESCRIPTOR descriptor;
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING name;
    HANDLE event;
    BUFFER(found, 128);
    ULONG length;
    PSID owner;
    BOOLEAN defaulted;

    RtlInitUnicodeString(&name, L"\\BaseNamedObjects\\SeGiven");
    RtlCreateSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION);
    RtlSetOwnerSecurityDescriptor(&descriptor, SeExports->SeWorldSid, FALSE);
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE, NULL, &descriptor);
    CHECK(ZwCreateEvent(&event, EVENT_ALL_ACCESS, &attributes, NotificationEvent, FALSE) == 0);
    CHECK(ZwQuerySecurityObject(event, OWNER_SECURITY_INFORMATION, found.bytes, 128, &length) == 0);
    CHECK(RtlGetOwnerSecurityDescriptor(found.bytes, &owner, &defaulted) == 0 && RtlEqualSid(owner, SeExports->SeWorldSid));
    CHECK(ZwClose(event) == 0);
    descriptor.Revision = 2;
    CHECK(ZwCreateEvent(&event, EVENT_ALL_ACCESS, &attributes, NotificationEvent, FALSE) == STATUS_INVALID_SECURITY_DESCR);
    CHECK(ZwOpenEvent(&event, EVENT_ALL_ACCESS, &attributes) == STATUS_OBJECT_NAME_NOT_FOUND);
}

#ifndef SEF_DEFAULT_OWNER_FROM_PARENT
#define SEF_DEFAULT_OWNER_FROM_PARENT 0x20
#define SEF_DEFAULT_GROUP_FROM_PARENT 0x40
#endif
#ifndef DISABLE_MAX_PRIVILEGE
#define DISABLE_MAX_PRIVILEGE 1
#endif
#ifndef SE_GROUP_ENABLED
#define SE_GROUP_ENABLED 4
#endif
NTSYSAPI NTSTATUS NTAPI SeAssignSecurityEx(PSECURITY_DESCRIPTOR, PSECURITY_DESCRIPTOR, PSECURITY_DESCRIPTOR *, GUID *, BOOLEAN, ULONG, PSECURITY_SUBJECT_CONTEXT, PGENERIC_MAPPING, POOL_TYPE);

static GENERIC_MAPPING Mapping = { 0x20001, 0x20002, 0x20004, 0x1f000f };

/* The one entry of the list that a new object gets; NULL if there are more or none. */
static ACCESS_ALLOWED_ACE *Only(PSECURITY_DESCRIPTOR descriptor)
{
    BOOLEAN present = FALSE, defaulted = TRUE;
    PACL list = NULL;
    PVOID entry = NULL;

    if (RtlGetDaclSecurityDescriptor(descriptor, &present, &list, &defaulted) || !present || defaulted || !list || list->AceCount != 1)
        return NULL;
    return RtlGetAce(list, 0, &entry) ? NULL : entry;
}

/* Descriptors of new objects: asked for, passed on, or by default. */
static VOID Assigned(VOID)
{
    SECURITY_DESCRIPTOR parent, asked;
    SECURITY_SUBJECT_CONTEXT subject;
    PSECURITY_DESCRIPTOR new = NULL;
    BUFFER(inherited, 64);
    BUFFER(own, 64);
    ACCESS_ALLOWED_ACE *entry;
    BOOLEAN defaulted, present;
    PACL list = NULL;
    PSID sid = NULL;

    SeCaptureSubjectContext(&subject);
    RtlCreateSecurityDescriptor(&parent, SECURITY_DESCRIPTOR_REVISION);
    RtlCreateSecurityDescriptor(&asked, SECURITY_DESCRIPTOR_REVISION);
    CHECK(SeAssignSecurity(NULL, NULL, &new, FALSE, &subject, &Mapping, PagedPool) == 0);
    CHECK(RtlGetOwnerSecurityDescriptor(new, &sid, &defaulted) == 0 && !defaulted && RtlEqualSid(sid, SeExports->SeAliasAdminsSid));
    CHECK(RtlGetGroupSecurityDescriptor(new, &sid, &defaulted) == 0 && !defaulted && RtlEqualSid(sid, SeExports->SeLocalSystemSid));
    CHECK(RtlGetDaclSecurityDescriptor(new, &present, &list, &defaulted) == 0 && present && list && list->AceCount == 2);
    CHECK(SeDeassignSecurity(&new) == 0 && new == NULL);

    RtlCreateAcl((PACL)inherited.bytes, 64, ACL_REVISION);
    RtlAddAccessAllowedAceEx((PACL)inherited.bytes, ACL_REVISION, CONTAINER_INHERIT_ACE | NO_PROPAGATE_INHERIT_ACE, GENERIC_READ, SeExports->SeCreatorOwnerSid);
    RtlSetDaclSecurityDescriptor(&parent, TRUE, (PACL)inherited.bytes, FALSE);
    RtlCreateAcl((PACL)own.bytes, 64, ACL_REVISION);
    RtlAddAccessAllowedAce((PACL)own.bytes, ACL_REVISION, GENERIC_EXECUTE, SeExports->SeWorldSid);
    RtlSetDaclSecurityDescriptor(&asked, TRUE, (PACL)own.bytes, FALSE);
    /* What is asked for wins, with rights that mean something here. */
    CHECK(SeAssignSecurity(&parent, &asked, &new, TRUE, &subject, &Mapping, PagedPool) == 0);
    entry = Only(new);
    CHECK(entry && entry->Mask == Mapping.GenericExecute && RtlEqualSid(&entry->SidStart, SeExports->SeWorldSid));
    SeDeassignSecurity(&new);
    /* A default gives way, if something is passed on, which is to containers only. */
    RtlSetDaclSecurityDescriptor(&asked, TRUE, (PACL)own.bytes, TRUE);
    CHECK(SeAssignSecurity(&parent, &asked, &new, TRUE, &subject, &Mapping, PagedPool) == 0);
    entry = Only(new);
    CHECK(entry && entry->Header.AceFlags == 0 && entry->Mask == Mapping.GenericRead && RtlEqualSid(&entry->SidStart, SeExports->SeAliasAdminsSid));
    SeDeassignSecurity(&new);
    CHECK(SeAssignSecurity(&parent, &asked, &new, FALSE, &subject, &Mapping, PagedPool) == 0);
    entry = Only(new);
    CHECK(entry && RtlEqualSid(&entry->SidStart, SeExports->SeWorldSid));
    SeDeassignSecurity(&new);

    new = (PVOID)&new;
    CHECK(SeAssignSecurityEx(NULL, NULL, &new, NULL, FALSE, SEF_DEFAULT_OWNER_FROM_PARENT, &subject, &Mapping, PagedPool) == STATUS_INVALID_OWNER && !new);
    CHECK(SeAssignSecurityEx(NULL, NULL, &new, NULL, FALSE, SEF_DEFAULT_GROUP_FROM_PARENT, &subject, &Mapping, PagedPool) == STATUS_INVALID_PRIMARY_GROUP);
    CHECK(SeAssignSecurity(NULL, NULL, &new, FALSE, NULL, &Mapping, PagedPool) == STATUS_NO_TOKEN);
    SeReleaseSubjectContext(&subject);
}

/* A token that may do less than the one it was made of. */
static VOID Filtered(VOID)
{
    PACCESS_TOKEN token = PsReferencePrimaryToken(PsGetCurrentProcess()), less = NULL;
    TOKEN_PRIVILEGES delete = { 1, { { SeExports->SeDebugPrivilege, 0 } } };
    TOKEN_GROUPS groups = { 1, { { SeExports->SeDialupSid, SE_GROUP_ENABLED } } };
    PTOKEN_PRIVILEGES found = NULL;
    ULONG n;

    CHECK(SeFilterToken(token, 0, NULL, &delete, NULL, &less) == 0 && less && less != token);
    CHECK(SeQueryInformationToken(less, TokenPrivileges, (PVOID *)&found) == 0);
    for (n = 0; found && n < found->PrivilegeCount; n++)
        CHECK(found->Privileges[n].Luid.LowPart != SeExports->SeDebugPrivilege.LowPart);
    ExFreePool(found);
    CHECK(SeTokenType(less) == TokenPrimary && !SeTokenIsRestricted(less) && SeTokenIsAdmin(less));
    ObDereferenceObject(less);
    CHECK(SeFilterToken(token, 0, NULL, NULL, &groups, &less) == STATUS_INVALID_PARAMETER);
    groups.Groups[0].Attributes = 0;
    CHECK(SeFilterToken(token, 0, NULL, NULL, &groups, &less) == 0 && SeTokenIsRestricted(less));
    ObDereferenceObject(less);
    groups.Groups[0].Sid = SeExports->SeAliasAdminsSid;
    CHECK(SeFilterToken(token, DISABLE_MAX_PRIVILEGE, &groups, NULL, NULL, &less) == 0 && !SeTokenIsAdmin(less));
    ObDereferenceObject(less);
    PsDereferencePrimaryToken(token);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, UNUSED PUNICODE_STRING path)
{
    UNICODE_STRING guarded = RTL_CONSTANT_STRING(L"\\Device\\SeGuarded");
    UNICODE_STRING open = RTL_CONSTANT_STRING(L"\\Device\\SeOpen");

    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = driver->MajorFunction[IRP_MJ_CLEANUP] = driver->MajorFunction[IRP_MJ_CLOSE] = Complete;
    IoCreateDevice(driver, 0, &guarded, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN, FALSE, &Guarded);
    IoCreateDevice(driver, 0, &open, FILE_DEVICE_UNKNOWN, 0, FALSE, &Open);
    CASE(Sids);
    CASE(Lists);
    CASE(Descriptors);
    CASE(Tokens);
    CASE(Devices);
    CASE(Given);
    CASE(Assigned);
    CASE(Filtered);
    return CHECK_STATUS;
}
