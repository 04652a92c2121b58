//! System time, the performance counter, and `LARGE_INTEGER`.
//!
//! System time is in units of 100 ns since 1601 and jumps when the clock is set. The
//! performance counter is monotonic and has its own frequency.

use core::fmt;

use wdk_sys::{
    LARGE_INTEGER, TIME_FIELDS,
    ntddk::{KeQueryPerformanceCounter, RtlTimeToTimeFields},
};

use crate::arch;

/// A signed number of 64 bits: `LARGE_INTEGER`.
///
/// Usable at any IRQL.
///
/// ```
/// # use wdm::time::LargeInteger;
/// let number = LargeInteger::from_parts(0xFFFF_FFFE, -1);
/// assert_eq!(number.quad_part(), -2);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[repr(transparent)]
pub struct LargeInteger(i64);

impl LargeInteger {
    /// The number with this value: `QuadPart`.
    #[must_use]
    pub const fn new(quad_part: i64) -> Self {
        Self(quad_part)
    }

    /// The number made of two halves: `LowPart` and `HighPart`. The high one has
    /// the sign.
    #[must_use]
    pub const fn from_parts(low_part: u32, high_part: i32) -> Self {
        // The low half is not extended with its own highest bit.
        Self((high_part as i64) << 32 | low_part as i64)
    }

    /// The value: `QuadPart`.
    #[must_use]
    pub const fn quad_part(self) -> i64 {
        self.0
    }

    /// The lower half, unsigned: `LowPart`.
    #[must_use]
    pub const fn low_part(self) -> u32 {
        let [a, b, c, d, ..] = self.0.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// The upper half, signed: `HighPart`.
    #[must_use]
    pub const fn high_part(self) -> i32 {
        let [.., e, f, g, h] = self.0.to_le_bytes();
        i32::from_le_bytes([e, f, g, h])
    }

    /// The number as the kernel's functions return it.
    fn from_raw(raw: LARGE_INTEGER) -> Self {
        // SAFETY: all members of this union are views of the same 64 bits.
        Self(unsafe { raw.QuadPart })
    }
}

impl fmt::Display for LargeInteger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A span of time, in units of 100 ns, at least 0.
///
/// Usable at any IRQL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Interval(i64);

impl Interval {
    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u32) -> Self {
        // Cannot overflow: 32 bits times 10000.
        Self((millis as i64).saturating_mul(10_000))
    }

    /// The number of units of 100 ns.
    #[must_use]
    pub const fn units(self) -> i64 {
        self.0
    }
}

/// A date, in units of 100 ns since the beginning of 1601, UTC.
///
/// Usable at any IRQL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SystemTime(LargeInteger);

impl SystemTime {
    /// The time of this moment, as of the last clock interrupt:
    /// `KeQuerySystemTime`, which is inline on x64 and no export. IRQL: any.
    #[must_use]
    pub fn now() -> Self {
        Self(LargeInteger(arch::system_time()))
    }

    /// Units of 100 ns since the beginning of 1601. IRQL: any.
    #[must_use]
    pub const fn units(self) -> LargeInteger {
        self.0
    }

    /// The date: `RtlTimeToTimeFields`. IRQL: any.
    #[must_use]
    pub fn fields(self) -> DateTime {
        let mut time = LARGE_INTEGER { QuadPart: self.0.0 };
        let mut fields = TIME_FIELDS::default();
        // SAFETY: both are ours.
        unsafe { RtlTimeToTimeFields(&raw mut time, &raw mut fields) };
        DateTime {
            year: fields.Year,
            month: fields.Month,
            day: fields.Day,
            hour: fields.Hour,
            minute: fields.Minute,
            second: fields.Second,
            millisecond: fields.Milliseconds,
        }
    }
}

/// A date and a time of day: `TIME_FIELDS`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DateTime {
    /// From 1601 on.
    pub year: i16,
    /// 1 to 12.
    pub month: i16,
    /// 1 to 31.
    pub day: i16,
    /// 0 to 23.
    pub hour: i16,
    /// 0 to 59.
    pub minute: i16,
    /// 0 to 59.
    pub second: i16,
    /// 0 to 999.
    pub millisecond: i16,
}

/// The performance counter at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PerformanceCounter {
    /// Ticks since some moment in the past.
    pub ticks: LargeInteger,
    /// Ticks a second; does not change while the system runs.
    pub frequency: LargeInteger,
}

impl PerformanceCounter {
    /// Reads the counter: `KeQueryPerformanceCounter`. IRQL: any.
    #[must_use]
    pub fn now() -> Self {
        let mut frequency = LARGE_INTEGER { QuadPart: 0 };
        // SAFETY: the frequency goes into a variable of ours.
        let ticks = unsafe { KeQueryPerformanceCounter(&raw mut frequency) };
        Self {
            ticks: LargeInteger::from_raw(ticks),
            frequency: LargeInteger::from_raw(frequency),
        }
    }
}
