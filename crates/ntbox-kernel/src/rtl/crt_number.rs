//! Numbers from text and text from numbers, the way of the C library: any base
//! up to 36, letters in lower case.

use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::HIGH_LEVEL;

use super::cstr;
use super::cstr::{UNLIMITED, Unit};
use super::number::{digit, digits};
use crate::base::export::exports;

/// `EINVAL`.
const EINVAL: i32 = 22;
/// `ERANGE`.
const ERANGE: i32 = 34;

exports! {
    /// `wcstoul`: what does not fit is `ULONG_MAX`.
    fn wcstoul(text: u64, end: u64, base: i32) -> u32 [max HIGH_LEVEL, crt] {
        let value = unsigned::<u16>(text, end, base, u32::MAX.into())?;
        Ok(u32::try_from(value).unwrap_or(u32::MAX))
    }

    /// `_strtoui64`: what does not fit is `_UI64_MAX`.
    fn _strtoui64(text: u64, end: u64, base: i32) -> u64 [max HIGH_LEVEL, crt] {
        unsigned::<u8>(text, end, base, u64::MAX)
    }

    /// `_itoa`.
    fn _itoa(value: i32, to: u64, base: u32) -> u64 [max HIGH_LEVEL, crt] {
        store::<u8>(widen(value, base), to, u64::MAX, base, base == 10)?;
        Ok(to)
    }

    /// `_itow`.
    fn _itow(value: i32, to: u64, base: u32) -> u64 [max HIGH_LEVEL, crt] {
        store::<u16>(widen(value, base), to, u64::MAX, base, base == 10)?;
        Ok(to)
    }

    /// `_itoa_s`.
    fn _itoa_s(value: i32, to: u64, size: u64, base: u32) -> i32 [max HIGH_LEVEL, crt] {
        store::<u8>(widen(value, base), to, size, base, base == 10)
    }

    /// `_itow_s`.
    fn _itow_s(value: i32, to: u64, size: u64, base: u32) -> i32 [max HIGH_LEVEL, crt] {
        store::<u16>(widen(value, base), to, size, base, base == 10)
    }

    /// `_ltoa_s`.
    fn _ltoa_s(value: i32, to: u64, size: u64, base: u32) -> i32 [max HIGH_LEVEL, crt] {
        store::<u8>(widen(value, base), to, size, base, base == 10)
    }

    /// `_ltow_s`.
    fn _ltow_s(value: i32, to: u64, size: u64, base: u32) -> i32 [max HIGH_LEVEL, crt] {
        store::<u16>(widen(value, base), to, size, base, base == 10)
    }

    /// `_ultoa_s`.
    fn _ultoa_s(value: u32, to: u64, size: u64, base: u32) -> i32 [max HIGH_LEVEL, crt] {
        store::<u8>(value.into(), to, size, base, false)
    }

    /// `_ultow_s`.
    fn _ultow_s(value: u32, to: u64, size: u64, base: u32) -> i32 [max HIGH_LEVEL, crt] {
        store::<u16>(value.into(), to, size, base, false)
    }

    /// `_i64toa_s`.
    fn _i64toa_s(value: i64, to: u64, size: u64, base: u32) -> i32 [max HIGH_LEVEL, crt] {
        store::<u8>(value, to, size, base, base == 10)
    }

    /// `_i64tow_s`.
    fn _i64tow_s(value: i64, to: u64, size: u64, base: u32) -> i32 [max HIGH_LEVEL, crt] {
        store::<u16>(value, to, size, base, base == 10)
    }

    /// `_ui64toa_s`.
    fn _ui64toa_s(value: i64, to: u64, size: u64, base: u32) -> i32 [max HIGH_LEVEL, crt] {
        store::<u8>(value, to, size, base, false)
    }

    /// `_ui64tow_s`.
    fn _ui64tow_s(value: i64, to: u64, size: u64, base: u32) -> i32 [max HIGH_LEVEL, crt] {
        store::<u16>(value, to, size, base, false)
    }
}

/// A 32-bit number for [`store`]: negative ones keep their sign in base 10, and
/// are bits in every other.
fn widen(value: i32, base: u32) -> i64 {
    if base == 10 {
        value.into()
    } else {
        value.cast_unsigned().into()
    }
}

/// Stores a number as text with a NUL; negative numbers have a sign only if
/// `signed`. The C library's error number.
fn store<U: Unit>(
    value: i64,
    to: u64,
    size: u64,
    base: u32,
    signed: bool,
) -> Result<i32, NoReturn> {
    if to == 0 || size == 0 {
        return Ok(EINVAL);
    }
    if !(2..=36).contains(&base) {
        U::default().write(to)?;
        return Ok(EINVAL);
    }
    let negative = signed && value < 0;
    let magnitude = if negative {
        value.unsigned_abs()
    } else {
        value.cast_unsigned()
    };
    let sign = negative.then_some(b'-');
    let text = sign
        .into_iter()
        .chain(digits(magnitude, base, false))
        .chain([0]);
    let units: Vec<U> = text.map(U::from).collect();
    if units.len() as u64 > size {
        U::default().write(to)?;
        return Ok(ERANGE);
    }
    U::write_many(to, &units)?;
    Ok(0)
}

