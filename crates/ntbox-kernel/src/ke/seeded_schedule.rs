//! Schedules that are drawn from a seed: where a processor's or a thread's turn
//! ends does not depend on the host then, so a run that goes wrong goes wrong each
//! time. A turn can end where the driver calls the kernel or changes its IRQL, and
//! time only passes there; a driver that computes or spins without a call is
//! interrupted all the same, after some time of the host's processor.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::base::clock;

/// Whether the schedule is drawn from a seed.
static ENABLED: AtomicBool = AtomicBool::new(false);
/// State of the generator.
static STATE: AtomicU64 = AtomicU64::new(0);
/// Number of calls, and that at the last interrupt of the clock.
static POINTS: AtomicU64 = AtomicU64::new(0);
static SEEN: AtomicU64 = AtomicU64::new(u64::MAX);

/// One in so many points ends a turn.
pub const RARITY: u64 = 4;
/// Units of 100 ns that pass at a point.
pub const STEP: u64 = 10;

/// Draws the schedule from a seed from now on, if there is one.
pub fn initialize(seed: Option<u64>) {
    STATE.store(seed.unwrap_or(0), Ordering::Relaxed);
    ENABLED.store(seed.is_some(), Ordering::Relaxed);
    if seed.is_some() {
        clock::stop();
    }
}

/// Whether the schedule is drawn from a seed.
pub fn is_drawn() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// The next number of the generator, `SplitMix64`.
fn next() -> u64 {
    let state = STATE
        .load(Ordering::Relaxed)
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.store(state, Ordering::Relaxed);
    let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Whether the turn ends at this point. Time passes.
pub fn ends_turn() -> bool {
    is_drawn() && {
        POINTS.fetch_add(1, Ordering::Relaxed);
        clock::pass(STEP);
        next().is_multiple_of(RARITY)
    }
}

/// One of so many, with a seed; otherwise the first.
pub fn choose(count: usize) -> usize {
    let last = count.saturating_sub(1) as u64;
    if !is_drawn() || last == 0 {
        return 0;
    }
    usize::try_from(next() % (last + 1)).unwrap_or(0)
}

/// Whether the driver has not come to a point since the clock last interrupted it;
/// then that passes time. Called in a signal.
pub fn is_stuck() -> bool {
    let points = POINTS.load(Ordering::Relaxed);
    let stuck = SEEN.swap(points, Ordering::Relaxed) == points;
    if stuck {
        clock::pass(clock::TICK);
    }
    stuck
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::processor;

    /// What a seed draws first.
    fn drawn(seed: u64) -> Vec<usize> {
        STATE.store(seed, Ordering::Relaxed);
        (0..64).map(|_| choose(8)).collect()
    }

    #[test]
    fn same_seed_gives_same_schedule() {
        processor();
        ENABLED.store(true, Ordering::Relaxed);
        let (first, again, other) = (drawn(7), drawn(7), drawn(8));
        let alone = choose(1);
        ENABLED.store(false, Ordering::Relaxed);
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert!((0..8).all(|n| first.contains(&n)), "{first:?}");
        assert_eq!((alone, choose(8)), (0, 0));
        assert!(!ends_turn());
    }
}
