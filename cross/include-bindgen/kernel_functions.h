/*
 * Functions of the kernel that MinGW's headers do not declare, as windows-sys has them,
 * which is generated from the WDK; a test compares each. Which Windows exports them,
 * lib/ntoskrnl.def and lib/ntoskrnl-later.def say.
 */
#pragma once

/* Macros there. */
#undef KeFlushIoBuffers
#undef RtlIsNtDdiVersionAvailable
#undef RtlIsServicePackVersionInstalled
#undef SeDeleteClientSecurity

#include "kernel_functions_io.h"

NTKERNELAPI BOOLEAN NTAPI CcAsyncCopyRead(
    FILE_OBJECT *fileobject, LARGE_INTEGER *fileoffset, ULONG length, BOOLEAN wait, PVOID
    buffer, IO_STATUS_BLOCK *iostatus, PETHREAD ioissuerthread, CC_ASYNC_READ_CONTEXT
    *asyncreadcontext);
NTKERNELAPI BOOLEAN NTAPI CcCopyReadEx(
    FILE_OBJECT *fileobject, LARGE_INTEGER *fileoffset, ULONG length, BOOLEAN wait, PVOID
    buffer, IO_STATUS_BLOCK *iostatus, PETHREAD ioissuerthread);
NTKERNELAPI BOOLEAN NTAPI CcCopyWriteEx(
    FILE_OBJECT *fileobject, LARGE_INTEGER *fileoffset, ULONG length, BOOLEAN wait, PVOID
    buffer, PETHREAD ioissuerthread);
NTKERNELAPI VOID NTAPI CcInitializeCacheMapEx(
    FILE_OBJECT *fileobject, CC_FILE_SIZES *filesizes, BOOLEAN pinaccess,
    CACHE_MANAGER_CALLBACKS *callbacks, PVOID lazywritecontext, ULONG flags);
NTKERNELAPI BOOLEAN NTAPI CcIsCacheManagerCallbackNeeded(NTSTATUS status);
NTKERNELAPI VOID NTAPI CcScheduleReadAheadEx(
    FILE_OBJECT *fileobject, LARGE_INTEGER *fileoffset, ULONG length, PETHREAD ioissuerthread);
NTKERNELAPI VOID NTAPI CcSetAdditionalCacheAttributesEx(FILE_OBJECT *fileobject, ULONG flags);
NTKERNELAPI NTSTATUS NTAPI CmCallbackGetKeyObjectIDEx(
    LARGE_INTEGER *cookie, PVOID object, SIZE_T *objectid, UNICODE_STRING **objectname, ULONG
    flags);
NTKERNELAPI VOID NTAPI CmCallbackReleaseKeyObjectIDEx(const UNICODE_STRING *objectname);
NTKERNELAPI NTSTATUS NTAPI EtwSetInformation(
    REGHANDLE reghandle, EVENT_INFO_CLASS informationclass, PVOID eventinformation, ULONG
    informationlength);
NTKERNELAPI VOID NTAPI ExAcquirePushLockExclusiveEx(SIZE_T *pushlock, ULONG flags);
NTKERNELAPI VOID NTAPI ExAcquirePushLockSharedEx(SIZE_T *pushlock, ULONG flags);
NTKERNELAPI UCHAR NTAPI ExAcquireSpinLockExclusive(LONG *spinlock);
NTKERNELAPI VOID NTAPI ExAcquireSpinLockExclusiveAtDpcLevel(LONG *spinlock);
NTKERNELAPI UCHAR NTAPI ExAcquireSpinLockShared(LONG *spinlock);
NTKERNELAPI VOID NTAPI ExAcquireSpinLockSharedAtDpcLevel(LONG *spinlock);
NTKERNELAPI PVOID NTAPI ExAllocatePool3(
    ULONG64 flags, SIZE_T numberofbytes, ULONG tag, POOL_EXTENDED_PARAMETER *extendedparameters,
    ULONG extendedparameterscount);
NTKERNELAPI VOID NTAPI ExCleanupRundownProtectionCacheAware(
    PEX_RUNDOWN_REF_CACHE_AWARE runrefcacheaware);
NTKERNELAPI NTSTATUS NTAPI ExCreatePool(
    ULONG flags, SIZE_T tag, POOL_CREATE_EXTENDED_PARAMS *params, HANDLE *poolhandle);
NTKERNELAPI VOID NTAPI ExDestroyPool(HANDLE poolhandle);
NTKERNELAPI NTSTATUS NTAPI ExEnumerateSystemFirmwareTables(
    ULONG firmwaretableprovidersignature, PVOID firmwaretablebuffer, ULONG bufferlength, ULONG
    *returnlength);
NTKERNELAPI VOID NTAPI ExFreePool2(
    PVOID p, ULONG tag, POOL_EXTENDED_PARAMETER *extendedparameters, ULONG
    extendedparameterscount);
NTKERNELAPI NTSTATUS NTAPI ExGetFirmwareEnvironmentVariable(
    const UNICODE_STRING *variablename, const GUID *vendorguid, PVOID value, ULONG *valuelength,
    ULONG *attributes);
NTKERNELAPI FIRMWARE_TYPE NTAPI ExGetFirmwareType(VOID);
NTKERNELAPI NTSTATUS NTAPI ExGetSystemFirmwareTable(
    ULONG firmwaretableprovidersignature, ULONG firmwaretableid, PVOID firmwaretablebuffer,
    ULONG bufferlength, ULONG *returnlength);
NTKERNELAPI VOID NTAPI ExInitializeRundownProtectionCacheAwareEx(
    PEX_RUNDOWN_REF_CACHE_AWARE runrefcacheaware, ULONG flags);
NTKERNELAPI BOOLEAN NTAPI ExIsManufacturingModeEnabled(VOID);
NTKERNELAPI BOOLEAN NTAPI ExIsSoftBoot(VOID);
NTKERNELAPI VOID NTAPI ExQueryTimerResolution(
    ULONG *maximumtime, ULONG *minimumtime, ULONG *currenttime);
NTKERNELAPI VOID NTAPI ExReleasePushLockExclusiveEx(SIZE_T *pushlock, ULONG flags);
NTKERNELAPI VOID NTAPI ExReleasePushLockSharedEx(SIZE_T *pushlock, ULONG flags);
NTKERNELAPI VOID NTAPI ExReleaseSpinLockExclusive(LONG *spinlock, UCHAR oldirql);
NTKERNELAPI VOID NTAPI ExReleaseSpinLockExclusiveFromDpcLevel(LONG *spinlock);
NTKERNELAPI VOID NTAPI ExReleaseSpinLockShared(LONG *spinlock, UCHAR oldirql);
NTKERNELAPI VOID NTAPI ExReleaseSpinLockSharedFromDpcLevel(LONG *spinlock);
NTKERNELAPI NTSTATUS NTAPI ExSecurePoolUpdate(
    HANDLE securepoolhandle, ULONG tag, PVOID allocation, SIZE_T cookie, SIZE_T offset, SIZE_T
    size, PVOID buffer);
