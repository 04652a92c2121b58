//! The ANSI code page: Windows-1252, which is what an English or Western
//! European system has. One byte is one character, so sizes are easy to reason
//! about; characters that it lacks become `?`.

/// The characters of 0x80 to 0x9F; the rest equals Latin-1. Five places have no
/// character and map to the control character of the same number.
const UPPER: [u16; 32] = [
    0x20ac, 0x81, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039,
    0x0152, 0x8d, 0x017d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
    0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d, 0x017e, 0x0178,
];

/// What stands for a character that the code page lacks.
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
    match u8::try_from(unit) {
        Ok(byte) if !(0x80..=0x9f).contains(&byte) => byte,
        _ => UPPER
            .iter()
            .zip(0x80..)
            .find_map(|(known, byte)| (*known == unit).then_some(byte))
            .unwrap_or(REPLACEMENT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        for byte in 0..=u8::MAX {
            assert_eq!(from_unicode(to_unicode(byte)), byte);
        }
    }

    #[test]
    fn known_characters() {
        for (byte, letter) in [
            (b'A', 'A'),
            (0x80, '€'),
            (0x99, '™'),
            (0xe9, 'é'),
            (0xff, 'ÿ'),
        ] {
            assert_eq!(to_unicode(byte), letter as u16);
        }
        assert_eq!(from_unicode('я' as u16), b'?');
        assert_eq!(from_unicode(0xd83d), b'?');
        // U+0080 is not the euro sign's byte.
        assert_eq!(from_unicode(0x80), b'?');
    }
}
