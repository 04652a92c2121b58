//! Generates 8.3 names for long names: the first legal characters of the name and a
//! number. After four names a checksum replaces most of the characters.

use nt_layout::GenerateNameContext;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::{Fault, UnicodeString};
use ntbox_host::gate::irql::APC_LEVEL;

use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::base::{codepage, upcase};

/// Most characters of a name, of what is kept of it, and of an extension.
const NAME: usize = 8;
const KEPT: usize = 6;
const EXTENSION: usize = 3;
/// Names without the checksum, and characters that a name with it keeps.
const PLAIN_TRIES: u32 = 4;
const KEPT_WITH_SUM: usize = 2;
/// Tries before the call fails.
const MOST_TRIES: u32 = 1_000_000;
const DOT: u16 = b'.' as u16;
/// ASCII characters that an underscore stands for.
const REPLACED: &[u8] = b":;,+=[]";

/// A character as it is in a short name; `None` for what is left out.
fn short(unit: u16, extended: bool) -> Option<u16> {
    if unit <= u16::from(b' ') || unit == DOT {
        return None;
    }
    if let Ok(byte) = u8::try_from(unit)
        && byte.is_ascii()
    {
        let kept = if REPLACED.contains(&byte) {
            b'_'
        } else {
            byte.to_ascii_uppercase()
        };
        return Some(kept.into());
    }
    let capital = upcase::upcase(unit);
    (extended && codepage::exact(capital).is_some()).then_some(capital)
}

/// Splits a name at its last dot, leading ones apart.
fn split(name: &[u16]) -> (&[u16], &[u16]) {
    let start = name
        .iter()
        .position(|unit| *unit != DOT)
        .unwrap_or(name.len());
    let name = &name[start..];
    match name.iter().rposition(|unit| *unit == DOT) {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (name, &[]),
    }
}

/// A number of 16 bits that most other names do not have.
fn checksum(name: &[u16]) -> u16 {
    let sum = name.iter().fold(0_u32, |sum, unit| {
        sum.wrapping_mul(31)
            .wrapping_add(u32::from(*unit))
            .rotate_left(7)
    });
    u16::try_from((sum >> 16 ^ sum) & 0xffff).unwrap_or(0)
}

/// The parts of the name, as a context holds them.
struct NameParts {
    name: Vec<u16>,
    extension: Vec<u16>,
    sum: u16,
    with_sum: bool,
    index: u32,
}

impl NameParts {
    fn new(long: &[u16], extended: bool) -> Self {
        let (name, extension) = split(long);
        let keep = |part: &[u16], most| {
            part.iter()
                .filter_map(|unit| short(*unit, extended))
                .take(most)
                .collect()
        };
        Self {
            name: keep(name, KEPT),
            extension: keep(extension, EXTENSION),
            sum: checksum(long),
            with_sum: false,
            index: 0,
        }
    }

    fn read(context: DriverPtr<GenerateNameContext>) -> Result<Self, Fault> {
        let units = |at: DriverPtr<u16>, count: usize| -> Result<Vec<u16>, Fault> {
            (0..count as u64).map(|n| at.next(n).read()).collect()
        };
        let length = context.get(|context| &context.name_length)?;
        let extension = context.get(|context| &context.extension_length)?;
        Ok(Self {
            name: units(
                context.at(|context| &context.name_buffer).cast(),
                usize::from(length).min(NAME),
            )?,
            extension: units(
                context.at(|context| &context.extension_buffer).cast(),
                usize::try_from(extension).unwrap_or(0).min(EXTENSION),
            )?,
            sum: context.get(|context| &context.checksum)?,
            with_sum: context.get(|context| &context.checksum_inserted)? != 0,
            index: context.get(|context| &context.last_index_value)?,
        })
    }

    fn write(&self, context: DriverPtr<GenerateNameContext>) -> Result<(), Fault> {
        context.set(|context| &context.checksum, self.sum)?;
        context.set(|context| &context.checksum_inserted, self.with_sum.into())?;
        let length = u8::try_from(self.name.len()).unwrap_or(0);
        context.set(|context| &context.name_length, length)?;
        let extension = u32::try_from(self.extension.len()).unwrap_or(0);
        context.set(|context| &context.extension_length, extension)?;
        context.set(|context| &context.last_index_value, self.index)?;
        let name = context.at(|context| &context.name_buffer);
        super::scan::write_units(name.address(), &self.name)?;
        let extension = context.at(|context| &context.extension_buffer);
        super::scan::write_units(extension.address(), &self.extension)
    }

