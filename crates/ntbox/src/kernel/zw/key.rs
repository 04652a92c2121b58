//! Opening, making and deleting registry keys.

use super::registry::{self, KeyId, Kind, Step};
use crate::kernel::call::exports;
use crate::kernel::call::irql::PASSIVE_LEVEL;
use crate::kernel::guest::{self, UnicodeString};
use crate::kernel::ob::attributes::{Attributes, OPENLINK};
use crate::kernel::ob::{self, Caller, Payload, Refusal, Type};

/// Bytes of a key object's body, which is nobody's business.
const BODY_SIZE: u64 = 0x58;
/// Links that one path may lead through.
const MAX_LINKS: usize = 32;

/// `REG_OPTION_…`.
mod option {
    pub const VOLATILE: u32 = 0x1;
    pub const CREATE_LINK: u32 = 0x2;
    pub const BACKUP_RESTORE: u32 = 0x4;
    pub const OPEN_LINK: u32 = 0x8;
    pub const DONT_VIRTUALIZE: u32 = 0x10;
    /// All that can be said when a key is made.
    pub const CREATE: u32 = VOLATILE | CREATE_LINK | BACKUP_RESTORE | OPEN_LINK | DONT_VIRTUALIZE;
    /// All that can be said when a key is opened.
    pub const OPEN: u32 = BACKUP_RESTORE | OPEN_LINK | DONT_VIRTUALIZE;
}

/// `REG_CREATED_NEW_KEY`.
const CREATED_NEW_KEY: u32 = 1;
/// `REG_OPENED_EXISTING_KEY`.
const OPENED_EXISTING_KEY: u32 = 2;

exports! {
    /// `ZwOpenKey`.
    fn ZwOpenKey<call>(handle: u64, access: u32, attributes: u64) -> u32 [max PASSIVE_LEVEL] fails 0xc000_009a {
        ob::status(open(handle, access, attributes, 0, &Caller::of(call)))
    }

    /// `ZwOpenKeyEx`.
    fn ZwOpenKeyEx<call>(handle: u64, access: u32, attributes: u64, options: u32) -> u32
        [max PASSIVE_LEVEL] fails 0xc000_009a
    {
        if options & !option::OPEN != 0 {
            return Ok(ntstatus::STATUS_INVALID_PARAMETER_4);
        }
        ob::status(open(handle, access, attributes, options, &Caller::of(call)))
    }

    /// `ZwCreateKey`. The title index is not used.
    fn ZwCreateKey<call>(
        handle: u64,
        access: u32,
        attributes: u64,
        title_index: u32,
        class: u64,
        options: u32,
        disposition: u64,
    ) -> u32 [max PASSIVE_LEVEL] fails 0xc000_009a {
        ob::status(create(handle, access, attributes, &Wanted { class, options, disposition }, &Caller::of(call)))
    }

    /// `ZwDeleteKey`.
    fn ZwDeleteKey(key: u64) -> u32 [max PASSIVE_LEVEL] fails 0xc000_009a {
        let deleted = from_handle(key).and_then(|key| registry::with(|registry| registry.delete(key)));
        ob::status(deleted.map_err(Refusal::Status))
    }

    /// `ZwFlushKey`: there is no disk, so there is nothing to wait for.
    fn ZwFlushKey(key: u64) -> u32 [max PASSIVE_LEVEL] fails 0xc000_009a {
        let there = from_handle(key).and_then(|key| registry::with(|registry| registry.key(key).map(drop)));
        ob::status(there.map_err(Refusal::Status))
    }
}

fn open(
    handle_out: u64,
    access: u32,
    attributes: u64,
    options: u32,
    caller: &Caller<'_>,
) -> Result<(), Refusal> {
    let mut attributes = Attributes::require(attributes)?;
    if options & option::OPEN_LINK != 0 {
        attributes.flags |= OPENLINK;
    }
    let key = existing(&attributes, caller)?;
    let handle = open_key(key, &attributes, access, caller)?;
    guest::write_u64(handle_out, handle)?;
    Ok(())
}

/// What `ZwCreateKey` is told beyond the name.
struct Wanted {
    class: u64,
    options: u32,
    disposition: u64,
}

