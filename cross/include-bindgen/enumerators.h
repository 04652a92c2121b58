/*
 * Enumerators that MinGW's headers lack, put in front of the last one of their enumeration.
 * Included before those headers; enumerators_end.h takes the macros back.
 */
#pragma once

#define WaitAny WaitNotification = 2, WaitDequeue = 3, WaitDpc = 4, WaitAny = 1
#define DPFLTR_ENDOFTABLE_ID DPFLTR_POWER_ID = 146, DPFLTR_CRASHDUMPXHCI_ID = 147, \
    DPFLTR_GPIO_ID = 148, DPFLTR_REFS_ID = 149, DPFLTR_WER_ID = 150, DPFLTR_CAPIMG_ID = 151, \
    DPFLTR_VPCI_ID = 152, DPFLTR_STORAGECLASSMEMORY_ID = 153, DPFLTR_FSLIB_ID = 154, \
    DPFLTR_ENDOFTABLE_ID = 155
#define RelationAll RelationProcessorDie = 5, RelationNumaNodeEx = 6, RelationProcessorModule \
    = 7, RelationAll
#define KbCallbackTriageDumpData KbCallbackReserved2 = 8, KbCallbackTriageDumpData = 7
#define MaximumWaitReason WrIoRing = 40, WrMdlCache = 41, MaximumWaitReason = 42
#define MaxSuiteType PhoneNT = 16, MultiUserTS = 17, MaxSuiteType = 18
#define MaxRegNtNotifyClass RegNtPreSaveMergedKey = 49, RegNtPostSaveMergedKey = 50, \
    MaxRegNtNotifyClass = 51
#define FileMaximumInformation FileKnownFolderInformation = 76, FileStatBasicInformation = 77, \
    FileId64ExtdDirectoryInformation = 78, FileId64ExtdBothDirectoryInformation = 79, \
    FileIdAllExtdDirectoryInformation = 80, FileIdAllExtdBothDirectoryInformation = 81, \
    FileMaximumInformation = 82
#define DirectoryNotifyExtendedInformation DirectoryNotifyFullInformation = 3, \
    DirectoryNotifyMaximumInformation = 4, DirectoryNotifyExtendedInformation = 2
#define FileFsMaximumInformation FileFsGuidInformation = 15, FileFsMaximumInformation = 16
#define L0sAndL1EntrySupport NoAspmSupport = 0, L1EntrySupport = 2, L0sAndL1EntrySupport
#define ResourceTypeMax ResourceTypeEventBuffer = 4, ResourceTypeIdenitificationTag = 5, \
    ResourceTypeMax = 6
#define HalAcpiAuditInformation HalIrtInformation = 27, HalSecondaryInterruptInformation = 28, \
    HalParkingPageInformation = 29, HalNumaRangeTableInformation = 30, \
    HalChannelTopologyInformation = 31, HalExternalCacheInformation = 32, \
    HalQueryDebuggerInformation = 33, HalFwBootPerformanceInformation = 34, \
    HalFwS3PerformanceInformation = 35, HalGetChannelPowerInformation = 36, \
    HalQueryStateElementInformation = 37, HalPsciInformation = 38, \
    HalInterruptControllerInformation = 39, HalQueryIommuReservedRegionInformation = 40, \
    HalQueryArmErrataInformation = 41, HalQueryProcessorEfficiencyInformation = 42, \
    HalQueryAcpiWakeAlarmSystemPowerStateInformation = 43, HalQueryProfileNumberOfCounters = 44, \
    HalQueryHyperlaunchEntrypoint = 45, HalHardwareWatchdogInformation = 46, \
    HalDmaRemappingInformation = 47, HalQueryUnused0001 = 48, \
    HalHeterogeneousMemoryAttributesInterface = 49, HalQueryPerDeviceMsiLimitInformation = 50, \
    HalQueryProfileCorruptionStatus = 51, HalQueryProfileCounterOwnership = 52, \
    HalAcpiAuditInformation = 26
