//! A SARIF 2.1.0 file, which code hosts show beside the lines of a change: one result
//! for each violation and bug check.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use nt_status::NamedBugCheck;
use serde_json::{Value, json};

use crate::{Location, Report, rules};

use super::commands::{Done, Outcome};

/// The rule of a stopped kernel.
const BUG_CHECK: &str = "bug-check";

/// Writes the file.
pub fn write(path: &Path, outcome: &Outcome<'_>) -> io::Result<()> {
    let reports: Vec<(String, &Report)> = match &outcome.result {
        Ok(Done::Run(report)) => vec![(String::new(), report)],
        Ok(Done::Ioctl(session)) => vec![(String::new(), &session.report)],
        Ok(Done::Sweep(swept)) => {
            let others = swept.bad().map(|run| {
                let when = format!("when {} fails: ", run.name());
                (when, &run.report)
            });
            [(String::new(), &swept.first)]
                .into_iter()
                .chain(others)
                .collect()
        }
        _ => Vec::new(),
    };
    let error = outcome.result.as_ref().err().map(ToString::to_string);
    let folder = std::env::current_dir().ok();
    let log = log(&reports, error.as_deref(), folder.as_deref());
    std::fs::write(path, serde_json::to_string_pretty(&log)?)
}

/// The whole file. Sources below `folder` are named from there, as a code host does.
fn log(reports: &[(String, &Report)], error: Option<&str>, folder: Option<&Path>) -> Value {
    let mut results: Vec<Value> = Vec::new();
    let mut descriptors = BTreeMap::new();
    for (when, report) in reports {
        for violation in &report.violations {
            descriptors
                .entry(violation.rule.as_str())
                .or_insert_with(|| {
                    let rule = rules::find(&violation.rule);
                    descriptor(
                        &violation.rule,
                        rule.map_or("", |rule| rule.summary),
                        rule.map_or("", |rule| rule.page),
                    )
                });
            let message = format!("{when}{}", violation.message);
            let history = violation.history.iter().flat_map(|past| &past.stack);
            let place = in_source(violation.location.iter().chain(history));
            results.push(result(&violation.rule, &message, report, place, folder));
        }
        if let Some(stop) = &report.bug_check {
            descriptors.entry(BUG_CHECK).or_insert_with(|| {
                descriptor(BUG_CHECK, "the kernel stopped with a bug check", "")
            });
            let message = format!("{when}{}: {}", NamedBugCheck(stop.code), stop.message);
            let place = in_source(stop.location.iter().chain(&stop.stack));
            results.push(result(BUG_CHECK, &message, report, place, folder));
        }
    }
    let notification = error.map(|text| json!({"level": "error", "message": {"text": text}}));
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "ntbox",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": descriptors.into_values().collect::<Vec<_>>(),
            }},
            "invocations": [{
                "executionSuccessful": error.is_none(),
                "toolExecutionNotifications": notification.into_iter().collect::<Vec<_>>(),
            }],
            "results": results,
        }],
    })
}

fn descriptor(id: &str, summary: &str, page: &str) -> Value {
    let mut rule = json!({"id": id, "shortDescription": {"text": summary}});
    if !page.is_empty() {
        rule["help"] = json!({"text": page, "markdown": page});
    }
    rule
}

/// The first location with a source line, else the first.
fn in_source<'l>(locations: impl Iterator<Item = &'l Location> + Clone) -> Option<&'l Location> {
    let mut first = locations.clone();
    let mut with_source = locations.filter(|location| source(location).is_some());
    with_source.next().or_else(|| first.next())
}

/// The line of the driver's source: of the innermost function that has one.
fn source(location: &Location) -> Option<&(String, u32)> {
    let mut inlined = location.inlined_into.iter();
    location
        .source
        .as_ref()
        .or_else(|| inlined.find_map(|outer| outer.source.as_ref()))
}

