//! How long choices and records take. Run in release, with `--ignored --nocapture`; it prints and asserts nothing.

use std::hint::black_box;

use tokio::time::Instant;

use super::{
    Balancer, BreakerOptions, BudgetOptions, Hash, LeastConn, P2c, PassiveOptions, Pick, Random,
    RoundRobin,
    balance::{Load, testing::Endpoints},
    breaker::{Admission, Breaker},
    budget::Budget,
    cluster,
    health::{
        Outcome,
        passive::{Ejections, Passive},
    },
    rng::{Rng, mix},
    upstream,
};

const BATCH: u32 = 2_000;
const BATCHES: u32 = 300;

fn nanos(endpoints: &Endpoints, policy: &dyn Balancer) -> f64 {
    let rng = Rng::seeded(1);
    let roster = endpoints.roster(policy);
    let picks = |count: u32| {
        for key in 0..count {
            let key = Some(mix(key.into()));
            let pick = Pick::new(&roster, &[], key, endpoints.now(), &rng);
            black_box(policy.pick(&pick));
        }
    };
    least(|| picks(BATCH))
}

/// The nanoseconds of one of the quickest batch: what else the machine does falls on the others.
fn least(mut batch: impl FnMut()) -> f64 {
    let mut nanos = f64::MAX;
    for _ in 0..BATCHES {
        let start = Instant::now();
        batch();
        nanos = nanos.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(BATCH));
    }
    nanos
}

#[test]
#[ignore = "a measurement"]
fn nanoseconds_of_a_choice() {
    println!("{:<12}{:>8}{:>8}{:>8}{:>8}", "", 4, 100, 1_000, 10_000);
    let row = |name: &str, policy: &dyn Balancer, step: u32| {
        print!("{name:<12}");
        for count in [4, 100, 1_000, 10_000] {
            let weights: Vec<u32> = (0..count).map(|index| 1 + index % step).collect();
            let mut endpoints = Endpoints::weighted(&weights);
            for index in 0..endpoints.count() {
                let after = std::time::Duration::from_micros(20_000 + index as u64 % 7);
                endpoints.busy(index, 3 + index % 5).answered(index, after);
            }
            print!("{:>8.1}", nanos(&endpoints, policy));
        }
        println!();
    };
    for (step, kind) in [(1, "equal"), (3, "weighted")] {
        println!("{kind}");
        row("rr", &RoundRobin::new(), step);
        row("random", &Random::new(), step);
        row("least_conn", &LeastConn::new(), step);
        row("p2c", &P2c::new(), step);
        row("hash", &Hash::new(|_| None), step);
    }
}

#[test]
#[ignore = "a measurement"]
fn milliseconds_of_a_preparation() {
    for (name, policy) in [
        ("rr", &RoundRobin::new() as &dyn Balancer),
        ("p2c", &P2c::new()),
        ("hash", &Hash::new(|_| None)),
    ] {
        for count in [10, 100, 1_000, 10_000] {
            let weights: Vec<u32> = (0..count).map(|index| 1 + index % 3).collect();
            let seats = Endpoints::weighted(&weights).seats();
            let start = Instant::now();
            black_box(policy.prepare(&seats));
            println!(
                "{name} {count}: {:.2} ms",
                start.elapsed().as_secs_f64() * 1e3
            );
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn nanoseconds_of_a_record() {
    let now = Instant::now();
    let time = |name: &str, f: &dyn Fn()| {
        let nanos = least(|| (0..BATCH).for_each(|_| f()));
        println!("{name:<28}{nanos:>8.1}");
    };
    let ejections = Ejections::new(PassiveOptions::new());
    let passive = Passive::new(&ejections, now);
    time("passive, success", &|| {
        black_box(passive.record(Outcome::Good, now, now));
    });
    time("passive, failure", &|| {
        black_box(passive.record(Outcome::Bad, now, now));
        black_box(passive.record(Outcome::Good, now, now));
    });
    let breaker = Breaker::new(BreakerOptions::new(), now);
    time("breaker, admit and record", &|| {
        if let Admission::Pass(ticket) = breaker.admit(now) {
            black_box(breaker.record(ticket, Outcome::Good, now));
        }
    });
    let budget = Budget::new(BudgetOptions::default(), now);
    time("budget, deposit", &|| budget.deposit(now));
    time("budget, withdraw", &|| {
        black_box(budget.withdraw(now));
    });
    let load = Load::new(&std::sync::Arc::default(), now);
    time("load, enter and leave", &|| {
        load.enter();
        load.leave();
    });
    let after = std::time::Duration::from_millis(20);
    time("load, answered", &|| load.answered(after, now));
}

#[test]
#[ignore = "a measurement"]
fn nanoseconds_of_a_try() {
    let urls = |count: u8| (1..=count).map(|n| format!("http://10.0.0.{n}:80"));
    let one = upstream("http://10.0.0.1:80").build("one");
    let rows = [
        ("one endpoint", one),
        ("four, rr", four(RoundRobin::new(), urls(4)).build("four")),
        ("four, p2c", four(P2c::new(), urls(4)).build("four")),
        (
            "four, rr, no passive",
            four(RoundRobin::new(), urls(4))
                .without_passive()
                .build("four"),
        ),
        (
            "four, rr, breaker",
            four(RoundRobin::new(), urls(4))
                .breaker(BreakerOptions::new())
                .build("four"),
        ),
    ];
    let mut parts = http::Request::new(()).into_parts().0;
    let client = std::sync::Arc::new(crate::client::Client::new(None));
    for (name, cluster) in rows {
        let cluster = cluster.unwrap();
        for state in ["as written", "after a change"] {
            let nanos = least(|| {
                for _ in 0..BATCH {
                    let caller = cluster.core().caller(&mut parts, &client);
                    let now = Instant::now();
                    let mut lease = cluster.core().choose(&caller, &[], false, now).unwrap();
                    lease.answered(http::StatusCode::OK, now, now, 0);
                    black_box(&lease);
                }
            });
            println!("{name:<24}{state:<16}{nanos:>8.1}");
            cluster.undrain("10.0.0.1:80").unwrap();
        }
    }
}

fn four(policy: impl Balancer, urls: impl Iterator<Item = String>) -> super::ClusterBuilder {
    cluster(policy, urls.collect::<Vec<_>>())
}
