/*
 * Functions of the kernel that MinGW's headers do not declare: as in the bindings to the WDK
 * that Microsoft published with wdk-sys 0.2.0, else as in windows-sys, with which a test
 * compares each. Which Windows exports them, lib/ntoskrnl.def and lib/ntoskrnl-later.def say.
 */
#pragma once

/* Macros there. */
#undef KeFlushIoBuffers
#undef RtlIsNtDdiVersionAvailable
#undef RtlIsServicePackVersionInstalled
#undef SeDeleteClientSecurity

#include "kernel_functions_io.h"

NTKERNELAPI BOOLEAN NTAPI CcAsyncCopyRead(PFILE_OBJECT FileObject, PLARGE_INTEGER FileOffset,
    ULONG Length, BOOLEAN Wait, PVOID Buffer, PIO_STATUS_BLOCK IoStatus, PETHREAD
    IoIssuerThread, PCC_ASYNC_READ_CONTEXT AsyncReadContext);
NTKERNELAPI BOOLEAN NTAPI CcCopyReadEx(PFILE_OBJECT FileObject, PLARGE_INTEGER FileOffset,
    ULONG Length, BOOLEAN Wait, PVOID Buffer, PIO_STATUS_BLOCK IoStatus, PETHREAD
    IoIssuerThread);
NTKERNELAPI BOOLEAN NTAPI CcCopyWriteEx(PFILE_OBJECT FileObject, PLARGE_INTEGER FileOffset,
    ULONG Length, BOOLEAN Wait, PVOID Buffer, PETHREAD IoIssuerThread);
NTKERNELAPI VOID NTAPI CcInitializeCacheMapEx(PFILE_OBJECT FileObject, PCC_FILE_SIZES
    FileSizes, BOOLEAN PinAccess, PCACHE_MANAGER_CALLBACKS Callbacks, PVOID LazyWriteContext,
    ULONG Flags);
NTKERNELAPI BOOLEAN NTAPI CcIsCacheManagerCallbackNeeded(NTSTATUS Status);
NTKERNELAPI VOID NTAPI CcScheduleReadAheadEx(PFILE_OBJECT FileObject, PLARGE_INTEGER
    FileOffset, ULONG Length, PETHREAD IoIssuerThread);
NTKERNELAPI VOID NTAPI CcSetAdditionalCacheAttributesEx(PFILE_OBJECT FileObject, ULONG Flags);
NTKERNELAPI NTSTATUS NTAPI CmCallbackGetKeyObjectIDEx(PLARGE_INTEGER Cookie, PVOID Object,
    PULONG_PTR ObjectID, PCUNICODE_STRING *ObjectName, ULONG Flags);
NTKERNELAPI VOID NTAPI CmCallbackReleaseKeyObjectIDEx(PCUNICODE_STRING ObjectName);
NTKERNELAPI NTSTATUS NTAPI EtwSetInformation(REGHANDLE RegHandle, EVENT_INFO_CLASS
    InformationClass, PVOID EventInformation, ULONG InformationLength);
NTKERNELAPI VOID NTAPI ExAcquirePushLockExclusiveEx(PULONG_PTR PushLock, ULONG Flags);
NTKERNELAPI VOID NTAPI ExAcquirePushLockSharedEx(PULONG_PTR PushLock, ULONG Flags);
NTKERNELAPI KIRQL NTAPI ExAcquireSpinLockExclusive(PEX_SPIN_LOCK SpinLock);
NTKERNELAPI VOID NTAPI ExAcquireSpinLockExclusiveAtDpcLevel(PEX_SPIN_LOCK SpinLock);
NTKERNELAPI KIRQL NTAPI ExAcquireSpinLockShared(PEX_SPIN_LOCK SpinLock);
NTKERNELAPI VOID NTAPI ExAcquireSpinLockSharedAtDpcLevel(PEX_SPIN_LOCK SpinLock);
NTKERNELAPI PVOID NTAPI ExAllocatePool3(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag,
    PCPOOL_EXTENDED_PARAMETER ExtendedParameters, ULONG ExtendedParametersCount);
NTKERNELAPI VOID NTAPI ExCleanupRundownProtectionCacheAware(PEX_RUNDOWN_REF_CACHE_AWARE
    RunRefCacheAware);
NTKERNELAPI NTSTATUS NTAPI ExCreatePool(ULONG Flags, ULONG_PTR Tag,
    POOL_CREATE_EXTENDED_PARAMS *Params, HANDLE *PoolHandle);
NTKERNELAPI VOID NTAPI ExDestroyPool(HANDLE PoolHandle);
NTKERNELAPI NTSTATUS NTAPI ExEnumerateSystemFirmwareTables(ULONG
    FirmwareTableProviderSignature, PVOID FirmwareTableBuffer, ULONG BufferLength, PULONG
    ReturnLength);
NTKERNELAPI VOID NTAPI ExFreePool2(PVOID P, ULONG Tag, PCPOOL_EXTENDED_PARAMETER
    ExtendedParameters, ULONG ExtendedParametersCount);
NTKERNELAPI NTSTATUS NTAPI ExGetFirmwareEnvironmentVariable(PUNICODE_STRING VariableName,
    LPGUID VendorGuid, PVOID Value, PULONG ValueLength, PULONG Attributes);
NTKERNELAPI FIRMWARE_TYPE NTAPI ExGetFirmwareType(VOID);
NTKERNELAPI NTSTATUS NTAPI ExGetSystemFirmwareTable(ULONG FirmwareTableProviderSignature,
    ULONG FirmwareTableID, PVOID FirmwareTableBuffer, ULONG BufferLength, PULONG
    ReturnLength);
NTKERNELAPI VOID NTAPI ExInitializeRundownProtectionCacheAwareEx(PEX_RUNDOWN_REF_CACHE_AWARE
    RunRefCacheAware, ULONG Flags);
NTKERNELAPI BOOLEAN NTAPI ExIsManufacturingModeEnabled(VOID);
NTKERNELAPI BOOLEAN NTAPI ExIsSoftBoot(VOID);
NTKERNELAPI VOID NTAPI ExQueryTimerResolution(PULONG MaximumTime, PULONG MinimumTime, PULONG
    CurrentTime);
NTKERNELAPI VOID NTAPI ExReleasePushLockExclusiveEx(PULONG_PTR PushLock, ULONG Flags);
NTKERNELAPI VOID NTAPI ExReleasePushLockSharedEx(PULONG_PTR PushLock, ULONG Flags);
NTKERNELAPI VOID NTAPI ExReleaseSpinLockExclusive(PEX_SPIN_LOCK SpinLock, KIRQL OldIrql);
NTKERNELAPI VOID NTAPI ExReleaseSpinLockExclusiveFromDpcLevel(PEX_SPIN_LOCK SpinLock);
NTKERNELAPI VOID NTAPI ExReleaseSpinLockShared(PEX_SPIN_LOCK SpinLock, KIRQL OldIrql);
NTKERNELAPI VOID NTAPI ExReleaseSpinLockSharedFromDpcLevel(PEX_SPIN_LOCK SpinLock);
NTKERNELAPI NTSTATUS NTAPI ExSecurePoolUpdate(HANDLE SecurePoolHandle, ULONG Tag, PVOID
    Allocation, ULONG_PTR Cookie, SIZE_T Offset, SIZE_T Size, PVOID Buffer);