NTKERNELAPI ULONG NTAPI ExSecurePoolValidate(
    HANDLE securepoolhandle, ULONG tag, PVOID allocation, SIZE_T cookie);
NTKERNELAPI NTSTATUS NTAPI ExSetFirmwareEnvironmentVariable(
    const UNICODE_STRING *variablename, const GUID *vendorguid, PVOID value, ULONG valuelength,
    ULONG attributes);
NTKERNELAPI ULONG NTAPI ExTryAcquireSpinLockExclusiveAtDpcLevel(LONG *spinlock);
NTKERNELAPI ULONG NTAPI ExTryAcquireSpinLockSharedAtDpcLevel(LONG *spinlock);
NTKERNELAPI ULONG NTAPI ExTryConvertSharedSpinLockExclusive(LONG *spinlock);
NTKERNELAPI VOID NTAPI FsRtlAddToTunnelCacheEx(
    TUNNEL *cache, ULONG64 directorykey, const UNICODE_STRING *shortname, const UNICODE_STRING
    *longname, ULONG flags, ULONG datalength, PVOID data);
NTKERNELAPI PVOID NTAPI FsRtlAllocateAePushLock(POOL_TYPE pooltype, ULONG tag);
NTKERNELAPI BOOLEAN NTAPI FsRtlAreThereWaitingFileLocks(FILE_LOCK *filelock);
NTKERNELAPI BOOLEAN NTAPI FsRtlCheckLockForOplockRequest(
    FILE_LOCK *filelock, LARGE_INTEGER *allocationsize);
NTKERNELAPI NTSTATUS NTAPI FsRtlCheckOplockEx2(
    VOID **oplock, IRP *irp, ULONG flags, ULONG flagsex2, PVOID completionroutinecontext,
    POPLOCK_WAIT_COMPLETE_ROUTINE completionroutine, POPLOCK_FS_PREPOST_IRP postirproutine,
    ULONG64 timeout, PVOID notifycontext, POPLOCK_NOTIFY_ROUTINE notifyroutine);
NTKERNELAPI NTSTATUS NTAPI FsRtlCheckUpperOplock(
    VOID **oplock, ULONG newloweroplockstate, PVOID completionroutinecontext,
    POPLOCK_WAIT_COMPLETE_ROUTINE completionroutine, POPLOCK_FS_PREPOST_IRP prependroutine,
    ULONG flags);
NTKERNELAPI VOID NTAPI FsRtlDismountComplete(DEVICE_OBJECT *deviceobject, NTSTATUS dismountstatus);
NTKERNELAPI BOOLEAN NTAPI FsRtlFindInTunnelCacheEx(
    TUNNEL *cache, ULONG64 directorykey, const UNICODE_STRING *name, UNICODE_STRING *shortname,
    UNICODE_STRING *longname, ULONG flags, ULONG *datalength, PVOID data);
NTKERNELAPI VOID NTAPI FsRtlFreeAePushLock(PVOID aepushlock);
NTKERNELAPI LIST_ENTRY * NTAPI FsRtlGetCurrentProcessLoaderList(VOID);
NTKERNELAPI NTSTATUS NTAPI FsRtlGetSectorSizeInformation(
    DEVICE_OBJECT *deviceobject, FILE_FS_SECTOR_SIZE_INFORMATION *sectorsizeinfo);
NTKERNELAPI NTSTATUS NTAPI FsRtlGetSupportedFeatures(
    DEVICE_OBJECT *deviceobject, ULONG *supportedfeatures);
NTKERNELAPI BOOLEAN NTAPI FsRtlIs32BitProcess(PEPROCESS process);
NTKERNELAPI BOOLEAN NTAPI FsRtlIsDaxVolume(FILE_OBJECT *fileobject);
NTKERNELAPI ULONG NTAPI FsRtlIsExtentDangling(ULONG startpage, ULONG numberofpages, ULONG flags);
NTKERNELAPI BOOLEAN NTAPI FsRtlIsMobileOS(VOID);
NTKERNELAPI BOOLEAN NTAPI FsRtlIsNameInUnUpcasedExpression(
    const UNICODE_STRING *expression, const UNICODE_STRING *name, BOOLEAN ignorecase, PCWSTR
    upcasetable);
NTKERNELAPI BOOLEAN NTAPI FsRtlIsNonEmptyDirectoryReparsePointAllowed(ULONG reparsetag);
NTKERNELAPI ULONG NTAPI FsRtlIsSystemPagingFile(FILE_OBJECT *fileobject);
NTKERNELAPI NTSTATUS NTAPI FsRtlIssueDeviceIoControl(
    DEVICE_OBJECT *deviceobject, ULONG ioctl, UCHAR flags, PVOID inputbuffer, ULONG
    inputbufferlength, PVOID outputbuffer, ULONG outputbufferlength, SIZE_T *iosbinformation);
NTKERNELAPI NTSTATUS NTAPI FsRtlKernelFsControlFile(
    FILE_OBJECT *fileobject, ULONG fscontrolcode, PVOID inputbuffer, ULONG inputbufferlength,
    PVOID outputbuffer, ULONG outputbufferlength, ULONG *retoutputbuffersize);
NTKERNELAPI NTSTATUS NTAPI FsRtlMdlReadEx(
    FILE_OBJECT *fileobject, LARGE_INTEGER *fileoffset, ULONG length, ULONG lockkey, MDL
    **mdlchain, IO_STATUS_BLOCK *iostatus);
NTKERNELAPI NTSTATUS NTAPI FsRtlOplockBreakH2(
    VOID **oplock, IRP *irp, ULONG flags, PVOID context, POPLOCK_WAIT_COMPLETE_ROUTINE
    completionroutine, POPLOCK_FS_PREPOST_IRP postirproutine, ULONG *grantedaccess, USHORT
    *shareaccess);
NTKERNELAPI PEPROCESS NTAPI FsRtlOplockGetAnyBreakOwnerProcess(VOID **oplock);
NTKERNELAPI NTSTATUS NTAPI FsRtlPrepareMdlWriteEx(
    FILE_OBJECT *fileobject, LARGE_INTEGER *fileoffset, ULONG length, ULONG lockkey, MDL
    **mdlchain, IO_STATUS_BLOCK *iostatus);
