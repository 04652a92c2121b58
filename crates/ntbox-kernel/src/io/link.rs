//! Symbolic links to devices, which is how programs reach them by a name of
//! their own.

use std::collections::BTreeMap;

use ntbox_api::rules;
use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::kernel_cell::KernelCell;

use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::leak_check::Leak;
use crate::ob;
use crate::ob::{Attributes, NameInsertion, Payload, Type};

/// Bytes of a symbolic link object.
const SIZE: u64 = 0x28;
/// `OBJ_PERMANENT | OBJ_CASE_INSENSITIVE`.
const FLAGS: u32 = 0x50;

/// A link that a driver created: its name, and the call.
#[derive(Debug, Clone)]
pub struct LinkRecord {
    /// Its name.
    pub name: String,
    /// Address that the call returns to.
    pub caller: u64,
}

/// The links that exist, by their objects.
static MADE: KernelCell<BTreeMap<u64, LinkRecord>> = KernelCell::new(BTreeMap::new());

/// Links that drivers did not delete. All of them are forgotten.
pub fn leaks() -> Vec<Leak> {
    let links = std::mem::take(&mut *MADE.lock()).into_values();
    links
        .map(|link| {
            let message = format!("the symbolic link {} is not deleted", link.name);
            Leak::new(rules::SYMLINK_LEAK, message, link.caller)
        })
        .collect()
}

fn create(link: u64, target: u64, caller: &CallContext<'_>) -> Result<(), Refusal> {
    let name = UnicodeString::read(link)?.units()?;
    let target = UnicodeString::read(target)?;
    let payload = Payload::SymbolicLink {
        target: target.units()?,
        capacity: target.maximum_length,
    };
    let object = ob::create(Type::SymbolicLink, SIZE, payload)?;
    let made = LinkRecord {
        name: String::from_utf16_lossy(&name),
        caller: caller.address(),
    };
    let attributes = Attributes::named(name, FLAGS);
    let inserted = ob::insert(object, &attributes);
    // The name keeps the object.
    ob::dereference(object, caller);
    match inserted? {
        NameInsertion::New => {
            MADE.lock().insert(object, made);
            Ok(())
        }
        NameInsertion::Existing(existing) => {
            ob::dereference(existing, caller);
            Err(nt_status::STATUS_OBJECT_NAME_COLLISION.into())
        }
    }
}

fn delete(link: u64, caller: &CallContext<'_>) -> Result<(), Refusal> {
    let name = UnicodeString::read(link)?.units()?;
    let found = ob::lookup_path(&name, Some(Type::SymbolicLink))?;
    let is_link = found.kind == Type::SymbolicLink && found.rest.is_empty();
    if is_link {
        MADE.lock().remove(&found.object);
        ob::make_temporary(found.object, caller);
    }
    ob::dereference(found.object, caller);
    if is_link {
        Ok(())
    } else {
        Err(nt_status::STATUS_OBJECT_TYPE_MISMATCH.into())
    }
}

exports! {
    /// `IoCreateSymbolicLink`.
    fn IoCreateSymbolicLink<call>(link: u64, target: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        error::status(create(link, target, &CallContext::of(call)))
    }

    /// `IoCreateUnprotectedSymbolicLink`: the same; everyone is allowed everything
    /// here.
    fn IoCreateUnprotectedSymbolicLink<call>(link: u64, target: u64) -> u32 [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES {
        error::status(create(link, target, &CallContext::of(call)))
    }

    /// `IoDeleteSymbolicLink`.
    fn IoDeleteSymbolicLink<call>(link: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        error::status(delete(link, &CallContext::of(call)))
    }
}
