//! Where blocks come from.

use crate::{Block, Error};

/// Something that knows which block an address is in.
pub trait Source {
    /// The rest of the block that holds `address`, from its page on; `None` if no
    /// process has such addresses.
    ///
    /// # Errors
    ///
    /// Why it cannot be told.
    fn block_at(&mut self, address: u64) -> Result<Option<Block>, Error>;
}

/// Blocks that were written down or made up, in the order of their addresses.
#[derive(Debug, Clone, Default)]
pub struct Written(Vec<Block>);

impl Written {
    /// A source of these blocks.
    #[must_use]
    pub fn new(mut blocks: Vec<Block>) -> Self {
        blocks.sort_by_key(|block| block.base);
        Self(blocks)
    }
}

impl Source for Written {
    fn block_at(&mut self, address: u64) -> Result<Option<Block>, Error> {
        let next = self.0.partition_point(|block| block.end() <= address);
        Ok(self.0.get(next).map(|block| {
            if address < block.base {
                // A hole in what was written is not known to be free, but nothing
                // says that it is not.
                return Block::free(address, block.base - address);
            }
            Block {
                base: address,
                size: block.end() - address,
                ..*block
            }
        }))
    }
}

impl<S: Source + ?Sized> Source for &mut S {
    fn block_at(&mut self, address: u64) -> Result<Option<Block>, Error> {
        (**self).block_at(address)
    }
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn block_at(&mut self, address: u64) -> Result<Option<Block>, Error> {
        (**self).block_at(address)
    }
}
