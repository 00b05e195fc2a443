//! Sends a request on to a cluster, and its response back.

mod again;
mod body;
mod hedge;
mod mirror;
mod public;
mod streamed;
mod tunnel;
mod upload;
mod waiting;
mod warm;

use std::{sync::Arc, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header, uri::PathAndQuery,
};
use http_body::Body as _;
use tokio::time::Instant;

pub(crate) use self::warm::warm;
use self::{
    again::Spare,
    body::Exchange,
    hedge::Race,
    streamed::StreamedBody,
    tunnel::Upgrade,
    upload::Upload,
    waiting::{Silence, Waiting},
};
use crate::{
    body::Body,
    client::Client,
    cluster::{
        Attempt, Caller, Cluster, Core, Endpoint, Failed, Lease, Outcome, Permit, Policy, Queue,
        QueueRefused as Refused, RetryAfter, Unavailable, Upstream, Verdict,
    },
    connect::{Opened, Protocol},
    error::{Error, Failure},
    forward::{
        forwarded, grpc,
        headers::{self, Present},
        length, max_forwards, pattern,
    },
    handler::{Handler, Request, Response},
    observe::traces::{To, Trace},
    pool::{self, Connection, Download, Granted, Stream},
    respond,
    route::Matched,
    time::{polled, standstill, whole_nanos, whole_seconds},
    watch::Tally,
};

/// A cluster as the target of a route.
#[derive(Clone, Debug)]
pub(crate) struct Proxy(Cluster);

/// What is known of a request besides itself.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) client: &'a Arc<Client>,
    /// How its route matched, where that matters.
    pub(crate) matched: Option<&'a Matched>,
    /// Takes down what becomes of it; nothing for a copy.
    pub(crate) tally: Option<&'a Tally>,
    /// The trace of the request that this is a copy of, if it is one, and recorded.
    pub(crate) copied: Option<&'a Trace>,
}

/// What a request is sent on: a connection of its own, or a stream of a shared one.
enum Carrier {
    Http1(Box<Connection>),
    Http2(Stream),
}

/// The head of a response, and where its body is to come from.
enum Answer {
    Http1(http::Response<hyper::body::Incoming>, Box<Connection>),
    Http2(http::Response<()>, Download),
}

impl Carrier {
    /// Whether nobody had to wait for it.
    fn is_at_hand(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_used(),
            Self::Http2(_) => false,
        }
    }
}

impl Answer {
    fn status(&self) -> StatusCode {
        match self {
            Self::Http1(response, _) => response.status(),
            Self::Http2(response, _) => response.status(),
        }
    }

    fn retry_after(&self) -> RetryAfter {
        RetryAfter::of(match self {
            Self::Http1(response, _) => response.headers(),
            Self::Http2(response, _) => response.headers(),
        })
    }
}

/// A request that is sent again, since its upstream has not processed it.
#[derive(Clone, Copy)]
struct Again {
    /// The number of its endpoint.
    at: usize,
    /// The number of the shared connection there that refused it.
    avoid: Option<u64>,
    /// How often it was sent again before.
    times: u32,
    /// When it was refused first.
    since: Instant,
}

/// What the client must be told in its own way, beyond the response itself.
#[derive(Clone, Copy)]
struct Asked {
    end: Option<Instant>,
    /// Whether the client itself has less time for it than the route.
    hurried: bool,
    /// Whether it calls by gRPC, over HTTP/2, where trailers always arrive.
    grpc: bool,
    /// Whether the upstream is told, as `grpc-timeout`, how much time is left.
    timed: bool,
}

impl Asked {
    /// `grpc`: whether the request is one of gRPC.
    fn by(req: &Request, grpc: bool, policy: &Policy, started: Instant) -> Self {
        let mut limit = policy.timeout;
        let mut hurried = false;
        let mut timed = false;
        if grpc {
            let patience = grpc::timeout(req.headers());
            hurried = patience.is_some_and(|patience| limit.is_none_or(|limit| patience < limit));
            limit = limit.into_iter().chain(patience).min();
            timed = limit.is_some();
        }
        let grpc = grpc && req.version() == Version::HTTP_2;
        let end = limit.map(|limit| started + limit);
        Self {
            end,
            hurried,
            grpc,
            timed,
        }
    }

