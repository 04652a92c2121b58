//! Objects: a body in memory that drivers see, and a header that they do not.
//!
//! The address of the body is the object, for drivers and for this crate. It is
//! kept alive by references; handles and a name in a directory hold one each.

use super::name::text;
use super::namespace::Directory;
use super::types::Type;
use super::{Caller, State, with};
use crate::kernel::mm::pool::{self, PoolKind};
use crate::kernel::zw::registry::{self, KeyId};

/// Room before a body, where Windows has its header: so no body is the start of
/// a block of pool, and nobody can free it as one.
const HEADER_SIZE: u64 = 0x30;

/// What the kernel knows of an object.
#[derive(Debug)]
pub struct Header {
    /// Its type.
    pub kind: Type,
    /// Its name, if it has one.
    pub name: Option<Named>,
    /// References, those of handles and of the name included.
    pub pointers: u64,
    /// Open handles, of all processes.
    pub handles: u64,
    /// Whether its name stays when the last handle is closed.
    pub permanent: bool,
    /// Whether only one handle to it may be open.
    pub exclusive: bool,
    /// State that is not in the body.
    pub payload: Payload,
    /// Whether the body is pool that goes with the object.
    owned: bool,
}

/// Where an object is found.
#[derive(Debug, Clone)]
pub struct Named {
    /// The directory; 0 for the root directory itself.
    pub directory: u64,
    /// The name in it.
    pub name: Vec<u16>,
}

/// State of an object that is kept outside of the driver's reach.
#[derive(Debug)]
pub enum Payload {
    /// All of it is in the body, or its owner keeps it.
    None,
    /// The names in a directory.
    Directory(Directory),
    /// Where a symbolic link leads.
    SymbolicLink(Vec<u16>),
    /// Which key a key object is open on.
    Key(KeyId),
}

/// Makes an object with a zeroed body of `size` bytes. The caller owns the one
/// reference to it.
///
/// # Errors
/// `STATUS_INSUFFICIENT_RESOURCES`.
pub fn create(kind: Type, size: u64, payload: Payload) -> Result<u64, u32> {
    let body = allocate(kind, size).ok_or(ntstatus::STATUS_INSUFFICIENT_RESOURCES)?;
    with(|state| state.objects.insert(body, Header::new(kind, payload, true)));
    Ok(body)
}

/// Memory for a body.
pub(super) fn allocate(kind: Type, size: u64) -> Option<u64> {
    pool::allocate(PoolKind::NonPaged, HEADER_SIZE + size, kind.tag())
        .map(|block| block + HEADER_SIZE)
}

/// Makes an object of a body that exists already and is freed by its owner.
pub fn adopt(kind: Type, body: u64) {
    with(|state| {
        state
            .objects
            .insert(body, Header::new(kind, Payload::None, false))
    });
}

impl Header {
    pub(super) fn new(kind: Type, payload: Payload, owned: bool) -> Self {
        Self {
            kind,
            name: None,
            pointers: 1,
            handles: 0,
            permanent: false,
            exclusive: false,
            payload,
            owned,
        }
    }
}

/// The type of an object; `None` if there is no object at the address.
pub fn type_of(object: u64) -> Option<Type> {
    with(|state| state.objects.get(&object).map(|header| header.kind))
}

/// Takes a reference and returns how many there are now; `None` if there is no
/// object at the address.
pub fn reference(object: u64) -> Option<u64> {
    with(|state| state.reference(object))
}

/// Gives a reference back and returns how many are left; `None` if there is no
/// object at the address. With the last one the object goes away, which may
/// call the driver.
pub fn dereference(object: u64, caller: &Caller<'_>) -> Option<u64> {
    let (kind, left) = with(|state| {
        let header = state.objects.get_mut(&object)?;
        header.pointers -= 1;
        Some((header.kind, header.pointers))
    })?;
    if left == 0 {
        if let Some(delete) = kind.methods().delete {
            delete(object, caller);
        }
        let header = with(|state| state.objects.remove(&object));
        if header.is_some_and(|header| header.owned) {
            pool::free(object - HEADER_SIZE);
        }
    }
    Some(left)
}

/// Reads an object's header.
pub fn inspect<T>(object: u64, read: impl FnOnce(&Header) -> T) -> Option<T> {
    with(|state| state.objects.get(&object).map(read))
}

impl State {
    /// Takes a reference.
    pub(super) fn reference(&mut self, object: u64) -> Option<u64> {
        let header = self.objects.get_mut(&object)?;
        header.pointers += 1;
        Some(header.pointers)
    }

    /// An object for a person: type and name.
    pub(super) fn describe(&self, object: u64) -> String {
        let Some(header) = self.objects.get(&object) else {
            return format!("no object ({object:#018x})");
        };
        let kind = header.kind.name();
        match (&header.payload, &header.name) {
            (Payload::Key(key), _) => format!("key {}", registry::path_text(*key)),
            (_, Some(_)) => format!("{kind} {}", text(&self.path_of(object))),
            (_, None) => format!("{kind} at {object:#018x}"),
        }
    }
}
