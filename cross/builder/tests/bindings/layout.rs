//! How the WDK lays out the structures that drivers share with the kernel.
//!
//! Sizes are those of x64 Windows. Offsets are taken from `windows-sys`, whose
//! structures come from the WDK; its sizes are not, since it drops attributes of
//! alignment.

use std::mem::offset_of;

use windows_sys::{
    Wdk::{
        Foundation::{
            DEVICE_OBJECT, DRIVER_OBJECT, ERESOURCE, FILE_OBJECT, IO_STACK_LOCATION, IRP, KDPC,
            KEVENT, MDL, OBJECT_ATTRIBUTES,
        },
        System::SystemServices::{EX_RUNDOWN_REF, KEY_VALUE_PARTIAL_INFORMATION, KTIMER},
    },
    Win32::{
        Foundation::UNICODE_STRING,
        System::{
            Kernel::{LIST_ENTRY, SINGLE_LIST_ENTRY, SLIST_ENTRY},
            SystemInformation::OSVERSIONINFOW,
        },
    },
};

use crate::generated::Generated;

/// A structure as the WDK has it.
struct Known {
    name: &'static str,
    size: usize,
    offsets: &'static [(&'static str, usize)],
}

/// `Known` for a structure of `windows-sys`, with the offsets of the fields named.
macro_rules! known {
    ($name:ident, $size:literal, [$($field:ident)*]) => {
        Known {
            name: stringify!($name),
            size: $size,
            offsets: &[$((stringify!($field), offset_of!($name, $field))),*],
        }
    };
}

/// Every structure that there is a reference for. Left out of the fields are
/// those without a name, those that one side names otherwise, and `SpinLock`
/// of an ERESOURCE: `windows-sys` lacks a member before it that 64-bit systems
/// have (Reserved2, in ntifs.h under _WIN64).
const KNOWN: &[Known] = &[
    known!(DEVICE_OBJECT, 0x150, [
        Type Size ReferenceCount DriverObject NextDevice AttachedDevice CurrentIrp Timer Flags
        Characteristics Vpb DeviceExtension DeviceType StackSize Queue AlignmentRequirement
        DeviceQueue Dpc ActiveThreadCount SecurityDescriptor DeviceLock SectorSize Spare1
        DeviceObjectExtension Reserved
    ]),
    known!(DRIVER_OBJECT, 0x150, [
        Type Size DeviceObject Flags DriverStart DriverSize DriverSection DriverExtension
        DriverName HardwareDatabase FastIoDispatch DriverInit DriverStartIo DriverUnload
        MajorFunction
    ]),
    known!(ERESOURCE, 0x68, [
        SystemResourcesList OwnerTable ActiveCount SharedWaiters ExclusiveWaiters OwnerEntry
        ActiveEntries ContentionCount NumberOfSharedWaiters NumberOfExclusiveWaiters
    ]),
    Known {
        name: "EX_RUNDOWN_REF",
        size: size_of::<EX_RUNDOWN_REF>(),
        offsets: &[],
    },
    known!(FILE_OBJECT, 0xD8, [
        Type Size DeviceObject Vpb FsContext FsContext2 SectionObjectPointer PrivateCacheMap
        FinalStatus RelatedFileObject LockOperation DeletePending ReadAccess WriteAccess
        DeleteAccess SharedRead SharedWrite SharedDelete Flags FileName CurrentByteOffset
    ]),
    known!(IO_STACK_LOCATION, 0x48, [
        MajorFunction MinorFunction Flags Control Parameters DeviceObject FileObject
        CompletionRoutine Context
    ]),
    known!(IRP, 0xD0, [
        Type Size MdlAddress Flags AssociatedIrp ThreadListEntry IoStatus RequestorMode
        PendingReturned StackCount CurrentLocation Cancel CancelIrql ApcEnvironment
        AllocationFlags UserEvent Overlay CancelRoutine UserBuffer Tail
    ]),
    Known {
        name: "FAST_MUTEX",
        size: 0x38,
        offsets: &[
            ("Count", 0),
            ("Owner", 8),
            ("Contention", 0x10),
            ("Event", 0x18),
            ("OldIrql", 0x30),
        ],
    },
    Known {
        name: "IO_REMOVE_LOCK",
        size: 0x20,
        offsets: &[("Common", 0)],
    },
    Known {
        name: "KAPC_STATE",
        size: 0x30,
        offsets: &[("ApcListHead", 0), ("Process", 0x20)],
    },
    Known {
        name: "KGUARDED_MUTEX",
        size: 0x38,
        offsets: &[
            ("Count", 0),
            ("Owner", 8),
            ("Contention", 0x10),
            ("Gate", 0x18),
        ],
    },
    Known {
        name: "LARGE_INTEGER",
        size: 8,
        offsets: &[],
    },
    known!(KDPC, 0x40, [
        DpcListEntry DeferredRoutine DeferredContext SystemArgument1 SystemArgument2 DpcData
    ]),
    known!(KEVENT, 0x18, [Header]),
    known!(KEY_VALUE_PARTIAL_INFORMATION, 0x10, [TitleIndex Type DataLength Data]),
    known!(KTIMER, 0x40, [Header DueTime TimerListEntry Dpc]),
    known!(LIST_ENTRY, 0x10, [Flink Blink]),
    // The offsets are those of a GENERAL_LOOKASIDE_POOL, which drivers compiled with
    // the WDK's inline functions use.
    Known {
        name: "LOOKASIDE_LIST_EX",
        size: 0x60,
        offsets: &[("L", 0)],
    },
    known!(MDL, 0x30, [
        Next Size MdlFlags Process MappedSystemVa StartVa ByteCount ByteOffset
    ]),
    known!(OBJECT_ATTRIBUTES, 0x30, [
        Length RootDirectory ObjectName Attributes SecurityDescriptor SecurityQualityOfService
    ]),
    known!(OSVERSIONINFOW, 0x114, [
        dwOSVersionInfoSize dwMajorVersion dwMinorVersion dwBuildNumber dwPlatformId szCSDVersion
    ]),
    known!(SINGLE_LIST_ENTRY, 8, [Next]),
    known!(SLIST_ENTRY, 0x10, [Next]),
    Known {
        name: "SLIST_HEADER",
        size: 0x10,
        offsets: &[],
    },
    Known {
        name: "TIME_FIELDS",
        size: 0x10,
        offsets: &[
            ("Year", 0),
            ("Month", 2),
            ("Day", 4),
            ("Hour", 6),
            ("Minute", 8),
            ("Second", 0xA),
            ("Milliseconds", 0xC),
        ],
    },
    known!(UNICODE_STRING, 0x10, [Length MaximumLength Buffer]),
];

