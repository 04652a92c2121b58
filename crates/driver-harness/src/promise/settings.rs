//! What `ntmem` is told by its `Parameters` key, and which values it refuses:
//! the rules of `docs/driver.md`, restated independently of the driver's source.

use std::fmt::Write as _;

use crate::host::{RegValue, Service};
use crate::record::Level;

/// A value as the driver takes it, or what it says when it refuses it.
pub(super) type Setting<T> = Result<T, String>;

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) scenarios: Setting<Vec<Scenario>>,
    pub(super) size: Setting<u64>,
    pub(super) cache: Setting<&'static str>,
    pub(super) level: Setting<Level>,
}

/// A way to a second address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    Lock,
    Nonpaged,
    DoubleMap,
}

impl Scenario {
    const ALL: [Self; 3] = [Self::Lock, Self::Nonpaged, Self::DoubleMap];

    fn is_named(self, word: &str) -> bool {
        word.eq_ignore_ascii_case(self.name())
            || (self == Self::DoubleMap && word.eq_ignore_ascii_case("textbook"))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Nonpaged => "nonpaged",
            Self::DoubleMap => "double-map",
        }
    }
}

const REG_SZ: u32 = 1;
const REG_DWORD: u32 = 4;
/// The longest value that the driver reads, in bytes.
const LONGEST: usize = 500;

impl Settings {
    pub(super) fn of(service: &Service) -> Self {
        let scenario = Rule {
            name: "Scenario",
            alias: Some("Walk"),
            kind: REG_SZ,
            expected: "lock, nonpaged, double-map, or several of them, or none",
        };
        let size = Rule {
            name: "Size",
            alias: None,
            kind: REG_DWORD,
            expected: "1 to 16777216 bytes",
        };
        let cache = Rule {
            name: "CacheType",
            alias: None,
            kind: REG_SZ,
            expected: "cached, noncached, or writecombined",
        };
        let level = Rule {
            name: "LogLevel",
            alias: None,
            kind: REG_DWORD,
            expected: "0 to 3",
        };
        Self {
            scenarios: scenario.read(service, vec![Scenario::Lock, Scenario::Nonpaged], |data| {
                scenarios(&text(data)?)
            }),
            size: size.read(service, 4096, |data| match number(data)? {
                size @ 1..=0x0100_0000 => Ok(size.into()),
                _ => Err("out-of-range"),
            }),
            cache: cache.read(service, "cached", |data| {
                let text = text(data)?;
                ["cached", "noncached", "writecombined"]
                    .into_iter()
                    .find(|name| text.eq_ignore_ascii_case(name))
                    .ok_or("unknown-name")
            }),
            level: level.read(service, Level::Error, |data| match number(data)? {
                number @ 0..=3 => Ok(Level::from(number)),
                _ => Err("out-of-range"),
            }),
        }
    }

    /// The settings if none is refused.
    pub(super) fn accepted(&self) -> Option<Accepted> {
        Some(Accepted {
            scenarios: self.scenarios.clone().ok()?,
            size: self.size.clone().ok()?,
            cache: self.cache.clone().ok()?,
            level: self.level.clone().ok()?,
        })
    }

    /// For each value in the order in which the driver looks at them, the line
    /// that refuses it.
    pub(super) fn refusals(&self) -> [Option<&String>; 4] {
        let Self {
            scenarios,
            size,
            cache,
            level,
        } = self;
        [
            scenarios.as_ref().err(),
            size.as_ref().err(),
            cache.as_ref().err(),
            level.as_ref().err(),
        ]
    }
}

/// Settings that the driver takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) scenarios: Vec<Scenario>,
    pub(super) size: u64,
    pub(super) cache: &'static str,
    pub(super) level: Level,
}

struct Rule {
    name: &'static str,
    alias: Option<&'static str>,
    kind: u32,
    expected: &'static str,
}

impl Rule {
    fn read<T>(
        &self,
        service: &Service,
        default: T,
        parse: impl FnOnce(&[u8]) -> Result<T, &'static str>,
    ) -> Setting<T> {
        let alias = || self.alias.and_then(|alias| service.find(alias));
        let Some(value) = service.find(self.name).or_else(alias) else {
            return Ok(default);
        };
        let data = value.data();
        let result = if value.kind() != self.kind {
            Err("wrong-type")
        } else if data.len() > LONGEST {
            Err("too-long")
        } else {
            parse(&data)
        };
        result.map_err(|reason| self.refusal(value, reason))
    }

