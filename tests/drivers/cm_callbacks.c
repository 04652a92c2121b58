/*
 * Filters of the registry: what they hear of and in which order, what they see,
 * refuse, do themselves and change, and what they remember of keys.
 */
#include <ntifs.h>
#include "cm_filter.h"

static VOID Registering(VOID)
{
    struct FILTER one = {0}, other = {0};
    ULONG major = 9, minor = 9;
    LARGE_INTEGER nobody;

    CmGetCallbackVersion(&major, &minor);
    CHECK(major == 1 && minor == 1);
    CmGetCallbackVersion(NULL, NULL);
    CHECK(Register(&one, L"380010") == STATUS_SUCCESS && one.Cookie.QuadPart != 0);
    CHECK(Register(&other, L"380010") == STATUS_FLT_INSTANCE_ALTITUDE_COLLISION);
    CHECK(Register(&other, L"380010.5") == STATUS_SUCCESS && other.Cookie.QuadPart != one.Cookie.QuadPart);
    CHECK(CmUnRegisterCallback(one.Cookie) == STATUS_SUCCESS);
    CHECK(CmUnRegisterCallback(one.Cookie) == STATUS_INVALID_PARAMETER);
    CHECK(Register(&one, L"380010") == STATUS_SUCCESS);
    CHECK(CmUnRegisterCallback(one.Cookie) == STATUS_SUCCESS && CmUnRegisterCallback(other.Cookie) == STATUS_SUCCESS);
    nobody.QuadPart = 0;
    CHECK(CmUnRegisterCallback(nobody) == STATUS_INVALID_PARAMETER);
    CHECK(CmRegisterCallback(Callback, &one, &one.Cookie) == STATUS_SUCCESS);
    CHECK(CmRegisterCallback(Callback, &other, &other.Cookie) == STATUS_SUCCESS);
    CHECK(SetNumber(Top, L"Seen", 1) == STATUS_SUCCESS && one.Before == 1 && other.After == 1);
    CHECK(CmUnRegisterCallback(one.Cookie) == STATUS_SUCCESS && CmUnRegisterCallback(other.Cookie) == STATUS_SUCCESS);
    CHECK(SetNumber(Top, L"Seen", 2) == STATUS_SUCCESS && one.Before == 1 && other.Before == 1);
}

