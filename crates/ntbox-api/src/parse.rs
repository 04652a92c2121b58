//! Words: what people write on a command line or in a file. Programs that offer the
//! same options read them here, so that they mean the same everywhere.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Instrument, VolumeFile};
pub use crate::rules::rule;
use crate::{Fault, Guard, OsVersion, RegValue, Verify};

/// Why a word is not what it should be: what is wrong, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(String);

impl ParseError {
    /// An error with this message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

fn wrong<T>(message: impl Into<String>) -> Result<T, ParseError> {
    Err(ParseError::new(message))
}

/// The names that are spelled like `text`: few letters differ, or it is a part of them. The
/// most alike first, at most three.
pub fn similar<'n>(text: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let limit = text.len() / 3;
    let mut found: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let distance = strsim::levenshtein(text, name);
            let is_part = text.len() >= 4 && name.contains(text);
            (distance <= limit || is_part).then_some((distance, name))
        })
        .collect();
    found.sort_unstable();
    found.truncate(3);
    found.into_iter().map(|(_, name)| name).collect()
}

/// The end of a message on a wrong name: names that are meant perhaps, or `otherwise`.
#[must_use]
pub fn did_you_mean(names: &[&str], otherwise: &str) -> String {
    if names.is_empty() {
        otherwise.to_owned()
    } else {
        format!("; did you mean {}?", names.join(" or "))
    }
}

/// A mask of the debug print filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// The mask of WIN2000, which counts for every component.
    Win2000(u32),
    /// A component's number and mask.
    Component(u32, u32),
}

/// Components that drivers of others than Microsoft print as.
const COMPONENTS: &[(&str, u32)] = &[
    ("SCSIMINIPORT", 13),
    ("FLTMGR", 47),
    ("IHVDRIVER", 77),
    ("IHVVIDEO", 78),
    ("IHVAUDIO", 79),
    ("IHVNETWORK", 80),
    ("IHVSTREAMING", 81),
    ("IHVBUS", 82),
    ("STORMINIPORT", 90),
    ("DEFAULT", 101),
    ("NDIS", 120),
];

/// The name of a component that has one here.
#[must_use]
pub fn component_name(number: u32) -> Option<&'static str> {
    COMPONENTS
        .iter()
        .find(|(_, other)| *other == number)
        .map(|(name, _)| *name)
}

/// A number, decimal or `0x` hexadecimal.
///
/// # Errors
/// It is none, or larger than 64 bits.
pub fn number(text: &str) -> Result<u64, ParseError> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return wrong(format!(
            "`{text}` is not a number; write it as 4096 or 0x1000"
        ));
    }
    u64::from_str_radix(digits, radix).or_else(|_| wrong(format!("`{text}` does not fit 64 bits")))
}

/// The same with 32 bits.
///
/// # Errors
/// It is none, or larger than 32 bits.
pub fn number32(text: &str) -> Result<u32, ParseError> {
    u32::try_from(number(text)?).or_else(|_| wrong(format!("`{text}` does not fit 32 bits")))
}

/// Bytes as hexadecimal digits, with blanks or commas between them if need be.
fn bytes(text: &str) -> Result<Vec<u8>, ParseError> {
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | ',')).collect();
    if let Some(other) = digits.chars().find(|digit| !digit.is_ascii_hexdigit()) {
        return wrong(format!("`{text}` is not hexadecimal: it has `{other}`"));
    }
    if digits.len() % 2 == 1 {
        return wrong(format!("`{text}` has half a byte too many"));
    }
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
            .unwrap_or(0)
    };
    Ok(digits
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect())
}

/// Strings between commas or semicolons; after a backslash these belong to their
/// string.
fn list(text: &str) -> Result<Vec<String>, ParseError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let separates = |c: &char| matches!(c, ',' | ';');
    let mut strings = Vec::new();
    let mut string = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if separates(&c) {
            strings.push(std::mem::take(&mut string));
        } else if c == '\\'
            && let Some(literal) = rest.next_if(separates)
        {
            string.push(literal);
        } else {
            string.push(c);
        }
    }
    strings.push(string);
    if strings.iter().any(String::is_empty) {
        return wrong(format!(
            "`{text}` has an empty string, which ends a list in the registry"
        ));
    }
    Ok(strings)
}

