//! The first mismatch of a log, displayed as a compiler error: the line, the column, the
//! actual and the expected text, and the related lines.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level as Severity, Renderer, Snippet};
use serde::Serialize;

use super::condition::{Binding, EvalError};
use super::matcher::Requirement;
use super::pattern::{MatchFailure, Pattern, Value};
use crate::record::{Level, LogLine};

/// A failure that the engine records.
#[derive(Debug, Clone)]
pub(crate) enum Problem {
    /// The line does not match the pattern.
    Text {
        pattern: Pattern,
        failure: MatchFailure,
    },
    /// The log ends before an expected line.
    Missing { pattern: Pattern },
    /// The log continues after its expected end.
    Extra,
    /// The line has another level.
    Level { expected: Level, actual: Level },
    /// A value differs from the earlier value of its name.
    ValueDiffers {
        name: String,
        span: Range<usize>,
        value: Value,
        earlier: Option<Binding>,
    },
    /// A condition does not hold.
    Condition {
        requirement: Requirement,
        actual: String,
        operands: Vec<Binding>,
    },
    /// The log reached [`never`](super::never).
    Never { reason: String },
    /// A condition in the expected log cannot be evaluated.
    Invalid { source: String, error: EvalError },
}

/// The kinds of mismatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MismatchKind {
    /// A line differs from the expected one.
    Differs,
    /// The log ends too early.
    Missing,
    /// The log has an extra line.
    Extra,
    /// A line has the wrong level.
    Level,
    /// A condition does not hold.
    Condition,
    /// The expected log is invalid.
    Expectation,
}

/// A location in the log with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label {
    /// The number of the line, from 1.
    pub line: usize,
    /// The bytes in the line.
    pub span: Range<usize>,
    /// The message.
    #[serde(rename = "label")]
    pub text: String,
}

/// The first difference of a log from the expected one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// The kind.
    pub kind: MismatchKind,
    /// The mismatch in a sentence.
    pub title: String,
    /// The location, then related locations. An empty log has none.
    #[serde(rename = "marks")]
    pub labels: Vec<Label>,
    /// The patterns of the lines that would match.
    pub expected: Vec<String>,
    /// Hints.
    pub notes: Vec<String>,
    /// The texts of the log.
    #[serde(skip)]
    log: Vec<String>,
}

impl Mismatch {
    /// The mismatch at line `at` (from 0); all `problems` are at the same position.
    pub(crate) fn explain(log: &[LogLine], at: usize, problems: Vec<Problem>) -> Self {
        let mut mismatch = Self {
            kind: MismatchKind::Differs,
            title: String::new(),
            labels: Vec::new(),
            expected: Vec::new(),
            notes: Vec::new(),
            log: log.iter().map(|line| line.text.clone()).collect(),
        };
        for problem in problems {
            if let Problem::Text { .. } | Problem::Missing { .. } | Problem::Extra = problem {
                mismatch.add_text_problem(at, problem);
            } else {
                mismatch.set_value_problem(at, problem);
                return mismatch;
            }
        }
        if mismatch.kind == MismatchKind::Differs {
            mismatch.add_hint(at);
        }
        mismatch
    }

    /// A label for the whole line `at`.
    fn line_label(&self, at: usize, text: String) -> Label {
        Label {
            line: at + 1,
            span: 0..self.log.get(at).map_or(0, String::len),
            text,
        }
    }

    /// If several lines are expected here, all are listed, and the label is at the end of
    /// the longest match.
    fn add_text_problem(&mut self, at: usize, problem: Problem) {
        match problem {
            Problem::Text { pattern, failure } => {
                self.title = format!("line {} is not the expected one", at + 1);
                self.kind = MismatchKind::Differs;
                if self
                    .labels
                    .first()
                    .is_none_or(|label| label.span.start < failure.column)
                {
                    let mut label =
                        self.line_label(at, format!("expected {} here", failure.expected));
                    label.span.start = failure.column;
                    self.labels = vec![label];
                }
                self.expect(&pattern);
            }
            Problem::Missing { pattern } => {
                self.kind = MismatchKind::Missing;
                if at == 0 {
                    self.title = String::from("the log is empty");
                } else {
                    self.title = format!("the log ends too early, after line {at}");
                    self.labels = vec![
                        self.line_label(at - 1, "another line must follow this one".to_owned()),
                    ];
                }
                self.expect(&pattern);
            }
            _ if self.expected.is_empty() => {
                self.kind = MismatchKind::Extra;
                self.title = format!("line {} is extra", at + 1);
                self.labels = vec![self.line_label(
                    at,
                    "expected the end of the log before this line".to_owned(),
                )];
            }
            _ => self.notes.push("the log may also end there".to_owned()),
        }
    }

    fn expect(&mut self, pattern: &Pattern) {
        let pattern = pattern.to_string();
        if !self.expected.contains(&pattern) {
            self.expected.push(pattern);
        }
    }

