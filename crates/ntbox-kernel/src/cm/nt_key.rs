//! Opening, making and deleting registry keys.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::create::{KeyResolution, Name, ReferencedKey};
use super::hive::{Kind, Step};
use super::notify_class::Notice;
use super::nt_notify_key::filter;
use super::{create, hive, notify_class};
use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::info_buffer::Information;
use crate::base::key_id::KeyId;
use crate::base::utf16::SEPARATOR;
use crate::ob::attributes::{Attributes, CASE_INSENSITIVE, KERNEL_HANDLE, OPENLINK};
use crate::ob::{Payload, Type};
use crate::{cm, ob};

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
    fn ZwOpenKey<call>(handle: u64, access: u32, attributes: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        error::status(open(handle, access, attributes, 0, &CallContext::of(call)))
    }

    /// `ZwOpenKeyEx`.
    fn ZwOpenKeyEx<call>(handle: u64, access: u32, attributes: u64, options: u32) -> u32
        [max PASSIVE_LEVEL, wdm, since WINDOWS_7] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        if options & !option::OPEN != 0 {
            return Ok(nt_status::STATUS_INVALID_PARAMETER_4);
        }
        error::status(open(handle, access, attributes, options, &CallContext::of(call)))
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
    ) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        error::status(create(handle, access, attributes, &CreateParameters { class, options, disposition }, &CallContext::of(call)))
    }

    /// `ZwDeleteKey`.
    fn ZwDeleteKey<call>(key: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let caller = CallContext::of(call);
        let delete = |registry: &mut hive::Registry, key| match registry.delete(key) {
            // What is deleted already is as it was to be.
            Err(nt_status::STATUS_KEY_DELETED) => Ok(()),
            other => other,
        };
        error::status(on_handle(key, notify_class::DELETE_KEY, &caller, delete))
    }

    /// `ZwFlushKey`: there is no disk, so there is nothing to wait for.
    fn ZwFlushKey<call>(key: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let caller = CallContext::of(call);
        let flush = |registry: &mut hive::Registry, key| registry.key(key).map(drop);
        error::status(on_handle(key, notify_class::FLUSH_KEY, &caller, flush))
    }
}

/// Does to the key behind a handle what needs to be told nothing more.
fn on_handle(
    handle: u64,
    notice: Notice,
    caller: &CallContext<'_>,
    work: impl FnOnce(&mut hive::Registry, KeyId) -> Result<(), u32>,
) -> Result<(), Refusal> {
    let OpenKey { object, key } = opened(handle)?;
    cm::on_key(notice, object, Information::default(), caller, || {
        Ok(hive::with(|registry| work(registry, key))?)
    })
}

fn open(
    handle_out: u64,
    access: u32,
    attributes: u64,
    options: u32,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    let wanted = KeyRequest {
        access,
        options,
        open_link: options & option::OPEN_LINK != 0,
        ..KeyRequest::default()
    };
    let attributes = Attributes::require(attributes)?.with_quality_of(attributes)?;
    let (handle, _) = follow(attributes, &wanted, caller)?;
    Ok(driver_mem::write_u64(handle_out, handle)?)
}

/// The parameters of `ZwCreateKey` besides the name.
struct CreateParameters {
    class: u64,
    options: u32,
    disposition: u64,
}

