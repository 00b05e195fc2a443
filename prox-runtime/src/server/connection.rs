//! One connection of a client: HTTP/1.1 over a socket, with all of its limits on one timer.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{HttpService, service_fn},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};

use super::{Options, drain::Tracked};
use crate::{
    body::Body,
    client::Client,
    error::{Error, Failure},
    handler::{Dispatch, Request, Response},
    time::LazyTimer,
    watch::{Phase, Watch},
};

/// An idle connection is closed only so long after the drain began: a request may be on its way already.
const DRAIN_IDLE: Duration = Duration::from_millis(500);

/// The answer to a head that came too slowly; the connection's own parser has no request to answer yet.
const SLOW_CLIENT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// Serves the requests of one connection until either side ends it.
pub(super) fn serve<G: Dispatch>(
    gateway: G,
    stream: TcpStream,
    peer: SocketAddr,
    options: &Options,
    tracked: Tracked,
) -> impl Future<Output = ()> + Send + 'static {
    let watch = Arc::clone(&tracked.watch);
    let shared = Arc::new(Shared {
        gateway,
        client: Arc::new(Client::new(Some(peer))),
        watch: Arc::clone(&watch),
    });
    let socket = Socket {
        stream,
        watch: Arc::clone(&watch),
    };
    let http = http1::Builder::new()
        // All limits hang on one timer of ours; hyper's own would be registered and cancelled for each request.
        .header_read_timeout(None)
        // One copy of a small message is cheaper than a vectored write of its parts.
        .writev(false)
        .max_headers(options.max_headers)
        .max_header_size(options.max_header_size)
        .max_buf_size(options.max_header_size.max(64 * 1024))
        .serve_connection(
            TokioIo::new(socket),
            service_fn(move |req| answer(Arc::clone(&shared), req)),
        );
    Connection {
        http: Some(http),
        watch,
        timer: LazyTimer::default(),
        options: options.clone(),
        drain_began: None,
        attached: false,
        _tracked: tracked,
    }
}

/// What all the requests of a connection share.
struct Shared<G> {
    gateway: G,
    client: Arc<Client>,
    watch: Arc<Watch>,
}

async fn answer<G: Dispatch>(
    shared: Arc<Shared<G>>,
    req: http::Request<Incoming>,
) -> Result<Response, Infallible> {
    let exchange = shared.watch.exchange();
    let req: Request = req.map(|body| {
        if body.is_end_stream() {
            Body::empty()
        } else {
            Body::boxed(ClientBody {
                incoming: body,
                watch: Arc::clone(&shared.watch),
            })
        }
    });
    let mut response = shared.gateway.dispatch(req, &shared.client).await;
    if shared.watch.is_draining() {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| body.ends(exchange)))
}

/// The task of a client's connection.
struct Connection<S>
where
    S: HttpService<Incoming>,
{
    /// There until the connection is taken apart for its end.
    http: Option<http1::Connection<TokioIo<Socket>, S>>,
    watch: Arc<Watch>,
    timer: LazyTimer,
    options: Options,
    drain_began: Option<Instant>,
    attached: bool,
    _tracked: Tracked,
}

enum Expired {
    /// Nobody is hurt when it is closed.
    Idle,
    Head,
    Body,
    Write,
}

impl<S> Connection<S>
where
    S: HttpService<Incoming, ResBody = Body> + Unpin,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// When the client will have taken too long for what it is doing now.
    fn deadline(&self) -> Option<(Instant, Expired)> {
        match self.watch.phase() {
            // The end of a response may still wait for the client to take it.
            Phase::Idle if let Some(since) = self.watch.write_blocked() => {
                Some((since + self.options.idle_timeout, Expired::Write))
            }
            Phase::Idle => {
                let since = self.watch.since();
                let close = match self.drain_began {
                    Some(began) => since.max(began) + DRAIN_IDLE,
                    None => since + self.options.keep_alive,
                };
                Some((close, Expired::Idle))
            }
            Phase::Head => Some((
                self.watch.since() + self.options.header_timeout,
                Expired::Head,
            )),
            Phase::Busy => {
                let write = self.watch.write_blocked().map(|at| (at, Expired::Write));
                let body = self.watch.body_blocked().map(|at| (at, Expired::Body));
                let (since, expired) = write.or(body)?;
                Some((since + self.options.idle_timeout, expired))
            }
        }
    }

    /// Says what went wrong to a client that has sent half a head.
    fn answer_slow_client(&mut self) {
        if let Some(http) = self.http.take() {
            // The send buffer of a connection that has nothing to send is empty: it takes these few bytes, or none.
            let _ = http
                .into_parts()
                .io
                .into_inner()
                .stream
                .try_write(SLOW_CLIENT);
        }
    }
}

impl<S> Future for Connection<S>
where
    S: HttpService<Incoming, ResBody = Body> + Unpin,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if !this.attached {
            this.watch.attach(cx.waker());
            this.attached = true;
        }
        if this.watch.is_cut() {
            return Poll::Ready(());
        }
        if this.watch.is_draining() && this.drain_began.is_none() {
            this.drain_began = Some(Instant::now());
        }
        loop {
            let Some(http) = &mut this.http else {
                return Poll::Ready(());
            };
            if let Poll::Ready(result) = Pin::new(http).poll(cx) {
                if let Err(error) = result {
                    tracing::debug!(%error, "a client's connection ended early");
                }
                return Poll::Ready(());
            }
            let Some((deadline, expired)) = this.deadline() else {
                return Poll::Pending;
            };
            ready!(this.timer.poll(cx, deadline));
            match expired {
                Expired::Head => {
                    this.answer_slow_client();
                    return Poll::Ready(());
                }
                Expired::Idle | Expired::Write => return Poll::Ready(()),
                // The body fails, the upstream request with it, and the answer is a 408.
                Expired::Body => this.watch.time_body_out(),
            }
        }
    }
}

/// The body of a request, which says when it waits for the client.
struct ClientBody {
    incoming: Incoming,
    watch: Arc<Watch>,
}

impl HttpBody for ClientBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = Pin::new(&mut self.incoming).poll_frame(cx);
        if frame.is_pending() && self.watch.is_body_timed_out() {
            return Poll::Ready(Some(Err(Error::failure(Failure::SlowClient))));
        }
        self.watch.waits_for_body(frame.is_pending());
        frame.map_err(|error| {
            let failure = if error.is_parse() {
                Failure::MalformedRequest
            } else {
                Failure::ClientGone
            };
            Error::caused(failure, error)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        self.watch.waits_for_body(false);
    }
}

/// A client's socket, which says when bytes move.
struct Socket {
    stream: TcpStream,
    watch: Arc<Watch>,
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if result.is_ready() {
            self.watch.read();
        }
        result
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch.wrote(result.is_pending());
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch.wrote(result.is_pending());
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
