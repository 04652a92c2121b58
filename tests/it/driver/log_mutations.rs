//! Mutation tests of the log checker: a line of the driver's real log is removed,
//! repeated, moved or changed by one digit, and the check must fail.

use driver_harness::expectations;
use driver_harness::host::{RegValue, Service};
use driver_harness::logmatch::ExpectedLog;
use driver_harness::record::LogLine;
use driver_harness::service_run::ServiceRun;
use integration_tests::embedded::run;
use integration_tests::images;

/// A run of all walks over two pages and a bit, and its promise.
fn run_and_script() -> (ServiceRun, ExpectedLog) {
    let service = Service::new(images::ntmem())
        .parameter(
            "Scenario",
            RegValue::Sz("lock,nonpaged,double-map".to_owned()),
        )
        .parameter("Size", RegValue::Dword(0x2010));
    let run = run(&service);
    let script = expectations::expected_log(&service, &run).expect("a promise");
    script
        .check(&run.log)
        .unwrap_or_else(|found| panic!("{found}"));
    (run, script)
}

#[test]
fn check_log_with_removed_line_fails() {
    let (run, script) = run_and_script();
    for index in 0..run.log.len() {
        let mut log = run.log.clone();
        let lost = log.remove(index);
        assert!(script.check(&log).is_err(), "without `{}`", lost.text);
    }
}

#[test]
fn check_log_with_repeated_line_fails() {
    let (run, script) = run_and_script();
    for (index, line) in run.log.iter().enumerate() {
        let mut log = run.log.clone();
        log.insert(index, line.clone());
        assert!(script.check(&log).is_err(), "`{}` twice", line.text);
    }
}

#[test]
fn check_log_with_moved_line_fails() {
    let (run, script) = run_and_script();
    for index in 1..run.log.len() {
        let mut log = run.log.clone();
        log.swap(index - 1, index);
        assert!(
            script.check(&log).is_err(),
            "`{}` too late",
            run.log[index - 1].text
        );
    }
}

#[test]
fn check_log_with_inserted_line_labels_it() {
    let (run, script) = run_and_script();
    for index in 0..=run.log.len() {
        let mut log = run.log.clone();
        log.insert(index, LogLine::from_text("ntmem: lock: something else=1"));
        let found = script.check(&log).expect_err("a foreign line");
        assert!(
            found.labels.iter().any(|mark| mark.line == index + 1),
            "line {}: {found}",
            index + 1
        );
    }
}

/// Fields whose value says something about the machine or the build, not about
/// the memory.
const FREE: [&str; 8] = [
    "version",
    "thread",
    "windows",
    "build",
    "highest-user",
    "user-probe",
    "system-range-start",
    "mdl",
];

/// Every number in every line, made larger by one at its last digit.
#[test]
fn check_log_with_changed_number_fails() {
    let (run, script) = run_and_script();
    let mut tried = 0;
    for (index, line) in run.log.iter().enumerate() {
        for (key, changed) in with_one_field_changed(&line.text) {
            // The process is named at the start and at the unload; where the MDL
            // is, when it is made and freed.
            // Frame numbers are whatever they are; that of the first page is told
            // a second time, with its physical address.
            let frame =
                key == "pfn" && line.text.contains("page index=") && !line.text.contains("index=0");
            let once = frame || FREE.contains(&key.as_str()) && !line.text.contains("free-mdl");
            if once {
                continue;
            }
            let mut log = run.log.clone();
            log[index].text = changed;
            assert!(
                script.check(&log).is_err(),
                "`{}` instead of `{}`",
                log[index].text,
                line.text
            );
            tried += 1;
        }
    }
    assert!(tried > 100, "only {tried} numbers were changed");
}

/// `text` with each of its `key=number` fields changed, one at a time.
fn with_one_field_changed(text: &str) -> Vec<(String, String)> {
    let fields: Vec<_> = text.split(' ').collect();
    let change = |index: usize| {
        let (key, value) = fields[index].split_once('=')?;
        let last = value.chars().last().filter(char::is_ascii_hexdigit)?;
        if !value.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let digit = if last == '9' || last == 'f' {
            '0'
        } else {
            char::from(last as u8 + 1)
        };
        let field = format!("{key}={}{digit}", &value[..value.len() - 1]);
        let mut changed = fields.clone();
        changed[index] = &field;
        Some((key.to_owned(), changed.join(" ")))
    };
    (0..fields.len()).filter_map(change).collect()
}
