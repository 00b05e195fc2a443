//! Each decision as a `tracing` event and a count.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{
    Core, Endpoint, Upstream,
    breaker::BreakerChange,
    health::{
        active::Verdict,
        passive::{self, Cause},
    },
    hedge::NoHedge,
    members::Change,
    priority::Mode,
    queue::Refused,
    retry,
};
use crate::{
    error::{Error, Failure, Origin},
    metrics::{Family, Kind, Samples},
    pool::OverLimit,
};

macro_rules! counts {
    ($($(#[$doc:meta])+ $name:ident)*) => {
        /// How often a cluster has decided what, since the start: [`Cluster::counters`](crate::Cluster::counters).
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])+ pub $name: u64,)*
        }

        /// The counts as they are kept.
        #[derive(Debug, Default)]
        pub(crate) struct Counts {
            $(pub(super) $name: Count,)*
        }

        impl Counts {
            pub(super) fn read(&self) -> Counters {
                Counters { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }

            /// Adds each of them.
            pub(super) fn write(&self, backend: &str, samples: &mut Samples) {
                let counts = [$(self.$name.0.load(Ordering::Relaxed),)*];
                for (family, count) in FAMILIES.iter().zip(counts) {
                    samples.add(family, &[("backend", backend)], count);
                }
            }
        }

        /// The metrics of the counts.
        pub(crate) static FAMILIES: &[Family] = &[$(Family {
            name: concat!("prox_backend_", stringify!($name), "_total"),
            kind: Kind::Counter,
            labels: &["backend"],
            help: concat!("The counter `", stringify!($name), "` of a backend."),
        },)*];
    };
}

/// One of them; all workers write it, but seldom.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(super) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

counts! {
    /// Endpoints ejected because of their answers or their silence, failed probes included.
    ejected
    /// Endpoints that would have been ejected, had not too many others been.
    spared
    /// Requests sent to ejected endpoints as probes.
    probes
    /// Ejected endpoints that came back.
    returned
    /// Endpoints that active checks took out.
    unhealthy
    /// Endpoints that active checks took back.
    healthy
    /// Times that all endpoints were ejected, and used all the same.
    panics
    /// Requests for which there was no endpoint.
    no_endpoint
    /// Endpoints that were found while the gateway runs, those of the first set included.
    came
    /// Endpoints that were found to be gone.
    left
    /// Times that endpoints could not be found, so that they stayed as they were.
    discovery_failed
    /// Times that they were found again after that.
    discovery_recovered
    /// Times that the circuit breaker opened, again after failed probes included.
    breaker_opened
    /// Times that it began to probe.
    breaker_half_open
    /// Times that it closed.
    breaker_closed
    /// Requests that it refused.
    breaker_refused
    /// Tries that failed and were made again: elsewhere, since there was no connection, or as often as
    /// [`retry`](crate::ClusterBuilder::retry) says.
    retried
    /// Tries that failed and should have been made again, but were not: for want of another try, of budget, of time or of a
    /// whole body, or because of the method or a long `Retry-After`.
    not_retried
    /// Requests that were sent again because the kept connection was dead, or the upstream had not processed them.
    resent
    /// Requests that were refused because too many waited for the endpoint already.
    queue_full
    /// Requests that waited for the endpoint until their time was over.
    queue_timeouts
    /// Responses whose head was over [`max_response_headers`](crate::ClusterBuilder::max_response_headers) or
    /// [`max_response_header_size`](crate::ClusterBuilder::max_response_header_size).
    heads_over
    /// Requests that were sent to a second endpoint because the first was slow.
    hedged
    /// Those of them that the second endpoint answered.
    hedges_won
    /// Slow requests that were not, for want of another endpoint, of a whole body, of time or of budget.
    not_hedged
    /// Connections of HTTP/2 that were closed because the endpoint sent too many frames that the gateway has work with and that
    /// no request, no message and no data called for.
    floods
    /// Requests that a mirror got as well.
    mirrored
    /// Requests that a mirror should have got, but there were too many copies under way, or the body was over 64 KiB, had trailers or
    /// was broken. Upgrades do not count, and neither do requests that are over before their body has ended.
    not_mirrored
}

impl Counts {
    /// A connection to an endpoint was closed because of too many of these frames.
    pub(super) fn tell_flood(&self, backend: &str, endpoint: &Endpoint, frames: &str) {
        self.floods.up();
        tracing::warn!(target: "prox", backend, %endpoint, frames, "flood of HTTP/2 frames");
    }
}

