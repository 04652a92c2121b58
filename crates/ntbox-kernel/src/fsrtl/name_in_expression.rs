//! Wildcards: `*` and `?`, and the three that stand for what they meant in DOS,
//! `<` (`*` up to the last dot), `>` (`?`, or nothing at a dot or the end) and `"`
//! (a dot, or nothing at the end).

use ntbox_host::driver_mem;
use ntbox_host::driver_mem::UnicodeString;
use ntbox_host::gate::irql::PASSIVE_LEVEL;

use crate::base::export::exports;
use crate::base::upcase::upcase;

const DOT: u16 = b'.' as u16;
const STAR: u16 = b'*' as u16;
const ANY: u16 = b'?' as u16;
const DOS_STAR: u16 = b'<' as u16;
const DOS_ANY: u16 = b'>' as u16;
const DOS_DOT: u16 = b'"' as u16;

/// Whether a unit stands for others.
fn is_wild(unit: u16) -> bool {
    matches!(unit, STAR | ANY | DOS_STAR | DOS_ANY | DOS_DOT)
}

/// Whether a name holds wildcards.
pub fn has_wildcards(name: &[u16]) -> bool {
    name.iter().any(|unit| is_wild(*unit))
}

/// Whether a name is one of those that an expression stands for. Nothing but an
/// empty expression stands for an empty name.
pub fn matches(expression: &[u16], name: &[u16]) -> bool {
    if expression.is_empty() || name.is_empty() {
        return expression.is_empty() && name.is_empty();
    }
    let last_dot = name.iter().rposition(|unit| *unit == DOT);
    // Whether what follows in the expression stands for what follows in the name:
    // by the end of the name, from the last unit of the expression backwards.
    let end = name.len();
    let mut behind: Vec<bool> = (0..=end).map(|at| at == end).collect();
    for unit in expression.iter().rev() {
        let mut here = vec![false; end + 1];
        for at in (0..=end).rev() {
            let next = name.get(at).copied();
            here[at] = match (*unit, next) {
                (STAR | DOS_STAR | DOS_ANY | DOS_DOT, None) | (DOS_ANY, Some(DOT)) => behind[at],
                // It may stand for the last dot, too, but for nothing behind it then.
                (DOS_STAR, Some(_)) if last_dot == Some(at) => behind[at] || behind[at + 1],
                (STAR | DOS_STAR, Some(_)) => behind[at] || here[at + 1],
                (ANY | DOS_ANY, Some(_)) => behind[at + 1],
                (DOS_DOT, Some(other)) => other == DOT && behind[at + 1],
                (_, None) => false,
                (unit, Some(other)) => unit == other && behind[at + 1],
            };
        }
        behind = here;
    }
    behind[0]
}

exports! {
    /// `FsRtlIsNameInExpression`: to ignore case, the expression must be in upper
    /// case already.
    fn FsRtlIsNameInExpression(expression: u64, name: u64, ignore_case: bool, table: u64) -> bool
        [max PASSIVE_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let expression = UnicodeString::read(expression)?.units()?;
        let mut name = UnicodeString::read(name)?.units()?;
        if ignore_case {
            for unit in &mut name {
                *unit = upcase(*unit);
            }
        }
        Ok(matches(&expression, &name))
    }

    /// `FsRtlIsDbcsInExpression`: of one-byte characters.
    fn FsRtlIsDbcsInExpression(expression: u64, name: u64) -> bool
        [max PASSIVE_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let text = |va: u64| -> Result<Vec<u16>, driver_mem::Fault> {
            let string = UnicodeString::read(va)?;
            let mut bytes = vec![0; usize::from(string.length)];
            driver_mem::read_bytes(string.buffer, &mut bytes)?;
            Ok(bytes.into_iter().map(u16::from).collect())
        };
        Ok(matches(&text(expression)?, &text(name)?))
    }

    /// `FsRtlDoesNameContainWildCards`.
    fn FsRtlDoesNameContainWildCards(name: u64) -> bool [max PASSIVE_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        Ok(has_wildcards(&UnicodeString::read(name)?.units()?))
    }

    /// `FsRtlAreNamesEqual`.
    fn FsRtlAreNamesEqual(one: u64, other: u64, ignore_case: bool, table: u64) -> bool
        [max PASSIVE_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let one = UnicodeString::read(one)?.units()?;
        let other = UnicodeString::read(other)?.units()?;
        let same = |(one, other): (&u16, &u16)| {
            one == other || (ignore_case && upcase(*one) == upcase(*other))
        };
        Ok(one.len() == other.len() && one.iter().zip(&other).all(same))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{Counted, address, value, wide};

    fn is_in(expression: &str, name: &str, ignore_case: bool) -> bool {
        let (mut expression, mut name) = (wide(expression), wide(name));
        let lengths = (expression.len() - 1, name.len() - 1);
        let expression = Counted::unicode(&mut expression, lengths.0);
        let name = Counted::unicode(&mut name, lengths.1);
        let arguments = [
            address(&expression),
            address(&name),
            u64::from(ignore_case),
            0,
        ];
        value(FsRtlIsNameInExpression, &arguments) != 0
    }

    #[test]
    fn name_in_expression_matches_reference() {
        for (expression, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "a", true),
            ("*", "", false),
            ("**", "a", true),
            ("ntdll.dll", "ntdll.dll", true),
            ("ntdll.dll", "NTDLL.DLL", false),
            ("nt??krnl.???", "ntoskrnl.exe", true),
            ("he*o", "helo", true),
            ("he*o", "hella", false),
            ("*.c", "a.b.c", true),
            ("*.*", "no dot", false),
            ("?", "ab", false),
            ("a?", "a", false),
            // DOS_STAR reaches up to the last dot.
            ("<.c", "a.b.c", true),
            ("<", "a.b", false),
            ("<b", "a.b", true),
            ("a<txt", "a.b.txt", true),
            ("a<b.txt", "a.bc.txt", false),
            ("a<", "ab", true),
            ("<.b", "a.b", true),
            // DOS_QM may stand for nothing at a dot and at the end.
            ("a>>", "a", true),
            ("a>>.b", "a.b", true),
            ("a>>", "abcd", false),
            // DOS_DOT may stand for nothing at the end only.
            ("a\"", "a", true),
            ("a\"b", "a.b", true),
            ("a\"b", "ab", false),
        ] {
            assert_eq!(
                is_in(expression, name, false),
                expected,
                "{expression} {name}"
            );
        }
        assert!(is_in("F0_*.*", "f0_001.txt", true));
        assert!(
            !is_in("f0_*.*", "f0_001.txt", true),
            "the expression must be in upper case"
        );
    }

    #[test]
    fn name_in_expression_long_is_not_exponential() {
        let expression = "*a".repeat(100);
        assert!(!is_in(&expression, &"a".repeat(99), false));
        assert!(is_in(&expression, &"ba".repeat(100), false));
    }
}
