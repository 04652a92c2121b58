//! Checks that two virtual addresses alias the same pages, by contents and by physical
//! address.
//!
//! Equal contents could be a copy, and physical addresses come from the kernel, so both
//! are checked. Every byte is compared, with patterns that differ in every byte, so a
//! stale byte is not mistaken for a new one.

use ntmem_ioctl::{ScenarioCheck, ScenarioVerdict};
use wdm::{
    Status,
    irql::Apc,
    mdl::{ListsPages, Mdl},
    memory::{PhysicalAddress, SharedBytes, byte_offset},
    user::UserRange,
};

use crate::{
    log::{Address, StatusFields},
    scenario::Record,
};

/// The expected relation of the two addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// They differ: there are two mappings.
    Differ,
    /// They are equal: there is one mapping.
    Equal,
}

/// Bytes that are written or compared at once.
const CHUNK: usize = 64;

/// A pattern of bytes; each turns other bits of the same base sequence.
#[derive(Clone, Copy)]
pub struct Pattern(u8);

impl Pattern {
    /// Written before there is a second address.
    pub const FILL: Self = Self(0x00);
    /// Written through the pool's address.
    pub const FORWARD: Self = Self(0xFF);
    /// Written through the second address.
    pub const BACKWARD: Self = Self(0x5A);

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

    /// Writes all of the memory.
    pub fn write(self, memory: SharedBytes<'_>) {
        let mut start: usize = 0;
        for chunk in memory.chunks(CHUNK) {
            start = start.saturating_add(chunk.copy_from(&self.chunk(start)));
        }
    }

    /// How many bytes from the start are as the pattern says.
    pub fn count_equal(self, memory: SharedBytes<'_>) -> usize {
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

    /// Writes all of a program's memory, as far as that goes.
    pub fn write_user(self, range: UserRange<'_>, apc: &Apc) -> Result<(), Status> {
        let mut writer = range.writer();
        let mut start: usize = 0;
        while writer.remaining() > 0 {
            let chunk = self.chunk(start);
            let piece = chunk.get(..writer.remaining().min(CHUNK)).unwrap_or(&chunk);
            writer.write_bytes(piece, apc)?;
            start = start.saturating_add(piece.len());
        }
        Ok(())
    }

    /// How many bytes of a program's memory, from the start, are as the pattern
    /// says. What cannot be read is not.
    pub fn count_equal_user(self, range: UserRange<'_>, apc: &Apc) -> usize {
        let mut reader = range.reader();
        let mut equal: usize = 0;
        let mut buffer = [0; CHUNK];
        while reader.remaining() > 0 {
            let len = reader.remaining().min(CHUNK);
            let piece = buffer.get_mut(..len).unwrap_or_default();
            if reader.read_bytes(piece, apc).is_err() {
                break;
            }
            let expected = self.chunk(equal);
            let pairs = piece.iter().zip(&expected);
            let same = pairs.take_while(|(read, wanted)| read == wanted).count();
            equal = equal.saturating_add(same);
            if same < len {
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
    record: &mut Record,
) -> Result<(), Status> {
    let pool = mdl.block().memory();
    let mut check = |probe, pattern: Pattern, memory: SharedBytes<'_>| {
        let equal = pattern.count_equal(memory);
        checked_bytes(probe, memory.len(), equal, record)
    };
    let filled = check(ScenarioCheck::Filled, Pattern::FILL, second);
    Pattern::FORWARD.write(pool);
    let forward = check(ScenarioCheck::Forward, Pattern::FORWARD, second);
    Pattern::BACKWARD.write(second);
    let backward = check(ScenarioCheck::Backward, Pattern::BACKWARD, pool);
    let seconds = second.pages().map(SharedBytes::physical_address);
    let physical = check_physical(mdl, seconds, record);
    let results = CheckResults {
        contents: filled && forward && backward,
        physical,
        addresses,
    };
    conclude(results, (pool.address(), second.address()), record)
}

/// The results of the checks.
#[derive(Clone, Copy)]
pub struct CheckResults {
    /// Whether what was written through one address was read through the other.
    pub contents: bool,
    /// Whether both lead to the pages that the MDL lists.
    pub physical: bool,
    /// How the addresses have to relate.
    pub addresses: Addresses,
}

/// Logs the verdict on two addresses, the pool's and the second.
pub fn conclude(
    results: CheckResults,
    (pool, second): (usize, usize),
    record: &mut Record,
) -> Result<(), Status> {
    let related = match results.addresses {
        Addresses::Differ => pool != second,
        Addresses::Equal => pool == second,
    };
    let offsets = byte_offset(pool) == byte_offset(second);
    let same = results.contents && results.physical && related && offsets;
    let verdict = match (same, results.addresses) {
        (true, Addresses::Differ) => ScenarioVerdict::SameMemory,
        (true, Addresses::Equal) => ScenarioVerdict::SameAddress,
        (false, _) => ScenarioVerdict::Refuted,
    };
    let (scope, result) = (record.scope, verdict.name());
    let (pool, second) = (Address(pool), Address(second));
    if same {
        step!(scope, "verdict result={result} pool={pool} second={second}");
        record.verdict(verdict, Status::SUCCESS);
        Ok(())
    } else {
        let status = Status::DATA_ERROR;
        error!(scope, "verdict result={result} pool={pool} second={second}");
        error!(
            scope,
            "failed step=verdict call=none {}",
            StatusFields(status)
        );
        record.verdict(verdict, status);
        Err(status)
    }
}

/// Logs how many bytes of a check are as they must be; returns whether all are.
pub fn checked_bytes(
    check: ScenarioCheck,
    bytes: usize,
    equal: usize,
    record: &mut Record,
) -> bool {
    let name = check.name();
    step!(
        record.scope,
        "check name={name} bytes={bytes} equal={equal}"
    );
    record.check(check, bytes, equal)
}

/// Compares, page by page, the physical addresses of both, and the MDL's page
/// frame number. Logs the first page and each page that differs.
pub fn check_physical<S: ListsPages>(
    mdl: &Mdl<S>,
    seconds: impl Iterator<Item = PhysicalAddress>,
    record: &mut Record,
) -> bool {
    let mut pages: usize = 0;
    let mut equal: usize = 0;
    let pool = mdl.block().memory().pages();
    let both = pool.zip(seconds).zip(mdl.frames());
    for (index, ((pool, second), frame)) in both.enumerate() {
        let pool = pool.physical_address();
        let same = pool == second && pool.frame() == frame;
        if index == 0 || !same {
            step!(
                record.scope,
                "physical index={index} pool={pool:#018x} second={second:#018x} pfn={frame:#x}"
            );
        }
        pages = pages.saturating_add(1);
        equal = equal.saturating_add(usize::from(same));
    }
    let name = ScenarioCheck::Physical.name();
    step!(
        record.scope,
        "check name={name} pages={pages} equal={equal}"
    );
    // Views of different length or offset have different numbers of pages.
    let listed = pages == mdl.frames().count();
    record.check(ScenarioCheck::Physical, pages, equal) && listed
}
