//! Clocks, and 64-bit integers in halves.

use ntmem_ioctl::TimeReply;
use wdm::{
    irql::Passive,
    time::{LargeInteger, PerformanceCounter, SystemTime},
};

wdm::pageable! { passive:
    /// Reads the clocks.
    pub fn time(passive: &Passive) -> TimeReply {
        let number = LargeInteger::new(-2);
        let (low, high) = (number.low_part(), number.high_part());
        let now = SystemTime::now();
        let fields = now.fields();
        let before = PerformanceCounter::now();
        let after = PerformanceCounter::now();
        TimeReply {
            quad: number.quad_part().cast_unsigned(),
            low: low.into(),
            high: high.cast_unsigned().into(),
            whole: (LargeInteger::from_parts(low, high) == number).into(),
            system_time: now.units().quad_part().cast_unsigned(),
            year: part(fields.year),
            month: part(fields.month),
            day: part(fields.day),
            hour: part(fields.hour),
            minute: part(fields.minute),
            second: part(fields.second),
            ticks: before.ticks.quad_part().cast_unsigned(),
            ticks_later: after.ticks.quad_part().cast_unsigned(),
            frequency: after.frequency.quad_part().cast_unsigned(),
        }
    }
}

/// A part of a date, which is never negative.
fn part(number: i16) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
