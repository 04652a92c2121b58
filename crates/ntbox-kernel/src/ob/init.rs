//! The names that are there before any driver: the directories, the links
//! between them, the types, and the root of the registry.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString;
use rustc_hash::FxHashMap;

use super::namespace::Directory;
use super::object::{Header, Payload};
use super::types::Type;
use super::{ObjectTables, object, with};
use crate::base::key_id::KeyId;
use crate::base::utf16::wide;
use crate::ke;
use crate::ke::object::Kind;
use crate::mm::pool;
use crate::mm::pool::PoolKind;

/// Directories below the root, in their usual spelling.
const DIRECTORIES: [&str; 11] = [
    "ArcName",
    "ObjectTypes",
    "GLOBAL??",
    "Device",
    "Driver",
    "FileSystem",
    "Callback",
    "KernelObjects",
    "BaseNamedObjects",
    "Security",
    "Sessions",
];

/// Links: directory, name, target.
const LINKS: [(&str, &str, &str); 5] = [
    ("", "DosDevices", "\\??"),
    ("GLOBAL??", "Global", "\\GLOBAL??"),
    ("GLOBAL??", "GLOBALROOT", ""),
    ("BaseNamedObjects", "Global", "\\BaseNamedObjects"),
    ("BaseNamedObjects", "Local", "\\BaseNamedObjects"),
];

/// The standard events, in `\KernelObjects`, and whether each is signaled. There is
/// plenty of memory, and that never changes.
const EVENTS: [(&str, bool); 9] = [
    ("HighMemoryCondition", true),
    ("LowMemoryCondition", false),
    ("HighPagedPoolCondition", true),
    ("LowPagedPoolCondition", false),
    ("HighNonPagedPoolCondition", true),
    ("LowNonPagedPoolCondition", false),
    ("LowCommitCondition", true),
    ("HighCommitCondition", false),
    ("MaximumCommitCondition", false),
];
/// Bytes of a `KEVENT`.
const EVENT_SIZE: u64 = 0x18;

/// Bytes of an `OBJECT_TYPE`.
const TYPE_SIZE: u64 = 0xd8;
/// Offset of its `Name`.
const TYPE_NAME: u64 = 0x10;
/// Offset of its `Index`.
const TYPE_INDEX: u64 = 0x28;
/// Bytes of the bodies that are nobody's business.
const OPAQUE_SIZE: u64 = 0x40;

impl ObjectTables {
    /// The namespace as it is at boot.
    pub(super) fn new() -> Self {
        let mut state = Self {
            objects: FxHashMap::default(),
            tables: FxHashMap::default(),
            root: 0,
            global_names: 0,
            types: Vec::new(),
            deferred: Vec::new(),
        };
        let directory = || Payload::Directory(Directory::default());
        state.root = state.make(Type::Directory, OPAQUE_SIZE, directory());
        let mut directories = FxHashMap::from_iter([("", state.root)]);
        for name in DIRECTORIES {
            let object = state.make_named(Type::Directory, state.root, name, directory());
            directories.insert(name, object);
        }
        state.global_names = directories["GLOBAL??"];
        for (directory, name, target) in LINKS {
            state.make_named(
                Type::SymbolicLink,
                directories[directory],
                name,
                Payload::SymbolicLink {
                    target: wide(target),
                    capacity: u16::try_from(2 * target.len() + 2).unwrap_or(u16::MAX),
                },
            );
        }
        for (name, signaled) in EVENTS {
            let event = state.make(Type::Event, EVENT_SIZE, Payload::None);
            let kind = Kind::NotificationEvent;
            ke::object::initialize(event, kind, EVENT_SIZE, signaled.into())
                .expect("the memory was just taken");
            state.name(event, directories["KernelObjects"], wide(name), true);
        }
        for kind in Type::ALL {
            let object = state.make(Type::Type, TYPE_SIZE, Payload::None);
            describe_type(object, kind);
            state.name(object, directories["ObjectTypes"], wide(kind.name()), true);
            state.types.push(object);
        }
        state.make_named(Type::Key, state.root, "REGISTRY", Payload::Key(KeyId::ROOT));
        state
    }

    /// Makes an object of the kernel; at boot there is memory.
    fn make(&mut self, kind: Type, size: u64, payload: Payload) -> u64 {
        let object = object::allocate(kind, size).expect("no memory for the first objects");
        self.objects.insert(object, Header::new(kind, payload));
        object
    }

    fn make_named(&mut self, kind: Type, directory: u64, name: &str, payload: Payload) -> u64 {
        let object = self.make(kind, OPAQUE_SIZE, payload);
        self.name(object, directory, wide(name), true);
        object
    }
}

/// Fills in what drivers read of a type: its name.
fn describe_type(object: u64, kind: Type) {
    let name = wide(kind.name());
    let bytes: Vec<u8> = name
        .iter()
        .chain([&0])
        .flat_map(|unit| unit.to_le_bytes())
        .collect();
    let buffer = pool::allocate(PoolKind::NonPaged, bytes.len() as u64, kind.tag())
        .expect("no memory for type names");
    let maximum_length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let string = UnicodeString {
        length: maximum_length - 2,
        maximum_length,
        buffer,
    };
    driver_mem::write_bytes(buffer, &bytes)
        .and_then(|()| string.write(object + TYPE_NAME))
        .and_then(|()| driver_mem::write_u8(object + TYPE_INDEX, kind as u8 + 2))
        .expect("the memory was just taken");
}

/// The variables that point to types: name and value.
pub fn variables() -> Vec<(&'static str, u64)> {
    with(|state| {
        let types = Type::ALL.into_iter().zip(&state.types);
        types
            .filter_map(|(kind, object)| kind.variable().map(|name| (name, *object)))
            .collect()
    })
}

/// The names of these variables.
pub fn variable_names() -> impl Iterator<Item = &'static str> {
    Type::ALL.into_iter().filter_map(Type::variable)
}

/// The type whose object a driver names; `None` for an address that is no
/// type's.
pub fn type_at(object: u64) -> Option<Type> {
    with(|state| {
        let number = state.types.iter().position(|known| *known == object)?;
        Type::ALL.get(number).copied()
    })
}

/// The object of a type.
pub fn object_of(kind: Type) -> u64 {
    with(|state| state.types[kind as usize])
}
