use std::sync::atomic::AtomicBool;

use super::*;
use crate::cluster::{
    Balancer, ClusterBuilder, Pick, Prepared, RoundRobin, Seat, SlowStart, cluster, core::survey,
};

/// The first view of two endpoints.
fn first() -> View {
    let builder: ClusterBuilder = cluster(RoundRobin::new(), ["http://a:1", "http://b:1"]);
    let users = builder.build("users").unwrap();
    looked(&users.core().members())
}

/// A view as somebody finds it now.
fn looked(members: &Arc<Members>) -> View {
    let slow_start = SlowStart::default();
    let now = Instant::now();
    survey(members, &RoundRobin::new(), &slow_start, None, now)
}

/// The same view, but for its mode.
fn in_mode(view: &View, priority: u8) -> View {
    View {
        members: Arc::clone(&view.members),
        roster: Arc::clone(&view.roster),
        mode: Mode::Panic { priority },
        ejected: view.ejected.clone(),
        probe_due: view.probe_due,
        step_due: view.step_due,
    }
}

#[tokio::test(start_paused = true)]
async fn a_view_may_be_read_and_replaced_while_one_is_read() {
    let views = Views::new(first());
    for priority in [1, 2] {
        views.with(|view| {
            let inner = views.replace(|old| Some(in_mode(old, priority)));
            assert!(inner.is_some());
            assert_ne!(view.mode, Mode::Panic { priority });
            views.with(|view| assert_eq!(view.mode, Mode::Panic { priority }));
        });
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_found_first_does_not_replace_what_was_found_later() {
    let views = Views::new(first());
    let late = views.replace(|old| {
        let late = in_mode(old, 1);
        // Somebody else looks after this look, and is quicker.
        assert!(views.replace(|old| Some(in_mode(old, 2))).is_some());
        Some(late)
    });
    assert!(late.is_none());
    views.with(|view| assert_eq!(view.mode, Mode::Panic { priority: 2 }));
}

#[tokio::test(start_paused = true)]
async fn other_members_are_not_lost_to_a_look_at_the_old_ones() {
    let views = Views::new(first());
    let mut tries = 0;
    let moved = views.replace(|_| {
        tries += 1;
        if tries == 1 {
            views.replace(|old| Some(in_mode(old, 1)));
        }
        Some(first())
    });
    let moved = moved.expect("there are other members");
    assert_eq!(tries, 2, "they are looked at again");
    views.with(|view| assert!(Arc::ptr_eq(&view.members, &moved.new.members)));

    // And the other way round: a look at the old members is not used.
    let mut tries = 0;
    let looked = views.replace(|old| {
        tries += 1;
        let looked = in_mode(old, tries);
        if tries == 1 {
            views.replace(|_| Some(first()));
        }
        Some(looked)
    });
    assert!(looked.is_none() || tries == 2);
    views.with(|view| assert!(!Arc::ptr_eq(&view.members, &moved.new.members)));
}

#[tokio::test(start_paused = true)]
async fn a_view_that_says_the_same_changes_nothing() {
    let views = Views::new(first());
    assert!(views.replace(|old| Some(in_mode(old, 1))).is_some());
    assert!(views.replace(|old| Some(in_mode(old, 1))).is_none());
}

/// A policy that asks and changes its own cluster from everywhere.
#[derive(Debug, Default)]
struct Curious {
    cluster: Arc<std::sync::OnceLock<crate::Cluster>>,
    looks: AtomicBool,
}

impl Curious {
    fn look(&self) {
        // What changes the cluster makes it ask again, and that must end somewhere.
        if self.looks.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Some(cluster) = self.cluster.get() {
            assert_eq!(cluster.endpoints().len(), 2);
            let _ = cluster.is_ready();
            cluster.drain("b:1").unwrap();
        }
        self.looks.store(false, Ordering::Relaxed);
    }
}

impl Balancer for Curious {
    fn pick(&self, pick: &Pick<'_>) -> Option<usize> {
        self.look();
        pick.available().next()
    }

    fn prepare(&self, _: &[Seat]) -> Prepared {
        self.look();
        Prepared::none()
    }
}

/// A subscriber that asks the cluster whenever something is told of it.
struct Subscriber(Curious);

impl tracing::Subscriber for Subscriber {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.look();
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Does something on a thread of its own, and fails when it does not end.
fn ends(what: impl FnOnce() + Send + 'static) {
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        what();
        done.send(()).unwrap();
    });
    let limit = std::time::Duration::from_mins(1);
    wait.recv_timeout(limit).expect("it ends, and well");
}

#[test]
fn a_policy_may_ask_and_change_its_own_cluster() {
    ends(|| {
        let policy = Curious::default();
        let handle = Arc::clone(&policy.cluster);
        let users = cluster(policy, ["http://a:1", "http://b:1"]);
        let users = users.build("users").unwrap();
        handle.set(users.clone()).unwrap();
        users.set_weight("a:1", 3).unwrap();
        let core = users.core();
        for _ in 0..3 {
            let caller = crate::cluster::Caller::ANYBODY;
            let lease = core.choose(&caller, &[], true, Instant::now()).unwrap();
            assert_eq!(lease.index(), 0);
        }
        users.undrain("b:1").unwrap();
    });
}

#[test]
fn a_subscriber_may_ask_and_change_the_cluster_of_which_it_is_told() {
    ends(|| {
        let users = cluster(RoundRobin::new(), ["http://a:1", "http://b:1"]);
        let users = users.build("users").unwrap();
        let subscriber = Subscriber(Curious {
            cluster: Arc::new(std::sync::OnceLock::from(users.clone())),
            looks: AtomicBool::new(false),
        });
        tracing::subscriber::with_default(subscriber, || {
            // The mode changes, which is told.
            users.drain("a:1").unwrap();
            users.undrain("a:1").unwrap();
        });
    });
}
