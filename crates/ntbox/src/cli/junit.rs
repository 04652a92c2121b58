//! A JUnit file, which build servers show: one test case for a run, and one for
//! each run of a sweep.

use std::fmt::{self, Display, Formatter, Write as _};
use std::io;
use std::path::Path;

use crate::{Report, Verdict};

use super::commands::{Done, Outcome};

/// A test case.
struct Case {
    name: String,
    /// What was wrong, and all that is known of it.
    failure: Option<(String, String)>,
}

impl Case {
    fn of(name: String, report: &Report, may_refuse: bool) -> Self {
        let verdict = report.verdict();
        let good = match verdict {
            Verdict::Clean | Verdict::NoUnloadRoutine => true,
            Verdict::EntryFailed => may_refuse,
            Verdict::BugCheck | Verdict::Violations | Verdict::LogMismatch => false,
        };
        let failure = (!good).then(|| (report.summary(), report.text().to_string()));
        Self { name, failure }
    }
}

/// Writes the file.
pub fn write(path: &Path, outcome: &Outcome<'_>) -> io::Result<()> {
    std::fs::write(path, text(&cases(outcome)))
}

fn cases(outcome: &Outcome<'_>) -> Vec<Case> {
    match &outcome.result {
        Ok(Done::Run(report)) => vec![Case::of(report.image.name.clone(), report, false)],
        Ok(Done::Ioctl(session)) => {
            let name = session.report.image.name.clone();
            let mut cases = vec![Case::of(name, &session.report, false)];
            cases.extend(session.answers.iter().map(|answer| {
                Case {
                    name: answer.request.clone(),
                    failure: answer
                        .failed
                        .then(|| (answer.name.clone(), answer.name.clone())),
                }
            }));
            cases
        }
        Ok(Done::Sweep(swept)) => {
            let name = swept.first.image.name.clone();
            let mut cases = vec![Case::of(name.clone(), &swept.first, false)];
            let runs = swept.runs.iter();
            cases.extend(
                runs.map(|run| {
                    Case::of(format!("{name}: {} fails", run.name()), &run.report, true)
                }),
            );
            cases
        }
        Ok(
            Done::Imports(_) | Done::Exports(_) | Done::Missing(_) | Done::Rules(_) | Done::Text(_),
        ) => Vec::new(),
        Err(error) => vec![Case {
            name: "run".to_owned(),
            failure: Some((error.to_string(), error.to_string())),
        }],
    }
}

fn text(cases: &[Case]) -> String {
    let failures = cases.iter().filter(|case| case.failure.is_some()).count();
    let counts = format!("tests=\"{}\" failures=\"{failures}\"", cases.len());
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n<testsuite name=\"ntbox\" {counts}>\n"
    );
    for case in cases {
        let name = Escaped(&case.name);
        // Writing to a string does not fail.
        let _ = match &case.failure {
            None => writeln!(text, "<testcase classname=\"ntbox\" name=\"{name}\"/>"),
            Some((message, whole)) => writeln!(
                text,
                "<testcase classname=\"ntbox\" name=\"{name}\"><failure message=\"{}\">{}</failure></testcase>",
                Escaped(message),
                Escaped(whole)
            ),
        };
    }
    text.push_str("</testsuite>\n</testsuites>\n");
    text
}

/// Text as XML has it; what XML cannot have is replaced.
struct Escaped<'t>(&'t str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\n' | '\t' => f.write_char(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => f.write_char('\u{fffd}'),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_and_text_is_escaped() {
        let cases = [
            Case {
                name: "a<b>.sys".to_owned(),
                failure: None,
            },
            Case {
                name: "b".to_owned(),
                failure: Some(("\"x\" & y".to_owned(), "line\n\u{1b}[1m".to_owned())),
            },
        ];
        let xml = text(&cases);
        assert!(xml.contains("tests=\"2\" failures=\"1\""), "{xml}");
        assert!(xml.contains("name=\"a&lt;b&gt;.sys\"/>"), "{xml}");
        assert!(
            xml.contains(
                "message=\"&quot;x&quot; &amp; y\">line\n\u{fffd}[1m</failure></testcase>"
            ),
            "{xml}"
        );
        assert!(xml.ends_with("</testsuites>\n"), "{xml}");
    }
}
