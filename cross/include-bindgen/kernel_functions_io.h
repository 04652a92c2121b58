/*
 * The I/O manager's part of kernel_functions.h.
 */
#pragma once

NTKERNELAPI NTSTATUS NTAPI IoAcquireKsrPersistentMemory(
    DRIVER_OBJECT *driverobject, DEVICE_OBJECT *physicaldeviceobject, PVOID buffer, SIZE_T *size);
NTKERNELAPI NTSTATUS NTAPI IoAcquireKsrPersistentMemoryEx(
    DRIVER_OBJECT *driverobject, DEVICE_OBJECT *physicaldeviceobject, const UNICODE_STRING
    *physicaldeviceid, USHORT *datatag, ULONG *dataversion, PVOID buffer, SIZE_T *size);
NTKERNELAPI IRP * NTAPI IoAllocateIrpEx(
    DEVICE_OBJECT *deviceobject, CHAR stacksize, BOOLEAN chargequota);
NTKERNELAPI NTSTATUS NTAPI IoApplyPriorityInfoThread(
    IO_PRIORITY_INFO *inputpriorityinfo, IO_PRIORITY_INFO *outputpriorityinfo, PETHREAD thread);
NTKERNELAPI NTSTATUS NTAPI IoCheckLinkShareAccess(
    ULONG desiredaccess, ULONG desiredshareaccess, FILE_OBJECT *fileobject, SHARE_ACCESS
    *shareaccess, LINK_SHARE_ACCESS *linkshareaccess, ULONG ioshareaccessflags);
NTKERNELAPI VOID NTAPI IoCleanupIrp(IRP *irp);
NTKERNELAPI VOID NTAPI IoClearActivityIdThread(const GUID *originalid);
NTKERNELAPI NTSTATUS NTAPI IoClearFsTrackOffsetState(IRP *irp);
NTKERNELAPI NTSTATUS NTAPI IoCreateStreamFileObjectEx2(
    IO_CREATE_STREAM_FILE_OPTIONS *createoptions, FILE_OBJECT *fileobject, DEVICE_OBJECT
    *deviceobject, FILE_OBJECT **streamfileobject, HANDLE *filehandle);
NTKERNELAPI NTSTATUS NTAPI IoCreateSystemThread(
    PVOID ioobject, HANDLE *threadhandle, ULONG desiredaccess, OBJECT_ATTRIBUTES
    *objectattributes, HANDLE processhandle, CLIENT_ID *clientid, PKSTART_ROUTINE startroutine,
    PVOID startcontext);
NTKERNELAPI NTSTATUS NTAPI IoDecrementKeepAliveCount(FILE_OBJECT *fileobject, PEPROCESS process);
NTKERNELAPI NTSTATUS NTAPI IoFreeKsrPersistentMemory(PVOID datahandle);
NTKERNELAPI NTSTATUS NTAPI IoGetActivityIdIrp(IRP *irp, GUID *guid);
NTKERNELAPI GUID * NTAPI IoGetActivityIdThread(VOID);
NTKERNELAPI NTSTATUS NTAPI IoGetDeviceDirectory(
    DEVICE_OBJECT *physicaldeviceobject, DEVICE_DIRECTORY_TYPE directorytype, ULONG flags, PVOID
    reserved, HANDLE *devicedirectoryhandle);
NTKERNELAPI NTSTATUS NTAPI IoGetDeviceInterfacePropertyData(
    const UNICODE_STRING *symboliclinkname, const DEVPROPKEY *propertykey, ULONG lcid, ULONG
    flags, ULONG size, PVOID data, ULONG *requiredsize, DEVPROPTYPE *type);
NTKERNELAPI NTSTATUS NTAPI IoGetDriverDirectory(
    DRIVER_OBJECT *driverobject, DRIVER_DIRECTORY_TYPE directorytype, ULONG flags, HANDLE
    *driverdirectoryhandle);
NTKERNELAPI NTSTATUS NTAPI IoGetFsTrackOffsetState(
    IRP *irp, IO_IRP_EXT_TRACK_OFFSET_HEADER **retfstrackoffsetblob, LARGE_INTEGER
    *rettrackedoffset);
NTKERNELAPI NTSTATUS NTAPI IoGetFsZeroingOffset(IRP *irp, ULONG *zeroingoffset);
NTKERNELAPI PEPROCESS NTAPI IoGetInitiatorProcess(FILE_OBJECT *fileobject);
NTKERNELAPI NTSTATUS NTAPI IoGetIoAttributionHandle(IRP *irp, VOID **ioattributionhandle);
NTKERNELAPI NTSTATUS NTAPI IoGetIommuInterface(ULONG version, DMA_IOMMU_INTERFACE *interfaceout);
NTKERNELAPI NTSTATUS NTAPI IoGetIommuInterfaceEx(
    ULONG version, ULONG64 flags, DMA_IOMMU_INTERFACE_EX *interfaceout);
