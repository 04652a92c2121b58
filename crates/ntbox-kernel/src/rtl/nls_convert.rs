//! Conversions between the ANSI code page, UTF-8 and UTF-16.
//!
//! The counted-string routines end what they store with a NUL and fail if it
//! does not fit; the `…N` routines convert as much as fits and say how much.

use nt_status::{
    STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER,
    STATUS_INVALID_PARAMETER_2, STATUS_INVALID_PARAMETER_4, STATUS_INVALID_PARAMETER_5,
    STATUS_NO_MEMORY, STATUS_SOME_NOT_MAPPED, STATUS_SUCCESS,
};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString as Counted;
use ntbox_host::gate::irql::{APC_LEVEL, PASSIVE_LEVEL};
use ntbox_host::gate::{Call, NoReturn};

use super::cstr::Unit;
use super::{ansi, scan, string_alloc, unicode, utf8};
use crate::base::export::exports;
use crate::base::{codepage, upcase};

exports! {
    /// `RtlAnsiStringToUnicodeString`.
    fn RtlAnsiStringToUnicodeString<call>(to: u64, from: u64, allocate: bool) -> u32
        [max PASSIVE_LEVEL, wdm] fails STATUS_NO_MEMORY
    {
        bytes_to_string(call, to, from, allocate)
    }

    /// `RtlOemStringToUnicodeString`; the OEM code page is the ANSI one here.
    fn RtlOemStringToUnicodeString<call>(to: u64, from: u64, allocate: bool) -> u32
        [max APC_LEVEL, ntifs] fails STATUS_NO_MEMORY
    {
        bytes_to_string(call, to, from, allocate)
    }

    /// `RtlAnsiCharToUnicodeChar`: the character at a place, which becomes the next
    /// one.
    fn RtlAnsiCharToUnicodeChar(place: u64) -> u16 [max APC_LEVEL, undocumented] {
        let at = driver_mem::read_u64(place)?;
        let byte = driver_mem::read_u8(at)?;
        driver_mem::write_u64(place, at.wrapping_add(1))?;
        Ok(codepage::to_unicode(byte))
    }

    /// `RtlUnicodeStringToAnsiString`.
    fn RtlUnicodeStringToAnsiString<call>(to: u64, from: u64, allocate: bool) -> u32
        [max PASSIVE_LEVEL, wdm] fails STATUS_NO_MEMORY
    {
        string_to_bytes(call, to, from, allocate, |unit| unit)
    }

    /// `RtlUnicodeStringToOemString`.
    fn RtlUnicodeStringToOemString<call>(to: u64, from: u64, allocate: bool) -> u32
        [max APC_LEVEL, ntifs] fails STATUS_NO_MEMORY
    {
        string_to_bytes(call, to, from, allocate, |unit| unit)
    }

    /// `RtlUpcaseUnicodeStringToAnsiString`.
    fn RtlUpcaseUnicodeStringToAnsiString<call>(to: u64, from: u64, allocate: bool) -> u32
        [max APC_LEVEL, undocumented] fails STATUS_NO_MEMORY
    {
        string_to_bytes(call, to, from, allocate, upcase::upcase)
    }

    /// `RtlUpcaseUnicodeStringToOemString`.
    fn RtlUpcaseUnicodeStringToOemString<call>(to: u64, from: u64, allocate: bool) -> u32
        [max APC_LEVEL, ntifs] fails STATUS_NO_MEMORY
    {
        string_to_bytes(call, to, from, allocate, upcase::upcase)
    }

    /// `RtlFreeAnsiString`.
    fn RtlFreeAnsiString<call>(string: u64) -> () [max APC_LEVEL, wdm] { unicode::release(call, string) }

    /// `RtlFreeOemString`.
    fn RtlFreeOemString<call>(string: u64) -> () [max APC_LEVEL, ntifs] { unicode::release(call, string) }

    /// `RtlAnsiStringToUnicodeSize`: bytes with the NUL.
    fn RtlAnsiStringToUnicodeSize(string: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        Ok(2 * u32::from(Counted::read(string)?.length) + 2)
    }

    /// `RtlxAnsiStringToUnicodeSize`, what the macro of the name above calls.
    fn RtlxAnsiStringToUnicodeSize(string: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        Ok(2 * u32::from(Counted::read(string)?.length) + 2)
    }

    /// `RtlUnicodeStringToAnsiSize`: bytes with the NUL.
    fn RtlUnicodeStringToAnsiSize(string: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        Ok(u32::from(Counted::read(string)?.length / 2) + 1)
    }

    /// `RtlxUnicodeStringToAnsiSize`, what the macro of the name above calls.
    fn RtlxUnicodeStringToAnsiSize(string: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        Ok(u32::from(Counted::read(string)?.length / 2) + 1)
    }

    /// `RtlIsValidOemCharacter`: upcases a character that the code page has.
    fn RtlIsValidOemCharacter(character: u64) -> bool [max PASSIVE_LEVEL, ntifs] {
        let upper = upcase::upcase(driver_mem::read_u16(character)?);
        // What stands for those that it lacks is none of it, either.
        let byte = codepage::from_unicode(upper);
        let valid = byte != codepage::REPLACEMENT;
        if valid {
            driver_mem::write_u16(character, codepage::to_unicode(byte))?;
        }
        Ok(valid)
    }

    /// `RtlOemStringToUnicodeSize`: bytes with the NUL.
    fn RtlOemStringToUnicodeSize(string: u64) -> u32 [max APC_LEVEL, ntifs] {
        Ok(2 * u32::from(Counted::read(string)?.length) + 2)
    }

    /// `RtlxOemStringToUnicodeSize`, what the macro of the name above calls.
    fn RtlxOemStringToUnicodeSize(string: u64) -> u32 [max APC_LEVEL, ntifs] {
        Ok(2 * u32::from(Counted::read(string)?.length) + 2)
    }

    /// `RtlUnicodeStringToOemSize`: bytes with the NUL.
    fn RtlUnicodeStringToOemSize(string: u64) -> u32 [max APC_LEVEL, ntifs] {
        Ok(u32::from(Counted::read(string)?.length / 2) + 1)
    }

    /// `RtlxUnicodeStringToOemSize`, what the macro of the name above calls.
    fn RtlxUnicodeStringToOemSize(string: u64) -> u32 [max APC_LEVEL, ntifs] {
        Ok(u32::from(Counted::read(string)?.length / 2) + 1)
    }

    /// `RtlMultiByteToUnicodeSize`.
    fn RtlMultiByteToUnicodeSize(size: u64, text: u64, length: u32) -> u32 [max APC_LEVEL, ntifs] {
        driver_mem::write_u32(size, length.wrapping_mul(2))?;
        Ok(STATUS_SUCCESS)
    }

    /// `RtlUnicodeToMultiByteSize`.
    fn RtlUnicodeToMultiByteSize(size: u64, text: u64, length: u32) -> u32 [max APC_LEVEL, ntifs] {
        driver_mem::write_u32(size, length / 2)?;
        Ok(STATUS_SUCCESS)
    }

    /// `RtlMultiByteToUnicodeN`.
    fn RtlMultiByteToUnicodeN(to: u64, room: u32, stored: u64, from: u64, length: u32) -> u32 [max APC_LEVEL, ntifs] {
        bytes_to_units(to, room, stored, from, length)
    }

    /// `RtlOemToUnicodeN`.
    fn RtlOemToUnicodeN(to: u64, room: u32, stored: u64, from: u64, length: u32) -> u32 [max APC_LEVEL, ntifs] {
        bytes_to_units(to, room, stored, from, length)
    }

    /// `RtlUnicodeToMultiByteN`.
    fn RtlUnicodeToMultiByteN(to: u64, room: u32, stored: u64, from: u64, length: u32) -> u32 [max APC_LEVEL, ntifs] {
        units_to_bytes(to, room, stored, (from, length), |unit| unit)
    }

    /// `RtlUnicodeToOemN`.
    fn RtlUnicodeToOemN(to: u64, room: u32, stored: u64, from: u64, length: u32) -> u32 [max APC_LEVEL, ntifs] {
        units_to_bytes(to, room, stored, (from, length), |unit| unit)
    }

    /// `RtlUpcaseUnicodeToMultiByteN`.
    fn RtlUpcaseUnicodeToMultiByteN(to: u64, room: u32, stored: u64, from: u64, length: u32) -> u32
        [max APC_LEVEL, ntifs]
    {
        units_to_bytes(to, room, stored, (from, length), upcase::upcase)
    }

    /// `RtlUpcaseUnicodeToOemN`.
    fn RtlUpcaseUnicodeToOemN(to: u64, room: u32, stored: u64, from: u64, length: u32) -> u32 [max APC_LEVEL, ntifs] {
        units_to_bytes(to, room, stored, (from, length), upcase::upcase)
    }

    /// `RtlUnicodeToUTF8N`: half of a pair is U+FFFD. The reference refuses an odd
    /// length; Windows does so only if there is a destination.
    fn RtlUnicodeToUTF8N(to: u64, room: u32, stored: u64, from: u64, length: u32) -> u32
        [max PASSIVE_LEVEL, wdm, since WINDOWS_7] {
        if from == 0 {
            return Ok(STATUS_INVALID_PARAMETER_4);
        }
        if to != 0 && length % 2 != 0 {
            return Ok(STATUS_INVALID_PARAMETER_5);
        }
        let units = scan::units(from, (length / 2).into())?;
        let mut lossy = false;
        let pieces = char::decode_utf16(units).map(|decoded| {
            lossy |= decoded.is_err();
            let mut buffer = [0; 4];
            decoded.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut buffer).as_bytes().to_vec()
        });
        let pieces: Vec<Vec<u8>> = pieces.collect();
        store_pieces(to, room, stored, &pieces, lossy)
    }

    /// `RtlUTF8ToUnicodeN`: how many U+FFFD stand for what is not well formed,
    /// which the reference leaves open, is told in `utf8`.
    fn RtlUTF8ToUnicodeN(to: u64, room: u32, stored: u64, from: u64, length: u32) -> u32
        [max PASSIVE_LEVEL, wdm, since WINDOWS_7] {
        if from == 0 {
            return Ok(STATUS_INVALID_PARAMETER_4);
        }
        let bytes = scan::bytes(from, length.into())?;
        let mut lossy = false;
        let pieces: Vec<Vec<u16>> = utf8::decode(&bytes)
            .map(|letter| {
                lossy |= letter.is_none();
                letter.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf16(&mut [0; 2]).to_vec()
            })
            .collect();
        store_pieces(to, room, stored, &pieces, lossy)
    }
}

