//! The values of registry keys.

use super::key;
use super::registry::{self, Value};
use super::reply::{Information, Reply};
use crate::kernel::call::exports;
use crate::kernel::call::irql::PASSIVE_LEVEL;
use crate::kernel::guest::UnicodeString;
use crate::kernel::ob::{self, Refusal};

/// `KEY_VALUE_INFORMATION_CLASS`.
mod class {
    pub const BASIC: u32 = 0;
    pub const FULL: u32 = 1;
    pub const PARTIAL: u32 = 2;
    pub const FULL_ALIGN64: u32 = 3;
    pub const PARTIAL_ALIGN64: u32 = 4;
}

/// `DataOffset` of a value without data.
const NO_DATA: u32 = u32::MAX;

exports! {
    /// `ZwQueryValueKey`.
    fn ZwQueryValueKey(key: u64, name: u64, class: u32, buffer: u64, length: u32, result_length: u64) -> u32
        [max PASSIVE_LEVEL] fails 0xc000_009a
    {
        ob::status(query(key, name, class, Reply { buffer, length, result_length }))
    }
}

fn query(handle: u64, name: u64, class: u32, reply: Reply) -> Result<(), Refusal> {
    if class > class::PARTIAL_ALIGN64 {
        return Err(ntstatus::STATUS_INVALID_PARAMETER.into());
    }
    let key = key::from_handle(handle)?;
    let name = UnicodeString::read(name)?.units()?;
    let (information, fixed) = registry::with(|registry| {
        let value = registry.key(key)?.value(&name).ok_or(ntstatus::STATUS_OBJECT_NAME_NOT_FOUND)?;
        describe(value, class)
    })?;
    reply.write(&information, fixed)
}

/// A value as a class of information, and how many of its bytes are the part
/// that must fit.
fn describe(value: &Value, class: u32) -> Result<(Vec<u8>, usize), u32> {
    /// Nothing has a title index any more.
    const TITLE_INDEX: u32 = 0;
    let Value { name, kind, data } = value;
    let start = Information::default();
    Ok(match class {
        class::BASIC => {
            (start.u32(TITLE_INDEX).u32(*kind).size(2 * name.len()).name(name).finish(), 12)
        }
        class::FULL | class::FULL_ALIGN64 => {
            let unit = if class == class::FULL { 4 } else { 8 };
            let offset = (20 + 2 * name.len()).next_multiple_of(unit);
            let start = start.u32(TITLE_INDEX).u32(*kind);
            let start = if data.is_empty() { start.u32(NO_DATA) } else { start.size(offset) };
            let named = start.size(data.len()).size(2 * name.len()).name(name);
            let whole = if data.is_empty() { named } else { named.align(unit).bytes(data) };
            (whole.finish(), 20)
        }
        class::PARTIAL => (start.u32(TITLE_INDEX).u32(*kind).size(data.len()).bytes(data).finish(), 12),
        class::PARTIAL_ALIGN64 => (start.u32(*kind).size(data.len()).bytes(data).finish(), 8),
        _ => return Err(ntstatus::STATUS_INVALID_PARAMETER),
    })
}
