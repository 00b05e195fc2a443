//! What all the handles of a cluster share, and how an endpoint is found for a try.

use std::{sync::Arc, time::Duration};

use http::request::Parts;
use tokio::{sync::watch, time::Instant};

use super::{
    Attempt, Balancer, Caller, Endpoint, EndpointState, Lease, Outcome, Pick, RetryOptions,
    SlowStart, Unavailable, Upstream, Verdict,
    balance::{
        FULL, Roster, Seat,
        sticky::{Affinity, Belongs},
    },
    breaker::{Admission, Breaker, Ticket},
    budget::Budget,
    credentials::Source,
    discover::Discovery,
    endpoint::Blueprint,
    events::Counts,
    health::{
        self, active,
        passive::{self, Passive, silence},
        watch::Checks,
    },
    lease::Hold,
    members::{Change, Members},
    priority::{Mode, Standing, select},
    rng::Rng,
    view::{Replaced, View, Views},
};
use crate::{
    client::Client, error::Failure, metrics::Tries, observe::seldom::Seldom, time::whole_nanos,
};

/// What all the handles of a cluster share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) balancer: Box<dyn Balancer>,
    pub(super) views: Views,
    /// Whether there is, or may be, more than one endpoint.
    pub(super) balances: bool,
    pub(super) blueprint: Blueprint,
    pub(super) slow_start: SlowStart,
    pub(super) breaker: Option<Breaker>,
    pub(super) checks: Option<Checks>,
    /// Where endpoints come and go; where they do not, those of the first view are there for ever.
    pub(super) discovery: Option<Discovery>,
    pub(super) counts: Arc<Counts>,
    pub(super) budget: Budget,
    pub(super) connect_timeout: Duration,
    /// Whether the gateway is not ready without it.
    pub(super) required: bool,
    /// How many connections to each endpoint are opened before it gets requests.
    pub(super) warm: usize,
    pub(super) tries: Tries,
    /// Tells of requests that fail, once in a while.
    pub(super) failing: Seldom,
}

/// Who gets a try.
enum Found {
    Seat(Hold),
    /// It is ejected, and this request shows whether it is back.
    Probe(Hold),
    /// It is ejected, and there is no other; if it answers well, it is back.
    Trial(Hold),
    Nobody,
}

impl Core {
    /// Whether it matters who sends a request; if not, [`Caller::ANYBODY`] has sent it.
    pub(crate) fn tells_callers_apart(&self) -> bool {
        self.affinity().is_some() || self.balancer.is_keyed()
    }

    /// What is asked of a request once, before its first try; it must still be as the client sent it.
    pub(crate) fn caller(&self, parts: &mut Parts, client: &Arc<Client>) -> Caller {
        let key = if self.balancer.is_keyed() {
            parts.extensions.insert(Arc::clone(client));
            self.balancer.key(parts)
        } else {
            None
        };
        let belongs = |affinity: &Affinity| {
            self.views.with(|view| {
                let known = |value| view.members.bound(value).is_some();
                affinity.of(&parts.headers, known)
            })
        };
        Caller {
            key,
            belongs: self.affinity().map_or(Belongs::Nowhere, belongs),
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
            Found::Seat(hold) => Ok(Lease::new(self, hold, ticket, false, now)),
            Found::Trial(hold) => Ok(Lease::new(self, hold, ticket, true, now)),
            Found::Probe(hold) => {
                let lease = Lease::new(self, hold, ticket, true, now);
                self.tell_probe(lease.upstream());
                // The next probe is due at another time.
                self.refresh(now);
                Ok(lease)
            }
            Found::Nobody => {
                if let (Some(breaker), Some(ticket)) = (&self.breaker, ticket) {
                    // Says nothing of the backend, and cannot change the breaker's phase.
                    breaker.record(ticket, health::Outcome::Unknown, now);
                }
                self.tell_nobody();
                Err(Unavailable {
                    failure: Failure::NoEndpoint,
                    retry_after: None,
                })
            }
        }
    }

