//! Time. It runs with the host's clock while anything runs, and jumps ahead when
//! every thread waits, so that a timer of thirty seconds costs nothing; unless the
//! caller asked for real time. With a schedule that is drawn from a seed it does
//! not run, but passes step by step.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ntbox_api::config::Time;

/// Units of 100 ns in a second.
pub const SECOND: u64 = 10_000_000;
/// What `KeQueryTimeIncrement` answers: 15.625 ms.
pub const TICK: u64 = 156_250;
/// From 1601, where Windows counts from, to 1970.
const EPOCH_DIFFERENCE: u64 = 11_644_473_600 * SECOND;

static STARTED: OnceLock<(Instant, u64)> = OnceLock::new();
static SKIPPED: AtomicU64 = AtomicU64::new(0);
/// Whether time is [`Time::Real`].
static REAL: AtomicBool = AtomicBool::new(false);
/// Whether the host's clock does not count.
static STOPPED: AtomicBool = AtomicBool::new(false);
/// When a system starts whose clock does not run: on the first of January 2026.
const STOPPED_SINCE_1970: u64 = 1_767_225_600 * SECOND;

/// Chooses how waiting passes time.
pub fn initialize(time: Time) {
    REAL.store(time == Time::Real, Ordering::Relaxed);
}

/// Lets no time pass but by [`pass`] and [`skip_to`]; before anybody asks for one.
pub fn stop() {
    STOPPED.store(true, Ordering::Relaxed);
}

/// Lets some time pass.
pub fn pass(time: u64) {
    SKIPPED.fetch_add(time, Ordering::Relaxed);
}

fn started() -> (Instant, u64) {
    *STARTED.get_or_init(|| {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = if STOPPED.load(Ordering::Relaxed) {
            STOPPED_SINCE_1970
        } else {
            u64::try_from(since_1970.as_nanos() / 100).unwrap_or(0)
        };
        (Instant::now(), EPOCH_DIFFERENCE + now)
    })
}

/// Interrupt time: since the system started, units of 100 ns. The system counts
/// as having been up for a minute, so that nothing meets a clock at zero.
pub fn interrupt_time() -> u64 {
    let elapsed = if STOPPED.load(Ordering::Relaxed) {
        0
    } else {
        u64::try_from(started().0.elapsed().as_nanos() / 100).unwrap_or(u64::MAX / 4)
    };
    60 * SECOND + elapsed + SKIPPED.load(Ordering::Relaxed)
}

/// System time: since 1601, UTC, units of 100 ns.
pub fn system_time() -> u64 {
    started().1 + interrupt_time()
}

/// Waits for an interrupt time, or jumps ahead to it; nothing happens if it has
/// passed.
pub fn skip_to(time: u64) {
    while REAL.load(Ordering::Relaxed) {
        let left = time.saturating_sub(interrupt_time());
        if left == 0 {
            return;
        }
        // The clock interrupt may end the sleep early.
        std::thread::sleep(Duration::from_nanos(left.saturating_mul(100)));
    }
    let now = interrupt_time();
    if time > now {
        SKIPPED.fetch_add(time - now, Ordering::Relaxed);
    }
}

/// When a wait that ends at `timeout` ends, in interrupt time. Negative values
/// are relative, others are system times.
pub fn deadline(timeout: i64) -> u64 {
    if timeout < 0 {
        interrupt_time().saturating_add(timeout.unsigned_abs())
    } else {
        timeout.unsigned_abs().saturating_sub(started().1)
    }
}
