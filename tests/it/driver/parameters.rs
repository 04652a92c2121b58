//! The values of the service's `Parameters` key. A valid value changes the run; an invalid
//! one is logged, and no scenario begins.

use driver_harness::expectations;
use driver_harness::host::{RegValue, Service};
use driver_harness::record::StartResult;
use driver_harness::service_run::ServiceRun;
use integration_tests::embedded::run;
use integration_tests::images;

const STATUS_INVALID_PARAMETER: u32 = 0xC000_000D;

fn sz(text: &str) -> RegValue {
    RegValue::Sz(text.to_owned())
}

fn raw(kind: u32, data: &[u8]) -> RegValue {
    RegValue::Raw {
        kind,
        data: data.to_vec(),
    }
}

fn service(values: &[(&str, RegValue)]) -> Service {
    let service = Service::new(images::ntmem());
    values.iter().fold(service, |service, (name, value)| {
        service.parameter(*name, value.clone())
    })
}

/// The run, which logged what it promises for these values.
#[track_caller]
fn as_promised(values: &[(&str, RegValue)]) -> ServiceRun {
    let service = service(values);
    let run = run(&service);
    assert_eq!(run.findings.bug_check, None, "{values:?}");
    let script = expectations::expected_log(&service, &run).expect("a promise");
    script
        .check(&run.log)
        .unwrap_or_else(|found| panic!("{values:?}\n{found}"));
    run
}

/// A run with these values, in which the line about parameters has this field.
#[track_caller]
fn accepted(values: &[(&str, RegValue)], field: &str) {
    let run = as_promised(values);
    assert_eq!(
        (run.start, run.findings.unloaded),
        (StartResult::Running(0), true),
        "{values:?}"
    );
    assert_eq!(run.findings.violations, [], "{values:?}");
    let parameters = run
        .texts()
        .find(|text| text.starts_with("ntmem: driver: parameters "))
        .expect("a line");
    assert!(
        parameters.split(' ').any(|other| other == field),
        "{parameters}"
    );
}

/// A run with these values, in which the value `name` is refused for `reason`.
#[track_caller]
fn refused(values: &[(&str, RegValue)], name: &str, reason: &str) {
    let run = as_promised(values);
    assert_eq!(
        run.start,
        StartResult::EntryFailed(STATUS_INVALID_PARAMETER),
        "{values:?}"
    );
    assert_eq!(run.findings.violations, [], "{values:?}");
    let line = format!("ntmem: driver: refused value={name} reason={reason} ");
    assert!(
        run.texts().any(|text| text.starts_with(&line)),
        "{line}{:#?}",
        run.texts().collect::<Vec<_>>()
    );
    assert!(
        !run.texts().any(|text| text.contains(": begin ")),
        "a walk was begun"
    );
}

#[test]
fn scenario_names_are_accepted() {
    for (text, list) in [
        ("lock", "lock"),
        ("nonpaged", "nonpaged"),
        ("LOCK", "lock"),
        ("nonpaged,lock", "nonpaged,lock"),
        ("  Lock\t, NonPaged ,,", "lock,nonpaged"),
        ("none", "none"),
        ("None,none", "none"),
    ] {
        accepted(&[("Scenario", sz(text))], &format!("scenario={list}"));
    }
    // Without the NUL at the end, and with more than one.
    accepted(&[("Scenario", raw(1, b"l\0o\0c\0k\0"))], "scenario=lock");
    accepted(
        &[("Scenario", raw(1, b"l\0o\0c\0k\0\0\0\0\0\0\0"))],
        "scenario=lock",
    );
}

#[test]
fn scenario_alias_is_read_without_the_new_name() {
    accepted(&[("Walk", sz("lock"))], "scenario=lock");
    accepted(
        &[("Walk", sz("lock")), ("Scenario", sz("nonpaged"))],
        "scenario=nonpaged",
    );
}

