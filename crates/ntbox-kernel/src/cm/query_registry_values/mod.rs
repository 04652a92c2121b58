//! `RtlQueryRegistryValues`: a table of values and subkeys in one call, each
//! handed to a routine of the driver or stored where the driver says.
//!
//! | file | what |
//! |---|---|
//! | `entry` | an entry of the table, and its defaults |
//! | `callback` | handing a value to the driver's routine |
//! | `direct_flag` | storing a value in the driver's memory |
//! | `expand` | environment variables in strings |

use crate::base::error;
mod callback;
mod direct_flag;
mod entry;
mod expand;

use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::hive::{Step, Value};
use super::query_registry_values::callback::ValueContext;
use super::query_registry_values::entry::{Entry, flag};
use super::rtl_registry::Location;
use super::{hive, nt_set_value};
use crate::base::call_context::CallContext;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::key_id::KeyId;

/// `KERNEL_SECURITY_CHECK_FAILURE`.
const SECURITY_CHECK_FAILURE: u32 = 0x139;
/// `FAST_FAIL_UNSAFE_REGISTRY_ACCESS`.
const UNSAFE_REGISTRY_ACCESS: u64 = 8;

exports! {
    /// `RtlQueryRegistryValues`.
    fn RtlQueryRegistryValues<call>(relative_to: u32, path: u64, table: u64, context: u64, environment: u64) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        let caller = CallContext::of(call);
        let top = Location::read(relative_to, path).and_then(|location| Ok(location.existing(&caller)?));
        error::status(top.and_then(|top| {
            Query { top, delivery: ValueContext { caller, context, environment } }.run(table)
        }))
    }
}

/// A query in progress.
struct Query<'a> {
    /// The key that the table is about.
    top: KeyId,
    delivery: ValueContext<'a>,
}

impl Query<'_> {
    /// Goes through the table.
    fn run(&self, table: u64) -> Result<(), Refusal> {
        let mut current = self.top;
        let mut at = table;
        loop {
            let entry = Entry::read(at)?;
            if entry.is_end() {
                return Ok(());
            }
            Self::check(&entry, current)?;
            if entry.has(flag::TOPKEY) || entry.has(flag::SUBKEY) {
                current = self.top;
            }
            if entry.has(flag::SUBKEY) {
                current = self.subkey(&entry)?;
                if entry.routine != 0 {
                    self.all(&entry, current)?;
                }
            } else if entry.name_at != 0 {
                self.one(&entry, current)?;
            } else if entry.has(flag::NOVALUE) {
                self.delivery.nothing(&entry)?;
            } else {
                self.all(&entry, current)?;
            }
            at = at.wrapping_add(Entry::SIZE);
        }
    }

    /// Checks what an entry asks for.
    fn check(entry: &Entry, current: KeyId) -> Result<(), Refusal> {
        if entry.has(flag::SUBKEY) && entry.name_at == 0 {
            return Err(nt_status::STATUS_INVALID_PARAMETER.into());
        }
        if !entry.has(flag::DIRECT) {
            return Ok(());
        }
        if entry.name_at == 0 || entry.has(flag::SUBKEY) || entry.routine != 0 {
            return Err(nt_status::STATUS_INVALID_PARAMETER.into());
        }
        let trusted = hive::with(|registry| registry.is_trusted(current));
        if !entry.has(flag::TYPECHECK) && !trusted {
            return Err(Refusal::Stop(NoReturn::bug_check(
                SECURITY_CHECK_FAILURE,
                [UNSAFE_REGISTRY_ACCESS, 0, 0, 0],
                format!(
                    "RtlQueryRegistryValues was asked for values of {} with RTL_QUERY_REGISTRY_DIRECT and without \
                     RTL_QUERY_REGISTRY_TYPECHECK; others than the system can write there",
                    hive::path_text(current)
                ),
            )));
        }
        Ok(())
    }

    /// The subkey that an entry names.
    fn subkey(&self, entry: &Entry) -> Result<KeyId, u32> {
        match hive::with(|registry| registry.walk(self.top, &entry.name, false))? {
            Step::Key(key) => Ok(key),
            Step::Link(target) => Location::Path(target).existing(&self.delivery.caller),
            Step::Missing(..) => Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND),
        }
    }

    /// The value that an entry names, or its default.
    fn one(&self, entry: &Entry, key: KeyId) -> Result<(), Refusal> {
        let value =
            hive::with(|registry| Ok::<_, u32>(registry.key(key)?.value(&entry.name).cloned()))?;
        self.delivery.deliver(entry, value.as_ref())?;
        if value.is_some() && entry.has(flag::DELETE) {
            nt_set_value::remove(key, &entry.name).or_else(already_gone)?;
        }
        Ok(())
    }

    /// Every value of a key. The driver's routine may change the key meanwhile.
    fn all(&self, entry: &Entry, key: KeyId) -> Result<(), Refusal> {
        let mut index = 0;
        let mut any = false;
        while let Some(value) = value_number(key, index)? {
            any = true;
            self.delivery.deliver(entry, Some(&value))?;
            if entry.has(flag::DELETE) {
                nt_set_value::remove(key, &value.name).or_else(already_gone)?;
            } else {
                index += 1;
            }
        }
        if entry.has(flag::REQUIRED) && !any {
            return Err(nt_status::STATUS_OBJECT_NAME_NOT_FOUND.into());
        }
        Ok(())
    }
}

fn value_number(key: KeyId, index: usize) -> Result<Option<Value>, u32> {
    hive::with(|registry| Ok(registry.key(key)?.values().get(index).cloned()))
}

/// The driver's routine may have deleted a value itself.
fn already_gone(status: u32) -> Result<(), u32> {
    if status == nt_status::STATUS_OBJECT_NAME_NOT_FOUND {
        Ok(())
    } else {
        Err(status)
    }
}
