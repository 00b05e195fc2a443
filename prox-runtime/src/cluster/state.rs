//! What is known of an endpoint while the gateway runs, and how a handle shows it.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
    },
    time::SystemTime,
};

use tokio::time::Instant;

use super::{
    Endpoint, SlowStart, Upstream,
    balance::FULL,
    health::{
        active::Verdict,
        passive::{Ejections, Passive},
        slow_start::Warmth,
    },
    priority::Standing,
};
use crate::sync::lock;

/// What may change of an endpoint.
#[derive(Debug)]
pub(crate) struct State {
    weight: AtomicU32,
    /// The weight that it was written or found with last, whatever an operator has made of it.
    written: AtomicU32,
    priority: AtomicU8,
    drained: AtomicBool,
    left: AtomicBool,
    /// A [`Verdict`] as a number.
    checked: AtomicU8,
    /// None where nothing is ever ejected.
    pub(super) passive: Option<Passive>,
    pub(super) warmth: Warmth,
    last_error: Mutex<Option<LastError>>,
}

impl State {
    pub(super) fn new(
        endpoint: &Endpoint,
        ejections: Option<&Arc<Ejections>>,
        now: Instant,
    ) -> Self {
        Self {
            weight: AtomicU32::new(endpoint.share()),
            written: AtomicU32::new(endpoint.share()),
            priority: AtomicU8::new(endpoint.group()),
            left: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            checked: AtomicU8::new(number(Verdict::Unknown)),
            passive: ejections.map(|ejections| Passive::new(ejections, now)),
            warmth: Warmth::new(now),
            last_error: Mutex::new(None),
        }
    }

    pub(super) fn set_weight(&self, weight: u32) -> u32 {
        self.weight.swap(weight, Ordering::Relaxed)
    }

    /// Takes over the weight and the priority that the endpoint was found with again, and says whether something has changed.
    ///
    /// What an operator has set holds until another weight is found.
    pub(super) fn set_found(&self, endpoint: &Endpoint) -> bool {
        let (weight, priority) = (endpoint.share(), endpoint.group());
        let other_weight = self.written.swap(weight, Ordering::Relaxed) != weight;
        if other_weight {
            self.set_weight(weight);
        }
        self.priority.swap(priority, Ordering::Relaxed) != priority || other_weight
    }

    /// It is no longer in the cluster, and does not count among the endpoints of which some may be ejected.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
        if let Some(passive) = &self.passive {
            passive.leave();
        }
    }

    /// Whether it is no longer in the cluster.
    pub(super) fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }

    /// Whether it was drained before.
    pub(super) fn set_drained(&self, drained: bool) -> bool {
        self.drained.swap(drained, Ordering::Relaxed)
    }

    /// The verdict before.
    pub(super) fn set_checked(&self, verdict: Verdict) -> Verdict {
        verdict_of(self.checked.swap(number(verdict), Ordering::Relaxed))
    }

    pub(super) fn failed(&self, reason: impl Into<String>) {
        *lock(&self.last_error) = Some(LastError {
            reason: reason.into(),
            time: SystemTime::now(),
        });
    }

    pub(super) fn is_ejected(&self) -> bool {
        self.passive.as_ref().is_some_and(Passive::is_ejected)
    }

    /// All that decides whether it may be chosen.
    pub(super) fn standing(&self, slow_start: &SlowStart, now: Instant) -> Standing {
        Standing {
            weight: self.weight.load(Ordering::Relaxed),
            priority: self.priority.load(Ordering::Relaxed),
            checked: verdict_of(self.checked.load(Ordering::Relaxed)),
            ejected: self.is_ejected(),
            drained: self.drained.load(Ordering::Relaxed),
            warmth: self.warmth.share(slow_start, now),
        }
    }
}

const fn number(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Unknown => 0,
        Verdict::Healthy => 1,
        Verdict::Unhealthy => 2,
    }
}

const fn verdict_of(number: u8) -> Verdict {
    match number {
        1 => Verdict::Healthy,
        2 => Verdict::Unhealthy,
        _ => Verdict::Unknown,
    }
}

/// The last thing that an endpoint did wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LastError {
    /// The status, the name of the [failure](crate::Failure), or what a check said.
    pub reason: String,
    /// When it was.
    pub time: SystemTime,
}

/// Whether an endpoint is used; when several of these hold, the first of them is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Condition {
    /// An operator took it out of use: [`Cluster::drain`](crate::Cluster::drain).
    Draining,
    /// Active checks fail.
    Unhealthy,
    /// Its answers got it ejected; it gets probes only, unless all are ejected.
    Ejected,
    /// It has returned, and gets a growing share of the requests.
    Warming,
    /// It gets its full share.
    Healthy,
}

impl Condition {
    pub(super) const ALL: [Self; 5] = [
        Self::Healthy,
        Self::Warming,
        Self::Ejected,
        Self::Unhealthy,
        Self::Draining,
    ];

    /// The word for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
            Self::Warming => "warming",
            Self::Healthy => "healthy",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An endpoint as it stands: its address, what it is busy with, and whether it is used.
///
/// It is a copy, which does not follow what happens later. Where an [`Endpoint`] is wanted it can be used as one; its
/// [`weight`](Self::weight) is the one that holds now.
///
/// ```
/// # mod prox { pub use prox_runtime::*; pub mod dsl { pub use prox_runtime::*; } }
/// # fn doc(users: &prox::Cluster) {
/// for endpoint in users.endpoints() {
///     println!("{endpoint} is {}, {} requests under way", endpoint.condition(), endpoint.active());
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct EndpointState {
    endpoint: Endpoint,
    weight: u32,
    condition: Condition,
    active: usize,
    waiting: usize,
    last_error: Option<LastError>,
}

impl EndpointState {
    pub(super) fn of(upstream: &Upstream, slow_start: &SlowStart) -> Self {
        let state = &upstream.state;
        let standing = state.standing(slow_start, Instant::now());
        let condition = if standing.drained {
            Condition::Draining
        } else if standing.checked == Verdict::Unhealthy {
            Condition::Unhealthy
        } else if standing.ejected {
            Condition::Ejected
        } else if standing.warmth < FULL {
            Condition::Warming
        } else {
            Condition::Healthy
        };
        Self {
            endpoint: upstream.endpoint.clone().priority(standing.priority),
            weight: standing.weight,
            condition,
            active: upstream.load.active(),
            waiting: upstream.queue().map_or(0, |queue| queue.waiting()),
            last_error: lock(&state.last_error).clone(),
        }
    }

    /// The address.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The weight, as it was written or [set](crate::Cluster::set_weight) since.
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// The failover group.
    pub fn priority(&self) -> u8 {
        self.endpoint.group()
    }

    /// Whether it is used.
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// How many requests are under way there, from all workers.
    pub fn active(&self) -> usize {
        self.active
    }

    /// How many of them wait for a place, where there is a [limit](crate::ClusterBuilder::max_connections).
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// What went wrong there last, if anything has.
    pub fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_ref()
    }
}

impl Deref for EndpointState {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl fmt::Display for EndpointState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.endpoint, f)
    }
}
