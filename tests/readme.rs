//! The transcript in README.md is that of a run, except for addresses, times and the
//! lines that it leaves out.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use driver_harness::host::Service;
use suites::{build, embedded};

/// The text with each hexadecimal number replaced by `0x`.
fn without_numbers(text: &str) -> String {
    let mut parts = text.split("0x");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + "0x" + part.trim_start_matches(|c: char| c.is_ascii_hexdigit())
    })
}

/// The lines of the log that a transcript shows, with their numbers.
fn lines(transcript: &str) -> impl Iterator<Item = (usize, &str)> {
    transcript.lines().filter_map(|line| {
        let (number, rest) = line.split_once('\t')?;
        Some((number.parse().ok()?, rest.split_once('\t')?.1))
    })
}

#[test]
fn readme_transcript_is_that_of_a_run() {
    let readme = include_str!("../README.md");
    let run = embedded::run(&Service::new(build::ntmem()));
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
