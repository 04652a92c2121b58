//! The output of the commands: text with labelled lines and the log in DebugView's
//! format, or JSON.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use driver_harness::host::RegValue;
use driver_harness::logs::debugview::{self, printable};
use driver_harness::record::{BugCheck, Findings, StartResult};
use driver_harness::verdict::LogCheck;
use nt_status::{Named, NamedBugCheck};
use ntbox_api::{Verdict, rules};
use serde_json::json;

use crate::check_log::{CheckedSession, worst};
use crate::{Failure, RunReport};

const LABEL: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Prints a run as text.
pub fn text(report: &RunReport) -> io::Result<()> {
    let out = &mut anstream::stdout().lock();
    let RunReport { service, run, .. } = report;
    let image = service.image.display();
    labelled(
        out,
        "driver",
        format_args!("{image} on {}, service {}", report.host, service.name),
    )?;
    for (name, value) in &service.parameters {
        labelled(
            out,
            "set",
            format_args!("Parameters\\{name} = {}", registry_value(value)),
        )?;
    }
    writeln!(out)?;
    for line in debugview::format(&run.log) {
        writeln!(out, "{line}")?;
    }
    let hidden = run.log.iter().filter(|line| !line.shown).count();
    if hidden > 0 {
        writeln!(out, "({hidden} lines hidden by the debug print filter)")?;
    }
    writeln!(out)?;
    started(out, run.start)?;
    findings(out, run.start, &run.findings)?;
    log_check(out, &report.check)?;
    verdict(out, report.verdict)
}

fn verdict(out: &mut dyn Write, verdict: Verdict) -> io::Result<()> {
    let style = match verdict {
        Verdict::Clean | Verdict::NoUnloadRoutine => GOOD,
        _ => BAD,
    };
    labelled(out, "verdict", format_args!("{style}{verdict}{style:#}"))
}

fn labelled(out: &mut dyn Write, label: &str, text: impl Display) -> io::Result<()> {
    writeln!(out, "{LABEL}{label:<8}{LABEL:#} {text}")
}

fn registry_value(value: &RegValue) -> String {
    match value {
        RegValue::Dword(number) => format!("REG_DWORD {number:#x} ({number})"),
        RegValue::Qword(number) => format!("REG_QWORD {number:#x} ({number})"),
        RegValue::Sz(text) => format!("REG_SZ {text:?}"),
        RegValue::ExpandSz(text) => format!("REG_EXPAND_SZ {text:?}"),
        RegValue::MultiSz(list) => format!("REG_MULTI_SZ {list:?}"),
        RegValue::Binary(data) => format!("REG_BINARY {data:02x?}"),
        RegValue::Raw { kind, data } => format!("type {kind} {data:02x?}"),
    }
}

fn started(out: &mut dyn Write, start: StartResult) -> io::Result<()> {
    match start {
        StartResult::Running(status) => labelled(out, "start", Named(status)),
        StartResult::EntryFailed(status) => labelled(
            out,
            "start",
            format_args!("{BAD}DriverEntry failed{BAD:#}: {}", Named(status)),
        ),
        StartResult::KernelStopped => labelled(
            out,
            "start",
            format_args!("{BAD}DriverEntry did not return{BAD:#}"),
        ),
    }
}

fn findings(out: &mut dyn Write, start: StartResult, findings: &Findings) -> io::Result<()> {
    if let Some(stop) = &findings.bug_check {
        bug_check(out, stop)?;
    } else if matches!(start, StartResult::Running(_)) {
        let unload = if findings.unloaded {
            "unloaded"
        } else {
            "not unloaded: the driver has no DriverUnload, and Windows keeps it until the next start"
        };
        labelled(out, "stop", unload)?;
    }
    let mut explained = BTreeSet::new();
    for violation in &findings.violations {
        let message = printable(&violation.message);
        labelled(
            out,
            "violation",
            format_args!("{BAD}{}{BAD:#}: {message}", violation.rule),
        )?;
        if let Some((code, parameter)) = violation.driver_verifier_code {
            labelled(
                out,
                "",
                format_args!("Driver Verifier: {}, {parameter:#x}", NamedBugCheck(code)),
            )?;
        }
        if let Some(location) = &violation.location {
            labelled(out, "", format_args!("at {location}"))?;
        }
        if rules::find(&violation.rule).is_some() && explained.insert(&violation.rule) {
            labelled(
                out,
                "",
                format_args!("see `ntbox explain {}`", violation.rule),
            )?;
        }
    }
    Ok(())
}

