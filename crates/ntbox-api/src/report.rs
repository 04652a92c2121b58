//! What a run found: the log, how DriverEntry ended, what was left behind, what
//! rule was broken, and where the driver stopped if it did.

pub mod text;
use nt_status::NamedBugCheck;
use serde::{Deserialize, Serialize};

use super::hex_serde;
use crate::{Guard, Verdict, Verify};

/// The whole outcome of one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Name and layout of the image that ran.
    pub image: ImageInfo,
    /// What DriverEntry returned; `None` if it never did.
    #[serde(with = "hex_serde::hex")]
    pub entry_status: Option<u32>,
    /// Whether DriverUnload was called and returned.
    pub unloaded: bool,
    /// Every debug message, in order, shown or not.
    pub log: Vec<LogLine>,
    /// Why the kernel stopped, if it did.
    pub bug_check: Option<BugCheck>,
    /// Rules that the driver broke without stopping the kernel.
    pub violations: Vec<Violation>,
    /// By which rules the driver was watched.
    pub verify: Verify,
    /// Where the inaccessible pages of its blocks were, if it was watched.
    pub guard: Guard,
    /// Rules that were left out.
    pub ignored_rules: Vec<String>,
    /// The seed that the schedule was drawn from, if it was.
    pub schedule: Option<u64>,
    /// How often each export was called, in order of first call.
    pub calls: Vec<CallCount>,
    /// The calls that could be made to fail, one for each call stack, in order; if
    /// [`Config::list_faults`](crate::config::Config::list_faults) asks for them.
    pub fault_points: Vec<FaultPoint>,
    /// What a reader should know of the report itself, such as debug
    /// information that could not be used.
    pub notes: Vec<String>,
}

impl Report {
    /// True if DriverEntry succeeded, the driver unloaded, and nothing was
    /// broken or left behind.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.verdict() == Verdict::Clean
    }

    /// The result of the run.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.bug_check.is_some() {
            Verdict::BugCheck
        } else if !self.violations.is_empty() {
            Verdict::Violations
        } else if !self.entry_status.is_some_and(nt_status::is_success) {
            Verdict::EntryFailed
        } else if self.unloaded {
            Verdict::Clean
        } else {
            Verdict::NoUnloadRoutine
        }
    }

    /// The result in a sentence, with the bug check or the number of violations.
    #[must_use]
    pub fn summary(&self) -> String {
        let verdict = self.verdict();
        match (&self.bug_check, self.violations.len()) {
            (Some(stop), _) => format!("{verdict} with {}", NamedBugCheck(stop.code)),
            (None, 0) => verdict.to_string(),
            (None, 1) => format!("{verdict}, 1 violation"),
            (None, count) => format!("{verdict}, {count} violations"),
        }
    }

    /// The text of the lines that the filter lets through.
    pub fn shown(&self) -> impl Iterator<Item = &str> {
        self.log
            .iter()
            .filter(|line| line.shown)
            .map(|line| line.text.as_str())
    }
}

/// Where the image lies and what it is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// File name without its folder.
    pub name: String,
    /// Address that it was loaded at.
    #[serde(with = "hex_serde::hex")]
    pub base: u64,
    /// Size in memory, bytes.
    pub size: u32,
}

/// One debug message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Time since the kernel started, by its own clock, in units of 100 ns.
    pub time: u64,
    /// Component number (`DPFLTR_…_ID`); IHVDRIVER is 77, DEFAULT 101.
    pub component: u32,
    /// Level: ERROR 0, WARNING 1, TRACE 2, INFO 3, or a mask above 31.
    pub level: u32,
    /// IRQL of the caller.
    pub irql: u8,
    /// Whether the filter lets it through.
    pub shown: bool,
    /// The text, without its line end.
    pub text: String,
}

/// A stop of the kernel, as Windows would put it on a blue screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BugCheck {
    /// Bug check code, such as 0x50.
    #[serde(with = "hex_serde::hex")]
    pub code: u32,
    /// Its four parameters.
    #[serde(with = "hex_serde::hex")]
    pub parameters: [u64; 4],
    /// What happened, in a sentence.
    #[serde(alias = "what")]
    pub message: String,
    /// Where the driver was, if it was there.
    pub location: Option<Location>,
    /// The call stack, innermost first.
    pub stack: Vec<Location>,
    /// What happened before to the memory that this is about.
    pub history: Vec<HistoryEntry>,
}

/// An earlier call that matters for a report; kept with
/// [`Config::verify`](crate::config::Config::verify).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// What was done, as in `allocated`.
    #[serde(alias = "what")]
    pub event: String,
    /// The call stack, innermost first.
    pub stack: Vec<Location>,
}

/// A call that a [`Fault`](crate::Fault) can make fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultPoint {
    /// Name of the export.
    pub export: String,
    /// Which of its calls this was, from 1: the first with this call stack.
    pub nth: u32,
    /// The call stack, innermost first.
    pub stack: Vec<Location>,
}

/// A broken rule that did not stop the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Identifier of the rule, such as `pool-leak`.
    pub rule: String,
    /// Its identifiers in former versions.
    #[serde(default)]
    pub former_ids: Vec<String>,
    /// Bug check code and first parameter that Driver Verifier would give, when
    /// it has one.
    #[serde(with = "hex_serde::hex", alias = "verifier")]
    pub driver_verifier_code: Option<(u32, u64)>,
    /// What happened, in a sentence, with addresses, sizes and tags.
    #[serde(alias = "what")]
    pub message: String,
    /// Where in the driver: for something left behind, the call that took it.
    pub location: Option<Location>,
    /// The call stack of that place, or those of it that there were; kept with
    /// [`Config::verify`](crate::config::Config::verify).
    pub history: Vec<HistoryEntry>,
}

/// A place in code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Module name: the driver's file name, or `nt`.
    pub module: String,
    /// Offset from the module's base.
    #[serde(with = "hex_serde::hex")]
    pub offset: u64,
    /// Whether this is a return address. What is meant then is the call that
    /// ends there, and names and lines are those of the call.
    pub return_address: bool,
    /// Function, when a PDB or DWARF names it. A symbol table or an export table
    /// also gives the distance from the symbol, as in `Name+0x12`.
    pub symbol: Option<String>,
    /// Source file and line, when debug information has them.
    #[serde(with = "hex_serde::source")]
    pub source: Option<(String, u32)>,
    /// Where the compiler inlined that function, innermost first; the last is
    /// the function that the code belongs to.
    pub inlined_into: Vec<Inlined>,
}

impl Location {
    /// A place without names.
    #[must_use]
    pub fn new(module: impl Into<String>, offset: u64) -> Self {
        Self {
            module: module.into(),
            offset,
            return_address: false,
            symbol: None,
            source: None,
            inlined_into: Vec::new(),
        }
    }
}

/// A function that another one was inlined into, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inlined {
    /// The function.
    pub symbol: Option<String>,
    /// Source file and line of the inlined call.
    #[serde(with = "hex_serde::source")]
    pub source: Option<(String, u32)>,
}

/// How often one export was called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCount {
    /// Name of the export.
    pub export: String,
    /// Number of calls.
    pub count: u32,
    /// Whether a [`Fault`](crate::Fault) can make it fail.
    pub can_fail: bool,
}