NTKERNELAPI OPLOCK_KEY_ECP_CONTEXT * NTAPI IoGetOplockKeyContext(FILE_OBJECT *fileobject);
NTKERNELAPI OPLOCK_KEY_CONTEXT * NTAPI IoGetOplockKeyContextEx(FILE_OBJECT *fileobject);
NTKERNELAPI PESILO NTAPI IoGetSilo(FILE_OBJECT *fileobject);
NTKERNELAPI IO_FOEXT_SILO_PARAMETERS * NTAPI IoGetSiloParameters(FILE_OBJECT *fileobject);
NTKERNELAPI NTSTATUS NTAPI IoIncrementKeepAliveCount(FILE_OBJECT *fileobject, PEPROCESS process);
NTKERNELAPI VOID NTAPI IoInitializeIrpEx(
    IRP *irp, DEVICE_OBJECT *deviceobject, USHORT packetsize, CHAR stacksize);
NTKERNELAPI BOOLEAN NTAPI IoIrpHasFsTrackOffsetExtensionType(IRP *irp);
NTKERNELAPI BOOLEAN NTAPI IoIsInitiator32bitProcess(IRP *irp);
NTKERNELAPI ULONG NTAPI IoIsValidIrpStatus(NTSTATUS status);
NTKERNELAPI IRP * NTAPI IoMakeAssociatedIrpEx(
    IRP *irp, DEVICE_OBJECT *deviceobject, CHAR stacksize);
NTKERNELAPI NTSTATUS NTAPI IoOpenDriverRegistryKey(
    DRIVER_OBJECT *driverobject, DRIVER_REGKEY_TYPE regkeytype, ULONG desiredaccess, ULONG
    flags, HANDLE *driverregkey);
NTKERNELAPI NTSTATUS NTAPI IoPropagateActivityIdToThread(
    IRP *irp, GUID *propagatedid, GUID **originalid);
NTKERNELAPI NTSTATUS NTAPI IoQueryFullDriverPath(
    DRIVER_OBJECT *driverobject, UNICODE_STRING *fullpath);
NTKERNELAPI NTSTATUS NTAPI IoQueryInformationByName(
    OBJECT_ATTRIBUTES *objectattributes, IO_STATUS_BLOCK *iostatusblock, PVOID fileinformation,
    ULONG length, FILE_INFORMATION_CLASS fileinformationclass, ULONG options,
    IO_DRIVER_CREATE_CONTEXT *drivercontext);
NTKERNELAPI NTSTATUS NTAPI IoQueryKsrPersistentMemorySize(
    DRIVER_OBJECT *driverobject, DEVICE_OBJECT *physicaldeviceobject, SIZE_T *buffersize);
NTKERNELAPI NTSTATUS NTAPI IoQueryKsrPersistentMemorySizeEx(
    DRIVER_OBJECT *driverobject, DEVICE_OBJECT *physicaldeviceobject, const UNICODE_STRING
    *physicaldeviceid, USHORT *datatag, ULONG *dataversion, SIZE_T *buffersize);
NTKERNELAPI NTSTATUS NTAPI IoRecordIoAttribution(
    PVOID opaquehandle, IO_ATTRIBUTION_INFORMATION *attributioninformation);
NTKERNELAPI PVOID NTAPI IoRegisterBootDriverCallback(
    PBOOT_DRIVER_CALLBACK_FUNCTION callbackfunction, PVOID callbackcontext);
NTKERNELAPI VOID NTAPI IoRemoveLinkShareAccess(
    FILE_OBJECT *fileobject, SHARE_ACCESS *shareaccess, LINK_SHARE_ACCESS *linkshareaccess);
NTKERNELAPI VOID NTAPI IoRemoveLinkShareAccessEx(
    FILE_OBJECT *fileobject, SHARE_ACCESS *shareaccess, LINK_SHARE_ACCESS *linkshareaccess,
    ULONG ioshareaccessflags);
NTKERNELAPI VOID NTAPI IoReportInterruptActive(
    IO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS *parameters);
NTKERNELAPI VOID NTAPI IoReportInterruptInactive(
    IO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS *parameters);
NTKERNELAPI NTSTATUS NTAPI IoReportRootDevice(DRIVER_OBJECT *driverobject);
NTKERNELAPI NTSTATUS NTAPI IoRequestDeviceRemovalForReset(
    DEVICE_OBJECT *physicaldeviceobject, ULONG flags);
