//! Patterns for one log line: literal text with named fields in braces, such as
//! `pool {size:dec} bytes at {pool:ptr}`.
//!
//! A field specifies the notation of its value. A line in another notation does not
//! match, and a mismatch has the exact column.

use std::fmt;
use std::ops::Range;

/// A pattern for a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    source: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Field(Field),
}

/// A field of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// The name; `_` if the value is not captured.
    pub(crate) name: String,
    pub(crate) kind: FieldKind,
    pub(crate) mode: Mode,
}

/// The number of values of a field and their use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One value, captured under the name.
    Capture,
    /// One value, which must equal the captured value of the name.
    BackReference,
    /// One or more values separated by single spaces, all captured.
    List,
}

/// The notation of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// `dec`: a decimal number without leading zeros.
    Dec,
    /// `hex`: `0x` and 1 to 16 hexadecimal digits, no leading zeros.
    Hex,
    /// `hexN`, such as `hex8`: `0x` and exactly N hexadecimal digits.
    HexDigits(u8),
    /// `ptr`: exactly 16 hexadecimal digits, as `%p` prints on x64.
    Ptr,
    /// `word`: letters, digits, `_`, `-` and `.`.
    Word,
    /// `text`: anything up to the literal that follows, or to the end.
    Text,
}

impl FieldKind {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "dec" => Self::Dec,
            "hex" => Self::Hex,
            "ptr" => Self::Ptr,
            "word" => Self::Word,
            "text" => Self::Text,
            _ => {
                let digits = name.strip_prefix("hex")?.parse().ok()?;
                (1..=16)
                    .contains(&digits)
                    .then_some(Self::HexDigits(digits))?
            }
        })
    }

    fn describe(self) -> String {
        match self {
            Self::Dec => "a decimal number".to_owned(),
            Self::Hex => "a hexadecimal number with 0x".to_owned(),
            Self::HexDigits(digits) => format!("0x and {digits} hexadecimal digits"),
            Self::Ptr => "16 hexadecimal digits".to_owned(),
            Self::Word => "a word".to_owned(),
            Self::Text => "text".to_owned(),
        }
    }

    /// Reads a value at the start of `text`; returns the value and its length. `stop` is
    /// the following literal, which delimits [`FieldKind::Text`].
    fn read(self, text: &str, stop: Option<&str>) -> Option<(Value, usize)> {
        let prefix_length =
            |text: &str, accept: fn(char) -> bool| text.find(|c| !accept(c)).unwrap_or(text.len());
        let number = |prefix: usize, length: usize, radix| {
            let number = u64::from_str_radix(&text[prefix..prefix + length], radix).ok()?;
            Some((Value::Number(number), prefix + length))
        };
        let has_no_leading_zero = |digits: &str| digits.len() == 1 || !digits.starts_with('0');
        let hexadecimal = |c: char| c.is_ascii_hexdigit();
        match self {
            Self::Dec => {
                let length = prefix_length(text, |c| c.is_ascii_digit());
                has_no_leading_zero(&text[..length]).then(|| number(0, length, 10))?
            }
            Self::Hex | Self::HexDigits(_) => {
                let digits = text.strip_prefix("0x")?;
                let length = prefix_length(digits, hexadecimal);
                let is_valid = match self {
                    Self::HexDigits(count) => length == usize::from(count),
                    _ => has_no_leading_zero(&digits[..length]),
                };
                is_valid.then(|| number(2, length, 16))?
            }
            Self::Ptr => {
                let length = prefix_length(text, hexadecimal);
                (length == 16).then(|| number(0, length, 16))?
            }
            Self::Word => {
                let length = prefix_length(text, |c| {
                    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
                });
                (length > 0).then(|| (Value::Text(text[..length].to_owned()), length))
            }
            Self::Text => {
                let length = stop.map_or(Some(text.len()), |stop| text.find(stop))?;
                Some((Value::Text(text[..length].to_owned()), length))
            }
        }
    }
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number in any notation.
    Number(u64),
    /// A word or text.
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => fmt::Display::fmt(&NumberDisplay(*number), f),
            Self::Text(text) => write!(f, "`{text}`"),
        }
    }
}

/// Displays a number in decimal below 10, else in hexadecimal.
pub(crate) struct NumberDisplay(pub(crate) u64);

impl fmt::Display for NumberDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 10 {
            write!(f, "{}", self.0)
        } else {
            write!(f, "{:#x}", self.0)
        }
    }
}

/// The value of a field in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Capture {
    pub(crate) name: String,
    /// Whether the value must equal the captured value of the name.
    pub(crate) is_back_reference: bool,
    pub(crate) value: Value,
    /// The bytes in the line.
    pub(crate) span: Range<usize>,
}

