//! `PAGE_…` in seven places, as ls shows the rights to a file.

use std::fmt;
use std::str::FromStr;

/// What may be done with pages: a number of Windows, 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Protection(pub u32);

/// `PAGE_GUARD`, `PAGE_NOCACHE` and `PAGE_WRITECOMBINE`.
const GUARD: u32 = 0x100;
const NO_CACHE: u32 = 0x200;
const WRITE_COMBINE: u32 = 0x400;

/// The letters behind the modifiers, for each `PAGE_…` that is one bit.
const ACCESS: [(u32, &[u8; 4]); 8] = [
    (0x01, b"----"),
    (0x02, b"R---"),
    (0x04, b"RW--"),
    (0x08, b"RW-C"),
    (0x10, b"--E-"),
    (0x20, b"R-E-"),
    (0x40, b"RWE-"),
    (0x80, b"RWEC"),
];

/// The modifiers and their letters.
const MODIFIERS: [(u32, u8); 3] = [(NO_CACHE, b'N'), (WRITE_COMBINE, b'O'), (GUARD, b'G')];

impl Protection {
    /// That of pages which have none.
    pub const NONE: Self = Self(0);

    /// Whether there is any.
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }

    /// Whether the first touch raises an exception: `PAGE_GUARD`.
    #[must_use]
    pub const fn is_guard(self) -> bool {
        self.0 & GUARD != 0
    }

    /// Whether pages can be executed.
    #[must_use]
    pub const fn is_executable(self) -> bool {
        self.0 & 0xF0 != 0
    }

    /// Whether pages can be written to, for the process or for a copy of its own.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & 0xCC != 0
    }

    /// The seven places. A number that has not exactly one of the eight kinds of
    /// access has question marks for them.
    #[must_use]
    pub fn letters(self) -> [u8; 7] {
        let mut letters = *b"-------";
        for (place, (bit, letter)) in letters.iter_mut().zip(MODIFIERS) {
            if self.0 & bit != 0 {
                *place = letter;
            }
        }
        let access = ACCESS.iter().find(|(number, _)| *number == self.0 & 0xFF);
        let access = access.map_or(b"????", |(_, letters)| *letters);
        letters[3..].copy_from_slice(access);
        letters
    }

    /// The bits that have letters.
    #[must_use]
    pub const fn listed(self) -> Self {
        Self(self.0 & (0xFF | GUARD | NO_CACHE | WRITE_COMBINE))
    }

    /// What seven places stand for.
    #[must_use]
    pub fn from_letters(letters: &[u8]) -> Option<Self> {
        let (modifiers, access) = letters.split_at_checked(MODIFIERS.len())?;
        let (mut number, _) = *ACCESS.iter().find(|(_, letters)| *letters == access)?;
        for (place, (bit, letter)) in modifiers.iter().zip(MODIFIERS) {
            if *place == letter {
                number |= bit;
            } else if *place != b'-' {
                return None;
            }
        }
        Some(Self(number))
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_some() {
            return Ok(());
        }
        let letters = self.letters();
        formatter.pad(std::str::from_utf8(&letters).unwrap_or_default())
    }
}

impl FromStr for Protection {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::from_letters(text.as_bytes()).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_has_seven_positions() {
        for (number, text) in [
            (0x01, "-------"),
            (0x02, "---R---"),
            (0x04, "---RW--"),
            (0x08, "---RW-C"),
            (0x10, "-----E-"),
            (0x20, "---R-E-"),
            (0x40, "---RWE-"),
            (0x80, "---RWEC"),
            (0x104, "--GRW--"),
            (0x204, "N--RW--"),
            (0x404, "-O-RW--"),
            (0x740, "NOGRWE-"),
        ] {
            assert_eq!(Protection(number).to_string(), text, "{number:#x}");
            assert_eq!(text.parse(), Ok(Protection(number)), "{text}");
        }
        assert_eq!(Protection::NONE.to_string(), "");
    }

    #[test]
    fn parse_of_invalid_protection_fails() {
        for text in [
            "", "------", "--------", "---W---", "---rw--", "--NRW--", "---RW-E",
        ] {
            assert_eq!(text.parse::<Protection>(), Err(()), "{text}");
        }
        assert_eq!(Protection(0x106).to_string(), "--G????");
    }
}
