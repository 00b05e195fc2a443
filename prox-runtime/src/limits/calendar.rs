//! Where the days and months of UTC end, in microseconds since 1970.

const DAY: u64 = 86_400_000_000;

/// The start of the next day.
pub(super) fn next_day(now: u64) -> u64 {
    (now / DAY).saturating_add(1).saturating_mul(DAY)
}

/// The start of the next month.
///
/// Days are counted in years that begin with March, so that the day of a leap year is the last one (the algorithm is Howard
/// Hinnant's `civil_from_days`).
pub(super) fn next_month(now: u64) -> u64 {
    let day = now / DAY + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - start_of_year(year);
    let month = (5 * of_year + 2) / 153;
    let (year, month) = if month == 11 {
        (year + 1, 0)
    } else {
        (year, month + 1)
    };
    let next = era * 146_097 + start_of_year(year) + (153 * month + 2) / 5;
    (next - 719_468).saturating_mul(DAY)
}

/// How many days of its era are before a year.
fn start_of_year(year: u64) -> u64 {
    365 * year + year / 4 - year / 100 + year / 400
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn days_and_months_end_where_the_calendar_says() {
        // `date -u -d .. +%s` has made these.
        for (now, day, month) in [
            (0, 86_400, 2_678_400),                        // 1970-01-01
            (1_709_164_799, 1_709_164_800, 1_709_251_200), // 2024-02-28 23:59:59
            (1_709_164_800, 1_709_251_200, 1_709_251_200), // 2024-02-29 00:00:00
            (1_677_628_799, 1_677_628_800, 1_677_628_800), // 2023-02-28 23:59:59
            (1_798_761_599, 1_798_761_600, 1_798_761_600), // 2026-12-31 23:59:59
            (1_798_761_600, 1_798_848_000, 1_801_440_000), // 2027-01-01 00:00:00
            (4_107_542_399, 4_107_542_400, 4_107_542_400), // 2100-02-28 23:59:59, not a leap year
            (951_782_400, 951_868_800, 951_868_800),       // 2000-02-29 00:00:00
        ] {
            assert_eq!(next_day(now * SECOND), day * SECOND, "{now}");
            assert_eq!(next_month(now * SECOND), month * SECOND, "{now}");
        }
    }

    #[test]
    fn each_month_is_followed_by_one_of_28_to_31_days() {
        let mut now = 0;
        for _ in 0..12 * 500 {
            let next = next_month(now);
            assert!((28..=31).contains(&((next - now) / DAY)), "{now}");
            assert_eq!(next_month(next - 1), next);
            now = next;
        }
    }
}
