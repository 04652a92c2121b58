//! Matches a log against a matcher. Each failure is recorded with its position. If the
//! log does not match, the mismatch is the failure with the furthest position: it belongs
//! to the alternative that the log is most likely meant to be.

use super::condition::Binding;
use super::matcher::{Matcher, MatcherKind, Repeat, Requirement};
use super::mismatch::{Mismatch, Problem};
use super::pattern::{Capture, Pattern, Value};
use crate::record::{Level, LogLine};

/// The captured values of a log that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captures {
    bindings: Vec<Binding>,
}

impl Captures {
    /// All values of `name`, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.bindings
            .iter()
            .filter(move |binding| binding.name == name)
            .map(|binding| &binding.value)
    }

    /// The last value of `name`, if that is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.all(name).last()? {
            Value::Number(number) => Some(*number),
            Value::Text(_) => None,
        }
    }

    /// The last value of `name`, if that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.all(name).last()? {
            Value::Text(text) => Some(text),
            Value::Number(_) => None,
        }
    }
}

/// The position of a failure: the line, then the stage in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    line: usize,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The text of the line does not match its pattern.
    Text,
    /// A condition between lines does not hold.
    BetweenLines,
    /// The text matches, but the level or a value does not.
    Values,
}

struct Engine<'a> {
    log: &'a [LogLine],
    bindings: Vec<Binding>,
    furthest: Option<(Position, Vec<Problem>)>,
}

/// Matches all lines of `log` against `root`.
pub(crate) fn run(root: &Matcher, log: &[LogLine]) -> Result<Captures, Box<Mismatch>> {
    let mut engine = Engine {
        log,
        bindings: Vec::new(),
        furthest: None,
    };
    match engine.matcher(root, 0) {
        Some(end) if end == log.len() => {
            return Ok(Captures {
                bindings: engine.bindings,
            });
        }
        Some(end) => engine.fail(end, Stage::Text, Problem::Extra),
        None => {}
    }
    let (position, problems) = engine
        .furthest
        .expect("each failure records a problem, and extra lines are recorded above");
    Err(Box::new(Mismatch::explain(log, position.line, problems)))
}

