//! INF files: how they are written, stamped and checked.
//!
//! An INF is sections of lines, most of them `key = value, value`. Names do not
//! distinguish upper and lower case, `;` begins a comment, `%name%` stands for
//! one of `[Strings]`. [`stamp`] does what `Stampinf` does for a package like
//! this one, [`rules::check`] what `InfVerif` does.

pub mod rules;

use thiserror::Error;

use crate::date::Date;

/// An INF, as its sections in their order.
#[derive(Debug, Default)]
pub struct Inf {
    sections: Vec<Section>,
}

/// A section: its name, and its lines.
#[derive(Debug)]
pub struct Section {
    /// The name between the brackets.
    pub name: String,
    /// The lines that are neither empty nor comments.
    pub lines: Vec<Line>,
}

/// `key = value, value`, or, without a key, `value, value`.
#[derive(Debug)]
pub struct Line {
    /// What is before `=`.
    pub key: Option<String>,
    /// The rest, without quotes, with strings put in.
    pub values: Vec<String>,
}

/// Why a file is no INF.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    /// A quote or bracket is opened and not closed.
    #[error("line {0}: something is opened and not closed")]
    Open(usize),
    /// A line comes before the first section.
    #[error("line {0}: it is in no section")]
    NoSection(usize),
    /// `%name%` is not in `[Strings]`.
    #[error("%{0}% is not in [Strings]")]
    NoString(String),
}

impl Inf {
    /// Reads an INF.
    ///
    /// # Errors
    ///
    /// [`Malformed`], with the line.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let mut inf = Self::default();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let line = without_comment(line).ok_or(Malformed::Open(number))?.trim();
            if let Some(rest) = line.strip_prefix('[') {
                let name = rest.strip_suffix(']').ok_or(Malformed::Open(number))?;
                inf.sections.push(Section {
                    name: name.trim().to_owned(),
                    lines: Vec::new(),
                });
            } else if !line.is_empty() {
                let section = inf.sections.last_mut();
                let section = section.ok_or(Malformed::NoSection(number))?;
                section.lines.push(Line::parse(line));
            }
        }
        inf.put_in_strings()?;
        Ok(inf)
    }

    /// All sections of this name.
    pub fn sections(&self, name: &str) -> impl Iterator<Item = &Section> {
        self.sections
            .iter()
            .filter(move |section| section.name.eq_ignore_ascii_case(name))
    }

    /// The values of a key in a section; none if either is missing.
    #[must_use]
    pub fn values(&self, section: &str, key: &str) -> Option<&[String]> {
        self.sections(section)
            .find_map(|section| section.values(key))
    }

    /// Replaces `%name%` everywhere; `%13%`, a folder by its number, stays.
    fn put_in_strings(&mut self) -> Result<(), Malformed> {
        let strings: Vec<(String, String)> = self
            .sections("Strings")
            .flat_map(|section| &section.lines)
            .filter_map(|line| Some((line.key.clone()?, line.values.join(","))))
            .collect();
        let lines = self
            .sections
            .iter_mut()
            .flat_map(|section| &mut section.lines);
        for value in lines.flat_map(|line| &mut line.values) {
            *value = put_in(value, &strings)?;
        }
        Ok(())
    }
}

impl Section {
    /// The values of a key.
    #[must_use]
    pub fn values(&self, key: &str) -> Option<&[String]> {
        self.lines
            .iter()
            .find(|line| line.has_key(key))
            .map(|line| line.values.as_slice())
    }
}

impl Line {
    /// Whether the line has this key.
    #[must_use]
    pub fn has_key(&self, key: &str) -> bool {
        self.key
            .as_deref()
            .is_some_and(|name| name.eq_ignore_ascii_case(key))
    }

    fn parse(line: &str) -> Self {
        let parts = split(line, '=');
        let (key, rest) = match parts.as_slice() {
            [key, _, ..] => (Some(unquoted(key)), line[key.len() + 1..].trim()),
            _ => (None, line),
        };
        let values = if rest.is_empty() {
            Vec::new()
        } else {
            split(rest, ',').into_iter().map(unquoted).collect()
        };
        Self { key, values }
    }
}

/// The line up to a `;` that is not between quotes; `None` if quotes stay open.
fn without_comment(line: &str) -> Option<&str> {
    let part = split(line, ';')[0];
    part.matches('"').count().is_multiple_of(2).then_some(part)
}

/// Splits at a separator that is not between quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut is_quoted = false;
    text.split(|character| {
        is_quoted ^= character == '"';
        character == separator && !is_quoted
    })
    .collect()
}

/// Without blanks around it, and without quotes.
fn unquoted(text: &str) -> String {
    text.trim().trim_matches('"').to_owned()
}

/// Replaces each `%name%` in `text`.
fn put_in(text: &str, strings: &[(String, String)]) -> Result<String, Malformed> {
    let mut parts = text.split('%');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    while let (Some(name), Some(after)) = (parts.next(), parts.next()) {
        let known = strings
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        if let Some((_, value)) = known {
            whole += value;
        } else if name.is_empty() || name.bytes().all(|byte| byte.is_ascii_digit()) {
            whole.extend(["%", name, "%"]);
        } else {
            return Err(Malformed::NoString(name.to_owned()));
        }
        whole += after;
    }
    Ok(whole)
}

/// Makes an INF of an INX: architecture x64, this date and version, and the line
/// ends that Windows' own INFs have.
#[must_use]
pub fn stamp(inx: &str, date: &Date, version: &str) -> String {
    inx.lines()
        .map(|line| {
            let key = line.split('=').next().unwrap_or_default().trim();
            if key.eq_ignore_ascii_case("DriverVer") && line.contains('=') {
                format!("DriverVer   = {},{version}\r\n", date.for_inf())
            } else {
                line.replace("$ARCH$", "amd64") + "\r\n"
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_reads_quotes_comments_and_strings() {
        let inf = Inf::parse(
            "; c\n[A]\nk = a, \"b;,=\" , %s% ; c\nplain,x\n[b]\nempty =\nd=%13%\\f\n[strings]\nS = \"t, u\"\n",
        )
        .expect("well formed");
        assert_eq!(inf.values("a", "K").expect("k"), ["a", "b;,=", "t, u"]);
        let plain = &inf.sections("A").next().expect("A").lines[1];
        assert_eq!(
            (plain.key.is_none(), plain.values.as_slice()),
            (true, &["plain".to_owned(), "x".to_owned()][..])
        );
        assert_eq!(inf.values("B", "empty").expect("empty"), [""; 0]);
        assert_eq!(inf.values("B", "d").expect("d"), ["%13%\\f"]);
    }

    #[test]
    fn parse_error_has_line() {
        let error = |text| Inf::parse(text).expect_err("malformed");
        assert_eq!(error("\nx = 1"), Malformed::NoSection(2));
        assert_eq!(error("[a"), Malformed::Open(1));
        assert_eq!(error("[a]\nx = \"1"), Malformed::Open(2));
        assert_eq!(error("[a]\nx = %y%"), Malformed::NoString("y".to_owned()));
    }

    #[test]
    fn stamp_fills_architecture_and_version() {
        let date = Date::from_unix(1_709_251_199);
        assert_eq!(
            stamp("[X.NT$ARCH$]\nDriverVer =\n", &date, "1.2.3.4"),
            "[X.NTamd64]\r\nDriverVer   = 02/29/2024,1.2.3.4\r\n"
        );
    }
}
