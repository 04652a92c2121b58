//! Calendar dates, of which packages hold two: the INF's and the catalogue's.

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment of the proleptic Gregorian calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Such as 2026.
    pub year: u64,
    /// 1 to 12.
    pub month: u64,
    /// 1 to 31.
    pub day: u64,
    /// Seconds since midnight.
    pub second: u64,
}

impl Date {
    /// Now; the epoch, if the clock says that it is before that.
    #[must_use]
    pub fn now() -> Self {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
        Self::from_unix(elapsed.map_or(0, |elapsed| elapsed.as_secs()))
    }

    /// The date that is so many seconds after the beginning of 1970.
    #[must_use]
    pub const fn from_unix(seconds: u64) -> Self {
        // Counted from 1 March of the year 0, leap days are last in their year,
        // and 400 years have 146097 days.
        let days = seconds / 86_400 + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let of_year = day - (365 * year + year / 4 - year / 100);
        // Months from March on have 153 days in five.
        let shifted = (5 * of_year + 2) / 153;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        Self {
            year: era * 400 + year + if month <= 2 { 1 } else { 0 },
            month,
            day: of_year - (153 * shifted + 2) / 5 + 1,
            second: seconds % 86_400,
        }
    }

    /// As `DriverVer` wants it: `mm/dd/yyyy`.
    #[must_use]
    pub fn for_inf(&self) -> String {
        format!("{:02}/{:02}/{:04}", self.month, self.day, self.year)
    }

    /// As ASN.1's `UTCTime` wants it.
    pub(crate) fn utc_time(&self) -> String {
        format!(
            "{:02}{:02}{:02}{:02}{:02}{:02}Z",
            self.year % 100,
            self.month,
            self.day,
            self.second / 3_600,
            self.second / 60 % 60,
            self.second % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Date;

    #[test]
    fn from_unix_matches_calendar() {
        // As `date -u -d @N` says.
        for (seconds, inf, time) in [
            (0, "01/01/1970", "700101000000Z"),
            (951_782_399, "02/28/2000", "000228235959Z"),
            (951_782_400, "02/29/2000", "000229000000Z"),
            (1_709_251_199, "02/29/2024", "240229235959Z"),
            (1_767_225_600, "01/01/2026", "260101000000Z"),
            (4_107_542_400, "03/01/2100", "000301000000Z"),
        ] {
            let date = Date::from_unix(seconds);
            assert_eq!(date.for_inf(), inf);
            assert_eq!(date.utc_time(), time);
        }
    }
}
