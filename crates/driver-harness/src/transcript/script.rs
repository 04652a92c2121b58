//! The shape of a log: single lines put together by order, choice, option and
//! repetition. Reading is greedy and without second thoughts, as in a parsing
//! expression grammar: of several alternatives the first that fits is taken, an
//! optional or repeated line is taken when it fits. That keeps a failure's place
//! exact; put the longer alternative first.

use super::condition::{Condition, Expr};
use super::matcher::{self, Captures};
use super::mismatch::Mismatch;
use super::pattern::Pattern;
use crate::record::{Level, Line};

/// A condition with the reason that a person is told when it fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requirement {
    pub(crate) condition: Condition,
    pub(crate) reason: String,
}

/// How often something is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Times {
    /// As often as this number says, which earlier lines may give.
    Exactly(Expr),
    /// At least the first and, if there is a second, at most the second.
    Between(usize, Option<usize>),
}

/// A part of a script.
#[derive(Debug, Clone)]
pub struct Node(pub(crate) Shape);

#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Line {
        pattern: Pattern,
        level: Option<Level>,
        requirements: Vec<Requirement>,
    },
    Check(Requirement),
    Never(String),
    Seq(Vec<Node>),
    Either(Vec<Node>),
    Maybe(Box<Node>),
    Repeat {
        times: Times,
        counter: Option<String>,
        body: Box<Node>,
    },
}

/// One line that looks like `pattern` (see [`Pattern::parse`]).
///
/// # Panics
///
/// When the pattern cannot be read: patterns are written by programmers, and a
/// wrong one must not reach a run.
#[must_use]
#[track_caller]
pub fn line(pattern: &str) -> Node {
    match Pattern::parse(pattern) {
        Ok(pattern) => Node(Shape::Line {
            pattern,
            level: None,
            requirements: Vec::new(),
        }),
        Err(error) => panic!("{error}"),
    }
}

/// A condition on what was seen so far; `reason` is shown when it fails.
#[must_use]
pub fn check(condition: Condition, reason: &str) -> Node {
    Node(Shape::Check(Requirement {
        condition,
        reason: reason.to_owned(),
    }))
}

/// One after the other.
#[must_use]
pub fn seq(nodes: impl IntoIterator<Item = Node>) -> Node {
    Node(Shape::Seq(nodes.into_iter().collect()))
}

/// No line at all.
#[must_use]
pub fn nothing() -> Node {
    seq([])
}

/// What no log may come to; `reason` says what is wrong with one that does.
#[must_use]
pub fn never(reason: &str) -> Node {
    Node(Shape::Never(reason.to_owned()))
}

/// The first of `nodes` that fits.
#[must_use]
pub fn either(nodes: impl IntoIterator<Item = Node>) -> Node {
    Node(Shape::Either(nodes.into_iter().collect()))
}

/// `node` if it fits.
#[must_use]
pub fn maybe(node: Node) -> Node {
    Node(Shape::Maybe(Box::new(node)))
}

/// `node` exactly `times` times.
#[must_use]
pub fn repeat(times: impl Into<Expr>, node: Node) -> Node {
    Node(Shape::Repeat {
        times: Times::Exactly(times.into()),
        counter: None,
        body: Box::new(node),
    })
}

/// `node` as often as it fits, at least `least` and, if given, at most `most`
/// times.
#[must_use]
pub fn repeat_between(least: usize, most: Option<usize>, node: Node) -> Node {
    Node(Shape::Repeat {
        times: Times::Between(least, most),
        counter: None,
        body: Box::new(node),
    })
}

impl Node {
    /// Adds a condition, checked once this part is read; `reason` is shown when
    /// it fails. On a line the failure points at the line's values.
    #[must_use]
    pub fn with(mut self, condition: Condition, reason: &str) -> Self {
        let requirement = Requirement {
            condition,
            reason: reason.to_owned(),
        };
        if let Shape::Line { requirements, .. } = &mut self.0 {
            requirements.push(requirement);
            return self;
        }
        seq([self, Self(Shape::Check(requirement))])
    }

    /// Asks for a level, where the host knows the levels of lines. On anything
    /// but a line it asks it of every line inside that has none of its own.
    #[must_use]
    pub fn at(mut self, wanted: Level) -> Self {
        self.set_level(wanted);
        self
    }

    fn set_level(&mut self, wanted: Level) {
        match &mut self.0 {
            Shape::Line { level, .. } => *level = level.or(Some(wanted)),
            Shape::Check(_) | Shape::Never(_) => {}
            Shape::Seq(nodes) | Shape::Either(nodes) => {
                for node in nodes {
                    node.set_level(wanted);
                }
            }
            Shape::Maybe(node) | Shape::Repeat { body: node, .. } => node.set_level(wanted),
        }
    }

    /// Gives the number of the round, from 0, a name inside a repetition; on
    /// anything else it changes nothing.
    #[must_use]
    pub fn counted(mut self, name: &str) -> Self {
        if let Shape::Repeat { counter, .. } = &mut self.0 {
            *counter = Some(name.to_owned());
        }
        self
    }
}

/// A whole log: nothing missing, nothing extra.
#[derive(Debug, Clone)]
pub struct Script {
    root: Node,
}

impl Script {
    /// A log that is exactly `root`.
    #[must_use]
    pub fn new(root: Node) -> Self {
        Self { root }
    }

    /// Compares a log with the script.
    ///
    /// # Errors
    ///
    /// The first place where the log is not what the script says.
    pub fn check(&self, log: &[Line]) -> Result<Captures, Box<Mismatch>> {
        matcher::run(&self.root, log)
    }

    /// [`Script::check`] for bare texts, whose levels are unknown.
    ///
    /// # Errors
    ///
    /// As [`Script::check`].
    pub fn check_texts<T: AsRef<str>>(&self, log: &[T]) -> Result<Captures, Box<Mismatch>> {
        let lines: Vec<Line> = log
            .iter()
            .map(|text| Line::from_text(text.as_ref()))
            .collect();
        self.check(&lines)
    }
}
