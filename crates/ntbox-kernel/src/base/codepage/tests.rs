//! The code page against tables that others made: the Encoding Standard's
//! windows-1252, and the Unicode Character Database's decompositions.

use encoding_rs::WINDOWS_1252;
use unicode_normalization::UnicodeNormalization;

use super::*;

#[test]
fn to_unicode_matches_encoding_standard() {
    for byte in 0..=u8::MAX {
        let text = WINDOWS_1252
            .decode_without_bom_handling(&[byte])
            .0
            .into_owned();
        let units: Vec<u16> = text.encode_utf16().collect();
        assert_eq!(units, [to_unicode(byte)], "{byte:#x}");
        assert_eq!(from_unicode(to_unicode(byte)), byte);
        assert_eq!(exact(to_unicode(byte)), Some(byte));
    }
}

#[test]
fn exact_accepts_encoding_standard_characters_only() {
    for unit in 0..=u16::MAX {
        let Some(letter) = char::from_u32(unit.into()) else {
            assert_eq!(from_unicode(unit), REPLACEMENT, "{unit:#x}");
            continue;
        };
        let mut text = [0; 4];
        let (bytes, _, lossy) = WINDOWS_1252.encode(letter.encode_utf8(&mut text));
        let expected = (!lossy).then(|| bytes[0]);
        assert_eq!(exact(unit), expected, "{unit:#x}");
    }
}

#[test]
fn from_unicode_drops_accents() {
    let mut seen = 0;
    for unit in 0x100..0x180_u16 {
        let letter = char::from_u32(unit.into()).expect("a letter");
        let base = letter.nfd().next().expect("something");
        if base.is_ascii() && exact(unit).is_none() {
            assert_eq!(char::from(from_unicode(unit)), base, "{letter}");
            seen += 1;
        }
    }
    assert!(seen > 90, "{seen}");
}

#[test]
fn from_unicode_maps_compatibility_forms_to_ascii() {
    for unit in (0xff01..=0xff5e).chain(0x2080..=0x2089_u16) {
        let letter = char::from_u32(unit.into()).expect("a character");
        let plain: String = letter.nfkd().collect();
        assert_eq!(
            char::from(from_unicode(unit)).to_string(),
            plain,
            "{letter}"
        );
    }
}

#[test]
fn best_fit_table_has_no_duplicates() {
    let mut all: Vec<u16> = BEST_FIT
        .iter()
        .flat_map(|(_, letters)| letters.encode_utf16())
        .collect();
    let count = all.len();
    assert!(all.iter().all(|unit| exact(*unit).is_none()));
    all.sort_unstable();
    all.dedup();
    // The file has 441 of them, 93 full-width ones among them.
    assert_eq!((all.len(), count), (348, 348));
}

#[test]
fn from_unicode_replaces_unmapped_characters() {
    for letter in ['я', 'א', '中', 'ạ', '\u{80}', '\u{fffd}'] {
        assert_eq!(from_unicode(letter as u16), REPLACEMENT, "{letter}");
    }
}
