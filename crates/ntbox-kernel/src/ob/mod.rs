//! The object manager: what the rest of the kernel builds its objects on.
//!
//! An object is a body in memory that drivers see, known by the body's address.
//! [`create`] makes one with one reference, which is its maker's; [`insert`]
//! gives it a name, [`handles::insert`] a handle, and each of these holds a
//! reference of its own. [`dereference`] gives one back. The owner of a type
//! registers [`ObjectTypeProcedures`], which are called when a handle is closed and when
//! an object is deleted, without a lock held, with a call context on whose stack the
//! driver may be called.
//!
//! ```ignore
//! // ZwCreateEvent in brief:
//! let attributes = Attributes::read(attributes)?;
//! let event = ob::create(Type::Event, EVENT_SIZE, Payload::None)?;
//! initialize_event(event)?;
//! let opened = ob::insert_and_open(event, &attributes, access, &caller)?;
//! guest::write_u64(handle_out, opened.handle)?;
//! Ok(opened.status)
//! ```

pub mod attributes;
pub mod callbacks;
mod exports;
pub mod handles;
mod init;
mod namespace;
pub mod nt_directory;
pub mod nt_handle;
pub mod nt_object;
pub mod nt_symbolic_link;
pub mod nt_wait;
pub mod object;
mod open_object;
mod query_name;
mod reference;
#[cfg(test)]
mod tests;
pub mod types;

use ntbox_host::gate::Export;
use ntbox_host::kernel_cell::KernelCell;
use rustc_hash::FxHashMap;

pub use super::ob::attributes::Attributes;
pub use super::ob::handles::ClosedHandle;
pub use super::ob::init::{object_of, variable_names, variables};
pub use super::ob::namespace::{
    Directory, NameInsertion, entries_of, insert, lookup, lookup_path, make_temporary, path,
};
use super::ob::object::Header;
pub use super::ob::object::{
    Payload, count_of, create, dereference, dereference_for, describe, hand_over, inspect,
    reference, reference_for, type_of,
};
pub use super::ob::open_object::{by_handle, insert_and_open, open_by_name, open_handle};
pub use super::ob::types::{ObjectTypeProcedures, Type};
use crate::base::leak_check::LeakCheck;

/// The leak checks.
pub const LEAK_CHECKS: &[LeakCheck] = &[callbacks::leaks, object::reference_leaks, handles::leaks];

/// The exports of this component.
pub const TABLES: &[&[Export]] = &[
    callbacks::registration::EXPORTS,
    exports::EXPORTS,
    nt_directory::EXPORTS,
    nt_handle::EXPORTS,
    nt_object::EXPORTS,
    nt_symbolic_link::EXPORTS,
    nt_wait::EXPORTS,
    query_name::EXPORTS,
    reference::EXPORTS,
];

/// The tables of the object manager.
#[derive(Debug)]
pub struct ObjectTables {
    /// By the address of the body.
    objects: FxHashMap<u64, Header>,
    /// By the address of the process.
    pub tables: FxHashMap<u64, handles::Table>,
    /// The directory `\`.
    root: u64,
    /// The directory `\GLOBAL??`.
    global_names: u64,
    /// The object of each type, by its number.
    types: Vec<u64>,
    /// Objects that have no reference left and are still to be ended.
    deferred: Vec<u64>,
}

static STATE: KernelCell<Option<ObjectTables>> = KernelCell::new(None);

/// Works on objects. Neither the driver nor another manager but that of memory
/// may be called meanwhile.
pub fn with<T>(work: impl FnOnce(&mut ObjectTables) -> T) -> T {
    let mut guard = STATE.lock();
    work(guard.get_or_insert_with(ObjectTables::new))
}
