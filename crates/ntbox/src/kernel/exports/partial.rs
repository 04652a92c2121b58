//! Exports that do less than their reference says, and what they leave out. An
//! outcome that could be mistaken for an answer is told in the log, too; refusals
//! and empty lists that Windows has as well are not.

/// The export and what is missing, by name.
pub const NOTES: &[(&str, &str)] = &[
    (
        "EtwRegister",
        "nobody listens: nothing is enabled, no callback is called",
    ),
    (
        "ExQueryPoolBlockSize",
        "tells of no block that it is charged to a quota",
    ),
    (
        "FsRtlRegisterFileSystemFilterCallbacks",
        "no callback is called: no file of a driver has sections",
    ),
    (
        "FsRtlValidateReparsePointBuffer",
        "what the data of a tag mean is not looked at",
    ),
    (
        "HalDispatchTable",
        "its routines are not there: a call of one stops the kernel",
    ),
    ("IoConnectInterrupt", "always fails: there is no hardware"),
    ("IoConnectInterruptEx", "always fails: there is no hardware"),
    (
        "IoCreateFileEx",
        "of the create context only extra create parameters and the device are looked at",
    ),
    ("IoGetDmaAdapter", "always fails: there is no DMA"),
    (
        "IoRaiseHardError",
        "nobody answers the dialog box: the request ends",
    ),
    (
        "IoRaiseInformationalHardError",
        "nobody sees the dialog box",
    ),
    (
        "IoRegisterPlugPlayNotification",
        "nothing arrives or leaves",
    ),
    (
        "IoWMIRegistrationControl",
        "nobody asks a provider for data",
    ),
    (
        "KeQueryDpcWatchdogInformation",
        "no watchdog: a long DPC is found by the run's time-out",
    ),
    (
        "KeQueryLogicalProcessorRelationship",
        "no caches are told of",
    ),
    (
        "KeSaveExtendedProcessorState",
        "no register is saved, nor restored later",
    ),
    (
        "KeSetIdealProcessorThread",
        "is kept and told; no thread is kept on its ideal processor",
    ),
    ("MmMapIoSpace", "always fails: there are no devices"),
    ("MmMapIoSpaceEx", "always fails: there are no devices"),
    (
        "NtPowerInformation",
        "PlatformInformation only, as documented",
    ),
    (
        "NtQueryInformationProcess",
        "classes 0, 1, 3 (pool only), 20, 24, 26 and 27",
    ),
    ("NtQueryInformationToken", "classes 1 to 8, 10 and 12"),
    (
        "NtQuerySystemInformation",
        "classes 0, 1, 3, 5, 8, 11, 35 and 103",
    ),
    (
        "PoRegisterDeviceForIdleDetection",
        "NULL: nothing is detected",
    ),
    (
        "PoRegisterPowerSettingCallback",
        "four settings have values, which never change",
    ),
    (
        "RtlAddRange",
        "shared ranges that overlap are listed one by one, not merged",
    ),
    (
        "RtlCreateHeap",
        "blocks are paged pool, not memory of the process; none in memory of the caller",
    ),
    ("RtlGetProductInfo", "the edition is Professional"),
    (
        "RtlNtStatusToDosError",
        "what it does not know is told in the log",
    ),
    (
        "RtlNtStatusToDosErrorNoTeb",
        "what it does not know is told in the log",
    ),
    (
        "SeFilterToken",
        "flags DISABLE_MAX_PRIVILEGE and SANDBOX_INERT",
    ),
    (
        "SeMarkLogonSessionForTerminationNotification",
        "logon sessions do not end",
    ),
    ("SeQueryInformationToken", "classes 1 to 8, 10 and 12"),
    (
        "SeSetSecurityDescriptorInfoEx",
        "no automatic inheritance: flags are refused",
    ),
    (
        "ZwCreateTransaction",
        "always fails: there is no transaction manager",
    ),
    (
        "ZwCreateTransactionManager",
        "always fails: there is no transaction manager",
    ),
    (
        "ZwNotifyChangeKey",
        "deleting the key itself tells nobody before the handle is closed",
    ),
    (
        "ZwOpenTransaction",
        "always fails: there is no transaction manager",
    ),
    (
        "ZwOpenTransactionManager",
        "always fails: there is no transaction manager",
    ),
    (
        "ZwPowerInformation",
        "PlatformInformation only, as documented",
    ),
    (
        "ZwQueryInformationProcess",
        "classes 0, 1, 3 (pool only), 20, 24, 26 and 27",
    ),
    ("ZwQueryInformationToken", "classes 1 to 8, 10 and 12"),
    (
        "ZwQuerySystemInformation",
        "classes 0, 1, 3, 5, 8, 11, 35 and 103",
    ),
    ("ZwQueryVirtualMemory", "MemoryBasicInformation only"),
    ("ZwSetTimer", "APC routines are not called"),
];

/// What an export leaves out.
pub fn of(name: &str) -> Option<&'static str> {
    let at = NOTES.binary_search_by(|(known, _)| (*known).cmp(name));
    at.ok().map(|at| NOTES[at].1)
}
