//! `ANSI_STRING`, which `STRING` and `OEM_STRING` are too: counted strings of
//! bytes. Case is that of ASCII.

use nt_status::{STATUS_BUFFER_TOO_SMALL, STATUS_NAME_TOO_LONG, STATUS_SUCCESS};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString as Counted};
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::{APC_LEVEL, DISPATCH_LEVEL, HIGH_LEVEL, PASSIVE_LEVEL};

use super::cstr::UNLIMITED;
use super::{cstr, scan, unicode};
use crate::base::export::exports;

/// Longest text that has a NUL behind it.
const MAX_LENGTH: u64 = 0xfffe;

exports! {
    /// `RtlInitAnsiString`: counts the text, which stays where it is.
    fn RtlInitAnsiString(to: u64, text: u64) -> () [max HIGH_LEVEL, wdm] {
        Ok(initialize(to, text, length_of(text)?.min(MAX_LENGTH))?)
    }

    /// `RtlInitString`.
    fn RtlInitString(to: u64, text: u64) -> () [max DISPATCH_LEVEL, wdm] {
        Ok(initialize(to, text, length_of(text)?.min(MAX_LENGTH))?)
    }

    /// `RtlInitAnsiStringEx`: the same, refusing text that is too long.
    fn RtlInitAnsiStringEx(to: u64, text: u64) -> u32 [max DISPATCH_LEVEL, undocumented] {
        initialize_checked(to, text)
    }

    /// `RtlInitStringEx`.
    fn RtlInitStringEx(to: u64, text: u64) -> u32 [max DISPATCH_LEVEL, wdm, since WINDOWS_10] {
        initialize_checked(to, text)
    }

    /// `RtlCopyString`: as much as fits, no NUL.
    fn RtlCopyString(to: u64, from: u64) -> () [max HIGH_LEVEL, ntddk] {
        if from == 0 {
            return Ok(driver_mem::write_u16(to, 0)?);
        }
        let (destination, source) = (Counted::read(to)?, Counted::read(from)?);
        let length = source.length.min(destination.maximum_length);
        driver_mem::copy(destination.buffer, source.buffer, length.into())?;
        Ok(driver_mem::write_u16(to, length)?)
    }

    /// `RtlAppendStringToString`: all of it or nothing, no NUL.
    fn RtlAppendStringToString(to: u64, from: u64) -> u32 [max APC_LEVEL, ntifs] {
        let source = Counted::read(from)?;
        append(to, source.buffer, source.length.into())
    }

    /// `RtlAppendAsciizToString`; no text is no error.
    fn RtlAppendAsciizToString(to: u64, text: u64) -> u32 [max APC_LEVEL, undocumented] {
        if text == 0 {
            return Ok(STATUS_SUCCESS);
        }
        append(to, text, cstr::length::<u8>(text, UNLIMITED)?)
    }

    /// `RtlCompareString`.
    fn RtlCompareString(one: u64, two: u64, insensitive: bool) -> i32 [max PASSIVE_LEVEL, ntddk] {
        let (one, two) = (Counted::read(one)?, Counted::read(two)?);
        Ok(compare(&bytes(one)?, &bytes(two)?, insensitive))
    }

    /// `RtlEqualString`.
    fn RtlEqualString(one: u64, two: u64, insensitive: bool) -> bool [max PASSIVE_LEVEL, ntddk] {
        let (one, two) = (Counted::read(one)?, Counted::read(two)?);
        Ok(one.length == two.length && compare(&bytes(one)?, &bytes(two)?, insensitive) == 0)
    }

    /// `RtlPrefixString`: whether the first begins the second.
    fn RtlPrefixString(prefix: u64, text: u64, insensitive: bool) -> bool [max PASSIVE_LEVEL, undocumented] {
        let (prefix, text) = (Counted::read(prefix)?, Counted::read(text)?);
        let start = Counted { length: prefix.length, ..text };
        Ok(prefix.length <= text.length && compare(&bytes(prefix)?, &bytes(start)?, insensitive) == 0)
    }

    /// `RtlUpperChar`: ASCII letters only, see `upper`.
    fn RtlUpperChar(byte: u8) -> u8 [max APC_LEVEL, ntddk] { Ok(upper(byte)) }

    /// `RtlUpperString`: as much as fits.
    fn RtlUpperString(to: u64, from: u64) -> () [max APC_LEVEL, ntddk] {
        let (destination, source) = (Counted::read(to)?, Counted::read(from)?);
        let length = source.length.min(destination.maximum_length);
        let text: Vec<u8> = scan::bytes(source.buffer, length.into())?.into_iter().map(upper).collect();
        driver_mem::write_bytes(destination.buffer, &text)?;
        Ok(driver_mem::write_u16(to, length)?)
    }
}

