/*
 * What drivers register and have called: callback objects, timers of the
 * executive, notify routines, calls with more stack; and tables in their order.
 */
#include "check.h"
#include "thread.h"

NTKERNELAPI VOID NTAPI ObMakeTemporaryObject(PVOID object);
NTKERNELAPI PVOID NTAPI PsGetCurrentThreadStackBase(VOID);
NTKERNELAPI PVOID NTAPI PsGetCurrentThreadStackLimit(VOID);
NTKERNELAPI NTSTATUS NTAPI KeExpandKernelStackAndCalloutEx(VOID(NTAPI *callout)(PVOID), PVOID parameter, SIZE_T size,
                                                           BOOLEAN wait, PVOID context);

NTSYSAPI NTSTATUS NTAPI ZwQueryInformationProcess(HANDLE process, ULONG class, PVOID buffer, ULONG length, PULONG returned);
NTSYSAPI NTSTATUS NTAPI ZwQueryInformationThread(HANDLE thread, ULONG class, PVOID buffer, ULONG length, PULONG returned);
NTSYSAPI NTSTATUS NTAPI ZwOpenThread(PHANDLE thread, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes, CLIENT_ID *id);
NTKERNELAPI NTSTATUS NTAPI PsLookupProcessThreadByCid(CLIENT_ID *id, PVOID *process, PVOID *thread);
NTKERNELAPI const char *NTAPI PsGetProcessImageFileName(PVOID process);

#define TAG 0x6c626154 /* "Tabl" */

static PVOID Registration;

static VOID NTAPI Called(PVOID context, PVOID first, PVOID second)
{
    CHECK(first == (PVOID)1 && second == (PVOID)2);
    Note((char)(ULONG_PTR)context);
}

static VOID NTAPI CalledOnce(PVOID context, PVOID first, PVOID second)
{
    UNREFERENCED_PARAMETER(first);
    CHECK(KeGetCurrentIrql() == DISPATCH_LEVEL && second == NULL);
    Note((char)(ULONG_PTR)context);
}

static VOID Callbacks(VOID)
{
    UNICODE_STRING name, other, system;
    OBJECT_ATTRIBUTES attributes;
    PCALLBACK_OBJECT object = NULL, again = NULL, single = NULL;
    PVOID first, second;
    KIRQL old;

    RtlInitUnicodeString(&name, L"\\Callback\\Of These Checks");
    RtlInitUnicodeString(&other, L"\\Callback\\Another");
    RtlInitUnicodeString(&system, L"\\Callback\\SetSystemTime");
    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE | OBJ_PERMANENT, NULL, NULL);
    CHECK(ExCreateCallback(&object, &attributes, FALSE, TRUE) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(ExCreateCallback(&object, &attributes, TRUE, TRUE) == STATUS_SUCCESS);
    CHECK(ExCreateCallback(&again, &attributes, TRUE, FALSE) == STATUS_SUCCESS && again == object);
    ObDereferenceObject(again);
    first = ExRegisterCallback(object, Called, (PVOID)'a');
    second = ExRegisterCallback(object, Called, (PVOID)'b');
    CHECK(first != NULL && second != NULL && first != second);
    TraceReset();
    ExNotifyCallback(object, (PVOID)1, (PVOID)2);
    CHECK_TRACE("ab");
    ExUnregisterCallback(first);
    ExNotifyCallback(object, (PVOID)1, (PVOID)2);
    CHECK_TRACE("abb");
    ExUnregisterCallback(second);
    ExNotifyCallback(object, NULL, NULL);
    CHECK_TRACE("abb");
    ObMakeTemporaryObject(object);
    ObDereferenceObject(object);
    CHECK(ExCreateCallback(&object, &attributes, FALSE, TRUE) == STATUS_OBJECT_NAME_NOT_FOUND);

    InitializeObjectAttributes(&attributes, &other, OBJ_CASE_INSENSITIVE, NULL, NULL);
    CHECK(ExCreateCallback(&single, &attributes, TRUE, FALSE) == STATUS_SUCCESS);
    Registration = ExRegisterCallback(single, CalledOnce, (PVOID)'c');
    CHECK(Registration != NULL && ExRegisterCallback(single, Called, NULL) == NULL);
    KeRaiseIrql(DISPATCH_LEVEL, &old);
    ExNotifyCallback(single, NULL, NULL);
    KeLowerIrql(old);
    CHECK_TRACE("abbc");
    ExUnregisterCallback(Registration);
    ObDereferenceObject(single);

    InitializeObjectAttributes(&attributes, &system, OBJ_CASE_INSENSITIVE, NULL, NULL);
    CHECK(ExCreateCallback(&object, &attributes, FALSE, FALSE) == STATUS_SUCCESS);
    ObDereferenceObject(object);
    InitializeObjectAttributes(&attributes, NULL, 0, NULL, NULL);
    CHECK(ExCreateCallback(&object, &attributes, FALSE, FALSE) == STATUS_UNSUCCESSFUL);
}

