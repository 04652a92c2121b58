/* Cases of cm_callbacks.c: what filters hear of the run-time library, and who hears of
 * changes without a filter. */

/* Notes what comes before each operation, and refuses one value. */
static NTSTATUS Letters(struct FILTER *filter, REG_NOTIFY_CLASS class, PVOID information)
{
    PREG_SET_VALUE_KEY_INFORMATION set = information;

    UNREFERENCED_PARAMETER(filter);
    switch (class) {
    case RegNtPreCreateKeyEx:
        Note('c');
        break;
    case RegNtPreOpenKeyEx:
        Note('o');
        break;
    case RegNtPreSetValueKey:
        Note('s');
        return Is(set->ValueName, L"Refused") ? STATUS_ACCESS_DENIED : STATUS_SUCCESS;
    case RegNtPreDeleteValueKey:
        Note('d');
        break;
    case RegNtPreKeyHandleClose:
        Note('x');
        break;
    default:
        break;
    }
    return STATUS_SUCCESS;
}

/* The run-time library's functions open, do and close, and are heard of each time. */
static VOID Library(VOID)
{
    static const WCHAR Path[] = L"\\Registry\\Machine\\Software\\Heard";
    struct FILTER filter = {.Handler = Letters};
    ULONG number = 5;
    HANDLE key = NULL;

    CHECK(Register(&filter, L"380010") == STATUS_SUCCESS);
    TraceReset();
    CHECK(RtlCreateRegistryKey(RTL_REGISTRY_ABSOLUTE, (PWSTR)Path) == STATUS_SUCCESS);
    CHECK_TRACE("cx");
    TraceReset();
    CHECK(RtlCheckRegistryKey(RTL_REGISTRY_ABSOLUTE, (PWSTR)Path) == STATUS_SUCCESS);
    CHECK_TRACE("ox");
    TraceReset();
    CHECK(RtlWriteRegistryValue(RTL_REGISTRY_ABSOLUTE, Path, L"Number", REG_DWORD, &number, sizeof number) == STATUS_SUCCESS);
    CHECK(RtlWriteRegistryValue(RTL_REGISTRY_ABSOLUTE, Path, L"Refused", REG_DWORD, &number, sizeof number) == STATUS_ACCESS_DENIED);
    CHECK_TRACE("csxcsx");
    TraceReset();
    CHECK(RtlDeleteRegistryValue(RTL_REGISTRY_ABSOLUTE, Path, L"Number") == STATUS_SUCCESS);
    CHECK(RtlDeleteRegistryValue(RTL_REGISTRY_ABSOLUTE, Path, L"Refused") == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK_TRACE("odxodx");
    CHECK(ZwOpenKey(&key, KEY_ALL_ACCESS, Below(NULL, Path)) == STATUS_SUCCESS);
    /* By handle there is nothing to open. */
    TraceReset();
    CHECK(RtlWriteRegistryValue(RTL_REGISTRY_HANDLE, (PWSTR)key, L"Number", REG_DWORD, &number, sizeof number) == STATUS_SUCCESS);
    CHECK_TRACE("s");
    CHECK(CmUnRegisterCallback(filter.Cookie) == STATUS_SUCCESS);
    CHECK(ZwDeleteKey(key) == STATUS_SUCCESS && ZwClose(key) == STATUS_SUCCESS);
}

static KEVENT Worked;

static VOID NTAPI Work(PVOID context)
{
    KeSetEvent(context, IO_NO_INCREMENT, FALSE);
}

NTSYSAPI NTSTATUS NTAPI ZwCreateEvent(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES, EVENT_TYPE, BOOLEAN);
NTSYSAPI NTSTATUS NTAPI ZwNotifyChangeKey(HANDLE, HANDLE, PIO_APC_ROUTINE, PVOID, PIO_STATUS_BLOCK, ULONG, BOOLEAN, PVOID, ULONG, BOOLEAN);

/* Who wants to hear of a change is told once, and when the handle is closed. */
static VOID Notified(VOID)
{
    static WORK_QUEUE_ITEM item;
    static IO_STATUS_BLOCK block, other;
    LARGE_INTEGER no = {.QuadPart = 0}, soon = {.QuadPart = -10000000};
    HANDLE key = NULL, again = NULL, event = NULL;
    OBJECT_ATTRIBUTES unnamed;
    PKEVENT object = NULL;

    InitializeObjectAttributes(&unnamed, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    KeInitializeEvent(&Worked, NotificationEvent, FALSE);
    ExInitializeWorkItem(&item, Work, &Worked);
    CHECK(CreateKey(L"Watched", &key, NULL) == STATUS_SUCCESS);
    CHECK(ZwCreateEvent(&event, EVENT_ALL_ACCESS, &unnamed, NotificationEvent, TRUE) == STATUS_SUCCESS);
    CHECK(ObReferenceObjectByHandle(event, EVENT_ALL_ACCESS, NULL, KernelMode, (PVOID *)&object, NULL) == STATUS_SUCCESS);
    CHECK(ZwNotifyChangeKey(key, event, (PIO_APC_ROUTINE)&item, (PVOID)DelayedWorkQueue, &block, REG_NOTIFY_CHANGE_LAST_SET, FALSE, NULL, 0, TRUE) == STATUS_PENDING);
    CHECK(ZwNotifyChangeKey(key, NULL, NULL, NULL, &other, REG_NOTIFY_CHANGE_NAME, TRUE, NULL, 0, TRUE) == STATUS_PENDING);
    CHECK(KeReadStateEvent(object) == 0);
    CHECK(SetNumber(key, L"Number", 3) == STATUS_SUCCESS);
    CHECK(KeWaitForSingleObject(object, Executive, KernelMode, FALSE, &no) == STATUS_SUCCESS && block.Status == STATUS_NOTIFY_ENUM_DIR);
    CHECK(KeWaitForSingleObject(&Worked, Executive, KernelMode, FALSE, &soon) == STATUS_SUCCESS);
    KeClearEvent(object);
    CHECK(SetNumber(key, L"Number", 4) == STATUS_SUCCESS && KeReadStateEvent(object) == 0);
    CHECK(ZwOpenKey(&again, KEY_ALL_ACCESS, Below(Top, L"Watched")) == STATUS_SUCCESS);
    CHECK(ZwClose(key) == STATUS_SUCCESS && other.Status == STATUS_NOTIFY_CLEANUP);
    CHECK(ZwDeleteKey(again) == STATUS_SUCCESS && ZwClose(again) == STATUS_SUCCESS);
    ObDereferenceObject(object);
    CHECK(ZwClose(event) == STATUS_SUCCESS);
}