NTKERNELAPI LOGICAL NTAPI ExSecurePoolValidate(HANDLE SecurePoolHandle, ULONG Tag, PVOID
    Allocation, ULONG_PTR Cookie);
NTKERNELAPI NTSTATUS NTAPI ExSetFirmwareEnvironmentVariable(PUNICODE_STRING VariableName,
    LPGUID VendorGuid, PVOID Value, ULONG ValueLength, ULONG Attributes);
NTKERNELAPI LOGICAL NTAPI ExTryAcquireSpinLockExclusiveAtDpcLevel(PEX_SPIN_LOCK SpinLock);
NTKERNELAPI LOGICAL NTAPI ExTryAcquireSpinLockSharedAtDpcLevel(PEX_SPIN_LOCK SpinLock);
NTKERNELAPI LOGICAL NTAPI ExTryConvertSharedSpinLockExclusive(PEX_SPIN_LOCK SpinLock);
NTKERNELAPI VOID NTAPI FsRtlAddToTunnelCacheEx(struct TUNNEL *Cache, ULONGLONG DirectoryKey,
    UNICODE_STRING *ShortName, UNICODE_STRING *LongName, ULONG Flags, ULONG DataLength, void
    *Data);
NTKERNELAPI PVOID NTAPI FsRtlAllocateAePushLock(POOL_TYPE PoolType, ULONG Tag);
NTKERNELAPI BOOLEAN NTAPI FsRtlAreThereWaitingFileLocks(PFILE_LOCK FileLock);
NTKERNELAPI BOOLEAN NTAPI FsRtlCheckLockForOplockRequest(PFILE_LOCK FileLock, PLARGE_INTEGER
    AllocationSize);
NTKERNELAPI NTSTATUS NTAPI FsRtlCheckOplockEx2(POPLOCK Oplock, PIRP Irp, ULONG Flags, ULONG
    FlagsEx2, PVOID CompletionRoutineContext, POPLOCK_WAIT_COMPLETE_ROUTINE CompletionRoutine,
    POPLOCK_FS_PREPOST_IRP PostIrpRoutine, ULONGLONG Timeout, PVOID NotifyContext,
    POPLOCK_NOTIFY_ROUTINE NotifyRoutine);
NTKERNELAPI NTSTATUS NTAPI FsRtlCheckUpperOplock(POPLOCK Oplock, ULONG NewLowerOplockState,
    PVOID CompletionRoutineContext, POPLOCK_WAIT_COMPLETE_ROUTINE CompletionRoutine,
    POPLOCK_FS_PREPOST_IRP PrePendRoutine, ULONG Flags);
NTKERNELAPI VOID NTAPI FsRtlDismountComplete(PDEVICE_OBJECT DeviceObject, NTSTATUS
    DismountStatus);
NTKERNELAPI BOOLEAN NTAPI FsRtlFindInTunnelCacheEx(struct TUNNEL *Cache, ULONGLONG
    DirectoryKey, UNICODE_STRING *Name, UNICODE_STRING *ShortName, UNICODE_STRING *LongName,
    ULONG Flags, ULONG *DataLength, void *Data);
NTKERNELAPI VOID NTAPI FsRtlFreeAePushLock(PVOID AePushLock);
NTKERNELAPI PLIST_ENTRY NTAPI FsRtlGetCurrentProcessLoaderList(VOID);
NTKERNELAPI NTSTATUS NTAPI FsRtlGetSectorSizeInformation(PDEVICE_OBJECT DeviceObject,
    PFILE_FS_SECTOR_SIZE_INFORMATION SectorSizeInfo);
NTKERNELAPI NTSTATUS NTAPI FsRtlGetSupportedFeatures(PDEVICE_OBJECT DeviceObject, PULONG
    SupportedFeatures);
NTKERNELAPI BOOLEAN NTAPI FsRtlIs32BitProcess(PEPROCESS Process);
NTKERNELAPI BOOLEAN NTAPI FsRtlIsDaxVolume(PFILE_OBJECT FileObject);
NTKERNELAPI PFN_NUMBER NTAPI FsRtlIsExtentDangling(PFN_NUMBER StartPage, PFN_NUMBER
    NumberOfPages, ULONG Flags);
NTKERNELAPI BOOLEAN NTAPI FsRtlIsMobileOS(VOID);
NTKERNELAPI BOOLEAN NTAPI FsRtlIsNameInUnUpcasedExpression(PUNICODE_STRING Expression,
    PUNICODE_STRING Name, BOOLEAN IgnoreCase, PWCH UpcaseTable);
NTKERNELAPI BOOLEAN NTAPI FsRtlIsNonEmptyDirectoryReparsePointAllowed(ULONG ReparseTag);
NTKERNELAPI LOGICAL NTAPI FsRtlIsSystemPagingFile(PFILE_OBJECT FileObject);
NTKERNELAPI NTSTATUS NTAPI FsRtlIssueDeviceIoControl(PDEVICE_OBJECT DeviceObject, ULONG IoCtl,
    UCHAR Flags, PVOID InputBuffer, ULONG InputBufferLength, PVOID OutputBuffer, ULONG
    OutputBufferLength, PULONG_PTR IosbInformation);
NTKERNELAPI NTSTATUS NTAPI FsRtlKernelFsControlFile(PFILE_OBJECT FileObject, ULONG
    FsControlCode, PVOID InputBuffer, ULONG InputBufferLength, PVOID OutputBuffer, ULONG
    OutputBufferLength, PULONG RetOutputBufferSize);
NTKERNELAPI NTSTATUS NTAPI FsRtlMdlReadEx(PFILE_OBJECT FileObject, PLARGE_INTEGER FileOffset,
    ULONG Length, ULONG LockKey, PMDL *MdlChain, PIO_STATUS_BLOCK IoStatus);
NTKERNELAPI NTSTATUS NTAPI FsRtlOplockBreakH2(POPLOCK Oplock, PIRP Irp, ULONG Flags, PVOID
    Context, POPLOCK_WAIT_COMPLETE_ROUTINE CompletionRoutine, POPLOCK_FS_PREPOST_IRP
    PostIrpRoutine, PACCESS_MASK GrantedAccess, PUSHORT ShareAccess);
NTKERNELAPI PEPROCESS NTAPI FsRtlOplockGetAnyBreakOwnerProcess(POPLOCK Oplock);
NTKERNELAPI NTSTATUS NTAPI FsRtlPrepareMdlWriteEx(PFILE_OBJECT FileObject, PLARGE_INTEGER
    FileOffset, ULONG Length, ULONG LockKey, PMDL *MdlChain, PIO_STATUS_BLOCK IoStatus);
