/*
 * The I/O manager's part of kernel_functions.h.
 */
#pragma once

NTKERNELAPI NTSTATUS NTAPI IoAcquireKsrPersistentMemory(PDRIVER_OBJECT DriverObject,
    PDEVICE_OBJECT PhysicalDeviceObject, PVOID Buffer, PSIZE_T Size);
NTKERNELAPI NTSTATUS NTAPI IoAcquireKsrPersistentMemoryEx(PDRIVER_OBJECT DriverObject,
    PDEVICE_OBJECT PhysicalDeviceObject, PUNICODE_STRING PhysicalDeviceId, PUSHORT DataTag,
    PULONG DataVersion, PVOID Buffer, PSIZE_T Size);
NTKERNELAPI PIRP NTAPI IoAllocateIrpEx(PDEVICE_OBJECT DeviceObject, CCHAR StackSize, BOOLEAN
    ChargeQuota);
NTKERNELAPI NTSTATUS NTAPI IoApplyPriorityInfoThread(PIO_PRIORITY_INFO InputPriorityInfo,
    PIO_PRIORITY_INFO OutputPriorityInfo, PETHREAD Thread);
NTKERNELAPI NTSTATUS NTAPI IoCheckLinkShareAccess(ACCESS_MASK DesiredAccess, ULONG
    DesiredShareAccess, PFILE_OBJECT FileObject, PSHARE_ACCESS ShareAccess, PLINK_SHARE_ACCESS
    LinkShareAccess, ULONG IoShareAccessFlags);
NTKERNELAPI VOID NTAPI IoCleanupIrp(PIRP Irp);
NTKERNELAPI VOID NTAPI IoClearActivityIdThread(LPCGUID OriginalId);
NTKERNELAPI NTSTATUS NTAPI IoClearFsTrackOffsetState(PIRP Irp);
NTKERNELAPI NTSTATUS NTAPI IoCreateStreamFileObjectEx2(PIO_CREATE_STREAM_FILE_OPTIONS
    CreateOptions, PFILE_OBJECT FileObject, PDEVICE_OBJECT DeviceObject, PFILE_OBJECT
    *StreamFileObject, PHANDLE FileHandle);
NTKERNELAPI NTSTATUS NTAPI IoCreateSystemThread(PVOID IoObject, PHANDLE ThreadHandle, ULONG
    DesiredAccess, POBJECT_ATTRIBUTES ObjectAttributes, HANDLE ProcessHandle, PCLIENT_ID
    ClientId, PKSTART_ROUTINE StartRoutine, PVOID StartContext);
NTKERNELAPI NTSTATUS NTAPI IoDecrementKeepAliveCount(PFILE_OBJECT FileObject, PEPROCESS
    Process);
NTKERNELAPI NTSTATUS NTAPI IoFreeKsrPersistentMemory(PVOID DataHandle);
NTKERNELAPI NTSTATUS NTAPI IoGetActivityIdIrp(PIRP Irp, LPGUID Guid);
NTKERNELAPI LPCGUID NTAPI IoGetActivityIdThread(VOID);
NTKERNELAPI NTSTATUS NTAPI IoGetDeviceDirectory(PDEVICE_OBJECT PhysicalDeviceObject,
    DEVICE_DIRECTORY_TYPE DirectoryType, ULONG Flags, PVOID Reserved, PHANDLE
    DeviceDirectoryHandle);
NTKERNELAPI NTSTATUS NTAPI IoGetDeviceInterfacePropertyData(PUNICODE_STRING SymbolicLinkName,
    const DEVPROPKEY *PropertyKey, LCID Lcid, ULONG Flags, ULONG Size, PVOID Data, PULONG
    RequiredSize, PDEVPROPTYPE Type);
NTKERNELAPI NTSTATUS NTAPI IoGetDriverDirectory(PDRIVER_OBJECT DriverObject,
    DRIVER_DIRECTORY_TYPE DirectoryType, ULONG Flags, PHANDLE DriverDirectoryHandle);
NTKERNELAPI NTSTATUS NTAPI IoGetFsTrackOffsetState(PIRP Irp, PIO_IRP_EXT_TRACK_OFFSET_HEADER
    *RetFsTrackOffsetBlob, LONGLONG *RetTrackedOffset);
NTKERNELAPI NTSTATUS NTAPI IoGetFsZeroingOffset(PIRP Irp, PULONG ZeroingOffset);
NTKERNELAPI PEPROCESS NTAPI IoGetInitiatorProcess(PFILE_OBJECT FileObject);
NTKERNELAPI NTSTATUS NTAPI IoGetIoAttributionHandle(PIRP Irp, PVOID *IoAttributionHandle);
NTKERNELAPI NTSTATUS NTAPI IoGetIommuInterface(ULONG Version, PDMA_IOMMU_INTERFACE
    InterfaceOut);