static volatile LONG Expired;

static VOID OnTimer(PEX_TIMER timer, PVOID context)
{
    CHECK(timer == *(PEX_TIMER *)context && KeGetCurrentIrql() == DISPATCH_LEVEL);
    Expired++;
}

static VOID Timers(VOID)
{
    PEX_TIMER timer;
    LARGE_INTEGER none = {0};

    timer = ExAllocateTimer(OnTimer, &timer, 0);
    CHECK(timer != NULL && !ExCancelTimer(timer, NULL));
    CHECK(!ExSetTimer(timer, -10 * 10000, 0, NULL));
    CHECK(KeWaitForSingleObject(timer, Executive, KernelMode, FALSE, NULL) == STATUS_SUCCESS && Expired == 1);
    /* A synchronization timer. */
    CHECK(KeWaitForSingleObject(timer, Executive, KernelMode, FALSE, &none) == STATUS_TIMEOUT);
    CHECK(!ExSetTimer(timer, -3600LL * 10000000, 0, NULL) && ExSetTimer(timer, -20 * 10000, 50000, NULL));
    while (Expired < 4)
        CHECK(KeWaitForSingleObject(timer, Executive, KernelMode, FALSE, NULL) == STATUS_SUCCESS);
    CHECK(ExCancelTimer(timer, NULL) && !ExDeleteTimer(timer, TRUE, TRUE, NULL));
    timer = ExAllocateTimer(NULL, NULL, 0x80000000 /* EX_TIMER_NOTIFICATION */);
    CHECK(!ExSetTimer(timer, -1, 0, NULL));
    CHECK(KeWaitForSingleObject(timer, Executive, KernelMode, FALSE, NULL) == STATUS_SUCCESS);
    CHECK(KeWaitForSingleObject(timer, Executive, KernelMode, FALSE, &none) == STATUS_SUCCESS);
    CHECK(!ExSetTimer(timer, -3600LL * 10000000, 0, NULL) && ExDeleteTimer(timer, TRUE, FALSE, NULL));
}

static VOID NTAPI UseStack(PVOID parameter)
{
    volatile char bytes[0x7000];
    ULONG_PTR n;

    for (n = 0; n < sizeof bytes; n += 0x100)
        bytes[n] = 1;
    CHECK((PVOID)bytes > PsGetCurrentThreadStackLimit() && (PVOID)bytes < PsGetCurrentThreadStackBase());
    *(PULONG_PTR)parameter += bytes[0];
}

static VOID NTAPI Count(PVOID parameter)
{
    (*(PULONG_PTR)parameter)++;
}

static VOID Stack(VOID)
{
    ULONG_PTR count = 0;

    CHECK(KeExpandKernelStackAndCallout(Count, &count, 0x400) == STATUS_SUCCESS && count == 1);
    CHECK(KeExpandKernelStackAndCallout(UseStack, &count, 0x8000) == STATUS_SUCCESS && count == 2);
    CHECK(KeExpandKernelStackAndCalloutEx(UseStack, &count, 0x8000, TRUE, NULL) == STATUS_SUCCESS && count == 3);
    CHECK(KeExpandKernelStackAndCalloutEx(Count, &count, 0x11801, FALSE, NULL) == STATUS_INVALID_PARAMETER_3);
    CHECK(count == 3);
}

static HANDLE Heard[2];

static VOID NTAPI OnThread(HANDLE process, HANDLE thread, BOOLEAN created)
{
    CHECK(process == (HANDLE)4 && KeAreApcsDisabled());
    Heard[created ? 1 : 0] = thread;
    Note(created ? '+' : '-');
}

static VOID NTAPI OnProcess(HANDLE parent, HANDLE process, BOOLEAN created)
{
    UNREFERENCED_PARAMETER(parent);
    UNREFERENCED_PARAMETER(process);
    UNREFERENCED_PARAMETER(created);
}

static VOID NTAPI OnProcessEx(PEPROCESS process, HANDLE id, PPS_CREATE_NOTIFY_INFO info)
{
    UNREFERENCED_PARAMETER(process);
    UNREFERENCED_PARAMETER(id);
    UNREFERENCED_PARAMETER(info);
}

