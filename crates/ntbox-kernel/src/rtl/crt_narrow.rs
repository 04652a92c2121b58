//! C string functions for bytes.
//!
//! The reference gives no IRQL for them; they touch nothing but their arguments.

use ntbox_host::gate::irql::HIGH_LEVEL;

use super::cstr;
use super::cstr::{UNLIMITED, Unit};
use crate::base::export::exports;

exports! {
    /// `strlen`.
    fn strlen(text: u64) -> u64 [max HIGH_LEVEL, crt] {
        Ok(cstr::length::<u8>(text, UNLIMITED)?)
    }

    /// `strnlen`: at most `limit`.
    fn strnlen(text: u64, limit: u64) -> u64 [max HIGH_LEVEL, crt] {
        Ok(cstr::length::<u8>(text, limit)?)
    }

    /// `strcpy`.
    fn strcpy(to: u64, from: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::copy::<u8>(to, from)?;
        Ok(to)
    }

    /// `strncpy`: no NUL after a source that is too long, NULs after a short one.
    fn strncpy(to: u64, from: u64, count: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::copy_padded::<u8>(to, from, count)?;
        Ok(to)
    }

    /// `strcat`.
    fn strcat(to: u64, from: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::append::<u8>(to, from, UNLIMITED)?;
        Ok(to)
    }

    /// `strncat`: at most `count`, and a NUL.
    fn strncat(to: u64, from: u64, count: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::append::<u8>(to, from, count)?;
        Ok(to)
    }

    /// `strcmp`.
    fn strcmp(one: u64, two: u64) -> i32 [max HIGH_LEVEL, crt] {
        Ok(cstr::compare::<u8>(one, two, UNLIMITED, |unit| unit)?)
    }

    /// `strncmp`.
    fn strncmp(one: u64, two: u64, count: u64) -> i32 [max HIGH_LEVEL, crt] {
        Ok(cstr::compare::<u8>(one, two, count, |unit| unit)?)
    }

    /// `_stricmp`: ASCII letters compare as lower case.
    fn _stricmp(one: u64, two: u64) -> i32 [max HIGH_LEVEL, crt] {
        Ok(cstr::compare::<u8>(one, two, UNLIMITED, u8::fold)?)
    }

    /// `_strnicmp`: ASCII letters compare as lower case.
    fn _strnicmp(one: u64, two: u64, count: u64) -> i32 [max HIGH_LEVEL, crt] {
        Ok(cstr::compare::<u8>(one, two, count, u8::fold)?)
    }

    /// `strchr`.
    fn strchr(text: u64, unit: u8) -> u64 [max HIGH_LEVEL, crt] {
        Ok(cstr::find(text, unit)?)
    }

    /// `strrchr`.
    fn strrchr(text: u64, unit: u8) -> u64 [max HIGH_LEVEL, crt] {
        Ok(cstr::find_last(text, unit)?)
    }

    /// `strstr`.
    fn strstr(text: u64, wanted: u64) -> u64 [max HIGH_LEVEL, crt] {
        Ok(cstr::find_text::<u8>(text, wanted)?)
    }

    /// `strspn`: units at the start that are in `set`.
    fn strspn(text: u64, set: u64) -> u64 [max HIGH_LEVEL, crt] {
        Ok(cstr::span::<u8>(text, set, true)?)
    }

    /// `_strlwr`, ASCII letters only.
    fn _strlwr(text: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::change::<u8>(text, UNLIMITED, |units| units.iter_mut().for_each(|unit| *unit = unit.fold()))?;
        Ok(text)
    }

    /// `strlwr`, the older name of `_strlwr`.
    fn strlwr(text: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::change::<u8>(text, UNLIMITED, |units| units.make_ascii_lowercase())?;
        Ok(text)
    }

    /// `_strupr`, ASCII letters only.
    fn _strupr(text: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::change::<u8>(text, UNLIMITED, |units| units.iter_mut().for_each(|unit| *unit = unit.to_ascii_uppercase()))?;
        Ok(text)
    }

    /// `_strrev`.
    fn _strrev(text: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::change::<u8>(text, UNLIMITED, |units| units.reverse())?;
        Ok(text)
    }

    /// `_strset`: every unit of the string becomes `unit`.
    fn _strset(text: u64, unit: u8) -> u64 [max HIGH_LEVEL, crt] {
        cstr::change::<u8>(text, UNLIMITED, |units| units.fill(unit))?;
        Ok(text)
    }

    /// `_strnset`: the first units of the string, at most `count`, become `unit`.
    fn _strnset(text: u64, unit: u8, count: u64) -> u64 [max HIGH_LEVEL, crt] {
        cstr::change::<u8>(text, count, |units| units.fill(unit))?;
        Ok(text)
    }

    /// `atoi`.
    fn atoi(text: u64) -> i32 [max HIGH_LEVEL, crt] {
        Ok(cstr::number::<u8>(text)?)
    }

    /// `atol`; a `long` has 32 bits.
    fn atol(text: u64) -> i32 [max HIGH_LEVEL, crt] {
        Ok(cstr::number::<u8>(text)?)
    }
}

#[cfg(test)]
mod tests {
    use ntbox_host::gate;

    use super::*;
    use crate::test_support::{NOWHERE, address, address_mut, fault, value};