    /// What the driver says of a value that it refuses.
    fn refusal(&self, value: &RegValue, reason: &str) -> String {
        let Self {
            name,
            kind,
            expected,
            ..
        } = self;
        cut(format!(
            "value={name} reason={reason} type={} bytes={} expected=\"{}: {expected}\" data={}",
            type_name(value.kind()),
            value.data().len(),
            type_name(*kind),
            shown(value),
        ))
    }
}

/// A line as it is logged: at most 510 bytes, with a mark where it was cut.
fn cut(mut text: String) -> String {
    const PREFIX: usize = "ntmem: driver: refused ".len();
    const MARK: &str = "...";
    if PREFIX + text.len() > 510 {
        text.truncate(510 - PREFIX - MARK.len());
        text.push_str(MARK);
    }
    text
}

/// A `REG_DWORD`.
fn number(data: &[u8]) -> Result<u32, &'static str> {
    data.try_into()
        .map(u32::from_le_bytes)
        .map_err(|_| "malformed")
}

/// A `REG_SZ` without the NULs that end it. What is not ASCII becomes a
/// character that no name has.
fn text(data: &[u8]) -> Result<String, &'static str> {
    let units = units(data).ok_or("malformed")?;
    Ok(units
        .into_iter()
        .map(|unit| u8::try_from(unit).map_or('\u{FFFD}', char::from))
        .collect())
}

fn units(data: &[u8]) -> Option<Vec<u16>> {
    let mut units: Vec<_> = data
        .chunks(2)
        .map(|pair| <[u8; 2]>::try_from(pair).ok().map(u16::from_le_bytes))
        .collect::<Option<_>>()?;
    while units.last() == Some(&0) {
        units.pop();
    }
    Some(units)
}

fn scenarios(text: &str) -> Result<Vec<Scenario>, &'static str> {
    let mut scenarios = Vec::new();
    let mut none = false;
    for word in text.split([',', ' ', '\t']).filter(|word| !word.is_empty()) {
        if word.eq_ignore_ascii_case("none") {
            none = true;
            continue;
        }
        let scenario = Scenario::ALL
            .into_iter()
            .find(|scenario| scenario.is_named(word))
            .ok_or("unknown-name")?;
        if scenarios.contains(&scenario) {
            return Err("contradictory");
        }
        scenarios.push(scenario);
    }
    match (none, scenarios.is_empty()) {
        (false, true) => Err("empty"),
        (true, false) => Err("contradictory"),
        _ => Ok(scenarios),
    }
}

/// The data of a refused value: a number, text between quotes, or `opaque`.
fn shown(value: &RegValue) -> String {
    let data = value.data();
    let opaque = || "opaque".to_owned();
    if data.len() > LONGEST {
        return opaque();
    }
    match value.kind() {
        REG_DWORD => number(&data).map_or_else(|_| opaque(), |number| number.to_string()),
        REG_SZ => units(&data).map_or_else(opaque, |units| quoted(&units)),
        _ => opaque(),
    }
}

/// Text as the driver writes it: printable ASCII as it is, the rest escaped.
fn quoted(units: &[u16]) -> String {
    let mut quoted = String::from('"');
    for unit in units {
        match u8::try_from(*unit) {
            Ok(byte @ (b'"' | b'\\')) => quoted.extend(['\\', char::from(byte)]),
            Ok(byte @ b' '..=b'~') => quoted.push(char::from(byte)),
            _ => {
                let _ = write!(quoted, "\\u{{{unit:x}}}");
            }
        }
    }
    quoted.push('"');
    quoted
}