static VOID NTAPI OnImage(PUNICODE_STRING name, HANDLE process, PIMAGE_INFO info)
{
    UNREFERENCED_PARAMETER(name);
    UNREFERENCED_PARAMETER(process);
    UNREFERENCED_PARAMETER(info);
}

static VOID NTAPI Briefly(PVOID context)
{
    *(HANDLE *)context = PsGetCurrentThreadId();
    Note('.');
}

static VOID Notifications(VOID)
{
    HANDLE id = NULL;

    TraceReset();
    CHECK(PsSetCreateThreadNotifyRoutine(OnThread) == STATUS_SUCCESS);
    Finish(Start(Briefly, &id));
    CHECK_TRACE("+.-");
    CHECK(id != NULL && Heard[0] == id && Heard[1] == id);
    CHECK(PsRemoveCreateThreadNotifyRoutine(OnThread) == STATUS_SUCCESS);
    CHECK(PsRemoveCreateThreadNotifyRoutine(OnThread) == STATUS_PROCEDURE_NOT_FOUND);
    Finish(Start(Briefly, &id));
    CHECK_TRACE("+.-.");
    CHECK(PsSetCreateProcessNotifyRoutine(OnProcess, TRUE) == STATUS_PROCEDURE_NOT_FOUND);
    CHECK(PsSetCreateProcessNotifyRoutine(OnProcess, FALSE) == STATUS_SUCCESS);
    CHECK(PsSetCreateProcessNotifyRoutine(OnProcess, FALSE) == STATUS_INVALID_PARAMETER);
    CHECK(PsSetCreateProcessNotifyRoutine(OnProcess, TRUE) == STATUS_SUCCESS);
    /* This image was not linked with /INTEGRITYCHECK. */
    CHECK(PsSetCreateProcessNotifyRoutineEx(OnProcessEx, FALSE) == STATUS_ACCESS_DENIED);
    CHECK(PsSetLoadImageNotifyRoutine(OnImage) == STATUS_SUCCESS);
    CHECK(PsRemoveLoadImageNotifyRoutine(OnImage) == STATUS_SUCCESS);
    CHECK(PsRemoveLoadImageNotifyRoutine(OnImage) == STATUS_PROCEDURE_NOT_FOUND);
}

static RTL_GENERIC_COMPARE_RESULTS NTAPI Compare(PRTL_GENERIC_TABLE table, PVOID first, PVOID second)
{
    int a = *(int *)first, b = *(int *)second;
    UNREFERENCED_PARAMETER(table);
    return a < b ? GenericLessThan : a > b ? GenericGreaterThan : GenericEqual;
}

static PVOID NTAPI Allocate(PRTL_GENERIC_TABLE table, CLONG size)
{
    CHECK(size == sizeof(RTL_SPLAY_LINKS) + sizeof(LIST_ENTRY) + sizeof(int));
    CHECK(table->TableContext == (PVOID)7);
    return ExAllocatePoolWithTag(NonPagedPool, size, TAG);
}

static VOID NTAPI Free(PRTL_GENERIC_TABLE table, PVOID block)
{
    UNREFERENCED_PARAMETER(table);
    ExFreePoolWithTag(block, TAG);
}

static VOID Tables(VOID)
{
    static const int numbers[] = {5, 1, 9, 3, 7};
    RTL_GENERIC_TABLE table;
    PVOID key = NULL;
    BOOLEAN new;
    int *element, expected = 1, n, seven = 7, two = 2;

    RtlInitializeGenericTable(&table, Compare, Allocate, Free, (PVOID)7);
    CHECK(table.TableRoot == NULL && IsListEmpty(&table.InsertOrderList) && table.OrderedPointer == &table.InsertOrderList);
    CHECK(RtlIsGenericTableEmpty(&table) && RtlEnumerateGenericTable(&table, TRUE) == NULL);
    for (n = 0; n < 5; n++) {
        element = RtlInsertElementGenericTable(&table, (PVOID)&numbers[n], sizeof(int), &new);
        CHECK(new && *element == numbers[n] && RtlIsRoot(table.TableRoot));
        CHECK((PVOID)element == (char *)table.TableRoot + sizeof(RTL_SPLAY_LINKS) + sizeof(LIST_ENTRY));
    }
    CHECK(RtlInsertElementGenericTable(&table, &seven, sizeof seven, &new) != NULL && !new);
    CHECK(RtlNumberGenericTableElements(&table) == 5);
    for (element = RtlEnumerateGenericTable(&table, TRUE); element; element = RtlEnumerateGenericTable(&table, FALSE)) {
        CHECK(*element == expected);
        expected += 2;
    }
    CHECK(expected == 11);
    for (n = 0; n < 5; n++)
        CHECK(*(int *)RtlGetElementGenericTable(&table, n) == numbers[n]);
    CHECK(RtlGetElementGenericTable(&table, 5) == NULL);
    CHECK(RtlLookupElementGenericTable(&table, &two) == NULL && !RtlDeleteElementGenericTable(&table, &two));
    CHECK(RtlDeleteElementGenericTable(&table, &seven) && RtlLookupElementGenericTable(&table, &seven) == NULL);
    while ((element = RtlEnumerateGenericTableWithoutSplaying(&table, &key)) != NULL) {
        RtlDeleteElementGenericTable(&table, element);
        key = NULL;
    }
    CHECK(RtlIsGenericTableEmpty(&table) && IsListEmpty(&table.InsertOrderList));
}