NTKERNELAPI VOID NTAPI FsRtlPrepareToReuseEcp(PVOID EcpContext);
NTKERNELAPI NTSTATUS NTAPI FsRtlQueryCachedVdl(PFILE_OBJECT FileObject, PLONGLONG Vdl);
NTKERNELAPI NTSTATUS NTAPI FsRtlQueryInformationFile(PFILE_OBJECT FileObject, PVOID
    FileInformation, ULONG Length, FILE_INFORMATION_CLASS FileInformationClass, PULONG
    RetFileInformationSize);
NTKERNELAPI NTSTATUS NTAPI FsRtlQueryKernelEaFile(PFILE_OBJECT FileObject, PVOID
    ReturnedEaData, ULONG Length, BOOLEAN ReturnSingleEntry, PVOID EaList, ULONG EaListLength,
    PULONG EaIndex, BOOLEAN RestartScan, PULONG LengthReturned);
NTKERNELAPI NTSTATUS NTAPI FsRtlRegisterUncProviderEx2(PCUNICODE_STRING RedirDevName,
    PDEVICE_OBJECT DeviceObject, const FSRTL_UNC_PROVIDER_REGISTRATION *Registration, PHANDLE
    MupHandle);
NTKERNELAPI NTSTATUS NTAPI FsRtlSetDriverBacking(PDRIVER_OBJECT DriverObj, ULONG Flags);
NTKERNELAPI NTSTATUS NTAPI FsRtlSetKernelEaFile(PFILE_OBJECT FileObject, PVOID EaBuffer, ULONG
    Length);
NTKERNELAPI VOID NTAPI FsRtlUpdateDiskCounters(ULONG64 BytesRead, ULONG64 BytesWritten);
NTKERNELAPI NTSTATUS NTAPI FsRtlUpperOplockFsctrl(POPLOCK Oplock, PIRP Irp, ULONG OpenCount,
    ULONG LowerOplockState, ULONG Flags);
NTKERNELAPI NTSTATUS NTAPI FsRtlVolumeDeviceToCorrelationId(PDEVICE_OBJECT VolumeDeviceObject,
    GUID *Guid);
NTKERNELAPI NTSTATUS NTAPI HalAssignSlotResources(
    const UNICODE_STRING *registrypath, const UNICODE_STRING *driverclassname, DRIVER_OBJECT
    *driverobject, DEVICE_OBJECT *deviceobject, INTERFACE_TYPE bustype, ULONG busnumber, ULONG
    slotnumber, CM_RESOURCE_LIST **allocatedresources);
NTKERNELAPI ULONG NTAPI HalGetBusData(
    BUS_DATA_TYPE busdatatype, ULONG busnumber, ULONG slotnumber, PVOID buffer, ULONG length);
NTKERNELAPI ULONG NTAPI HalGetInterruptVector(
    INTERFACE_TYPE interfacetype, ULONG busnumber, ULONG businterruptlevel, ULONG
    businterruptvector, UCHAR *irql, SIZE_T *affinity);
NTKERNELAPI BOOLEAN NTAPI HalMakeBeep(ULONG frequency);
NTKERNELAPI ULONG NTAPI HalSetBusData(
    BUS_DATA_TYPE busdatatype, ULONG busnumber, ULONG slotnumber, PVOID buffer, ULONG length);
NTKERNELAPI NTSTATUS NTAPI KeAddTriageDumpDataBlock(PKTRIAGE_DUMP_DATA_ARRAY
    KtriageDumpDataArray, PVOID Address, SIZE_T Size);
NTKERNELAPI NTSTATUS NTAPI KeConvertAuxiliaryCounterToPerformanceCounter(ULONG64
    AuxiliaryCounterValue, PULONG64 PerformanceCounterValue, PULONG64 ConversionError);
NTKERNELAPI NTSTATUS NTAPI KeConvertPerformanceCounterToAuxiliaryCounter(ULONG64
    PerformanceCounterValue, PULONG64 AuxiliaryCounterValue, PULONG64 ConversionError);
NTKERNELAPI NTSTATUS NTAPI KeDeregisterBoundCallback(PVOID Handle);
NTKERNELAPI NTSTATUS NTAPI KeExpandKernelStackAndCalloutEx(PEXPAND_STACK_CALLOUT Callout,
    PVOID Parameter, SIZE_T Size, BOOLEAN Wait, PVOID Context);
NTKERNELAPI VOID NTAPI KeFlushIoBuffers(PMDL Mdl, BOOLEAN ReadOperation, BOOLEAN
    DmaOperation);
NTKERNELAPI NTSTATUS NTAPI KeInitializeCrashDumpHeader(ULONG DumpType, ULONG Flags, PVOID
    Buffer, ULONG BufferSize, PULONG BufferNeeded);
NTKERNELAPI NTSTATUS NTAPI KeInitializeTriageDumpDataArray(PKTRIAGE_DUMP_DATA_ARRAY
    KtriageDumpDataArray, ULONG Size);
NTKERNELAPI LOGICAL NTAPI KeIsExecutingDpc(VOID);
NTKERNELAPI NTSTATUS NTAPI KeQueryAuxiliaryCounterFrequency(PULONG64
    AuxiliaryCounterFrequency);
NTKERNELAPI ULONG64 NTAPI KeQueryInterruptTimePrecise(PULONG64 QpcTimeStamp);
NTKERNELAPI NTSTATUS NTAPI KeQueryNodeActiveAffinity2(USHORT NodeNumber, PGROUP_AFFINITY
    GroupAffinities, USHORT GroupAffinitiesCount, PUSHORT GroupAffinitiesRequired);
NTKERNELAPI ULONG NTAPI KeQueryNodeActiveProcessorCount(USHORT NodeNumber);
NTKERNELAPI VOID NTAPI KeQuerySystemTimePrecise(PLARGE_INTEGER CurrentTime);
NTKERNELAPI ULONG64 NTAPI KeQueryUnbiasedInterruptTimePrecise(PULONG64 QpcTimeStamp);
NTKERNELAPI PVOID NTAPI KeRegisterBoundCallback(PBOUND_CALLBACK CallbackRoutine);
NTKERNELAPI BOOLEAN NTAPI KeRemoveQueueDpcEx(PRKDPC Dpc, BOOLEAN WaitIfActive);
NTKERNELAPI LOGICAL NTAPI KeShouldYieldProcessor(VOID);
NTKERNELAPI NTSTATUS NTAPI MmAddVerifierSpecialThunks(ULONG_PTR EntryRoutine, PVOID
    ThunkBuffer, ULONG ThunkBufferSize);
NTKERNELAPI NTSTATUS NTAPI MmAllocateContiguousMemoryEx(PSIZE_T NumberOfBytes,
    PHYSICAL_ADDRESS LowestAcceptableAddress, PHYSICAL_ADDRESS HighestAcceptableAddress,
    PHYSICAL_ADDRESS BoundaryAddressMultiple, NODE_REQUIREMENT PreferredNode, ULONG Protect,
    PVOID PartitionObject, ULONG Tag, ULONG Flags, PVOID *BaseAddress);
