//! Matchers for logs: lines, sequences, alternatives, options and repetitions. Matching
//! is greedy and does not backtrack, as in a parsing expression grammar: the first
//! alternative that matches is used, and an optional or repeated line is consumed if it
//! matches. This makes the position of a failure exact. Put the longer alternative first.

use super::condition::{Condition, Expr};
use super::engine::{self, Captures};
use super::mismatch::Mismatch;
use super::pattern::Pattern;
use crate::record::{Level, LogLine};

/// A condition, and the reason that a failure displays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requirement {
    pub(crate) condition: Condition,
    pub(crate) reason: String,
}

/// The number of repetitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeat {
    /// This number, which can depend on captured values.
    Exactly(Expr),
    /// At least the first and, if present, at most the second number.
    Between(usize, Option<usize>),
}

/// Matches a part of a log.
#[derive(Debug, Clone)]
pub struct Matcher(pub(crate) MatcherKind);

#[derive(Debug, Clone)]
pub(crate) enum MatcherKind {
    Line {
        pattern: Pattern,
        level: Option<Level>,
        requirements: Vec<Requirement>,
    },
    Check(Requirement),
    Never(String),
    Seq(Vec<Matcher>),
    Either(Vec<Matcher>),
    Maybe(Box<Matcher>),
    Repeat {
        count: Repeat,
        counter: Option<String>,
        body: Box<Matcher>,
    },
}

/// One line that matches `pattern` (see [`Pattern::parse`]).
///
/// # Panics
///
/// If the pattern is invalid.
#[must_use]
#[track_caller]
pub fn line(pattern: &str) -> Matcher {
    match Pattern::parse(pattern) {
        Ok(pattern) => Matcher(MatcherKind::Line {
            pattern,
            level: None,
            requirements: Vec::new(),
        }),
        Err(error) => panic!("{error}"),
    }
}

/// A condition on the values captured so far; a failure displays `reason`.
#[must_use]
pub fn check(condition: Condition, reason: &str) -> Matcher {
    Matcher(MatcherKind::Check(Requirement {
        condition,
        reason: reason.to_owned(),
    }))
}

/// The matchers in order.
#[must_use]
pub fn seq(matchers: impl IntoIterator<Item = Matcher>) -> Matcher {
    Matcher(MatcherKind::Seq(matchers.into_iter().collect()))
}

/// No line.
#[must_use]
pub fn nothing() -> Matcher {
    seq([])
}

/// A failure with this reason.
#[must_use]
pub fn never(reason: &str) -> Matcher {
    Matcher(MatcherKind::Never(reason.to_owned()))
}

/// The first of `matchers` that matches.
#[must_use]
pub fn either(matchers: impl IntoIterator<Item = Matcher>) -> Matcher {
    Matcher(MatcherKind::Either(matchers.into_iter().collect()))
}

/// `body` if it matches.
#[must_use]
pub fn maybe(body: Matcher) -> Matcher {
    Matcher(MatcherKind::Maybe(Box::new(body)))
}

/// `body`, exactly `count` times.
#[must_use]
pub fn repeat(count: impl Into<Expr>, body: Matcher) -> Matcher {
    Matcher(MatcherKind::Repeat {
        count: Repeat::Exactly(count.into()),
        counter: None,
        body: Box::new(body),
    })
}

/// `body` as often as it matches, at least `least` and, if given, at most `most` times.
#[must_use]
pub fn repeat_between(least: usize, most: Option<usize>, body: Matcher) -> Matcher {
    Matcher(MatcherKind::Repeat {
        count: Repeat::Between(least, most),
        counter: None,
        body: Box::new(body),
    })
}

impl Matcher {
    /// Adds a condition, checked after this matcher; a failure displays `reason`. On a
    /// line the failure points at the line's values.
    #[must_use]
    pub fn with(mut self, condition: Condition, reason: &str) -> Self {
        let requirement = Requirement {
            condition,
            reason: reason.to_owned(),
        };
        if let MatcherKind::Line { requirements, .. } = &mut self.0 {
            requirements.push(requirement);
            return self;
        }
        seq([self, Self(MatcherKind::Check(requirement))])
    }

    /// Requires a level, if the host records levels. On a compound matcher the level
    /// applies to each line inside that has no level yet.
    #[must_use]
    pub fn at(mut self, expected: Level) -> Self {
        self.set_level(expected);
        self
    }

    fn set_level(&mut self, expected: Level) {
        match &mut self.0 {
            MatcherKind::Line { level, .. } => *level = level.or(Some(expected)),
            MatcherKind::Check(_) | MatcherKind::Never(_) => {}
            MatcherKind::Seq(matchers) | MatcherKind::Either(matchers) => {
                for matcher in matchers {
                    matcher.set_level(expected);
                }
            }
            MatcherKind::Maybe(body) | MatcherKind::Repeat { body, .. } => body.set_level(expected),
        }
    }

    /// Binds the number of the round, from 0, to a name inside a repetition. On other
    /// matchers it has no effect.
    #[must_use]
    pub fn counted(mut self, name: &str) -> Self {
        if let MatcherKind::Repeat { counter, .. } = &mut self.0 {
            *counter = Some(name.to_owned());
        }
        self
    }
}

/// An expected log: every line of the log has to match.
#[derive(Debug, Clone)]
pub struct ExpectedLog {
    root: Matcher,
}

impl ExpectedLog {
    /// The log that `root` matches from its first to its last line.
    #[must_use]
    pub fn new(root: Matcher) -> Self {
        Self { root }
    }

    /// Matches a log.
    ///
    /// # Errors
    ///
    /// The first mismatch.
    pub fn check(&self, log: &[LogLine]) -> Result<Captures, Box<Mismatch>> {
        engine::run(&self.root, log)
    }

    /// [`ExpectedLog::check`] for texts without levels.
    ///
    /// # Errors
    ///
    /// As [`ExpectedLog::check`].
    pub fn check_texts<T: AsRef<str>>(&self, log: &[T]) -> Result<Captures, Box<Mismatch>> {
        let lines: Vec<LogLine> = log
            .iter()
            .map(|text| LogLine::from_text(text.as_ref()))
            .collect();
        self.check(&lines)
    }
}
