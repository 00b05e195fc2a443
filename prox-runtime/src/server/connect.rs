//! Extended `CONNECT` (RFC 8441): what opens a WebSocket on one stream of HTTP/2.
//!
//! All that stands behind the server sees an upgrade as it is in HTTP/1.1. Once its `101` was sent as a `200`, the task of
//! the stream carries the tunnel, so that it ends with its connection.

use std::{
    future::{Future, poll_fn},
    hash::{BuildHasher, Hasher, RandomState},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::Poll,
};

use http::{Method, header};
use hyper::{
    body::Incoming,
    ext::Protocol,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;

use super::connection::tunnel;
use crate::{
    error::Failure,
    forward::{upgrade, websocket::Accept},
    handler::Response,
    respond,
    stream::Stream,
    sync::lock,
    tunnel::{Side, Splice, Switchable, Tunnel},
    watch::Exchange,
};

/// A request that wants its stream for a tunnel.
pub(super) struct Connect {
    stream: OnUpgrade,
    /// What the upstream owes to the key that it was sent for the client, who has none.
    accept: Option<Accept>,
}

impl Connect {
    /// Gives an extended `CONNECT` the form of an upgrade; nothing for any other request.
    ///
    /// # Errors
    ///
    /// When it asks for a protocol that cannot be tunnelled.
    pub(super) fn of(req: &mut http::Request<Incoming>) -> Result<Option<Self>, Failure> {
        let Some(protocol) = req.extensions_mut().remove::<Protocol>() else {
            return Ok(None);
        };
        let mut method = Method::CONNECT;
        if !upgrade::from_connect(&mut method, req.headers_mut(), protocol.as_str()) {
            return Err(Failure::MalformedRequest);
        }
        *req.method_mut() = method;
        // It counts what will go through the tunnel, if anything.
        req.headers_mut().remove(header::CONTENT_LENGTH);
        let websocket = protocol.as_str().eq_ignore_ascii_case("websocket");
        let accept = websocket.then(|| Accept::challenge(req.headers_mut(), nonce()));
        let stream = hyper::upgrade::on(&mut *req);
        req.extensions_mut().insert(Switchable);
        Ok(Some(Self { stream, accept }))
    }

    /// Gives the answer the form that belongs to `CONNECT`, and notes the tunnel that follows it.
    pub(super) fn answer(
        self,
        response: &mut Response,
        switching: &Switching,
        mut exchanges: (Exchange, Exchange),
    ) -> Option<(Exchange, Exchange)> {
        let tunnel = tunnel(response);
        let accepted = match (&tunnel, &self.accept) {
            (Some(_), Some(accept)) => accept.check(response.headers_mut()),
            (Some(_), None) => true,
            // To the client a success would be the begin of the tunnel, but no protocol was agreed on.
            (None, _) => !response.status().is_success(),
        };
        if !accepted {
            *response = respond::failure(Failure::MalformedResponse, false);
            return Some(exchanges);
        }
        let Some(tunnel) = tunnel else {
            return Some(exchanges);
        };
        let (head, body) = std::mem::take(response).into_parts();
        let mut head = head;
        upgrade::to_connect(&mut head.status, &mut head.headers);
        *response = Response::from_parts(head, body);
        exchanges.0.switched();
        exchanges.1.switched();
        *lock(&switching.agreed) = Some(Agreed {
            tunnel,
            stream: self.stream,
            _exchanges: exchanges,
        });
        None
    }
}

/// 16 bytes that nobody can guess (RFC 6455, 4.1).
fn nonce() -> [u8; 16] {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    (half() << 64 | half()).to_ne_bytes()
}

/// What a stream that was opened with `CONNECT` leaves behind when its answer is sent.
#[derive(Default)]
pub(super) struct Switching {
    agreed: Mutex<Option<Agreed>>,
    sender: Mutex<Option<Sender>>,
}

struct Agreed {
    tunnel: Tunnel,
    stream: OnUpgrade,
    /// The connection is busy as long as the tunnel is there.
    _exchanges: (Exchange, Exchange),
}

/// hyper's half of a stream: takes what is written, and sends it as the client allows.
type Sender = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Switching {
    /// Takes what hyper would have run in a task of its own.
    pub(super) fn sends(&self, sender: impl Future<Output = ()> + Send + 'static) {
        *lock(&self.sender) = Some(Box::pin(sender));
    }

    /// Carries the tunnel to its end, if one was agreed on.
    pub(super) async fn carry(self: Arc<Self>) {
        let agreed = lock(&self.agreed).take();
        let sender = lock(&self.sender).take();
        let (Some(agreed), Some(sender)) = (agreed, sender) else {
            return;
        };
        let Ok(stream) = agreed.stream.await else {
            return;
        };
        join(agreed.tunnel, stream, sender).await;
    }
}

/// What ends early is dropped with the stream still open, which resets it: `CANCEL`, as RFC 8441 has it.
async fn join(tunnel: Tunnel, stream: Upgraded, sender: Sender) {
    let mut sender = Some(sender);
    let mut splice: Pin<&mut Splice> = pin!(tunnel.join(Stream::boxed(TokioIo::new(stream))));
    poll_fn(|cx| {
        let ended = splice.as_mut().poll(cx);
        if ended.is_pending()
            && let Some(running) = &mut sender
            && running.as_mut().poll(cx).is_ready()
        {
            sender = None;
            // It ends after the last byte, or when the client has reset the stream, which looks like an end when it is read.
            if !splice.is_ending_down() {
                splice.fail(Side::Client);
                return Poll::Ready(());
            }
            return splice.as_mut().poll(cx).map(|_| ());
        }
        ended.map(|_| ())
    })
    .await;
}
