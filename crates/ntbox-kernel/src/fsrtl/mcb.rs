//! Map control blocks (`LARGE_MCB`, `BASE_MCB`), which map virtual blocks of a file to
//! logical blocks of a disk. The structure is public and in the file system's memory;
//! it points to an array of pairs in pool. `extent_map` has the operations on runs.
//!
//! A large MCB is a base MCB with a mutex in front. The mutex is never contended here:
//! a call ends before another thread runs.

use nt_layout::{BaseMcb, LargeMcb, McbPair};
use ntbox_host::driver_mem;
use ntbox_host::gate::NoReturn;
use ntbox_host::gate::irql::APC_LEVEL;

use super::extent_map::{Extent, ExtentMap};
use crate::base::driver_ptr::DriverPtr;
use crate::base::export::exports;
use crate::ex::{fast_mutex, pool};
use crate::mm;

pub mod small;

type Mcb = DriverPtr<BaseMcb>;

/// Pairs that there is room for at first.
const INITIAL: u32 = 15;
/// `MCB_FLAG_RAISE_ON_ALLOCATION_FAILURE`.
const RAISES: u16 = 1;
/// Pool tags of the mutex and of the pairs.
const MUTEX_TAG: u32 = u32::from_le_bytes(*b"FSmg");
const PAIRS_TAG: u32 = u32::from_le_bytes(*b"FSrm");
/// Bytes of a guarded mutex.
const MUTEX_SIZE: u64 = 0x38;

/// Why a change was not made.
enum ChangeError {
    /// The blocks are elsewhere, or would move too far.
    Collides,
    /// There is no pool, and the block does not want an exception.
    NoPool,
    /// The call does not return.
    Stop(NoReturn),
}

impl From<driver_mem::Fault> for ChangeError {
    fn from(fault: driver_mem::Fault) -> Self {
        Self::Stop(fault.into())
    }
}

/// TRUE if it was made.
fn answer(result: Result<(), ChangeError>) -> Result<bool, NoReturn> {
    match result {
        Ok(()) => Ok(true),
        Err(ChangeError::Stop(stop)) => Err(stop),
        Err(_) => Ok(false),
    }
}

fn initialize(mcb: Mcb, pool: u32, flags: u16, caller: u64) -> Result<(), ChangeError> {
    let size = u64::from(INITIAL) * DriverPtr::<McbPair>::SIZE;
    let mapping = allocate(pool, size, flags, caller)?;
    mcb.set(|mcb| &mcb.maximum_pair_count, INITIAL)?;
    mcb.set(|mcb| &mcb.pair_count, 0)?;
    let pool = u16::try_from(pool & 0xffff).unwrap_or(0);
    mcb.set(|mcb| &mcb.pool_type, pool)?;
    mcb.set(|mcb| &mcb.flags, flags)?;
    mcb.set(|mcb| &mcb.mapping, mapping)?;
    Ok(())
}

fn allocate(pool: u32, size: u64, flags: u16, caller: u64) -> Result<u64, ChangeError> {
    pool::allocate_or_raise(pool, size, PAIRS_TAG, caller).map_err(|stop| match flags & RAISES {
        0 => ChangeError::NoPool,
        _ => ChangeError::Stop(stop),
    })
}

fn free(block: u64, caller: u64) {
    mm::pool::free_by(block, caller);
}

fn uninitialize(mcb: Mcb, caller: u64) -> Result<(), NoReturn> {
    free(mcb.get(|mcb| &mcb.mapping)?, caller);
    mcb.set(|mcb| &mcb.mapping, 0)?;
    Ok(mcb.set(|mcb| &mcb.pair_count, 0)?)
}

fn read(mcb: Mcb) -> Result<ExtentMap, driver_mem::Fault> {
    let count = mcb.get(|mcb| &mcb.pair_count)?;
    let maximum = mcb.get(|mcb| &mcb.maximum_pair_count)?;
    let mapping = mcb.get(|mcb| &mcb.mapping)?;
    let pair = |n: u64| -> Result<(i64, i64), driver_mem::Fault> {
        let pair = DriverPtr::<McbPair>::new(mapping).next(n);
        Ok((
            pair.get(|pair| &pair.next_vbn)?,
            pair.get(|pair| &pair.lbn)?,
        ))
    };
    let pairs: Result<Vec<_>, _> = (0..u64::from(count.min(maximum))).map(pair).collect();
    Ok(ExtentMap::from_pairs(pairs?.into_iter()))
}