impl Engine<'_> {
    /// Matches `matcher` from line `at` and returns the line after the match. A failure
    /// leaves the bindings unchanged.
    fn matcher(&mut self, matcher: &Matcher, at: usize) -> Option<usize> {
        let mark = self.bindings.len();
        let end = match &matcher.0 {
            MatcherKind::Line {
                pattern,
                level,
                requirements,
            } => self.line(pattern, *level, requirements, at),
            MatcherKind::Check(requirement) => self
                .require(requirement, at, Stage::BetweenLines)
                .then_some(at),
            MatcherKind::Never(reason) => {
                self.fail(
                    at,
                    Stage::BetweenLines,
                    Problem::Never {
                        reason: reason.clone(),
                    },
                );
                None
            }
            MatcherKind::Seq(matchers) => matchers
                .iter()
                .try_fold(at, |at, next| self.matcher(next, at)),
            MatcherKind::Either(matchers) => {
                if matchers.is_empty() {
                    let reason = "`either` has no alternatives".to_owned();
                    self.fail(at, Stage::BetweenLines, Problem::Never { reason });
                }
                matchers.iter().find_map(|next| self.matcher(next, at))
            }
            MatcherKind::Maybe(body) => Some(self.matcher(body, at).unwrap_or(at)),
            MatcherKind::Repeat {
                count,
                counter,
                body,
            } => self.repeat(count, counter.as_deref(), body, at),
        };
        if end.is_none() {
            self.bindings.truncate(mark);
        }
        end
    }

    fn line(
        &mut self,
        pattern: &Pattern,
        level: Option<Level>,
        requirements: &[Requirement],
        at: usize,
    ) -> Option<usize> {
        let Some(line) = self.log.get(at) else {
            self.fail(
                at,
                Stage::Text,
                Problem::Missing {
                    pattern: pattern.clone(),
                },
            );
            return None;
        };
        let captures = match pattern.read(&line.text) {
            Ok(captures) => captures,
            Err(failure) => {
                self.fail(
                    at,
                    Stage::Text,
                    Problem::Text {
                        pattern: pattern.clone(),
                        failure,
                    },
                );
                return None;
            }
        };
        for capture in captures {
            self.bind(capture, at)?;
        }
        if let (Some(expected), Some(actual)) = (level, line.level)
            && expected != actual
        {
            self.fail(at, Stage::Values, Problem::Level { expected, actual });
            return None;
        }
        requirements
            .iter()
            .all(|requirement| self.require(requirement, at, Stage::Values))
            .then_some(at + 1)
    }

    /// Records a value, or compares it with the value of the same name.
    fn bind(&mut self, capture: Capture, at: usize) -> Option<()> {
        let Capture {
            name,
            is_back_reference,
            value,
            span,
        } = capture;
        if is_back_reference {
            let earlier = self
                .bindings
                .iter()
                .rfind(|binding| binding.name == name)
                .cloned();
            if earlier
                .as_ref()
                .is_none_or(|earlier| earlier.value != value)
            {
                self.fail(
                    at,
                    Stage::Values,
                    Problem::ValueDiffers {
                        name,
                        span,
                        value,
                        earlier,
                    },
                );
                return None;
            }
        } else if name != "_" {
            self.bindings.push(Binding {
                name,
                value,
                location: Some((at, span)),
            });
        }
        Some(())
    }

    fn require(&mut self, requirement: &Requirement, at: usize, stage: Stage) -> bool {
        let problem = match requirement.condition.holds(&self.bindings) {
            Ok(true) => return true,
            Ok(false) => {
                let requirement = requirement.clone();
                let actual = requirement.condition.actual(&self.bindings);
                let operands = requirement
                    .condition
                    .operands(&self.bindings)
                    .into_iter()
                    .cloned()
                    .collect();
                Problem::Condition {
                    requirement,
                    actual,
                    operands,
                }
            }
            Err(error) => Problem::Invalid {
                source: requirement.condition.to_string(),
                error,
            },
        };
        self.fail(at, stage, problem);
        false
    }

    fn repeat(
        &mut self,
        count: &Repeat,
        counter: Option<&str>,
        body: &Matcher,
        mut at: usize,
    ) -> Option<usize> {
        let (least, most) = match count {
            Repeat::Between(least, most) => (*least, *most),
            Repeat::Exactly(expr) => match expr.evaluate(&self.bindings) {
                Ok(number) => {
                    let number = usize::try_from(number).unwrap_or(usize::MAX);
                    (number, Some(number))
                }
                Err(error) => {
                    let problem = Problem::Invalid {
                        source: format!("repeat {expr} times"),
                        error,
                    };
                    self.fail(at, Stage::BetweenLines, problem);
                    return None;
                }
            },
        };
        let mut round = 0;
        while most.is_none_or(|most| round < most) {
            let mark = self.bindings.len();
            if let Some(name) = counter {
                let value = Value::Number(round as u64);
                self.bindings.push(Binding {
                    name: name.to_owned(),
                    value,
                    location: None,
                });
            }
            match self.matcher(body, at) {
                // A round that matches no line would repeat without end.
                Some(end) if end == at => break,
                Some(end) => at = end,
                None => {
                    self.bindings.truncate(mark);
                    return (round >= least).then_some(at);
                }
            }
            round += 1;
        }
        Some(at)
    }

    /// Records a failure, unless an earlier one is at a later position.
    fn fail(&mut self, line: usize, stage: Stage, problem: Problem) {
        let position = Position { line, stage };
        match &mut self.furthest {
            Some((furthest, _)) if *furthest > position => {}
            Some((furthest, problems)) if *furthest == position => problems.push(problem),
            _ => self.furthest = Some((position, vec![problem])),
        }
    }
}