    /// Adds a hint whether the expected line occurs later.
    fn add_hint(&mut self, at: usize) {
        let patterns: Vec<_> = self
            .expected
            .iter()
            .filter_map(|source| Pattern::parse(source).ok())
            .collect();
        let later = (at + 1..self.log.len()).find(|index| {
            patterns
                .iter()
                .any(|pattern| pattern.read(&self.log[*index]).is_ok())
        });
        self.notes.push(match later {
            Some(index) => {
                let label = self.line_label(index, "the expected line is here".to_owned());
                self.labels.push(label);
                if index == at + 1 {
                    format!("line {} is extra or out of order", at + 1)
                } else {
                    format!("lines {} to {index} are extra or out of order", at + 1)
                }
            }
            None => "no later line is the expected one; it differs or is missing".to_owned(),
        });
    }

    /// Sets the mismatch of a line whose text matches.
    fn set_value_problem(&mut self, at: usize, problem: Problem) {
        self.labels.clear();
        self.notes.clear();
        self.expected.clear();
        match problem {
            Problem::Level { expected, actual } => {
                self.kind = MismatchKind::Level;
                self.title = format!("line {} has level {actual}, not {expected}", at + 1);
                self.labels
                    .push(self.line_label(at, format!("logged at {actual}")));
            }
            Problem::ValueDiffers {
                name,
                span,
                value,
                earlier,
            } => {
                self.kind = MismatchKind::Condition;
                self.title = format!("line {} has another value of `{name}`", at + 1);
                self.labels.push(Label {
                    line: at + 1,
                    span,
                    text: format!("the value here is {value}"),
                });
                match earlier {
                    Some(Binding {
                        value,
                        location: Some((line, span)),
                        ..
                    }) => {
                        self.labels.push(Label {
                            line: line + 1,
                            span,
                            text: format!("the earlier value is {value}"),
                        });
                    }
                    _ => self.notes.push(format!("`{name}` has no earlier value")),
                }
            }
            Problem::Condition {
                requirement,
                actual,
                operands,
            } => {
                self.kind = MismatchKind::Condition;
                self.title = format!("{} does not hold", requirement.condition);
                self.label_values(operands);
                self.notes.push(format!("expected: {}", requirement.reason));
                self.notes.push(actual);
            }
            Problem::Never { reason } => {
                self.kind = MismatchKind::Condition;
                self.title = reason;
                if at > 0 {
                    self.labels
                        .push(self.line_label(at - 1, "after this line".to_owned()));
                }
            }
            Problem::Invalid { source, error } => {
                self.kind = MismatchKind::Expectation;
                self.title = format!("the expected log is invalid, in `{source}`: {error}");
                // The condition can follow the last line.
                if let Some(last) = self.log.len().checked_sub(1) {
                    self.labels
                        .push(self.line_label(at.min(last), "evaluated here".to_owned()));
                }
            }
            Problem::Text { .. } | Problem::Missing { .. } | Problem::Extra => {}
        }
    }

    /// Labels values, the last one first.
    fn label_values(&mut self, operands: Vec<Binding>) {
        self.labels.extend(operands.into_iter().filter_map(
            |Binding {
                 name,
                 value,
                 location,
             }| {
                let (line, span) = location?;
                Some(Label {
                    line: line + 1,
                    span,
                    text: format!("{name} is {value}"),
                })
            },
        ));
        self.labels
            .sort_by_key(|label| std::cmp::Reverse((label.line, label.span.start)));
    }

    /// Renders the mismatch with its lines, with colours on request.
    #[must_use]
    pub fn render(&self, has_colours: bool) -> String {
        // Byte for byte, so that the spans remain valid.
        let lines: Vec<_> = self
            .log
            .iter()
            .map(|text| text.replace(['\n', '\r'], " "))
            .collect();
        let starts: Vec<_> = lines
            .iter()
            .scan(0, |start, line| {
                let this = *start;
                *start += line.len() + 1;
                Some(this)
            })
            .collect();
        let source = lines.join("\n");
        let mut group = Group::with_title(Severity::ERROR.primary_title(self.title.as_str()));
        if !self.labels.is_empty() {
            let annotations = self.labels.iter().enumerate().map(|(index, label)| {
                let start = starts[label.line - 1];
                let kind = if index == 0 {
                    AnnotationKind::Primary
                } else {
                    AnnotationKind::Context
                };
                kind.span(start + label.span.start..start + label.span.end)
                    .label(label.text.as_str())
            });
            group = group.element(
                Snippet::source(source.as_str())
                    .path("log")
                    .annotations(annotations),
            );
        }
        for expected in &self.expected {
            group = group.element(Severity::HELP.message(format!("expected: {expected}")));
        }
        for note in &self.notes {
            group = group.element(Severity::NOTE.message(note.as_str()));
        }
        let renderer = if has_colours {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&[group])
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Mismatch {}
