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
        *req.body_mut() = with_trailers(body, move |trailers| guarded.remove(trailers));
    }
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
