//! Character classes and case in the "C" locale, and what is left of `stdlib.h`:
//! random numbers and single conversions.

use std::sync::atomic::{AtomicU32, Ordering};

use ntbox_host::driver_mem;
use ntbox_host::gate::irql::HIGH_LEVEL;

use crate::base::export::exports;
use crate::base::{codepage, upcase};

/// The bits that the classifying functions return.
mod class {
    pub const UPPER: i32 = 0x1;
    pub const LOWER: i32 = 0x2;
    pub const DIGIT: i32 = 0x4;
    pub const SPACE: i32 = 0x8;
    pub const PUNCTUATION: i32 = 0x10;
    pub const BLANK: i32 = 0x40;
    pub const HEX: i32 = 0x80;
    pub const ALPHA: i32 = 0x100;
}

/// The classes of a character; none for what is not ASCII.
fn classes(character: i32) -> i32 {
    let Ok(byte) = u8::try_from(character) else {
        return 0;
    };
    let bit = |yes, bit| if yes { bit } else { 0 };
    bit(byte.is_ascii_uppercase(), class::UPPER | class::ALPHA)
        | bit(byte.is_ascii_lowercase(), class::LOWER | class::ALPHA)
        | bit(byte.is_ascii_digit(), class::DIGIT)
        | bit(matches!(byte, b'\t'..=b'\r' | b' '), class::SPACE)
        | bit(byte.is_ascii_punctuation(), class::PUNCTUATION)
        | bit(byte == b' ', class::BLANK)
        | bit(byte.is_ascii_hexdigit(), class::HEX)
}

/// State of `rand`.
static SEED: AtomicU32 = AtomicU32::new(1);