NTKERNELAPI VOID NTAPI FsRtlPrepareToReuseEcp(PVOID ecpcontext);
NTKERNELAPI NTSTATUS NTAPI FsRtlQueryCachedVdl(FILE_OBJECT *fileobject, LARGE_INTEGER *vdl);
NTKERNELAPI NTSTATUS NTAPI FsRtlQueryInformationFile(
    FILE_OBJECT *fileobject, PVOID fileinformation, ULONG length, FILE_INFORMATION_CLASS
    fileinformationclass, ULONG *retfileinformationsize);
NTKERNELAPI NTSTATUS NTAPI FsRtlQueryKernelEaFile(
    FILE_OBJECT *fileobject, PVOID returnedeadata, ULONG length, BOOLEAN returnsingleentry,
    PVOID ealist, ULONG ealistlength, ULONG *eaindex, BOOLEAN restartscan, ULONG *lengthreturned);
NTKERNELAPI NTSTATUS NTAPI FsRtlRegisterUncProviderEx2(
    const UNICODE_STRING *redirdevname, DEVICE_OBJECT *deviceobject,
    FSRTL_UNC_PROVIDER_REGISTRATION *registration, HANDLE *muphandle);
NTKERNELAPI NTSTATUS NTAPI FsRtlSetDriverBacking(DRIVER_OBJECT *driverobj, ULONG flags);
NTKERNELAPI NTSTATUS NTAPI FsRtlSetKernelEaFile(
    FILE_OBJECT *fileobject, PVOID eabuffer, ULONG length);
NTKERNELAPI VOID NTAPI FsRtlUpdateDiskCounters(ULONG64 bytesread, ULONG64 byteswritten);
NTKERNELAPI NTSTATUS NTAPI FsRtlUpperOplockFsctrl(
    VOID **oplock, IRP *irp, ULONG opencount, ULONG loweroplockstate, ULONG flags);
NTKERNELAPI NTSTATUS NTAPI FsRtlVolumeDeviceToCorrelationId(
    DEVICE_OBJECT *volumedeviceobject, GUID *guid);
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
NTKERNELAPI NTSTATUS NTAPI KeAddTriageDumpDataBlock(
    KTRIAGE_DUMP_DATA_ARRAY *ktriagedumpdataarray, PVOID address, SIZE_T size);
NTKERNELAPI NTSTATUS NTAPI KeConvertAuxiliaryCounterToPerformanceCounter(
    ULONG64 auxiliarycountervalue, ULONG64 *performancecountervalue, ULONG64 *conversionerror);
NTKERNELAPI NTSTATUS NTAPI KeConvertPerformanceCounterToAuxiliaryCounter(
    ULONG64 performancecountervalue, ULONG64 *auxiliarycountervalue, ULONG64 *conversionerror);
NTKERNELAPI NTSTATUS NTAPI KeDeregisterBoundCallback(PVOID handle);
NTKERNELAPI NTSTATUS NTAPI KeExpandKernelStackAndCalloutEx(
    PEXPAND_STACK_CALLOUT callout, PVOID parameter, SIZE_T size, BOOLEAN wait, PVOID context);
NTKERNELAPI VOID NTAPI KeFlushIoBuffers(MDL *mdl, BOOLEAN readoperation, BOOLEAN dmaoperation);
NTKERNELAPI NTSTATUS NTAPI KeInitializeCrashDumpHeader(
    ULONG dumptype, ULONG flags, PVOID buffer, ULONG buffersize, ULONG *bufferneeded);
NTKERNELAPI NTSTATUS NTAPI KeInitializeTriageDumpDataArray(
    KTRIAGE_DUMP_DATA_ARRAY *ktriagedumpdataarray, ULONG size);
NTKERNELAPI ULONG NTAPI KeIsExecutingDpc(VOID);
NTKERNELAPI NTSTATUS NTAPI KeQueryAuxiliaryCounterFrequency(ULONG64 *auxiliarycounterfrequency);
NTKERNELAPI ULONG64 NTAPI KeQueryInterruptTimePrecise(ULONG64 *qpctimestamp);
NTKERNELAPI NTSTATUS NTAPI KeQueryNodeActiveAffinity2(
    USHORT nodenumber, GROUP_AFFINITY *groupaffinities, USHORT groupaffinitiescount, USHORT
    *groupaffinitiesrequired);
NTKERNELAPI ULONG NTAPI KeQueryNodeActiveProcessorCount(USHORT nodenumber);
NTKERNELAPI VOID NTAPI KeQuerySystemTimePrecise(LARGE_INTEGER *currenttime);
NTKERNELAPI ULONG64 NTAPI KeQueryUnbiasedInterruptTimePrecise(ULONG64 *qpctimestamp);
NTKERNELAPI PVOID NTAPI KeRegisterBoundCallback(PBOUND_CALLBACK callbackroutine);
NTKERNELAPI BOOLEAN NTAPI KeRemoveQueueDpcEx(KDPC *dpc, BOOLEAN waitifactive);
NTKERNELAPI ULONG NTAPI KeShouldYieldProcessor(VOID);
NTKERNELAPI NTSTATUS NTAPI MmAddVerifierSpecialThunks(
    SIZE_T entryroutine, PVOID thunkbuffer, ULONG thunkbuffersize);
NTKERNELAPI NTSTATUS NTAPI MmAllocateContiguousMemoryEx(
    SIZE_T *numberofbytes, LARGE_INTEGER lowestacceptableaddress, LARGE_INTEGER
    highestacceptableaddress, LARGE_INTEGER boundaryaddressmultiple, ULONG preferrednode, ULONG
    protect, PVOID partitionobject, ULONG tag, ULONG flags, VOID **baseaddress);
NTKERNELAPI PVOID NTAPI MmAllocateContiguousNodeMemory(
    SIZE_T numberofbytes, LARGE_INTEGER lowestacceptableaddress, LARGE_INTEGER
    highestacceptableaddress, LARGE_INTEGER boundaryaddressmultiple, ULONG protect, ULONG
    preferrednode);
NTKERNELAPI PVOID NTAPI MmAllocateMappingAddressEx(
    SIZE_T numberofbytes, ULONG pooltag, ULONG flags);
NTKERNELAPI NTSTATUS NTAPI MmAllocateMdlForIoSpace(
    MM_PHYSICAL_ADDRESS_LIST *physicaladdresslist, SIZE_T numberofentries, MDL **newmdl);
