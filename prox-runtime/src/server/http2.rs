//! HTTP/2 with a client (RFC 9113): by prior knowledge, or agreed on in a TLS handshake.
//!
//! Each stream has a watch and a timer of its own, so that one that stands still is reset and no other notices.

use std::{
    convert::Infallible,
    error::Error as _,
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, HeaderValue, Method, Uri, header, uri};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{
    body::Incoming,
    rt::{Executor, bounds::Http2ServerConnExec},
    server::conn::http2,
    service::{HttpService, service_fn},
};
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, ReadBuf},
    time::sleep,
};

use super::{
    connect::{Connect, Switching},
    connection::{Shared, request, tunnel},
    limits::{Expired, Limits, stalled},
    open::Protocol,
    socket::Socket,
};
use crate::{
    body::Body,
    error::{Error, Failure},
    frames::{End, Guarded, PREFACE, Side},
    framing::HeadLimits,
    handler::{Dispatch, Response},
    observe::{
        Refusal as Cause, Refused,
        ending::{Task, because},
    },
    respond,
    stream::{Linger, linger},
    sync::lock,
    time::LazyTimer,
    watch::{Exchange, Tally, Watch},
};

/// What one stream may send before somebody reads it.
const STREAM_WINDOW: u32 = 128 * 1024;

/// What is held for one stream whose client does not take it.
const SEND_BUFFER: usize = 64 * 1024;

/// Streams that were reset before hyper saw them; more of them are an attack (CVE-2023-44487). While a worker is busy with
/// something else, those of honest clients add up. What they may be in a second is counted in `frames`.
const PENDING_RESETS: usize = 1_000;

/// How long a client may take to answer a `GOAWAY`, when no request of it is under way.
const GO_AWAY: Duration = Duration::from_secs(5);

/// How long a client that has sent too many frames may take to read the frame that is being written.
const LAST_FRAME: Duration = Duration::from_secs(2);

/// Reads as much as it takes to tell what a client speaks, and puts it back.
pub(super) async fn sniff(mut socket: Socket) -> io::Result<(Socket, Protocol)> {
    let mut buf = [0; 2048];
    let mut filled = 0;
    let protocol = loop {
        let mut part = ReadBuf::new(&mut buf[filled..]);
        poll_fn(|cx| Pin::new(&mut socket).poll_read(cx, &mut part)).await?;
        let count = part.filled().len();
        filled += count;
        let compared = filled.min(PREFACE.len());
        if buf[..compared] != PREFACE[..compared] {
            break Protocol::Http1;
        }
        if compared == PREFACE.len() {
            break Protocol::Http2;
        }
        if count == 0 {
            break Protocol::Http1;
        }
    };
    socket.stream.unread(Bytes::copy_from_slice(&buf[..filled]));
    Ok((socket, protocol))
}

