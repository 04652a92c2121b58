//! The types that objects have: names, access rights, and what their owners do
//! when a handle is closed or an object goes away.

use super::attributes::MAXIMUM_ALLOWED;
use super::handles::Closed;
use crate::kernel::base::call_context::Caller;
use crate::kernel::cm;
use crate::kernel::cm::nt_key;
use crate::kernel::ex::{callback, nt_timer};
use crate::kernel::io::file_close;
use crate::kernel::se::token;
use crate::kernel::sections::section;

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

/// Gives the name of an object; `None` if it has none.
pub type NameOf = fn(u64) -> Option<Vec<u16>>;

/// What the owner of a type does at the end of a handle or an object. Called
/// without any lock.
#[derive(Debug, Clone, Copy, Default)]
pub struct Methods {
    /// The name that it gives an object, where that is not the one in a
    /// directory.
    pub name: Option<NameOf>,
    /// A handle was closed.
    pub close: Option<fn(&Closed, &Caller<'_>)>,
    /// The last reference is gone; the body's memory is freed afterwards.
    pub delete: Option<fn(u64, &Caller<'_>)>,
}

/// The rights that the four generic ones stand for.
#[derive(Debug, Clone, Copy)]
struct Generic {
    read: u32,
    write: u32,
    execute: u32,
    all: u32,
}

const fn generic(read: u32, write: u32, execute: u32, all: u32) -> Generic {
    Generic {
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

    /// What its owner does at the end of handles and objects.
    pub fn methods(self) -> Methods {
        match self {
            Self::File => Methods {
                name: Some(file_close::name),
                close: Some(file_close::handle_closed),
                delete: Some(file_close::deleted),
            },
            Self::Section => Methods {
                delete: Some(section::deleted),
                ..Methods::default()
            },
            Self::Token => Methods {
                delete: Some(token::deleted),
                ..Methods::default()
            },
            Self::Timer => Methods {
                delete: Some(nt_timer::deleted),
                ..Methods::default()
            },
            Self::Callback => Methods {
                delete: Some(callback::deleted),
                ..Methods::default()
            },
            Self::Key => Methods {
                name: Some(nt_key::path),
                delete: Some(cm::key_ends),
                ..Methods::default()
            },
            _ => Methods::default(),
        }
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

    fn generic(self) -> Generic {
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
        let Generic {
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
        let Generic {
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
