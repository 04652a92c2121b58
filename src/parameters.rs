//! What the driver is to do, from the `Parameters` key of its service.
//!
//! A value that is missing has a default. A value that is there and is not one of
//! the few that make sense stops the driver, after all such values have been
//! named: whoever set it wanted something, and guessing what would be worse.

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
    report::Scope,
    walk::{Plan, Walks},
};

/// The largest block that a walk takes, in bytes.
const MAX_SIZE: u32 = ntmem_ioctl::WALK_LIMIT;

/// The block that a walk takes unless told otherwise, in bytes.
const DEFAULT_SIZE: u32 = 0x1000;

/// What the driver is to do.
pub struct Parameters {
    /// The walks to run, in order.
    pub walks: Walks,
    /// Size of the block that a walk takes, in bytes.
    pub size: u32,
    /// The cache type that a walk asks of its mapping.
    pub cache: CacheType,
    /// The level of the lines about steps.
    pub level: Level,
}

impl Parameters {
    wdm::pageable! { passive:
        /// Reads all values, and reports each one that is refused.
        pub fn read(source: &Source, scope: Scope, passive: &Passive) -> Result<Self, Status> {
            let key = match &source.key {
                Ok(key) => key.as_ref(),
                Err(error) => return Err(scope.failed("parameters", error)),
            };
            let walks = WALK.accept(&WALK.look_up(key, passive), scope);
            let size = SIZE.accept(&SIZE.look_up(key, passive), scope);
            let cache = CACHE_TYPE.accept(&CACHE_TYPE.look_up(key, passive), scope);
            let level = LOG_LEVEL.accept(&source.log_level, scope);
            Ok(Self {
                walks: walks?,
                size: size?,
                cache: cache?,
                level: level?,
            })
        }
    }
}

impl Parameters {
    /// What each walk is done with.
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
            "size={} cache-type={} log-level={} walk={}",
            self.size,
            cache_type_name(self.cache),
            self.level.number(),
            self.walks,
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

/// The key that the values are read from, with the one that is needed first.
pub struct Source {
    key: Result<Option<Key>, Error>,
    log_level: Result<Option<Value>, Error>,
}

impl Source {
    wdm::init! { context:
        /// Opens the key; whether that worked is told when the values are read.
        pub fn open(context: &Context<'_>, passive: &Passive) -> Self {
            let key = context.parameters(passive);
            let found = key.as_ref().ok().and_then(Option::as_ref);
            let log_level = LOG_LEVEL.look_up(found, passive);
            Self { key, log_level }
        }
    }

    /// The level of the lines about steps. Before the values are read, nobody can
    /// be told of a bad one; until then, the default serves.
    pub fn log_level(&self) -> Level {
        match &self.log_level {
            Ok(Some(value)) => LOG_LEVEL.check(value).unwrap_or(LOG_LEVEL.default),
            _ => LOG_LEVEL.default,
        }
    }
}

/// One value: its name, what it may be, and what it is unless set.
struct Parameter<T> {
    name: UnicodeStr<'static>,
    kind: ValueType,
    /// What is accepted, for whoever has set something else.
    expected: &'static str,
    default: T,
    parse: fn(&Value) -> Result<T, Reason>,
}

const WALK: Parameter<Walks> = Parameter {
    name: utf16!("Walk"),
    kind: ValueType::SZ,
    expected: "lock, nonpaged, textbook, or several of them, or none",
    default: Walks::DEFAULT,
    parse: |value| Walks::parse(value.string().ok_or(Reason::Malformed)?),
};

const SIZE: Parameter<u32> = Parameter {
    name: utf16!("Size"),
    kind: ValueType::DWORD,
    expected: "1 to 16777216 bytes",
    default: DEFAULT_SIZE,
    parse: |value| match value.dword().ok_or(Reason::Malformed)? {
        size @ 1..=MAX_SIZE => Ok(size),
        _ => Err(Reason::OutOfRange),
    },
};

const CACHE_TYPE: Parameter<CacheType> = Parameter {
    name: utf16!("CacheType"),
    kind: ValueType::SZ,
    expected: "cached, noncached, or writecombined",
    default: CacheType::Cached,
    parse: |value| {
        let text = value.string().ok_or(Reason::Malformed)?;
        [
            CacheType::NonCached,
            CacheType::Cached,
            CacheType::WriteCombined,
        ]
        .into_iter()
        .find(|&cache| text.eq_ignore_ascii_case(cache_type_name(cache)))
        .ok_or(Reason::UnknownName)
    },
};

const LOG_LEVEL: Parameter<Level> = Parameter {
    name: utf16!("LogLevel"),
    kind: ValueType::DWORD,
    expected: "0 to 3",
    default: Level::Error,
    parse: |value| {
        let number = value.dword().ok_or(Reason::Malformed)?;
        Level::from_number(number).ok_or(Reason::OutOfRange)
    },
};

impl<T: Copy> Parameter<T> {
    /// The value, if there is a key and the key has it.
    fn look_up(&self, key: Option<&Key>, passive: &Passive) -> Result<Option<Value>, Error> {
        key.map_or(Ok(None), |key| key.value(self.name, passive))
    }

    /// What a value says, or the default if there is none. What is wrong is
    /// reported.
    fn accept(&self, value: &Result<Option<Value>, Error>, scope: Scope) -> Result<T, Status> {
        match value {
            Ok(None) => Ok(self.default),
            Ok(Some(value)) => self.check(value).map_err(|reason| {
                self.refuse(value, reason, scope);
                Status::INVALID_PARAMETER
            }),
            Err(error) => Err(scope.failed("parameters", error)),
        }
    }

    fn check(&self, value: &Value) -> Result<T, Reason> {
        if value.kind() != self.kind {
            Err(Reason::WrongType)
        } else if value.is_too_long() {
            Err(Reason::TooLong)
        } else {
            (self.parse)(value)
        }
    }

    fn refuse(&self, value: &Value, reason: Reason, scope: Scope) {
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

/// Why a value is refused.
#[derive(Clone, Copy)]
pub enum Reason {
    /// It has another type than the one expected.
    WrongType,
    /// It is longer than any value that makes sense.
    TooLong,
    /// Its size is not one that its type can have.
    Malformed,
    /// It names something that there is not.
    UnknownName,
    /// It names nothing.
    Empty,
    /// It names the same walk twice, or `none` and a walk.
    Contradictory,
    /// It is a number outside the range.
    OutOfRange,
}

impl Reason {
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
