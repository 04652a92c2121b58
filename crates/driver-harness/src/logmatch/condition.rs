//! Conditions on captured values: comparisons of expressions over captured names. They
//! are data, not closures, so that a failure can display the condition, the values and
//! the lines that the values are from.

use std::fmt;
use std::ops::{Add, BitAnd, BitOr, Mul, Range, Rem, Shl, Shr, Sub};

use super::pattern::{NumberDisplay, Value};

/// A captured value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binding {
    pub(crate) name: String,
    pub(crate) value: Value,
    /// The index of the line and the bytes in it; `None` for a counter.
    pub(crate) location: Option<(usize, Range<usize>)>,
}

/// All values so far, oldest first. A name can have several values: [`var`] is the
/// latest, [`nth`] any of them.
pub(crate) type Bindings = [Binding];

/// A number computed from captured values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// A constant.
    Number(u64),
    /// The latest value of a name.
    Latest(String),
    /// The value of a name at an index, from 0.
    Nth(String, Box<Expr>),
    /// The number of values of a name.
    Count(String),
    /// An operation on two numbers.
    Binary(Box<Expr>, Operator, Box<Expr>),
}

/// An arithmetic operator; a result that exceeds 64 bits is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Remainder.
    Rem,
    /// Right shift.
    Shr,
    /// Left shift.
    Shl,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
}

impl Operator {
    fn apply(self, left: u64, right: u64) -> Option<u64> {
        let shift = || u32::try_from(right).ok();
        match self {
            Self::Add => left.checked_add(right),
            Self::Sub => left.checked_sub(right),
            Self::Mul => left.checked_mul(right),
            Self::Rem => left.checked_rem(right),
            Self::Shr => left.checked_shr(shift()?),
            Self::Shl => left
                .checked_shl(shift()?)
                .filter(|moved| moved >> right == left),
            Self::And => Some(left & right),
            Self::Or => Some(left | right),
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Rem => "%",
            Self::Shr => ">>",
            Self::Shl => "<<",
            Self::And => "&",
            Self::Or => "|",
        }
    }
}

/// The latest value of `name`.
#[must_use]
pub fn var(name: &str) -> Expr {
    Expr::Latest(name.to_owned())
}

/// The value of `name` at `index`, from 0.
#[must_use]
pub fn nth(name: &str, index: impl Into<Expr>) -> Expr {
    Expr::Nth(name.to_owned(), Box::new(index.into()))
}

/// The number of values of `name`.
#[must_use]
pub fn count(name: &str) -> Expr {
    Expr::Count(name.to_owned())
}

impl From<u64> for Expr {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident $operator:ident),*) => {$(
        impl<T: Into<Expr>> $trait<T> for Expr {
            type Output = Expr;
            fn $method(self, other: T) -> Expr {
                Expr::Binary(Box::new(self), Operator::$operator, Box::new(other.into()))
            }
        }
    )*};
}
operators!(Add add Add, Sub sub Sub, Mul mul Mul, Rem rem Rem, Shr shr Shr, Shl shl Shl, BitAnd bitand And, BitOr bitor Or);

/// An error in an expected log: a condition that cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The name has no value yet.
    #[error("`{0}` has no value")]
    Unbound(String),
    /// The index is out of range.
    #[error("`{0}` has {1} values, index {2} is out of range")]
    NoSuchIndex(String, usize, u64),
    /// The value is a number.
    #[error("`{0}` is a number, not text")]
    Number(String),
    /// The value is text.
    #[error("`{0}` is text, not a number")]
    Text(String),
    /// The result exceeds 64 bits.
    #[error("`{0}` exceeds 64 bits")]
    Overflow(String),
}

impl Expr {
    /// `self == other`.
    #[must_use]
    pub fn equals(self, other: impl Into<Self>) -> Condition {
        Condition::Compare(self, Relation::Equal, other.into())
    }

    /// `self != other`.
    #[must_use]
    pub fn differs_from(self, other: impl Into<Self>) -> Condition {
        Condition::Compare(self, Relation::Different, other.into())
    }

