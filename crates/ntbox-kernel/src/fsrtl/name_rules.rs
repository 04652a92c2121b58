//! Names as other file systems want them: which characters are legal where, and
//! whether a name of one-byte characters would do for FAT or HPFS.
//!
//! Macros of the WDK look characters up in a table that the kernel exports.

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use crate::base::export::exports;
use crate::mm::pool;
use crate::mm::pool::PoolKind;

/// What a character is good for.
mod flag {
    pub const FAT: u8 = 0x01;
    pub const HPFS: u8 = 0x02;
    pub const NTFS: u8 = 0x04;
    pub const WILD: u8 = 0x08;
    pub const OLE: u8 = 0x10;
}

/// Characters of the table.
const CHARACTERS: u8 = 0x80;
/// Bytes of a component in FAT: before the dot, behind it.
const FAT: (usize, usize) = (8, 3);
/// Bytes of a component in HPFS.
const HPFS: usize = 255;

/// The flags of a character; those beyond the table are letters of a code page.
const fn flags(character: u8) -> u8 {
    const LEGAL: u8 = flag::FAT | flag::HPFS | flag::NTFS | flag::OLE;
    match character {
        0 | b'/' | b'\\' => 0,
        1..=0x1f | b'|' => flag::OLE,
        b'"' | b'*' | b'<' | b'>' | b'?' => flag::WILD | flag::OLE,
        b'+' | b',' | b';' | b'=' | b'[' | b']' => LEGAL & !flag::FAT,
        b'!' | b'.' => LEGAL & !flag::OLE,
        b':' => flag::NTFS,
        _ => LEGAL,
    }
}

/// Writes the table into pool; 0 without memory.
pub fn table() -> u64 {
    let bytes: Vec<u8> = (0..CHARACTERS).map(flags).collect();
    let tag = u32::from_le_bytes(*b"FsLg");
    let block = pool::allocate(PoolKind::NonPaged, bytes.len() as u64, tag);
    let written = block.filter(|block| driver_mem::write_bytes(*block, &bytes).is_ok());
    written.unwrap_or(0)
}

/// The bytes of a string that is passed by value, which is by address.
fn bytes_of(string: u64) -> Result<Vec<u8>, Fault> {
    let string = UnicodeString::read(string)?;
    let mut bytes = vec![0; usize::from(string.length)];
    driver_mem::read_bytes(string.buffer, &mut bytes)?;
    Ok(bytes)
}

/// What is allowed in a name.
#[derive(Debug, Clone, Copy)]
struct NameRules {
    wildcards: bool,
    path: bool,
    leading_backslash: bool,
}

/// A file system's rules for one component.
#[derive(Debug, Clone, Copy)]
struct Rules {
    flag: u8,
    component: fn(&[u8]) -> bool,
    /// Whether wildcards may stand for any number of characters, so that a component
    /// with them has no length.
    wild_has_no_length: bool,
}

/// A name and its extension, both short, neither with a dot or with a space at its
/// end.
fn fat_component(name: &[u8]) -> bool {
    let good = |part: &[u8], most| {
        (1..=most).contains(&part.len()) && !part.ends_with(b" ") && !part.contains(&b'.')
    };
    match name.iter().position(|character| *character == b'.') {
        None => good(name, FAT.0),
        Some(dot) => good(&name[..dot], FAT.0) && good(&name[dot + 1..], FAT.1),
    }
}

/// Anything that ends neither in a dot nor in a space.
fn hpfs_component(name: &[u8]) -> bool {
    (1..=HPFS).contains(&name.len()) && !name.ends_with(b" ") && !name.ends_with(b".")
}

const FAT_RULES: Rules = Rules {
    flag: flag::FAT,
    component: fat_component,
    wild_has_no_length: true,
};

const HPFS_RULES: Rules = Rules {
    flag: flag::HPFS,
    component: hpfs_component,
    wild_has_no_length: false,
};

impl Rules {
    fn component_is_legal(&self, name: &[u8], wildcards: bool) -> bool {
        // These two are for whoever looks for files, as wildcards are.
        if name == b"." || name == b".." {
            return wildcards;
        }
        let wanted = self.flag | if wildcards { flag::WILD } else { 0 };
        if !name.iter().all(|character| flags(*character) & wanted != 0) {
            return false;
        }
        let wild = name
            .iter()
            .any(|character| flags(*character) & flag::WILD != 0);
        (wild && self.wild_has_no_length) || (self.component)(name)
    }