#[test]
fn scenario_invalid_is_refused() {
    for (value, reason) in [
        (sz("walk"), "unknown-name"),
        (sz("loc"), "unknown-name"),
        (sz("lock;nonpaged"), "unknown-name"),
        (sz("lóck"), "unknown-name"),
        (sz("lock\u{202e}"), "unknown-name"),
        (raw(1, b"l\0o\0\0\0c\0k\0"), "unknown-name"),
        (raw(1, &[0x00, 0xD8, 0x41, 0x00]), "unknown-name"),
        (sz(""), "empty"),
        (sz(" ,\t"), "empty"),
        (raw(1, b""), "empty"),
        (sz("lock,lock"), "contradictory"),
        (sz("none,lock"), "contradictory"),
        (raw(1, b"l\0o\0c\0k"), "malformed"),
        (sz(&"lock,".repeat(200)), "too-long"),
        (RegValue::MultiSz(vec!["lock".to_owned()]), "wrong-type"),
        (RegValue::ExpandSz("lock".to_owned()), "wrong-type"),
        (RegValue::Dword(1), "wrong-type"),
        (RegValue::Binary(b"lock".to_vec()), "wrong-type"),
        (raw(0, b""), "wrong-type"),
        (raw(0xFFFF_FFFF, b"lock"), "wrong-type"),
    ] {
        refused(&[("Scenario", value)], "Scenario", reason);
    }
}

#[test]
fn size_in_range_is_accepted() {
    for size in [
        1, 7, 16, 4095, 4096, 4097, 8192, 0x1_0001, 0x10_0000, 0x100_0000,
    ] {
        accepted(
            &[("Size", RegValue::Dword(size)), ("Scenario", sz("lock"))],
            &format!("size={size}"),
        );
    }
    accepted(&[("Size", RegValue::Dword(12345))], "size=12345");
}

#[test]
fn size_invalid_is_refused() {
    for (value, reason) in [
        (RegValue::Dword(0), "out-of-range"),
        (RegValue::Dword(0x100_0001), "out-of-range"),
        (RegValue::Dword(u32::MAX), "out-of-range"),
        (RegValue::Qword(4096), "wrong-type"),
        (sz("4096"), "wrong-type"),
        (raw(4, &[0, 16]), "malformed"),
        (raw(4, &[0, 16, 0, 0, 0, 0, 0, 0]), "malformed"),
        (raw(4, b""), "malformed"),
        (raw(4, &[0; 501]), "too-long"),
        (raw(4, &[0; 500]), "malformed"),
        (raw(5, &[0, 0, 16, 0]), "wrong-type"),
    ] {
        refused(&[("Size", value)], "Size", reason);
    }
}

#[test]
fn cache_type_is_parsed_or_refused() {
    for (text, name) in [
        ("cached", "cached"),
        ("CACHED", "cached"),
        ("noncached", "noncached"),
        ("WriteCombined", "writecombined"),
    ] {
        accepted(&[("CacheType", sz(text))], &format!("cache-type={name}"));
    }
    for (value, reason) in [
        (sz("uncached"), "unknown-name"),
        (sz(" cached"), "unknown-name"),
        (sz(""), "unknown-name"),
        (RegValue::Dword(1), "wrong-type"),
        (raw(1, &[0x63]), "malformed"),
    ] {
        refused(&[("CacheType", value)], "CacheType", reason);
    }
}

#[test]
fn log_level_is_parsed_or_refused() {
    for level in 0..4 {
        accepted(
            &[("LogLevel", RegValue::Dword(level))],
            &format!("log-level={level}"),
        );
    }
    for (value, reason) in [
        (RegValue::Dword(4), "out-of-range"),
        (RegValue::Dword(0x8000_0000), "out-of-range"),
        (sz("3"), "wrong-type"),
        (raw(4, &[3]), "malformed"),
    ] {
        refused(&[("LogLevel", value)], "LogLevel", reason);
    }
}

#[test]
fn value_names_ignore_case_and_unknown_names() {
    accepted(
        &[
            ("SIZE", RegValue::Dword(64)),
            ("Sized", RegValue::Dword(0)),
            ("", sz("default")),
        ],
        "size=64",
    );
}

#[test]
fn invalid_values_are_each_logged() {
    let values = [
        ("LogLevel", RegValue::Dword(9)),
        ("CacheType", sz("none")),
        ("Size", RegValue::Dword(0)),
        ("Scenario", sz("run")),
    ];
    let run = as_promised(&values);
    assert_eq!(
        run.start,
        StartResult::EntryFailed(STATUS_INVALID_PARAMETER)
    );
    let refused = run
        .texts()
        .filter(|text| text.contains(" refused "))
        .count();
    assert_eq!(refused, 4);
}

#[test]
fn invalid_long_value_is_truncated_in_log() {
    let run = as_promised(&[("Scenario", sz(&"\u{1234}".repeat(240)))]);
    let line = run
        .texts()
        .find(|text| text.contains(" refused "))
        .expect("a refusal");
    assert!(line.len() == 510 && line.ends_with("..."), "{line}");
}