#define HalProfileDpgoSourceInterruptHandler HalRegisterSecondaryInterruptInterface = 13, \
    HalSetChannelPowerInformation = 14, HalI386ExceptionChainTerminatorInformation = 15, \
    HalSetResetParkDisposition = 16, HalSetPsciSuspendMode = 17, HalSetHvciEnabled = 18, \
    HalSetProcessorTraceInterruptHandler = 19, HalProfileSourceAdd = 20, HalProfileSourceRemove = \
    21, HalSetSwInterruptHandler = 22, HalSetClockTimerMinimumInterval = 23, \
    HalProfileDpgoSourceInterruptHandler = 12
#define MaxProcessInfoClass ProcessOwnerInformation = 49, ProcessHandleInformation = 51, \
    ProcessMitigationPolicy = 52, ProcessDynamicFunctionTableInformation = 53, \
    ProcessHandleCheckingMode = 54, ProcessKeepAliveCount = 55, ProcessRevokeFileHandles = 56, \
    ProcessWorkingSetControl = 57, ProcessHandleTable = 58, ProcessCheckStackExtentsMode = 59, \
    ProcessCommandLineInformation = 60, ProcessProtectionInformation = 61, ProcessMemoryExhaustion \
    = 62, ProcessFaultInformation = 63, ProcessTelemetryIdInformation = 64, \
    ProcessCommitReleaseInformation = 65, ProcessReserved1Information = 66, \
    ProcessReserved2Information = 67, ProcessSubsystemProcess = 68, ProcessInPrivate = 70, \
    ProcessRaiseUMExceptionOnInvalidHandleClose = 71, ProcessSubsystemInformation = 75, \
    ProcessWin32kSyscallFilterInformation = 79, ProcessEnergyTrackingState = 82, \
    MaxProcessInfoClass = 83
#define MaxThreadInfoClass ThreadCpuAccountingInformation = 34, ThreadSuspendCount = 35, \
    ThreadActualGroupAffinity = 41, ThreadDynamicCodePolicyInfo = 42, ThreadSubsystemInformation = \
    45, MaxThreadInfoClass = 56
#define AccessReasonNoGrant AccessReasonNotGrantedByCape = 327680, \
    AccessReasonNotGrantedByParentCape = 393216, AccessReasonNotGrantedToAppContainer = 458752, \
    AccessReasonTrustLabel = 9437184, AccessReasonFilterAce = 10485760, AccessReasonNoGrant
#define MaxTokenInfoClass TokenIsAppContainer = 29, TokenCapabilities = 30, \
    TokenAppContainerSid = 31, TokenAppContainerNumber = 32, TokenUserClaimAttributes = 33, \
    TokenDeviceClaimAttributes = 34, TokenRestrictedUserClaimAttributes = 35, \
    TokenRestrictedDeviceClaimAttributes = 36, TokenDeviceGroups = 37, TokenRestrictedDeviceGroups \
    = 38, TokenSecurityAttributes = 39, TokenIsRestricted = 40, TokenProcessTrustLevel = 41, \
    TokenPrivateNameSpace = 42, TokenSingletonAttributes = 43, TokenBnoIsolation = 44, \
    TokenChildProcessFlags = 45, TokenIsLessPrivilegedAppContainer = 46, TokenIsSandboxed = 47, \
    TokenIsAppSilo = 48, MaxTokenInfoClass = 49
#define MsV1_0VirtualLogon MsV1_0NoElevationLogon = 83, MsV1_0LuidLogon = 84, \
    MsV1_0VirtualLogon
#define MsV1_0ClearCachedCredentials MsV1_0LookupToken = 15, MsV1_0ValidateAuth = 16, \
    MsV1_0CacheLookupEx = 17, MsV1_0GetCredentialKey = 18, MsV1_0SetThreadOption = 19, \
    MsV1_0DecryptDpapiMasterKey = 20, MsV1_0GetStrongCredentialKey = 21, MsV1_0TransferCred = 22, \
    MsV1_0ProvisionTbal = 23, MsV1_0DeleteTbalSecrets = 24, MsV1_0ClearCachedCredentials = 14
