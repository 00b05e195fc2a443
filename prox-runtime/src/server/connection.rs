//! One connection of a client, from its first byte to its last.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::{
    Options,
    drain::Tracked,
    http1,
    limits::Limits,
    open::{self, Protocol},
    socket::Socket,
};
use crate::{
    body::Body,
    client::Client,
    error::{Error, Failure},
    handler::{Dispatch, Request, Response},
    stream::Stream,
    watch::Watch,
};

/// What all the requests of a connection share.
pub(super) struct Shared<G> {
    pub(super) gateway: G,
    pub(super) client: Arc<Client>,
    pub(super) watch: Arc<Watch>,
}

impl<G: Dispatch> Shared<G> {
    /// Answers one request.
    pub(super) async fn dispatch(&self, req: Request) -> Response {
        self.gateway.dispatch(req, &self.client).await
    }
}

/// Serves the requests of one connection until either side ends it.
pub(super) async fn serve<G: Dispatch>(
    gateway: G,
    stream: Stream,
    peer: Option<SocketAddr>,
    options: Arc<Options>,
    tracked: Tracked,
) {
    let watch = Arc::clone(&tracked.watch);
    let mut limits = Limits::new(options, tracked);
    let socket = Socket::new(stream, Arc::clone(&watch));
    let options = Arc::clone(&limits.options);
    let opened = match limits.hold(open::open(socket, peer, &options)).await {
        Some(Ok(opened)) => opened,
        Some(Err(error)) => {
            tracing::debug!(%error, "a client's connection could not be opened");
            return;
        }
        None => return,
    };
    let shared = Arc::new(Shared {
        gateway,
        client: Arc::new(opened.client),
        watch,
    });
    match opened.protocol {
        Protocol::Http1 => http1::serve(shared, opened.socket, limits).await,
        #[cfg(feature = "http2")]
        Protocol::Http2 => super::http2::serve(shared, opened.socket, limits).await,
    }
}

/// A request of hyper's as one of ours; `watch` is told when its body waits for the client.
pub(super) fn request(req: http::Request<Incoming>, watch: &Arc<Watch>) -> Request {
    req.map(|incoming| {
        if incoming.is_end_stream() {
            Body::empty()
        } else {
            Body::boxed(ClientBody {
                incoming,
                watch: Arc::clone(watch),
            })
        }
    })
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