/// Whether there is a reference for the structure `name`.
pub fn is_known(name: &str) -> bool {
    let plain = name.trim_start_matches('_');
    // The same structure by the name that kernel headers have for it.
    let plain = plain.strip_prefix("RTL_").unwrap_or(plain);
    KNOWN.iter().any(|known| known.name == plain)
}

/// Every difference between the bindings and the references.
pub fn disagreements(generated: &Generated) -> Vec<String> {
    KNOWN
        .iter()
        .flat_map(|known| known.disagreements(generated))
        .collect()
}

impl Known {
    /// Every difference between the bindings and this reference.
    fn disagreements(&self, generated: &Generated) -> Vec<String> {
        let name = self.name;
        let Some(ours) = generated.structure(name) else {
            return vec![format!("{name} is not in the bindings")];
        };
        let mut wrong = Vec::new();
        if ours.size != self.size {
            wrong.push(format!(
                "{name} has {:#x} bytes, but on Windows {:#x}",
                ours.size, self.size
            ));
        }
        for (field, offset) in self.offsets {
            match ours.offsets.get(*field) {
                Some(ours) if ours == offset => {}
                Some(ours) => wrong.push(format!(
                    "{name}.{field} is at {ours:#x}, but on Windows at {offset:#x}"
                )),
                None => wrong.push(format!("{name} has no field {field}")),
            }
        }
        wrong
    }
}

#[test]
fn wrong_layout_is_a_disagreement() {
    let source = |size: usize, blink: usize| {
        let text = format!(
            r#"const _: () = {{
                ["Size of _LIST_ENTRY"][size_of::<_LIST_ENTRY>() - {size}usize];
                ["Offset of field: _LIST_ENTRY::Flink"][offset_of!(_LIST_ENTRY, Flink) - 0usize];
                ["Offset of field: _LIST_ENTRY::Blink"][offset_of!(_LIST_ENTRY, Blink) - {blink}usize];
            }};
            pub type LIST_ENTRY = _LIST_ENTRY;"#
        );
        Generated::parse(&[syn::parse_str(&text).expect("assertions")])
    };
    let known = known!(LIST_ENTRY, 0x10, [Flink Blink]);
    assert_eq!(known.disagreements(&source(16, 8)), Vec::<String>::new());
    assert_eq!(known.disagreements(&source(24, 8)).len(), 1);
    assert_eq!(known.disagreements(&source(16, 16)).len(), 1);
    let nothing = Generated::default();
    assert_eq!(known.disagreements(&nothing).len(), 1);
}
