//! The threads that wait for their turn: a queue for each priority, and a bit for
//! each queue that is not empty, so that the thread to run next is found without
//! a search.

use std::collections::VecDeque;

use super::Id;

/// Priorities that there are.
const LEVELS: usize = 32;

/// Threads that could run, by priority.
#[derive(Default)]
pub struct Ready {
    queues: [VecDeque<Id>; LEVELS],
    /// Bit n is set if the queue of priority n is not empty.
    occupied: u32,
}

impl Ready {
    /// Adds a thread behind those of its priority.
    pub fn push_back(&mut self, priority: usize, id: Id) {
        self.queues[priority].push_back(id);
        self.occupied |= 1 << priority;
    }

    /// Adds a thread before those of its priority.
    pub fn push_front(&mut self, priority: usize, id: Id) {
        self.queues[priority].push_front(id);
        self.occupied |= 1 << priority;
    }

    /// The first thread of the highest priority that `may_run`: its priority and its
    /// place in the queue.
    pub fn first(&self, may_run: impl Fn(Id) -> bool) -> Option<(usize, usize)> {
        let mut left = self.occupied;
        while let Some(priority) = left.checked_ilog2() {
            let mut queue = self.queues[priority as usize].iter();
            if let Some(at) = queue.position(|id| may_run(*id)) {
                return Some((priority as usize, at));
            }
            left &= !(1 << priority);
        }
        None
    }

    /// The highest priority of a thread that `may_run`.
    pub fn highest(&self, may_run: impl Fn(Id) -> bool) -> Option<usize> {
        self.first(may_run).map(|(priority, _)| priority)
    }

    /// Takes out the thread at a place that [`Ready::first`] found.
    pub fn take(&mut self, (priority, at): (usize, usize)) -> Option<Id> {
        let queue = &mut self.queues[priority];
        let id = queue.remove(at);
        if queue.is_empty() {
            self.occupied &= !(1 << priority);
        }
        id
    }

    /// Takes a thread out, whatever its priority. False if it does not wait.
    pub fn remove(&mut self, id: Id) -> bool {
        let found = self.queues.iter().enumerate().find_map(|(n, queue)| {
            let at = queue.iter().position(|other| *other == id)?;
            Some((n, at))
        });
        found.is_some_and(|place| self.take(place).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_highest_rotates_equal_priorities() {
        let mut ready = Ready::default();
        assert_eq!(ready.highest(|_| true), None);
        ready.push_back(8, 1);
        ready.push_back(8, 2);
        ready.push_back(31, 3);
        ready.push_front(8, 4);
        ready.push_back(0, 5);
        assert_eq!(ready.highest(|_| true), Some(31));
        assert_eq!(ready.highest(|id| id != 3), Some(8));
        let mut order = Vec::new();
        while let Some(place) = ready.first(|_| true) {
            order.extend(ready.take(place));
        }
        assert_eq!(order, [3, 4, 1, 2, 5]);
        assert_eq!(ready.highest(|_| true), None);
    }

    #[test]
    fn ready_first_skips_excluded_threads() {
        let mut ready = Ready::default();
        ready.push_back(20, 1);
        ready.push_back(8, 2);
        assert_eq!(ready.first(|id| id != 1), Some((8, 0)));
        assert_eq!(ready.take((8, 0)), Some(2));
        assert_eq!(ready.first(|id| id != 1), None);
        assert!(ready.remove(1) && !ready.remove(1));
        assert_eq!(ready.first(|_| true), None);
    }
}