/// The reason why a line does not match a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MatchFailure {
    /// The byte column up to which the line matches.
    pub(crate) column: usize,
    /// The expected text there.
    pub(crate) expected: String,
}

/// An invalid pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pattern `{pattern}` is invalid: {reason}")]
pub struct PatternError {
    /// The pattern.
    pub pattern: String,
    /// The reason.
    pub reason: String,
}

impl Pattern {
    /// Parses a pattern. A field is `{name:kind}`. The value of `{=name:kind}` must equal
    /// the captured value of the name; `{name:kind+}` is one or more values separated by
    /// single spaces; `{_:kind}` is not captured; `{{` and `}}` are braces.
    ///
    /// # Errors
    ///
    /// If a brace is not closed, a kind is unknown, a name is missing, or a
    /// `text` field is followed by another field.
    pub fn parse(source: &str) -> Result<Self, PatternError> {
        let error = |reason: String| PatternError {
            pattern: source.to_owned(),
            reason,
        };
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            let after = &rest[at + 1..];
            if let Some(tail) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = tail;
                continue;
            }
            if brace == "}" {
                return Err(error(format!("`}}` at {at} has no `{{`; write `}}}}`")));
            }
            let (inside, tail) = after
                .split_once('}')
                .ok_or_else(|| error(format!("`{{{after}` is not closed")))?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            if matches!(parts.last(), Some(Part::Field(field)) if field.kind == FieldKind::Text) {
                return Err(error(format!(
                    "the text before `{{{inside}}}` has no end; put a literal between"
                )));
            }
            parts.push(Part::Field(Field::parse(inside).map_err(error)?));
            rest = tail;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self {
            source: source.to_owned(),
            parts,
        })
    }

    /// Matches a line.
    pub(crate) fn read(&self, line: &str) -> Result<Vec<Capture>, MatchFailure> {
        let mut captures = Vec::new();
        let mut at = 0;
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Literal(text) => at = read_literal(line, at, text)?,
                Part::Field(field) => {
                    let stop = match self.parts.get(index + 1) {
                        Some(Part::Literal(text)) => Some(text.as_str()),
                        _ => None,
                    };
                    at = field.read(line, at, stop, &mut captures)?;
                }
            }
        }
        if at < line.len() {
            return Err(MatchFailure {
                column: at,
                expected: "the end of the line".to_owned(),
            });
        }
        Ok(captures)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl Field {
    fn parse(inside: &str) -> Result<Self, String> {
        let (name, kind) = inside.split_once(':').ok_or_else(|| {
            format!("`{{{inside}}}` has no kind; write for example `{{{inside}:dec}}`")
        })?;
        let (name, is_back_reference) = name
            .strip_prefix('=')
            .map_or((name, false), |name| (name, true));
        let (kind, list) = kind
            .strip_suffix('+')
            .map_or((kind, false), |kind| (kind, true));
        if name.is_empty() || (is_back_reference && (list || name == "_")) {
            return Err(format!("`{{{inside}}}` needs one name"));
        }
        let kind = FieldKind::parse(kind).ok_or_else(|| {
            format!(
                "unknown kind `{kind}`; the kinds are dec, hex, hex1 to hex16, ptr, word and text"
            )
        })?;
        if list && kind == FieldKind::Text {
            return Err("a list of texts has no separator".to_owned());
        }
        let mode = match (is_back_reference, list) {
            (true, _) => Mode::BackReference,
            (_, true) => Mode::List,
            _ => Mode::Capture,
        };
        Ok(Self {
            name: name.to_owned(),
            kind,
            mode,
        })
    }

    /// Reads the field at `at` and returns the column after it.
    fn read(
        &self,
        line: &str,
        at: usize,
        stop: Option<&str>,
        captures: &mut Vec<Capture>,
    ) -> Result<usize, MatchFailure> {
        let mut take = |at: usize| {
            let (value, length) = self.kind.read(&line[at..], stop)?;
            let span = at..at + length;
            captures.push(Capture {
                name: self.name.clone(),
                is_back_reference: self.mode == Mode::BackReference,
                value,
                span,
            });
            Some(at + length)
        };
        let mut at = take(at).ok_or_else(|| MatchFailure {
            column: at,
            expected: self.describe(),
        })?;
        while self.mode == Mode::List && line[at..].starts_with(' ') {
            match take(at + 1) {
                Some(next) => at = next,
                None => break,
            }
        }
        Ok(at)
    }

    fn describe(&self) -> String {
        if self.name == "_" {
            self.kind.describe()
        } else {
            format!("{} ({})", self.kind.describe(), self.name)
        }
    }
}

