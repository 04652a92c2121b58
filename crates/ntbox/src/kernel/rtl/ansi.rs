//! `ANSI_STRING`, which `STRING` and `OEM_STRING` are too: counted strings of
//! bytes. Case is that of the ANSI code page.

use ntstatus::{STATUS_BUFFER_TOO_SMALL, STATUS_NAME_TOO_LONG, STATUS_SUCCESS};

use super::text::{self, UNLIMITED};
use super::{case, codepage, scan, unicode};
use crate::kernel::call::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};
use crate::kernel::call::{Stop, exports};
use crate::kernel::guest::{self, Fault, UnicodeString as Counted};

/// Longest text that has a NUL behind it.
const MAX_LENGTH: u64 = 0xfffe;

exports! {
    /// `RtlInitAnsiString`: counts the text, which stays where it is.
    fn RtlInitAnsiString(to: u64, text: u64) -> () [max HIGH_LEVEL] {
        Ok(initialize(to, text, length_of(text)?.min(MAX_LENGTH))?)
    }

    /// `RtlInitString`.
    fn RtlInitString(to: u64, text: u64) -> () [max DISPATCH_LEVEL] {
        Ok(initialize(to, text, length_of(text)?.min(MAX_LENGTH))?)
    }

    /// `RtlInitAnsiStringEx`: the same, refusing text that is too long.
    fn RtlInitAnsiStringEx(to: u64, text: u64) -> u32 [max DISPATCH_LEVEL] {
        initialize_checked(to, text)
    }

    /// `RtlInitStringEx`.
    fn RtlInitStringEx(to: u64, text: u64) -> u32 [max DISPATCH_LEVEL] {
        initialize_checked(to, text)
    }

    /// `RtlCopyString`: as much as fits, no NUL.
    fn RtlCopyString(to: u64, from: u64) -> () [max HIGH_LEVEL] {
        if from == 0 {
            return Ok(guest::write_u16(to, 0)?);
        }
        let (destination, source) = (Counted::read(to)?, Counted::read(from)?);
        let length = source.length.min(destination.maximum_length);
        guest::copy(destination.buffer, source.buffer, length.into())?;
        Ok(guest::write_u16(to, length)?)
    }

    /// `RtlAppendStringToString`: all of it or nothing, no NUL.
    fn RtlAppendStringToString(to: u64, from: u64) -> u32 [max APC_LEVEL] {
        let source = Counted::read(from)?;
        append(to, source.buffer, source.length.into())
    }

    /// `RtlAppendAsciizToString`; no text is no error.
    fn RtlAppendAsciizToString(to: u64, text: u64) -> u32 [max APC_LEVEL] {
        if text == 0 {
            return Ok(STATUS_SUCCESS);
        }
        append(to, text, text::length::<u8>(text, UNLIMITED)?)
    }

    /// `RtlCompareString`.
    fn RtlCompareString(one: u64, two: u64, insensitive: bool) -> i32 [max PASSIVE_LEVEL] {
        let (one, two) = (Counted::read(one)?, Counted::read(two)?);
        Ok(compare(&bytes(one)?, &bytes(two)?, insensitive))
    }

    /// `RtlEqualString`.
    fn RtlEqualString(one: u64, two: u64, insensitive: bool) -> bool [max PASSIVE_LEVEL] {
        let (one, two) = (Counted::read(one)?, Counted::read(two)?);
        Ok(one.length == two.length && compare(&bytes(one)?, &bytes(two)?, insensitive) == 0)
    }

    /// `RtlPrefixString`: whether the first begins the second.
    fn RtlPrefixString(prefix: u64, text: u64, insensitive: bool) -> bool [max PASSIVE_LEVEL] {
        let (prefix, text) = (Counted::read(prefix)?, Counted::read(text)?);
        let start = Counted { length: prefix.length, ..text };
        Ok(prefix.length <= text.length && compare(&bytes(prefix)?, &bytes(start)?, insensitive) == 0)
    }

    /// `RtlUpperChar`.
    fn RtlUpperChar(byte: u8) -> u8 [max APC_LEVEL] { Ok(upper(byte)) }

    /// `RtlUpperString`: as much as fits.
    fn RtlUpperString(to: u64, from: u64) -> () [max APC_LEVEL] {
        let (destination, source) = (Counted::read(to)?, Counted::read(from)?);
        let length = source.length.min(destination.maximum_length);
        let text: Vec<u8> = scan::bytes(source.buffer, length.into())?.into_iter().map(upper).collect();
        guest::write_bytes(destination.buffer, &text)?;
        Ok(guest::write_u16(to, length)?)
    }
}

/// Sets all three fields for text of this length.
fn initialize(to: u64, buffer: u64, length: u64) -> Result<(), Fault> {
    // The callers have cut the length to what fits.
    let length = u16::try_from(length).unwrap_or(0);
    let maximum_length = if buffer == 0 { 0 } else { length.saturating_add(1) };
    Counted { length, maximum_length, buffer }.write(to)
}

/// Length of text that may not be there.
fn length_of(text: u64) -> Result<u64, Fault> {
    if text == 0 { Ok(0) } else { text::length::<u8>(text, UNLIMITED) }
}

fn initialize_checked(to: u64, text: u64) -> Result<u32, Stop> {
    let length = length_of(text)?;
    if length > MAX_LENGTH {
        return Ok(STATUS_NAME_TOO_LONG);
    }
    initialize(to, text, length)?;
    Ok(STATUS_SUCCESS)
}

/// Appends `length` bytes to a string.
fn append(to: u64, from: u64, length: u64) -> Result<u32, Stop> {
    let string = Counted::read(to)?;
    let total = u16::try_from(u64::from(string.length).saturating_add(length)).ok();
    let Some(total) = total.filter(|total| *total <= string.maximum_length) else {
        return Ok(STATUS_BUFFER_TOO_SMALL);
    };
    guest::copy(string.buffer.wrapping_add(string.length.into()), from, length)?;
    guest::write_u16(to, total)?;
    Ok(STATUS_SUCCESS)
}

/// The text of a counted string of bytes.
pub fn bytes(string: Counted) -> Result<Vec<u8>, Fault> {
    scan::bytes(string.buffer, string.length.into())
}

/// The difference of the first two bytes that differ, or of the lengths.
fn compare(one: &[u8], two: &[u8], insensitive: bool) -> i32 {
    let fold = |byte: &u8| u16::from(if insensitive { upper(*byte) } else { *byte });
    let one: Vec<u16> = one.iter().map(fold).collect();
    let two: Vec<u16> = two.iter().map(fold).collect();
    unicode::compare(&one, &two, false)
}

/// The upper case of a byte in the ANSI code page, itself where that has none.
fn upper(byte: u8) -> u8 {
    let unit = case::upcase(codepage::to_unicode(byte));
    let result = codepage::from_unicode(unit);
    if codepage::to_unicode(result) == unit { result } else { byte }
}