    /// `self >= other`.
    #[must_use]
    pub fn at_least(self, other: impl Into<Self>) -> Condition {
        Condition::Compare(self, Relation::AtLeast, other.into())
    }

    /// `self < other`.
    #[must_use]
    pub fn less_than(self, other: impl Into<Self>) -> Condition {
        Condition::Compare(self, Relation::Less, other.into())
    }

    pub(crate) fn evaluate(&self, bindings: &Bindings) -> Result<u64, EvalError> {
        match self {
            Self::Number(number) => Ok(*number),
            Self::Latest(name) => number(latest(name, bindings)?),
            Self::Nth(name, index) => {
                let index = index.evaluate(bindings)?;
                let value = usize::try_from(index)
                    .ok()
                    .and_then(|index| named(name, bindings).nth(index));
                number(value.ok_or_else(|| {
                    EvalError::NoSuchIndex(name.clone(), named(name, bindings).count(), index)
                })?)
            }
            Self::Count(name) => Ok(named(name, bindings).count() as u64),
            Self::Binary(left, operator, right) => operator
                .apply(left.evaluate(bindings)?, right.evaluate(bindings)?)
                .ok_or_else(|| EvalError::Overflow(self.to_string())),
        }
    }

    fn collect<'a>(&self, bindings: &'a Bindings, operands: &mut Vec<&'a Binding>) {
        match self {
            Self::Number(_) => {}
            Self::Latest(name) | Self::Count(name) => {
                operands.extend(named(name, bindings).next_back());
            }
            Self::Nth(name, index) => {
                let index = index
                    .evaluate(bindings)
                    .ok()
                    .and_then(|index| usize::try_from(index).ok());
                operands.extend(index.and_then(|index| named(name, bindings).nth(index)));
            }
            Self::Binary(left, _, right) => {
                left.collect(bindings, operands);
                right.collect(bindings, operands);
            }
        }
    }
}

/// All values of `name`, oldest first.
fn named<'a>(name: &str, bindings: &'a Bindings) -> impl DoubleEndedIterator<Item = &'a Binding> {
    bindings.iter().filter(move |binding| binding.name == name)
}

/// The last value of `name`.
fn latest<'a>(name: &str, bindings: &'a Bindings) -> Result<&'a Binding, EvalError> {
    named(name, bindings)
        .next_back()
        .ok_or_else(|| EvalError::Unbound(name.to_owned()))
}

fn number(binding: &Binding) -> Result<u64, EvalError> {
    match &binding.value {
        Value::Number(number) => Ok(*number),
        Value::Text(_) => Err(EvalError::Text(binding.name.clone())),
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = |f: &mut fmt::Formatter<'_>, expr: &Self| match expr {
            Self::Binary(..) => write!(f, "({expr})"),
            _ => write!(f, "{expr}"),
        };
        match self {
            Self::Number(number) => write!(f, "{}", NumberDisplay(*number)),
            Self::Latest(name) => f.write_str(name),
            Self::Nth(name, index) => write!(f, "{name}[{index}]"),
            Self::Count(name) => write!(f, "count({name})"),
            Self::Binary(left, operator, right) => {
                inner(f, left)?;
                write!(f, " {} ", operator.symbol())?;
                inner(f, right)
            }
        }
    }
}

/// A relation of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Equal.
    Equal,
    /// Not equal.
    Different,
    /// Left greater than or equal to right.
    AtLeast,
    /// Left less than right.
    Less,
}

impl Relation {
    fn holds(self, left: u64, right: u64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Different => left != right,
            Self::AtLeast => left >= right,
            Self::Less => left < right,
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Different => "!=",
            Self::AtLeast => ">=",
            Self::Less => "<",
        }
    }
}

/// A condition on captured values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// A comparison.
    Compare(Expr, Relation, Expr),
    /// At least one of several conditions.
    Any(Vec<Condition>),
    /// All values of the name differ.
    Distinct(String),
    /// The latest value of the name is one of these texts.
    OneOf(String, Vec<String>),
}

/// The latest value of `name` is one of `texts`.
#[must_use]
pub fn one_of(name: &str, texts: &[&str]) -> Condition {
    Condition::OneOf(
        name.to_owned(),
        texts.iter().map(|text| (*text).to_owned()).collect(),
    )
}