/// A registry value, `TYPE:DATA`: `dword:N`, `qword:N`, `sz:TEXT`, `expand:TEXT`,
/// `multi:TEXT,TEXT`, `binary:HEX` or `raw:KIND:HEX`.
///
/// # Errors
/// What is wrong with it.
pub fn value(text: &str) -> Result<RegValue, ParseError> {
    let Some((kind, data)) = text.split_once(':') else {
        return wrong(format!(
            "`{text}` has no type; write dword:{text} or sz:{text}"
        ));
    };
    Ok(match kind {
        "dword" => RegValue::Dword(number32(data)?),
        "qword" => RegValue::Qword(number(data)?),
        "sz" => RegValue::Sz(data.to_owned()),
        "expand" | "expand-sz" => RegValue::ExpandSz(data.to_owned()),
        "multi" | "multi-sz" => RegValue::MultiSz(list(data)?),
        "binary" => RegValue::Binary(bytes(data)?),
        "raw" => match data.split_once(':') {
            Some((kind, data)) => RegValue::Raw {
                kind: number32(kind)?,
                data: bytes(data)?,
            },
            None => return wrong("write raw:KIND:HEX, such as raw:4:0010"),
        },
        other => {
            return wrong(format!(
                "unknown type `{other}`; there are dword, qword, sz, expand, multi, binary and raw"
            ));
        }
    })
}

/// A value of the `Parameters` key, `NAME=TYPE:DATA`. An empty name is the key's
/// default value.
///
/// # Errors
/// What is wrong with it.
pub fn parameter(text: &str) -> Result<(String, RegValue), ParseError> {
    match text.split_once('=') {
        Some((name, data)) => Ok((name.to_owned(), value(data)?)),
        None => wrong("write NAME=TYPE:DATA, such as Size=dword:4096"),
    }
}

/// A call that is to fail, `EXPORT` or `EXPORT:N`.
///
/// # Errors
/// What is wrong with it.
pub fn fault(text: &str) -> Result<Fault, ParseError> {
    let (export, nth) = match text.split_once(':') {
        Some((export, nth)) => (export, number32(nth)?),
        None => (text, 1),
    };
    if export.is_empty() || nth == 0 {
        return wrong("write EXPORT:N, such as IoAllocateMdl:1; N counts from 1");
    }
    Ok(Fault {
        export: export.to_owned(),
        nth,
    })
}

/// A mask of the debug print filter, `COMPONENT=MASK`; the component is a name
/// such as `IHVDRIVER`, `WIN2000`, or a number.
///
/// # Errors
/// What is wrong with it.
pub fn filter(text: &str) -> Result<Mask, ParseError> {
    let Some((component, mask)) = text.split_once('=') else {
        return wrong("write COMPONENT=MASK, such as IHVDRIVER=0xf");
    };
    let mask = number32(mask)?;
    let plain = component.to_ascii_uppercase();
    if plain == "WIN2000" {
        return Ok(Mask::Win2000(mask));
    }
    if let Some((_, number)) = COMPONENTS.iter().find(|(name, _)| *name == plain) {
        return Ok(Mask::Component(*number, mask));
    }
    if let Ok(number) = number32(component) {
        return Ok(Mask::Component(number, mask));
    }
    let names: Vec<_> = COMPONENTS.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    wrong(format!(
        "`{component}` is no component; write its number, WIN2000 or one of {names}"
    ))
}

/// A version of Windows, `MAJOR.MINOR.BUILD`.
///
/// # Errors
/// What is wrong with it.
pub fn version(text: &str) -> Result<OsVersion, ParseError> {
    let numbers: Vec<&str> = text.split('.').collect();
    let [major, minor, build] = numbers[..] else {
        return wrong("write MAJOR.MINOR.BUILD, such as 10.0.19045");
    };
    Ok(OsVersion {
        major: number32(major)?,
        minor: number32(minor)?,
        build: number32(build)?,
    })
}

/// A time in seconds, such as `10` or `0.5`, up to a day.
///
/// # Errors
/// What is wrong with it.
pub fn seconds(text: &str) -> Result<Duration, ParseError> {
    const DAY: f64 = 86_400.0;
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= DAY => Ok(Duration::from_secs_f64(seconds)),
        _ => wrong(format!(
            "`{text}` is not a time; write seconds, such as 10 or 0.5, more than 0 and up to a day"
        )),
    }
}