exports! {
    /// `isdigit`.
    fn isdigit(character: i32) -> i32 [max HIGH_LEVEL, crt] { Ok(classes(character) & class::DIGIT) }

    /// `isupper`.
    fn isupper(character: i32) -> i32 [max HIGH_LEVEL, crt] { Ok(classes(character) & class::UPPER) }

    /// `islower`.
    fn islower(character: i32) -> i32 [max HIGH_LEVEL, crt] { Ok(classes(character) & class::LOWER) }

    /// `isspace`.
    fn isspace(character: i32) -> i32 [max HIGH_LEVEL, crt] { Ok(classes(character) & class::SPACE) }

    /// `isxdigit`.
    fn isxdigit(character: i32) -> i32 [max HIGH_LEVEL, crt] { Ok(classes(character) & class::HEX) }

    /// `isprint`.
    fn isprint(character: i32) -> i32 [max HIGH_LEVEL, crt] {
        Ok(classes(character) & (class::BLANK | class::PUNCTUATION | class::ALPHA | class::DIGIT))
    }

    /// `toupper`.
    fn toupper(character: i32) -> i32 [max HIGH_LEVEL, crt] {
        Ok(u8::try_from(character).map_or(character, |byte| byte.to_ascii_uppercase().into()))
    }

    /// `tolower`.
    fn tolower(character: i32) -> i32 [max HIGH_LEVEL, crt] {
        Ok(u8::try_from(character).map_or(character, |byte| byte.to_ascii_lowercase().into()))
    }

    /// `towupper`, with the kernel's table.
    fn towupper(unit: u16) -> u16 [max HIGH_LEVEL, crt] { Ok(upcase::upcase(unit)) }

    /// `towlower`, with the kernel's table.
    fn towlower(unit: u16) -> u16 [max HIGH_LEVEL, crt] { Ok(upcase::downcase(unit)) }

    /// `srand`.
    fn srand(seed: u32) -> () [max HIGH_LEVEL, crt] {
        SEED.store(seed, Ordering::Relaxed);
        Ok(())
    }

    /// `rand`: 0 to 0x7FFF, the sequence that Microsoft's C library has always
    /// given.
    fn rand() -> i32 [max HIGH_LEVEL, crt] {
        let next = |seed: u32| seed.wrapping_mul(214_013).wrapping_add(2_531_011);
        let before = SEED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seed| Some(next(seed)));
        let seed = next(before.unwrap_or_else(|seed| seed));
        Ok((seed >> 16 & 0x7fff).cast_signed())
    }

    /// `mbtowc`: 1 for a character, 0 for a NUL or no text, -1 without room.
    fn mbtowc(to: u64, from: u64, count: u64) -> i32 [max HIGH_LEVEL, crt] {
        if from == 0 || count == 0 {
            return Ok(if from == 0 { 0 } else { -1 });
        }
        let byte = driver_mem::read_u8(from)?;
        if to != 0 {
            driver_mem::write_u16(to, codepage::to_unicode(byte))?;
        }
        Ok(i32::from(byte != 0))
    }

    /// `wctomb`: the number of bytes, 0 for no destination.
    fn wctomb(to: u64, unit: u16) -> i32 [max HIGH_LEVEL, crt] {
        if to == 0 {
            return Ok(0);
        }
        driver_mem::write_u8(to, codepage::from_unicode(unit))?;
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use ntbox_host::gate::{Call, ExportResult};

    use super::*;
    use crate::test_support::{address, address_mut, value};

    #[test]
    fn ctype_classes_match_ascii() {
        type Handler = fn(&mut Call<'_>) -> ExportResult;
        type CharTest = fn(&u8) -> bool;
        let table: [(Handler, CharTest); 6] = [
            (isdigit, u8::is_ascii_digit),
            (isupper, u8::is_ascii_uppercase),
            (islower, u8::is_ascii_lowercase),
            (isxdigit, u8::is_ascii_hexdigit),
            (isspace, |byte| matches!(byte, 9..=13 | 32)),
            (isprint, |byte| (0x20..0x7f).contains(byte)),
        ];
        for (handler, expected) in table {
            for byte in 0..=u8::MAX {
                assert_eq!(
                    value(handler, &[byte.into()]) != 0,
                    expected(&byte),
                    "{byte:#x}"
                );
            }
            assert_eq!(value(handler, &[u64::MAX]), 0);
            assert_eq!(value(handler, &[0x141]), 0);
        }
    }

    #[test]
    fn toupper_and_tolower_change_case() {
        assert_eq!(value(toupper, &[b'a'.into()]), u64::from(b'A'));
        assert_eq!(value(tolower, &[b'Z'.into()]), u64::from(b'z'));
        assert_eq!(value(toupper, &[0xe9]), 0xe9);
        assert_eq!(value(tolower, &[u64::MAX]), u64::MAX);
        assert_eq!(value(towupper, &[0xe9]), 0xc9);
        assert_eq!(value(towlower, &[0x42f]), 0x44f);
    }

    #[test]
    fn rand_repeats_from_seed() {
        value(srand, &[1]);
        let sequence: Vec<u64> = (0..3).map(|_| value(rand, &[])).collect();
        assert_eq!(sequence, [41, 18467, 6334]);
    }

    #[test]
    fn mbtowc_and_wctomb_convert() {
        let mut unit = 7_u16;
        assert_eq!(
            value(mbtowc, &[address_mut(&mut unit), address(b"\x80"), 1]),
            1
        );
        assert_eq!(unit, 0x20ac);
        assert_eq!(
            value(mbtowc, &[address_mut(&mut unit), address(b"\0"), 1]),
            0
        );
        assert_eq!(unit, 0);
        assert_eq!(value(mbtowc, &[0, 0, 1]), 0);
        assert_eq!(value(mbtowc, &[0, address(b"a"), 0]).cast_signed(), -1);
        let mut byte = 0_u8;
        assert_eq!(value(wctomb, &[address_mut(&mut byte), 0x20ac]), 1);
        assert_eq!(byte, 0x80);
        assert_eq!(value(wctomb, &[0, 0x20ac]), 0);
    }
}
