//! The types that objects have: names, access rights, and what their owners do
//! when a handle is closed or an object goes away.

use std::sync::OnceLock;

use super::attributes::MAXIMUM_ALLOWED;
use super::handles::ClosedHandle;
use super::object::Payload;
use crate::base::call_context::CallContext;
use crate::base::error::Refusal;

/// A type of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(
    clippy::enum_variant_names,
    reason = "that is the name of the type of types"
)]
pub enum Type {
    /// The objects in `\ObjectTypes`.
    Type,
    /// A directory of names.
    Directory,
    /// A name that stands for a path.
    SymbolicLink,
    /// An access token.
    Token,
    /// A process.
    Process,
    /// A thread.
    Thread,
    /// An event.
    Event,
    /// A mutex that has a handle.
    Mutant,
    /// A callback object, as `ExCreateCallback` makes it.
    Callback,
    /// A semaphore.
    Semaphore,
    /// A timer that has a handle.
    Timer,
    /// A section.
    Section,
    /// A registry key.
    Key,
    /// A device.
    Device,
    /// A driver.
    Driver,
    /// An I/O completion port.
    IoCompletion,
    /// An open file or device.
    File,
}

/// Returns the name of an object; `None` if it has none.
pub type QueryName = fn(u64) -> Option<Vec<u16>>;

/// Callbacks around operations on the objects of a type, as those of the registry.
pub trait ObjectFilter: std::fmt::Debug + Sync {
    /// Whether any callback is registered.
    fn is_active(&self) -> bool;

    /// Queries an object's name into a buffer by `query`, with callbacks around it.
    ///
    /// # Errors
    /// Those of `query`, or what callbacks make of them.
    fn query_name(
        &self,
        object: u64,
        buffer: &OutputBuffer,
        caller: &CallContext<'_>,
        query: Work<'_>,
    ) -> Result<(), Refusal>;

    /// Queries parts of an object's security descriptor by `query`, in the same way.
    ///
    /// # Errors
    /// As for `query_name`.
    fn query_security(
        &self,
        object: u64,
        parts: u32,
        buffer: &OutputBuffer,
        caller: &CallContext<'_>,
        query: Work<'_>,
    ) -> Result<(), Refusal>;

    /// Sets parts of an object's security descriptor by `set`, in the same way.
    ///
    /// # Errors
    /// As for `query_name`.
    fn set_security(
        &self,
        object: u64,
        parts: u32,
        descriptor: u64,
        caller: &CallContext<'_>,
        set: Work<'_>,
    ) -> Result<(), Refusal>;
}

/// The operation that callbacks are called around.
pub type Work<'a> = &'a mut dyn FnMut() -> Result<(), Refusal>;

/// Where a query writes: the buffer, its length, and where the length goes.
#[derive(Debug, Clone, Copy)]
pub struct OutputBuffer {
    /// The buffer.
    pub address: u64,
    /// Its bytes.
    pub length: u32,
    /// Where the bytes that were needed are written; may be 0.
    pub return_length: u64,
}

/// The procedures of an object type, which its owner registers: those of
/// `OBJECT_TYPE_INITIALIZER` that this kernel needs. Called without any lock, except
/// `describe`.
#[derive(Debug, Clone, Copy)]
pub struct ObjectTypeProcedures {
    /// The name of an object, where that is not the one in a directory.
    pub query_name: Option<QueryName>,
    /// A handle was closed.
    pub close: Option<fn(&ClosedHandle, &CallContext<'_>)>,
    /// The last reference is gone; the body's memory is freed afterwards.
    pub delete: Option<fn(u64, &CallContext<'_>)>,
    /// The security descriptor of an object has changed.
    pub security_changed: Option<fn(u64)>,
    /// An object for a message; the object manager is locked.
    pub describe: Option<fn(&Payload) -> Option<String>>,
    /// Callbacks around operations on objects.
    pub filter: Option<&'static dyn ObjectFilter>,
}

impl ObjectTypeProcedures {
    /// No procedure at all.
    pub const NONE: Self = Self {
        query_name: None,
        close: None,
        delete: None,
        security_changed: None,
        describe: None,
        filter: None,
    };
}

static PROCEDURES: [OnceLock<ObjectTypeProcedures>; Type::ALL.len()] =
    [const { OnceLock::new() }; Type::ALL.len()];

/// Registers the procedures of a type. The first registration counts.
pub fn register(kind: Type, procedures: ObjectTypeProcedures) {
    let _ = PROCEDURES[kind as usize].set(procedures);
}

/// The rights that the four generic rights map to (`GENERIC_MAPPING`).
#[derive(Debug, Clone, Copy)]
struct GenericMapping {
    read: u32,
    write: u32,
    execute: u32,
    all: u32,
}

const fn generic(read: u32, write: u32, execute: u32, all: u32) -> GenericMapping {
    GenericMapping {
        read,
        write,
        execute,
        all,
    }
}

impl Type {
    /// All types, in the order of their numbers.
    pub const ALL: [Self; 17] = [
        Self::Type,
        Self::Directory,
        Self::SymbolicLink,
        Self::Token,
        Self::Process,
        Self::Thread,
        Self::Event,
        Self::Mutant,
        Self::Callback,
        Self::Semaphore,
        Self::Timer,
        Self::Section,
        Self::Key,
        Self::Device,
        Self::Driver,
        Self::IoCompletion,
        Self::File,
    ];

    /// Its name in `\ObjectTypes`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Type => "Type",
            Self::Directory => "Directory",
            Self::SymbolicLink => "SymbolicLink",
            Self::Token => "Token",
            Self::Process => "Process",
            Self::Thread => "Thread",
            Self::Event => "Event",
            Self::Mutant => "Mutant",
            Self::Callback => "Callback",
            Self::Semaphore => "Semaphore",
            Self::Timer => "Timer",
            Self::Section => "Section",
            Self::Key => "Key",
            Self::Device => "Device",
            Self::Driver => "Driver",
            Self::IoCompletion => "IoCompletion",
            Self::File => "File",
        }
    }

