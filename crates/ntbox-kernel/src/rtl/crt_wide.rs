//! C string functions for UTF-16 units.
//!
//! The reference gives no IRQL for them; they touch nothing but their arguments.

use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::HIGH_LEVEL;

use super::cstr;
use super::cstr::{UNLIMITED, Unit};
use crate::base::codepage;
use crate::base::export::exports;

exports! {
    /// `wcslen`.
    fn wcslen(text: u64) -> u64 [max HIGH_LEVEL, crt] {
        Ok(cstr::length::<u16>(text, UNLIMITED)?)
    }

    /// `wcsnlen`: at most `limit`.
    fn wcsnlen(text: u64, limit: u64) -> u64 [max HIGH_LEVEL, crt] {
        Ok(cstr::length::<u16>(text, limit)?)
    }

    /// `wcscpy`.
    fn wcscpy(to: u64, from: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::copy::<u16>(to, from)?;
        Ok(to)
    }

    /// `wcsncpy`: no NUL after a source that is too long, NULs after a short one.
    fn wcsncpy(to: u64, from: u64, count: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::copy_padded::<u16>(to, from, count)?;
        Ok(to)
    }

    /// `wcscat`.
    fn wcscat(to: u64, from: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::append::<u16>(to, from, UNLIMITED)?;
        Ok(to)
    }

    /// `wcsncat`: at most `count`, and a NUL.
    fn wcsncat(to: u64, from: u64, count: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::append::<u16>(to, from, count)?;
        Ok(to)
    }

    /// `wcscmp`.
    fn wcscmp(one: u64, two: u64) -> i32 [max HIGH_LEVEL, crt] {
        Ok(cstr::compare::<u16>(one, two, UNLIMITED, |unit| unit)?)
    }

    /// `wcsncmp`.
    fn wcsncmp(one: u64, two: u64, count: u64) -> i32 [max HIGH_LEVEL, crt] {
        Ok(cstr::compare::<u16>(one, two, count, |unit| unit)?)
    }

    /// `_wcsicmp`: ASCII letters compare as lower case.
    fn _wcsicmp(one: u64, two: u64) -> i32 [max HIGH_LEVEL, crt] {
        Ok(cstr::compare::<u16>(one, two, UNLIMITED, u16::fold)?)
    }

    /// `_wcsnicmp`: ASCII letters compare as lower case.
    fn _wcsnicmp(one: u64, two: u64, count: u64) -> i32 [max HIGH_LEVEL, crt] {
        Ok(cstr::compare::<u16>(one, two, count, u16::fold)?)
    }

    /// `wcschr`.
    fn wcschr(text: u64, unit: u16) -> u64 [max HIGH_LEVEL, crt] {
        Ok(cstr::find(text, unit)?)
    }

    /// `wcsrchr`.
    fn wcsrchr(text: u64, unit: u16) -> u64 [max HIGH_LEVEL, crt] {
        Ok(cstr::find_last(text, unit)?)
    }

    /// `wcsstr`.
    fn wcsstr(text: u64, wanted: u64) -> u64 [max HIGH_LEVEL, crt] {
        Ok(cstr::find_text::<u16>(text, wanted)?)
    }

    /// `wcsspn`: units at the start that are in `set`.
    fn wcsspn(text: u64, set: u64) -> u64 [max HIGH_LEVEL, crt] {
        Ok(cstr::span::<u16>(text, set, true)?)
    }

    /// `wcscspn`: units at the start that are not in `set`.
    fn wcscspn(text: u64, set: u64) -> u64 [max HIGH_LEVEL, crt] {
        Ok(cstr::span::<u16>(text, set, false)?)
    }

    /// `_wcslwr`, ASCII letters only.
    fn _wcslwr(text: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::change::<u16>(text, UNLIMITED, |units| units.iter_mut().for_each(|unit| *unit = unit.fold()))?;
        Ok(text)
    }

    /// `wcslwr`, the older name of `_wcslwr`.
    fn wcslwr(text: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::change::<u16>(text, UNLIMITED, |units| units.iter_mut().for_each(|unit| *unit = unit.fold()))?;
        Ok(text)
    }

    /// `_wcsupr`, ASCII letters only.
    fn _wcsupr(text: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::change::<u16>(text, UNLIMITED, |units| units.iter_mut().for_each(|unit| *unit = upper(*unit)))?;
        Ok(text)
    }

    /// `_wcsrev`.
    fn _wcsrev(text: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::change::<u16>(text, UNLIMITED, |units| units.reverse())?;
        Ok(text)
    }

    /// `_wcsnset`: the first units of the string, at most `count`, become `unit`.
    fn _wcsnset(text: u64, unit: u16, count: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::change::<u16>(text, count, |units| units.fill(unit))?;
        Ok(text)
    }

    /// `_wtoi`.
    fn _wtoi(text: u64) -> i32 [max HIGH_LEVEL, crt] {
        Ok(cstr::number::<u16>(text)?)
    }

    /// `_wtol`; a `long` has 32 bits.
    fn _wtol(text: u64) -> i32 [max HIGH_LEVEL, crt] {
        Ok(cstr::number::<u16>(text)?)
    }

    /// `mbstowcs`: at most `count` units, a NUL if there is room; without a
    /// destination, the number of units.
    fn mbstowcs(to: u64, from: u64, count: u64) -> u64 [max HIGH_LEVEL, crt] {
        let bytes: Vec<u8> = cstr::read(from, if to == 0 { UNLIMITED } else { count })?;
        let units: Vec<u16> = bytes.iter().map(|byte| codepage::to_unicode(*byte)).collect();
        store(to, &units, count)
    }

    /// `wcstombs`: at most `count` bytes, a NUL if there is room; without a
    /// destination, the number of bytes.
    fn wcstombs(to: u64, from: u64, count: u64) -> u64 [max HIGH_LEVEL, crt] {
        let units: Vec<u16> = cstr::read(from, if to == 0 { UNLIMITED } else { count })?;
        let bytes: Vec<u8> = units.iter().map(|unit| codepage::from_unicode(*unit)).collect();
        store(to, &bytes, count)
    }
}

