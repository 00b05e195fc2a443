//! The copy of a request for a second backend, whose answer nobody sees.
//!
//! The body is copied as it passes on its way to the first backend, so the request waits for nothing. The copy leaves once the
//! body has ended; when it grows too long, or breaks off, there is none.

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;
use http::header;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Limited};

use super::{Around, Proxy, again::head, tunnel};
use crate::{
    body::Body,
    client::Client,
    cluster::{Cluster, Core, Mirror},
    error::Error,
    forward::{headers::Present, length},
    handler::Request,
    observe::traces::Trace,
    replay::Replay,
    route::Matched,
    watch::Tally,
};

/// Takes the copy of a request for the first backend, if there is to be one.
pub(super) fn tap(mirror: &Arc<Mirror>, first: &Cluster, req: &mut Request, around: Around<'_>) {
    // A tunnel has two sides that talk to each other, and cannot have three.
    if !mirror.draws() || tunnel::asked(req).is_some() {
        return;
    }
    let mut copy = Copy {
        mirror: Arc::clone(mirror),
        core: Arc::clone(first.core()),
        head: head(req),
        client: Arc::clone(around.client),
        matched: around.matched.cloned(),
        trace: around.tally.and_then(Tally::trace),
    };
    if req.body().is_end_stream() {
        return copy.leave(Body::empty());
    }
    if !Replay::is_worthwhile(req.body().size_hint().exact()) {
        return copy.core.mirrored(false);
    }
    // The server sends no `100 Continue` for it, since it has the body already.
    copy.head.headers_mut().remove(header::EXPECT);
    let mut copy = Some((copy, Replay::new()));
    let body = std::mem::take(req.body_mut());
    *req.body_mut() = body.followed(move |next, body| {
        let over = next.is_none() || body.is_end_stream();
        seen(&mut copy, next.as_ref(), over);
    });
}

/// All of a copy but its body.
struct Copy {
    mirror: Arc<Mirror>,
    core: Arc<Core>,
    head: Request,
    client: Arc<Client>,
    matched: Option<Matched>,
    trace: Option<Trace>,
}

impl Copy {
    fn leave(mut self, body: Body) {
        length::right(self.head.headers_mut(), body.size_hint().exact());
        *self.head.body_mut() = body;
        let mirror = Arc::clone(&self.mirror);
        let core = Arc::clone(&self.core);
        let begun = mirror.begin(shadow(self));
        core.mirrored(begun);
    }
}

/// Sends a copy, and reads its answer, so that the connection can be used again. The time for it is that of the copy as a whole.
///
/// Behind a pointer, since the future of a request is part of itself otherwise.
fn shadow(mut copy: Copy) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let proxy = Proxy::new(copy.mirror.cluster().clone());
        let present = Present::of(copy.head.headers());
        let around = Around {
            client: &copy.client,
            matched: copy.matched.as_ref(),
            tally: None,
            copied: copy.trace.as_ref(),
        };
        let response = proxy.forward(&mut copy.head, present, around).await;
        let mut rest = Limited::new(response.into_body(), READ);
        while let Some(Ok(_)) = rest.frame().await {}
    })
}

/// So much is read of the answer to a copy. One that is longer takes more than another connection does.
const READ: usize = 1024 * 1024;

/// Copies what passes, as long as it is short enough. The copy leaves once the body is `over`.
fn seen(
    kept: &mut Option<(Copy, Replay)>,
    frame: Option<&Result<Frame<Bytes>, Error>>,
    over: bool,
) {
    let Some((_, replay)) = kept else {
        return;
    };
    replay.follow(frame);
    if replay.is_lost() {
        let copy = kept.take();
        copy.inspect(|(copy, _)| copy.core.mirrored(false));
    } else if over && let Some((copy, mut replay)) = kept.take() {
        replay.finish();
        copy.leave(replay.whole().map_or_else(Body::empty, Body::from));
    }
}
