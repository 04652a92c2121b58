//! One block after the other, from the lowest address to the highest.
//!
//! A living process changes while it is walked. Every block begins where the last
//! one ended, so nothing is listed twice and nothing is left out; but two blocks
//! may be of different moments. What cannot have been at one moment is noticed:
//! the middle of an allocation that did not begin before, and neighbours that would
//! have been one block, unless the source cuts there (Wine does so in free memory):
//! then the first of them is still the same when it is asked for again.

use crate::{Block, Error, Source, State};

/// The blocks of a source.
#[derive(Debug)]
pub struct Walk<S> {
    source: S,
    next: Option<u64>,
    last: Option<Block>,
    change: Option<u64>,
}

impl<S: Source> Walk<S> {
    /// All blocks.
    pub fn new(source: S) -> Self {
        Self {
            source,
            next: Some(0),
            last: None,
            change: None,
        }
    }

    /// Where it showed first that the source had changed meanwhile.
    pub const fn change(&self) -> Option<u64> {
        self.change
    }

    fn step(&mut self, address: u64) -> Result<Option<Block>, Error> {
        let Some(block) = self.source.block_at(address)? else {
            return Ok(None);
        };
        if block.base != address || block.size == 0 {
            let what = format!("{} bytes from {:#x} on", block.size, block.base);
            return Err(Error::Nonsense { address, what });
        }
        if self.change.is_none() && self.does_not_follow(&block)? {
            self.change = Some(address);
        }
        self.last = Some(block);
        Ok(Some(block))
    }

    /// Whether the block and the one before cannot be of the same moment.
    fn does_not_follow(&mut self, block: &Block) -> Result<bool, Error> {
        let Some(last) = self.last else {
            return Ok(false);
        };
        if block.continues(&last) {
            let again = self.source.block_at(last.base)?;
            return Ok(again != Some(last));
        }
        Ok(block.state != State::Free
            && block.allocation_base != block.base
            && block.allocation_base != last.allocation_base)
    }
}

impl<S: Source> Iterator for Walk<S> {
    type Item = Result<Block, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let address = self.next.take()?;
        let block = self.step(address).transpose()?;
        if let Ok(block) = &block {
            self.next = block.base.checked_add(block.size);
        }
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Written;
    use crate::{Kind, Protection};

    fn block(allocation_base: u64, base: u64, size: u64) -> Block {
        Block {
            allocation_base,
            base,
            size,
            state: State::Committed,
            kind: Some(Kind::Private),
            protection: Protection(4),
            allocation_protection: Protection(4),
        }
    }

    fn walk(blocks: Vec<Block>) -> (Vec<u64>, Option<u64>) {
        let mut walk = Walk::new(Written::new(blocks));
        let bases = walk
            .by_ref()
            .map(|block| block.expect("a block").base)
            .collect();
        (bases, walk.change())
    }

    #[test]
    fn walk_has_no_gaps() {
        let (bases, change) = walk(vec![
            block(0x1000, 0x1000, 0x1000),
            block(0x3000, 0x3000, 0x2000),
        ]);
        assert_eq!(bases, [0, 0x1000, 0x2000, 0x3000]);
        assert_eq!(change, None);
    }

    #[test]
    fn walk_detects_changed_address_space() {
        // Two neighbours that are one block as soon as the second is asked for.
        let mut walk_of_growing = Walk::new(Growing(0x1000));
        let sizes: Vec<u64> = walk_of_growing
            .by_ref()
            .map(|block| block.expect("a block").size)
            .collect();
        assert_eq!(sizes, [0x1000, 0x1000]);
        assert_eq!(walk_of_growing.change(), Some(0x1000));
        // Neighbours of a source that always cuts there.
        let (_, change) = walk(vec![block(0, 0, 0x1000), block(0, 0x1000, 0x1000)]);
        assert_eq!(change, None);
        // The middle of an allocation whose start was not there.
        let (_, change) = walk(vec![Block::free(0, 0x2000), block(0x1000, 0x2000, 0x1000)]);
        assert_eq!(change, Some(0x2000));
    }

    /// A block that ends at this address, and at twice that once it was asked for.
    struct Growing(u64);

    impl Source for Growing {
        fn block_at(&mut self, address: u64) -> Result<Option<Block>, Error> {
            let end = std::mem::replace(&mut self.0, 0x2000);
            Ok((address < end).then(|| block(0, address, end - address)))
        }
    }

    /// Says that every block begins a page too low.
    struct Wrong;

    impl Source for Wrong {
        fn block_at(&mut self, address: u64) -> Result<Option<Block>, Error> {
            Ok(Some(Block::free(address.saturating_sub(0x1000), 0x1000)))
        }
    }

    #[test]
    fn walk_of_stuck_source_ends() {
        let answers: Vec<_> = Walk::new(Wrong).collect();
        assert_eq!(answers.len(), 2);
        assert!(matches!(answers[1], Err(Error::Nonsense { .. })));
    }
}