NTKERNELAPI MDL * NTAPI MmAllocateNodePagesForMdlEx(
    LARGE_INTEGER lowaddress, LARGE_INTEGER highaddress, LARGE_INTEGER skipbytes, SIZE_T
    totalbytes, MEMORY_CACHING_TYPE cachetype, ULONG idealnode, ULONG flags);
NTKERNELAPI MDL * NTAPI MmAllocatePartitionNodePagesForMdlEx(
    LARGE_INTEGER lowaddress, LARGE_INTEGER highaddress, LARGE_INTEGER skipbytes, SIZE_T
    totalbytes, MEMORY_CACHING_TYPE cachetype, ULONG idealnode, ULONG flags, PVOID
    partitionobject);
NTKERNELAPI ULONG NTAPI MmAreMdlPagesCached(MDL *memorydescriptorlist);
NTKERNELAPI NTSTATUS NTAPI MmCopyMemory(
    PVOID targetaddress, MM_COPY_ADDRESS sourceaddress, SIZE_T numberofbytes, ULONG flags,
    SIZE_T *numberofbytestransferred);
NTKERNELAPI BOOLEAN NTAPI MmForceSectionClosedEx(
    SECTION_OBJECT_POINTERS *sectionobjectpointer, ULONG forcecloseflags);
NTKERNELAPI VOID NTAPI MmFreePagesFromMdlEx(MDL *memorydescriptorlist, ULONG flags);
NTKERNELAPI NTSTATUS NTAPI MmGetCacheAttribute(
    LARGE_INTEGER physicaladdress, MEMORY_CACHING_TYPE *cachetype);
NTKERNELAPI NTSTATUS NTAPI MmGetCacheAttributeEx(
    LARGE_INTEGER physicaladdress, ULONG flags, MEMORY_CACHING_TYPE *cachetype);
NTKERNELAPI ULONG64 NTAPI MmGetMaximumFileSectionSize(VOID);
NTKERNELAPI PHYSICAL_MEMORY_RANGE * NTAPI MmGetPhysicalMemoryRangesEx(PVOID partitionobject);
NTKERNELAPI PHYSICAL_MEMORY_RANGE * NTAPI MmGetPhysicalMemoryRangesEx2(
    PVOID partitionobject, ULONG flags);
NTKERNELAPI ULONG NTAPI MmIsDriverSuspectForVerifier(DRIVER_OBJECT *driverobject);
NTKERNELAPI NTSTATUS NTAPI MmIsFileSectionActive(
    SECTION_OBJECT_POINTERS *fssectionpointer, ULONG flags, ULONG *sectionisactive);
NTKERNELAPI PVOID NTAPI MmMapIoSpaceEx(
    LARGE_INTEGER physicaladdress, SIZE_T numberofbytes, ULONG protect);
NTKERNELAPI NTSTATUS NTAPI MmMapMdl(
    MDL *memorydescriptorlist, ULONG protection, PMM_MDL_ROUTINE driverroutine, PVOID
    drivercontext);
NTKERNELAPI NTSTATUS NTAPI MmMapMemoryDumpMdlEx(
    PVOID va, ULONG pagetotal, MDL *memorydumpmdl, ULONG flags);
NTKERNELAPI NTSTATUS NTAPI MmMapViewInSessionSpaceEx(
    PVOID section, VOID **mappedbase, SIZE_T *viewsize, LARGE_INTEGER *sectionoffset, SIZE_T
    flags);
NTKERNELAPI NTSTATUS NTAPI MmMapViewInSystemSpaceEx(
    PVOID section, VOID **mappedbase, SIZE_T *viewsize, LARGE_INTEGER *sectionoffset, SIZE_T
    flags);
NTKERNELAPI MM_MDL_PAGE_CONTENTS_STATE NTAPI MmMdlPageContentsState(
    MDL *memorydescriptorlist, MM_MDL_PAGE_CONTENTS_STATE state);
NTKERNELAPI ULONG NTAPI MmMdlPagesAreZero(MDL *mdl);
NTKERNELAPI VOID NTAPI MmProbeAndLockSelectedPages(
    MDL *memorydescriptorlist, FILE_SEGMENT_ELEMENT *segmentarray, CHAR accessmode,
    LOCK_OPERATION operation);
NTKERNELAPI NTSTATUS NTAPI MmProtectDriverSection(
    PVOID addresswithinsection, SIZE_T size, ULONG flags);
NTKERNELAPI HANDLE NTAPI MmSecureVirtualMemoryEx(
    PVOID address, SIZE_T size, ULONG probemode, ULONG flags);
NTKERNELAPI NTSTATUS NTAPI MmSetPermanentCacheAttribute(
    LARGE_INTEGER startaddress, LARGE_INTEGER numberofbytes, MEMORY_CACHING_TYPE cachetype,
    ULONG flags);
NTKERNELAPI NTSTATUS NTAPI ObCloseHandle(HANDLE handle, CHAR previousmode);
NTKERNELAPI BOOLEAN NTAPI ObReferenceObjectSafe(PVOID object);
NTKERNELAPI BOOLEAN NTAPI ObReferenceObjectSafeWithTag(PVOID object, ULONG tag);
NTKERNELAPI NTSTATUS NTAPI PcwAddInstance(
    PPCW_BUFFER buffer, const UNICODE_STRING *name, ULONG id, ULONG count, PCW_DATA *data);
NTKERNELAPI VOID NTAPI PcwCloseInstance(PPCW_INSTANCE instance);
NTKERNELAPI NTSTATUS NTAPI PcwCreateInstance(
    PPCW_INSTANCE *instance, PPCW_REGISTRATION registration, const UNICODE_STRING *name, ULONG
    count, PCW_DATA *data);
NTKERNELAPI NTSTATUS NTAPI PcwRegister(
    PPCW_REGISTRATION *registration, PCW_REGISTRATION_INFORMATION *info);
NTKERNELAPI VOID NTAPI PcwUnregister(PPCW_REGISTRATION registration);
NTKERNELAPI NTSTATUS NTAPI PoCreateThermalRequest(
    VOID **thermalrequest, DEVICE_OBJECT *targetdeviceobject, DEVICE_OBJECT *policydeviceobject,
    COUNTED_REASON_CONTEXT *context, ULONG flags);
