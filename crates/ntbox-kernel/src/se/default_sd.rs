//! The descriptors of objects that nobody gave one: those that Windows gives to its
//! directories and keys, and for all else everyone's reading and writing beside all
//! rights of the system and of administrators.

use super::access::map_generic;
use super::sd::Descriptor;
use super::sd::control::DACL_PRESENT;
use super::sid::Sid;
use crate::base::info_buffer::Information;
use crate::ob::Type;
use crate::{base, ob};

/// Generic rights.
const READ: u32 = 0x8000_0000;
const WRITE: u32 = 0x4000_0000;
const EXECUTE: u32 = 0x2000_0000;
const ALL: u32 = 0x1000_0000;
/// `DIRECTORY_TRAVERSE`.
const TRAVERSE: u32 = 2;
/// `READ_CONTROL | WRITE_DAC`.
const CONTROL: u32 = 0x6_0000;
/// `CONTAINER_INHERIT_ACE`.
const INHERITED_BY_CONTAINERS: u8 = 2;
/// `INHERIT_ONLY_ACE`, with that and `OBJECT_INHERIT_ACE`.
const INHERITED_ONLY: u8 = 0xb;

/// An entry: to whom, which rights, and how it is inherited.
type Entry = (Trustee, u32, u8);

/// The trustees of default entries.
#[derive(Debug, Clone, Copy)]
enum Trustee {
    World,
    System,
    Administrators,
    Restricted,
    CreatorOwner,
}

impl Trustee {
    fn sid(self) -> Sid {
        match self {
            Self::World => Sid::world(),
            Self::System => Sid::local_system(),
            Self::Administrators => Sid::administrators(),
            Self::Restricted => Sid::nt(&[12]),
            Self::CreatorOwner => Sid::new(3, &[0]),
        }
    }
}

use Trustee::{Administrators, CreatorOwner, Restricted, System, World};

/// What directories have, as a rule.
const PUBLIC: &[Entry] = &[
    (World, READ, 0),
    (System, ALL, 0),
    (Administrators, ALL, 0),
    (Restricted, READ, 0),
];

/// Directories of the root that have something else.
const DIRECTORIES: &[(&str, &[Entry])] = &[
    (
        r"\BaseNamedObjects",
        &[
            (World, READ | WRITE, 0),
            (System, ALL, 0),
            (Restricted, TRAVERSE, 0),
        ],
    ),
    (
        r"\Callback",
        &[(World, READ, 0), (System, ALL, 0), (Administrators, ALL, 0)],
    ),
    (r"\Driver", &[(System, ALL, 0), (Administrators, READ, 0)]),
    (
        r"\FileSystem",
        &[(System, ALL, 0), (Administrators, READ, 0)],
    ),
    (
        r"\GLOBAL??",
        &[
            (World, READ, 0),
            (System, ALL, 0),
            (World, EXECUTE, INHERITED_ONLY),
            (Administrators, ALL, INHERITED_ONLY),
            (System, ALL, INHERITED_ONLY),
            (CreatorOwner, ALL, INHERITED_ONLY),
        ],
    ),
    (
        r"\KernelObjects",
        &[(World, READ, 0), (Administrators, ALL, 0), (System, ALL, 0)],
    ),
    (
        r"\ObjectTypes",
        &[(System, ALL, 0), (Administrators, READ, 0)],
    ),
];

/// What keys have, as a rule.
const KEYS: &[Entry] = &[
    (System, ALL, INHERITED_BY_CONTAINERS),
    (Administrators, ALL, INHERITED_BY_CONTAINERS),
    (World, READ, INHERITED_BY_CONTAINERS),
    (Restricted, READ, INHERITED_BY_CONTAINERS),
];
/// What the key of the security accounts has.
const SECURITY_KEY: &[Entry] = &[
    (System, ALL, INHERITED_BY_CONTAINERS),
    (Administrators, CONTROL, INHERITED_BY_CONTAINERS),
];

/// What everything else has.
const OTHERS: &[Entry] = &[
    (World, READ | WRITE | EXECUTE, 0),
    (System, ALL, 0),
    (Administrators, ALL, 0),
];

/// A list of entries. What is only inherited keeps its generic rights, for they mean
/// something else in what inherits.
fn list(entries: &[Entry], mapping: [u32; 4]) -> Vec<u8> {
    let mut body = Information::default();
    for (who, rights, flags) in entries {
        let sid = who.sid();
        let size = u32::try_from(8 + sid.bytes().len()).unwrap_or(0);
        let rights = if *flags == INHERITED_ONLY {
            *rights
        } else {
            map_generic(*rights, mapping)
        };
        body = body
            .u32(u32::from(*flags) << 8 | size << 16)
            .u32(rights)
            .bytes(sid.bytes());
    }
    let body = body.finish();
    let size = u32::try_from(8 + body.len()).unwrap_or(0);
    Information::default()
        .u32(2 | size << 16)
        .size(entries.len())
        .bytes(&body)
        .finish()
}

fn entries_for(object: u64, kind: Type) -> &'static [Entry] {
    match kind {
        Type::Directory => {
            let path = ob::path(object).unwrap_or_default();
            let path = base::utf16::text(&path);
            let own = DIRECTORIES
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(&path));
            own.map_or(PUBLIC, |(_, entries)| entries)
        }
        Type::Key => {
            let path = kind
                .procedures()
                .query_name
                .and_then(|query_name| query_name(object))
                .unwrap_or_default();
            let path = base::utf16::text(&path).to_ascii_uppercase();
            let security = path == r"\REGISTRY\MACHINE\SECURITY"
                || path.starts_with(r"\REGISTRY\MACHINE\SECURITY\");
            if security { SECURITY_KEY } else { KEYS }
        }
        _ => OTHERS,
    }
}

/// The descriptor of an object that nobody gave one.
pub fn of(object: u64) -> Descriptor {
    let kind = ob::inspect(object, |header| header.kind);
    let entries = kind.map_or(OTHERS, |kind| entries_for(object, kind));
    let mapping = kind.unwrap_or(Type::File).generic_mapping();
    Descriptor {
        control: DACL_PRESENT,
        owner: Some(Sid::administrators()),
        group: Some(Sid::local_system()),
        sacl: None,
        dacl: Some(list(entries, mapping)),
    }
}
