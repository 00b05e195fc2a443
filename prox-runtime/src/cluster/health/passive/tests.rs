use proptest::prelude::*;

use super::{Outcome::*, *};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn endpoints(count: usize) -> (Vec<Passive>, Instant) {
    let now = Instant::now();
    let cluster = Ejections::new(PassiveOptions::new());
    (
        (0..count).map(|_| Passive::new(&cluster, now)).collect(),
        now,
    )
}

/// Records outcomes until something changes.
fn fail(endpoint: &Passive, times: usize, now: Instant) -> Option<Change> {
    (0..times).find_map(|_| endpoint.record(Bad, now, now))
}

#[test]
fn five_failures_in_a_row_eject() {
    let (endpoints, now) = endpoints(2);
    assert_eq!(fail(&endpoints[0], 4, now), None);
    endpoints[0].record(Good, now, now);
    assert_eq!(fail(&endpoints[0], 4, now), None);
    assert_eq!(endpoints[0].record(Unknown, now, now), None);
    let change = endpoints[0].record(Bad, now, now);
    let (cause, length) = (Cause::InARow(5), seconds(5));
    assert_eq!(
        change,
        Some(Change::Ejected {
            cause,
            length,
            times: 1
        })
    );
    assert!(endpoints[0].is_ejected());
}

#[test]
fn half_of_twenty_requests_eject_within_ten_seconds_only() {
    let (endpoints, start) = endpoints(2);
    let run = |endpoint: &Passive, step: Duration| {
        (0..20).find_map(|turn| {
            let outcome = if turn % 2 == 0 { Good } else { Bad };
            endpoint.record(outcome, start + step * turn, start + step * turn)
        })
    };
    assert_eq!(run(&endpoints[1], seconds(1)), None);
    let Some(Change::Ejected { cause, .. }) = run(&endpoints[0], Duration::from_millis(400)) else {
        panic!("it stayed");
    };
    assert_eq!(cause, Cause::Share { failed: 10, of: 20 });
}

#[test]
fn half_of_the_endpoints_stay() {
    for (count, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (9, 4)] {
        let (endpoints, now) = endpoints(count);
        let changes: Vec<_> = endpoints.iter().filter_map(|e| fail(e, 5, now)).collect();
        let spared = changes
            .iter()
            .filter(|change| matches!(change, Change::Spared { .. }));
        assert_eq!(spared.count(), count - most);
        assert_eq!(endpoints[0].cluster.ejected(), most);
    }
}

fn lose(endpoint: &Passive, times: usize, now: Instant) -> Option<Change> {
    (0..times).find_map(|_| endpoint.record(Unreachable, now, now))
}

#[test]
fn who_cannot_be_connected_to_is_ejected_beyond_the_half() {
    let (endpoints, now) = endpoints(4);
    for endpoint in &endpoints[..3] {
        let Some(Change::Ejected { cause, .. }) = lose(endpoint, 5, now) else {
            panic!("it stayed");
        };
        assert_eq!(cause, Cause::Unreachable(5));
    }
    // The last one fails in other ways, and so bears the load.
    assert!(matches!(
        fail(&endpoints[3], 5, now),
        Some(Change::Spared { .. })
    ));
    assert_eq!(lose(&endpoints[3], 4, now), None);
    endpoints[3].record(Good, now, now);
    assert_eq!(lose(&endpoints[3], 4, now), None);
    assert!(lose(&endpoints[3], 1, now).is_some());
    assert_eq!(endpoints[0].cluster.ejected(), 4);

    let nobody = Ejections::new(PassiveOptions::new().at_most(0));
    let endpoint = Passive::new(&nobody, now);
    lose(&endpoint, 100, now);
    assert!(!endpoint.is_ejected());
}

#[test]
fn who_cannot_be_connected_to_is_probed_every_five_seconds() {
    let (endpoints, mut now) = endpoints(2);
    let endpoint = &endpoints[0];
    lose(endpoint, 5, now);
    let mut probe = |outcome| {
        now = endpoint.probe_due().unwrap();
        assert!(endpoint.claim_probe(true, now));
        match endpoint.settle(outcome, now) {
            Some(Change::Ejected { length, .. }) => length,
            other => panic!("{other:?}"),
        }
    };
    for _ in 0..10 {
        assert_eq!(probe(Unreachable), seconds(5));
    }
    // It is there again, and fails: its probes cost requests now.
    assert_eq!(probe(Bad), seconds(10));
    assert_eq!(probe(Bad), seconds(20));
}