/// Writes the runs, into more pool if need be.
fn write(mcb: Mcb, runs: &ExtentMap, caller: u64) -> Result<(), ChangeError> {
    let count = u32::try_from(runs.len()).unwrap_or(u32::MAX);
    let maximum = mcb.get(|mcb| &mcb.maximum_pair_count)?;
    let mut mapping = mcb.get(|mcb| &mcb.mapping)?;
    if count > maximum {
        let pool = u32::from(mcb.get(|mcb| &mcb.pool_type)?);
        let flags = mcb.get(|mcb| &mcb.flags)?;
        let room = count.max(maximum.saturating_mul(2));
        let larger = allocate(
            pool,
            u64::from(room) * DriverPtr::<McbPair>::SIZE,
            flags,
            caller,
        )?;
        free(mapping, caller);
        mapping = larger;
        mcb.set(|mcb| &mcb.maximum_pair_count, room)?;
        mcb.set(|mcb| &mcb.mapping, mapping)?;
    }
    for (n, (end, block)) in (0..).zip(runs.pairs()) {
        let pair = DriverPtr::<McbPair>::new(mapping).next(n);
        pair.set(|pair| &pair.next_vbn, end)?;
        pair.set(|pair| &pair.lbn, block)?;
    }
    Ok(mcb.set(|mcb| &mcb.pair_count, count)?)
}

fn add(mcb: Mcb, run: Extent, caller: u64) -> Result<(), ChangeError> {
    let runs = read(mcb)?.add(run).ok_or(ChangeError::Collides)?;
    write(mcb, &runs, caller)
}

fn remove(mcb: Mcb, first: i64, count: i64, caller: u64) -> Result<(), ChangeError> {
    let runs = read(mcb)?.remove(first, count);
    write(mcb, &runs, caller)
}

/// Removes everything from a block on.
fn truncate(mcb: Mcb, first: i64, caller: u64) -> Result<(), NoReturn> {
    answer(remove(mcb, first, i64::MAX, caller)).map(drop)
}

fn split(mcb: Mcb, first: i64, amount: i64, caller: u64) -> Result<(), ChangeError> {
    let runs = read(mcb)?
        .split(first, amount)
        .ok_or(ChangeError::Collides)?;
    write(mcb, &runs, caller)
}

/// Writes a result to a driver's variable, if there is one.
fn put(at: u64, value: i64) -> Result<(), driver_mem::Fault> {
    match at {
        0 => Ok(()),
        at => driver_mem::write_u64(at, value.cast_unsigned()),
    }
}

fn put_index(at: u64, index: usize) -> Result<(), driver_mem::Fault> {
    match at {
        0 => Ok(()),
        at => driver_mem::write_u32(at, u32::try_from(index).unwrap_or(u32::MAX)),
    }
}

/// The driver's variables for the results of a lookup; each may be 0.
struct LookupBuffers {
    block: u64,
    count: u64,
    starting_block: u64,
    starting_count: u64,
    index: u64,
}

fn lookup(mcb: Mcb, block: i64, out: &LookupBuffers) -> Result<bool, NoReturn> {
    let Some((index, run)) = read(mcb)?.find(block) else {
        return Ok(false);
    };
    put(out.block, run.block_of(block))?;
    put(out.count, run.count - (block - run.first))?;
    put(out.starting_block, run.block)?;
    put(out.starting_count, run.count)?;
    put_index(out.index, index)?;
    Ok(true)
}

fn last(mcb: Mcb, block: u64, on_disk: u64, index: u64) -> Result<bool, NoReturn> {
    let runs = read(mcb)?;
    let Some(run) = runs.last() else {
        return Ok(false);
    };
    let at = run.first + run.count - 1;
    put(block, at)?;
    put(on_disk, run.block_of(at))?;
    put_index(index, runs.len() - 1)?;
    Ok(true)
}