/* Looks at the structures of one operation after the other. */
static NTSTATUS See(struct FILTER *filter, REG_NOTIFY_CLASS class, PVOID information)
{
    PREG_POST_OPERATION_INFORMATION post = information;
    PREG_CREATE_KEY_INFORMATION_V1 create = information;
    PREG_SET_VALUE_KEY_INFORMATION set = information;
    PREG_QUERY_VALUE_KEY_INFORMATION query = information;
    PREG_ENUMERATE_VALUE_KEY_INFORMATION values = information;
    PREG_ENUMERATE_KEY_INFORMATION keys = information;
    PREG_RENAME_KEY_INFORMATION rename = information;

    switch (class) {
    case RegNtPreCreateKeyEx:
        Note('c');
        CHECK(Is(create->CompleteName, L"Sight") && Is(create->RemainingName, L"Sight") && create->RootObject != NULL);
        CHECK(create->ObjectType == TYPE_OF(CmKeyObjectType) && create->Options == REG_OPTION_VOLATILE && create->Class == NULL);
        CHECK(create->DesiredAccess == KEY_ALL_ACCESS && create->SecurityDescriptor == NULL && create->Transaction == NULL);
        CHECK(create->Version == 1 && create->Attributes == (OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE));
        CHECK(create->CheckAccessMode == KernelMode && create->Wow64Flags == 0 && create->RootObjectContext == NULL);
        CHECK(create->CallContext == NULL && create->ResultObject != NULL && create->Disposition != NULL);
        create->CallContext = filter;
        break;
    case RegNtPostCreateKeyEx:
        Note('C');
        create = post->PreInformation;
        CHECK(post->Status == STATUS_SUCCESS && post->CallContext == filter && create->CallContext == filter);
        CHECK(post->Object != NULL && *create->ResultObject == post->Object && create->GrantedAccess == KEY_ALL_ACCESS);
        CHECK(*create->Disposition == REG_CREATED_NEW_KEY && Is(create->CompleteName, L"Sight"));
        filter->Context = post->Object;
        break;
    case RegNtPreSetValueKey:
        Note('s');
        CHECK(set->Object == filter->Context && Is(set->ValueName, L"Number") && set->TitleIndex == 7);
        CHECK(set->Type == REG_DWORD && set->DataSize == 4 && *(PULONG)set->Data == 5 && set->ObjectContext == NULL);
        break;
    case RegNtPostSetValueKey:
        Note('S');
        set = post->PreInformation;
        CHECK(post->Object == filter->Context && post->Status == STATUS_SUCCESS && *(PULONG)set->Data == 5);
        break;
    case RegNtPreQueryValueKey:
        Note('q');
        CHECK(query->Object == filter->Context && Is(query->ValueName, L"None"));
        CHECK(query->KeyValueInformationClass == KeyValuePartialInformation && query->Length == 40);
        break;
    case RegNtPostQueryValueKey:
        Note('Q');
        CHECK(post->Status == STATUS_OBJECT_NAME_NOT_FOUND);
        break;
    case RegNtPreEnumerateValueKey:
        Note('v');
        CHECK(values->Index == 0 && values->KeyValueInformationClass == KeyValuePartialInformation && values->Length == 40);
        break;
    case RegNtPostEnumerateValueKey:
        Note('V');
        values = post->PreInformation;
        CHECK(post->Status == STATUS_SUCCESS && *values->ResultLength == 16);
        /* What the caller gets can be changed. */
        *(PULONG)((PKEY_VALUE_PARTIAL_INFORMATION)values->KeyValueInformation)->Data = 6;
        break;
    case RegNtPreEnumerateKey:
        Note('e');
        CHECK(keys->Index == 3 && keys->KeyInformationClass == KeyBasicInformation && keys->Length == 40);
        break;
    case RegNtPostEnumerateKey:
        Note('E');
        CHECK(post->Status == STATUS_NO_MORE_ENTRIES);
        break;
    case RegNtPreRenameKey:
        Note('r');
        CHECK(Is(rename->NewName, L"Renamed"));
        break;
    case RegNtPostRenameKey: Note('R'); break;
    case RegNtPreFlushKey: Note('f'); break;
    case RegNtPostFlushKey: Note('F'); break;
    case RegNtPreDeleteValueKey: Note('x'); break;
    case RegNtPostDeleteValueKey: Note('X'); break;
    case RegNtPreDeleteKey: Note('d'); break;
    case RegNtPostDeleteKey: Note('D'); break;
    case RegNtPreQueryKey: Note('k'); break;
    case RegNtPostQueryKey: Note('K'); break;
    case RegNtPreKeyHandleClose: Note('h'); break;
    case RegNtPostKeyHandleClose: Note('H'); break;
    default: Note('?'); break;
    }
    return STATUS_SUCCESS;
}

