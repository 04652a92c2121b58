//! Types, with the fields that `wdm` uses under the bindings' names. Layouts are the
//! host's own: `wdm` asks for every offset by name.

use core::{
    ffi::c_void,
    ptr::{null, null_mut},
};

pub type PVOID = *mut c_void;
pub type HANDLE = PVOID;
pub type NTSTATUS = i32;
pub type BOOLEAN = u8;
pub type CCHAR = i8;
pub type USHORT = u16;
pub type ULONG = u32;
pub type LONG = i32;
pub type SIZE_T = u64;
pub type KIRQL = u8;
pub type KPROCESSOR_MODE = CCHAR;
pub type KPRIORITY = LONG;
pub type KSPIN_LOCK = u64;
pub type POOL_FLAGS = u64;
pub type POOL_TYPE = u32;
pub type PFN_NUMBER = u64;
pub type MEMORY_CACHING_TYPE = i32;
pub type PHYSICAL_ADDRESS = LARGE_INTEGER;
pub type PKPROCESS = *mut c_void;
pub type PEPROCESS = *mut c_void;
pub type PETHREAD = *mut c_void;
pub type PDEVICE_OBJECT = *mut DEVICE_OBJECT;
pub type PLOOKASIDE_LIST_EX = *mut LOOKASIDE_LIST_EX;

/// A structure of the reference, all of whose fields may begin as zeroes.
macro_rules! structure {
    ($name:ident { $($field:ident: $type:ty = $default:expr,)* }) => {
        #[repr(C)]
        #[derive(Clone, Copy)]
        pub struct $name {
            $(pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

structure!(LIST_ENTRY {
    Flink: *mut LIST_ENTRY = null_mut(),
    Blink: *mut LIST_ENTRY = null_mut(),
});

structure!(SINGLE_LIST_ENTRY {
    Next: *mut SINGLE_LIST_ENTRY = null_mut(),
});

#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct SLIST_ENTRY {
    pub Next: *mut SLIST_ENTRY,
}

#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub struct SLIST_HEADER {
    pub(crate) first: *mut SLIST_ENTRY,
    pub(crate) depth: u16,
}

impl Default for SLIST_HEADER {
    fn default() -> Self {
        Self {
            first: null_mut(),
            depth: 0,
        }
    }
}

structure!(UNICODE_STRING {
    Length: USHORT = 0,
    MaximumLength: USHORT = 0,
    Buffer: *mut u16 = null_mut(),
});

#[repr(C)]
#[derive(Clone, Copy)]
pub union LARGE_INTEGER {
    pub QuadPart: i64,
}

structure!(TIME_FIELDS {
    Year: i16 = 0,
    Month: i16 = 0,
    Day: i16 = 0,
    Hour: i16 = 0,
    Minute: i16 = 0,
    Second: i16 = 0,
    Milliseconds: i16 = 0,
    Weekday: i16 = 0,
});

structure!(RTL_OSVERSIONINFOW {
    dwOSVersionInfoSize: ULONG = 0,
    dwMajorVersion: ULONG = 0,
    dwMinorVersion: ULONG = 0,
    dwBuildNumber: ULONG = 0,
});

structure!(KEVENT {
    initialised: bool = false,
    synchronization: bool = false,
    state: LONG = 0,
});

structure!(FAST_MUTEX {
    Count: LONG = 0,
    Owner: PVOID = null_mut(),
    Contention: ULONG = 0,
    Event: KEVENT = KEVENT::default(),
    OldIrql: ULONG = 0,
});

structure!(KGUARDED_MUTEX {
    initialised: bool = false,
    owner: usize = 0,
});

structure!(IO_REMOVE_LOCK {
    initialised: bool = false,
    removed: bool = false,
    count: LONG = 0,
});

structure!(KAPC_STATE {
    Process: PKPROCESS = null_mut(),
});

structure!(OBJECT_ATTRIBUTES {
    Length: ULONG = 0,
    RootDirectory: HANDLE = null_mut(),
    ObjectName: *mut UNICODE_STRING = null_mut(),
    Attributes: ULONG = 0,
    SecurityDescriptor: PVOID = null_mut(),
    SecurityQualityOfService: PVOID = null_mut(),
});

structure!(MDL {
    Next: *mut MDL = null_mut(),
    Size: i16 = 0,
    MdlFlags: i16 = 0,
    Process: PVOID = null_mut(),
    MappedSystemVa: PVOID = null_mut(),
    StartVa: PVOID = null_mut(),
    ByteCount: ULONG = 0,
    ByteOffset: ULONG = 0,
});

pub type PDRIVER_DISPATCH = Option<unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP) -> NTSTATUS>;
pub type PDRIVER_CANCEL = Option<unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP)>;
pub type PDRIVER_UNLOAD = Option<unsafe extern "C" fn(*mut DRIVER_OBJECT)>;