/// Bytes to a `UNICODE_STRING`, NUL included. Without room for them `Length` is
/// what they need.
fn bytes_to_string(call: &Call<'_>, to: u64, from: u64, allocate: bool) -> Result<u32, NoReturn> {
    let bytes = ansi::bytes(Counted::read(from)?)?;
    let Ok((length, size)) = unicode::counted(bytes.len()) else {
        return Ok(STATUS_INVALID_PARAMETER_2);
    };
    let mut string = Counted {
        length,
        ..Counted::read(to)?
    };
    if allocate {
        let Some(buffer) = string_alloc::take(call, size.into()) else {
            return Ok(STATUS_NO_MEMORY);
        };
        (string.buffer, string.maximum_length) = (buffer, size);
    } else if length >= string.maximum_length {
        driver_mem::write_u16(to, length)?;
        return Ok(STATUS_BUFFER_OVERFLOW);
    }
    let units: Vec<u16> = bytes
        .into_iter()
        .map(codepage::to_unicode)
        .chain([0])
        .collect();
    // A buffer of odd size may have room for half a NUL only.
    let fits = if size > string.maximum_length {
        units.len() - 1
    } else {
        units.len()
    };
    scan::write_units(string.buffer, &units[..fits])?;
    string.write(to)?;
    Ok(STATUS_SUCCESS)
}

