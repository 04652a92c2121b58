//! The values of the `Parameters` key of `ntmem`, and the values that it refuses: the
//! rules of `docs/reference/ntmem.md`, implemented independently of the driver.

use std::fmt::Write as _;

use crate::host::{RegValue, Service};
use crate::record::Level;

/// A valid value, or the fields of the line that refuses the value.
pub(super) type Parameter<T> = Result<T, String>;

/// All parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) scenarios: Parameter<Vec<Scenario>>,
    pub(super) size: Parameter<u64>,
    pub(super) cache: Parameter<&'static str>,
    pub(super) level: Parameter<Level>,
}

/// A scenario of the driver.
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
/// The maximum size of a value in bytes.
const MAX_VALUE_SIZE: usize = 500;

impl Parameters {
    pub(super) fn of(service: &Service) -> Self {
        let scenario = ParameterSpec {
            name: "Scenario",
            alias: Some("Walk"),
            kind: REG_SZ,
            expected: "lock, nonpaged, double-map, or several of them, or none",
        };
        let size = ParameterSpec {
            name: "Size",
            alias: None,
            kind: REG_DWORD,
            expected: "1 to 16777216 bytes",
        };
        let cache = ParameterSpec {
            name: "CacheType",
            alias: None,
            kind: REG_SZ,
            expected: "cached, noncached, or writecombined",
        };
        let level = ParameterSpec {
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

    /// The values, if all are valid.
    pub(super) fn valid(&self) -> Option<ValidParameters> {
        Some(ValidParameters {
            scenarios: self.scenarios.clone().ok()?,
            size: self.size.clone().ok()?,
            cache: self.cache.clone().ok()?,
            level: self.level.clone().ok()?,
        })
    }

    /// The fields of the line that refuses each value, in the order in which the driver
    /// reads the values.
    pub(super) fn rejections(&self) -> [Option<&String>; 4] {
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

/// Valid values of all parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ValidParameters {
    pub(super) scenarios: Vec<Scenario>,
    pub(super) size: u64,
    pub(super) cache: &'static str,
    pub(super) level: Level,
}

struct ParameterSpec {
    name: &'static str,
    alias: Option<&'static str>,
    kind: u32,
    expected: &'static str,
}

impl ParameterSpec {
    fn read<T>(
        &self,
        service: &Service,
        default: T,
        parse: impl FnOnce(&[u8]) -> Result<T, &'static str>,
    ) -> Parameter<T> {
        let alias = || self.alias.and_then(|alias| service.find(alias));
        let Some(value) = service.find(self.name).or_else(alias) else {
            return Ok(default);
        };
        let data = value.data();
        let result = if value.kind() != self.kind {
            Err("wrong-type")
        } else if data.len() > MAX_VALUE_SIZE {
            Err("too-long")
        } else {
            parse(&data)
        };
        result.map_err(|reason| self.rejection(value, reason))
    }

    /// The fields of the line that refuses a value.
    fn rejection(&self, value: &RegValue, reason: &str) -> String {
        let Self {
            name,
            kind,
            expected,
            ..
        } = self;
        truncate(format!(
            "value={name} reason={reason} type={} bytes={} expected=\"{}: {expected}\" data={}",
            type_name(value.kind()),
            value.data().len(),
            type_name(*kind),
            display_data(value),
        ))
    }
}

/// Truncates a line to 510 bytes, with an ellipsis.
fn truncate(mut text: String) -> String {
    const PREFIX: usize = "ntmem: driver: refused ".len();
    const ELLIPSIS: &str = "...";
    if PREFIX + text.len() > 510 {
        text.truncate(510 - PREFIX - ELLIPSIS.len());
        text.push_str(ELLIPSIS);
    }
    text
}

/// A `REG_DWORD`.
fn number(data: &[u8]) -> Result<u32, &'static str> {
    data.try_into()
        .map(u32::from_le_bytes)
        .map_err(|_| "malformed")
}

/// A `REG_SZ` without the terminating NULs. Other characters than ASCII are replaced by
/// U+FFFD, which is in no name.
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

/// The data of a refused value: a number, quoted text, or `opaque`.
fn display_data(value: &RegValue) -> String {
    let data = value.data();
    let opaque = || "opaque".to_owned();
    if data.len() > MAX_VALUE_SIZE {
        return opaque();
    }
    match value.kind() {
        REG_DWORD => number(&data).map_or_else(|_| opaque(), |number| number.to_string()),
        REG_SZ => units(&data).map_or_else(opaque, |units| quote(&units)),
        _ => opaque(),
    }
}

/// Quoted text: printable ASCII, the rest escaped.
fn quote(units: &[u16]) -> String {
    let mut text = String::from('"');
    for unit in units {
        match u8::try_from(*unit) {
            Ok(byte @ (b'"' | b'\\')) => text.extend(['\\', char::from(byte)]),
            Ok(byte @ b' '..=b'~') => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\u{{{unit:x}}}");
            }
        }
    }
    text.push('"');
    text
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

    fn parameters(name: &str, value: RegValue) -> Parameters {
        Parameters::of(&Service::new("ntmem.sys").parameter(name, value))
    }

    fn sz(text: &str) -> RegValue {
        RegValue::Sz(text.to_owned())
    }

    /// The only rejection.
    fn rejection(name: &str, value: RegValue) -> String {
        let parameters = parameters(name, value);
        let mut rejections = parameters.rejections().into_iter().flatten();
        let rejection = rejections.next().expect("the value is refused");
        assert_eq!(rejections.next(), None);
        rejection.clone()
    }

    #[test]
    fn parameters_of_empty_key_are_the_defaults() {
        let parameters = Parameters::of(&Service::new("ntmem.sys")).valid().unwrap();
        assert_eq!(parameters.scenarios, [Scenario::Lock, Scenario::Nonpaged]);
        assert_eq!(
            (parameters.size, parameters.cache, parameters.level),
            (4096, "cached", Level::Error)
        );
    }

    #[test]
    fn parameter_names_ignore_case_and_the_last_value_counts() {
        let service = Service::new("ntmem.sys")
            .parameter("size", RegValue::Dword(1))
            .parameter("SIZE", RegValue::Dword(2))
            .parameter("cachetype", sz("NonCached"));
        let parameters = Parameters::of(&service).valid().unwrap();
        assert_eq!((parameters.size, parameters.cache), (2, "noncached"));
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
            match (parameters("Scenario", sz(text)).scenarios, scenarios) {
                (Ok(actual), Ok(expected)) => assert_eq!(actual, expected, "{text}"),
                (Err(rejection), Err(reason)) => {
                    assert!(
                        rejection.contains(&format!("reason={reason} ")),
                        "{text}: {rejection}"
                    );
                }
                (actual, expected) => panic!("{text}: {actual:?} is not {expected:?}"),
            }
        }
    }