/// Serves streams until either side ends the connection.
pub(super) async fn serve<G: Dispatch>(shared: Arc<Shared<G>>, socket: Socket, mut limits: Limits) {
    let options = Arc::clone(&limits.options);
    let client = Arc::clone(&shared.client);
    let told = Arc::clone(&shared);
    let (socket, end) = Guarded::new(socket.shared(), Side::Server);
    let tasks = Tasks {
        next: Arc::default(),
        own: None,
        connection: Arc::clone(&limits.watch),
        idle: options.idle_timeout,
    };
    let next = Arc::clone(&tasks.next);
    let heads = options.heads();
    let http = http2::Builder::new(tasks)
        .max_concurrent_streams(options.max_streams)
        .max_header_list_size(heads.list_size())
        .max_pending_accept_reset_streams(PENDING_RESETS)
        // It would count them over the whole life of a connection; they are counted in `frames`.
        .max_local_error_reset_streams(None)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(options.window)
        .max_send_buf_size(SEND_BUFFER)
        .enable_connect_protocol()
        .serve_connection(
            TokioIo::new(socket),
            service_fn(move |req| {
                let stream = Opened {
                    watch: Watch::new(shared.watch.meter()),
                    switching: (*req.method() == Method::CONNECT).then(Arc::default),
                };
                // hyper hands the stream to the executor as soon as this returns.
                *lock(&next) = Some(stream.clone());
                // Large, and about to be moved from hand to hand.
                Box::pin(answer(Arc::clone(&shared), req, stream, heads))
            }),
        );
    let result = until_the_end(http, &end, &mut limits, || {
        // h2 has answered it by itself.
        let refused = Refused::new(Cause::Malformed, told.client.ip());
        told.refused(&refused.detail("a malformed request on a stream of HTTP/2"));
    })
    .await;
    let refusal = result.as_ref().err().and_then(Refusal::of);
    if let Err(error) = &result {
        tracing::debug!(target: "prox", %error, "a client's connection ended early");
    }
    let Some(left) = end.take() else {
        return;
    };
    let flood = match (left.flood(), refusal) {
        (Some(flood), _) => Some(flood.name()),
        (None, Some(refusal)) => refusal.flood,
        (None, None) => return,
    };
    if let Some(frames) = flood {
        options.connections.flooded();
        let client = client.ip().map(tracing::field::display);
        tracing::warn!(target: "prox", client, frames, "flood of HTTP/2 frames");
    }
    let reason = if flood.is_some() {
        Cause::Flood
    } else {
        Cause::Malformed
    };
    let detail = match (&result, flood) {
        (_, Some(frames)) => frames.to_owned(),
        (Err(error), None) => error.source().map_or(String::new(), ToString::to_string),
        (Ok(()), None) => String::new(),
    };
    told.refused(&Refused::new(reason, told.client.ip()).detail(detail));
    limits
        .hold(async { linger(left.say_goodbye().await, Linger::SHORT).await })
        .await;
}

/// Drives a connection until it has ended, or its limits end it.
async fn until_the_end(
    http: impl Connection,
    end: &End<Socket>,
    limits: &mut Limits,
    malformed: impl Fn(),
) -> hyper::Result<()> {
    let mut http = pin!(http);
    // It is dropped before the connection, whose streams see at once that it is gone.
    let mut dropped = Dropped(Some(Arc::clone(&limits.watch)));
    let mut leaving = false;
    let mut written = None;
    let mut last_frame = None;
    let ended = poll_fn(|cx| {
        loop {
            let polled = http.as_mut().poll(cx);
            for _ in 0..end.take_malformed() {
                malformed();
            }
            if let Poll::Ready(result) = polled {
                return Poll::Ready(result);
            }
            if end.is_refused() {
                // It is read from no more, and fails as soon as the frame is written that was begun.
                let last_frame = last_frame.get_or_insert_with(|| Box::pin(sleep(LAST_FRAME)));
                ready!(last_frame.as_mut().poll(cx));
                return Poll::Ready(Ok(()));
            }
            if leaving && written.is_none() {
                written = Some(end.written());
            }
            let expired = limits.poll(cx);
            let is_idle = matches!(expired, Poll::Ready(Expired::Idle));
            if !leaving && (is_idle || limits.watch.is_draining()) {
                leaving = true;
                http.as_mut().graceful_shutdown();
                limits.asked_to_leave(GO_AWAY);
                continue;
            }
            // hyper ends by itself when all is written, once the client has answered. Until then the client may be taking the
            // end of a response, at its own pace.
            if is_idle && written.replace(end.written()) != written {
                let answered = end.has_said_goodbye();
                let idle = limits.options.idle_timeout;
                limits.asked_to_leave(if answered { idle } else { GO_AWAY });
                continue;
            }
            if let Some(why) = ready!(expired).failure() {
                limits.watch.ends_because(why);
            }
            return Poll::Ready(Ok(()));
        }
    })
    .await;
    dropped.0 = None;
    ended
}

/// Tells the streams of a connection, which are tasks of their own, that the runtime has dropped it.
struct Dropped(Option<Arc<Watch>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Some(watch) = &self.0 {
            watch.ends_because(Failure::Drained);
        }
    }
}

