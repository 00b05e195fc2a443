//! How long things took, counted by classes.

use std::time::Duration;

/// The upper bounds of the classes in nanoseconds, and as they are written: OpenTelemetry's fourteen for HTTP, two below them for a
/// proxy's own speed, and one above.
pub(crate) const BOUNDS: [(u64, &str); 17] = [
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (75_000_000, "0.075"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (750_000_000, "0.75"),
    (1_000_000_000, "1.0"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5.0"),
    (7_500_000_000, "7.5"),
    (10_000_000_000, "10.0"),
    (30_000_000_000, "30.0"),
];

/// The counts of one histogram. Classes are apart here, and cumulative where they are written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    classes: [u64; BOUNDS.len() + 1],
    /// In nanoseconds. 64 bits would overflow after some days of long requests on many connections.
    sum: u128,
}

impl Histogram {
    /// Counts one more.
    pub(crate) fn add(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let class = BOUNDS.partition_point(|&(bound, _)| bound < nanos);
        if let Some(count) = self.classes.get_mut(class) {
            *count += 1;
        }
        self.sum += u128::from(nanos);
    }

    /// Adds all of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.classes.iter_mut().zip(other.classes) {
            *count += more;
        }
        self.sum += other.sum;
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// All of them, in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a sum of seconds needs no more digits than a float has"
        )]
        let nanos = self.sum as f64;
        nanos / 1e9
    }

    /// Each bound as it is written, and how many were not over it; the last is `+Inf`.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let bounds = BOUNDS.iter().map(|&(_, text)| text).chain(["+Inf"]);
        bounds.zip(self.classes).scan(0, |below, (bound, count)| {
            *below += count;
            Some((bound, *below))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_what_they_say() {
        for (nanos, text) in BOUNDS {
            let seconds: f64 = text.parse().unwrap();
            assert_eq!(
                Duration::from_secs_f64(seconds),
                Duration::from_nanos(nanos)
            );
        }
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn a_bound_belongs_to_its_class() {
        let mut histogram = Histogram::default();
        for took in [
            Duration::ZERO,
            Duration::from_millis(1),
            Duration::from_nanos(1_000_001),
            Duration::from_secs(30),
            Duration::from_secs(31),
            Duration::MAX,
        ] {
            histogram.add(took);
        }
        let counts: Vec<(&str, u64)> = histogram.cumulative().collect();
        assert_eq!(counts[0], ("0.001", 2));
        assert_eq!(counts[1], ("0.0025", 3));
        assert_eq!(counts[16], ("30.0", 4));
        assert_eq!(counts[17], ("+Inf", 6));
        assert_eq!(histogram.count(), 6);
    }

    #[test]
    fn sums_add_up() {
        let mut one = Histogram::default();
        one.add(Duration::from_millis(250));
        let mut both = one.clone();
        both.merge(&one);
        assert_eq!((both.count(), both.seconds()), (2, 0.5));
    }
}
