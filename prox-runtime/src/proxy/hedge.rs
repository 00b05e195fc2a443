//! A request that is sent to a second endpoint while the first has not answered.
//!
//! Both tries are whole exchanges, with leases, places and limits of their own, in the task of the client: whichever is dropped
//! is cancelled, and so are both when the client leaves. All this is behind a pointer, and costs nothing where nobody hedges.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use http::header;
use http_body::Body as _;
use tokio::time::{Instant, timeout_at};

use super::{Around, Asked, Proxy, again::head, caller, tunnel};
use crate::{
    body::Body,
    cluster::{Hedge, HedgeOptions, Hedging, NoHedge, Upstream},
    error::Error,
    forward::headers::Present,
    handler::{Request, Response},
    replay::Replay,
    sync::lock,
};

/// What the two tries of a request know of each other.
#[derive(Debug)]
pub(super) struct Race {
    /// When the request came.
    pub(super) started: Instant,
    /// The endpoint that the other try is at; none for the first.
    pub(super) avoid: Option<usize>,
    at: Mutex<Option<Arc<Upstream>>>,
}

impl Race {
    fn new(started: Instant, avoid: Option<usize>) -> Self {
        Self {
            started,
            avoid,
            at: Mutex::default(),
        }
    }

    /// Says where this try is now.
    pub(super) fn is_at(&self, upstream: &Arc<Upstream>) {
        *lock(&self.at) = Some(Arc::clone(upstream));
    }

    fn at(&self) -> Option<Arc<Upstream>> {
        lock(&self.at).clone()
    }
}

/// The answer of the faster of two tries, or of the only one.
pub(super) fn exchange<'a>(
    proxy: &'a Proxy,
    hedging: &'a Hedging,
    req: &'a mut Request,
    grpc: bool,
    around: Around<'a>,
) -> Exchange<'a> {
    Box::pin(run(proxy, hedging, req, grpc, around))
}

type Exchange<'a> = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send + 'a>>;

async fn run(
    proxy: &Proxy,
    hedging: &Hedging,
    req: &mut Request,
    grpc: bool,
    around: Around<'_>,
) -> Result<Response, Error> {
    let (core, started) = (proxy.cluster().core(), Instant::now());
    let present = Present::of(req.headers());
    let caller = caller(core, req, around.client);
    let again = Replay::is_worthwhile(req.body().size_hint().exact())
        && tunnel::asked(req).is_none()
        && !caller.is_bound();
    let Some(due) = hedging.options.due(req.method(), again, started) else {
        return proxy.exchange(req, present, grpc, around, None).await;
    };
    hedging.budget.deposit(started);
    let end = Asked::by(req, grpc, proxy.cluster().policy(), started).end;
    let mut spare = head(req);
    spare.headers_mut().remove(header::EXPECT);
    let kept = keep(req.body_mut());

    let one = Race::new(started, None);
    let mut first: Exchange<'_> = Box::pin(proxy.exchange(req, present, grpc, around, Some(&one)));
    if let Ok(answer) = timeout_at(due, first.as_mut()).await {
        return answer;
    }
    let now = Instant::now();
    let (Some(slow), Some(body)) = (one.at(), whole(kept.as_ref())) else {
        core.not_hedged(NoHedge::Body);
        return first.await;
    };
    let another = core.has_another(&[slow.index()]);
    if let Hedge::No(reason) = HedgeOptions::decide(another, end, &hedging.budget, now) {
        core.not_hedged(reason);
        return first.await;
    }
    core.hedged(&slow.endpoint);
    *spare.body_mut() = body;
    let present = Present::of(spare.headers());
    let two = Race::new(started, Some(slow.index()));
    let second: Exchange<'_> =
        Box::pin(proxy.exchange(&mut spare, present, grpc, around, Some(&two)));
    let (answer, was_second) = faster(first, second).await;
    if was_second {
        core.hedge_won();
    }
    let winner = if was_second { two.at() } else { one.at() };
    if let (Some(tally), Some(upstream)) = (around.tally, winner) {
        tally.is_at(core.label(), upstream.label());
    }
    answer
}

/// The first answer that is no failure, and whether it is that of the second; when both fail, it is that of the first.
async fn faster(
    mut first: Exchange<'_>,
    mut second: Exchange<'_>,
) -> (Result<Response, Error>, bool) {
    let (mut one, mut two) = (None, None);
    poll_fn(|cx| {
        poll(&mut first, &mut one, cx);
        if one.as_ref().is_some_and(is_good) {
            return Poll::Ready(one.take().map(|answer| (answer, false)));
        }
        poll(&mut second, &mut two, cx);
        if two.as_ref().is_some_and(is_good) {
            return Poll::Ready(two.take().map(|answer| (answer, true)));
        }
        match (&one, &two) {
            (Some(_), Some(_)) => Poll::Ready(one.take().map(|answer| (answer, false))),
            _ => Poll::Pending,
        }
    })
    .await
    .expect("it is ready only with an answer")
}

fn poll(
    exchange: &mut Exchange<'_>,
    answer: &mut Option<Result<Response, Error>>,
    cx: &mut Context<'_>,
) {
    if answer.is_none()
        && let Poll::Ready(ready) = exchange.as_mut().poll(cx)
    {
        *answer = Some(ready);
    }
}

fn is_good(answer: &Result<Response, Error>) -> bool {
    let status = answer.as_ref().map(Response::status);
    status.is_ok_and(|status| !status.is_server_error())
}

type Copy = Arc<Mutex<Replay>>;

/// Keeps a body on its way, as long as it is short enough, unless it is empty.
fn keep(body: &mut Body) -> Option<Copy> {
    if body.is_end_stream() {
        return None;
    }
    let copy = Arc::new(Mutex::new(Replay::new()));
    let kept = Arc::clone(&copy);
    *body = std::mem::take(body).followed(move |next, body| {
        let mut kept = lock(&kept);
        kept.follow(next.as_ref());
        if body.is_end_stream() {
            kept.finish();
        }
    });
    Some(copy)
}

/// The body once more, if all of it has come.
fn whole(copy: Option<&Copy>) -> Option<Body> {
    match copy {
        None => Some(Body::empty()),
        Some(copy) => lock(copy).whole().map(Body::from),
    }
}