fn create(
    handle_out: u64,
    access: u32,
    attributes: u64,
    wanted: &Wanted,
    caller: &Caller<'_>,
) -> Result<(), Refusal> {
    let &Wanted {
        class,
        options,
        disposition,
    } = wanted;
    if options & !option::CREATE != 0 {
        return Err(ntstatus::STATUS_INVALID_PARAMETER.into());
    }
    let mut attributes = Attributes::require(attributes)?;
    let class = if class == 0 {
        Vec::new()
    } else {
        UnicodeString::read(class)?.units()?
    };
    let link = options & option::CREATE_LINK != 0;
    if link || options & option::OPEN_LINK != 0 {
        attributes.flags |= OPENLINK;
    }
    let kind = Kind {
        volatile: options & option::VOLATILE != 0,
        link,
        class,
    };
    let (key, how) = match resolve(&attributes, caller)? {
        // A link cannot be made of what is there.
        Step::Key(_) if link => return Err(ntstatus::STATUS_OBJECT_NAME_COLLISION.into()),
        Step::Key(key) => (key, OPENED_EXISTING_KEY),
        Step::Missing(parent, name) => (
            registry::with(|registry| registry.create(parent, &name, kind))?,
            CREATED_NEW_KEY,
        ),
        Step::Link(_) => return Err(ntstatus::STATUS_OBJECT_NAME_NOT_FOUND.into()),
    };
    let handle = open_key(key, &attributes, access, caller)?;
    guest::write_u64(handle_out, handle)?;
    if disposition != 0 {
        guest::write_u32(disposition, how)?;
    }
    Ok(())
}

/// Opens a handle to a key.
fn open_key(
    key: KeyId,
    attributes: &Attributes,
    access: u32,
    caller: &Caller<'_>,
) -> Result<u64, u32> {
    let object = ob::create(Type::Key, BODY_SIZE, Payload::Key(key))?;
    let unnamed = Attributes {
        name: None,
        root: 0,
        ..attributes.clone()
    };
    ob::insert_and_open(object, &unnamed, access, caller).map(|opened| opened.handle)
}

/// The key that attributes name.
///
/// # Errors
/// `STATUS_OBJECT_NAME_NOT_FOUND`, and those of [`resolve`].
pub fn existing(attributes: &Attributes, caller: &Caller<'_>) -> Result<KeyId, u32> {
    match resolve(attributes, caller)? {
        Step::Key(key) => Ok(key),
        Step::Missing(..) | Step::Link(_) => Err(ntstatus::STATUS_OBJECT_NAME_NOT_FOUND),
    }
}

/// Finds the key that attributes name, through links.
///
/// # Errors
/// Those of [`ob::lookup`] and of [`registry::Registry::walk`];
/// `STATUS_OBJECT_TYPE_MISMATCH` for what is no key.
pub fn resolve(attributes: &Attributes, caller: &Caller<'_>) -> Result<Step, u32> {
    let mut attributes = attributes.clone();
    for _ in 0..MAX_LINKS {
        let found = ob::lookup(&attributes, Some(Type::Key))?;
        let key = key_of(found.object);
        ob::dereference(found.object, caller);
        let key = key.ok_or(ntstatus::STATUS_OBJECT_TYPE_MISMATCH)?;
        let open_link = attributes.has(OPENLINK);
        match registry::with(|registry| registry.walk(key, &found.rest, open_link))? {
            Step::Link(target) => {
                attributes = Attributes {
                    root: 0,
                    name: Some(target),
                    ..attributes
                }
            }
            step => return Ok(step),
        }
    }
    Err(ntstatus::STATUS_OBJECT_NAME_NOT_FOUND)
}

/// The key that an object is open on.
fn key_of(object: u64) -> Option<KeyId> {
    ob::inspect(object, |header| match header.payload {
        Payload::Key(key) => Some(key),
        _ => None,
    })?
}

/// The path of the key that an object is open on.
pub fn path(object: u64) -> Option<Vec<u16>> {
    registry::path(key_of(object)?)
}

/// The key behind a handle.
///
/// # Errors
/// `STATUS_INVALID_HANDLE`, `STATUS_OBJECT_TYPE_MISMATCH`.
pub fn from_handle(handle: u64) -> Result<KeyId, u32> {
    let entry = ob::handles::get(handle)?;
    key_of(entry.object).ok_or(ntstatus::STATUS_OBJECT_TYPE_MISMATCH)
}