fn create(
    handle_out: u64,
    access: u32,
    attributes: u64,
    wanted: &CreateParameters,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    let &CreateParameters {
        class,
        options,
        disposition,
    } = wanted;
    if options & !option::CREATE != 0 {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    let attributes = Attributes::require(attributes)?.with_quality_of(attributes)?;
    let class_text = if class == 0 {
        Vec::new()
    } else {
        UnicodeString::read(class)?.units()?
    };
    let link = options & option::CREATE_LINK != 0;
    let wanted = KeyRequest {
        access,
        options,
        open_link: link || options & option::OPEN_LINK != 0,
        class,
        kind: Some(Kind {
            volatile: options & option::VOLATILE != 0,
            link,
            class: class_text,
        }),
    };
    let (handle, how) = follow(attributes, &wanted, caller)?;
    driver_mem::write_u64(handle_out, handle)?;
    if disposition != 0 {
        driver_mem::write_u32(disposition, how)?;
    }
    Ok(())
}

/// Opens the key at a path for the kernel, and makes it first if that is wanted and
/// only its last component is missing; with all who hear of it.
///
/// # Errors
/// As for `ZwOpenKey` and `ZwCreateKey`.
pub fn open_at(
    path: Vec<u16>,
    make: bool,
    access: u32,
    caller: &CallContext<'_>,
) -> Result<u64, Refusal> {
    let wanted = KeyRequest {
        access,
        kind: make.then(Kind::default),
        ..KeyRequest::default()
    };
    let attributes = Attributes::named(path, CASE_INSENSITIVE | KERNEL_HANDLE);
    follow(attributes, &wanted, caller).map(|(handle, _)| handle)
}

/// A request to open or create a key.
#[derive(Default)]
struct KeyRequest {
    access: u32,
    options: u32,
    /// Whether a link is itself meant.
    open_link: bool,
    /// Address of the class of what is made; 0 for none.
    class: u64,
    /// What is made if it is not there; `None` for nothing.
    kind: Option<Kind>,
}

/// Finds or makes a key, through links, and opens it: the handle, and whether the
/// key is new.
fn follow(
    mut attributes: Attributes,
    wanted: &KeyRequest,
    caller: &CallContext<'_>,
) -> Result<(u64, u32), Refusal> {
    if wanted.open_link {
        attributes.flags |= OPENLINK;
    }
    for _ in 0..MAX_LINKS {
        match step(&attributes, wanted, caller)? {
            KeyResolution::Object(made) => {
                let handle = open_object(&made, &attributes, caller)?;
                return Ok((handle, made.disposition));
            }
            KeyResolution::Elsewhere(target) => {
                attributes.root = 0;
                attributes.name = Some(target);
            }
        }
    }
    Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND.into())
}

/// Follows a name as far as it leads without a link, with all who hear of it.
fn step(
    attributes: &Attributes,
    wanted: &KeyRequest,
    caller: &CallContext<'_>,
) -> Result<KeyResolution, Refusal> {
    let start = ob::lookup(attributes, Some(Type::Key))?;
    let result = match key_of(start.object) {
        None => Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH.into()),
        Some(from) => {
            let work = || find_or_make(from, &start.rest, attributes, wanted);
            if cm::any() {
                let separators = start.rest.iter().take_while(|unit| **unit == SEPARATOR);
                let name = Name {
                    complete: attributes.name.as_deref().unwrap_or_default(),
                    root: start.object,
                    remaining: &start.rest[separators.count()..],
                };
                create::filtered(&request(attributes, wanted), &name, caller, work)
            } else {
                work().map_err(Refusal::Status)
            }
        }
    };
    ob::dereference(start.object, caller);
    result
}

/// What those who hear of it see.
fn request(attributes: &Attributes, wanted: &KeyRequest) -> create::Request {
    create::Request {
        notice: if wanted.kind.is_some() {
            notify_class::CREATE_KEY
        } else {
            notify_class::OPEN_KEY
        },
        access: wanted.access,
        options: wanted.options,
        attributes: attributes.flags,
        class: wanted.class,
        descriptor: attributes.descriptor,
        quality: attributes.quality,
    }
}