NTKERNELAPI VOID NTAPI PoDeleteThermalRequest(PVOID thermalrequest);
NTKERNELAPI VOID NTAPI PoFxActivateComponent(POHANDLE handle, ULONG component, ULONG flags);
NTKERNELAPI VOID NTAPI PoFxCompleteDevicePowerNotRequired(POHANDLE handle);
NTKERNELAPI VOID NTAPI PoFxCompleteDirectedPowerDown(POHANDLE handle);
NTKERNELAPI VOID NTAPI PoFxCompleteIdleCondition(POHANDLE handle, ULONG component);
NTKERNELAPI VOID NTAPI PoFxCompleteIdleState(POHANDLE handle, ULONG component);
NTKERNELAPI VOID NTAPI PoFxIdleComponent(POHANDLE handle, ULONG component, ULONG flags);
NTKERNELAPI VOID NTAPI PoFxIssueComponentPerfStateChange(
    POHANDLE handle, ULONG flags, ULONG component, PO_FX_PERF_STATE_CHANGE *perfchange, PVOID
    context);
NTKERNELAPI VOID NTAPI PoFxIssueComponentPerfStateChangeMultiple(
    POHANDLE handle, ULONG flags, ULONG component, ULONG perfchangescount,
    PO_FX_PERF_STATE_CHANGE *perfchanges, PVOID context);
NTKERNELAPI VOID NTAPI PoFxNotifySurprisePowerOn(DEVICE_OBJECT *pdo);
NTKERNELAPI NTSTATUS NTAPI PoFxPowerControl(
    POHANDLE handle, const GUID *powercontrolcode, PVOID inbuffer, SIZE_T inbuffersize, PVOID
    outbuffer, SIZE_T outbuffersize, SIZE_T *bytesreturned);
NTKERNELAPI NTSTATUS NTAPI PoFxPowerOnCrashdumpDevice(POHANDLE handle, PVOID context);
NTKERNELAPI NTSTATUS NTAPI PoFxQueryCurrentComponentPerfState(
    POHANDLE handle, ULONG flags, ULONG component, ULONG setindex, ULONG64 *currentperf);
NTKERNELAPI NTSTATUS NTAPI PoFxRegisterCrashdumpDevice(POHANDLE handle);
NTKERNELAPI NTSTATUS NTAPI PoFxRegisterDevice(
    DEVICE_OBJECT *pdo, PO_FX_DEVICE_V1 *device, POHANDLE *handle);
NTKERNELAPI VOID NTAPI PoFxReportDevicePoweredOn(POHANDLE handle);
NTKERNELAPI VOID NTAPI PoFxSetComponentLatency(POHANDLE handle, ULONG component, ULONG64 latency);
NTKERNELAPI VOID NTAPI PoFxSetComponentResidency(
    POHANDLE handle, ULONG component, ULONG64 residency);
NTKERNELAPI VOID NTAPI PoFxSetComponentWake(POHANDLE handle, ULONG component, BOOLEAN wakehint);
NTKERNELAPI VOID NTAPI PoFxSetDeviceIdleTimeout(POHANDLE handle, ULONG64 idletimeout);
NTKERNELAPI NTSTATUS NTAPI PoFxSetTargetDripsDevicePowerState(
    POHANDLE handle, DEVICE_POWER_STATE targetstate);
NTKERNELAPI VOID NTAPI PoFxStartDevicePowerManagement(POHANDLE handle);
NTKERNELAPI VOID NTAPI PoFxUnregisterDevice(POHANDLE handle);
NTKERNELAPI BOOLEAN NTAPI PoGetThermalRequestSupport(
    PVOID thermalrequest, PO_THERMAL_REQUEST_TYPE type);
NTKERNELAPI VOID NTAPI PoSetHiberRange(
    PVOID memorymap, ULONG flags, PVOID address, SIZE_T length, ULONG tag);
NTKERNELAPI VOID NTAPI PoSetSystemWakeDevice(DEVICE_OBJECT *deviceobject);
NTKERNELAPI NTSTATUS NTAPI PoSetThermalActiveCooling(PVOID thermalrequest, BOOLEAN engaged);
NTKERNELAPI NTSTATUS NTAPI PoSetThermalPassiveCooling(PVOID thermalrequest, UCHAR throttle);
NTKERNELAPI NTSTATUS NTAPI PsAcquireSiloHardReference(PESILO silo);
NTKERNELAPI NTSTATUS NTAPI PsAllocSiloContextSlot(SIZE_T reserved, ULONG *returnedcontextslot);
NTKERNELAPI NTSTATUS NTAPI PsAllocateAffinityToken(PAFFINITY_TOKEN *affinitytoken);
NTKERNELAPI PESILO NTAPI PsAttachSiloToCurrentThread(PESILO silo);
NTKERNELAPI NTSTATUS NTAPI PsCreateSiloContext(
    PESILO silo, ULONG size, POOL_TYPE pooltype, SILO_CONTEXT_CLEANUP_CALLBACK
    contextcleanupcallback, VOID **returnedsilocontext);
NTKERNELAPI VOID NTAPI PsDereferenceSiloContext(PVOID silocontext);
NTKERNELAPI VOID NTAPI PsDetachSiloFromCurrentThread(PESILO previoussilo);
NTKERNELAPI VOID NTAPI PsFreeAffinityToken(PAFFINITY_TOKEN affinitytoken);
NTKERNELAPI NTSTATUS NTAPI PsFreeSiloContextSlot(ULONG contextslot);
NTKERNELAPI PESILO NTAPI PsGetCurrentServerSilo(VOID);
NTKERNELAPI UNICODE_STRING * NTAPI PsGetCurrentServerSiloName(VOID);
NTKERNELAPI PESILO NTAPI PsGetCurrentSilo(VOID);
NTKERNELAPI PVOID NTAPI PsGetCurrentThreadTeb(VOID);
NTKERNELAPI PESILO NTAPI PsGetEffectiveServerSilo(PESILO silo);
NTKERNELAPI PESILO NTAPI PsGetHostSilo(VOID);
NTKERNELAPI NTSTATUS NTAPI PsGetJobServerSilo(PEJOB job, PESILO *serversilo);
NTKERNELAPI NTSTATUS NTAPI PsGetJobSilo(PEJOB job, PESILO *silo);
NTKERNELAPI PESILO NTAPI PsGetParentSilo(PEJOB job);
NTKERNELAPI NTSTATUS NTAPI PsGetPermanentSiloContext(
    PESILO silo, ULONG contextslot, VOID **returnedsilocontext);
NTKERNELAPI NTSTATUS NTAPI PsGetProcessExitStatus(PEPROCESS process);
NTKERNELAPI ULONG64 NTAPI PsGetProcessStartKey(PEPROCESS process);
NTKERNELAPI ULONG NTAPI PsGetServerSiloServiceSessionId(PESILO silo);
NTKERNELAPI GUID * NTAPI PsGetSiloContainerId(PESILO silo);
NTKERNELAPI NTSTATUS NTAPI PsGetSiloContext(
    PESILO silo, ULONG contextslot, VOID **returnedsilocontext);