/// Matches literal text at `at` and returns the column after it.
fn read_literal(line: &str, at: usize, text: &str) -> Result<usize, MatchFailure> {
    let rest = &line[at..];
    if rest.starts_with(text) {
        return Ok(at + text.len());
    }
    let common: usize = rest
        .chars()
        .zip(text.chars())
        .take_while(|(a, b)| a == b)
        .map(|(c, _)| c.len_utf8())
        .sum();
    Err(MatchFailure {
        column: at + common,
        expected: format!("`{}`", &text[common..]),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(source: &str) -> Pattern {
        Pattern::parse(source).expect("the pattern is valid")
    }

    #[test]
    fn read_returns_values_with_spans() {
        let found = pattern("pool {size:dec} at {pool:ptr}.")
            .read("pool 4096 at FFFF800000001000.")
            .unwrap();
        assert_eq!(found[0].value, Value::Number(4096));
        assert_eq!(found[0].span, 5..9);
        assert_eq!(found[1].value, Value::Number(0xFFFF_8000_0000_1000));
    }

    #[test]
    fn read_failure_has_column_and_expected_text() {
        let failure = pattern("pool {size:dec} bytes")
            .read("pool 4096 octets")
            .unwrap_err();
        assert_eq!(
            failure,
            MatchFailure {
                column: 10,
                expected: "`bytes`".to_owned()
            }
        );
        let failure = pattern("pool {size:dec}").read("pool 0x10").unwrap_err();
        assert_eq!(
            (failure.column, failure.expected.as_str()),
            (6, "the end of the line")
        );
        let failure = pattern("pool {size:hex}").read("pool 16").unwrap_err();
        assert_eq!(
            (failure.column, failure.expected.as_str()),
            (5, "a hexadecimal number with 0x (size)")
        );
    }

    #[test]
    fn read_rejects_other_notations() {
        for (kind, bad) in [
            (
                "dec",
                ["007", "+1", "18446744073709551616", "", "１"].as_slice(),
            ),
            ("hex", &["0x", "12", "0x1FFFFFFFFFFFFFFFF", "0X1", "0x01"]),
            ("hex4", &["0x1", "0x00001", "0001", "0x"]),
            (
                "ptr",
                &["FFFF80000000100", "0FFFF800000001000", "0xFFFF8000000010"],
            ),
            ("word", &["", " a", "é"]),
        ] {
            for text in bad {
                assert!(
                    pattern(&format!("{{v:{kind}}}")).read(text).is_err(),
                    "{kind} accepts `{text}`"
                );
            }
        }
    }

    #[test]
    fn read_matches_list_and_text_fields() {
        let found = pattern("pfns {pfn:hex+} end")
            .read("pfns 0x1 0x2 0x3 end")
            .unwrap();
        assert_eq!(found.len(), 3);
        let found = pattern("{_:text} ({why:text})")
            .read("a b (because)")
            .unwrap();
        assert_eq!(found[1].value, Value::Text("because".to_owned()));
    }

    #[test]
    fn parse_error_has_reason() {
        for (source, reason) in [
            ("{a:dec", "not closed"),
            ("a}", "write"),
            ("{a}", "no kind"),
            ("{a:int}", "unknown kind"),
            ("{a:hex17}", "unknown kind"),
            ("{:dec}", "needs one name"),
            ("{a:text}{b:dec}", "no end"),
            ("{a:text+}", "separator"),
        ] {
            let error = Pattern::parse(source).unwrap_err();
            assert!(error.reason.contains(reason), "{source}: {error}");
        }
    }

    proptest! {
        #![proptest_config(crate::fixed_cases())]

        #[test]
        fn read_returns_formatted_values(size: u64, address: u64, word in "[a-z][a-z0-9-]{0,8}", text in "[^)]{0,20}") {
            let line = format!("{word} {size} {address:016X} {size:#x} {{({text})");
            let found = pattern("{w:word} {d:dec} {p:ptr} {h:hex} {{({t:text})").read(&line).unwrap();
            let values: Vec<_> = found.into_iter().map(|found| found.value).collect();
            prop_assert_eq!(values, [
                Value::Text(word), Value::Number(size), Value::Number(address), Value::Number(size), Value::Text(text),
            ]);
        }

        #[test]
        fn parse_and_read_of_any_text_do_not_panic(source in "[a{}:=+_dechxptrw ]{0,24}", line in "\\PC{0,24}") {
            if let Ok(pattern) = Pattern::parse(&source)
                && let Err(failure) = pattern.read(&line)
            {
                prop_assert!(line.is_char_boundary(failure.column));
            }
        }
    }
}
