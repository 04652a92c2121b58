//! What a host records about a run, in types that all hosts share: log lines, the
//! result of the start, violations and the bug check.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One line of debug output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Time since the host began to record the log, in units of 100 ns.
    pub time: u64,
    /// Component that logged it (`DPFLTR_…_ID`); `None` if the host does not see it.
    pub component: Option<u32>,
    /// Level; `None` if the host does not see it.
    pub level: Option<Level>,
    /// Whether the debug print filter lets it through. Only a host that records
    /// in front of the filter has lines that the filter hides.
    pub shown: bool,
    /// The text, without its line end.
    pub text: String,
}

impl LogLine {
    /// A line whose time, component and level are unknown.
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

/// The level of a message.
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

/// The result of starting a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "start", content = "status")]
pub enum StartResult {
    /// DriverEntry returned this success status, and the driver is running.
    Running(u32),
    /// DriverEntry returned this failure, and the driver has been unloaded.
    #[serde(alias = "refused")]
    EntryFailed(u32),
    /// The kernel stopped before DriverEntry returned.
    #[serde(alias = "stopped")]
    KernelStopped,
}

impl StartResult {
    /// The result for a status that DriverEntry returned.
    #[must_use]
    pub fn from_status(status: u32) -> Self {
        if status.cast_signed() >= 0 {
            Self::Running(status)
        } else {
            Self::EntryFailed(status)
        }
    }
}

/// What the host reported after the unload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// The bug check, if the kernel stopped.
    pub bug_check: Option<BugCheck>,
    /// Rules that the driver broke; leaks are among them.
    pub violations: Vec<Violation>,
    /// How often each export was called; empty if the host does not count calls.
    pub calls: Vec<ExportCalls>,
    /// Whether DriverUnload was called and returned.
    pub unloaded: bool,
}

/// A bug check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BugCheck {
    /// Bug check code.
    pub code: u32,
    /// Its four parameters.
    pub parameters: [u64; 4],
    /// What happened, in a sentence.
    #[serde(alias = "what")]
    pub message: String,
    /// The stack trace, innermost first.
    pub stack: Vec<CodeLocation>,
}

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// A stable name in kebab case, such as `pool-leak`.
    pub rule: String,
    /// Bug check code and first parameter of Driver Verifier for this rule.
    #[serde(alias = "verifier")]
    pub driver_verifier_code: Option<(u32, u64)>,
    /// What happened, in a sentence.
    #[serde(alias = "what")]
    pub message: String,
    /// Where in the driver.
    #[serde(alias = "place")]
    pub location: Option<CodeLocation>,
}

/// A location in code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeLocation {
    /// Module, such as `ntmem.sys`.
    pub module: String,
    /// Offset from the module's base.
    pub offset: u64,
    /// Function, if known.
    pub symbol: Option<String>,
    /// Source file and line, if known.
    pub source: Option<(String, u32)>,
}

impl fmt::Display for CodeLocation {
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
pub struct ExportCalls {
    /// Name of the export.
    pub export: String,
    /// Number of calls.
    pub count: u32,
    /// Whether the host can make it fail.
    pub can_fail: bool,
}