NTKERNELAPI ULONG NTAPI PsGetSiloMonitorContextSlot(PSILO_MONITOR monitor);
NTKERNELAPI LARGE_INTEGER NTAPI PsGetThreadCreateTime(PETHREAD thread);
NTKERNELAPI NTSTATUS NTAPI PsGetThreadExitStatus(PETHREAD thread);
NTKERNELAPI PEPROCESS NTAPI PsGetThreadProcess(PETHREAD thread);
NTKERNELAPI PVOID NTAPI PsGetThreadProperty(PETHREAD thread, SIZE_T key, ULONG flags);
NTKERNELAPI PESILO NTAPI PsGetThreadServerSilo(PETHREAD thread);
NTKERNELAPI NTSTATUS NTAPI PsInsertPermanentSiloContext(
    PESILO silo, ULONG contextslot, PVOID silocontext);
NTKERNELAPI NTSTATUS NTAPI PsInsertSiloContext(PESILO silo, ULONG contextslot, PVOID silocontext);
NTKERNELAPI BOOLEAN NTAPI PsIsCurrentThreadInServerSilo(VOID);
NTKERNELAPI BOOLEAN NTAPI PsIsDiskCountersEnabled(VOID);
NTKERNELAPI BOOLEAN NTAPI PsIsHostSilo(PESILO silo);
NTKERNELAPI NTSTATUS NTAPI PsMakeSiloContextPermanent(PESILO silo, ULONG contextslot);
NTKERNELAPI ULONG64 NTAPI PsQueryTotalCycleTimeProcess(PEPROCESS process, ULONG64 *cycletimestamp);
NTKERNELAPI VOID NTAPI PsReferenceSiloContext(PVOID silocontext);
NTKERNELAPI NTSTATUS NTAPI PsRegisterSiloMonitor(
    SILO_MONITOR_REGISTRATION *registration, PSILO_MONITOR *returnedmonitor);
NTKERNELAPI VOID NTAPI PsReleaseSiloHardReference(PESILO silo);
NTKERNELAPI NTSTATUS NTAPI PsRemoveSiloContext(
    PESILO silo, ULONG contextslot, VOID **removedsilocontext);
NTKERNELAPI NTSTATUS NTAPI PsReplaceSiloContext(
    PESILO silo, ULONG contextslot, PVOID newsilocontext, VOID **oldsilocontext);
NTKERNELAPI VOID NTAPI PsRevertToUserMultipleGroupAffinityThread(PAFFINITY_TOKEN affinitytoken);
NTKERNELAPI NTSTATUS NTAPI PsSetCreateProcessNotifyRoutineEx2(
    PSCREATEPROCESSNOTIFYTYPE notifytype, PVOID notifyinformation, BOOLEAN remove);
NTKERNELAPI NTSTATUS NTAPI PsSetCreateThreadNotifyRoutineEx(
    PSCREATETHREADNOTIFYTYPE notifytype, PVOID notifyinformation);
NTKERNELAPI NTSTATUS NTAPI PsSetLoadImageNotifyRoutineEx(
    PLOAD_IMAGE_NOTIFY_ROUTINE notifyroutine, SIZE_T flags);
NTKERNELAPI NTSTATUS NTAPI PsSetSystemMultipleGroupAffinityThread(
    GROUP_AFFINITY *groupaffinities, USHORT groupcount, PAFFINITY_TOKEN affinitytoken);
NTKERNELAPI NTSTATUS NTAPI PsStartSiloMonitor(PSILO_MONITOR monitor);
NTKERNELAPI VOID NTAPI PsTerminateServerSilo(PESILO serversilo, NTSTATUS exitstatus);
NTKERNELAPI VOID NTAPI PsUnregisterSiloMonitor(PSILO_MONITOR monitor);
NTKERNELAPI VOID NTAPI PsUpdateDiskCounters(
    PEPROCESS process, ULONG64 bytesread, ULONG64 byteswritten, ULONG readoperationcount, ULONG
    writeoperationcount, ULONG flushoperationcount);
NTKERNELAPI NTSTATUS NTAPI RtlDecompressBufferEx2(
    USHORT compressionformat, UCHAR *uncompressedbuffer, ULONG uncompressedbuffersize, UCHAR
    *compressedbuffer, ULONG compressedbuffersize, ULONG uncompressedchunksize, ULONG
    *finaluncompressedsize, PVOID workspace);
NTKERNELAPI NTSTATUS NTAPI RtlDecompressFragmentEx(
    USHORT compressionformat, UCHAR *uncompressedfragment, ULONG uncompressedfragmentsize, UCHAR
    *compressedbuffer, ULONG compressedbuffersize, ULONG fragmentoffset, ULONG
    uncompressedchunksize, ULONG *finaluncompressedsize, PVOID workspace);
NTKERNELAPI NTSTATUS NTAPI RtlGenerateClass5Guid(
    const GUID *namespaceguid, PVOID buffer, ULONG buffersize, GUID *guid);
NTKERNELAPI BOOLEAN NTAPI RtlIsNtDdiVersionAvailable(ULONG version);
NTKERNELAPI BOOLEAN NTAPI RtlIsSandboxedToken(SECURITY_SUBJECT_CONTEXT *context, CHAR previousmode);
NTKERNELAPI BOOLEAN NTAPI RtlIsServicePackVersionInstalled(ULONG version);
NTKERNELAPI NTSTATUS NTAPI RtlSetSystemGlobalData(
    RTL_SYSTEM_GLOBAL_DATA_ID dataid, PVOID buffer, ULONG size);
NTKERNELAPI BOOLEAN NTAPI RtlSuffixUnicodeString(
    const UNICODE_STRING *string1, const UNICODE_STRING *string2, BOOLEAN caseinsensitive);
NTKERNELAPI NTSTATUS NTAPI RtlUnicodeStringToInt64(
    const UNICODE_STRING *string, ULONG base, LARGE_INTEGER *number, PWSTR *endpointer);
NTKERNELAPI BOOLEAN NTAPI SeAccessCheckFromStateEx(
    PSECURITY_DESCRIPTOR securitydescriptor, PVOID primarytoken, PVOID clienttoken, ULONG
    desiredaccess, ULONG previouslygrantedaccess, PRIVILEGE_SET **privileges, GENERIC_MAPPING
    *genericmapping, CHAR accessmode, ULONG *grantedaccess, LONG *accessstatus);
