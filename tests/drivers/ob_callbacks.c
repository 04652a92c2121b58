/*
 * Filters of handles to processes and threads. The image must be marked as one
 * whose integrity is checked. With `How` 1 a registration is left behind.
 */
#include <ntifs.h>
#include "check.h"

/* MinGW's headers import these variables themselves, Windows' their addresses. */
#define TYPE_OF(variable) ((POBJECT_TYPE)(variable))
#define ADDRESS_OF(variable) ((POBJECT_TYPE *)&(variable))
#include "parameter.h"
#include "thread.h"

#ifndef STATUS_FLT_INSTANCE_ALTITUDE_COLLISION
#define STATUS_FLT_INSTANCE_ALTITUDE_COLLISION ((NTSTATUS)0xC01C0011)
#endif
#define TERMINATE 0x1
#define VM_READ 0x10
#define VM_WRITE 0x20
#define PROCESS_ALL 0x1FFFFF
#define SUSPEND_RESUME 0x2
#define QUERY 0x40

static OB_OPERATION_REGISTRATION Operations[2];
static OB_CALLBACK_REGISTRATION Registration;
static PVOID Handle, Other;
static ACCESS_MASK Original, Granted;
static ULONG Before, After, Kernel, Operation;
static NTSTATUS Ended;
static PVOID Object, Source, Target;
static ACCESS_MASK Mask = ~(ACCESS_MASK)TERMINATE, More;

static OB_PREOP_CALLBACK_STATUS NTAPI OnBefore(PVOID context, POB_PRE_OPERATION_INFORMATION information)
{
    POB_PRE_CREATE_HANDLE_INFORMATION create = &information->Parameters->CreateHandleInformation;

    CHECK(context == &Before && KeGetCurrentIrql() == PASSIVE_LEVEL && KeAreApcsDisabled() && !KeAreAllApcsDisabled());
    CHECK(information->CallContext == NULL && information->Reserved == 0);
    CHECK(information->ObjectType == TYPE_OF(PsProcessType) || information->ObjectType == TYPE_OF(PsThreadType));
    Before++;
    Note('b');
    Kernel = information->KernelHandle;
    Operation = information->Operation;
    Object = information->Object;
    Original = create->OriginalDesiredAccess;
    if (Operation == OB_OPERATION_HANDLE_DUPLICATE) {
        Source = information->Parameters->DuplicateHandleInformation.SourceProcess;
        Target = information->Parameters->DuplicateHandleInformation.TargetProcess;
    }
    CHECK(create->DesiredAccess == Original);
    create->DesiredAccess = (create->DesiredAccess & Mask) | More;
    information->CallContext = &After;
    return OB_PREOP_SUCCESS;
}

static VOID NTAPI OnAfter(PVOID context, POB_POST_OPERATION_INFORMATION information)
{
    CHECK(context == &Before && information->CallContext == &After && information->Object == Object);
    After++;
    Note('a');
    Ended = information->ReturnStatus;
    if (NT_SUCCESS(Ended))
        Granted = information->Parameters->CreateHandleInformation.GrantedAccess;
    CHECK(information->Operation == Operation && information->KernelHandle == Kernel);
}

static OB_PREOP_CALLBACK_STATUS NTAPI LowBefore(UNUSED PVOID context, POB_PRE_OPERATION_INFORMATION information)
{
    Note('l');
    CHECK(information->CallContext == NULL);
    /* What was taken is gone for those below. */
    CHECK(!(information->Parameters->CreateHandleInformation.DesiredAccess & TERMINATE));
    return OB_PREOP_SUCCESS;
}

static VOID NTAPI LowAfter(UNUSED PVOID context, POB_POST_OPERATION_INFORMATION information)
{
    Note('L');
    CHECK(information->CallContext == NULL);
}

static NTSTATUS Register(PCWSTR altitude, PVOID *handle)
{
    Registration.Version = OB_FLT_REGISTRATION_VERSION;
    RtlInitUnicodeString(&Registration.Altitude, altitude);
    Registration.RegistrationContext = &Before;
    Registration.OperationRegistration = Operations;
    return ObRegisterCallbacks(&Registration, handle);
}

static VOID Wanted(POB_PRE_OPERATION_CALLBACK before, POB_POST_OPERATION_CALLBACK after, USHORT count)
{
    USHORT n;

    for (n = 0; n < 2; n++) {
        Operations[n].ObjectType = n == 0 ? ADDRESS_OF(PsProcessType) : ADDRESS_OF(PsThreadType);
        Operations[n].Operations = OB_OPERATION_HANDLE_CREATE | OB_OPERATION_HANDLE_DUPLICATE;
        Operations[n].PreOperation = before;
        Operations[n].PostOperation = after;
    }
    Registration.OperationRegistrationCount = count;
}