fn next(mcb: Mcb, index: u32, block: u64, on_disk: u64, count: u64) -> Result<bool, NoReturn> {
    let run = read(mcb)?.get(usize::try_from(index).unwrap_or(usize::MAX));
    let shown = run.unwrap_or(Extent {
        first: 0,
        block: 0,
        count: 0,
    });
    put(block, shown.first)?;
    put(on_disk, shown.block)?;
    put(count, shown.count)?;
    Ok(run.is_some())
}

fn count(mcb: Mcb) -> Result<u32, NoReturn> {
    Ok(u32::try_from(read(mcb)?.len()).unwrap_or(u32::MAX))
}

exports! {
    /// `FsRtlInitializeLargeMcb`: the mutex and the pairs are pool.
    fn FsRtlInitializeLargeMcb<call>(mcb: DriverPtr<LargeMcb>, pool: u32) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        let caller = call.return_address();
        let mutex = pool::allocate_or_raise(0x200, MUTEX_SIZE, MUTEX_TAG, caller)?;
        fast_mutex::initialize(mutex)?;
        if let Err(stop) = answer(initialize(mcb.at(|mcb| &mcb.base_mcb), pool, RAISES, caller)) {
            free(mutex, caller);
            return Err(stop);
        }
        Ok(mcb.set(|mcb| &mcb.guarded_mutex, mutex)?)
    }

    /// `FsRtlUninitializeLargeMcb`.
    fn FsRtlUninitializeLargeMcb<call>(mcb: DriverPtr<LargeMcb>) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        let mutex = mcb.get(|mcb| &mcb.guarded_mutex)?;
        // A second call has nothing to free.
        if mutex == 0 {
            return Ok(());
        }
        uninitialize(mcb.at(|mcb| &mcb.base_mcb), call.return_address())?;
        free(mutex, call.return_address());
        Ok(mcb.set(|mcb| &mcb.guarded_mutex, 0)?)
    }

    /// `FsRtlAddLargeMcbEntry`.
    fn FsRtlAddLargeMcbEntry<call>(mcb: DriverPtr<LargeMcb>, first: i64, block: i64, count: i64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] raises nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        answer(add(mcb.at(|mcb| &mcb.base_mcb), Extent { first, block, count }, call.return_address()))
    }

    /// `FsRtlRemoveLargeMcbEntry`.
    fn FsRtlRemoveLargeMcbEntry<call>(mcb: DriverPtr<LargeMcb>, first: i64, count: i64) -> ()
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        answer(remove(mcb.at(|mcb| &mcb.base_mcb), first, count, call.return_address())).map(drop)
    }

    /// `FsRtlTruncateLargeMcb`.
    fn FsRtlTruncateLargeMcb<call>(mcb: DriverPtr<LargeMcb>, first: i64) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        truncate(mcb.at(|mcb| &mcb.base_mcb), first, call.return_address())
    }

    /// `FsRtlSplitLargeMcb`.
    fn FsRtlSplitLargeMcb<call>(mcb: DriverPtr<LargeMcb>, first: i64, amount: i64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        answer(split(mcb.at(|mcb| &mcb.base_mcb), first, amount, call.return_address()))
    }

    /// `FsRtlResetLargeMcb`: forgets the runs and keeps the memory.
    fn FsRtlResetLargeMcb(mcb: DriverPtr<LargeMcb>, synchronized: bool) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        Ok(mcb.set(|mcb| &mcb.base_mcb.pair_count, 0)?)
    }

    /// `FsRtlLookupLargeMcbEntry`: each answer is optional.
    fn FsRtlLookupLargeMcbEntry(
        mcb: DriverPtr<LargeMcb>, first: i64, block: u64, count: u64, starting_block: u64, starting_count: u64, index: u64,
    ) -> bool [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        lookup(mcb.at(|mcb| &mcb.base_mcb), first, &LookupBuffers { block, count, starting_block, starting_count, index })
    }

    /// `FsRtlLookupLastLargeMcbEntry`.
    fn FsRtlLookupLastLargeMcbEntry(mcb: DriverPtr<LargeMcb>, first: u64, block: u64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        last(mcb.at(|mcb| &mcb.base_mcb), first, block, 0)
    }

    /// `FsRtlLookupLastLargeMcbEntryAndIndex`.
    fn FsRtlLookupLastLargeMcbEntryAndIndex(mcb: DriverPtr<LargeMcb>, first: u64, block: u64, index: u64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        last(mcb.at(|mcb| &mcb.base_mcb), first, block, index)
    }

    /// `FsRtlGetNextLargeMcbEntry`.
    fn FsRtlGetNextLargeMcbEntry(mcb: DriverPtr<LargeMcb>, index: u32, first: u64, block: u64, count: u64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        next(mcb.at(|mcb| &mcb.base_mcb), index, first, block, count)
    }

    /// `FsRtlNumberOfRunsInLargeMcb`: holes count.
    fn FsRtlNumberOfRunsInLargeMcb(mcb: DriverPtr<LargeMcb>) -> u32 [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        count(mcb.at(|mcb| &mcb.base_mcb))
    }

    /// `FsRtlInitializeBaseMcb`.
    fn FsRtlInitializeBaseMcb<call>(mcb: Mcb, pool: u32) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] raises nt_status::STATUS_INSUFFICIENT_RESOURCES {
        answer(initialize(mcb, pool, RAISES, call.return_address())).map(drop)
    }

    /// `FsRtlInitializeBaseMcbEx`: FALSE without memory, unless it is to raise.
    fn FsRtlInitializeBaseMcbEx<call>(mcb: Mcb, pool: u32, flags: u16) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] fails 0 {
        answer(initialize(mcb, pool, flags, call.return_address()))
    }

    /// `FsRtlUninitializeBaseMcb`.
    fn FsRtlUninitializeBaseMcb<call>(mcb: Mcb) -> () [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        uninitialize(mcb, call.return_address())
    }

    /// `FsRtlAddBaseMcbEntry`.
    fn FsRtlAddBaseMcbEntry<call>(mcb: Mcb, first: i64, block: i64, count: i64) -> bool
        [max APC_LEVEL, undocumented] fails 0 {
        answer(add(mcb, Extent { first, block, count }, call.return_address()))
    }

    /// `FsRtlAddBaseMcbEntryEx`: with a status.
    fn FsRtlAddBaseMcbEntryEx<call>(mcb: Mcb, first: i64, block: i64, count: i64) -> u32
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] fails nt_status::STATUS_INSUFFICIENT_RESOURCES
    {
        match add(mcb, Extent { first, block, count }, call.return_address()) {
            Ok(()) => Ok(nt_status::STATUS_SUCCESS),
            Err(ChangeError::Collides) => Ok(nt_status::STATUS_UNSUCCESSFUL),
            Err(ChangeError::NoPool) => Ok(nt_status::STATUS_INSUFFICIENT_RESOURCES),
            Err(ChangeError::Stop(stop)) => Err(stop),
        }
    }

    /// `FsRtlRemoveBaseMcbEntry`.
    fn FsRtlRemoveBaseMcbEntry<call>(mcb: Mcb, first: i64, count: i64) -> bool
        [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] fails 0 {
        answer(remove(mcb, first, count, call.return_address()))
    }

    /// `FsRtlTruncateBaseMcb`.
    fn FsRtlTruncateBaseMcb<call>(mcb: Mcb, first: i64) -> () [max APC_LEVEL, undocumented] {
        truncate(mcb, first, call.return_address())
    }

    /// `FsRtlSplitBaseMcb`.
    fn FsRtlSplitBaseMcb<call>(mcb: Mcb, first: i64, amount: i64) -> bool [max APC_LEVEL, undocumented] fails 0 {
        answer(split(mcb, first, amount, call.return_address()))
    }

    /// `FsRtlResetBaseMcb`.
    fn FsRtlResetBaseMcb(mcb: Mcb) -> () [max APC_LEVEL, undocumented] {
        Ok(mcb.set(|mcb| &mcb.pair_count, 0)?)
    }

    /// `FsRtlLookupBaseMcbEntry`.
    fn FsRtlLookupBaseMcbEntry(
        mcb: Mcb, first: i64, block: u64, count: u64, starting_block: u64, starting_count: u64, index: u64,
    ) -> bool [max APC_LEVEL, ntifs(_fsrtl_advanced_fcb_header)] {
        lookup(mcb, first, &LookupBuffers { block, count, starting_block, starting_count, index })
    }

    /// `FsRtlLookupLastBaseMcbEntry`.
    fn FsRtlLookupLastBaseMcbEntry(mcb: Mcb, first: u64, block: u64) -> bool [max APC_LEVEL, undocumented] {
        last(mcb, first, block, 0)
    }

    /// `FsRtlLookupLastBaseMcbEntryAndIndex`.
    fn FsRtlLookupLastBaseMcbEntryAndIndex(mcb: Mcb, first: u64, block: u64, index: u64) -> bool
        [max APC_LEVEL, undocumented] {
        last(mcb, first, block, index)
    }

    /// `FsRtlGetNextBaseMcbEntry`.
    fn FsRtlGetNextBaseMcbEntry(mcb: Mcb, index: u32, first: u64, block: u64, count: u64) -> bool
        [max APC_LEVEL, undocumented] {
        next(mcb, index, first, block, count)
    }

    /// `FsRtlNumberOfRunsInBaseMcb`.
    fn FsRtlNumberOfRunsInBaseMcb(mcb: Mcb) -> u32 [max APC_LEVEL, undocumented] {
        count(mcb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fsrtl::extent_map::HOLE;
    use crate::test_support::{address_mut, status, value};

    #[test]
    fn large_mcb_grows_and_frees_pool() {
        let mut mcb = [0_u64; 4];
        let at = address_mut(&mut mcb);
        value(FsRtlInitializeLargeMcb, &[at, 1]);
        for n in 0..40 {
            let arguments = [at, 4 * n + 1, 100 * n + 7, 2];
            assert_eq!(value(FsRtlAddLargeMcbEntry, &arguments), 1);
        }
        assert_eq!(value(FsRtlNumberOfRunsInLargeMcb, &[at]), 80);
        let mut found = [0_i64; 5];
        let out: Vec<u64> = found.iter_mut().map(address_mut).collect();
        let arguments = [at, 6, out[0], out[1], out[2], out[3], out[4]];
        assert_eq!(value(FsRtlLookupLargeMcbEntry, &arguments), 1);
        assert_eq!(found, [108, 1, 107, 2, 3]);
        let arguments = [at, 8, out[0], 0, 0, 0, 0];
        assert_eq!(value(FsRtlLookupLargeMcbEntry, &arguments), 1);
        assert_eq!(found[0], HOLE);
        value(FsRtlResetLargeMcb, &[at, 1]);
        assert_eq!(value(FsRtlLookupLastLargeMcbEntry, &[at, 0, 0]), 0);
        let blocks = [mcb[0], mcb[3]];
        let held = |va| mm::with(|memory| memory.pools.block(va).is_some());
        assert!(blocks.into_iter().all(held));
        value(FsRtlUninitializeLargeMcb, &[at]);
        assert!(!blocks.into_iter().any(held));
    }

    #[test]
    fn base_mcb_reports_refusal() {
        let mut mcb = [0_u64; 3];
        let at = address_mut(&mut mcb);
        assert_eq!(value(FsRtlInitializeBaseMcbEx, &[at, 1, 0]), 1);
        assert_eq!(status(FsRtlAddBaseMcbEntryEx, &[at, 0, 5, 4]), 0);
        let refused = status(FsRtlAddBaseMcbEntryEx, &[at, 1, 5, 4]);
        assert_eq!(refused, nt_status::STATUS_UNSUCCESSFUL);
        assert_eq!(value(FsRtlAddBaseMcbEntry, &[at, 1, 5, 4]), 0);
        let mut run = [0_i64; 3];
        let out: Vec<u64> = run.iter_mut().map(address_mut).collect();
        assert_eq!(
            value(FsRtlGetNextBaseMcbEntry, &[at, 0, out[0], out[1], out[2]]),
            1
        );
        assert_eq!(run, [0, 5, 4]);
        assert_eq!(
            value(FsRtlGetNextBaseMcbEntry, &[at, 1, out[0], out[1], out[2]]),
            0
        );
        assert_eq!(run, [0; 3]);
        value(FsRtlUninitializeBaseMcb, &[at]);
    }
}
