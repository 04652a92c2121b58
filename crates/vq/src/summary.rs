//! Sums by type and state, as the upper half of `VMMap` shows them.

use std::fmt::Write as _;

use crate::{Block, Kind, State};

/// What one row adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Row {
    /// Bytes.
    pub size: u64,
    /// Of these, how many have memory behind them.
    pub committed: u64,
    /// Of these, how many are only set aside.
    pub reserved: u64,
    /// Committed bytes that can be executed.
    pub executable: u64,
    /// Committed bytes that can be written to.
    pub writable: u64,
    /// Committed bytes of guard pages.
    pub guard: u64,
    /// Allocations.
    pub allocations: u64,
    /// Blocks.
    pub blocks: u64,
    /// The largest block.
    pub largest: u64,
}

/// The sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Summary {
    /// Images.
    pub image: Row,
    /// Views that are not of images.
    pub mapped: Row,
    /// Private memory.
    pub private: Row,
    /// What is free.
    pub free: Row,
}

impl Row {
    fn add(&mut self, block: &Block) {
        self.size += block.size;
        self.blocks += 1;
        self.largest = self.largest.max(block.size);
        self.allocations +=
            u64::from(block.state != State::Free && block.base == block.allocation_base);
        match block.state {
            State::Free => {}
            State::Reserved => self.reserved += block.size,
            State::Committed => {
                let given = |is: bool| if is { block.size } else { 0 };
                self.committed += block.size;
                self.executable += given(block.protection.is_executable());
                self.writable += given(block.protection.is_writable());
                self.guard += given(block.protection.is_guard());
            }
        }
    }

    /// The sum of two rows, with the larger of their largest blocks.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            size: self.size + other.size,
            committed: self.committed + other.committed,
            reserved: self.reserved + other.reserved,
            executable: self.executable + other.executable,
            writable: self.writable + other.writable,
            guard: self.guard + other.guard,
            allocations: self.allocations + other.allocations,
            blocks: self.blocks + other.blocks,
            largest: self.largest.max(other.largest),
        }
    }
}

impl Summary {
    /// Adds a block.
    pub fn add(&mut self, block: &Block) {
        let row = match block.kind {
            None => &mut self.free,
            Some(Kind::Private) => &mut self.private,
            Some(Kind::Mapped) => &mut self.mapped,
            Some(Kind::Image) => &mut self.image,
        };
        row.add(block);
    }

    /// All that is not free.
    #[must_use]
    pub fn total(&self) -> Row {
        self.image.and(&self.mapped).and(&self.private)
    }

    /// As a table: sizes in units of 1024 bytes.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::from(
            "Type            Size K  Committed K   Reserved K  Execute K    Write K  Guard K  \
             Allocs   Blocks    Largest K\n",
        );
        let rows = [
            ("Image", self.image),
            ("Mapped", self.mapped),
            ("Private", self.private),
            ("Total", self.total()),
            ("Free", self.free),
        ];
        for (name, row) in rows {
            let k = |bytes: u64| bytes / 1024;
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{name:<8} {:>13} {:>12} {:>12} {:>10} {:>10} {:>8} {:>7} {:>8} {:>12}",
                k(row.size),
                k(row.committed),
                k(row.reserved),
                k(row.executable),
                k(row.writable),
                k(row.guard),
                row.allocations,
                row.blocks,
                k(row.largest),
            );
        }
        text
    }
}

impl<'a> Extend<&'a Block> for Summary {
    fn extend<I: IntoIterator<Item = &'a Block>>(&mut self, blocks: I) {
        for block in blocks {
            self.add(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn summary_has_each_total_in_one_row() {
        let text = "\
0000000000000000 0000000000000000 393216  Free
0000000000060000 0000000000060000 1028096 Reserved    Private
0000000000060000 000000000015B000 8192    Committed   Private --GRW-- ---RW--
0000000000060000 000000000015D000 12288   Committed   Private ---RW-- ---RW--
000007FEFDF90000 000007FEFDF90000 4096    Committed   Image   ---R--- ---RWEC
000007FEFDF90000 000007FEFDF91000 303104  Committed   Image   ---R-E- ---RWEC
";
        let blocks = parse::read(text.as_bytes(), "text").expect("a listing");
        let mut summary = Summary::default();
        summary.extend(&blocks);
        assert_eq!(
            summary.private,
            Row {
                size: 0x10_0000,
                committed: 20480,
                reserved: 1_028_096,
                executable: 0,
                writable: 20480,
                guard: 8192,
                allocations: 1,
                blocks: 3,
                largest: 1_028_096,
            }
        );
        assert_eq!(summary.image.executable, 303_104);
        assert_eq!(summary.free.blocks, 1);
        assert_eq!(summary.total().allocations, 2);
        let table = summary.table();
        let widths: Vec<_> = table.lines().map(str::len).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{table}");
        assert!(table.contains("\nPrivate           1024"), "{table}");
    }
}
