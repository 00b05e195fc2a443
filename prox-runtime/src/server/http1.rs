//! HTTP/1.1 with a client.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body::Body as _;
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{HttpService, service_fn},
};
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;

use super::{
    checked::{Checked, Tunnel},
    connection::{Shared, Switch, request, tunnel},
    limits::{Expired, Limits},
    rest::{self, Rest},
    socket::Socket,
};
use crate::{
    body::Body,
    client::Client,
    error::Failure,
    framing::OverLimit,
    handler::{Dispatch, Response},
    observe::{Refusal, Refused, ending::because},
    respond,
    stream::{Stream, linger},
    sync::lock,
    watch::{Phase, Watch},
};

/// The answer to a head that came too slowly; the connection's own parser has no request to answer yet.
const SLOW_CLIENT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Serves requests until either side ends the connection, and then what it was switched to.
pub(super) async fn serve<G: Dispatch>(shared: Arc<Shared<G>>, socket: Socket, mut limits: Limits) {
    let end = exchanges(Arc::clone(&shared), socket, &mut limits).await;
    let switch = lock(&shared.switch).take();
    let Some(End {
        client,
        allowance,
        over,
        refused,
    }) = end
    else {
        return;
    };
    if let Some(over) = over {
        shared.head_over(over);
    }
    if let Some(refused) = refused {
        shared.refused(&refused);
    }
    drop(shared);
    if let Some(Switch { tunnel, exchange }) = switch {
        // Of the limits only the end of the drain is left: a tunnel has its own, and its bytes are not told to the watch.
        limits.hold(tunnel.join(client)).await;
        drop(exchange);
    } else if let Some(bytes) = allowance {
        // Of the limits only the end of the drain is left, as for a request.
        let _busy = limits.watch.exchange();
        limits.hold(linger(client, rest::bounds(bytes))).await;
    }
}

/// The end of HTTP on a connection whose client may still be there.
struct End {
    client: Stream,
    /// How much it may still send, if it may be about to: what it sent last was not read to its end.
    allowance: Option<usize>,
    /// The limit that the last head was over.
    over: Option<OverLimit>,
    /// What of it was no request.
    refused: Option<Refused>,
}

/// Why the parser did not understand a head. A client that speaks HTTP/2 where it must not gets no answer.
fn refused(error: &hyper::Error, client: &Client) -> Refused {
    let reason = match error {
        error if error.is_parse_too_large() && error.to_string().contains("URI") => {
            Refusal::UriTooLong
        }
        error if error.is_parse_too_large() => Refusal::HeadersTooLarge,
        _ => Refusal::Malformed,
    };
    let refused = Refused::new(reason, client.ip()).detail(error.to_string());
    match reason.failure() {
        Some(failure) => refused.status(failure.status()),
        None => refused,
    }
}

/// Speaks HTTP to its end; none if the client has gone before, or was too slow.
async fn exchanges<G: Dispatch>(
    shared: Arc<Shared<G>>,
    socket: Socket,
    limits: &mut Limits,
) -> Option<End> {
    let options = &limits.options;
    let left = Tunnel::default();
    let checked = Checked::new(socket, left.clone(), options.max_header_size);
    let client = Arc::clone(&shared.client);
    let rest = Arc::<Rest>::default();
    let own = Arc::clone(&rest);
    let http = http1::Builder::new()
        // All limits hang on one timer of ours; hyper's own would be registered and cancelled for each request.
        .header_read_timeout(None)
        .half_close(options.half_close)
        .max_headers(options.max_headers)
        .max_header_size(options.max_header_size)
        .max_buf_size(options.max_header_size.max(64 * 1024))
        .serve_connection(
            TokioIo::new(checked),
            service_fn(move |req| answer(Arc::clone(&shared), left.clone(), Arc::clone(&own), req)),
        );
    let mut http = Some(http);
    poll_fn(|cx| run(&mut http, limits, &rest, &client, cx)).await
}

