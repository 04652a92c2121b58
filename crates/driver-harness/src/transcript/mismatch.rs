//! What is wrong with a log, told as a compiler tells what is wrong with a
//! program: the line, the column, what stood there, what should have, and the
//! other lines that matter.

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level as Severity, Renderer, Snippet};
use serde::Serialize;

use super::condition::{Binding, EvalError};
use super::pattern::{Pattern, Stuck, Value};
use super::script::Requirement;
use crate::record::{Level, Line};

/// One way in which a log did not fit, as the matcher found it.
#[derive(Debug, Clone)]
pub(crate) enum Problem {
    /// The line does not look like the pattern.
    Looks { pattern: Pattern, stuck: Stuck },
    /// The log ends where a line should be.
    Missing { pattern: Pattern },
    /// The log goes on where it should end.
    Extra,
    /// The line has another level.
    Level { wanted: Level, seen: Level },
    /// A value should be the one that the name already has.
    NotTheSame {
        name: String,
        span: Range<usize>,
        value: Value,
        earlier: Option<Binding>,
    },
    /// A condition does not hold.
    Condition {
        requirement: Requirement,
        seen: String,
        concerned: Vec<Binding>,
    },
    /// The log came to what it must not come to.
    Never { reason: String },
    /// The script asks for what no log can answer.
    Broken { what: String, error: EvalError },
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A line differs from what was expected there.
    Differs,
    /// The log ends too early.
    Missing,
    /// A line is too many.
    Extra,
    /// A line has the wrong level.
    Level,
    /// Values do not agree.
    Condition,
    /// The expectation itself is wrong.
    Expectation,
}

/// A place in the log that a failure points at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// Number of the line, from 1.
    pub line: usize,
    /// Bytes of the line's text.
    pub span: Range<usize>,
    /// What there is to say about it.
    pub label: String,
}

/// The first place where a log is not what a script says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Which kind of failure.
    pub kind: Kind,
    /// The failure in a sentence.
    pub title: String,
    /// Where it is; the first mark is the place itself, others explain it. A
    /// log without lines has none.
    pub marks: Vec<Mark>,
    /// Lines that would have been right, as patterns.
    pub expected: Vec<String>,
    /// What else helps.
    pub notes: Vec<String>,
    /// The texts of the log.
    #[serde(skip)]
    log: Vec<String>,
}

impl Mismatch {
    /// Explains what was found at line `at` (from 0); all `problems` got
    /// equally far.
    pub(crate) fn explain(log: &[Line], at: usize, problems: Vec<Problem>) -> Self {
        let mut mismatch = Self {
            kind: Kind::Differs,
            title: String::new(),
            marks: Vec::new(),
            expected: Vec::new(),
            notes: Vec::new(),
            log: log.iter().map(|line| line.text.clone()).collect(),
        };
        for problem in problems {
            if let Problem::Looks { .. } | Problem::Missing { .. } | Problem::Extra = problem {
                mismatch.add_looks(at, problem);
            } else {
                mismatch.set_values(at, problem);
                return mismatch;
            }
        }
        if mismatch.kind == Kind::Differs {
            mismatch.add_hint(at);
        }
        mismatch
    }

    /// The whole of line `at`.
    fn whole(&self, at: usize, label: String) -> Mark {
        Mark {
            line: at + 1,
            span: 0..self.log.get(at).map_or(0, String::len),
            label,
        }
    }

    /// Several lines may have been right at one place: all are named, and the
    /// mark is where the closest of them stopped fitting.
    fn add_looks(&mut self, at: usize, problem: Problem) {
        match problem {
            Problem::Looks { pattern, stuck } => {
                self.title = format!("line {} is not the one that belongs there", at + 1);
                self.kind = Kind::Differs;
                if self
                    .marks
                    .first()
                    .is_none_or(|mark| mark.span.start < stuck.column)
                {
                    let mut mark = self.whole(at, format!("expected {} here", stuck.wanted));
                    mark.span.start = stuck.column;
                    self.marks = vec![mark];
                }
                self.expect(&pattern);
            }
            Problem::Missing { pattern } => {
                self.kind = Kind::Missing;
                if at == 0 {
                    self.title = String::from("the log is empty");
                } else {
                    self.title = format!("the log ends after line {at}, too early");
                    self.marks =
                        vec![self.whole(at - 1, "another line must follow this one".to_owned())];
                }
                self.expect(&pattern);
            }
            _ if self.expected.is_empty() => {
                self.kind = Kind::Extra;
                self.title = format!("line {} is one too many", at + 1);
                self.marks =
                    vec![self.whole(at, "the log should have ended before this line".to_owned())];
            }
            _ => self
                .notes
                .push("the log could also have ended there".to_owned()),
        }
    }

