//! Days of the Gregorian calendar in UTC.
//!
//! Years are counted from March, so that a leap day is the last of its year: then the day of the year, and from it the month, are
//! linear. An era is the 400 years, of 146 097 days, after which the calendar repeats. The algorithm is Howard Hinnant's.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

/// The days from the first of March of the year 0 to the first of January 1970.
const BEFORE_1970: i64 = 719_468;

/// The days from the first of January 1970 to a date. A day beyond the end of its month is one of the next month.
#[cfg_attr(
    not(any(feature = "auth", feature = "tls")),
    expect(dead_code, reason = "dates are read with these features")
)]
pub(crate) fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
        - BEFORE_1970
}

/// The year, the month and the day of a number of days after the first of January 1970.
pub(crate) fn date(days: i64) -> (i64, i64, i64) {
    let days = days + BEFORE_1970;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

/// A time as RFC 3339 has it, in UTC, with milliseconds; one before 1970 is the start of 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rfc3339(pub(crate) SystemTime);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs();
        let (year, month, day) = date((seconds / 86_400).cast_signed());
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            seconds / 3600 % 24,
            seconds / 60 % 60,
            seconds % 60,
            since.subsec_millis(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_two_eras_follows_the_one_before() {
        let mut before = (1599, 12, 31);
        for day in days(1600, 1, 1)..days(2400, 1, 1) {
            let (year, month, day_of_month) = date(day);
            assert_eq!(days(year, month, day_of_month), day);
            let follows = match before {
                (y, 12, 31) => (y + 1, 1, 1),
                (y, m, d) if d < length(y, m) => (y, m, d + 1),
                (y, m, _) => (y, m + 1, 1),
            };
            assert_eq!((year, month, day_of_month), follows);
            before = follows;
        }
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(date(-1), (1969, 12, 31));
    }

    fn length(year: i64, month: i64) -> i64 {
        match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}
