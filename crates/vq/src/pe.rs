//! The sections of an image by its headers, as they lie in memory. Headers of a
//! strange process are read as what they are: bytes of somebody else.

/// A section.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Where it begins in the image.
    pub offset: u64,
    /// Its bytes.
    pub size: u64,
}

/// The most bytes of headers that are looked at.
pub const HEADERS: usize = 0x1000;
/// Windows loads no image with more.
const MOST_SECTIONS: u16 = 96;

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// The sections that headers name, as many as there are whole; `None` if these are
/// no headers.
#[must_use]
pub fn sections(headers: &[u8]) -> Option<Vec<Section>> {
    if headers.get(..2)? != b"MZ" {
        return None;
    }
    let start = usize::try_from(u32_at(headers, 0x3C)?).ok()?;
    if headers.get(start..start.checked_add(4)?)? != b"PE\0\0" {
        return None;
    }
    let file = start.checked_add(4)?;
    let count = u16_at(headers, file.checked_add(2)?)?.min(MOST_SECTIONS);
    let optional = usize::from(u16_at(headers, file.checked_add(16)?)?);
    let table = file.checked_add(20)?.checked_add(optional)?;
    let section = |index: usize| -> Option<Section> {
        let at = table.checked_add(40 * index)?;
        let entry = headers.get(at..at.checked_add(40)?)?;
        let name = entry.get(..8)?;
        let end = name.iter().position(|byte| *byte == 0);
        let name = String::from_utf8_lossy(name.get(..end.unwrap_or(8))?);
        Some(Section {
            name: name.chars().map(printable).collect(),
            offset: u64::from(u32_at(entry, 12)?),
            size: u64::from(u32_at(entry, 8)?),
        })
    };
    Some((0..usize::from(count)).map_while(section).collect())
}

/// A name may hold anything; a terminal would do what it says.
fn printable(letter: char) -> char {
    if letter.is_control() { '?' } else { letter }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Headers with these sections.
    fn headers(sections: &[(&[u8], u32, u32)]) -> Vec<u8> {
        let mut bytes = vec![0; 0x40];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3C] = 0x40;
        bytes.extend_from_slice(b"PE\0\0");
        let mut file = [0; 20];
        file[2] = u8::try_from(sections.len()).expect("few sections");
        file[16] = 8;
        bytes.extend_from_slice(&file);
        bytes.extend_from_slice(&[0; 8]);
        for (name, offset, size) in sections {
            let mut entry = [0; 40];
            entry[..name.len()].copy_from_slice(name);
            entry[8..12].copy_from_slice(&size.to_le_bytes());
            entry[12..16].copy_from_slice(&offset.to_le_bytes());
            bytes.extend_from_slice(&entry);
        }
        bytes
    }

    #[test]
    fn sections_have_names_and_ranges() {
        let bytes = headers(&[(b".text", 0x1000, 0x234), (b"longname", 0x2000, 1)]);
        let found = sections(&bytes).expect("headers");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].name, ".text");
        assert_eq!((found[0].offset, found[0].size), (0x1000, 0x234));
        assert_eq!(found[1].name, "longname");
        // What is cut off is not made up.
        assert_eq!(
            sections(&bytes[..bytes.len() - 1]).map(|all| all.len()),
            Some(1)
        );
    }

    #[test]
    fn section_name_is_made_printable() {
        let bytes = headers(&[(b"\x1b[2J", 0, 0)]);
        assert_eq!(sections(&bytes).expect("headers")[0].name, "?[2J");
    }

    #[test]
    fn sections_of_non_image_is_none() {
        assert_eq!(sections(b""), None);
        assert_eq!(sections(&[0; 0x1000]), None);
        let mut bytes = headers(&[]);
        bytes[0x3F] = 0xFF;
        assert_eq!(sections(&bytes), None);
    }

    proptest! {
        #[test]
        fn sections_of_damaged_headers_does_not_panic(place in 0_usize..200, byte: u8, end in 0_usize..200) {
            let mut bytes = headers(&[(b".text", 0x1000, 0x1000), (b".data", 0x2000, 0x1000)]);
            let place = place % bytes.len();
            bytes[place] = byte;
            bytes.truncate(end);
            let found = sections(&bytes).unwrap_or_default();
            prop_assert!(found.len() <= usize::from(MOST_SECTIONS));
        }
    }
}