impl Core {
    pub(super) fn tell_passive(&self, upstream: &Upstream, change: passive::Change) {
        let (backend, endpoint) = (self.name(), &upstream.endpoint);
        match change {
            passive::Change::Ejected {
                cause,
                length,
                times,
            } => {
                self.counts().ejected.up();
                let reason = reason(cause);
                tracing::warn!(target: "prox", backend, %endpoint, reason, ?length, times, "endpoint ejected");
            }
            passive::Change::Spared { cause } => {
                self.counts().spared.up();
                let reason = reason(cause);
                tracing::warn!(target: "prox", backend, %endpoint, reason, "endpoint fails, but too many others are ejected");
            }
            passive::Change::Returned => {
                self.counts().returned.up();
                tracing::info!(target: "prox", backend, %endpoint, "endpoint returned");
            }
        }
    }

    pub(super) fn tell_probe(&self, upstream: &Upstream) {
        self.counts().probes.up();
        tracing::info!(target: "prox", backend = self.name(), endpoint = %upstream.endpoint, "endpoint probed");
    }

    pub(super) fn tell_checked(&self, upstream: &Upstream, verdict: Verdict, reason: &str) {
        let (backend, endpoint) = (self.name(), &upstream.endpoint);
        match verdict {
            Verdict::Unhealthy => {
                self.counts().unhealthy.up();
                tracing::warn!(target: "prox", backend, %endpoint, reason, "endpoint fails its checks");
            }
            Verdict::Healthy | Verdict::Unknown => {
                self.counts().healthy.up();
                tracing::info!(target: "prox", backend, %endpoint, "endpoint passes its checks");
            }
        }
    }

    pub(super) fn tell_members(&self, change: &Change) {
        let backend = self.name();
        for upstream in &change.came {
            self.counts().came.up();
            tracing::info!(target: "prox", backend, endpoint = %upstream.endpoint, weight = upstream.endpoint.share(), "endpoint came");
        }
        for upstream in &change.left {
            self.counts().left.up();
            tracing::info!(target: "prox", backend, endpoint = %upstream.endpoint, active = upstream.load.active(), "endpoint left");
        }
    }

    /// It is counted each time, and told when it is `news`.
    pub(super) fn tell_undiscovered(&self, reason: &str, news: bool) {
        self.counts().discovery_failed.up();
        let backend = self.name();
        if news {
            tracing::warn!(target: "prox", backend, reason, "endpoints cannot be found; those that are known stay");
        } else {
            tracing::debug!(target: "prox", backend, reason, "endpoints cannot be found");
        }
    }

    pub(super) fn tell_discovered(&self) {
        self.counts().discovery_recovered.up();
        tracing::info!(target: "prox", backend = self.name(), "endpoints are found again");
    }

    pub(super) fn tell_mode(&self, old: Mode, new: Mode) {
        let backend = self.name();
        match new {
            _ if new == old => {}
            Mode::Panic { priority } => {
                if !matches!(old, Mode::Panic { .. }) {
                    self.counts().panics.up();
                }
                tracing::warn!(target: "prox", backend, priority, reason = "all are ejected", "ejected endpoints are used");
            }
            Mode::Usable { priority } => {
                tracing::info!(target: "prox", backend, priority, "endpoints of this priority are used");
            }
            Mode::Nobody => {
                tracing::error!(target: "prox", backend, reason = "checks fail or all are drained", "no endpoint can be used");
            }
        }
    }

    pub(super) fn tell_breaker(&self, change: BreakerChange) {
        let backend = self.name();
        match change {
            BreakerChange::Opened { failed, of } => {
                self.counts().breaker_opened.up();
                tracing::warn!(target: "prox", backend, reason = "failures", failed, of, "circuit breaker opened");
            }
            BreakerChange::OpenedAgain => {
                self.counts().breaker_opened.up();
                tracing::warn!(target: "prox", backend, reason = "probe", "circuit breaker opened");
            }
            BreakerChange::Closed => {
                self.counts().breaker_closed.up();
                tracing::info!(target: "prox", backend, "circuit breaker closed");
            }
        }
    }

    pub(super) fn tell_half_open(&self) {
        self.counts().breaker_half_open.up();
        tracing::info!(target: "prox", backend = self.name(), "circuit breaker half open");
    }

    /// There is no endpoint for a request.
    pub(super) fn tell_nobody(&self) {
        self.counts().no_endpoint.up();
        tracing::debug!(target: "prox", backend = self.name(), "no endpoint");
    }

    /// The breaker refuses a request.
    pub(super) fn tell_refused(&self, retry_after: Duration) {
        self.counts().breaker_refused.up();
        tracing::debug!(target: "prox", backend = self.name(), ?retry_after, "circuit breaker refused a request");
    }

