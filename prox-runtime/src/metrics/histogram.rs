//! How long things took, counted by classes.

use std::sync::{Arc, LazyLock};

use super::lanes::{Count, Hand};

/// The upper bounds of the classes in seconds: OpenTelemetry's fourteen for HTTP, two below them for a proxy's own speed, and one
/// above.
const DEFAULT: [f64; 17] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    30.0,
];

/// The most bounds that a histogram may have.
pub(crate) const MOST_BOUNDS: usize = 64;

/// Numbers of bits that a number may have, 0 among them.
const WIDTHS: usize = 65;

/// The upper bounds of the classes of a histogram.
#[derive(Debug, PartialEq)]
pub(crate) struct Bounds {
    nanos: Box<[u64]>,
    /// As they are written.
    texts: Arc<[String]>,
    /// By the number of bits of a time: the first class that it can be in.
    first: [u8; WIDTHS],
}

impl Bounds {
    /// Those that hold where the user has named none.
    pub(crate) fn usual() -> Arc<Self> {
        static USUAL: LazyLock<Arc<Bounds>> = LazyLock::new(|| {
            Arc::new(Bounds::new(&DEFAULT).expect("these bounds are finite and ascend"))
        });
        Arc::clone(&USUAL)
    }

    /// Those with these seconds.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub(crate) fn new(seconds: &[f64]) -> Result<Self, String> {
        if seconds.is_empty() {
            return Err("expected at least one bound".to_owned());
        }
        if seconds.len() > MOST_BOUNDS {
            return Err(format!(
                "expected at most {MOST_BOUNDS} bounds, found {}",
                seconds.len()
            ));
        }
        let nanos = seconds.iter().map(|&bound| nanos(bound));
        let nanos: Box<[u64]> = nanos.collect::<Result<_, _>>()?;
        for (pair, named) in nanos.windows(2).zip(seconds.windows(2)) {
            if pair[0] >= pair[1] {
                return Err(format!(
                    "expected bounds that ascend by at least a nanosecond, found {} before {}",
                    named[0], named[1]
                ));
            }
        }
        let first = std::array::from_fn(|bits| {
            // The least number with this number of bits.
            let least = if bits == 0 { 0 } else { 1 << (bits - 1) };
            let class = nanos.partition_point(|&bound| bound < least);
            u8::try_from(class).unwrap_or(u8::MAX)
        });
        Ok(Self {
            texts: seconds.iter().map(|bound| format!("{bound:?}")).collect(),
            nanos,
            first,
        })
    }

    /// As they are written.
    pub(super) fn texts(&self) -> &Arc<[String]> {
        &self.texts
    }

    /// The class of a time: the place of the first bound that is not below it.
    fn class(&self, nanos: u64) -> usize {
        let bits = WIDTHS - 1 - nanos.leading_zeros() as usize;
        let mut class = usize::from(self.first[bits]);
        // Few bounds have the same number of bits, so this loop is short.
        while self.nanos.get(class).is_some_and(|&bound| bound < nanos) {
            class += 1;
        }
        class
    }
}

/// Seconds as nanoseconds.
fn nanos(seconds: f64) -> Result<u64, String> {
    if !seconds.is_finite() || seconds <= 0.0 {
        return Err(format!(
            "expected bounds that are finite and above 0, found {seconds}"
        ));
    }
    let duration = std::time::Duration::try_from_secs_f64(seconds).ok();
    duration
        .and_then(|duration| u64::try_from(duration.as_nanos()).ok())
        .filter(|&nanos| nanos > 0)
        .ok_or_else(|| {
            format!("expected bounds between a nanosecond and 500 years, found {seconds} s")
        })
}

/// The times that one lane counts.
#[derive(Debug)]
pub(super) struct Times {
    classes: Box<[Count]>,
    /// In nanoseconds. It starts again after 584 years, which is some weeks of long requests on many connections.
    sum: Count,
    starts: Count,
}

impl Times {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            classes: (0..=bounds.nanos.len()).map(|_| Count::default()).collect(),
            sum: Count::default(),
            starts: Count::default(),
        }
    }

    /// Counts one more, which took `nanos` nanoseconds.
    pub(super) fn add(&self, nanos: u64, bounds: &Bounds, hand: Hand) {
        if let Some(count) = self.classes.get(bounds.class(nanos)) {
            count.add(1, hand);
        }
        if self.sum.add(nanos, hand).checked_add(nanos).is_none() {
            self.starts.add(1, hand);
        }
    }

    fn sum(&self) -> u128 {
        u128::from(self.starts.get()) << u64::BITS | u128::from(self.sum.get())
    }
}