NTKERNELAPI NTSTATUS NTAPI IoReserveKsrPersistentMemory(
    DRIVER_OBJECT *driverobject, DEVICE_OBJECT *physicaldeviceobject, SIZE_T size, ULONG flags,
    VOID **datahandle);
NTKERNELAPI NTSTATUS NTAPI IoReserveKsrPersistentMemoryEx(
    DRIVER_OBJECT *driverobject, DEVICE_OBJECT *physicaldeviceobject, const UNICODE_STRING
    *physicaldeviceid, USHORT *datatag, ULONG dataversion, SIZE_T size, ULONG flags, VOID
    **datahandle);
NTKERNELAPI NTSTATUS NTAPI IoRetrievePriorityInfo(
    IRP *irp, FILE_OBJECT *fileobject, PETHREAD thread, IO_PRIORITY_INFO *priorityinfo);
NTKERNELAPI NTSTATUS NTAPI IoSetActivityIdIrp(IRP *irp, const GUID *guid);
NTKERNELAPI GUID * NTAPI IoSetActivityIdThread(const GUID *activityid);
NTKERNELAPI NTSTATUS NTAPI IoSetDeviceInterfacePropertyData(
    const UNICODE_STRING *symboliclinkname, const DEVPROPKEY *propertykey, ULONG lcid, ULONG
    flags, ULONG type, ULONG size, PVOID data);
NTKERNELAPI NTSTATUS NTAPI IoSetFsTrackOffsetState(
    IRP *irp, IO_IRP_EXT_TRACK_OFFSET_HEADER *fstrackoffsetblob, LARGE_INTEGER trackedoffset);
NTKERNELAPI NTSTATUS NTAPI IoSetFsZeroingOffset(IRP *irp, ULONG zeroingoffset);
NTKERNELAPI NTSTATUS NTAPI IoSetFsZeroingOffsetRequired(IRP *irp);
NTKERNELAPI NTSTATUS NTAPI IoSetIoAttributionIrp(IRP *irp, PVOID attributionsource, ULONG flags);
NTKERNELAPI VOID NTAPI IoSetLinkShareAccess(
    ULONG desiredaccess, ULONG desiredshareaccess, FILE_OBJECT *fileobject, SHARE_ACCESS
    *shareaccess, LINK_SHARE_ACCESS *linkshareaccess, ULONG ioshareaccessflags);
NTKERNELAPI VOID NTAPI IoSetMasterIrpStatus(IRP *masterirp, NTSTATUS status);
NTKERNELAPI USHORT NTAPI IoSizeOfIrpEx(DEVICE_OBJECT *deviceobject, CHAR stacksize);
NTKERNELAPI NTSTATUS NTAPI IoSynchronousCallDriver(DEVICE_OBJECT *deviceobject, IRP *irp);
NTKERNELAPI VOID NTAPI IoTransferActivityId(const GUID *activityid, const GUID *relatedactivityid);
NTKERNELAPI BOOLEAN NTAPI IoTryQueueWorkItem(
    PIO_WORKITEM ioworkitem, PIO_WORKITEM_ROUTINE_EX workerroutine, WORK_QUEUE_TYPE queuetype,
    PVOID context);
NTKERNELAPI VOID NTAPI IoUnregisterBootDriverCallback(PVOID callbackhandle);
NTKERNELAPI VOID NTAPI IoUpdateLinkShareAccess(
    FILE_OBJECT *fileobject, SHARE_ACCESS *shareaccess, LINK_SHARE_ACCESS *linkshareaccess);
NTKERNELAPI VOID NTAPI IoUpdateLinkShareAccessEx(
    FILE_OBJECT *fileobject, SHARE_ACCESS *shareaccess, LINK_SHARE_ACCESS *linkshareaccess,
    ULONG ioshareaccessflags);
NTKERNELAPI NTSTATUS NTAPI IoVolumeDeviceNameToGuid(
    const UNICODE_STRING *volumedevicename, GUID *guid);
NTKERNELAPI NTSTATUS NTAPI IoVolumeDeviceNameToGuidPath(
    const UNICODE_STRING *volumedevicename, UNICODE_STRING *guidpath);
NTKERNELAPI NTSTATUS NTAPI IoVolumeDeviceToGuid(PVOID volumedeviceobject, GUID *guid);
NTKERNELAPI NTSTATUS NTAPI IoVolumeDeviceToGuidPath(
    PVOID volumedeviceobject, UNICODE_STRING *guidpath);
NTKERNELAPI NTSTATUS NTAPI IoWriteKsrPersistentMemory(PVOID datahandle, PVOID buffer, SIZE_T size);