NTKERNELAPI PVOID NTAPI MmAllocateContiguousNodeMemory(SIZE_T NumberOfBytes, PHYSICAL_ADDRESS
    LowestAcceptableAddress, PHYSICAL_ADDRESS HighestAcceptableAddress, PHYSICAL_ADDRESS
    BoundaryAddressMultiple, ULONG Protect, NODE_REQUIREMENT PreferredNode);
NTKERNELAPI PVOID NTAPI MmAllocateMappingAddressEx(SIZE_T NumberOfBytes, ULONG PoolTag, ULONG
    Flags);
NTKERNELAPI NTSTATUS NTAPI MmAllocateMdlForIoSpace(PMM_PHYSICAL_ADDRESS_LIST
    PhysicalAddressList, SIZE_T NumberOfEntries, PMDL *NewMdl);
NTKERNELAPI PMDL NTAPI MmAllocateNodePagesForMdlEx(PHYSICAL_ADDRESS LowAddress,
    PHYSICAL_ADDRESS HighAddress, PHYSICAL_ADDRESS SkipBytes, SIZE_T TotalBytes,
    MEMORY_CACHING_TYPE CacheType, ULONG IdealNode, ULONG Flags);
NTKERNELAPI PMDL NTAPI MmAllocatePartitionNodePagesForMdlEx(PHYSICAL_ADDRESS LowAddress,
    PHYSICAL_ADDRESS HighAddress, PHYSICAL_ADDRESS SkipBytes, SIZE_T TotalBytes,
    MEMORY_CACHING_TYPE CacheType, MM_NODE_NUMBER_ZERO_BASED IdealNode, ULONG Flags, PVOID
    PartitionObject);
NTKERNELAPI LOGICAL NTAPI MmAreMdlPagesCached(PMDL MemoryDescriptorList);
NTKERNELAPI NTSTATUS NTAPI MmCopyMemory(PVOID TargetAddress, MM_COPY_ADDRESS SourceAddress,
    SIZE_T NumberOfBytes, ULONG Flags, PSIZE_T NumberOfBytesTransferred);
NTKERNELAPI BOOLEAN NTAPI MmForceSectionClosedEx(PSECTION_OBJECT_POINTERS
    SectionObjectPointer, ULONG ForceCloseFlags);
NTKERNELAPI VOID NTAPI MmFreePagesFromMdlEx(PMDL MemoryDescriptorList, ULONG Flags);
NTKERNELAPI NTSTATUS NTAPI MmGetCacheAttribute(PHYSICAL_ADDRESS PhysicalAddress,
    MEMORY_CACHING_TYPE *CacheType);
NTKERNELAPI NTSTATUS NTAPI MmGetCacheAttributeEx(PHYSICAL_ADDRESS PhysicalAddress, ULONG
    Flags, MEMORY_CACHING_TYPE *CacheType);
NTKERNELAPI ULONGLONG NTAPI MmGetMaximumFileSectionSize(VOID);
NTKERNELAPI PPHYSICAL_MEMORY_RANGE NTAPI MmGetPhysicalMemoryRangesEx(PVOID PartitionObject);
NTKERNELAPI PPHYSICAL_MEMORY_RANGE NTAPI MmGetPhysicalMemoryRangesEx2(PVOID PartitionObject,
    ULONG Flags);
NTKERNELAPI LOGICAL NTAPI MmIsDriverSuspectForVerifier(DRIVER_OBJECT *DriverObject);
NTKERNELAPI NTSTATUS NTAPI MmIsFileSectionActive(PSECTION_OBJECT_POINTERS FsSectionPointer,
    ULONG Flags, PLOGICAL SectionIsActive);
NTKERNELAPI PVOID NTAPI MmMapIoSpaceEx(PHYSICAL_ADDRESS PhysicalAddress, SIZE_T NumberOfBytes,
    ULONG Protect);
NTKERNELAPI NTSTATUS NTAPI MmMapMdl(PMDL MemoryDescriptorList, ULONG Protection,
    PMM_MDL_ROUTINE DriverRoutine, PVOID DriverContext);
NTKERNELAPI NTSTATUS NTAPI MmMapMemoryDumpMdlEx(PVOID Va, PFN_NUMBER PageTotal, PMDL
    MemoryDumpMdl, ULONG Flags);
NTKERNELAPI NTSTATUS NTAPI MmMapViewInSessionSpaceEx(PVOID Section, PVOID *MappedBase, PSIZE_T
    ViewSize, PLARGE_INTEGER SectionOffset, ULONG_PTR Flags);
NTKERNELAPI NTSTATUS NTAPI MmMapViewInSystemSpaceEx(PVOID Section, PVOID *MappedBase, PSIZE_T
    ViewSize, PLARGE_INTEGER SectionOffset, ULONG_PTR Flags);
NTKERNELAPI MM_MDL_PAGE_CONTENTS_STATE NTAPI MmMdlPageContentsState(PMDL MemoryDescriptorList,
    MM_MDL_PAGE_CONTENTS_STATE State);
NTKERNELAPI LOGICAL NTAPI MmMdlPagesAreZero(PMDL Mdl);
NTKERNELAPI VOID NTAPI MmProbeAndLockSelectedPages(PMDL MemoryDescriptorList,
    PFILE_SEGMENT_ELEMENT SegmentArray, KPROCESSOR_MODE AccessMode, LOCK_OPERATION Operation);
NTKERNELAPI NTSTATUS NTAPI MmProtectDriverSection(PVOID AddressWithinSection, SIZE_T Size,
    ULONG Flags);
NTKERNELAPI HANDLE NTAPI MmSecureVirtualMemoryEx(PVOID Address, SIZE_T Size, ULONG ProbeMode,
    ULONG Flags);
NTKERNELAPI NTSTATUS NTAPI MmSetPermanentCacheAttribute(PHYSICAL_ADDRESS StartAddress,
    LARGE_INTEGER NumberOfBytes, MEMORY_CACHING_TYPE CacheType, ULONG Flags);
NTKERNELAPI NTSTATUS NTAPI ObCloseHandle(HANDLE Handle, KPROCESSOR_MODE PreviousMode);
NTKERNELAPI BOOLEAN NTAPI ObReferenceObjectSafe(PVOID Object);
NTKERNELAPI BOOLEAN NTAPI ObReferenceObjectSafeWithTag(PVOID Object, ULONG Tag);
NTKERNELAPI NTSTATUS NTAPI PcwAddInstance(PPCW_BUFFER Buffer, PCUNICODE_STRING Name, ULONG Id,
    ULONG Count, PPCW_DATA Data);
NTKERNELAPI VOID NTAPI PcwCloseInstance(PPCW_INSTANCE Instance);
NTKERNELAPI NTSTATUS NTAPI PcwCreateInstance(PPCW_INSTANCE *Instance, PPCW_REGISTRATION
    Registration, PCUNICODE_STRING Name, ULONG Count, PPCW_DATA Data);
NTKERNELAPI NTSTATUS NTAPI PcwRegister(PPCW_REGISTRATION *Registration,
    PPCW_REGISTRATION_INFORMATION Info);
