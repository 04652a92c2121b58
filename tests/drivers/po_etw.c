/*
 * The power manager, event tracing, WMI and Plug and Play, as a driver without
 * hardware meets them, and a device that is attached by name. A start with the
 * DWORD `How` leaves everything registered.
 */
#include "check.h"
#include "parameter.h"

NTKERNELAPI NTSTATUS NTAPI IoWMIRegistrationControl(PDEVICE_OBJECT device, ULONG action);

static const GUID Provider = {0x11223344, 0x5566, 0x7788, {1, 2, 3, 4, 5, 6, 7, 8}};
static const GUID PowerSource = {0x5d3e9a59, 0xe9d5, 0x4b00, {0xa6, 0xbd, 0xff, 0x34, 0xff, 0x51, 0x65, 0x48}};

static PDRIVER_OBJECT Driver;
static PDEVICE_OBJECT Device, Upper, Below;
static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\NtboxPower");
static ULONG Told;

static VOID Tracing(VOID)
{
    REGHANDLE handle = 0;
    CHECK(EtwRegister(&Provider, NULL, NULL, &handle) == STATUS_SUCCESS && handle != 0);
    CHECK(!EtwProviderEnabled(handle, 0, 0));
    CHECK(EtwWrite(handle, NULL, NULL, 0, NULL) == STATUS_SUCCESS);
    CHECK(EtwWrite(handle, NULL, NULL, 129, NULL) == STATUS_INVALID_PARAMETER);
    CHECK(EtwUnregister(handle) == STATUS_SUCCESS);
    CHECK(EtwWrite(handle, NULL, NULL, 0, NULL) == STATUS_INVALID_HANDLE);
    CHECK(EtwRegister(&Provider, NULL, NULL, NULL) == STATUS_INVALID_PARAMETER);
}

static VOID Management(VOID)
{
    CHECK(IoWMIRegistrationControl(Device, 1) == STATUS_SUCCESS);
    CHECK(IoWMIRegistrationControl(Device, 4) == STATUS_SUCCESS);
    CHECK(IoWMIRegistrationControl(Device, 2) == STATUS_SUCCESS);
    CHECK(IoWMIRegistrationControl(Device, 2) == STATUS_INVALID_PARAMETER);
}

static NTSTATUS NTAPI Setting(LPCGUID setting, PVOID value, ULONG length, PVOID context)
{
    CHECK(KeGetCurrentIrql() == PASSIVE_LEVEL);
    CHECK(RtlCompareMemory(setting, &PowerSource, sizeof(GUID)) == sizeof(GUID));
    CHECK(length == sizeof(ULONG) && *(ULONG *)value == 0 && context == &Told);
    Told++;
    return STATUS_SUCCESS;
}

static VOID Settings(VOID)
{
    PVOID handle = NULL;
    CHECK(PoRegisterPowerSettingCallback(Device, &PowerSource, Setting, &Told, &handle) == STATUS_SUCCESS);
    CHECK(Told == 1 && handle != NULL);
    CHECK(PoUnregisterPowerSettingCallback(handle) == STATUS_SUCCESS);
    CHECK(PoRegisterPowerSettingCallback(NULL, &Provider, Setting, NULL, &handle) == STATUS_SUCCESS);
    CHECK(Told == 1);
    CHECK(PoUnregisterPowerSettingCallback(handle) == STATUS_SUCCESS);
}

static VOID NTAPI PowerDone(PDEVICE_OBJECT device, UCHAR minor, POWER_STATE state, PVOID context, PIO_STATUS_BLOCK status)
{
    CHECK(device == Device && minor == IRP_MN_SET_POWER && state.DeviceState == PowerDeviceD3);
    CHECK(context == &Told && status->Status == STATUS_SUCCESS && status->Information == 5);
    Note('d');
}

