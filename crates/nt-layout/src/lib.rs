//! Structures of the NT kernel on x64, as drivers see them.
//!
//! Fields have the WDK's names in Rust's case. Pointers are `u64`: they are
//! addresses of the driver, never of this program. Unions are the member that
//! the kernel uses, or bytes. Tests compare sizes and offsets with `windows-sys`.

#![no_std]
#![forbid(unsafe_code)]

mod common;
mod ex;
mod fs;
mod io;
mod io_parameters;
mod io_support;
mod ke;
mod ob;
mod rtl;
mod se;
#[cfg(test)]
mod tests;

pub use common::{DispatcherHeader, KdeviceQueue, Kdpc, Kevent, ListEntry, Mdl, UnicodeString};
pub use ex::{
    Eresource, ExRundownRefCacheAware, ExtDeleteParameters, FastMutex, GeneralLookaside,
    KldrDataTableEntry, OwnerEntry, WorkQueueItem,
};
pub use fs::{
    BaseMcb, FileLock, FileLockInfo, FsrtlAdvancedFcbHeader, FsrtlCommonFcbHeader,
    FsrtlPerStreamContext, LargeMcb, McbPair, RamfsFcb, ReparseGuidDataBuffer,
    SectionObjectPointers, ShareAccess, Tunnel, TunnelEntry,
};
pub use io::{
    DeviceObject, DevobjExtension, DriverExtension, DriverObject, FileObject, IoStackLocation,
    IoStatusBlock, Irp, Vpb,
};
pub use ke::{
    GroupAffinity, Kapc, KapcState, KbugcheckCallbackRecord, KbugcheckReasonCallbackRecord,
    KdeviceQueueEntry, KeProcessorChangeNotifyContext, KlockQueueHandle, Kmutant, Kqueue,
    Ksemaphore, KspinLockQueue, KsystemTime, Ktimer, KuserSharedData, ProcessorNumber,
};
pub use ob::{
    ClientId, ObCallbackRegistration, ObOperationInformation, ObOperationRegistration,
    ObPostOperationInformation, ObPreDuplicateHandleInformation, ObPreOperationInformation,
    ObjectAttributes, PsCreateNotifyInfo,
};
pub use se::{
    AccessAce, AccessState, AceHeader, Acl, AuxAccessData, GenericMapping, LuidAndAttributes,
    PrivilegeSet, SecurityDescriptor, SecurityDescriptorRelative, SecuritySubjectContext, Sid,
};

pub use io_parameters::{
    CreateParameters, DeviceIoControlParameters, FileInformationParameters, LockControlParameters,
    PowerParameters, QueryDirectoryParameters, ReadWriteParameters, WaitWakeParameters,
};
pub use rtl::{
    CmPartialResourceDescriptor, GenerateNameContext, IoResourceDescriptor, RtlAvlTable,
    RtlBalancedLinks, RtlBitmap, RtlBitmapRun, RtlDynamicHashTable, RtlDynamicHashTableContext,
    RtlDynamicHashTableEntry, RtlDynamicHashTableEnumerator, RtlGenericTable, RtlGenericTableNode,
    RtlHeap, RtlHeapBlock, RtlOsversioninfoexw, RtlRange, RtlRangeList, RtlRangeListEntry,
    RtlRangeListIterator, RtlSplayLinks, UnicodePrefixTable, UnicodePrefixTableEntry,
};

pub use io_support::{
    ConfigurationInformation, EcpHeader, EcpList, FileAllInformation, FileFsDeviceInformation,
    FileFullEaInformation, FileQuotaInformation, FileRenameInformation, IoCsq, IoCsqIrpContext,
    IoDisconnectInterruptParameters, IoDriverCreateContext, IoRemoveLockCommonBlock,
    IoRemoveLockDbg, IoSecurityContext, IoTimer, IoUnloadSafeCompletionContext, IoWorkitem,
};

/// Declares structures that hold plain data.
macro_rules! structures {
    ($($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$outer])*
        #[repr(C)]
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq,
            zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable,
        )]
        #[allow(missing_docs, reason = "the WDK documents the fields under the same names")]
        pub struct $name {
            $($(#[$inner])* pub $field: $type,)*
        }
    )*};
}
use structures;
