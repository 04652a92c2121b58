//! Which blocks of a disk the blocks of a file are in, as runs: what a map control
//! block knows, without the memory it is kept in. A gap between two runs is a run of
//! its own, a hole; behind the last one there is none.

/// Where a hole leads.
pub const HOLE: i64 = -1;

/// Blocks of a file that follow each other on the disk, too, or are nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The first block in the file.
    pub first: i64,
    /// The first block on the disk, or [`HOLE`].
    pub block: i64,
    /// How many.
    pub count: i64,
}

impl Extent {
    /// The block of the file behind the last.
    fn end(self) -> i64 {
        self.first.saturating_add(self.count)
    }

    /// Where a block of the run is on the disk.
    pub fn block_of(self, virtual_block: i64) -> i64 {
        match self.block {
            HOLE => HOLE,
            block => block.saturating_add(virtual_block - self.first),
        }
    }

    /// What of it lies from `from` up to `to`, if anything.
    fn within(self, from: i64, to: i64) -> Option<Self> {
        let first = self.first.max(from);
        let count = self.end().min(to) - first;
        (count > 0).then(|| Self {
            first,
            block: self.block_of(first),
            count,
        })
    }
}

/// All runs, holes included, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtentMap(Vec<Extent>);

impl ExtentMap {
    /// The runs whose ends and blocks these are.
    pub fn from_pairs(pairs: impl Iterator<Item = (i64, i64)>) -> Self {
        let mut first = 0;
        let runs = pairs.map(|(end, block)| {
            let run = Extent {
                first,
                block,
                count: end.saturating_sub(first),
            };
            first = end;
            run
        });
        Self(runs.collect())
    }