#[test]
fn a_trial_in_panic_brings_an_endpoint_back_or_changes_nothing() {
    let (endpoints, now) = endpoints(2);
    let endpoint = &endpoints[0];
    assert!(!endpoint.claim_trial(now));
    lose(endpoint, 5, now);
    let due = endpoint.probe_due();
    for outcome in [Bad, Unreachable, Unknown] {
        assert!(endpoint.claim_trial(now));
        assert!(!endpoint.claim_trial(now));
        assert!(!endpoint.claim_probe(true, now));
        assert_eq!(endpoint.settle(outcome, now), None);
        assert_eq!(endpoint.probe_due(), due);
    }
    assert!(endpoint.claim_trial(now));
    assert_eq!(endpoint.settle(Good, now), Some(Change::Returned));
    assert!(!endpoint.is_ejected());
}

#[test]
fn an_ejected_endpoint_that_is_hurried_is_probed_at_once() {
    let (endpoints, now) = endpoints(2);
    endpoints[0].hurry(now);
    assert_eq!(endpoints[0].probe_due(), None);
    fail(&endpoints[0], 5, now);
    let later = now + seconds(1);
    endpoints[0].hurry(later);
    assert!(endpoints[0].claim_probe(true, later));
    // A probe that is under way goes on.
    endpoints[0].hurry(later);
    assert!(!endpoints[0].claim_probe(true, later));
}

#[test]
fn what_was_sent_long_ago_speaks_against_nobody_who_has_answered_since() {
    let (endpoints, start) = endpoints(2);
    let now = start + seconds(30);
    let late = |endpoint: &Passive| (0..9).find_map(|_| endpoint.record(Bad, start, now));
    endpoints[0].record(Good, now, now);
    assert_eq!(late(&endpoints[0]), None);
    assert_eq!(fail(&endpoints[0], 4, now), None);
    // Without an answer in the last ten seconds it does.
    endpoints[1].record(Good, start, start + seconds(15));
    assert!(matches!(
        late(&endpoints[1]),
        Some(Change::Ejected {
            cause: Cause::InARow(5),
            ..
        })
    ));
}

#[test]
fn one_that_was_spared_is_judged_again_later() {
    let (mut endpoints, now) = endpoints(2);
    fail(&endpoints[0], 5, now);
    let cause = Cause::InARow(5);
    assert_eq!(fail(&endpoints[1], 5, now), Some(Change::Spared { cause }));
    assert_eq!(fail(&endpoints[1], 4, now), None);
    endpoints[0].pardon(now);
    let change = fail(&endpoints[1], 1, now);
    assert!(matches!(
        change,
        Some(Change::Ejected {
            cause: Cause::InARow(10),
            ..
        })
    ));
    // An endpoint that is taken off takes its ejection along.
    let cluster = Arc::clone(&endpoints[1].cluster);
    endpoints.pop();
    assert_eq!(cluster.ejected(), 0);
}

#[test]
fn one_probe_is_sent_when_the_time_is_over() {
    let (endpoints, now) = endpoints(2);
    let endpoint = &endpoints[0];
    fail(endpoint, 5, now);
    assert_eq!(endpoint.probe_due(), Some(now + seconds(5)));
    assert!(!endpoint.claim_probe(true, now + Duration::from_millis(4_999)));
    let due = now + seconds(5);
    assert!(!endpoint.claim_probe(false, due));
    assert!(endpoint.claim_probe(true, due));
    assert!(!endpoint.claim_probe(true, due));
    // What was begun before the ejection says nothing about the probe.
    assert_eq!(endpoint.record(Good, due, due), None);
    assert!(endpoint.is_ejected());
    assert_eq!(endpoint.settle(Unknown, due), None);
    assert!(endpoint.claim_probe(true, due));
    assert_eq!(endpoint.settle(Good, due), Some(Change::Returned));
    assert!(!endpoint.is_ejected());
    assert_eq!(endpoint.settle(Bad, due), None);
    assert_eq!(fail(endpoint, 4, due), None);
}

#[test]
fn a_request_that_cannot_be_retried_is_a_probe_when_no_other_comes() {
    let (endpoints, now) = endpoints(2);
    fail(&endpoints[0], 5, now);
    assert!(!endpoints[0].claim_probe(false, now + seconds(9)));
    assert!(endpoints[0].claim_probe(false, now + seconds(10)));
    // And a probe that got lost does not keep the endpoint out for ever.
    assert!(!endpoints[0].claim_probe(true, now + seconds(309)));
    assert!(endpoints[0].claim_probe(true, now + seconds(310)));
}

