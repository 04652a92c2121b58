//! The name of an object.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::APC_LEVEL;

use super::types::OutputBuffer;
use super::{Type, namespace, object};
use crate::base::call_context::CallContext;
use crate::base::error;
use crate::base::error::Refusal;
use crate::base::export::exports;
use crate::base::utf16::SEPARATOR;

/// Bytes of an `OBJECT_NAME_INFORMATION` without the name.
const SIZE: u32 = 16;

exports! {
    /// `ObQueryNameString`: an unnamed object has an empty name.
    fn ObQueryNameString<call>(object: u64, information: u64, length: u32, return_length: u64) -> u32
        [max APC_LEVEL, ntifs] {
        error::status(write(object, information, length, return_length, &CallContext::of(call)))
    }
}

/// Writes the name of an object, with callbacks of the registry if it is a key, as `OBJECT_NAME_INFORMATION` with the text
/// behind it; `return_length` may be 0.
///
/// # Errors
/// `STATUS_KEY_DELETED`; `STATUS_INFO_LENGTH_MISMATCH` if it does not fit, or `STATUS_BUFFER_OVERFLOW` if
/// only the text of a file's name does not: then nothing is written but the length.
pub fn write(
    object: u64,
    information: u64,
    length: u32,
    return_length: u64,
    caller: &CallContext<'_>,
) -> Result<(), Refusal> {
    let mut query = || answer(object, information, length, return_length);
    let filter = object::type_of(object).and_then(Type::active_filter);
    let Some(filter) = filter else {
        return query();
    };
    let buffer = OutputBuffer {
        address: information,
        length,
        return_length,
    };
    filter.query_name(object, &buffer, caller, &mut query)
}

fn answer(object: u64, information: u64, length: u32, return_length: u64) -> Result<(), Refusal> {
    let name = full(object);
    if name.is_none() && object::type_of(object) == Some(Type::Key) {
        return Err(nt_status::STATUS_KEY_DELETED.into());
    }
    let text = name.as_ref().map_or(0, |name| 2 * name.len() + 2);
    let needed = SIZE.saturating_add(u32::try_from(text).unwrap_or(u32::MAX));
    if return_length != 0 {
        driver_mem::write_u32(return_length, needed)?;
    }
    if length < needed {
        // The I/O manager, which names files, has a status of its own.
        let file = object::type_of(object) == Some(Type::File);
        return Err(if file && length >= SIZE {
            nt_status::STATUS_BUFFER_OVERFLOW.into()
        } else {
            nt_status::STATUS_INFO_LENGTH_MISMATCH.into()
        });
    }
    let mut string = UnicodeString {
        length: 0,
        maximum_length: 0,
        buffer: 0,
    };
    if let Some(name) = name {
        string.maximum_length = u16::try_from(text).unwrap_or(u16::MAX);
        string.length = string.maximum_length - 2;
        string.buffer = information.wrapping_add(u64::from(SIZE));
        let bytes: Vec<u8> = name
            .iter()
            .chain([&0])
            .flat_map(|unit| unit.to_le_bytes())
            .collect();
        driver_mem::write_bytes(string.buffer, &bytes)?;
    }
    Ok(string.write(information)?)
}

/// The full name of an object: by its owner, or by the directories that it is in.
pub fn full(object: u64) -> Option<Vec<u16>> {
    let kind = object::type_of(object)?;
    match kind.procedures().query_name {
        Some(name) => name(object),
        None if object == namespace::root() => Some(vec![SEPARATOR]),
        None => namespace::path(object),
    }
}