static VOID Structures(VOID)
{
    struct FILTER filter = {.Handler = See};
    UNICODE_STRING none = RTL_CONSTANT_STRING(L"None"), number = RTL_CONSTANT_STRING(L"Number");
    UNICODE_STRING renamed = RTL_CONSTANT_STRING(L"Renamed");
    ULONG disposition = 0, length;
    union {
        KEY_VALUE_PARTIAL_INFORMATION Value;
        UCHAR Bytes[40];
    } buffer;
    HANDLE key;

    TraceReset();
    CHECK(Register(&filter, L"380010") == STATUS_SUCCESS);
    CHECK(CreateKey(L"Sight", &key, &disposition) == STATUS_SUCCESS && disposition == REG_CREATED_NEW_KEY);
    CHECK(SetNumber(key, L"Number", 5) == STATUS_SUCCESS);
    CHECK(ZwQueryValueKey(key, &none, KeyValuePartialInformation, &buffer, 40, &length) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(ZwEnumerateValueKey(key, 0, KeyValuePartialInformation, &buffer, 40, &length) == STATUS_SUCCESS);
    CHECK(*(PULONG)buffer.Value.Data == 6);
    CHECK(ZwEnumerateKey(key, 3, KeyBasicInformation, &buffer, 40, &length) == STATUS_NO_MORE_ENTRIES);
    CHECK(ZwQueryKey(key, KeyBasicInformation, &buffer, 40, &length) == STATUS_SUCCESS);
    CHECK(ZwRenameKey(key, &renamed) == STATUS_SUCCESS && ZwFlushKey(key) == STATUS_SUCCESS);
    CHECK(ZwDeleteValueKey(key, &number) == STATUS_SUCCESS && ZwDeleteKey(key) == STATUS_SUCCESS);
    CHECK(ZwClose(key) == STATUS_SUCCESS);
    CHECK_TRACE("cCsSqQvVeEkKrRfFxXdDhH");
    CHECK(CmUnRegisterCallback(filter.Cookie) == STATUS_SUCCESS);
}

static NTSTATUS Refuse(struct FILTER *filter, REG_NOTIFY_CLASS class, PVOID information)
{
    UNREFERENCED_PARAMETER(filter);
    if (class == RegNtPreCreateKeyEx && Is(((PREG_CREATE_KEY_INFORMATION)information)->CompleteName, L"Blocked"))
        return STATUS_ACCESS_DENIED;
    if (class == RegNtPreSetValueKey && Is(((PREG_SET_VALUE_KEY_INFORMATION)information)->ValueName, L"Blocked"))
        return STATUS_ACCESS_DENIED;
    return STATUS_SUCCESS;
}

static NTSTATUS SeeRefused(struct FILTER *filter, REG_NOTIFY_CLASS class, PVOID information)
{
    PREG_POST_OPERATION_INFORMATION post = information;

    if (class == RegNtPostCreateKeyEx) {
        filter->Context = post->Object;
        CHECK(post->Status == STATUS_ACCESS_DENIED && post->Object == NULL);
    }
    return STATUS_SUCCESS;
}

static VOID Blocking(VOID)
{
    struct FILTER high = {.Handler = SeeRefused}, middle = {.Handler = Refuse}, low = {0};
    HANDLE key = NULL;

    CHECK(Register(&middle, L"380010") == STATUS_SUCCESS && Register(&low, L"380000") == STATUS_SUCCESS);
    CHECK(Register(&high, L"380020") == STATUS_SUCCESS);
    CHECK(CreateKey(L"Blocked", &key, NULL) == STATUS_ACCESS_DENIED && key == NULL);
    CHECK(high.Before == 1 && high.After == 1 && middle.Before == 1 && middle.After == 0 && low.Before == 0 && low.After == 0);
    CHECK(SetNumber(Top, L"Blocked", 1) == STATUS_ACCESS_DENIED && SetNumber(Top, L"Other", 1) == STATUS_SUCCESS);
    CHECK(CmUnRegisterCallback(high.Cookie) == STATUS_SUCCESS && CmUnRegisterCallback(middle.Cookie) == STATUS_SUCCESS);
    CHECK(CmUnRegisterCallback(low.Cookie) == STATUS_SUCCESS);
    CHECK(ZwOpenKey(&key, KEY_READ, Below(Top, L"Blocked")) == STATUS_OBJECT_NAME_NOT_FOUND);
}

/* Makes, or opens, another key than was asked for, and gives its object. */
static PVOID Another(PVOID root, PCWSTR name, BOOLEAN make)
{
    HANDLE above, key;
    PVOID object = NULL;
    NTSTATUS status;

    CHECK(ObOpenObjectByPointer(root, OBJ_KERNEL_HANDLE, NULL, KEY_ALL_ACCESS, TYPE_OF(CmKeyObjectType), KernelMode, &above) == 0);
    status = make ? ZwCreateKey(&key, KEY_ALL_ACCESS, Below(above, name), 0, NULL, REG_OPTION_VOLATILE, NULL)
                  : ZwOpenKey(&key, KEY_ALL_ACCESS, Below(above, name));
    CHECK(NT_SUCCESS(status));
    CHECK(ObReferenceObjectByHandle(key, KEY_ALL_ACCESS, TYPE_OF(CmKeyObjectType), KernelMode, &object, NULL) == 0);
    ZwClose(key);
    ZwClose(above);
    return object;
}

static NTSTATUS Redirect(struct FILTER *filter, REG_NOTIFY_CLASS class, PVOID information)
{
    PREG_POST_OPERATION_INFORMATION post = information;
    PREG_CREATE_KEY_INFORMATION create = information;

    UNREFERENCED_PARAMETER(filter);
    switch (class) {
    case RegNtPreCreateKeyEx:
        if (!Is(create->CompleteName, L"Asked"))
            break;
        *create->ResultObject = Another(create->RootObject, L"Given", TRUE);
        *create->Disposition = REG_OPENED_EXISTING_KEY;
        create->GrantedAccess = create->DesiredAccess;
        return STATUS_CALLBACK_BYPASS;
    case RegNtPreSetValueKey:
        if (Is(((PREG_SET_VALUE_KEY_INFORMATION)information)->ValueName, L"Swallowed"))
            return STATUS_CALLBACK_BYPASS;
        break;
    case RegNtPostOpenKeyEx:
        create = post->PreInformation;
        if (!Is(create->CompleteName, L"Missing"))
            break;
        CHECK(post->Status == STATUS_OBJECT_NAME_NOT_FOUND && post->Object == NULL);
        post->Object = *create->ResultObject = Another(create->RootObject, L"Given", FALSE);
        create->GrantedAccess = create->DesiredAccess;
        post->ReturnStatus = STATUS_SUCCESS;
        return STATUS_CALLBACK_BYPASS;
    case RegNtPostCreateKeyEx:
        create = post->PreInformation;
        if (!Is(create->CompleteName, L"Taken"))
            break;
        CHECK(post->Status == STATUS_SUCCESS);
        ObDereferenceObject(post->Object);
        post->Object = *create->ResultObject = NULL;
        post->ReturnStatus = STATUS_CANNOT_DELETE;
        return STATUS_CALLBACK_BYPASS;
    case RegNtPostDeleteValueKey:
        post->ReturnStatus = STATUS_SUCCESS;
        return STATUS_CALLBACK_BYPASS;
    case RegNtPostFlushKey:
        /* Only one status counts afterwards. */
        post->ReturnStatus = STATUS_CANNOT_DELETE;
        return STATUS_ACCESS_DENIED;
    default:
        break;
    }
    return STATUS_SUCCESS;
}

static VOID Changing(VOID)
{
    struct FILTER filter = {.Handler = Redirect};
    UNICODE_STRING name;
    ULONG disposition = 0, length;
    UCHAR buffer[40];
    HANDLE key = NULL, other;

    CHECK(Register(&filter, L"380010") == STATUS_SUCCESS);
    CHECK(CreateKey(L"Asked", &key, &disposition) == STATUS_SUCCESS && disposition == REG_OPENED_EXISTING_KEY);
    CHECK(SetNumber(key, L"Mark", 1) == STATUS_SUCCESS && SetNumber(key, L"Swallowed", 1) == STATUS_SUCCESS);
    CHECK(ZwClose(key) == STATUS_SUCCESS);
    CHECK(ZwOpenKey(&key, KEY_ALL_ACCESS, Below(Top, L"Missing")) == STATUS_SUCCESS);
    RtlInitUnicodeString(&name, L"Mark");
    CHECK(ZwQueryValueKey(key, &name, KeyValuePartialInformation, buffer, 40, &length) == STATUS_SUCCESS);
    RtlInitUnicodeString(&name, L"Swallowed");
    CHECK(ZwQueryValueKey(key, &name, KeyValuePartialInformation, buffer, 40, &length) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(ZwDeleteValueKey(key, &name) == STATUS_SUCCESS && ZwFlushKey(key) == STATUS_SUCCESS);
    other = NULL;
    CHECK(CreateKey(L"Taken", &other, NULL) == STATUS_CANNOT_DELETE && other == NULL);
    CHECK(CmUnRegisterCallback(filter.Cookie) == STATUS_SUCCESS);
    CHECK(ZwOpenKey(&other, KEY_READ, Below(Top, L"Asked")) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(ZwOpenKey(&other, KEY_ALL_ACCESS, Below(Top, L"Taken")) == STATUS_SUCCESS);
    CHECK(ZwDeleteKey(other) == STATUS_SUCCESS && ZwClose(other) == STATUS_SUCCESS);
    CHECK(ZwDeleteKey(key) == STATUS_SUCCESS && ZwClose(key) == STATUS_SUCCESS);
}

static NTSTATUS Reenter(struct FILTER *filter, REG_NOTIFY_CLASS class, PVOID information)
{
    HANDLE key;

    UNREFERENCED_PARAMETER(filter);
    UNREFERENCED_PARAMETER(information);
    if (class == RegNtPreSetValueKey || class == RegNtPostSetValueKey) {
        CHECK(ZwOpenKey(&key, KEY_READ, Below(Top, L"")) == STATUS_SUCCESS);
        CHECK(ZwClose(key) == STATUS_SUCCESS);
    }
    return STATUS_SUCCESS;
}

static VOID Recursion(VOID)
{
    struct FILTER high = {0}, middle = {.Handler = Reenter}, low = {0};

    CHECK(Register(&low, L"380000") == STATUS_SUCCESS && Register(&middle, L"380010") == STATUS_SUCCESS);
    CHECK(Register(&high, L"380020") == STATUS_SUCCESS);
    CHECK(SetNumber(Top, L"Other", 3) == STATUS_SUCCESS);
    CHECK(CmUnRegisterCallback(low.Cookie) == STATUS_SUCCESS && CmUnRegisterCallback(middle.Cookie) == STATUS_SUCCESS);
    CHECK(CmUnRegisterCallback(high.Cookie) == STATUS_SUCCESS);
    CHECK(high.Before == 1 && high.After == 1 && middle.Before == 1 && middle.After == 1);
    CHECK(low.Before == 5 && low.After == 5);
}

static NTSTATUS Remember(struct FILTER *filter, REG_NOTIFY_CLASS class, PVOID information)
{
    PREG_POST_OPERATION_INFORMATION post = information;
    PREG_CALLBACK_CONTEXT_CLEANUP_INFORMATION cleanup = information;
    PREG_CREATE_KEY_INFORMATION open = information;
    PCUNICODE_STRING name = NULL, own = NULL;
    ULONG_PTR id = 0, again = 0;
    PVOID old = &old;

    switch (class) {
    case RegNtPostOpenKeyEx:
        CHECK(CmSetCallbackObjectContext(post->Object, &filter->Cookie, filter, &old) == STATUS_SUCCESS && old == NULL);
        CHECK(CmSetCallbackObjectContext(filter, &filter->Cookie, filter, &old) == STATUS_INVALID_PARAMETER);
        CHECK(CmCallbackGetKeyObjectID(&filter->Cookie, post->Object, &id, &name) == STATUS_SUCCESS && id != 0);
        CHECK(CmCallbackGetKeyObjectIDEx(&filter->Cookie, post->Object, &again, &own, 0) == STATUS_SUCCESS);
        CHECK(again == id && RtlEqualUnicodeString(name, own, FALSE) && name->Buffer[0] == L'\\');
        CmCallbackReleaseKeyObjectIDEx(own);
        CHECK(CmCallbackGetKeyObjectID(&filter->Cookie, filter, &id, &name) == STATUS_INVALID_PARAMETER);
        CHECK(CmGetBoundTransaction(&filter->Cookie, post->Object) == NULL);
        break;
    case RegNtPreSetValueKey:
        Note(((PREG_SET_VALUE_KEY_INFORMATION)information)->ObjectContext == filter ? 'y' : 'n');
        break;
    case RegNtPostSetValueKey:
        Note(post->ObjectContext == filter ? 'Y' : 'N');
        break;
    case RegNtPreCreateKeyEx:
        Note(open->RootObjectContext == filter ? 'r' : 'o');
        break;
    case RegNtPreKeyHandleClose:
        Note(((PREG_KEY_HANDLE_CLOSE_INFORMATION)information)->ObjectContext == filter ? 'h' : 'g');
        break;
    case RegNtPostKeyHandleClose:
        Note('H');
        break;
    case RegNtCallbackObjectContextCleanup:
        Note('*');
        CHECK(cleanup->ObjectContext == filter && cleanup->Object != NULL);
        break;
    default:
        break;
    }
    return STATUS_SUCCESS;
}

static VOID Contexts(VOID)
{
    struct FILTER filter = {.Handler = Remember};
    HANDLE one, other, inner;

    TraceReset();
    CHECK(Register(&filter, L"380010") == STATUS_SUCCESS);
    CHECK(ZwOpenKey(&one, KEY_ALL_ACCESS, Below(Top, L"")) == STATUS_SUCCESS);
    CHECK(ZwOpenKey(&other, KEY_ALL_ACCESS, Below(Top, L"")) == STATUS_SUCCESS);
    CHECK(SetNumber(one, L"Other", 1) == STATUS_SUCCESS && SetNumber(Top, L"Other", 2) == STATUS_SUCCESS);
    CHECK(ZwCreateKey(&inner, KEY_ALL_ACCESS, Below(one, L"Inner"), 0, NULL, REG_OPTION_VOLATILE, NULL) == STATUS_SUCCESS);
    CHECK(ZwDeleteKey(inner) == STATUS_SUCCESS && ZwClose(inner) == STATUS_SUCCESS);
    CHECK(ZwClose(one) == STATUS_SUCCESS && filter.Cleaned == 1);
    CHECK(CmUnRegisterCallback(filter.Cookie) == STATUS_SUCCESS && filter.Cleaned == 2);
    CHECK(ZwClose(other) == STATUS_SUCCESS && filter.Cleaned == 2);
    CHECK_TRACE("yYnNrgHh*H*");
}

/* Follows names from the root, and through a link. */
static NTSTATUS SeeNames(struct FILTER *filter, REG_NOTIFY_CLASS class, PVOID information)
{
    PREG_POST_OPERATION_INFORMATION post = information;
    PREG_OPEN_KEY_INFORMATION_V1 open = information;

    if (class == RegNtPreOpenKeyEx && filter->Before == 1) {
        CHECK(Is(open->CompleteName, L"\\Registry\\Machine\\System\\CurrentControlSet\\Services"));
        CHECK(Is(open->RemainingName, L"Machine\\System\\CurrentControlSet\\Services"));
    } else if (class == RegNtPreOpenKeyEx) {
        CHECK(Is(open->CompleteName, L"\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services"));
    } else if (class == RegNtPostOpenKeyEx) {
        CHECK(post->Status == (filter->After == 1 ? STATUS_REPARSE : STATUS_SUCCESS));
    }
    return STATUS_SUCCESS;
}

static VOID Names(VOID)
{
    struct FILTER filter = {.Handler = SeeNames};
    HANDLE key;

    CHECK(Register(&filter, L"380010") == STATUS_SUCCESS);
    CHECK(ZwOpenKey(&key, KEY_READ, Below(NULL, L"\\Registry\\Machine\\System\\CurrentControlSet\\Services")) == 0);
    CHECK(filter.Before == 2 && filter.After == 2);
    CHECK(CmUnRegisterCallback(filter.Cookie) == STATUS_SUCCESS && ZwClose(key) == STATUS_SUCCESS);
}

#include "cm_library.h"

static VOID NTAPI Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    OBJECT_ATTRIBUTES attributes;

    Driver = driver;
    driver->DriverUnload = Unload;
    InitializeObjectAttributes(&attributes, path, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL, NULL);
    if (!NT_SUCCESS(ZwOpenKey(&Top, KEY_ALL_ACCESS, &attributes)))
        return STATUS_UNSUCCESSFUL;
    CASE(Registering);
    CASE(Structures);
    CASE(Blocking);
    CASE(Changing);
    CASE(Recursion);
    CASE(Contexts);
    CASE(Names);
    CASE(Library);
    CASE(Notified);
    ZwClose(Top);
    return CHECK_STATUS;
}