    /// The variable of the kernel that points to it, for those that have one.
    pub fn variable(self) -> Option<&'static str> {
        Some(match self {
            Self::Token => "SeTokenObjectType",
            Self::Process => "PsProcessType",
            Self::Thread => "PsThreadType",
            Self::Event => "ExEventObjectType",
            Self::Semaphore => "ExSemaphoreObjectType",
            Self::Section => "MmSectionObjectType",
            Self::Key => "CmKeyObjectType",
            Self::Device => "IoDeviceObjectType",
            Self::Driver => "IoDriverObjectType",
            Self::File => "IoFileObjectType",
            Self::Type
            | Self::Directory
            | Self::SymbolicLink
            | Self::Mutant
            | Self::Callback
            | Self::Timer
            | Self::IoCompletion => return None,
        })
    }

    /// Pool tag of its objects.
    pub fn tag(self) -> u32 {
        u32::from_le_bytes(match self {
            Self::Type => *b"ObjT",
            Self::Directory => *b"Dire",
            Self::SymbolicLink => *b"Symb",
            Self::Token => *b"Toke",
            Self::Process => *b"Proc",
            Self::Thread => *b"Thre",
            Self::Event => *b"Even",
            Self::Mutant => *b"Muta",
            Self::Callback => *b"Call",
            Self::Semaphore => *b"Sema",
            Self::Timer => *b"Time",
            Self::Section => *b"Sect",
            Self::Key => *b"Key ",
            Self::Device => *b"Devi",
            Self::Driver => *b"Driv",
            Self::IoCompletion => *b"IoCo",
            Self::File => *b"File",
        })
    }

    /// The procedures that its owner has registered.
    pub fn procedures(self) -> ObjectTypeProcedures {
        let procedures = PROCEDURES[self as usize].get();
        procedures.copied().unwrap_or(ObjectTypeProcedures::NONE)
    }

    /// The callbacks around operations on its objects, if there are any.
    pub fn active_filter(self) -> Option<&'static dyn ObjectFilter> {
        self.procedures().filter.filter(|filter| filter.is_active())
    }

    /// Whether its owner makes sense of what follows an object in a path.
    pub fn has_syntax(self) -> bool {
        matches!(self, Self::Key | Self::Device | Self::File)
    }

    /// Whether its names never distinguish case.
    pub fn is_case_insensitive(self) -> bool {
        matches!(
            self,
            Self::Directory
                | Self::SymbolicLink
                | Self::Key
                | Self::Device
                | Self::Driver
                | Self::File
        )
    }

    fn generic(self) -> GenericMapping {
        match self {
            Self::Type => generic(0x2_0000, 0x2_0000, 0x2_0000, 0xf_0001),
            Self::Directory => generic(0x2_0003, 0x2_000c, 0x2_0003, 0xf_000f),
            Self::SymbolicLink => generic(0x2_0001, 0x2_0000, 0x2_0001, 0xf_0001),
            Self::Token => generic(0x2_001a, 0x2_01e0, 0x2_0005, 0xf_01ff),
            Self::Process => generic(0x2_0410, 0x2_0bea, 0x12_1001, 0x1f_ffff),
            Self::Thread => generic(0x2_0048, 0x2_0437, 0x12_0800, 0x1f_ffff),
            Self::Event | Self::Semaphore | Self::Timer | Self::IoCompletion => {
                generic(0x2_0001, 0x2_0002, 0x12_0000, 0x1f_0003)
            }
            Self::Mutant | Self::Callback => generic(0x2_0001, 0x2_0000, 0x12_0000, 0x1f_0001),
            Self::Section => generic(0x2_0005, 0x2_0002, 0x2_0008, 0xf_001f),
            Self::Key => generic(0x2_0019, 0x2_0006, 0x2_0019, 0xf_003f),
            Self::Device | Self::Driver | Self::File => {
                generic(0x12_0089, 0x12_0116, 0x12_00a0, 0x1f_01ff)
            }
        }
    }

    /// The rights that generic read, write, execute and all stand for.
    pub fn generic_mapping(self) -> [u32; 4] {
        let GenericMapping {
            read,
            write,
            execute,
            all,
        } = self.generic();
        [read, write, execute, all]
    }

    /// The rights that there are.
    pub fn valid_access(self) -> u32 {
        const SYNCHRONIZE: u32 = 0x10_0000;
        self.generic().all | SYNCHRONIZE
    }

    /// The rights that a kernel-mode caller gets who asks for `desired`: all
    /// that it asks for, generic ones translated.
    pub fn grant(self, desired: u32) -> u32 {
        let GenericMapping {
            read,
            write,
            execute,
            all,
        } = self.generic();
        let translated = [
            (0x8000_0000, read),
            (0x4000_0000, write),
            (0x2000_0000, execute),
            (0x1000_0000, all),
            (MAXIMUM_ALLOWED, all),
        ];
        translated
            .into_iter()
            .fold(desired & 0x01ff_ffff, |granted, (bit, rights)| {
                if desired & bit == 0 {
                    granted
                } else {
                    granted | rights
                }
            })
    }
}
