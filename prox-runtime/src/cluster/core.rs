//! What all the handles of a cluster share, and how an endpoint is found for a try.

use std::{sync::Arc, time::Duration};

use http::request::Parts;
use tokio::time::Instant;

use super::{
    Attempt, Balancer, Caller, Lease, Outcome, Pick, RetryOptions, SlowStart, Unavailable,
    Upstream, Verdict,
    balance::{
        FULL, Roster,
        sticky::{Affinity, Belongs},
    },
    breaker::{Admission, Breaker, Ticket},
    budget::Budget,
    events::Counts,
    health::{
        self, active,
        passive::{Change, Passive},
        watch::Checks,
    },
    priority::{Mode, Standing, select},
    rng::Rng,
    view::{View, Views},
};
use crate::{client::Client, error::Failure, tls::Connector};

/// What all the handles of a cluster share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) name: String,
    pub(super) balancer: Box<dyn Balancer>,
    pub(super) upstreams: Vec<Upstream>,
    pub(super) views: Views,
    pub(super) slow_start: SlowStart,
    pub(super) breaker: Option<Breaker>,
    pub(super) affinity: Option<Affinity>,
    pub(super) checks: Option<Checks>,
    pub(super) counts: Counts,
    pub(super) budget: Budget,
    pub(super) connect_timeout: Duration,
    pub(super) connector: Option<Arc<Connector>>,
    /// Whether the gateway is not ready without it.
    pub(super) required: bool,
    /// How many connections to each endpoint are opened at the start.
    pub(super) warm: usize,
}

/// Who gets a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Seat(usize),
    /// It is ejected, and this request shows whether it is back.
    Probe(usize),
    /// It is ejected, and there is no other; if it answers well, it is back.
    Trial(usize),
    Nobody,
}

impl Core {
    /// Whether it matters who sends a request; if not, [`Caller::ANYBODY`] has sent it.
    pub(crate) fn tells_callers_apart(&self) -> bool {
        self.affinity.is_some() || self.balancer.is_keyed()
    }

    /// What is asked of a request once, before its first try; it must still be as the client sent it.
    pub(crate) fn caller(&self, parts: &mut Parts, client: &Arc<Client>) -> Caller {
        let key = if self.balancer.is_keyed() {
            parts.extensions.insert(Arc::clone(client));
            self.balancer.key(parts)
        } else {
            None
        };
        let belongs = self.affinity.as_ref();
        Caller {
            key,
            belongs: belongs.map_or(Belongs::Nowhere, |affinity| affinity.of(&parts.headers)),
        }
    }

    /// An endpoint for one try. When all have been tried, one of them is as good as another.
    ///
    /// Where it may be, it is one that was not `tried`. `retryable` says whether the request can be sent again if this try
    /// fails, or as well as any that will come: such requests probe ejected endpoints.
    ///
    /// # Errors
    ///
    /// `CircuitOpen` when the breaker refuses the try, `NoEndpoint` when no endpoint may be used.
    pub(crate) fn choose(
        self: &Arc<Self>,
        caller: &Caller,
        tried: &[usize],
        retryable: bool,
        now: Instant,
    ) -> Result<Lease, Unavailable> {
        self.start();
        let ticket = match &self.breaker {
            Some(breaker) => Some(self.admit(breaker, now)?),
            None => None,
        };
        match self.find(caller, tried, retryable, now) {
            Found::Seat(index) => Ok(Lease::new(self, index, ticket, false, now)),
            Found::Trial(index) => Ok(Lease::new(self, index, ticket, true, now)),
            Found::Probe(index) => {
                self.tell_probe(index);
                // The next probe is due at another time.
                self.refresh(now);
                Ok(Lease::new(self, index, ticket, true, now))
            }
            Found::Nobody => {
                if let (Some(breaker), Some(ticket)) = (&self.breaker, ticket) {
                    // Says nothing of the backend, and cannot change the breaker's phase.
                    breaker.record(ticket, health::Outcome::Unknown, now);
                }
                self.counts.no_endpoint.up();
                Err(Unavailable {
                    failure: Failure::NoEndpoint,
                    retry_after: None,
                })
            }
        }
    }

    /// Begins with active checks, if there are any and nobody has. Needs a runtime around it; without one, it does nothing.
    pub(crate) fn start(self: &Arc<Self>) {
        if let Some(checks) = &self.checks {
            checks.start(self);
        }
    }

    fn admit(&self, breaker: &Breaker, now: Instant) -> Result<Ticket, Unavailable> {
        match breaker.admit(now) {
            Admission::Pass(ticket) => Ok(ticket),
            Admission::Probe { ticket, first } => {
                if first {
                    self.tell_half_open();
                }
                Ok(ticket)
            }
            Admission::Refuse { retry_after } => {
                self.counts.breaker_refused.up();
                Err(Unavailable {
                    failure: Failure::CircuitOpen,
                    retry_after: Some(retry_after),
                })
            }
        }
    }