#[test]
fn an_ejection_doubles_up_to_five_minutes_and_is_forgotten() {
    let (endpoints, mut now) = endpoints(2);
    let endpoint = &endpoints[0];
    fail(endpoint, 5, now);
    for expected in [10, 20, 40, 80, 160, 300, 300] {
        now = endpoint.probe_due().unwrap();
        assert!(endpoint.claim_probe(true, now));
        let Some(Change::Ejected { length, .. }) = endpoint.settle(Bad, now) else {
            panic!("the probe failed");
        };
        assert_eq!(length, seconds(expected));
    }
    now = endpoint.probe_due().unwrap();
    endpoint.claim_probe(true, now);
    endpoint.settle(Good, now);
    let length = |change| match change {
        Some(Change::Ejected { length, .. }) => length,
        other => panic!("{other:?}"),
    };
    assert_eq!(length(fail(endpoint, 5, now + seconds(299))), seconds(300));
    endpoint.pardon(now + seconds(299));
    assert_eq!(length(fail(endpoint, 5, now + seconds(599))), seconds(5));
}

#[test]
fn what_is_turned_off_never_ejects() {
    let now = Instant::now();
    let options = PassiveOptions::new()
        .in_a_row(0)
        .share(101, 1, seconds(10))
        .at_most(100);
    let endpoint = Passive::new(&Ejections::new(options), now);
    assert_eq!(fail(&endpoint, 1_000, now), None);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Record(usize, Outcome),
    Claim(usize, bool),
    Settle(usize, Outcome),
    Trial(usize),
    Hurry(usize),
    Pardon(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome =
        || prop_oneof![3 => Just(Good), 6 => Just(Bad), 3 => Just(Unknown), 1 => Just(Unreachable)];
    prop_oneof![
        8 => (0..4_usize, outcome()).prop_map(|(at, outcome)| Step::Record(at, outcome)),
        3 => (0..4_usize, any::<bool>()).prop_map(|(at, retried)| Step::Claim(at, retried)),
        2 => (0..4_usize, outcome()).prop_map(|(at, outcome)| Step::Settle(at, outcome)),
        1 => (0..4_usize).prop_map(Step::Trial),
        1 => (0..4_usize).prop_map(Step::Hurry),
        1 => (0..4_usize).prop_map(Step::Pardon),
        2 => (0..400_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_counts_hold_and_nobody_is_out_for_ever(
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let (endpoints, mut now) = endpoints(4);
        let mut probing = [false; 4];
        let mut unreachable = 0;
        for step in steps {
            match step {
                Step::Record(at, outcome) => {
                    let change = endpoints[at].record(outcome, now, now);
                    let gone = |cause| matches!(cause, Cause::Unreachable(_));
                    if matches!(change, Some(Change::Ejected { cause, .. }) if gone(cause)) {
                        unreachable += 1;
                    }
                }
                Step::Trial(at) => probing[at] |= endpoints[at].claim_trial(now),
                Step::Hurry(at) => endpoints[at].hurry(now),
                Step::Claim(at, retried) => {
                    let due = endpoints[at].probe_due();
                    let claimed = endpoints[at].claim_probe(retried, now);
                    prop_assert!(!claimed || due.is_some_and(|due| due <= now));
                    probing[at] |= claimed;
                }
                Step::Settle(at, outcome) => {
                    let change = endpoints[at].settle(outcome, now);
                    prop_assert!(change.is_none() || probing[at]);
                    probing[at] = false;
                }
                Step::Pardon(at) => {
                    let out = endpoints[at].is_ejected();
                    prop_assert_eq!(endpoints[at].pardon(now).is_some(), out);
                    probing[at] = false;
                }
                Step::Wait(more) => now += seconds(more),
            }
            let out = endpoints.iter().filter(|endpoint| endpoint.is_ejected()).count();
            prop_assert_eq!(out, endpoints[0].cluster.ejected());
            prop_assert!(out <= 2 + unreachable);
            for endpoint in &endpoints {
                prop_assert_eq!(endpoint.is_ejected(), endpoint.probe_due().is_some());
                let due = endpoint.probe_due();
                prop_assert!(due.is_none_or(|due| due <= now + seconds(300)));
            }
        }
    }
}
