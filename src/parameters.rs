//! The driver's parameters, read from the `Parameters` key of its service.
//!
//! A missing value has a default. An invalid value makes DriverEntry fail, after
//! every invalid value has been logged.

use core::fmt;

use wdm::{
    Error, Status,
    debug::Level,
    driver::Context,
    irql::Passive,
    map::CacheType,
    registry::{Key, Value, ValueType},
    string::UnicodeStr,
    utf16,
};

use crate::{
    log::Scope,
    scenario::{Plan, ScenarioList},
};

/// The largest block of a scenario, in bytes.
const MAX_SIZE: u32 = ntmem_ioctl::SCENARIO_SIZE_LIMIT;

/// The default size of a scenario's block, in bytes.
const DEFAULT_SIZE: u32 = 0x1000;

/// The driver's parameters.
pub struct Parameters {
    /// The scenarios to run, in order.
    pub scenarios: ScenarioList,
    /// Size of a scenario's block, in bytes.
    pub size: u32,
    /// The cache type requested for the mapping.
    pub cache: CacheType,
    /// The level of the lines that log steps.
    pub level: Level,
}

impl Parameters {
    wdm::pageable! { passive:
        /// Reads all values, and logs each one that is rejected.
        pub fn read(source: &ParameterKey, scope: Scope, passive: &Passive) -> Result<Self, Status> {
            let key = match &source.key {
                Ok(key) => key.as_ref(),
                Err(error) => return Err(scope.failed("parameters", error)),
            };
            let scenarios = SCENARIO.resolve(&SCENARIO.look_up(key, passive), scope);
            let size = SIZE.resolve(&SIZE.look_up(key, passive), scope);
            let cache = CACHE_TYPE.resolve(&CACHE_TYPE.look_up(key, passive), scope);
            let level = LOG_LEVEL.resolve(&source.log_level, scope);
            Ok(Self {
                scenarios: scenarios?,
                size: size?,
                cache: cache?,
                level: level?,
            })
        }
    }
}

impl Parameters {
    /// The settings of each scenario.
    pub const fn plan(&self) -> Plan {
        Plan {
            size: self.size,
            cache: self.cache,
            level: self.level,
        }
    }
}

impl fmt::Display for Parameters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "size={} cache-type={} log-level={} scenario={}",
            self.size,
            cache_type_name(self.cache),
            self.level.number(),
            self.scenarios,
        )
    }
}

/// The name of a cache type, in the registry and in the log.
pub const fn cache_type_name(cache: CacheType) -> &'static str {
    match cache {
        CacheType::NonCached => "noncached",
        CacheType::Cached => "cached",
        CacheType::WriteCombined => "writecombined",
    }
}

/// The opened key, with the value that is needed before the others.
pub struct ParameterKey {
    key: Result<Option<Key>, Error>,
    log_level: Result<Option<Value>, Error>,
}

impl ParameterKey {
    wdm::init! { context:
        /// Opens the key. [`Parameters::read`] reports a failure.
        pub fn open(context: &Context<'_>, passive: &Passive) -> Self {
            let key = context.parameters(passive);
            let opened = key.as_ref().ok().and_then(Option::as_ref);
            let log_level = LOG_LEVEL.look_up(opened, passive);
            Self { key, log_level }
        }
    }

    /// The level of the lines that log steps; the default if the value is invalid,
    /// which is logged later.
    pub fn log_level(&self) -> Level {
        match &self.log_level {
            Ok(Some(value)) => LOG_LEVEL.validate(value).unwrap_or(LOG_LEVEL.default),
            _ => LOG_LEVEL.default,
        }
    }
}

/// One registry value: its name, type, accepted contents and default.
struct Parameter<T> {
    name: UnicodeStr<'static>,
    /// A name of an earlier release, read if there is no value of the other name.
    alias: Option<UnicodeStr<'static>>,
    kind: ValueType,
    /// The accepted contents, logged with a rejected value.
    expected: &'static str,
    default: T,
    parse: fn(&Value) -> Result<T, RejectReason>,
}

const SCENARIO: Parameter<ScenarioList> = Parameter {
    name: utf16!("Scenario"),
    alias: Some(utf16!("Walk")),
    kind: ValueType::SZ,
    expected: "lock, nonpaged, double-map, or several of them, or none",
    default: ScenarioList::DEFAULT,
    parse: |value| ScenarioList::parse(value.string().ok_or(RejectReason::Malformed)?),
};

