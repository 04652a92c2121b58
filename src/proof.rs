//! Proof that two addresses are the same memory, by contents and by physical
//! address.
//!
//! Contents alone could be copies, and physical addresses alone are what the
//! kernel claims; both together leave no doubt. Each byte is checked, with
//! patterns that differ from each other at every byte, so that a stale one cannot
//! pass for a new one.

use wdm::{
    Status,
    mdl::{ListsPages, Mdl},
    memory::{SharedBytes, byte_offset},
};

use crate::report::{Address, Outcome, Scope};

/// How the second address has to relate to the pool's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// They differ: the pages are mapped twice.
    Differ,
    /// They are one: the pages are mapped once.
    Equal,
}

/// Bytes that are written or compared at once.
const CHUNK: usize = 64;

/// A pattern of bytes; each turns other bits of the same base sequence.
#[derive(Clone, Copy)]
struct Pattern(u8);

impl Pattern {
    /// Written before there is a second address.
    const FILL: Self = Self(0x00);
    /// Written through the pool's address.
    const FORWARD: Self = Self(0xFF);
    /// Written through the second address.
    const BACKWARD: Self = Self(0x5A);

    /// The byte at `offset`: neighbours, and the same places of two pages, differ
    /// as random bytes do.
    fn byte(self, offset: usize) -> u8 {
        const GOLDEN_RATIO: u64 = 0x9E37_79B9_7F4A_7C15;
        let [.., top] = (offset as u64).wrapping_mul(GOLDEN_RATIO).to_le_bytes();
        top ^ self.0
    }

    fn chunk(self, start: usize) -> [u8; CHUNK] {
        core::array::from_fn(|index| self.byte(start.saturating_add(index)))
    }

    fn write(self, memory: SharedBytes<'_>) {
        let mut start: usize = 0;
        for chunk in memory.chunks(CHUNK) {
            start = start.saturating_add(chunk.copy_from(&self.chunk(start)));
        }
    }

    /// How many bytes from the start are as the pattern says.
    fn count_equal(self, memory: SharedBytes<'_>) -> usize {
        let mut equal: usize = 0;
        for chunk in memory.chunks(CHUNK) {
            let same = chunk.count_equal(&self.chunk(equal));
            equal = equal.saturating_add(same);
            if same < chunk.len() {
                break;
            }
        }
        equal
    }
}

/// Fills memory with the pattern that the first check looks for.
pub fn fill(memory: SharedBytes<'_>) {
    Pattern::FILL.write(memory);
}

/// Checks that the pool of `mdl`, filled before, and `second` are the same memory,
/// and logs each check and the verdict. `STATUS_DATA_ERROR` if they are not.
pub fn run<S: ListsPages>(
    mdl: &Mdl<S>,
    second: SharedBytes<'_>,
    addresses: Addresses,
    scope: Scope,
) -> Result<(), Status> {
    let pool = mdl.block().memory();
    let filled = check_contents("filled", Pattern::FILL, second, scope);
    Pattern::FORWARD.write(pool);
    let forward = check_contents("forward", Pattern::FORWARD, second, scope);
    Pattern::BACKWARD.write(second);
    let backward = check_contents("backward", Pattern::BACKWARD, pool, scope);
    let physical = check_physical(mdl, second, scope);

    let related = match addresses {
        Addresses::Differ => pool.address() != second.address(),
        Addresses::Equal => pool.address() == second.address(),
    };
    let offsets = byte_offset(pool.address()) == byte_offset(second.address());
    let same = filled && forward && backward && physical && related && offsets;
    let verdict = match (same, addresses) {
        (true, Addresses::Differ) => "same-memory",
        (true, Addresses::Equal) => "same-address",
        (false, _) => "refuted",
    };
    let (pool, second) = (Address(pool.address()), Address(second.address()));
    if same {
        step!(
            scope,
            "verdict result={verdict} pool={pool} second={second}"
        );
        Ok(())
    } else {
        let status = Status::DATA_ERROR;
        error!(
            scope,
            "verdict result={verdict} pool={pool} second={second}"
        );
        error!(scope, "failed step=verdict call=none {}", Outcome(status));
        Err(status)
    }
}

/// Reads `memory` and compares it with what was written at the other address.
fn check_contents(name: &str, pattern: Pattern, memory: SharedBytes<'_>, scope: Scope) -> bool {
    let equal = pattern.count_equal(memory);
    let bytes = memory.len();
    step!(scope, "check name={name} bytes={bytes} equal={equal}");
    equal == bytes
}

/// Compares, page by page, the physical addresses of both, and the MDL's page
/// frame number. Logs the first page and each page that differs.
fn check_physical<S: ListsPages>(mdl: &Mdl<S>, second: SharedBytes<'_>, scope: Scope) -> bool {
    let mut pages: usize = 0;
    let mut equal: usize = 0;
    let both = mdl
        .block()
        .memory()
        .pages()
        .zip(second.pages())
        .zip(mdl.frames());
    for (index, ((pool, second), frame)) in both.enumerate() {
        let (pool, second) = (pool.physical_address(), second.physical_address());
        let same = pool == second && pool.frame() == frame;
        if index == 0 || !same {
            step!(
                scope,
                "physical index={index} pool={pool:#018x} second={second:#018x} pfn={frame:#x}"
            );
        }
        pages = pages.saturating_add(1);
        equal = equal.saturating_add(usize::from(same));
    }
    step!(scope, "check name=physical pages={pages} equal={equal}");
    // Views of different length or offset have different numbers of pages.
    pages == mdl.frames().count() && equal == pages
}