    /// Tells the upstream of a gRPC call how much of its time is left for a try that is sent now.
    fn tell(&self, headers: &mut HeaderMap, now: Instant) {
        if self.timed
            && let Some(end) = self.end
        {
            grpc::set_timeout(headers, end.saturating_duration_since(now));
        }
    }

    /// What the failure of a try says about the endpoint: nothing, when the client did not want to wait any longer.
    ///
    /// `due` is when its time was over.
    fn outcome(&self, error: &Error, due: Option<Instant>) -> Outcome {
        let is_over = || self.end.is_some_and(|end| end <= Instant::now());
        match error.as_failure() {
            Some(_) if error.is_timeout() && self.hurried && is_over() => Outcome::Left,
            Some(failure)
                if error.is_timeout()
                    && due.is_some_and(|due| standstill::is_late(due, Instant::now())) =>
            {
                Outcome::Late(failure)
            }
            Some(failure) => Outcome::Failed(failure),
            None => Outcome::Left,
        }
    }
}

impl Proxy {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self(cluster)
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.0
    }

    /// Whether something may read the extensions of a request that layers have written: a function of the user that chooses the
    /// endpoint, here or of a mirror.
    pub(crate) fn reads_extensions(&self) -> bool {
        self.0.core().tells_callers_apart() || !self.0.policy().mirrors.is_empty()
    }

    /// Whether it has to be told how the route matched.
    pub(crate) fn needs_match(&self) -> bool {
        self.0.needs_match()
    }

    /// Answers a request, which it takes, with the response of an upstream, or with one from the failure table.
    ///
    /// The request has no fields of a connection any more. `present` tells of its other fields.
    ///
    /// # Cancel safety
    ///
    /// When the future or the response's body is dropped, the upstream's connection is closed.
    pub(crate) async fn forward(
        &self,
        req: &mut Request,
        present: Present,
        around: Around<'_>,
    ) -> Response {
        let (options, trace) = (
            req.method() == Method::OPTIONS,
            req.method() == Method::TRACE,
        );
        if (options || trace) && !max_forwards::goes_on(req.headers_mut()) {
            return last_stop(options);
        }
        for mirror in &self.0.policy().mirrors {
            mirror::tap(mirror, &self.0, req, around);
        }
        let grpc = present.has_content_type() && respond::is_grpc(req.headers());
        let answer = match &self.0.policy().hedge {
            Some(hedging) => hedge::exchange(self, hedging, req, grpc, around).await,
            None => self.exchange(req, present, grpc, around, None).await,
        };
        match answer {
            Ok(response) => response,
            Err(error) => {
                self.0.core().tell_failed(&error);
                respond::failure(error.as_failure().unwrap_or(Failure::Internal), grpc)
            }
        }
    }

    #[expect(
        clippy::too_many_lines,
        reason = "one try after the other, and all that they share"
    )]
    async fn exchange(
        &self,
        req: &mut Request,
        present: Present,
        grpc: bool,
        around: Around<'_>,
        race: Option<&Race>,
    ) -> Result<Response, Error> {
        let Around {
            client,
            matched,
            tally,
            copied,
        } = around;
        let trace = tally.and_then(Tally::trace).or_else(|| copied.cloned());
        let started = race.map_or_else(Instant::now, |race| race.started);
        if let Some(tally) = tally {
            tally.began(started);
        }
        let detailed = tally.filter(|tally| tally.is_detailed());
        let policy = self.0.policy();
        let core = self.0.core();
        let avoid = race.and_then(|race| race.avoid);
        if avoid.is_none() {
            core.deposit(started);
        }
        let asked = Asked::by(req, grpc, policy, started);
        let end = asked.end;
        let mut began = avoid.map_or(started, |_| Instant::now());
        if core.is_awaited() {
            Box::pin(core.found(self.patience(end))).await;
            began = Instant::now();
        }
        let caller = if core.tells_callers_apart() {
            caller(core, req, client)
        } else {
            Caller::ANYBODY
        };
        let upgrade = tunnel::asked(req);
        if policy.forwarded {
            forwarded::add(req.headers_mut(), client);
        }
        *req.version_mut() = Version::HTTP_11;
        req.extensions_mut().clear();
        let public = policy
            .public_address
            .then(|| Box::new(public::Asked::by(req, client, matched)));
        // An upstream sends a `TRACE` back with all that is in it.
        let credentials = core
            .credentials()
            .map(|source| source.field(req.headers_mut()))
            .filter(|_| *req.method() != Method::TRACE);
        let mut spare = (upgrade.is_none() && policy.retry.keeps_bodies_of(req.method()))
            .then(|| Spare::of(req))
            .flatten();
        // Where nothing is ever tried again, no request comes that is a better probe.
        let probes = spare.is_some() || !policy.retry.is_on();
        let method = req.method().clone();
        let mut upload = outgoing(req, present.has_expect());

        // The path and the query as the route has them, once an endpoint needs others than the client has sent.
        let mut path = None;
        let mut tried: Vec<usize> = avoid.into_iter().collect();
        let (mut retries, mut moves) = (0, 0);
        // Endpoints to which no connection came about: what is kept there is of no use.
        let mut gone: Vec<usize> = Vec::new();
        let mut again: Option<Again> = None;
        // The same try goes on when a kept connection turns out to be dead.
        let mut kept: Option<Lease> = None;
        loop {
            let is_new = kept.is_none();
            let mut lease = match kept.take() {
                Some(lease) => lease,
                None => match core.choose(&caller, &tried, probes, began) {
                    Ok(lease) => lease,
                    Err(refused) => return Ok(unavailable(refused, grpc)),
                },
            };
            let index = lease.index();
            if let Some(race) = race {
                race.is_at(lease.upstream());
            }
            if let Some(tally) = detailed {
                tally.tries_at(core.label(), lease.upstream().label());
            }
            if is_new {
                let permit = match lease.upstream().queue() {
                    None => None,
                    Some(queue) => match queue.try_enter() {
                        Some(permit) => Some(permit),
                        // The future is large, and few requests wait.
                        None => Some(Box::pin(place(core, lease.upstream(), queue, end)).await?),
                    },
                };
                if permit.is_some() {
                    // The wait in line is not part of the try.
                    let turn = Instant::now();
                    if let Some(tally) = detailed {
                        tally.waited(turn - began);
                    }
                    began = turn;
                    if lease.upstream().has_left() {
                        continue;
                    }
                }
                lease.hold(permit);
                if let Some(trace) = &trace {
                    let to = To {
                        method: &method,
                        backend: core.label(),
                        endpoint: lease.upstream().label(),
                        is_copy: copied.is_some(),
                    };
                    lease.record(trace.try_at(to, req.headers_mut()));
                }
            }
            // The end of this try, and of the request as a whole.
            let until = policy
                .retry
                .try_limit(None, began)
                .map(|limit| began + limit);
            let soonest = until.into_iter().chain(end).min();
            let mut attempt = Attempt {
                method: &method,
                failed: Failed::Connect,
                retries,
                moves,
                body_again: spare.as_ref().is_some_and(Spare::is_whole),
                another_endpoint: false,
                end,
            };
            if let Some(field) = &credentials
                && let Err(error) = self
                    .authorize(req, field, &lease, &mut began, soonest)
                    .await
            {
                lease.settle(asked.outcome(&error, None));
                return Err(error);
            }
            let refused = again.filter(|again| again.at == index);
            let carrier = match self
                .carrier(
                    lease.upstream(),
                    refused,
                    gone.contains(&index),
                    began,
                    soonest,
                )
                .await
            {
                Ok(carrier) => carrier,
                Err(error) => {
                    let limit = began + core.connect_timeout();
                    let due = soonest.map_or(limit, |end| end.min(limit));
                    lease.settle(asked.outcome(&error, Some(due)));
                    let endpoint = lease.upstream().endpoint.clone();
                    drop(lease);
                    tried.push(index);
                    attempt.another_endpoint = core.has_another(&tried);
                    // Nothing was sent, so any request may be tried again.
                    self.pause(&attempt, &endpoint, error).await?;
                    count(&attempt, &mut retries, &mut moves);
                    gone.push(index);
                    again = None;
                    began = Instant::now();
                    continue;
                }
            };
            if let Some(tally) = detailed {
                tally.connected(started);
            }
            self.address(req, lease.upstream(), &mut path, matched)?;
            if let Some(span) = lease.recorded() {
                span.sends(req.uri(), matches!(carrier, Carrier::Http2(_)));
            }
            let sent = if carrier.is_at_hand() && lease.upstream().queue().is_none() {
                began
            } else {
                Instant::now()
            };
            asked.tell(req.headers_mut(), sent);
            let secure = lease.upstream().endpoint.is_secure();
            let mut waiting = Waiting {
                state: Silence::new(&lease, policy),
                core,
                policy,
                lease: &mut lease,
                upload: &upload,
                spare: spare.as_mut(),
                attempt,
                sent,
                end: soonest,
            };
            let (failed, avoid) = match carrier {
                Carrier::Http1(mut connection) => {
                    if let Some(upgrade) = &upgrade {
                        upgrade.ask(req.headers_mut());
                    }
                    connection.asks_to_switch(upgrade.is_some());
                    match connection.send(std::mem::take(req), &mut waiting).await {
                        Ok(response) => (Ok(Answer::Http1(response, connection)), None),
                        Err(failed) => (Err(failed), None),
                    }
                }
                Carrier::Http2(stream) => {
                    let number = stream.number();
                    if let Some(upgrade) = &upgrade {
                        upgrade.ask_for_stream(req.headers_mut());
                    }
                    let sending = stream.send(std::mem::take(req), secure, &mut waiting);
                    match sending.await {
                        Ok((head, download)) => (Ok(Answer::Http2(head, download)), None),
                        Err(failed) => (Err(failed), Some(number)),
                    }
                }
            };
            let (leaves, due) = (waiting.leaves(), waiting.due());
            attempt.body_again = spare.as_ref().is_some_and(Spare::is_whole);
            let error = match failed {
                Ok(answer) => {
                    let now = polled::read();
                    let took = tally.map_or_else(
                        || whole_nanos(now.saturating_duration_since(sent)),
                        |tally| tally.has_head(sent, started, now),
                    );
                    let status = answer.status();
                    lease.answered(status, sent, now, took);
                    let verdict = policy.retry.is_for(status).then(|| {
                        attempt.failed = Failed::Status(status, answer.retry_after());
                        let endpoint = &lease.upstream().endpoint;
                        core.decide(&policy.retry, &attempt, endpoint, status.as_str())
                    });
                    let Some(Verdict::Retry { wait }) = verdict else {
                        let cookie = lease.cookie(&caller, client.scheme() == "https");
                        let endpoint = public.as_ref().map(|_| lease.upstream().endpoint.clone());
                        let mut response =
                            self.pass(answer, upgrade.as_ref(), lease, asked, tally)?;
                        if let (Some(public), Some(endpoint)) = (&public, &endpoint) {
                            public.apply(response.headers_mut(), policy, endpoint);
                        }
                        if let Some(cookie) = cookie {
                            response.headers_mut().append(header::SET_COOKIE, cookie);
                        }
                        return Ok(response);
                    };
                    // The wait takes no place at the endpoint, and no connection.
                    self.discard(answer, lease, end);
                    tokio::time::sleep(wait).await;
                    Error::failure(Failure::Reset)
                }
                Err(mut failed) => {
                    // The first loss at an endpoint is free: the connection may have been closed as the request left (RFC 9112, 9.3.1).
                    let is_first = failed.lost && failed.again.is_none() && refused.is_none();
                    if is_first && let Some(mut whole) = spare.as_ref().and_then(Spare::take) {
                        upload = outgoing(&mut whole, present.has_expect());
                        if let Some(span) = lease.recorded() {
                            span.tell(whole.headers_mut());
                        }
                        failed.again = Some(whole);
                        again = None;
                    }
                    if let Some(whole) = failed.again {
                        *req = whole;
                        let endpoint = lease.upstream().endpoint.clone();
                        let now = Instant::now();
                        let before = again.map_or(0, |again| again.times + 1);
                        let since = again.map_or(now, |again| again.since);
                        if before == 0 {
                            // The kept connection was dead already, or the upstream takes no more requests on it: the same try
                            // goes on with another one.
                            kept = Some(lease);
                        } else {
                            lease.settle(asked.outcome(&failed.error, due));
                            drop(lease);
                            attempt.failed = Failed::Unprocessed;
                            attempt.retries = before;
                            let limit = since + core.connect_timeout();
                            attempt.end = end.into_iter().chain([limit]).min();
                            self.pause(&attempt, &endpoint, failed.error).await?;
                            tried.push(index);
                        }
                        core.resent(&endpoint);
                        again = Some(Again {
                            at: index,
                            avoid,
                            times: before,
                            since,
                        });
                        began = Instant::now();
                        continue;
                    }
                    lease.settle(asked.outcome(&failed.error, due));
                    if let Some(over) = pool::over_limit(&failed.error) {
                        core.head_over(&lease.upstream().endpoint, over);
                    }
                    attempt.failed = kind(&failed.error, until, end);
                    if attempt.failed == Failed::Reset && refused.is_some() {
                        attempt.failed = Failed::Lost;
                        tried.push(index);
                        attempt.another_endpoint = core.has_another(&tried);
                    }
                    let endpoint = lease.upstream().endpoint.clone();
                    drop(lease);
                    if let Some(wait) = leaves {
                        tokio::time::sleep(wait).await;
                        failed.error
                    } else {
                        self.pause(&attempt, &endpoint, failed.error).await?
                    }
                }
            };
            let Some(once_more) = spare.as_ref().and_then(Spare::take) else {
                return Err(error);
            };
            *req = once_more;
            upload = outgoing(req, present.has_expect());
            tried.push(index);
            count(&attempt, &mut retries, &mut moves);
            again = None;
            began = Instant::now();
        }
    }

    /// Waits until a try that failed may be made again, and gives its error back for who finds that it cannot.
    ///
    /// # Errors
    ///
    /// The error of the try, when there is no further one.
    async fn pause(
        &self,
        attempt: &Attempt<'_>,
        endpoint: &Endpoint,
        error: Error,
    ) -> Result<Error, Error> {
        let failure = error.as_failure().unwrap_or(Failure::Internal).name();
        let (core, options) = (self.0.core(), &self.0.policy().retry);
        match core.decide(options, attempt, endpoint, failure) {
            Verdict::Retry { wait } => {
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                Ok(error)
            }
            Verdict::GiveUp(_) => Err(error),
        }
    }

    /// The response for the client.
    fn pass(
        &self,
        answer: Answer,
        upgrade: Option<&Upgrade>,
        lease: Lease,
        asked: Asked,
        tally: Option<&Tally>,
    ) -> Result<Response, Error> {
        match answer {
            Answer::Http1(response, connection) => {
                self.respond(response, upgrade, connection, lease, asked.end)
            }
            Answer::Http2(head, download) => {
                self.stream(head, upgrade, download, lease, asked, tally)
            }
        }
    }

    /// The path and the query that the upstream gets, but for its own base path.
    fn path(&self, uri: &Uri, matched: Option<&Matched>) -> Result<PathAndQuery, Error> {
        let sent = uri.path_and_query();
        let Some(template) = &self.0.policy().rewrite else {
            return Ok(sent.cloned().unwrap_or(PathAndQuery::from_static("/")));
        };
        let query = uri.query();
        let value = |name: &str| matched.and_then(|matched| matched.param(name));
        let path = template.render(value, remainder(matched), query);
        PathAndQuery::try_from(path).map_err(|error| Error::caused(Failure::Internal, error))
    }

    /// Whether a rewrite to `/` leaves nothing behind an endpoint's base path.
    fn is_base(&self, matched: Option<&Matched>) -> bool {
        let template = self.0.policy().rewrite.as_ref();
        template.is_some_and(|template| template.text() == "/") && remainder(matched).is_empty()
    }

    /// A connection or a stream for one request that is tried now, kept or new. A kept connection of HTTP/1.1 is not taken where the
    /// request was refused, or the endpoint was `gone`.
    async fn carrier(
        &self,
        upstream: &Arc<Upstream>,
        again: Option<Again>,
        gone: bool,
        now: Instant,
        end: Option<Instant>,
    ) -> Result<Carrier, Error> {
        let pool = &upstream.pool;
        loop {
            if let Some(streams) = pool.streams() {
                let connect = {
                    let (core, upstream) = (Arc::clone(self.0.core()), Arc::clone(upstream));
                    move || {
                        let (core, upstream) = (Arc::clone(&core), Arc::clone(&upstream));
                        async move { open(&core, &upstream, core.connect_timeout()).await }
                    }
                };
                let avoid = again.and_then(|again| again.avoid);
                let granted = if let Some(granted) = streams.try_take(avoid, connect.clone()) {
                    granted
                } else {
                    tokio::time::timeout(self.patience(end), streams.take(avoid, connect))
                        .await
                        .unwrap_or_else(|_| Err(too_late(end)))?
                };
                match granted {
                    Granted::Http2(stream) => return Ok(Carrier::Http2(stream)),
                    Granted::Http1(Some(stream)) => {
                        let connection = pool.speak(stream).await;
                        return connection.map(Carrier::Http1);
                    }
                    Granted::Http1(None) => {}
                }
            }
            if again.is_none()
                && !gone
                && let Some(kept) = pool.take(now)
            {
                return Ok(Carrier::Http1(kept));
            }
            let opened = open(self.0.core(), upstream, self.patience(end)).await;
            match (opened, pool.streams()) {
                // The upstream has changed its mind.
                (Ok(opened), Some(streams)) if opened.protocol == Protocol::Http2 => {
                    streams.reconsider();
                }
                (Ok(opened), _) => {
                    let connection = pool.speak(opened.stream).await;
                    return connection.map(Carrier::Http1);
                }
                (Err(error), _) if error.as_failure() == Some(Failure::ConnectTimeout) => {
                    return Err(too_late(end));
                }
                (Err(error), _) => return Err(error),
            }
        }
    }

    /// Puts the token of the endpoint on the request, in place of that of another try. The wait for it is not part of the try.
    async fn authorize(
        &self,
        req: &mut Request,
        field: &HeaderName,
        lease: &Lease,
        began: &mut Instant,
        end: Option<Instant>,
    ) -> Result<(), Error> {
        let Some(token) = lease.upstream().token() else {
            return Ok(());
        };
        let value = if let Some(value) = token.at_hand(*began) {
            value
        } else {
            let value = Box::pin(token.get(self.patience(end))).await;
            *began = Instant::now();
            let is_over = end.is_some_and(|end| end <= *began);
            value.ok_or_else(|| {
                Error::failure(if is_over {
                    Failure::ResponseTimeout
                } else {
                    Failure::NoCredentials
                })
            })?
        };
        req.headers_mut().insert(field, value);
        Ok(())
    }

    /// How long a connection may take to come about.
    fn patience(&self, end: Option<Instant>) -> Duration {
        let limit = self.0.core().connect_timeout();
        match end {
            Some(end) => limit.min(end.saturating_duration_since(Instant::now())),
            None => limit,
        }
    }

    /// Puts the endpoint's name and path on the request. `path` is that of the route, once it is known.
    fn address(
        &self,
        request: &mut Request,
        upstream: &Upstream,
        path: &mut Option<PathAndQuery>,
        matched: Option<&Matched>,
    ) -> Result<(), Error> {
        // As a rule the target is what the client has sent already.
        let is_fit = path.is_none()
            && self.0.policy().rewrite.is_none()
            && upstream.endpoint.base().is_empty()
            && request.uri().authority().is_none()
            && request.uri().path_and_query().is_some();
        if !is_fit {
            let path = match path {
                Some(path) => path,
                None => path.insert(self.path(request.uri(), matched)?),
            };
            let target = upstream
                .target(path, || self.is_base(matched))
                .map_err(|error| Error::caused(Failure::Internal, error))?;
            *request.uri_mut() = Uri::from(target);
        }
        let host = &self.0.policy().host;
        host.set(request.headers_mut(), || upstream.endpoint.authority());
        Ok(())
    }

    fn respond(
        &self,
        response: http::Response<hyper::body::Incoming>,
        upgrade: Option<&Upgrade>,
        connection: Box<Connection>,
        lease: Lease,
        end: Option<Instant>,
    ) -> Result<Response, Error> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return tunnel::respond(response, upgrade, connection, lease, self.0.policy());
        }
        let (mut head, incoming) = response.into_parts();
        head.version = Version::HTTP_11;
        headers::response(&mut head.headers, head.status);
        let idle = self.0.policy().idle_timeout;
        let exchange = Exchange::new(incoming, connection, lease, idle, end);
        Ok(Response::from_parts(head, exchange.into_body()))
    }

    /// Drops an answer that is asked for once more. Its connection is used again if little is left of it; a stream of HTTP/2 is
    /// reset, and leaves its connection as it is.
    fn discard(&self, answer: Answer, lease: Lease, end: Option<Instant>) {
        match answer {
            Answer::Http1(response, connection)
                if response.status() != StatusCode::SWITCHING_PROTOCOLS =>
            {
                let idle = self.0.policy().idle_timeout;
                Exchange::new(response.into_body(), connection, lease, idle, end).discard();
            }
            Answer::Http1(..) | Answer::Http2(..) => {}
        }
    }

    fn stream(
        &self,
        head: http::Response<()>,
        upgrade: Option<&Upgrade>,
        download: Download,
        lease: Lease,
        asked: Asked,
        tally: Option<&Tally>,
    ) -> Result<Response, Error> {
        if let Some(upgrade) = upgrade
            && download.is_switched()
        {
            return tunnel::respond_streamed(head, upgrade, download, lease, self.0.policy());
        }
        let (mut head, ()) = head.into_parts();
        head.version = Version::HTTP_11;
        headers::response(&mut head.headers, head.status);
        let idle = self.0.policy().idle_timeout;
        let grpc = asked.grpc && respond::is_grpc(&head.headers);
        let tally = tally.filter(|_| grpc).cloned();
        let body = StreamedBody::new(download, lease, idle, asked.end, grpc, tally);
        let body = match head.status {
            // These end with their head (RFC 9110, 6.4.1), even if the upstream ends its stream later.
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => body.without_content(),
            _ => body.into_body(),
        };
        Ok(Response::from_parts(head, body))
    }
}