structure!(DRIVER_OBJECT {
    DeviceObject: *mut DEVICE_OBJECT = null_mut(),
    DriverUnload: PDRIVER_UNLOAD = None,
    MajorFunction: [PDRIVER_DISPATCH; 28] = [None; 28],
});

structure!(DEVICE_OBJECT {
    ReferenceCount: LONG = 0,
    DriverObject: *mut DRIVER_OBJECT = null_mut(),
    NextDevice: *mut DEVICE_OBJECT = null_mut(),
    Flags: ULONG = 0,
    DeviceExtension: PVOID = null_mut(),
    StackSize: CCHAR = 1,
});

structure!(FILE_OBJECT {
    DeviceObject: *mut DEVICE_OBJECT = null_mut(),
    FsContext: PVOID = null_mut(),
    FsContext2: PVOID = null_mut(),
});

#[repr(C)]
#[derive(Clone, Copy)]
pub union IoStatusWord {
    pub Status: NTSTATUS,
    pub Pointer: PVOID,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct IO_STATUS_BLOCK {
    pub __bindgen_anon_1: IoStatusWord,
    pub Information: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union AssociatedIrp {
    pub MasterIrp: *mut IRP,
    pub SystemBuffer: PVOID,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct DriverContext {
    pub DriverContext: [PVOID; 4],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union ContextOrQueue {
    pub __bindgen_anon_1: DriverContext,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union CurrentLocation {
    pub CurrentStackLocation: *mut IO_STACK_LOCATION,
    pub PacketType: ULONG,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct EntryAndLocation {
    pub ListEntry: LIST_ENTRY,
    pub __bindgen_anon_1: CurrentLocation,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct TailOverlay {
    pub __bindgen_anon_1: ContextOrQueue,
    pub Thread: PETHREAD,
    pub __bindgen_anon_2: EntryAndLocation,
    pub OriginalFileObject: *mut FILE_OBJECT,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union Tail {
    pub Overlay: TailOverlay,
    pub CompletionKey: PVOID,
}

#[repr(C)]
pub struct IRP {
    pub MdlAddress: *mut MDL,
    pub AssociatedIrp: AssociatedIrp,
    pub IoStatus: IO_STATUS_BLOCK,
    pub RequestorMode: KPROCESSOR_MODE,
    pub PendingReturned: BOOLEAN,
    pub Cancel: BOOLEAN,
    pub CancelIrql: KIRQL,
    pub CancelRoutine: PDRIVER_CANCEL,
    pub UserBuffer: PVOID,
    pub Tail: Tail,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct DeviceIoControl {
    pub OutputBufferLength: ULONG,
    pub InputBufferLength: ULONG,
    pub IoControlCode: ULONG,
    pub Type3InputBuffer: PVOID,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Read {
    pub Length: ULONG,
    pub Key: ULONG,
    pub ByteOffset: LARGE_INTEGER,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union Parameters {
    pub DeviceIoControl: DeviceIoControl,
    pub Read: Read,
    pub Write: Read,
}

#[repr(C)]
pub struct IO_STACK_LOCATION {
    pub MajorFunction: u8,
    pub MinorFunction: u8,
    pub Flags: u8,
    pub Control: u8,
    pub Parameters: Parameters,
    pub DeviceObject: *mut DEVICE_OBJECT,
    pub FileObject: *mut FILE_OBJECT,
}

pub type PALLOCATE_FUNCTION_EX =
    Option<unsafe extern "C" fn(POOL_TYPE, SIZE_T, ULONG, PLOOKASIDE_LIST_EX) -> PVOID>;
pub type PFREE_FUNCTION_EX = Option<unsafe extern "C" fn(PVOID, PLOOKASIDE_LIST_EX)>;

#[repr(C, align(16))]
#[derive(Clone, Copy)]
pub union LookasideHead {
    pub ListHead: SLIST_HEADER,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union AllocateRoutine {
    pub AllocateEx: PALLOCATE_FUNCTION_EX,
    pub Allocate: *const c_void,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union FreeRoutine {
    pub FreeEx: PFREE_FUNCTION_EX,
    pub Free: *const c_void,
}

structure!(GENERAL_LOOKASIDE_POOL {
    __bindgen_anon_1: LookasideHead = LookasideHead {
        ListHead: SLIST_HEADER::default()
    },
    Depth: USHORT = 0,
    MaximumDepth: USHORT = 0,
    TotalAllocates: ULONG = 0,
    __bindgen_anon_2: ULONG = 0,
    TotalFrees: ULONG = 0,
    __bindgen_anon_3: ULONG = 0,
    Type: POOL_TYPE = 0,
    Tag: ULONG = 0,
    Size: ULONG = 0,
    __bindgen_anon_4: AllocateRoutine = AllocateRoutine { Allocate: null() },
    __bindgen_anon_5: FreeRoutine = FreeRoutine { Free: null() },
    initialised: bool = false,
});

structure!(LOOKASIDE_LIST_EX {
    L: GENERAL_LOOKASIDE_POOL = GENERAL_LOOKASIDE_POOL::default(),
});
