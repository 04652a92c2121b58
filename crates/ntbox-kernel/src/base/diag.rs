//! Diagnostics: reports violations and notes to the process that started this one, and
//! names the code behind an address.

use ntbox_api::ipc::Event;
use ntbox_api::report::{HistoryEntry, Location, Violation};
use ntbox_host::{channel, modules};

use super::{export_table, log, stack_trace_db, violation_limit};

/// Records that the driver broke a rule by a call that returns to `caller`.
pub fn violation(rule: &str, verifier: Option<(u32, u64)>, what: impl Into<String>, caller: u64) {
    let history = stack_trace_db::history_of_caller(caller);
    record(rule, verifier, what.into(), location(caller), history);
}

/// The same for something left behind, with what happened to it.
pub fn left_behind(
    rule: &str,
    verifier: Option<(u32, u64)>,
    what: String,
    caller: u64,
    history: Vec<HistoryEntry>,
) {
    record(rule, verifier, what, location(caller), history);
}

/// Records that one of the driver's routines broke a rule as a whole.
pub fn violation_of(
    routine: u64,
    rule: &str,
    verifier: Option<(u32, u64)>,
    what: impl Into<String>,
) {
    record(
        rule,
        verifier,
        what.into(),
        place(routine, false),
        Vec::new(),
    );
}

fn record(
    rule: &str,
    verifier: Option<(u32, u64)>,
    what: String,
    location: Option<Location>,
    history: Vec<HistoryEntry>,
) {
    if !stack_trace_db::reports(rule) {
        return;
    }
    if !violation_limit::is_told(rule, location.as_ref()) {
        return;
    }
    log::flush();
    channel::send(&Event::Violation(Violation {
        rule: rule.to_owned(),
        driver_verifier_code: verifier,
        message: what,
        location,
        history,
    }));
}

/// Tells the reader of the report something about this run. What the driver may do
/// often is still told once.
pub fn note(text: String) {
    channel::send(&Event::Note(text));
}

/// The place of the call that returns to `caller`.
pub fn location(caller: u64) -> Option<Location> {
    place(caller, true)
}

/// The place in code behind an address. For a return address the call before it
/// is meant, so that the line is the caller's and not the next one.
pub fn place(pc: u64, return_address: bool) -> Option<Location> {
    if let Some(image) = modules::find(pc) {
        return Some(Location {
            return_address,
            ..Location::new(image.name, pc - image.base)
        });
    }
    let symbol = export_table::name_at(pc)?;
    Some(Location {
        symbol: Some(symbol.to_owned()),
        ..Location::new("nt", pc)
    })
}