    #[test]
    fn scenario_alias_is_read_without_the_new_name() {
        let lock = parameters("Walk", sz("lock")).scenarios;
        assert_eq!(lock, Ok(vec![Scenario::Lock]));
        let service = Service::new("ntmem.sys")
            .parameter("Walk", sz("lock"))
            .parameter("Scenario", sz("nonpaged"));
        let nonpaged = Parameters::of(&service).scenarios;
        assert_eq!(nonpaged, Ok(vec![Scenario::Nonpaged]));
    }

    #[test]
    fn rejection_has_all_fields() {
        assert_eq!(
            rejection("Size", RegValue::Dword(0)),
            "value=Size reason=out-of-range type=REG_DWORD bytes=4 expected=\"REG_DWORD: 1 to 16777216 bytes\" data=0"
        );
        assert_eq!(
            rejection("CacheType", sz("a\"ü")),
            "value=CacheType reason=unknown-name type=REG_SZ bytes=8 \
             expected=\"REG_SZ: cached, noncached, or writecombined\" data=\"a\\\"\\u{fc}\""
        );
        assert!(
            rejection("LogLevel", RegValue::Qword(1))
                .contains("reason=wrong-type type=REG_QWORD bytes=8")
        );
        assert!(
            rejection(
                "Size",
                RegValue::Raw {
                    kind: 4,
                    data: vec![1]
                }
            )
            .ends_with("data=opaque")
        );
        assert!(
            rejection(
                "Size",
                RegValue::Raw {
                    kind: 99,
                    data: vec![]
                }
            )
            .contains("type=0x63 bytes=0")
        );
        assert!(
            rejection(
                "Scenario",
                RegValue::Raw {
                    kind: 1,
                    data: vec![0; 3]
                }
            )
            .contains("reason=malformed")
        );
        assert!(rejection("Scenario", sz(&"x".repeat(250))).contains("reason=too-long"));
        let long = rejection("Scenario", sz(&"\u{1}".repeat(249)));
        assert_eq!(
            (
                "ntmem: driver: refused ".len() + long.len(),
                &long[long.len() - 3..]
            ),
            (510, "...")
        );
    }
}
