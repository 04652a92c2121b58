//! Numbers from text and text from numbers, in the bases that the `Rtl` routines
//! know: 2, 8, 10 and 16.

use nt_status::{
    STATUS_ACCESS_VIOLATION, STATUS_BUFFER_OVERFLOW, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::PASSIVE_LEVEL;
use ntbox_host::memory_map::is_system;

use super::cstr::UNLIMITED;
use super::{cstr, scan};
use crate::base::export::exports;

exports! {
    /// `RtlCharToInteger`.
    fn RtlCharToInteger(text: u64, base: u32, value: u64) -> u32 [max PASSIVE_LEVEL, ntddk] {
        let bytes: Vec<u8> = cstr::read(text, UNLIMITED)?;
        if bytes.iter().all(|byte| *byte <= b' ') {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        store_parsed(&bytes.into_iter().map(u16::from).collect::<Vec<_>>(), base, value)
    }

    /// `RtlUnicodeStringToInteger`.
    fn RtlUnicodeStringToInteger(string: u64, base: u32, value: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        let units = UnicodeString::read(string)?.units()?;
        if units.is_empty() {
            return Ok(STATUS_INVALID_PARAMETER);
        }
        store_parsed(&units, base, value)
    }

    /// `RtlIntegerToUnicodeString`.
    fn RtlIntegerToUnicodeString(value: u32, base: u32, string: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        store_string(value.into(), base, string)
    }

    /// `RtlInt64ToUnicodeString`.
    fn RtlInt64ToUnicodeString(value: u64, base: u32, string: u64) -> u32 [max PASSIVE_LEVEL, wdm] {
        store_string(value, base, string)
    }

    /// `RtlIntegerToChar`: a negative size asks for leading zeros to fill it, a
    /// NUL is stored if there is room.
    fn RtlIntegerToChar(value: u32, base: u32, size: i32, to: u64) -> u32 [max PASSIVE_LEVEL, undocumented] {
        let Some(base) = usual_base(base) else { return Ok(STATUS_INVALID_PARAMETER) };
        let mut digits: Vec<u8> = digits(value.into(), base, true);
        let room = size.unsigned_abs() as usize;
        if size < 0 && digits.len() < room {
            digits.splice(0..0, std::iter::repeat_n(b'0', room - digits.len()));
        }
        if digits.len() > room {
            return Ok(STATUS_BUFFER_OVERFLOW);
        }
        if digits.len() < room {
            digits.push(0);
        }
        status_of_store(driver_mem::write_bytes(to, &digits))
    }
}

/// These routines store their result inside a `__try`: a user address that is not
/// there, such as NULL, is a status and no exception.
fn status_of_store(stored: Result<(), Fault>) -> Result<u32, NoReturn> {
    match stored {
        Ok(()) => Ok(STATUS_SUCCESS),
        Err(fault) if !is_system(fault.address) => Ok(STATUS_ACCESS_VIOLATION),
        Err(fault) => Err(fault.into()),
    }
}

/// The bases that the `Rtl` routines know; 0 stands for ten.
fn usual_base(base: u32) -> Option<u32> {
    match base {
        0 => Some(10),
        2 | 8 | 10 | 16 => Some(base),
        _ => None,
    }
}

/// The digits of a number.
pub fn digits(mut value: u64, base: u32, upper: bool) -> Vec<u8> {
    let mut reversed = Vec::new();
    while value != 0 || reversed.is_empty() {
        let digit = u32::try_from(value % u64::from(base)).unwrap_or(0);
        let letter = char::from_digit(digit, base).map_or(b'?', |letter| letter as u8);
        reversed.push(if upper {
            letter.to_ascii_uppercase()
        } else {
            letter
        });
        value /= u64::from(base);
    }
    reversed.reverse();
    reversed
}

/// Value of a digit, if it is one in this base.
pub fn digit(unit: u16, base: u32) -> Option<u32> {
    char::from_u32(unit.into())
        .filter(char::is_ascii)
        .and_then(|letter| letter.to_digit(base))
}

/// Parses a number as `RtlCharToInteger` does and stores it. Base 0 looks for a
/// prefix; digits that do not fit fall out at the top.
fn store_parsed(units: &[u16], base: u32, to: u64) -> Result<u32, NoReturn> {
    let blank = units
        .iter()
        .take_while(|unit| **unit <= u16::from(b' '))
        .count();
    let mut rest = &units[blank..];
    let sign = rest
        .first()
        .copied()
        .filter(|unit| [b'+', b'-'].map(u16::from).contains(unit));
    if sign.is_some() {
        rest = &rest[1..];
    }
    let prefix = match rest {
        [zero, letter, ..] if base == 0 && *zero == u16::from(b'0') => {
            match u8::try_from(*letter) {
                Ok(b'x') => Some(16),
                Ok(b'o') => Some(8),
                Ok(b'b') => Some(2),
                _ => None,
            }
        }
        _ => None,
    };
    if prefix.is_some() {
        rest = &rest[2..];
    }
    let Some(base) = prefix.or_else(|| usual_base(base)) else {
        return Ok(STATUS_INVALID_PARAMETER);
    };
    let digits = rest.iter().map_while(|unit| digit(*unit, base));
    let value = digits.fold(0_u32, |value, digit| {
        value.wrapping_mul(base).wrapping_add(digit)
    });
    let negative = sign == Some(u16::from(b'-'));
    let value = if negative {
        value.wrapping_neg()
    } else {
        value
    };
    status_of_store(driver_mem::write_u32(to, value))
}

/// Stores a number as counted text, with a NUL for which there must be room.
/// Without it, `Length` becomes what is needed and the buffer stays as it is; the
/// reference does not say so. (Windows 11 leaves `Length` alone.)
fn store_string(value: u64, base: u32, to: u64) -> Result<u32, NoReturn> {
    let Some(base) = usual_base(base) else {
        return Ok(STATUS_INVALID_PARAMETER);
    };
    let string = UnicodeString::read(to)?;
    let units: Vec<u16> = digits(value, base, true)
        .into_iter()
        .map(u16::from)
        .chain([0])
        .collect();
    // At most 64 digits.
    let length = u16::try_from(2 * (units.len() - 1)).unwrap_or(0);
    driver_mem::write_u16(to, length)?;
    if length + 2 > string.maximum_length {
        return Ok(STATUS_BUFFER_OVERFLOW);
    }
    scan::write_units(string.buffer, &units)?;
    Ok(STATUS_SUCCESS)
}

#[cfg(test)]
mod tests {
    use ntbox_host::gate::{Call, ExportResult};

    use super::*;
    use crate::test_support::{Counted, NOWHERE, address, address_mut, fault, status, wide};

    type Handler = fn(&mut Call<'_>) -> ExportResult;

    fn from_unicode(text: &str, base: u64) -> (u32, i32) {
        let mut units = wide(text);
        let used = units.len() - 1;
        let string = Counted::unicode(&mut units, used);
        let mut number = 0x5555_i32;
        let status = status(
            RtlUnicodeStringToInteger,
            &[address(&string), base, address_mut(&mut number)],
        );
        (status, number)
    }

    #[test]
    fn unicode_string_to_integer_matches_reference_examples() {
        for (text, base, expected) in [
            ("123", 10, 123),
            ("-345", 10, -345),
            ("xyz", 10, 0),
            ("+678abc", 10, 678),
            ("+678abc", 16, 6_785_724),
            ("007", 10, 7),
            ("789", 8, 7),
            ("FGH", 16, 15),
            (" ", 10, 0),
        ] {
            assert_eq!(
                from_unicode(text, base),
                (STATUS_SUCCESS, expected),
                "{text:?} {base}"
            );
        }
    }

    #[test]
    fn unicode_string_to_integer_prefix_in_base_0_only() {
        for (text, base, expected) in [
            ("0x1F", 0, 31),
            ("0o17", 0, 15),
            ("0b101", 0, 5),
            ("017", 0, 17),
            ("-0x10", 0, -16),
            ("0x1F", 16, 0),
            ("0X1F", 0, 0),
            ("12", 0, 12),
        ] {
            assert_eq!(
                from_unicode(text, base),
                (STATUS_SUCCESS, expected),
                "{text:?} {base}"
            );
        }
    }

    #[test]
    fn unicode_string_to_integer_invalid_is_refused() {
        assert_eq!(from_unicode("", 10), (STATUS_INVALID_PARAMETER, 0x5555));
        assert_eq!(from_unicode("1", 7), (STATUS_INVALID_PARAMETER, 0x5555));
        assert_eq!(from_unicode("4294967297", 10), (STATUS_SUCCESS, 1));
        let mut number = 0_u32;
        let to = address_mut(&mut number);
        assert_eq!(
            status(RtlCharToInteger, &[address(b"\0"), 10, to]),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(
            status(RtlCharToInteger, &[address(b" \0"), 10, to]),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(
            status(RtlCharToInteger, &[address(b"1\0"), 3, to]),
            STATUS_INVALID_PARAMETER
        );
        assert_eq!(
            status(RtlCharToInteger, &[address(b" -7z\0"), 10, to]),
            STATUS_SUCCESS
        );
        assert_eq!(number.cast_signed(), -7);
        assert_eq!(
            fault(RtlCharToInteger, &[address(b"1\0"), 10, NOWHERE]),
            NOWHERE
        );
    }

    #[test]
    fn integer_conversion_to_invalid_address_is_a_status() {
        let mut units = wide("12");
        let string = Counted::unicode(&mut units, 2);
        let (unicode, text) = (address(&string), address(b"12\0"));
        for nowhere in [0, 8] {
            for (handler, from) in [
                (RtlUnicodeStringToInteger as Handler, unicode),
                (RtlCharToInteger, text),
            ] {
                assert_eq!(
                    status(handler, &[from, 10, nowhere]),
                    STATUS_ACCESS_VIOLATION
                );
                assert_eq!(
                    status(handler, &[from, 20, nowhere]),
                    STATUS_INVALID_PARAMETER
                );
            }
            for (base, size, expected) in [
                (20, 0, STATUS_INVALID_PARAMETER),
                (10, 0, STATUS_BUFFER_OVERFLOW),
                (10, 11, STATUS_ACCESS_VIOLATION),
            ] {
                let arguments = [123, base, size, nowhere];
                assert_eq!(status(RtlIntegerToChar, &arguments), expected);
            }
        }
    }

    #[test]
    fn integer_conversion_matches_rust() {
        let numbers = (0..32)
            .flat_map(|bit| [1_u32 << bit, (1_u32 << bit) - 1, u32::MAX << bit])
            .chain([10, 99, 12_345, 2_147_483_649]);
        for number in numbers {
            for (base, text) in [
                (2, format!("{number:b}")),
                (8, format!("{number:o}")),
                (10, format!("{number}")),
                (16, format!("{number:X}")),
            ] {
                assert_eq!(
                    to_unicode(number.into(), base, 33),
                    (STATUS_SUCCESS, text.clone())
                );
                assert_eq!(
                    from_unicode(&text, base),
                    (STATUS_SUCCESS, number.cast_signed())
                );
                let negative = format!(" -{text}.5");
                assert_eq!(
                    from_unicode(&negative, base),
                    (STATUS_SUCCESS, number.wrapping_neg().cast_signed())
                );
            }
        }
    }

    #[test]
    fn integer_to_unicode_string_too_long_sets_length() {
        for (number, base, text) in [
            (123, 10, "123"),
            (0xffff_ffff, 16, "FFFFFFFF"),
            (0x1_0000, 2, "10000000000000000"),
            (u64::MAX, 10, "18446744073709551615"),
        ] {
            let handler = if number > u32::MAX.into() {
                RtlInt64ToUnicodeString
            } else {
                RtlIntegerToUnicodeString
            };
            let mut units = vec![0x2e_u16; text.len()];
            let mut string = Counted::unicode(&mut units, 0);
            assert_eq!(
                status(handler, &[number, base, address_mut(&mut string)]),
                STATUS_BUFFER_OVERFLOW
            );
            assert_eq!(usize::from(string.length), 2 * text.len());
            assert_eq!(string.text(), ".".repeat(text.len()));
        }
    }

    fn to_unicode(number: u64, base: u64, room: usize) -> (u32, String) {
        let mut units = vec![0x2e_u16; room];
        let mut string = Counted::unicode(&mut units, 0);
        let handler = if number > u32::MAX.into() {
            RtlInt64ToUnicodeString
        } else {
            RtlIntegerToUnicodeString
        };
        let status = status(handler, &[number, base, address_mut(&mut string)]);
        (status, string.text())
    }

    #[test]
    fn integer_to_unicode_string_formats() {
        for (number, base, expected) in [
            (0, 0, "0"),
            (4_294_967_295, 10, "4294967295"),
            (0xabc_def0, 16, "ABCDEF0"),
            (10, 2, "1010"),
            (64, 8, "100"),
            (u64::MAX, 10, "18446744073709551615"),
            (u64::MAX, 16, "FFFFFFFFFFFFFFFF"),
        ] {
            assert_eq!(
                to_unicode(number, base, 65),
                (STATUS_SUCCESS, expected.into())
            );
        }
        assert_eq!(to_unicode(123, 10, 4), (STATUS_SUCCESS, "123".into()));
        // No room for the NUL.
        assert_eq!(
            to_unicode(123, 10, 3),
            (STATUS_BUFFER_OVERFLOW, "...".into())
        );
        assert_eq!(
            to_unicode(123, 36, 9),
            (STATUS_INVALID_PARAMETER, String::new())
        );
    }

    #[test]
    fn integer_to_char_omits_nul_when_full() {
        let run = |size: i32| {
            let mut buffer = *b"......";
            let size = u64::from(size.cast_unsigned());
            let status = status(
                RtlIntegerToChar,
                &[0xab, 16, size, address_mut(&mut buffer)],
            );
            (status, buffer)
        };
        assert_eq!(run(4), (STATUS_SUCCESS, *b"AB\0..."));
        assert_eq!(run(2), (STATUS_SUCCESS, *b"AB...."));
        assert_eq!(run(1), (STATUS_BUFFER_OVERFLOW, *b"......"));
        assert_eq!(run(-5), (STATUS_SUCCESS, *b"000AB."));
    }
}