    /// A try has failed in this way. It is counted that there is no further one where one was asked for.
    pub(super) fn tell_retry(&self, endpoint: &Endpoint, failure: &str, verdict: retry::Verdict) {
        let backend = self.name();
        match verdict {
            retry::Verdict::Retry { .. } => {
                self.counts().retried.up();
                tracing::debug!(target: "prox", backend, %endpoint, reason = failure, "tried again");
            }
            retry::Verdict::GiveUp(reason) => {
                if reason.is_refusal() {
                    self.counts().not_retried.up();
                }
                let reason = reason.name();
                tracing::debug!(target: "prox", backend, %endpoint, failure, reason, "not tried again");
            }
        }
    }

    /// A request is answered with this failure of the backend.
    pub(crate) fn tell_failed(&self, error: &Error) {
        let backend = self.name();
        tracing::debug!(target: "prox", backend, ?error, "no response from upstream");
        let is_of_the_backend = error.as_failure().is_some_and(|failure| {
            let is_refusal = matches!(
                failure,
                Failure::NoEndpoint | Failure::CircuitOpen | Failure::QueueFull
            );
            is_refusal || error.origin() == Origin::Upstream
        });
        if is_of_the_backend && let Some(times) = self.failing.again() {
            tracing::warn!(target: "prox", backend, reason = ?error, times, "requests fail");
        }
    }

    /// A request is sent again, since the connection was of no use to it.
    pub(crate) fn resent(&self, endpoint: &Endpoint) {
        self.counts().resent.up();
        tracing::debug!(target: "prox", backend = self.name(), %endpoint, "sent again");
    }

    /// A request got no place at an endpoint: an event that may come with every request, and so is no warning.
    pub(crate) fn not_placed(&self, endpoint: &Endpoint, refused: Refused) {
        let backend = self.name();
        let reason = match refused {
            Refused::Full => {
                self.counts().queue_full.up();
                tracing::debug!(target: "prox", backend, %endpoint, "queue full");
                return;
            }
            Refused::TooLong => "too_long",
            Refused::End => "no_time",
        };
        self.counts().queue_timeouts.up();
        tracing::debug!(target: "prox", backend, %endpoint, reason, "waited in the queue in vain");
    }

    /// The head of a response is over a limit.
    pub(crate) fn head_over(&self, endpoint: &Endpoint, over: OverLimit) {
        self.counts().heads_over.up();
        let limit = match over {
            OverLimit::Fields(_) => "max_response_headers",
            OverLimit::Bytes(_) => "max_response_header_size",
        };
        tracing::info!(target: "prox", backend = self.name(), %endpoint, limit, allowed = over.allowed(), "head of a response over the limit");
    }

    /// A request is sent to a second endpoint, since there is no answer from this one.
    pub(crate) fn hedged(&self, slow: &Endpoint) {
        self.counts().hedged.up();
        tracing::debug!(target: "prox", backend = self.name(), endpoint = %slow, "hedged");
    }

    /// The second endpoint has answered first.
    pub(crate) fn hedge_won(&self) {
        self.counts().hedges_won.up();
        tracing::debug!(target: "prox", backend = self.name(), "hedge won");
    }

    /// A slow request goes on alone.
    pub(crate) fn not_hedged(&self, reason: NoHedge) {
        self.counts().not_hedged.up();
        tracing::debug!(target: "prox", backend = self.name(), reason = reason.name(), "not hedged");
    }

    /// A request that is to be mirrored was, or was not.
    pub(crate) fn mirrored(&self, was: bool) {
        if was {
            self.counts().mirrored.up();
            tracing::debug!(target: "prox", backend = self.name(), "mirrored");
        } else {
            self.counts().not_mirrored.up();
            tracing::debug!(target: "prox", backend = self.name(), "not mirrored");
        }
    }

    pub(super) fn tell_operator(
        &self,
        upstream: &Upstream,
        done: &'static str,
        weight: Option<u32>,
    ) {
        let (backend, endpoint) = (self.name(), &upstream.endpoint);
        tracing::info!(target: "prox", backend, %endpoint, reason = "operator", weight, "{done}");
    }
}

const fn reason(cause: Cause) -> &'static str {
    match cause {
        Cause::InARow(_) => "failures in a row",
        Cause::Unreachable(_) => "no connection, in a row",
        Cause::Silent(_) => "silence",
        Cause::Share { .. } => "share of failures",
        Cause::Probe => "probe",
    }
}