/// Sets all three fields for text of this length.
fn initialize(to: u64, buffer: u64, length: u64) -> Result<(), Fault> {
    // The callers have cut the length to what fits.
    let length = u16::try_from(length).unwrap_or(0);
    let maximum_length = if buffer == 0 {
        0
    } else {
        length.saturating_add(1)
    };
    Counted {
        length,
        maximum_length,
        buffer,
    }
    .write(to)
}

/// Length of text that may not be there.
fn length_of(text: u64) -> Result<u64, Fault> {
    if text == 0 {
        Ok(0)
    } else {
        cstr::length::<u8>(text, UNLIMITED)
    }
}

fn initialize_checked(to: u64, text: u64) -> Result<u32, NoReturn> {
    let length = length_of(text)?;
    if length > MAX_LENGTH {
        return Ok(STATUS_NAME_TOO_LONG);
    }
    initialize(to, text, length)?;
    Ok(STATUS_SUCCESS)
}

/// Appends `length` bytes to a string.
fn append(to: u64, from: u64, length: u64) -> Result<u32, NoReturn> {
    if length == 0 {
        // Whatever the destination's lengths are.
        return Ok(STATUS_SUCCESS);
    }
    let string = Counted::read(to)?;
    let total = u16::try_from(u64::from(string.length).saturating_add(length)).ok();
    let Some(total) = total.filter(|total| *total <= string.maximum_length) else {
        return Ok(STATUS_BUFFER_TOO_SMALL);
    };
    driver_mem::copy(
        string.buffer.wrapping_add(string.length.into()),
        from,
        length,
    )?;
    driver_mem::write_u16(to, total)?;
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

/// The upper case of a byte: ASCII letters only. The ANSI code page would have
/// 0xC0 for 0xE0, and the reference speaks of bytes of multibyte characters, but
/// on Windows with code page 1252 no byte from 0x80 up changes: a `CHAR` is
/// signed there, so all of them are below `a`. The reference says, too, that the
/// routine is made for ASCII letters.
const fn upper(byte: u8) -> u8 {
    byte.to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Counted as String, address, address_mut, status, value};

    #[test]
    fn init_ansi_string_counts_text() {
        let text = *b"abc\0";
        let from = address(&text);
        for handler in [RtlInitAnsiString, RtlInitString] {
            let mut string = String::empty();
            let to = address_mut(&mut string);
            value(handler, &[to, from]);
            assert_eq!(
                (string.length, string.maximum_length, string.buffer),
                (3, 4, from)
            );
            value(handler, &[to, 0]);
            assert_eq!(
                (string.length, string.maximum_length, string.buffer),
                (0, 0, 0)
            );
        }
    }

    #[test]
    fn init_ansi_string_too_long_is_truncated_or_refused() {
        let mut text = vec![b'x'; 0x1_0000];
        text.push(0);
        let from = address(text.as_slice());
        let mut string = String::empty();
        let to = address_mut(&mut string);
        for handler in [RtlInitAnsiStringEx, RtlInitStringEx] {
            assert_eq!(status(handler, &[to, from]), STATUS_NAME_TOO_LONG);
            assert_eq!(string.buffer, 0);
        }
        value(RtlInitAnsiString, &[to, from]);
        assert_eq!((string.length, string.maximum_length), (0xfffe, 0xffff));
        for handler in [RtlInitAnsiStringEx, RtlInitStringEx] {
            assert_eq!(status(handler, &[to, from + 2]), STATUS_SUCCESS);
            assert_eq!((string.length, string.maximum_length), (0xfffe, 0xffff));
        }
    }

    #[test]
    fn copy_string_truncates_without_nul() {
        let (mut buffer, mut text) = (*b"......", *b"abcdefgh");
        let mut string = String::ansi(&mut buffer, 0);
        let to = address_mut(&mut string);
        value(RtlCopyString, &[to, address(&String::ansi(&mut text, 3))]);
        assert_eq!(string.bytes(), b"abc");
        assert_eq!(driver_mem::read_u8(string.buffer + 3), Ok(b'.'));
        value(RtlCopyString, &[to, address(&String::ansi(&mut text, 8))]);
        assert_eq!(string.bytes(), b"abcdef");
        value(RtlCopyString, &[to, 0]);
        assert_eq!((string.length, string.maximum_length), (0, 6));
    }

    #[test]
    fn append_ansi_too_long_changes_nothing() {
        let (mut buffer, mut text) = (*b"......", *b"abcd");
        let mut string = String::ansi(&mut buffer, 0);
        let to = address_mut(&mut string);
        let from = String::ansi(&mut text, 4);
        assert_eq!(
            status(RtlAppendStringToString, &[to, address(&from)]),
            STATUS_SUCCESS
        );
        assert_eq!(
            status(RtlAppendStringToString, &[to, address(&from)]),
            STATUS_BUFFER_TOO_SMALL
        );
        assert_eq!(string.bytes(), b"abcd");
        assert_eq!(
            status(RtlAppendAsciizToString, &[to, address(b"xy\0")]),
            STATUS_SUCCESS
        );
        assert_eq!(string.bytes(), b"abcdxy");
        assert_eq!(
            status(RtlAppendAsciizToString, &[to, address(b"z\0")]),
            STATUS_BUFFER_TOO_SMALL
        );
        assert_eq!(status(RtlAppendAsciizToString, &[to, 0]), STATUS_SUCCESS);
    }

    #[test]
    fn append_ansi_null_succeeds() {
        let (mut buffer, mut text) = (*b"abc...", *b"x");
        let mut string = String::ansi(&mut buffer, 3);
        string.maximum_length = 0;
        let to = address_mut(&mut string);
        let from = String::ansi(&mut text, 0);
        assert_eq!(
            status(RtlAppendStringToString, &[to, address(&from)]),
            STATUS_SUCCESS
        );
        assert_eq!((string.length, string.maximum_length), (3, 0));
    }

    #[test]
    fn compare_ansi_strings() {
        for (one, two, insensitive, expected) in [
            (&b"abc"[..], &b"abc"[..], 0, 0),
            (b"abc", b"abd", 0, -1),
            (b"\x80", b"a", 0, 1),
            (b"ab", b"abc", 1, -1),
            (b"ABC", b"abc", 0, -1),
            (b"ABC", b"abc", 1, 0),
            (b"\xc9", b"\xe9", 1, -1),
        ] {
            let (mut left, mut right) = (one.to_vec(), two.to_vec());
            let (left_used, right_used) = (one.len(), two.len());
            let left = String::ansi(&mut left, left_used);
            let right = String::ansi(&mut right, right_used);
            let arguments = [address(&left), address(&right), insensitive];
            assert_eq!(
                value(RtlCompareString, &arguments).cast_signed().signum(),
                expected
            );
            assert_eq!(value(RtlEqualString, &arguments) == 1, expected == 0);
        }
    }

    #[test]
    fn prefix_ansi_strings() {
        let (mut short, mut long) = (*b"AB", *b"abc");
        let (short, long) = (String::ansi(&mut short, 2), String::ansi(&mut long, 3));
        assert_eq!(
            value(RtlPrefixString, &[address(&short), address(&long), 1]),
            1
        );
        assert_eq!(
            value(RtlPrefixString, &[address(&short), address(&long), 0]),
            0
        );
        assert_eq!(
            value(RtlPrefixString, &[address(&long), address(&short), 1]),
            0
        );
    }

    #[test]
    fn upper_string_changes_ascii_only() {
        let mut text: Vec<u8> = (0..=u8::MAX).collect();
        let expected: Vec<u8> = text
            .iter()
            .map(|byte| match byte {
                0x61..=0x7a => byte - 0x20,
                _ => *byte,
            })
            .collect();
        for (byte, upper) in text.iter().zip(&expected) {
            let argument = 0x1234_5600 | u64::from(*byte);
            assert_eq!(value(RtlUpperChar, &[argument]), u64::from(*upper));
        }
        let mut room = [0_u8; 200];
        let mut string = String::ansi(&mut room, 0);
        value(
            RtlUpperString,
            &[
                address_mut(&mut string),
                address(&String::ansi(&mut text, 256)),
            ],
        );
        // As much as fits.
        assert_eq!(string.bytes(), expected[..200]);
    }
}