/// The same letter in upper case, ASCII letters only.
fn upper(unit: u16) -> u16 {
    u8::try_from(unit).map_or(unit, |byte| byte.to_ascii_uppercase().into())
}

/// Stores converted text, if it is to be stored, with a NUL if one fits.
fn store<U: Unit>(to: u64, text: &[U], count: u64) -> Result<u64, NoReturn> {
    let length = text.len() as u64;
    if to != 0 {
        U::write_many(to, text)?;
        if length < count {
            U::default().write(cstr::at::<U>(to, length))?;
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, address_mut, value, wide};

    fn va(text: &[u16]) -> u64 {
        address(text)
    }

    #[test]
    fn wcslen_counts_units() {
        let text = wide("abc");
        assert_eq!(value(wcslen, &[va(&text)]), 3);
        assert_eq!(value(wcsnlen, &[va(&text), 2]), 2);
    }

    #[test]
    fn wcscpy_and_wcscat_copy_text() {
        let text = wide("äb");
        let mut to = [u16::from(b'.'); 8];
        let at = address_mut(&mut to);
        assert_eq!(value(wcscpy, &[at, va(&text)]), at);
        assert_eq!(to[..4], [0xe4, 0x62, 0, 0x2e]);
        assert_eq!(value(wcscat, &[at, va(&text)]), at);
        assert_eq!(to[..6], [0xe4, 0x62, 0xe4, 0x62, 0, 0x2e]);
        assert_eq!(value(wcsncat, &[at, va(&text), 1]), at);
        assert_eq!(to[4..7], [0xe4, 0, 0x2e]);
        assert_eq!(value(wcsncpy, &[at, va(&text), 4]), at);
        assert_eq!(to[..5], [0xe4, 0x62, 0, 0, 0xe4]);
    }

    #[test]
    fn wcscmp_compares_text() {
        let (upper, lower) = (wide("ABC"), wide("abc"));
        let sign = |value: u64| value.cast_signed().signum();
        assert_eq!(sign(value(wcscmp, &[va(&upper), va(&lower)])), -1);
        assert_eq!(value(_wcsicmp, &[va(&upper), va(&lower)]), 0);
        assert_eq!(sign(value(wcsncmp, &[va(&lower), va(&upper), 1])), 1);
        assert_eq!(value(wcsncmp, &[va(&lower), va(&upper), 0]), 0);
        assert_eq!(value(_wcsnicmp, &[va(&lower), va(&upper), 3]), 0);
        // Beyond ASCII letters keep their case.
        assert_ne!(value(_wcsicmp, &[va(&wide("é")), va(&wide("É"))]), 0);
    }

    #[test]
    fn wcschr_and_wcsstr_find_text() {
        let text = wide("abcabc");
        let start = va(&text);
        assert_eq!(value(wcschr, &[start, u64::from(b'c')]), start + 4);
        assert_eq!(value(wcsrchr, &[start, u64::from(b'c')]), start + 10);
        assert_eq!(value(wcschr, &[start, 0x163]), 0);
        assert_eq!(value(wcsstr, &[start, va(&wide("ca"))]), start + 4);
        assert_eq!(value(wcsspn, &[start, va(&wide("ab"))]), 2);
        assert_eq!(value(wcscspn, &[start, va(&wide("c"))]), 2);
    }

    #[test]
    fn wcsupr_and_wcsset_change_in_place() {
        let mut text = wide("aBé");
        let at = address_mut(text.as_mut_slice());
        for lower in [_wcslwr, wcslwr] {
            value(_wcsupr, &[at]);
            assert_eq!(text, wide("ABé"));
            value(lower, &[at]);
            assert_eq!(text, wide("abé"));
        }
        value(_wcsrev, &[at]);
        assert_eq!(text, wide("éba"));
        value(_wcsnset, &[at, u64::from(b'-'), 2]);
        assert_eq!(text, wide("--a"));
    }

    #[test]
    fn wtoi_parses_numbers() {
        let text = wide(" -12x");
        assert_eq!(value(_wtoi, &[va(&text)]).cast_signed(), -12);
        assert_eq!(value(_wtol, &[va(&text)]).cast_signed(), -12);
    }

    #[test]
    fn mbstowcs_and_wcstombs_convert() {
        let mut units = [7_u16; 4];
        let at = address_mut(&mut units);
        assert_eq!(value(mbstowcs, &[at, address(b"a\x80\0"), 4]), 2);
        assert_eq!(units, [0x61, 0x20ac, 0, 7]);
        assert_eq!(value(mbstowcs, &[at, address(b"xyz\0"), 2]), 2);
        assert_eq!(units, [0x78, 0x79, 0, 7]);
        assert_eq!(value(mbstowcs, &[0, address(b"xyz\0"), 0]), 3);
        let mut bytes = *b"....";
        let at = address_mut(&mut bytes);
        assert_eq!(value(wcstombs, &[at, va(&wide("é€")), 4]), 2);
        assert_eq!(&bytes, b"\xe9\x80\0.");
        assert_eq!(value(wcstombs, &[0, va(&wide("abc")), 0]), 3);
    }
}
