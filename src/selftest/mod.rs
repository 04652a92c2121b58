//! Self-test commands: exercise the kernel's memory routines and report measurements, one
//! module per family. They free what they allocate before the request is completed, and
//! are pageable, because they run at `PASSIVE_LEVEL` only.

mod list;
mod lookaside;
mod memory;
mod pool;
mod probe;
mod sync;
mod time;

pub use self::{
    list::list, lookaside::lookaside, memory::memory, pool::pool, probe::probe, sync::sync,
    time::time,
};

use ntmem_ioctl::HeldReply;
use wdm::{
    Error,
    memory::{PAGE_SIZE, SharedBytes},
    pool::PoolUsage,
};

/// The driver's pool usage.
pub fn held(files: u64, waiting: u64) -> HeldReply {
    let usage = PoolUsage::current();
    HeldReply {
        taken: usage.allocated,
        freed: usage.freed,
        held: usage.outstanding(),
        files,
        waiting,
    }
}

/// A count as the reply's 64 bits.
fn to_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// The largest power of two, up to a page, that divides an address.
fn alignment(address: usize) -> u64 {
    let bits = address.trailing_zeros().min(PAGE_SIZE.trailing_zeros());
    1 << bits
}

/// How many of the bytes are `byte`.
fn count(memory: SharedBytes<'_>, byte: u8) -> u64 {
    let mut piece = [0; 128];
    let mut equal = 0_usize;
    for chunk in memory.chunks(piece.len()) {
        let len = chunk.copy_to(&mut piece);
        let bytes = piece.iter().take(len);
        equal = equal.saturating_add(bytes.filter(|&&found| found == byte).count());
    }
    to_u64(equal)
}

/// The status of an operation that is expected to fail, 0 if it succeeded.
fn status_of<T>(outcome: &Result<T, Error>) -> u64 {
    match outcome {
        Ok(_) => 0,
        Err(error) => error.status().code().into(),
    }
}