NTKERNELAPI VOID NTAPI PcwUnregister(PPCW_REGISTRATION Registration);
NTKERNELAPI NTSTATUS NTAPI PoCreateThermalRequest(PVOID *ThermalRequest, PDEVICE_OBJECT
    TargetDeviceObject, PDEVICE_OBJECT PolicyDeviceObject, PCOUNTED_REASON_CONTEXT Context,
    ULONG Flags);
NTKERNELAPI VOID NTAPI PoDeleteThermalRequest(PVOID ThermalRequest);
NTKERNELAPI VOID NTAPI PoFxActivateComponent(POHANDLE Handle, ULONG Component, ULONG Flags);
NTKERNELAPI VOID NTAPI PoFxCompleteDevicePowerNotRequired(POHANDLE Handle);
NTKERNELAPI VOID NTAPI PoFxCompleteDirectedPowerDown(POHANDLE Handle);
NTKERNELAPI VOID NTAPI PoFxCompleteIdleCondition(POHANDLE Handle, ULONG Component);
NTKERNELAPI VOID NTAPI PoFxCompleteIdleState(POHANDLE Handle, ULONG Component);
NTKERNELAPI VOID NTAPI PoFxIdleComponent(POHANDLE Handle, ULONG Component, ULONG Flags);
NTKERNELAPI VOID NTAPI PoFxIssueComponentPerfStateChange(POHANDLE Handle, ULONG Flags, ULONG
    Component, PPO_FX_PERF_STATE_CHANGE PerfChange, PVOID Context);
NTKERNELAPI VOID NTAPI PoFxIssueComponentPerfStateChangeMultiple(POHANDLE Handle, ULONG Flags,
    ULONG Component, ULONG PerfChangesCount, PO_FX_PERF_STATE_CHANGE *PerfChanges, PVOID
    Context);
NTKERNELAPI VOID NTAPI PoFxNotifySurprisePowerOn(PDEVICE_OBJECT Pdo);
NTKERNELAPI NTSTATUS NTAPI PoFxPowerControl(POHANDLE Handle, LPCGUID PowerControlCode, PVOID
    InBuffer, SIZE_T InBufferSize, PVOID OutBuffer, SIZE_T OutBufferSize, PSIZE_T
    BytesReturned);
NTKERNELAPI NTSTATUS NTAPI PoFxPowerOnCrashdumpDevice(POHANDLE Handle, PVOID Context);
NTKERNELAPI NTSTATUS NTAPI PoFxQueryCurrentComponentPerfState(POHANDLE Handle, ULONG Flags,
    ULONG Component, ULONG SetIndex, PULONGLONG CurrentPerf);
NTKERNELAPI NTSTATUS NTAPI PoFxRegisterCrashdumpDevice(POHANDLE Handle);
NTKERNELAPI NTSTATUS NTAPI PoFxRegisterDevice(PDEVICE_OBJECT Pdo, PPO_FX_DEVICE Device,
    POHANDLE *Handle);
NTKERNELAPI VOID NTAPI PoFxReportDevicePoweredOn(POHANDLE Handle);
NTKERNELAPI VOID NTAPI PoFxSetComponentLatency(POHANDLE Handle, ULONG Component, ULONGLONG
    Latency);
NTKERNELAPI VOID NTAPI PoFxSetComponentResidency(POHANDLE Handle, ULONG Component, ULONGLONG
    Residency);
NTKERNELAPI VOID NTAPI PoFxSetComponentWake(POHANDLE Handle, ULONG Component, BOOLEAN
    WakeHint);
NTKERNELAPI VOID NTAPI PoFxSetDeviceIdleTimeout(POHANDLE Handle, ULONGLONG IdleTimeout);
NTKERNELAPI NTSTATUS NTAPI PoFxSetTargetDripsDevicePowerState(POHANDLE Handle,
    DEVICE_POWER_STATE TargetState);
NTKERNELAPI VOID NTAPI PoFxStartDevicePowerManagement(POHANDLE Handle);
NTKERNELAPI VOID NTAPI PoFxUnregisterDevice(POHANDLE Handle);
NTKERNELAPI BOOLEAN NTAPI PoGetThermalRequestSupport(PVOID ThermalRequest,
    PO_THERMAL_REQUEST_TYPE Type);
NTKERNELAPI VOID NTAPI PoSetHiberRange(PVOID MemoryMap, ULONG Flags, PVOID Address, ULONG_PTR
    Length, ULONG Tag);
NTKERNELAPI VOID NTAPI PoSetSystemWakeDevice(PDEVICE_OBJECT DeviceObject);
NTKERNELAPI NTSTATUS NTAPI PoSetThermalActiveCooling(PVOID ThermalRequest, BOOLEAN Engaged);
NTKERNELAPI NTSTATUS NTAPI PoSetThermalPassiveCooling(PVOID ThermalRequest, UCHAR Throttle);
NTKERNELAPI NTSTATUS NTAPI PsAcquireSiloHardReference(PESILO Silo);
NTKERNELAPI NTSTATUS NTAPI PsAllocSiloContextSlot(ULONG_PTR Reserved, ULONG
    *ReturnedContextSlot);
NTKERNELAPI NTSTATUS NTAPI PsAllocateAffinityToken(PAFFINITY_TOKEN *AffinityToken);
NTKERNELAPI PESILO NTAPI PsAttachSiloToCurrentThread(PESILO Silo);
NTKERNELAPI NTSTATUS NTAPI PsCreateSiloContext(PESILO Silo, ULONG Size, POOL_TYPE PoolType,
    SILO_CONTEXT_CLEANUP_CALLBACK ContextCleanupCallback, PVOID *ReturnedSiloContext);
NTKERNELAPI VOID NTAPI PsDereferenceSiloContext(PVOID SiloContext);
NTKERNELAPI VOID NTAPI PsDetachSiloFromCurrentThread(PESILO PreviousSilo);
NTKERNELAPI VOID NTAPI PsFreeAffinityToken(PAFFINITY_TOKEN AffinityToken);
NTKERNELAPI NTSTATUS NTAPI PsFreeSiloContextSlot(ULONG ContextSlot);
NTKERNELAPI PESILO NTAPI PsGetCurrentServerSilo(VOID);
NTKERNELAPI PUNICODE_STRING NTAPI PsGetCurrentServerSiloName(VOID);
NTKERNELAPI PESILO NTAPI PsGetCurrentSilo(VOID);
NTKERNELAPI PVOID NTAPI PsGetCurrentThreadTeb(VOID);
NTKERNELAPI PESILO NTAPI PsGetEffectiveServerSilo(PESILO Silo);
NTKERNELAPI PESILO NTAPI PsGetHostSilo(VOID);
NTKERNELAPI NTSTATUS NTAPI PsGetJobServerSilo(PEJOB Job, PESILO *ServerSilo);
NTKERNELAPI NTSTATUS NTAPI PsGetJobSilo(PEJOB Job, PESILO *Silo);
NTKERNELAPI PESILO NTAPI PsGetParentSilo(PEJOB Job);
NTKERNELAPI NTSTATUS NTAPI PsGetPermanentSiloContext(PESILO Silo, ULONG ContextSlot, PVOID
    *ReturnedSiloContext);
