//! What the host must write before translated code runs on.

/// One change of memory that belongs to the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Edit {
    /// Bytes of the cache. Links are four bytes and may be in code that another
    /// processor executes: the host stops it or writes them in one aligned store.
    Code {
        /// Where in the cache, by the address that the driver executes at.
        address: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// An entry of [`state::TABLE`](crate::state::TABLE) in every processor's state block.
    Table {
        /// Its index.
        slot: u32,
        /// The address in the cache to put there.
        address: u64,
    },
}

impl Edit {
    /// Makes the jump whose displacement is at `at` lead to `target`.
    pub(crate) fn link(at: u64, target: u64) -> Self {
        let displacement = target.wrapping_sub(at.wrapping_add(4));
        Self::Code {
            address: at,
            bytes: displacement.to_le_bytes()[..4].to_vec(),
        }
    }
}
