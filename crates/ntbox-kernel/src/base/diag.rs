//! Diagnostics: reports violations and notes to the process that started this one, and
//! names the code behind an address.

use ntbox_api::ipc::Event;
use ntbox_api::report::{HistoryEntry, Location, Violation};
use ntbox_api::rules::Broken;
use ntbox_host::{channel, modules};

use super::{export_table, log, stack_trace_db, violation_limit};

/// Records that the driver broke a rule by a call that returns to `caller`.
pub fn violation(broken: impl Into<Broken>, message: impl Into<String>, caller: u64) {
    let history = stack_trace_db::history_of_caller(caller);
    record(broken.into(), message.into(), location(caller), history);
}

/// The same for something left behind, with what happened to it.
pub fn left_behind(
    broken: impl Into<Broken>,
    message: String,
    caller: u64,
    history: Vec<HistoryEntry>,
) {
    record(broken.into(), message, location(caller), history);
}

/// Records that one of the driver's routines broke a rule as a whole.
pub fn violation_of(routine: u64, broken: impl Into<Broken>, message: impl Into<String>) {
    record(
        broken.into(),
        message.into(),
        place(routine, false),
        Vec::new(),
    );
}

/// The same for an instruction, with what happened to what it accessed.
pub fn violation_at(
    instruction: u64,
    broken: impl Into<Broken>,
    message: String,
    history: Vec<HistoryEntry>,
) {
    record(broken.into(), message, place(instruction, false), history);
}

fn record(broken: Broken, message: String, location: Option<Location>, history: Vec<HistoryEntry>) {
    let Broken { rule, stop } = broken;
    if !stack_trace_db::reports(rule) {
        return;
    }
    if !violation_limit::is_told(rule.id, location.as_ref()) {
        return;
    }
    log::flush();
    channel::send(&Event::Violation(Violation {
        rule: rule.id.to_owned(),
        former_ids: rule.former_ids.iter().map(|&id| id.to_owned()).collect(),
        driver_verifier_code: stop,
        message,
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