NTKERNELAPI NTSTATUS NTAPI IoGetIommuInterfaceEx(ULONG Version, ULONGLONG Flags,
    PDMA_IOMMU_INTERFACE_EX InterfaceOut);
NTKERNELAPI POPLOCK_KEY_ECP_CONTEXT NTAPI IoGetOplockKeyContext(PFILE_OBJECT FileObject);
NTKERNELAPI POPLOCK_KEY_CONTEXT NTAPI IoGetOplockKeyContextEx(PFILE_OBJECT FileObject);
NTKERNELAPI PESILO NTAPI IoGetSilo(PFILE_OBJECT FileObject);
NTKERNELAPI PIO_FOEXT_SILO_PARAMETERS NTAPI IoGetSiloParameters(PFILE_OBJECT FileObject);
NTKERNELAPI NTSTATUS NTAPI IoIncrementKeepAliveCount(PFILE_OBJECT FileObject, PEPROCESS
    Process);
NTKERNELAPI VOID NTAPI IoInitializeIrpEx(PIRP Irp, PDEVICE_OBJECT DeviceObject, USHORT
    PacketSize, CCHAR StackSize);
NTKERNELAPI BOOLEAN NTAPI IoIrpHasFsTrackOffsetExtensionType(PIRP Irp);
NTKERNELAPI BOOLEAN NTAPI IoIsInitiator32bitProcess(PIRP Irp);
NTKERNELAPI LOGICAL NTAPI IoIsValidIrpStatus(NTSTATUS Status);
NTKERNELAPI PIRP NTAPI IoMakeAssociatedIrpEx(PIRP Irp, PDEVICE_OBJECT DeviceObject, CCHAR
    StackSize);
NTKERNELAPI NTSTATUS NTAPI IoOpenDriverRegistryKey(PDRIVER_OBJECT DriverObject,
    DRIVER_REGKEY_TYPE RegKeyType, ACCESS_MASK DesiredAccess, ULONG Flags, PHANDLE
    DriverRegKey);
NTKERNELAPI NTSTATUS NTAPI IoPropagateActivityIdToThread(PIRP Irp, LPGUID PropagatedId,
    LPCGUID *OriginalId);
NTKERNELAPI NTSTATUS NTAPI IoQueryFullDriverPath(PDRIVER_OBJECT DriverObject, PUNICODE_STRING
    FullPath);
NTKERNELAPI NTSTATUS NTAPI IoQueryInformationByName(POBJECT_ATTRIBUTES ObjectAttributes,
    PIO_STATUS_BLOCK IoStatusBlock, PVOID FileInformation, ULONG Length,
    FILE_INFORMATION_CLASS FileInformationClass, ULONG Options, PIO_DRIVER_CREATE_CONTEXT
    DriverContext);
NTKERNELAPI NTSTATUS NTAPI IoQueryKsrPersistentMemorySize(PDRIVER_OBJECT DriverObject,
    PDEVICE_OBJECT PhysicalDeviceObject, PSIZE_T BufferSize);
NTKERNELAPI NTSTATUS NTAPI IoQueryKsrPersistentMemorySizeEx(PDRIVER_OBJECT DriverObject,
    PDEVICE_OBJECT PhysicalDeviceObject, PUNICODE_STRING PhysicalDeviceId, PUSHORT DataTag,
    PULONG DataVersion, PSIZE_T BufferSize);
NTKERNELAPI NTSTATUS NTAPI IoRecordIoAttribution(PVOID OpaqueHandle,
    IO_ATTRIBUTION_INFORMATION *AttributionInformation);
NTKERNELAPI PVOID NTAPI IoRegisterBootDriverCallback(PBOOT_DRIVER_CALLBACK_FUNCTION
    CallbackFunction, PVOID CallbackContext);
NTKERNELAPI VOID NTAPI IoRemoveLinkShareAccess(PFILE_OBJECT FileObject, PSHARE_ACCESS
    ShareAccess, PLINK_SHARE_ACCESS LinkShareAccess);
NTKERNELAPI VOID NTAPI IoRemoveLinkShareAccessEx(PFILE_OBJECT FileObject, PSHARE_ACCESS
    ShareAccess, PLINK_SHARE_ACCESS LinkShareAccess, ULONG IoShareAccessFlags);
NTKERNELAPI VOID NTAPI IoReportInterruptActive(PIO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS
    Parameters);
NTKERNELAPI VOID NTAPI IoReportInterruptInactive(PIO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS
    Parameters);
NTKERNELAPI NTSTATUS NTAPI IoReportRootDevice(PDRIVER_OBJECT DriverObject);
NTKERNELAPI NTSTATUS NTAPI IoRequestDeviceRemovalForReset(PDEVICE_OBJECT PhysicalDeviceObject,
    ULONG Flags);
