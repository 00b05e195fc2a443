//! One connection of a client, from its first byte to its last.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{StatusCode, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::{body::Incoming, upgrade::OnUpgrade};

use super::{
    Options,
    connections::Place,
    drain::Tracked,
    edge, http1,
    limits::Limits,
    open::{self, Protocol, Unopened},
    rest::Rest,
};
use crate::{
    body::Body,
    client::Client,
    error::{Error, Failure},
    forward::headers,
    framing::{self, OverLimit},
    handler::{Dispatch, Request, Response},
    observe::Refused,
    respond,
    stream::Stream,
    tunnel::{Switchable, Switched, Tunnel},
    watch::{Exchange, Tally, Watch},
};

/// What all the requests of a connection share.
pub(super) struct Shared<G> {
    pub(super) gateway: G,
    pub(super) client: Arc<Client>,
    pub(super) watch: Arc<Watch>,
    pub(super) options: Arc<Options>,
    /// Whether the other end is a proxy whose word is taken.
    pub(super) is_trusted: bool,
    /// Whether it was told that a head was over a limit.
    pub(super) told: AtomicBool,
    /// What an HTTP/1.1 connection is to become once its last response is written.
    pub(super) switch: Mutex<Option<Switch>>,
}

/// A tunnel that waits for its client, who was sent the answer that agrees to it.
pub(super) struct Switch {
    pub(super) tunnel: Tunnel,
    /// The connection is busy as long as the tunnel is there.
    pub(super) exchange: Exchange,
}

impl<G: Dispatch> Shared<G> {
    /// Answers one request.
    pub(super) fn dispatch(
        &self,
        req: &mut Request,
        tally: &Tally,
    ) -> impl Future<Output = Response> + Send {
        let (gateway, options) = (&self.gateway, &*self.options);
        edge::dispatch(gateway, options, &self.client, self.is_trusted, req, tally)
    }

    /// Tells which limit the head of a request is over; once for each connection, so that a client cannot fill the log.
    pub(super) fn head_over(&self, over: OverLimit) {
        if self.told.swap(true, Ordering::Relaxed) {
            return;
        }
        let limit = match over {
            OverLimit::Fields(_) => "max_headers",
            OverLimit::Bytes(_) => "max_header_size",
        };
        let client = self.client.ip().map(tracing::field::display);
        tracing::info!(target: "prox", client, limit, allowed = over.allowed(), "head of a request over the limit");
    }
}

impl<G: Dispatch> Shared<G> {
    /// Tells what was refused before it was a request.
    pub(super) fn refused(&self, refused: &Refused) {
        self.options.connections.refuse(refused);
        self.gateway.refused(refused);
    }
}

/// Serves the requests of one connection until either side ends it.
pub(super) async fn serve<G: Dispatch>(
    gateway: G,
    stream: Stream,
    peer: Option<SocketAddr>,
    options: Arc<Options>,
    tracked: Tracked,
    place: Option<Place>,
) {
    let watch = Arc::clone(&tracked.watch);
    let mut limits = Limits::new(options, tracked);
    let options = Arc::clone(&limits.options);
    let mut place = if let Some(place) = place {
        place
    } else {
        // The server ends, and takes those with it that the kernel has let in.
        let _busy = watch.exchange();
        match limits.hold(options.connections.wait()).await {
            Some(place) => place,
            None => return,
        }
    };
    if options.tls.is_some() {
        place.speaks_tls();
    }
    let _place = place;
    let opening = open::open(stream, Arc::clone(&watch), peer, &options);
    let opened = match limits.hold(opening).await {
        Some(Ok(opened)) => opened,
        Some(Err(Unopened { error, refused })) => {
            tracing::debug!(target: "prox", %error, "a client's connection could not be opened");
            if let Some(refused) = refused {
                options.connections.refuse(&refused);
                gateway.refused(&refused);
            }
            return;
        }
        None => return,
    };
    let trusted = options.trusted.as_ref();
    let is_trusted = trusted.is_some_and(|proxies| proxies.has(opened.client.peer_ip()));
    let shared = Arc::new(Shared {
        gateway,
        client: Arc::new(opened.client),
        watch,
        options,
        is_trusted,
        told: AtomicBool::new(false),
        switch: Mutex::default(),
    });
    match opened.protocol {
        Protocol::Http1 => http1::serve(shared, opened.socket, limits).await,
        #[cfg(feature = "http2")]
        Protocol::Http2 => super::http2::serve(shared, opened.socket, limits).await,
    }
}

/// The tunnel behind a `101`. One that switches to nothing is made a failure: a handler answered with it, which has no
/// stream to go on with, or a layer dropped the stream.
pub(super) fn tunnel(response: &mut Response) -> Option<Tunnel> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return None;
    }
    let switched = response.extensions_mut().remove::<Switched>();
    let tunnel = switched.and_then(|switched| switched.take());
    if tunnel.is_none() {
        tracing::error!(target: "prox", "a 101 that leads nowhere: only an upstream can switch protocols");
        *response = respond::failure(Failure::Internal, false);
    }
    tunnel
}

/// A request of hyper's as one of ours; `watch` is told when its body waits for the client, and `rest` gets what is left of it
/// when it is dropped.
pub(super) fn request(
    mut req: http::Request<Incoming>,
    watch: &Arc<Watch>,
    rest: Option<&Arc<Rest>>,
) -> Request {
    // hyper's own way to switch would give the connection to a task that nobody looks after.
    let extensions = req.extensions_mut();
    if extensions.remove::<OnUpgrade>().is_some() {
        extensions.insert(Switchable);
    }
    if req.body().is_end_stream() {
        return req.map(|_| Body::empty());
    }
    let expects = req.headers().contains_key(header::EXPECT);
    req.map(|incoming| {
        Body::boxed(ClientBody {
            incoming: Some(incoming),
            expects,
            watch: Arc::clone(watch),
            rest: rest.cloned(),
        })
    })
}

/// The body of a request, which says when it waits for the client.
struct ClientBody {
    /// Gone once it has ended.
    incoming: Option<Incoming>,
    /// Whether the client may wait to be told to send it.
    expects: bool,
    watch: Arc<Watch>,
    rest: Option<Arc<Rest>>,
}

impl HttpBody for ClientBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        let mut frame = Pin::new(incoming).poll_frame(cx);
        self.expects = false;
        if matches!(frame, Poll::Ready(Some(Err(_)) | None)) {
            self.incoming = None;
        }
        if let Poll::Ready(Some(Ok(frame))) = &mut frame {
            if let Some(data) = frame.data_ref() {
                self.watch.received(data.len());
            }
            if let Some(trailers) = frame.trailers_mut() {
                headers::client_trailers(trailers);
            }
        }
        if frame.is_pending() && self.watch.is_body_timed_out() {
            return Poll::Ready(Some(Err(Error::failure(Failure::SlowClient))));
        }
        self.watch.waits_for_body(frame.is_pending());
        frame.map_err(|error| {
            let failure = if error.is_parse() || framing::violation(&error).is_some() {
                Failure::MalformedRequest
            } else {
                Failure::ClientGone
            };
            Error::caused(failure, error)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let incoming = self.incoming.as_ref();
        incoming.map_or(SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        self.watch.waits_for_body(false);
        if let Some(incoming) = self.incoming.take().filter(|body| !body.is_end_stream())
            && let Some(rest) = &self.rest
        {
            rest.leave(incoming, self.expects, &self.watch);
        }
    }
}
