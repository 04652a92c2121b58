//! What can be asked of the values of a registry key.

use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use super::callback_buffer::CallbackBuffer;
use super::hive::{MAX_VALUE_NAME, Value};
use super::nt_key::OpenKey;
use super::{hive, notify_class, nt_key};
use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::info_buffer::{Information, Reply};
use crate::cm;

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
    fn ZwQueryValueKey<call>(key: u64, name: u64, class: u32, buffer: u64, length: u32, result_length: u64) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::status(query(key, name, class, Reply { buffer, length, result_length }, &CallContext::of(call)))
    }

    /// `ZwEnumerateValueKey`: values in the order in which they were made.
    fn ZwEnumerateValueKey<call>(key: u64, index: u32, class: u32, buffer: u64, length: u32, result_length: u64) -> u32
        [max PASSIVE_LEVEL, wdm] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        error::status(enumerate(key, index, class, Reply { buffer, length, result_length }, &CallContext::of(call)))
    }
}

fn query(
    handle: u64,
    name: u64,
    class: u32,
    reply: Reply,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    check(class, reply)?;
    let OpenKey { object, key } = nt_key::opened(handle)?;
    let name = name_at(name)?;
    let shown = CallbackBuffer::name(&name)?;
    let fields = Information::default().u64(shown.at()).u32(class);
    cm::on_key(
        notify_class::QUERY_VALUE,
        object,
        reply.show(fields),
        caller,
        || {
            let (information, fixed) = hive::with(|registry| {
                let value = registry
                    .key(key)?
                    .value(&name)
                    .ok_or(nt_status::STATUS_OBJECT_NAME_NOT_FOUND)?;
                Ok::<_, u32>(describe(value, class))
            })?;
            reply.write(&information, fixed)
        },
    )
}

fn enumerate(
    handle: u64,
    index: u32,
    class: u32,
    reply: Reply,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    check(class, reply)?;
    let OpenKey { object, key } = nt_key::opened(handle)?;
    let fields = Information::default().u32(index).u32(class);
    cm::on_key(
        notify_class::ENUMERATE_VALUE,
        object,
        reply.show(fields),
        caller,
        || {
            let (information, fixed) = hive::with(|registry| {
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                let value = registry
                    .key(key)?
                    .values()
                    .get(index)
                    .ok_or(nt_status::STATUS_NO_MORE_ENTRIES)?;
                Ok::<_, u32>(describe(value, class))
            })?;
            reply.write(&information, fixed)
        },
    )
}

/// Checks a class, and the alignment that it asks of the buffer.
fn check(class: u32, reply: Reply) -> Result<(), u32> {
    match class {
        class::FULL_ALIGN64 | class::PARTIAL_ALIGN64 if !reply.buffer.is_multiple_of(8) => {
            Err(nt_status::STATUS_DATATYPE_MISALIGNMENT)
        }
        class::BASIC..=class::PARTIAL_ALIGN64 => Ok(()),
        _ => Err(nt_status::STATUS_INVALID_PARAMETER),
    }
}

/// The name of a value that a caller is to set, without NULs at its end.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER` for one that is too long; those of [`name_at`].
pub fn new_name_at(va: u64) -> Result<Vec<u16>, Refusal> {
    if usize::from(UnicodeString::read(va)?.length) > 2 * MAX_VALUE_NAME {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    name_at(va)
}

/// The name of a value that a caller means, without NULs at its end. One that is too
/// long for any value is just one that is not there.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER` for one of an odd number of bytes.
pub fn name_at(va: u64) -> Result<Vec<u16>, Refusal> {
    let string = UnicodeString::read(va)?;
    if string.length % 2 != 0 {
        return Err(nt_status::STATUS_INVALID_PARAMETER.into());
    }
    let mut name = string.units()?;
    while name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

/// A value as a class of information, and how many of its bytes are the part
/// that must fit.
fn describe(value: &Value, class: u32) -> (Vec<u8>, usize) {
    /// Nothing has a title index any more.
    const TITLE_INDEX: u32 = 0;
    let Value { name, kind, data } = value;
    let start = Information::default();
    match class {
        class::BASIC => (
            start
                .u32(TITLE_INDEX)
                .u32(*kind)
                .size(2 * name.len())
                .name(name)
                .finish(),
            12,
        ),
        class::PARTIAL => (
            start
                .u32(TITLE_INDEX)
                .u32(*kind)
                .size(data.len())
                .bytes(data)
                .finish(),
            12,
        ),
        class::PARTIAL_ALIGN64 => (start.u32(*kind).size(data.len()).bytes(data).finish(), 8),
        _ => {
            let unit = if class == class::FULL { 4 } else { 8 };
            let offset = (20 + 2 * name.len()).next_multiple_of(unit);
            let start = start.u32(TITLE_INDEX).u32(*kind);
            let start = if data.is_empty() {
                start.u32(NO_DATA)
            } else {
                start.size(offset)
            };
            let named = start.size(data.len()).size(2 * name.len()).name(name);
            let whole = if data.is_empty() {
                named
            } else {
                named.align(unit).bytes(data)
            };
            (whole.finish(), 20)
        }
    }
}
