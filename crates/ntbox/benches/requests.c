/*
 * A control device for the benchmark of requests. It answers a code of each
 * transfer method as shortly as a driver can, and two that work a thousand times
 * before they answer: mapping pages, and handing the processor to another thread
 * and back. The few declarations that it needs are written out, so that no kit
 * has to be there.
 */
typedef unsigned char UCHAR;
typedef unsigned short USHORT;
typedef int LONG;
typedef unsigned int ULONG;
typedef unsigned long long SIZE_T;

#define IMPORT __declspec(dllimport)
#define CODE(function, method) (0x80000000u | (0x800u + (function)) << 2 | (method))
#define AT(type, base, offset) (*(type *)((UCHAR *)(base) + (offset)))
#define TIMES 1000

enum { DELETE_DEVICE = 0x8, MAJOR_FUNCTION = 0x70, UNLOAD = 0x68 };
enum { MDL_ADDRESS = 0x8, SYSTEM_BUFFER = 0x18, STATUS = 0x30, INFORMATION = 0x38, USER_BUFFER = 0x70, STACK = 0xb8 };
enum { CREATE = 0, CLOSE = 2, DEVICE_CONTROL = 14 };
enum { SUCCESS = 0, INVALID_DEVICE_REQUEST = (LONG)0xc0000010, INSUFFICIENT_RESOURCES = (LONG)0xc000009a };

typedef struct { USHORT length, maximum; const USHORT *buffer; } STRING;
typedef struct { SIZE_T words[3]; } EVENT;
typedef struct { SIZE_T length; void *root, *name; SIZE_T attributes; void *security[2]; } ATTRIBUTES;

IMPORT LONG IoCreateDevice(void *driver, ULONG extension, const STRING *name, ULONG type, ULONG characteristics,
                           UCHAR exclusive, void **device);
IMPORT void IoDeleteDevice(void *device);
IMPORT void IofCompleteRequest(void *irp, char boost);
IMPORT void *IoAllocateMdl(void *va, ULONG length, UCHAR secondary, UCHAR quota, void *irp);
IMPORT void IoFreeMdl(void *mdl);
IMPORT void *ExAllocatePoolWithTag(int type, SIZE_T size, ULONG tag);
IMPORT void ExFreePoolWithTag(void *block, ULONG tag);
IMPORT void MmBuildMdlForNonPagedPool(void *mdl);
IMPORT void MmProbeAndLockPages(void *mdl, char mode, int access);
IMPORT void MmUnlockPages(void *mdl);
IMPORT void *MmMapLockedPagesSpecifyCache(void *mdl, char mode, int cache, void *at, ULONG stop, ULONG priority);
IMPORT void MmUnmapLockedPages(void *at, void *mdl);
IMPORT void KeInitializeEvent(EVENT *event, int type, UCHAR state);
IMPORT LONG KeSetEvent(EVENT *event, LONG boost, UCHAR wait);
IMPORT LONG KeWaitForSingleObject(void *object, int reason, char mode, UCHAR alertable, void *timeout);
IMPORT LONG PsCreateSystemThread(void **handle, ULONG access, void *attributes, void *process, void *id,
                                 void (*start)(void *), void *context);
IMPORT LONG PsTerminateSystemThread(LONG status);
IMPORT LONG ObReferenceObjectByHandle(void *handle, ULONG access, void *type, char mode, void **object, void *information);
IMPORT void ObfDereferenceObject(void *object);
IMPORT LONG ZwClose(void *handle);

#define TAG 0x68636e42

static const USHORT Name[] = L"\\Device\\NtboxBench";
static void *Device;
static EVENT Ping, Pong;