    /// Begins to find endpoints and to check them, if it has to and nobody has. Needs a runtime around it; without one, it does
    /// nothing.
    pub(crate) fn start(self: &Arc<Self>) {
        if let Some(discovery) = &self.discovery {
            discovery.start(self);
        }
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
                self.tell_refused(retry_after);
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
            self.change(|old| old.is_due(now).then(|| self.survey(old, now)));
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
        let hold = |index| self.hold(view, index);
        if let Belongs::To(value) = caller.belongs
            && let Some(index) = view.members.bound(value)
            && view.roster.seat(index).is_some()
            && !tried.contains(&index)
        {
            return hold(index).map_or(Found::Nobody, Found::Seat);
        }
        if view.probe_due.is_some_and(|due| now >= due)
            && let Some(index) = probe(view, tried, retryable, now)
        {
            return hold(index).map_or(Found::Nobody, Found::Probe);
        }
        if let (1, [seat], []) = (view.members.count(), view.roster.seats(), tried) {
            return hold(seat.index()).map_or(Found::Nobody, Found::Seat);
        }
        self.pick(view, caller, tried, now)
            .or_else(|| {
                let again = || self.pick(view, caller, &[], now);
                gone(view, tried)
                    .or_else(again)
                    .filter(|_| !tried.is_empty())
            })
            .and_then(|index| {
                let passive = view.members.find(index)?.state.passive.as_ref();
                let hold = hold(index)?;
                Some(match passive {
                    Some(passive) if passive.is_ejected() && passive.claim_trial(now) => {
                        Found::Trial(hold)
                    }
                    _ => Found::Seat(hold),
                })
            })
            .unwrap_or(Found::Nobody)
    }

    /// Keeps an endpoint of this view for a try, wherever the cluster may be when that ends.
    fn hold(&self, view: &View, index: usize) -> Option<Hold> {
        if self.discovery.is_some() {
            view.members.find(index).cloned().map(Hold::Moving)
        } else {
            Some(Hold::Fixed(index))
        }
    }