    fn expect(&mut self, pattern: &Pattern) {
        let pattern = pattern.to_string();
        if !self.expected.contains(&pattern) {
            self.expected.push(pattern);
        }
    }

    /// Says whether the expected line comes later or not at all.
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
                let mark = self.whole(index, "here is the expected line".to_owned());
                self.marks.push(mark);
                if index == at + 1 {
                    format!("line {} seems to be extra, or out of its place", at + 1)
                } else {
                    format!(
                        "lines {} to {index} seem to be extra, or out of their place",
                        at + 1
                    )
                }
            }
            None => "no later line is the expected one: it differs or is missing".to_owned(),
        });
    }

    /// The line looks right, what it says is not.
    fn set_values(&mut self, at: usize, problem: Problem) {
        self.marks.clear();
        self.notes.clear();
        self.expected.clear();
        match problem {
            Problem::Level { wanted, seen } => {
                self.kind = Kind::Level;
                self.title = format!("line {} has level {seen}, not {wanted}", at + 1);
                self.marks.push(self.whole(at, format!("logged at {seen}")));
            }
            Problem::NotTheSame {
                name,
                span,
                value,
                earlier,
            } => {
                self.kind = Kind::Condition;
                self.title = format!("line {} gives `{name}` another value", at + 1);
                self.marks.push(Mark {
                    line: at + 1,
                    span,
                    label: format!("here it is {value}"),
                });
                match earlier {
                    Some(Binding {
                        value,
                        place: Some((line, span)),
                        ..
                    }) => {
                        self.marks.push(Mark {
                            line: line + 1,
                            span,
                            label: format!("here it was {value}"),
                        });
                    }
                    _ => self
                        .notes
                        .push(format!("no line before gives `{name}` a value")),
                }
            }
            Problem::Condition {
                requirement,
                seen,
                concerned,
            } => {
                self.kind = Kind::Condition;
                self.title = format!("{} does not hold", requirement.condition);
                self.mark_values(concerned);
                self.notes
                    .push(format!("it should: {}", requirement.reason));
                self.notes.push(seen);
            }
            Problem::Never { reason } => {
                self.kind = Kind::Condition;
                self.title = reason;
                if at > 0 {
                    self.marks
                        .push(self.whole(at - 1, "after this line".to_owned()));
                }
            }
            Problem::Broken { what, error } => {
                self.kind = Kind::Expectation;
                self.title = format!("the expectation itself is wrong, in `{what}`: {error}");
                // A condition may stand behind the last line.
                if let Some(last) = self.log.len().checked_sub(1) {
                    self.marks
                        .push(self.whole(at.min(last), "while reading up to here".to_owned()));
                }
            }
            Problem::Looks { .. } | Problem::Missing { .. } | Problem::Extra => {}
        }
    }

    /// Points at values, the last of them first: that is where the reader is.
    fn mark_values(&mut self, concerned: Vec<Binding>) {
        self.marks.extend(
            concerned
                .into_iter()
                .filter_map(|Binding { name, value, place }| {
                    let (line, span) = place?;
                    Some(Mark {
                        line: line + 1,
                        span,
                        label: format!("{name} is {value}"),
                    })
                }),
        );
        self.marks
            .sort_by_key(|mark| std::cmp::Reverse((mark.line, mark.span.start)));
    }

    /// The explanation with the lines that it is about, in colour if asked.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        // One byte for one byte, so that the spans stay right.
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
        if !self.marks.is_empty() {
            let annotations = self.marks.iter().enumerate().map(|(index, mark)| {
                let start = starts[mark.line - 1];
                let kind = if index == 0 {
                    AnnotationKind::Primary
                } else {
                    AnnotationKind::Context
                };
                kind.span(start + mark.span.start..start + mark.span.end)
                    .label(mark.label.as_str())
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
        let renderer = if colour {
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