fn result(
    rule: &str,
    message: &str,
    report: &Report,
    location: Option<&Location>,
    folder: Option<&Path>,
) -> Value {
    let physical = match location.and_then(source) {
        Some((file, line)) => {
            let below = folder.and_then(|folder| Path::new(file).strip_prefix(folder).ok());
            let file = below.and_then(Path::to_str).unwrap_or(file);
            json!({
                "artifactLocation": {"uri": uri(file)},
                "region": {"startLine": (*line).max(1)},
            })
        }
        None => json!({"artifactLocation": {"uri": uri(&report.image.name)}}),
    };
    let mut place = json!({"physicalLocation": physical});
    if let Some(location) = location {
        let offset = format!("{}+{:#x}", location.module, location.offset);
        let name = location.symbol.as_ref().unwrap_or(&offset);
        place["logicalLocations"] = json!([{"name": name, "fullyQualifiedName": offset}]);
    }
    json!({
        "ruleId": rule,
        "level": "error",
        "message": {"text": message},
        "locations": [place],
    })
}

/// A path as a URI reference: `/` between names, and what a URI cannot have in hexadecimal.
fn uri(path: &str) -> String {
    let drive = path.as_bytes().get(1) == Some(&b':');
    let start = if drive { "file:///" } else { "" };
    let mut uri = String::from(start);
    for byte in path.bytes() {
        match byte {
            b'\\' => uri.push('/'),
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(byte.into()),
            b':' if drive => uri.push(':'),
            _ if byte.is_ascii_alphanumeric() => uri.push(byte.into()),
            _ => {
                // Writing to a string does not fail.
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(violations: &Value) -> Report {
        let json = json!({"image": {"name": "a b.sys", "base": "0x0", "size": 0},
            "entry_status": "0x0", "unloaded": true, "log": [], "bug_check": null,
            "violations": violations, "verify": "off", "guard": "after",
            "ignored_rules": [], "schedule": null, "calls": [], "fault_points": [],
            "notes": []});
        serde_json::from_value(json).expect("it is a report")
    }

    #[test]
    fn log_of_violation_with_source_names_file_below_folder_and_rule() {
        let location = json!({"module": "a.sys", "offset": "0x12", "return_address": false,
            "symbol": "Leak", "source": {"file": "/home/x/src/lib.rs", "line": 7},
            "inlined_into": []});
        let report = report(&json!([{"rule": "pool-leak", "driver_verifier_code": null,
            "message": "16 bytes", "location": location, "history": []}]));
        let log = log(
            &[(String::new(), &report)],
            None,
            Some(Path::new("/home/x")),
        );
        let run = &log["runs"][0];
        let result = &run["results"][0];
        assert_eq!(result["ruleId"], "pool-leak");
        let physical = &result["locations"][0]["physicalLocation"];
        assert_eq!(physical["artifactLocation"]["uri"], "src/lib.rs");
        assert_eq!(physical["region"]["startLine"], 7);
        let rule = &run["tool"]["driver"]["rules"][0];
        assert_eq!(rule["id"], "pool-leak");
        assert_ne!(rule["help"]["markdown"], Value::Null);
        assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    }

    #[test]
    fn log_of_violation_without_location_names_image() {
        let report = report(
            &json!([{"rule": "no-such-rule", "driver_verifier_code": null,
            "message": "x", "location": null, "history": []}]),
        );
        let log = log(&[("when A:1 fails: ".to_owned(), &report)], None, None);
        let result = &log["runs"][0]["results"][0];
        assert_eq!(result["message"]["text"], "when A:1 fails: x");
        let physical = &result["locations"][0]["physicalLocation"];
        assert_eq!(physical["artifactLocation"]["uri"], "a%20b.sys");
    }

    #[test]
    fn log_of_error_is_unsuccessful_execution() {
        let log = log(&[], Some("no image"), None);
        let invocation = &log["runs"][0]["invocations"][0];
        assert_eq!(invocation["executionSuccessful"], false);
        let said = &invocation["toolExecutionNotifications"][0]["message"]["text"];
        assert_eq!(said, "no image");
    }

    #[test]
    fn uri_of_windows_path_is_absolute() {
        assert_eq!(uri("C:\\a b\\c.rs"), "file:///C:/a%20b/c.rs");
    }
}
