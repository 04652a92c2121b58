//! Objects, their names, handles and references, from the kernel's side and as
//! drivers see them.

mod handles;
mod namespace;
pub mod nt_directory;
pub mod nt_handle;
pub mod nt_object;
pub mod nt_symbolic_link;
mod opening;
mod reference;
mod types;

use super::attributes::{Attributes, CASE_INSENSITIVE};
use super::{Payload, Type, create};
use crate::base::call_context::CallContext;
use crate::base::utf16::wide;
use crate::mm;
use crate::test_support::processor;

/// The kernel as a caller; no test's object calls a driver when it ends.
fn kernel() -> CallContext<'static> {
    CallContext::kernel(0)
}

/// An object of a type without methods.
fn event() -> u64 {
    processor();
    create(Type::Event, 0x18, Payload::None).expect("there is memory")
}

/// A directory of the test's own below the root, for its names.
fn directory(name: &str) -> u64 {
    processor();
    let payload = Payload::Directory(super::Directory::default());
    let directory = create(Type::Directory, 0x18, payload).expect("there is memory");
    let inserted = super::insert(
        directory,
        &named(&format!("\\{name}"), super::attributes::PERMANENT),
    );
    assert_eq!(inserted, Ok(super::NameInsertion::New));
    directory
}

fn named(path: &str, flags: u32) -> Attributes {
    Attributes::named(wide(path), flags)
}

fn any_case(path: &str) -> Attributes {
    named(path, CASE_INSENSITIVE)
}

/// Whether an object's memory is in use.
fn is_alive(object: u64) -> bool {
    mm::with(|memory| memory.pools.block(object - 0x30).is_some())
}