/// A key object for what a path from a key leads to, or where a link in it leads.
fn find_or_make(
    from: KeyId,
    path: &[u16],
    attributes: &Attributes,
    wanted: &KeyRequest,
) -> Result<KeyResolution, u32> {
    let found = hive::with(|registry| registry.walk(from, path, attributes.has(OPENLINK)))?;
    let (key, disposition) = match (found, &wanted.kind) {
        (Step::Link(target), _) => return Ok(KeyResolution::Elsewhere(target)),
        // A link cannot be made of what is there.
        (Step::Key(_), Some(kind)) if kind.link => {
            return Err(nt_status::STATUS_OBJECT_NAME_COLLISION);
        }
        (Step::Key(key), _) => (key, OPENED_EXISTING_KEY),
        (Step::Missing(..), None) => return Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND),
        (Step::Missing(parent, name), Some(kind)) => (
            hive::with(|registry| registry.create(parent, &name, kind.clone()))?,
            CREATED_NEW_KEY,
        ),
    };
    Ok(KeyResolution::Object(ReferencedKey {
        object: ob::create(Type::Key, BODY_SIZE, Payload::Key(key))?,
        access: Type::Key.grant(wanted.access),
        disposition,
        handed_over: false,
    }))
}

/// Opens a handle to a key object.
fn open_object(
    made: &ReferencedKey,
    attributes: &Attributes,
    caller: &CallContext<'_>,
) -> Result<u64, u32> {
    let ReferencedKey { object, access, .. } = *made;
    if made.handed_over {
        let handle = ob::handles::insert(object, access, attributes.flags, caller.address());
        // The driver took the reference that it hands over.
        ob::dereference_for(object, caller);
        return handle;
    }
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
pub fn existing(attributes: &Attributes, caller: &CallContext<'_>) -> Result<KeyId, u32> {
    match resolve(attributes, caller)? {
        Step::Key(key) => Ok(key),
        Step::Missing(..) | Step::Link(_) => Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND),
    }
}

/// Finds the key that attributes name, through links.
///
/// # Errors
/// Those of [`ob::lookup`] and of [`hive::Registry::walk`];
/// `STATUS_OBJECT_TYPE_MISMATCH` for what is no key.
pub fn resolve(attributes: &Attributes, caller: &CallContext<'_>) -> Result<Step, u32> {
    let mut attributes = attributes.clone();
    for _ in 0..MAX_LINKS {
        let found = ob::lookup(&attributes, Some(Type::Key))?;
        let key = key_of(found.object);
        ob::dereference(found.object, caller);
        let key = key.ok_or(nt_status::STATUS_OBJECT_TYPE_MISMATCH)?;
        let open_link = attributes.has(OPENLINK);
        match hive::with(|registry| registry.walk(key, &found.rest, open_link))? {
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
    Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)
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
    hive::path(key_of(object)?)
}

/// A number that is the same for all objects of a key, and for no other key.
pub fn identity(object: u64) -> Option<u64> {
    key_of(object).map(KeyId::number)
}

/// An open key object and its key.
#[derive(Debug, Clone, Copy)]
pub struct OpenKey {
    /// The object.
    pub object: u64,
    /// The key.
    pub key: KeyId,
}

/// The key object behind a handle.
///
/// # Errors
/// `STATUS_INVALID_HANDLE`, `STATUS_OBJECT_TYPE_MISMATCH`.
pub fn opened(handle: u64) -> Result<OpenKey, u32> {
    let object = ob::handles::get(handle)?.object;
    let key = key_of(object).ok_or(nt_status::STATUS_OBJECT_TYPE_MISMATCH)?;
    Ok(OpenKey { object, key })
}

/// Whether a key is still there.
///
/// # Errors
/// `STATUS_KEY_DELETED`.
pub fn check_there(key: KeyId) -> Result<(), u32> {
    hive::with(|registry| registry.key(key).map(drop))
}

/// The security descriptor of an object has changed, which may be a key.
pub fn security_changed(object: u64) {
    if let Some(key) = key_of(object) {
        hive::with(|registry| registry.changed(key, filter::SECURITY | filter::ATTRIBUTES));
    }
}

/// The key behind a handle.
///
/// # Errors
/// As for [`opened`].
pub fn from_handle(handle: u64) -> Result<KeyId, u32> {
    opened(handle).map(|opened| opened.key)
}
