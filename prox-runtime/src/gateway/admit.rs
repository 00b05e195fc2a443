//! What becomes of a client's request before guards, layers and targets see it.

use std::sync::Arc;

use http::HeaderMap;
use http_body::Body as _;

use crate::{
    body::Body,
    client::Client,
    error::{Failure, Place},
    forward::{
        guarded::Guarded,
        headers::{self, Present},
        upgrade,
    },
    handler::Request,
    tunnel::Switchable,
};

/// Takes from a request what belongs to the client's connection, what the client may not claim, and the fields that layers write
/// for upstreams, in one pass over the names of its fields. A wish for another protocol goes on as an extension of the request, if
/// the connection can be switched.
///
/// # Errors
///
/// [`Failure::MalformedRequest`] for contradicting lengths.
pub(super) fn admit(
    req: &mut Request,
    client: &Client,
    guarded: Option<&Arc<Guarded>>,
) -> Result<Present, Failure> {
    let present = Present::of_client(req.headers(), guarded.map(Arc::as_ref));
    if present.has_upgrade()
        && req.extensions().get::<Switchable>().is_some()
        && let Some(asked) = upgrade::Asked::by(req)
    {
        req.extensions_mut().insert(asked);
    }
    let admitted = headers::admit(req.headers_mut(), present, client);
    if let Some(guarded) = guarded {
        if present.has_guarded() {
            guarded.remove(req.headers_mut());
        }
        if !req.body().is_end_stream() {
            guard_trailers(req.body_mut(), guarded);
        }
    }
    admitted.map(|()| present)
}

/// Sees to it that the trailers of a request have none of the fields that layers write for upstreams.
fn guard_trailers(body: &mut Body, guarded: &Arc<Guarded>) {
    let guarded = Arc::clone(guarded);
    *body = with_trailers(std::mem::take(body), move |trailers| {
        guarded.remove(trailers);
    });
}

/// The body of a request from a server of somebody else's. A server of ours does the same to its own.
pub(super) fn body(body: Body) -> Body {
    if body.is_end_stream() {
        body
    } else {
        with_trailers(body, headers::client_trailers)
    }
}

/// The body of a request, whose trailers are changed by `change` as they pass.
fn with_trailers(body: Body, mut change: impl FnMut(&mut HeaderMap) + Send + 'static) -> Body {
    let mut body = body.followed(move |next, _| {
        if let Some(Ok(frame)) = next
            && let Some(trailers) = frame.trailers_mut()
        {
            change(trailers);
        }
    });
    body.placed(Place::Request);
    body
}
