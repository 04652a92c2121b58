//! The kernel's view of a process: what the driver's command `blocks` answers, as a
//! [`Source`]. Who carries the question to the driver is the caller's affair.

use std::collections::VecDeque;

use ntmem_ioctl::{BlockRecord, BlocksRequest};
use zerocopy::FromBytes;

use crate::block::Raw;
use crate::{Block, Error, Source};

/// How many blocks one question asks for.
pub const BATCH: usize = 512;

/// Bytes of room for the answer.
pub const ROOM: usize = BATCH * size_of::<BlockRecord>();

/// Carries a question to the driver.
pub trait Ask {
    /// The bytes of the answer, which has room for [`ROOM`].
    ///
    /// # Errors
    ///
    /// The driver cannot be reached, or refuses.
    fn blocks(&mut self, request: &BlocksRequest) -> Result<Vec<u8>, Error>;
}

/// The blocks of a process, as the kernel tells them.
#[derive(Debug)]
pub struct Kernel<A> {
    ask: A,
    process: u64,
    told: VecDeque<Block>,
}

impl<A: Ask> Kernel<A> {
    /// Asks about this process.
    pub fn new(ask: A, process: u64) -> Self {
        Self {
            ask,
            process,
            told: VecDeque::new(),
        }
    }

    fn more(&mut self, address: u64) -> Result<(), Error> {
        let nonsense = |what: String| Error::Nonsense { address, what };
        let request = BlocksRequest {
            process: self.process,
            address,
        };
        let bytes = self.ask.blocks(&request)?;
        self.told.clear();
        for bytes in bytes.chunks(size_of::<BlockRecord>()) {
            let record = BlockRecord::read_from_bytes(bytes)
                .map_err(|_| nonsense(format!("a record of {} bytes", bytes.len())))?;
            let raw = raw(&record);
            let block = Block::from_raw(&raw).ok_or_else(|| nonsense(format!("{raw:x?}")))?;
            self.told.push_back(block);
        }
        Ok(())
    }
}

/// The numbers of a record.
fn raw(record: &BlockRecord) -> Raw {
    Raw {
        allocation_base: record.allocation_base,
        base: record.base,
        size: record.size,
        state: record.state,
        kind: record.kind,
        protection: record.protection,
        allocation_protection: record.allocation_protection,
    }
}

impl<A: Ask> Source for Kernel<A> {
    fn block_at(&mut self, address: u64) -> Result<Option<Block>, Error> {
        let is_next = self.told.front().is_some_and(|block| block.base == address);
        if !is_next {
            self.more(address)?;
        }
        Ok(self.told.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Walk;
    use zerocopy::IntoBytes;

    /// Answers with two records at a time, of pages up to the fifth.
    struct Pages;

    impl Ask for Pages {
        fn blocks(&mut self, request: &BlocksRequest) -> Result<Vec<u8>, Error> {
            let record = |n: u64| BlockRecord {
                allocation_base: n * 0x1000,
                base: n * 0x1000,
                size: 0x1000,
                state: 0x1000,
                kind: 0x2_0000,
                protection: 4,
                allocation_protection: 4,
            };
            let from = request.address / 0x1000;
            let records: Vec<_> = (from..5).take(2).map(record).collect();
            Ok(records.as_bytes().to_vec())
        }
    }

    #[test]
    fn kernel_source_continues_after_each_reply() {
        let bases: Vec<u64> = Walk::new(Kernel::new(Pages, 4))
            .map(|block| block.expect("a block").base)
            .collect();
        assert_eq!(bases, [0, 0x1000, 0x2000, 0x3000, 0x4000]);
    }

    /// Answers with half a record.
    struct Half;

    impl Ask for Half {
        fn blocks(&mut self, _: &BlocksRequest) -> Result<Vec<u8>, Error> {
            Ok(vec![0; size_of::<BlockRecord>() / 2])
        }
    }

    #[test]
    fn kernel_source_with_partial_record_is_an_error() {
        let error = Kernel::new(Half, 4).block_at(0).expect_err("no block");
        assert!(matches!(error, Error::Nonsense { .. }), "{error}");
    }
}