const SIZE: Parameter<u32> = Parameter {
    name: utf16!("Size"),
    alias: None,
    kind: ValueType::DWORD,
    expected: "1 to 16777216 bytes",
    default: DEFAULT_SIZE,
    parse: |value| match value.dword().ok_or(RejectReason::Malformed)? {
        size @ 1..=MAX_SIZE => Ok(size),
        _ => Err(RejectReason::OutOfRange),
    },
};

const CACHE_TYPE: Parameter<CacheType> = Parameter {
    name: utf16!("CacheType"),
    alias: None,
    kind: ValueType::SZ,
    expected: "cached, noncached, or writecombined",
    default: CacheType::Cached,
    parse: |value| {
        let text = value.string().ok_or(RejectReason::Malformed)?;
        [
            CacheType::NonCached,
            CacheType::Cached,
            CacheType::WriteCombined,
        ]
        .into_iter()
        .find(|&cache| text.eq_ignore_ascii_case(cache_type_name(cache)))
        .ok_or(RejectReason::UnknownName)
    },
};

const LOG_LEVEL: Parameter<Level> = Parameter {
    name: utf16!("LogLevel"),
    alias: None,
    kind: ValueType::DWORD,
    expected: "0 to 3",
    default: Level::Error,
    parse: |value| {
        let number = value.dword().ok_or(RejectReason::Malformed)?;
        Level::from_number(number).ok_or(RejectReason::OutOfRange)
    },
};

impl<T: Copy> Parameter<T> {
    /// The value, if there is a key and the key has it.
    fn look_up(&self, key: Option<&Key>, passive: &Passive) -> Result<Option<Value>, Error> {
        let Some(key) = key else { return Ok(None) };
        match (key.value(self.name, passive)?, self.alias) {
            (None, Some(alias)) => key.value(alias, passive),
            (value, _) => Ok(value),
        }
    }

    /// The parsed value, or the default if there is none. Logs a rejected value.
    fn resolve(&self, value: &Result<Option<Value>, Error>, scope: Scope) -> Result<T, Status> {
        match value {
            Ok(None) => Ok(self.default),
            Ok(Some(value)) => self.validate(value).map_err(|reason| {
                self.log_rejection(value, reason, scope);
                Status::INVALID_PARAMETER
            }),
            Err(error) => Err(scope.failed("parameters", error)),
        }
    }

    fn validate(&self, value: &Value) -> Result<T, RejectReason> {
        if value.kind() != self.kind {
            Err(RejectReason::WrongType)
        } else if value.is_too_long() {
            Err(RejectReason::TooLong)
        } else {
            (self.parse)(value)
        }
    }

    fn log_rejection(&self, value: &Value, reason: RejectReason, scope: Scope) {
        error!(
            scope,
            "refused value={} reason={} type={} bytes={} expected=\"{}: {}\" data={}",
            self.name,
            reason.name(),
            value.kind(),
            value.size(),
            self.kind,
            self.expected,
            Data(value),
        );
    }
}

/// The reason for rejecting a value.
#[derive(Clone, Copy)]
pub enum RejectReason {
    /// The type is not the expected one.
    WrongType,
    /// The data is longer than any accepted value.
    TooLong,
    /// The type cannot have this size.
    Malformed,
    /// A name is unknown.
    UnknownName,
    /// The list is empty.
    Empty,
    /// A scenario is listed twice, or beside `none`.
    Contradictory,
    /// The number is out of range.
    OutOfRange,
}

impl RejectReason {
    const fn name(self) -> &'static str {
        match self {
            Self::WrongType => "wrong-type",
            Self::TooLong => "too-long",
            Self::Malformed => "malformed",
            Self::UnknownName => "unknown-name",
            Self::Empty => "empty",
            Self::Contradictory => "contradictory",
            Self::OutOfRange => "out-of-range",
        }
    }
}

/// Prints a value: a number, text between quotes, or `opaque`.
struct Data<'a>(&'a Value);

impl fmt::Display for Data<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = self;
        if let Some(number) = value.dword() {
            write!(formatter, "{number}")
        } else if let Some(text) = value.string() {
            write!(formatter, "\"{text}\"")
        } else {
            formatter.write_str("opaque")
        }
    }
}