    fn is_legal(&self, name: &[u8], allowed: NameRules) -> bool {
        let name = match name.strip_prefix(b"\\") {
            Some(_) if !allowed.leading_backslash => return false,
            Some([]) => return true,
            Some(rest) => rest,
            None => name,
        };
        if !allowed.path && name.contains(&b'\\') {
            return false;
        }
        let name = name.strip_suffix(b"\\").unwrap_or(name);
        let mut components = name.split(|character| *character == b'\\');
        components.all(|component| self.component_is_legal(component, allowed.wildcards))
    }
}

exports! {
    /// `FsRtlIsFatDbcsLegal`: the string is passed by value.
    fn FsRtlIsFatDbcsLegal(name: u64, wildcards: bool, path: bool, leading_backslash: bool) -> bool
        [max PASSIVE_LEVEL, ntifs(_fsrtl_advanced_fcb_header)]
    {
        Ok(FAT_RULES.is_legal(&bytes_of(name)?, NameRules { wildcards, path, leading_backslash }))
    }

    /// `FsRtlIsHpfsDbcsLegal`: the string is passed by value.
    fn FsRtlIsHpfsDbcsLegal(name: u64, wildcards: bool, path: bool, leading_backslash: bool) -> bool
        [max PASSIVE_LEVEL, ntifs(_fsrtl_advanced_fcb_header)]
    {
        Ok(HPFS_RULES.is_legal(&bytes_of(name)?, NameRules { wildcards, path, leading_backslash }))
    }

    /// `FsRtlDoesDbcsContainWildCards`.
    fn FsRtlDoesDbcsContainWildCards(name: u64) -> bool [max PASSIVE_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        Ok(bytes_of(name)?.into_iter().any(|character| flags(character) & flag::WILD != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Counted, address, value};

    fn ask(fat: bool, name: &str, allowed: [bool; 3]) -> bool {
        let mut bytes = name.as_bytes().to_vec();
        let used = bytes.len();
        let string = Counted::ansi(&mut bytes, used);
        let [wildcards, path, leading] = allowed.map(u64::from);
        let arguments = [address(&string), wildcards, path, leading];
        let export = if fat {
            FsRtlIsFatDbcsLegal
        } else {
            FsRtlIsHpfsDbcsLegal
        };
        value(export, &arguments) != 0
    }

    #[test]
    fn is_name_legal_matches_reference() {
        const PLAIN: [bool; 3] = [false; 3];
        for (name, fat, hpfs) in [
            ("foo. b", true, true),
            (" bar", true, true),
            (".foo", false, true),
            ("foo.", false, false),
            ("foo .b", false, true),
            ("12345678.123", true, true),
            ("123456789", false, true),
            ("a+b", false, true),
            ("a:b", false, false),
            ("a|b", false, false),
            ("a\x1fb", false, false),
            ("", false, false),
            ("a?", false, false),
            (".", false, false),
            (r"a\b", false, false),
            (r"\a", false, false),
        ] {
            assert_eq!(ask(true, name, PLAIN), fat, "FAT: {name:?}");
            assert_eq!(ask(false, name, PLAIN), hpfs, "HPFS: {name:?}");
        }
    }

    #[test]
    fn is_name_legal_with_allowances() {
        for (name, allowed) in [
            ("a?*", [true, false, false]),
            ("..", [true, false, false]),
            (r"a\b", [false, true, false]),
            (r"a\", [false, true, false]),
            (r"\a", [false, false, true]),
            (r"\", [false, false, true]),
        ] {
            assert!(ask(true, name, allowed), "FAT: {name}");
            assert!(ask(false, name, allowed), "HPFS: {name}");
            assert!(!ask(true, name, allowed.map(|one| !one)), "FAT: {name}");
        }
        assert!(!ask(true, r"a\\b", [true; 3]));
        assert!(ask(true, "123456789*", [true; 3]));
    }

    #[test]
    fn contains_wildcards_finds_each() {
        for (name, expected) in [("a.b", 0), ("a<b", 1), ("\"", 1), ("a*", 1)] {
            let mut bytes = name.as_bytes().to_vec();
            let used = bytes.len();
            let string = Counted::ansi(&mut bytes, used);
            assert_eq!(
                value(FsRtlDoesDbcsContainWildCards, &[address(&string)]),
                expected
            );
        }
    }
}