    fn find(&self, caller: &Caller, tried: &[usize], retryable: bool, now: Instant) -> Found {
        let look = |view: &View| self.look(view, caller, tried, retryable, now);
        let found = self
            .views
            .with(|view| (!view.is_due(now)).then(|| look(view)));
        found.unwrap_or_else(|| {
            self.views
                .replace(|old| old.is_due(now).then(|| self.survey(Some(old), now)));
            self.views.with(look)
        })
    }

    fn look(
        &self,
        view: &View,
        caller: &Caller,
        tried: &[usize],
        retryable: bool,
        now: Instant,
    ) -> Found {
        if let Belongs::To(index) = caller.belongs
            && view.roster.seat(index).is_some()
            && !tried.contains(&index)
        {
            return Found::Seat(index);
        }
        if view.probe_due.is_some_and(|due| now >= due)
            && let Some(index) = self.probe(view, tried, retryable, now)
        {
            return Found::Probe(index);
        }
        if let ([_], [_], []) = (&*self.upstreams, view.roster.seats(), tried) {
            return Found::Seat(0);
        }
        self.pick(view, caller, tried, now)
            .or_else(|| {
                let again = || self.pick(view, caller, &[], now);
                self.gone(view, tried)
                    .or_else(again)
                    .filter(|_| !tried.is_empty())
            })
            .map_or(Found::Nobody, |index| {
                let passive = self.upstream(index).state.passive.as_ref();
                match passive {
                    Some(passive) if passive.is_ejected() && passive.claim_trial(now) => {
                        Found::Trial(index)
                    }
                    _ => Found::Seat(index),
                }
            })
    }

    /// The last resort of a request that has tried all others: an endpoint that could not be connected to a while ago. It may be
    /// back, since a restart is quick, and if it is not, that is known at once.
    fn gone(&self, view: &View, tried: &[usize]) -> Option<usize> {
        view.ejected.iter().copied().find(|&index| {
            let passive = self.upstream(index).state.passive.as_ref();
            !tried.contains(&index) && passive.is_some_and(Passive::is_gone)
        })
    }

    /// Takes the probe of an ejected endpoint that is due.
    fn probe(&self, view: &View, tried: &[usize], retryable: bool, now: Instant) -> Option<usize> {
        view.ejected.iter().copied().find(|&index| {
            let passive = self.upstream(index).state.passive.as_ref();
            !tried.contains(&index)
                && passive.is_some_and(|passive| passive.claim_probe(retryable, now))
        })
    }

    fn pick(&self, view: &View, caller: &Caller, tried: &[usize], now: Instant) -> Option<usize> {
        let picked = Rng::with_local(|rng| {
            let pick = Pick::new(&view.roster, tried, caller.key, now, rng);
            self.balancer.pick(&pick)
        })?;
        // A policy of somebody's own may be wrong, but nobody who was taken out gets a request.
        view.roster.seat(picked).map(|_| picked)
    }

    /// Whether there is an endpoint for one more try that was not `tried`.
    pub(crate) fn has_another(&self, caller: &Caller, tried: &[usize], now: Instant) -> bool {
        self.views.with(|view| {
            self.pick(view, caller, tried, now).is_some() || self.gone(view, tried).is_some()
        })
    }

    /// An endpoint has answered well so far what was `sent` then: the policies that go by latency learn from it.
    pub(super) fn answered(&self, index: usize, sent: Instant) {
        let upstream = self.upstream(index);
        // A clock is not read for nothing.
        if self.is_watched(upstream) {
            let now = Instant::now();
            let after = now.saturating_duration_since(sent);
            upstream.load.answered(after, now);
        }
    }

    /// Says what became of a try: for the endpoint, the breaker, and the policies that go by latency.
    pub(super) fn settle(
        &self,
        index: usize,
        ticket: Option<Ticket>,
        probe: bool,
        began: Instant,
        outcome: Outcome,
    ) {
        let verdict = outcome.verdict();
        let upstream = self.upstream(index);
        if verdict.is_failure() {
            upstream.state.failed(outcome.to_string());
        }
        if !self.is_watched(upstream) && ticket.is_none() {
            return;
        }
        let now = Instant::now();
        if verdict.is_failure() {
            upstream.load.failed(now);
        }
        if let Some(passive) = &upstream.state.passive {
            let change = if probe {
                passive.settle(verdict, now)
            } else {
                // What ran out of time shows how the endpoint was when it was asked; all else, how it is now.
                let late = outcome == Outcome::Failed(Failure::ResponseTimeout);
                passive.record(verdict, if late { began } else { now }, now)
            };
            match change {
                Some(change) => self.changed(index, change, now),
                // The next request may be the probe.
                None if probe && verdict == health::Outcome::Unknown => self.refresh(now),
                None => {}
            }
        }
        if let (Some(breaker), Some(ticket)) = (&self.breaker, ticket)
            && let Some(change) = breaker.record(ticket, verdict, now)
        {
            self.tell_breaker(change);
        }
    }

    /// Whether the choice between endpoints depends on how this one answers.
    pub(super) fn is_watched(&self, upstream: &Upstream) -> bool {
        upstream.state.passive.is_some() || self.upstreams.len() > 1
    }

