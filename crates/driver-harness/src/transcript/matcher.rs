//! Reads a log by a script. Every failure on the way is remembered with how far
//! it got; if the log does not fit, the furthest is what the reader is told, for
//! that is the alternative that the log was meant to be.

use super::condition::Binding;
use super::mismatch::{Mismatch, Problem};
use super::pattern::{Found, Pattern, Value};
use super::script::{Node, Requirement, Shape, Times};
use crate::record::{Level, Line};

/// The values that a log which fits gave to the names in the script.
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

/// How far a failure got: lines read, then what was tried on the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Progress {
    line: usize,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The line does not look right.
    Looks,
    /// A condition between lines does not hold.
    Between,
    /// The line looks right, but its level or its values do not.
    Values,
}

struct Matcher<'a> {
    log: &'a [Line],
    bindings: Vec<Binding>,
    furthest: Option<(Progress, Vec<Problem>)>,
}

/// Reads all of `log` by `root`.
pub(crate) fn run(root: &Node, log: &[Line]) -> Result<Captures, Box<Mismatch>> {
    let mut matcher = Matcher {
        log,
        bindings: Vec::new(),
        furthest: None,
    };
    match matcher.node(root, 0) {
        Some(end) if end == log.len() => {
            return Ok(Captures {
                bindings: matcher.bindings,
            });
        }
        Some(end) => matcher.fail(end, Stage::Looks, Problem::Extra),
        None => {}
    }
    let (progress, problems) = matcher
        .furthest
        .expect("a reading that stops has said why, and the end of the log is said above");
    Err(Box::new(Mismatch::explain(log, progress.line, problems)))
}

impl Matcher<'_> {
    /// Reads `node` from line `at`; gives the line after it. When it does not
    /// fit, the bindings are as they were.
    fn node(&mut self, node: &Node, at: usize) -> Option<usize> {
        let mark = self.bindings.len();
        let end = match &node.0 {
            Shape::Line {
                pattern,
                level,
                requirements,
            } => self.line(pattern, *level, requirements, at),
            Shape::Check(requirement) => {
                self.require(requirement, at, Stage::Between).then_some(at)
            }
            Shape::Never(reason) => {
                self.fail(
                    at,
                    Stage::Between,
                    Problem::Never {
                        reason: reason.clone(),
                    },
                );
                None
            }
            Shape::Seq(nodes) => nodes.iter().try_fold(at, |at, node| self.node(node, at)),
            Shape::Either(nodes) => {
                if nodes.is_empty() {
                    let reason = "nothing can be one of no alternatives".to_owned();
                    self.fail(at, Stage::Between, Problem::Never { reason });
                }
                nodes.iter().find_map(|node| self.node(node, at))
            }
            Shape::Maybe(node) => Some(self.node(node, at).unwrap_or(at)),
            Shape::Repeat {
                times,
                counter,
                body,
            } => self.repeat(times, counter.as_deref(), body, at),
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
                Stage::Looks,
                Problem::Missing {
                    pattern: pattern.clone(),
                },
            );
            return None;
        };
        let found = match pattern.read(&line.text) {
            Ok(found) => found,
            Err(stuck) => {
                self.fail(
                    at,
                    Stage::Looks,
                    Problem::Looks {
                        pattern: pattern.clone(),
                        stuck,
                    },
                );
                return None;
            }
        };
        for found in found {
            self.bind(found, at)?;
        }
        if let (Some(wanted), Some(seen)) = (level, line.level)
            && wanted != seen
        {
            self.fail(at, Stage::Values, Problem::Level { wanted, seen });
            return None;
        }
        requirements
            .iter()
            .all(|requirement| self.require(requirement, at, Stage::Values))
            .then_some(at + 1)
    }

    /// Remembers a value, or compares it with the one of that name.
    fn bind(&mut self, found: Found, at: usize) -> Option<()> {
        let Found {
            name,
            same,
            value,
            span,
        } = found;
        if same {
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
                    Problem::NotTheSame {
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
                place: Some((at, span)),
            });
        }
        Some(())
    }

    fn require(&mut self, requirement: &Requirement, at: usize, stage: Stage) -> bool {
        let problem = match requirement.condition.holds(&self.bindings) {
            Ok(true) => return true,
            Ok(false) => {
                let requirement = requirement.clone();
                let seen = requirement.condition.seen(&self.bindings);
                let concerned = requirement
                    .condition
                    .concerned(&self.bindings)
                    .into_iter()
                    .cloned()
                    .collect();
                Problem::Condition {
                    requirement,
                    seen,
                    concerned,
                }
            }
            Err(error) => Problem::Broken {
                what: requirement.condition.to_string(),
                error,
            },
        };
        self.fail(at, stage, problem);
        false
    }

    fn repeat(
        &mut self,
        times: &Times,
        counter: Option<&str>,
        body: &Node,
        mut at: usize,
    ) -> Option<usize> {
        let (least, most) = match times {
            Times::Between(least, most) => (*least, *most),
            Times::Exactly(expr) => match expr.evaluate(&self.bindings) {
                Ok(number) => {
                    let number = usize::try_from(number).unwrap_or(usize::MAX);
                    (number, Some(number))
                }
                Err(error) => {
                    let problem = Problem::Broken {
                        what: format!("repeat {expr} times"),
                        error,
                    };
                    self.fail(at, Stage::Between, problem);
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
                    place: None,
                });
            }
            match self.node(body, at) {
                // A round that reads nothing would go on for ever.
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

    /// Remembers a failure, unless another got further.
    fn fail(&mut self, line: usize, stage: Stage, problem: Problem) {
        let here = Progress { line, stage };
        match &mut self.furthest {
            Some((furthest, _)) if *furthest > here => {}
            Some((furthest, problems)) if *furthest == here => problems.push(problem),
            _ => self.furthest = Some((here, vec![problem])),
        }
    }
}