static PDRIVER_OBJECT Driver;

/* The beginning of an entry of the list of modules, which drivers look at. */
typedef struct {
    LIST_ENTRY Links;
    PVOID Other[4];
    PVOID Base;
    PVOID EntryPoint;
    ULONG Size;
    UNICODE_STRING FullName;
    UNICODE_STRING BaseName;
    ULONG Flags;
} MODULE;

static VOID Modules(VOID)
{
    static const UNICODE_STRING folder = RTL_CONSTANT_STRING(L"\\SystemRoot\\System32\\drivers\\");
    static const UNICODE_STRING kernel = RTL_CONSTANT_STRING(L"NTOSKRNL.EXE");
    MODULE *module = Driver->DriverSection;
    MODULE *first = CONTAINING_RECORD(module->Links.Blink, MODULE, Links);

    C_ASSERT(FIELD_OFFSET(MODULE, Base) == 0x30 && FIELD_OFFSET(MODULE, Flags) == 0x68);
    CHECK(module->Base == Driver->DriverStart);
    CHECK(module->Size == Driver->DriverSize);
    CHECK(module->EntryPoint == (PVOID)Driver->DriverInit);
    CHECK(RtlPrefixUnicodeString(&folder, &module->FullName, TRUE));
    CHECK((PUCHAR)module->BaseName.Buffer == (PUCHAR)module->FullName.Buffer + folder.Length);
    CHECK(module->BaseName.Length != 0 && module->BaseName.Length + folder.Length == module->FullName.Length);
    CHECK((module->Flags & 0x20) != 0);
    CHECK(first->Links.Flink == &module->Links);
    CHECK(RtlEqualUnicodeString(&first->BaseName, &kernel, TRUE));
}

static VOID Registering(VOID)
{
    CHECK(ObGetFilterVersion() == OB_FLT_REGISTRATION_VERSION);
    Wanted(OnBefore, OnAfter, 2);
    CHECK(Register(L"320000", &Handle) == STATUS_SUCCESS && Handle != NULL);
    CHECK(Register(L"320000", &Other) == STATUS_FLT_INSTANCE_ALTITUDE_COLLISION);
    CHECK(Register(L"320000.1", &Other) == STATUS_SUCCESS && Other != Handle);
    ObUnRegisterCallbacks(Other);
    ObUnRegisterCallbacks(Handle);
    Wanted(OnBefore, OnAfter, 0);
    CHECK(Register(L"320000", &Handle) == STATUS_INVALID_PARAMETER);
    Wanted(NULL, NULL, 2);
    CHECK(Register(L"320000", &Handle) == STATUS_INVALID_PARAMETER);
    Wanted(OnBefore, NULL, 1);
    Operations[0].ObjectType = ADDRESS_OF(CmKeyObjectType);
    CHECK(Register(L"320000", &Handle) == STATUS_INVALID_PARAMETER);
    Wanted(OnBefore, NULL, 1);
    Operations[0].Operations = 0;
    CHECK(Register(L"320000", &Handle) == STATUS_INVALID_PARAMETER);
    Wanted(OnBefore, NULL, 2);
    Operations[1].ObjectType = ADDRESS_OF(PsProcessType);
    CHECK(Register(L"320000", &Handle) == STATUS_FLT_INSTANCE_ALTITUDE_COLLISION);
    /* What is in no image is in none that is checked. */
    Wanted((POB_PRE_OPERATION_CALLBACK)PsGetCurrentProcess(), NULL, 1);
    CHECK(Register(L"320000", &Handle) == STATUS_ACCESS_DENIED);
}

/* The rights that a handle has. */
static ACCESS_MASK RightsOf(HANDLE handle)
{
    OBJECT_HANDLE_INFORMATION information = {0, 0};
    PVOID object;

    CHECK(ObReferenceObjectByHandle(handle, 0, NULL, KernelMode, &object, &information) == STATUS_SUCCESS);
    ObDereferenceObject(object);
    return information.GrantedAccess;
}

static HANDLE OpenProcess(ACCESS_MASK access)
{
    CLIENT_ID id = {PsGetCurrentProcessId(), NULL};
    OBJECT_ATTRIBUTES attributes;
    HANDLE process = NULL;

    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwOpenProcess(&process, access, &attributes, &id) == STATUS_SUCCESS);
    return process;
}