NTKERNELAPI VOID NTAPI SeAdjustAccessStateForAccessConstraints(
    PVOID objecttype, PSECURITY_DESCRIPTOR securitydescriptor, ACCESS_STATE *accessstate);
NTKERNELAPI VOID NTAPI SeAdjustAccessStateForTrustLabel(
    PVOID objecttype, PSECURITY_DESCRIPTOR securitydescriptor, ACCESS_STATE *accessstate);
NTKERNELAPI NTSTATUS NTAPI SeAdjustObjectSecurity(
    const UNICODE_STRING *objectname, PSECURITY_DESCRIPTOR originaldescriptor,
    PSECURITY_DESCRIPTOR proposeddescriptor, SECURITY_SUBJECT_CONTEXT *subjectsecuritycontext,
    PSECURITY_DESCRIPTOR *adjusteddescriptor, BOOLEAN *applyadjusteddescriptor);
NTKERNELAPI VOID NTAPI SeAuditFipsCryptoSelftests(BOOLEAN bsuccess, ULONG selftestcode);
NTKERNELAPI BOOLEAN NTAPI SeAuditingAnyFileEventsWithContextEx(
    PSECURITY_DESCRIPTOR securitydescriptor, SECURITY_SUBJECT_CONTEXT *subjectsecuritycontext,
    BOOLEAN *stagingenabled);
NTKERNELAPI BOOLEAN NTAPI SeAuditingFileEventsWithContextEx(
    BOOLEAN accessgranted, PSECURITY_DESCRIPTOR securitydescriptor, SECURITY_SUBJECT_CONTEXT
    *subjectsecuritycontext, BOOLEAN *stagingenabled);
NTKERNELAPI VOID NTAPI SeCaptureSubjectContextEx(
    PETHREAD thread, PEPROCESS process, SECURITY_SUBJECT_CONTEXT *subjectcontext);
NTKERNELAPI VOID NTAPI SeCheckForCriticalAceRemoval(
    PSECURITY_DESCRIPTOR currentdescriptor, PSECURITY_DESCRIPTOR newdescriptor,
    SECURITY_SUBJECT_CONTEXT *subjectsecuritycontext, BOOLEAN *aceremoved);
NTKERNELAPI VOID NTAPI SeDeleteClientSecurity(SECURITY_CLIENT_CONTEXT *clientcontext);
NTKERNELAPI NTSTATUS NTAPI SeEtwWriteKMCveEvent(
    const UNICODE_STRING *cveid, const UNICODE_STRING *additionaldetails);
NTKERNELAPI NTSTATUS NTAPI SeMarkLogonSessionForTerminationNotificationEx(
    LUID *logonid, PESILO pserversilo);
NTKERNELAPI NTSTATUS NTAPI SeQueryServerSiloToken(PVOID token, PESILO *pserversilo);
NTKERNELAPI NTSTATUS NTAPI SeQuerySessionIdTokenEx(
    PVOID token, ULONG *sessionid, BOOLEAN *isservicesession);
NTKERNELAPI NTSTATUS NTAPI SeRegisterLogonSessionTerminatedRoutineEx(
    PSE_LOGON_SESSION_TERMINATED_ROUTINE_EX callbackroutine, PVOID context);
NTKERNELAPI BOOLEAN NTAPI SeShouldCheckForAccessRightsFromParent(
    PVOID objecttype, PSECURITY_DESCRIPTOR childdescriptor, ACCESS_STATE *accessstate);
NTKERNELAPI NTSTATUS NTAPI SeTokenFromAccessInformation(
    TOKEN_ACCESS_INFORMATION *accessinformation, PVOID token, ULONG length, ULONG
    *requiredlength);
NTKERNELAPI VOID NTAPI SeUnregisterImageVerificationCallback(PVOID callbackhandle);
NTKERNELAPI NTSTATUS NTAPI SeUnregisterLogonSessionTerminatedRoutineEx(
    PSE_LOGON_SESSION_TERMINATED_ROUTINE_EX callbackroutine, PVOID context);
NTKERNELAPI NTSTATUS NTAPI TmCommitComplete(KENLISTMENT *enlistment, LARGE_INTEGER *tmvirtualclock);
NTKERNELAPI NTSTATUS NTAPI TmCommitEnlistment(
    KENLISTMENT *enlistment, LARGE_INTEGER *tmvirtualclock);
NTKERNELAPI NTSTATUS NTAPI TmCommitTransaction(KTRANSACTION *transaction, BOOLEAN wait);
NTKERNELAPI NTSTATUS NTAPI TmCreateEnlistment(
    HANDLE *enlistmenthandle, CHAR previousmode, ULONG desiredaccess, OBJECT_ATTRIBUTES
    *objectattributes, SSIZE_T *resourcemanager, KTRANSACTION *transaction, ULONG createoptions,
    ULONG notificationmask, PVOID enlistmentkey);
NTKERNELAPI NTSTATUS NTAPI TmDereferenceEnlistmentKey(
    KENLISTMENT *enlistment, BOOLEAN *lastreference);
NTKERNELAPI NTSTATUS NTAPI TmEnableCallbacks(
    KRESOURCEMANAGER *resourcemanager, PTM_RM_NOTIFICATION callbackroutine, PVOID rmkey);
NTKERNELAPI VOID NTAPI TmGetTransactionId(KTRANSACTION *transaction, GUID *transactionid);
NTKERNELAPI NTSTATUS NTAPI TmInitializeTransactionManager(
    SSIZE_T *transactionmanager, const UNICODE_STRING *logfilename, const GUID *tmid, ULONG
    createoptions);
NTKERNELAPI BOOLEAN NTAPI TmIsTransactionActive(KTRANSACTION *transaction);
NTKERNELAPI NTSTATUS NTAPI TmPrePrepareComplete(
    KENLISTMENT *enlistment, LARGE_INTEGER *tmvirtualclock);
NTKERNELAPI NTSTATUS NTAPI TmPrePrepareEnlistment(
    KENLISTMENT *enlistment, LARGE_INTEGER *tmvirtualclock);
NTKERNELAPI NTSTATUS NTAPI TmPrepareComplete(
    KENLISTMENT *enlistment, LARGE_INTEGER *tmvirtualclock);
NTKERNELAPI NTSTATUS NTAPI TmPrepareEnlistment(
    KENLISTMENT *enlistment, LARGE_INTEGER *tmvirtualclock);
NTKERNELAPI NTSTATUS NTAPI TmPropagationComplete(
    KRESOURCEMANAGER *resourcemanager, ULONG requestcookie, ULONG bufferlength, PVOID buffer);
