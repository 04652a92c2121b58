//! `UNICODE_STRING`: initialising, copying, appending, comparing, changing case.
//!
//! A counted string need not end in a NUL. Most routines here store one behind
//! the text when there is room, as the kernel does, and never count it.

use nt_status::{
    STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER,
    STATUS_INVALID_PARAMETER_2, STATUS_NAME_TOO_LONG, STATUS_NO_MEMORY, STATUS_SUCCESS,
};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};
use ntbox_host::gate::{Call, NoReturn};

use super::cstr::UNLIMITED;
use super::{cstr, scan, string_alloc};
use crate::base::export::exports;
use crate::base::upcase;

/// Longest text of a `UNICODE_STRING` that has a NUL behind it, in bytes.
const MAX_LENGTH: u64 = 0xfffc;

exports! {
    /// `RtlInitUnicodeString`: counts the text, which stays where it is.
    fn RtlInitUnicodeString(to: u64, text: u64) -> () [max DISPATCH_LEVEL, wdm] {
        let length = if text == 0 { 0 } else { 2 * cstr::length::<u16>(text, UNLIMITED)? };
        Ok(initialize(to, text, length.min(MAX_LENGTH))?)
    }

    /// `RtlInitUnicodeStringEx`: the same, refusing text that is too long.
    fn RtlInitUnicodeStringEx(to: u64, text: u64) -> u32 [max DISPATCH_LEVEL, undocumented] {
        let length = if text == 0 { 0 } else { 2 * cstr::length::<u16>(text, UNLIMITED)? };
        if length > MAX_LENGTH {
            return Ok(STATUS_NAME_TOO_LONG);
        }
        initialize(to, text, length)?;
        Ok(STATUS_SUCCESS)
    }

    /// `RtlCopyUnicodeString`: as much as fits.
    fn RtlCopyUnicodeString(to: u64, from: u64) -> () [max HIGH_LEVEL, wdm] {
        if from == 0 {
            return Ok(driver_mem::write_u16(to, 0)?);
        }
        let (destination, source) = (UnicodeString::read(to)?, UnicodeString::read(from)?);
        let length = source.length.min(destination.maximum_length) & !1;
        driver_mem::copy(destination.buffer, source.buffer, length.into())?;
        driver_mem::write_u16(to, length)?;
        Ok(terminate(UnicodeString { length, ..destination })?)
    }

    /// `RtlAppendUnicodeStringToString`: all of it or nothing. An empty source
    /// leaves the destination alone, whatever its lengths are.
    fn RtlAppendUnicodeStringToString(to: u64, from: u64) -> u32 [max HIGH_LEVEL, wdm] {
        let source = UnicodeString::read(from)?;
        if source.length == 0 {
            return Ok(STATUS_SUCCESS);
        }
        Ok(append(to, source.buffer, source.length.into())?)
    }

    /// `RtlAppendUnicodeToString`; no text is no error.
    fn RtlAppendUnicodeToString(to: u64, text: u64) -> u32 [max HIGH_LEVEL, wdm] {
        if text == 0 {
            return Ok(STATUS_SUCCESS);
        }
        let length = 2 * cstr::length::<u16>(text, UNLIMITED)?;
        Ok(append(to, text, length)?)
    }

    /// `RtlCompareUnicodeString`.
    fn RtlCompareUnicodeString(one: u64, two: u64, insensitive: bool) -> i32 [max PASSIVE_LEVEL, wdm] {
        let one = UnicodeString::read(one)?.units()?;
        let two = UnicodeString::read(two)?.units()?;
        Ok(compare(&one, &two, insensitive))
    }

    /// `RtlCompareUnicodeStrings`: the same for texts with lengths in units.
    fn RtlCompareUnicodeStrings(one: u64, one_length: u64, two: u64, two_length: u64, insensitive: bool) -> i32
        [max PASSIVE_LEVEL, undocumented]
    {
        let one = scan::units(one, one_length)?;
        let two = scan::units(two, two_length)?;
        Ok(compare(&one, &two, insensitive))
    }

    /// `RtlEqualUnicodeString`.
    fn RtlEqualUnicodeString(one: u64, two: u64, insensitive: bool) -> bool [max PASSIVE_LEVEL, wdm] {
        let (one, two) = (UnicodeString::read(one)?, UnicodeString::read(two)?);
        Ok(one.length == two.length && compare(&one.units()?, &two.units()?, insensitive) == 0)
    }

    /// `RtlPrefixUnicodeString`: whether the first begins the second.
    fn RtlPrefixUnicodeString(prefix: u64, text: u64, insensitive: bool) -> bool [max PASSIVE_LEVEL, ntddk] {
        let (prefix, text) = (UnicodeString::read(prefix)?, UnicodeString::read(text)?);
        if prefix.length > text.length {
            return Ok(false);
        }
        let start = UnicodeString { length: prefix.length, ..text };
        Ok(compare(&prefix.units()?, &start.units()?, insensitive) == 0)
    }

    /// `RtlUpcaseUnicodeChar`.
    fn RtlUpcaseUnicodeChar(unit: u16) -> u16 [max APC_LEVEL, wdm] { Ok(upcase::upcase(unit)) }

    /// `RtlDowncaseUnicodeChar`.
    fn RtlDowncaseUnicodeChar(unit: u16) -> u16 [max PASSIVE_LEVEL, wdm] { Ok(upcase::downcase(unit)) }

    /// `RtlUpcaseUnicodeString`.
    fn RtlUpcaseUnicodeString<call>(to: u64, from: u64, allocate: bool) -> u32 [max APC_LEVEL, ntddk] fails STATUS_NO_MEMORY {
        change_case(call, to, from, allocate, upcase::upcase)
    }

    /// `RtlDowncaseUnicodeString`.
    fn RtlDowncaseUnicodeString<call>(to: u64, from: u64, allocate: bool) -> u32 [max APC_LEVEL, ntifs] fails STATUS_NO_MEMORY {
        change_case(call, to, from, allocate, upcase::downcase)
    }

    /// `RtlHashUnicodeString`: the only algorithm there is, x65599.
    fn RtlHashUnicodeString(string: u64, insensitive: bool, algorithm: u32, hash: u64) -> u32 [max APC_LEVEL, wdm] {
        if string == 0 || hash == 0 || algorithm > 1 {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        let units = UnicodeString::read(string)?.units()?;
        let value = units.into_iter().fold(0_u32, |value, unit| {
            let unit = if insensitive { upcase::upcase(unit) } else { unit };
            value.wrapping_mul(65599).wrapping_add(unit.into())
        });
        driver_mem::write_u32(hash, value)?;
        Ok(STATUS_SUCCESS)
    }

    /// `RtlValidateUnicodeString`: whether lengths and buffer fit each other.
    fn RtlValidateUnicodeString(flags: u32, string: u64) -> u32 [max PASSIVE_LEVEL, undocumented] {
        if flags != 0 {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        Ok(if string == 0 || is_valid(UnicodeString::read(string)?) { STATUS_SUCCESS } else { STATUS_INVALID_PARAMETER })
    }

    /// `RtlCreateUnicodeString`: a copy in paged pool, with its NUL.
    fn RtlCreateUnicodeString<call>(to: u64, text: u64) -> bool [max PASSIVE_LEVEL, ntifs] fails 0 {
        let length = 2 * cstr::length::<u16>(text, UNLIMITED)?;
        let (Ok(length), Ok(size)) = (u16::try_from(length), u16::try_from(length + 2)) else {
            return Ok(false);
        };
        let Some(buffer) = string_alloc::take(call, size.into()) else { return Ok(false) };
        driver_mem::copy(buffer, text, size.into())?;
        UnicodeString { length, maximum_length: size, buffer }.write(to)?;
        Ok(true)
    }

    /// `RtlDuplicateUnicodeString`: flag 1 puts a NUL behind the copy, flag 2
    /// gives an empty string a buffer too.
    fn RtlDuplicateUnicodeString<call>(flags: u32, from: u64, to: u64) -> u32 [max PASSIVE_LEVEL, undocumented] fails STATUS_NO_MEMORY {
        if flags > 3 || flags == 2 || from == 0 || to == 0 {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        let source = UnicodeString::read(from)?;
        if !is_valid(source) {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        duplicate(call, flags, source, to)
    }

    /// `RtlFreeUnicodeString`: frees the buffer and forgets it.
    fn RtlFreeUnicodeString<call>(string: u64) -> () [max APC_LEVEL, wdm] {
        release(call, string)
    }
}

/// Sets all three fields for text with a NUL behind it.
fn initialize(to: u64, buffer: u64, length: u64) -> Result<(), Fault> {
    // The callers have cut the length to what fits.
    let length = u16::try_from(length).unwrap_or(0);
    let maximum_length = if buffer == 0 {
        0
    } else {
        length.saturating_add(2)
    };
    UnicodeString {
        length,
        maximum_length,
        buffer,
    }
    .write(to)
}

/// Puts a NUL behind the text if there is room for one.
fn terminate(string: UnicodeString) -> Result<(), Fault> {
    if u32::from(string.length) + 2 <= u32::from(string.maximum_length) {
        driver_mem::write_u16(string.buffer.wrapping_add(string.length.into()), 0)?;
    }
    Ok(())
}

/// Appends `length` bytes to a string.
fn append(to: u64, from: u64, length: u64) -> Result<u32, Fault> {
    let string = UnicodeString::read(to)?;
    let Ok(total) = u16::try_from(u64::from(string.length).saturating_add(length)) else {
        return Ok(STATUS_BUFFER_TOO_SMALL);
    };
    if total > string.maximum_length {
        return Ok(STATUS_BUFFER_TOO_SMALL);
    }
    driver_mem::copy(
        string.buffer.wrapping_add(string.length.into()),
        from,
        length,
    )?;
    driver_mem::write_u16(to, total)?;
    terminate(UnicodeString {
        length: total,
        ..string
    })?;
    Ok(STATUS_SUCCESS)
}

/// The difference of the first two units that differ, or of the lengths.
pub fn compare(one: &[u16], two: &[u16], insensitive: bool) -> i32 {
    let fold = |unit: u16| {
        if insensitive {
            upcase::upcase(unit)
        } else {
            unit
        }
    };
    for (left, right) in one.iter().zip(two) {
        if left != right && fold(*left) != fold(*right) {
            return i32::from(fold(*left)) - i32::from(fold(*right));
        }
    }
    let length = |units: &[u16]| i32::try_from(units.len()).unwrap_or(i32::MAX);
    length(one) - length(two)
}

/// Whether a counted string makes sense in itself.
fn is_valid(string: UnicodeString) -> bool {
    let whole = string.length.is_multiple_of(2) && string.maximum_length.is_multiple_of(2);
    let fits = string.length <= string.maximum_length;
    let backed = string.buffer != 0 || (string.length == 0 && string.maximum_length == 0);
    whole && fits && backed
}

/// Stores a string with every unit changed, in a new buffer or the one given.
fn change_case(
    call: &Call<'_>,
    to: u64,
    from: u64,
    allocate: bool,
    change: fn(u16) -> u16,
) -> Result<u32, NoReturn> {
    let source = UnicodeString::read(from)?;
    let mut destination = UnicodeString::read(to)?;
    if allocate {
        let Some(buffer) = string_alloc::take(call, source.length.into()) else {
            return Ok(STATUS_NO_MEMORY);
        };
        destination.buffer = buffer;
        destination.maximum_length = source.length;
    } else if source.length > destination.maximum_length {
        return Ok(STATUS_BUFFER_OVERFLOW);
    }
    let units: Vec<u16> = source.units()?.into_iter().map(change).collect();
    scan::write_units(destination.buffer, &units)?;
    UnicodeString {
        length: source.length,
        ..destination
    }
    .write(to)?;
    Ok(STATUS_SUCCESS)
}

/// The body of `RtlDuplicateUnicodeString`, once its arguments are sound.
fn duplicate(call: &Call<'_>, flags: u32, source: UnicodeString, to: u64) -> Result<u32, NoReturn> {
    let nul = if flags & 1 != 0 && (source.length > 0 || flags & 2 != 0) {
        2
    } else {
        0
    };
    let Some(size) = source.length.checked_add(nul) else {
        return Ok(STATUS_NAME_TOO_LONG);
    };
    let buffer = if size == 0 {
        Some(0)
    } else {
        string_alloc::take(call, size.into())
    };
    let Some(buffer) = buffer else {
        return Ok(STATUS_NO_MEMORY);
    };
    driver_mem::copy(buffer, source.buffer, source.length.into())?;
    let string = UnicodeString {
        length: source.length,
        maximum_length: size,
        buffer,
    };
    terminate(string)?;
    string.write(to)?;
    Ok(STATUS_SUCCESS)
}

/// Frees the buffer of a counted string of either width and clears all fields.
pub fn release(call: &Call<'_>, string: u64) -> Result<(), NoReturn> {
    let buffer = UnicodeString::read(string)?.buffer;
    if buffer == 0 {
        return Ok(());
    }
    string_alloc::give(call, buffer)?;
    Ok(driver_mem::fill(string, 0, 16)?)
}

/// The length of a counted text with its NUL, if a `UNICODE_STRING` can hold
/// it.
pub fn counted(units: usize) -> Result<(u16, u16), u32> {
    let length = u16::try_from(2 * units).map_err(|_| STATUS_INVALID_PARAMETER_2)?;
    let size = length.checked_add(2).ok_or(STATUS_INVALID_PARAMETER_2)?;
    Ok((length, size))
}

#[cfg(test)]
mod tests;
