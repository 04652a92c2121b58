//! Objects: a body in memory that drivers see, and a header that they do not.
//!
//! The address of the body is the object, for drivers and for this crate. It is
//! kept alive by references; handles and a name in a directory hold one each.

use ntbox_api::rules;
use ntbox_host::cpu;
use ntbox_host::hook::Hook;

use super::namespace::Directory;
use super::types::Type;
use super::{ObjectTables, with};
use crate::base::call_context::CallContext;
use crate::base::key_id::KeyId;
use crate::base::leak_check::Leak;
use crate::base::utf16::text;
use crate::mm::pool::PoolKind;
use crate::mm::{lent, pool};

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
    /// References that its handles have ready for whoever refers to it by them:
    /// Windows 8 and later count them as taken.
    pub ready: u64,
    /// Whether its name stays when the last handle is closed.
    pub permanent: bool,
    /// The process that has it for itself, after `OBJ_EXCLUSIVE`.
    pub exclusive_to: Option<u64>,
    /// State that is not in the body.
    pub payload: Payload,
    /// Whether its last reference is gone.
    dying: bool,
    /// Addresses in the driver of the calls that took references which the
    /// driver has to give back.
    taken: Vec<u64>,
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
    SymbolicLink {
        /// The name that it stands for.
        target: Vec<u16>,
        /// Bytes of the buffer that the name was given in.
        capacity: u16,
    },
    /// Which key a key object is open on.
    Key(KeyId),
}

/// Makes an object with a zeroed body of `size` bytes. The caller owns the one
/// reference to it.
///
/// # Errors
/// `STATUS_INSUFFICIENT_RESOURCES`.
pub fn create(kind: Type, size: u64, payload: Payload) -> Result<u64, u32> {
    let body = allocate(kind, size).ok_or(nt_status::STATUS_INSUFFICIENT_RESOURCES)?;
    with(|state| state.objects.insert(body, Header::new(kind, payload)));
    Ok(body)
}

/// Memory for a body.
pub(super) fn allocate(kind: Type, size: u64) -> Option<u64> {
    let bytes = HEADER_SIZE + size;
    let block = if kind == Type::Device {
        // Its extension is the driver's.
        lent::allocate(bytes, kind.tag(), true, 0)
    } else {
        pool::allocate(PoolKind::NonPaged, bytes, kind.tag())
    };
    block.map(|block| block + HEADER_SIZE)
}

impl Header {
    /// Whether a driver has a reference that it has to give back.
    pub(super) fn is_taken(&self) -> bool {
        !self.taken.is_empty()
    }