fn type_name(kind: u32) -> String {
    const NAMES: [&str; 12] = [
        "REG_NONE",
        "REG_SZ",
        "REG_EXPAND_SZ",
        "REG_BINARY",
        "REG_DWORD",
        "REG_DWORD_BIG_ENDIAN",
        "REG_LINK",
        "REG_MULTI_SZ",
        "REG_RESOURCE_LIST",
        "REG_FULL_RESOURCE_DESCRIPTOR",
        "REG_RESOURCE_REQUIREMENTS_LIST",
        "REG_QWORD",
    ];
    let name = usize::try_from(kind).ok().and_then(|kind| NAMES.get(kind));
    name.map_or_else(|| format!("{kind:#x}"), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(name: &str, value: RegValue) -> Settings {
        Settings::of(&Service::new("ntmem.sys").parameter(name, value))
    }

    fn sz(text: &str) -> RegValue {
        RegValue::Sz(text.to_owned())
    }

    /// The only refusal.
    fn refusal(name: &str, value: RegValue) -> String {
        let settings = settings(name, value);
        let mut refusals = settings.refusals().into_iter().flatten();
        let refusal = refusals.next().expect("the value is refused");
        assert_eq!(refusals.next(), None);
        refusal.clone()
    }

    #[test]
    fn defaults() {
        let settings = Settings::of(&Service::new("ntmem.sys")).accepted().unwrap();
        assert_eq!(settings.scenarios, [Scenario::Lock, Scenario::Nonpaged]);
        assert_eq!(
            (settings.size, settings.cache, settings.level),
            (4096, "cached", Level::Error)
        );
    }

    #[test]
    fn names_have_no_case_and_the_last_value_counts() {
        let service = Service::new("ntmem.sys")
            .parameter("size", RegValue::Dword(1))
            .parameter("SIZE", RegValue::Dword(2))
            .parameter("cachetype", sz("NonCached"));
        let settings = Settings::of(&service).accepted().unwrap();
        assert_eq!((settings.size, settings.cache), (2, "noncached"));
    }

    #[test]
    fn scenario_list_is_parsed() {
        for (text, scenarios) in [
            ("lock", Ok(vec![Scenario::Lock])),
            (
                " Double-Map,\tnonpaged ",
                Ok(vec![Scenario::DoubleMap, Scenario::Nonpaged]),
            ),
            ("textbook", Ok(vec![Scenario::DoubleMap])),
            ("textbook,double-map", Err("contradictory")),
            ("none", Ok(Vec::new())),
            ("", Err("empty")),
            (", ,", Err("empty")),
            ("lock,lock", Err("contradictory")),
            ("none lock", Err("contradictory")),
            ("lock;nonpaged", Err("unknown-name")),
        ] {
            match (settings("Scenario", sz(text)).scenarios, scenarios) {
                (Ok(seen), Ok(expected)) => assert_eq!(seen, expected, "{text}"),
                (Err(refusal), Err(reason)) => {
                    assert!(
                        refusal.contains(&format!("reason={reason} ")),
                        "{text}: {refusal}"
                    );
                }
                (seen, expected) => panic!("{text}: {seen:?} is not {expected:?}"),
            }
        }
    }

    #[test]
    fn scenario_alias_is_read_without_the_new_name() {
        let lock = settings("Walk", sz("lock")).scenarios;
        assert_eq!(lock, Ok(vec![Scenario::Lock]));
        let service = Service::new("ntmem.sys")
            .parameter("Walk", sz("lock"))
            .parameter("Scenario", sz("nonpaged"));
        let nonpaged = Settings::of(&service).scenarios;
        assert_eq!(nonpaged, Ok(vec![Scenario::Nonpaged]));
    }

    #[test]
    fn refusals_are_whole_lines() {
        assert_eq!(
            refusal("Size", RegValue::Dword(0)),
            "value=Size reason=out-of-range type=REG_DWORD bytes=4 expected=\"REG_DWORD: 1 to 16777216 bytes\" data=0"
        );
        assert_eq!(
            refusal("CacheType", sz("a\"ü")),
            "value=CacheType reason=unknown-name type=REG_SZ bytes=8 \
             expected=\"REG_SZ: cached, noncached, or writecombined\" data=\"a\\\"\\u{fc}\""
        );
        assert!(
            refusal("LogLevel", RegValue::Qword(1))
                .contains("reason=wrong-type type=REG_QWORD bytes=8")
        );
        assert!(
            refusal(
                "Size",
                RegValue::Raw {
                    kind: 4,
                    data: vec![1]
                }
            )
            .ends_with("data=opaque")
        );
        assert!(
            refusal(
                "Size",
                RegValue::Raw {
                    kind: 99,
                    data: vec![]
                }
            )
            .contains("type=0x63 bytes=0")
        );
        assert!(
            refusal(
                "Scenario",
                RegValue::Raw {
                    kind: 1,
                    data: vec![0; 3]
                }
            )
            .contains("reason=malformed")
        );
        assert!(refusal("Scenario", sz(&"x".repeat(250))).contains("reason=too-long"));
        let long = refusal("Scenario", sz(&"\u{1}".repeat(249)));
        assert_eq!(
            (
                "ntmem: driver: refused ".len() + long.len(),
                &long[long.len() - 3..]
            ),
            (510, "...")
        );
    }
}
