//! Which requests are recorded.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What decides, and how much it may let through in a second.
#[derive(Debug)]
pub(crate) struct Sampler {
    root: Root,
    /// Whether the flag of a parent that is believed decides before.
    parents: bool,
    limit: u32,
    /// The second in which traces were counted last, since the start, in the upper half, and how many there were.
    count: AtomicU64,
}

/// What decides about a trace that begins here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Root {
    Always,
    Never,
    /// This share of all, from 0 to 1.
    Ratio(f64),
}

impl Sampler {
    /// At most `limit` traces a second are recorded.
    pub(crate) fn new(root: Root, parents: bool, limit: u32) -> Self {
        Self {
            root,
            parents,
            limit,
            count: AtomicU64::new(0),
        }
    }

    /// Whether a trace is to be recorded; `parent` is the flag of a parent that is believed. `half` is the lower half of its id, and `second`
    /// counts the seconds since the start. Both are asked where it matters: the second reads the clock.
    pub(crate) fn records(
        &self,
        half: impl FnOnce() -> u64,
        parent: Option<bool>,
        second: impl FnOnce() -> u32,
    ) -> bool {
        let wanted = match parent.filter(|_| self.parents) {
            Some(sampled) => sampled,
            None => self.root.records(half),
        };
        wanted && self.has_room(second())
    }

    /// Counts one more trace, if that is within the limit.
    fn has_room(&self, second: u32) -> bool {
        let this = u64::from(second) << 32;
        let count = self.count.fetch_update(Relaxed, Relaxed, |before| {
            // A worker may have looked at the clock a little before another one.
            let before = before.max(this);
            let count = before & u64::from(u32::MAX);
            (count < u64::from(self.limit)).then_some(before + 1)
        });
        count.is_ok()
    }
}

impl Root {
    /// As the SDKs have it: the lower bits of the id decide, so that all services of one ratio record the same traces.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a ratio is from 0 to 1"
    )]
    fn records(self, half: impl FnOnce() -> u64) -> bool {
        const ALL: u64 = 1 << 63;
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Ratio(ratio) => {
                let below = (ratio.clamp(0.0, 1.0) * ALL as f64) as u64;
                half() >> 1 < below
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(lower: u64) -> impl FnOnce() -> u64 {
        move || lower
    }

    #[test]
    fn a_believed_parent_decides_where_the_sampler_is_based_on_it() {
        let based = Sampler::new(Root::Never, true, 10);
        assert!(based.records(id(1), Some(true), || 0));
        assert!(!based.records(id(1), None, || 0));
        let based = Sampler::new(Root::Always, true, 10);
        assert!(!based.records(id(1), Some(false), || 0));
        let own = Sampler::new(Root::Always, false, 10);
        assert!(own.records(id(1), Some(false), || 0));
        let own = Sampler::new(Root::Never, false, 10);
        assert!(!own.records(id(1), Some(true), || 0));
    }

    #[test]
    fn a_ratio_is_that_of_the_ids() {
        let sampler = |ratio| Sampler::new(Root::Ratio(ratio), true, u32::MAX);
        assert!(sampler(1.0).records(id(u64::MAX), None, || 0));
        assert!(!sampler(0.0).records(id(0), None, || 0));
        let quarter = sampler(0.25);
        assert!(quarter.records(id(u64::MAX / 4 - 10), None, || 0));
        assert!(!quarter.records(id(u64::MAX / 4 + 10), None, || 0));
    }

    #[test]
    fn so_many_traces_are_recorded_in_a_second() {
        let sampler = Sampler::new(Root::Always, true, 3);
        let recorded = |second| {
            (0..9)
                .filter(|_| sampler.records(id(1), Some(true), || second))
                .count()
        };
        assert_eq!(
            [
                recorded(0),
                recorded(0),
                recorded(7),
                recorded(6),
                recorded(8)
            ],
            [3, 0, 3, 0, 3]
        );
    }
}
