//! The ANSI code page: Windows-1252, which is what an English or Western
//! European system has. One byte is one character, so sizes are easy to reason
//! about. A character that it lacks becomes the one that its table has as the
//! best fit (`Ā` is `A`), as in the kernel, or `?` where there is none.

mod best_fit;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use rustc_hash::FxHashMap;

use super::codepage::best_fit::BEST_FIT;

/// The characters of 0x80 to 0x9F; the rest equals Latin-1. Five places have no
/// character and map to the control character of the same number.
const UPPER: [u16; 32] = [
    0x20ac, 0x81, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039,
    0x0152, 0x8d, 0x017d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
    0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d, 0x017e, 0x0178,
];

/// What stands for a character that has no byte at all.
pub const REPLACEMENT: u8 = b'?';

/// The UTF-16 unit of a byte.
pub fn to_unicode(byte: u8) -> u16 {
    match byte {
        0x80..=0x9f => UPPER[usize::from(byte - 0x80)],
        _ => u16::from(byte),
    }
}

/// The byte of a UTF-16 unit. Each half of a surrogate pair counts by itself.
pub fn from_unicode(unit: u16) -> u8 {
    exact(unit)
        .or_else(|| best_fit(unit))
        .unwrap_or(REPLACEMENT)
}

/// The byte of a UTF-16 unit that the code page has.
pub fn exact(unit: u16) -> Option<u8> {
    match u8::try_from(unit) {
        Ok(byte) if !(0x80..=0x9f).contains(&byte) => Some(byte),
        _ => UPPER
            .iter()
            .zip(0x80..)
            .find_map(|(known, byte)| (*known == unit).then_some(byte)),
    }
}

/// The byte that stands for a UTF-16 unit which the code page lacks.
fn best_fit(unit: u16) -> Option<u8> {
    static TABLE: OnceLock<FxHashMap<u16, u8>> = OnceLock::new();
    // Full-width forms lie as ASCII does.
    if let 0xff01..=0xff5e = unit {
        return u8::try_from(unit - 0xfee0).ok();
    }
    let table = TABLE.get_or_init(|| {
        BEST_FIT
            .iter()
            .flat_map(|(byte, letters)| letters.encode_utf16().map(|unit| (unit, *byte)))
            .collect()
    });
    table.get(&unit).copied()
}
