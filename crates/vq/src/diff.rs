//! What differs between two lists of blocks: of two moments, or of two that were
//! asked. Both are read side by side, so neither has to be kept.

use std::cmp::Ordering;
use std::iter::Peekable;

use crate::{Block, Error};

/// A block that only one side has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Only the first one has it.
    Only(Block),
    /// Only the second one has it.
    Other(Block),
}

impl Difference {
    /// The block.
    #[must_use]
    pub const fn block(&self) -> &Block {
        match self {
            Self::Only(block) | Self::Other(block) => block,
        }
    }
}

/// The differences of two lists that are in the order of their addresses, in that
/// order.
#[derive(Debug)]
pub struct Diff<A: Iterator<Item = Result<Block, Error>>, B: Iterator<Item = Result<Block, Error>>>
{
    first: Peekable<A>,
    second: Peekable<B>,
}

impl<A, B> Diff<A, B>
where
    A: Iterator<Item = Result<Block, Error>>,
    B: Iterator<Item = Result<Block, Error>>,
{
    /// Compares two lists.
    pub fn new(first: A, second: B) -> Self {
        Self {
            first: first.peekable(),
            second: second.peekable(),
        }
    }
}

/// Which of two lists goes on, by the blocks that come next.
fn order(first: Option<&Result<Block, Error>>, second: Option<&Result<Block, Error>>) -> Ordering {
    match (first, second) {
        (Some(Ok(first)), Some(Ok(second))) => first.base.cmp(&second.base),
        (Some(Ok(_)) | None, Some(_)) => Ordering::Greater,
        _ => Ordering::Less,
    }
}

impl<A, B> Iterator for Diff<A, B>
where
    A: Iterator<Item = Result<Block, Error>>,
    B: Iterator<Item = Result<Block, Error>>,
{
    type Item = Result<Difference, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match (self.first.peek(), self.second.peek()) {
                (Some(Ok(first)), Some(Ok(second))) if first == second => {
                    self.first.next();
                    self.second.next();
                }
                (first, second) if order(first, second) == Ordering::Greater => {
                    return Some(self.second.next()?.map(Difference::Other));
                }
                _ => return Some(self.first.next()?.map(Difference::Only)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(first: &[(u64, u64)], second: &[(u64, u64)]) -> Vec<(char, u64, u64)> {
        let list = |blocks: &[(u64, u64)]| -> Vec<Result<Block, Error>> {
            let block = |&(base, size): &(u64, u64)| Ok(Block::free(base, size));
            blocks.iter().map(block).collect()
        };
        let tell = |difference: Result<Difference, Error>| {
            let difference = difference.expect("a difference");
            let sign = match difference {
                Difference::Only(_) => '-',
                Difference::Other(_) => '+',
            };
            let block = difference.block();
            (sign, block.base, block.size)
        };
        Diff::new(list(first).into_iter(), list(second).into_iter())
            .map(tell)
            .collect()
    }

    #[test]
    fn diff_of_equal_lists_is_empty() {
        assert_eq!(diff(&[(0, 1), (1, 2)], &[(0, 1), (1, 2)]), []);
        assert_eq!(diff(&[], &[]), []);
    }

    #[test]
    fn diff_is_ordered_by_address() {
        assert_eq!(
            diff(
                &[(0, 4), (4, 4), (9, 1)],
                &[(0, 2), (2, 6), (9, 1), (10, 1)]
            ),
            [
                ('-', 0, 4),
                ('+', 0, 2),
                ('+', 2, 6),
                ('-', 4, 4),
                ('+', 10, 1)
            ]
        );
    }

    #[test]
    fn diff_passes_errors_through() {
        let good = || vec![Ok(Block::free(0, 1))];
        let bad = || vec![Err(Error::Unsupported("no"))];
        let errors = |first: Vec<_>, second: Vec<_>| {
            let differences = Diff::new(first.into_iter(), second.into_iter());
            differences.filter(Result::is_err).count()
        };
        assert_eq!(errors(good(), bad()), 1);
        assert_eq!(errors(bad(), good()), 1);
        assert_eq!(errors(bad(), bad()), 2);
    }
}