NTKERNELAPI NTSTATUS NTAPI PsGetProcessExitStatus(PEPROCESS Process);
NTKERNELAPI ULONGLONG NTAPI PsGetProcessStartKey(PEPROCESS Process);
NTKERNELAPI ULONG NTAPI PsGetServerSiloServiceSessionId(PESILO Silo);
NTKERNELAPI GUID *NTAPI PsGetSiloContainerId(PESILO Silo);
NTKERNELAPI NTSTATUS NTAPI PsGetSiloContext(PESILO Silo, ULONG ContextSlot, PVOID
    *ReturnedSiloContext);
NTKERNELAPI ULONG NTAPI PsGetSiloMonitorContextSlot(PSILO_MONITOR Monitor);
NTKERNELAPI LONGLONG NTAPI PsGetThreadCreateTime(PETHREAD Thread);
NTKERNELAPI NTSTATUS NTAPI PsGetThreadExitStatus(PETHREAD Thread);
NTKERNELAPI PEPROCESS NTAPI PsGetThreadProcess(PETHREAD Thread);
NTKERNELAPI PVOID NTAPI PsGetThreadProperty(PETHREAD Thread, ULONG_PTR Key, ULONG Flags);
NTKERNELAPI PESILO NTAPI PsGetThreadServerSilo(PETHREAD Thread);
NTKERNELAPI NTSTATUS NTAPI PsInsertPermanentSiloContext(PESILO Silo, ULONG ContextSlot, PVOID
    SiloContext);
NTKERNELAPI NTSTATUS NTAPI PsInsertSiloContext(PESILO Silo, ULONG ContextSlot, PVOID
    SiloContext);
NTKERNELAPI BOOLEAN NTAPI PsIsCurrentThreadInServerSilo(VOID);
NTKERNELAPI BOOLEAN NTAPI PsIsDiskCountersEnabled(VOID);
NTKERNELAPI BOOLEAN NTAPI PsIsHostSilo(PESILO Silo);
NTKERNELAPI NTSTATUS NTAPI PsMakeSiloContextPermanent(PESILO Silo, ULONG ContextSlot);
NTKERNELAPI ULONG64 NTAPI PsQueryTotalCycleTimeProcess(PEPROCESS Process, PULONG64
    CycleTimeStamp);
NTKERNELAPI VOID NTAPI PsReferenceSiloContext(PVOID SiloContext);
NTKERNELAPI NTSTATUS NTAPI PsRegisterSiloMonitor(PSILO_MONITOR_REGISTRATION Registration,
    PSILO_MONITOR *ReturnedMonitor);
NTKERNELAPI VOID NTAPI PsReleaseSiloHardReference(PESILO Silo);
NTKERNELAPI NTSTATUS NTAPI PsRemoveSiloContext(PESILO Silo, ULONG ContextSlot, PVOID
    *RemovedSiloContext);
NTKERNELAPI NTSTATUS NTAPI PsReplaceSiloContext(PESILO Silo, ULONG ContextSlot, PVOID
    NewSiloContext, PVOID *OldSiloContext);
NTKERNELAPI VOID NTAPI PsRevertToUserMultipleGroupAffinityThread(PAFFINITY_TOKEN
    AffinityToken);
NTKERNELAPI NTSTATUS NTAPI PsSetCreateProcessNotifyRoutineEx2(PSCREATEPROCESSNOTIFYTYPE
    NotifyType, PVOID NotifyInformation, BOOLEAN Remove);
NTKERNELAPI NTSTATUS NTAPI PsSetCreateThreadNotifyRoutineEx(PSCREATETHREADNOTIFYTYPE
    NotifyType, PVOID NotifyInformation);
NTKERNELAPI NTSTATUS NTAPI PsSetLoadImageNotifyRoutineEx(PLOAD_IMAGE_NOTIFY_ROUTINE
    NotifyRoutine, ULONG_PTR Flags);
NTKERNELAPI NTSTATUS NTAPI PsSetSystemMultipleGroupAffinityThread(PGROUP_AFFINITY
    GroupAffinities, USHORT GroupCount, PAFFINITY_TOKEN AffinityToken);
NTKERNELAPI NTSTATUS NTAPI PsStartSiloMonitor(PSILO_MONITOR Monitor);
NTKERNELAPI VOID NTAPI PsTerminateServerSilo(PESILO ServerSilo, NTSTATUS ExitStatus);
NTKERNELAPI VOID NTAPI PsUnregisterSiloMonitor(PSILO_MONITOR Monitor);
NTKERNELAPI VOID NTAPI PsUpdateDiskCounters(PEPROCESS Process, ULONG64 BytesRead, ULONG64
    BytesWritten, ULONG ReadOperationCount, ULONG WriteOperationCount, ULONG
    FlushOperationCount);
NTKERNELAPI NTSTATUS NTAPI RtlDecompressBufferEx2(USHORT CompressionFormat, PUCHAR
    UncompressedBuffer, ULONG UncompressedBufferSize, PUCHAR CompressedBuffer, ULONG
    CompressedBufferSize, ULONG UncompressedChunkSize, PULONG FinalUncompressedSize, PVOID
    WorkSpace);
NTKERNELAPI NTSTATUS NTAPI RtlDecompressFragmentEx(USHORT CompressionFormat, PUCHAR
    UncompressedFragment, ULONG UncompressedFragmentSize, PUCHAR CompressedBuffer, ULONG
    CompressedBufferSize, ULONG FragmentOffset, ULONG UncompressedChunkSize, PULONG
    FinalUncompressedSize, PVOID WorkSpace);
NTKERNELAPI NTSTATUS NTAPI RtlGenerateClass5Guid(const GUID *NamespaceGuid, PVOID Buffer,
    ULONG BufferSize, GUID *Guid);
NTKERNELAPI BOOLEAN NTAPI RtlIsNtDdiVersionAvailable(ULONG Version);
NTKERNELAPI BOOLEAN NTAPI RtlIsSandboxedToken(PSECURITY_SUBJECT_CONTEXT Context,
    KPROCESSOR_MODE PreviousMode);
NTKERNELAPI BOOLEAN NTAPI RtlIsServicePackVersionInstalled(ULONG Version);
NTKERNELAPI NTSTATUS NTAPI RtlSetSystemGlobalData(RTL_SYSTEM_GLOBAL_DATA_ID DataId, PVOID
    Buffer, ULONG Size);
NTKERNELAPI BOOLEAN NTAPI RtlSuffixUnicodeString(PCUNICODE_STRING String1, PCUNICODE_STRING
    String2, BOOLEAN CaseInSensitive);
NTKERNELAPI NTSTATUS NTAPI RtlUnicodeStringToInt64(PCUNICODE_STRING String, ULONG Base,
    PLONG64 Number, PWSTR *EndPointer);
NTKERNELAPI BOOLEAN NTAPI SeAccessCheckFromStateEx(PSECURITY_DESCRIPTOR SecurityDescriptor,
    PACCESS_TOKEN PrimaryToken, PACCESS_TOKEN ClientToken, ACCESS_MASK DesiredAccess,
    ACCESS_MASK PreviouslyGrantedAccess, PPRIVILEGE_SET *Privileges, PGENERIC_MAPPING
    GenericMapping, KPROCESSOR_MODE AccessMode, PACCESS_MASK GrantedAccess, PNTSTATUS
    AccessStatus);