/// A `UNICODE_STRING` to bytes, NUL included. Without enough room, what fits
/// is stored with its NUL and the status says so; where not even that fits,
/// `Length` is what is needed, which the reference does not tell.
fn string_to_bytes(
    call: &Call<'_>,
    to: u64,
    from: u64,
    allocate: bool,
    change: fn(u16) -> u16,
) -> Result<u32, NoReturn> {
    let units = Counted::read(from)?.units()?;
    let (Ok(mut length), mut status) = (u16::try_from(units.len()), STATUS_SUCCESS) else {
        return Ok(STATUS_INVALID_PARAMETER_2);
    };
    let mut string = Counted::read(to)?;
    if allocate {
        let size = length + 1;
        let Some(buffer) = string_alloc::take(call, size.into()) else {
            return Ok(STATUS_NO_MEMORY);
        };
        (string.buffer, string.maximum_length) = (buffer, size);
    } else if length >= string.maximum_length {
        if string.maximum_length == 0 {
            driver_mem::write_u16(to, length)?;
            return Ok(STATUS_BUFFER_OVERFLOW);
        }
        (length, status) = (string.maximum_length - 1, STATUS_BUFFER_OVERFLOW);
    }
    let taken = units.into_iter().take(length.into());
    let bytes: Vec<u8> = taken
        .map(|unit| codepage::from_unicode(change(unit)))
        .chain([0])
        .collect();
    driver_mem::write_bytes(string.buffer, &bytes)?;
    Counted { length, ..string }.write(to)?;
    Ok(status)
}