/// A connection of hyper's, whatever its service is.
trait Connection: Future<Output = hyper::Result<()>> {
    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl<I, S, E> Connection for http2::Connection<I, S, E>
where
    Self: Future<Output = hyper::Result<()>>,
    S: HttpService<Incoming>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    S::ResBody: HttpBody + 'static,
    <S::ResBody as HttpBody>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: Http2ServerConnExec<S::Future, S::ResBody>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// A `GOAWAY` of h2, for what it found itself.
struct Refusal {
    /// What there was too much of.
    flood: Option<&'static str>,
}

impl Refusal {
    fn of(error: &hyper::Error) -> Option<Self> {
        let error: &h2::Error = error.source()?.downcast_ref()?;
        let is_ours = error.is_go_away() && error.is_library();
        let calm = error.reason() == Some(Reason::ENHANCE_YOUR_CALM);
        is_ours.then_some(Self {
            flood: calm.then_some("HEADERS or DATA"),
        })
    }
}

async fn answer<G: Dispatch>(
    shared: Arc<Shared<G>>,
    mut req: http::Request<Incoming>,
    stream: Opened,
    heads: HeadLimits,
) -> Result<http::Response<StreamBody>, Infallible> {
    let Opened { watch, switching } = stream;
    let head = *req.method() == Method::HEAD;
    let exchange = watch.request(req.method(), req.version());
    let tally = exchange.tally().clone();
    let mut exchanges = Some((exchange, shared.watch.carries()));
    let admitted = like_http1(&mut req).and_then(|()| {
        let within = heads.check_request(req.method(), req.uri(), req.headers());
        within.map_err(|over| {
            shared.head_over(over);
            Failure::HeadersTooLarge
        })?;
        Connect::of(&mut req)
    });
    let mut response = match admitted {
        Ok(connect) => {
            let mut req = request(req, &watch, None);
            let mut response = shared.dispatch(&mut req, &tally).await;
            match (connect, switching) {
                (Some(connect), Some(switching)) => {
                    exchanges = exchanges
                        .and_then(|exchanges| connect.answer(&mut response, &switching, exchanges));
                }
                // Whoever has not asked is not switched.
                _ => drop(tunnel(&mut response)),
            }
            response
        }
        Err(failure) => {
            let reason = match failure {
                Failure::HeadersTooLarge => Cause::HeadersTooLarge,
                _ => Cause::Malformed,
            };
            let refused = Refused::new(reason, shared.client.ip())
                .status(failure.status())
                .request(req.method(), req.uri().path());
            shared.refused(&refused);
            if let Some((exchange, _)) = &mut exchanges {
                exchange.refused();
            }
            respond::failure(failure, respond::is_grpc(req.headers()))
        }
    };
    if head {
        keep_length(&mut response);
    }
    // hyper would send a body behind these as well (RFC 9110, 15.3.5 and 15.4.5).
    let bodiless = tally.answered(&response, head);
    Ok(response.map(|body| StreamBody {
        body: if bodiless { Body::empty() } else { body },
        watch,
        tally,
        failed: None,
        _exchanges: exchanges,
    }))
}

/// Says how long the body would be that an answer to `HEAD` must not have (RFC 9110, 9.3.2).
fn keep_length(response: &mut Response) {
    if let Some(length) = response.body().size_hint().exact()
        && length > 0
    {
        let length = HeaderValue::from(length);
        let headers = response.headers_mut();
        headers.entry(header::CONTENT_LENGTH).or_insert(length);
    }
}

/// Gives a request the form that it has in HTTP/1.1, which all that follows knows: a target in origin form, and `Host`.
///
/// A client may send its cookies one by one (RFC 9113, 8.2.3); whoever reads them expects one field.
fn like_http1(req: &mut http::Request<Incoming>) -> Result<(), Failure> {
    join_cookies(req.headers_mut());
    let mut parts = std::mem::take(req.uri_mut()).into_parts();
    let authority = parts.authority.take();
    parts.scheme = None;
    let path = parts
        .path_and_query
        .take()
        .unwrap_or(uri::PathAndQuery::from_static("/"));
    // Also for a request that is refused: its line of the log has the path.
    *req.uri_mut() = Uri::from(path);
    let Some(authority) = authority else {
        return Ok(());
    };
    let host = HeaderValue::try_from(authority.as_str()).map_err(|_| Failure::MalformedRequest)?;
    match req.headers().get(header::HOST) {
        Some(other) if !other.as_bytes().eq_ignore_ascii_case(host.as_bytes()) => {
            return Err(Failure::MalformedRequest);
        }
        Some(_) => {}
        None => {
            req.headers_mut().insert(header::HOST, host);
        }
    }
    Ok(())
}

fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if crumbs.len() > 1
        && let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]))
    {
        headers.insert(header::COOKIE, cookie);
    }
}