NTKERNELAPI VOID NTAPI SeAdjustAccessStateForAccessConstraints(PVOID ObjectType,
    PSECURITY_DESCRIPTOR SecurityDescriptor, PACCESS_STATE AccessState);
NTKERNELAPI VOID NTAPI SeAdjustAccessStateForTrustLabel(PVOID ObjectType, PSECURITY_DESCRIPTOR
    SecurityDescriptor, PACCESS_STATE AccessState);
NTKERNELAPI NTSTATUS NTAPI SeAdjustObjectSecurity(PUNICODE_STRING ObjectName,
    PSECURITY_DESCRIPTOR OriginalDescriptor, PSECURITY_DESCRIPTOR ProposedDescriptor,
    PSECURITY_SUBJECT_CONTEXT SubjectSecurityContext, PSECURITY_DESCRIPTOR
    *AdjustedDescriptor, PBOOLEAN ApplyAdjustedDescriptor);
NTKERNELAPI VOID NTAPI SeAuditFipsCryptoSelftests(BOOLEAN bSuccess, ULONG SelftestCode);
NTKERNELAPI BOOLEAN NTAPI SeAuditingAnyFileEventsWithContextEx(PSECURITY_DESCRIPTOR
    SecurityDescriptor, PSECURITY_SUBJECT_CONTEXT SubjectSecurityContext, PBOOLEAN
    StagingEnabled);
NTKERNELAPI BOOLEAN NTAPI SeAuditingFileEventsWithContextEx(BOOLEAN AccessGranted,
    PSECURITY_DESCRIPTOR SecurityDescriptor, PSECURITY_SUBJECT_CONTEXT SubjectSecurityContext,
    PBOOLEAN StagingEnabled);
NTKERNELAPI VOID NTAPI SeCaptureSubjectContextEx(PETHREAD Thread, PEPROCESS Process,
    PSECURITY_SUBJECT_CONTEXT SubjectContext);
NTKERNELAPI VOID NTAPI SeCheckForCriticalAceRemoval(PSECURITY_DESCRIPTOR CurrentDescriptor,
    PSECURITY_DESCRIPTOR NewDescriptor, PSECURITY_SUBJECT_CONTEXT SubjectSecurityContext,
    PBOOLEAN AceRemoved);
NTKERNELAPI VOID NTAPI SeDeleteClientSecurity(PSECURITY_CLIENT_CONTEXT ClientContext);
NTKERNELAPI NTSTATUS NTAPI SeEtwWriteKMCveEvent(PCUNICODE_STRING CveId, PCUNICODE_STRING
    AdditionalDetails);
NTKERNELAPI NTSTATUS NTAPI SeMarkLogonSessionForTerminationNotificationEx(PLUID LogonId,
    PESILO pServerSilo);
NTKERNELAPI NTSTATUS NTAPI SeQueryServerSiloToken(PACCESS_TOKEN Token, PESILO *pServerSilo);
NTKERNELAPI NTSTATUS NTAPI SeQuerySessionIdTokenEx(PACCESS_TOKEN Token, PULONG SessionId,
    PBOOLEAN IsServiceSession);
NTKERNELAPI NTSTATUS NTAPI
    SeRegisterLogonSessionTerminatedRoutineEx(PSE_LOGON_SESSION_TERMINATED_ROUTINE_EX
    CallbackRoutine, PVOID Context);
NTKERNELAPI BOOLEAN NTAPI SeShouldCheckForAccessRightsFromParent(PVOID ObjectType,
    PSECURITY_DESCRIPTOR ChildDescriptor, PACCESS_STATE AccessState);
NTKERNELAPI NTSTATUS NTAPI SeTokenFromAccessInformation(PTOKEN_ACCESS_INFORMATION
    AccessInformation, PACCESS_TOKEN Token, ULONG Length, PULONG RequiredLength);
NTKERNELAPI VOID NTAPI SeUnregisterImageVerificationCallback(PVOID CallbackHandle);
NTKERNELAPI NTSTATUS NTAPI
    SeUnregisterLogonSessionTerminatedRoutineEx(PSE_LOGON_SESSION_TERMINATED_ROUTINE_EX
    CallbackRoutine, PVOID Context);
NTKERNELAPI NTSTATUS NTAPI TmCommitComplete(PKENLISTMENT Enlistment, PLARGE_INTEGER
    TmVirtualClock);
NTKERNELAPI NTSTATUS NTAPI TmCommitEnlistment(PKENLISTMENT Enlistment, PLARGE_INTEGER
    TmVirtualClock);
NTKERNELAPI NTSTATUS NTAPI TmCommitTransaction(PKTRANSACTION Transaction, BOOLEAN Wait);
NTKERNELAPI NTSTATUS NTAPI TmCreateEnlistment(PHANDLE EnlistmentHandle, KPROCESSOR_MODE
    PreviousMode, ACCESS_MASK DesiredAccess, POBJECT_ATTRIBUTES ObjectAttributes,
    PRKRESOURCEMANAGER ResourceManager, PKTRANSACTION Transaction, ULONG CreateOptions,
    NOTIFICATION_MASK NotificationMask, PVOID EnlistmentKey);
NTKERNELAPI NTSTATUS NTAPI TmDereferenceEnlistmentKey(PKENLISTMENT Enlistment, PBOOLEAN
    LastReference);
NTKERNELAPI NTSTATUS NTAPI TmEnableCallbacks(PKRESOURCEMANAGER ResourceManager,
    PTM_RM_NOTIFICATION CallbackRoutine, PVOID RMKey);
NTKERNELAPI VOID NTAPI TmGetTransactionId(PKTRANSACTION Transaction, PUOW TransactionId);
NTKERNELAPI NTSTATUS NTAPI TmInitializeTransactionManager(PRKTM TransactionManager,
    PCUNICODE_STRING LogFileName, PGUID TmId, ULONG CreateOptions);
NTKERNELAPI BOOLEAN NTAPI TmIsTransactionActive(PKTRANSACTION Transaction);
NTKERNELAPI NTSTATUS NTAPI TmPrePrepareComplete(PKENLISTMENT Enlistment, PLARGE_INTEGER
    TmVirtualClock);
NTKERNELAPI NTSTATUS NTAPI TmPrePrepareEnlistment(PKENLISTMENT Enlistment, PLARGE_INTEGER
    TmVirtualClock);
NTKERNELAPI NTSTATUS NTAPI TmPrepareComplete(PKENLISTMENT Enlistment, PLARGE_INTEGER
    TmVirtualClock);
NTKERNELAPI NTSTATUS NTAPI TmPrepareEnlistment(PKENLISTMENT Enlistment, PLARGE_INTEGER
    TmVirtualClock);
NTKERNELAPI NTSTATUS NTAPI TmPropagationComplete(PKRESOURCEMANAGER ResourceManager, ULONG
    RequestCookie, ULONG BufferLength, PVOID Buffer);