/// Stores how much was converted, if anybody wants to know.
fn store_count(stored: u64, bytes: usize) -> Result<(), NoReturn> {
    if stored != 0 {
        driver_mem::write_u32(stored, u32::try_from(bytes).unwrap_or(u32::MAX))?;
    }
    Ok(())
}

fn bytes_to_units(
    to: u64,
    room: u32,
    stored: u64,
    from: u64,
    length: u32,
) -> Result<u32, NoReturn> {
    let bytes = scan::bytes(from, length.min(room / 2).into())?;
    let units: Vec<u16> = bytes.into_iter().map(codepage::to_unicode).collect();
    scan::write_units(to, &units)?;
    store_count(stored, 2 * units.len())?;
    Ok(STATUS_SUCCESS)
}

fn units_to_bytes(
    to: u64,
    room: u32,
    stored: u64,
    (from, length): (u64, u32),
    change: fn(u16) -> u16,
) -> Result<u32, NoReturn> {
    let units = scan::units(from, (length / 2).min(room).into())?;
    let bytes: Vec<u8> = units
        .into_iter()
        .map(|unit| codepage::from_unicode(change(unit)))
        .collect();
    driver_mem::write_bytes(to, &bytes)?;
    store_count(stored, bytes.len())?;
    Ok(STATUS_SUCCESS)
}

/// Stores whole characters as long as they fit; without a destination, says how
/// many bytes all of them take.
fn store_pieces<U: Unit>(
    to: u64,
    room: u32,
    stored: u64,
    pieces: &[Vec<U>],
    lossy: bool,
) -> Result<u32, NoReturn> {
    let unit = usize::try_from(U::SIZE).unwrap_or(1);
    let status = if lossy {
        STATUS_SOME_NOT_MAPPED
    } else {
        STATUS_SUCCESS
    };
    if to == 0 {
        if stored == 0 {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        store_count(stored, pieces.iter().map(|piece| unit * piece.len()).sum())?;
        return Ok(status);
    }
    let mut text: Vec<U> = Vec::new();
    let mut complete = true;
    for piece in pieces {
        if unit * (text.len() + piece.len()) > room as usize {
            complete = false;
            break;
        }
        text.extend(piece);
    }
    U::write_many(to, &text)?;
    store_count(stored, unit * text.len())?;
    Ok(if complete {
        status
    } else {
        STATUS_BUFFER_TOO_SMALL
    })
}

#[cfg(test)]
mod tests;
