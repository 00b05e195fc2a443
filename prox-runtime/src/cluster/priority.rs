//! Which endpoints may be chosen at all: health, failover groups, panic.

use super::{balance::FULL, health::active::Verdict};

/// What is known of an endpoint when the list for the balancer is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// The weight as it was written, or as an operator has set it; 0 takes no requests.
    pub(crate) weight: u32,
    /// The failover group: a group is used when no endpoint of the groups with lower numbers may be used; 0 by default.
    pub(crate) priority: u8,
    /// What active checks say.
    pub(crate) checked: Verdict,
    /// Whether its answers got it ejected.
    pub(crate) ejected: bool,
    /// Whether an operator takes it out of use.
    pub(crate) drained: bool,
    /// Its part in a slow start, in thousandths.
    pub(crate) warmth: u64,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            weight: 1,
            priority: 0,
            checked: Verdict::Unknown,
            ejected: false,
            drained: false,
            warmth: FULL,
        }
    }
}

impl Standing {
    /// That of a number which no endpoint has.
    pub(super) fn nobody() -> Self {
        Self {
            weight: 0,
            ..Self::default()
        }
    }

    /// Whether it may be used if need be: only its answers speak against it.
    pub(super) fn is_possible(&self) -> bool {
        self.weight > 0 && !self.drained && self.checked != Verdict::Unhealthy
    }

    pub(super) fn is_usable(&self) -> bool {
        self.is_possible() && !self.ejected
    }

    /// The weight that holds now, in thousandths; at least one, so that it is not starved.
    fn share(&self) -> u64 {
        (u64::from(self.weight) * self.warmth).max(1)
    }
}

/// How the endpoints of a list were found; a change from one to another is an event and a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The endpoints of this group that are healthy.
    Usable { priority: u8 },
    /// No endpoint of any group is healthy, but nobody has checked: the ejected ones of this group are used all the same.
    ///
    /// Ejection goes by what requests show, and when everything is ejected that says more about the requests, or about what
    /// the endpoints have in common, than about any of them.
    Panic { priority: u8 },
    /// There is none: checks failed for all that is not drained. Requests get `503`.
    Nobody,
}

/// The endpoints that may be chosen: their indices, in ascending order, and their weights in thousandths.
///
/// One group is used at a time. Its last healthy endpoint has to bear the load of all of it before the next group is used: how
/// much it bears is not known here, and requests that move to another region early are a surprise to those who set up groups
/// for failover. Whoever wants a share of the load in another group gives its endpoints a weight in this one.
pub(crate) fn select(standings: &[Standing]) -> (Mode, Vec<(usize, u64)>) {
    let first = |may: fn(&Standing) -> bool| {
        let priorities = standings.iter().filter(|standing| may(standing));
        priorities.map(|standing| standing.priority).min()
    };
    let group = |priority: u8, may: fn(&Standing) -> bool| {
        standings
            .iter()
            .enumerate()
            .filter(|(_, standing)| standing.priority == priority && may(standing))
            .map(|(index, standing)| (index, standing.share()))
            .collect()
    };
    if let Some(priority) = first(Standing::is_usable) {
        return (
            Mode::Usable { priority },
            group(priority, Standing::is_usable),
        );
    }
    match first(Standing::is_possible) {
        Some(priority) => (
            Mode::Panic { priority },
            group(priority, Standing::is_possible),
        ),
        None => (Mode::Nobody, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn standing(priority: u8, checked: Verdict, ejected: bool) -> Standing {
        Standing {
            priority,
            checked,
            ejected,
            ..Standing::default()
        }
    }

    fn indices(standings: &[Standing]) -> (Mode, Vec<usize>) {
        let (mode, seats) = select(standings);
        (mode, seats.into_iter().map(|(index, _)| index).collect())
    }

    #[test]
    fn a_lower_group_is_used_when_the_upper_has_nobody() {
        use Verdict::*;
        let up = standing(0, Healthy, false);
        let spare = standing(1, Unknown, false);
        let usable = |priority| Mode::Usable { priority };
        assert_eq!(indices(&[spare, up, up]), (usable(0), vec![1, 2]));
        let down = standing(0, Unhealthy, false);
        let ejected = standing(0, Healthy, true);
        assert_eq!(indices(&[spare, down, up]), (usable(0), vec![2]));
        assert_eq!(indices(&[spare, down, ejected]), (usable(1), vec![0]));
    }

    #[test]
    fn when_all_are_ejected_all_are_used_but_not_those_that_fail_checks() {
        use Verdict::*;
        let panic = |priority| Mode::Panic { priority };
        let ejected = standing(0, Unknown, true);
        let down = standing(0, Unhealthy, true);
        assert_eq!(indices(&[ejected, down, ejected]), (panic(0), vec![0, 2]));
        assert_eq!(
            indices(&[down, standing(3, Healthy, true)]),
            (panic(3), vec![1])
        );
        assert_eq!(indices(&[down, down]), (Mode::Nobody, vec![]));
        assert_eq!(indices(&[]), (Mode::Nobody, vec![]));
    }

    #[test]
    fn what_is_drained_or_weighs_nothing_is_never_used() {
        let drained = Standing {
            drained: true,
            ..Standing::default()
        };
        let weightless = Standing {
            weight: 0,
            ..Standing::default()
        };
        assert_eq!(select(&[drained, weightless]).0, Mode::Nobody);
    }

    #[test]
    fn a_slow_start_works_through_the_weight() {
        let slow = Standing {
            weight: 3,
            warmth: 100,
            ..Standing::default()
        };
        let full = Standing {
            weight: 3,
            ..Standing::default()
        };
        assert_eq!(select(&[slow, full]).1, [(0, 300), (1, 3_000)]);
    }

    fn any_standing() -> impl Strategy<Value = Standing> {
        let verdict = prop_oneof![
            Just(Verdict::Unknown),
            Just(Verdict::Healthy),
            Just(Verdict::Unhealthy)
        ];
        (
            0..3_u32,
            0..3_u8,
            verdict,
            any::<bool>(),
            any::<bool>(),
            0..=FULL,
        )
            .prop_map(
                |(weight, priority, checked, ejected, drained, warmth)| Standing {
                    weight,
                    priority,
                    checked,
                    ejected,
                    drained,
                    warmth,
                },
            )
    }

    proptest! {
        #[test]
        fn one_group_is_used_and_nobody_is_left_out_of_it(
            standings in prop::collection::vec(any_standing(), 0..8),
        ) {
            let (mode, seats) = select(&standings);
            prop_assert!(seats.is_sorted() && seats.iter().all(|seat| seat.1 > 0));
            let chosen = |index: usize| seats.iter().any(|seat| seat.0 == index);
            for (index, one) in standings.iter().enumerate() {
                let expected = match mode {
                    Mode::Usable { priority } => one.priority == priority && one.is_usable(),
                    Mode::Panic { priority } => one.priority == priority && one.is_possible(),
                    Mode::Nobody => false,
                };
                prop_assert_eq!(chosen(index), expected);
                match mode {
                    Mode::Usable { priority } => {
                        prop_assert!(!one.is_usable() || one.priority >= priority);
                    }
                    Mode::Panic { .. } => prop_assert!(!one.is_usable()),
                    Mode::Nobody => prop_assert!(!one.is_possible()),
                }
            }
        }
    }
}