    /// An endpoint was ejected, or is back.
    fn changed(&self, index: usize, change: Change, now: Instant) {
        self.tell_passive(index, change);
        match change {
            Change::Returned => {
                self.upstream(index).state.warmth.chill(now);
                let mode = self.views.with(|view| view.mode);
                if matches!(mode, Mode::Panic { .. }) {
                    self.probe_all(now);
                }
            }
            Change::Ejected { .. } => {}
            Change::Spared { .. } => return,
        }
        self.refresh(now);
    }

    /// The first endpoint is back after all were ejected. Whatever ailed them may be over for the others too, and the one must
    /// not bear the load of all until their time is up.
    fn probe_all(&self, now: Instant) {
        for upstream in &self.upstreams {
            if let Some(passive) = &upstream.state.passive {
                passive.hurry(now);
            }
        }
    }

    /// An active check has changed its mind.
    pub(super) fn checked(&self, index: usize, verdict: active::Verdict, reason: &str) {
        let now = Instant::now();
        let state = &self.upstream(index).state;
        let before = state.set_checked(verdict);
        if before == verdict {
            return;
        }
        // The first check that passes is no news.
        if before != active::Verdict::Unknown || verdict == active::Verdict::Unhealthy {
            self.tell_checked(index, verdict, reason);
        }
        if before == active::Verdict::Unhealthy {
            state.warmth.chill(now);
            if let Some(change) = state
                .passive
                .as_ref()
                .and_then(|passive| passive.pardon(now))
            {
                self.tell_passive(index, change);
            }
        }
        self.refresh(now);
    }

    /// Makes a new list of who may be chosen, after something has changed.
    pub(super) fn refresh(&self, now: Instant) {
        self.views.replace(|old| Some(self.survey(Some(old), now)));
    }

    fn survey(&self, old: Option<&View>, now: Instant) -> View {
        let view = survey(&self.upstreams, &*self.balancer, &self.slow_start, old, now);
        if let Some(old) = old {
            self.tell_mode(old.mode, view.mode);
        }
        view
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn affinity(&self) -> Option<&Affinity> {
        self.affinity.as_ref()
    }

    /// A request has come.
    pub(crate) fn deposit(&self, now: Instant) {
        self.budget.deposit(now);
    }

    /// Whether a try that failed is made again.
    pub(crate) fn decide(&self, options: &RetryOptions, attempt: &Attempt<'_>) -> Verdict {
        let now = Instant::now();
        Rng::with_local(|rng| options.decide(attempt, &self.budget, now, rng))
    }

    pub(crate) fn upstream(&self, index: usize) -> &Upstream {
        &self.upstreams[index]
    }

    pub(crate) fn count(&self) -> usize {
        self.upstreams.len()
    }

    /// How many connections to each endpoint each worker opens at its start.
    pub(crate) fn warm(&self) -> usize {
        self.warm
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// How TLS is spoken with this endpoint; nothing when it speaks none.
    pub(crate) fn connector(&self, index: usize) -> Option<&Arc<Connector>> {
        self.connector
            .as_ref()
            .filter(|_| self.upstream(index).endpoint.is_secure())
    }
}

/// Looks at all endpoints, and lists those that may be chosen. What the balancer has prepared is kept if they are the same.
pub(super) fn survey(
    upstreams: &[Upstream],
    balancer: &dyn Balancer,
    slow_start: &SlowStart,
    old: Option<&View>,
    now: Instant,
) -> View {
    let standings: Vec<Standing> = upstreams
        .iter()
        .map(|upstream| {
            upstream
                .state
                .standing(upstream.endpoint.group(), slow_start, now)
        })
        .collect();
    let (mode, seats) = select(&standings);
    let same = |roster: &Roster| {
        let known = roster.seats().iter();
        known
            .map(|seat| (seat.index(), seat.weight()))
            .eq(seats.iter().copied())
    };
    let roster = match old {
        Some(old) if same(&old.roster) => Arc::clone(&old.roster),
        _ => {
            let seats = seats
                .iter()
                .map(|&(index, weight)| upstreams[index].seat(index, weight));
            Arc::new(Roster::new(upstreams.len(), seats.collect(), balancer))
        }
    };
    // A group that nobody uses is left in peace, until it is needed.
    let is_near = |standing: &Standing| match mode {
        Mode::Usable { priority } => standing.priority <= priority,
        Mode::Panic { .. } | Mode::Nobody => true,
    };
    let ejected: Box<[usize]> = standings
        .iter()
        .enumerate()
        .filter(|(_, standing)| standing.is_possible() && standing.ejected && is_near(standing))
        .map(|(index, _)| index)
        .collect();
    let due = |&index: &usize| upstreams[index].state.passive.as_ref()?.probe_due();
    View {
        probe_due: ejected.iter().filter_map(due).min(),
        ejected,
        step_due: standings
            .iter()
            .any(|standing| standing.warmth < FULL)
            .then(|| now + STEP),
        roster,
        mode,
    }
}

/// How often the share of an endpoint that starts slowly grows.
const STEP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