    /// The endpoint with this number in a cluster whose endpoints never change.
    pub(super) fn fixed(&self, index: usize) -> &Arc<Upstream> {
        let members = &self.views.first().members;
        members
            .find(index)
            .expect("a number that was chosen is that of an endpoint, and all of them stay")
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
    ///
    /// The policy is not asked: the answer would be a choice that nobody uses, and a round robin would pass an endpoint over.
    pub(crate) fn has_another(&self, tried: &[usize]) -> bool {
        self.views.with(|view| {
            let mut seats = view.roster.seats().iter();
            seats.any(|seat| !tried.contains(&seat.index())) || gone(view, tried).is_some()
        })
    }

    /// A connection to an endpoint was opened, which took so long.
    pub(crate) fn connected(&self, took: Duration) {
        self.tries.connected(whole_nanos(took));
    }

    /// A request has waited so long for a place at an endpoint.
    pub(crate) fn queued(&self, waited: Duration) {
        self.tries.queued(whole_nanos(waited));
    }

    /// Whether the breaker refuses all requests except probes. `None` if the cluster has no breaker.
    pub(super) fn is_open(&self) -> Option<bool> {
        self.breaker.as_ref().map(Breaker::is_open)
    }

    /// An endpoint has answered well so far what was `sent` then: the policies that go by latency learn from it, and it is not silent.
    pub(super) fn answered(&self, upstream: &Upstream, sent: Instant, probe: bool, now: Instant) {
        if self.is_watched(upstream) {
            let after = now.saturating_duration_since(sent);
            upstream.load.answered(after, now);
            if let Some(passive) = &upstream.state.passive
                && let Some(change) = passive.answered(sent, probe, now)
            {
                self.changed(upstream, change, now);
            }
        }
    }

    /// Whether the endpoint is out of use because of its silence; a request has waited there for `limit`, and asks.
    pub(super) fn is_silent(&self, upstream: &Upstream, limit: Duration, now: Instant) -> bool {
        let Some(passive) = &upstream.state.passive else {
            return false;
        };
        if passive.is_ejected() {
            return passive.is_silent();
        }
        let Some(waiting) = passive.suspect(limit, now) else {
            return false;
        };
        let is_proven = self.views.with(|view| {
            let others = view.roster.seats().iter().map(Seat::index);
            let others = others.filter(|&index| index != upstream.index());
            silence::is_proven(others.filter_map(|index| {
                let other = view.members.find(index)?.state.passive.as_ref()?;
                Some(other.witness(limit, now))
            }))
        });
        if is_proven && let Some(change) = passive.silent(waiting, limit, now) {
            upstream.state.failed("silence");
            self.changed(upstream, change, now);
        }
        passive.is_silent()
    }

    /// Says what became of a try: for the endpoint, the breaker, and the policies that go by latency.
    pub(super) fn settle(
        &self,
        upstream: &Upstream,
        ticket: Option<Ticket>,
        probe: bool,
        began: Instant,
        outcome: Outcome,
    ) {
        let verdict = outcome.verdict();
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
            if matches!(outcome, Outcome::Status(_)) && verdict.is_failure() {
                passive.heard(now);
            }
            let change = if probe {
                passive.settle(verdict, now)
            } else {
                // What ran out of time shows how the endpoint was when it was asked; all else, how it is now.
                let late = outcome == Outcome::Failed(Failure::ResponseTimeout);
                passive.record(verdict, if late { began } else { now }, now)
            };
            match change {
                Some(change) => self.changed(upstream, change, now),
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
        upstream.state.passive.is_some() || self.balances
    }

    /// A probe of the breaker was answered well. That is its verdict: it does not wait for the end of a response that may be
    /// a stream.
    pub(super) fn passed(&self, ticket: Ticket) {
        if let Some(breaker) = &self.breaker
            && let Some(change) = breaker.record(ticket, health::Outcome::Good, Instant::now())
        {
            self.tell_breaker(change);
        }
    }

    /// An endpoint was ejected, or is back.
    fn changed(&self, upstream: &Upstream, change: passive::Change, now: Instant) {
        self.tell_passive(upstream, change);
        match change {
            passive::Change::Returned => {
                upstream.state.warmth.chill(now);
                let mode = self.views.with(|view| view.mode);
                if matches!(mode, Mode::Panic { .. }) {
                    self.probe_all(now);
                }
            }
            passive::Change::Ejected { .. } => {}
            passive::Change::Spared { .. } => return,
        }
        self.refresh(now);
    }

    /// The first endpoint is back after all were ejected. Whatever ailed them may be over for the others too, and the one must
    /// not bear the load of all until their time is up.
    fn probe_all(&self, now: Instant) {
        for upstream in self.members().iter() {
            if let Some(passive) = &upstream.state.passive {
                passive.hurry(now);
            }
        }
    }

    /// An active check has changed its mind.
    pub(super) fn checked(&self, upstream: &Upstream, verdict: active::Verdict, reason: &str) {
        let now = Instant::now();
        let state = &upstream.state;
        let before = state.set_checked(verdict);
        if before == verdict {
            return;
        }
        // The first check that passes is no news.
        if before != active::Verdict::Unknown || verdict == active::Verdict::Unhealthy {
            self.tell_checked(upstream, verdict, reason);
        }
        if before == active::Verdict::Unhealthy {
            state.warmth.chill(now);
            if let Some(change) = state
                .passive
                .as_ref()
                .and_then(|passive| passive.pardon(now))
            {
                self.tell_passive(upstream, change);
            }
        }
        self.refresh(now);
    }

    /// Whether its endpoints are still to be found.
    pub(crate) fn is_awaited(&self) -> bool {
        let discovery = self.discovery.as_ref();
        discovery.is_some_and(|discovery| !discovery.has_found())
    }

    /// Waits until its first endpoints are found, for so long.
    ///
    /// # Cancel safety
    ///
    /// Whoever does not wait any more changes nothing.
    pub(crate) async fn found(self: &Arc<Self>, limit: Duration) {
        if let Some(discovery) = &self.discovery {
            discovery.start(self);
            discovery.first(limit).await;
        }
    }

    /// Puts these endpoints in the place of those that it has.
    ///
    /// # Errors
    ///
    /// Why they stay.
    pub(super) fn install(&self, endpoints: &[Endpoint]) -> Result<(), String> {
        if endpoints.is_empty() {
            return Err("there are no endpoints".into());
        }
        if endpoints.len() > MOST_ENDPOINTS {
            return Err(format!("there are more than {MOST_ENDPOINTS} endpoints"));
        }
        self.blueprint.prepare(endpoints)?;
        let mut change: Option<Change> = None;
        let is_replaced = self.change(|old| {
            // What has shifted has, and is not found a second time.
            let shifted = change.take().is_some_and(|before| before.shifted);
            let (view, changed) = self.moved(old, endpoints, shifted, Instant::now())?;
            change = Some(changed);
            Some(view)
        });
        let change = change.filter(|_| is_replaced);
        if let Some(change) = change {
            for upstream in &change.left {
                upstream.state.leave();
                upstream.pool.close();
            }
            self.tell_members(&change);
        }
        if let Some(discovery) = &self.discovery
            && discovery.succeeded()
        {
            self.tell_discovered();
        }
        Ok(())
    }

    /// The view of another set of endpoints, if something has changed.
    fn moved(
        &self,
        old: &View,
        endpoints: &[Endpoint],
        shifted: bool,
        now: Instant,
    ) -> Option<(View, Change)> {
        let is_first = old.members.count() == 0;
        let mut change = old.members.changed(endpoints, |index, endpoint| {
            let upstream = self.blueprint.make(index, endpoint, now);
            if !is_first {
                upstream.state.warmth.chill(now);
            }
            upstream
        });
        change.shifted |= shifted;
        if change.is_none() {
            return None;
        }
        let view = survey(
            &change.members,
            &*self.balancer,
            &self.slow_start,
            Some(old),
            now,
        );
        Some((view, change))
    }

    /// Its endpoints cannot be found at the moment.
    pub(super) fn undiscovered(&self, reason: &str) {
        let news = self.discovery.as_ref().is_some_and(Discovery::failed);
        self.tell_undiscovered(reason, news);
    }

    /// Makes a new list of who may be chosen, after something has changed.
    pub(super) fn refresh(&self, now: Instant) {
        self.change(|old| Some(self.survey(old, now)));
    }

    /// Puts another view in place of the one that holds, and says whether it did.
    fn change(&self, next: impl FnMut(&View) -> Option<View>) -> bool {
        let replaced = self.views.replace(next);
        if let Some(Replaced { old, new }) = &replaced {
            self.tell_mode(old.mode, new.mode);
        }
        replaced.is_some()
    }

    fn survey(&self, old: &View, now: Instant) -> View {
        survey(
            &old.members,
            &*self.balancer,
            &self.slow_start,
            Some(old),
            now,
        )
    }

    /// The endpoints that it has now.
    pub(crate) fn members(&self) -> Arc<Members> {
        self.views.with(|view| Arc::clone(&view.members))
    }

    /// These endpoints as they stand.
    pub(super) fn states(&self, members: &Members) -> Vec<EndpointState> {
        let state = |upstream: &Arc<Upstream>| EndpointState::of(upstream, &self.slow_start);
        members.iter().map(state).collect()
    }

    pub(crate) fn name(&self) -> &str {
        &self.blueprint.backend
    }

    /// The name, for who keeps it.
    pub(crate) fn label(&self) -> &Arc<str> {
        &self.blueprint.backend
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What its endpoints are shown, if they are shown anything.
    pub(crate) fn credentials(&self) -> Option<&Source> {
        self.blueprint.credentials.as_ref()
    }

    pub(super) fn affinity(&self) -> Option<&Affinity> {
        self.blueprint.affinity.as_ref()
    }

    /// A request has come.
    pub(crate) fn deposit(&self, now: Instant) {
        self.budget.deposit(now);
    }

    /// Whether a try at this endpoint is made again, which has failed in this way.
    pub(crate) fn decide(
        &self,
        options: &RetryOptions,
        attempt: &Attempt<'_>,
        endpoint: &Endpoint,
        failure: &str,
    ) -> Verdict {
        let now = Instant::now();
        let verdict = Rng::with_local(|rng| options.decide(attempt, &self.budget, now, rng));
        self.tell_retry(endpoint, failure, verdict);
        verdict
    }

    /// Tells of each set of endpoints that is found, where they come and go.
    pub(crate) fn sets(&self) -> Option<watch::Receiver<u64>> {
        self.discovery.as_ref().map(Discovery::subscribe)
    }

    /// How many connections to each endpoint each worker opens when it starts, or the endpoint comes.
    pub(crate) fn warm(&self) -> usize {
        self.warm
    }

    pub(crate) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }
}

/// Takes the probe of an ejected endpoint that is due.
fn probe(view: &View, tried: &[usize], retryable: bool, now: Instant) -> Option<usize> {
    view.ejected.iter().copied().find(|&index| {
        let claim = |upstream: &Arc<Upstream>| {
            let passive = upstream.state.passive.as_ref();
            passive.is_some_and(|passive| passive.claim_probe(retryable, now))
        };
        !tried.contains(&index) && view.members.find(index).is_some_and(claim)
    })
}

/// The last resort of a request that has tried all others: an endpoint that could not be connected to a while ago. It may be
/// back, since a restart is quick, and if it is not, that is known at once.
fn gone(view: &View, tried: &[usize]) -> Option<usize> {
    view.ejected.iter().copied().find(|&index| {
        let is_gone = |upstream: &Arc<Upstream>| {
            let passive = upstream.state.passive.as_ref();
            passive.is_some_and(Passive::is_gone)
        };
        !tried.contains(&index) && view.members.find(index).is_some_and(is_gone)
    })
}

/// Looks at all endpoints, and lists those that may be chosen. What the balancer has prepared is kept if they are the same.
pub(super) fn survey(
    members: &Arc<Members>,
    balancer: &dyn Balancer,
    slow_start: &SlowStart,
    old: Option<&View>,
    now: Instant,
) -> View {
    let mut standings = vec![Standing::nobody(); members.end()];
    for upstream in members.iter() {
        standings[upstream.index()] = upstream.state.standing(slow_start, now);
    }
    let (mode, seats) = select(&standings);
    let same = |old: &View| {
        let known = old.roster.seats().iter();
        Arc::ptr_eq(&old.members, members)
            && known
                .map(|seat| (seat.index(), seat.weight()))
                .eq(seats.iter().copied())
    };
    let roster = match old {
        Some(old) if same(old) => Arc::clone(&old.roster),
        _ => {
            let seats = seats
                .iter()
                .filter_map(|&(index, weight)| Some(members.find(index)?.seat(weight)));
            Arc::new(Roster::new(members.end(), seats.collect(), balancer))
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
    let due = |&index: &usize| members.find(index)?.state.passive.as_ref()?.probe_due();
    View {
        members: Arc::clone(members),
        probe_due: ejected.iter().filter_map(due).min(),
        ejected,
        step_due: standings
            .iter()
            .any(|standing| standing.warmth < FULL)
            .then(|| {
                let planned = old.and_then(|old| old.step_due);
                planned.filter(|&due| due > now).unwrap_or(now + STEP)
            }),
        roster,
        mode,
    }
}

/// A set of more endpoints is taken for a mistake, or an attack: each of them costs memory.
pub(super) const MOST_ENDPOINTS: usize = 4096;

/// How often the share of an endpoint that starts slowly grows.
const STEP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