    fn compare(
        handler: fn(&mut gate::Call<'_>) -> gate::ExportResult,
        one: &[u8],
        two: &[u8],
        count: u64,
    ) -> i64 {
        value(handler, &[address(one), address(two), count])
            .cast_signed()
            .signum()
    }

    #[test]
    fn strlen_counts_bytes() {
        let text = *b"abc\0def\0";
        assert_eq!(value(strlen, &[address(&text)]), 3);
        assert_eq!(value(strnlen, &[address(&text), 2]), 2);
        assert_eq!(value(strnlen, &[address(&text), 9]), 3);
        assert_eq!(value(strnlen, &[NOWHERE, 0]), 0);
        assert_eq!(fault(strlen, &[NOWHERE]), NOWHERE);
    }

    #[test]
    fn strcpy_copies_text() {
        let text = *b"abc\0";
        let mut to = *b"........";
        let va = address_mut(&mut to);
        assert_eq!(value(strcpy, &[va, address(&text)]), va);
        assert_eq!(&to, b"abc\0....");
        assert_eq!(value(strncpy, &[va, address(&text), 2]), va);
        assert_eq!(&to, b"abc\0....");
        assert_eq!(value(strncpy, &[va + 1, address(&text), 6]), va + 1);
        assert_eq!(&to, b"aabc\0\0\0.");
    }

    #[test]
    fn strcat_appends_text() {
        let text = *b"abc\0";
        let mut to = *b"x\0......";
        let va = address_mut(&mut to);
        assert_eq!(value(strcat, &[va, address(&text)]), va);
        assert_eq!(&to, b"xabc\0...");
        assert_eq!(value(strncat, &[va, address(&text), 2]), va);
        assert_eq!(&to, b"xabcab\0.");
        value(strncat, &[va, address(&text), 0]);
        assert_eq!(&to, b"xabcab\0.");
    }

    #[test]
    fn strcmp_compares_text() {
        assert_eq!(compare(strcmp, b"abc\0", b"abc\0", 0), 0);
        assert_eq!(compare(strcmp, b"ab\0", b"abc\0", 0), -1);
        assert_eq!(compare(strcmp, b"b\0", b"abc\0", 0), 1);
        assert_eq!(compare(strcmp, b"\x80\0", b"a\0", 0), 1);
        assert_eq!(compare(strncmp, b"abX\0", b"abc\0", 2), 0);
        assert_eq!(compare(strncmp, b"abX\0", b"abc\0", 3), -1);
        assert_eq!(compare(_stricmp, b"ABC\0", b"abc\0", 0), 0);
        assert_eq!(compare(_stricmp, b"A\0", b"_\0", 0), 1);
        assert_eq!(compare(_strnicmp, b"ABx\0", b"abY\0", 2), 0);
        assert_eq!(compare(_strnicmp, b"ABx\0", b"abY\0", 3), -1);
    }

    #[test]
    fn strchr_and_strstr_find_text() {
        let text = *b"abcabc\0";
        let va = address(&text);
        assert_eq!(value(strchr, &[va, u64::from(b'b')]), va + 1);
        assert_eq!(value(strrchr, &[va, u64::from(b'b')]), va + 4);
        assert_eq!(value(strchr, &[va, 0]), va + 6);
        assert_eq!(value(strrchr, &[va, 0]), va + 6);
        assert_eq!(value(strchr, &[va, u64::from(b'x')]), 0);
        assert_eq!(value(strrchr, &[va, u64::from(b'x')]), 0);
        assert_eq!(value(strstr, &[va, address(b"ca\0")]), va + 2);
        assert_eq!(value(strstr, &[va, address(b"cc\0")]), 0);
        assert_eq!(value(strstr, &[va, address(b"\0")]), va);
        assert_eq!(value(strspn, &[va, address(b"ba\0")]), 2);
        assert_eq!(value(strspn, &[va, address(b"abc\0")]), 6);
    }

    #[test]
    fn strupr_and_strset_change_in_place() {
        let mut text = *b"aBc\0D";
        let va = address_mut(&mut text);
        for lower in [_strlwr, strlwr] {
            value(_strupr, &[va]);
            assert_eq!(&text, b"ABC\0D");
            value(lower, &[va]);
            assert_eq!(&text, b"abc\0D");
        }
        value(_strrev, &[va]);
        assert_eq!(&text, b"cba\0D");
        value(_strnset, &[va, u64::from(b'-'), 2]);
        assert_eq!(&text, b"--a\0D");
        value(_strset, &[va, u64::from(b'+')]);
        assert_eq!(&text, b"+++\0D");
    }

    #[test]
    fn atoi_parses_numbers() {
        for (text, expected) in [
            (&b"42\0"[..], 42_i32),
            (b" \t\n-17x\0", -17),
            (b"+5\0", 5),
            (b"--5\0", 0),
            (b"abc\0", 0),
            (b"\0", 0),
            (b"2147483647\0", i32::MAX),
            (b"-2147483648\0", i32::MIN),
        ] {
            let expected = i64::from(expected);
            assert_eq!(value(atoi, &[address(text)]).cast_signed(), expected);
            assert_eq!(value(atol, &[address(text)]).cast_signed(), expected);
        }
    }
}