static VOID Ids(VOID)
{
    OBJECT_ATTRIBUTES attributes;
    CLIENT_ID id = {PsGetCurrentProcessId(), NULL}, own = {NULL, PsGetCurrentThreadId()}, none = {(HANDLE)0x7ffc, NULL};
    ULONG_PTR basic[6];
    ULONG length = 0;
    KPRIORITY priority = 12, before;
    UNICODE_STRING name;
    HANDLE handle;
    PVOID process, thread;
    struct {
        UNICODE_STRING name;
        WCHAR text[32];
    } image;

    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwOpenProcess(&handle, PROCESS_ALL_ACCESS, &attributes, NULL) == STATUS_INVALID_PARAMETER_MIX);
    CHECK(ZwOpenProcess(&handle, PROCESS_ALL_ACCESS, &attributes, &none) == STATUS_INVALID_CID);
    CHECK(ZwOpenProcess(&handle, PROCESS_ALL_ACCESS, &attributes, &id) == STATUS_SUCCESS);
    CHECK(ZwQueryInformationProcess(handle, 0, basic, sizeof basic, &length) == STATUS_SUCCESS && length == sizeof basic);
    CHECK((NTSTATUS)basic[0] == STATUS_PENDING && basic[4] == 4 && basic[5] == 0);
    CHECK(ZwQueryInformationProcess(handle, 0, basic, sizeof basic - 8, &length) == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(ZwQueryInformationProcess(handle, 0x200, basic, sizeof basic, NULL) == STATUS_INVALID_INFO_CLASS);
    CHECK(ZwQueryInformationProcess(handle, 27, &image, 16, &length) == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(ZwQueryInformationProcess(handle, 27, &image, sizeof image, &length) == STATUS_SUCCESS);
    RtlInitUnicodeString(&name, L"System");
    CHECK(RtlEqualUnicodeString(&image.name, &name, FALSE) && length == 16 + sizeof L"System");
    ZwClose(handle);
    CHECK(ZwOpenThread(&handle, THREAD_ALL_ACCESS, &attributes, &own) == STATUS_SUCCESS);
    CHECK(ZwQueryInformationThread(handle, 0, basic, sizeof basic, &length) == STATUS_SUCCESS);
    CHECK((NTSTATUS)basic[0] == STATUS_PENDING && (HANDLE)basic[2] == id.UniqueProcess && (HANDLE)basic[3] == own.UniqueThread);
    before = KeQueryPriorityThread(KeGetCurrentThread());
    CHECK(ZwSetInformationThread(handle, 2, &priority, sizeof priority) == STATUS_SUCCESS);
    CHECK(KeSetPriorityThread(KeGetCurrentThread(), before) == 12);
    priority = 32;
    CHECK(ZwSetInformationThread(handle, 2, &priority, sizeof priority) == STATUS_INVALID_PARAMETER);
    ZwClose(handle);
    own.UniqueProcess = none.UniqueProcess;
    CHECK(ZwOpenThread(&handle, THREAD_ALL_ACCESS, &attributes, &own) == STATUS_INVALID_CID);
    CHECK(PsLookupProcessThreadByCid(&own, NULL, &thread) == STATUS_INVALID_CID);
    own.UniqueProcess = id.UniqueProcess;
    CHECK(PsLookupProcessThreadByCid(&own, &process, &thread) == STATUS_SUCCESS);
    CHECK(process == (PVOID)PsGetCurrentProcess() && thread == (PVOID)PsGetCurrentThread());
    CHECK(RtlCompareMemory(PsGetProcessImageFileName(process), "System", 7) == 7);
    ObDereferenceObject(process);
    ObDereferenceObject(thread);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    UNREFERENCED_PARAMETER(path);
    driver->DriverUnload = Unload;
    CASE(Callbacks);
    CASE(Timers);
    CASE(Stack);
    CASE(Notifications);
    CASE(Tables);
    CASE(Ids);
    return CHECK_STATUS;
}
