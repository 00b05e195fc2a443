use std::{collections::BTreeMap, sync::OnceLock};

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::{
    cluster::{QueueOptions, SlowStart, endpoint::Blueprint},
    pool::PoolOptions,
};

fn blueprint() -> Blueprint {
    Blueprint {
        backend: "users".into(),
        counts: Arc::default(),
        pool: PoolOptions::new(),
        http2: None,
        total: Arc::default(),
        ejections: None,
        max_connections: None,
        queue: QueueOptions::default(),
        connector: OnceLock::new(),
        affinity: None,
        credentials: None,
        #[cfg(feature = "testing")]
        peer: None,
    }
}

fn set(hosts: &str) -> Vec<Endpoint> {
    let url = |host| format!("http://{host}:1").parse().unwrap();
    hosts.chars().map(url).collect()
}

fn changed(members: &Arc<Members>, wanted: &[Endpoint]) -> Change {
    members.changed(wanted, |index, endpoint| {
        blueprint().make(index, endpoint, Instant::now())
    })
}

fn after(members: &Arc<Members>, hosts: &str) -> Arc<Members> {
    changed(members, &set(hosts)).members
}

/// The hosts by their numbers, `-` for a number that nobody has.
fn shown(members: &Members) -> String {
    let host = |index| members.find(index).map_or("-", |one| one.endpoint.host());
    (0..members.end()).map(host).collect()
}

fn hosts(upstreams: &[Arc<Upstream>]) -> String {
    upstreams.iter().map(|one| one.endpoint.host()).collect()
}

#[test]
fn who_stays_is_left_as_it_is() {
    let first = after(&Arc::default(), "abc");
    let change = changed(&first, &set("cab"));
    assert!(change.is_none());
    assert!(Arc::ptr_eq(&change.members, &first));
    let change = changed(&first, &set("bd"));
    assert_eq!(
        (hosts(&change.came), hosts(&change.left)),
        ("d".into(), "ac".into())
    );
    assert_eq!(shown(&change.members), "-b-d");
    assert!(Arc::ptr_eq(
        first.find(1).unwrap(),
        change.members.find(1).unwrap()
    ));
}

#[test]
fn a_number_is_given_again_when_nobody_knows_who_had_it() {
    let first = after(&Arc::default(), "abc");
    let held = Arc::clone(first.find(0).unwrap());
    let second = after(&first, "c");
    assert_eq!(shown(&second), "--c");
    drop(first);
    // `a` is held by a request, `b` by nobody.
    let third = after(&second, "cd");
    assert_eq!(shown(&third), "-dc");
    drop(held);
    let fourth = after(&third, "cde");
    assert_eq!(shown(&fourth), "edc");
}

#[test]
fn the_numbers_end_with_the_last_that_is_in_use() {
    let first = after(&Arc::default(), "abcd");
    let second = after(&first, "a");
    assert_eq!(second.end(), 4);
    drop(first);
    assert_eq!(shown(&after(&second, "ae")), "ae");
}

#[test]
fn a_weight_that_was_found_counts_until_an_operator_says_otherwise_and_then_until_it_is_another() {
    let weighted =
        |weight| -> Vec<Endpoint> { set("a").into_iter().map(|one| one.weight(weight)).collect() };
    let first = changed(&Arc::default(), &weighted(2)).members;
    let weight = |members: &Members| {
        let state = &members.find(0).unwrap().state;
        state.standing(&SlowStart::off(), Instant::now()).weight
    };
    first.find(0).unwrap().state.set_weight(7);
    assert!(changed(&first, &weighted(2)).is_none());
    assert_eq!(weight(&first), 7);
    assert!(changed(&first, &weighted(3)).shifted);
    assert_eq!(weight(&first), 3);
}

#[test]
fn the_first_of_those_that_are_the_same_counts() {
    let mut twice = set("aab");
    twice[0] = twice[0].clone().weight(5);
    let members = changed(&Arc::default(), &twice).members;
    assert_eq!(shown(&members), "ab");
    assert_eq!(members.find(0).unwrap().endpoint.share(), 5);
}

proptest! {
    /// Whatever sets follow each other, and whoever holds endpoints meanwhile.
    #[test]
    fn numbers_are_unique_and_stay(
        sets in prop::collection::vec(("[a-h]{1,8}", prop::collection::vec(0..8_usize, 0..3)), 1..40),
    ) {
        let mut members: Arc<Members> = Arc::default();
        let mut held: Vec<Arc<Upstream>> = Vec::new();
        for (hosts, holds) in sets {
            let before: BTreeMap<String, usize> = members
                .iter()
                .map(|one| (one.endpoint.host().to_owned(), one.index()))
                .collect();
            let change = changed(&members, &set(&hosts));
            members = change.members;
            let mut wanted: Vec<char> = hosts.chars().collect();
            wanted.sort_unstable();
            wanted.dedup();
            prop_assert_eq!(members.count(), wanted.len());
            for (index, one) in (0..members.end()).filter_map(|index| Some((index, members.find(index)?))) {
                prop_assert_eq!(one.index(), index);
                if let Some(&number) = before.get(one.endpoint.host()) {
                    prop_assert_eq!(number, index);
                }
                // Nobody has the number of one that is held.
                for other in &held {
                    prop_assert!(other.index() != index || Arc::ptr_eq(other, one));
                }
            }
            held.extend(holds.iter().filter_map(|&index| members.find(index).cloned()));
            if held.len() > 6 {
                held.drain(..3);
            }
            // What is held, what is there, and what has just left.
            prop_assert!(members.end() <= 8 + held.len() + 8);
        }
    }
}