/// Parses as `strtoul` does: white space, a sign, a prefix, digits; says where
/// the number ends. Out of range is `most`.
fn unsigned<U: Unit>(text: u64, end: u64, base: i32, most: u64) -> Result<u64, NoReturn> {
    let units: Vec<U> = cstr::read(text, UNLIMITED)?;
    let units: Vec<u16> = units
        .into_iter()
        .map(|unit| u16::try_from(unit.into()).unwrap_or(0))
        .collect();
    let byte = |at: usize| {
        units
            .get(at)
            .and_then(|unit| u8::try_from(*unit).ok())
            .unwrap_or(0)
    };
    let mut at = 0;
    while matches!(byte(at), b' ' | b'\t'..=b'\r') {
        at += 1;
    }
    let negative = byte(at) == b'-';
    at += usize::from(matches!(byte(at), b'+' | b'-'));
    let hex = byte(at) == b'0' && matches!(byte(at + 1), b'x' | b'X');
    let base = match base {
        0 if hex => 16,
        0 if byte(at) == b'0' => 8,
        0 => 10,
        _ => u32::try_from(base).unwrap_or(0),
    };
    let mut value = Some(0_u64);
    let mut last = None;
    if (2..=36).contains(&base) {
        at += if hex && base == 16 { 2 } else { 0 };
        while let Some(digit) = units.get(at).and_then(|unit| digit(*unit, base)) {
            let next = |value: u64| value.checked_mul(base.into())?.checked_add(digit.into());
            value = value.and_then(next).filter(|value| *value <= most);
            at += 1;
            last = Some(at);
        }
    }
    if end != 0 {
        driver_mem::write_u64(end, cstr::at::<U>(text, last.unwrap_or(0) as u64))?;
    }
    let Some(value) = value else { return Ok(most) };
    Ok(if negative {
        value.wrapping_neg() & most
    } else {
        value
    })
}

#[cfg(test)]
mod tests {
    use ntbox_host::gate::{Call, ExportResult};

    use super::*;
    use crate::test_support::{address, address_mut, value, wide};

    #[test]
    fn itoa_functions_store_numbers() {
        let run = |handler: fn(&mut Call<'_>) -> ExportResult, number: i64, size, base| {
            let mut buffer = [0x2e_u8; 24];
            let error = value(
                handler,
                &[number.cast_unsigned(), address_mut(&mut buffer), size, base],
            );
            (
                error,
                String::from_utf8(buffer.split(|byte| *byte == 0).next().unwrap().to_vec())
                    .unwrap(),
            )
        };
        assert_eq!(run(_itoa_s, -5, 8, 10), (0, "-5".into()));
        assert_eq!(run(_ltoa_s, -5, 8, 10), (0, "-5".into()));
        assert_eq!(run(_itoa_s, 255, 8, 16), (0, "ff".into()));
        assert_eq!(run(_i64toa_s, i64::MIN, 24, 10), (0, i64::MIN.to_string()));
        assert_eq!(run(_ui64toa_s, -1, 24, 10), (0, u64::MAX.to_string()));
        assert_eq!(run(_ultoa_s, -1, 24, 10), (0, u32::MAX.to_string()));
        assert_eq!(run(_itoa_s, 100, 3, 10), (34, String::new()));
        assert_eq!(run(_itoa_s, 100, 4, 37), (22, String::new()));
        assert_eq!(value(_itoa_s, &[1, 0, 4, 10]), 22);
    }

    #[test]
    fn itow_functions_store_numbers() {
        for (handler, number, expected) in [
            (_itow_s as fn(&mut Call<'_>) -> ExportResult, -5_i64, "-5"),
            (_ltow_s, -5, "-5"),
            (_i64tow_s, -5, "-5"),
            (_ultow_s, 5, "5"),
            (_ui64tow_s, 5, "5"),
        ] {
            let mut buffer = [0x2e_u16; 8];
            assert_eq!(
                value(
                    handler,
                    &[number.cast_unsigned(), address_mut(&mut buffer), 8, 10]
                ),
                0
            );
            assert_eq!(buffer[..=expected.len()], wide(expected));
        }
        let mut buffer = [0x2e_u16; 8];
        let va = address_mut(&mut buffer);
        assert_eq!(value(_itow, &[42, va, 10]), va);
        assert_eq!(buffer[..3], wide("42"));
        let mut buffer = *b"..........";
        let va = address_mut(&mut buffer);
        assert_eq!(value(_itoa, &[0xffff_ffff, va, 16]), va);
        assert_eq!(&buffer, b"ffffffff\0.");
    }

    #[test]
    fn strtoul_stores_end_of_number() {
        let run = |text: &str, base: u64| {
            let units = wide(text);
            let mut end = 0_u64;
            let va = address(units.as_slice());
            let number = value(wcstoul, &[va, address_mut(&mut end), base]);
            (number, (end - va) / 2)
        };
        assert_eq!(run(" 42z", 10), (42, 3));
        assert_eq!(run("0x1fg", 0), (31, 4));
        assert_eq!(run("0x1f", 16), (31, 4));
        assert_eq!(run("017", 0), (15, 3));
        assert_eq!(run("-1", 10), (0xffff_ffff, 2));
        assert_eq!(run("99999999999", 10), (0xffff_ffff, 11));
        assert_eq!(run("x", 10), (0, 0));
        assert_eq!(run("1", 99), (0, 0));
        assert_eq!(
            value(_strtoui64, &[address(b"ffffffffffffffff\0"), 0, 16]),
            u64::MAX
        );
        assert_eq!(
            value(_strtoui64, &[address(b"10000000000000000\0"), 0, 16]),
            u64::MAX
        );
    }
}
