//! Exports that are younger than the oldest systems a driver is built for, and since
//! when there is each: the "minimum supported client" of its reference page. A driver
//! that imports one is not loaded by an older Windows. Pages that name the version in
//! which a function was first documented, though it was exported long before, as for
//! `PsGetProcessExitStatus`, are not followed.

use ntbox_api::OsVersion;

const fn version(major: u32, minor: u32, build: u32) -> OsVersion {
    OsVersion {
        major,
        minor,
        build,
    }
}

/// Windows 7.
const WINDOWS_7: OsVersion = version(6, 1, 7600);
/// Windows 8.
const WINDOWS_8: OsVersion = version(6, 2, 9200);
/// Windows 8.1.
const WINDOWS_8_1: OsVersion = version(6, 3, 9600);
/// Windows 10.
const WINDOWS_10: OsVersion = version(10, 0, 10240);
/// Windows 10, version 1703.
const VERSION_1703: OsVersion = version(10, 0, 15063);
/// Windows 10, version 1709.
const VERSION_1709: OsVersion = version(10, 0, 16299);
/// Windows 10, version 2004.
const VERSION_2004: OsVersion = version(10, 0, 19041);

/// Each export and its version, by name.
const SINCE: &[(&str, OsVersion)] = &[
    ("CmCallbackGetKeyObjectIDEx", WINDOWS_8),
    ("CmCallbackReleaseKeyObjectIDEx", WINDOWS_8),
    ("EtwSetInformation", WINDOWS_10),
    ("EtwWriteEx", WINDOWS_7),
    ("ExAllocatePool2", VERSION_2004),
    ("ExAllocatePool3", VERSION_2004),
    ("ExAllocateTimer", WINDOWS_8_1),
    ("ExCancelTimer", WINDOWS_8_1),
    ("ExDeleteTimer", WINDOWS_8_1),
    ("ExFreePool2", VERSION_2004),
    ("ExGetFirmwareEnvironmentVariable", WINDOWS_8),
    ("ExQueryTimerResolution", WINDOWS_8),
    ("ExSetFirmwareEnvironmentVariable", WINDOWS_8),
    ("ExSetResourceOwnerPointerEx", WINDOWS_7),
    ("ExSetTimer", WINDOWS_8_1),
    ("FsRtlAreThereCurrentOrInProgressFileLocks", WINDOWS_7),
    ("FsRtlCheckLockForOplockRequest", WINDOWS_8),
    ("FsRtlInitializeExtraCreateParameter", WINDOWS_7),
    ("FsRtlInitializeExtraCreateParameterList", WINDOWS_7),
    ("FsRtlIsSystemPagingFile", WINDOWS_8),
    ("FsRtlPrepareToReuseEcp", WINDOWS_8),
    ("IoAllocateIrpEx", WINDOWS_10),
    ("IoCheckShareAccessEx", WINDOWS_7),
    ("IoInitializeIrpEx", WINDOWS_10),
    ("IoMakeAssociatedIrpEx", WINDOWS_10),
    ("IoRegisterFsRegistrationChangeMountAware", WINDOWS_7),
    ("IoSetShareAccessEx", WINDOWS_7),
    ("IoSizeOfIrpEx", WINDOWS_10),
    ("IoUnregisterPlugPlayNotificationEx", WINDOWS_7),
    ("KeGetCurrentNodeNumber", WINDOWS_7),
    ("KeGetCurrentProcessorNumberEx", WINDOWS_7),
    ("KeGetProcessorIndexFromNumber", WINDOWS_7),
    ("KeGetProcessorNumberFromIndex", WINDOWS_7),
    ("KeQueryActiveGroupCount", WINDOWS_7),
    ("KeQueryActiveProcessorCountEx", WINDOWS_7),
    ("KeQueryGroupAffinity", WINDOWS_7),
    ("KeQueryHighestNodeNumber", WINDOWS_7),
    ("KeQueryInterruptTimePrecise", WINDOWS_8_1),
    ("KeQueryLogicalProcessorRelationship", WINDOWS_7),
    ("KeQueryMaximumGroupCount", WINDOWS_7),
    ("KeQueryMaximumProcessorCountEx", WINDOWS_7),
    ("KeQueryNodeActiveAffinity", WINDOWS_7),
    ("KeQueryNodeMaximumProcessorCount", WINDOWS_7),
    ("KeQuerySystemTimePrecise", WINDOWS_8),
    ("KeQueryUnbiasedInterruptTime", WINDOWS_7),
    ("KeRestoreExtendedProcessorState", WINDOWS_7),
    ("KeRevertToUserGroupAffinityThread", WINDOWS_7),
    ("KeSaveExtendedProcessorState", WINDOWS_7),
    ("KeSetCoalescableTimer", WINDOWS_7),
    ("KeSetSystemGroupAffinityThread", WINDOWS_7),
    ("KeSetTargetProcessorDpcEx", WINDOWS_7),
    ("MmAllocateContiguousNodeMemory", WINDOWS_8),
    ("MmAllocateMappingAddressEx", VERSION_2004),
    ("MmCopyMemory", WINDOWS_8_1),
    ("MmMapIoSpaceEx", WINDOWS_10),
    ("NtQueryDirectoryFileEx", VERSION_1709),
    ("ObDereferenceObjectDeferDeleteWithTag", WINDOWS_7),
    ("ObOpenObjectByPointerWithTag", WINDOWS_7),
    ("ObReferenceObjectByHandleWithTag", WINDOWS_7),
    ("ObReferenceObjectByPointerWithTag", WINDOWS_7),
    ("PoClearPowerRequest", WINDOWS_7),
    ("PoCreatePowerRequest", WINDOWS_7),
    ("PoDeletePowerRequest", WINDOWS_7),
    ("PoQueryWatchdogTime", WINDOWS_7),
    ("PoSetPowerRequest", WINDOWS_7),
    ("PsSetCreateProcessNotifyRoutineEx2", VERSION_1703),
    ("PsSetCreateThreadNotifyRoutineEx", WINDOWS_10),
    ("PsSetLoadImageNotifyRoutineEx", VERSION_1709),
    ("RtlGetEnabledExtendedFeatures", WINDOWS_7),
    ("RtlInitStringEx", WINDOWS_10),
    ("RtlUTF8ToUnicodeN", WINDOWS_7),
    ("RtlUnicodeToUTF8N", WINDOWS_7),
    ("ZwLockFile", WINDOWS_7),
    ("ZwOpenKeyEx", WINDOWS_7),
    ("ZwQueryDirectoryFileEx", VERSION_1709),
    ("ZwQueryVirtualMemory", WINDOWS_10),
    ("ZwUnlockFile", WINDOWS_7),
];

/// The version that an export came with; `None` for one that has always been there.
pub fn of(name: &str) -> Option<OsVersion> {
    let at = SINCE.binary_search_by(|(known, _)| (*known).cmp(name));
    at.ok().map(|at| SINCE[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::exports;

    #[test]
    fn each_is_an_export_and_in_order() {
        assert!(SINCE.is_sorted_by(|one, next| one.0 < next.0));
        for (name, _) in SINCE {
            assert!(
                exports::functions().any(|export| export.name == *name),
                "{name}"
            );
        }
        assert_eq!(of("IoAllocateMdl"), None);
        assert_eq!(of("ExAllocatePool2"), Some(VERSION_2004));
    }
}