    /// The end of each run, and the block on the disk that it begins with.
    pub fn pairs(&self) -> impl Iterator<Item = (i64, i64)> {
        self.0.iter().map(|run| (run.end(), run.block))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// One of them.
    pub fn get(&self, index: usize) -> Option<Extent> {
        self.0.get(index).copied()
    }

    /// The last one.
    pub fn last(&self) -> Option<Extent> {
        self.0.last().copied()
    }

    /// The run that a block of the file is in, and its number.
    pub fn find(&self, block: i64) -> Option<(usize, Extent)> {
        let is_in = |(_, run): &(usize, Extent)| run.first <= block && block < run.end();
        self.0.iter().copied().enumerate().find(is_in)
    }

    /// Those that lead to the disk, in any order, with the holes between them.
    fn rebuild(mut mapped: Vec<Extent>) -> Self {
        mapped.sort_unstable_by_key(|run| run.first);
        let mut runs: Vec<Extent> = Vec::new();
        for run in mapped {
            let end = runs.last().map_or(0, |last| last.end());
            if run.first > end {
                runs.push(Extent {
                    first: end,
                    block: HOLE,
                    count: run.first - end,
                });
            }
            match runs.last_mut() {
                Some(last) if last.block != HOLE && last.block_of(run.first) == run.block => {
                    last.count += run.count;
                }
                _ => runs.push(run),
            }
        }
        Self(runs)
    }

    fn mapped(&self) -> impl Iterator<Item = Extent> {
        self.0.iter().copied().filter(|run| run.block != HOLE)
    }

    /// Adds a run. `None` if some of its blocks are elsewhere on the disk already.
    pub fn add(&self, new: Extent) -> Option<Self> {
        if new.first < 0 || new.count <= 0 || new.first.checked_add(new.count).is_none() {
            return None;
        }
        let agrees = |old: Extent| {
            let common = old.within(new.first, new.end());
            common.is_none_or(|part| new.block_of(part.first) == part.block)
        };
        if !self.mapped().all(agrees) {
            return None;
        }
        let mut runs = self.cut(new.first, new.end());
        runs.push(new);
        Some(Self::rebuild(runs))
    }

    /// What leads to the disk outside of a range.
    fn cut(&self, from: i64, to: i64) -> Vec<Extent> {
        let parts = self.mapped().flat_map(|run| {
            [
                run.within(i64::MIN, from.max(0)),
                run.within(to.max(0), i64::MAX),
            ]
        });
        parts.flatten().collect()
    }

    /// Without the blocks from `first` on, `count` of them.
    pub fn remove(&self, first: i64, count: i64) -> Self {
        Self::rebuild(self.cut(first, first.saturating_add(count.max(0))))
    }

    /// Moves the blocks from `first` on by `amount`, so that there is a hole before
    /// them. `None` if they would have to move too far.
    pub fn split(&self, first: i64, amount: i64) -> Option<Self> {
        let mut runs = Vec::new();
        for run in self.mapped() {
            runs.extend(run.within(i64::MIN, first));
            if let Some(behind) = run.within(first, i64::MAX) {
                behind.end().checked_add(amount)?;
                runs.push(Extent {
                    first: behind.first + amount,
                    ..behind
                });
            }
        }
        Some(Self::rebuild(runs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: i64, block: i64, count: i64) -> Extent {
        Extent {
            first,
            block,
            count,
        }
    }

    fn made(list: &[Extent]) -> ExtentMap {
        let add = |runs: ExtentMap, run: &Extent| runs.add(*run).expect("it can be added");
        list.iter().fold(ExtentMap::default(), add)
    }

    #[test]
    fn add_merges_neighbors_and_leaves_holes() {
        let runs = made(&[run(8, 100, 4), run(2, 50, 2)]);
        assert_eq!(
            runs.0,
            [
                run(0, HOLE, 2),
                run(2, 50, 2),
                run(4, HOLE, 4),
                run(8, 100, 4)
            ]
        );
        let runs = runs.add(run(4, 52, 2)).unwrap();
        assert_eq!(runs.get(1), Some(run(2, 50, 4)));
        // A neighbour that is elsewhere on the disk does not.
        assert_eq!(made(&[run(0, 10, 1), run(1, 20, 1)]).len(), 2);
    }

    #[test]
    fn add_of_conflicting_run_is_refused() {
        let runs = made(&[run(0, 10, 4)]);
        assert_eq!(runs.add(run(2, 30, 4)), None);
        assert_eq!(runs.add(run(2, 12, 4)), Some(made(&[run(0, 10, 6)])));
        assert_eq!(runs.add(run(-1, 9, 1)), None);
        assert_eq!(runs.add(run(9, 9, 0)), None);
        assert_eq!(runs.add(run(i64::MAX, 9, 2)), None);
    }

    #[test]
    fn remove_leaves_holes_except_at_end() {
        let runs = made(&[run(0, 10, 8)]);
        let middle = runs.remove(2, 3);
        assert_eq!(middle.0, [run(0, 10, 2), run(2, HOLE, 3), run(5, 15, 3)]);
        assert_eq!(runs.remove(4, i64::MAX).0, [run(0, 10, 4)]);
        assert_eq!(middle.remove(4, i64::MAX).0, [run(0, 10, 2)]);
        assert_eq!(runs.remove(0, 8).len(), 0);
    }

    #[test]
    fn split_moves_following_runs() {
        let runs = made(&[run(0, 10, 4)]);
        assert_eq!(
            runs.split(1, 5).unwrap().0,
            [run(0, 10, 1), run(1, HOLE, 5), run(6, 11, 3)]
        );
        assert_eq!(runs.split(4, 5), Some(runs.clone()));
        assert_eq!(runs.split(0, i64::MAX), None);
    }

    #[test]
    fn find_returns_run_of_block() {
        let runs = made(&[run(2, 50, 2)]);
        assert_eq!(runs.find(1), Some((0, run(0, HOLE, 2))));
        let (index, found) = runs.find(3).unwrap();
        assert_eq!((index, found.block_of(3)), (1, 51));
        assert_eq!(runs.find(4), None);
        let again = ExtentMap::from_pairs(runs.pairs());
        assert_eq!(again, runs);
    }
}
