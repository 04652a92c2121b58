//! Upper and lower case as the kernel knows them: one UTF-16 unit to one unit,
//! without regard to language.
//!
//! The kernel's table maps a letter up only if the way down leads back to it
//! (plus final sigma), so a micro sign stays a micro sign. Letters that Unicode
//! paired long after the table was made are left alone too. The recommended
//! up-case table in the exFAT specification, which is of the same origin, was
//! compared with what this gives.

/// `RtlUpcaseUnicodeChar`.
pub fn upcase(unit: u16) -> u16 {
    match unit {
        0..=0x7f if is_ascii_lower(unit) => unit - 0x20,
        // Georgian and Cherokee got their second case later.
        0..=0x7f | 0x10d0..=0x10ff | 0x13f8..=0x13fd | 0xab70..=0xabbf => unit,
        // Final sigma is a sigma.
        0x3c2 => 0x3a3,
        // Greek with iota below: Unicode's full mapping has two letters here.
        0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7 => unit + 8,
        0x1fb3 | 0x1fc3 | 0x1ff3 => unit + 9,
        _ => match single(unit, char::to_uppercase) {
            Some(upper) if single(upper, char::to_lowercase) == Some(unit) => upper,
            _ => unit,
        },
    }
}

/// `RtlDowncaseUnicodeChar`.
pub fn downcase(unit: u16) -> u16 {
    if unit < 0x80 {
        return if (0x41..=0x5a).contains(&unit) {
            unit + 0x20
        } else {
            unit
        };
    }
    match single(unit, char::to_lowercase) {
        Some(lower) if upcase(lower) == unit => lower,
        _ => unit,
    }
}

const fn is_ascii_lower(unit: u16) -> bool {
    unit >= 0x61 && unit <= 0x7a
}

/// The mapping of a unit if it is a character by itself and maps to one.
fn single<I: Iterator<Item = char>>(unit: u16, mapping: impl Fn(char) -> I) -> Option<u16> {
    let mut mapped = mapping(char::from_u32(u32::from(unit))?);
    let first = mapped.next()?;
    if mapped.next().is_some() {
        return None;
    }
    u16::try_from(u32::from(first)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upcase_of_ascii_changes_letters_only() {
        for unit in 0..0x80_u16 {
            let byte = u8::try_from(unit).unwrap();
            assert_eq!(upcase(unit), u16::from(byte.to_ascii_uppercase()));
            assert_eq!(downcase(unit), u16::from(byte.to_ascii_lowercase()));
        }
    }

    #[test]
    fn upcase_and_downcase_of_pairs_are_inverse() {
        for (lower, upper) in [
            ('é', 'É'),
            ('ÿ', 'Ÿ'),
            ('š', 'Š'),
            ('ω', 'Ω'),
            ('я', 'Я'),
            ('ԁ', 'Ԁ'),
            ('ա', 'Ա'),
            ('ạ', 'Ạ'),
            ('ᾀ', 'ᾈ'),
            ('ᾳ', 'ᾼ'),
            ('ⅷ', 'Ⅷ'),
            ('ⓐ', 'Ⓐ'),
            ('ａ', 'Ａ'),
        ] {
            let (lower, upper) = (lower as u16, upper as u16);
            assert_eq!(upcase(lower), upper, "{lower:#x}");
            assert_eq!(downcase(upper), lower, "{upper:#x}");
            assert_eq!(upcase(upper), upper, "{upper:#x}");
            assert_eq!(downcase(lower), lower, "{lower:#x}");
        }
    }

    #[test]
    fn upcase_of_unpaired_letter_is_identity() {
        for letter in ['ß', 'µ', 'ı', 'ſ', 'ǅ', 'ϐ', 'ẛ', 'ა', 'ꭰ', 'İ', 'K'] {
            assert_eq!(upcase(letter as u16), letter as u16, "{letter}");
        }
        assert_eq!(downcase('İ' as u16), 'İ' as u16);
        assert_eq!(downcase('ǅ' as u16), 'ǅ' as u16);
        assert_eq!(upcase('ς' as u16), 'Σ' as u16);
        assert_eq!(downcase('Σ' as u16), 'σ' as u16);
    }

    #[test]
    fn upcase_of_surrogate_is_identity() {
        for unit in 0xd800..=0xdfff_u16 {
            assert_eq!(upcase(unit), unit);
            assert_eq!(downcase(unit), unit);
        }
    }
}