NTKERNELAPI NTSTATUS NTAPI TmPropagationFailed(
    KRESOURCEMANAGER *resourcemanager, ULONG requestcookie, NTSTATUS status);
NTKERNELAPI NTSTATUS NTAPI TmReadOnlyEnlistment(
    KENLISTMENT *enlistment, LARGE_INTEGER *tmvirtualclock);
NTKERNELAPI NTSTATUS NTAPI TmRecoverEnlistment(KENLISTMENT *enlistment, PVOID enlistmentkey);
NTKERNELAPI NTSTATUS NTAPI TmRecoverResourceManager(KRESOURCEMANAGER *resourcemanager);
NTKERNELAPI NTSTATUS NTAPI TmRecoverTransactionManager(KTM *tm, LARGE_INTEGER *targetvirtualclock);
NTKERNELAPI NTSTATUS NTAPI TmReferenceEnlistmentKey(KENLISTMENT *enlistment, VOID **key);
NTKERNELAPI NTSTATUS NTAPI TmRenameTransactionManager(
    const UNICODE_STRING *logfilename, const GUID *existingtransactionmanagerguid);
NTKERNELAPI NTSTATUS NTAPI TmRequestOutcomeEnlistment(
    KENLISTMENT *enlistment, LARGE_INTEGER *tmvirtualclock);
NTKERNELAPI NTSTATUS NTAPI TmRollbackComplete(
    KENLISTMENT *enlistment, LARGE_INTEGER *tmvirtualclock);
NTKERNELAPI NTSTATUS NTAPI TmRollbackEnlistment(
    KENLISTMENT *enlistment, LARGE_INTEGER *tmvirtualclock);
NTKERNELAPI NTSTATUS NTAPI TmRollbackTransaction(KTRANSACTION *transaction, BOOLEAN wait);
NTKERNELAPI NTSTATUS NTAPI TmSinglePhaseReject(
    KENLISTMENT *enlistment, LARGE_INTEGER *tmvirtualclock);
NTKERNELAPI NTSTATUS NTAPI VslCreateSecureSection(
    HANDLE *handle, PEPROCESS targetprocess, MDL *mdl, ULONG devicepageprotection, ULONG
    attributes);
NTKERNELAPI NTSTATUS NTAPI VslDeleteSecureSection(HANDLE globalhandle);
NTKERNELAPI NTSTATUS NTAPI WheaAddErrorSource(
    WHEA_ERROR_SOURCE_DESCRIPTOR *errorsource, PVOID context);
NTKERNELAPI NTSTATUS NTAPI WheaAddErrorSourceDeviceDriver(
    PVOID context, WHEA_ERROR_SOURCE_CONFIGURATION_DEVICE_DRIVER *configuration, ULONG
    numberpreallocatederrorreports);
NTKERNELAPI NTSTATUS NTAPI WheaAddErrorSourceDeviceDriverV1(
    PVOID context, WHEA_ERROR_SOURCE_CONFIGURATION_DEVICE_DRIVER *configuration, ULONG
    numbufferstopreallocate, ULONG maxdatalength);
NTKERNELAPI NTSTATUS NTAPI WheaAddHwErrorReportSectionDeviceDriver(
    PVOID errorhandle, ULONG sectiondatalength, WHEA_DRIVER_BUFFER_SET *bufferset);
NTKERNELAPI NTSTATUS NTAPI WheaConfigureErrorSource(
    WHEA_ERROR_SOURCE_TYPE sourcetype, WHEA_ERROR_SOURCE_CONFIGURATION *configuration);
NTKERNELAPI PVOID NTAPI WheaCreateHwErrorReportDeviceDriver(
    ULONG errorsourceid, DEVICE_OBJECT *deviceobject);
NTKERNELAPI WHEA_ERROR_SOURCE_STATE NTAPI WheaErrorSourceGetState(ULONG errorsourceid);
NTKERNELAPI BOOLEAN NTAPI WheaGetNotifyAllOfflinesPolicy(VOID);
NTKERNELAPI BOOLEAN NTAPI WheaHighIrqlLogSelEventHandlerRegister(
    PFN_WHEA_HIGH_IRQL_LOG_SEL_EVENT_HANDLER handler, PVOID context);
NTKERNELAPI VOID NTAPI WheaHighIrqlLogSelEventHandlerUnregister(VOID);
NTKERNELAPI NTSTATUS NTAPI WheaHwErrorReportAbandonDeviceDriver(PVOID errorhandle);
NTKERNELAPI NTSTATUS NTAPI WheaHwErrorReportSetSectionNameDeviceDriver(
    WHEA_DRIVER_BUFFER_SET *bufferset, ULONG namelength, UCHAR *name);
NTKERNELAPI NTSTATUS NTAPI WheaHwErrorReportSetSeverityDeviceDriver(
    PVOID errorhandle, WHEA_ERROR_SEVERITY errorseverity);
NTKERNELAPI NTSTATUS NTAPI WheaHwErrorReportSubmitDeviceDriver(PVOID errorhandle);
NTKERNELAPI NTSTATUS NTAPI WheaInitializeRecordHeader(WHEA_ERROR_RECORD_HEADER *header);
NTKERNELAPI BOOLEAN NTAPI WheaIsCriticalState(VOID);
NTKERNELAPI VOID NTAPI WheaLogInternalEvent(WHEA_EVENT_LOG_ENTRY *entry);
NTKERNELAPI NTSTATUS NTAPI WheaRegisterInUsePageOfflineNotification(
    PFN_IN_USE_PAGE_OFFLINE_NOTIFY callback, PVOID context);
NTKERNELAPI VOID NTAPI WheaRemoveErrorSource(ULONG errorsourceid);
NTKERNELAPI NTSTATUS NTAPI WheaRemoveErrorSourceDeviceDriver(ULONG errorsourceid);
NTKERNELAPI NTSTATUS NTAPI WheaReportHwError(WHEA_ERROR_PACKET_V2 *errorpacket);
NTKERNELAPI NTSTATUS NTAPI WheaReportHwErrorDeviceDriver(
    ULONG errorsourceid, DEVICE_OBJECT *deviceobject, UCHAR *errordata, ULONG errordatalength,
    const GUID *sectiontypeguid, WHEA_ERROR_SEVERITY errorseverity, PCSTR devicefriendlyname);
NTKERNELAPI NTSTATUS NTAPI WheaUnconfigureErrorSource(WHEA_ERROR_SOURCE_TYPE sourcetype);
NTKERNELAPI NTSTATUS NTAPI WheaUnregisterInUsePageOfflineNotification(
    PFN_IN_USE_PAGE_OFFLINE_NOTIFY callback);