/* Through the device on top, which passes it on, to the one below. */
static NTSTATUS NTAPI Power(PDEVICE_OBJECT device, PIRP irp)
{
    PIO_STACK_LOCATION here = IoGetCurrentIrpStackLocation(irp);
    CHECK(here->MinorFunction == IRP_MN_SET_POWER && here->Parameters.Power.Type == DevicePowerState);
    CHECK(here->Parameters.Power.State.DeviceState == PowerDeviceD3);
    PoStartNextPowerIrp(irp);
    if (device == Upper) {
        CHECK(irp->IoStatus.Status == STATUS_NOT_SUPPORTED);
        Note('u');
        IoSkipCurrentIrpStackLocation(irp);
        return PoCallDriver(Below, irp);
    }
    Note('l');
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 5;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static VOID States(VOID)
{
    POWER_STATE state;
    state.DeviceState = PowerDeviceD0;
    CHECK(PoSetPowerState(Device, DevicePowerState, state).DeviceState == PowerDeviceUnspecified);
    state.DeviceState = PowerDeviceD3;
    CHECK(PoSetPowerState(Device, DevicePowerState, state).DeviceState == PowerDeviceD0);
    CHECK(PoRequestPowerIrp(Device, IRP_MN_POWER_SEQUENCE, state, PowerDone, NULL, NULL) == STATUS_INVALID_PARAMETER_2);
    TraceReset();
    CHECK(PoRequestPowerIrp(Device, IRP_MN_SET_POWER, state, PowerDone, &Told, NULL) == STATUS_PENDING);
    CHECK_TRACE("uld");
}

static VOID AttachByName(VOID)
{
    UNICODE_STRING nowhere = RTL_CONSTANT_STRING(L"\\Device\\NtboxNowhere");
    CHECK(IoAttachDevice(Upper, &nowhere, &Below) == STATUS_OBJECT_NAME_NOT_FOUND);
    TraceReset();
    CHECK(IoAttachDevice(Upper, &Name, &Below) == STATUS_SUCCESS);
    CHECK(Below == Device && Device->AttachedDevice == Upper && Upper->StackSize == Device->StackSize + 1);
    /* The file is opened below and closed through the new device. */
    CHECK_TRACE("c" "Kk" "Ee");
}

static NTSTATUS NTAPI Arrival(PVOID structure, PVOID context)
{
    UNREFERENCED_PARAMETER(structure);
    UNREFERENCED_PARAMETER(context);
    return STATUS_SUCCESS;
}

static VOID Arrivals(VOID)
{
    PVOID entry = NULL;
    CHECK(IoRegisterPlugPlayNotification(EventCategoryDeviceInterfaceChange, 0, (PVOID)&Provider, Driver, Arrival, NULL,
                                         &entry) == STATUS_SUCCESS);
    CHECK(entry != NULL && IoUnregisterPlugPlayNotification(entry) == STATUS_SUCCESS);
    CHECK(IoRegisterPlugPlayNotification((IO_NOTIFICATION_EVENT_CATEGORY)9, 0, NULL, Driver, Arrival, NULL, &entry)
          == STATUS_INVALID_PARAMETER);
}

static NTSTATUS NTAPI Dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    static const char letters[] = {[IRP_MJ_CREATE] = 'c', [IRP_MJ_CLOSE] = 'e', [IRP_MJ_CLEANUP] = 'k'};
    char letter = letters[IoGetCurrentIrpStackLocation(irp)->MajorFunction];
    if (device == Upper) {
        Note((char)(letter - 32));
        IoSkipCurrentIrpStackLocation(irp);
        return IoCallDriver(Below, irp);
    }
    Note(letter);
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IoCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static VOID LeaveAll(VOID)
{
    REGHANDLE provider;
    PVOID setting, entry;
    CHECK(EtwRegister(&Provider, NULL, NULL, &provider) == STATUS_SUCCESS);
    CHECK(IoWMIRegistrationControl(Device, 1) == STATUS_SUCCESS);
    CHECK(PoRegisterPowerSettingCallback(NULL, &PowerSource, Setting, &Told, &setting) == STATUS_SUCCESS);
    CHECK(PoRegisterSystemState(NULL, 1) != NULL);
    CHECK(IoRegisterPlugPlayNotification(EventCategoryHardwareProfileChange, 0, NULL, Driver, Arrival, NULL, &entry)
          == STATUS_SUCCESS);
}

static VOID Unload(PDRIVER_OBJECT driver)
{
    UNREFERENCED_PARAMETER(driver);
    IoDetachDevice(Device);
    IoDeleteDevice(Upper);
    IoDeleteDevice(Device);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT driver, PUNICODE_STRING path)
{
    Driver = driver;
    driver->DriverUnload = Unload;
    driver->MajorFunction[IRP_MJ_CREATE] = driver->MajorFunction[IRP_MJ_CLOSE] = Dispatch;
    driver->MajorFunction[IRP_MJ_CLEANUP] = Dispatch;
    driver->MajorFunction[IRP_MJ_POWER] = Power;
    if (!NT_SUCCESS(IoCreateDevice(driver, 0, &Name, FILE_DEVICE_UNKNOWN, 0, FALSE, &Device)))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (!NT_SUCCESS(IoCreateDevice(driver, 0, NULL, FILE_DEVICE_UNKNOWN, 0, FALSE, &Upper))) {
        IoDeleteDevice(Device);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Device->Flags &= ~DO_DEVICE_INITIALIZING;
    CASE(AttachByName);
    CASE(Tracing);
    CASE(Management);
    CASE(Settings);
    CASE(States);
    CASE(Arrivals);
    if (Parameter(path, L"How", 0) != 0)
        CASE(LeaveAll);
    return CHECK_STATUS;
}
