//! Names of MS-DOS: at most eight characters, and at most three behind a full
//! stop, of an alphabet of their own.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString as Counted;
use ntbox_host::gate::irql::DISPATCH_LEVEL;

use crate::base::export::exports;
use crate::base::{codepage, upcase};

/// Most characters before the full stop, behind it, and of all.
const BASE: usize = 8;
const EXTENSION: usize = 3;
const WHOLE: usize = BASE + 1 + EXTENSION;
/// ASCII characters that no short name has, beside control characters.
const FORBIDDEN: &[u8] = b"\"*+,/:;<=>?[\\]|";

/// Whether bytes of the code page are a short name, in capitals already; then,
/// whether it has spaces.
fn spaces_in_legal(name: &[u8]) -> Option<bool> {
    if matches!(name, b"." | b"..") {
        return Some(false);
    }
    if name.is_empty() || name.len() > WHOLE {
        return None;
    }
    let legal = |byte: &u8| *byte >= b' ' && !FORBIDDEN.contains(byte);
    if !name.iter().all(legal) {
        return None;
    }
    let mut parts = name.split(|byte| *byte == b'.');
    let (base, extension) = (parts.next()?, parts.next());
    let sized = (1..=BASE).contains(&base.len())
        && extension.is_none_or(|extension| (1..=EXTENSION).contains(&extension.len()));
    let edge_space = base.starts_with(b" ") || base.ends_with(b" ") || name.ends_with(b" ");
    if !sized || parts.next().is_some() || edge_space {
        return None;
    }
    Some(name.contains(&b' '))
}

exports! {
    /// `RtlIsNameLegalDOS8Dot3`: the OEM name, in capitals, is stored in any case
    /// in which it fits.
    fn RtlIsNameLegalDOS8Dot3(name: u64, oem: u64, spaces: u64) -> bool [max DISPATCH_LEVEL, ntifs] {
        let units = Counted::read(name)?.units()?;
        if units.len() > WHOLE {
            return Ok(false);
        }
        let bytes: Vec<u8> = units
            .iter()
            .map(|unit| codepage::exact(upcase::upcase(*unit)).unwrap_or(codepage::REPLACEMENT))
            .collect();
        if oem != 0 {
            let to = Counted::read(oem)?;
            if usize::from(to.maximum_length) < bytes.len() {
                return Ok(false);
            }
            driver_mem::write_bytes(to.buffer, &bytes)?;
            driver_mem::write_u16(oem, u16::try_from(bytes.len()).unwrap_or(0))?;
        }
        // What the code page lacks is a question mark, which no short name has.
        let legal = spaces_in_legal(&bytes);
        if let Some(found) = legal && spaces != 0 {
            driver_mem::write_u8(spaces, found.into())?;
        }
        Ok(legal.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cm::tests::helper::Text;
    use crate::test_support::{address_mut, processor, value};

    fn legal(name: &str) -> bool {
        let text = Text::new(name);
        value(RtlIsNameLegalDOS8Dot3, &[text.at(), 0, 0]) != 0
    }

    #[test]
    fn is_name_legal_8dot3_accepts_short_names() {
        processor();
        for name in [
            "A",
            "12345678.123",
            ".",
            "..",
            "a b.c",
            "file",
            "\u{e9}.txt",
            "~1.~$",
        ] {
            assert!(legal(name), "{name}");
        }
        for name in [
            "",
            "123456789",
            "a.1234",
            "a.",
            ".a",
            "a.b.c",
            "...",
            "a ",
            " a",
            "a .b",
            "a.b ",
            "a+b",
            "a\"b",
            "a*",
            "a\\b",
            "a\u{1}",
            "\u{44f}",
        ] {
            assert!(!legal(name), "{name}");
        }
    }

    #[test]
    fn is_name_legal_8dot3_returns_oem_name_and_spaces() {
        processor();
        let text = Text::new("a b.txt");
        let mut buffer = [0_u8; 12];
        let mut oem = (12_u64 << 16, address_mut(&mut buffer[..]));
        let mut spaces = 0_u8;
        let arguments = [text.at(), address_mut(&mut oem), address_mut(&mut spaces)];
        assert_eq!(value(RtlIsNameLegalDOS8Dot3, &arguments), 1);
        assert_eq!(
            (&buffer[..7], oem.0 & 0xffff, spaces),
            (&b"A B.TXT"[..], 7, 1)
        );
        oem.0 = 6 << 16;
        let arguments = [text.at(), address_mut(&mut oem), 0];
        assert_eq!(
            value(RtlIsNameLegalDOS8Dot3, &arguments),
            0,
            "it does not fit"
        );
    }
}
