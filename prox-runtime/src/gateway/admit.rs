//! What becomes of a client's request before guards, layers and targets see it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::{
    body::Body,
    client::Client,
    error::{Error, Failure, Place},
    forward::{
        guarded::Guarded,
        headers::{self, Present},
        upgrade,
    },
    handler::Request,
    tunnel::Switchable,
};

/// Takes from a request what belongs to the client's connection and what the client may not claim, in one pass over the names
/// of its fields. A wish for another protocol goes on as an extension of the request, if the connection can be switched.
///
/// # Errors
///
/// [`Failure::MalformedRequest`] for contradicting lengths.
pub(super) fn admit(req: &mut Request, client: &Client) -> Result<Present, Failure> {
    let present = Present::of_client(req.headers());
    if present.has_upgrade()
        && req.extensions().get::<Switchable>().is_some()
        && let Some(asked) = upgrade::Asked::by(req)
    {
        req.extensions_mut().insert(asked);
    }
    headers::admit(req.headers_mut(), present, client)?;
    Ok(present)
}

/// Takes from a request the fields that layers write for upstreams, and sees to it that its trailers have none of them.
#[cold]
pub(super) fn guard(req: &mut Request, guarded: &Arc<Guarded>) {
    guarded.remove(req.headers_mut());
    if !req.body().is_end_stream() {
        let body = std::mem::take(req.body_mut());
        let guarded = Arc::clone(guarded);
        let mut body = Body::boxed(Guarding { body, guarded });
        body.placed(Place::Request);
        *req.body_mut() = body;
    }
}

/// A body whose trailers have no field that layers write.
struct Guarding {
    body: Body,
    guarded: Arc<Guarded>,
}

impl HttpBody for Guarding {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            self.guarded.remove(trailers);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a request from a server of somebody else's. A server of ours does the same to its own.
pub(super) fn body(body: Body) -> Body {
    if body.is_end_stream() {
        body
    } else {
        let mut body = Body::boxed(Admitted(body));
        body.placed(Place::Request);
        body
    }
}

/// A body whose trailers are what may be believed.
struct Admitted(Body);

impl HttpBody for Admitted {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut frame = Pin::new(&mut self.0).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
        {
            headers::client_trailers(trailers);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