NTKERNELAPI NTSTATUS NTAPI IoReserveKsrPersistentMemory(PDRIVER_OBJECT DriverObject,
    PDEVICE_OBJECT PhysicalDeviceObject, SIZE_T Size, ULONG Flags, PVOID *DataHandle);
NTKERNELAPI NTSTATUS NTAPI IoReserveKsrPersistentMemoryEx(PDRIVER_OBJECT DriverObject,
    PDEVICE_OBJECT PhysicalDeviceObject, PUNICODE_STRING PhysicalDeviceId, PUSHORT DataTag,
    ULONG DataVersion, SIZE_T Size, ULONG Flags, PVOID *DataHandle);
NTKERNELAPI NTSTATUS NTAPI IoRetrievePriorityInfo(PIRP Irp, PFILE_OBJECT FileObject, PETHREAD
    Thread, PIO_PRIORITY_INFO PriorityInfo);
NTKERNELAPI NTSTATUS NTAPI IoSetActivityIdIrp(PIRP Irp, LPCGUID Guid);
NTKERNELAPI LPCGUID NTAPI IoSetActivityIdThread(LPCGUID ActivityId);
NTKERNELAPI NTSTATUS NTAPI IoSetDeviceInterfacePropertyData(PUNICODE_STRING SymbolicLinkName,
    const DEVPROPKEY *PropertyKey, LCID Lcid, ULONG Flags, DEVPROPTYPE Type, ULONG Size, PVOID
    Data);
NTKERNELAPI NTSTATUS NTAPI IoSetFsTrackOffsetState(PIRP Irp, PIO_IRP_EXT_TRACK_OFFSET_HEADER
    FsTrackOffsetBlob, LONGLONG TrackedOffset);
NTKERNELAPI NTSTATUS NTAPI IoSetFsZeroingOffset(PIRP Irp, ULONG ZeroingOffset);
NTKERNELAPI NTSTATUS NTAPI IoSetFsZeroingOffsetRequired(PIRP Irp);
NTKERNELAPI NTSTATUS NTAPI IoSetIoAttributionIrp(PIRP Irp, PVOID AttributionSource, ULONG
    Flags);
NTKERNELAPI VOID NTAPI IoSetLinkShareAccess(ACCESS_MASK DesiredAccess, ULONG
    DesiredShareAccess, PFILE_OBJECT FileObject, PSHARE_ACCESS ShareAccess, PLINK_SHARE_ACCESS
    LinkShareAccess, ULONG IoShareAccessFlags);
NTKERNELAPI VOID NTAPI IoSetMasterIrpStatus(PIRP MasterIrp, NTSTATUS Status);
NTKERNELAPI USHORT NTAPI IoSizeOfIrpEx(PDEVICE_OBJECT DeviceObject, CCHAR StackSize);
NTKERNELAPI NTSTATUS NTAPI IoSynchronousCallDriver(PDEVICE_OBJECT DeviceObject, PIRP Irp);
NTKERNELAPI VOID NTAPI IoTransferActivityId(LPCGUID ActivityId, LPCGUID RelatedActivityId);
NTKERNELAPI BOOLEAN NTAPI IoTryQueueWorkItem(PIO_WORKITEM IoWorkItem, PIO_WORKITEM_ROUTINE_EX
    WorkerRoutine, WORK_QUEUE_TYPE QueueType, PVOID Context);
NTKERNELAPI VOID NTAPI IoUnregisterBootDriverCallback(PVOID CallbackHandle);
NTKERNELAPI VOID NTAPI IoUpdateLinkShareAccess(PFILE_OBJECT FileObject, PSHARE_ACCESS
    ShareAccess, PLINK_SHARE_ACCESS LinkShareAccess);
NTKERNELAPI VOID NTAPI IoUpdateLinkShareAccessEx(PFILE_OBJECT FileObject, PSHARE_ACCESS
    ShareAccess, PLINK_SHARE_ACCESS LinkShareAccess, ULONG IoShareAccessFlags);
NTKERNELAPI NTSTATUS NTAPI IoVolumeDeviceNameToGuid(PUNICODE_STRING VolumeDeviceName, GUID
    *Guid);
NTKERNELAPI NTSTATUS NTAPI IoVolumeDeviceNameToGuidPath(PUNICODE_STRING VolumeDeviceName,
    PUNICODE_STRING GuidPath);
NTKERNELAPI NTSTATUS NTAPI IoVolumeDeviceToGuid(PVOID VolumeDeviceObject, GUID *Guid);
NTKERNELAPI NTSTATUS NTAPI IoVolumeDeviceToGuidPath(PVOID VolumeDeviceObject, PUNICODE_STRING
    GuidPath);
NTKERNELAPI NTSTATUS NTAPI IoWriteKsrPersistentMemory(PVOID DataHandle, PVOID Buffer, SIZE_T
    Size);