/// A set of rules: `standard` or `strict`. The words of former versions, `overruns`
/// and `underruns`, are the standard set with the guard page that they name.
///
/// # Errors
/// There is no such set.
pub fn verify(text: &str) -> Result<(Verify, Option<Guard>), ParseError> {
    match text {
        "standard" => Ok((Verify::Standard, None)),
        "strict" => Ok((Verify::Strict, None)),
        "overruns" => Ok((Verify::Standard, Some(Guard::After))),
        "underruns" => Ok((Verify::Standard, Some(Guard::Before))),
        _ => wrong(format!(
            "`{text}` is no set of rules; write standard or strict"
        )),
    }
}

/// Where the guard page of a block lies: `after` or `before` it.
///
/// # Errors
/// It is neither.
pub fn guard(text: &str) -> Result<Guard, ParseError> {
    match text {
        "after" => Ok(Guard::After),
        "before" => Ok(Guard::Before),
        _ => wrong(format!(
            "`{text}` is no side of a block; write after or before"
        )),
    }
}

/// How the driver's code runs: `off`, `plain` or `memory`.
///
/// # Errors
/// It is none of these.
pub fn instrument(text: &str) -> Result<Instrument, ParseError> {
    match text {
        "off" => Ok(Instrument::Off),
        "plain" => Ok(Instrument::Plain),
        "memory" => Ok(Instrument::Memory),
        _ => wrong(format!(
            "`{text}` is no way to run code; write off, plain or memory"
        )),
    }
}

/// The name of a service.
///
/// # Errors
/// No Service Control Manager takes it.
pub fn service(text: &str) -> Result<String, ParseError> {
    if text.is_empty() || text.encode_utf16().count() > 256 || text.contains(['/', '\\']) {
        return wrong(format!(
            "`{text}` cannot be the name of a service: 1 to 256 characters, no slash or backslash"
        ));
    }
    Ok(text.to_owned())
}

