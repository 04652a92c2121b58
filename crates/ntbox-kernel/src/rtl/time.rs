//! Calendar time. System time counts units of 100 ns since the start of 1601;
//! local time is UTC here.

use nt_status::STATUS_SUCCESS;
use ntbox_host::driver_mem;
use ntbox_host::driver_mem::Fault;
use ntbox_host::gate::irql::{APC_LEVEL, HIGH_LEVEL};

use crate::base::export::exports;

/// Units of 100 ns in a millisecond.
const MILLISECOND: u64 = 10_000;
/// Units in a second.
const SECOND: u64 = 1000 * MILLISECOND;
/// Units in a day.
const DAY: u64 = 86_400 * SECOND;
/// Seconds from 1601 to 1970.
const TO_1970: u64 = 11_644_473_600;
/// Seconds from 1601 to 1980.
const TO_1980: u64 = 11_960_006_400;
/// Days in 400 years.
const DAYS_400: u64 = 146_097;

exports! {
    /// `RtlTimeToTimeFields`.
    fn RtlTimeToTimeFields(time: u64, fields: u64) -> () [max HIGH_LEVEL, wdm] {
        let time = read_time(time)?;
        let date = date_of_day(time / DAY);
        Ok(write_fields(fields, date, time)?)
    }

    /// `RtlTimeToElapsedTimeFields`: days in place of a date.
    fn RtlTimeToElapsedTimeFields(time: u64, fields: u64) -> () [max HIGH_LEVEL, undocumented] {
        let time = read_time(time)?;
        Ok(write_fields(fields, Date { year: 0, month: 0, day: time / DAY, weekday: 0 }, time)?)
    }

    /// `RtlTimeFieldsToTime`: FALSE if there is no such time.
    fn RtlTimeFieldsToTime(fields: u64, time: u64) -> bool [max HIGH_LEVEL, wdm] {
        let mut values = [0_i16; 7];
        for (n, value) in (0..).zip(&mut values) {
            *value = driver_mem::read_u16(fields.wrapping_add(2 * n))?.cast_signed();
        }
        let Some(value) = time_of_fields(values) else { return Ok(false) };
        driver_mem::write_u64(time, value)?;
        Ok(true)
    }

    /// `RtlTimeToSecondsSince1970`: FALSE outside of 1970 to 2106.
    fn RtlTimeToSecondsSince1970(time: u64, seconds: u64) -> bool [max APC_LEVEL, ntifs] {
        Ok(store_seconds(time, seconds, TO_1970)?)
    }

    /// `RtlTimeToSecondsSince1980`: FALSE outside of 1980 to 2116.
    fn RtlTimeToSecondsSince1980(time: u64, seconds: u64) -> bool [max APC_LEVEL, ntifs] {
        Ok(store_seconds(time, seconds, TO_1980)?)
    }

    /// `RtlSecondsSince1970ToTime`.
    fn RtlSecondsSince1970ToTime(seconds: u32, time: u64) -> () [max APC_LEVEL, ntifs] {
        Ok(driver_mem::write_u64(time, (u64::from(seconds) + TO_1970) * SECOND)?)
    }

    /// `RtlSecondsSince1980ToTime`.
    fn RtlSecondsSince1980ToTime(seconds: u32, time: u64) -> () [max APC_LEVEL, ntifs] {
        Ok(driver_mem::write_u64(time, (u64::from(seconds) + TO_1980) * SECOND)?)
    }

    /// `RtlSystemTimeToLocalTime`.
    fn RtlSystemTimeToLocalTime(system: u64, local: u64) -> u32 [max APC_LEVEL, undocumented] {
        driver_mem::write_u64(local, driver_mem::read_u64(system)?)?;
        Ok(STATUS_SUCCESS)
    }

    /// `RtlLocalTimeToSystemTime`.
    fn RtlLocalTimeToSystemTime(local: u64, system: u64) -> u32
        [max APC_LEVEL, page "windows/win32/api/winternl/nf-winternl-rtllocaltimetosystemtime"] {
        driver_mem::write_u64(system, driver_mem::read_u64(local)?)?;
        Ok(STATUS_SUCCESS)
    }
}

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Date {
    year: u64,
    month: u64,
    day: u64,
    /// 0 is Sunday.
    weekday: u64,
}

