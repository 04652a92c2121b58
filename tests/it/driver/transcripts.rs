//! The transcripts in the documents match runs, except for addresses, times and omitted
//! lines.

use std::path::Path;

use driver_harness::host::Service;
use integration_tests::{embedded, images};
use ntbox::{Config, RegValue};

/// The text without hexadecimal numbers: those with `0x`, and those of 8 digits and more.
fn without_numbers(text: &str) -> String {
    let mut result = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let digits = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let number = digits.strip_prefix("0x");
        let is_number = number.is_some() || digits.len() >= 8;
        let is_hexadecimal = number
            .unwrap_or(digits)
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit());
        if is_number && is_hexadecimal {
            result.push_str(&word[digits.len()..]);
        } else {
            result.push_str(word);
        }
    }
    result
}

/// The lines of the log that a transcript shows, with their numbers.
fn lines(transcript: &str) -> impl Iterator<Item = (usize, &str)> {
    transcript.lines().filter_map(|line| {
        let (number, rest) = line.split_once('\t')?;
        Some((number.parse().ok()?, rest.split_once('\t')?.1))
    })
}

#[test]
fn readme_transcript_matches_a_run() {
    let readme = include_str!("../../../README.md");
    let run = embedded::run(&Service::new(images::ntmem()));
    let log: Vec<&str> = run.texts().collect();
    let shown: Vec<_> = lines(readme).collect();
    assert!(shown.len() > 20, "no transcript");
    for (number, line) in &shown {
        let logged = log.get(number - 1).map(|text| without_numbers(text));
        assert_eq!(logged, Some(without_numbers(line)), "line {number}");
    }
    assert_eq!(shown.last().map(|(number, _)| *number), Some(log.len()));
    let verdict = format!("check    all {} lines are as expected", log.len());
    assert!(readme.contains(&verdict), "{verdict}");
}

/// Checks that `page` has the report of a run, as a block of code.
#[track_caller]
fn assert_has_report(page: &str, config: &Config) {
    let report = ntbox::run(config).expect("the driver runs");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let text = report.text().folder(root).to_string();
    let block = format!("```\n{}```\n", without_numbers(&text));
    assert!(without_numbers(page).contains(&block), "{text}");
}

#[test]
fn document_reports_match_runs() {
    assert_has_report(
        include_str!("../../../docs/reference/ntbox.md"),
        &Config::new(images::driver("leak")),
    );
    assert_has_report(
        include_str!("../../../docs/guides/debug-a-driver.md"),
        &Config::new(images::driver("crash")).parameter("How", RegValue::Dword(0)),
    );
}