static VOID Opening(VOID)
{
    HANDLE process, copy;

    Before = After = 0;
    Wanted(OnBefore, OnAfter, 2);
    CHECK(Register(L"320000", &Handle) == STATUS_SUCCESS);
    process = OpenProcess(TERMINATE | VM_WRITE);
    CHECK(Before == 1 && After == 1 && Kernel == 1 && Operation == OB_OPERATION_HANDLE_CREATE);
    CHECK(Object == PsGetCurrentProcess() && Original == (TERMINATE | VM_WRITE) && Granted == VM_WRITE && Ended == 0);
    CHECK(RightsOf(process) == VM_WRITE);
    CHECK(ZwClose(process) == STATUS_SUCCESS && Before == 1);
    /* Reading cannot be taken away, and nothing can be added. */
    Mask = 0;
    More = VM_WRITE;
    process = OpenProcess(VM_READ | TERMINATE);
    CHECK(Granted == VM_READ && RightsOf(process) == VM_READ);
    CHECK(ZwClose(process) == STATUS_SUCCESS);
    Mask = ~(ACCESS_MASK)TERMINATE;
    More = 0;
    process = OpenProcess(GENERIC_ALL);
    CHECK(Original == PROCESS_ALL && Granted == (PROCESS_ALL & ~TERMINATE));
    CHECK(ZwDuplicateObject(ZwCurrentProcess(), process, ZwCurrentProcess(), &copy, TERMINATE | VM_WRITE, OBJ_KERNEL_HANDLE, 0) ==
          STATUS_SUCCESS);
    CHECK(Operation == OB_OPERATION_HANDLE_DUPLICATE && Source == PsGetCurrentProcess() && Target == Source);
    CHECK(RightsOf(copy) == VM_WRITE && Granted == VM_WRITE);
    CHECK(ZwClose(copy) == STATUS_SUCCESS && ZwClose(process) == STATUS_SUCCESS);
    Before = After = 0;
    CHECK(ObOpenObjectByPointer(PsGetCurrentProcess(), 0, NULL, TERMINATE, TYPE_OF(PsProcessType), KernelMode, &process) == STATUS_SUCCESS);
    CHECK(Before == 1 && After == 1 && Kernel == 0 && RightsOf(process) == 0);
    CHECK(ZwClose(process) == STATUS_SUCCESS);
    ObUnRegisterCallbacks(Handle);
    process = OpenProcess(TERMINATE);
    CHECK(RightsOf(process) == TERMINATE && Before == 1 && ZwClose(process) == STATUS_SUCCESS);
}

static VOID Nothing(UNUSED PVOID context)
{
}

static VOID Threads(VOID)
{
    HANDLE handle;
    PVOID thread;

    Wanted(OnBefore, OnAfter, 2);
    CHECK(Register(L"320000", &Handle) == STATUS_SUCCESS);
    Before = After = 0;
    thread = Start(Nothing, NULL);
    CHECK(thread != NULL && Before >= 1 && After == Before && Object == thread);
    CHECK(ObOpenObjectByPointer(thread, OBJ_KERNEL_HANDLE, NULL, TERMINATE | SUSPEND_RESUME | QUERY, TYPE_OF(PsThreadType), KernelMode,
                                &handle) == STATUS_SUCCESS);
    CHECK(RightsOf(handle) == (SUSPEND_RESUME | QUERY));
    CHECK(ZwClose(handle) == STATUS_SUCCESS);
    Finish(thread);
    ObUnRegisterCallbacks(Handle);
}

static VOID Order(VOID)
{
    HANDLE process;

    Wanted(LowBefore, LowAfter, 1);
    CHECK(Register(L"99999", &Other) == STATUS_SUCCESS);
    Wanted(OnBefore, OnAfter, 1);
    CHECK(Register(L"320000", &Handle) == STATUS_SUCCESS);
    TraceReset();
    process = OpenProcess(TERMINATE | VM_READ);
    CHECK(ZwClose(process) == STATUS_SUCCESS);
    CHECK_TRACE("blLa");
    ObUnRegisterCallbacks(Handle);
    ObUnRegisterCallbacks(Other);
}

static VOID NTAPI Unload(UNUSED PDRIVER_OBJECT driver)
{
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    driver->DriverUnload = Unload;
    Driver = driver;
    if (Parameter(path, L"How", 0) == 1) {
        Wanted(OnBefore, OnAfter, 2);
        return Register(L"320000", &Handle);
    }
    CASE(Modules);
    CASE(Registering);
    CASE(Opening);
    CASE(Threads);
    CASE(Order);
    return CHECK_STATUS;
}