/// A time; one before 1601 counts as its start.
fn read_time(va: u64) -> Result<u64, Fault> {
    Ok(u64::try_from(driver_mem::read_u64(va)?.cast_signed()).unwrap_or(0))
}

fn write_fields(fields: u64, date: Date, time: u64) -> Result<(), Fault> {
    let seconds = time / SECOND % 86_400;
    let values = [
        date.year,
        date.month,
        date.day,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        time / MILLISECOND % 1000,
        date.weekday,
    ];
    for (n, value) in (0..).zip(values) {
        // The year 30828 is the last; days since 1601 may not fit and are cut.
        let value = u16::try_from(value & 0xffff).unwrap_or(0);
        driver_mem::write_u16(fields.wrapping_add(2 * n), value)?;
    }
    Ok(())
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        2 => 28 + u64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1601 to the start of a year.
fn days_before_year(year: u64) -> u64 {
    let years = year - 1601;
    365 * years + years / 4 - years / 100 + years / 400
}

/// The date of a day counted from the start of 1601, a Monday.
fn date_of_day(days: u64) -> Date {
    let weekday = (days + 1) % 7;
    let mut year = 1601 + days / DAYS_400 * 400 + days % DAYS_400 / 366;
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    let mut rest = days - days_before_year(year);
    let mut month = 1;
    while rest >= days_of_month(year, month) {
        rest -= days_of_month(year, month);
        month += 1;
    }
    Date {
        year,
        month,
        day: rest + 1,
        weekday,
    }
}

/// Year, month, day, hour, minute, second and millisecond as a time.
fn time_of_fields(fields: [i16; 7]) -> Option<u64> {
    let limits = [
        1601..=30827,
        1..=12,
        1..=31,
        0..=23,
        0..=59,
        0..=59,
        0..=999,
    ];
    if fields
        .iter()
        .zip(limits)
        .any(|(value, limit)| !limit.contains(value))
    {
        return None;
    }
    let [year, month, day, hour, minute, second, millisecond] =
        fields.map(|value| u64::from(value.unsigned_abs()));
    if day > days_of_month(year, month) {
        return None;
    }
    let before: u64 = (1..month).map(|earlier| days_of_month(year, earlier)).sum();
    let days = days_before_year(year) + before + day - 1;
    let seconds = (hour * 60 + minute) * 60 + second;
    Some(days * DAY + seconds * SECOND + millisecond * MILLISECOND)
}

fn store_seconds(time: u64, to: u64, epoch: u64) -> Result<bool, Fault> {
    let seconds = read_time(time)? / SECOND;
    let Some(seconds) = seconds
        .checked_sub(epoch)
        .and_then(|rest| u32::try_from(rest).ok())
    else {
        return Ok(false);
    };
    driver_mem::write_u32(to, seconds)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{address, address_mut, value};

    fn fields(time: u64) -> [i16; 8] {
        let mut fields = [0; 8];
        value(
            RtlTimeToTimeFields,
            &[address(&time), address_mut(&mut fields)],
        );
        fields
    }

    fn time(fields: [i16; 8]) -> Option<u64> {
        let mut time = 0_u64;
        let found = value(
            RtlTimeFieldsToTime,
            &[address(&fields), address_mut(&mut time)],
        );
        (found == 1).then_some(time)
    }

    #[test]
    fn time_fields_of_known_dates() {
        for (when, expected) in [
            (0, [1601, 1, 1, 0, 0, 0, 0, 1]),
            (TO_1970 * SECOND, [1970, 1, 1, 0, 0, 0, 0, 4]),
            (TO_1980 * SECOND, [1980, 1, 1, 0, 0, 0, 0, 2]),
            // 2000-02-29 23:59:59.999, a Tuesday.
            (
                (TO_1970 + 951_868_799) * SECOND + 999 * MILLISECOND,
                [2000, 2, 29, 23, 59, 59, 999, 2],
            ),
            // 2100 is no leap year.
            (
                (TO_1970 + 4_107_542_400) * SECOND,
                [2100, 3, 1, 0, 0, 0, 0, 1],
            ),
        ] {
            assert_eq!(fields(when), expected);
            assert_eq!(time(expected), Some(when));
        }
    }

    #[test]
    fn time_fields_round_trip_over_400_years() {
        let mut before = date_of_day(0);
        for days in 1..DAYS_400 + 1000 {
            let date = date_of_day(days);
            assert_eq!(date.weekday, (before.weekday + 1) % 7);
            assert!((date.year, date.month, date.day) > (before.year, before.month, before.day));
            let part = |value: u64| i16::try_from(value).unwrap();
            let fields = [
                part(date.year),
                part(date.month),
                part(date.day),
                0,
                0,
                0,
                0,
            ];
            assert_eq!(time_of_fields(fields), Some(days * DAY));
            before = date;
        }
    }

    #[test]
    fn time_fields_invalid_are_refused() {
        for bad in [
            [1600, 1, 1, 0, 0, 0, 0, 0],
            [2023, 0, 1, 0, 0, 0, 0, 0],
            [2023, 13, 1, 0, 0, 0, 0, 0],
            [2023, 2, 29, 0, 0, 0, 0, 0],
            [2023, 4, 31, 0, 0, 0, 0, 0],
            [2023, 1, 0, 0, 0, 0, 0, 0],
            [2023, 1, 1, 24, 0, 0, 0, 0],
            [2023, 1, 1, 0, 60, 0, 0, 0],
            [2023, 1, 1, 0, 0, 60, 0, 0],
            [2023, 1, 1, 0, 0, 0, 1000, 0],
            [-1, 1, 1, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(time(bad), None, "{bad:?}");
        }
        // The weekday is not looked at.
        assert!(time([2024, 2, 29, 0, 0, 0, 0, 99]).is_some());
    }

    #[test]
    fn time_to_seconds_since_1970_and_1980() {
        let mut seconds = 7_u32;
        let to = address_mut(&mut seconds);
        let when = (TO_1980 + 5) * SECOND + 3;
        assert_eq!(value(RtlTimeToSecondsSince1980, &[address(&when), to]), 1);
        assert_eq!(seconds, 5);
        assert_eq!(value(RtlTimeToSecondsSince1970, &[address(&when), to]), 1);
        assert_eq!(u64::from(seconds), TO_1980 - TO_1970 + 5);
        let early = (TO_1970 - 1) * SECOND;
        assert_eq!(value(RtlTimeToSecondsSince1970, &[address(&early), to]), 0);
        let late = (TO_1970 + (1 << 32)) * SECOND;
        assert_eq!(value(RtlTimeToSecondsSince1970, &[address(&late), to]), 0);
        let mut time = 0_u64;
        value(RtlSecondsSince1970ToTime, &[5, address_mut(&mut time)]);
        assert_eq!(time, (TO_1970 + 5) * SECOND);
        value(RtlSecondsSince1980ToTime, &[5, address_mut(&mut time)]);
        assert_eq!(time, (TO_1980 + 5) * SECOND);
    }

    #[test]
    fn time_to_elapsed_fields_has_days() {
        let mut fields = [7_i16; 8];
        let time = 3 * DAY + 7 * 3600 * SECOND + 42 * MILLISECOND;
        value(
            RtlTimeToElapsedTimeFields,
            &[address(&time), address_mut(&mut fields)],
        );
        assert_eq!(fields, [0, 0, 3, 7, 0, 0, 42, 0]);
    }

    #[test]
    fn local_time_equals_system_time() {
        let (time, mut other) = (123_u64, 0_u64);
        value(
            RtlSystemTimeToLocalTime,
            &[address(&time), address_mut(&mut other)],
        );
        assert_eq!(other, 123);
        value(
            RtlLocalTimeToSystemTime,
            &[address(&time), address_mut(&mut other)],
        );
        assert_eq!(other, 123);
    }
}
