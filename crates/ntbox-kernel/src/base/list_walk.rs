//! Walks over the lists that drivers link themselves. A list whose links lead back into
//! it, and not to its head, has no end: on Windows the walk never returns. Here it is
//! found as soon as an entry comes again, however long the list is.

use ntbox_host::bug_check;
use ntbox_host::gate::NoReturn;

/// A walk over one list, by Brent's method: an entry is remembered for twice as many
/// steps as the one before, so that a ring is found within three times its length.
#[derive(Debug)]
pub struct ListWalk {
    head: u64,
    remembered: u64,
    /// Steps until another entry is remembered, and as many as there were last time.
    left: u64,
    span: u64,
}

impl ListWalk {
    /// A walk that begins at this head.
    pub fn from(head: u64) -> Self {
        Self {
            head,
            remembered: 0,
            left: 1,
            span: 1,
        }
    }

    /// Notes that the walk has come to an entry.
    ///
    /// # Errors
    /// The list has no end: the bug check for a processor that does not come back.
    pub fn visit(&mut self, entry: u64) -> Result<(), NoReturn> {
        if entry == self.remembered {
            let Self { head, .. } = self;
            return Err(NoReturn::bug_check(
                bug_check::HUNG,
                [1, *head, entry, 0],
                format!(
                    "the list at {head:#018x} has no end: from the entry at {entry:#018x} its links lead back to that entry, and never to the head. The walk over it never returns"
                ),
            ));
        }
        self.left -= 1;
        if self.left == 0 {
            self.remembered = entry;
            self.span = self.span.saturating_mul(2);
            self.left = self.span;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many steps a walk takes until it is stopped; `None` if it is not.
    fn steps(entries: impl Iterator<Item = u64>) -> Option<usize> {
        let mut walk = ListWalk::from(1);
        entries
            .map(|entry| walk.visit(entry))
            .position(|one| one.is_err())
    }

    #[test]
    fn steps_detects_ring_but_not_long_list() {
        assert_eq!(steps(2..2_000_000), None);
        for (before, length) in [(0, 1), (0, 2), (5, 3), (100, 1000), (1000, 7)] {
            let ring = (0..).map(|n: u64| 10_000 + n % length);
            let found = steps((2..2 + before).chain(ring)).expect("it is found");
            let most = usize::try_from(3 * (before + length) + 3).expect("it fits");
            assert!(found <= most, "{before} {length}: {found}");
        }
    }
}
