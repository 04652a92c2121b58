//! What a person or a program is told at the end: the log as DebugView shows
//! it, and around it what happened, one labelled line each.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use driver_harness::debugview;
use driver_harness::host::RegValue;
use driver_harness::record::{BugCheck, Findings, Start};
use driver_harness::verdict::{Check, Verdict};
use nt_status::{Named, NamedBugCheck};
use serde_json::json;

use crate::saved::{Checked, worst};
use crate::{Failure, Outcome};

const LABEL: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Tells a person.
pub fn text(outcome: &Outcome) -> io::Result<()> {
    let out = &mut anstream::stdout().lock();
    let Outcome { service, run, .. } = outcome;
    let image = service.image.display();
    labelled(
        out,
        "driver",
        format_args!("{image} on {}, service {}", outcome.host, service.name),
    )?;
    for (name, value) in &service.parameters {
        labelled(
            out,
            "set",
            format_args!("Parameters\\{name} = {}", registry(value)),
        )?;
    }
    writeln!(out)?;
    for line in debugview::lines(&run.log) {
        writeln!(out, "{line}")?;
    }
    let hidden = run.log.iter().filter(|line| !line.shown).count();
    if hidden > 0 {
        writeln!(out, "({hidden} lines are hidden by the debug print filter)")?;
    }
    writeln!(out)?;
    started(out, run.start)?;
    findings(out, run.start, &run.findings)?;
    checked(out, &outcome.check)?;
    let style = if outcome.verdict == Verdict::Passed {
        GOOD
    } else {
        BAD
    };
    labelled(
        out,
        "verdict",
        format_args!("{style}{}{style:#}", outcome.verdict),
    )
}

fn labelled(out: &mut dyn Write, label: &str, text: impl Display) -> io::Result<()> {
    writeln!(out, "{LABEL}{label:<8}{LABEL:#} {text}")
}

fn registry(value: &RegValue) -> String {
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

fn started(out: &mut dyn Write, start: Start) -> io::Result<()> {
    match start {
        Start::Running(status) => labelled(out, "start", Named(status)),
        Start::Refused(status) => labelled(
            out,
            "start",
            format_args!("{BAD}DriverEntry failed{BAD:#}: {}", Named(status)),
        ),
        Start::Stopped => labelled(
            out,
            "start",
            format_args!("{BAD}DriverEntry never returned{BAD:#}"),
        ),
    }
}

fn findings(out: &mut dyn Write, start: Start, findings: &Findings) -> io::Result<()> {
    if let Some(stop) = &findings.bug_check {
        stopped(out, stop)?;
    } else if matches!(start, Start::Running(_)) {
        let unload = if findings.unloaded {
            "unloaded"
        } else {
            "not unloaded: the driver has no DriverUnload, Windows would keep it until the next start"
        };
        labelled(out, "stop", unload)?;
    }
    for violation in &findings.violations {
        let what = debugview::printable(&violation.what);
        labelled(
            out,
            "rule",
            format_args!("{BAD}{}{BAD:#}: {what}", violation.rule),
        )?;
        if let Some((code, parameter)) = violation.verifier {
            labelled(
                out,
                "",
                format_args!("Driver Verifier: {}, {parameter:#x}", NamedBugCheck(code)),
            )?;
        }
        if let Some(place) = &violation.place {
            labelled(out, "", format_args!("at {place}"))?;
        }
    }
    Ok(())
}

fn stopped(out: &mut dyn Write, stop: &BugCheck) -> io::Result<()> {
    let [a, b, c, d] = stop.parameters;
    let name = NamedBugCheck(stop.code);
    labelled(
        out,
        "stopped",
        format_args!("{BAD}bug check {name}{BAD:#}: {a:#x}, {b:#x}, {c:#x}, {d:#x}"),
    )?;
    labelled(out, "", debugview::printable(&stop.what))?;
    for place in &stop.stack {
        labelled(out, "", format_args!("at {place}"))?;
    }
    Ok(())
}

fn checked(out: &mut dyn Write, check: &Check) -> io::Result<()> {
    match check {
        Check::Passed { lines } => labelled(
            out,
            "check",
            format_args!("all {lines} lines are as promised"),
        ),
        Check::Skipped { reason } => labelled(out, "check", format_args!("none: {reason}")),
        Check::Failed { mismatch } => {
            labelled(out, "check", format_args!("{BAD}failed{BAD:#}"))?;
            writeln!(out, "{}", mismatch.render(true))
        }
    }
}

/// Tells a person what a saved log came to, life by life.
pub fn lives(file: &Path, lives: &[Checked]) -> io::Result<()> {
    let out = &mut anstream::stdout().lock();
    let file = file.display();
    let starts = match lives.len() {
        0 => format!("{file}: no line says that the driver starts"),
        1 => format!("{file}: one start of the driver"),
        count => format!("{file}: {count} starts of the driver"),
    };
    labelled(out, "log", starts)?;
    for Checked { life, check, .. } in lives {
        writeln!(out)?;
        if let Some(line) = life.run.log.first() {
            labelled(out, "life", debugview::printable(&line.text))?;
        }
        started(out, life.run.start)?;
        if matches!(life.run.start, Start::Running(_)) {
            let stop = if life.run.findings.unloaded {
                "unloaded"
            } else {
                "not in the log"
            };
            labelled(out, "stop", stop)?;
        }
        if life.asked > 0 {
            let asked = life.asked;
            labelled(
                out,
                "left out",
                format_args!("{asked} lines of scenarios that programs requested"),
            )?;
        }
        checked(out, check)?;
    }
    writeln!(out)?;
    match worst(lives) {
        Some(Verdict::Passed) => labelled(out, "verdict", format_args!("{GOOD}passed{GOOD:#}")),
        Some(verdict) => labelled(out, "verdict", format_args!("{BAD}{verdict}{BAD:#}")),
        None => labelled(
            out,
            "verdict",
            format_args!("{BAD}the driver is not in the log{BAD:#}"),
        ),
    }
}

/// Tells a person why there is nothing to tell.
pub fn failure(failure: &Failure) -> io::Result<()> {
    error(&failure.to_string())
}

/// Tells a person what went wrong.
pub fn error(what: &str) -> io::Result<()> {
    writeln!(anstream::stderr(), "{BAD}error{BAD:#}: {what}")
}

/// Tells a person names and values, one a line.
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

/// A value in one line: of an object, the names with their values.
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

/// Tells a program.
pub fn json(outcome: &Outcome) -> io::Result<()> {
    let Outcome {
        host,
        service,
        run,
        check,
        verdict,
    } = outcome;
    print(&json!({
        "host": host,
        "service": service,
        "run": run,
        "check": check,
        "verdict": verdict,
        "exit_status": verdict.exit_status(),
    }))
}

/// Tells a program why there is nothing to tell.
pub fn json_failure(failure: &Failure) -> io::Result<()> {
    print(&json!({ "error": failure.to_string(), "exit_status": failure.exit_status() }))
}

/// Writes one JSON value.
pub fn print(value: &serde_json::Value) -> io::Result<()> {
    let out = &mut io::stdout().lock();
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}