NTKERNELAPI NTSTATUS NTAPI TmPropagationFailed(PKRESOURCEMANAGER ResourceManager, ULONG
    RequestCookie, NTSTATUS Status);
NTKERNELAPI NTSTATUS NTAPI TmReadOnlyEnlistment(PKENLISTMENT Enlistment, PLARGE_INTEGER
    TmVirtualClock);
NTKERNELAPI NTSTATUS NTAPI TmRecoverEnlistment(PKENLISTMENT Enlistment, PVOID EnlistmentKey);
NTKERNELAPI NTSTATUS NTAPI TmRecoverResourceManager(PKRESOURCEMANAGER ResourceManager);
NTKERNELAPI NTSTATUS NTAPI TmRecoverTransactionManager(PKTM Tm, PLARGE_INTEGER
    TargetVirtualClock);
NTKERNELAPI NTSTATUS NTAPI TmReferenceEnlistmentKey(PKENLISTMENT Enlistment, PVOID *Key);
NTKERNELAPI NTSTATUS NTAPI TmRenameTransactionManager(PUNICODE_STRING LogFileName, LPGUID
    ExistingTransactionManagerGuid);
NTKERNELAPI NTSTATUS NTAPI TmRequestOutcomeEnlistment(PKENLISTMENT Enlistment, PLARGE_INTEGER
    TmVirtualClock);
NTKERNELAPI NTSTATUS NTAPI TmRollbackComplete(PKENLISTMENT Enlistment, PLARGE_INTEGER
    TmVirtualClock);
NTKERNELAPI NTSTATUS NTAPI TmRollbackEnlistment(PKENLISTMENT Enlistment, PLARGE_INTEGER
    TmVirtualClock);
NTKERNELAPI NTSTATUS NTAPI TmRollbackTransaction(PKTRANSACTION Transaction, BOOLEAN Wait);
NTKERNELAPI NTSTATUS NTAPI TmSinglePhaseReject(PKENLISTMENT Enlistment, PLARGE_INTEGER
    TmVirtualClock);
NTKERNELAPI NTSTATUS NTAPI VslCreateSecureSection(PHANDLE Handle, PEPROCESS TargetProcess,
    PMDL Mdl, ULONG DevicePageProtection, ULONG Attributes);
NTKERNELAPI NTSTATUS NTAPI VslDeleteSecureSection(HANDLE GlobalHandle);
NTKERNELAPI NTSTATUS NTAPI WheaAddErrorSource(PWHEA_ERROR_SOURCE_DESCRIPTOR ErrorSource, PVOID
    Context);
NTKERNELAPI NTSTATUS NTAPI WheaAddErrorSourceDeviceDriver(PVOID Context,
    PWHEA_ERROR_SOURCE_CONFIGURATION_DEVICE_DRIVER Configuration, ULONG
    NumberPreallocatedErrorReports);
NTKERNELAPI NTSTATUS NTAPI WheaAddErrorSourceDeviceDriverV1(PVOID Context,
    PWHEA_ERROR_SOURCE_CONFIGURATION_DEVICE_DRIVER Configuration, ULONG
    NumBuffersToPreallocate, ULONG MaxDataLength);
NTKERNELAPI NTSTATUS NTAPI WheaAddHwErrorReportSectionDeviceDriver(WHEA_ERROR_HANDLE
    ErrorHandle, ULONG SectionDataLength, PWHEA_DRIVER_BUFFER_SET BufferSet);
NTKERNELAPI NTSTATUS NTAPI WheaConfigureErrorSource(WHEA_ERROR_SOURCE_TYPE SourceType,
    PWHEA_ERROR_SOURCE_CONFIGURATION Configuration);
NTKERNELAPI WHEA_ERROR_HANDLE NTAPI WheaCreateHwErrorReportDeviceDriver(ULONG ErrorSourceId,
    PDEVICE_OBJECT DeviceObject);
NTKERNELAPI WHEA_ERROR_SOURCE_STATE NTAPI WheaErrorSourceGetState(ULONG ErrorSourceId);
NTKERNELAPI BOOLEAN NTAPI WheaGetNotifyAllOfflinesPolicy(VOID);
NTKERNELAPI BOOLEAN NTAPI
    WheaHighIrqlLogSelEventHandlerRegister(PFN_WHEA_HIGH_IRQL_LOG_SEL_EVENT_HANDLER Handler,
    PVOID Context);
NTKERNELAPI VOID NTAPI WheaHighIrqlLogSelEventHandlerUnregister(VOID);
NTKERNELAPI NTSTATUS NTAPI WheaHwErrorReportAbandonDeviceDriver(WHEA_ERROR_HANDLE
    ErrorHandle);
NTKERNELAPI NTSTATUS NTAPI WheaHwErrorReportSetSectionNameDeviceDriver(PWHEA_DRIVER_BUFFER_SET
    BufferSet, ULONG NameLength, PUCHAR Name);
NTKERNELAPI NTSTATUS NTAPI WheaHwErrorReportSetSeverityDeviceDriver(WHEA_ERROR_HANDLE
    ErrorHandle, WHEA_ERROR_SEVERITY ErrorSeverity);
NTKERNELAPI NTSTATUS NTAPI WheaHwErrorReportSubmitDeviceDriver(WHEA_ERROR_HANDLE ErrorHandle);
NTKERNELAPI NTSTATUS NTAPI WheaInitializeRecordHeader(PWHEA_ERROR_RECORD_HEADER Header);
NTKERNELAPI BOOLEAN NTAPI WheaIsCriticalState(VOID);
NTKERNELAPI VOID NTAPI WheaLogInternalEvent(PWHEA_EVENT_LOG_ENTRY Entry);
NTKERNELAPI NTSTATUS NTAPI
    WheaRegisterInUsePageOfflineNotification(PFN_IN_USE_PAGE_OFFLINE_NOTIFY Callback, PVOID
    Context);
NTKERNELAPI VOID NTAPI WheaRemoveErrorSource(ULONG ErrorSourceId);
NTKERNELAPI NTSTATUS NTAPI WheaRemoveErrorSourceDeviceDriver(ULONG ErrorSourceId);
NTKERNELAPI NTSTATUS NTAPI WheaReportHwError(PWHEA_ERROR_PACKET ErrorPacket);
NTKERNELAPI NTSTATUS NTAPI WheaReportHwErrorDeviceDriver(ULONG ErrorSourceId, PDEVICE_OBJECT
    DeviceObject, PUCHAR ErrorData, ULONG ErrorDataLength, LPGUID SectionTypeGuid,
    WHEA_ERROR_SEVERITY ErrorSeverity, LPSTR DeviceFriendlyName);
NTKERNELAPI NTSTATUS NTAPI WheaUnconfigureErrorSource(WHEA_ERROR_SOURCE_TYPE SourceType);
NTKERNELAPI NTSTATUS NTAPI
    WheaUnregisterInUsePageOfflineNotification(PFN_IN_USE_PAGE_OFFLINE_NOTIFY Callback);
