//! How much is allowed in which time.

use std::time::Duration;

use super::gcra::{Fill, Window};

/// The longest time that a bucket may take to fill, which keeps all arithmetic within 64 bits of nanoseconds.
const LONGEST: Duration = Duration::from_hours(24 * 366);

/// So many requests in so much time: one window of a [`RateLimit`](crate::middleware::RateLimit).
///
/// It is a bucket that holds [`burst`](Self::burst) requests and fills evenly at the rate. 0 allows nothing.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// use prox::middleware::{Rate, RateLimit};
///
/// // 10 at once, one every 100 ms after that, and not more than 300 in a minute.
/// let limit = RateLimit::per_second(10).and(Rate::per_minute(300));
/// # let _ = limit;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    amount: u32,
    period: Period,
    burst: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    Second,
    Minute,
    Hour,
    Day,
    Month,
}

impl Period {
    const fn time(self) -> Duration {
        match self {
            Self::Second => Duration::from_secs(1),
            Self::Minute => Duration::from_mins(1),
            Self::Hour => Duration::from_hours(1),
            Self::Day => Duration::from_hours(24),
            Self::Month => Duration::from_hours(24 * 30),
        }
    }
}

/// What a tick is, by how many of them there are in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticks(u64);

impl Ticks {
    pub(crate) const NANOS: Self = Self(1_000_000_000);
    #[cfg(any(test, feature = "redis"))]
    pub(crate) const MICROS: Self = Self(1_000_000);

    pub(crate) fn of(self, time: Duration) -> u64 {
        let part = u64::from(time.subsec_nanos()) / (Self::NANOS.0 / self.0);
        let whole = time.as_secs().saturating_mul(self.0);
        whole.saturating_add(part)
    }

    pub(crate) fn time(self, ticks: u64) -> Duration {
        Duration::from_nanos(ticks.saturating_mul(Self::NANOS.0 / self.0))
    }
}

impl Rate {
    const fn per(amount: u32, period: Period) -> Self {
        Self {
            amount,
            period,
            burst: None,
        }
    }

    /// `amount` requests in a second.
    pub const fn per_second(amount: u32) -> Self {
        Self::per(amount, Period::Second)
    }

    /// `amount` requests in a minute.
    pub const fn per_minute(amount: u32) -> Self {
        Self::per(amount, Period::Minute)
    }

    /// `amount` requests in an hour.
    pub const fn per_hour(amount: u32) -> Self {
        Self::per(amount, Period::Hour)
    }

    /// `amount` requests in 24 hours.
    pub const fn per_day(amount: u32) -> Self {
        Self::per(amount, Period::Day)
    }

    /// `amount` requests in 30 days.
    pub const fn per_month(amount: u32) -> Self {
        Self::per(amount, Period::Month)
    }

    /// How many requests may come at once after a pause; by default as many as the rate has.
    ///
    /// A burst that would take more than a year to come back is cut to a year's.
    pub const fn burst(mut self, requests: u32) -> Self {
        self.burst = Some(requests);
        self
    }

    pub(crate) fn period(&self) -> Duration {
        self.period.time()
    }

    #[cfg(feature = "redis")]
    pub(crate) fn has_burst(&self) -> bool {
        self.burst.is_some()
    }

    /// Whether it may be one of the calendar.
    #[cfg(feature = "redis")]
    pub(crate) fn is_of_calendar(&self) -> bool {
        matches!(self.period, Period::Day | Period::Month)
    }

    /// The bucket of the rate.
    pub(crate) fn bucket(&self, ticks: Ticks, calendar: bool) -> Bucket {
        let period = self.period.time();
        let burst = self.burst.unwrap_or(self.amount);
        let fill = match self.period {
            Period::Day if calendar => Fill::Daily,
            Period::Month if calendar => Fill::Monthly,
            _ => Fill::Evenly,
        };
        if fill != Fill::Evenly {
            return Bucket {
                fill,
                unit: 1,
                period,
                size: u64::from(self.amount),
                fills: period,
            };
        }
        // Rounded up, so that the rate is never above what is written.
        let unit = ticks.of(period).div_ceil(u64::from(self.amount.max(1)));
        let unit = unit.max(1);
        let size = u64::from(burst).min(ticks.of(LONGEST) / unit);
        let size = if self.amount == 0 { 0 } else { size };
        let fills = match size {
            0 => period,
            // Not by the unit, which is rounded.
            _ => Duration::from_nanos(
                u64::try_from(
                    period.as_nanos() * u128::from(size) / u128::from(self.amount.max(1)),
                )
                .unwrap_or(u64::MAX),
            ),
        };
        Bucket {
            fill,
            unit,
            period,
            size,
            fills,
        }
    }
}

/// A bucket that requests of any cost meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    fill: Fill,
    unit: u64,
    /// The time that the rate is about.
    pub(crate) period: Duration,
    /// How many requests of cost 1 are in a full one.
    pub(crate) size: u64,
    /// How long an empty one takes to fill.
    pub(crate) fills: Duration,
}

impl Bucket {
    /// The window that a request of this cost meets. Only what may be charged later can be owed.
    pub(crate) fn window(&self, cost: u32, debts: bool) -> Window {
        let capacity = self.unit.saturating_mul(self.size);
        let deepest = if debts {
            capacity.saturating_mul(2)
        } else {
            capacity
        };
        let most = capacity.saturating_mul(2).saturating_add(1);
        Window {
            fill: self.fill,
            unit: self.unit,
            price: self.unit.saturating_mul(u64::from(cost)).min(most),
            capacity,
            deepest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_never_above_what_is_written() {
        for amount in [1, 3, 7, 999, 300_000, 999_999, 1_000_000_000, u32::MAX] {
            for ticks in [Ticks::NANOS, Ticks::MICROS] {
                let bucket = Rate::per_second(amount).bucket(ticks, false);
                let second = ticks.of(Duration::from_secs(1));
                assert!(
                    second / bucket.unit <= u64::from(amount),
                    "{amount} {ticks:?}"
                );
            }
        }
    }

    #[test]
    fn a_bucket_says_exactly_how_long_it_takes_to_fill() {
        let fills = |rate: Rate| rate.bucket(Ticks::NANOS, false).fills;
        assert_eq!(fills(Rate::per_second(3)), Duration::from_secs(1));
        assert_eq!(
            fills(Rate::per_second(100).burst(20)),
            Duration::from_millis(200)
        );
        assert_eq!(fills(Rate::per_second(0)), Duration::from_secs(1));
        let year = fills(Rate::per_month(1).burst(u32::MAX));
        assert!(year <= LONGEST && year > LONGEST / 2, "{year:?}");
    }

    #[test]
    fn days_and_months_may_be_those_of_the_calendar() {
        for (rate, fill) in [
            (Rate::per_day(5), Fill::Daily),
            (Rate::per_month(5), Fill::Monthly),
            (Rate::per_hour(5), Fill::Evenly),
        ] {
            assert_eq!(rate.bucket(Ticks::MICROS, true).fill, fill);
            assert_eq!(rate.bucket(Ticks::MICROS, false).fill, Fill::Evenly);
        }
    }
}