/// The body of a response, which says when the client does not take it.
struct StreamBody {
    body: Body,
    watch: Arc<Watch>,
    tally: Tally,
    /// What it fails with, once all before it is on its way.
    failed: Option<Error>,
    /// None when a tunnel has them, which goes on.
    _exchanges: Option<(Exchange, Exchange)>,
}

impl HttpBody for StreamBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        // hyper asks for more only when the window of the stream is open.
        self.watch.wrote(false);
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = self.body.poll_caught(cx);
        if let Poll::Ready(frame) = &frame {
            self.tally.sends(frame.as_ref());
        }
        if let Poll::Ready(Some(Err(error))) = frame {
            // A stream that is reset loses what was not sent yet, its head as well, so let that go first.
            self.failed = Some(error);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Behind the last frame nothing waits for the client.
        if let Poll::Ready(Some(Ok(_))) = frame
            && !self.body.is_end_stream()
        {
            self.watch.wrote(true);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.failed.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What a stream has besides its request.
#[derive(Clone)]
struct Opened {
    watch: Arc<Watch>,
    /// Only a stream that was opened with `CONNECT` can become a tunnel.
    switching: Option<Arc<Switching>>,
}

/// Runs the streams of a connection; they end with it.
struct Tasks {
    /// The stream that is handed over next.
    next: Arc<Mutex<Option<Opened>>>,
    /// The stream whose clone this is.
    own: Option<Arc<Switching>>,
    connection: Arc<Watch>,
    idle: Duration,
}

/// hyper clones it for each stream before it hands that over, to run the half that sends once the stream is switched.
impl Clone for Tasks {
    fn clone(&self) -> Self {
        let next = lock(&self.next);
        Self {
            next: Arc::clone(&self.next),
            own: next.as_ref().and_then(|stream| stream.switching.clone()),
            connection: Arc::clone(&self.connection),
            idle: self.idle,
        }
    }
}

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        if let Some(own) = &self.own {
            return own.sends(future);
        }
        match lock(&self.next).take() {
            Some(Opened { watch, switching }) => tokio::spawn(Task::new(Stalling {
                future: Some(future),
                watch,
                connection: Arc::clone(&self.connection),
                switching,
                tunnel: None,
                timer: LazyTimer::default(),
                idle: self.idle,
            })),
            None => tokio::spawn(future),
        };
    }
}

pin_project! {
    /// A stream that is reset when its client stands still for too long, and then the tunnel that it has become.
    struct Stalling<F> {
        #[pin]
        future: Option<F>,
        watch: Arc<Watch>,
        connection: Arc<Watch>,
        switching: Option<Arc<Switching>>,
        tunnel: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
        timer: LazyTimer,
        idle: Duration,
    }
}

impl<F: Future<Output = ()>> Future for Stalling<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            // What ends with the connection is dropped in here.
            let why = this.connection.ended_because();
            if let Some(tunnel) = this.tunnel {
                if why.is_some() {
                    because(why, || *this.tunnel = None);
                    return Poll::Ready(());
                }
                return tunnel.as_mut().poll(cx);
            }
            let Some(future) = this.future.as_mut().as_pin_mut() else {
                return Poll::Ready(());
            };
            let polled = match why {
                None => future.poll(cx),
                why => because(why, || future.poll(cx)),
            };
            if polled.is_ready() {
                // It holds what it was at work on when its connection ended, which may have been meanwhile.
                let why = this.connection.ended_because();
                because(why, || this.future.set(None));
                match this.switching.take() {
                    Some(switching) => *this.tunnel = Some(Box::pin(switching.carry())),
                    None => return Poll::Ready(()),
                }
                continue;
            }
            let Some((deadline, expired)) = stalled(this.watch, *this.idle) else {
                return Poll::Pending;
            };
            ready!(this.timer.poll(cx, deadline));
            match expired {
                // The body fails, the upstream request with it, and the answer is a 408.
                Expired::Body => this.watch.time_body_out(),
                // What is dropped with its stream open is reset.
                expired => {
                    because(expired.failure(), || this.future.set(None));
                    return Poll::Ready(());
                }
            }
        }
    }
}
