//! `HalDispatchTable`: routines that the HAL offers to drivers in a table. A driver may
//! read it and finds its version; each routine stands for itself as a missing import
//! does, so that a call of one is a report that names it.

use crate::base::export_table;

/// `HAL_DISPATCH_VERSION` of Windows 7 and later.
const VERSION: u64 = 4;

/// The members of `HAL_DISPATCH` behind its version, each eight bytes, as the open
/// headers have them.
const MEMBERS: [&str; 23] = [
    "HalQuerySystemInformation",
    "HalSetSystemInformation",
    "HalQueryBusSlots",
    "Spare1",
    "HalExamineMBR",
    "HalIoAssignDriveLetters",
    "HalIoReadPartitionTable",
    "HalIoSetPartitionInformation",
    "HalIoWritePartitionTable",
    "HalReferenceHandlerForBus",
    "HalReferenceBusHandler",
    "HalDereferenceBusHandler",
    "HalInitPnpDriver",
    "HalInitPowerManagement",
    "HalGetDmaAdapter",
    "HalGetInterruptTranslator",
    "HalStartMirroring",
    "HalEndMirroring",
    "HalMirrorPhysicalMemory",
    "HalEndOfBoot",
    "HalMirrorVerify",
    "HalGetCachedAcpiTable",
    "HalSetPciErrorHandlerCallback",
];

/// The table's eight-byte words.
pub fn words() -> Vec<u64> {
    let members = MEMBERS.iter().map(|member| match *member {
        "Spare1" => 0,
        routine => export_table::missing(format!("HalDispatchTable->{routine}")),
    });
    std::iter::once(VERSION).chain(members).collect()
}