async fn answer<G: Dispatch>(
    shared: Arc<Shared<G>>,
    left: Tunnel,
    rest: Arc<Rest>,
    req: http::Request<Incoming>,
) -> Result<Response, Infallible> {
    let mut exchange = shared.watch.request(req.method(), req.version());
    let (connect, head) = (
        *req.method() == Method::CONNECT,
        *req.method() == Method::HEAD,
    );
    let mut req = request(req, &shared.watch, Some(&rest));
    let has_body = !req.body().is_end_stream();
    if has_body {
        rest.begin();
    }
    let mut response = UntilCut {
        answer: Some(shared.dispatch(&mut req, exchange.tally())),
        watch: &shared.watch,
    }
    .await;
    // What nobody has taken of the request is not going to be taken.
    drop(req);
    if let Some(tunnel) = tunnel(&mut response) {
        left.begin();
        exchange.switched();
        *lock(&shared.switch) = Some(Switch { tunnel, exchange });
        return Ok(response);
    }
    respond::keep_length(&mut response);
    exchange.tally().answered(&response, head);
    // A client that took the refusal of a `CONNECT` for a tunnel sends what must not be read as requests.
    if connect {
        rest.more_may_come();
    }
    let kept = !has_body || rest.can_be_kept().await;
    if connect || !kept || shared.watch.is_draining() {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if has_body {
        rest.answered(closes(response.headers()));
    }
    Ok(response.map(|body| body.ends(exchange)))
}

pin_project! {
    /// The answer, or one of the server's own at the end of the drain, while there is still a connection to send it on.
    ///
    /// It is no `async fn`: that would hold the future of the answer twice, and copy it once for each request.
    struct UntilCut<'w, F> {
        #[pin]
        answer: Option<F>,
        watch: &'w Watch,
    }
}

impl<F: Future<Output = Response>> Future for UntilCut<'_, F> {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        let mut this = self.project();
        let Some(asked) = this.answer.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let polled = asked.poll(cx);
        if polled.is_pending() && this.watch.is_cut() {
            because(Some(Failure::Drained), || this.answer.set(None));
            return Poll::Ready(respond::failure(Failure::Drained, false));
        }
        polled
    }
}

/// Whether a response says that the connection ends with it.
fn closes(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONNECTION)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

fn run<S>(
    slot: &mut Option<http1::Connection<TokioIo<Checked>, S>>,
    limits: &mut Limits,
    rest: &Rest,
    client: &Client,
    cx: &mut Context<'_>,
) -> Poll<Option<End>>
where
    S: HttpService<Incoming, ResBody = Body> + Unpin,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _poll = limits.watch.polled();
    loop {
        let Some(http) = slot else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(result) = Pin::new(http).poll(cx) {
            if let Err(error) = &result {
                tracing::debug!(target: "prox", %error, "a client's connection ended early");
            }
            if result.as_ref().is_err_and(hyper::Error::is_user) {
                reset(slot);
                return Poll::Ready(None);
            }
            let error = result.err();
            let too_large = error.as_ref().is_some_and(hyper::Error::is_parse_too_large);
            let malformed = error.filter(hyper::Error::is_parse);
            let refused = malformed.map(|error| refused(&error, client));
            return Poll::Ready(slot.take().map(|http| {
                let parts = http.into_parts();
                let checked = parts.io.into_inner();
                if refused.is_some() || checked.has_refused() {
                    rest.more_may_come();
                }
                let heads = limits.options.heads();
                let refused = refused.map(|refused| match checked.violation() {
                    Some(kind) => refused.head(&parts.read_buf).detail(kind.to_string()),
                    None => refused.head(&parts.read_buf),
                });
                End {
                    allowance: rest.allowance(),
                    over: too_large.then(|| heads.exceeded(checked.most_fields())),
                    client: checked.into_stream(parts.read_buf),
                    refused,
                }
            }));
        }
        if rest.poll(cx, &limits.watch) {
            continue;
        }
        match ready!(limits.poll(cx)) {
            Expired::Head => {
                rest.more_may_come();
                return Poll::Ready(slot.take().map(|http| {
                    let parts = http.into_parts();
                    let mut checked = parts.io.into_inner();
                    // The send buffer of a connection that has nothing to send is empty: it takes these few bytes, or none.
                    checked.try_write(SLOW_CLIENT);
                    let refused = Refused::new(Refusal::Slow, client.ip())
                        .status(StatusCode::REQUEST_TIMEOUT)
                        .detail("the head of a request took too long")
                        .head(&parts.read_buf);
                    End {
                        allowance: rest.allowance(),
                        over: None,
                        client: checked.into_stream(Bytes::new()),
                        refused: Some(refused),
                    }
                }));
            }
            expired @ (Expired::Cut | Expired::Write) if limits.watch.phase() == Phase::Busy => {
                because(expired.failure(), || reset(slot));
                return Poll::Ready(None);
            }
            Expired::Cut | Expired::Idle | Expired::Write => return Poll::Ready(None),
            // The body fails, the upstream request with it, and the answer is a 408.
            Expired::Body => limits.watch.time_body_out(),
        }
    }
}

/// Ends a connection in the middle of a response. For a client of HTTP/1.0 the end of the connection may be that of the body,
/// and only a reset says that it is not.
fn reset<S>(slot: &mut Option<http1::Connection<TokioIo<Checked>, S>>)
where
    S: HttpService<Incoming, ResBody = Body> + Unpin,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if let Some(http) = slot.take() {
        let parts = http.into_parts();
        let checked = parts.io.into_inner();
        checked.into_stream(parts.read_buf).reset();
    }
}
