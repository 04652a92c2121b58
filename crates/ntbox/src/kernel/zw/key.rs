//! Opening registry keys.

use super::registry::{self, KeyId, Step};
use crate::kernel::call::exports;
use crate::kernel::call::irql::PASSIVE_LEVEL;
use crate::kernel::guest;
use crate::kernel::ob::attributes::{Attributes, OPENLINK};
use crate::kernel::ob::{self, Caller, Payload, Refusal, Type};

/// Bytes of a key object's body, which is nobody's business.
const BODY_SIZE: u64 = 0x58;
/// Links that one path may lead through.
const MAX_LINKS: usize = 32;

exports! {
    /// `ZwOpenKey`.
    fn ZwOpenKey<call>(handle: u64, access: u32, attributes: u64) -> u32 [max PASSIVE_LEVEL] fails 0xc000_009a {
        ob::status(open(handle, access, attributes, &Caller::of(call)))
    }
}

fn open(handle_out: u64, access: u32, attributes: u64, caller: &Caller<'_>) -> Result<(), Refusal> {
    let attributes = Attributes::require(attributes)?;
    let handle = match resolve(&attributes, caller)? {
        Step::Key(key) => open_key(key, &attributes, access, caller)?,
        Step::Missing(..) | Step::Link(_) => return Err(ntstatus::STATUS_OBJECT_NAME_NOT_FOUND.into()),
    };
    guest::write_u64(handle_out, handle)?;
    Ok(())
}

/// Opens a handle to a key.
fn open_key(key: KeyId, attributes: &Attributes, access: u32, caller: &Caller<'_>) -> Result<u64, u32> {
    let object = ob::create(Type::Key, BODY_SIZE, Payload::Key(key))?;
    let unnamed = Attributes { name: None, root: 0, ..attributes.clone() };
    ob::insert_and_open(object, &unnamed, access, caller).map(|opened| opened.handle)
}

/// Finds the key that attributes name, through links.
fn resolve(attributes: &Attributes, caller: &Caller<'_>) -> Result<Step, u32> {
    let mut attributes = attributes.clone();
    for _ in 0..MAX_LINKS {
        let found = ob::lookup(&attributes, Some(Type::Key))?;
        let key = key_of(found.object);
        ob::dereference(found.object, caller);
        let key = key.ok_or(ntstatus::STATUS_OBJECT_TYPE_MISMATCH)?;
        let open_link = attributes.has(OPENLINK);
        match registry::with(|registry| registry.walk(key, &found.rest, open_link))? {
            Step::Link(target) => attributes = Attributes { root: 0, name: Some(target), ..attributes },
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

/// The key behind a handle.
///
/// # Errors
/// STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH.
pub fn from_handle(handle: u64) -> Result<KeyId, u32> {
    let entry = ob::handles::get(handle)?;
    key_of(entry.object).ok_or(ntstatus::STATUS_OBJECT_TYPE_MISMATCH)
}
