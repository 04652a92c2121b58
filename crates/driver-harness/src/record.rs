//! What a host says of a driver's run, in terms that every host shares: the
//! lines that it logged, how it started, what it broke and left behind.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One line of debug output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Time since the host began to listen, in units of 100 ns.
    pub time: u64,
    /// Component that logged it (`DPFLTR_…_ID`), where the host knows it.
    pub component: Option<u32>,
    /// Level, where the host knows it.
    pub level: Option<Level>,
    /// Whether the debug print filter lets it through; only a host that sits
    /// in front of the filter has lines that it does not.
    pub shown: bool,
    /// The text, without its line end.
    pub text: String,
}

impl Line {
    /// A line of which only the text is known.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self {
            time: 0,
            component: None,
            level: None,
            shown: true,
            text: text.to_owned(),
        }
    }
}

/// The level that a message was sent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// `DPFLTR_ERROR_LEVEL`, shown on every system.
    Error,
    /// `DPFLTR_WARNING_LEVEL`.
    Warning,
    /// `DPFLTR_TRACE_LEVEL`.
    Trace,
    /// `DPFLTR_INFO_LEVEL`.
    Info,
    /// Any other number: a level up to 31, or a mask.
    #[serde(untagged)]
    Other(u32),
}

impl From<u32> for Level {
    fn from(number: u32) -> Self {
        match number {
            0 => Self::Error,
            1 => Self::Warning,
            2 => Self::Trace,
            3 => Self::Info,
            other => Self::Other(other),
        }
    }
}

impl From<Level> for u32 {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => 0,
            Level::Warning => 1,
            Level::Trace => 2,
            Level::Info => 3,
            Level::Other(number) => number,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error => f.write_str("ERROR"),
            Self::Warning => f.write_str("WARNING"),
            Self::Trace => f.write_str("TRACE"),
            Self::Info => f.write_str("INFO"),
            Self::Other(number) => write!(f, "{number:#x}"),
        }
    }
}

/// How starting a driver ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "start", content = "status")]
pub enum Start {
    /// DriverEntry returned this status, and it is a success: the driver runs.
    Running(u32),
    /// DriverEntry returned this status, and it is a failure: the driver is
    /// unloaded already.
    Refused(u32),
    /// The kernel stopped before DriverEntry returned.
    Stopped,
}

impl Start {
    /// What a status from DriverEntry means.
    #[must_use]
    pub fn from_status(status: u32) -> Self {
        if status.cast_signed() >= 0 {
            Self::Running(status)
        } else {
            Self::Refused(status)
        }
    }
}

/// What the host found when the driver was gone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// Why the kernel stopped, if it did.
    pub bug_check: Option<BugCheck>,
    /// Rules that the driver broke, things that it left behind among them.
    pub violations: Vec<Violation>,
    /// How often each export was called, where the host counts calls.
    pub calls: Vec<Calls>,
    /// Whether DriverUnload was called and returned.
    pub unloaded: bool,
}

/// A stop of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BugCheck {
    /// Bug check code.
    pub code: u32,
    /// Its four parameters.
    pub parameters: [u64; 4],
    /// What happened, in a sentence.
    pub what: String,
    /// The places that the kernel was in, innermost first.
    pub stack: Vec<Place>,
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// A stable name in kebab case, such as `pool-leak`.
    pub rule: String,
    /// Bug check code and first parameter that Driver Verifier would give.
    pub verifier: Option<(u32, u64)>,
    /// What happened, in a sentence.
    pub what: String,
    /// Where in the driver.
    pub place: Option<Place>,
}

/// A place in code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Module, such as `ntmem.sys`.
    pub module: String,
    /// Offset from the module's base.
    pub offset: u64,
    /// Function, if known.
    pub symbol: Option<String>,
    /// Source file and line, if known.
    pub source: Option<(String, u32)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:#x}", self.module, self.offset)?;
        if let Some(symbol) = &self.symbol {
            write!(f, " {symbol}")?;
        }
        if let Some((file, line)) = &self.source {
            write!(f, " ({file}:{line})")?;
        }
        Ok(())
    }
}

/// How often an export was called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Name of the export.
    pub export: String,
    /// Number of calls.
    pub count: u32,
    /// Whether the host can make it fail.
    pub can_fail: bool,
}