/// A file for the volume `C:`, as in `C:\\data\\x.bin=x.bin`: its path there, and
/// the host's file that it is a copy of.
///
/// # Errors
/// There is no path on `C:`, or no file.
pub fn volume_file(text: &str) -> Result<VolumeFile, ParseError> {
    let parts = text.split_once('=').filter(|(_, file)| !file.is_empty());
    let path = parts.and_then(|(path, file)| {
        let inside = path
            .strip_prefix("C:")
            .or_else(|| path.strip_prefix("c:"))?;
        let named = inside.starts_with('\\') && !inside.ends_with('\\');
        named.then(|| (inside.to_owned(), PathBuf::from(file)))
    });
    match path {
        Some((path, content)) => Ok(VolumeFile { path, content }),
        None => Err(ParseError::new(format!(
            r"`{text}` is no file for the volume; write C:\PATH=FILE, as in C:\data\x.bin=x.bin"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verify_and_guard_are_parsed() {
        assert_eq!(verify("standard"), Ok((Verify::Standard, None)));
        assert_eq!(verify("strict"), Ok((Verify::Strict, None)));
        assert_eq!(
            verify("overruns"),
            Ok((Verify::Standard, Some(Guard::After)))
        );
        assert_eq!(
            verify("underruns"),
            Ok((Verify::Standard, Some(Guard::Before)))
        );
        assert_eq!(guard("after"), Ok(Guard::After));
        assert_eq!(guard("before"), Ok(Guard::Before));
        for text in ["", "off", "Strict", "all"] {
            assert!(verify(text).is_err() && guard(text).is_err(), "{text}");
        }
        assert_eq!(instrument("plain"), Ok(Instrument::Plain));
        assert_eq!(instrument("memory"), Ok(Instrument::Memory));
        assert_eq!(instrument("off"), Ok(Instrument::Off));
        assert!(instrument("all").is_err());
    }

    #[test]
    fn parameter_of_each_type_is_parsed() {
        let strings =
            |list: &[&str]| RegValue::MultiSz(list.iter().map(|text| (*text).to_owned()).collect());
        for (text, expected) in [
            ("dword:4096", RegValue::Dword(4096)),
            ("dword:0xFFFFFFFF", RegValue::Dword(u32::MAX)),
            ("qword:18446744073709551615", RegValue::Qword(u64::MAX)),
            ("sz:", RegValue::Sz(String::new())),
            ("sz:a=b:c,d", RegValue::Sz("a=b:c,d".to_owned())),
            (
                "expand:%SystemRoot%",
                RegValue::ExpandSz("%SystemRoot%".to_owned()),
            ),
            ("multi:", strings(&[])),
            ("multi-sz:a;b", strings(&["a", "b"])),
            (r"multi:\Device\a,b\,c", strings(&[r"\Device\a", "b,c"])),
            ("binary:00 1f,Ff", RegValue::Binary(vec![0, 0x1f, 0xff])),
            (
                "raw:0x4:0010",
                RegValue::Raw {
                    kind: 4,
                    data: vec![0, 0x10],
                },
            ),
            (
                "raw:99:",
                RegValue::Raw {
                    kind: 99,
                    data: Vec::new(),
                },
            ),
        ] {
            assert_eq!(value(text), Ok(expected), "{text}");
        }
        assert_eq!(
            parameter("Size=dword:1"),
            Ok(("Size".to_owned(), RegValue::Dword(1)))
        );
        assert_eq!(
            parameter("=sz:a=b"),
            Ok((String::new(), RegValue::Sz("a=b".to_owned())))
        );
    }

    #[test]
    fn parameter_invalid_has_reason() {
        for (text, part) in [
            ("4096", "dword:4096"),
            ("int:1", "unknown type"),
            ("dword:", "is not a number"),
            ("dword:-1", "is not a number"),
            ("dword:+1", "is not a number"),
            ("dword:0x", "is not a number"),
            ("dword:4294967296", "32 bits"),
            ("qword:18446744073709551616", "64 bits"),
            ("binary:0", "half a byte"),
            ("binary:0g", "it has `g`"),
            ("binary:ää", "it has `ä`"),
            ("raw:4", "raw:KIND:HEX"),
            ("multi:a,,b", "empty string"),
        ] {
            let message = value(text).expect_err(text).to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
        assert!(parameter("Size").is_err());
    }

    #[test]
    fn fault_is_parsed() {
        assert_eq!(
            fault("IoAllocateMdl"),
            Ok(Fault {
                export: "IoAllocateMdl".to_owned(),
                nth: 1
            })
        );
        assert_eq!(
            fault("IoAllocateMdl:3"),
            Ok(Fault {
                export: "IoAllocateMdl".to_owned(),
                nth: 3
            })
        );
        for bad in [
            "",
            ":1",
            "IoAllocateMdl:0",
            "IoAllocateMdl:",
            "IoAllocateMdl:x",
        ] {
            assert!(fault(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn filter_is_parsed() {
        assert_eq!(filter("ihvdriver=0xf"), Ok(Mask::Component(77, 15)));
        assert_eq!(filter("102=8"), Ok(Mask::Component(102, 8)));
        assert_eq!(filter("Win2000=0"), Ok(Mask::Win2000(0)));
        assert_eq!(component_name(77), Some("IHVDRIVER"));
        for bad in ["IHVDRIVER", "FOO=1", "IHVDRIVER=", "IHVDRIVER=x", "=1"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn version_time_and_service_are_parsed() {
        assert_eq!(
            version("6.1.7601"),
            Ok(OsVersion {
                major: 6,
                minor: 1,
                build: 7601
            })
        );
        for bad in ["", "10", "10.0", "10.0.x", "10.0.1.2", "10.0.-1"] {
            assert!(version(bad).is_err(), "{bad}");
        }
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "0", "-1", "inf", "nan", "1e9", "5s"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert_eq!(service("walk"), Ok("walk".to_owned()));
        for bad in ["", "a\\b", "a/b", &"a".repeat(257)] {
            assert!(service(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn volume_file_is_parsed() {
        let file = volume_file(r"C:\a\b=c=d").expect("it is one");
        assert_eq!(
            (file.path.as_str(), file.content),
            (r"\a\b", PathBuf::from("c=d"))
        );
        for text in ["", "a=b", r"C:\a", r"C:\a=", "C:a=b", r"C:\a\=b", r"D:\a=b"] {
            assert!(volume_file(text).is_err(), "{text}");
        }
    }
}