/* Locks a page of pool, maps it a second time, takes all of it back. */
static LONG Map(void)
{
    LONG status = INSUFFICIENT_RESOURCES;
    void *page = ExAllocatePoolWithTag(0, 0x1000, TAG);
    void *mdl = page ? IoAllocateMdl(page, 0x1000, 0, 0, 0) : 0;
    if (mdl) {
        status = SUCCESS;
        for (ULONG n = 0; n < TIMES && status == SUCCESS; n++) {
            void *mapped;
            MmProbeAndLockPages(mdl, 0, 1);
            mapped = MmMapLockedPagesSpecifyCache(mdl, 0, 1, 0, 0, 16 | 0x40000000);
            if (mapped)
                MmUnmapLockedPages(mapped, mdl);
            else
                status = INSUFFICIENT_RESOURCES;
            MmUnlockPages(mdl);
        }
        IoFreeMdl(mdl);
    }
    if (page)
        ExFreePoolWithTag(page, TAG);
    return status;
}

static void Answer(void *context)
{
    (void)context;
    for (ULONG n = 0; n < TIMES; n++) {
        KeWaitForSingleObject(&Ping, 0, 0, 0, 0);
        KeSetEvent(&Pong, 0, 0);
    }
    PsTerminateSystemThread(SUCCESS);
}

static LONG Switch(void)
{
    ATTRIBUTES kernel_handle = {.length = sizeof kernel_handle, .attributes = 0x200};
    void *handle, *thread;
    LONG status = PsCreateSystemThread(&handle, 0x1fffff, &kernel_handle, 0, 0, Answer, 0);
    if (status != SUCCESS)
        return status;
    status = ObReferenceObjectByHandle(handle, 0x1fffff, 0, 0, &thread, 0);
    ZwClose(handle);
    if (status != SUCCESS)
        return status;
    for (ULONG n = 0; n < TIMES; n++) {
        KeSetEvent(&Ping, 0, 0);
        KeWaitForSingleObject(&Pong, 0, 0, 0, 0);
    }
    status = KeWaitForSingleObject(thread, 0, 0, 0, 0);
    ObfDereferenceObject(thread);
    return status;
}

static LONG Control(void *irp, void *stack, SIZE_T *information)
{
    ULONG output = AT(ULONG, stack, 0x8);
    switch (AT(ULONG, stack, 0x18)) {
    case CODE(0, 0):
        AT(ULONG *, irp, SYSTEM_BUFFER)[0]++;
        break;
    case CODE(0, 1):
    case CODE(0, 2):
        if (!AT(void *, irp, MDL_ADDRESS))
            return INVALID_DEVICE_REQUEST;
        break;
    case CODE(0, 3):
        AT(ULONG *, irp, USER_BUFFER)[0]++;
        break;
    case CODE(1, 0):
        *information = 0;
        return Map();
    case CODE(2, 0):
        *information = 0;
        return Switch();
    default:
        return INVALID_DEVICE_REQUEST;
    }
    *information = output;
    return SUCCESS;
}

static LONG Dispatch(void *device, void *irp)
{
    void *stack = AT(void *, irp, STACK);
    SIZE_T information = 0;
    LONG status = SUCCESS;
    (void)device;
    if (AT(UCHAR, stack, 0) == DEVICE_CONTROL)
        status = Control(irp, stack, &information);
    AT(LONG, irp, STATUS) = status;
    AT(SIZE_T, irp, INFORMATION) = information;
    IofCompleteRequest(irp, 0);
    return status;
}

static void Unload(void *driver)
{
    IoDeleteDevice(AT(void *, driver, DELETE_DEVICE));
}

LONG DriverEntry(void *driver, void *path)
{
    static const ULONG served[] = {CREATE, CLOSE, DEVICE_CONTROL};
    STRING name = {sizeof Name - 2, sizeof Name, Name};
    (void)path;
    KeInitializeEvent(&Ping, 1, 0);
    KeInitializeEvent(&Pong, 1, 0);
    for (ULONG n = 0; n < sizeof served / sizeof *served; n++)
        AT(void *, driver, MAJOR_FUNCTION + 8 * served[n]) = Dispatch;
    AT(void *, driver, UNLOAD) = Unload;
    return IoCreateDevice(driver, 0, &name, 0x8000, 0, 0, &Device);
}