    /// Advances to the next name.
    fn advance(&mut self) {
        self.index += 1;
        if self.index > PLAIN_TRIES && !self.with_sum {
            self.with_sum = true;
            self.index = 1;
            self.name.truncate(KEPT_WITH_SUM);
            self.name.extend(format!("{:04X}", self.sum).encode_utf16());
        }
    }

    fn text(&self) -> Vec<u16> {
        let number: Vec<u16> = format!("~{}", self.index).encode_utf16().collect();
        let room = NAME.saturating_sub(number.len());
        let mut text = self.name[..self.name.len().min(room)].to_vec();
        text.extend(number);
        if !self.extension.is_empty() {
            text.push(DOT);
            text.extend(&self.extension);
        }
        text
    }
}

exports! {
    /// `RtlGenerate8dot3Name`: a context of zeros gives the first name of a long name;
    /// the context is then advanced to the next one.
    fn RtlGenerate8dot3Name(name: u64, extended: bool, context: DriverPtr<GenerateNameContext>, out: u64) -> u32 [max APC_LEVEL, ntifs] {
        let long = UnicodeString::read(name)?.units()?;
        let mut parts = NameParts::read(context)?;
        if parts.index == 0 && !parts.with_sum {
            parts = NameParts::new(&long, extended);
        }
        if parts.with_sum && parts.index >= MOST_TRIES {
            return Ok(nt_status::STATUS_FILE_SYSTEM_LIMITATION);
        }
        parts.advance();
        parts.write(context)?;
        let text = parts.text();
        let given = UnicodeString::read(out)?;
        super::scan::write_units(given.buffer, &text)?;
        driver_mem::write_u16(out, u16::try_from(2 * text.len()).unwrap_or(0))?;
        Ok(nt_status::STATUS_SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cm::tests::helper::Text;
    use crate::test_support::{Counted, address_mut, processor, status};

    /// The first names that are made up for a long one.
    fn names(long: &str, extended: bool, count: usize) -> Vec<String> {
        processor();
        let text = Text::new(long);
        let mut context = [0_u64; 5];
        let mut buffer = [0_u16; 12];
        let mut out = Counted::unicode(&mut buffer, 0);
        let make = |_| {
            let arguments = [
                text.at(),
                extended.into(),
                address_mut(&mut context),
                address_mut(&mut out),
            ];
            assert_eq!(status(RtlGenerate8dot3Name, &arguments), 0);
            out.text()
        };
        (0..count).map(make).collect()
    }

    #[test]
    fn generate_8dot3_keeps_legal_characters() {
        let first = |long: &str| names(long, false, 1).remove(0);
        assert_eq!(first("Longfilename.text"), "LONGFI~1.TEX");
        assert_eq!(first("a.b"), "A~1.B");
        assert_eq!(first("..some file.tar.gz"), "SOMEFI~1.GZ");
        assert_eq!(first("a+b=c[d].x;y"), "A_B_C_~1.X_Y");
        assert_eq!(first("no extension"), "NOEXTE~1");
        assert_eq!(first("gr\u{fc}n.txt"), "GRN~1.TXT");
        assert_eq!(names("gr\u{fc}n.txt", true, 1), ["GR\u{dc}N~1.TXT"]);
    }

    #[test]
    fn generate_8dot3_repeated_is_distinct() {
        let all = names("Longfilename.txt", false, 15);
        assert_eq!(all[1..4], ["LONGFI~2.TXT", "LONGFI~3.TXT", "LONGFI~4.TXT"]);
        assert!(
            all[4].starts_with("LO") && all[4].ends_with("~1.TXT"),
            "{}",
            all[4]
        );
        assert_eq!(all[4].len(), 12);
        assert!(
            all[14].ends_with("~11.TXT") && all[14].len() == 12,
            "{}",
            all[14]
        );
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), 15);
    }
}