fn bug_check(out: &mut dyn Write, stop: &BugCheck) -> io::Result<()> {
    let [a, b, c, d] = stop.parameters;
    let name = NamedBugCheck(stop.code);
    labelled(
        out,
        "bugcheck",
        format_args!("{BAD}bug check {name}{BAD:#}: {a:#x}, {b:#x}, {c:#x}, {d:#x}"),
    )?;
    labelled(out, "", printable(&stop.message))?;
    for location in &stop.stack {
        labelled(out, "", format_args!("at {location}"))?;
    }
    Ok(())
}

fn log_check(out: &mut dyn Write, check: &LogCheck) -> io::Result<()> {
    match check {
        LogCheck::Passed { lines } => labelled(
            out,
            "check",
            format_args!("all {lines} lines are as expected"),
        ),
        LogCheck::Skipped { reason } => labelled(out, "check", format_args!("none: {reason}")),
        LogCheck::Failed { mismatch } => {
            labelled(out, "check", format_args!("{BAD}failed{BAD:#}"))?;
            writeln!(out, "{}", mismatch.render(true))
        }
    }
}

/// Prints the sessions of a saved log as text.
pub fn sessions(file: &Path, sessions: &[CheckedSession]) -> io::Result<()> {
    let out = &mut anstream::stdout().lock();
    let file = file.display();
    let starts = match sessions.len() {
        0 => format!("{file}: no start of the driver"),
        1 => format!("{file}: one start of the driver"),
        count => format!("{file}: {count} starts of the driver"),
    };
    labelled(out, "log", starts)?;
    for CheckedSession { session, check, .. } in sessions {
        writeln!(out)?;
        if let Some(line) = session.run.log.first() {
            labelled(out, "session", printable(&line.text))?;
        }
        started(out, session.run.start)?;
        if matches!(session.run.start, StartResult::Running(_)) {
            let stop = if session.run.findings.unloaded {
                "unloaded"
            } else {
                "not in the log"
            };
            labelled(out, "stop", stop)?;
        }
        if session.requested_lines > 0 {
            let requested = session.requested_lines;
            labelled(
                out,
                "skipped",
                format_args!("{requested} lines of scenarios that programs requested"),
            )?;
        }
        log_check(out, check)?;
    }
    writeln!(out)?;
    match worst(sessions) {
        Some(worst) => verdict(out, worst),
        None => labelled(
            out,
            "verdict",
            format_args!("{BAD}log-mismatch: the driver is not in the log{BAD:#}"),
        ),
    }
}

/// Prints an error message.
pub fn error(message: &str) -> io::Result<()> {
    writeln!(anstream::stderr(), "{BAD}error{BAD:#}: {message}")
}

/// Prints names and values, one per line.
pub fn table(fields: &serde_json::Map<String, serde_json::Value>) -> io::Result<()> {
    let out = &mut anstream::stdout().lock();
    for (name, value) in fields {
        let rows = value
            .as_array()
            .map_or(std::slice::from_ref(value), |rows| rows);
        for row in rows {
            writeln!(out, "{LABEL}{name:<18}{LABEL:#} {}", cell(row))?;
        }
    }
    Ok(())
}

/// A value in one line; for an object, its names and values.
fn cell(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => {
            let columns = fields
                .iter()
                .map(|(name, value)| format!("{name}={}", cell(value)));
            columns.collect::<Vec<_>>().join(" ")
        }
        _ => value.to_string(),
    }
}

/// Prints a run as JSON.
pub fn json(report: &RunReport) -> io::Result<()> {
    let RunReport {
        host,
        service,
        run,
        check,
        verdict,
    } = report;
    print_json(&json!({
        "host": host,
        "service": service,
        "run": run,
        "check": check,
        "verdict": verdict,
        "exit_status": verdict.exit_status(),
    }))
}

/// Prints a failure as JSON.
pub fn json_failure(failure: &Failure) -> io::Result<()> {
    print_json(&json!({ "error": failure.to_string(), "exit_status": failure.exit_status() }))
}

/// Prints a JSON value.
pub fn print_json(value: &serde_json::Value) -> io::Result<()> {
    let out = &mut io::stdout().lock();
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}