/// The counts of one histogram, as they are read. Classes are apart here, and cumulative where they are written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    classes: Vec<u64>,
    sum: u128,
}

impl Histogram {
    /// Of these times.
    #[cfg(test)]
    pub(super) fn of(bounds: &Bounds, nanos: &[u64]) -> Self {
        let times = Times::new(bounds);
        for &nanos in nanos {
            times.add(nanos, bounds, Hand::own());
        }
        let mut histogram = Self::default();
        histogram.read(&times);
        histogram
    }

    /// Adds the counts of a lane.
    pub(super) fn read(&mut self, times: &Times) {
        self.classes.resize(times.classes.len(), 0);
        for (count, more) in self.classes.iter_mut().zip(&times.classes) {
            *count += more.get();
        }
        self.sum += times.sum();
    }

    /// Adds all of another.
    pub(super) fn merge(&mut self, other: &Self) {
        let classes = self.classes.len().max(other.classes.len());
        self.classes.resize(classes, 0);
        for (count, more) in self.classes.iter_mut().zip(&other.classes) {
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
    pub(super) fn cumulative<'a>(
        &'a self,
        bounds: &'a [String],
    ) -> impl Iterator<Item = (&'a str, u64)> {
        let texts = bounds.iter().map(String::as_str).chain(["+Inf"]);
        let counts = self.classes.iter().copied().chain(std::iter::repeat(0));
        texts.zip(counts).scan(0, |below, (bound, count)| {
            *below += count;
            Some((bound, *below))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_class() {
        let bounds = Bounds::usual();
        let nanos = [
            0,
            1_000_000,
            1_000_001,
            30_000_000_000,
            31_000_000_000,
            u64::MAX,
        ];
        let histogram = Histogram::of(&bounds, &nanos);
        let counts: Vec<(&str, u64)> = histogram.cumulative(bounds.texts()).collect();
        assert_eq!(counts[0], ("0.001", 2));
        assert_eq!(counts[1], ("0.0025", 3));
        assert_eq!(counts[11], ("1.0", 3));
        assert_eq!(counts[16], ("30.0", 4));
        assert_eq!(counts[17], ("+Inf", 6));
        assert_eq!(histogram.count(), 6);
    }

    #[test]
    fn the_class_is_that_of_a_search_through_all_bounds() {
        let many: Vec<f64> = (1..=64).map(|step| f64::from(step) / 1000.0).collect();
        for seconds in [&DEFAULT[..], &[0.5], &[1e-9, 1e-3, 1e9], &many] {
            let bounds = Bounds::new(seconds).unwrap();
            let near = bounds
                .nanos
                .iter()
                .flat_map(|&bound| [bound - 1, bound, bound + 1]);
            let widths = (0..64).flat_map(|bits| [1 << bits, (1_u64 << bits) - 1]);
            for nanos in near.chain(widths).chain([0, u64::MAX]) {
                let searched = bounds.nanos.partition_point(|&bound| bound < nanos);
                assert_eq!(bounds.class(nanos), searched, "{nanos} in {seconds:?}");
            }
        }
    }

    #[test]
    fn sums_add_up_beyond_64_bits() {
        let bounds = Bounds::usual();
        let mut both = Histogram::of(&bounds, &[250_000_000]);
        both.merge(&both.clone());
        assert_eq!((both.count(), both.seconds()), (2, 0.5));
        let large = Histogram::of(&bounds, &[u64::MAX, u64::MAX, 5]);
        assert_eq!(large.sum, u128::from(u64::MAX) * 2 + 5);
    }

    #[test]
    fn bounds_that_make_no_histogram_are_refused() {
        let many: Vec<f64> = (1..=65).map(f64::from).collect();
        for (bounds, problem) in [
            (&[][..], "at least one bound"),
            (&many, "at most 64 bounds, found 65"),
            (&[1.0, 1.0], "found 1 before 1"),
            (&[2.0, 0.5], "found 2 before 0.5"),
            (&[1e-9, 1.1e-9], "ascend by at least a nanosecond"),
            (&[0.0, 1.0], "above 0, found 0"),
            (&[-1.0], "found -1"),
            (&[f64::NAN], "found NaN"),
            (&[1.0, f64::INFINITY], "found inf"),
            (&[1e-12], "between a nanosecond and"),
            (&[1e12], "between a nanosecond and"),
        ] {
            let error = Bounds::new(bounds).unwrap_err();
            assert!(error.contains(problem), "{bounds:?}: {error}");
        }
    }
}