/// A place in the queue of an endpoint, as soon as it is this request's turn.
async fn place(
    core: &Core,
    upstream: &Upstream,
    queue: &Arc<Queue>,
    end: Option<Instant>,
) -> Result<Permit, Error> {
    let wait = Wait::new(core);
    queue.enter(end).await.map_err(|refused| {
        if refused == Refused::Full {
            wait.none();
        }
        core.not_placed(&upstream.endpoint, refused);
        Error::failure(refused.into())
    })
}

/// The wait of a request in a queue, which is measured when this is dropped: the client may leave before its turn.
struct Wait<'a> {
    core: &'a Core,
    began: Option<Instant>,
}

impl<'a> Wait<'a> {
    fn new(core: &'a Core) -> Self {
        Self {
            core,
            began: Some(Instant::now()),
        }
    }

    /// It did not wait.
    fn none(mut self) {
        self.began = None;
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(began) = self.began {
            self.core.queued(began.elapsed());
        }
    }
}

/// What a path has behind that of its route; an exact route leaves nothing.
fn remainder(matched: Option<&Matched>) -> &str {
    match matched {
        Some(matched) if !matched.route().exact => {
            pattern::remainder(matched.route().path, matched.path())
        }
        _ => "",
    }
}

/// The answer to a request that asks about the way and ends here (RFC 9110, 7.6.2). What a `TRACE` would show of the request is
/// shown to nobody.
fn last_stop(options: bool) -> Response {
    if options {
        return Response::new(Body::empty());
    }
    let mut response = respond::failure(Failure::MethodNotAllowed, false);
    let allow = HeaderValue::from_static("OPTIONS");
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

/// The answer when no endpoint may be tried, with the time after which one may be.
fn unavailable(refused: Unavailable, grpc: bool) -> Response {
    let mut response = respond::failure(refused.failure, grpc);
    if let Some(after) = refused.retry_after
        && let Some(field) = response.headers_mut().get_mut(header::RETRY_AFTER)
    {
        // In whole seconds, and not before the time.
        *field = HeaderValue::from(whole_seconds(after).max(1));
    }
    response
}

/// How a try failed, as the rules for retries see it.
fn kind(error: &Error, until: Option<Instant>, end: Option<Instant>) -> Failed {
    match error.as_failure() {
        Some(Failure::Reset) => Failed::Reset,
        Some(Failure::ResponseTimeout) => {
            let now = Instant::now();
            let is_over = |limit: Option<Instant>| limit.is_some_and(|limit| limit <= now);
            if is_over(until) && !is_over(end) {
                Failed::TryTimeout
            } else {
                Failed::Other
            }
        }
        _ => Failed::Other,
    }
}

/// Counts the next try among the retries that were asked for, or among those for which an endpoint was gone.
fn count(attempt: &Attempt<'_>, retries: &mut u32, moves: &mut u32) {
    *if attempt.moves_on() { moves } else { retries } += 1;
}

/// Has the body of a request watched on its way to an upstream.
fn outgoing(request: &mut Request, expects: bool) -> Upload {
    if request.body().is_end_stream() {
        return Upload::nothing();
    }
    if request.body().size_hint().exact().is_none() {
        // Said aloud, because for some methods nobody would expect a body, and it would be dropped.
        let chunked = HeaderValue::from_static("chunked");
        request
            .headers_mut()
            .insert(header::TRANSFER_ENCODING, chunked);
    }
    let (body, upload) = Upload::track(std::mem::take(request.body_mut()));
    *request.body_mut() = body;
    if expects {
        upload::hold(request);
    }
    upload
}

/// Who sends a request, for clusters that tell that apart.
#[cold]
fn caller(core: &Core, req: &mut Request, client: &Arc<Client>) -> Caller {
    let (mut parts, body) = std::mem::take(req).into_parts();
    let caller = core.caller(&mut parts, client);
    *req = Request::from_parts(parts, body);
    caller
}

/// Opens a stream to an endpoint of `core` within `limit`.
async fn open(core: &Core, upstream: &Upstream, limit: Duration) -> Result<Opened, Error> {
    let began = Instant::now();
    let opened = upstream.open(limit).await;
    if opened.is_ok() {
        core.connected(began.elapsed());
    }
    opened
}

/// Why there was no connection in time: because of its own limit, or because the request's time is over.
fn too_late(end: Option<Instant>) -> Error {
    Error::failure(if end.is_some_and(|end| end <= Instant::now()) {
        Failure::ResponseTimeout
    } else {
        Failure::ConnectTimeout
    })
}

impl Handler for Proxy {
    async fn call(&self, mut req: Request) -> Response {
        let tally = req.extensions_mut().remove::<Tally>();
        let client = req.extensions_mut().remove::<Arc<Client>>();
        let matched = req.extensions_mut().remove::<Matched>();
        // A layer may have put another body in the place of the client's, and other fields.
        let body = req.body().size_hint().exact();
        length::right(req.headers_mut(), body);
        let present = headers::sent(req.headers_mut());
        let client = client.unwrap_or_else(|| Arc::new(Client::new(None)));
        let around = Around {
            client: &client,
            matched: matched.as_ref(),
            tally: tally.as_ref(),
            copied: None,
        };
        self.forward(&mut req, present, around).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_runs_out_of_time_in_a_standstill_says_nothing_of_the_endpoint() {
        let asked = Asked {
            end: None,
            hurried: false,
            grpc: false,
            timed: false,
        };
        let now = Instant::now();
        let timeout = Error::failure(Failure::ResponseTimeout);
        let failed = Outcome::Failed(Failure::ResponseTimeout);
        assert_eq!(asked.outcome(&timeout, None), failed);
        assert_eq!(asked.outcome(&timeout, Some(now)), failed);
        tokio::time::advance(Duration::from_secs(3)).await;
        let late = Outcome::Late(Failure::ResponseTimeout);
        assert_eq!(asked.outcome(&timeout, Some(now)), late);
        let reset = Error::failure(Failure::Reset);
        let failed = Outcome::Failed(Failure::Reset);
        assert_eq!(asked.outcome(&reset, Some(now)), failed);
    }
}
