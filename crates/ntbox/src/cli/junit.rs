//! A JUnit file, which build servers show: one test case for a run, and one for
//! each run of a sweep.

use std::io;
use std::path::Path;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use crate::{Report, Verdict};

use super::commands::{Done, Outcome};

/// A test case. `failure` is the message, and the text with all details.
fn case(name: &str, failure: Option<(&str, &str)>) -> TestCase {
    let status = match failure {
        None => TestCaseStatus::success(),
        Some((message, text)) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(message).set_description(text);
            status
        }
    };
    let mut case = TestCase::new(name, status);
    case.set_classname("ntbox");
    case
}

/// The test case of a run; in some runs DriverEntry may fail.
fn run_case(name: &str, report: &Report, may_fail: bool) -> TestCase {
    match report.verdict() {
        Verdict::Clean | Verdict::NoUnloadRoutine => case(name, None),
        Verdict::EntryFailed if may_fail => case(name, None),
        Verdict::EntryFailed | Verdict::BugCheck | Verdict::Violations | Verdict::LogMismatch => {
            // The library drops tabs with the other control characters.
            let text = report.text().to_string().replace('\t', "  ");
            case(name, Some((&report.summary(), &text)))
        }
    }
}

/// Writes the file.
pub fn write(path: &Path, outcome: &Outcome<'_>) -> io::Result<()> {
    let mut suite = TestSuite::new("ntbox");
    suite.add_test_cases(cases(outcome));
    let mut report = quick_junit::Report::new("ntbox");
    report.add_test_suite(suite);
    let text = report.to_string().map_err(io::Error::other)?;
    std::fs::write(path, text)
}

fn cases(outcome: &Outcome<'_>) -> Vec<TestCase> {
    match &outcome.result {
        Ok(Done::Run(report)) => vec![run_case(&report.image.name, report, false)],
        Ok(Done::Ioctl(session)) => {
            let run = run_case(&session.report.image.name, &session.report, false);
            let requests = session.answers.iter().map(|answer| {
                let failure = (answer.name.as_str(), answer.name.as_str());
                case(&answer.request, answer.failed.then_some(failure))
            });
            [run].into_iter().chain(requests).collect()
        }
        Ok(Done::Sweep(swept)) => {
            let name = &swept.first.image.name;
            let first = run_case(name, &swept.first, false);
            let others = swept
                .runs
                .iter()
                .map(|run| run_case(&format!("{name}: {} fails", run.name()), &run.report, true));
            [first].into_iter().chain(others).collect()
        }
        Ok(
            Done::Imports(_) | Done::Exports(_) | Done::Missing(_) | Done::Rules(_) | Done::Text(_),
        ) => Vec::new(),
        Err(error) => {
            let text = error.to_string();
            vec![case("run", Some((&text, &text)))]
        }
    }
}
