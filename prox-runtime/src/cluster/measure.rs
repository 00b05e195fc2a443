//! The metrics of a cluster.

use std::sync::Arc;

use super::{Cluster, Condition};
use crate::{
    metrics::{
        BACKEND_READY, BREAKER_OPEN, Bounds, ENDPOINT_ACTIVE, ENDPOINT_UP, ENDPOINT_WAITING,
        ENDPOINTS, Samples, UPSTREAM_CONNECTIONS,
    },
    pool::Open,
};

/// The most endpoints of one backend that have samples of their own. A backend counts the tries on all of them.
const MOST: usize = 256;

impl Cluster {
    /// Counts by these buckets, unless it has begun to count by others.
    pub(crate) fn count_by(&self, bounds: &Arc<Bounds>) -> bool {
        self.core().tries.set(bounds)
    }

    /// Adds what is counted of it, and how its endpoints are now.
    pub(crate) fn measure(&self, samples: &mut Samples) {
        let (core, backend) = (self.core(), self.name());
        core.tries.write(backend, samples);
        core.tries.write_waits(backend, samples);
        let members = core.members();
        let mut connections = Open::default();
        for upstream in members.iter() {
            let open = upstream.pool.open();
            connections.active += open.active;
            connections.idle += open.idle;
        }
        for (state, count) in [("active", connections.active), ("idle", connections.idle)] {
            let labels = [("backend", backend), ("http_connection_state", state)];
            samples.add(&UPSTREAM_CONNECTIONS, &labels, count);
        }
        let states = core.states(&members);
        for (upstream, state) in members.iter().zip(&states).take(MOST) {
            let endpoint = &**upstream.label();
            let labels = [("backend", backend), ("endpoint", endpoint)];
            upstream.tries.write(backend, endpoint, samples);
            samples.add(&ENDPOINT_ACTIVE, &labels, state.active());
            samples.add(&ENDPOINT_WAITING, &labels, state.waiting());
            let is_up = matches!(state.condition(), Condition::Healthy | Condition::Warming);
            samples.add(&ENDPOINT_UP, &labels, is_up);
        }
        for condition in Condition::ALL {
            let labels = [("backend", backend), ("condition", condition.name())];
            let count = states.iter().filter(|state| state.condition() == condition);
            samples.add(&ENDPOINTS, &labels, count.count());
        }
        if let Some(is_open) = core.is_open() {
            samples.add(&BREAKER_OPEN, &[("backend", backend)], is_open);
        }
        if self.is_required() {
            samples.add(
                &BACKEND_READY,
                &[("backend", backend)],
                self.has_ready_endpoint(),
            );
        }
        core.counts().write(backend, samples);
    }
}