    pub(super) fn new(kind: Type, payload: Payload) -> Self {
        Self {
            kind,
            name: None,
            pointers: 1,
            handles: 0,
            ready: 0,
            permanent: false,
            exclusive_to: None,
            payload,
            dying: false,
            taken: Vec::new(),
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

/// Takes a reference that a driver has to give back: what is still taken at
/// unload is reported with this caller.
pub fn reference_for(object: u64, caller: &CallContext<'_>) -> Option<u64> {
    with(|state| {
        let count = state.reference(object)?;
        if let Some(header) = state.objects.get_mut(&object) {
            header.taken.push(caller.address());
        }
        Some(count)
    })
}

/// Notes that a driver got the reference with which an object was made, and has to
/// give it back.
pub fn hand_over(object: u64, caller: &CallContext<'_>) {
    with(|state| {
        if let Some(header) = state.objects.get_mut(&object) {
            header.taken.push(caller.address());
        }
    });
}

/// Takes a reference unless the last one is gone already.
pub fn reference_if_alive(object: u64, caller: &CallContext<'_>) -> bool {
    let alive = inspect(object, |header| !header.dying).unwrap_or(false);
    alive && reference_for(object, caller).is_some()
}

/// Gives back a reference that a driver has taken, or was handed.
pub fn dereference_for(object: u64, caller: &CallContext<'_>) -> Option<u64> {
    with(|state| state.objects.get_mut(&object)?.taken.pop());
    dereference(object, caller)
}

/// Gives a reference back and returns how many are left; `None` if there is no
/// object at the address. With the last one the object goes away, which may
/// call the driver, at `PASSIVE_LEVEL` only: above, the end is put off to
/// [`end_deferred`].
pub fn dereference(object: u64, caller: &CallContext<'_>) -> Option<u64> {
    let (left, ends) = with(|state| {
        let header = state.objects.get_mut(&object)?;
        let ends = header.pointers == 1 && !header.dying;
        header.pointers = header.pointers.saturating_sub(1);
        header.dying |= ends;
        let left = header.pointers;
        if ends && cpu::irql() > cpu::PASSIVE_LEVEL {
            state.deferred.push(object);
        }
        Some((left, ends))
    })?;
    if cpu::irql() == cpu::PASSIVE_LEVEL {
        if ends {
            end(object, caller);
        }
        end_deferred(caller);
    }
    Some(left)
}

/// Ends the objects whose last reference was given back above `PASSIVE_LEVEL`.
pub fn end_deferred(caller: &CallContext<'_>) {
    while let Some(object) = with(|state| state.deferred.pop()) {
        end(object, caller);
    }
}

/// Security descriptors of objects, which another component keeps.
#[derive(Debug, Clone, Copy)]
pub struct ObjectSecurity {
    /// Assigns the descriptor at an address to a new object.
    pub assign: fn(u64, u64) -> Result<(), u32>,
    /// Removes the descriptor of an object that is deleted.
    pub remove: fn(u64),
}

/// The component that keeps them.
pub static SECURITY: Hook<ObjectSecurity> = Hook::new();

/// The end of an object that nothing refers to.
fn end(object: u64, caller: &CallContext<'_>) {
    let Some(kind) = type_of(object) else { return };
    if let Some(delete) = kind.procedures().delete {
        delete(object, caller);
    }
    (SECURITY.get().remove)(object);
    if with(|state| state.objects.remove(&object)).is_some() {
        let block = object - HEADER_SIZE;
        if kind != Type::Device {
            pool::free(block);
        } else if let Err(reason) = lent::free(block, caller.address()) {
            caller.end(reason);
        }
    }
}

/// References of drivers that are not released, by object.
pub fn reference_leaks() -> Vec<Leak> {
    with(|state| {
        let mut references: Vec<_> = state
            .objects
            .iter()
            .flat_map(|(object, header)| header.taken.iter().map(move |caller| (*object, *caller)))
            .collect();
        references.sort_unstable();
        let leak = |(object, caller)| {
            let what = state.describe(object);
            let at = format!("{object:#018x}");
            let at = if what.ends_with(&at) {
                String::new()
            } else {
                format!(", {at},")
            };
            let message = format!("a reference to {what}{at} is not released");
            Leak::new(rules::REFERENCE_LEAK, message, caller)
        };
        references.into_iter().map(leak).collect()
    })
}

/// An object for a person: type and name.
pub fn describe(object: u64) -> String {
    with(|state| state.describe(object))
}

/// How many objects of a type there are, and how many handles to them.
pub fn count_of(kind: Type) -> (usize, usize) {
    with(|state| {
        let own = state.objects.values().filter(|header| header.kind == kind);
        own.fold((0, 0), |(objects, handles), header| {
            (
                objects + 1,
                handles + usize::try_from(header.handles).unwrap_or(0),
            )
        })
    })
}

/// Reads an object's header.
pub fn inspect<T>(object: u64, read: impl FnOnce(&Header) -> T) -> Option<T> {
    with(|state| state.objects.get(&object).map(read))
}

impl ObjectTables {
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
        let describe = header.kind.procedures().describe;
        if let Some(text) = describe.and_then(|describe| describe(&header.payload)) {
            return text;
        }
        match &header.name {
            Some(_) => format!("{kind} {}", text(&self.path_of(object))),
            None => format!("{kind} at {object:#018x}"),
        }
    }
}