/// At least one of `conditions` holds.
#[must_use]
pub fn any_of(conditions: impl IntoIterator<Item = Condition>) -> Condition {
    Condition::Any(conditions.into_iter().collect())
}

/// All values of `name` differ.
#[must_use]
pub fn distinct(name: &str) -> Condition {
    Condition::Distinct(name.to_owned())
}

impl Condition {
    pub(crate) fn holds(&self, bindings: &Bindings) -> Result<bool, EvalError> {
        match self {
            Self::Compare(left, relation, right) => {
                Ok(relation.holds(left.evaluate(bindings)?, right.evaluate(bindings)?))
            }
            Self::Any(conditions) => {
                for condition in conditions {
                    if condition.holds(bindings)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Distinct(name) => Ok(duplicate(name, bindings).is_none()),
            Self::OneOf(name, texts) => match &latest(name, bindings)?.value {
                Value::Text(text) => Ok(texts.contains(text)),
                Value::Number(_) => Err(EvalError::Number(name.clone())),
            },
        }
    }

    /// The values in the condition, each once; a failure points at them.
    pub(crate) fn operands<'a>(&self, bindings: &'a Bindings) -> Vec<&'a Binding> {
        let mut operands = Vec::new();
        self.collect(bindings, &mut operands);
        let mut visited: Vec<&Binding> = Vec::new();
        operands.retain(|binding| {
            let new = !visited.iter().any(|other| std::ptr::eq(*other, *binding));
            visited.push(binding);
            new
        });
        operands
    }

    fn collect<'a>(&self, bindings: &'a Bindings, operands: &mut Vec<&'a Binding>) {
        match self {
            Self::Compare(left, _, right) => {
                left.collect(bindings, operands);
                right.collect(bindings, operands);
            }
            Self::Any(conditions) => {
                for condition in conditions {
                    condition.collect(bindings, operands);
                }
            }
            Self::Distinct(name) => {
                operands.extend(duplicate(name, bindings).into_iter().flatten());
            }
            Self::OneOf(name, _) => operands.extend(latest(name, bindings)),
        }
    }

    /// The actual values, for the message.
    pub(crate) fn actual(&self, bindings: &Bindings) -> String {
        match self {
            Self::Compare(left, _, right) => {
                let side = |expr: &Expr| match expr.evaluate(bindings) {
                    Ok(value) => format!("{expr} is {value:#x}"),
                    Err(error) => error.to_string(),
                };
                match (left, right) {
                    (left, Expr::Number(_)) => side(left),
                    (left, right) => format!("{}, {}", side(left), side(right)),
                }
            }
            Self::Any(conditions) => conditions
                .iter()
                .map(|condition| condition.actual(bindings))
                .collect::<Vec<_>>()
                .join("; "),
            Self::Distinct(name) => match duplicate(name, bindings) {
                Some([first, _]) => format!("{} occurs twice", first.value),
                None => format!("no value of {name} occurs twice"),
            },
            Self::OneOf(name, _) => match latest(name, bindings) {
                Ok(binding) => format!("{name} is {}", binding.value),
                Err(error) => error.to_string(),
            },
        }
    }
}

/// Two equal values of `name`, if any.
fn duplicate<'a>(name: &str, bindings: &'a Bindings) -> Option<[&'a Binding; 2]> {
    let values: Vec<_> = named(name, bindings).collect();
    values.iter().enumerate().find_map(|(index, second)| {
        let first = values[..index]
            .iter()
            .find(|first| first.value == second.value)?;
        Some([*first, *second])
    })
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(left, relation, right) => {
                write!(f, "{left} {} {right}", relation.symbol())
            }
            Self::Any(conditions) => {
                for (index, condition) in conditions.iter().enumerate() {
                    let or = if index == 0 { "" } else { " or " };
                    write!(f, "{or}{condition}")?;
                }
                Ok(())
            }
            Self::Distinct(name) => write!(f, "all values of {name} differ"),
            Self::OneOf(name, texts) => write!(f, "{name} is {}", texts.join(" or ")),
        }
    }
}
