//! The object manager: what the rest of the kernel builds its objects on.
//!
//! An object is a body in memory that drivers see, known by the body's address.
//! [`create`] makes one with one reference, which is its maker's; [`insert`]
//! gives it a name, [`handles::insert`] a handle, and each of these holds a
//! reference of its own. [`dereference`] gives one back. The owner of a type
//! hears of closed handles and of the end of an object through
//! [`types::Methods`], always without a lock held, with a [`Caller`] on whose
//! stack the driver may be called.
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
mod caller;
pub mod filters;
mod handle_rules;
pub mod handles;
mod initial;
pub mod name;
mod namespace;
mod object;
mod open;
mod opening;
mod query_name;
mod reference;
mod refusal;
#[cfg(test)]
mod tests;
pub mod types;

use rustc_hash::FxHashMap;

pub use attributes::Attributes;
pub use caller::Caller;
pub use handles::Closed;
pub use initial::{object_of, variable_names, variables};
pub use namespace::{
    Directory, Inserted, entries_of, insert, lookup, lookup_path, make_temporary, path,
};
pub use object::{
    Payload, count_of, create, dereference, dereference_for, describe, inspect, reference,
    reference_for, references_left, type_of,
};
pub use open::{by_handle, insert_and_open, open_by_name, open_handle};
pub use query_name::{full as full_name, write as write_name};
pub use refusal::{Refusal, outcome, status};
pub use types::Type;

use super::call::Export;
use crate::kernel::exclusive::Exclusive;
use object::Header;

/// The exports of this folder.
pub const TABLES: &[&[Export]] = &[
    filters::EXPORTS,
    opening::EXPORTS,
    query_name::EXPORTS,
    reference::EXPORTS,
];

/// Everything that the object manager knows.
#[derive(Debug)]
struct State {
    /// By the address of the body.
    objects: FxHashMap<u64, Header>,
    /// By the address of the process.
    tables: FxHashMap<u64, handles::Table>,
    /// The directory `\`.
    root: u64,
    /// The directory `\GLOBAL??`.
    global_names: u64,
    /// The object of each type, by its number.
    types: Vec<u64>,
    /// Objects that have no reference left and are still to be ended.
    deferred: Vec<u64>,
}

static STATE: Exclusive<Option<State>> = Exclusive::new(None);

/// Works on objects. Neither the driver nor another manager but that of memory
/// may be called meanwhile.
fn with<T>(work: impl FnOnce(&mut State) -> T) -> T {
    let mut guard = STATE.lock();
    work(guard.get_or_insert_with(State::new))
}
